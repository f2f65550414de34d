"""The question that asks why, and what its reply holds.

`guided`: the teacher is given its recorded answer and explains it. Such a rationale is argued from the
answer backwards: it always has reasons, also for a wrong answer. `blind`: the question is asked anew,
with the reasoning first, so that the answer follows from it and may differ from the recorded one.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from limbeck.capture.elicit.tags import CLOSE, OPEN, divide, instruction
from limbeck.capture.reply import read_reply
from limbeck.capture.template import put
from limbeck.models.call import Reply
from limbeck.types import ReplyForm, Task, Trace, places

How = Literal["guided", "blind"]

MARKER = "Answer:"

_GUIDED = """\
You are shown the instructions of a job, an input of it, and the answer that was given. Explain the \
answer. Do not do the job anew in another form, and do not mention that the answer was shown to you.

<instructions>
{instructions}
</instructions>"""

_WHY = """\
<input>
{input}
</input>

The answer that was given:

<answer>
{answer}
</answer>

{wording} Write the explanation between {open} and {close}, and nothing before it. If the answer does \
not follow from the input and the instructions, explain what does."""

_AGAIN = f"""
After it, write on a line of its own "{MARKER} " and the answer that the explanation leads to, in the \
form of the answer above."""

_FIELD = f"""
Write no JSON and call no tool: after the rationale, write on a line of its own "{MARKER} " and what \
would stand in the field "{{field}}"."""


class Asking(NamedTuple):
    system: str
    user: str


class Told(NamedTuple):
    """What a reply says. Where it is of no use, `unusable` is why: `cut_off`, `refused`, `error`,
    `no_rationale` or `no_answer`."""

    rationale: str = ""
    answer: str | None = None
    unusable: str | None = None


def ask(task: Task, trace: Trace, answer: str, instructions: str, how: How) -> Asking:
    """What is asked about `trace`, whose recorded answer is `answer`.

    `instructions` are those of the task, or of the call where the task file has none.
    """
    if how == "guided":
        why = _WHY.format(
            input=_input(trace), answer=answer, wording=task.elicit.wording, open=OPEN, close=CLOSE
        )
        return Asking(
            _GUIDED.format(instructions=_with_form(task, instructions)),
            why if task.answer.kind == "text" else why + _AGAIN,
        )
    system = f"{instructions.strip()}\n\n{instruction(task.elicit.wording)}".lstrip()
    if task.reply.answer_field is not None:
        system += _FIELD.format(field=task.reply.answer_field)
    return Asking(system, _message(task, trace))


def read_told(task: Task, trace: Trace, reply: Reply, how: How) -> Told:
    """The rationale and the answer of a reply to `ask`."""
    if reply.status != "ok":
        return Told(unusable=reply.status)
    tagged, rest, ended = divide(reply.text)
    if not ended:
        return Told(unusable="cut_off")
    if how == "guided" and task.answer.kind == "text":
        said, answer = (tagged or rest).strip(), None
    else:
        form = _read_as(task, how)
        # Beside a rationale that stands apart, a text without a marker is the answer.
        reading = read_reply(form, rest, thinking=tagged, choices=trace.choices)
        said = reading.rationale.text if reading.rationale else ""
        answer = reading.answer
    if not said:
        return Told(unusable="no_rationale")
    if how == "blind" and answer is None:
        return Told(unusable="no_answer")
    return Told(said, answer)


def _read_as(task: Task, how: How) -> Task:
    """The task as its replies are read here: where we said how the answer stands, so it does."""
    if how == "blind" and task.reply.answer_field is None:
        return task
    return task.model_copy(update={"reply": ReplyForm(answer_markers=(MARKER,))})


def _with_form(task: Task, instructions: str) -> str:
    """The instructions, and the message around the input where the task says what that is."""
    if task.call.template is None:
        return instructions.strip()
    return f"{instructions.strip()}\n\nEvery input stands in this form:\n{task.call.template}"


def _message(task: Task, trace: Trace) -> str:
    """The message as the call had it, as far as the trace still tells."""
    form = task.call
    if form.template is not None and form.input is None and not form.paths:
        names = dict.fromkeys(places(form.template))
        if len(names) == 1:
            return put(form.template, dict.fromkeys(names, trace.input))
        return f"{form.template}\n\n{_input(trace)}"
    return _input(trace)


def _input(trace: Trace) -> str:
    missing = [choice for choice in trace.choices if choice not in trace.input]
    return f"{trace.input}\n\nChoices: {', '.join(trace.choices)}" if missing else trace.input
