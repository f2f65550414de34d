"""`limbeck report`: the report of a run, written again from its numbers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from limbeck.report.page import read_summary, write_report


def command(
    folder: Annotated[
        Path, typer.Argument(metavar="RUN_FOLDER", help="A folder with a summary.json.")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Write the report of a run again: report.html, report.md and figures, from summary.json."""
    page = write_report(read_summary(folder), folder)
    written = {
        "report": str(page),
        "markdown": str(page.with_name("report.md")),
        "summary": str(page.with_name("summary.json")),
        "figures": str(page.with_name("figures")),
    }
    if as_json:
        print(json.dumps(written, indent=2))
        return
    print("\n".join(f"{name:<10}{path}" for name, path in written.items()))
