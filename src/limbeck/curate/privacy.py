"""What personal data still stands in a dataset: the redaction of capture, run again over what was kept."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import get_args

import polars as pl

from limbeck.capture.redact import Redactor, redactor_for
from limbeck.errors import MissingExtraError
from limbeck.types import Noun, RedactForm, RedactKind, Task

_HINT = r"@|\d(?:[ ().-]*\d){6}|[A-Za-z0-9_-]{20}"
"""What none of the built-in kinds is without: an at sign, seven digits, or a long run without spaces."""
_FIELDS = ("input", "rationale", "answer")


class Privacy(Noun):
    """How often each kind was found in `texts` texts, and which kinds could not be looked for."""

    texts: int
    counts: dict[str, int]
    unasked: tuple[str, ...] = ()
    """Kinds whose detector needs a library that is not installed."""


def find_private(files: list[Path], task: Task) -> Privacy:
    """Count every built-in kind, and those of the task's own patterns, in the splits `files`."""
    redactor, unasked = _redactor(task)
    counts: Counter[str] = Counter()
    texts = 0
    for file in files:
        for field in _FIELDS:
            found = pl.read_parquet(file, columns=[field])[field].drop_nulls()
            texts += found.len()
            if not task.redact.patterns and task.redact.hook is None:
                found = found.filter(found.str.contains(_HINT))
            for text in found:
                counts.update(redactor.text(text)[1])
    return Privacy(texts=texts, counts=dict(sorted(counts.items())), unasked=unasked)


def _redactor(task: Task) -> tuple[Redactor, tuple[str, ...]]:
    kinds: list[RedactKind] = []
    unasked = []
    for kind in get_args(RedactKind):
        try:
            Redactor(RedactForm(kinds=(kind,)))
            kinds.append(kind)
        except MissingExtraError:
            unasked.append(kind)
    own = task.redact.model_copy(update={"kinds": ()})
    redactor = redactor_for(RedactForm(kinds=tuple(kinds)), own)
    assert redactor is not None
    return redactor, tuple(unasked)
