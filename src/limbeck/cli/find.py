"""What a person means by the name of a dataset or of a student."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path

from limbeck.curate.dataset import MANIFEST, Dataset, read_dataset
from limbeck.errors import DatasetError, StudentError, UsageError
from limbeck.models.local import CARD
from limbeck.types import StudentCard
from limbeck.workspace import Workspace


def find_dataset(workspace: Workspace, name: str) -> Dataset:
    """The dataset of a folder, a name, the unique beginning of one, or the newest one of a task.

    Raises DatasetError where there is none, and UsageError where several are meant.
    """
    if (Path(name) / MANIFEST).is_file():
        return read_dataset(Path(name))
    there = _folders(workspace.datasets, MANIFEST)
    # A task's name comes first: every name of its datasets begins with it.
    of_task = [path for path in there if path.name.rpartition("-")[0] == name]
    if of_task:
        return read_dataset(max(of_task, key=lambda path: (path / MANIFEST).stat().st_mtime_ns))
    found = _named(there, name, "dataset")
    if found is None:
        raise DatasetError(
            f"there is no dataset {name!r} in {workspace.datasets}; {_listed(there, name)}; "
            "make one with: limbeck curate --task TASK"
        )
    return read_dataset(found)


def find_student(workspace: Workspace, name: str) -> Path:
    """The folder of a student, given by its path, its name or the unique beginning of its name.

    Raises StudentError where there is none, and UsageError where several are meant.
    """
    # A path wins even where it leads to no student: reading its card then says what it lacks.
    if (Path(name) / CARD).is_file() or ("/" in name and Path(name).is_dir()):
        return Path(name).absolute()
    there = _folders(workspace.students, CARD)
    found = _named(there, name, "student")
    if found is not None:
        return found
    if (workspace.students / name).is_dir():
        raise StudentError(
            f"the student {name!r} is unfinished; run the same limbeck distill command again: it "
            "continues where it stopped"
        )
    raise StudentError(
        f"there is no student {name!r} in {workspace.students}; {_listed(there, name)}; "
        "make one with: limbeck distill DATASET"
    )


def students_of(workspace: Workspace, dataset: Dataset) -> list[Path]:
    """The finished students of a dataset, by name."""
    found = []
    for folder in _folders(workspace.students, CARD):
        try:
            text = (folder / CARD).read_text(encoding="utf-8")
            card = StudentCard.model_validate_json(text)
        except (OSError, ValueError):
            # A damaged student of another task must not stand in the way of this one.
            continue
        if card.dataset == dataset.hash:
            found.append(folder)
    return found


def dataset_of(workspace: Workspace, card: StudentCard) -> Dataset:
    """The dataset that a student learned from; raises DatasetError if the workspace lacks it."""
    folder = workspace.datasets / f"{card.task.name}-{card.dataset.removeprefix('sha256:')[:8]}"
    if not folder.is_dir():
        raise DatasetError(
            f"the dataset {folder.name!r} that the student learned from is not in "
            f"{workspace.datasets}; name its folder with --dataset"
        )
    return read_dataset(folder)


def _folders(parent: Path, mark: str) -> list[Path]:
    return sorted(path.parent for path in parent.glob(f"*/{mark}") if path.parent.name[0] != ".")


def _named(there: Sequence[Path], name: str, what: str) -> Path | None:
    exact = [path for path in there if path.name == name]
    begun = exact or [path for path in there if name and path.name.startswith(name)]
    if len(begun) > 1:
        names = ", ".join(path.name for path in begun[:6])
        raise UsageError(f"{name!r} may be more than one {what}: {names}; write more of the name")
    return begun[0] if begun else None


def _listed(there: Sequence[Path], name: str) -> str:
    names = [path.name for path in there]
    if not names:
        return "there are none"
    close = difflib.get_close_matches(name, names, n=1)
    shown = ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")
    return f"there are: {shown}" + (f" (did you mean {close[0]!r}?)" if close else "")
