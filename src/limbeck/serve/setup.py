"""What a gateway goes by: its settings and tasks, read from the workspace, again when they change."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from limbeck.capture.redact import Redactor, redactor_for
from limbeck.errors import ConfigError, LimbeckError
from limbeck.serve.settings import GatewaySettings
from limbeck.serve.upstreams import Teacher
from limbeck.types import Task
from limbeck.workspace import FILE, Workspace, read_values

log = logging.getLogger("limbeck.gateway")


@dataclass(frozen=True)
class Setup:
    """Settings and tasks as they stand; replaced as a whole and never changed."""

    settings: GatewaySettings
    tasks: Mapping[str, Task]
    teachers: Mapping[str, Teacher]
    redactors: Mapping[str | None, Redactor | None]

    @classmethod
    def of(cls, settings: GatewaySettings, tasks: Mapping[str, Task]) -> Setup:
        """Raises ConfigError for a task whose upstream there is not, and for keys that cannot be read."""
        teachers = {name: Teacher.of(name, one) for name, one in settings.upstreams.items()}
        for task in tasks.values():
            if task.teacher.upstream is not None and task.teacher.upstream not in teachers:
                raise ConfigError(
                    f"the task {task.name!r} has the upstream {task.teacher.upstream!r}; wanted one of "
                    f"{', '.join(sorted(teachers))}; add it under [gateway.upstreams] in {FILE}"
                )
        redactors: dict[str | None, Redactor | None] = {
            name: redactor_for(settings.redact, task.redact) for name, task in tasks.items()
        }
        redactors[None] = redactor_for(settings.redact)
        return cls(settings, dict(tasks), teachers, redactors)

    def teacher(self, dialect: str, task: Task | None, named: str | None) -> Teacher:
        """The upstream for a call of `dialect`. Raises ConfigError where the named one is not there."""
        wanted = named or (task.teacher.upstream if task else None)
        if wanted is None:
            return self.teachers[dialect]
        if wanted not in self.teachers:
            raise ConfigError(
                f"upstream is {wanted!r}; wanted one of {', '.join(sorted(self.teachers))}"
            )
        found = self.teachers[wanted]
        if dialect != found.dialect.NAME and {found.dialect.NAME, dialect} != OPENAI:
            raise ConfigError(
                f"the upstream {wanted!r} speaks {found.dialect.NAME}, and the call is {dialect}; "
                "call it in its own dialect, or choose another upstream for the task"
            )
        return found


OPENAI = {"openai_chat", "openai_responses"}


def read_settings(workspace: Workspace, above: Mapping[str, Any] | None = None) -> GatewaySettings:
    """The section `[gateway]`, with what the command line says above it. Raises ConfigError."""
    listed = workspace.settings.gateway
    settings = read_values(GatewaySettings, listed, workspace.root / FILE, "gateway")
    if not above:
        return settings
    # The file is right by now, so that what is wrong was given above it.
    return read_values(GatewaySettings, {**listed, **above}, Path("the command line"), "gateway")


Stats = tuple[tuple[str, int, int], ...]
"""Of each file that is there: its path, when it was written (nanoseconds), and its size in bytes."""


class Source:
    """The files that a setup is read from."""

    def __init__(self, workspace: Workspace, above: Mapping[str, Any] | None = None) -> None:
        self._root = workspace.root
        self._above = dict(above or {})
        self._key_files: tuple[Path, ...] = ()
        self._seen = self._state()
        self.error: str | None = None
        """Why the files as they are now cannot be used, if so."""

    def read(self) -> Setup:
        """The setup as the files say now. Raises ConfigError."""
        # Looked at before they are read: what is written meanwhile is a change of its own.
        seen = self._files()
        workspace = Workspace.find(self._root)
        settings = _with_key_files(read_settings(workspace, self._above), self._root)
        self._key_files = tuple(
            Path(upstream.key_file)
            for upstream in settings.upstreams.values()
            if upstream.key_file is not None
        )
        seen += _stats(self._key_files)
        setup = Setup.of(settings, {task.name: task for task in workspace.tasks()})
        self._seen = seen
        return setup

    def changed(self) -> Setup | None:
        """A new setup where the files changed and can be used; else what was read before holds on."""
        state = self._state()
        if state == self._seen:
            return None
        self._seen = state
        try:
            setup = self.read()
        except LimbeckError as error:
            self.error = str(error)
            refused = {"event": "configuration_refused"}
            log.error("the changed configuration is not used: %s", error, extra=refused)
            return None
        self.error = None
        fields = {"event": "configuration_read", "tasks": sorted(setup.tasks)}
        log.info("the configuration was read again", extra=fields)
        return setup

    def _state(self) -> Stats:
        return self._files() + _stats(self._key_files)

    def _files(self) -> Stats:
        return _stats([self._root / FILE, *sorted((self._root / "tasks").glob("*.toml"))])


def _with_key_files(settings: GatewaySettings, root: Path) -> GatewaySettings:
    """`settings` with the files of keys where the workspace means them."""
    upstreams = {
        name: upstream
        if upstream.key_file is None
        else upstream.model_copy(
            update={"key_file": str(root / Path(upstream.key_file).expanduser())}
        )
        for name, upstream in settings.upstreams.items()
    }
    return settings.model_copy(update={"upstreams": upstreams})


def _stats(paths: Iterable[Path]) -> Stats:
    return tuple(state for path in paths if (state := _stat(path)) is not None)


def _stat(path: Path) -> tuple[str, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return str(path), found.st_mtime_ns, found.st_size
