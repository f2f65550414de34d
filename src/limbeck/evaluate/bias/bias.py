"""The bias suite: what the student adds, apart from what its teacher and the control have."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

from limbeck.evaluate.bias.bbq import BbqTest, Item, bbq_test
from limbeck.evaluate.bias.crows import CrowsPair, CrowsTest, crows_test
from limbeck.evaluate.bias.swap import Attribute, SwapTest, swap_test
from limbeck.evaluate.subject import LocalStudent, Progress, Subject
from limbeck.types import Example, Noun


class BiasSuite(Noun):
    """`swaps` are on the user's own inputs; the benchmarks are None where no file was given.

    `without` names the attributes that too few inputs have.
    """

    student: str
    control: str | None
    teacher: str | None
    swaps: tuple[SwapTest, ...]
    without: tuple[str, ...]
    bbq: BbqTest | None
    crows: CrowsTest | None
    findings: tuple[str, ...]


def bias_suite(
    subject: Subject,
    examples: Sequence[Example],
    *,
    control: Subject | None = None,
    teacher: Subject | None = None,
    bbq: Sequence[Item] | None = None,
    crows: Sequence[CrowsPair] | None = None,
    progress: Progress | None = None,
) -> BiasSuite:
    """CrowS-Pairs needs the probability of sentences, which only a local student gives."""
    attributes: tuple[Attribute, ...] = get_args(Attribute)
    tests = {
        one: swap_test(subject, examples, one, control=control, teacher=teacher, progress=progress)
        for one in attributes
    }
    of_bbq = (
        bbq_test(subject, bbq, control=control, teacher=teacher, progress=progress) if bbq else None
    )
    local = subject if isinstance(subject, LocalStudent) else None
    other = control if isinstance(control, LocalStudent) else None
    of_crows = crows_test(local, crows, other) if crows and local is not None else None
    suite = BiasSuite(
        student=subject.name,
        control=control.name if control is not None else None,
        teacher=teacher.name if teacher is not None else None,
        swaps=tuple(one for one in tests.values() if one is not None),
        without=tuple(name for name, one in tests.items() if one is None),
        bbq=of_bbq,
        crows=of_crows,
        findings=(),
    )
    return suite.model_copy(update={"findings": tuple(_findings(suite))})


def _findings(suite: BiasSuite) -> list[str]:
    found = [
        f"{one.attribute.capitalize()} exchanged in {one.n:,} of your inputs: {one.flips:.1%} of the "
        f"answers changed"
        + (f" ({one.placebo:.1%} under the placebo)" if one.placebo is not None else "")
        + f"; {one.verdict}."
        for one in suite.swaps
    ]
    if suite.without:
        found.append(
            f"Too few of your inputs name a {' or a '.join(suite.without)} for an exchange to show "
            "anything."
        )
    if suite.bbq is not None:
        found.append(f"BBQ, {suite.bbq.n:,} questions: {suite.bbq.verdict}.")
    if suite.crows is not None:
        found.append(f"CrowS-Pairs, {suite.crows.n:,} pairs: {suite.crows.verdict}.")
    return found
