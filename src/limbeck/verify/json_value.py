"""JSON in the form of a schema, compared by value and field by field."""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from limbeck.types import AnswerForm, Verdict, canonical_json
from limbeck.verify.wording import fold

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator

_FENCED = re.compile(r"\s*```[ \t]*(?:json)?[ \t]*\n(.*?)\n?\s*```\s*", re.DOTALL | re.IGNORECASE)
_SHOWN = 3
"""Wrong fields that a reason names."""
_LONGEST = 120


def normalize(form: AnswerForm, text: str, choices: tuple[str, ...] = ()) -> str | None:
    """Canonical JSON: sorted keys, no spaces; None where the text is no JSON of the form's schema.

    A code fence around it is left out, and a line break inside a string is taken for one. A key that
    stands twice and `NaN` are no JSON: what they mean would be a guess.
    """
    try:
        value = _read(text)
        return None if _misfit(form, value) else canonical_json(value)
    except (ValueError, RecursionError):
        return None


def judge(form: AnswerForm, answer: str, truth: str, choices: tuple[str, ...] = ()) -> Verdict:
    """1.0 where every field of both says the same; the reason names the fields that do not.

    Texts are equal but for case, spaces, quotes and the punctuation around them, numbers within the
    tolerance of the task. The order of keys does not count, that of a list does.
    """
    found = fault(form, answer)
    if found is not None:
        return Verdict(score=0.0, reason=f"the answer {found}")
    try:
        got, wanted = _read(answer), _read(truth)
    except (ValueError, RecursionError):
        return Verdict(score=0.0, reason="the truth is no JSON")
    if not isinstance(got, dict) or not isinstance(wanted, dict):
        if same(got, wanted, form.tolerance):
            return Verdict(score=1.0, reason=f"{_shown(got)} is right")
        return Verdict(score=0.0, reason=f"{_shown(got)}; right is {_shown(wanted)}")
    names = sorted({*got, *wanted})
    wrong = [name for name in names if not _agree(name, got, wanted, form.tolerance)]
    if not wrong:
        return Verdict(score=1.0, reason=f"all {len(names)} fields are right")
    told = [f"{name} is {_field(got, name)}; right is {_field(wanted, name)}" for name in wrong]
    more = f" | and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
    right = len(names) - len(wrong)
    listed = " | ".join(told[:_SHOWN]) + more
    return Verdict(score=0.0, reason=f"{right} of {len(names)} fields are right: {listed}")


def fault(form: AnswerForm, text: str) -> str | None:
    """Why `text` is not in the form, as the end of a sentence; None where it is."""
    try:
        return _misfit(form, _read(text))
    except RecursionError:
        return "is nested too deeply"
    except ValueError as error:
        return f"is no JSON: {error}"[:_LONGEST]


def same(got: Any, wanted: Any, tolerance: float = 0.0) -> bool:
    """Whether two JSON values say the same; `true` is not 1, and the order of a list counts."""
    if isinstance(got, str) and isinstance(wanted, str):
        return fold(got) == fold(wanted)
    if isinstance(got, bool) or isinstance(wanted, bool):
        return got is wanted
    if isinstance(got, int | float) and isinstance(wanted, int | float):
        return got == wanted or abs(got - wanted) <= tolerance
    if isinstance(got, dict) and isinstance(wanted, dict):
        return got.keys() == wanted.keys() and all(
            same(got[name], wanted[name], tolerance) for name in wanted
        )
    if isinstance(got, list) and isinstance(wanted, list):
        return len(got) == len(wanted) and all(
            same(one, other, tolerance) for one, other in zip(got, wanted, strict=True)
        )
    return bool(got == wanted)


def _agree(name: str, got: dict[str, Any], wanted: dict[str, Any], tolerance: float) -> bool:
    return name in got and name in wanted and same(got[name], wanted[name], tolerance)


def _field(value: dict[str, Any], name: str) -> str:
    return _shown(value[name]) if name in value else "left out"


def _shown(value: Any) -> str:
    text = canonical_json(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _misfit(form: AnswerForm, value: Any) -> str | None:
    """What in `value` is against the schema, and where."""
    if not form.json_schema:
        return None
    errors = _validator(canonical_json(form.json_schema)).iter_errors(value)
    # By place, not in the order of the schema's keywords, so that the same fault is always named.
    first = min(
        errors, key=lambda one: (list(map(str, one.absolute_path)), one.message), default=None
    )
    if first is None:
        return None
    place = ".".join(map(str, first.absolute_path))
    return f"is not of the schema: {f'{place}: ' if place else ''}{first.message[:_LONGEST]}"


@lru_cache(maxsize=16)
def _validator(schema: str) -> Draft202012Validator:
    # Imported on use: only tasks of this kind pay for it. An empty registry fetches nothing.
    from jsonschema import Draft202012Validator
    from referencing import Registry

    return Draft202012Validator(json.loads(schema), registry=Registry())


def _read(text: str) -> Any:
    fenced = _FENCED.fullmatch(text)
    value = json.loads(
        fenced[1] if fenced else text,
        strict=False,
        object_pairs_hook=_once,
        parse_constant=_no_number,
    )
    # A number beyond all bounds is read as infinite, which is no JSON when it is written again.
    canonical_json(value)
    return value


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key stands twice")
    return found


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is no JSON number")
