"""Taking a rationale out of a reply of the OpenAI Responses API.

The reply repeats the request (instructions, limit, schemas): those are the client's own again. The
events of a stream are numbered; where one is left out, the later ones move up.
"""

from __future__ import annotations

from typing import Any

from limbeck.capture.elicit.cutter import Cutter, Found, cut, whole
from limbeck.capture.elicit.frames import with_data
from limbeck.capture.elicit.plan import Plan
from limbeck.capture.elicit.schema import without_field
from limbeck.models.dialects.fields import count, mapping, sequence, text

_LAST = ("response.completed", "response.incomplete", "response.failed", "response.cancelled")


def restore(plan: Plan, body: dict[str, Any]) -> tuple[dict[str, Any], Found]:
    """The response without the rationale, and what was taken out."""
    own = _own_request(plan, body)
    items = sequence(body.get("output"))
    cut_off = body.get("status") == "incomplete"
    output, found = _items(plan, items, cut_off)
    return ({**own, "output": output} if found.taken else own), found


def _own_request(plan: Plan, body: dict[str, Any]) -> dict[str, Any]:
    """The response with the request that it repeats as the client sent it."""
    original, own = plan.original, {}
    said = text(body.get("instructions"))
    if plan.how == "inline" and plan.asked and said and said.endswith(plan.asked):
        own["instructions"] = original.get("instructions")
    limit = original.get("max_output_tokens")
    if plan.asked and limit is not None and body.get("max_output_tokens") not in (None, limit):
        own["max_output_tokens"] = limit
    if plan.how == "schema":
        own |= _own_schemas(plan, body)
    return {**body, **own} if own else body


def _own_schemas(plan: Plan, body: dict[str, Any]) -> dict[str, Any]:
    if plan.tool is not None:
        tools = [
            {**tool, "parameters": without_field(tool["parameters"], plan.field, plan.asked)}
            if mapping(tool).get("name") == plan.tool and "parameters" in tool
            else tool
            for tool in sequence(body.get("tools"))
        ]
        return {"tools": tools} if tools != body.get("tools") and tools else {}
    shape = mapping(body.get("text"))
    form = mapping(shape.get("format"))
    schema = without_field(form.get("schema"), plan.field, plan.asked)
    if schema is form.get("schema"):
        return {}
    return {"text": {**shape, "format": {**form, "schema": schema}}}


def _items(plan: Plan, items: list[Any], cut_off: bool) -> tuple[list[Any], Found]:
    output, rationales, taken, shown = [], [], 0, 0
    seen = False
    for index, item in enumerate(items):
        last = index == len(items) - 1
        edited, found, empty = item, Found(), False
        if plan.in_text and mapping(item).get("type") == "message" and not seen:
            seen = True
            edited, found = _message(plan, item, _was_cut_off(item, cut_off and last))
            empty = bool(found.taken) and not found.shown and len(item["content"]) == 1
        elif _is_call(plan, item):
            edited, found = _call(plan, item)
        taken, shown = taken + found.taken, shown + found.shown
        rationales.append(found.rationale or "")
        if last or not empty:
            output.append(edited)
    return output, Found(whole(rationales), taken, shown)


def _is_call(plan: Plan, item: Any) -> bool:
    called = mapping(item).get("type") == "function_call"
    return called and plan.tool is not None and item.get("name") == plan.tool


def _was_cut_off(item: dict[str, Any], otherwise: bool) -> bool:
    status = item.get("status")
    return status == "incomplete" if isinstance(status, str) else otherwise


def _message(plan: Plan, item: dict[str, Any], cut_off: bool) -> tuple[dict[str, Any], Found]:
    parts = sequence(item.get("content"))
    if not parts or mapping(parts[0]).get("type") != "output_text":
        return item, Found()
    part, found = _part(plan, parts[0], cut_off)
    return ({**item, "content": [part, *parts[1:]]} if found.taken else item), found


def _part(plan: Plan, part: dict[str, Any], cut_off: bool) -> tuple[dict[str, Any], Found]:
    said = text(part.get("text"))
    if said is None:
        return part, Found()
    cutter = plan.cutter()
    shown = cut(cutter, said, cut_off=cut_off)
    found = Found(cutter.rationale, cutter.taken, len(shown))
    return ({**part, "text": shown} if found.taken else part), found


def _call(plan: Plan, item: dict[str, Any]) -> tuple[dict[str, Any], Found]:
    arguments = text(item.get("arguments"))
    if not arguments:
        return item, Found()
    cutter = plan.cutter()
    shown = cut(cutter, arguments, cut_off=True)
    found = Found(cutter.rationale, cutter.taken, len(shown))
    return ({**item, "arguments": shown} if found.taken else item), found


class StreamEditor:
    """Takes the rationale out of the events of one response."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._cutters: dict[int, Cutter] = {}
        """By the output item that is edited: the first message, or every call of the tool."""
        self._held: list[tuple[bytes, dict[str, Any]]] = []
        """The events of a message of which the client has seen nothing yet."""
        self._delta: tuple[bytes, dict[str, Any]] | None = None
        self._dropped = 0
        self._next: int | None = None
        self._final: str | None = None
        self.done = False

    @property
    def hides(self) -> bool:
        """Half a frame may hold a part of the rationale."""
        # Later events repeat the whole text.
        return bool(self._taken) or any(cutter.unclosed for cutter in self._cutters.values())

    @property
    def rationale(self) -> str | None:
        """What was taken out so far; None where nothing was."""
        # A server that sends no deltas says everything in its last event.
        return whole(cutter.rationale or "" for cutter in self._cutters.values()) or self._final

    @property
    def _taken(self) -> int:
        return sum(cutter.taken for cutter in self._cutters.values())

    def edit(self, frame: bytes, data: dict[str, Any]) -> bytes:
        """The bytes that stand in the place of `frame`."""
        kind = text(data.get("type")) or ""
        if kind == "error":
            self.done = True
            return self._send(frame, data)
        if isinstance(data.get("response"), dict):
            return self._response(frame, data, kind)
        index = count(data.get("output_index"))
        if kind == "response.output_item.added":
            return self._settle(last=False) + self._begin(frame, data, index)
        if index not in self._cutters or "output_index" not in data:
            return self._send(frame, data)
        if kind in ("response.output_text.delta", "response.function_call_arguments.delta"):
            return self._piece(frame, data, self._cutters[index])
        if kind == "response.output_item.done":
            return self._end(frame, data, self._cutters[index])
        if self._held:
            self._held.append((frame, data))
            return b""
        return self._close(self._cutters[index], kind) + self._sent_whole(frame, data, cut_off=True)

    def finish(self) -> bytes:
        """What was held back of a response that broke off."""
        if self.done:
            return b""
        rest = "".join(cutter.close(cut_off=True) for cutter in self._cutters.values())
        if rest:
            return self._release(rest, cut_off=True)
        return b"" if self._taken else self._release("", cut_off=True)

    def _response(self, frame: bytes, data: dict[str, Any], kind: str) -> bytes:
        out = self._settle(last=True) if kind in _LAST else b""
        body, found = restore(self._plan, data["response"])
        self._final = found.rationale
        self.done = kind in _LAST
        changed = body is not data["response"]
        return out + self._send(frame, {**data, "response": body} if changed else data, changed)

    def _begin(self, frame: bytes, data: dict[str, Any], index: int) -> bytes:
        item = mapping(data.get("item"))
        plan = self._plan
        message = plan.in_text and item.get("type") == "message" and not self._cutters
        if message or _is_call(plan, item):
            self._cutters[index] = plan.cutter()
        if message and plan.how == "inline":
            self._held = [(frame, data)]
            return b""
        return self._send(frame, data)

    def _piece(self, frame: bytes, data: dict[str, Any], cutter: Cutter) -> bytes:
        piece = text(data.get("delta"))
        if piece is None or count(data.get("content_index")):
            return self._release(cutter.close(cut_off=False), cut_off=False) + self._send(
                frame, data
            )
        self._delta = frame, data
        shown = cutter.feed(piece)
        if shown == piece and (shown or not self._held):
            return self._release("", cut_off=False) + self._send(frame, data)
        if not shown:
            return b""
        edited = {**data, "delta": shown}
        return self._release("", cut_off=False) + self._send(frame, edited, changed=True)

    def _close(self, cutter: Cutter, kind: str) -> bytes:
        """What the end of a text or of arguments adds."""
        if kind not in ("response.output_text.done", "response.function_call_arguments.done"):
            return b""
        return self._release(cutter.close(cut_off=True), cut_off=True)

    def _end(self, frame: bytes, data: dict[str, Any], cutter: Cutter) -> bytes:
        """The end of an item: only here it is known whether it was cut off."""
        cut_off = _was_cut_off(mapping(data.get("item")), False)
        rest = cutter.close(cut_off=cut_off)
        if self._held and not rest and cutter.taken:
            self._held.append((frame, data))
            return b""
        return self._release(rest, cut_off=cut_off) + self._sent_whole(frame, data, cut_off=cut_off)

    def _settle(self, *, last: bool) -> bytes:
        """A message with nothing in it stays only where it is the last item."""
        if not self._held:
            return b""
        if not last and self._held[-1][1].get("type") == "response.output_item.done":
            self._held = []
            self._dropped += 1
            return b""
        return self._release("", cut_off=True)

    def _release(self, rest: str, *, cut_off: bool) -> bytes:
        """The events that were held, with `rest` where the text of the message stands."""
        held, self._held = self._held, []
        begun = [one for one in held if not str(one[1].get("type")).endswith(".done")]
        out = [self._send(*one) for one in begun]
        if rest and self._delta is not None:
            frame, data = self._delta
            out.append(self._send(frame, {**data, "delta": rest}, changed=True))
        out += [self._sent_whole(*one, cut_off=cut_off) for one in held[len(begun) :]]
        return b"".join(out)

    def _sent_whole(self, frame: bytes, data: dict[str, Any], *, cut_off: bool) -> bytes:
        """An event that repeats a whole text or item, as the client has seen it."""
        plan = self._plan
        edited, found = data, Found()
        if isinstance(data.get("item"), dict):
            item, found = (_message if plan.in_text else _other)(plan, data["item"], cut_off)
            edited = {**data, "item": item}
        elif isinstance(data.get("part"), dict) and not count(data.get("content_index")):
            part, found = _part(plan, data["part"], cut_off)
            edited = {**data, "part": part}
        elif plan.in_text and not count(data.get("content_index")):
            edited, found = _part(plan, data, cut_off)
        elif not plan.in_text:
            edited, found = _call(plan, data)
        return self._send(frame, edited if found.taken else data, changed=bool(found.taken))

    def _send(self, frame: bytes, data: dict[str, Any], changed: bool = False) -> bytes:
        """The event with the number and the place that it now has."""
        sent = data
        index, number = data.get("output_index"), data.get("sequence_number")
        if self._dropped and isinstance(index, int):
            sent = {**sent, "output_index": index - self._dropped}
        if isinstance(number, int):
            self._next = number if self._next is None else self._next
            if number != self._next:
                sent = {**sent, "sequence_number": self._next}
            self._next += 1
        return with_data(frame, sent) if changed or sent is not data else frame


def _other(plan: Plan, item: dict[str, Any], cut_off: bool) -> tuple[dict[str, Any], Found]:
    return _call(plan, item)
