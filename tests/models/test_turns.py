from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from limbeck.models.local import Decoder, Said
from limbeck.models.turns import FEATURES, answers
from limbeck.types import Again, Ask

FIRST = Ask(control="answer", order="answer_rationale", causal=False)
AGAIN = Again(
    control="think",
    order="rationale_answer",
    center=(0.0,) * len(FEATURES),
    scale=(1.0,) * len(FEATURES),
    weights=(0.0, 0.0, 1.0, 0.0, 0.0),
    bias=-2.0,
    threshold=0.5,
)


def said(answer: str, margin: float, tokens: int) -> Said:
    return Said(answer, None, (-0.1,), margin, 0.0, tokens, stopped=True)


class _Scripted:
    """A decoder that is sure of `a` only, and knows better when it thinks."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, tuple[str, ...]]] = []

    def ask(self, inputs: Sequence[str], ask: Ask, room: int, **_: Any) -> list[Said]:
        self.asked.append((ask.control, tuple(inputs)))
        if ask.control == "think":
            return [said(f"thought of {text}", 9.0, 50) for text in inputs]
        return [said(f"said {text}", 5.0 if text == "a" else 0.5, 2) for text in inputs]


def test_an_unsure_first_answer_is_asked_again_and_both_are_paid_for() -> None:
    decoder = _Scripted()
    told: list[int] = []
    found = answers(
        cast(Decoder, decoder),
        ["a", "b", "c"],
        FIRST.model_copy(update={"again": AGAIN}),
        64,
        progress=told.append,
    )
    assert [one.answer for one in found] == ["said a", "thought of b", "thought of c"]
    assert [one.new_tokens for one in found] == [2, 52, 52]
    assert decoder.asked == [("answer", ("a", "b", "c")), ("think", ("b", "c"))]
    assert told == [3]


def test_without_a_second_turn_a_student_is_asked_once() -> None:
    decoder = _Scripted()
    assert [one.answer for one in answers(cast(Decoder, decoder), ["b"], FIRST, 64)] == ["said b"]
    assert decoder.asked == [("answer", ("b",))]
