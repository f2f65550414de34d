"""Ledger: a running balance through several dependent steps, every step written as an equation.

Nothing but the chain of sums leads to the answer, and each sum needs only the one before and one
number of the text. Each entry has its day, and the chain names it: without that a small student
learns the sums and still loses its place in the text.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass, replace
from typing import Any

from limbeck.capture.sandbox.tasks import Item, SandboxTask, Slip
from limbeck.capture.sandbox.wording import Wording, bank, pick, read
from limbeck.errors import ConfigError, DataError
from limbeck.types import AnswerForm

INSTRUCTION = """\
Work out how many things the person asked about has in the end. Only what that person has, gains or
loses counts. Write every step as its day and one equation on its own line, such as mon: 12 + 7 = 19
(use * 2 for doubling and / 2 for halving). Then write "Answer: " and the number."""

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
NAMES = ("ann", "ben", "cara", "dan", "eva", "finn", "gina", "hugo", "iris", "jack", "kate", "liam")
HELD_OUT_NAMES = ("rosa", "sam", "tina", "uwe", "vera", "walt")
THINGS = ("apples", "beads", "books", "cards", "coins", "eggs", "nuts", "pens", "shells", "stamps")
HELD_OUT_THINGS = ("badges", "keys", "marbles", "plums")

START = bank(
    "start",
    ["{name} has {n} {things}", "{name} starts with {n} {things}", "{name} owns {n} {things}"],
    ["{name} has {n} {things} to start with", "to start with {name} owns {n} {things}"],
)
START_LAST = bank("start", ["at first {name} had {n} {things}", "{name} had {n} {things} at first"])
"""Where the starting balance stands after what happened to it; never in training."""

GAIN = bank(
    "+",
    [
        "{name} (finds|buys|gets|wins) {n} more",
        "{name} (finds|buys|gets|wins) {n} {things}",
        "then {name} (finds|buys|gets) {n}",
    ],
    ["{n} more {things} go to {name}", "then {n} {things} are (found|won) by {name}"],
)
LOSS = bank(
    "-",
    [
        "{name} (loses|sells|drops) {n}",
        "{name} (loses|sells|drops) {n} {things}",
        "then {name} (loses|sells) {n}",
    ],
    ["{n} {things} of {name} are (sold|lost)", "then {n} are (sold|lost) by {name}"],
)
GIVE = bank(
    "give",
    ["{giver} gives {taker} {n}", "{giver} gives {n} {things} to {taker}"],
    ["{taker} gets {n} {things} from {giver}", "{n} {things} go from {giver} to {taker}"],
)
"""A gain for one and a loss for the other: which of them is asked about decides."""
DOUBLE = bank("*", ["{name} doubles the {things}", "then {name} doubles them"])
HALVE = bank("/", ["{name} halves the {things}", "then {name} loses half of them"])
QUESTION = bank(
    "question",
    ["how many {things} does {name} have (now|left|in the end)"],
    ["what number of {things} does {name} have (now|left)"],
)

_BANKS = {"+": (*GAIN, *GIVE), "-": (*LOSS, *GIVE), "*": DOUBLE, "/": HALVE}
_KNOWN = (*START, *START_LAST, *GAIN, *LOSS, *GIVE, *DOUBLE, *HALVE, *QUESTION)
_GROUPED = 3
"""So many wordings make the group: more would make every text its own group."""


@dataclass(frozen=True)
class LedgerKnobs:
    """`min_steps` to `max_steps` dependent sums; balances from 0 to `top`; no gain or loss above
    `amount`; `scale` is the share of steps that double or halve, where the balance allows it.
    """

    min_steps: int = 2
    max_steps: int = 6
    top: int = 49
    amount: int = 9
    scale: float = 0.0

    def __post_init__(self) -> None:
        if not 2 <= self.min_steps <= self.max_steps:
            raise ConfigError(
                f"min_steps is {self.min_steps!r} and max_steps {self.max_steps!r}; "
                "wanted 2 <= min_steps <= max_steps"
            )
        if self.max_steps >= len(DAYS):
            raise ConfigError(
                f"max_steps is {self.max_steps!r}; wanted at most {len(DAYS) - 1}, since every step "
                "has its day and a shifted set has one step more"
            )
        if not (self.top >= 4 and self.amount >= 1 and 0 <= self.scale <= 1):
            raise ConfigError(
                f"top is {self.top!r}, amount {self.amount!r} and scale {self.scale!r}; "
                "wanted top >= 4, amount >= 1 and a scale from 0 to 1"
            )


@dataclass(frozen=True)
class Step:
    """One sum: `sign` is one of + - * /, and the balance stays a whole number of at least 0."""

    sign: str
    n: int
    day: str = ""

    def after(self, balance: int) -> int | None:
        """The new balance; None where it would be negative or broken."""
        match self.sign:
            case "+":
                return balance + self.n
            case "-":
                return balance - self.n if self.n <= balance else None
            case "*":
                return balance * self.n
            case _:
                return balance // self.n if balance % self.n == 0 else None


def work(
    start: int, steps: tuple[Step, ...], off: tuple[int, int] | None = None
) -> list[int] | None:
    """The balances from the start on; `off` = (index, error) makes that sum wrong and goes on from
    there. None where a balance would be negative or broken.
    """
    balances = [start]
    for i, step in enumerate(steps):
        balance = step.after(balances[-1])
        if balance is not None and off is not None and off[0] == i:
            balance += off[1]
        if balance is None or balance < 0:
            return None
        balances.append(balance)
    return balances


def _chain(balances: list[int], steps: tuple[Step, ...]) -> tuple[str, ...]:
    return tuple(
        f"{step.day}: {before} {step.sign} {step.n} = {after}"
        for before, step, after in zip(balances, steps, balances[1:], strict=False)
    )


# ---- writing ------------------------------------------------------------------------------------


def write(rng: random.Random, knobs: LedgerKnobs, shift: str | None) -> Item:
    """One word problem; without scaling, balances are spread evenly over their range."""
    count = rng.randint(knobs.min_steps, knobs.max_steps)
    if shift == "one-more-step":
        count = knobs.max_steps + 1
    start = rng.randint(1, knobs.top)
    drawn = _draw_steps(rng, knobs, start, count)
    steps = tuple(replace(step, day=day) for step, day in zip(drawn, DAYS, strict=False))

    unseen = shift == "unseen-entities"
    held_out = shift == "unseen-wording"
    name, other, third = rng.sample(HELD_OUT_NAMES if unseen else NAMES, 3)
    slots = {"name": name, "things": rng.choice(HELD_OUT_THINGS if unseen else THINGS)}
    said: list[tuple[str, Wording, dict[str, object]]] = []
    for step in steps:
        wording = pick(rng, _BANKS[step.sign], held_out and step.sign in "+-")
        giver, taker = (other, name) if step.sign == "+" else (name, other)
        filled = {**slots, "giver": giver, "taker": taker, "n": step.n}
        said.append((f"{step.day}: ", wording, filled))
    opening = pick(rng, START_LAST if shift == "reordered" else START, held_out)
    said.insert(len(said) if shift == "reordered" else 0, ("", opening, {**slots, "n": start}))
    group = _group([wording for _, wording, _ in said])
    if shift == "distractor":
        # Somebody else's ledger, in the same words.
        theirs = {**slots, "name": third, "n": rng.randint(1, knobs.top)}
        said.insert(rng.randint(1, len(said)), ("", pick(rng, START), theirs))
    sentences = [f"{day}{wording.say(rng, filled)}." for day, wording, filled in said]
    question = pick(rng, QUESTION, held_out).say(rng, slots)
    return _item(" ".join([*sentences, f"{question}?"]), start, steps, group)


def _group(wordings: list[Wording]) -> str:
    return "-".join(wording.id for wording in wordings[:_GROUPED])


def _draw_steps(
    rng: random.Random, knobs: LedgerKnobs, balance: int, count: int
) -> tuple[Step, ...]:
    steps: list[Step] = []
    for _ in range(count):
        step = _draw_step(rng, knobs, balance)
        after = step.after(balance)
        assert after is not None, f"{step} from {balance}"
        balance = after
        steps.append(step)
    return tuple(steps)


def _draw_step(rng: random.Random, knobs: LedgerKnobs, balance: int) -> Step:
    if rng.random() < knobs.scale:
        scaling = [Step("*", 2)] if 0 < balance * 2 <= knobs.top else []
        if balance and balance % 2 == 0:
            scaling.append(Step("/", 2))
        if scaling:
            return rng.choice(scaling)
    low, high = max(0, balance - knobs.amount), min(knobs.top, balance + knobs.amount)
    target = rng.choice([x for x in range(low, high + 1) if x != balance])
    return Step("+", target - balance) if target > balance else Step("-", balance - target)


def _item(text: str, start: int, steps: tuple[Step, ...], group: str) -> Item:
    balances = work(start, steps)
    if balances is None:
        raise DataError(f"a balance falls below zero or breaks in two in {text[:80]!r}")
    meta: dict[str, Any] = {
        "steps": len(steps),
        "largest": max(balances),
        "scaled": sum(step.sign in "*/" for step in steps),
    }
    return Item(text, str(balances[-1]), _chain(balances, steps), (), group, meta)


# ---- reading ------------------------------------------------------------------------------------

_SENTENCE = re.compile(r"[^.?]+[.?]")


def solve(text: str) -> Item:
    """The item that `text` asks about, from the text alone; raises DataError if it is not one."""
    start, steps, group = _read(text)
    return _item(text, start, steps, group)


def _read(text: str) -> tuple[int, tuple[Step, ...], str]:
    said: list[tuple[str, Wording, dict[str, str]]] = []
    for sentence in (s.strip() for s in _SENTENCE.findall(text)):
        day, colon, entry = sentence.partition(": ")
        found = read(entry[:-1] if colon else sentence[:-1], _KNOWN)
        dated = bool(colon) and day in DAYS
        if found is None or dated == (found[0].meaning in ("start", "question")):
            raise DataError(
                f"cannot read the sentence {sentence[:80]!r} of the word problem {text[:80]!r}"
            )
        said.append((day, *found))
    asked = [slots["name"] for _, wording, slots in said if wording.meaning == "question"]
    if len(asked) != 1:
        raise DataError(f"got {len(asked)} questions in {text[:80]!r}; wanted one 'how many ...?'")
    starts: list[int] = []
    steps: list[Step] = []
    used: list[Wording] = []
    for day, wording, slots in said:
        sign = _sign(wording, slots, asked[0])
        if sign is None:
            continue
        used.append(wording)
        if wording.meaning == "start":
            starts.append(int(slots["n"]))
        else:
            steps.append(Step(sign, int(slots.get("n", 2)), day))
    if len(starts) != 1 or not steps:
        raise DataError(
            f"got {len(starts)} starting balances and {len(steps)} steps of {asked[0]!r} in "
            f"{text[:80]!r}; wanted one balance and at least one step"
        )
    return starts[0], tuple(steps), _group(used)


def _sign(wording: Wording, slots: dict[str, str], asked: str) -> str | None:
    """What the sentence does to the balance of the person asked about; None where it is nothing."""
    if wording.meaning == "question":
        return None
    if wording.meaning == "give":
        return "-" if asked == slots["giver"] else "+" if asked == slots["taker"] else None
    return wording.meaning if asked == slots["name"] else None


# ---- going wrong --------------------------------------------------------------------------------

_ERRORS = (-20, -10, -9, -2, -1, 1, 2, 9, 10, 20)


def slip(item: Item, rng: random.Random, keep_answer: bool) -> Slip:
    """A chain with one false sum, carried on to a wrong answer, or silently put right again."""
    start, steps, _ = _read(item.input)
    candidates = [(i, error) for i in range(len(steps)) for error in _ERRORS]
    rng.shuffle(candidates)
    for i, error in candidates:
        if keep_answer:
            right = int(item.steps[i].rpartition(" ")[2])
            # The last sum says the answer: a false one there would be a contradiction.
            if (i < len(steps) - 1 or len(steps) == 1) and right + error >= 0:
                wrong = re.sub(r"[0-9]+$", str(right + error), item.steps[i])
                chain = (*item.steps[:i], wrong, *item.steps[i + 1 :])
                return Slip(chain, item.truth, i, "arithmetic")
            continue
        balances = work(start, steps, off=(i, error))
        if balances is not None and str(balances[-1]) != item.truth:
            return Slip(_chain(balances, steps), str(balances[-1]), i, "arithmetic")
    raise AssertionError(f"no slip for {item.input!r}")


SANDBOX = SandboxTask(
    name="ledger",
    instruction=INSTRUCTION,
    answer=AnswerForm(kind="number"),
    shifts=("unseen-wording", "unseen-entities", "one-more-step", "distractor", "reordered"),
    knobs=LedgerKnobs(),
    write=write,
    solve=solve,
    slip=slip,
)
