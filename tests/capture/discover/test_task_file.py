from __future__ import annotations

import tomllib
from typing import Any

import pytest

from limbeck.capture.discover.answers import FieldGuess, FormGuess, Label
from limbeck.capture.discover.candidate import Candidate
from limbeck.capture.discover.task_file import task_of, write_task_file
from limbeck.capture.reply import read_reply
from limbeck.errors import ConfigError
from limbeck.types import AnswerForm
from limbeck.workspace import Workspace

LABELS = (Label(text="fair", share=0.75), Label(text="unfair", share=0.25))
CHOICE = FormGuess(kind="choice", replies=40, share=1.0, labels=LABELS, marker="Verdict:")
HOSTILE = 'Say "x" \\ with \'\'\' and """ and\n# no comment\n[section]\n{{name}} \t é 漢\n'


def candidate(form: FormGuess = CHOICE, **fields: Any) -> Candidate:
    models = {"claude-sonnet-4-5": 30, "no such model": 10}
    given = {"instruction": "Say whether the clause is fair.", "models": models, **fields}
    return Candidate(id="abc123", calls=40, narrow=True, form=form, **given)


def test_the_file_is_read_as_the_task_that_was_meant(workspace: Workspace) -> None:
    path = write_task_file(workspace, candidate(), "clauses")
    task = workspace.task("clauses")
    assert task == task_of(candidate(), "clauses")
    assert task.answer == AnswerForm(kind="choice", choices=("fair", "unfair"))
    assert task.reply.answer_markers == ("Verdict:",)
    assert task.teacher.model == "claude-sonnet-4-5"
    assert sorted(path.parent.iterdir()) == [path]


def test_what_was_guessed_is_said(workspace: Workspace) -> None:
    text = write_task_file(workspace, candidate(), "clauses").read_text()
    assert "# Found by `limbeck discover` as abc123: 40 calls." in text
    assert (
        "# Guessed from 40 replies, 100% of which have this form.\n# fair 75%, unfair 25%" in text
    )
    assert "# Of several: claude-sonnet-4-5 (30 calls), no such model (10 calls)." in text
    assert "# price = { input = 3, output = 15 }" in text


@pytest.mark.parametrize("model", ["no such model", ""])
def test_the_price_of_an_unknown_model_is_asked_for(workspace: Workspace, model: str) -> None:
    text = write_task_file(workspace, candidate(models={model: 1}), "t").read_text()
    assert "the price list does not know this model" in text


@pytest.mark.parametrize(
    "fields",
    [
        {"instruction": HOSTILE},
        {"instruction": "", "template": f"{HOSTILE}{{clause}}{HOSTILE}"},
        {"instruction": HOSTILE, "system": f"Today is {{date}}.{HOSTILE}"},
        {"instruction": "\n\n  x\r\n"},
    ],
)
def test_any_text_survives_the_file(workspace: Workspace, fields: dict[str, str]) -> None:
    form = CHOICE.model_copy(update={"marker": 'the "answer" is:', "labels": LABELS})
    path = write_task_file(workspace, candidate(form, **fields), "t")
    tomllib.loads(path.read_text(encoding="utf-8"))
    assert workspace.task("t") == task_of(candidate(form, **fields), "t")


def test_one_key_of_json_is_the_answer_where_it_stands_alone(workspace: Workspace) -> None:
    fields = (
        FieldGuess(name="reason", kind="text", share=1.0),
        FieldGuess(name="verdict", kind="choice", share=1.0, labels=LABELS),
    )
    form = FormGuess(
        kind="json",
        replies=40,
        share=1.0,
        fields=fields,
        labels=LABELS,
        answer_field="verdict",
        rationale_field="reason",
    )
    write_task_file(workspace, candidate(form), "clauses")
    task = workspace.task("clauses")
    reading = read_reply(task, '{"reason": "it binds one side", "verdict": "Unfair"}')
    assert reading.answer == "unfair"
    assert reading.rationale is not None
    assert reading.rationale.text == "it binds one side"


def test_json_of_several_keys_is_taken_whole(workspace: Workspace) -> None:
    fields = tuple(FieldGuess(name=name, kind="text", share=1.0) for name in ("a", "b"))
    form = FormGuess(kind="json", replies=40, share=1.0, fields=fields)
    text = write_task_file(workspace, candidate(form), "t").read_text()
    assert "JSON with the keys a, b" in text
    assert (
        read_reply(workspace.task("t"), '{"a": "x",\n"b": "y"}').answer == '{"a": "x",\n"b": "y"}'
    )


def test_a_group_with_few_replies_has_a_file_too(workspace: Workspace) -> None:
    form = FormGuess(kind="unknown", replies=2)
    assert "Too few replies" in write_task_file(workspace, candidate(form), "t").read_text()
    assert workspace.task("t").answer.kind == "text"


def test_a_task_file_is_never_written_over(workspace: Workspace) -> None:
    path = write_task_file(workspace, candidate(), "t")
    path.write_text("mine")
    with pytest.raises(ConfigError, match="there is a task file"):
        write_task_file(workspace, candidate(), "t")
    assert path.read_text() == "mine"
