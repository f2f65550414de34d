"""The built-in detectors by kind, in their order of precedence where two claim the same text."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator

from limbeck.errors import MissingExtraError

Span = tuple[int, int]
Find = Callable[[str], Iterator[Span]]
"""The places (start, end) of one kind in a text that `view.View` made plain."""

DETECTORS: dict[str, str] = {
    "key": "limbeck.capture.detectors.key",
    "email": "limbeck.capture.detectors.email",
    "iban": "limbeck.capture.detectors.iban",
    "card": "limbeck.capture.detectors.card",
    "phone": "limbeck.capture.detectors.phone",
}
"""Kind to its module, which has `find`."""


def load(kind: str) -> Find:
    """The detector of a kind. Raises MissingExtraError if a library that it needs is absent."""
    try:
        find: Find = importlib.import_module(DETECTORS[kind]).find
    except ModuleNotFoundError as error:
        if error.name in (None, DETECTORS[kind]):
            raise
        raise MissingExtraError(str(error.name), "redact") from None
    return find
