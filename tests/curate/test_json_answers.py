from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from limbeck.curate.curate import curate
from limbeck.curate.dataset import read_dataset
from limbeck.types import AnswerForm, Outcome, SplitPlan, Task, Trace

Make = Callable[..., Trace]
SCHEMA = {"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}}
TASK = Task(
    name="extract",
    answer=AnswerForm(kind="json", json_schema=SCHEMA),
    splits=SplitPlan(train=1, validation=0, calibration=0, test=0),
)


def test_json_answers_are_checked_judged_and_kept_in_one_form(trace: Make, tmp_path: Path) -> None:
    good = trace("one", raw='It says 1.\nAnswer: {"n": 1,\n "a": "b. c"}')
    wrong = trace("two", raw='It says 3.\nAnswer: {"n": 3}')
    loose = trace("three", raw='It says 4.\nAnswer: {"n": "4"}')
    truths = {
        one.id: Outcome(trace_id=one.id, value=value, source="gold")
        for one, value in ((good, '{"a": "B. c", "n": 1.0}'), (wrong, '{"n": 2}'))
    }
    dataset = read_dataset(curate([good, wrong, loose], truths, TASK, tmp_path).path)
    [row] = dataset.rows("train").to_dicts()
    assert (row["answer"], row["teacher_correct"]) == ('{"a":"b. c","n":1}', True)
    dropped = {
        row["input"]: (row["reason"], row["evidence"]) for row in dataset.dropped().to_dicts()
    }
    assert dropped["two"][0] == "wrong_answer"
    assert dropped["three"][0] == "malformed_answer"
    assert "n: '4' is not of type 'integer'" in dropped["three"][1]
