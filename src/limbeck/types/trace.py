"""The trace: one recorded call, what is learned of it later, and what a verifier says of it."""

from __future__ import annotations

import json
from datetime import datetime
from functools import cached_property
from typing import Annotated, Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticSerializationError

from limbeck.types.noun import SCHEMA, Noun, text_hash

Origin = Literal["native", "elicited", "post_hoc", "human", "self", "rationalized"]
Status = Literal["ok", "cut_off", "refused", "error"]


class Rationale(Noun):
    """Why, in the words of whoever wrote it: evidence, never proof."""

    text: str
    origin: Origin = "elicited"


class Usage(Noun):
    """Tokens as the provider counted them.

    `input` is everything read: it includes `cached` (read from a cache) and the two counts of what was
    written to one. `output` includes `reasoning`. `tier` is the provider's own word for the service
    (`batch`, `priority`, ...).
    """

    input: int = 0
    output: int = 0
    cached: int = 0
    cache_write_5m: int = 0
    cache_write_1h: int = 0
    reasoning: int = 0
    tier: str | None = None


NO_USAGE = Usage()


class Elicited(Noun):
    """A rationale was asked for in this call, and what that cost: estimated tokens."""

    how: Literal["inline", "schema"]
    extra_input: int = 0
    extra_output: int = 0


class Provenance(Noun):
    """Where a trace came from; what disclosure needs later.

    `skeleton` names the blob with the constant part of the call. `correlation` is the caller's own
    name for the call, and `subject` the person or customer that it is about (what a deletion request
    names).
    """

    source: Literal["gateway", "import", "sdk", "student"]
    generator: str = "unknown"
    simulated: bool = False
    skeleton: str | None = None
    request_id: str | None = None
    correlation: str | None = None
    subject: str | None = None
    dialect: str | None = None
    file: str | None = None
    row: str | None = None
    licence: str | None = None


class Routing(Noun):
    """Who answered a call of a cascade and by which rule, so that the decision can be made again.

    `policy` is its id, `answer` what the student said in the task's form, whoever answered in the end.
    `audit` says that the call was drawn at random, without regard to what the student said, to be
    checked: an audited answer of the student gets an outcome, and the teacher's reply to the same
    call is a trace of its own that also says `audit`.
    """

    policy: str
    local: bool
    answer: str | None = None
    confidence: float | None = None
    signals: tuple[float, ...] = ()
    group: str | None = None
    audit: bool = False
    reason: str = ""


class Trace(Noun):
    """One call, frozen, named by the hash of its content.

    `raw` is the reply text as it came and `thinking` its thinking block; where `raw` stands,
    `rationale` and `answer` are derived from it when it is read (`capture.reply.reread`): they are not
    kept, so that a corrected task file needs no second import.

    What does not fit in `input` and `raw` is kept beside them: `context` names the blob with the
    earlier turns and media of the call, `blocks` is the canonical JSON of a reply's content where that
    is more than text (tool calls, citations). `redacted` counts what was taken out, by kind.
    """

    task: str | None
    input: str
    choices: tuple[str, ...] = ()
    context: str | None = None
    raw: str | None = None
    thinking: str | None = None
    blocks: str | None = None
    rationale: Rationale | None = None
    answer: str | None = None
    status: Status = "ok"
    stop_reason: str | None = None
    group: str | None = None
    split: Literal["train", "validation", "calibration", "test", "shifted"] | None = None
    provenance: Provenance
    elicited: Elicited | None = None
    redacted: dict[str, int] = {}
    usage: Usage = NO_USAGE
    cost_usd: float | None = None
    latency_s: float | None = None
    created_at: datetime | None = None
    routing: Routing | None = None

    @cached_property
    def id(self) -> str:
        return text_hash(f'{{"schema":{SCHEMA},"trace":{self.content}}}')

    @cached_property
    def content(self) -> str:
        """The trace as JSON: what is kept and hashed. It leaves out what has its default value, and
        what is derived from `raw`; keys stand in the order in which the fields are declared, so that a
        new field goes to the end of its noun."""
        kept = self
        if self.raw is not None and (self.rationale is not None or self.answer is not None):
            kept = self.model_copy(update={"rationale": None, "answer": None})
        try:
            return kept.model_dump_json(exclude_defaults=True)
        except PydanticSerializationError:
            # Teachers do send lone surrogates, which are no text in UTF-8.
            content = kept.model_dump(mode="json", exclude_defaults=True)
            return json.dumps(content, separators=(",", ":"), allow_nan=False)


class PostHoc(Noun):
    """A rationale that was asked for after its trace was recorded, and what the asking cost.

    `answer` is what the teacher answered this time; it may differ from the trace's. `blind` says that
    it was not shown the recorded answer. Append-only; the latest counts.
    """

    trace_id: str
    rationale: str
    answer: str | None = None
    generator: str = "unknown"
    simulated: bool = False
    usage: Usage = NO_USAGE
    cost_usd: float | None = None
    at: datetime | None = None
    blind: bool = False


OutcomeSource = Literal["gold", "human", "verifier", "downstream", "teacher_agreement"]

TRUST: dict[str, int] = {
    "gold": 4,
    "human": 3,
    "verifier": 2,
    "downstream": 1,
    "teacher_agreement": 0,
}
"""The most trusted source of an outcome wins. A person is believed over a program, a program that
checks the answer over an event further down that may have other causes, and agreement with the
teacher comes last because it repeats what is to be checked."""


class Outcome(Noun):
    """What turned out to be true of a trace: the right answer, or only whether its answer was right."""

    trace_id: str
    value: str | None = None
    correct: bool | None = None
    source: OutcomeSource
    at: datetime | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Outcome:
        if self.value is None and self.correct is None:
            raise ValueError("outcome has neither `value` nor `correct`; wanted at least one")
        return self


class Verdict(Noun):
    """What a verifier says of one answer: `score` is 1.0 for right, 0.0 for wrong."""

    score: Annotated[float, Field(ge=0, le=1)]
    reason: str
