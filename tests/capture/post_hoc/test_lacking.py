from __future__ import annotations

from collections.abc import Callable

import pytest

from limbeck.capture.post_hoc.estimate import estimate, price_of
from limbeck.capture.post_hoc.lacking import RATIONALE_TOKENS, Lacking, Wanted, find_lacking
from limbeck.store.store import Store
from limbeck.types import (
    PostHoc,
    Price,
    Provenance,
    Task,
    TeacherSpec,
    Trace,
    Usage,
    skeleton_content,
)

Bare = Callable[..., list[Trace]]


def test_only_answered_calls_without_a_rationale_are_asked_about(
    store: Store, task: Task, bare: Bare
) -> None:
    plain, explained, chained, failed, lost, ours, long, vain = bare(8)
    of = {
        "chained": chained.model_copy(update={"raw": f"Because.\n{chained.raw}"}),
        "failed": failed.model_copy(update={"status": "cut_off"}),
        "lost": lost.model_copy(update={"raw": "I am not sure about this one."}),
        "ours": ours.model_copy(update={"provenance": Provenance(source="student")}),
        "long": long.model_copy(update={"context": "sha256:0"}),
    }
    store.add([plain, explained, vain, *of.values()])
    store.explain([PostHoc(trace_id=explained.id, rationale="It is so.")])
    found = find_lacking(store, task, "guided", unusable={vain.id})
    assert [one.trace_id for one in found.wanted] == [plain.id]
    assert (found.total, found.with_rationale) == (1, 3)
    assert found.passed_over == {
        "asked before in vain": 1,
        "the call failed": 1,
        "a student's own reply": 1,
        "earlier turns or media": 1,
    }
    assert (found.generator, found.dialect) == ("simulated-teacher", "anthropic")


def test_first_takes_the_first_and_random_the_same_draw_every_time(
    store: Store, task: Task, bare: Bare
) -> None:
    traces = bare(12)
    store.add(traces)
    first = find_lacking(store, task, "blind", limit=4)
    assert [one.trace_id for one in first.wanted] == [trace.id for trace in traces[:4]]
    assert first.total == 12
    draws = [find_lacking(store, task, "blind", limit=4, sample="random") for _ in range(2)]
    drawn = [one.trace_id for one in draws[0].wanted]
    assert drawn == sorted(trace.id for trace in traces)[:4]
    assert draws[0] == draws[1]


def test_a_task_without_an_instruction_has_that_of_its_calls(
    store: Store, task: Task, bare: Bare
) -> None:
    silent = task.model_copy(update={"instruction": ""})
    [trace] = bare(1)
    name = store.put_blob(skeleton_content("Judge by the long rules. " * 9).encode())
    provenance = trace.provenance.model_copy(update={"skeleton": name})
    told = trace.model_copy(update={"provenance": provenance})
    store.add([trace, told])
    shorter, longer = find_lacking(store, silent, "guided").wanted
    assert longer.characters - shorter.characters == len(("Judge by the long rules. " * 9).strip())


def test_lengths_go_by_what_the_task_has_recorded(store: Store, task: Task, bare: Bare) -> None:
    [one] = bare(1)
    characters = len(task.instruction) + len(one.input)
    store.add([one.model_copy(update={"usage": Usage(input=characters // 2, output=5)})])
    found = find_lacking(store, task, "guided")
    assert found.characters_a_token == pytest.approx(2.0, rel=0.01)
    assert found.rationale_tokens == RATIONALE_TOKENS
    made = bare(2)[1]
    store.add([made])
    store.explain([PostHoc(trace_id=made.id, rationale="x" * 400)])
    found = find_lacking(store, task, "guided")
    assert found.rationale_tokens == pytest.approx(200, rel=0.01)


def test_a_count_that_cannot_be_of_the_text_is_not_believed(
    store: Store, task: Task, bare: Bare
) -> None:
    store.add(bare(3, usage=Usage(input=100_000)))
    assert find_lacking(store, task, "guided").characters_a_token == 4.0


def lacking(*characters: int) -> Lacking:
    wanted = tuple(Wanted(str(n), length) for n, length in enumerate(characters))
    return Lacking(wanted, len(wanted), 0, {}, 4.0, 100.0, None, None)


def test_the_price_is_that_of_a_batch_and_has_a_bound(task: Task) -> None:
    found = lacking(4_000, 8_000)
    batch = estimate(task, found, "simulated-teacher", batch=True, max_tokens=500)
    assert (batch.requests, batch.input_tokens, batch.output_tokens) == (2, 3_000, 200)
    assert batch.most_output_tokens == 1_000
    assert batch.usd == pytest.approx((3_000 * 3 + 200 * 15) / 1e6 / 2)
    assert batch.most_usd == pytest.approx((3_000 * 3 + 1_000 * 15) / 1e6 / 2)
    single = estimate(task, found, "simulated-teacher", batch=False, max_tokens=50)
    assert single.usd == single.most_usd == pytest.approx((3_000 * 3 + 100 * 15) / 1e6)


def test_a_price_that_nobody_knows_is_none(task: Task) -> None:
    unpriced = task.model_copy(update={"teacher": TeacherSpec()})
    made = estimate(unpriced, lacking(10), "no-such-model-x", batch=True, max_tokens=50)
    assert (made.usd, made.most_usd) == (None, None)


def test_the_tasks_price_is_of_its_own_model_only(task: Task) -> None:
    assert price_of(task, "simulated-teacher") == task.teacher.price
    assert price_of(task, "another-model") == Price(batch=task.teacher.price.batch)
