from __future__ import annotations

from collections.abc import Callable

import numpy as np
import polars as pl
import pytest
from scipy import sparse

from limbeck.curate.assess.baseline import learn
from limbeck.curate.assess.intake import read_calls
from limbeck.curate.assess.labels import agreement, stands_in
from limbeck.curate.assess.settings import AssessSettings
from limbeck.types import Outcome, Price, Task, TeacherSpec, Trace, Usage

Planted = tuple[Task, list[Trace], dict[str, Outcome]]


def test_a_cost_is_recorded_or_priced_or_estimated(easy: Callable[..., Planted]) -> None:
    task, traces, _ = easy(50)
    task = task.model_copy(update={"teacher": TeacherSpec(price=Price(input=1.0, output=2.0))})
    usage = Usage(input=1000, output=500)
    free = {"cost_usd": None}
    changed = [
        traces[0],
        traces[1].model_copy(update={**free, "usage": usage}),
        traces[2].model_copy(update=free),
    ]
    calls = read_calls(changed, {}, task, AssessSettings()).calls
    by_kind = dict(calls.select("priced_by", "cost").iter_rows())
    assert by_kind[1] == 0.01
    assert by_kind[2] == pytest.approx((1000 + 2 * 500) / 1e6)
    assert 0 < by_kind[3] < 0.001


def test_the_sample_is_the_same_in_any_order_and_keeps_its_size(
    easy: Callable[..., Planted],
) -> None:
    task, traces, truths = easy(400)
    settings = AssessSettings(sample=100)
    forth, back = (
        read_calls(some, truths, task, settings).texts for some in (traces, traces[::-1])
    )
    assert forth.height == 100
    assert forth.sort("key").equals(back.sort("key"))


def test_an_outcome_speaks_for_all_calls_of_its_input(easy: Callable[..., Planted]) -> None:
    task, traces, _ = easy(10)
    twin = traces[0].model_copy(update={"latency_s": 2.0})
    truth = {twin.id: Outcome(trace_id=twin.id, value="deny", source="gold")}
    read = read_calls([*traces, twin], truth, task, AssessSettings())
    assert read.texts["truth"].drop_nulls().to_list() == ["deny"]
    assert read.texts.height == 10
    assert read.calls.height == 11


def repeated(*answers: tuple[int, int, int]) -> pl.DataFrame:
    return pl.DataFrame(answers, schema=["key", "generator", "answer"], orient="row")


def test_agreement_is_of_pairs_of_one_model_on_one_input() -> None:
    assert agreement(repeated((1, 0, 5), (1, 0, 5), (1, 0, 6))) == (1 / 3, 1)
    assert agreement(repeated((1, 0, 5), (1, 1, 6))) == (0.0, 0)
    assert agreement(repeated((1, 0, 5), (1, 0, 5), (2, 0, 5), (2, 0, 6))) == (0.5, 2)


@pytest.mark.parametrize(
    ("label", "stands"),
    [
        ("acme ltd", True),
        ('{"supplier": "acme ltd", "total": 12.5}', True),
        ('{"supplier": "acme ltd", "total": 13}', False),
        ("other", False),
        ("{broken", False),
    ],
)
def test_an_answer_stands_in_its_input_word_for_word(label: str, stands: bool) -> None:
    assert stands_in(label, "invoice of acme ltd over 12.5 eur") is stands


def test_inputs_of_one_group_stand_on_one_side() -> None:
    # The word of a group gives its label away; across groups it says nothing.
    groups = np.repeat(np.arange(60), 5)
    y = (np.random.default_rng(0).permutation(60) % 2)[groups]
    words = sparse.csr_matrix(np.eye(60, dtype=np.int64)[groups])
    _, apart = learn(words, y, groups, seed=0)
    _, mixed = learn(words, y, np.arange(300), seed=0)
    assert mixed[:, -1].mean() > 0.95
    assert apart[:, -1].mean() < 0.7
