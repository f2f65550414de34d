from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import polars as pl

from limbeck.curate.frame import COLUMNS, input_key, read_frame
from limbeck.types import Outcome, Rationale, ReplyForm, Task, Trace

Make = Callable[..., Trace]


def test_a_corrected_task_file_takes_effect_without_a_second_import(
    choice_task: Task, trace: Make
) -> None:
    made = trace(raw="It is late.\nVerdict: deny", rationale=None, answer=None)
    assert read_frame([made], {}, choice_task)["answer"].to_list() == [None]
    corrected = choice_task.model_copy(update={"reply": ReplyForm(answer_markers=("Verdict:",))})
    row = read_frame([made], {}, corrected).row(0, named=True)
    assert (row["rationale"], row["answer"]) == ("It is late.", "deny")


def test_what_runs_on_after_the_answer_is_not_used(choice_task: Task, trace: Make) -> None:
    made = trace(raw="It is late.\nAnswer: deny\n\nQ: another row\nIt is broken.\nAnswer: refund")
    row = read_frame([made], {}, choice_task).row(0, named=True)
    assert (row["rationale"], row["answer"], row["ran_on"]) == ("It is late.", "deny", True)


def test_a_trace_without_raw_keeps_what_was_imported(choice_task: Task, trace: Make) -> None:
    made = trace(rationale=Rationale(text=" late ", origin="human"), answer="Deny.")
    row = read_frame([made], {}, choice_task).row(0, named=True)
    assert (row["rationale"], row["origin"]) == ("late", "human")
    assert (row["answer"], row["answer_raw"]) == ("deny", "Deny.")


def test_outcomes_are_normalized_and_judged(number_task: Task, trace: Make) -> None:
    made = trace(raw="Answer: $4.00")
    truths = {made.id: Outcome(trace_id=made.id, value="4", source="gold")}
    row = read_frame([made], truths, number_task).row(0, named=True)
    assert (row["answer"], row["outcome"], row["correct"]) == ("4", "4", True)


def test_an_outcome_out_of_form_says_nothing(choice_task: Task, trace: Make) -> None:
    made = trace(raw="Answer: deny")
    truths = {made.id: Outcome(trace_id=made.id, value="n/a", source="gold")}
    row = read_frame([made], truths, choice_task).row(0, named=True)
    assert (row["outcome"], row["outcome_raw"], row["correct"]) == (None, "n/a", None)


def test_a_trace_stands_once_wherever_it_came(choice_task: Task, trace: Make) -> None:
    traces = [trace(f"case {n}", raw="Answer: deny") for n in range(5)]
    forth = read_frame(traces, {}, choice_task)
    back = read_frame([*reversed(traces), traces[2]], {}, choice_task)
    assert forth.equals(back)
    assert forth.schema == COLUMNS


def test_the_same_calls_at_another_time_stand_in_the_same_order(
    choice_task: Task, trace: Make
) -> None:
    def recorded(day: int) -> pl.DataFrame:
        at = datetime(2026, 1, day, tzinfo=UTC)
        traces = [trace(f"case {n}", raw="Answer: deny", created_at=at) for n in range(40)]
        return read_frame(traces, {}, choice_task)

    first, second = recorded(1), recorded(2)
    assert not set(first["trace_id"]) & set(second["trace_id"])
    assert first["input"].equals(second["input"])
    assert not first["input"].is_sorted()


def test_half_a_surrogate_pair_can_be_written(choice_task: Task, trace: Make) -> None:
    frame = read_frame([trace("odd \ud83d", raw="Answer: deny")], {}, choice_task)
    assert frame.filter(pl.col("input").str.starts_with("odd")).height == 1


def test_keys_ignore_case_spaces_width_and_the_order_of_choices() -> None:
    assert input_key("A  cat\n", ["x", "y"]) == input_key("a cat", ["Y", "x"])
    assert input_key("Ａ cat", []) == input_key("a cat", [])
    assert input_key("5-3", []) != input_key("5+3", [])
    assert input_key("a", ["x"]) != input_key("a", ["y"])
