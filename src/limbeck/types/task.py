"""The task: the narrow job, how its calls and replies read, and what is wanted of its data."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import (
    Field,
    SerializerFunctionWrapHandler,
    field_validator,
    model_serializer,
    model_validator,
)

from limbeck.types.noun import Noun, canonical_json, text_hash

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
    by: Literal["group", "input"] = "group"
    """What stands in one split as a whole: a group, or only an input."""
    shifted: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """By input: the share of the groups that only the shifted test has."""
    judge_since: datetime | None = None
    """Calls recorded before it only train, so that what is promised rests on calls like those to come. A
    time without a zone is UTC."""

    @field_validator("judge_since")
    @classmethod
    def _with_a_zone(cls, at: datetime | None) -> datetime | None:
        return at.replace(tzinfo=UTC) if at is not None and at.tzinfo is None else at

    @model_validator(mode="after")
    def _something_to_train_on(self) -> SplitPlan:
        if self.train <= 0:
            raise ValueError(f"split share of train is {self.train!r}; wanted more than 0")
        if self.shifted and self.by == "group":
            raise ValueError(
                f'shifted is {self.shifted!r} where groups stand in one split as a whole; wanted by = "input" '
                "with it, so that test has the groups that were trained on"
            )
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
