"""Taking a rationale out of a reply of the Anthropic Messages API.

A text block that held nothing but the rationale goes with it where another block follows, and the
blocks after it move up. The last block stays, with an empty text, so that a client that reads the
text of a reply that was cut off finds one.
"""

from __future__ import annotations

import json
from typing import Any

from limbeck.capture.elicit.cutter import Cutter, Found, cut, whole
from limbeck.capture.elicit.frames import with_data
from limbeck.capture.elicit.json_field import as_text
from limbeck.capture.elicit.plan import Plan
from limbeck.models.dialects.fields import count, mapping, sequence, text

_CUT_OFF = ("max_tokens", "model_context_window_exceeded", "refusal")


def restore(plan: Plan, body: dict[str, Any]) -> tuple[dict[str, Any], Found]:
    """The message without the rationale, and what was taken out."""
    blocks = sequence(body.get("content"))
    content, out = (
        _without_text(plan, blocks, body.get("stop_reason") in _CUT_OFF)
        if plan.in_text
        else _without_inputs(plan, blocks)
    )
    return ({**body, "content": content} if out.taken else body), out


def _without_text(plan: Plan, blocks: list[Any], cut_off: bool) -> tuple[list[Any], Found]:
    for index, block in enumerate(map(mapping, blocks)):
        said = text(block.get("text"))
        if block.get("type") != "text" or said is None:
            continue
        last = index == len(blocks) - 1
        cutter = plan.cutter()
        shown = cut(cutter, said, cut_off=cut_off and last)
        kept = [{**block, "text": shown}] if shown or last or not cutter.taken else []
        found = Found(cutter.rationale, cutter.taken, len(shown))
        return [*blocks[:index], *kept, *blocks[index + 1 :]], found
    return blocks, Found()


def _without_inputs(plan: Plan, blocks: list[Any]) -> tuple[list[Any], Found]:
    content, rationales, taken, shown = [], [], 0, 0
    for block in blocks:
        given = mapping(mapping(block).get("input"))
        if _is_call(plan, block) and plan.field in given:
            said = as_text(given[plan.field])
            rationales.append(said)
            given = {name: value for name, value in given.items() if name != plan.field}
            taken += len(said) + len(plan.field)
            shown += len(json.dumps(given))
            block = {**block, "input": given}
        content.append(block)
    return content, Found(whole(rationales), taken, shown)


def _is_call(plan: Plan, block: Any) -> bool:
    return mapping(block).get("type") == "tool_use" and mapping(block).get("name") == plan.tool


class StreamEditor:
    """Takes the rationale out of the events of one message."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._cutters: list[Cutter] = []
        self._dropped = 0
        self._index: int | None = None
        """The block that is being edited; `_held` is what the client has not seen of it."""
        self._held: list[tuple[bytes, dict[str, Any]]] = []
        self.done = False

    @property
    def hides(self) -> bool:
        """Half a frame may hold a part of the rationale."""
        return bool(self._cutters) and self._cutters[-1].unclosed

    @property
    def rationale(self) -> str | None:
        """What was taken out so far; None where nothing was."""
        return whole(cutter.rationale or "" for cutter in self._cutters)

    def edit(self, frame: bytes, data: dict[str, Any]) -> bytes:
        """The bytes that stand in the place of `frame`."""
        kind = data.get("type")
        if kind == "error":
            self.done = True
            return frame
        if kind == "message_delta":
            reason = mapping(data.get("delta")).get("stop_reason")
            shown = self._settle(cut_off=reason in _CUT_OFF, last=True) + frame
            self.done = True
            return shown
        if kind == "content_block_start":
            return self._settle(cut_off=False, last=False) + self._start(frame, data)
        if self._index is None or data.get("index") != self._index:
            return self._moved(frame, data)
        if kind == "content_block_delta":
            return self._delta(frame, data)
        if kind == "content_block_stop":
            return self._stop(frame, data)
        return frame

    def finish(self) -> bytes:
        """What was held back of a message that broke off."""
        return b"" if self.done else self._settle(cut_off=True, last=False, broken=True)

    def _start(self, frame: bytes, data: dict[str, Any]) -> bytes:
        block = mapping(data.get("content_block"))
        plan = self._plan
        first_text = block.get("type") == "text" and not self._cutters
        if not (first_text if plan.in_text else _is_call(plan, block)):
            self.done = plan.in_text and bool(self._cutters) and not self._dropped
            return self._moved(frame, data)
        self._cutters.append(plan.cutter())
        self._index = count(data.get("index"))
        if plan.how == "schema":
            return self._moved(frame, data)
        begun = self._cutters[-1].feed(text(block.get("text")) or "")
        start = {**data, "content_block": {**block, "text": begun}}
        if begun:
            return self._moved(
                frame if begun == block.get("text") else with_data(frame, start), data
            )
        self._held = [(frame if not block.get("text") else with_data(frame, start), start)]
        return b""

    def _delta(self, frame: bytes, data: dict[str, Any]) -> bytes:
        delta = mapping(data.get("delta"))
        name = "text" if self._plan.in_text else "partial_json"
        piece = text(delta.get(name))
        if piece is None:
            return self._release() + self._moved(frame, data)
        shown = self._cutters[-1].feed(piece)
        if shown == piece and (shown or not self._held):
            out = self._release() + self._moved(frame, data)
        elif shown:
            edited = {**data, "delta": {**delta, name: shown}}
            out = self._release() + self._moved(with_data(frame, edited), edited)
        else:
            out = b""
        self.done = self._plan.in_text and self._cutters[-1].passing and not self._dropped
        return out

    def _stop(self, frame: bytes, data: dict[str, Any]) -> bytes:
        cutter = self._cutters[-1]
        if cutter.unclosed and self._plan.how == "inline":
            self._held.append((frame, data))
            return b""
        rest = cutter.close(cut_off=True)
        out = self._more(rest) if rest else b""
        if self._held:
            self._held.append((frame, data))
            return out
        self._index = None
        return out + self._moved(frame, data)

    def _settle(self, *, cut_off: bool, last: bool, broken: bool = False) -> bytes:
        """What becomes of a block that is over, or breaks off, with nothing shown of it yet."""
        if self._index is None:
            return b""
        cutter = self._cutters[-1]
        rest = cutter.close(cut_off=cut_off)
        out = b""
        if rest:
            out = self._more(rest) + self._release()
        elif cutter.taken and self._held and not last:
            # Half a block at the end of a broken stream is no block either.
            self._dropped += not broken
        else:
            out = self._release()
        self._held, self._index = [], None
        return out

    def _more(self, rest: str) -> bytes:
        """An event that shows `rest`, after the beginning of its block."""
        kind, name = (
            ("text_delta", "text") if self._plan.in_text else ("input_json_delta", "partial_json")
        )
        index = (self._index or 0) - self._dropped
        data = {
            "type": "content_block_delta",
            "index": index,
            "delta": {"type": kind, name: rest},
        }
        start = self._held[:1]
        self._held = self._held[1:]
        event = with_data(b"event: content_block_delta\ndata:\n\n", data)
        return b"".join(self._moved(*held) for held in start) + event

    def _release(self) -> bytes:
        held, self._held = self._held, []
        return b"".join(self._moved(frame, data) for frame, data in held)

    def _moved(self, frame: bytes, data: dict[str, Any]) -> bytes:
        """The frame with the index that its block now has."""
        index = data.get("index")
        if not self._dropped or not isinstance(index, int):
            return frame
        return with_data(frame, {**data, "index": index - self._dropped})
