"""`limbeck calibrate`: fit the rule for when a student may answer, and say what it promises."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from limbeck.cli.evaluate import ask_all
from limbeck.cli.find import dataset_of, find_student
from limbeck.curate.dataset import read_dataset
from limbeck.errors import UsageError
from limbeck.evaluate.answers import Answers
from limbeck.evaluate.calibrate import fit_policy, more_calls_needed
from limbeck.evaluate.policy_file import save_policy
from limbeck.models.local import read_card
from limbeck.types import OutcomeSource, Policy
from limbeck.workspace import Workspace

_TRUTH: dict[OutcomeSource, str] = {
    "gold": "answers known to be right",
    "human": "people's judgement",
    "verifier": "a program's check of the answers",
    "downstream": "what happened downstream, which may have other causes",
    "teacher_agreement": "agreement with the teacher, who may be wrong too",
}
"""What a promise rests on, by the least trusted truth among the calibration data."""


def command(
    student: Annotated[
        str, typer.Argument(help="The student: folder, name, or beginning of a name.")
    ],
    max_risk: Annotated[
        float, typer.Option(help="The largest share of wrong answers among those it gives.")
    ] = 0.05,
    confidence: Annotated[
        float, typer.Option(help="How sure the promise is, over the calibration data.")
    ] = 0.95,
    dataset: Annotated[
        Path | None, typer.Option(help="Folder of the dataset, if it is not in the workspace.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Fit a policy on data that training never saw. A new one replaces the student's old one."""
    for name, value in (("--max-risk", max_risk), ("--confidence", confidence)):
        if not 0 < value < 1:
            raise UsageError(f"{name} is {value!r}; wanted a number between 0 and 1, such as 0.05")
    workspace = Workspace.find()
    folder = find_student(workspace, student)
    card = read_card(folder)
    data = read_dataset(dataset) if dataset else dataset_of(workspace, card)
    [answers] = ask_all([folder], data, "calibration", quiet=as_json)
    policy = fit_policy(answers, max_risk, confidence)
    path = save_policy(folder, policy)
    said = sentences(policy, answers)
    if as_json:
        shown = {
            "student": str(folder),
            "policy": policy.model_dump(mode="json"),
            "file": str(path),
            "share_local": share_local(policy, answers),
            "more_calls_needed": more_calls_needed(policy),
            "sentences": said,
        }
        print(json.dumps(shown, indent=2))
        return
    print("\n".join(said))
    print(f"policy  {path}")
    if policy.threshold is not None:
        print(f"next    limbeck promote {folder.name}")


def share_local(policy: Policy, answers: Answers) -> float:
    """The share of the tested calls that the student would answer; 0 where no threshold passed."""
    if policy.threshold is None or not policy.n_bound:
        return 0.0
    usable = float(np.mean([said is not None for said in answers.said]))
    return usable * policy.n_accepted / policy.n_bound


def sentences(policy: Policy, answers: Answers) -> list[str]:
    """What is promised and on what it rests, or why nothing is; for a person."""
    risk, sure = f"{policy.max_risk:.1%}", f"{policy.confidence:.1%}"
    tested = f"{policy.n_errors:,} of {policy.n_accepted:,} answers were wrong"
    if policy.threshold is not None:
        return [
            f"Promised: with confidence {sure}, at most {risk} of the answers that this student "
            "gives on its own are wrong. It would answer about "
            f"{share_local(policy, answers):.1%} of the calls, and the teacher the rest.",
            f"Tested on {policy.n_bound:,} calls that neither training nor the fit of the rule "
            f"saw: at the threshold {policy.threshold:.4f}, {tested} (p = {policy.p_value:.2g}).",
            f"It rests on {_TRUTH[policy.truth_source]}, and on later calls being like these "
            "(exchangeable), with the same instructions.",
        ]
    said = [
        f"Nothing is promised: no threshold keeps the share of wrong answers at or below {risk} "
        f"with confidence {sure}, so the teacher answers every call."
    ]
    more = more_calls_needed(policy)
    if not policy.n_bound:
        said.append(
            "It gave no answer in the task's form, so there was nothing to test: train a better one."
        )
        return said
    if policy.n_accepted:
        said.append(f"At the most promising threshold, {tested}.")
    if more is None:
        said.append(
            "More calibration calls would not change that while the student is wrong so often: "
            "train a better one, or promise less with a larger --max-risk."
        )
    else:
        said.append(
            f"About {more:,} more labelled calls in the calibration split would be needed, if the "
            "share of wrong answers stayed as it is; or promise less with a larger --max-risk."
        )
    return said
