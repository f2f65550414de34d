from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from limbeck.curate.budget import Pairs
from limbeck.curate.curate import curate, examine
from limbeck.curate.dataset import read_dataset
from limbeck.curate.samplers import SAMPLERS
from limbeck.curate.settings import resolve_settings
from limbeck.errors import ConfigError
from limbeck.types import Task, Trace

Make = Callable[..., Trace]
LABELS = ("refund", "exchange", "deny")
WAYS = (
    "It is late.",
    "The item came back after thirty days. That is late.",
    "Rule four speaks of parcels. This one is a parcel. It was opened by the customer.",
    "Nobody has seen a receipt; the shop asks for one.",
    "It is late, and late it is.",
)


def traces(trace: Make, inputs: int = 6) -> list[Trace]:
    return [
        trace(f"case {n}", raw=f"{way} Case {n}.\nAnswer: {LABELS[n % 3]}")
        for n in range(inputs)
        for way in WAYS
    ]


def chains(task: Task, made: list[Trace], **settings: Any) -> dict[str, list[str]]:
    """The chains that are kept of each input."""
    examined = examine(made, {}, task, resolve_settings(task, {"duplicates": settings}))
    kept = examined.with_texts().filter(pl.col("reason").is_null())
    found: dict[str, list[str]] = {}
    for asked, chain in kept.select("input", "rationale").iter_rows():
        found.setdefault(asked, []).append(chain)
    return found


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_sampler_keeps_its_budget_of_every_input(
    trace: Make, choice_task: Task, sampler: str
) -> None:
    made = traces(trace)
    kept = chains(choice_task, made, per_input=2, sampler=sampler)
    assert {len(own) for own in kept.values()} == {2}
    assert chains(choice_task, made[::-1], per_input=2, sampler=sampler) == kept
    everything = chains(choice_task, made, per_input=9, sampler=sampler)
    assert {len(own) for own in everything.values()} == {5}


def test_samplers_choose_what_they_say(trace: Make, choice_task: Task) -> None:
    made = traces(trace, inputs=1) + traces(trace, inputs=2)[5:]
    short = chains(choice_task, made, per_input=1, sampler="shortest_correct")["case 0"]
    assert short == ["It is late. Case 0."]
    mixed = chains(choice_task, made, per_input=2, sampler="mixed_levels")["case 0"]
    assert {len(one.split()) for one in mixed} == {5, 18}
    said = [chains(choice_task, made, per_input=3, sampler=name) for name in SAMPLERS]
    assert len({str(one) for one in said}) > 2


def test_what_was_not_chosen_says_so(trace: Make, choice_task: Task, tmp_path: Path) -> None:
    settings = resolve_settings(choice_task, {"duplicates": {"per_input": 2, "sampler": "diverse"}})
    made = traces(trace)
    info = curate([*made, made[0]], {}, choice_task, tmp_path, settings)
    assert info.summary.drops == {"over_budget": {"train": 18}}
    dropped = read_dataset(info.path).dropped()
    assert set(dropped["evidence"]) == {"diverse chose 2 other chains of its input"}
    with pytest.raises(ConfigError, match="sampler"):
        resolve_settings(choice_task, {"duplicates": {"sampler": "cheapest"}})


def test_a_chain_of_common_pairs_is_likelier() -> None:
    model = Pairs([*["so it is late"] * 9, "so it came late"])
    assert model.mean("so it is late") > model.mean("so it came late") > model.mean("late is so")
    assert model.mean("") == 0.0
