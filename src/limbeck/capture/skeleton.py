"""A call divided: what varies in it, what stays the same, and what is too large for its trace.

This runs on every call of the gateway and of a wrapped client. What is the same in every call is
worked out once.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any, NamedTuple

from limbeck.capture.context import context_of
from limbeck.capture.template import match, put
from limbeck.models.call import Call
from limbeck.types import CallForm, Task, canonical_json, places, skeleton_content, text_hash

KEPT_CHARACTERS = 8_000_000
"""Texts of skeletons that are remembered, together. The least recently used are forgotten first."""


class Division(NamedTuple):
    """What `divide` makes of a call.

    `skeleton` and `context` name blobs; `blobs` holds them, and the media that the context refers to.
    `matched` is False where the task says what varies and the call is not so.
    """

    input: str
    skeleton: str
    blobs: Mapping[str, bytes]
    context: str | None
    matched: bool


def divide(task: Task | None, call: Call, body: Mapping[str, Any]) -> Division:
    """The input, skeleton and context of `call`, whose request body is `body`.

    A call that does not match what `task` says of its calls has the last user message as its input,
    and a skeleton without the task's template, so that it differs from the task's. Never raises for
    what a client may send.
    """
    try:
        skeleton, text, matched = divide_text(
            task, call.system, call.user, tools=call.tools, form=call.form, body=body
        )
        context = context_of(call)
    except RecursionError:
        # JSON nested deeper than Python goes: the texts of the call are kept, the rest is left out.
        skeleton, text, matched = divide_text(task, call.system, call.user)
        context = None
    if context is None:
        return Division(text, skeleton.name, skeleton.blobs, None, matched)
    blobs = {**skeleton.blobs, **context.blobs}
    return Division(text, skeleton.name, blobs, context.name, matched)


class Skeleton(NamedTuple):
    """The constant part of a call: its name, and the blob of that name."""

    name: str
    blobs: Mapping[str, bytes]


def divide_text(
    task: Task | None,
    system: str,
    user: str,
    *,
    tools: Any = None,
    form: Any = None,
    body: Mapping[str, Any] = MappingProxyType({}),
) -> tuple[Skeleton, str, bool]:
    """The skeleton and the input of a call that is known by its texts, and whether it matched.

    `system` is the system prompt, `user` the last user message; `tools` and `form` are as in the
    request. For calls that are in the store already.
    """
    if task is None:
        return _skeletons.get(system, tools, form, None), user, True
    said = task.call
    if said.template is None and not said.paths and said.system is None:
        return _skeletons.get(system, tools, form, None), user, True
    fields = read_fields(said, system, user, body)
    if fields is None:
        return _skeletons.get(system, tools, form, None), user, False
    return (
        _skeletons.get(said.system or system, tools, form, said),
        _joined(said, fields, user),
        True,
    )


def read_fields(
    said: CallForm, system: str, user: str, body: Mapping[str, Any]
) -> dict[str, str] | None:
    """The fields of a call by name, in the order of the template, the paths and the system prompt;
    None where the call is not as `said`."""
    fields: dict[str, str] = {}
    if said.template is not None:
        found = match(said.template, user)
        if found is None:
            return None
        fields.update(found)
    for name, place in said.paths.items():
        value = _at(body, place)
        if value is None:
            return None
        fields[name] = value if isinstance(value, str) else _as_json(value)
    if said.system is not None:
        found = match(said.system, system)
        if found is None:
            return None
        for name, text in found.items():
            fields.setdefault(name, text)
    return fields


def _joined(said: CallForm, fields: dict[str, str], user: str) -> str:
    if said.input is not None:
        return put(said.input, fields)
    names = tuple(dict.fromkeys((*_names(said.template), *said.paths)))
    if not names:
        return user
    if len(names) == 1:
        return fields[names[0]]
    return "\n".join(f"{name}: {fields[name]}" for name in names)


@lru_cache(maxsize=1024)
def _names(template: str | None) -> tuple[str, ...]:
    return tuple(places(template or ""))


def _at(body: Any, place: str) -> Any:
    """What stands at `place` of the request body, or None."""
    for step in _steps(place):
        if isinstance(body, Mapping):
            body = body.get(str(step))
        elif isinstance(body, list) and isinstance(step, int) and -len(body) <= step < len(body):
            body = body[step]
        else:
            return None
    return body


@lru_cache(maxsize=1024)
def _steps(place: str) -> tuple[str | int, ...]:
    return tuple(
        int(step) if step.removeprefix("-").isdecimal() else step for step in place.split(".")
    )


def _as_json(value: Any) -> str:
    """Canonical JSON; also of what JSON cannot say (a client's NaN), so that no call is lost."""
    try:
        return canonical_json(value)
    except (TypeError, ValueError):
        return repr(value)


class _Known(NamedTuple):
    tools: Any
    form: Any
    skeleton: Skeleton


class _Skeletons:
    """The skeletons of late, by the texts themselves: comparing a text costs less than hashing it.

    Tools and schemas are compared as values: writing them as JSON would cost more than all the rest.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._held = 0
        self._lock = threading.Lock()
        self._known: OrderedDict[tuple[str, Any], list[_Known]] = OrderedDict()

    def get(self, system: str, tools: Any, form: Any, said: CallForm | None) -> Skeleton:
        key = (system, None if said is None else _form_key(said))
        with self._lock:
            known = self._known.get(key)
            if known is not None:
                self._known.move_to_end(key)
                for one in known:
                    if one.tools == tools and one.form == form:
                        return one.skeleton
        made = _make_skeleton(system, tools, form, said)
        self._keep(key, _Known(tools, form, made))
        return made

    def _keep(self, key: tuple[str, Any], made: _Known) -> None:
        with self._lock:
            # Two of one key are two sets of tools under one prompt; more than a few are no constants.
            known = self._known.setdefault(key, [])
            known.append(made)
            self._held += _size(made)
            if len(known) > 8:
                self._held -= _size(known.pop(0))
            while self._held > self._most and self._known:
                _, gone = self._known.popitem(last=False)
                self._held -= sum(map(_size, gone))


def _form_key(said: CallForm) -> tuple[Any, ...]:
    return (said.template, said.input, *said.paths.items())


def _size(known: _Known) -> int:
    return 512 + 3 * sum(map(len, known.skeleton.blobs.values()))


def _make_skeleton(system: str, tools: Any, form: Any, said: CallForm | None) -> Skeleton:
    parts: dict[str, Any] = {}
    if said is not None:
        parts = {"template": said.template, "paths": said.paths, "input": said.input}
    try:
        content = skeleton_content(system, **parts, tools=tools, form=form)
    except (TypeError, ValueError):
        content = skeleton_content(system, **parts, tools=repr(tools), form=repr(form))
    blob = {text_hash(content): content.encode("utf-8", "surrogatepass")}
    return Skeleton(text_hash(content), MappingProxyType(blob))


_skeletons = _Skeletons(KEPT_CHARACTERS)
