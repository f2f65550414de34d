"""What one evaluation found: the value behind its page and its JSON."""

from __future__ import annotations

from functools import cached_property

from limbeck.evaluate.bias.bias import BiasSuite
from limbeck.evaluate.calibration import CalibrationSuite
from limbeck.evaluate.dependence.dependence import DependenceSuite
from limbeck.evaluate.outcome.outcome import OutcomeSuite
from limbeck.evaluate.shifted.shifted import ShiftedSuite
from limbeck.evaluate.unseen import Seen
from limbeck.types import Noun, content_hash

SUITES = ("outcome", "shifted", "dependence", "bias", "calibration")


class Subjected(Noun):
    """Who was evaluated. `weights` is the hash of what answered; `seen` how much of the split it had
    seen, all of which was left out."""

    name: str
    recipe: str
    base: str
    seed: int
    parameters: int
    weights: str
    dataset: str
    seen: Seen


class Result(Noun):
    """One evaluation. A suite that was not asked for is None, or empty where it is one a student."""

    format: int = 1
    version: str
    command: str
    task: str
    dataset: str
    split: str
    n: int
    simulated: bool
    subjects: tuple[Subjected, ...]
    outcome: OutcomeSuite | None = None
    shifted: tuple[ShiftedSuite, ...] = ()
    dependence: tuple[DependenceSuite, ...] = ()
    bias: tuple[BiasSuite, ...] = ()
    calibration: tuple[CalibrationSuite, ...] = ()

    @cached_property
    def id(self) -> str:
        """What was evaluated and how, without what came out."""
        return content_hash(
            [
                self.task,
                self.dataset,
                self.split,
                self.n,
                [one.weights for one in self.subjects],
                [name for name in SUITES if getattr(self, name) not in (None, ())],
            ]
        )
