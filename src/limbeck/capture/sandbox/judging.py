"""The simulated teacher as a judge of chains: it knows the right one, and where another leaves it."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable
from typing import Any

from limbeck.capture.sandbox.tasks import SandboxTask
from limbeck.errors import DataError

_CASE = re.compile(
    r'<case number="(\d+)">\n<input>\n(.*?)\n</input>\n<chain>\n(.*?)\n</chain>\n'
    r"<answer>(.*?)</answer>\n</case>",
    re.DOTALL,
)


def judge(text: str, tasks: Iterable[SandboxTask[Any]]) -> str | None:
    """One line for each numbered case in `text`, as `limbeck curate --judge` asks for it; None where
    there is none, or an input of none of the `tasks`."""
    cases = _CASE.findall(text)
    known = list(tasks)
    lines = []
    for number, asked, chain, answer in cases:
        said = _said(asked, chain, answer, known)
        if said is None:
            return None
        lines.append(f"{number}: {said}")
    return "\n".join(lines) or None


def _said(asked: str, chain: str, answer: str, tasks: list[SandboxTask[Any]]) -> str | None:
    for task in tasks:
        with contextlib.suppress(DataError):
            item = task.solve(asked)
            written = [line.strip() for line in chain.splitlines() if line.strip()]
            for number, line in enumerate(written, start=1):
                if line not in item.steps:
                    return f"fail, step {number} does not follow"
            if len(written) < len(item.steps):
                return "fail, steps are missing"
            return "pass" if answer == item.truth else f"fail, the answer is {item.truth}"
    return None
