"""Routes: things change hands in swaps, and one asks where they are in the end.

The answer cannot be had without the states in between. The chain writes the whole state after each
swap, so that every step can be copied from the one just before it.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from limbeck.capture.sandbox.tasks import Item, SandboxTask, Slip
from limbeck.capture.sandbox.wording import Wording, bank, pick, read
from limbeck.errors import ConfigError, DataError
from limbeck.types import AnswerForm

OBJECTS = ("book", "drum", "kite", "lamp", "ring", "vase")
PEOPLE = ("ann", "bob", "cat", "dan", "eve", "fay", "gus", "hal", "ian", "joy")
HELD_OUT_PEOPLE = ("kim", "leo", "may", "ned", "oli", "pam")

INSTRUCTION = f"""\
People hold things and swap them. Follow the swaps in order and say what the person asked about has
in the end. First write who has what. Then, for every swap, write on a line of its own who swaps and
who has what after it, as in "ann bob: ann lamp, bob ring." At the end write "Answer: " and one of
{", ".join(OBJECTS)}."""

HOLDS = bank("holds", ["{a} has a {thing}"], ["a {thing} is with {a}"])
SWAP = bank(
    "swap",
    ["{a} and {b} swap", "{a} trades with {b}", "{a} switches with {b}"],
    ["a swap of {a} and {b}", "then {a} and {b} trade"],
)
ASIDE = bank(
    "aside",
    [
        "{a} waves to {b}",
        "{a} and {b} talk",
        "{a} looks at the {thing}",
        "{a} shows {b} the {thing}",
    ],
)
"""Sentences in which nothing changes hands; never in training."""
QUESTION = bank("question", ["what does {a} have"], ["what is with {a}"])

_KNOWN = (*HOLDS, *SWAP, *ASIDE, *QUESTION)


@dataclass(frozen=True)
class RoutesKnobs:
    """`people` hold one thing each; `min_swaps` to `max_swaps` swaps; at least `depth` of them bear
    on the thing that is asked for, so that the last swaps alone do not give it away.
    """

    people: int = 4
    min_swaps: int = 4
    max_swaps: int = 4
    depth: int = 2

    def __post_init__(self) -> None:
        if not 3 <= self.people <= len(OBJECTS):
            raise ConfigError(f"people is {self.people!r}; wanted 3 to {len(OBJECTS)}")
        if not 2 <= self.min_swaps <= self.max_swaps:
            raise ConfigError(
                f"min_swaps is {self.min_swaps!r} and max_swaps {self.max_swaps!r}; "
                "wanted 2 <= min_swaps <= max_swaps"
            )
        if not 0 <= self.depth <= self.min_swaps:
            raise ConfigError(f"depth is {self.depth!r}; wanted 0 to min_swaps, {self.min_swaps!r}")


State = dict[str, str]
"""Who holds what, in the order in which the text names the people."""
Pair = tuple[str, str]


@dataclass(frozen=True)
class Story:
    start: State
    swaps: tuple[Pair, ...]
    asked: str


def swapped(state: State, pair: Pair) -> State:
    a, b = pair
    return {**state, a: state[b], b: state[a]}


def states(story: Story) -> list[State]:
    """The state at the start and after each swap."""
    found = [story.start]
    for pair in story.swaps:
        found.append(swapped(found[-1], pair))
    return found


def depth(story: Story) -> int:
    """How many swaps the thing asked for went through."""
    holder, count = story.asked, 0
    for a, b in reversed(story.swaps):
        if holder in (a, b):
            holder, count = (b if holder == a else a), count + 1
    return count


def _line(state: State) -> str:
    return ", ".join(f"{person} {thing}" for person, thing in state.items()) + "."


def _chain(story: Story, found: list[State]) -> tuple[str, ...]:
    swaps = [
        f"{a} {b}: {_line(state)}" for (a, b), state in zip(story.swaps, found[1:], strict=True)
    ]
    return (_line(found[0]), *swaps, f"{story.asked} has {found[-1][story.asked]}.")


# ---- writing ------------------------------------------------------------------------------------


def write(rng: random.Random, knobs: RoutesKnobs, shift: str | None) -> Item:
    """One story of swaps; the same pair never swaps twice in a row, since that undoes itself."""
    story = _draw(rng, knobs, shift)
    while depth(story) < knobs.depth:
        story = _draw(rng, knobs, shift)
    held_out = shift == "unseen-wording"
    holds = [
        pick(rng, HOLDS, held_out).say(rng, {"a": person, "thing": thing})
        for person, thing in story.start.items()
    ]
    wordings = [pick(rng, SWAP, held_out) for _ in story.swaps]
    events = [w.say(rng, {"a": a, "b": b}) for w, (a, b) in zip(wordings, story.swaps, strict=True)]
    if shift == "distractor":
        a, b = rng.sample(list(story.start), 2)
        aside = rng.choice(ASIDE).say(rng, {"a": a, "b": b, "thing": story.start[a]})
        events.insert(rng.randint(0, len(events)), aside)
    question = pick(rng, QUESTION, held_out).say(rng, {"a": story.asked})
    sentences = [f"{', '.join(holds)}.", *(f"{event}." for event in events)]
    sentences.insert(0 if shift == "reordered" else len(sentences), f"{question}?")
    return _item(" ".join(sentences), story, wordings)


def _draw(rng: random.Random, knobs: RoutesKnobs, shift: str | None) -> Story:
    known = HELD_OUT_PEOPLE if shift == "unseen-entities" else PEOPLE
    people = rng.sample(known, knobs.people)
    things = rng.sample(OBJECTS, knobs.people)
    count = rng.randint(knobs.min_swaps, knobs.max_swaps)
    if shift == "one-more-step":
        count = knobs.max_swaps + 1
    swaps: list[Pair] = []
    for _ in range(count):
        a, b = rng.sample(people, 2)
        while swaps and {a, b} == set(swaps[-1]):
            a, b = rng.sample(people, 2)
        swaps.append((a, b))
    return Story(dict(zip(people, things, strict=True)), tuple(swaps), rng.choice(people))


def _item(text: str, story: Story, wordings: list[Wording]) -> Item:
    found = states(story)
    meta: dict[str, Any] = {
        "steps": len(story.swaps),
        "people": len(story.start),
        "depth": depth(story),
    }
    group = "-".join(w.id for w in wordings)
    return Item(text, found[-1][story.asked], _chain(story, found), OBJECTS, group, meta)


# ---- reading ------------------------------------------------------------------------------------

_PIECE = re.compile(r"[^.,?]+[.,?]")


def solve(text: str) -> Item:
    """The item that `text` asks about, from the text alone; raises DataError if it is not one."""
    story, wordings = _read(text)
    return _item(text, story, wordings)


def _read(text: str) -> tuple[Story, list[Wording]]:
    start: State = {}
    swaps: list[Pair] = []
    wordings: list[Wording] = []
    asked: list[str] = []
    for piece in (p.strip() for p in _PIECE.findall(text)):
        found = read(piece[:-1], _KNOWN)
        if found is None:
            raise DataError(f"cannot read {piece[:80]!r} in the story {text[:80]!r}")
        wording, slots = found
        match wording.meaning:
            case "holds":
                start[slots["a"]] = slots["thing"]
            case "swap":
                swaps.append((slots["a"], slots["b"]))
                wordings.append(wording)
            case "question":
                asked.append(slots["a"])
    if foreign := [thing for thing in start.values() if thing not in OBJECTS]:
        raise DataError(
            f"got the thing {foreign[0]!r} in {text[:80]!r}; wanted {', '.join(OBJECTS)}"
        )
    people = {*asked, *(person for pair in swaps for person in pair)}
    if len(asked) != 1 or not swaps or not people <= set(start):
        raise DataError(
            f"got {len(asked)} questions, {len(swaps)} swaps and the holders {list(start)!r} in "
            f"{text[:80]!r}; wanted one question, at least one swap, and a thing for everyone named"
        )
    return Story(start, tuple(swaps), asked[0]), wordings


# ---- going wrong --------------------------------------------------------------------------------


def slip(item: Item, rng: random.Random, keep_answer: bool) -> Slip:
    """A chain with one false state, carried on to a wrong answer, or silently put right again."""
    story, _ = _read(item.input)
    right = states(story)
    candidates = list(_wrong_states(story, right))
    rng.shuffle(candidates)
    for i, state in candidates:
        # Step 0 of the chain is the start, so that swap i is told in step i + 1.
        if keep_answer:
            found = [*right[: i + 1], state, *right[i + 2 :]]
            # The last state says the answer: a false one there could be a contradiction.
            if found[-1][story.asked] == item.truth:
                return Slip(_chain(story, found), item.truth, i + 1, "state")
            continue
        rest = Story(state, story.swaps[i + 1 :], story.asked)
        found = [*right[: i + 1], *states(rest)]
        if found[-1][story.asked] != item.truth:
            return Slip(_chain(story, found), found[-1][story.asked], i + 1, "state")
    raise AssertionError(f"no slip for {item.input!r}")


def _wrong_states(story: Story, right: list[State]) -> Iterator[tuple[int, State]]:
    """For each swap, what one writes who swaps other hands than those named."""
    for i, pair in enumerate(story.swaps):
        yield i, right[i]
        for other in combinations(story.start, 2):
            if set(other) != set(pair):
                yield i, swapped(right[i], other)


SANDBOX = SandboxTask(
    name="routes",
    instruction=INSTRUCTION,
    answer=AnswerForm(kind="choice", choices=OBJECTS),
    shifts=("unseen-wording", "unseen-entities", "one-more-step", "distractor", "reordered"),
    knobs=RoutesKnobs(),
    write=write,
    solve=solve,
    slip=slip,
)
