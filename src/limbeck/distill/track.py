"""A run's numbers in the tracker that you have: trackio, TensorBoard, MLflow, W&B, through accelerate."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from limbeck.errors import ConfigError, MissingExtraError

Log = Callable[[dict[str, float], int], None]


@contextmanager
def tracking(
    tracker: str | None, name: str, folder: Path, settings: dict[str, Any]
) -> Iterator[Log]:
    """`log(values, step)` for as long as a run lasts; without a tracker it does nothing.

    `name` is the run's. Files of trackers that write some go into `folder`. Raises `ConfigError` for a
    tracker that is unknown or not installed.
    """
    if not tracker:
        yield lambda values, step: None
        return
    try:
        from accelerate import Accelerator
        from accelerate.utils import ProjectConfiguration
    except ImportError as error:
        raise MissingExtraError(error.name or "accelerate", "train") from None
    try:
        project = ProjectConfiguration(project_dir=str(folder), logging_dir=str(folder))
        accelerator = Accelerator(log_with=tracker, project_config=project)
        if not accelerator.log_with:
            raise ValueError("it is not installed")
        flat = {key: value if value is not None else "none" for key, value in settings.items()}
        accelerator.init_trackers("limbeck", config={**flat, "run": name})
    except (ValueError, ImportError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(
            f"the tracker {tracker!r} cannot be used ({reason}); wanted one of trackio, tensorboard, "
            "mlflow, wandb, installed in this environment"
        ) from None
    try:
        yield lambda values, step: accelerator.log(values, step=step)
    finally:
        accelerator.end_training()
