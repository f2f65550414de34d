from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from limbeck.cli.app import main
from limbeck.cli.curate import parse_settings
from limbeck.curate.dataset import read_dataset
from limbeck.errors import UsageError
from limbeck.store.store import Store
from limbeck.types import Outcome, Provenance, Trace
from limbeck.workspace import Workspace

TASK = """
[answer]
kind = "choice"
choices = ["refund", "exchange", "deny"]
"""
LABELS = ("refund", "exchange", "deny")


@pytest.fixture
def filled(workspace: Workspace) -> Workspace:
    (workspace.root / "tasks" / "triage.toml").write_text(TASK)
    traces, outcomes = [], []
    for n in range(90):
        chain = f"Rule {n} says more.</s>" if n % 9 == 0 else f"Rule {n} is clear."
        trace = Trace(
            task="triage",
            input=f"case {n}",
            raw=f"{chain}\nAnswer: {LABELS[n % 3]}",
            provenance=Provenance(source="gateway", generator="gpt-x"),
        )
        traces.append(trace)
        outcomes.append(Outcome(trace_id=trace.id, value=LABELS[n % 3], source="gold"))
    with Store(workspace.store_url) as store:
        store.add(traces)
        store.attach(outcomes)
    return workspace


def written(workspace: Workspace) -> list[str]:
    return sorted(path.name for path in workspace.datasets.glob("*"))


def test_the_funnel_is_shown_and_the_dataset_written(
    filled: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["curate", "--task", "triage"]) == 0
    out = capsys.readouterr().out
    [name] = written(filled)
    for part in ("passed the checks", "residue", "teacher right", "dataset written", name):
        assert part in out
    assert str(filled.datasets / name / "card.html") in out
    assert read_dataset(filled.datasets / name).split("train")


def test_json_holds_what_is_shown(filled: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["curate", "--task", "triage", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert Path(answer["dataset"]).name in written(filled)
    assert answer["refused"] is None
    assert answer["summary"]["funnel"][0] == {"name": "traces", "left": 90}
    assert main(["curate", "--task", "triage", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["reused"] is True


def test_a_dry_run_writes_nothing(filled: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["curate", "--task", "triage", "--dry-run"]) == 0
    assert "nothing was written" in capsys.readouterr().out
    assert written(filled) == []


def test_a_dry_run_says_that_a_dataset_would_be_refused(
    workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    (workspace.root / "tasks" / "triage.toml").write_text(TASK)
    assert main(["curate", "--task", "triage", "--dry-run"]) == 0
    assert "would be refused: the task 'triage' has no traces" in capsys.readouterr().out
    assert main(["curate", "--task", "triage"]) == 1
    assert "limbeck import FILE --task triage" in capsys.readouterr().err


def test_explain_shows_every_verdict_on_a_trace(
    filled: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["curate", "--task", "triage"]) == 0
    [name] = written(filled)
    trace_id = read_dataset(filled.datasets / name).dropped()["trace_id"][0]
    capsys.readouterr()
    assert main(["curate", "--task", "triage", "--explain", trace_id]) == 0
    out = capsys.readouterr().out
    assert "dropped: residue: the chain contains '</s>'" in out
    assert "wrong_answer" in out
    assert main(["curate", "--task", "triage", "--explain", trace_id[7:17], "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["reason"] == "residue"


def test_a_setting_on_the_command_line_wins(
    filled: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    run = ["curate", "--task", "triage", "--json", "--set", "residue.enabled=false"]
    assert main(run) == 0
    assert json.loads(capsys.readouterr().out)["summary"]["drops"].keys() & {"residue"} == set()
    assert main([*run, "--set", "residue.on=yes"]) == 1
    assert "checks.residue has no setting 'on'" in capsys.readouterr().err


def test_a_malformed_setting_is_a_usage_error(
    filled: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["curate", "--task", "triage", "--set", "residue"]) == 2
    assert "--set got 'residue'; wanted check.key=value" in capsys.readouterr().err
    for bad in ("a.b", "=1", "a=1", ".b=1"):
        with pytest.raises(UsageError):
            parse_settings([bad])
    assert parse_settings(["a.b = 1", "a.c==2"]) == {"a": {"b": "1", "c": "=2"}}


def test_an_evaluation_set_is_kept_out_of_training(
    filled: Workspace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    held = tmp_path / "held.jsonl"
    held.write_text("".join(json.dumps({"text": f"Case {n}"}) + "\n" for n in range(90)))
    run = ["curate", "--task", "triage", "--dry-run", "--contaminated-by", str(held)]
    assert main(run) == 0
    out = capsys.readouterr().out
    for part in ("in no evaluation set", "contamination", "a dataset would be refused"):
        assert part in out
    assert main([*run, "--json"]) == 0
    summary = json.loads(capsys.readouterr().out)["summary"]
    assert summary["contamination"]["sources"][0]["name"] == "held.jsonl"
    assert summary["contamination"]["exact"] == sum(summary["drops"]["contamination"].values()) > 50
    assert summary["near"] == {"clusters": 0, "inputs": 0, "largest": 0}
    assert main([*run, "--contaminated-by", str(tmp_path / "none.jsonl")]) == 1
    assert "none.jsonl: cannot be opened" in capsys.readouterr().err


def test_only_calls_since_a_time_judge(
    filled: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    # `add` gives the traces no time: they could be of any, and may judge.
    late = [
        Trace(
            task="triage",
            input=f"{'late' if day > 14 else 'early'} case {n}",
            raw=f"Rule {n} is clear.\nAnswer: {LABELS[n % 3]}",
            provenance=Provenance(source="gateway", generator="gpt-x"),
            created_at=datetime(2026, 5, day, tzinfo=UTC),
        )
        for day in (1, 28)
        for n in range(60)
    ]
    with Store(filled.store_url) as store:
        store.add(late)
        store.attach(
            Outcome(trace_id=trace.id, value=LABELS[n % 3], source="gold")
            for n, trace in enumerate(late)
        )
    assert main(["curate", "--task", "triage", "--judge-since", "2026-05-15"]) == 0
    [name] = written(filled)
    dataset = read_dataset(filled.datasets / name)
    judged = [
        example.input
        for split in ("validation", "calibration", "test")
        for example in dataset.split(split)
    ]
    assert any(text.startswith("late") for text in judged)
    assert not any(text.startswith("early") for text in judged)
    assert any(example.input.startswith("early") for example in dataset.split("train"))
    capsys.readouterr()
    assert main(["curate", "--task", "triage", "--judge-since", "May"]) == 2
    assert "wanted a time such as 2026-11-01" in capsys.readouterr().err


def test_two_datasets_are_compared_by_name(
    filled: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["curate", "--task", "triage"]) == 0
    [first] = written(filled)
    assert main(["curate", "--task", "triage", "--set", "residue.enabled=false"]) == 0
    [second] = [name for name in written(filled) if name != first]
    capsys.readouterr()
    assert main(["curate", "diff", first, second]) == 0
    out = capsys.readouterr().out
    assert "settings.checks.residue.enabled: True → False" in out
    assert "dropped: residue" in out
    assert main(["curate", "diff", first, second, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["same"] is False
    assert main(["curate", "diff", first]) != 0
    assert "limbeck curate diff A B" in capsys.readouterr().err
