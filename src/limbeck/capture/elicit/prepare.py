"""Asking for a rationale that the client did not ask for, and taking it out of the reply.

Everything here is a pure function of bodies and bytes: the gateway and the wrapped clients carry
them.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any, Protocol, cast

from limbeck.capture.elicit.body import found, mentions, raised, replaced, small_limit
from limbeck.capture.elicit.cutter import Found
from limbeck.capture.elicit.plan import Plan, SchemaPlace
from limbeck.capture.elicit.schema import takes_field, with_field
from limbeck.capture.elicit.stream import Editor, Restorer
from limbeck.capture.elicit.tags import OPEN, instruction
from limbeck.models.dialects.fields import count, mapping
from limbeck.types import Elicited, Task, Usage

DIALECTS = ("anthropic", "openai_chat", "openai_responses")

CHARACTERS_PER_TOKEN = 4
"""An estimate for English; used where there is nothing to take a share of."""


class Requests(Protocol):
    """What a module of `requests` offers."""

    LIMITS: tuple[str, ...]

    def hindrance(self, body: dict[str, Any]) -> str | None: ...

    def inline_hindrance(self, body: dict[str, Any]) -> str | None: ...

    def with_instruction(self, body: dict[str, Any], instruction: str) -> dict[str, Any]: ...

    def schema_place(self, body: dict[str, Any]) -> SchemaPlace | None: ...

    def stored_turns(self, body: dict[str, Any]) -> bool: ...


class Replies(Protocol):
    """What a module of `replies` offers."""

    def restore(self, plan: Plan, body: dict[str, Any]) -> tuple[dict[str, Any], Found]: ...

    def StreamEditor(self, plan: Plan) -> Editor: ...  # noqa: N802 - the name of a class


@dataclass(frozen=True)
class Restored:
    """A reply as the client sees it. `body` is the very object that came where nothing was taken
    out. `extra_output` is an estimate in tokens."""

    body: dict[str, Any]
    rationale: str | None
    extra_output: int


@dataclass(frozen=True)
class Prepared:
    """A call that asks for a rationale: `body` is what the teacher is sent."""

    body: dict[str, Any]
    dialect: str
    plan: Plan

    def restore(self, reply: dict[str, Any]) -> Restored:
        """The JSON reply without the rationale, in the shape that it would have had. The token
        counts stay as they were billed."""
        body, out = _replies(self.dialect).restore(self.plan, reply)
        tokens = _output_tokens(reply)
        return Restored(body, out.rationale, _share(tokens, out.taken, out.shown))

    def stream(self) -> Restorer:
        """What takes the rationale out of a stream of events as its bytes pass."""
        return Restorer(_replies(self.dialect).StreamEditor(self.plan))


def prepare(task: Task, dialect_name: str, body: dict[str, Any], *, draw: float) -> Prepared | None:
    """The call with a rationale asked for, or None where none is.

    `draw` is a number in [0, 1) that is the call's own: it is asked for where it is less than the
    task's share. `reason_not` says why nothing can be asked for in a call that was drawn.
    """
    form = task.elicit
    if form.how == "never" or dialect_name not in DIALECTS:
        return None
    drawn = draw < form.share
    # A teacher that reads tags in its own earlier replies may write them again, asked or not.
    wary = form.how == "inline" and _requests(dialect_name).stored_turns(body)
    if not (drawn or wary) or reason_not(task, dialect_name, body) is not None:
        return None
    if not drawn:
        return Prepared(body, dialect_name, Plan("inline", body, asked=""))
    return (
        _inline(task, dialect_name, body)
        if form.how == "inline"
        else _schema(task, dialect_name, body)
    )


def reason_not(task: Task, dialect_name: str, body: dict[str, Any]) -> str | None:
    """Why the task's way of asking does not go with this call; None where it does."""
    if task.elicit.how == "never":
        return "the task asks for no rationale"
    if dialect_name not in DIALECTS:
        return f"rationales are not asked for in {dialect_name!r}"
    requests = _requests(dialect_name)
    limit = small_limit(body, requests.LIMITS)
    if limit is not None:
        return f"the client cuts its answer at {limit} tokens"
    general = requests.hindrance(body)
    if general is not None:
        return general
    if task.elicit.how == "inline":
        if mentions(body, OPEN):
            return f"the call speaks of {OPEN} itself"
        return requests.inline_hindrance(body)
    place = requests.schema_place(body)
    if place is None:
        return "the reply has no schema, and no tool is prescribed; ask inline"
    if not takes_field(found(body, place.path), task.elicit.field):
        return f"the schema has no room for a property {task.elicit.field!r}"
    return None


def how_much(
    prepared: Prepared, usage: Usage, rationale: str | None, *, written: int | None = None
) -> Elicited:
    """What the asking cost: an estimate in tokens, since providers count a reply as a whole.

    `written` is the number of characters that the teacher wrote, the rationale among them: it is then
    charged its share of the output. Without it, and for the input, a token is taken for four
    characters.
    """
    length = len(rationale or "")
    output = max(0, usage.output - usage.reasoning)
    if written is None:
        extra_output = min(output, _tokens(length))
    else:
        extra_output = _share(output, length, max(0, written - length))
    extra_input = min(usage.input, _tokens(len(prepared.plan.asked)))
    return Elicited(how=prepared.plan.how, extra_input=extra_input, extra_output=extra_output)


def _inline(task: Task, dialect: str, body: dict[str, Any]) -> Prepared:
    requests = _requests(dialect)
    asked = instruction(task.elicit.wording)
    more = raised(body, requests.LIMITS, task.elicit.extra_tokens)
    plan = Plan("inline", body, asked)
    return Prepared(requests.with_instruction(more, asked), dialect, plan)


def _schema(task: Task, dialect: str, body: dict[str, Any]) -> Prepared:
    requests = _requests(dialect)
    form = task.elicit
    place = requests.schema_place(body)
    assert place is not None, "reason_not has seen that there is a place"
    more = raised(body, requests.LIMITS, form.extra_tokens)
    longer = with_field(found(body, place.path), form.field, form.wording)
    plan = Plan("schema", body, form.wording, field=form.field, tool=place.tool)
    return Prepared(replaced(more, place.path, longer), dialect, plan)


def _requests(dialect: str) -> Requests:
    return cast(Requests, import_module(f"limbeck.capture.elicit.requests.{dialect}"))


def _replies(dialect: str) -> Replies:
    return cast(Replies, import_module(f"limbeck.capture.elicit.replies.{dialect}"))


def _output_tokens(reply: dict[str, Any]) -> int:
    usage = mapping(reply.get("usage"))
    return count(usage.get("output_tokens")) or count(usage.get("completion_tokens"))


def _share(output: int, taken: int, shown: int) -> int:
    """The tokens of `output` that the rationale was, by its share of the characters."""
    return round(output * taken / (taken + shown)) if taken else 0


def _tokens(characters: int) -> int:
    return -(-characters // CHARACTERS_PER_TOKEN)
