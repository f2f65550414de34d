from __future__ import annotations

from collections.abc import Callable

from limbeck.curate.curate import examine
from limbeck.types import Task, Trace

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
