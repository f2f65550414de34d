"""What the stages of one task share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from limbeck.capture.sandbox.tasks import SandboxTask
from limbeck.demo.plan import Plan, TaskPlan
from limbeck.demo.stages import Stages, Watcher
from limbeck.monitor.settings import MonitorSettings
from limbeck.types import Task
from limbeck.workspace import Workspace

CASCADE = "limbeck.serve.cascade:open_cascade"


@dataclass(frozen=True)
class Run:
    """One task of one run of the loop."""

    plan: Plan
    task: TaskPlan
    sandbox: SandboxTask[Any]
    workspace: Workspace
    stages: Stages
    watcher: Watcher
    truth_log: Path

    @property
    def name(self) -> str:
        return self.task.name

    def in_mode(self, mode: str) -> Task:
        """The task, with that mode in its file: running gateways take it over."""
        task = self.workspace.task(self.name).model_copy(update={"mode": mode})
        self.workspace.write_task(task)
        return task

    def monitoring(self) -> MonitorSettings:
        audits = self.task.shift.canary_audits if self.task.shift is not None else None
        return MonitorSettings() if audits is None else MonitorSettings(canary_audits=audits)
