"""The commands that the README promises, and what they say where they cannot work."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="there is no make here")


def make(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = ["make", "--no-print-directory", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.fixture
def old_python(tmp_path: Path) -> Path:
    """A stand-in for Python 3.9: it fails the check of its version, and says which it is."""
    path = tmp_path / "python3.9"
    path.write_text(
        '#!/bin/sh\ncase "$2" in *version_info*) exit 1 ;; *) echo 3.9.18 ;; esac\n',
        encoding="utf-8",
    )
    path.chmod(0o755)
    return path


@pytest.mark.parametrize("target", ["python", "demo", "test"])
def test_an_old_python_is_refused_in_one_sentence_before_anything_else(
    old_python: Path, tmp_path: Path, target: str
) -> None:
    venv = tmp_path / "venv"
    done = make(target, f"PYTHON={old_python}", f"VENV={venv}")
    said = [line for line in done.stderr.splitlines() if not line.startswith("make")]
    assert done.returncode != 0
    assert said == [
        f"limbeck needs Python 3.11 or newer, and '{old_python}' is 3.9.18; "
        "name another: make PYTHON=/path/to/python3.11"
    ]
    assert not venv.exists()


def test_a_missing_python_is_named(tmp_path: Path) -> None:
    done = make("python", "PYTHON=no-such-python")
    assert done.returncode != 0
    assert "found no 'no-such-python'" in done.stderr


def test_this_python_is_new_enough() -> None:
    assert make("python").returncode == 0


def test_help_lists_targets_that_exist() -> None:
    done = make("help")
    named = re.findall(r"^make ([a-z-]+) ", done.stdout, re.MULTILINE)
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = re.findall(r"^([a-z-]+):", text, re.MULTILINE)
    assert done.returncode == 0
    assert {"demo", "test", "check", "docs", "bench"} <= set(named) <= set(targets)


def test_the_hooks_before_a_commit_run_what_the_check_runs() -> None:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    [recipe] = re.findall(r"^check:.*\n((?:\t.*\n)+)", text, re.MULTILINE)
    wanted = [line.strip().replace("$(BIN)", ".venv/bin") for line in recipe.splitlines()]
    hooks = (ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    assert re.findall(r"entry: (.+)", hooks) == wanted
    assert re.findall(r"repo: (.+)", hooks) == ["local"]


def test_ci_runs_what_the_readme_says() -> None:
    lines = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    ran = [line for line in lines if line and not line.startswith(("#", "set ", "cd "))]
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert ran == ["make test"]
    assert "make test " in readme
