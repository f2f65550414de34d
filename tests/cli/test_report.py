from __future__ import annotations

import json
from pathlib import Path

import pytest

from limbeck.cli.app import main
from limbeck.report.summary import Summary


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run that stopped before its first task; enough to have a page."""
    summary = Summary(
        version="0.1.0",
        title="A run",
        simulated=True,
        seed=0,
        command="limbeck demo",
        machine={},
        seconds=1.0,
        peak_memory_mb=10.0,
        stages=(),
        tasks=(),
    )
    (tmp_path / "summary.json").write_text(summary.model_dump_json(), "utf-8")
    return tmp_path


def test_the_page_is_written_again_from_the_numbers(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", str(run)]) == 0
    assert str(run / "report.html") in capsys.readouterr().out
    assert "A run" in (run / "report.html").read_text("utf-8")


def test_json_names_every_file(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(run), "--json"]) == 0
    written = json.loads(capsys.readouterr().out)
    assert written.keys() == {"report", "markdown", "summary", "figures"}
    assert all(Path(path).exists() for path in written.values())


def test_a_folder_without_a_run_gives_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", str(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert said.startswith("error: cannot read")
    assert len(said.splitlines()) == 1
