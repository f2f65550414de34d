"""What is loaded when a part of Limbeck is imported: the core must work without any extra."""

from __future__ import annotations

import subprocess
import sys

import pytest

EXTRAS = (
    "torch",
    "transformers",
    "tokenizers",
    "starlette",
    "uvicorn",
    "httptools",
    "uvloop",
    "ray",
)


@pytest.mark.parametrize(
    "module",
    [
        "limbeck.types",
        "limbeck.workspace",
        "limbeck.store.store",
        "limbeck.capture.importer",
        "limbeck.curate.curate",
        "limbeck.models.remote",
        "limbeck.models.local",
        "limbeck.evaluate.evaluate",
        "limbeck.evaluate.calibrate",
        "limbeck.report.page",
        "limbeck.cli.app",
        "limbeck.cli.distill",
    ],
)
def test_importing_the_core_loads_no_extra(module: str) -> None:
    program = f"""
import sys, {module}
print(*sorted(set({EXTRAS!r}) & {{name.split('.')[0] for name in sys.modules}}))
"""
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert ran.stdout.split() == []
