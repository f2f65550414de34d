"""`policy.json` beside a student's weights: who may answer, as `calibrate` fitted it last."""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import ValidationError

from limbeck.errors import StudentError
from limbeck.types import Policy

FILE = "policy.json"


def save_policy(folder: Path, policy: Policy) -> Path:
    """Puts the policy into the student's folder, whole or not at all.

    Raises StudentError if the folder cannot be written.
    """
    path = folder / FILE
    partial = path.with_suffix(".partial")
    try:
        with partial.open("w", encoding="utf-8") as file:
            file.write(policy.model_dump_json(indent=1) + "\n")
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        raise StudentError(
            f"the policy cannot be written to {str(path)!r} ({error.strerror or error}); "
            "free some space and run the same command again"
        ) from None
    return path


def read_policy(folder: Path) -> Policy | None:
    """The policy of a student, or None where none was fitted. Raises StudentError if damaged."""
    path = folder / FILE
    try:
        return Policy.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as error:
        said = error.errors()[0]["msg"] if isinstance(error, ValidationError) else error.strerror
        raise StudentError(
            f"{path} cannot be read ({said}); fit it again: limbeck calibrate {folder.name}"
        ) from None
