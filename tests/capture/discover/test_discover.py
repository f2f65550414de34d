from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from limbeck.capture.discover.discover import Discovery, discover
from limbeck.capture.sandbox.month import MINUTES, START, Said, record_month
from limbeck.errors import UsageError
from limbeck.store.store import Store
from limbeck.types import AnswerForm, Provenance, Task, Trace

DISHES = ("the soup", "our bread", "a pie", "fish")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with Store(tmp_path_factory.mktemp("month") / "store.db") as opened:
        yield opened


@pytest.fixture(scope="module")
def said(store: Store) -> dict[str, Said]:
    return record_month(store)


@pytest.fixture(scope="module")
def month(store: Store, said: dict[str, Said]) -> Discovery:
    return discover(store)


def members(month: Discovery, store: Store, name: str) -> set[str]:
    """The ids of the calls of a candidate."""
    group = month.groups[name]
    return {
        trace.id
        for trace in store.traces(None)
        if group.holds(month.census.pile_of(trace), trace.input)
    }


def test_exactly_the_planted_jobs_are_found(
    month: Discovery, store: Store, said: dict[str, Said]
) -> None:
    planted: dict[str | None, set[str]] = {}
    for trace_id, one in said.items():
        planted.setdefault(one.job, set()).add(trace_id)
    planted.pop(None)
    found = [members(month, store, one.id) for one in month.found.candidates]
    assert len(found) == len(planted) == 5
    for calls in planted.values():
        assert calls in found


def test_every_call_is_accounted_for(month: Discovery, said: dict[str, Said]) -> None:
    found = month.found
    counted = sum(one.calls for one in (*found.candidates, *found.wide))
    assert found.calls == len(said) == counted + found.rest
    assert [(one.calls, one.multi_turn > 0.5) for one in found.wide] == [(240, True)]
    assert found.small == 10


def test_candidates_are_ranked_by_cost_and_by_calls(month: Discovery, store: Store) -> None:
    paid = {trace.id: trace.cost_usd or 0.0 for trace in store.traces(None)}
    costs = {
        one.id: sum(paid[trace_id] for trace_id in members(month, store, one.id))
        for one in month.found.candidates
    }
    assert list(costs) == sorted(costs, key=lambda name: -costs[name])
    for one in month.found.candidates:
        assert one.cost_usd == pytest.approx(costs[one.id])
        assert one.priced == 1.0
        assert one.month_usd == pytest.approx(costs[one.id], rel=0.05)
    by_calls = [one.calls for one in discover(store, by="calls").found.candidates]
    assert by_calls == [480, 240, 180, 150, 120]


def test_the_forms_of_the_answers_are_told(month: Discovery) -> None:
    forms = {one.calls: one.form for one in month.found.candidates}
    assert {calls: form.kind for calls, form in forms.items()} == {
        480: "choice",
        240: "choice",
        180: "number",
        150: "text",
        120: "json",
    }
    assert (forms[480].marker, forms[480].explained, forms[480].native) == ("Answer:", 1.0, 0.0)
    assert (forms[240].marker, forms[240].explained, forms[240].native) == (None, 0.0, 1.0)
    assert {label.text for label in forms[240].labels} == {
        "book", "drum", "kite", "lamp", "ring", "vase",
    }  # fmt: skip
    assert [(key.name, key.kind) for key in forms[120].fields] == [
        ("currency", "choice"),
        ("total", "number"),
    ]


def test_what_varies_in_a_prompt_is_named(month: Discovery) -> None:
    by_calls = {one.calls: one for one in month.found.candidates}
    assert by_calls[240].system is not None
    assert by_calls[240].system.startswith("Today is {date}.\nPeople hold things")
    assert (by_calls[240].skeletons, len(by_calls[240].versions)) == (30, 1)
    assert by_calls[180].template == (
        "Work out how many things the person has in the end, step by step.\n\n"
        'Story: {story}\n\nThen write "Answer: " and the number.'
    )
    assert by_calls[120].template is not None
    assert by_calls[120].template.endswith("Supplier: {supplier}\nText: {text}")
    assert by_calls[480].template is by_calls[480].system is None


def test_a_prompt_that_was_changed_is_shown_in_versions(month: Discovery) -> None:
    [minutes] = (one for one in month.found.candidates if one.calls == 150)
    old, new = minutes.versions
    assert (old.calls, new.calls, new.changed) == (90, 60, "+short")
    assert old.last is not None
    assert new.first is not None
    assert old.last < new.first == START + timedelta(days=18, microseconds=90)
    assert minutes.instruction == MINUTES.replace("one line", "one short line")
    assert minutes.system is None


def test_ids_stay_while_calls_are_added(month: Discovery, tmp_path: Path) -> None:
    with Store(tmp_path / "more.db") as store:
        record_month(store, scale=2.0, seed=5)
        later = discover(store)
    assert {one.id for one in later.found.candidates} == {one.id for one in month.found.candidates}


def test_examples_and_prices_stand_beside_the_counts(month: Discovery) -> None:
    for one in month.found.candidates:
        assert len(one.examples) == 3
        assert one.models == {"claude-sonnet-4-5": one.calls}
        assert one.day == pytest.approx(one.calls / 30, rel=0.05)
        assert (one.failed, one.multi_turn, one.has_tools) == (0.0, 0.0, False)


def test_a_task_with_nearly_the_prompt_is_named(store: Store, said: dict[str, Said]) -> None:
    task = Task(name="minutes", instruction=MINUTES, answer=AnswerForm(kind="text"))
    like = {one.calls: one.like for one in discover(store, [task]).found.candidates}
    assert like == {480: None, 240: None, 180: None, 150: "minutes", 120: None}


def test_a_group_is_found_by_the_beginning_of_its_id(month: Discovery) -> None:
    first = month.found.candidates[0]
    assert month.candidate(first.id[:5]) == first
    with pytest.raises(UsageError, match=r"there is no group 'zz'; the groups are: \w{6}, "):
        month.candidate("zz")


def test_small_groups_are_left_out(store: Store, said: dict[str, Said]) -> None:
    found = discover(store, min_calls=200).found
    assert [one.calls for one in found.candidates] == [480, 240]
    assert found.calls == 480 + 240 + 240 + found.rest


def test_an_empty_store_has_no_candidates(tmp_path: Path) -> None:
    with Store(tmp_path / "store.db") as store:
        found = discover(store).found
    assert (found.calls, found.candidates, found.rest) == (0, (), 0)


def test_calls_without_skeleton_time_or_cost_are_grouped_too(tmp_path: Path) -> None:
    origin = Provenance(source="import")
    asked = "Say whether this review is kind or harsh to the cook.\nReview: {}"
    with Store(tmp_path / "store.db") as store:
        store.add(
            Trace(
                task=None,
                input=asked.format(f"{DISHES[n % 4]} {n} was {DISHES[n % 3]}"),
                raw=("kind", "harsh")[n % 2],
                provenance=origin,
            )
            for n in range(40)
        )
        [one] = discover(store).found.candidates
    assert one.template == asked.format("{review}")
    assert (one.cost_usd, one.day, one.month_usd, one.first) == (None, None, None, None)
    assert [label.text for label in one.form.labels] == ["harsh", "kind"]


def test_progress_ends_at_all_calls(store: Store, said: dict[str, Said]) -> None:
    told: list[tuple[int, int]] = []
    discover(store, progress=lambda done, of: told.append((done, of)))
    assert told[-1] == (len(said), len(said))
