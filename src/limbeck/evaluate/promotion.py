"""Which student serves a task: one small file a task, replaced whole, read by every gateway."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

from pydantic import ValidationError

from limbeck.errors import ConfigError, StudentError
from limbeck.models.local import read_card
from limbeck.types import Closing, Policy, Promotion
from limbeck.workspace import Workspace


def promotion_path(workspace: Workspace, task: str) -> Path:
    return workspace.home / "policies" / f"{task}.json"


def read_promotion(workspace: Workspace, task: str) -> Promotion | None:
    """Which student serves the task, or None. Raises `ConfigError` for a damaged file."""
    path = promotion_path(workspace, task)
    try:
        return Promotion.model_validate_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (ValidationError, UnicodeDecodeError):
        raise ConfigError(
            f"{path} is damaged; promote the student again: limbeck promote STUDENT"
        ) from None


def promote(workspace: Workspace, folder: Path, policy: Policy) -> Path:
    """Makes the student in `folder` the one that serves the policy's task; atomic.

    Raises `StudentError` where the policy was fitted for another student.
    """
    card = read_card(folder)
    if card.id != policy.student:
        raise StudentError(
            f"the policy was fitted for another student than {folder.name!r}; "
            f"fit one for it: limbeck calibrate {folder.name}"
        )
    promotion = Promotion(student_folder=folder.name, policy=policy, at=datetime.now(UTC))
    return _write(promotion_path(workspace, policy.task), promotion)


def close(workspace: Workspace, task: str, policy: str, closing: Closing) -> bool:
    """Takes the policy of that id out of service; atomic. False where another serves the task by now,
    or where it is closed already: then nothing is changed."""
    promotion = read_promotion(workspace, task)
    if promotion is None or promotion.closed is not None or promotion.policy.id != policy:
        return False
    closed = promotion.model_copy(update={"closed": closing})
    _write(promotion_path(workspace, task), closed)
    return True


class Standing:
    """Whether a policy still serves its task; the file is read again when it has changed."""

    def __init__(self, workspace: Workspace, policy: Policy) -> None:
        self._workspace = workspace
        self._policy = policy
        self._path = promotion_path(workspace, policy.task)
        self._seen: tuple[int, int] | None = None
        self._stands = False

    def __call__(self) -> bool:
        try:
            found = self._path.stat()
        except OSError:
            return False
        # Every change is a new file, so that the inode changes where the clock is too coarse.
        seen = (found.st_ino, found.st_mtime_ns)
        if seen != self._seen:
            self._stands = self._read()
            self._seen = seen
        return self._stands

    def _read(self) -> bool:
        try:
            promotion = read_promotion(self._workspace, self._policy.task)
        except (ConfigError, OSError):
            # What cannot be read promises nothing.
            return False
        return (
            promotion is not None
            and promotion.closed is None
            and promotion.policy.id == self._policy.id
        )


def _write(path: Path, promotion: Promotion) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(f".{os.getpid()}.partial")
    with partial.open("w", encoding="utf-8") as file:
        file.write(promotion.model_dump_json(indent=1) + "\n")
        file.flush()
        # A power cut must not bring a closed policy back.
        os.fsync(file.fileno())
    partial.replace(path)
    return path
