"""The refund policy: thresholds that add up from several facts, and the chain that applies them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

LABELS = ("full_refund", "partial_refund", "store_credit", "exchange", "deny")

WINDOW, MEMBER_DAYS, DAMAGED_DAYS, OPENED_ELECTRONICS_DAYS = 30, 15, 10, -10
GRACE = 15
LIMIT, MEMBER_LIMIT, DAMAGED_LIMIT = 100, 50, 30


@dataclass(frozen=True)
class Facts:
    """What decides a request. Price in euros, days since delivery."""

    item: str
    electronics: bool
    kind: str
    price: int
    days: int
    member: bool
    opened: bool
    damaged: bool
    new: bool

    @property
    def window_terms(self) -> tuple[int, ...]:
        return tuple(
            days
            for applies, days in (
                (True, WINDOW),
                (self.member, MEMBER_DAYS),
                (self.damaged, DAMAGED_DAYS),
                (self.opened and self.electronics, OPENED_ELECTRONICS_DAYS),
            )
            if applies
        )

    @property
    def limit_terms(self) -> tuple[int, ...]:
        member = (MEMBER_LIMIT,) if self.member else ()
        return (LIMIT, *member, *((DAMAGED_LIMIT,) if self.damaged else ()))


def work(
    facts: Facts, off: Mapping[str, int] | None = None, misjudge: str | None = None
) -> tuple[tuple[str, ...], str]:
    """The chain and the label. `off` adds an error to a sum; `misjudge` inverts a comparison."""
    off = off or {}

    def fits(name: str, value: int, bound: int) -> bool:
        return (value <= bound) != (name == misjudge)

    def compare(shown: str, name: str, value: int, bound: int, words: tuple[str, str]) -> str:
        fit = fits(name, value, bound)
        return f"{shown} {value} {'<=' if fit else '>'} {bound}, {words[0] if fit else words[1]}."

    def ends(label: str) -> tuple[tuple[str, ...], str]:
        return (*steps, f"so {label}."), label

    window = sum(facts.window_terms) + off.get("window", 0)
    steps = [
        f"member {yes_no(facts.member)}, electronics {yes_no(facts.electronics)}, "
        f"opened {yes_no(facts.opened)}, damaged {yes_no(facts.damaged)}, "
        f"wants {'new' if facts.new else 'money'}.",
        _sum("window", facts.window_terms, window),
        compare("days", "days", facts.days, window, ("in time", "late")),
    ]
    if not fits("days", facts.days, window):
        grace = window + GRACE + off.get("grace", 0)
        steps.append(_sum("grace", (window, GRACE), grace))
        steps.append(compare("days", "grace", facts.days, grace, ("a little", "too late")))
        return ends("store_credit" if fits("grace", facts.days, grace) else "deny")
    if facts.new:
        limit = sum(facts.limit_terms) + off.get("limit", 0)
        steps.append(_sum("limit", facts.limit_terms, limit))
        steps.append(compare("price", "price", facts.price, limit, ("fits", "too much")))
        if fits("price", facts.price, limit):
            return ends("exchange")
    return ends("full_refund" if facts.damaged or not facts.opened else "partial_refund")


def _sum(name: str, terms: tuple[int, ...], total: int) -> str:
    if len(terms) == 1:
        return f"{name} {total}."
    written = "".join(f" {'-' if t < 0 else '+'} {abs(t)}" for t in terms[1:])
    return f"{name} {terms[0]}{written} = {total}."


def yes_no(fact: bool) -> str:
    return "yes" if fact else "no"
