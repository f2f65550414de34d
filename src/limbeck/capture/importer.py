"""Logs that exist already: rows of a file become traces, and what is known of them outcomes.

The file is streamed, and every batch of rows is one transaction: a broken file leaves the whole
batches before the break, and importing it again adds nothing twice. A row of the task's own mapping
is named by its content and line; a call of another tool's export by the name that the provider or the
tool gave it, so that it is one trace also where exports overlap.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

from limbeck.capture.exported import Recorded, Split, record, redacted
from limbeck.capture.files import open_rows
from limbeck.capture.formats.imported import Skipped
from limbeck.capture.formats.requests import Requests
from limbeck.capture.formats.table import AUTO, ROWS, Format, format_of, unwrapped
from limbeck.capture.jsonl import BadLineError, Row, at_line
from limbeck.capture.places import as_text, as_texts, fill, look_up
from limbeck.capture.recognise import Found, find_format
from limbeck.capture.redact import Redactor, redactor_for
from limbeck.capture.reply import reread
from limbeck.errors import ConfigError, UsageError
from limbeck.store.store import Store
from limbeck.types import ImportMap, Noun, Outcome, Provenance, Rationale, Task, Trace
from limbeck.verify.table import normalize

BATCH = 1000
"""Rows in one transaction."""
SHOWN = 3
"""Traces that a dry run shows."""

Progress = Callable[[int, int], None]


class Preview(Noun):
    """A trace as it would be read, and what would be known of it."""

    trace: Trace
    outcomes: tuple[Outcome, ...] = ()


class ImportResult(Noun):
    """What became of the rows: `read` = `added` + `already` + those `skipped`, by reason.

    `outcomes` counts the new ones, and `unused_scores` what the export says that is no outcome.
    `unanswered` counts the traces of a task in whose reply no answer was found, and
    `other_instructions` those whose skeleton is not the task's. `shown` are the first
    traces, where nothing was written.
    """

    format: str = ROWS
    why: str = ""
    read: int
    added: int
    already: int
    outcomes: int
    unused_scores: int = 0
    unanswered: int = 0
    other_instructions: int = 0
    skipped: dict[str, int]
    shown: tuple[Preview, ...] = ()


def import_rows(
    store: Store,
    task: Task,
    path: str | Path,
    *,
    rows: ImportMap | None = None,
    split: Split | None = None,
    limit: int | None = None,
    progress: Progress | None = None,
) -> ImportResult:
    """Bring rows in as traces of `task` by the mapping of the task file, or by `rows` instead.

    As `import_file` with the format `rows`.
    """
    return import_file(
        store, task, path, form=ROWS, rows=rows, split=split, limit=limit, progress=progress
    )


def import_file(
    store: Store | None,
    task: Task | None,
    path: str | Path,
    *,
    form: str = AUTO,
    rows: ImportMap | None = None,
    requests: str | Path | None = None,
    split: Split | None = None,
    limit: int | None = None,
    redactor: Redactor | None = None,
    progress: Progress | None = None,
) -> ImportResult:
    """Bring the calls of a file in as traces of `task`, or of no task.

    `form` names the format; `auto` goes by the first rows. `rows` is a mapping of one's own, before
    that of the task file. `requests` is the file that was sent, for results of batches. `limit` is in
    calls. `redactor` takes out what must not be stored, by default what the task names. `progress` is
    called with the bytes of the file that have been read, and the calls. Without a `store` nothing is
    written, and the first traces are shown.

    Raises ImportFileError with the line for what cannot be read, for a key that is missing, a truth
    that is not in form and a file of another format; ConfigError for a mapping that contradicts
    itself; UsageError where a task or the requests are missing; StoreError.
    """
    path = Path(path)
    mapping = rows or (task.rows if task else ImportMap())
    if mapping.reply is not None and mapping.answer is not None:
        raise ConfigError(
            f"the mapping has both reply = {mapping.reply!r} and answer = {mapping.answer!r}; "
            f"wanted either the whole reply or its parts"
        )
    batch = _Batch(store, redactor or (redactor_for(task.redact) if task else None))
    with ExitStack() as stack:
        try:
            found = find_format(path, form, task, rows)
            if found.name == ROWS:
                if task is None:
                    raise UsageError(_no_task(path))
                calls = _mapped(path, task, mapping, split)
            else:
                chosen = format_of(found.name)
                joined = _requests(chosen, found.name, path, requests, stack)
                calls = _exported(path, chosen, joined, task, split)
            for row, made in calls:
                if limit is not None and batch.read >= limit:
                    break
                batch.take(made, task)
                if progress is not None and batch.read % 100 == 0:
                    progress(row.position, batch.read)
        except BadLineError as error:
            raise error.of_file(path, batch.kept) from None
        batch.write()
    return batch.result(found)


def _requests(
    chosen: Format, name: str, path: Path, requests: str | Path | None, stack: ExitStack
) -> Requests | None:
    if requests is not None:
        given = Path(requests)
        try:
            return stack.enter_context(Requests(given))
        except BadLineError as error:
            raise error.of_file(given, 0) from None
    if chosen.NEEDS_REQUESTS:
        raise UsageError(
            f"{path} holds replies without what was asked ({name}); "
            f"give the file that was sent with --requests FILE"
        )
    return None


def _no_task(path: Path) -> str:
    return (
        f"{path} is in no format that is known to hold whole calls; wanted a --task whose [rows] say "
        f"which key feeds what, or a --format"
    )


# ---- the rows -----------------------------------------------------------------------------------

Made = Recorded | str
"""What a row gives, or the reason why it is passed over."""


def _mapped(
    path: Path, task: Task, mapping: ImportMap, split: Split | None
) -> Iterator[tuple[Row, Made]]:
    for row in open_rows(path):
        with at_line(row.line):
            made = _read(row, task, mapping, path, split)
        yield row, made


def _exported(
    path: Path, chosen: Format, requests: Requests | None, task: Task | None, split: Split | None
) -> Iterator[tuple[Row, Made]]:
    for row in open_rows(path):
        with at_line(row.line):
            for values in unwrapped(row.values):
                for call in chosen.read(values, requests):
                    if isinstance(call, Skipped):
                        yield row, call.reason
                    else:
                        yield row, record(call, task, path, row.line, split)


def _read(row: Row, task: Task, rows: ImportMap, path: Path, split: Split | None) -> Made:
    """The trace and the truth of a row under a mapping, or the reason why it is passed over."""

    def text(place: str | None) -> str | None:
        return None if place is None else as_text(look_up(row.values, place))

    given = fill(rows.input, row.values, rows.choice_join)
    if given is None or not given.strip():
        return "the input is empty"
    choices: tuple[str, ...] = ()
    if rows.choices is not None:
        choices = as_texts(look_up(row.values, rows.choices), rows.choices)
    reply, rationale, answer = text(rows.reply), text(rows.rationale), text(rows.answer)
    truth = _truth(text(rows.truth), task, choices)
    mapped = rows.reply or rows.answer or rows.truth
    if mapped and reply is None and answer is None and truth is None:
        return "neither a reply nor an answer nor a truth"
    # A column of reasoning beside a whole reply is that reply's thinking block.
    thinking = rationale if reply is not None else None
    alone = rationale if reply is None and rationale and rationale.strip() else None
    trace = Trace(
        task=task.name,
        input=given,
        choices=choices,
        raw=reply,
        thinking=thinking,
        rationale=None if alone is None else Rationale(text=alone.strip()),
        answer=answer if answer is None else normalize(task, answer, choices) or answer,
        group=text(rows.group),
        split=split,
        provenance=Provenance(
            source="import",
            generator=text(rows.generator) or task.teacher.model or "unknown",
            skeleton=task.skeleton,
            file=path.name,
            # Without an id the line tells two equal rows apart, so that neither hides the other.
            row=text(rows.id) or f"line {row.line}",
            licence=text(rows.licence),
        ),
    )
    if truth is None:
        return Recorded(trace, {})
    return Recorded(trace, {}, (Outcome(trace_id=trace.id, value=truth, source="gold"),))


def _truth(written: str | None, task: Task, choices: tuple[str, ...]) -> str | None:
    if written is None:
        return None
    truth = normalize(task, written, choices)
    if truth is not None:
        return truth
    if task.answer.kind == "choice":
        wanted = f"one of {list(choices or task.answer.choices)!r}"
    else:
        wanted = f"a {task.answer.kind}"
    raise BadLineError(f"the truth is {written!r}; wanted {wanted}; correct the row or `truth`")


# ---- writing ------------------------------------------------------------------------------------


class _Batch:
    """The traces that wait for the next transaction, and the count of all before them."""

    def __init__(self, store: Store | None, redactor: Redactor | None) -> None:
        self._store = store
        self._redactor = redactor
        self._waiting: list[Recorded] = []
        self._shown: list[Preview] = []
        self.read = self.kept = self.added = self.outcomes = self.unused = self.unanswered = 0
        self.other_instructions = 0
        self.skipped: Counter[str] = Counter()

    def take(self, made: Made, task: Task | None) -> None:
        self.read += 1
        if isinstance(made, str):
            self.skipped[made] += 1
        else:
            if self._redactor is not None:
                made = redacted(made, self._redactor)
            self._waiting.append(made)
            self.unused += made.unused
            reread_one = made.trace if task is None else reread(task, made.trace)
            has_reply = made.trace.raw is not None
            self.unanswered += task is not None and has_reply and reread_one.answer is None
            if task is not None:
                self.other_instructions += made.trace.provenance.skeleton != task.skeleton
            if self._store is None and len(self._shown) < SHOWN:
                self._shown.append(Preview(trace=reread_one, outcomes=made.outcomes))
        if self.read % BATCH == 0:
            self.write()

    def write(self) -> None:
        if self._waiting and self._store is not None:
            traces, outcomes, blobs = self._settled(self._store)
            added, attached = self._store.record(traces, outcomes, blobs)
            self.added += added
            self.outcomes += attached
        elif self._waiting:
            self.added += len(self._waiting)
            self.outcomes += sum(len(made.outcomes) for made in self._waiting)
        self._waiting = []
        self.kept = self.read

    def _settled(self, store: Store) -> tuple[list[Trace], list[Outcome], dict[str, bytes]]:
        """What to write. A call that is in the store under its request id, also as one of another
        task or from another source, is not written again; its outcomes go to that trace."""
        traces: list[Trace] = []
        outcomes: list[Outcome] = []
        blobs: dict[str, bytes] = {}
        named = (made.trace.provenance.request_id for made in self._waiting)
        stored = store.find_all("request_id", {name for name in named if name is not None})
        seen = {name: trace.id for name, trace in stored.items()}
        for made in self._waiting:
            name = made.trace.provenance.request_id
            known = None if name is None else seen.get(name)
            if name is not None:
                seen.setdefault(name, made.trace.id)
            if known is None:
                traces.append(made.trace)
                blobs.update(made.blobs)
                outcomes += made.outcomes
            else:
                outcomes += [
                    outcome.model_copy(update={"trace_id": known}) for outcome in made.outcomes
                ]
        return traces, outcomes, blobs

    def result(self, found: Found) -> ImportResult:
        return ImportResult(
            format=found.name,
            why=found.why,
            read=self.read,
            added=self.added,
            already=self.read - self.added - self.skipped.total(),
            outcomes=self.outcomes,
            unused_scores=self.unused,
            unanswered=self.unanswered,
            other_instructions=self.other_instructions,
            skipped=dict(sorted(self.skipped.items())),
            shown=tuple(self._shown),
        )
