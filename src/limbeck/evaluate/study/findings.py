"""The sentences of a study: what was found, and what a reader must not take from it."""

from __future__ import annotations

from collections.abc import Iterable

from limbeck.evaluate.evaluate import Comparison
from limbeck.evaluate.study.result import ArmResult, StudyResult

LEVEL = 0.03
"""Two arms are called level where the interval excludes a difference of more than this."""


def points(versus: Comparison) -> str:
    """The difference in percentage points with its 95 % interval."""
    low, high = versus.interval.low * 100, versus.interval.high * 100
    return f"{versus.difference * 100:+.1f} points [{low:+.1f}, {high:+.1f}]"


def compared(arm: ArmResult) -> str:
    """One sentence about an arm beside the one that it is held against."""
    versus = arm.versus
    assert versus is not None
    said = {
        "better": f"{arm.name} is better than {versus.against}",
        "worse": f"{arm.name} is worse than {versus.against}",
    }.get(versus.verdict)
    if said is not None:
        return f"{said}: {points(versus)}."
    if level(versus):
        return f"{arm.name} is level with {versus.against} to within {LEVEL:.0%}: {points(versus)}."
    return (
        f"Between {arm.name} and {versus.against} no difference is seen: {points(versus)}; the "
        "interval is too wide to call them level."
    )


def level(versus: Comparison) -> bool:
    """Whether the interval excludes any difference that matters."""
    return versus.interval.low > -LEVEL and versus.interval.high < LEVEL


def compare_all(arms: Iterable[ArmResult]) -> list[str]:
    """A sentence for every arm that is held against another."""
    return [compared(arm) for arm in arms if arm.versus is not None]


def unlearned(result: StudyResult) -> list[str]:
    """The sentence that comes before all others where no arm has learned the task."""
    if any(arm.interval.low > result.majority for arm in result.arms):
        return []
    return [
        f"No arm is seen to beat always giving the commonest answer ({result.majority:.1%}): these "
        "students have not learned the task, so their differences say nothing about the arms. Train "
        "longer (--set steps=...), or on more data."
    ]


def limits(result: StudyResult) -> list[str]:
    """What the numbers of this study do not show."""
    said = []
    if result.simulated:
        said.append(
            "The traces are simulated. The numbers show that the study works; they say nothing "
            "about real calls or real teachers."
        )
    count = sum(arm.versus is not None for arm in result.arms)
    if count > 1:
        said.append(
            f"There are {count} comparisons at 95% each: about one in twenty stands out by chance "
            "alone. A difference that matters should be seen again with other seeds."
        )
    said += [
        f"Students of one size ({result.base}) at one number of steps: another size or a longer "
        "training may order the arms differently.",
        f"The same {result.n:,} {result.split} calls were looked at for every arm. Whoever chooses an "
        "arm by this page confirms it on fresh calls.",
        f"An interval covers the choice of calls and the luck of {len(result.seeds)} seeds; so few "
        "seeds show much of that luck and not all of it.",
    ]
    if any(arm.unanswered > 0.05 for arm in result.arms):
        names = ", ".join(arm.name for arm in result.arms if arm.unanswered > 0.05)
        said.append(
            f"Some students often gave no answer in form ({names}), which counts as wrong: they may "
            "need more steps rather than other data."
        )
    return said
