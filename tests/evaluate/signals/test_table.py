from __future__ import annotations

import math
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import limbeck.evaluate.signals
from limbeck.errors import UsageError
from limbeck.evaluate.signals.novelty import BINS, Novelty
from limbeck.evaluate.signals.reading import FLOOR, Reading
from limbeck.evaluate.signals.table import DEAR, SIGNALS, USUAL, load, read_signals
from limbeck.models.local import Said
from limbeck.types import AnswerForm, Task

CHOICE = Task(name="t", answer=AnswerForm(kind="choice", choices=("grant", "deny")))
NUMBER = Task(name="t", answer=AnswerForm(kind="number"))


def reading(task: Task = CHOICE, answer: str | None = "grant", **given: Any) -> Reading:
    values: dict[str, Any] = {
        "answer": answer,
        "rationale": None,
        "logprobs": (-0.5, -2.0, -0.5),
        "margin": 1.5,
        "rationale_logprob": -0.25,
        "new_tokens": 4,
        "stopped": True,
    }
    beside = {
        key: given.pop(key) for key in ("novelty", "samples", "direct", "input") if key in given
    }
    text = beside.pop("input", "Ann has 3 apples and buys 4.")
    return Reading(text, Said(**{**values, **given}), task, answer, **beside)


def read(name: str, one: Reading) -> float:
    return load(name)(one)


def test_the_table_is_the_folder() -> None:
    [folder] = limbeck.evaluate.signals.__path__
    found = {path.stem for path in Path(folder).glob("*.py")}
    # Every other file of the folder has no `read`: it is about asking and keeping, not a signal.
    signals = {
        name for name in found if hasattr(import_module(f"limbeck.evaluate.signals.{name}"), "read")
    }
    assert signals == set(SIGNALS)
    assert set(USUAL) | set(DEAR) == set(SIGNALS)


def test_every_signal_says_in_its_first_line_what_it_is() -> None:
    for module in SIGNALS.values():
        documented = import_module(module).__doc__
        assert documented
        assert len(documented.splitlines()[0]) > 30


def test_signals_are_read_in_the_order_of_their_names() -> None:
    names = ("lowest", "tenth", "average", "margin", "rationale", "length")
    assert read_signals(reading(), names) == (-2.0, -2.0, -1.0, 1.5, -0.25, math.log(5))
    assert read_signals(reading(), names[::-1]) == read_signals(reading(), names)[::-1]


def test_an_unknown_signal_is_named_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match="no signal 'mood'; wanted some of lowest, tenth"):
        load("mood")


def test_a_longer_answer_is_not_punished_for_its_length() -> None:
    for name in ("lowest", "tenth"):
        assert read(name, reading(logprobs=(-2.0, -0.5))) == read(name, reading())
    long = (-9.0, *[-0.1] * 29)
    assert read("tenth", reading(logprobs=long)) == -0.1


def test_extreme_and_absent_numbers_stay_finite() -> None:
    wild = reading(logprobs=(-1e9,), margin=math.inf, rationale_logprob=-math.inf)
    empty = reading(answer=None, logprobs=(), new_tokens=0, input="")
    for one in (wild, empty):
        assert all(math.isfinite(value) for value in read_signals(one, tuple(SIGNALS)))
    assert read_signals(wild)[:5] == (FLOOR, FLOOR, FLOOR, -FLOOR, FLOOR)


def test_wrong_steps_of_the_rationale_are_counted() -> None:
    right = reading(NUMBER, "7", rationale="3 + 4 = 7.")
    wrong = reading(NUMBER, "8", rationale="3 + 4 = 8.")
    assert (read("arithmetic", right), read("arithmetic", wrong)) == (0.0, 1.0)
    assert read("arithmetic", reading()) == 0.0


def test_a_number_from_nowhere_is_not_grounded() -> None:
    assert read("grounded", reading(NUMBER, "7", rationale="3 + 4 = 7, so 7.")) == 1.0
    assert read("grounded", reading(NUMBER, "7", rationale="She has 3 and 9 more.")) == 0.5
    assert read("grounded", reading(NUMBER, "7", rationale="No number at all.")) == 1.0


def test_a_chain_that_concludes_on_another_answer_is_not_consistent() -> None:
    against = "The item is broken, so the answer is deny."
    assert read("consistent", reading(rationale=against)) == 0.0
    assert read("consistent", reading(rationale=against.replace("deny", "grant"))) == 1.0
    assert read("consistent", reading()) == 1.0


def test_an_input_of_unseen_words_is_novel() -> None:
    novelty = Novelty.fit([f"the order {number} came late" for number in range(50)])
    seen = read("novelty", reading(input="the order 7 came late", novelty=novelty))
    other = read("novelty", reading(input="meine Rechnung stimmt nicht", novelty=novelty))
    assert 0 <= seen < 1.5 < other
    assert read("novelty", reading()) == 0.0
    assert novelty("") == 0.0


def test_novelty_travels_as_text() -> None:
    novelty = Novelty.fit(["one two three", "two three four"])
    packed = novelty.packed()
    assert len(packed) < BINS / 4
    assert Novelty.unpack(packed)("one two five") == novelty("one two five")
    for damaged in ("", packed[:-8], "AAAA"):
        with pytest.raises(ValueError, match="is damaged"):
            Novelty.unpack(damaged)


def test_samples_agree_where_they_mean_the_same() -> None:
    agreeing = reading(NUMBER, "7", samples=("7", "7.0", "8", None))
    assert read("agreement", agreeing) == 0.5
    assert read("agreement", reading()) == 1.0


def test_an_answer_that_changes_without_the_rationale_is_marked() -> None:
    assert read("orders", reading(direct="grant")) == 1.0
    assert read("orders", reading(direct="deny")) == 0.0
    assert read("orders", reading()) == 1.0
