"""The simulated teacher's faults: which check finds which, and how many clean chains are dropped.

Nothing but the replies is given. Beside the faults of the sandbox a share of the clean replies gets an
answer out of form, and another an answer in a harmless variant of its form.
"""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import polars as pl

from limbeck.capture.sandbox.faults import FaultRates, draw, rng_of, spoil
from limbeck.capture.sandbox.tasks import ANSWER_MARKER, TABLE, Item, load
from limbeck.types import Provenance, Trace
from quality.checked import checked

RATES = (0.05, 0.37, 0.6)
FINDS = {
    "loop": "loop",
    "cut_off": "cut_off",
    "nonsense": "nonsense",
    "missing_answer": "missing_answer",
    "malformed_answer": "malformed_answer",
    "contradiction": "contradiction",
    "refusal": "refusal",
    "arithmetic": "arithmetic",
    "comparison": "arithmetic",
}
"""Which check finds which fault; of a wrong step, by what sort of mistake it is."""
UNSEEN = ("reading", "state")
"""Wrong steps in which no number is wrong: a fact is misread, or a state does not follow."""
_MALFORMED = 0.1
"""Of the total fault rate, how much comes on top as answers out of form."""
_VARIED = 0.1
"""Share of the clean replies whose answer is written in a harmless variant."""
_WRONG = 5
"""Examples that are kept of what a check gets wrong."""


def simulated(n: int, seed: int) -> dict[str, Any]:
    """By task and rate: precision, recall and F1 of each fault's check, and the false drops."""
    return {
        name: {f"{rate:.0%}": _measured(name, rate, n, seed) for rate in RATES} for name in TABLE
    }


def _measured(name: str, rate: float, n: int, seed: int) -> dict[str, Any]:
    rows = _replies(name, rate, n, seed)
    clean = rows.filter(pl.col("fault").is_null())
    dropped = clean.filter(pl.col("reason").is_not_null())
    unseen = rows.filter(pl.col("fault").is_in(UNSEEN))
    return {
        "calls": rows.height,
        "faults": dict(sorted(Counter(rows["fault"].drop_nulls().to_list()).items())),
        "checks": {check: _scores(rows, check) for check in dict.fromkeys(FINDS.values())},
        "clean": clean.height,
        "clean_dropped": dropped.height,
        "false_drops": dropped.height / clean.height,
        "false_drops_read": _examples(dropped),
        "varied_answers_dropped": dropped.filter(pl.col("varied")).height,
        "wrong_steps_without_a_wrong_number": {
            "calls": unseen.height,
            "found": unseen.height - unseen["reason"].null_count(),
        },
    }


def _scores(rows: pl.DataFrame, check: str) -> dict[str, Any]:
    """A fault of two names counts for the first check that speaks; what nobody could see is left out."""
    rows = rows.filter(~pl.col("fault").is_in(UNSEEN).fill_null(False))
    meant = pl.col("fault").replace_strict(FINDS, default=None).eq_missing(pl.lit(check))
    said = pl.col("reason").eq_missing(pl.lit(check))
    hits = rows.filter(meant & said).height
    positives, claims = rows.filter(meant).height, rows.filter(said).height
    if not positives and not claims:
        return {"faults": 0, "claims": 0}
    return {
        "faults": positives,
        "claims": claims,
        "precision": hits / claims if claims else None,
        "recall": hits / positives if positives else None,
        "f1": 2 * hits / (positives + claims),
        "missed": _examples(rows.filter(meant & ~said)),
        "wrongly_claimed": _examples(rows.filter(said & ~meant)),
    }


def _examples(rows: pl.DataFrame) -> list[dict[str, Any]]:
    shown = rows.head(_WRONG).select("input", "reply", "fault", "reason", "answer")
    return shown.to_dicts()


def _replies(name: str, rate: float, n: int, seed: int) -> pl.DataFrame:
    sandbox = load(name)
    task, rates = sandbox.task(), FaultRates.of_total(rate)
    said: dict[str, tuple[str | None, bool]] = {}
    traces = []
    for item in sandbox.generate(n, seed):
        fault = draw(rates, item.input, seed)
        rng = rng_of(item.input, seed)
        reply = spoil(item, fault, rng, sandbox)
        kind, text, varied = str(fault) if fault else None, reply.text, False
        if fault is not None and fault.startswith("wrong_step"):
            kind = reply.detail
        elif fault is None and rng.random() < rate * _MALFORMED:
            kind, text = "malformed_answer", _with_answer(item, _out_of_form(item, rng))
        elif fault is None and rng.random() < _VARIED:
            varied, text = True, _with_answer(item, _varied(item, rng))
        trace = Trace(
            task=name,
            input=item.input,
            raw=text,
            stop_reason=reply.stop_reason,
            provenance=Provenance(source="import", simulated=True),
        )
        traces.append(trace)
        said[trace.id] = (kind, varied)
    rows = checked(traces, task)
    kinds = [said[trace_id] for trace_id in rows["trace_id"]]
    return rows.with_columns(
        pl.Series("fault", [kind for kind, _ in kinds], dtype=pl.String),
        pl.Series("varied", [varied for _, varied in kinds], dtype=pl.Boolean),
    )


def _with_answer(item: Item, answer: str) -> str:
    return "\n".join((*item.steps, f"{ANSWER_MARKER} {answer}"))


def _out_of_form(item: Item, rng: random.Random) -> str:
    others = [choice for choice in item.choices if choice != item.truth]
    other = rng.choice(others) if others else str(int(item.truth) + rng.randint(1, 5))
    return rng.choice(
        (
            f"{item.truth} or {other}",
            f"either {other} or {item.truth}",
            f"{item.truth} / {other}" if item.choices else f"{item.truth}, {other}",
            "it depends",
            "not sure",
            "see above",
        )
    )


def _varied(item: Item, rng: random.Random) -> str:
    if item.choices:
        forms = ("{0}.", "**{0}**", '"{0}"', "{1}", "{2}", "`{0}`")
        return rng.choice(forms).format(item.truth, item.truth.upper(), item.truth.title())
    return rng.choice(("{0}.0", "{0} in all", "**{0}**", "{0}.", "= {0}", "{0} pieces")).format(
        item.truth
    )
