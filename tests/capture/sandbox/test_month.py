from __future__ import annotations

from pathlib import Path

from limbeck.capture.sandbox.month import JOBS, NARROW, calls, record_month
from limbeck.store.store import Store


def test_a_month_is_the_same_every_time_and_its_calls_are_distinct(tmp_path: Path) -> None:
    with Store(tmp_path / "one.db") as one, Store(tmp_path / "two.db") as two:
        said = record_month(one, scale=0.2)
        assert record_month(two, scale=0.2) == said
        assert one.counts().traces == len(said) == sum(round(n * 0.2) for _, n in JOBS.values())
        assert one.verify() == []
        assert all(trace.provenance.simulated for trace in one.traces(None))


def test_every_job_of_a_month_has_what_varies_in_its_calls() -> None:
    made = list(calls(scale=0.1))
    assert {one.job for _, one in made} == {*NARROW, None}
    assert all(bool(one.varies) == (one.job is not None) for _, one in made)
    assert all(at.month == 7 for at, _ in made)
