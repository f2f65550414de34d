from __future__ import annotations

import json

import pytest

from limbeck.capture.sandbox.tasks import load, render
from limbeck.cli.app import main
from limbeck.store.store import Store
from limbeck.types import Outcome, Provenance, Trace
from limbeck.workspace import Workspace


@pytest.fixture
def filled(workspace: Workspace) -> Workspace:
    sandbox = load("refunds")
    workspace.write_task(sandbox.task())
    with Store(workspace.store_url) as store:
        for item in sandbox.generate(150, seed=2):
            trace = Trace(
                task="refunds",
                input=item.input,
                raw=render(item),
                cost_usd=0.01,
                provenance=Provenance(source="gateway", generator="teacher"),
            )
            store.record([trace], [Outcome(trace_id=trace.id, value=item.truth, source="gold")])
    return workspace


def run(capsys: pytest.CaptureFixture[str], *args: str) -> str:
    assert main(["assess", "--task", "refunds", *args]) == 0
    return capsys.readouterr().out


def test_it_ends_with_one_verdict_and_why(
    filled: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    out = run(capsys)
    verdict, *reasons = out.partition("\n\n")[2].splitlines()
    assert verdict.startswith("wait for ")
    assert reasons
    for part in ("calls       150", "labels ", "linear ", "chains ", "no times"):
        assert part in out


def test_json_holds_findings_settings_and_decision(
    filled: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = json.loads(run(capsys, "--json", "--coverage", "0.5", "--set", "monthly_calls=50000"))
    assert answer["settings"]["coverage"] == 0.5
    assert answer["findings"]["break_even"]["saved"] == pytest.approx(250)
    assert answer["decision"]["verdict"] == "wait"
    assert answer["decision"]["more"] >= answer["decision"]["labels_needed"] - 150


def test_costs_decide_where_the_volume_is_stated(
    filled: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ("--set", "monthly_calls=50000", "--monthly-cost", "1000", "--one-off-cost", "10")
    out = run(capsys, *given)
    assert "\n\ndon't\n" in out
    assert "it never pays" in out


def test_settings_come_from_the_workspace(
    filled: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    (filled.root / "limbeck.toml").write_text("[assess]\nmin_labelled = 77\nmonthly_cost = 9\n")
    settings = json.loads(run(capsys, "--json", "--monthly-cost", "8"))["settings"]
    assert (settings["min_labelled"], settings["monthly_cost"]) == (77, 8)


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("--set", "covrage=0.5"), "covrage"),
        (("--set", "coverage=2"), "coverage"),
        (("--coverage", "0"), "coverage"),
    ],
)
def test_a_wrong_setting_is_named(
    filled: Workspace, capsys: pytest.CaptureFixture[str], args: tuple[str, ...], said: str
) -> None:
    assert main(["assess", "--task", "refunds", *args]) == 2
    assert said in capsys.readouterr().err


def test_a_task_without_calls_says_how_to_get_some(
    workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace.write_task(load("refunds").task())
    assert main(["assess", "--task", "refunds"]) == 1
    assert "limbeck import FILE --task refunds" in capsys.readouterr().err
