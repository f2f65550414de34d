"""`limbeck curate --judge` against a simulated teacher, which knows the right chains."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from limbeck.capture.sandbox.faults import FaultRates
from limbeck.capture.sandbox.server import create_app
from limbeck.capture.sandbox.tasks import load, render
from limbeck.cli.app import main
from limbeck.curate.dataset import read_dataset
from limbeck.serve.running import running_in_thread
from limbeck.store.store import Store
from limbeck.types import Outcome, Provenance, Trace
from limbeck.workspace import Workspace

CURATE = ["curate", "--task", "refunds"]
JUDGE = [*CURATE, "--judge", "anthropic:simulated-teacher"]
KILLED_AFTER = """
import os, signal, sys
from limbeck.capture.post_hoc import batching
from limbeck.cli.app import main
from limbeck.models.batches.anthropic import MessageBatches

batching.SETTLE_S = 0
batching.ASKED_POLL_S = (0.01, 0.01)
plain = MessageBatches.submit


def submit(*given):
    plain(*given)
    os.kill(os.getpid(), signal.SIGKILL)


if sys.argv[1] == "killed":
    MessageBatches.submit = submit
sys.exit(main(sys.argv[2:]))
"""


@pytest.fixture
def judged(workspace: Workspace) -> Iterator[Workspace]:
    """60 refunds with right answers, every tenth of which leaves a step out, and a judge upstream."""
    task = load("refunds").task()
    workspace.write_task(task)
    traces, outcomes = [], []
    for n, item in enumerate(load("refunds").generate(60, seed=3)):
        text = render(item)
        if n % 10 == 0:
            text = text.partition("\n")[2]
        provenance = Provenance(source="gateway", generator="simulated-teacher")
        traces.append(Trace(task="refunds", input=item.input, raw=text, provenance=provenance))
        outcomes.append(Outcome(trace_id=traces[-1].id, value=item.truth, source="gold"))
    with Store(workspace.store_url) as store:
        store.add(traces)
        store.attach(outcomes)
    app = create_app(rates=FaultRates.none().model_dump(), batches={"looks": 1})
    with running_in_thread(app) as url:
        (workspace.root / "limbeck.toml").write_text(
            f'[gateway.upstreams.anthropic]\nbase_url = "{url}"\n'
        )
        yield workspace


def said(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


def test_the_price_is_shown_first_and_nothing_is_asked_without_a_yes(
    judged: Workspace, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main([*JUDGE, "--dry-run", "--json"]) == 0
    planned = said(capsys)["judge"]
    assert planned["step"] == "planned"
    guess = planned["bill"]["estimate"]
    assert 0 < guess["usd"] < guess["most_usd"]
    assert guess["batch"]
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    assert main(JUDGE) == 2
    assert "agree with --yes" in capsys.readouterr().err
    assert main([*CURATE, "--judge", "nobody"]) == 2
    assert "--judge is 'nobody'; wanted anthropic:MODEL" in capsys.readouterr().err
    assert not (judged.home / "judge" / "refunds.jsonl").exists()


def test_a_batch_is_handed_in_and_fetched_by_the_same_command(
    judged: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*JUDGE, "--yes", "--no-wait", "--json"]) == 0
    assert said(capsys)["step"] == "waiting"
    assert list(judged.datasets.glob("refunds-*")) == []
    assert main([*JUDGE, "--yes", "--json"]) == 0
    found = said(capsys)
    tally = found["judge"]["tally"]
    assert (found["judge"]["step"], found["judge"]["unjudged"]) == ("done", 0)
    assert tally["explained"] == tally["asked"] > 30
    # Half of 3 and 15 USD a million tokens.
    assert 0 < tally["cost_usd"] < 0.05
    drops = found["summary"]["drops"]["judge"]
    assert 1 <= drops["train"] <= 6
    dropped = read_dataset(judged.datasets / found["dataset"].rsplit("/", 1)[-1]).dropped()
    reasons = dropped.filter(dropped["reason"] == "judge")["evidence"]
    assert reasons[0] == "simulated-teacher failed it: steps are missing"
    assert main([*JUDGE, "--yes", "--json"]) == 0
    assert said(capsys)["judge"]["step"] == "nothing"


def test_at_once_costs_twice_and_says_the_same(
    judged: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*JUDGE, "--dry-run", "--json"]) == 0
    batch = said(capsys)["judge"]["bill"]["estimate"]["usd"]
    assert main([*JUDGE, "--no-batch", "--yes"]) == 0
    out = capsys.readouterr().out
    assert "(no batch)" in out
    assert "judged    " in out
    assert main([*CURATE, "--json"]) == 0
    assert said(capsys)["summary"]["drops"]["judge"]["train"] >= 1
    assert batch > 0


@pytest.mark.slow
def test_killed_when_the_batch_was_taken_it_pays_once(
    judged: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    command = [sys.executable, "-c", KILLED_AFTER]
    killed = subprocess.run([*command, "killed", *JUDGE, "--yes"], capture_output=True, text=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert list(judged.datasets.glob("refunds-*")) == []
    after = subprocess.run(
        [*command, "whole", *JUDGE, "--yes", "--json"], capture_output=True, text=True
    )
    assert after.returncode == 0, after.stderr
    found = json.loads(after.stdout)
    assert [one["step"] for one in found["judge"]["batches"]] == ["collected"]
    assert found["judge"]["tally"]["explained"] == found["judge"]["tally"]["asked"]
    assert found["judge"]["bill"] is None
