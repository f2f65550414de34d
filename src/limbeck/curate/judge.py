"""A second opinion that is paid for: a teacher reads chains and says of each whether it may train.

It is never needed. Several chains go into one question; every opinion is kept in a file under the hash of
the rubric, the model and the chain, so that nothing is asked twice and an interrupted run goes on where
it was. The check `judge` reads that file.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from limbeck.errors import DataError, TeacherError
from limbeck.models.prices import cost_usd
from limbeck.models.remote import Question, Teacher
from limbeck.types import Noun, Price, Task, Usage, content_hash

RUBRIC = """\
A chain passes if each of its steps follows from the input, the instructions or an earlier step, if it \
leads to the answer that is given, and if nothing in it is invented. Style, length and spelling do not \
count. In doubt, it passes."""

_SYSTEM = """\
You check explanations that a smaller model will learn from. You are given the instructions of a job and \
numbered cases, each with an input, a chain of reasoning and an answer.

<instructions>
{instructions}
</instructions>

<rubric>
{rubric}
</rubric>

Write one line for each case and nothing else: its number, a colon, and "pass", or "fail" and why in at \
most fifteen words."""
_CASE = """\
<case number="{number}">
<input>
{input}
</input>
<chain>
{chain}
</chain>
<answer>{answer}</answer>
</case>"""
_SAID = re.compile(
    r"^[^\w\n]*(?:case[^\w\n]*)?(\d+)[^\w\n]+(pass|fail)\w*[^\w\n]*(.*)$",
    re.IGNORECASE | re.MULTILINE,
)
_LINE_TOKENS = 40
_CHARACTERS_A_TOKEN = 4
BATCH = 8
"""Chains in one question."""


class Case(NamedTuple):
    """A chain to be judged, with the input that it is about and the answer that it leads to."""

    input: str
    chain: str
    answer: str


class Opinion(Noun):
    """What the judge `model` said of the chain with this `key`."""

    key: str
    model: str
    passes: bool
    reason: str = ""


class Bill(Noun):
    """What asking would take; `usd` is None where nobody knows the price."""

    cases: int
    questions: int
    input_tokens: int
    output_tokens: int
    usd: float | None


def key_of(case: Case, rubric: str = RUBRIC) -> str:
    """The name of an opinion: what was judged and by which rubric."""
    return content_hash([rubric, *case])


def read_opinions(file: Path) -> dict[str, Opinion]:
    """The opinions in `file` by their key; a line that was cut off by a kill is left out.

    Raises DataError where the file holds anything else.
    """
    if not file.exists():
        return {}
    lines = file.read_text("utf-8").split("\n")
    found = {}
    for number, line in enumerate(lines, start=1):
        if not line:
            continue
        try:
            opinion = Opinion.model_validate_json(line)
        except ValidationError as error:
            if number == len(lines):
                break
            raise DataError(
                f"line {number} of {file} is no opinion of a judge "
                f"({error.errors()[0]['msg']}); remove the line, or the file to ask anew"
            ) from None
        found[opinion.key] = opinion
    return found


def lacking(
    cases: Iterable[Case], opinions: dict[str, Opinion], rubric: str = RUBRIC
) -> list[Case]:
    """The cases without an opinion, each once."""
    return [case for case in dict.fromkeys(cases) if key_of(case, rubric) not in opinions]


def bill(
    task: Task, cases: Sequence[Case], model: str, rubric: str = RUBRIC, price: Price | None = None
) -> Bill:
    """What it would cost to judge `cases`, by their characters and a line for each."""
    questions = list(_questions(task, cases, rubric))
    reads = [_tokens(question.system) + _tokens(question.user) for question, _ in questions]
    writes = [_LINE_TOKENS * len(asked) for _, asked in questions]
    given = price if price is not None else Price()
    costs = [
        cost_usd(model, Usage(input=read, output=write), given)
        for read, write in zip(reads, writes, strict=True)
    ]
    known = [cost for cost in costs if cost is not None]
    return Bill(
        cases=len(cases),
        questions=len(questions),
        input_tokens=sum(reads),
        output_tokens=sum(writes),
        usd=math.fsum(known) if len(known) == len(costs) else None,
    )


def ask_judge(
    task: Task,
    cases: Sequence[Case],
    teacher: Teacher,
    file: Path,
    rubric: str = RUBRIC,
    told: Callable[[int], None] = lambda _: None,
) -> int:
    """Ask about every case and append each opinion to `file` as it comes; returns how many came.

    A case that the judge says nothing of has no opinion, and is asked about by the next run. Raises
    TeacherError where the first question fails.
    """
    pairs = list(_questions(task, cases, rubric))
    asked = {id(question): part for question, part in pairs}
    questions = [question for question, _ in pairs]
    kept = 0
    file.parent.mkdir(parents=True, exist_ok=True)
    _mend(file)
    with file.open("a", encoding="utf-8") as out:
        for done in teacher.ask_many(questions):
            if done.reply is None:
                assert isinstance(done.error, TeacherError)
                if not kept:
                    raise done.error
                continue
            part = asked[id(done.question)]
            for opinion in read_reply(done.reply.text, part, teacher.model, rubric):
                out.write(opinion.model_dump_json() + "\n")
                kept += 1
            out.flush()
            told(kept)
    return kept


def read_reply(text: str, cases: Sequence[Case], model: str, rubric: str = RUBRIC) -> list[Opinion]:
    """The opinions that a reply holds; a number that was not asked about is left out."""
    found: dict[int, Opinion] = {}
    for said in _SAID.finditer(text):
        place = int(said[1][:9]) - 1
        if 0 <= place < len(cases) and place not in found:
            passes = said[2].lower() == "pass"
            found[place] = Opinion(
                key=key_of(cases[place], rubric),
                model=model,
                passes=passes,
                reason="" if passes else said[3].strip(),
            )
    return [found[place] for place in sorted(found)]


def _questions(
    task: Task, cases: Sequence[Case], rubric: str
) -> list[tuple[Question, Sequence[Case]]]:
    system = _SYSTEM.format(instructions=task.instruction.strip(), rubric=rubric)
    made: list[tuple[Question, Sequence[Case]]] = []
    for start in range(0, len(cases), BATCH):
        part = cases[start : start + BATCH]
        user = "\n\n".join(
            _CASE.format(number=number, input=case.input, chain=case.chain, answer=case.answer)
            for number, case in enumerate(part, start=1)
        )
        made.append((Question(system, user, max_tokens=2 * _LINE_TOKENS * len(part)), part))
    return made


def _tokens(text: str) -> int:
    return math.ceil(len(text) / _CHARACTERS_A_TOKEN)


def _mend(file: Path) -> None:
    """End a line that a kill has cut off, so that the next one begins anew."""
    if file.exists() and (data := file.read_bytes()) and not data.endswith(b"\n"):
        whole = data[: data.rfind(b"\n") + 1]
        try:
            json.loads(data[len(whole) :])
        except ValueError:
            file.write_bytes(whole)
        else:
            file.write_bytes(data + b"\n")
