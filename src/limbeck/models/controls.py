"""The control tokens that steer a student: single tokens, put after the input."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

CONTROLS = ("think", "answer", "ask", "solve")
END = "<|end|>"
PAD = "<|pad|>"


def control_token(name: str) -> str:
    """`think` -> `<|think|>`; the name must be one of `CONTROLS`."""
    assert name in CONTROLS, name
    return f"<|{name}|>"


def control_ids(tokenizer: PreTrainedTokenizerBase) -> dict[str, int]:
    """The token id of every control token by its name."""
    return {
        name: tokenizer.encode(control_token(name), add_special_tokens=False)[0]
        for name in CONTROLS
    }
