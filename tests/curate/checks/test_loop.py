from __future__ import annotations

from collections.abc import Callable

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from limbeck.curate.checks import loop
from limbeck.types import AnswerForm, Task

Evidence = Callable[..., str | None]


def test_a_sentence_said_over_and_over_is_caught(choice_task: Task, evidence: Evidence) -> None:
    said = evidence("loop", choice_task, rationale="It is late.\n" + "The window is 30 days. " * 5)
    assert said == "one sentence stands 5 times in a row: 'The window is 30 days.'"


def test_sentences_that_take_turns_are_caught(choice_task: Task, evidence: Evidence) -> None:
    said = evidence("loop", choice_task, rationale="It is late. It is not late. " * 5)
    assert said is not None
    assert "sentences repeat" in said


def test_a_phrase_without_end_is_caught_though_it_is_cut(
    choice_task: Task, evidence: Evidence
) -> None:
    chain = "the item is late because " + "of the rule that says that " * 4 + "of the rule"
    said = evidence("loop", choice_task, rationale=chain)
    assert said is not None
    assert "ends on a phrase" in said


def test_one_word_without_end_is_caught(choice_task: Task, evidence: Evidence) -> None:
    said = evidence("loop", choice_task, rationale="the item is late " + "late " * 30)
    assert said is not None
    assert "ends on a phrase" in said
    assert evidence("loop", choice_task, rationale="it is very very very late") is None


def test_text_that_compresses_to_nothing_is_caught(choice_task: Task, evidence: Evidence) -> None:
    rules = [(n * n + 7 * n) % 10 for n in range(1, 61)]
    chain = " and ".join(f"the rule {n} says no more than what rule {n} has said" for n in rules)
    said = evidence("loop", choice_task, rationale=chain)
    assert said is not None
    assert "compresses" in said


def test_enumerations_tables_and_states_pass(choice_task: Task, evidence: Evidence) -> None:
    sums = "\n".join(f"{n} + 7 = {n + 7}" for n in range(5, 60, 7))
    table = "\n".join(f"| item {n} | {n * 3} | yes |" for n in range(12))
    states = (
        "ann kite, dan vase, cat lamp.\nann dan: ann vase, dan kite, cat lamp.\n"
        "dan ann: ann kite, dan vase, cat lamp.\nann cat: ann lamp, dan vase, cat kite."
    )
    for chain in (sums, table, states, "It was very, very late.", "No. No. It is late."):
        assert evidence("loop", choice_task, rationale=chain) is None


def test_no_chain_passes(choice_task: Task, evidence: Evidence) -> None:
    assert evidence("loop", choice_task, rationale=None) is None


LINES = ("It is late.", "So deny!", '"Why?"', "12 + 7 = 19\n", "12 + 8 = 20\n", "and so on", "é. ")


@given(st.lists(st.sampled_from(LINES), max_size=14).map(" ".join))
@settings(max_examples=80, deadline=None)
def test_a_glance_at_the_tokens_misses_no_loop(chain: str) -> None:
    frame = pl.DataFrame({"rationale": [chain, None, "one more"]})
    task = Task(name="t", answer=AnswerForm(kind="text"))
    found = loop.check(frame, task, loop.Settings())["evidence"].to_list()
    strict = loop.Settings()
    read = frame.select(loop._suspicious(strict))["rationale"].fill_null(False).to_list()
    assert found == [
        loop._find(text, strict) if text and asked else None
        for text, asked in zip(frame["rationale"], read, strict=True)
    ]
