"""Taking a rationale out of a reply of OpenAI Chat Completions."""

from __future__ import annotations

from typing import Any

from limbeck.capture.elicit.cutter import Cutter, Found, cut, whole
from limbeck.capture.elicit.frames import with_data
from limbeck.capture.elicit.plan import Plan
from limbeck.models.dialects.fields import count, mapping, sequence, text

_CUT_OFF = ("length", "content_filter")
_NOTHING = object()
"""Stands for a choice or a call in which the client sees nothing."""


def restore(plan: Plan, body: dict[str, Any]) -> tuple[dict[str, Any], Found]:
    """The completion without the rationale in any of its choices, and what was taken out.

    The rationale is that of the first choice: the others are not recorded.
    """
    choices, out = [], Found()
    for index, choice in enumerate(sequence(body.get("choices"))):
        message = mapping(mapping(choice).get("message"))
        cut_off = mapping(choice).get("finish_reason") in _CUT_OFF
        edited, found = (
            _without_text(plan, message, cut_off)
            if plan.in_text
            else _without_arguments(plan, message)
        )
        choices.append({**choice, "message": edited} if found.taken else choice)
        rationale = found.rationale if index == 0 else out.rationale
        out = Found(rationale, out.taken + found.taken, out.shown + found.shown)
    return ({**body, "choices": choices} if out.taken else body), out


def _without_text(plan: Plan, message: dict[str, Any], cut_off: bool) -> tuple[Any, Found]:
    said = text(message.get("content"))
    if said is None:
        return message, Found()
    calls = bool(message.get("tool_calls"))
    cutter = plan.cutter()
    shown = cut(cutter, said, cut_off=cut_off and not calls)
    # A reply that is only a tool call has null for its text.
    content = shown or (None if calls else "")
    return {**message, "content": content}, Found(cutter.rationale, cutter.taken, len(shown))


def _without_arguments(plan: Plan, message: dict[str, Any]) -> tuple[Any, Found]:
    calls, cutters, left = [], [], 0
    for call in sequence(message.get("tool_calls")):
        function = mapping(mapping(call).get("function"))
        arguments = text(function.get("arguments"))
        if function.get("name") == plan.tool and arguments is not None:
            cutter = plan.cutter()
            shown = cut(cutter, arguments, cut_off=True)
            cutters.append(cutter)
            left += len(shown)
            call = {**call, "function": {**function, "arguments": shown}}
        calls.append(call)
    rationale = whole(cutter.rationale or "" for cutter in cutters)
    taken = sum(cutter.taken for cutter in cutters)
    return {**message, "tool_calls": calls}, Found(rationale, taken, left)


class StreamEditor:
    """Takes the rationale out of the frames of one completion."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._choices = count(plan.original.get("n")) or 1
        self._cutters: dict[tuple[int, int], Cutter] = {}
        """By the choice and, for tool calls, the call's index."""
        self._called: set[int] = set()
        self._last: dict[str, Any] = {}
        self.done = False

    @property
    def hides(self) -> bool:
        """Half a frame may hold a part of the rationale."""
        return any(cutter.unclosed for cutter in self._cutters.values())

    @property
    def rationale(self) -> str | None:
        """What was taken out of the first choice so far; None where nothing was."""
        first = [cutter for (choice, _), cutter in self._cutters.items() if choice == 0]
        return whole(cutter.rationale or "" for cutter in first)

    def edit(self, frame: bytes, data: dict[str, Any]) -> bytes:
        """The bytes that stand in the place of `frame`."""
        if data.get("error") is not None:
            self.done = True
            return frame
        choices = sequence(data.get("choices"))
        edited = [self._choice(choice) for choice in choices]
        self._last = data
        kept = [choice for choice in edited if choice is not _NOTHING]
        if self._plan.in_text and len(self._cutters) >= self._choices:
            self.done = all(cutter.passing for cutter in self._cutters.values())
        if len(kept) == len(choices) and all(map(_is, kept, choices)):
            return frame
        if not kept and data.get("usage") is None:
            return b""
        return with_data(frame, {**data, "choices": kept})

    def finish(self) -> bytes:
        """What was held back of a completion that broke off."""
        choices = []
        for (choice, call), cutter in self._cutters.items():
            rest = cutter.close(cut_off=True)
            if rest:
                delta = {"content": rest} if self._plan.in_text else _arguments(call, rest)
                choices.append({"index": choice, "delta": delta, "finish_reason": None})
        if self.done or not choices:
            return b""
        return with_data(b"data:\n\n", {**self._last, "choices": choices})

    def _choice(self, choice: Any) -> Any:
        """The choice with what the client sees of it: the very same where that is all."""
        delta = mapping(mapping(choice).get("delta"))
        index = count(mapping(choice).get("index"))
        reason = mapping(choice).get("finish_reason")
        if delta.get("tool_calls"):
            self._called.add(index)
        edited = self._text(index, delta) if self._plan.in_text else self._calls(index, delta)
        if reason is not None:
            # A text that a tool call follows was not cut off.
            edited = self._end(index, edited, reason in _CUT_OFF and index not in self._called)
        if edited is delta:
            return choice
        if reason is None and not edited:
            return _NOTHING
        return {**choice, "delta": edited}

    def _text(self, index: int, delta: dict[str, Any]) -> dict[str, Any]:
        piece = text(delta.get("content"))
        if not piece:
            return delta
        cutter = self._cutters.setdefault((index, 0), self._plan.cutter())
        shown = cutter.feed(piece)
        if shown == piece:
            return delta
        rest = [name for name, value in delta.items() if name != "content" and value is not None]
        # The first frame says the role, and its text is empty where nothing was said yet.
        return {**delta, "content": shown} if shown or rest else {}

    def _calls(self, index: int, delta: dict[str, Any]) -> dict[str, Any]:
        calls = sequence(delta.get("tool_calls"))
        edited = [self._call(index, call) for call in calls]
        kept = [call for call in edited if call is not _NOTHING]
        if len(kept) == len(calls) and all(map(_is, kept, calls)):
            return delta
        rest = {name: value for name, value in delta.items() if name != "tool_calls"}
        return {**rest, "tool_calls": kept} if kept else rest

    def _call(self, index: int, call: Any) -> Any:
        function = mapping(mapping(call).get("function"))
        place = index, count(mapping(call).get("index"))
        if function.get("name") == self._plan.tool:
            self._cutters.setdefault(place, self._plan.cutter())
        piece = text(function.get("arguments"))
        if not piece or place not in self._cutters:
            return call
        shown = self._cutters[place].feed(piece)
        if shown == piece:
            return call
        if not shown and not function.get("name"):
            return _NOTHING
        return {**call, "function": {**function, "arguments": shown}}

    def _end(self, index: int, delta: dict[str, Any], cut_off: bool) -> dict[str, Any]:
        for (choice, call), cutter in self._cutters.items():
            if choice != index:
                continue
            rest = cutter.close(cut_off=cut_off)
            if rest and self._plan.in_text:
                delta = {**delta, "content": (text(delta.get("content")) or "") + rest}
            elif rest:
                delta = {**delta, **_arguments(call, rest)}
        return delta


def _arguments(call: int, rest: str) -> dict[str, Any]:
    return {"tool_calls": [{"index": call, "function": {"arguments": rest}}]}


def _is(one: Any, other: Any) -> bool:
    return one is other
