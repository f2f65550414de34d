from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from limbeck.capture.discover.discover import discover
from limbeck.capture.skeleton import divide
from limbeck.models.dialects import anthropic
from limbeck.store.store import Store
from limbeck.types import Provenance, Trace

START = datetime(2026, 7, 1, tzinfo=UTC)
RULES = (
    "You work for a shop that sells bicycles and their parts all over the country. Be polite, be "
    "brief, never promise a date, and never speak of other shops. If something is not clear, say "
    "so. The customers write in many languages; you write in English. Prices are with tax. "
)
Answer = Callable[[int], str]


class Calls:
    """Records calls of no task, one an hour."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.rng = random.Random(1)
        self.now = START

    def add(self, system: str, answer: Answer, n: int = 30, **body: object) -> None:
        for number in range(n):
            self.now += timedelta(hours=1)
            asked = " ".join(self.rng.choice(RULES.split()) for _ in range(12))
            turns = [{"role": "user", "content": f"{asked} {self.now.timestamp()}"}]
            request = {"model": "m", "system": system, "messages": turns, **body}
            divided = divide(None, anthropic.read_request(request), request)
            trace = Trace(
                task=None,
                input=divided.input,
                raw=answer(number),
                created_at=self.now,
                provenance=Provenance(source="gateway", skeleton=divided.skeleton),
            )
            self.store.record([trace], (), divided.blobs)

    def sizes(self) -> list[tuple[int, int]]:
        """The candidates: how many calls, and how many wordings."""
        found = discover(self.store, by="calls").found
        return [(one.calls, len(one.versions)) for one in found.candidates]


@pytest.fixture
def calls(tmp_path: Path) -> Iterator[Calls]:
    with Store(tmp_path / "store.db") as store:
        yield Calls(store)


def label(*labels: str) -> Answer:
    return lambda n: labels[n % len(labels)]


def line(n: int) -> str:
    return f"We thank you for letter {n} and " + "x" * (n % 17)


def test_jobs_under_the_same_house_rules_are_told_apart_by_their_answers(calls: Calls) -> None:
    calls.add(RULES + "Say which team takes it.", label("sales", "repairs"))
    calls.add(RULES + "Say how angry the customer is.", label("calm", "cross", "furious"))
    calls.add(RULES + "Say how many parts the customer wants.", lambda n: str(n * 7))
    assert calls.sizes() == [(30, 1)] * 3


def test_one_job_whose_rules_were_changed_is_one_group(calls: Calls) -> None:
    calls.add(RULES + "Say which team takes it.", label("sales", "repairs"))
    calls.add(RULES + "Say which of the teams takes it.", label("sales", "repairs", "stock"))
    assert calls.sizes() == [(60, 2)]


def test_examples_in_another_order_are_one_group(calls: Calls) -> None:
    shots = [
        f"Example: {word} goes to {word}s." for word in ("bell", "lamp", "lock", "seat", "tyre")
    ]
    for at in range(4):
        told = "\n".join([RULES, *shots[at:], *shots[:at]])
        calls.add(told, label("bells", "lamps"), 10)
    assert calls.sizes() == [(40, 4)]


def test_a_prompt_with_many_names_in_it_is_one_group_with_a_place(calls: Calls) -> None:
    for name in ("Ann", "Bob", "Cyd", "Dee", "Eli", "Fay"):
        calls.add(
            f"You are {name}, who sorts the mail of a shop. Say which team.", label("a", "b"), 10
        )
    [one] = discover(calls.store).found.candidates
    assert (one.calls, one.skeletons) == (60, 6)
    assert one.system is not None
    assert one.system.startswith("You are {name}, who sorts")


def test_two_short_prompts_are_two_jobs(calls: Calls) -> None:
    calls.add("Answer yes or no: is the letter below a complaint?", label("yes", "no"))
    calls.add("Answer yes or no: is the letter below a question?", label("yes", "no"))
    assert calls.sizes() == [(30, 1)] * 2


def test_a_prompt_that_took_anothers_place_is_its_next_version(calls: Calls) -> None:
    told = RULES + "Write a reply to the customer, "
    calls.add(told + "in the words that the customer uses, with thanks at the end of it.", line)
    calls.add(told + "in one friendly sentence, with a question at its very end.", line)
    assert calls.sizes() == [(60, 2)]


def test_two_prompts_of_free_text_at_one_time_are_two_jobs(calls: Calls) -> None:
    told = RULES + "Write a reply to the customer, "
    for _ in range(5):
        calls.add(
            told + "in the words that the customer uses, with thanks at the end of it.", line, 6
        )
        calls.add(told + "in one friendly sentence, with a question at its very end.", line, 6)
    assert calls.sizes() == [(30, 1)] * 2


def test_calls_with_other_tools_are_another_group(calls: Calls) -> None:
    told = RULES + "Say which team takes it."
    calls.add(told, label("sales", "repairs"))
    calls.add(told, label("sales", "repairs"), tools=[{"name": "look_up", "input_schema": {}}])
    found = discover(calls.store).found.candidates
    assert sorted(one.has_tools for one in found) == [False, True]


def test_a_long_prompt_keeps_its_messages_whole(calls: Calls) -> None:
    told = RULES + "Say which team takes it."
    calls.add(told, label("sales", "repairs"), 30)
    [one] = discover(calls.store).found.candidates
    assert one.template is None
