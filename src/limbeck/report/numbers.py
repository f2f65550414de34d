"""How numbers are written for people, the same on the page, in Markdown and in figures."""

from __future__ import annotations

from limbeck.evaluate.intervals import Interval


def count(number: int) -> str:
    return f"{number:,}"


def percent(share: float) -> str:
    """A share as a percentage with one decimal."""
    return f"{share:.1%}"


def level(share: float) -> str:
    """A promised or chosen share, which is round where a measured one is not: `5%`, `12.5%`."""
    return f"{share * 100:.4g}%"


def span(interval: Interval) -> str:
    """An interval of a share."""
    return f"[{interval.low:.1%}, {interval.high:.1%}]"


def points(difference: float) -> str:
    """A difference of two shares, in percentage points, always with its sign."""
    return f"{_signed(difference)} points"


def points_span(interval: Interval) -> str:
    return f"[{_signed(interval.low)}, {_signed(interval.high)}]"


def usd(amount: float) -> str:
    """Cents from a dollar up, and three significant digits below, where cents would say nothing."""
    if abs(amount) >= 1000:
        return f"${amount:,.0f}"
    if abs(amount) >= 0.995:
        return f"${amount:,.2f}"
    if amount == 0:
        return "$0"
    if abs(amount) < 1e-6:
        return "less than $0.000001"
    digits = 2
    while abs(amount) < 10 ** -(digits - 2) and digits < 9:
        digits += 1
    return f"${amount:.{digits}f}"


def per_thousand(amount: float, calls: int) -> str:
    """What 1,000 calls cost at this rate; USD."""
    return usd(1000 * amount / calls) if calls else "unknown"


def duration(seconds: float) -> str:
    """Milliseconds below one second, then seconds, minutes and hours."""
    if seconds < 0.0095:
        return f"{seconds * 1000:.2g} ms"
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600:,} h {whole % 3600 // 60:02d} min"


def p_value(value: float) -> str:
    return "p < 0.0001" if value < 0.0001 else f"p = {value:.2g}"


def million(number: int) -> str:
    """A number of parameters: `940k`, `1.3M`, `7.6B`."""
    for size, unit in ((10**9, "B"), (10**6, "M"), (10**3, "k")):
        if number >= size:
            return f"{number / size:.3g}{unit}"
    return str(number)


def plain(name: str) -> str:
    """A name from the code as words."""
    return name.replace("_", " ")


def _signed(difference: float) -> str:
    # Rounded first, so that a difference too small to be shown carries no sign of its own.
    return f"{round(difference * 100, 1) + 0.0:+.1f}"
