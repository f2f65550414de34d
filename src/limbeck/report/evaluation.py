"""Writes an evaluation: one page that needs nothing beside it, and the numbers as JSON.

out/evaluation.html   style and drawings are inside; no script, nothing is loaded
out/evaluation.json   every number that is shown
"""

from __future__ import annotations

from pathlib import Path

from limbeck.errors import LimbeckError
from limbeck.evaluate.result import Result
from limbeck.report import numbers
from limbeck.report.figures.chart import inline
from limbeck.report.rendering import render
from limbeck.report.section import Section
from limbeck.report.sections import sections_of


def write_evaluation(result: Result, out: Path) -> Path:
    """Writes both files into the folder `out` and returns the path of the page.

    Raises LimbeckError where the folder cannot be written.
    """
    sections = sections_of(result)
    page = out / "evaluation.html"
    files = {
        out / "evaluation.json": result.model_dump_json(indent=1) + "\n",
        page: _render(result, sections),
    }
    try:
        out.mkdir(parents=True, exist_ok=True)
        for path, text in files.items():
            partial = path.with_name(f"{path.name}.partial")
            partial.write_bytes(text.encode("utf-8", "replace"))
            partial.replace(path)
    except OSError as error:
        raise LimbeckError(
            f"the evaluation cannot be written into {str(out)!r}: {error.strerror or error}; wanted a "
            "folder with room that you may write; name another with --out"
        ) from None
    return page


def _render(result: Result, sections: list[Section]) -> str:
    return render(
        "evaluation.html.j2",
        (numbers.count, numbers.million, inline),
        result=result,
        title=f"Evaluation of {result.task}",
        sections=sections,
        headlines=[one for section in sections for one in section.headlines],
    )
