"""What a teacher wrote, divided into rationale, answer and what should not be there.

Completions run on: after the answer stands an invented next question, often a copy of another row.
Only what comes before the first answer's end is ever used.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import NamedTuple

from limbeck.capture.elicit.tags import divide
from limbeck.capture.json_reply import names_fields, read_json_reply
from limbeck.types import Noun, Origin, Rationale, Task, Trace
from limbeck.verify.arithmetic import evaluate
from limbeck.verify.choice import LETTERED, starting_choice
from limbeck.verify.number import plain_decimal
from limbeck.verify.table import normalize

_THINK = re.compile(r"^\s*<think>(.*?)(?:</think>|\Z)", re.DOTALL | re.IGNORECASE)
_SENTENCE_END = re.compile(r"[.!?]+[\"'”’)\]*_]*(?=\s|$)")
_ABBREVIATED = re.compile(
    r"(?:(?<![A-Za-z])[A-Za-z]|\b(?:mr|mrs|ms|dr|st|vs|etc|no|approx|inc|jr|sr))\.$", re.IGNORECASE
)
_FENCE = re.compile(r"```[ \t]*(?:json)?[ \t]*\n.*?\n?[ \t]*```", re.DOTALL | re.IGNORECASE)
_OPENS = r"\\\[|\\\(|\$\$|```\w*(?=\s)"
_BLANK = re.compile(rf"(?:[ \t\r\n*:_]|(?:{_OPENS})[ \t]*\n)*")
"""What may stand between a marker and the line of its answer: a formula or a fence may begin there."""
_LEAD = re.compile(rf"(?:[ \t\r\n*:_]|{_OPENS}|\\(?:boxed|text|textbf|mathbf|mathrm)\{{)*")
_MARKUP = re.compile(
    r"\\(?:boxed|fbox|text|textbf|textrm|mathbf|mathrm)(?![A-Za-z])|\\[\[\]()]|[{}$`]"
)
"""Marks of a formula or of code around an answer."""
_BETWEEN = re.compile(r"\s*[^.?!:\n]{0,40}")
"""What may stand between an answer out of form and the marker of the next sentence."""
_NOTHING = " \t\r\n.,;:!?\"'`*_”’)]"


class Reading(Noun):
    """A reply, divided.

    `answer` has the form of the task's answers where it can be brought into it, and stands as it
    was written where it cannot. `rest` is what follows the answer; `ran_on` says that it holds any
    words. `marker` is the marker as it stood in the reply. `repaired` is the answer as it was written,
    where more than the punctuation around it had to be changed to bring it into form.
    """

    rationale: Rationale | None
    answer: str | None
    rest: str
    ran_on: bool
    marker: str | None
    repaired: str | None = None


def read_reply(
    task: Task,
    text: str,
    thinking: str | None = None,
    choices: tuple[str, ...] = (),
    blocks: str | None = None,
) -> Reading:
    """Divide `text` at the first answer marker, and the answer from what follows it.

    The answer ends at the first of `answer_end`; that of a choice or number also at the end of its
    sentence. `thinking` is the reply's thinking block; one inside the text (`<think>`) counts too.
    A reply that begins with `<rationale>` has its rationale there. Without a marker the whole text is
    the answer if there was a thinking block or such tags, if the task has no markers, or if it has
    the form of a choice or number; else it is a rationale without answer.

    Where the task names a field for the rationale or the answer, they are read from the JSON that the
    text is, or from the input of a tool in `blocks`, the canonical JSON of the reply's content.
    """
    inside = _THINK.match(text)
    if inside:
        text = text[inside.end() :]
        thinking = thinking or inside[1]
    native = thinking if thinking and thinking.strip() else None
    fields = None
    if names_fields(task):
        fields = read_json_reply(task, _before_stop(text, task.reply.stop)[0], blocks)
    if fields is not None:
        why = _rationale(native, fields.rationale, "post_hoc" if fields.after else "elicited")
        return _without_rest(task, why, fields.answer or "", choices)
    tagged, text, ended = divide(text)
    if not ended:
        return _without_rest(task, _rationale(native, tagged), "", choices)
    text, stopped = _before_stop(text, task.reply.stop)
    found = _marked(task, text, choices)
    if found is None:
        rationale, written, rest = _unmarked(task, text, native or tagged, choices)
        answer = _formed(task, written, choices)
    else:
        rationale, after = text[: found.marker.start()].strip(), text[found.marker.end() :]
        written, rest = after[: found.end], after[found.end :]
        answer = found.formed or _bare(written) or None
    rest += stopped
    return Reading(
        rationale=_rationale(native, tagged or rationale),
        answer=answer,
        rest=rest,
        ran_on=bool(rest.strip(_NOTHING)),
        marker=found.marker[0] if found else None,
        repaired=repaired(task, written, answer),
    )


def reread(task: Task, trace: Trace) -> Trace:
    """The same trace with rationale and answer as today's task file reads them from `raw`.

    A trace without `raw` is returned as it is. The id does not change.
    """
    if trace.raw is None:
        return trace
    reading = read_reply(task, trace.raw, trace.thinking, trace.choices, trace.blocks)
    return trace.model_copy(update={"rationale": reading.rationale, "answer": reading.answer})


def repaired(task: Task, written: str, answer: str | None) -> str | None:
    """`written` where it is not `answer` but for emphasis and punctuation around it, else None.

    The value of an expression, and JSON put in order, are no repair.
    """
    plain = _bare(written).rstrip("*_ ")
    if answer is None or task.reply.equation or answer in (plain, plain.rstrip(".!? ")):
        return None
    if task.answer.kind == "json":
        try:
            json.loads(plain)
        except (ValueError, RecursionError):
            return plain
        return None
    return plain


def _without_rest(
    task: Task, rationale: Rationale | None, written: str, choices: tuple[str, ...]
) -> Reading:
    answer = _formed(task, written, choices)
    changed = repaired(task, written, answer)
    return Reading(
        rationale=rationale, answer=answer, rest="", ran_on=False, marker=None, repaired=changed
    )


def _before_stop(text: str, stops: tuple[str, ...]) -> tuple[str, str]:
    # Without this, a reply that lost its own answer would be given that of the invented question.
    end = min((at for at in map(text.find, filter(None, stops)) if at >= 0), default=len(text))
    return text[:end], text[end:]


class _Marked(NamedTuple):
    """An answer marker, how much of what follows it is its answer, and that in form, if it has one."""

    marker: re.Match[str]
    end: int
    formed: str | None


def _marked(task: Task, text: str, choices: tuple[str, ...]) -> _Marked | None:
    """The first answer marker that has an answer after it.

    A marker may only announce another one ("the answer is: The answer is (b)"). Where what follows it
    is out of form, that of the very next sentence counts; a later one may be that of an invented
    question.
    """
    pattern = _pattern(task.reply.answer_markers)
    found = _first(pattern, task.reply.answer_markers, text) if pattern else None
    if pattern is None or found is None:
        return None
    first = marked = _read(task, text, _announced(pattern, text, found), choices)
    while marked.formed is None and task.answer.kind in ("choice", "number"):
        start = marked.marker.end() + marked.end
        found = pattern.search(text, start)
        if found is None or not _BETWEEN.fullmatch(text, start, found.start()):
            return first
        marked = _read(task, text, _announced(pattern, text, found), choices)
    return marked


def _read(task: Task, text: str, marker: re.Match[str], choices: tuple[str, ...]) -> _Marked:
    after = text[marker.end() :]
    end = _answer_end(task, after, choices or task.answer.choices)
    return _Marked(marker, end, _in_form(task, after[:end], choices))


def _first(pattern: re.Pattern[str], markers: tuple[str, ...], text: str) -> re.Match[str] | None:
    # A pattern without regard to case is tried at every character; in ASCII a marker is found at once.
    if not text.isascii() or not all(map(str.isascii, markers)):
        return pattern.search(text)
    lowered = text.lower()
    places = [lowered.find(marker.lower()) for marker in markers if marker]
    start = min((place for place in places if place >= 0), default=-1)
    return pattern.match(text, start) if start >= 0 else None


@lru_cache(maxsize=64)
def _pattern(markers: tuple[str, ...]) -> re.Pattern[str] | None:
    # Of two markers that start at one place the longer one is meant: "answer" and "answer is".
    longest_first = sorted(filter(None, markers), key=len, reverse=True)
    if not longest_first:
        return None
    return re.compile("|".join(map(re.escape, longest_first)), re.IGNORECASE)


def _announced(pattern: re.Pattern[str], text: str, found: re.Match[str]) -> re.Match[str]:
    """`found`, or the last of the markers that follow it with nothing but marks between them."""
    while True:
        lead = _LEAD.match(text, found.end())
        again = pattern.match(text, lead.end() if lead else found.end())
        if again is None:
            return found
        found = again


def _unmarked(
    task: Task, text: str, apart: str | None, choices: tuple[str, ...]
) -> tuple[str, str, str]:
    """Rationale, answer as it was written (empty: none) and rest. `apart` is a rationale that stood
    apart from the text."""
    if apart is not None or not task.reply.answer_markers:
        return "", text, ""
    # Any text would be an answer of a text task, so that a lost marker could never be seen.
    held = task.answer.kind != "text" and (choices or task.answer.choices or not _is_choice(task))
    if held and normalize(task, text, choices) is not None:
        return "", text, ""
    return text.strip(), "", ""


def _is_choice(task: Task) -> bool:
    return task.answer.kind == "choice"


def _answer_end(task: Task, after: str, choices: tuple[str, ...]) -> int:
    """Where, in the text after the marker, the answer is over."""
    if task.answer.kind == "json":
        return _json_end(after, len(after) - len(after.lstrip(" \t\r\n*:_")))
    held = _blank(after)
    if _is_choice(task):
        # A full stop inside a label ("U.S. army") does not end it.
        lettered = LETTERED.match(after[held:])
        held += lettered.end() if lettered else 0
        held += starting_choice(after[held:], choices)
    ends = [after.find(end, held) for end in task.reply.answer_end if end]
    if task.answer.kind != "text":
        ends.append(_sentence_end(after, held))
    return min((end for end in ends if end >= 0), default=len(after))


def _blank(after: str) -> int:
    found = _BLANK.match(after)
    return found.end() if found else 0


def _json_end(after: str, start: int) -> int:
    """Where the JSON is over, on however many lines and with a code fence or without."""
    fenced = _FENCE.match(after, start)
    if fenced:
        return fenced.end()
    try:
        return json.JSONDecoder(strict=False).raw_decode(after, start)[1]
    except (ValueError, RecursionError):
        return len(after)


def _sentence_end(text: str, start: int) -> int:
    for found in _SENTENCE_END.finditer(text, start):
        upto = text[: found.start() + 1]
        goes_on = re.match(r"[ \t]+\S", text[found.end() :])
        if not (found[0] == "." and goes_on and _ABBREVIATED.search(upto)):
            return found.end()
    return -1


def _formed(task: Task, written: str, choices: tuple[str, ...]) -> str | None:
    return _in_form(task, written, choices) or _bare(written) or None


def _in_form(task: Task, written: str, choices: tuple[str, ...]) -> str | None:
    """The answer that was written, in form; None where it cannot be brought into it."""
    written = _bare(written)
    if not written:
        return None
    if task.reply.equation:
        value = evaluate(written)
        if value is not None:
            return plain_decimal(value)
    formed = normalize(task, written, choices)
    if formed is None and task.answer.kind in ("choice", "number"):
        # What is left of a formula, such as \\frac, says something that nobody has read.
        plain = _bare(_MARKUP.sub(" ", written))
        if plain != written and "\\" not in plain:
            formed = normalize(task, plain, choices)
    return formed


def _bare(written: str) -> str:
    return written.strip().lstrip("*:_ ").strip()


def _rationale(
    native: str | None, written: str | None, origin: Origin = "elicited"
) -> Rationale | None:
    if native is not None:
        return Rationale(text=native.strip(), origin="native")
    return Rationale(text=written, origin=origin) if written else None
