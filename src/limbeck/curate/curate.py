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

The texts are looked at batch by batch, here or in other processes, and lie on disk in between; what
compares traces is decided on an index of narrow rows. Neither the size of the batches nor who worked
on them changes a byte of the result.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from limbeck.curate.contamination import Evaluation
from limbeck.curate.dataset import DatasetInfo, write_dataset
from limbeck.curate.engine import Engine, Here
from limbeck.curate.examination import Examination
from limbeck.curate.frame import NO_RATIONALES, Progress
from limbeck.curate.inspect import inspect
from limbeck.curate.refusal import refusal
from limbeck.curate.semantic import load_embedder
from limbeck.curate.settings import CurateSettings, resolve_settings
from limbeck.curate.sources import batches_of
from limbeck.errors import DatasetError
from limbeck.store.records import Record
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
    records = batches_of(traces, truths, post_hoc)
    with examine_records(records, task, settings, progress, evaluation, out_dir) as examined:
        return write(examined, out_dir, progress)


def write(examined: Examination, out_dir: Path, progress: Progress | None = None) -> DatasetInfo:
    """Write what `examine` decided; raises DatasetError as `curate` does."""
    refused = refusal(examined)
    if refused is not None:
        raise DatasetError(refused)
    if progress is not None:
        progress("writing the dataset", examined.rows.height)
    return write_dataset(out_dir, examined)


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
    records = batches_of(traces, truths, post_hoc)
    return examine_records(records, task, settings, progress, evaluation)


def examine_records(
    records: Iterable[Sequence[Record]],
    task: Task,
    settings: CurateSettings | None = None,
    progress: Progress | None = None,
    evaluation: Evaluation | None = None,
    spill_to: Path | None = None,
    engine: Engine | None = None,
) -> Examination:
    """The same of traces as the store has them, in batches, each of which fits in memory.

    More than a few batches are laid down in a folder in `spill_to` (without one: where temporary
    files are) until the examination is closed. `engine` does the work; it is closed with it.
    """
    settings = settings or resolve_settings(task)
    if settings.duplicates.embedder is not None:
        # What is missing is said before the work, not after it.
        load_embedder(settings.duplicates.embedder)
    return inspect(records, task, settings, progress, evaluation, spill_to, engine or Here())
