from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from limbeck.curate.curate import curate, examine
from limbeck.curate.dataset import read_dataset
from limbeck.types import PostHoc, Rationale, Task, Trace

Make = Callable[..., Trace]
LABELS = ("refund", "exchange", "deny")


def asked(
    trace: Trace, rationale: str = "The rule is plain.", answer: str | None = None
) -> PostHoc:
    return PostHoc(trace_id=trace.id, rationale=rationale, answer=answer)


def rows_of(task: Task, trace: Trace, made: PostHoc) -> tuple[str | None, str | None]:
    row = examine([trace], {}, task, None, None, {trace.id: made}).with_texts().row(0, named=True)
    return row["rationale"], row["origin"]


def test_a_trace_without_a_rationale_gets_the_one_that_was_asked_for(
    trace: Make, choice_task: Task
) -> None:
    made = trace(raw="Answer: deny")
    said = rows_of(choice_task, made, asked(made, answer="Deny"))
    assert said == ("The rule is plain.", "post_hoc")


def test_a_rationale_of_its_own_is_kept(trace: Make, choice_task: Task) -> None:
    made = trace(raw="It is too late.\nAnswer: deny")
    said = rows_of(choice_task, made, asked(made))
    assert said == ("It is too late.", "elicited")
    made = trace(rationale=Rationale(text="So it says.", origin="native"), answer="deny")
    assert rows_of(choice_task, made, asked(made)) == ("So it says.", "native")


def test_a_rationale_for_another_answer_is_not_used(trace: Make, choice_task: Task) -> None:
    made = trace(raw="Answer: deny")
    assert rows_of(choice_task, made, asked(made, answer="refund")) == (None, None)


def test_the_dataset_and_its_card_say_which_rationales_were_asked_for(
    trace: Make, choice_task: Task, tmp_path: Path
) -> None:
    traces, made = [], {}
    for n in range(40):
        chain = "" if n % 4 == 0 else f"Rule {n} is clear.\n"
        traces.append(trace(f"case {n}", raw=f"{chain}Answer: {LABELS[n % 3]}"))
        if n % 4 == 0:
            made[traces[-1].id] = asked(traces[-1], f"Rule {n} was made for this case.")
    info = curate(traces, {}, choice_task, tmp_path, post_hoc=made)
    origins = read_dataset(info.path).rows("train")["rationale_origin"].to_list()
    assert (origins.count("post_hoc"), origins.count("elicited")) == (10, 30)
    [said] = [caveat for caveat in info.caveats if "rationales" in caveat]
    assert said.startswith("10 of 40 training rationales (25%) were asked for after")
    assert "10 of 40 training rationales" in (info.path / "card.md").read_text()
    assert curate(traces, {}, choice_task, tmp_path).hash != info.hash
