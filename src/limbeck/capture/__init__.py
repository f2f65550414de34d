"""What a teacher is asked and what it answers becomes a trace on disk."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from limbeck.capture.sdk.note import outcome as outcome
    from limbeck.capture.sdk.note import record as record
    from limbeck.capture.sdk.scope import correlate as correlate
    from limbeck.capture.sdk.scope import task as task
    from limbeck.capture.sdk.wrapping import wrap as wrap

_FOUND_IN = {
    "wrap": "limbeck.capture.sdk.wrapping",
    "record": "limbeck.capture.sdk.note",
    "outcome": "limbeck.capture.sdk.note",
    "correlate": "limbeck.capture.sdk.scope",
    "task": "limbeck.capture.sdk.scope",
}


def __getattr__(name: str) -> Any:
    # On use: the gateway and the command line import this package and need none of them.
    if name not in _FOUND_IN:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_FOUND_IN[name]), name)
