"""`limbeck doctor`: what is installed, what is missing, what would fail, and what repairs it."""

from __future__ import annotations

import json
import platform
import shutil
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from pathlib import Path
from typing import Annotated, Literal

import typer

from limbeck import __version__
from limbeck.cli.app import EXTRAS
from limbeck.errors import ConfigError, LimbeckError
from limbeck.types import Noun, Task
from limbeck.workspace import Workspace

VERIFIED_WHOLE = 20_000
"""A store of at most so many traces is verified here; a larger one takes longer than a look."""
LITTLE_SPACE, NO_SPACE = 2_000_000_000, 100_000_000
"""Bytes free on the disk below which a training run may fail, and below which everything does."""


class Finding(Noun):
    """One thing that was looked at. `broken` fails what this workspace is set up to do."""

    what: str
    state: Literal["ok", "absent", "broken"]
    found: str
    repair: str | None = None


def command(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say what would work here. Exits with 1 if something that the workspace needs is broken."""
    findings = [*_installation()]
    workspace, finding = _workspace()
    findings.append(finding)
    if workspace is not None:
        findings += _of_workspace(workspace)
    findings.append(_disk(workspace.root if workspace else Path.cwd()))
    broken = any(finding.state == "broken" for finding in findings)
    if as_json:
        shown = [finding.model_dump(mode="json") for finding in findings]
        print(json.dumps({"ok": not broken, "findings": shown}, indent=2))
    else:
        for finding in findings:
            print(f"{finding.state:<7} {finding.what:<12} {finding.found}")
            if finding.repair is not None:
                print(f"{'':20} -> {finding.repair}")
    if broken:
        raise typer.Exit(1)


def _installation() -> Iterator[Finding]:
    python = sys.version_info >= (3, 11)
    yield Finding(
        what="python",
        state="ok" if python else "broken",
        found=f"{platform.python_version()} at {sys.executable}; limbeck {__version__}",
        repair=None if python else "install Python 3.11 or newer",
    )
    for extra in dict.fromkeys(EXTRAS.values()):
        yield _extra(extra)
    yield _processor()


def _extra(extra: str) -> Finding:
    there, missing = [], []
    # The module `stdnum` comes with the package `python-stdnum`, and so on.
    installed = packages_distributions()
    for module in (name for name, of in EXTRAS.items() if of == extra):
        try:
            there.append(f"{module} {version(installed.get(module, [module])[0])}")
        except PackageNotFoundError:
            missing.append(module)
    found = ", ".join(there) or "nothing of it"
    return Finding(
        what=f"[{extra}]",
        state="absent" if missing else "ok",
        found=f"{found}; missing: {', '.join(missing)}" if missing else found,
        repair=f"pip install 'limbeck[{extra}]'" if missing else None,
    )


def _processor() -> Finding:
    from limbeck.distill.workers import cores

    try:
        import torch

        from limbeck.distill.settings import DistillSettings
        from limbeck.distill.train import compute_dtype
    except ImportError:
        return Finding(what="processor", state="ok", found=f"{cores()} cores")
    half = compute_dtype(DistillSettings()) == torch.bfloat16
    kind = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    speed = "native bfloat16" if half else "no native bfloat16, so training computes in float32"
    return Finding(what="processor", state="ok", found=f"{cores()} cores, {kind}, {speed}")


def _workspace() -> tuple[Workspace | None, Finding]:
    try:
        workspace = Workspace.find()
    except ConfigError:
        found = f"no limbeck.toml in {Path.cwd()} or above it"
        return None, Finding(what="workspace", state="absent", found=found, repair="limbeck init")
    try:
        _ = workspace.settings
    except ConfigError as error:
        return None, _broken("workspace", error, "correct limbeck.toml")
    return workspace, Finding(what="workspace", state="ok", found=str(workspace.root))


def _of_workspace(workspace: Workspace) -> Iterator[Finding]:
    tasks: list[Task] = []
    for path in sorted(workspace.tasks_folder.glob("*.toml")):
        try:
            task = workspace.task(path.stem)
        except ConfigError as error:
            yield _broken(f"task {path.stem}", error, "correct that file")
            continue
        tasks.append(task)
        yield Finding(what=f"task {task.name}", state="ok", found=f"mode {task.mode}")
    if not tasks:
        yield Finding(
            what="tasks",
            state="absent",
            found="no task file yet",
            repair="limbeck init --task NAME",
        )
    yield _store(workspace)
    for task in tasks:
        if task.mode == "cascade":
            yield _cascade(workspace, task)


def _store(workspace: Workspace) -> Finding:
    from limbeck.store.store import Store

    place = workspace.store_url
    if "://" not in place and not Path(place).exists():
        repair = "limbeck import FILE --task NAME, or limbeck gateway"
        return Finding(what="store", state="absent", found=f"none yet at {place}", repair=repair)
    try:
        with Store(place) as store:
            traces = store.counts().traces
            damage = store.verify() if traces <= VERIFIED_WHOLE else None
    except LimbeckError as error:
        return _broken(
            "store", error, "put a copy of the store back, or name another in limbeck.toml"
        )
    if damage:
        more = f" (and {len(damage) - 1:,} more)" if len(damage) > 1 else ""
        return Finding(
            what="store", state="broken", found=f"{damage[0]}{more}", repair="limbeck store verify"
        )
    found = f"{place}: {traces:,} traces"
    if damage is None:
        found, repair = f"{found}, too many to verify now", "limbeck store verify"
        return Finding(what="store", state="ok", found=found, repair=repair)
    return Finding(what="store", state="ok", found=f"{found}, verified")


def _cascade(workspace: Workspace, task: Task) -> Finding:
    """Whether the student that a task in mode `cascade` counts on is there."""
    what = f"cascade {task.name}"
    try:
        from limbeck.evaluate.promotion import read_promotion
        from limbeck.models.local import read_card

        promotion = read_promotion(workspace, task.name)
        if promotion is None:
            repair = "limbeck calibrate STUDENT, then limbeck promote STUDENT"
            found = "no student is promoted, so the teacher answers everything"
            return Finding(what=what, state="absent", found=found, repair=repair)
        card = read_card(workspace.students / promotion.student_folder)
    except LimbeckError as error:
        return _broken(what, error, "limbeck promote STUDENT")
    missing = _extra("train")
    if missing.state != "ok":
        return missing.model_copy(update={"what": what, "state": "broken"})
    if card.id != promotion.policy.student:
        found = f"the student {promotion.student_folder!r} has changed since its policy was fitted"
        repair = f"limbeck calibrate {promotion.student_folder}, then limbeck promote it"
        return Finding(what=what, state="broken", found=found, repair=repair)
    return Finding(what=what, state="ok", found=f"student {promotion.student_folder}")


def _disk(folder: Path) -> Finding:
    free = shutil.disk_usage(folder).free
    state: Literal["ok", "absent", "broken"] = "ok"
    repair = None
    if free < LITTLE_SPACE:
        state = "broken" if free < NO_SPACE else "ok"
        repair = "free some space: students and stores may not fit"
    return Finding(what="disk", state=state, found=f"{free / 1e9:.1f} GB free", repair=repair)


def _broken(what: str, error: LimbeckError, repair: str) -> Finding:
    return Finding(what=what, state="broken", found=str(error), repair=repair)
