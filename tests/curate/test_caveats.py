from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from limbeck.curate.curate import curate, examine
from limbeck.curate.dataset import read_dataset
from limbeck.types import AnswerForm, SplitPlan, Task, Trace

Make = Callable[..., Trace]
LABELS = ("refund", "exchange", "deny")


def caveats(task: Task, traces: list[Trace]) -> list[str]:
    return list(examine(traces, {}, task).caveats)


def test_simulated_traces_are_said_first(trace: Make, choice_task: Task) -> None:
    said = caveats(choice_task, [trace(raw="Answer: deny", simulated=True)])
    assert said[0].startswith("1 of 1 traces are simulated")


def test_a_check_that_drops_more_than_its_share_is_named(trace: Make, choice_task: Task) -> None:
    raws = ["no answer here."] * 30 + ["Late.\nAnswer: deny"] * 70
    said = caveats(choice_task, [trace(f"case {n}", raw=raw) for n, raw in enumerate(raws)])
    assert any(line.startswith("missing_answer dropped 30%") for line in said)
    fewer = raws[15:]
    said = caveats(choice_task, [trace(f"case {n}", raw=raw) for n, raw in enumerate(fewer)])
    assert not any(line.startswith("missing_answer dropped") for line in said)


def test_a_check_that_falls_on_one_label_is_named(trace: Make, choice_task: Task) -> None:
    def made(uneven: bool) -> list[Trace]:
        return [
            trace(
                f"case {n}",
                raw=f"Case {n}{'</s>' if bad else ''} is clear.\nAnswer: {LABELS[n % 3]}",
            )
            for n in range(300)
            for bad in [(n % 3 == 2 and n % 2 == 0) if uneven else n % 7 == 0]
        ]

    said = [line for line in caveats(choice_task, made(True)) if "falls unevenly" in line]
    assert said == [
        "residue falls unevenly: it dropped 50% of the training traces with the answer 'deny', "
        "and 0% of the others."
    ]
    assert not any("falls unevenly" in line for line in caveats(choice_task, made(False)))


def test_empty_splits_and_unseen_labels_are_named(trace: Make, choice_task: Task) -> None:
    traces = [trace(f"case {n}", raw=f"Answer: {LABELS[n % 2]}") for n in range(20)]
    traces.append(trace("last", raw="Answer: deny", split="test"))
    said = caveats(choice_task, traces)
    assert "The split validation is empty: its share in the task file is 0." in said
    assert "No training example has the answer 'deny', which test asks for." in said


def test_a_template_that_has_most_of_the_chains_is_named(
    trace: Make, choice_task: Task, tmp_path: Path
) -> None:
    def said(common: int) -> list[str]:
        others = ("apples", "stars", "rivers", "clocks", "doors")
        chains = [
            f"The case {n} is older than 30 days."
            if n < common
            else f"Nobody likes {others[n % 5]} made of {others[n // 5 % 5]} and {others[n // 25]}."
            for n in range(120)
        ]
        made = [
            trace(f"case {n}", raw=f"{chain}\nAnswer: {LABELS[n % 3]}")
            for n, chain in enumerate(chains)
        ]
        found = curate(made, {}, choice_task, tmp_path)
        assert read_dataset(found.path).manifest.caveats == found.caveats
        return [line for line in found.caveats if "reasoning templates" in line]

    [line] = said(90)
    assert "has 75% of the 120 training chains that were read" in line
    assert "is older than 30 days." in line
    assert said(30) == []


def test_an_empty_split_of_few_groups_says_why(trace: Make, choice_task: Task) -> None:
    plan = SplitPlan(train=0.5, validation=0.25, calibration=0, test=0.25)
    task = choice_task.model_copy(update={"splits": plan})
    traces = [trace(f"case {n}", raw=f"Answer: {LABELS[n % 3]}", group="one") for n in range(20)]
    said = [line for line in caveats(task, traces) if "is empty" in line]
    assert any(
        line.endswith("a group stands in one split as a whole, and there are only 1.")
        for line in said
    )
    assert "The split calibration is empty: its share in the task file is 0." in said


def test_labels_that_collide_are_named(trace: Make, choice_task: Task) -> None:
    form = AnswerForm(kind="choice", choices=("refund", "Refund.", "deny"))
    task = choice_task.model_copy(update={"answer": form})
    traces = [trace(f"case {n}", raw=f"Answer: {form.choices[n % 3]}") for n in range(20)]
    assert any("'refund', 'Refund.' differ in nothing" in line for line in caveats(task, traces))
    assert not any("differ in nothing" in line for line in caveats(choice_task, traces))


def test_many_chains_of_an_input_are_no_fault_of_a_check(trace: Make, choice_task: Task) -> None:
    traces = [
        trace(f"case {n}", raw=f"Way {way} leads there.\nAnswer: {LABELS[n % 3]}")
        for n in range(20)
        for way in range(4)
    ]
    said = caveats(choice_task, traces)
    assert any("(75%) are further chains or copies of an input" in line for line in said)
    assert not any(line.startswith("duplicate dropped") for line in said)
