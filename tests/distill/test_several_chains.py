from __future__ import annotations

from pathlib import Path

import pytest

from limbeck.capture.sandbox.tasks import load
from limbeck.curate.curate import curate
from limbeck.curate.dataset import Dataset, read_dataset
from limbeck.curate.settings import resolve_settings
from limbeck.distill.recipes.table import load_recipe, recipe_settings
from limbeck.types import Outcome, Provenance, Trace

INPUTS = 30


def sampled_dataset(folder: Path, per_input: int) -> Dataset:
    """Every input was answered three times, in chains of different words and length."""
    sandbox = load("ledger")
    task = sandbox.task().model_copy(update={"checks": {"nonsense": {"enabled": False}}})
    traces, truths = [], {}
    for item in sandbox.generate(INPUTS, seed=3):
        chain = "\n".join(item.steps)
        variants = (
            chain,
            f"Let me follow the days in their order and keep the balance.\n{chain}",
            f"{chain}\nThat was the last day of all, and what is left then is asked for here.",
        )
        for text in variants:
            trace = Trace(
                task=task.name,
                input=item.input,
                raw=f"{text}\nAnswer: {item.truth}",
                stop_reason="end_turn",
                provenance=Provenance(source="gateway", generator="simulated", simulated=True),
            )
            traces.append(trace)
            truths[trace.id] = Outcome(trace_id=trace.id, value=item.truth, source="gold")
    settings = resolve_settings(task, {"duplicates": {"per_input": per_input, "similarity": 1.0}})
    made = curate(traces, truths, task, folder, settings=settings)
    return read_dataset(made.path)


@pytest.mark.parametrize("per_input", [1, 3])
def test_a_curation_keeps_as_many_chains_of_an_input_as_it_is_told(
    per_input: int, tmp_path: Path
) -> None:
    dataset = sampled_dataset(tmp_path, per_input)
    examples = dataset.split("train")
    assert len({example.input for example in examples}) == len(examples)
    assert {len(example.chains) for example in examples} == {per_input}
    assert len(dataset.rows("train")) == per_input * len(examples)
    for example in examples:
        lengths = [len(chain.rationale) for chain in example.chains]
        assert lengths == sorted(lengths)
    recipe = load_recipe("sampled")
    trees = recipe.trees(examples, recipe_settings(recipe, {}))
    assert {len(tree.branches) for tree in trees} == {per_input}
    assert [tree.prompt for tree in trees] == [example.input for example in examples]


def test_the_control_sees_an_input_once_however_many_chains_it_has(tmp_path: Path) -> None:
    examples = sampled_dataset(tmp_path, 3).split("train")
    control, sampled = (
        load_recipe(name).trees(examples, recipe_settings(load_recipe(name), {}))
        for name in ("label", "sampled")
    )
    assert [tree.prompt for tree in control] == [tree.prompt for tree in sampled]
    assert {len(tree.branches) for tree in control} == {1}


def test_the_held_out_splits_have_one_example_an_input(tmp_path: Path) -> None:
    dataset = sampled_dataset(tmp_path, 3)
    for split in ("validation", "calibration", "test"):
        assert len(dataset.split(split)) == len(dataset.rows(split))
