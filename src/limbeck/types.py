"""The nouns of Limbeck: frozen, JSON-ready, without behaviour beyond naming themselves.

Whatever crosses a disk, a socket or the command line is one of these. Identity is content: the name
of a thing is the SHA-256 of its canonical JSON, so that it can be re-derived and checked.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from datetime import datetime
from functools import cached_property
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)
from pydantic_core import PydanticSerializationError

SCHEMA = 2
"""Version of the noun layout; part of what is hashed. Since 2, what has its default value is left out
of the hash, so that a noun may gain a field and every older one keeps its name."""


class Noun(BaseModel):
    """A frozen value; an unknown key is an error, never ignored."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """A copy with `update` applied; what was derived from the old content is derived anew."""
        copied = super().model_copy(update=update, deep=deep)
        for name in [key for key in vars(copied) if key not in type(self).model_fields]:
            del vars(copied)[name]
        return copied


def canonical_json(value: Any) -> str:
    """JSON with sorted keys and no spaces: equal values give equal text, byte for byte."""
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )


def content_hash(value: Any) -> str:
    """`sha256:` and the hex digest of the canonical JSON of `value`."""
    return text_hash(canonical_json(value))


def text_hash(text: str) -> str:
    """`sha256:` and the hex digest of `text` in UTF-8."""
    return f"sha256:{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()}"


# ---- the task -----------------------------------------------------------------------------------

AnswerKind = Literal["choice", "number", "text", "json"]


class AnswerForm(Noun):
    """What an answer of a task looks like.

    `choices` are the labels of a `choice` task. A task whose choices differ from call to call
    leaves them empty and gives them with each trace. `tolerance` is absolute, for `number` and the
    numbers in `json`. `json_schema` is the JSON Schema (2020-12) of a `json` answer; without one any
    JSON is in form.
    """

    kind: AnswerKind
    choices: tuple[str, ...] = ()
    tolerance: Annotated[float, Field(ge=0)] = 0.0
    json_schema: dict[str, Any] = {}

    @model_validator(mode="after")
    def _choices_belong_to_choice(self) -> AnswerForm:
        if self.choices and self.kind != "choice":
            raise ValueError(
                f"choices are given, but kind is {self.kind!r}; wanted kind = 'choice'"
            )
        if len(set(self.choices)) != len(self.choices):
            raise ValueError(f"choices repeat: {list(self.choices)!r}; wanted each once")
        return self

    @model_validator(mode="after")
    def _schema_belongs_to_json(self) -> AnswerForm:
        if not self.json_schema:
            return self
        if self.kind != "json":
            raise ValueError(f"json_schema is given, but kind is {self.kind!r}; wanted 'json'")
        # Imported on use: only tasks of this kind pay for it.
        from jsonschema import Draft202012Validator, SchemaError
        from referencing import Registry
        from referencing.exceptions import Unresolvable
        from referencing.jsonschema import DRAFT202012

        try:
            Draft202012Validator.check_schema(self.json_schema)
        except SchemaError as error:
            place = ".".join(map(str, error.absolute_path)) or "the whole"
            raise ValueError(f"json_schema is no JSON Schema ({place}: {error.message})") from None
        whole = DRAFT202012.create_resource(self.json_schema)
        # Nothing is fetched: what a schema refers to must stand in it.
        resolver = Registry().with_resource("", whole).resolver()
        for place in _references(self.json_schema):
            try:
                resolver.lookup(place)
            except Unresolvable:
                raise ValueError(
                    f"json_schema refers to {place!r}, which it does not hold; "
                    f"wanted a place within it, such as '#/$defs/NAME'"
                ) from None
        return self

    @model_serializer(mode="wrap")
    def _without_an_empty_schema(self, rest: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # Students are named by the hash of their whole card: older ones keep their names.
        written: dict[str, Any] = rest(self)
        if not self.json_schema:
            written.pop("json_schema", None)
        return written


def _references(schema: Any) -> list[str]:
    """Every `$ref` in a JSON Schema."""
    if isinstance(schema, list):
        return [place for part in schema for place in _references(part)]
    if not isinstance(schema, dict):
        return []
    own = [schema["$ref"]] if isinstance(schema.get("$ref"), str) else []
    return own + [place for part in schema.values() for place in _references(part)]


class ReplyForm(Noun):
    """How a teacher's reply text divides into rationale and answer.

    `answer_markers` are tried in order, without regard to case; the answer is what follows the
    first place where one of them stands, up to a line end or sentence end. A reply whose rationale
    came in a thinking block needs no marker: the whole text is then the answer.
    """

    answer_markers: tuple[str, ...] = ("Answer:",)
    answer_end: tuple[str, ...] = ("\n",)
    equation: bool = False
    """The answer is an arithmetic expression; its value is the answer."""
    stop: tuple[str, ...] = ()
    """The stop sequences that the call should have had: nothing from the first one on is read."""
    answer_field: str | None = None
    """Where the answer stands in a reply that is JSON, or in the input of a tool that it calls;
    dots and indexes walk in (`result.label`)."""
    rationale_field: str | None = None
    """Where the rationale stands in such a reply; None takes `field` of `[elicit]` where a rationale
    is asked for by schema."""


Usd = Annotated[float, Field(ge=0)]


class Price(Noun):
    """USD for a million tokens, over what the price library says of the model; None leaves it to the
    library.

    `cached` is for input read from a cache, `cache_write_5m` and `cache_write_1h` for input written to
    one that lives so long. Reasoning is paid as `output`. `batch` is the share of the price that a
    batch costs.
    """

    input: Usd | None = None
    output: Usd | None = None
    cached: Usd | None = None
    cache_write_5m: Usd | None = None
    cache_write_1h: Usd | None = None
    batch: Annotated[float, Field(ge=0, le=1)] = 0.5


class TeacherSpec(Noun):
    """Which remote model is paid for the task today.

    `upstream` names one of the gateway's upstreams; None takes the one of the call's dialect.
    """

    model: str = ""
    price: Price = Price()
    upstream: str | None = None


PLACE = re.compile(r"\{\{([A-Za-z_][A-Za-z0-9_]*)\}\}|\{([A-Za-z_][A-Za-z0-9_]*)\}")
"""`{name}` is the place of a field and `{{name}}` the text `{name}`; all other braces are themselves,
so that a template may hold JSON."""


class CallForm(Noun):
    """What varies in the calls of a task; all else is its skeleton. By default the text of the last
    user message varies.

    `template` is the last user message with `{name}` where a field stands. `paths` gives a field by
    its place in the request body (`messages.0.content.1.text`, `metadata.order`; negative indexes
    count from the end). `input` puts the fields together as the student reads them; without it a
    single field stands alone, and several as `name: value` lines in their order.

    `system` is the system prompt with `{name}` where something varies that is no part of the job (a
    date, a name); such a field is in the input only where `input` names it.
    """

    template: str | None = None
    paths: dict[str, str] = {}
    input: str | None = None
    system: str | None = None

    @model_validator(mode="after")
    def _input_has_its_fields(self) -> CallForm:
        there = [*places(self.template or ""), *self.paths, *places(self.system or "")]
        if self.template is not None and not places(self.template):
            raise ValueError(
                f"template is {self.template!r}, which has no place; wanted `{{name}}` in it"
            )
        for name in places(self.input or ""):
            if name not in there:
                raise ValueError(
                    f"input has the place {name!r}; wanted one of {', '.join(there) or 'no place'}"
                )
        return self


def places(template: str) -> list[str]:
    """The names of the fields of a template, in their order."""
    return [found[2] for found in PLACE.finditer(template) if found[2]]


ElicitHow = Literal["never", "inline", "schema"]


class ElicitForm(Noun):
    """Whether the gateway asks for a rationale that the client did not ask for, and hides it again.

    `inline` asks for it in `<rationale>` tags before the reply; `schema` puts a property before the
    others of a JSON schema or tool input. `share` is the share of calls. `wording` is what is asked;
    `extra_tokens` is added to a limit that the client sets, so that its answer is not cut off.
    """

    how: ElicitHow = "never"
    share: Annotated[float, Field(ge=0, le=1)] = 1.0
    wording: str = "Explain step by step how the answer follows from the input."
    field: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,63}$")] = "rationale"
    extra_tokens: Annotated[int, Field(ge=0)] = 1024


RedactKind = Literal["email", "phone", "card", "iban", "key"]


class RedactForm(Noun):
    """What is taken out of a call before it is stored; the call itself passes untouched.

    `patterns` are regular expressions by the name of their kind. `hook` is the `module:function` of
    your own: text in, (start, end, kind) spans out.
    """

    kinds: tuple[RedactKind, ...] = ()
    patterns: dict[str, str] = {}
    hook: str | None = None


class ImportMap(Noun):
    """Which key of a row feeds which field of a trace; dots and indexes walk in (`teacher.0.raw`).

    `input` may be a template with `{key}` places. `None` means: the rows have no such thing.
    """

    input: str = "{input}"
    reply: str | None = None
    rationale: str | None = None
    answer: str | None = None
    truth: str | None = None
    choices: str | None = None
    id: str | None = None
    group: str | None = None
    generator: str | None = None
    licence: str | None = None
    choice_join: str = ", "


class SplitPlan(Noun):
    """Shares of the distinct inputs by split; they are normalized, so any positive scale will do."""

    train: Annotated[float, Field(ge=0)] = 0.7
    validation: Annotated[float, Field(ge=0)] = 0.1
    calibration: Annotated[float, Field(ge=0)] = 0.1
    test: Annotated[float, Field(ge=0)] = 0.1

    @model_validator(mode="after")
    def _something_to_train_on(self) -> SplitPlan:
        if self.train <= 0:
            raise ValueError(f"split share of train is {self.train!r}; wanted more than 0")
        return self


class Task(Noun):
    """A narrow job that a teacher is paid for, as its TOML file in `tasks/` says.

    `instruction` is the constant part of every call (the skeleton); the student learns it instead
    of reading it.
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]
    instruction: str = ""
    answer: AnswerForm
    reply: ReplyForm = ReplyForm()
    stakes: Literal["low", "high"] = "low"
    mode: Literal["record", "shadow", "cascade", "off"] = "record"
    teacher: TeacherSpec = TeacherSpec()
    call: CallForm = CallForm()
    elicit: ElicitForm = ElicitForm()
    redact: RedactForm = RedactForm()
    keep_days: Annotated[int, Field(gt=0)] | None = None
    """Traces older than this are deleted by `limbeck forget --expired`; None keeps them."""
    rows: ImportMap = ImportMap()
    splits: SplitPlan = SplitPlan()
    checks: dict[str, dict[str, Any]] = {}
    """Settings of curation checks by the check's name; `{enabled = false}` switches one off."""

    @cached_property
    def skeleton(self) -> str:
        """The content hash of what stays the same in the calls of the task."""
        form = self.call
        return skeleton_of(
            form.system or self.instruction,
            template=form.template,
            paths=form.paths,
            input=form.input,
        )


def skeleton_content(
    instruction: str,
    *,
    template: str | None = None,
    paths: Mapping[str, str] | None = None,
    input: str | None = None,  # noqa: A002 - the name of the key
    tools: Any = None,
    form: Any = None,
) -> str:
    """The constant part of a call as canonical JSON, which is also the blob that keeps it.

    `template`, `paths` and `input` are those of the CallForm that the call matched. `tools` are the
    tool definitions and `form` the reply's required schema, as they stand in the request. White
    space around the instruction does not count.
    """
    parts = {"template": template, "paths": paths, "input": input, "tools": tools, "form": form}
    there = {name: value for name, value in parts.items() if value}
    return canonical_json({"instruction": instruction.strip(), **there})


def skeleton_of(instruction: str, **parts: Any) -> str:
    """The hash of the constant part of a call: the name of the blob that keeps it. `parts` are those
    of `skeleton_content`."""
    return text_hash(skeleton_content(instruction, **parts))


# ---- the trace ----------------------------------------------------------------------------------

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


# ---- the dataset --------------------------------------------------------------------------------


class Chain(Noun):
    """One way from an input to an answer: what was written before the answer, and the answer."""

    rationale: str
    answer: str


class Example(Noun):
    """One input of a curated dataset: what a recipe sees and what a verifier needs.

    `rationale` is None where the trace had none worth keeping. `truth` is the trusted answer;
    `truth_source` says who said so. Where a curation kept several chains of an input, `others` holds
    those beside the best, which is `rationale` and `answer`.
    """

    trace_id: str
    input: str
    choices: tuple[str, ...] = ()
    rationale: str | None = None
    answer: str
    truth: str
    truth_source: OutcomeSource = "gold"
    group: str | None = None
    weight: float = 1.0
    others: tuple[Chain, ...] = ()

    @property
    def chains(self) -> tuple[Chain, ...]:
        """Every chain of the input, the best first; empty where there is no rationale."""
        if not self.rationale:
            return ()
        return (Chain(rationale=self.rationale, answer=self.answer), *self.others)


# ---- targets ------------------------------------------------------------------------------------

Role = Literal["control", "rationale", "answer", "question"]


class Part(Noun):
    """A piece of what the student writes. `weight` scales its loss; 0 is read but not learned.

    A `control` part is the name of a control token (`think`, `answer`, ...), not text.
    """

    text: str
    role: Role
    weight: float = 1.0


class Branch(Noun):
    """One continuation of a prompt. The end-of-text token follows the last part, with its weight."""

    parts: tuple[Part, ...]


class Tree(Noun):
    """Everything that the student learns about one input: a prompt and its weighted branches."""

    prompt: str
    branches: tuple[Branch, ...]
    weight: float = 1.0


class Again(Noun):
    """When a first answer is unsure, and how the student is then asked.

    P(the first answer is right) = σ(bias + Σ weight · (feature − center) / scale) over the features of
    `limbeck.models.turns`; below `threshold` it is asked again.
    """

    control: str
    order: Literal["rationale_answer", "answer_rationale"]
    center: tuple[float, ...]
    scale: tuple[float, ...]
    weights: tuple[float, ...]
    bias: float
    threshold: float


class Frame(Noun):
    """What stands around an input, and around a rationale, for a student that reads it: a chat template,
    or the task's instruction. Special tokens in these are read as such.
    """

    before: str = ""
    after: str = ""
    open: str = ""
    close: str = ""


class Ask(Noun):
    """How a student of a recipe is asked, and what its reply means.

    `control` is the control token put after the input; the student then writes. `order` says where
    the answer stands. `causal` is False where the rationale cannot have caused the answer: such a
    rationale is labelled "post-hoc by construction".

    Some are asked in two turns: with `asker`, a student in that folder inside of its own first writes
    the questions that it is to solve; with `again`, it is asked anew where its first answer is unsure.
    """

    control: str
    order: Literal["answer", "rationale_answer", "answer_rationale"]
    causal: bool
    asker: str | None = None
    again: Again | None = None
    frame: Frame | None = None


# ---- the student --------------------------------------------------------------------------------


class StudentCard(Noun):
    """`limbeck.json` beside a student's weights: what it is, what it learned from, how it is asked.

    `skeleton` is the hash of the instructions that it learned instead of reading them; `dataset` and
    `weights` are content hashes; `max_new_tokens` is long enough for what it was taught to write.
    """

    schema_version: int = SCHEMA
    task: Task
    recipe: str
    recipe_settings: dict[str, Any] = {}
    settings: dict[str, Any] = {}
    ask: Ask
    base: str
    parameters: int
    dataset: str
    train_examples: int
    skeleton: str
    simulated: bool
    seed: int
    steps: int
    tokens_seen: int
    seconds: float
    final_loss: dict[str, float] = {}
    validation_accuracy: float | None = None
    max_new_tokens: int
    weights: str
    version: str
    instruction_tokens: int = 0
    """Tokens of the instruction that a call no longer has to carry, since the student has learned it."""

    @cached_property
    def id(self) -> str:
        return content_hash(self.model_dump(mode="json"))


# ---- the policy ---------------------------------------------------------------------------------


PolicyAim = Literal["risk", "regret", "accuracy", "budget"]


class Steps(Noun):
    """One signal's part of a boosted rule: `values[i]` counts where `i` of the `cuts` lie below the
    signal, so that there is one value more than cuts."""

    cuts: tuple[float, ...]
    values: tuple[float, ...]


class GroupRule(Noun):
    """The rule for one group of calls, tested by itself; `threshold` is None where none passed."""

    name: str
    threshold: float | None
    n_bound: int
    n_accepted: int
    n_errors: int
    p_value: float | None


class Policy(Noun):
    """The fitted rule for who answers. `threshold` is None where no threshold passed.

    `max_risk` is the promised error rate among the calls that the student answers, whatever the aim
    was; `goal` is what was aimed at: a regret against the teacher, an accuracy of all calls, or USD
    for a thousand of them. `kind` says how the signals become a score: `weights` over standardized
    signals, or `steps` added up; `knots` take that score to a probability. `novelty` is what the
    student's training inputs were like, where a signal needs it. With `grouped_by`, each of `groups`
    has a threshold of its own, `threshold` is the lowest of them, and a call of any other group goes
    to the teacher. `audit_rate` is the share of local answers that are drawn to be checked.
    """

    task: str
    student: str
    skeleton: str
    max_risk: float
    confidence: float
    signals: tuple[str, ...]
    center: tuple[float, ...]
    scale: tuple[float, ...]
    weights: tuple[float, ...]
    bias: float
    threshold: float | None
    truth_source: OutcomeSource
    n_fit: int
    n_bound: int
    n_accepted: int
    n_errors: int
    p_value: float | None
    calibration_hash: str
    aim: PolicyAim = "risk"
    goal: float | None = None
    kind: Literal["logistic", "boosted"] = "logistic"
    steps: tuple[Steps, ...] = ()
    knots: tuple[tuple[float, float], ...] = ()
    novelty: str | None = None
    samples: int = 0
    grouped_by: Literal["label", "group"] | None = None
    groups: tuple[GroupRule, ...] = ()
    audit_rate: Annotated[float, Field(ge=0, le=1)] = 0.05

    @cached_property
    def id(self) -> str:
        return content_hash(self.model_dump(mode="json", exclude_defaults=True))


class Closing(Noun):
    """Why a policy may answer no more. `audits` were seen, `errors` of them wrong."""

    reason: str
    audits: int
    errors: int
    at: datetime


class Promotion(Noun):
    """Which student serves a task, under which policy. One file a task; it is replaced whole.

    A policy that is `closed` answers nothing until another one is promoted. One that is a canary decides
    a `share` of the calls, drawn at random; the one `before` it decides the others. `withdrawn` says why
    a canary was taken back.
    """

    student_folder: str
    policy: Policy
    at: datetime | None = None
    closed: Closing | None = None
    share: Annotated[float, Field(gt=0, le=1)] = 1.0
    before: Promotion | None = None
    withdrawn: Closing | None = None
