"""Left-overs of a chat format stand in the chain.

Catches `</s>`, `<|im_end|>`, `[INST]`, `<think>`, "Human:" at the start of a line, NUL and the
replacement character. Lets pass a mark that stands in the input too (then the chain quotes it),
HTML, and "user: gold member", which is a fact and no role tag.
"""

from __future__ import annotations

import re

import polars as pl

from limbeck.curate.checks.verdict import CheckSettings, by_row
from limbeck.types import Task

_TAGS = re.compile(
    r"</?(?:s|pad|unk|eos|bos|think|thinking|start_of_turn|end_of_turn|tool_call|scratchpad)>"
    r"|<\|[\w ]{1,40}\|>|<｜[^｜]{1,40}｜>"
    r"|\[/?INST\]|<</?SYS>>"
    r"|^(?:Human|Assistant|### ?(?:Human|Assistant|Instruction|Response|System|User)) ?:"
    r"|[\x00\ufffd]",
    re.MULTILINE,
)
_ANY = ["<", "[", "\x00", "\ufffd", "Human", "Assistant", "###"]
"""What each of them begins with: a quick test."""


class Settings(CheckSettings):
    pass


def check(frame: pl.DataFrame, task: Task, settings: Settings) -> pl.DataFrame:
    """Traces whose chain or answer carries marks of a chat format."""

    def find(rationale: str | None, answer: str | None, prompt: str) -> str | None:
        for place, text in (("chain", rationale), ("answer", answer)):
            for match in _TAGS.finditer(text or ""):
                if match.group() not in prompt:
                    return f"the {place} contains {match.group()!r}"
        return None

    odd = pl.any_horizontal(
        pl.col(name).str.contains_any(_ANY).fill_null(False) for name in ("rationale", "answer_raw")
    )
    return by_row(frame, ["rationale", "answer_raw", "input"], find, odd)
