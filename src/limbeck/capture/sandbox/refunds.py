"""Refunds: a return request, decided by a written policy whose thresholds add up from facts.

The order line holds item, kind, price, days and membership. Whether the item was opened, whether it
came damaged and what the customer wants stand only in the message, in many wordings. Sums and
comparisons are written out, so that each step can be checked by itself.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from limbeck.capture.sandbox.clauses import (
    CHATTER,
    CLAUSES,
    DISTRACTORS,
    HELD_OUT_ITEMS,
    ITEMS,
    SEPARATORS,
    TURNED,
)
from limbeck.capture.sandbox.refund_policy import (
    DAMAGED_DAYS,
    DAMAGED_LIMIT,
    GRACE,
    LABELS,
    LIMIT,
    MEMBER_DAYS,
    MEMBER_LIMIT,
    OPENED_ELECTRONICS_DAYS,
    WINDOW,
    Facts,
    work,
    yes_no,
)
from limbeck.capture.sandbox.tasks import Item, Later, SandboxTask, Slip
from limbeck.capture.sandbox.wording import Wording, pick, read
from limbeck.errors import ConfigError, DataError
from limbeck.types import AnswerForm

INSTRUCTION = f"""\
You decide return requests of a shop. What the customer does not mention is not so.
1. The return window is {WINDOW} days, {MEMBER_DAYS} more for members, {DAMAGED_DAYS} more if the \
item came damaged, and {-OPENED_ELECTRONICS_DAYS} fewer for electronics that were opened.
2. Delivered longer ago than the window: store_credit if late by at most {GRACE} days, else deny.
3. In time, and the customer wants a new item: exchange if the price is at most {LIMIT}, plus \
{MEMBER_LIMIT} for members, plus {DAMAGED_LIMIT} if it came damaged; if the price is higher, go on.
4. In time otherwise: full_refund if the item came damaged or was not opened, else partial_refund.
Work step by step, one step a line, with every sum written out. Then write "Answer: " and one of \
{", ".join(LABELS)}."""


@dataclass(frozen=True)
class RefundKnobs:
    """`near` is the share of orders within six days of where the window or the grace ends;
    `silence` the share of undamaged items about which the message says nothing; `chatter` the share
    of messages with a clause that decides nothing; `turned` the share of deciding clauses that say a
    thing by what is not so. Shares from 0 to 1; prices in whole euros.
    """

    near: float = 0.5
    silence: float = 0.3
    chatter: float = 0.4
    turned: float = 0.0
    max_price: int = 250
    max_days: int = 75

    def __post_init__(self) -> None:
        for name in ("near", "silence", "chatter", "turned"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"{name} is {getattr(self, name)!r}; wanted a share from 0 to 1")
        if self.max_price < 200 or self.max_days < 70:
            raise ConfigError(
                f"max_price is {self.max_price!r} and max_days {self.max_days!r}; wanted at least "
                "200 and 70, since below that some labels hardly occur"
            )


# ---- writing ------------------------------------------------------------------------------------

_ORDERS = (
    ("opened", "damaged", "wants"),
    ("damaged", "opened", "wants"),
    ("wants", "damaged", "opened"),
)
_REORDERED = (("opened", "wants", "damaged"), ("damaged", "wants", "opened"))
_PLAIN_ATTEMPTS = 10_000


def write(rng: random.Random, knobs: RefundKnobs, shift: str | None) -> Item:
    """One request; the label is drawn first, so that labels are balanced."""
    facts, steps, label = _draw(rng, knobs, shift)
    chosen = _choose_clauses(rng, facts, knobs, shift)
    input_ = _compose(rng, facts, chosen, knobs, shift)
    return _item(
        input_, facts, {name: wording.id for name, wording in chosen.items()}, steps, label
    )


def _draw(
    rng: random.Random, knobs: RefundKnobs, shift: str | None
) -> tuple[Facts, tuple[str, ...], str]:
    # A damaged item is never refunded in part, and "one more step" is about damaged items only.
    labels = [x for x in LABELS if shift != "one-more-step" or x != "partial_refund"]
    wanted = rng.choice(labels)
    for _ in range(_PLAIN_ATTEMPTS):
        facts = _draw_facts(rng, knobs, shift)
        steps, label = work(facts)
        # Training shows sums of at most three terms; four are kept for the shift.
        if label == wanted and (len(facts.window_terms) == 4) is (shift == "one-more-step"):
            return facts, steps, label
    raise DataError(f"no order found with the label {wanted!r}; try other knobs than {knobs!r}")


def _draw_facts(rng: random.Random, knobs: RefundKnobs, shift: str | None) -> Facts:
    item, kind = rng.choice(HELD_OUT_ITEMS if shift == "unseen-entities" else ITEMS)
    facts = Facts(
        item=item,
        kind=kind,
        electronics=kind == "electronics",
        price=rng.randint(5, knobs.max_price),
        days=rng.randint(1, knobs.max_days),
        member=rng.random() < 0.5,
        opened=rng.random() < 0.5,
        damaged=rng.random() < 0.5,
        new=rng.random() < 0.5,
    )
    if rng.random() < knobs.near:
        threshold = sum(facts.window_terms) + rng.choice((0, GRACE))
        return replace(facts, days=threshold + rng.randint(-5, 6))
    return facts


def _choose_clauses(
    rng: random.Random, facts: Facts, knobs: RefundKnobs, shift: str | None
) -> dict[str, Wording]:
    meanings = {
        "opened": "opened" if facts.opened else "sealed",
        "damaged": "damaged" if facts.damaged else "sound",
        "wants": "new" if facts.new else "money",
    }
    if not facts.damaged and rng.random() < knobs.silence:
        del meanings["damaged"]
    return {name: _choose(rng, meaning, knobs, shift) for name, meaning in meanings.items()}


def _choose(rng: random.Random, meaning: str, knobs: RefundKnobs, shift: str | None) -> Wording:
    # Where nothing is turned no chance is spent on it: the same seeds give the same items as before.
    if knobs.turned and rng.random() < knobs.turned:
        return pick(rng, TURNED[meaning])
    return pick(rng, CLAUSES[meaning], held_out=shift == "unseen-wording")


def _compose(
    rng: random.Random,
    facts: Facts,
    chosen: Mapping[str, Wording],
    knobs: RefundKnobs,
    shift: str | None,
) -> str:
    order = rng.choice(_REORDERED if shift == "reordered" else _ORDERS)
    wordings = [chosen[name] for name in order if name in chosen]
    if rng.random() < knobs.chatter:
        wordings.insert(rng.choice((0, len(wordings))), rng.choice(CHATTER))
    if shift == "distractor":
        wordings.insert(rng.randrange(len(wordings) + 1), rng.choice(DISTRACTORS))
    said = [w.say(rng, {"item": facts.item, "n": rng.randint(2, 90)}) for w in wordings]
    message = said[0]
    for clause in said[1:]:
        message += rng.choice(SEPARATORS) + clause
    fields = [
        f"item {facts.item}",
        f"kind {facts.kind}",
        f"price {facts.price}",
        f"days {facts.days}",
        f"member {yes_no(facts.member)}",
    ]
    if shift == "reordered":
        rng.shuffle(fields)
        return f"message: {message}.\norder: {', '.join(fields)}."
    return f"order: {', '.join(fields)}.\nmessage: {message}."


def _item(
    input_: str, facts: Facts, said: Mapping[str, str], steps: tuple[str, ...], label: str
) -> Item:
    group = "-".join(said[name] for name in ("opened", "damaged", "wants") if name in said)
    meta = {
        "steps": len(steps),
        "window_terms": len(facts.window_terms),
        "item": facts.item,
        "margin_days": facts.days - sum(facts.window_terms),
    }
    return Item(input_, label, steps, LABELS, group, meta)


# ---- reading ------------------------------------------------------------------------------------

_SECTION = re.compile(r"(order|message): (.*)\.")
_ALL_CLAUSES = tuple(w for banks in (CLAUSES, TURNED) for bank in banks.values() for w in bank)
_FIELDS = {"item": "[a-z]+", "kind": "[a-z]+", "price": "[0-9]{1,9}", "days": "[0-9]{1,9}"}
_FACT_OF = {
    "opened": "opened",
    "sealed": "opened",
    "damaged": "damaged",
    "sound": "damaged",
    "new": "wants",
    "money": "wants",
}


def solve(text: str) -> Item:
    """The item that `text` asks about, from the text alone; raises DataError if it is not one."""
    facts, said = _read(text)
    steps, label = work(facts)
    return _item(text, facts, said, steps, label)


def _read(text: str) -> tuple[Facts, dict[str, str]]:
    lines = text.strip().split("\n")
    sections = {m[1]: m[2] for line in lines if (m := _SECTION.fullmatch(line.strip()))}
    if len(lines) != 2 or len(sections) != 2:
        raise DataError(
            f"not a return request: got {text[:80]!r}; wanted one line 'order: ...' and one line "
            "'message: ...'"
        )
    fields = _read_order(sections["order"])
    meanings, said = _read_message(sections["message"])
    facts = Facts(
        item=fields["item"],
        kind=fields["kind"],
        electronics=fields["kind"] == "electronics",
        price=int(fields["price"]),
        days=int(fields["days"]),
        member=fields["member"] == "yes",
        opened="opened" in meanings,
        damaged="damaged" in meanings,
        new="new" in meanings,
    )
    return facts, said


def _read_order(line: str) -> dict[str, str]:
    fields: dict[str, str] = {}
    wanted = {**_FIELDS, "member": "yes|no"}
    for field in line.split(", "):
        name, _, value = field.partition(" ")
        if name not in wanted or name in fields or not re.fullmatch(wanted[name], value):
            raise DataError(
                f"cannot read the order field {field[:80]!r}; "
                f"wanted each of {', '.join(wanted)} once"
            )
        fields[name] = value
    if missing := [name for name in wanted if name not in fields]:
        raise DataError(f"the order {line[:80]!r} lacks {', '.join(missing)}")
    return fields


def _read_message(message: str) -> tuple[set[str], dict[str, str]]:
    meanings: set[str] = set()
    said: dict[str, str] = {}
    for clause in re.split("|".join(map(re.escape, SEPARATORS)), message):
        found = read(clause, (*_ALL_CLAUSES, *CHATTER, *DISTRACTORS))
        if found is None:
            raise DataError(
                f"cannot read the clause {clause[:80]!r} of the message {message[:80]!r}"
            )
        wording, _ = found
        if fact := _FACT_OF.get(wording.meaning):
            if said.get(fact, wording.id) != wording.id:
                raise DataError(
                    f"the message {message[:80]!r} speaks twice about the fact {fact!r}"
                )
            meanings.add(wording.meaning)
            said[fact] = wording.id
    return meanings, said


# ---- going wrong --------------------------------------------------------------------------------

_Kind = Literal["arithmetic", "reading", "comparison"]
_ERRORS = (-30, -20, -10, -5, -1, 1, 5, 10, 20, 30)


def slip(item: Item, rng: random.Random, keep_answer: bool) -> Slip:
    """A chain with one wrong step: a false sum, a misread fact or a wrong comparison."""
    facts, _ = _read(item.input)
    kinds: list[_Kind] = ["arithmetic", "reading", "comparison"]
    rng.shuffle(kinds)
    for kind in kinds:
        found = []
        for steps, label in _wrong_chains(facts, kind):
            pairs = zip(steps, item.steps, strict=False)
            wrong = next((i for i, (a, b) in enumerate(pairs) if a != b), None)
            if wrong is not None and (label == item.truth) is keep_answer:
                found.append(Slip(steps, label, wrong, kind))
        if found:
            return rng.choice(found)
    raise AssertionError(f"no slip for {item.input!r}")


def _wrong_chains(facts: Facts, kind: _Kind) -> Iterator[tuple[tuple[str, ...], str]]:
    if kind == "arithmetic":
        # A sum of one term is not written as a sum, so that an error there would be a misreading.
        sums = [("window", len(facts.window_terms) > 1), ("limit", len(facts.limit_terms) > 1)]
        names = [name for name, is_sum in sums if is_sum] + ["grace"]
        yield from (work(facts, off={name: error}) for name in names for error in _ERRORS)
    elif kind == "comparison":
        yield from (work(facts, misjudge=name) for name in ("days", "grace", "price"))
    else:
        yield work(replace(facts, days=facts.days + 1))
        yield work(replace(facts, days=facts.days - 1))
        yield work(replace(facts, member=not facts.member))
        yield work(replace(facts, electronics=not facts.electronics))
        yield work(replace(facts, opened=not facts.opened))
        yield work(replace(facts, damaged=not facts.damaged))
        yield work(replace(facts, new=not facts.new))


SANDBOX = SandboxTask(
    name="refunds",
    instruction=INSTRUCTION,
    answer=AnswerForm(kind="choice", choices=LABELS),
    shifts=("unseen-wording", "unseen-entities", "one-more-step", "distractor", "reordered"),
    knobs=RefundKnobs(),
    write=write,
    solve=solve,
    slip=slip,
    later=Later(
        "customers begin to say a third of what matters by what is not so, as in “it did not come in "
        "one piece”",
        RefundKnobs(turned=0.35),
    ),
)
