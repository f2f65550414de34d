"""How well does each measure of dependence tell a student that must use its rationale from one that
ignores it?

Plants both kinds (limbeck.evaluate.dependence.planted), separately and in one student, measures every
item, and reports the AUROC of each measure with a bootstrap interval over items: on planted students, and
for a student that learned the bottleneck task itself. A measure that cannot tell them apart where the
truth is known says nothing where it is not.

    python bench/dependence.py            three seeds of five kinds, one core each
    python bench/dependence.py --quick    one seed and few steps: only shows that it runs

Writes bench/results/dependence.json, and with --publish the file that `limbeck evaluate` shows beside
every result. With --kept FOLDER a run that was interrupted goes on: what each student showed is there.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import limbeck
from limbeck.distill.settings import DistillSettings
from limbeck.evaluate.dependence import known as shown
from limbeck.evaluate.dependence.forced import chains_of
from limbeck.evaluate.dependence.known import Known, KnownMeasure
from limbeck.evaluate.dependence.measures import MEASURES, measure
from limbeck.evaluate.dependence.planted import TASK, Kind, PlantedItem, items, plant
from limbeck.evaluate.intervals import Interval
from limbeck.models.local import Said

RESULT = Path(__file__).parent / "results" / "dependence.json"
KINDS: tuple[Kind, ...] = ("uses", "ignores", "two-faced", "needs", "direct")
STEPS: dict[Kind, int] = {
    "uses": 600,
    "ignores": 400,
    "two-faced": 600,
    "needs": 600,
    "direct": 600,
}
QUICK = 30
PLANTED = 0.9
"""A student that does what it was planted to do on a smaller share of its items is none of its kind, and
says nothing of a measure."""
DRAWS = 1000

Values = dict[str, NDArray[np.float64]]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=3, help="students of each kind")
    parser.add_argument("--items", type=int, default=200, help="items of each student")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS, help="which students")
    parser.add_argument("--quick", action="store_true", help="few steps, to see that it runs")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes")
    parser.add_argument("--kept", type=Path, help="folder of what was measured before")
    parser.add_argument("--publish", action="store_true", help="write known.json as well")
    given = parser.parse_args()
    began = time.perf_counter()
    seeds = tuple(range(1 if given.quick else given.seeds))
    found = _students(given, seeds)
    accuracy: dict[str, list[float]] = {kind: [] for kind in KINDS}
    for student in filter(_planted, found):
        accuracy[student.run["kind"]].append(student.run["accuracy"])
    groups = _groups(found)
    runs = [student.run for student in found]
    known = Known(
        task=TASK.name,
        students=sum(map(_planted, found)),
        items=given.items,
        seeds=seeds,
        version=limbeck.__version__,
        command=_command(given),
        direct=_share(accuracy["direct"]),
        thinking=_share(accuracy["needs"]),
        measures=tuple(_known(name, groups) for name in MEASURES),
        notes=_notes(accuracy, [one for one in found if not _planted(one)]),
    )
    result = {
        "command": _command(given),
        "limbeck": limbeck.__version__,
        "python": platform.python_version(),
        "torch": _version("torch"),
        "transformers": _version("transformers"),
        "cores": os.cpu_count(),
        "seconds": round(time.perf_counter() - began, 1),
        "runs": runs,
        "auroc_by_seed": _by_seed(found, seeds),
        "known": known.model_dump(mode="json"),
    }
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    if given.publish:
        place = Path(shown.__file__).with_name("known.json")
        place.write_text(known.model_dump_json(indent=1) + "\n", encoding="utf-8")
    for one in known.measures:
        print(
            f"{one.name:<20} planted {one.auroc:.2f} [{one.interval.low:.2f}, {one.interval.high:.2f}]  "
            + (f"bottleneck {one.bottleneck:.2f}" if one.bottleneck is not None else "")
        )
    return 0


@dataclass(frozen=True)
class Shown:
    """What one student showed: its numbers, and each measure of each item (N,)."""

    run: dict[str, Any]
    uses: NDArray[np.bool_]
    values: Values

    def text(self) -> str:
        values = {name: of.tolist() for name, of in self.values.items()}
        return json.dumps({"run": self.run, "uses": self.uses.tolist(), "values": values})

    @staticmethod
    def read(text: str) -> Shown:
        kept = json.loads(text)
        values = {name: np.array(of, dtype=np.float64) for name, of in kept["values"].items()}
        return Shown(kept["run"], np.array(kept["uses"], dtype=np.bool_), values)


def _students(given: argparse.Namespace, seeds: Sequence[int]) -> list[Shown]:
    """Every kind of every seed, in that order; each is written down as soon as it is known."""
    todo = [(kind, seed, given.items, given.quick) for seed in seeds for kind in given.kinds]
    if given.kept is not None:
        given.kept.mkdir(parents=True, exist_ok=True)
    places = {one: None if given.kept is None else given.kept / _file(*one) for one in todo}
    found = {
        one: Shown.read(place.read_text(encoding="utf-8"))
        for one, place in places.items()
        if place is not None and place.exists()
    }
    # A forked process would inherit the threads of a library that has begun to use them.
    with ProcessPoolExecutor(max(1, given.jobs), mp_context=get_context("spawn")) as pool:
        running = {pool.submit(_student, *one): one for one in todo if one not in found}
        for done in as_completed(running):
            one = running[done]
            found[one] = done.result()
            place = places[one]
            if place is not None:
                partial = place.with_suffix(".partial")
                partial.write_text(found[one].text(), encoding="utf-8")
                partial.replace(place)
            print(json.dumps(found[one].run), file=sys.stderr, flush=True)
    return [found[one] for one in todo]


def _file(kind: Kind, seed: int, n: int, quick: bool) -> str:
    steps = QUICK if quick else STEPS[kind]
    return f"{kind}-s{seed}-{steps}-{n}-{limbeck.__version__}.json"


def _student(kind: Kind, seed: int, n: int, quick: bool) -> Shown:
    """Trains and measures one student."""
    steps = QUICK if quick else STEPS[kind]
    settings = DistillSettings(
        steps=steps, batch=64, vocabulary=320, seed=seed, precision="float32", threads=1
    )
    began, busy = time.perf_counter(), time.process_time()
    student = plant(kind, settings, n=6000)
    trained = time.perf_counter() - began
    test = items(kind, n, 1000 + seed)
    examples = [one.example for one in test]
    said = student.ask([example.input for example in examples])
    right = [one.answer == e.truth for one, e in zip(said, examples, strict=True)]
    run: dict[str, Any] = {
        "kind": kind,
        "seed": seed,
        "steps": steps,
        "train_seconds": round(trained, 1),
        "accuracy": round(float(np.mean(right)), 4),
        "obeys": round(float(np.mean([_obeys(a, b) for a, b in zip(test, said, strict=True)])), 4),
    }
    if kind == "direct":
        run["cpu_seconds"] = round(time.process_time() - busy, 1)
        return Shown(run, np.zeros(0, dtype=np.bool_), {})
    chains = chains_of(student, TASK, examples)
    uses_of = {one.example.input: one.uses for one in test}
    uses = np.array([uses_of[text] for text in chains.inputs], dtype=np.bool_)
    found = measure(student, TASK, chains, seed=seed)
    run |= {
        "in_form": len(chains.inputs),
        "measure_seconds": round(time.perf_counter() - began - trained, 1),
        "cpu_seconds": round(time.process_time() - busy, 1),
        "means": {name: _mean(of) for name, of in found.items.items()},
        "means_must_use": {name: _mean(of[uses]) for name, of in found.items.items()},
        "means_ignores": {name: _mean(of[~uses]) for name, of in found.items.items()},
    }
    return Shown(run, uses, found.items)


def _obeys(item: PlantedItem, said: Said) -> bool:
    """Whether an answer is the end of the student's own chain where it must use it, else the truth."""
    if item.uses and said.rationale:
        return said.answer == said.rationale.strip()[-1:]
    return said.answer == item.example.truth


def _planted(one: Shown) -> bool:
    # One that answers without a chain is no student of a chain, and is measured by its accuracy alone.
    return one.run["kind"] == "direct" or float(one.run["obeys"]) >= PLANTED


def _groups(found: Sequence[Shown]) -> dict[str, list[Values]]:
    """The items on which the answer is known to hang on the chain, or known not to, of each student."""
    groups: dict[str, list[Values]] = {"must use": [], "ignores": [], "needs": []}
    for one in filter(_planted, found):
        if one.run["kind"] == "needs":
            groups["needs"].append(one.values)
        elif one.values:
            groups["must use"].append({name: of[one.uses] for name, of in one.values.items()})
            groups["ignores"].append({name: of[~one.uses] for name, of in one.values.items()})
    return groups


def _by_seed(found: Sequence[Shown], seeds: Sequence[int]) -> dict[str, list[dict[str, Any]]]:
    """Each measure on the students of each seed by themselves."""
    spread: dict[str, list[dict[str, Any]]] = {name: [] for name in MEASURES}
    for seed in seeds:
        groups = _groups([one for one in found if one.run["seed"] == seed])
        for name, of in spread.items():
            one = _known(name, groups)
            of.append({"seed": seed, "planted": one.auroc, "bottleneck": one.bottleneck})
    return spread


def _known(name: str, groups: dict[str, list[Values]]) -> KnownMeasure:
    use, ignore, needs = (_pooled(groups[of], name) for of in ("must use", "ignores", "needs"))
    planted, span = _auroc(use, ignore)
    bottleneck, other = _auroc(needs, ignore) if len(needs) else (None, None)
    return KnownMeasure(
        name=name,
        auroc=planted,
        interval=span,
        bottleneck=bottleneck,
        bottleneck_interval=other,
        must_use=_mean(use) or 0.0,
        needs=_mean(needs),
        ignores=_mean(ignore) or 0.0,
    )


def _pooled(values: list[Values], name: str) -> NDArray[np.float64]:
    whole = np.concatenate([one[name] for one in values]) if values else np.zeros(0)
    there: NDArray[np.float64] = whole[~np.isnan(whole)]
    return there


def _auroc(above: NDArray[np.float64], below: NDArray[np.float64]) -> tuple[float, Interval]:
    """P(a value of `above` is larger than one of `below`), ties counting half."""
    if not len(above) or not len(below):
        return 0.5, Interval(low=0.0, high=1.0)
    random = np.random.default_rng(0)
    drawn = [
        _ranked(random.choice(above, len(above)), random.choice(below, len(below)))
        for _ in range(DRAWS)
    ]
    low, high = np.quantile(drawn, [0.025, 0.975])
    return _ranked(above, below), Interval(low=float(low), high=float(high))


def _ranked(above: NDArray[np.float64], below: NDArray[np.float64]) -> float:
    ordered = np.sort(below)
    less = np.searchsorted(ordered, above, side="left")
    same = np.searchsorted(ordered, above, side="right") - less
    return float((less + same / 2).mean() / len(below))


def _mean(values: NDArray[np.float64]) -> float | None:
    there = values[~np.isnan(values)]
    return round(float(there.mean()), 4) if len(there) else None


def _share(of: list[float]) -> float | None:
    return float(np.mean(of)) if of else None


def _notes(accuracy: dict[str, list[float]], failed: Sequence[Shown]) -> tuple[str, ...]:
    said = [
        "Planted students are small and their chains are short; a measure that works on them may still "
        "fail on yours."
    ]
    if failed:
        names = ", ".join(f"{one.run['kind']} of seed {one.run['seed']}" for one in failed)
        said.insert(
            0,
            f"Left out, because training did not make them what they were to be: {names}.",
        )
    direct, thinking = _share(accuracy["direct"]), _share(accuracy["needs"])
    if direct is not None and thinking is not None:
        said.insert(
            0,
            f"On the bottleneck task the student that writes chains is right on {thinking:.1%}, the one "
            f"without on {direct:.1%} (chance 10.0%).",
        )
    return tuple(said)


def _command(given: argparse.Namespace) -> str:
    quick = " --quick" if given.quick else ""
    kinds = "" if tuple(given.kinds) == KINDS else f" --kinds {' '.join(given.kinds)}"
    return f"python bench/dependence.py --seeds {given.seeds} --items {given.items}{kinds}{quick}"


def _version(name: str) -> str:
    from importlib.metadata import version

    return version(name)


if __name__ == "__main__":
    raise SystemExit(main())
