"""What the answers of a group of replies look like: a choice, a number, JSON or text."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Sequence
from statistics import median
from typing import Any, Literal, NamedTuple

from limbeck.types import AnswerForm, Noun
from limbeck.verify import number

USUAL = 0.8
"""A label, or JSON, counts as the replies' form where so large a share of them has it."""
CLEAR = 0.95
"""So large a share of the answers must be one of the labels, or a number."""
MOST_CHOICES = 30
LABEL_WORDS = 6
FEWEST_REPLIES = 5
RARE = 0.005
"""A label of a smaller share is taken for a slip."""

_THINK = re.compile(r"^\s*<think>.*?</think>", re.DOTALL | re.IGNORECASE)
_FENCED = re.compile(r"^```\w*\n(.*)\n```$", re.DOTALL)
_LABEL = re.compile(r"^[ \t*_#>-]*([A-Za-z][A-Za-z ]{0,30}?)[*_]*:[*_ \t]*(?=\S)", re.MULTILINE)
_SPOKEN = re.compile(r"\b(?:the )?(?:final )?answer is:?\s+", re.IGNORECASE)
_REASONS = re.compile(r"reason|rationale|explan|because|why|thought|justif", re.IGNORECASE)
_NUMBER = AnswerForm(kind="number")


class Label(Noun):
    """One of the answers of a choice, as it is mostly written, and its share of the answers."""

    text: str
    share: float


class FieldGuess(Noun):
    """A key of JSON replies: the kind of its values, and the share of replies that have it."""

    name: str
    kind: Literal["choice", "number", "text", "json"]
    share: float
    labels: tuple[Label, ...] = ()


class FormGuess(Noun):
    """The form of the answers in `replies` replies.

    `share` is the share of replies that have it. `marker` stands before the answer, as most replies
    write it. `entropy_bits` is that of the labels. `characters` is the median length of an answer.
    `native` is the share of replies with a thinking block and `explained` the share with words
    before the answer.
    """

    kind: Literal["choice", "number", "json", "text", "unknown"]
    replies: int
    share: float = 0.0
    marker: str | None = None
    labels: tuple[Label, ...] = ()
    fields: tuple[FieldGuess, ...] = ()
    answer_field: str | None = None
    rationale_field: str | None = None
    entropy_bits: float | None = None
    characters: int = 0
    native: float = 0.0
    explained: float = 0.0


class Said(NamedTuple):
    """A whole reply: its text, and whether it had a thinking block."""

    text: str
    thought: bool


def guess_form(replies: Sequence[Said]) -> FormGuess:
    """The form that the replies have in common. Fewer than five replies have none."""
    texts = [_plain(reply.text) for reply in replies]
    native = _share(reply.thought or bool(_THINK.match(reply.text)) for reply in replies)
    if len(texts) < FEWEST_REPLIES:
        return FormGuess(kind="unknown", replies=len(texts), native=native)
    objects = [found for text in texts if (found := _object(text)) is not None]
    if len(objects) >= USUAL * len(texts):
        form = _json_form(objects, len(texts))
        return form.model_copy(update={"native": native, "characters": _length(texts)})
    marker = _marker(texts)
    divided = [_after(text, marker) for text in texts]
    answers = [answer for _, answer in divided]
    values = _values(answers)
    return FormGuess(
        kind=values.kind,
        replies=len(texts),
        share=values.share,
        marker=marker,
        labels=values.labels,
        entropy_bits=_entropy(values.labels) if values.labels else None,
        characters=_length(answers),
        native=native,
        explained=_share(bool(before.strip()) for before, _ in divided),
    )


def _plain(text: str) -> str:
    return _THINK.sub("", text, count=1).strip()


def _object(text: str) -> dict[str, Any] | None:
    fenced = _FENCED.match(text)
    try:
        read = json.loads(fenced[1] if fenced else text)
    except ValueError:
        return None
    return read if isinstance(read, dict) else None


# ---- labels before the answer -------------------------------------------------------------------


def _marker(texts: Sequence[str]) -> str | None:
    """The words that stand before the answer in most replies: of several, those before a choice or
    number, and of such the last."""
    found: Counter[str] = Counter()
    for text in texts:
        found.update({f"{label[1].strip()}:".lower() for label in _LABEL.finditer(text)})
        if spoken := _SPOKEN.search(text):
            found[spoken[0].strip().lower()] += 1
    usual = [marker for marker, n in found.items() if n >= USUAL * len(texts)]
    if not usual:
        return None
    best = max(usual, key=lambda marker: (*_merit(texts, marker), marker))
    return _as_written(texts, best)


def _merit(texts: Sequence[str], marker: str) -> tuple[bool, bool, float]:
    """How much what follows `marker` looks like the answer."""
    answers = [_after(text, marker)[1] for text in texts]
    places = [text.lower().find(marker) / max(1, len(text)) for text in texts]
    closed = _values(answers).kind in ("choice", "number")
    return closed, not _REASONS.search(marker), sum(places) / len(places)


def _as_written(texts: Sequence[str], marker: str) -> str:
    found: Counter[str] = Counter()
    for text in texts:
        at = text.lower().find(marker)
        if at >= 0:
            found[text[at : at + len(marker)]] += 1
    return found.most_common(1)[0][0]


def _after(text: str, marker: str | None) -> tuple[str, str]:
    """The text before the marker, and the answer after it; without a marker all is the answer."""
    if marker is None:
        return "", text
    found = re.search(re.escape(marker), text, re.IGNORECASE)
    if found is None:
        return text, ""
    after = text[found.end() :].strip(" \t*_")
    return text[: found.start()], after.split("\n", 1)[0].strip()


# ---- the answers --------------------------------------------------------------------------------


class _Values(NamedTuple):
    kind: Literal["choice", "number", "text"]
    share: float
    labels: tuple[Label, ...]


def _values(answers: Sequence[str]) -> _Values:
    """What kind of values they are. A few labels that repeat are a choice, also where they are
    numbers of one digit; other numbers are numbers."""
    labels = _labels(answers)
    numbers = _share(number.normalize(_NUMBER, answer) is not None for answer in answers)
    named = math.fsum(label.share for label in labels)
    grades = all(re.fullmatch(r"\d", label.text) for label in labels)
    if labels and (numbers < CLEAR or (grades and len(labels) <= 5)):
        return _Values("choice", named, labels)
    if numbers >= CLEAR:
        return _Values("number", numbers, ())
    return _Values("text", _share(map(bool, answers)), ())


def _labels(answers: Sequence[str]) -> tuple[Label, ...]:
    """The labels of a choice, the most frequent first; empty where the answers are no choice."""
    written: dict[str, Counter[str]] = {}
    for answer in answers:
        text = answer.strip(" \t\r\n.,;:!\"'`*_()[]")
        written.setdefault(text.casefold(), Counter())[text] += 1
    written.pop("", None)
    total = len(answers)
    kept = [of for of in written.values() if of.total() >= max(2, RARE * total)]
    if not 2 <= len(kept) <= MOST_CHOICES or len(kept) > total / FEWEST_REPLIES:
        return ()
    if sum(of.total() for of in kept) < CLEAR * total:
        return ()
    best = [Label(text=of.most_common(1)[0][0], share=of.total() / total) for of in kept]
    if any(len(label.text.split()) > LABEL_WORDS for label in best):
        return ()
    return tuple(sorted(best, key=lambda label: (-label.share, label.text)))


def _json_form(objects: Sequence[dict[str, Any]], replies: int) -> FormGuess:
    """The keys of the replies and, where one of them alone is a choice or number beside reasons or
    nothing, which of them is the answer."""
    present = Counter(name for one in objects for name in one)
    fields = tuple(
        _field(name, [one[name] for one in objects if name in one], n / replies)
        for name, n in present.items()
        if n >= max(2, RARE * replies)
    )
    reasons = [field.name for field in fields if _REASONS.search(field.name)]
    rest = [field for field in fields if field.name not in reasons]
    answer = rest[0] if len(rest) == 1 and rest[0].kind in ("choice", "number") else None
    return FormGuess(
        kind="json",
        replies=replies,
        share=len(objects) / replies,
        fields=fields,
        answer_field=answer.name if answer else None,
        rationale_field=reasons[0] if reasons else None,
        labels=answer.labels if answer else (),
        entropy_bits=_entropy(answer.labels) if answer and answer.labels else None,
        explained=_share(next(iter(one)) in reasons for one in objects if one),
    )


def _field(name: str, values: Sequence[Any], share: float) -> FieldGuess:
    if any(isinstance(value, list | dict) for value in values):
        return FieldGuess(name=name, kind="json", share=share)
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        return FieldGuess(name=name, kind="number", share=share)
    found = _values([value if isinstance(value, str) else json.dumps(value) for value in values])
    return FieldGuess(name=name, kind=found.kind, share=share, labels=found.labels)


def _entropy(labels: Sequence[Label]) -> float:
    """In bits."""
    return -sum(label.share * math.log2(label.share) for label in labels) or 0.0


def _length(texts: Sequence[str]) -> int:
    return round(median(map(len, texts)))


def _share(values: Any) -> float:
    known = list(values)
    return sum(known) / len(known) if known else 0.0
