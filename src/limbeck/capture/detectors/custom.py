"""What a task names itself: regular expressions, and a function of the user's own."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Iterable
from types import ModuleType
from typing import Any, NamedTuple

from limbeck.errors import ConfigError, MissingExtraError


class Claim(NamedTuple):
    """A place in a text that is to go, and what stands there."""

    start: int
    end: int
    kind: str


FindClaims = Callable[[str], Iterable[Claim]]

_KIND = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,31}")
_SURROGATE = re.compile("[\ud800-\udfff]")


def open_pattern(kind: str, pattern: str) -> FindClaims:
    """Finds the places that match `pattern`, in time that is linear in the text.

    RE2 instead of `re`: a pattern comes from a file and the texts from anyone, and no pair of them
    may hold up the calls of others. Raises ConfigError for a wrong name or pattern.
    """
    if not _KIND.fullmatch(kind):
        raise ConfigError(
            f"redact.patterns has the name {kind!r}; wanted at most 32 letters, digits and _, a "
            "letter first"
        )
    re2 = _re2()
    options = re2.Options()
    # Errors are raised; the library would also write them to standard error.
    options.log_errors = False
    try:
        compiled = re2.compile(pattern, options)
    except re2.error as error:
        said = error.args[0]
        said = said.decode("utf-8", "replace") if isinstance(said, bytes) else said
        raise ConfigError(
            f"redact.patterns.{kind} is {pattern!r}: {said}; wanted an expression of RE2, which has "
            "no look-around and no back-references"
        ) from None
    label = kind.lower()

    def find(text: str) -> Iterable[Claim]:
        if not text.isascii():
            # RE2 reads UTF-8, which has no lone surrogates.
            text = _SURROGATE.sub("\ufffd", text)
        return [
            Claim(found.start(), found.end(), label)
            for found in compiled.finditer(text)
            if found.end() > found.start()
        ]

    return find


def open_hook(hook: str) -> FindClaims:
    """The user's `module:function`, which takes a text and gives (start, end, kind) spans.

    Raises ConfigError where there is no such function. What it finds raises ValueError where it is
    no such span, and whatever the function raises.
    """
    module, _, name = hook.partition(":")
    try:
        function = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(
            f"redact.hook is {hook!r}: {error}; wanted module:function, importable where Limbeck runs"
        ) from None
    if not callable(function):
        raise ConfigError(f"redact.hook is {hook!r}, which is no function; wanted module:function")

    def find(text: str) -> Iterable[Claim]:
        return [_claim(span, len(text)) for span in function(text)]

    return find


def _claim(span: Any, length: int) -> Claim:
    start, end, kind = span
    if not (isinstance(start, int) and isinstance(end, int) and 0 <= start < end <= length):
        raise ValueError("a span of a redaction hook lies outside of its text")
    plain = re.sub(r"[^a-z0-9]+", "_", str(kind).lower())[:32].strip("_")
    return Claim(start, end, plain if plain[:1].isalpha() else "hook")


def _re2() -> ModuleType:
    try:
        return importlib.import_module("re2")
    except ModuleNotFoundError:
        raise MissingExtraError("re2", "redact") from None
