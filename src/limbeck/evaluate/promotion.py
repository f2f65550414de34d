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


def promote(workspace: Workspace, folder: Path, policy: Policy, *, share: float = 1.0) -> Path:
    """Makes the student in `folder` the one that serves the policy's task; atomic.

    With a `share` below 1 it is a canary: the policy in force decides the other calls. Raises
    `StudentError` where the policy was fitted for another student.
    """
    card = read_card(folder)
    if card.id != policy.student:
        raise StudentError(
            f"the policy was fitted for another student than {folder.name!r}; "
            f"fit one for it: limbeck calibrate {folder.name}"
        )
    before = None
    if share < 1:
        found = read_promotion(workspace, policy.task)
        if found is not None:
            # A canary that is followed by another one never was in force.
            found = found.before if found.share < 1 else found
        before = None if found is None or found.closed is not None else found
    promotion = Promotion(
        student_folder=folder.name,
        policy=policy,
        at=datetime.now(UTC),
        share=share,
        before=before,
    )
    return _write(promotion_path(workspace, policy.task), promotion)


def confirm(workspace: Workspace, task: str, policy: str) -> bool:
    """Lets the canary of that id decide all calls; atomic. False where it is no canary any more."""
    promotion = read_promotion(workspace, task)
    if promotion is None or promotion.policy.id != policy or promotion.share == 1:
        return False
    _write(
        promotion_path(workspace, task),
        promotion.model_copy(update={"share": 1.0, "before": None}),
    )
    return True


def close(workspace: Workspace, task: str, policy: str, closing: Closing) -> bool:
    """Takes the policy of that id out of service; atomic. False where another serves the task by now,
    or where it is closed already: then nothing is changed.

    A canary is taken back: the policy before it decides all calls again.
    """
    promotion = read_promotion(workspace, task)
    if promotion is None or promotion.closed is not None:
        return False
    before = promotion.before
    if before is not None and before.policy.id == policy:
        changed = promotion.model_copy(update={"before": None})
    elif promotion.policy.id != policy:
        return False
    elif before is not None:
        changed = before.model_copy(update={"withdrawn": closing})
    else:
        changed = promotion.model_copy(update={"closed": closing})
    _write(promotion_path(workspace, task), changed)
    return True


def roll_back(workspace: Workspace, task: str) -> Promotion | None:
    """Takes the newest promotion of the task back; atomic. What is in force then: the policy before a
    canary, or None, and the teacher answers. Raises `ConfigError` where nothing is promoted."""
    promotion = read_promotion(workspace, task)
    if promotion is None:
        raise ConfigError(
            f"no student is promoted for the task {task!r}, so there is nothing to take back; "
            "promote one with: limbeck promote STUDENT"
        )
    path = promotion_path(workspace, task)
    if promotion.before is None:
        path.unlink()
        return None
    _write(path, promotion.before)
    return promotion.before


def serving(promotion: Promotion | None) -> tuple[Promotion, ...]:
    """The promotions whose policies decide calls: the newest, and the one beside a canary."""
    if promotion is None:
        return ()
    both = (promotion, promotion.before)
    return tuple(one for one in both if one is not None and one.closed is None)


def promotion_state(workspace: Workspace, task: str) -> tuple[int, int] | None:
    """What changes with every promotion of the task; None where there is none."""
    try:
        found = promotion_path(workspace, task).stat()
    except OSError:
        return None
    # Every change is a new file, so that the inode changes where the clock is too coarse.
    return found.st_ino, found.st_mtime_ns


class Standing:
    """Whether a policy still serves its task; the file is read again when it has changed."""

    def __init__(self, workspace: Workspace, policy: Policy) -> None:
        self._workspace = workspace
        self._policy = policy
        self._seen: tuple[int, int] | None = None
        self._stands = False

    def __call__(self) -> bool:
        seen = promotion_state(self._workspace, self._policy.task)
        if seen is None:
            return False
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
        return any(one.policy.id == self._policy.id for one in serving(promotion))


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
