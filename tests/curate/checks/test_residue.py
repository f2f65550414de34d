from __future__ import annotations

from collections.abc import Callable

import pytest

from limbeck.types import Task

Evidence = Callable[..., str | None]


@pytest.mark.parametrize(
    "chain",
    [
        "late.</s></s>",
        "late.<|im_end|>",
        "[INST] late [/INST]",
        "<think>late",
        "late\nHuman: and now?",
        "### Response: late",
        "la\x00te",
        "la\ufffdte",
    ],
)
def test_marks_of_a_chat_format_are_caught(
    chain: str, choice_task: Task, evidence: Evidence
) -> None:
    said = evidence("residue", choice_task, rationale=chain)
    assert said is not None
    assert "the chain contains" in said


def test_residue_in_the_answer_is_caught(choice_task: Task, evidence: Evidence) -> None:
    said = evidence("residue", choice_task, rationale="late", answer_raw="deny</s>")
    assert said == "the answer contains '</s>'"


@pytest.mark.parametrize("chain", ["user: gold member", "a <b>bold</b> claim", "x < s > y"])
def test_other_marks_pass(chain: str, choice_task: Task, evidence: Evidence) -> None:
    assert evidence("residue", choice_task, rationale=chain) is None


def test_a_mark_that_the_input_has_passes(choice_task: Task, evidence: Evidence) -> None:
    said = evidence("residue", choice_task, rationale="it says </s>", input="what is </s>?")
    assert said is None
