"""What a judge said, kept in a file under the hash of rubric and chain: nothing is asked twice.

The check `judge` reads that file; `.limbeck/judge/TASK.jsonl` has one opinion a line.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path

from pydantic import ValidationError

from limbeck.errors import DataError
from limbeck.types import Noun


class Opinion(Noun):
    """What the judge `model` said of the chain with this `key`."""

    key: str
    model: str
    passes: bool
    reason: str = ""


def read_opinions(file: Path) -> dict[str, Opinion]:
    """The opinions in `file` by their key; a line that was cut off by a kill is left out.

    Raises DataError where the file holds anything else.
    """
    if not file.exists():
        return {}
    lines = file.read_text("utf-8", "replace").split("\n")
    found = {}
    for number, line in enumerate(lines, start=1):
        if not line:
            continue
        try:
            opinion = Opinion.model_validate_json(line)
        except ValidationError as error:
            if number == len(lines):
                break
            raise DataError(
                f"line {number} of {file} is no opinion of a judge "
                f"({error.errors()[0]['msg']}); remove the line, or the file to ask anew"
            ) from None
        found[opinion.key] = opinion
    return found


def keep_opinions(file: Path, opinions: Iterable[Opinion]) -> None:
    """Append `opinions` to `file`, and return when they are on the disk."""
    lines = [opinion.model_dump_json() + "\n" for opinion in opinions]
    if not lines:
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    _mend(file)
    with file.open("a", encoding="utf-8") as out:
        out.writelines(lines)
        out.flush()
        os.fsync(out.fileno())


def _mend(file: Path) -> None:
    """End a line that a kill has cut off, so that the next one begins anew."""
    if not file.exists() or not file.stat().st_size:
        return
    with file.open("rb+") as opened:
        opened.seek(-1, os.SEEK_END)
        if opened.read(1) == b"\n":
            return
        opened.seek(0)
        data = opened.read()
        whole = data.rfind(b"\n") + 1
        try:
            json.loads(data[whole:])
        except ValueError:
            opened.truncate(whole)
        else:
            opened.write(b"\n")
