"""Where this program writes its calls down: a store, and the tasks of a workspace."""

from __future__ import annotations

from pathlib import Path

from limbeck.capture.redact import Redactor
from limbeck.capture.sdk.journal import Journal, Place, open_journal
from limbeck.errors import ConfigError
from limbeck.types import RedactForm, Task
from limbeck.workspace import Workspace


class Desk:
    """A journal, and the workspace whose tasks calls are given to, if there is one.

    A task file is read once, when its first call comes.
    """

    def __init__(self, journal: Journal, workspace: Workspace | None) -> None:
        self.journal = journal
        self.workspace = workspace
        self._tasks: dict[str, Task] = {}
        self._redactors: dict[str, Redactor] = {}

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
        """What takes out of a call what its task does not want stored; None where nothing is."""
        if task is None or task.redact == RedactForm():
            return None
        if task.name not in self._redactors:
            self._redactors[task.name] = Redactor(task.redact)
        return self._redactors[task.name]


def open_desk(workspace: Workspace | str | Path | None, store: Place | None) -> Desk:
    """The desk of a workspace (default: the one around the current folder), or of the store given.

    Raises ConfigError where there is neither, and StoreError where the store cannot be opened.
    """
    found = find_workspace(workspace, needed=store is None)
    if store is None:
        assert found is not None
        store = found.store_url
    return Desk(open_journal(store), found)


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
