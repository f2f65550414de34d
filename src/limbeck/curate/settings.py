"""What can be set of a curation, resolved from a task file, a workspace and the command line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from limbeck.curate.checks.table import CHECKS, Check, load, resolve
from limbeck.curate.contamination import ContaminationSettings
from limbeck.curate.duplicates import DuplicateSettings
from limbeck.errors import ConfigError
from limbeck.types import Noun, Task

Given = Mapping[str, Mapping[str, Any]]
"""Settings by the name of the check, or `duplicates`, or `contamination`."""


_OTHERS = ("duplicates", "contamination")


class CurateSettings(Noun):
    """Every setting of a curation with its value; saved beside the dataset."""

    checks: dict[str, dict[str, Any]]
    duplicates: DuplicateSettings = DuplicateSettings()
    contamination: ContaminationSettings = ContaminationSettings()

    def active(self) -> list[Check]:
        """The checks that are switched on, in the order of the table."""
        checks = [load(name, given) for name, given in self.checks.items()]
        return [check for check in checks if check.settings.enabled]


def resolve_settings(task: Task, *layers: Given) -> CurateSettings:
    """The defaults, then `[checks]` of the task file, then each of `layers` over them.

    Raises ConfigError for a check, key or value that does not exist.
    """
    merged: dict[str, dict[str, Any]] = {name: {} for name in (*CHECKS, *_OTHERS)}
    for layer in (task.checks, *layers):
        for name, given in layer.items():
            if name not in merged:
                load(name)
            if not isinstance(given, Mapping):
                raise ConfigError(
                    f"settings of {name!r} are {given!r}; wanted a table: {{enabled = false}}"
                )
            merged[name].update(given)
    return CurateSettings(
        checks={name: load(name, merged[name]).settings.model_dump() for name in CHECKS},
        duplicates=resolve("duplicates", DuplicateSettings, merged["duplicates"]),
        contamination=resolve("contamination", ContaminationSettings, merged["contamination"]),
    )
