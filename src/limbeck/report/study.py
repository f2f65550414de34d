"""Writes the page of a study: its conclusions, its drawings and every number behind them.

out/study.html      style and drawings are inside; no script, nothing is loaded
out/study.md        with the drawings of out/figures
out/study.json      the result
out/figures/        each drawing as SVG and PNG
"""

from __future__ import annotations

from pathlib import Path

from limbeck.errors import LimbeckError
from limbeck.evaluate.study.result import StudyResult
from limbeck.report import numbers
from limbeck.report.figures.chart import inline, png, svg
from limbeck.report.figures.study import drawings
from limbeck.report.markdown import cell
from limbeck.report.rendering import render

FILTERS = (
    numbers.count,
    numbers.duration,
    numbers.million,
    numbers.percent,
    numbers.points,
    numbers.points_span,
    numbers.span,
    inline,
    cell,
)


def write_study(result: StudyResult, out: Path, *, command: str) -> Path:
    """Writes the study into the folder `out` and returns the path of its page.

    `command` is what made it. Raises LimbeckError where the folder cannot be written.
    """
    figures = drawings(result)
    files: dict[Path, bytes] = {}
    for figure in figures:
        drawn = svg(figure, simulated=result.simulated)
        files[out / "figures" / f"{figure.name}.svg"] = drawn.encode()
        files[out / "figures" / f"{figure.name}.png"] = png(drawn)
    files[out / "study.json"] = (result.model_dump_json(indent=1) + "\n").encode()
    # The page comes last, so that it never shows what is not beside it.
    for template, name in (("study.md.j2", "study.md"), ("study.html.j2", "study.html")):
        files[out / name] = _render(template, result, figures, command).encode()
    try:
        (out / "figures").mkdir(parents=True, exist_ok=True)
        for path, content in files.items():
            partial = path.with_name(f"{path.name}.partial")
            partial.write_bytes(content)
            partial.replace(path)
    except OSError as error:
        raise LimbeckError(
            f"the study cannot be written into {str(out)!r}: {error.strerror or error} "
            f"({error.filename}); wanted a folder with room that you may write; name another"
        ) from None
    return out / "study.html"


def _render(template: str, result: StudyResult, figures: object, command: str) -> str:
    return render(
        template,
        FILTERS,
        result=result,
        figures=figures,
        command=command,
        matched=matched(result),
        title=f"{result.study}: {result.task}",
    )


def matched(result: StudyResult) -> list[str]:
    """What was the same for all arms, and what was not, one sentence each."""
    steps = sorted({arm.steps for arm in result.arms})
    inputs = sorted({arm.train_inputs for arm in result.arms})
    batch = result.settings.get("batch")
    said = [
        f"Every student took {numbers.count(steps[0])} steps of {batch} inputs."
        if len(steps) == 1
        else f"Students took {' or '.join(numbers.count(one) for one in steps)} steps of {batch} inputs."
    ]
    if len(inputs) == 1:
        said.append(f"All learned from the same {numbers.count(inputs[0])} inputs.")
    else:
        said.append(
            f"They learned from {numbers.count(inputs[0])} to {numbers.count(inputs[-1])} inputs; fewer "
            "inputs were seen more often, so that the steps are the same. The inputs of a seed are drawn "
            "once: fewer are part of more."
        )
    said.append(
        f"All were asked the same {numbers.count(result.n)} {result.split} calls and judged by the "
        f"task's verifier. Differences are paired by seed and call."
    )
    return said
