"""The control tokens that steer a student: single tokens, put after the input."""

from __future__ import annotations

CONTROLS = ("think", "answer", "ask", "solve")
END = "<|end|>"
PAD = "<|pad|>"


def control_token(name: str) -> str:
    """`think` -> `<|think|>`; the name must be one of `CONTROLS`."""
    assert name in CONTROLS, name
    return f"<|{name}|>"
