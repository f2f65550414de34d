"""Which traces may train, which may judge, and why the others may not.

The order matters. Splits come first, by hash, so that no check can influence who is tested. Then:

1. calls that gave no teacher's reply are set aside;
2. outside `train` only an unknown or disputed truth drops a trace, never the quality of its chain:
   a test set without the teacher's failures would flatter everybody;
3. what stands in an evaluation set is not trained on, and an input stands in one split only, nor
   does one that is nearly the same in another;
4. in `train` every check must pass, whatever recipe is used later: the label-only control sees the
   same examples as the students that learn from chains;
5. one trace of each input is kept, and of near-duplicates one, where that is asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import polars as pl

from limbeck.curate import splits
from limbeck.curate.caveats import find_caveats
from limbeck.curate.contamination import Evaluation
from limbeck.curate.dataset import DatasetInfo, write_dataset
from limbeck.curate.decide import decide
from limbeck.curate.examination import Examination
from limbeck.curate.frame import NO_RATIONALES, Progress, read_frame
from limbeck.curate.refusal import refusal
from limbeck.curate.settings import CurateSettings, resolve_settings
from limbeck.curate.summary import summarize
from limbeck.curate.truth import settle
from limbeck.errors import DatasetError
from limbeck.types import Outcome, PostHoc, Task, Trace


def curate(
    traces: Iterable[Trace],
    truths: Mapping[str, Outcome],
    task: Task,
    out_dir: Path,
    settings: CurateSettings | None = None,
    progress: Progress | None = None,
    post_hoc: Mapping[str, PostHoc] = NO_RATIONALES,
    evaluation: Evaluation | None = None,
) -> DatasetInfo:
    """Write the dataset of `task` into a folder of `out_dir`, or find it there already.

    The same traces in any order give the same bytes and therefore the same folder. Raises
    DatasetError where nothing, or only one label, is left to train on, and where the folder cannot
    be written; earlier datasets are never touched.
    """
    examined = examine(traces, truths, task, settings, progress, post_hoc, evaluation)
    return write(examined, out_dir, progress)


def write(examined: Examination, out_dir: Path, progress: Progress | None = None) -> DatasetInfo:
    """Write what `examine` decided; raises DatasetError as `curate` does."""
    refused = refusal(examined)
    if refused is not None:
        raise DatasetError(refused)
    if progress is not None:
        progress("writing the dataset", examined.rows.height)
    return write_dataset(
        out_dir, examined.task, examined.settings, examined.rows, examined.summary, examined.caveats
    )


def examine(
    traces: Iterable[Trace],
    truths: Mapping[str, Outcome],
    task: Task,
    settings: CurateSettings | None = None,
    progress: Progress | None = None,
    post_hoc: Mapping[str, PostHoc] = NO_RATIONALES,
    evaluation: Evaluation | None = None,
) -> Examination:
    """Decide about every trace and write nothing. `post_hoc` are rationales by trace id, for traces
    that have none of their own; `evaluation` are texts that must not be trained on."""
    settings = settings or resolve_settings(task)
    frame = read_frame(traces, truths, task, progress, post_hoc)
    frame = settle(frame, task).with_columns(splits.assign(frame, task))
    verdicts = _run_checks(frame, task, settings, progress)
    if progress is not None:
        progress("looking for duplicates", frame.height)
    decided = decide(frame, verdicts, task, settings, evaluation)
    summary = summarize(decided, task)
    caveats = find_caveats(decided.rows, summary, task)
    return Examination(task, settings, decided.rows, verdicts, summary, caveats)


def _run_checks(
    frame: pl.DataFrame, task: Task, settings: CurateSettings, progress: Progress | None
) -> pl.DataFrame:
    """`trace_id`, `check`, `verdict` and `evidence`, in the order of the checks."""
    said = []
    for check in settings.active():
        if progress is not None:
            progress(f"checking {check.name}", frame.height)
        result = check.run(frame, task)
        said.append(
            result.select(
                frame["trace_id"],
                pl.lit(check.name).alias("check"),
                "verdict",
                "evidence",
            )
        )
    names = {"trace_id": pl.String, "check": pl.String, "verdict": pl.Boolean}
    empty = pl.DataFrame(schema={**names, "evidence": pl.String})
    return pl.concat([empty, *said])
