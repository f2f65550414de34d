"""Which judge belongs to which kind of answer.

A judge is a module with two pure functions, `normalize(form, text, choices)` and
`judge(form, answer, truth, choices)`. To add one: a file beside this one, and a line in `JUDGES`.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Protocol, cast

from limbeck.types import AnswerForm, Task, Verdict

JUDGES = {
    "choice": "limbeck.verify.choice",
    "number": "limbeck.verify.number",
    "text": "limbeck.verify.text",
    "json": "limbeck.verify.json_value",
}


class Judge(Protocol):
    def normalize(
        self, form: AnswerForm, text: str, choices: tuple[str, ...] = ()
    ) -> str | None: ...

    def judge(
        self, form: AnswerForm, answer: str, truth: str, choices: tuple[str, ...] = ()
    ) -> Verdict: ...


def normalize(task: Task, text: str, choices: tuple[str, ...] = ()) -> str | None:
    """`text` in the form that the task's answers have, or None where it is not such an answer.

    Repairs what cannot change the meaning (case, quotes, articles, `(b)`, `$4.00`, a unit) and
    never guesses. `choices` are those of the call, where they differ from call to call.
    """
    return _judge_of(task).normalize(task.answer, text, choices or task.answer.choices)


def judge(task: Task, answer: str, truth: str, choices: tuple[str, ...] = ()) -> Verdict:
    """Whether `answer` says the same as `truth`; the reason is a phrase for a person."""
    return _judge_of(task).judge(task.answer, answer, truth, choices or task.answer.choices)


def _judge_of(task: Task) -> Judge:
    return _loaded(JUDGES[task.answer.kind])


@cache
def _loaded(module: str) -> Judge:
    # A module has the shape of the protocol, which mypy cannot see through `import_module`.
    return cast(Judge, import_module(module))
