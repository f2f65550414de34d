"""The dataset: an input with the chains that lead from it to its answer."""

from __future__ import annotations

from limbeck.types.noun import Noun
from limbeck.types.trace import OutcomeSource


class Chain(Noun):
    """One way from an input to an answer: what was written before the answer, and the answer."""

    rationale: str
    answer: str


class Example(Noun):
    """One input of a curated dataset: what a recipe sees and what a verifier needs.

    `rationale` is None where the trace had none worth keeping. `truth` is the trusted answer;
    `truth_source` says who said so. Where a curation kept several chains of an input, `others` holds
    those beside the best, which is `rationale` and `answer`.
    """

    trace_id: str
    input: str
    choices: tuple[str, ...] = ()
    rationale: str | None = None
    answer: str
    truth: str
    truth_source: OutcomeSource = "gold"
    group: str | None = None
    weight: float = 1.0
    others: tuple[Chain, ...] = ()

    @property
    def chains(self) -> tuple[Chain, ...]:
        """Every chain of the input, the best first; empty where there is no rationale."""
        if not self.rationale:
            return ()
        return (Chain(rationale=self.rationale, answer=self.answer), *self.others)
