from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from limbeck.curate.dataset import Dataset
from limbeck.distill import bootstrap
from limbeck.distill.bootstrap import banked, hinted, rationalized, sampled, seeds
from limbeck.distill.distill import distill
from limbeck.distill.recipes.bootstrap import Settings
from limbeck.distill.settings import DistillSettings
from limbeck.distill.students import PRESETS, Preset
from limbeck.errors import DatasetError, Interrupted
from limbeck.models.controls import control_ids
from limbeck.models.local import Decoder, Said, Student, read_card
from limbeck.models.local.loop import Line
from limbeck.types import Ask, Example


@pytest.fixture(autouse=True)
def smaller(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PRESETS, "nano", Preset(layers=1, width=32, heads=2, hidden=48))


QUICK = DistillSettings(steps=2, batch=4, vocabulary=400, evaluate_items=2, threads=1)
THINK = Ask(control="think", order="rationale_answer", causal=True)


def said(answer: str | None, rationale: str | None = "so it is") -> Said:
    return Said(answer, rationale, (-0.1,), 1.0, 0.0, 4, answer is not None)


def test_the_seeds_are_a_share_of_the_inputs_and_grow_with_it(dataset: Dataset) -> None:
    examples = dataset.split("train")
    small, large = (
        {one.trace_id for one in seeds(examples, Settings(seeds=share))} for share in (0.1, 0.5)
    )
    assert len(small) == round(0.1 * len(examples))
    assert len(large) == round(0.5 * len(examples))
    assert small < large
    assert len(seeds(examples, Settings(seeds=0.0001))) == 1


def test_seeds_may_be_outlines(dataset: Dataset) -> None:
    examples = dataset.split("train")
    whole, short = (seeds(examples, Settings(seeds=1, rate=rate)) for rate in (1.0, 0.5))
    for long, brief in zip(whole, short, strict=True):
        assert long.trace_id == brief.trace_id
        assert len(brief.rationale) < len(long.rationale)


def student_of(dataset: Dataset, **methods: Any) -> Student:
    card = SimpleNamespace(task=dataset.task, ask=THINK, max_new_tokens=8)
    return cast(Student, SimpleNamespace(card=card, **methods))


def test_a_sampled_chain_stays_only_where_its_answer_verifies(dataset: Dataset) -> None:
    right, wrong, mute, silent = dataset.split("train")[:4]
    other = next(c for c in dataset.task.answer.choices if c != wrong.truth)

    def ask(inputs: Sequence[str]) -> list[Said]:
        return [said(right.truth), said(other), said(None), said(silent.truth, rationale=None)]

    found = sampled(student_of(dataset, ask=ask), [right, wrong, mute, silent], Settings(), seed=0)
    assert [(one.trace_id, one.rationale, one.origin) for one in found] == [
        (right.trace_id, "so it is", "self")
    ]


def test_of_several_samples_the_first_that_verifies_stays(dataset: Dataset) -> None:
    [example] = dataset.split("train")[:1]
    other = next(c for c in dataset.task.answer.choices if c != example.truth)

    def sample(inputs: Sequence[str], **given: Any) -> list[tuple[Said, ...]]:
        assert (given["k"], given["temperature"]) == (3, 0.5)
        return [(said(other, "a"), said(example.truth, "b"), said(example.truth, "c"))]

    settings = Settings(samples=3, temperature=0.5)
    found = sampled(student_of(dataset, sample=sample), [example], settings, seed=0)
    assert [one.rationale for one in found] == ["b"]


def test_a_rationalized_chain_must_lead_there_without_the_hint(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    good, bad, empty = dataset.split("train")[:3]
    other = next(c for c in dataset.task.answer.choices if c != bad.truth)
    monkeypatch.setattr(bootstrap, "hinted", lambda student, examples: ["x", "y", ""])

    def continue_from(inputs: Sequence[str], rationales: Sequence[str]) -> list[Said]:
        assert (list(inputs), list(rationales)) == ([good.input, bad.input], ["x", "y"])
        return [said(good.truth), said(other)]

    student = student_of(dataset, continue_from=continue_from)
    found = rationalized(student, [good, bad, empty])
    assert [(one.trace_id, one.origin) for one in found] == [(good.trace_id, "rationalized")]


def test_the_hint_is_the_answer_before_the_chain(
    dataset: Dataset,
    tiny: Callable[..., PreTrainedModel],
    tokenizer: PreTrainedTokenizerBase,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    decoder = Decoder(tiny().eval(), tokenizer)
    seen: list[Line] = []
    write = decoder.write

    def noted(lines: Sequence[Line]) -> None:
        seen.extend(lines)
        write(lines)

    monkeypatch.setattr(decoder, "write", noted)
    examples = dataset.split("train")[:2]
    chains = hinted(student_of(dataset, decoder=decoder), examples)
    assert len(chains) == 2
    controls = control_ids(tokenizer)
    for line, example in zip(seen, examples, strict=True):
        truth = decoder.encode([example.truth])[0]
        assert line.prompt.begin == (controls["answer"], *truth, controls["think"])
        assert line.prompt.input == decoder.encode([example.input])[0]


def test_a_round_trains_on_what_is_banked_and_own_chains_lead_to_the_truth(
    dataset: Dataset,
) -> None:
    first, second, third = (
        one.model_copy(update={"answer": "deny", "truth": "exchange"})
        for one in dataset.split("train")[:3]
    )
    bank = [
        bootstrap.BankedChain(trace_id=first.trace_id, rationale="a", origin="native"),
        bootstrap.BankedChain(trace_id=third.trace_id, rationale="b", origin="self"),
    ]
    found = banked([first, second, third], bank)
    assert [(one.rationale, one.answer) for one in found] == [("a", "deny"), ("b", "exchange")]


class _Knowing:
    """In place of a student that learned something: it is right about every second input."""

    def __init__(self, truths: dict[str, str]) -> None:
        self._truths = truths

    def ask(self, inputs: Sequence[str]) -> list[Said]:
        even = [text for at, text in enumerate(sorted(self._truths)) if at % 2 == 0]
        return [said(self._truths[text] if text in even else None) for text in inputs]


@pytest.fixture
def bootstrapped(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """`bootstrapped(students, should_stop=...)`: a run of two trainings with a knowing student between."""
    knowing = _Knowing({example.input: example.truth for example in dataset.split("train")})

    def load(folder: Path, threads: int = 0) -> Student:
        return student_of(dataset, ask=knowing.ask)

    def three(student: Student, rest: Sequence[Example]) -> list[bootstrap.BankedChain]:
        return [
            bootstrap.BankedChain(trace_id=one.trace_id, rationale="so", origin="rationalized")
            for one in rest[:3]
        ]

    monkeypatch.setattr(Student, "load", load)
    monkeypatch.setattr(bootstrap, "rationalized", three)

    def run(students: Path, **more: Any) -> Path:
        given = {"rounds": 1, "seeds": 0.2}
        return distill(dataset, "bootstrap", students, settings=QUICK, recipe_given=given, **more)

    return run


def test_rounds_are_logged_by_source(
    dataset: Dataset, bootstrapped: Callable[..., Path], tmp_path: Path
) -> None:
    examples = dataset.split("train")
    whole = bootstrapped(tmp_path)
    first, second = json.loads((whole / "rounds.json").read_text())
    seeded = round(0.2 * len(examples))
    assert (first["teacher"], first["self"], first["rationalized"]) == (seeded, 0, 0)
    assert first["without"] == len(examples) - seeded
    assert (second["teacher"], second["rationalized"]) == (seeded, 3)
    assert second["self"] > 0
    assert second["without"] == len(examples) - seeded - second["self"] - 3
    kept = [json.loads(line) for line in (whole / "chains.jsonl").read_text().splitlines()]
    assert len(kept) == len(examples) - second["without"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "stop_at", [1, 3, 4], ids=["the first training", "the writing", "the second training"]
)
def test_a_run_stopped_anywhere_goes_on_to_the_identical_student(
    stop_at: int, bootstrapped: Callable[..., Path], tmp_path: Path
) -> None:
    whole = bootstrapped(tmp_path / "whole")
    asked = iter(range(1, 100))
    with pytest.raises(Interrupted):
        bootstrapped(tmp_path / "stopped", should_stop=lambda: next(asked) == stop_at)
    again = bootstrapped(tmp_path / "stopped")
    assert read_card(again).weights == read_card(whole).weights


def test_without_a_chain_there_is_nothing_to_begin_with(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare = [one.model_copy(update={"rationale": None}) for one in dataset.split("train")]
    monkeypatch.setattr(Dataset, "split", lambda self, split: bare)
    with pytest.raises(DatasetError, match="so there is no seed to begin with"):
        distill(dataset, "bootstrap", tmp_path, settings=QUICK)
