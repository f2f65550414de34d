"""Every error that Limbeck raises on purpose.

    LimbeckError                 exit code 1; the message is one sentence for a person
    ├── UsageError               exit code 2: the command line itself is wrong
    ├── ConfigError              a task file, `limbeck.toml` or setting is wrong
    ├── MissingExtraError        an optional part is not installed; names the command that installs it
    ├── DataError                rows, files or datasets that cannot be used as they are
    │   ├── ImportFileError      a file to import; carries the path and the line
    │   └── DatasetError         a curated dataset is absent, empty, damaged or of another task
    ├── StoreError               the trace store cannot be read or written
    ├── TeacherError             the teacher could not be asked, or said no
    │   └── UncertainError       nobody knows whether it did what it was asked
    ├── StudentError             a student folder is absent, damaged or not of this task
    ├── WebhookError             an event could not be reported to the address that was given for it
    ├── TrainingError            a training run was refused or diverged
    │   └── PreflightError       refused before the first step (fail closed)
    └── Interrupted              stopped by the user; exit code 130; what was done is kept

Messages say what was got (`!r`), what was wanted, and what to try.
"""

from __future__ import annotations

from pathlib import Path


class LimbeckError(Exception):
    """The root of the tree; `str(error)` is one sentence meant for a person."""

    exit_code = 1


class UsageError(LimbeckError):
    exit_code = 2


class ConfigError(LimbeckError):
    pass


class MissingExtraError(LimbeckError):
    """An optional part of Limbeck is needed and not installed."""

    def __init__(self, module: str, extra: str) -> None:
        super().__init__(
            f"this needs the module {module!r}, which is not installed; "
            f"install it with: pip install 'limbeck[{extra}]'"
        )
        self.module = module
        self.extra = extra

    def __reduce__(self) -> tuple[type[MissingExtraError], tuple[str, str]]:
        # An exception travels between processes by its arguments, which are not the message here.
        return MissingExtraError, (self.module, self.extra)


class DataError(LimbeckError):
    pass


class ImportFileError(DataError):
    """A file that cannot be imported; `line` counts from 1 and is None for the file as a whole."""

    def __init__(self, path: Path, message: str, line: int | None = None) -> None:
        place = f"{path}, line {line:,}" if line is not None else str(path)
        super().__init__(f"{place}: {message}")
        self.path = path
        self.line = line


class DatasetError(DataError):
    pass


class StoreError(LimbeckError):
    """`whole` says that the store as a whole fails now, whatever is to be written or read."""

    def __init__(self, message: str, *, whole: bool = False) -> None:
        super().__init__(message)
        self.whole = whole


class TeacherError(LimbeckError):
    """The teacher refused or could not be reached; `status` is its HTTP status, if it gave one."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class UncertainError(TeacherError):
    """A request that must not be sent twice may have been taken, or not."""


class StudentError(LimbeckError):
    pass


class WebhookError(LimbeckError):
    pass


class TrainingError(LimbeckError):
    pass


class PreflightError(TrainingError):
    pass


class Interrupted(LimbeckError):
    exit_code = 130
