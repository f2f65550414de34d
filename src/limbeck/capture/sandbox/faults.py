"""How the simulated teacher goes wrong: in known ways, at set rates, and the same way every time.

The truth about each reply is kept apart from its text, so that what curation finds can be measured.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args

from pydantic import Field, model_validator

from limbeck.capture.sandbox.tasks import Item, SandboxTask, render, reply_text
from limbeck.errors import ConfigError
from limbeck.types import Noun

Fault = Literal[
    "wrong_step_wrong_answer",
    "wrong_step_right_answer",
    "loop",
    "cut_off",
    "nonsense",
    "contradiction",
    "missing_answer",
    "refusal",
]
FAULTS: tuple[Fault, ...] = get_args(Fault)

Trouble = Literal["http_429", "http_529", "slow"]
StopReason = Literal["end_turn", "max_tokens", "refusal"]

Rate = Annotated[float, Field(ge=0, le=1)]


class FaultRates(Noun):
    """Shares of the calls that go wrong in each way; at most one fault of the chain a call.

    `slow`, `http_429` and `http_529` come on top, at each attempt. Seconds: `slow_seconds` is what
    a slow reply waits, `retry_after_seconds` what a 429 asks the caller to wait.
    """

    wrong_step_wrong_answer: Rate = 0.08
    wrong_step_right_answer: Rate = 0.04
    loop: Rate = 0.03
    cut_off: Rate = 0.04
    nonsense: Rate = 0.02
    contradiction: Rate = 0.04
    missing_answer: Rate = 0.03
    refusal: Rate = 0.02
    slow: Rate = 0.01
    slow_seconds: Annotated[float, Field(ge=0)] = 0.5
    http_429: Rate = 0.02
    http_529: Rate = 0.01
    retry_after_seconds: Annotated[float, Field(ge=0)] = 0.1

    @model_validator(mode="after")
    def _shares_of_one(self) -> FaultRates:
        # Rounding may lift a sum of scaled rates a hair above 1.
        if self.total > 1 + 1e-9 or self.http_429 + self.http_529 + self.slow > 1 + 1e-9:
            raise ValueError(
                f"fault rates add up to {self.total:g} and those of troubles to "
                f"{self.http_429 + self.http_529 + self.slow:g}; wanted at most 1 each"
            )
        return self

    @property
    def total(self) -> float:
        """The share of calls whose chain goes wrong."""
        return sum(self.rate(fault) for fault in FAULTS)

    def rate(self, fault: Fault) -> float:
        return float(getattr(self, fault))

    @classmethod
    def of_total(cls, total: float) -> FaultRates:
        """The default rates, scaled so that a share of `total` of the chains goes wrong."""
        if not 0 <= total <= 1:
            raise ConfigError(f"the total fault rate is {total!r}; wanted a share from 0 to 1")
        default = cls()
        scale = total / default.total
        return default.model_copy(update={f: default.rate(f) * scale for f in FAULTS})

    @classmethod
    def none(cls) -> FaultRates:
        """A teacher that is always right and always there."""
        return cls.of_total(0).model_copy(update={"slow": 0.0, "http_429": 0.0, "http_529": 0.0})


@dataclass(frozen=True)
class Reply:
    """A reply and the truth about it.

    `answer` is what the text gives as its answer, None where it gives none. `step` is the index of
    the wrong step and `detail` says in words what was done; both only where there is one to tell.
    """

    text: str
    stop_reason: StopReason
    fault: Fault | None
    answer: str | None
    correct: bool
    step: int | None = None
    detail: str = ""


# ---- drawing ------------------------------------------------------------------------------------


def draw(rates: FaultRates, key: str, seed: int) -> Fault | None:
    """The fault of the call named `key`: the same question has the same one on every run."""
    at = _share("fault", key, seed)
    for fault in FAULTS:
        at -= rates.rate(fault)
        if at < 0:
            return fault
    return None


def draw_trouble(rates: FaultRates, key: str, seed: int, attempt: int = 0) -> Trouble | None:
    """What goes wrong on the way. Each attempt (from 0) is a draw of its own: retries succeed."""
    at = _share(f"trouble/{attempt}", key, seed)
    shares: tuple[tuple[Trouble, float], ...] = (
        ("http_429", rates.http_429),
        ("http_529", rates.http_529),
        ("slow", rates.slow),
    )
    for trouble, share in shares:
        at -= share
        if at < 0:
            return trouble
    return None


def rng_of(key: str, seed: int) -> random.Random:
    """The source of chance for spoiling the call named `key`."""
    return random.Random(f"spoil/{seed}/{key}")


def _share(what: str, key: str, seed: int) -> float:
    digest = hashlib.sha256(f"{what}/{seed}/{key}".encode("utf-8", "surrogatepass")).digest()
    # 53 bits are what a float holds, so that the share stays below 1.
    return (int.from_bytes(digest[:8], "big") >> 11) / 2**53


# ---- spoiling -----------------------------------------------------------------------------------


def spoil(item: Item, fault: Fault | None, rng: random.Random, task: SandboxTask[Any]) -> Reply:
    """The teacher's reply to `item` with that fault, or the clean one where `fault` is None.

    A loop and a nonsense chain end on the right answer: those are the ones that a check of the
    answer lets through. Raises ConfigError on a fault that there is not.
    """
    if fault is None:
        return Reply(render(item), "end_turn", None, item.truth, True)
    if fault not in _SPOILERS:
        raise ConfigError(f"no fault {fault!r}; wanted one of {', '.join(FAULTS)}")
    return _SPOILERS[fault](item, rng, task)


def _wrong_step_wrong_answer(item: Item, rng: random.Random, task: SandboxTask[Any]) -> Reply:
    slip = task.slip(item, rng, False)
    text = reply_text(slip.steps, slip.answer)
    return Reply(
        text, "end_turn", "wrong_step_wrong_answer", slip.answer, False, slip.step, slip.kind
    )


def _wrong_step_right_answer(item: Item, rng: random.Random, task: SandboxTask[Any]) -> Reply:
    slip = task.slip(item, rng, True)
    text = reply_text(slip.steps, slip.answer)
    return Reply(
        text, "end_turn", "wrong_step_right_answer", slip.answer, True, slip.step, slip.kind
    )


def _loop(item: Item, rng: random.Random, _: SandboxTask[Any]) -> Reply:
    at, times = rng.randrange(len(item.steps)), rng.randint(8, 20)
    steps = (*item.steps[:at], *[item.steps[at]] * times, *item.steps[at + 1 :])
    detail = f"said {times} times"
    return Reply(reply_text(steps, item.truth), "end_turn", "loop", item.truth, True, at, detail)


def _cut_off(item: Item, rng: random.Random, _: SandboxTask[Any]) -> Reply:
    at = rng.randrange(len(item.steps))
    words = item.steps[at].split(" ")
    kept = " ".join(words[: rng.randint(1, len(words) - 1)])
    return Reply("\n".join((*item.steps[:at], kept)), "max_tokens", "cut_off", None, False, at)


_FOREIGN = (
    *("amber", "basalt", "cadence", "drizzle", "ember", "fathom", "gherkin", "hollow", "indigo"),
    *("jigsaw", "krill", "lantern", "mosaic", "nimbus", "orchid", "pebble", "quartz", "rumour"),
    *("sonnet", "thimble", "umber", "velvet", "walrus", "yonder", "zephyr", "glacier", "tundra"),
)


def _nonsense(item: Item, rng: random.Random, _: SandboxTask[Any]) -> Reply:
    own = item.input.split()
    length = max(12, sum(len(step.split()) for step in item.steps))
    words = [rng.choice(_FOREIGN if rng.random() < 0.6 else own) for _ in range(length)]
    return Reply(
        reply_text((" ".join(words) + ".",), item.truth), "end_turn", "nonsense", item.truth, True
    )


def _contradiction(item: Item, rng: random.Random, _: SandboxTask[Any]) -> Reply:
    answer = _another_answer(item, rng)
    detail = f"the chain concludes {item.truth}"
    return Reply(
        reply_text(item.steps, answer), "end_turn", "contradiction", answer, False, detail=detail
    )


def _another_answer(item: Item, rng: random.Random) -> str:
    if item.choices:
        return rng.choice([choice for choice in item.choices if choice != item.truth])
    truth = int(item.truth)
    return str(rng.choice([n for n in range(max(0, truth - 12), truth + 13) if n != truth]))


def _missing_answer(item: Item, _: random.Random, __: SandboxTask[Any]) -> Reply:
    return Reply("\n".join(item.steps), "end_turn", "missing_answer", None, False)


_REFUSALS = (
    "I'm sorry, but I can't help with that request.",
    "I cannot assist with this. Please contact a human agent.",
    "As an AI, I am not able to make this decision.",
    "I'm unable to answer this question.",
)


def _refusal(item: Item, rng: random.Random, _: SandboxTask[Any]) -> Reply:
    # Most refusals are plain text; a provider's own filter says so in the stop reason.
    stop_reason: StopReason = "refusal" if rng.random() < 0.3 else "end_turn"
    return Reply(rng.choice(_REFUSALS), stop_reason, "refusal", None, False)


_SPOILERS: dict[str, Callable[[Item, random.Random, SandboxTask[Any]], Reply]] = {
    "wrong_step_wrong_answer": _wrong_step_wrong_answer,
    "wrong_step_right_answer": _wrong_step_right_answer,
    "loop": _loop,
    "cut_off": _cut_off,
    "nonsense": _nonsense,
    "contradiction": _contradiction,
    "missing_answer": _missing_answer,
    "refusal": _refusal,
}
