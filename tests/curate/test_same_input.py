"""Near-duplicates, conflicts and evaluation texts through a whole curation."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from limbeck.capture.sandbox.tasks import load
from limbeck.curate.contamination import read_evaluation
from limbeck.curate.curate import curate, examine
from limbeck.curate.dataset import read_dataset
from limbeck.curate.settings import resolve_settings
from limbeck.types import Outcome, SplitPlan, Task, Trace

Make = Callable[..., Trace]
LABELS = ("refund", "exchange", "deny")
ASKED = "the {} that i ordered from your shop last week came late, and the box was {} all over it"
ITEMS = ("shirt", "skirt", "short", "shirts", "sheet", "watch", "clock", "block")
STATES = ("wet", "torn", "open", "dented")


@pytest.fixture
def alike(trace: Make, choice_task: Task) -> tuple[Task, list[Trace], dict[str, Outcome]]:
    """Inputs of one template in four splits, each asked twice, now and then with two answers."""
    task = choice_task.model_copy(update={"splits": SplitPlan()})
    traces, truths = [], {}
    for n, (item, state) in enumerate((item, state) for item in ITEMS for state in STATES):
        for again in range(2):
            said = LABELS[(n + (again if n % 5 == 0 else 0)) % 3]
            made = trace(
                ASKED.format(item, state), raw=f"Rule {n} of {again} is clear.\nAnswer: {said}"
            )
            traces.append(made)
            if n % 10 == 0:
                truths[made.id] = Outcome(trace_id=made.id, value=LABELS[n % 3], source="gold")
    for n in range(60):
        asked = trace(f"case {n}", raw=f"Yes {n}.\nAnswer: {LABELS[n % 3]}")
        traces.append(asked)
    return task, traces, truths


def digests(folder: Path) -> dict[str, str]:
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.rglob("*.*")
    }


@given(seed=st.integers(0, 2**16), near=st.booleans(), per_input=st.integers(1, 2))
@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_order_gives_the_same_bytes(
    alike: tuple[Task, list[Trace], dict[str, Outcome]],
    tmp_path: Path,
    seed: int,
    near: bool,
    per_input: int,
) -> None:
    task, traces, truths = alike
    given = resolve_settings(
        task, {"duplicates": {"near": near, "per_input": per_input, "similarity": 0.8}}
    )
    shuffled = random.Random(seed).sample(traces, len(traces))
    folder = tmp_path / f"{seed}-{near}-{per_input}"
    first = curate(traces, truths, task, folder / "a", given)
    second = curate(shuffled, dict(reversed(truths.items())), task, folder / "b", given)
    assert digests(first.path) == digests(second.path)
    assert first.summary.drops["near_leakage"]
    assert ("near_duplicate" in first.summary.drops) == near


def test_no_training_input_is_near_one_that_judges(
    alike: tuple[Task, list[Trace], dict[str, Outcome]],
) -> None:
    task, traces, truths = alike
    near = resolve_settings(task, {"duplicates": {"similarity": 0.8}})
    rows = examine(traces, truths, task, near).rows
    leaked = rows.filter(pl.col("reason") == "near_leakage")
    assert leaked.height > 5
    assert "test" not in leaked["split"].to_list()
    named = leaked["evidence"].str.extract(r"that of (sha256:\w+)…, which stands in (\w+)", 1)
    assert named.null_count() == 0
    judges = rows.filter(pl.col("split") != "train")["trace_id"].str.slice(0, 19).to_list()
    assert set(named) <= set(judges)


def test_the_funnel_ends_on_what_is_kept_and_the_card_counts_the_clusters(
    alike: tuple[Task, list[Trace], dict[str, Outcome]], tmp_path: Path
) -> None:
    task, traces, truths = alike
    near = resolve_settings(task, {"duplicates": {"near": True, "similarity": 0.8}})
    info = curate(traces, truths, task, tmp_path, near)
    summary = info.summary
    assert summary.funnel[-1].left == sum(info.splits.values())
    assert [stage.name for stage in summary.funnel][2:4] == [
        "in no evaluation set",
        "in one split only",
    ]
    assert summary.near.inputs > summary.near.clusters > 0
    kept = read_dataset(info.path).manifest.summary.near
    assert kept == summary.near
    card = (info.path / "card.md").read_text()
    assert f"form {summary.near.clusters} clusters, the largest of {summary.near.largest}" in card
    assert "similarity = 0.8" in card


def test_an_evaluation_set_keeps_its_texts_out_of_what_is_fitted(
    alike: tuple[Task, list[Trace], dict[str, Outcome]], tmp_path: Path
) -> None:
    task, traces, truths = alike
    before = examine(traces, truths, task).with_texts()
    fitted = before.filter(pl.col("reason").is_null() & pl.col("split").is_in(["train"]))
    asked = fitted["input"].to_list()[0]
    file = tmp_path / "held.jsonl"
    file.write_text(json.dumps({"text": asked.upper()}) + "\n")
    info = curate(traces, truths, task, tmp_path / "out", evaluation=read_evaluation([file]))
    assert asked not in [e.input for e in read_dataset(info.path).split("train")]
    contamination = info.summary.contamination
    assert (contamination.sources[0].name, contamination.sources[0].texts) == ("held.jsonl", 1)
    assert contamination.exact == sum(info.summary.drops["contamination"].values())
    assert "Held against 1 texts of held" in (info.path / "card.html").read_text()
    plain = curate(traces, truths, task, tmp_path / "out")
    assert plain.hash != info.hash


@pytest.mark.parametrize("name", ["refunds", "ledger", "routes"])
def test_tasks_that_fill_templates_lose_nothing_to_near_duplicates(
    name: str, trace: Make, choice_task: Task
) -> None:
    items = load(name).generate(1500, seed=0)
    task = choice_task.model_copy(update={"splits": SplitPlan()})
    traces = [trace(item.input, raw="Yes.\nAnswer: deny") for item in items]
    near = resolve_settings(task, {"duplicates": {"near": True}})
    drops = examine(traces, {}, task, near).summary.drops
    assert not drops.keys() & {"near_leakage", "near_duplicate"}


def test_a_chain_without_a_text_and_a_million_bytes_are_curated(
    trace: Make, choice_task: Task
) -> None:
    asked = ["", "\x00", "a", "x" * 1_000_000, "x" * 1_000_001, "x y " * 100_000]
    traces = [trace(text, raw="Yes.\nAnswer: deny") for text in asked]
    near = resolve_settings(choice_task, {"duplicates": {"near": True, "per_input": 3}})
    rows = examine(traces, {}, choice_task, near).rows
    assert rows.height == len(asked)
    assert rows["reason"].is_null().sum() >= 3
