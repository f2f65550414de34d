from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import polars as pl
import pytest

from limbeck.capture.post_hoc.batching import Batching
from limbeck.capture.post_hoc.direct import ask_directly
from limbeck.capture.post_hoc.submissions import Submission
from limbeck.curate.checks.table import load
from limbeck.curate.judge.asking import MAX_TOKENS, Case, key_of, lacking
from limbeck.curate.judge.judging import Judging
from limbeck.curate.judge.opinions import keep_opinions, read_opinions
from limbeck.models.remote import Teacher
from limbeck.types import Task

Make = Callable[..., Batching]


class Killed(BaseException):
    """Stands for a program that is gone from one step to the next."""


def job_of(batching: Batching) -> Judging:
    return cast(Judging, batching.job)


def prepare(batching: Batching, upstream: str = "anthropic") -> list[Submission]:
    cases = {group.name: group.keys for group in job_of(batching).groups()}
    return batching.prepare(
        cases, upstream=upstream, model="judge-x", max_tokens=MAX_TOKENS, cases=cases
    )


def whole_run(batching: Batching) -> None:
    prepare(batching)
    batching.run(wait=True)


@pytest.mark.parametrize("upstream", ["anthropic", "openai_chat"])
def test_a_batch_of_questions_becomes_opinions(
    batching: Make, cases: list[Case], judge: Any, upstream: str
) -> None:
    here = batching()
    prepare(here, upstream)
    [after] = here.run(wait=True)
    opinions = read_opinions(job_of(here).file)
    assert [opinions[key_of(case)].passes for case in cases] == [True, False] * 5
    assert (after.step, after.tally.asked, after.tally.explained) == ("collected", 10, 10)
    assert (after.cases, after.traces) == ({}, ())
    assert len(judge.asked) == 2
    assert here.submissions.open() == []


def test_nothing_of_a_chain_is_written_beside_the_store(
    batching: Make, cases: list[Case], tmp_path: Path
) -> None:
    here = batching()
    prepare(here)
    here.run(wait=False)
    texts = [path.read_text() for path in tmp_path.rglob("*") if path.is_file()]
    assert texts
    assert not [text for text in texts if cases[0].chain in text]


POINTS = [
    ("submissions.save", "before", 1),
    ("submissions.save", "after", 1),
    ("submissions.save", "after", 2),
    ("api.submit", "after", 1),
    ("submissions.save", "after", 3),
    ("keep_opinions", "before", 1),
    ("keep_opinions", "after", 1),
    ("submissions.save", "before", 4),
    ("submissions.save", "after", 4),
]


@pytest.mark.parametrize("point", POINTS, ids=lambda point: "-".join(map(str, point)))
def test_broken_off_anywhere_it_goes_on_and_pays_once(
    batching: Make, cases: list[Case], judge: Any, point: tuple[str, str, int]
) -> None:
    where, when, nth = point
    calls = 0

    def breaking(plain: Callable[..., Any]) -> Callable[..., Any]:
        def call(*given: Any, **more: Any) -> Any:
            nonlocal calls
            calls += 1
            if when == "before" and calls == nth:
                raise Killed
            result = plain(*given, **more)
            if when == "after" and calls == nth:
                raise Killed
            return result

        return call

    broken = batching()
    with pytest.MonkeyPatch.context() as patch:
        if where == "api.submit":
            plain = broken.connect

            def connect(name: str) -> Any:
                service = plain(name)
                patch.setattr(service.api, "submit", breaking(service.api.submit))
                return service

            broken.connect = connect
        elif where == "keep_opinions":
            module = "limbeck.curate.judge.judging.keep_opinions"
            patch.setattr(module, breaking(keep_opinions))
        else:
            patch.setattr(broken.submissions, "save", breaking(broken.submissions.save))
        with pytest.raises(Killed):
            whole_run(broken)
    after = batching()
    if not after.submissions.read():
        prepare(after)
    after.run(wait=True)
    file = job_of(after).file
    assert len(judge.asked) == 2
    assert len(read_opinions(file)) == len(file.read_text().splitlines()) == len(cases)
    [one] = after.submissions.read()
    assert (one.step, one.tally.explained) == ("collected", 10)


def test_a_question_about_a_chain_that_is_gone_is_not_sent(
    batching: Make, cases: list[Case], judge: Any
) -> None:
    here = batching()
    prepare(here)
    gone = batching(cases[1:])
    [one] = gone.run(wait=True)
    assert (one.requests, one.tally.asked) == (1, 2)
    assert len(judge.asked) == 1
    assert len(lacking(cases, read_opinions(job_of(here).file))) == 8


def test_cases_that_the_judge_passes_over_are_counted_and_asked_about_again(
    batching: Make, cases: list[Case], judge: Any
) -> None:
    judge.silent = {2, 3}
    here = batching()
    prepare(here)
    [one] = here.run(wait=True)
    assert one.tally.unusable == {"no verdict": 3}
    assert one.tally.explained == 7
    left = lacking(cases, read_opinions(job_of(here).file))
    assert len(left) == 3
    judge.silent = set()
    again = batching(left)
    prepare(again)
    again.run(wait=True)
    assert lacking(cases, read_opinions(job_of(here).file)) == []


def test_asked_at_once_each_reply_is_kept_as_it_comes(
    batching: Make, cases: list[Case], url: str
) -> None:
    here = batching()
    [one] = prepare(here)
    job = job_of(here)
    keeper = job.keeping(one, None)
    kept = []
    with Teacher(url, "anthropic", "judge-x") as teacher:
        ask_directly(
            *(job.questions(one), keeper, teacher),
            max_tokens=MAX_TOKENS,
            workers=1,
            told=lambda _: kept.append(len(read_opinions(job.file))),
        )
    assert sorted(kept) in ([2, 10], [8, 10])
    assert keeper.tally().explained == len(cases)


def test_what_the_judge_failed_is_dropped(
    batching: Make, cases: list[Case], choice_task: Task, frame: Callable[..., pl.DataFrame]
) -> None:
    here = batching()
    prepare(here)
    here.run(wait=True)
    rows: list[dict[str, Any]] = [
        {"input": case.input, "rationale": case.chain, "answer_raw": case.answer} for case in cases
    ]
    check = load("judge", {"opinions": str(job_of(here).file)})
    said = check.run(frame(*rows, {"input": "new"}), choice_task)
    assert said["verdict"].to_list()[:3] == [True, False, True]
    assert said["evidence"][1] == "judge-x failed it: it invents a fact"
    assert said["verdict"][-1]
    assert load("judge").run(frame(*rows), choice_task)["verdict"].all()
