from __future__ import annotations

from typing import Any

from limbeck.types import AnswerForm, Ask, StudentCard, Task, content_hash


def card(**changes: Any) -> StudentCard:
    said: dict[str, Any] = {
        "task": Task(name="orders", answer=AnswerForm(kind="text")),
        "recipe": "label",
        "ask": Ask(control="answer", order="answer", causal=False),
        "base": "nano",
        "parameters": 1,
        "dataset": "sha256:0",
        "train_examples": 40,
        "skeleton": "sha256:0",
        "simulated": True,
        "seed": 0,
        "steps": 1,
        "tokens_seen": 1,
        "seconds": 1.0,
        "max_new_tokens": 20,
        "weights": "sha256:0",
        "version": "0",
    }
    return StudentCard(**{**said, **changes})


def test_what_is_as_by_default_is_no_part_of_the_name_so_that_a_card_may_gain_a_field() -> None:
    kept = card().model_dump(mode="json", exclude_defaults=True)
    assert kept["task"] == {"name": "orders", "answer": {"kind": "text"}}
    assert card().id == content_hash(kept)
    assert card(instruction_tokens=0).id == card().id
    assert card(instruction_tokens=7).id != card().id
