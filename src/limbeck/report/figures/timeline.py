"""A planted shift as it went: who answered, and what the audits said, call by call."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import altair as alt

from limbeck.report.figures.bars import chart
from limbeck.report.figures.chart import (
    CONTROL,
    FAINT,
    INK,
    PAPER,
    STUDENT,
    TEACHER,
    WIDTH,
    WRONG,
    Figure,
    Table,
)
from limbeck.report.numbers import count, level, percent, span
from limbeck.report.summary import Phase, Shift, Stretch

WEIGHTS: dict[Phase, int] = {"before": 18, "shifted": 24, "fallback": 16, "canary": 22, "after": 20}
"""How wide the acts are drawn beside each other, whatever their number of calls."""
NAMES: dict[Phase, str] = {
    "before": "as learned",
    "shifted": "changed, until the alarm",
    "fallback": "the teacher answers",
    "canary": "a canary's share",
    "after": "the new student",
}
# Places in units of the drawing, which are pixels at its own width.
LEFT, RIGHT = 42, WIDTH - 14
KEYS, MARKS = 8, 32
SHARE = (44, 150)
CAPTION = 176
ERROR = (190, 318)
TICKS, AXIS = 333, 354
HEIGHT = 364


@dataclass(frozen=True)
class _Part:
    """A stretch in its place: from x to x2, the calls `first` to `last`."""

    stretch: Stretch
    x: float
    x2: float
    last: int


def timeline(name: str, shift: Shift, max_risk: float) -> Figure | None:
    """Who answered and what the audits said; None without calls."""
    parts = list(_parts(shift.stretches))
    if not parts:
        return None
    looks = [part.stretch.look for part in parts if part.stretch.look is not None]
    rates = [look.errors / look.audits for look in looks if look.audits]
    top = min(1.0, max([0.3, 4 * max_risk, *(rate * 1.25 for rate in rates)]))
    title = _title(shift)
    return Figure(
        name=f"{name}-timeline",
        title=title,
        note=(
            "Above: who answered. Below: wrong among the audited answers of the policy in force (line) "
            "and where their rate lies with 95% confidence at any time (band)."
        ),
        description=f"{title}. "
        + " ".join(
            f"{NAMES[phase]}: {count(calls)} calls, {percent(local / calls)} answered by the student."
            for phase, calls, local in _acts(shift.stretches)
        ),
        table=_table(shift.stretches),
        layers=[
            *_who(parts),
            *_audited(parts, max_risk, top),
            *_marks(shift, parts),
            *_calls(parts),
        ],
        height=HEIGHT,
        right=6,
    )


def _title(shift: Shift) -> str:
    shifted = sum(one.calls for one in shift.stretches if one.phase == "shifted")
    if shift.alarm is None:
        return f"No alarm within {count(shifted)} changed calls"
    found = (
        f"The alarm came {count(shifted)} calls after the change, by {_audits(shift.alarm.audits)}"
    )
    return {
        "confirmed": f"{found}; the next student was confirmed",
        "taken back": f"{found}; the next student was taken back",
        "undecided": f"{found}; the next student is still a canary",
        None: f"{found}; the teacher answers since",
    }[shift.canary]


def _audits(number: int) -> str:
    return f"{count(number)} audit{'' if number == 1 else 's'}"


def _parts(stretches: Sequence[Stretch]) -> Iterator[_Part]:
    """Each stretch in its act, as wide there as its share of the act's calls."""
    sizes = {phase: calls for phase, calls, _ in _acts(stretches)}
    unit = (RIGHT - LEFT) / sum(WEIGHTS[phase] for phase in sizes) if sizes else 0.0
    x, last = float(LEFT), 0
    for one in stretches:
        x2 = x + unit * WEIGHTS[one.phase] * one.calls / sizes[one.phase]
        last += one.calls
        yield _Part(one, x, x2, last)
        x = x2


def _acts(stretches: Sequence[Stretch]) -> list[tuple[Phase, int, int]]:
    """Of each phase that has calls: how many, and how many the student answered."""
    found = []
    for phase in WEIGHTS:
        mine = [one for one in stretches if one.phase == phase]
        calls = sum(one.calls for one in mine)
        if calls:
            found.append((phase, calls, sum(one.local for one in mine)))
    return found


# ---- layers -------------------------------------------------------------------------------------


def _across(field: str = "x") -> alt.X:
    return alt.X(f"{field}:Q", scale=alt.Scale(domain=[0, WIDTH - 10], nice=False), axis=None)


def _down(field: str = "y") -> alt.Y:
    scale = alt.Scale(domain=[HEIGHT, 0], nice=False, zero=False)
    return alt.Y(f"{field}:Q", scale=scale, axis=None)


def _text(
    rows: Sequence[tuple[float, float, str]],
    colour: str = INK,
    align: Literal["left", "center", "right"] = "left",
) -> alt.Chart:
    data = chart([{"x": x, "y": y, "text": text} for x, y, text in rows])
    marked = data.mark_text(align=align, baseline="middle", fill=colour)
    found: alt.Chart = marked.encode(x=_across(), y=_down(), text="text:N")
    return found


def _boxes(rows: Sequence[dict[str, Any]], colour: str, opacity: float = 1.0) -> alt.Chart:
    marked = chart(rows).mark_rect(color=colour, opacity=opacity)
    found: alt.Chart = marked.encode(x=_across(), x2="x2:Q", y=_down(), y2="y2:Q")
    return found


def _who(parts: Sequence[_Part]) -> list[alt.Chart]:
    """The share of each stretch that the student answered, and above it the teacher's."""
    high, low = SHARE
    student, teacher = [], []
    for part in parts:
        middle = low - (low - high) * part.stretch.local / max(1, part.stretch.calls)
        student.append({"x": part.x, "x2": part.x2, "y": middle, "y2": low})
        teacher.append({"x": part.x, "x2": part.x2, "y": high, "y2": middle})
    keys = [(LEFT, STUDENT, "the student answers"), (LEFT + 165, TEACHER, "the teacher answers")]
    layers = [_boxes(teacher, TEACHER, 0.3), _boxes(student, STUDENT)]
    for x, colour, text in keys:
        box = {"x": x, "x2": x + 11, "y": KEYS - 6, "y2": KEYS + 5}
        layers += [
            _boxes([box], colour, 0.3 if colour == TEACHER else 1.0),
            _text([(x + 17, KEYS, text)]),
        ]
    return [
        *layers,
        _text([(LEFT - 5, high + 5, "100%"), (LEFT - 5, low - 5, "0%")], FAINT, "right"),
    ]


def _audited(parts: Sequence[_Part], max_risk: float, top: float) -> list[alt.Chart]:
    """The error rate among the audits so far with its band, and what is promised."""
    high, low = ERROR

    def place(rate: float) -> float:
        return low - (low - high) * min(rate, top) / top

    band, line = [], []
    for part in parts:
        look = part.stretch.look
        if look is None or not look.audits:
            continue
        ends = {"y": place(look.interval.high), "y2": place(look.interval.low)}
        band.append({"x": part.x, "x2": part.x2, **ends})
        rate = place(look.errors / look.audits)
        line.append({"x": part.x, "x2": part.x2, "y": rate})
    promised = [{"x": LEFT, "x2": RIGHT, "y": place(max_risk)}]
    frame = [{"x": LEFT, "x2": RIGHT, "y": low}]
    rule = chart(frame).mark_rule(color=CONTROL, opacity=0.6)
    dashed = chart(promised).mark_rule(color=WRONG, strokeDash=[6, 4], strokeWidth=2)
    seen = chart(line).mark_rule(color=INK, strokeWidth=3)
    return [
        _boxes(band, CONTROL, 0.35),
        rule.encode(x=_across(), x2="x2:Q", y=_down()),
        dashed.encode(x=_across(), x2="x2:Q", y=_down()),
        seen.encode(x=_across(), x2="x2:Q", y=_down()),
        _text([(LEFT, CAPTION, f"wrong among audited; promised: at most {level(max_risk)}")]),
        _text(
            [(LEFT - 5, high + 5, f"{top:.0%}"), (LEFT - 5, place(max_risk), level(max_risk))],
            FAINT,
            "right",
        ),
    ]


def _marks(shift: Shift, parts: Sequence[_Part]) -> list[alt.Chart]:
    """What happened, where one act goes over into the next."""
    said: dict[tuple[Phase | None, Phase | None], str] = {
        ("before", "shifted"): "shift",
        ("shifted", "fallback"): "alarm",
        ("fallback", "canary"): "canary",
        ("canary", "after"): "confirmed",
    }
    rows = []
    for one, then in itertools.pairwise(parts):
        text = said.get((one.stretch.phase, then.stretch.phase))
        if text is not None:
            rows.append((one.x2, text))
    if shift.canary == "taken back":
        rows.append((parts[-1].x2, "taken back"))
    # They leave out the line of text between the two halves.
    spans = ((MARKS + 9, SHARE[1]), ERROR)
    rules = [{"x": x, "y": y, "y2": y2} for x, _ in rows for y, y2 in spans]
    drawn = chart(rules).mark_rule(color=INK, strokeWidth=1.5)
    halo = chart(rules).mark_rule(color=PAPER, strokeWidth=4)
    return [
        halo.encode(x=_across(), y=_down(), y2="y2:Q"),
        drawn.encode(x=_across(), y=_down(), y2="y2:Q"),
        *(
            _text([(x, MARKS, text)], align="right" if x >= RIGHT - 1 else "center")
            for x, text in rows
        ),
    ]


def _calls(parts: Sequence[_Part]) -> list[alt.Chart]:
    """The numbers of the calls at which an act ends."""
    ends: list[tuple[float, str]] = [(LEFT, "0")]
    for one, then in zip(parts, [*parts[1:], None], strict=True):
        if then is None or then.stretch.phase != one.stretch.phase:
            ends.append((one.x2, count(one.last)))
    middle = (LEFT + RIGHT) / 2
    return [
        _text([(x, TICKS, text) for x, text in ends[:-1]], FAINT, "center"),
        _text([(ends[-1][0] + 8, TICKS, ends[-1][1])], FAINT, "right"),
        _text([(middle, AXIS, "calls; acts are drawn equally wide, or nearly")], FAINT, "center"),
    ]


def _table(stretches: Sequence[Stretch]) -> Table:
    rows, last = [], 0
    for one in stretches:
        first, last = last + 1, last + one.calls
        look = one.look
        rows.append(
            (
                f"{count(first)} to {count(last)}",
                NAMES[one.phase],
                f"{count(one.local)} of {count(one.calls)}",
                count(one.local_errors),
                f"{count(look.errors)} of {count(look.audits)}" if look else "–",
                span(look.interval) if look and look.audits else "–",
                f"{look.capital:.3g} of {look.alarm_at:.3g}" if look else "–",
            )
        )
    return Table(
        (
            "calls",
            "act",
            "answered by the student",
            "wrong among those",
            "audits wrong so far",
            "interval at any time",
            "capital of the alarm",
        ),
        tuple(rows),
    )
