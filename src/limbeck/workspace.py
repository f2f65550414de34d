"""A folder that holds all of a team's work: settings, tasks, store, datasets, students.

limbeck.toml          settings
tasks/NAME.toml       one task a file
.limbeck/             the store, datasets, students and reports; never edited by hand
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar, Union, get_args, get_origin

import tomli_w
from pydantic import BaseModel, Field, ValidationError

from limbeck.errors import ConfigError
from limbeck.types import Noun, Task

FILE = "limbeck.toml"

_FIRST_SETTINGS = """\
# Settings of this workspace. Everything here may be left out.

# Where the traces are kept: a path from this folder, or postgresql://USER@HOST/DATABASE
# store = ".limbeck/store.db"

[gateway]
# port = 4100
"""


class Settings(Noun):
    """What `limbeck.toml` says. The sections belong to the parts of the product that read them."""

    store: str | None = None
    gateway: dict[str, Any] = Field(default_factory=dict)
    assess: dict[str, Any] = Field(default_factory=dict)
    curate: dict[str, Any] = Field(default_factory=dict)
    distill: dict[str, Any] = Field(default_factory=dict)
    evaluate: dict[str, Any] = Field(default_factory=dict)
    monitor: dict[str, Any] = Field(default_factory=dict)


@dataclass(frozen=True)
class Workspace:
    """The folder at `root`; nothing is read before it is asked for."""

    root: Path

    @classmethod
    def find(cls, start: str | Path | None = None) -> Workspace:
        """The nearest folder with a `limbeck.toml`, from `start` (default: here) upwards.

        Raises ConfigError if there is none.
        """
        first = Path(start or ".").absolute()
        for folder in (first, *first.parents):
            if (folder / FILE).is_file():
                return cls(folder)
        raise ConfigError(
            f"there is no {FILE} in {first} or in a folder above it; "
            f"make a workspace with: limbeck init"
        )

    @classmethod
    def create(cls, path: str | Path) -> Workspace:
        """Make the folders and a first `limbeck.toml`; what is already there is kept as it is.

        Raises ConfigError if the folder cannot be written.
        """
        made = cls(Path(path).absolute())
        try:
            for folder in (made.tasks_folder, made.datasets, made.students, made.reports):
                folder.mkdir(parents=True, exist_ok=True)
            _write_once(made.root / FILE, _FIRST_SETTINGS)
            # The store holds what users wrote; it does not belong into a repository by accident.
            _write_once(made.home / ".gitignore", "*\n")
        except OSError as error:
            raise ConfigError(
                f"cannot make a workspace in {made.root}: {error.strerror} "
                f"({error.filename}); name another folder"
            ) from None
        return made

    @cached_property
    def settings(self) -> Settings:
        """Raises ConfigError, with the key, where `limbeck.toml` is wrong."""
        path = self.root / FILE
        return read_values(Settings, _read_toml(path), path)

    @property
    def home(self) -> Path:
        return self.root / ".limbeck"

    @property
    def tasks_folder(self) -> Path:
        return self.root / "tasks"

    @property
    def datasets(self) -> Path:
        return self.home / "datasets"

    @property
    def students(self) -> Path:
        return self.home / "students"

    @property
    def reports(self) -> Path:
        return self.home / "reports"

    @property
    def store_path(self) -> Path:
        """Where the SQLite store lies when the settings name no other place."""
        return self.home / "store.db"

    @property
    def store_url(self) -> str:
        """What to open as the store: an absolute path or a URL."""
        place = self.settings.store
        if place is None:
            return str(self.store_path)
        return place if "://" in place else str(self.root / Path(place).expanduser())

    def task(self, name: str) -> Task:
        """Raises ConfigError if there is no such task file or it is wrong."""
        path = self.tasks_folder / f"{name}.toml"
        if not path.is_file():
            names = self._task_names()
            there = f"there are: {', '.join(names)}" if names else "there are none"
            raise ConfigError(
                f"there is no task {name!r} in {self.tasks_folder}; {there}{_closest(name, names)}"
            )
        return read_task(path)

    def tasks(self) -> tuple[Task, ...]:
        """Every task of the folder `tasks/`, by name."""
        return tuple(self.task(name) for name in self._task_names())

    def write_task(self, task: Task) -> Path:
        """Write the task's file, whole, over the one that may be there; returns its path."""
        path = self.tasks_folder / f"{task.name}.toml"
        values = task.model_dump(mode="json", exclude_defaults=True, exclude={"name"})
        partial = path.with_suffix(".partial")
        partial.write_text(tomli_w.dumps(values, multiline_strings=True), encoding="utf-8")
        partial.replace(path)
        return path

    def _task_names(self) -> list[str]:
        return sorted(path.stem for path in self.tasks_folder.glob("*.toml"))


def read_task(path: str | Path) -> Task:
    """The task that a TOML file describes; its name is the file's, without the ending.

    Raises ConfigError, with the file, the key and the closest valid key.
    """
    path = Path(path)
    values = _read_toml(path)
    name = values.setdefault("name", path.stem)
    if name != path.stem:
        raise ConfigError(
            f"{path}: the key 'name' is {name!r}; wanted the file's own name, {path.stem!r}; "
            f"leave the key out, or rename the file"
        )
    return read_values(Task, values, path)


Model = TypeVar("Model", bound=BaseModel)


def read_values(
    model: type[Model], values: Mapping[str, Any], path: Path, section: str = ""
) -> Model:
    """`values` of a TOML file (or of one section of it) as `model`.

    Raises ConfigError: one sentence with the file, the key's path and what was wanted.
    """
    try:
        return model.model_validate(dict(values))
    except ValidationError as error:
        # One mistake at a time: a wrong key is often the reason of the others.
        first = min(error.errors(), key=lambda one: one["type"] != "extra_forbidden")
        where = [*section.split("."), *first["loc"]] if section else list(first["loc"])
        key = ".".join(str(step) for step in where)
        message = _explain(model, first["type"], first["loc"], first["msg"], first["input"], key)
        more = len(error.errors()) - 1
        also = f" (and {more} more)" if more else ""
        raise ConfigError(f"{path}: {message}{also}") from None


def _explain(
    model: type[BaseModel],
    kind: str,
    loc: tuple[int | str, ...],
    said: str,
    got: Any,
    key: str,
) -> str:
    if kind == "extra_forbidden":
        keys = _keys_at(model, loc[:-1])
        return f"unknown key {key!r}{_closest(str(loc[-1]), keys)}; wanted one of {', '.join(keys)}"
    if kind == "missing":
        return f"the key {key!r} is missing; add it"
    wanted = said.removeprefix("Value error, ")
    if kind == "value_error":
        return f"{f'the section {key!r}' if key else 'the file'}: {wanted}"
    return f"the key {key!r} is {got!r}; {wanted[:1].lower()}{wanted[1:]}"


def _keys_at(model: type[BaseModel], steps: Iterable[int | str]) -> list[str]:
    """The keys of the model that `steps` lead to, from `model` down."""
    for step in steps:
        if isinstance(step, str) and step in model.model_fields:
            inner = _model_in(model.model_fields[step].annotation)
            if inner is not None:
                model = inner
    return list(model.model_fields)


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if get_origin(annotation) in (Union, tuple, list, dict) or get_args(annotation):
        return next(filter(None, map(_model_in, get_args(annotation))), None)
    return None


def _closest(name: str, names: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(names), n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_bytes().decode("utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}; check the path") from None
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"{path}: byte {error.start + 1} is not UTF-8; save the file as UTF-8"
        ) from None
    except tomllib.TOMLDecodeError as error:
        said = str(error)
        raise ConfigError(
            f"{path}: this is not TOML: {said[:1].lower()}{said[1:]}; correct that line"
        ) from None


def _write_once(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        path.write_text(text, encoding="utf-8")
