"""How well the checks find the simulated teacher's faults, and how often they drop a clean chain.

No outcome is given: what is measured is what can be told from the reply alone.
"""

from __future__ import annotations

from collections import Counter
from functools import cache

import polars as pl
import pytest

from limbeck.capture.sandbox.faults import FaultRates, draw, rng_of, spoil
from limbeck.capture.sandbox.tasks import TABLE, load
from limbeck.curate.curate import examine
from limbeck.types import Provenance, SplitPlan, Trace

FINDS = {
    "loop": "loop",
    "cut_off": "cut_off",
    "nonsense": "nonsense",
    "missing_answer": "missing_answer",
    "contradiction": "contradiction",
    "refusal": "refusal",
    "arithmetic": "arithmetic",
    "comparison": "arithmetic",
}
"""Which check finds which fault; of a wrong step, by what sort of mistake it is."""

UNSEEN = {"reading", "state"}
"""Wrong steps in which no number is wrong: a fact is misread, or a state does not follow. Without an
outcome only a check that knows the task could see them."""


@cache
def found(name: str, rate: float = 0.37, n: int = 400, seed: int = 1) -> pl.DataFrame:
    """`fault` (null for a clean reply) and `reason` (null for a kept one) of each of `n` calls."""
    sandbox = load(name)
    plan = SplitPlan(train=1, validation=0, calibration=0, test=0)
    task = sandbox.task().model_copy(update={"splits": plan})
    rates = FaultRates.of_total(rate)
    fault_of: dict[str, str | None] = {}
    traces = []
    for item in sandbox.generate(n, seed):
        fault = draw(rates, item.input, seed)
        reply = spoil(item, fault, rng_of(item.input, seed), sandbox)
        provenance = Provenance(source="import", simulated=True)
        trace = Trace(
            task=name,
            input=item.input,
            raw=reply.text,
            stop_reason=reply.stop_reason,
            provenance=provenance,
        )
        traces.append(trace)
        wrong_step = fault is not None and fault.startswith("wrong_step")
        fault_of[trace.id] = reply.detail if wrong_step else fault
    rows = (
        examine(traces, {}, task).with_texts().select("trace_id", "reason", "evidence", "rationale")
    )
    faults = [fault_of[trace_id] for trace_id in rows["trace_id"]]
    return rows.with_columns(pl.Series("fault", faults, dtype=pl.String))


@pytest.mark.parametrize("name", TABLE)
def test_each_mechanical_fault_is_found_by_its_check(name: str) -> None:
    rows = found(name).filter(~pl.col("fault").is_in(UNSEEN).fill_null(False))
    seen = Counter(rows["fault"].drop_nulls().to_list())
    assert set(seen) >= set(FINDS) - {"arithmetic", "comparison"}, "the seed draws every fault"
    for check in sorted(set(FINDS.values())):
        is_so = pl.col("fault").replace_strict(FINDS, default=None).eq_missing(pl.lit(check))
        said = pl.col("reason").eq_missing(pl.lit(check))
        hits = rows.select((is_so & said).sum()).item()
        positives, claims = rows.select(is_so.sum(), said.sum()).row(0)
        if positives + claims:
            f1 = 2 * hits / (positives + claims)
            assert f1 >= 0.95, (name, check, hits, positives, claims)


@pytest.mark.parametrize("name", TABLE)
def test_few_clean_chains_are_dropped(name: str) -> None:
    clean = found(name).filter(pl.col("fault").is_null())
    dropped = clean.filter(pl.col("reason").is_not_null())
    assert clean.height > 200
    assert dropped.height < 0.01 * clean.height, dropped.to_dicts()[:3]


@pytest.mark.parametrize("name", ["refunds", "routes"])
def test_a_wrong_step_without_a_wrong_number_is_not_seen_and_nobody_claims_it(name: str) -> None:
    """Held down as a known limit: who closes it must move the fault to `FINDS`."""
    unseen = found(name).filter(pl.col("fault").is_in(UNSEEN))
    assert unseen.height > 10
    assert unseen["reason"].null_count() > 0.9 * unseen.height
