"""Thinkers whose dependence is known by how they are written: one reads its rationale, one does not."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from limbeck.evaluate.dependence.dependence import (
    POST_HOC,
    DependenceSuite,
    Measure,
    _findings,
    _post_hoc,
    measures_of,
)
from limbeck.evaluate.dependence.forced import Chains, chains_of
from limbeck.evaluate.dependence.hint import HINT, hint_test
from limbeck.evaluate.dependence.known import Known, known
from limbeck.evaluate.dependence.measures import FLIPS, MEASURES, measure
from limbeck.evaluate.dependence.planted import TASK, items
from limbeck.evaluate.intervals import Interval
from limbeck.models.local import Said
from limbeck.types import Ask, StudentCard

N = 60


class Scripted:
    """Writes the planted chain of each input; answers from the chain, or from the input alone."""

    def __init__(self, reads: bool, hinted: bool = False) -> None:
        self.reads = reads
        self.hinted = hinted
        self.chain = {i.example.input: i.example.rationale or "" for i in items("uses", N, 1)}

    def ask(self, inputs: Sequence[str]) -> list[Said]:
        plain = [re.sub(r"^a friend thinks that .*?\. ", "", text) for text in inputs]
        told = [re.search(r"the answer is (\d)", text) for text in inputs]
        said = self.answer(plain, [self.chain[text] for text in plain])
        return [
            _said(one.rationale or "", found[1] if found and self.hinted else str(one.answer))
            for one, found in zip(said, told, strict=True)
        ]

    def answer(self, inputs: Sequence[str], rationales: Sequence[str]) -> list[Said]:
        return [_said(r, self._answer(t, r)) for t, r in zip(inputs, rationales, strict=True)]

    def go_on(self, inputs: Sequence[str], beginnings: Sequence[str]) -> list[Said]:
        return self.answer(inputs, beginnings)

    def score(
        self, inputs: Sequence[str], rationales: Sequence[str], answers: Sequence[str]
    ) -> NDArray[np.float64]:
        same = [
            self._answer(text, r) == a
            for text, r, a in zip(inputs, rationales, answers, strict=True)
        ]
        return np.where(same, -0.01, -6.0)

    def _answer(self, text: str, rationale: str) -> str:
        digits = re.findall(r"\d", rationale if self.reads else text)
        return digits[-1] if digits else "0"


def _said(rationale: str, answer: str) -> Said:
    return Said(answer, rationale, (-0.01,), 1.0, 0.0, 3, True)


def chains(thinker: Scripted) -> Chains:
    return chains_of(thinker, TASK, [one.example for one in items("uses", N, 1)])


def test_its_own_rationale_put_back_gives_its_own_answer() -> None:
    found = chains(Scripted(reads=True))
    assert found.repeated == 1.0
    assert len(found.inputs) == N
    assert (found.logprob == -0.01).all()


def test_a_thinker_that_reads_its_rationale_changes_and_one_that_does_not_never_does() -> None:
    reads, ignores = (
        measure(thinker, TASK, chains(thinker))
        for thinker in (Scripted(reads=True), Scripted(reads=False))
    )
    for name in MEASURES:
        assert np.nanmax(ignores.items[name]) == 0, name
        assert np.nanmean(reads.items[name]) > 0.3, name
    assert np.nanmean(reads.items["another's"]) == 1.0
    assert np.nanmean(reads.followed) == 1.0
    assert np.nanmean(ignores.followed) == 0.0
    assert reads.curves["truncated"][0].shape == (4, N)


def test_measures_come_with_intervals_and_with_what_is_known_of_them() -> None:
    thinker = Scripted(reads=True)
    found = measures_of(measure(thinker, TASK, chains(thinker)), known())
    assert [one.name for one in found] == list(MEASURES)
    for one in found:
        assert one.interval.low - 1e-9 <= one.value <= one.interval.high + 1e-9
        assert one.unit == ("share changed" if one.name in FLIPS else "nats")


def test_a_hint_is_held_against_a_placebo() -> None:
    deaf, led = Scripted(reads=True), Scripted(reads=True, hinted=True)
    plain = hint_test(deaf, TASK, chains(deaf))
    assert plain is not None
    assert plain.followed == plain.placebo
    follows = hint_test(led, TASK, chains(led))
    assert follows is not None
    assert (follows.followed, follows.placebo) == (1.0, 0.0)
    assert follows.mentioned == 0.0
    assert "{answer}" in HINT


@pytest.mark.parametrize(
    ("recipe", "order", "propagates"),
    [("answer-first", "answer_rationale", True), ("multitask", "answer", True)],
)
def test_a_rationale_after_the_answer_is_labelled_and_never_scored(
    recipe: str, order: str, propagates: bool, card: Callable[..., StudentCard]
) -> None:
    made = card(
        recipe=recipe,
        ask=Ask.model_validate({"control": "answer", "order": order, "causal": False}),
    )
    suite = _post_hoc("student", made)
    assert suite.label == POST_HOC
    assert suite.measures == ()
    assert (suite.propagation is not None) is propagates
    assert suite.propagation is None or suite.propagation.flips == 0.0
    assert POST_HOC in suite.findings[0]


def test_planted_items_do_not_show_which_kind_they_are() -> None:
    for one in items("uses", 50, 3):
        assert one.uses
        chain = one.example.rationale or ""
        assert chain.endswith(f"= {one.example.truth}")
    for one in items("ignores", 50, 3):
        assert not one.uses
        assert one.example.truth == one.example.input[0]
    mixed = items("two-faced", 50, 3)
    assert {one.example.input.split()[-1] for one in mixed if one.uses} == {"look"}
    assert {one.example.input.split()[-1] for one in mixed if not one.uses} == {"go"}


def test_the_check_that_is_shown_covers_every_measure() -> None:
    found = known()
    if found is None:
        pytest.skip("no check was published with this version")
    assert isinstance(found, Known)
    assert [one.name for one in found.measures] == list(MEASURES)
    assert found.thinking is not None
    assert found.direct is not None
    assert found.thinking > found.direct


def test_a_rationale_is_called_unused_by_a_measure_that_leaves_ignorers_alone() -> None:
    def measured(name: str, value: float) -> Measure:
        return Measure(
            name=name,
            meaning="",
            unit="share changed",
            value=value,
            interval=Interval(low=max(0.0, value - 0.02), high=value + 0.02),
            n=200,
            auroc=0.95,
            auroc_interval=None,
        )

    checked = known()
    assert checked is not None
    suite = DependenceSuite(
        student="s",
        recipe="think-first",
        causal=True,
        label=None,
        n=200,
        measures=(measured("mistake", 0.4), measured("another's", 0.01)),
        known=checked,
    )
    found = " ".join(_findings(suite))
    assert 'changes 1.0% [0.0%, 3.0%] of its answers under "another\'s"' in found
    assert "does not use it" in found
    uses = suite.model_copy(update={"measures": (measured("another's", 0.9),)})
    assert "does not use it" not in " ".join(_findings(uses))
