"""The alarm over simulated audits: how often it is false, and how soon it is right."""

from __future__ import annotations

from typing import Any

import numpy as np

from limbeck.evaluate.betting import alarm_capital, hedged_capital
from limbeck.evaluate.intervals import clopper_pearson

RISKS = (0.02, 0.05, 0.1)
BEFORE = (0, 500, 2000)
JUMPS = (2, 4)
LONG = 10_000


def false_alarms(streams: int, delta: float, seed: int) -> list[dict[str, Any]]:
    """Streams whose error rate is exactly the promised one, looked at after every audit."""
    found = []
    for risk in RISKS:
        wrong = np.random.default_rng(seed).random((streams, LONG)) < risk
        alarmed = int((alarm_capital(wrong, risk).max(axis=-1) >= 1 / delta).sum())
        interval = clopper_pearson(alarmed, streams)
        found.append(
            {
                "max_risk": risk,
                "audits": LONG,
                "streams": streams,
                "false_alarms": alarmed,
                "share": round(alarmed / streams, 4),
                "interval": [round(interval.low, 4), round(interval.high, 4)],
                # What somebody would find who tests anew after every audit at the same level.
                "share_of_a_test_without_correction": _peeking(wrong[: streams // 4], risk, delta),
            }
        )
    return found


def _peeking(wrong: np.ndarray[Any, np.dtype[np.bool_]], risk: float, delta: float) -> float:
    """Of streams that a one-sided z-test calls broken at some audit from the 50th on."""
    count = np.arange(1, wrong.shape[-1] + 1)
    z = (np.cumsum(wrong, axis=-1) - count * risk) / np.sqrt(count * risk * (1 - risk))
    limit = 1.6449 if delta == 0.05 else float(np.sqrt(-2 * np.log(2 * delta)))
    return round(float((z[:, 49:] > limit).any(axis=-1).mean()), 4)


def detection(streams: int, delta: float, seed: int) -> list[dict[str, Any]]:
    """Audits from a jump of the error rate to the alarm; half of the promised rate comes before it."""
    found = []
    for risk in RISKS:
        for before in BEFORE:
            for times in JUMPS:
                random = np.random.default_rng(seed)
                length = round(80 / risk)
                good = random.random((streams, before)) < risk / 2
                bad = random.random((streams, length)) < times * risk
                alarm = alarm_capital(np.concatenate([good, bad], axis=1), risk) >= 1 / delta
                early = alarm[:, :before].any(axis=1)
                late = alarm[~early][:, before:]
                after = np.where(late.any(axis=1), late.argmax(axis=1) + 1, length + 1)
                half, nine, most = np.quantile(after, [0.5, 0.9, 0.99], method="higher")
                found.append(
                    {
                        "max_risk": risk,
                        "audits_before": before,
                        "jump_to": times * risk,
                        "audits_half": int(half),
                        "audits_nine_of_ten": int(nine),
                        "audits_99_of_100": int(most),
                        "never_within": length if most > length else None,
                        "alarmed_before": int(early.sum()),
                        "streams": streams,
                    }
                )
    return found


def sequences(streams: int, delta: float, seed: int) -> list[dict[str, Any]]:
    """How often the interval of `limbeck monitor` ever missed the true rate over 2,000 audits."""
    found = []
    for rate in (0.01, 0.05, 0.2):
        values = (np.random.default_rng(seed).random((streams, 2000)) < rate).astype(np.float64)
        capital = hedged_capital(values, np.array([rate]), delta)[..., 0]
        missed = int((capital.max(axis=-1) >= 1 / delta).sum())
        found.append({"rate": rate, "audits": 2000, "streams": streams, "ever_missed": missed})
    return found
