from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import polars as pl

from limbeck.curate.checks.table import load
from limbeck.types import Task

Frame = Callable[..., pl.DataFrame]
NAMES = ("ann", "bob", "cat", "dan", "eve", "fay", "gus", "hal")
THINGS = ("kite", "lamp", "drum", "vase", "book", "ring", "radio", "mug")


def good_chain(rng: random.Random) -> str:
    name, thing, days = rng.choice(NAMES), rng.choice(THINGS), rng.randint(1, 60)
    late = "late" if days > 30 else "in time"
    return (
        f"{name} bought the {thing} {days} days ago. the window is 30 days, so it is {late}. "
        f"nobody opened the {thing} and it is not damaged."
    )


def flagged(frame: Frame, task: Task, chains: list[str], **settings: Any) -> list[int]:
    made = frame(*({"rationale": chain, "input": f"case {i}"} for i, chain in enumerate(chains)))
    result = load("nonsense", settings).run(made, task)
    return [place for place, passes in enumerate(result["verdict"]) if not passes]


def test_shuffled_words_and_foreign_words_are_caught_and_nothing_else(
    choice_task: Task, frame: Frame
) -> None:
    rng = random.Random(3)
    chains = [good_chain(rng) for _ in range(200)]
    shuffled = chains[7].split()
    rng.shuffle(shuffled)
    noise = ("walrus", "quartz", "umber", "velvet", "krill", "sonnet", "gherkin", "nimbus")
    chains += [" ".join(shuffled), " ".join(rng.choice(noise) for _ in range(25))]
    chains += ["asdf lkjh qwer poiu zxcv mnbv asdg hjkl qwet yuio"]
    assert flagged(frame, choice_task, chains) == [200, 201, 202]


def test_new_names_and_numbers_in_a_usual_sentence_pass(choice_task: Task, frame: Frame) -> None:
    rng = random.Random(4)
    chains = [good_chain(rng) for _ in range(200)]
    chains.append(chains[0].replace("ann", "xanthippe").replace("days ago", "9999 days ago"))
    assert flagged(frame, choice_task, chains) == []


def test_nonsense_that_was_recorded_often_does_not_vouch_for_itself(
    choice_task: Task, frame: Frame
) -> None:
    rng = random.Random(5)
    rows = [{"rationale": good_chain(rng), "input": f"case {i}"} for i in range(200)]
    salad = "lamp the not so 30 it nobody in is days ago window bought opened and time late drum"
    rows += [{"rationale": salad, "input": "case 0"}] * 5
    result = load("nonsense").run(frame(*rows), choice_task)
    assert not any(result["verdict"].to_list()[200:])


def test_with_few_chains_nothing_is_known_and_all_pass(choice_task: Task, frame: Frame) -> None:
    chains = ["walrus quartz umber velvet krill sonnet gherkin nimbus orchid"] * 10
    assert flagged(frame, choice_task, chains) == []
