"""`limbeck calibrate`: fit the rule for when a student may answer, and say what it promises."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import typer
from pydantic import ValidationError
from rich.console import Console
from rich.table import Table

from limbeck.cli.evaluate import ask_all
from limbeck.cli.find import dataset_of, find_student
from limbeck.cli.promised import sentences, share_local, usd_per_thousand
from limbeck.cli.working import working
from limbeck.curate.dataset import read_dataset
from limbeck.errors import UsageError
from limbeck.evaluate.aim import Aim
from limbeck.evaluate.answers import Answers
from limbeck.evaluate.calibrate import divide, fit_policy, more_calls_needed
from limbeck.evaluate.policy_file import save_policy
from limbeck.evaluate.signals.table import DEAR, USUAL, load, read_signals
from limbeck.evaluate.worth import SignalWorth, worth_of
from limbeck.models.local import Student, read_card
from limbeck.store.store import Store
from limbeck.workspace import Workspace

SAMPLES = 5


def command(
    student: Annotated[
        str, typer.Argument(help="The student: folder, name, or beginning of a name.")
    ],
    max_risk: Annotated[
        float | None,
        typer.Option(help="The largest share of wrong answers among those it gives (0.05)."),
    ] = None,
    max_regret: Annotated[
        float | None, typer.Option(help="Instead: how much more often than the teacher it errs.")
    ] = None,
    min_accuracy: Annotated[
        float | None, typer.Option(help="Instead: the smallest share of right answers of all.")
    ] = None,
    budget: Annotated[
        float | None, typer.Option(help="Instead: USD that a thousand calls may cost.")
    ] = None,
    confidence: Annotated[
        float, typer.Option(help="How sure the promise is, over the calibration data.")
    ] = 0.95,
    by: Annotated[
        Literal["label", "group"] | None,
        typer.Option(help="Promise the risk for each label, or each group of callers, by itself."),
    ] = None,
    signals: Annotated[
        str | None,
        typer.Option(help="Names with commas, or `all`, which asks the student again and again."),
    ] = None,
    samples: Annotated[
        int, typer.Option(min=1, max=50, help="Replies to sample, where a signal needs them.")
    ] = SAMPLES,
    audit_rate: Annotated[
        float, typer.Option(min=0, max=1, help="Share of its answers that will be checked.")
    ] = 0.05,
    teacher_cost: Annotated[
        float | None,
        typer.Option(help="USD of a call of the teacher; else what the store's calls cost."),
    ] = None,
    dataset: Annotated[
        Path | None, typer.Option(help="Folder of the dataset, if it is not in the workspace.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Fit a policy on data that training never saw. A new one replaces the student's old one."""
    asked = {
        "risk": max_risk,
        "regret": max_regret,
        "accuracy": min_accuracy,
        "budget": budget,
    }
    names = signal_names(signals)
    _check(asked, confidence)
    workspace = Workspace.find()
    folder = find_student(workspace, student)
    card = read_card(folder)
    usd = teacher_cost or _teacher_usd(workspace, card.task.name)
    aim = _aim(asked, confidence, by, usd, audit_rate)
    data = read_dataset(dataset) if dataset else dataset_of(workspace, card)
    [answers] = ask_all([folder], data, "calibration", quiet=as_json)
    answers = with_signals(answers, names, samples)
    policy = fit_policy(answers, aim=aim)
    worth = worth_of(names, answers.signals, divide(answers))
    path = save_policy(folder, policy)
    said = sentences(policy, answers, aim)
    if as_json:
        shown = {
            "student": str(folder),
            "policy": policy.model_dump(mode="json"),
            "file": str(path),
            "share_local": share_local(policy, answers),
            "usd_per_thousand": usd_per_thousand(policy, answers, usd) if usd else None,
            "more_calls_needed": more_calls_needed(policy),
            "signals": [one.model_dump(mode="json") for one in worth],
            "sentences": said,
        }
        print(json.dumps(shown, indent=2))
        return
    print("\n".join(said))
    _show(worth, policy.kind)
    print(f"policy  {path}")
    if policy.threshold is not None:
        print(f"next    limbeck promote {folder.name}")


OPTIONS = {
    "risk": "--max-risk",
    "regret": "--max-regret",
    "accuracy": "--min-accuracy",
    "budget": "--budget",
}


def _check(asked: dict[str, float | None], confidence: float) -> None:
    given = [OPTIONS[kind] for kind, value in asked.items() if value is not None]
    if len(given) > 1:
        raise UsageError(f"{' and '.join(given)} are given together; a policy has one aim")
    shares = {OPTIONS[kind]: value for kind, value in asked.items() if kind != "budget"}
    for name, value in {**shares, "--confidence": confidence}.items():
        if value is not None and not 0 < value < 1:
            raise UsageError(f"{name} is {value!r}; wanted a number between 0 and 1, such as 0.05")
    budget = asked["budget"]
    if budget is not None and budget <= 0:
        raise UsageError(f"--budget is {budget!r}; wanted USD, such as 2.50")


def _aim(
    asked: dict[str, float | None],
    confidence: float,
    by: Literal["label", "group"] | None,
    usd: float | None,
    audit_rate: float,
) -> Aim:
    kind, value = next(
        ((kind, value) for kind, value in asked.items() if value is not None), ("risk", 0.05)
    )
    if kind == "budget" and usd is None:
        raise UsageError(
            "--budget needs what a call of the teacher costs, and no call in the store has a "
            "price; give it with --teacher-cost"
        )
    values: dict[str, Any] = {"kind": kind, "value": value, "confidence": confidence, "by": by}
    try:
        return Aim(**values, teacher_usd=usd, audit_rate=audit_rate)
    except ValidationError as error:
        said = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise UsageError(f"{said}; see: limbeck calibrate --help") from None


def signal_names(given: str | None) -> tuple[str, ...]:
    """The signals that are meant, in the order of the table. Raises UsageError for an unknown one."""
    if given is None:
        return USUAL
    if given == "all":
        return (*USUAL, *DEAR)
    named = tuple(dict.fromkeys(name.strip() for name in given.split(",") if name.strip()))
    for name in named:
        load(name)
    if not named:
        raise UsageError(f"--signals is {given!r}; wanted names with commas, or `all`")
    return named


def with_signals(answers: Answers, names: tuple[str, ...], samples: int) -> Answers:
    """`answers` with the named signals; the student is asked again where one of them needs it."""
    if names == answers.names:
        return answers
    readings = answers.readings
    if set(names) & set(DEAR):
        from limbeck.evaluate.signals.asking import ask_more

        with working("asking the student again"):
            loaded = Student.load(answers.folder)
            wanted = samples if "agreement" in names else 0
            readings = tuple(ask_more(loaded, readings, samples=wanted, orders="orders" in names))
    rows = [read_signals(one, names) for one in readings]
    matrix = np.array(rows, dtype=np.float64).reshape(len(rows), len(names))
    return replace(answers, signals=matrix, names=names, readings=readings)


def _teacher_usd(workspace: Workspace, task: str) -> float | None:
    """The mean cost of the teacher's calls in the store; None where none has a price."""
    total, n = 0.0, 0
    with Store(workspace.store_url) as store:
        for trace in store.traces(task):
            if trace.provenance.source != "student" and trace.cost_usd is not None:
                total, n = total + trace.cost_usd, n + 1
    return total / n if total else None


def _show(worth: list[SignalWorth], kind: str) -> None:
    if not worth:
        print("signals too few answers were right, or wrong, to tell what each is worth")
        return
    table = Table(box=None, title=f"What tells right from wrong ({kind})", title_justify="left")
    for name in ("signal", "alone (AUROC)", "adds (nats)", "95 % interval"):
        table.add_column(name, justify="left" if name == "signal" else "right")
    for one in sorted(worth, key=lambda one: -one.adds):
        interval = f"{one.interval.low:+.4f} to {one.interval.high:+.4f}"
        table.add_row(one.signal, f"{one.alone:.3f}", f"{one.adds:+.4f}", interval)
    Console().print(table)
