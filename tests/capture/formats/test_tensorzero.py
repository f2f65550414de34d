from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from limbeck.capture.formats.imported import Imported, Skipped
from limbeck.capture.formats.tensorzero import read
from limbeck.capture.importer import import_file
from limbeck.store.store import Store
from limbeck.types import Task

Rows = list[dict[str, Any]]
Sample = Callable[[str], Rows]


def call(row: dict[str, Any]) -> Imported:
    [made] = read(row, None)
    assert isinstance(made, Imported)
    return made


def test_an_inference_is_a_call(sample: Sample) -> None:
    made = call(sample("tensorzero")[0])
    assert (made.call.system, made.call.user) == ("Answer yes or no.", "Is a limpet a mollusc?")
    assert (made.reply.thinking, made.reply.text) == ("It has a foot.", "yes")
    assert (made.generator, made.group, made.latency_s) == ("shellfish::mini", "0197-0", 1.5)
    assert (made.subject, made.correlation) == ("customer-3", "order-7")


def test_a_row_of_the_database_has_json_in_texts(sample: Sample) -> None:
    [row] = sample("tensorzero")
    row["id"] = row.pop("inference_id")
    packed = {
        key: json.dumps(value) if key in ("input", "output", "tags") else value
        for key, value in row.items()
    }
    assert call(packed) == call(row)


def test_a_json_function_answers_in_json(sample: Sample) -> None:
    [row] = sample("tensorzero")
    row["output"] = {"raw": '{"label": "yes"}', "parsed": {"label": "yes"}}
    row["output_schema"] = {"type": "object"}
    made = call(row)
    assert made.reply.text == '{"label": "yes"}'
    assert made.body["response_format"] == {"type": "object"}


def test_a_template_is_told_by_its_arguments(sample: Sample) -> None:
    [row] = sample("tensorzero")
    row["input"]["messages"] = [
        {"role": "user", "content": [{"type": "text", "arguments": {"animal": "limpet"}}]}
    ]
    assert call(row).call.user == '{"animal":"limpet"}'


def test_a_demonstration_is_not_what_the_model_said(sample: Sample) -> None:
    [row] = sample("tensorzero")
    row["dispreferred_outputs"] = [[{"type": "text", "text": "no"}]]
    [made] = read(row, None)
    assert made == Skipped("the output is a demonstration and not what the model said")


def test_feedback_becomes_an_outcome_where_its_name_says_so(
    sample: Sample, store: Store, task: Task, write: Callable[..., Path]
) -> None:
    result = import_file(store, task, write(sample("tensorzero")))
    assert (result.outcomes, result.unused_scores) == (1, 1)
    [truth] = store.truths("shellfish").values()
    assert (truth.correct, truth.source) == (True, "downstream")


def test_a_demonstration_among_the_feedback_is_the_right_answer(sample: Sample) -> None:
    [row] = sample("tensorzero")
    row["feedback"] = [{"metric_name": "demonstration", "value": "no"}]
    [score] = call(row).scores
    assert (score.name, score.value, score.source) == ("demonstration", "no", "human")
