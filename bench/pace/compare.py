"""Turns into ratios: what each contestant gave in the same round, and whether the goals are met."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import median

from limbeck.types import Noun
from pace.work import Cell, Pace


class Turn(Noun):
    """One contestant's turn at one cell; round 0 warms up and does not count."""

    round: int
    cell: Cell
    peer: str
    pace: Pace

    @property
    def rate(self) -> float:
        """Supervised target tokens a second."""
        return self.pace.targets / self.pace.seconds


class Ratio(Noun):
    """Ours over another, in the rounds that count: median, least and most."""

    cell: str
    ours: str
    peer: str
    median: float
    least: float
    most: float
    goal: float | None = None
    met: bool | None = None


GOALS = {("1 x 100", "trl"): 2.0, ("8 x 100", "trl"): 4.0, ("8 x 400", "trl"): 8.0}
NEVER_BELOW = 0.95
"""Of our own unshared path, whatever the data."""


def rates(turns: Iterable[Turn]) -> dict[str, dict[str, dict[str, float]]]:
    """Target tokens a second by cell and contestant."""
    found: dict[str, dict[str, list[float]]] = {}
    for turn in turns:
        if turn.round:
            found.setdefault(turn.cell.name, {}).setdefault(turn.peer, []).append(turn.rate)
    return {
        cell: {
            peer: {
                "median": round(median(values)),
                "least": round(min(values)),
                "most": round(max(values)),
            }
            for peer, values in peers.items()
        }
        for cell, peers in found.items()
    }


def ratios(turns: Iterable[Turn]) -> list[Ratio]:
    """Ours over each peer, within each round. Of the ways of TRL the faster one of a round counts."""
    rounds: dict[tuple[str, int], dict[str, float]] = {}
    for turn in turns:
        if turn.round:
            at = rounds.setdefault((turn.cell.name, turn.round), {})
            name = "trl" if turn.peer.startswith("trl") else turn.peer
            at[name] = max(turn.rate, at.get(name, 0.0))
    found: dict[tuple[str, str], list[float]] = {}
    for (cell, _), at in rounds.items():
        for peer, rate in at.items():
            if peer != "ours" and "ours" in at:
                found.setdefault((cell, peer), []).append(at["ours"] / rate)
    return [_ratio(cell, peer, values) for (cell, peer), values in sorted(found.items())]


def _ratio(cell: str, peer: str, values: list[float]) -> Ratio:
    goal = NEVER_BELOW if peer == "ours-plain" else GOALS.get((cell, peer))
    middle = median(values)
    return Ratio(
        cell=cell,
        ours="ours",
        peer=peer,
        median=round(middle, 2),
        least=round(min(values), 2),
        most=round(max(values), 2),
        goal=goal,
        met=None if goal is None else middle >= goal,
    )
