"""Where the stakes are high, a student suggests and a person says what is right."""

from __future__ import annotations

import json
from typing import Any

import pytest

from limbeck.cli.app import main
from limbeck.serve.cascade import HIGH_STAKES
from limbeck.store.store import Store
from limbeck.types import Provenance, Routing, Trace
from limbeck.workspace import Workspace

TASK = '[answer]\nkind = "choice"\nchoices = ["grant", "deny"]\n'


@pytest.fixture
def queue(workspace: Workspace) -> list[Trace]:
    """Three suggestions: one that the teacher shares, and two that it does not."""
    (workspace.tasks_folder / "refunds.toml").write_text(f'stakes = "high"\n{TASK}')
    (workspace.tasks_folder / "small.toml").write_text(TASK)
    traces = [
        trace("same", "grant", "grant", 0.2),
        trace("sure", "grant", "deny", 0.9),
        trace("unsure", "grant", None, 0.4),
    ]
    others = [
        trace("low stakes", "grant", "deny", 0.1, task="small"),
        trace("below", "grant", "deny", 0.1, reason="below the threshold"),
        trace("unasked", None, "deny", None),
    ]
    with Store(workspace.store_url) as store:
        store.add([*traces, *others])
    return traces


def trace(
    text: str,
    suggested: str | None,
    answered: str | None,
    confidence: float | None,
    task: str = "refunds",
    reason: str = HIGH_STAKES,
) -> Trace:
    return Trace(
        task=task,
        input=text,
        raw=f"Answer: {answered or 'perhaps'}",
        provenance=Provenance(source="gateway"),
        routing=Routing(
            policy="sha256:p", local=False, answer=suggested, confidence=confidence, reason=reason
        ),
    )


def run(capsys: pytest.CaptureFixture[str], *line: str) -> Any:
    assert main(["review", *line, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_calls_wait_until_a_person_has_said_what_is_right(
    workspace: Workspace, queue: list[Trace], capsys: pytest.CaptureFixture[str]
) -> None:
    found = run(capsys)
    assert found["waiting"] == 3
    # Where student and teacher differ comes first, and the least sure of it.
    assert [one["input"] for one in found["calls"]] == ["unsure", "sure", "same"]
    assert run(capsys, "--limit", "1")["calls"] == found["calls"][:1]
    same, sure, unsure = (one.id for one in queue)
    assert run(capsys, sure, "--take", "student")["value"] == "grant"
    assert run(capsys, unsure.removeprefix("sha256:")[:12], "--answer", "Deny")["value"] == "deny"
    assert run(capsys, same, "--take", "teacher")["value"] == "grant"
    assert run(capsys)["waiting"] == 0
    with Store(workspace.store_url) as store:
        truths = store.truths("refunds")
    assert {name: (one.value, one.source) for name, one in truths.items()} == {
        same: ("grant", "human"),
        sure: ("grant", "human"),
        unsure: ("deny", "human"),
    }


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (["--take", "student"], "name it first"),
        (["{id}"], "wanted one of --take student"),
        (["{id}", "--take", "student", "--answer", "deny"], "wanted one of --take student"),
        (["{id}", "--take", "teacher"], "no answer in the task's form"),
        (["{id}", "--answer", "perhaps"], "wanted one of grant, deny"),
        (["00000000", "--answer", "deny"], "names 0 of the 3"),
    ],
)
def test_what_cannot_be_settled_is_said_in_a_sentence(
    queue: list[Trace], capsys: pytest.CaptureFixture[str], line: list[str], said: str
) -> None:
    unsure = queue[2].id
    assert main(["review", *(part.replace("{id}", unsure) for part in line)]) != 0
    assert said in capsys.readouterr().err


def test_the_list_can_be_read(queue: list[Trace], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["review", "--task", "refunds"]) == 0
    shown = capsys.readouterr().out
    assert "student  grant (90% sure)" in shown
    assert "teacher  no answer in form" in shown
    assert main(["review", "--task", "small"]) == 0
    assert "small" in capsys.readouterr().out
