"""Where this program writes its calls down: a store, and the tasks of a workspace."""

from __future__ import annotations

from pathlib import Path

from limbeck.capture.redact import Redactor, redactor_for
from limbeck.capture.sdk.journal import Journal, Place, open_journal
from limbeck.errors import ConfigError
from limbeck.types import RedactForm, Task
from limbeck.workspace import FILE, Workspace, read_values

SPOOL = ".limbeck/spool"
"""The folder in which a gateway of the workspace, too, keeps what its store does not take."""


class Desk:
    """A journal, and the workspace whose tasks calls are given to, if there is one.

    A task file is read once, when its first call comes.
    """

    def __init__(self, journal: Journal, workspace: Workspace | None) -> None:
        self.journal = journal
        self.workspace = workspace
        self._tasks: dict[str, Task] = {}
        self._redactors: dict[str | None, Redactor | None] = {}

    def task(self, name: str) -> Task:
        """Raises ConfigError where the workspace has no such task."""
        if name not in self._tasks:
            if self.workspace is None:
                raise ConfigError(
                    f"task is {name!r}, but there is no workspace to look it up in; "
                    f"name one (workspace=...), or give the task itself"
                )
            self._tasks[name] = self.workspace.task(name)
        return self._tasks[name]

    def redactor(self, task: Task | None) -> Redactor | None:
        """What takes out of a call what nobody wants stored; None where nothing is."""
        name = task.name if task is not None else None
        if name not in self._redactors:
            forms = (self._everywhere(), *([task.redact] if task is not None else []))
            self._redactors[name] = redactor_for(*forms)
        return self._redactors[name]

    def _everywhere(self) -> RedactForm:
        """What the workspace wants taken out of every call, whatever its task."""
        if self.workspace is None:
            return RedactForm()
        said = self.workspace.settings.gateway.get("redact", {})
        return read_values(RedactForm, said, self.workspace.root / FILE, "gateway.redact")


def open_desk(
    workspace: Workspace | str | Path | None, store: Place | None, *, spools: bool = False
) -> Desk:
    """The desk of a workspace (default: the one around the current folder), or of the store given.

    With `spools`, what the store does not take waits in the workspace's spool.

    Raises ConfigError where there is neither, and StoreError where the store cannot be opened.
    """
    found = find_workspace(workspace, needed=store is None)
    if store is None:
        assert found is not None
        store = found.store_url
    folder = found.root / found.settings.gateway.get("spool", SPOOL) if found and spools else None
    return Desk(open_journal(store, folder), found)


def find_workspace(
    workspace: Workspace | str | Path | None, *, needed: bool = True
) -> Workspace | None:
    """The workspace given, or the one around the current folder.

    Raises ConfigError where there is none, unless it is not needed and was not named.
    """
    if isinstance(workspace, Workspace):
        return workspace
    try:
        return Workspace.find(workspace)
    except ConfigError:
        if workspace is None and not needed:
            return None
        raise
