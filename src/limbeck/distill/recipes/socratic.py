"""`socratic`: the chain as sub-questions and their answers (Shridhar et al. 2023, arXiv 2212.00193).

    one student:   L = w_q · L(⟨ask⟩ questions)  +  L(⟨solve⟩ question₁ solution₁ question₂ ... ⟨answer⟩ answer)
    two students:  asker  L(⟨ask⟩ questions),   solver  L(⟨think⟩ solutions ⟨answer⟩ answer | questions)

One student (the paper's unified strategy) writes question and solution in turn, then the answer, in one
go; to ask the questions alone is its second task. With `students = "two"` an asker writes all questions
of an input, and a solver reads them and writes the solutions: the paper alternates the two models a step
at a time, where here answering takes two turns, however many steps there are.

Questions are taken from the data where it has them: lines of `question? ** solution` (as in the Socratic
form of GSM8K) or of `question?` and then its solution. Any other chain is split: a step's question is
what it begins with (at most three words, up to the first number, colon or comma), its solution the rest,
so that question and solution together are the step. The paper has its questions from annotators or a
large model.

The solutions come before the answer and can have caused it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, Literal, NamedTuple

from pydantic import Field

from limbeck.distill.recipes.think_first import thinking
from limbeck.distill.steps import steps_of
from limbeck.types import Ask, Branch, Example, Noun, Part, Tree

TRAIN = "limbeck.distill.socratic:train"

_GIVEN = re.compile(r"^(?:Q:\s*)?(?P<question>[^?]*\?)\s*(?:\*\*|A:)?\s*(?P<solution>.*)$")
_WORD = re.compile(r"\s*([^\W\d_][\w'’-]*)(?=[\s:,.;?!]|$)")
_MOST_WORDS = 3


class Step(NamedTuple):
    question: str
    solution: str


class Settings(Noun):
    students: Literal["one", "two"] = "one"
    """One student that asks and solves, or an asker and a solver."""
    ask_weight: Annotated[float, Field(gt=0)] = 0.25
    """Weight of asking alone, as the second task of one student."""
    question_weight: Annotated[float, Field(gt=0)] = 1.0
    solution_weight: Annotated[float, Field(gt=0)] = 1.0
    answer_weight: Annotated[float, Field(gt=0)] = 1.0


def trees(examples: Sequence[Example], settings: Settings) -> list[Tree]:
    """For two students, the trees of both in one: what each of them learns is one branch of it."""
    made = []
    for example in examples:
        steps = steps_with_questions(example.rationale) if example.rationale else []
        if not steps:
            branches: tuple[Branch, ...] = (
                thinking(None, example.answer, answer_weight=settings.answer_weight),
            )
        elif settings.students == "one":
            branches = (_in_turn(steps, example.answer, settings), _asking(steps, settings))
        else:
            branches = (_solving(steps, example.answer, settings), _asking(steps, settings))
        made.append(Tree(prompt=example.input, branches=branches, weight=example.weight))
    return made


def steps_with_questions(rationale: str) -> list[Step]:
    """The steps of a chain, with the questions that it has or that its own beginnings make."""
    lines = steps_of(rationale)
    given = _given(lines)
    return given if given else [_split(line) for line in lines]


def _given(lines: Sequence[str]) -> list[Step]:
    """Steps of a chain that has its questions; none where a line before the first is something else."""
    steps: list[Step] = []
    for line in lines:
        found = _GIVEN.match(line)
        if found is not None:
            steps.append(Step(found["question"].strip(), found["solution"].strip()))
        elif steps:
            # A last line such as `#### 42` belongs to the solution before it.
            last = steps[-1]
            steps[-1] = last._replace(solution=f"{last.solution} {_plain(line)}".strip())
        else:
            return []
    return steps if all(step.solution for step in steps) else []


def _plain(line: str) -> str:
    return re.sub(r"^A:\s*", "", line)


def _split(step: str) -> Step:
    words: list[str] = []
    at = 0
    while len(words) < _MOST_WORDS and (found := _WORD.match(step, at)):
        if not step[found.end() :].strip(" .!?:,;"):
            break
        words.append(found[1])
        at = found.end()
        if step[at : at + 1] in (":", ","):
            at += 1
            break
    if not words:
        return Step("next?", step)
    return Step(f"{' '.join(words)}?", step[at:].strip())


def _in_turn(steps: Sequence[Step], answer: str, settings: Settings) -> Branch:
    parts = [Part(text="solve", role="control", weight=0.0)]
    for step in steps:
        parts += [
            Part(text=step.question, role="question", weight=settings.question_weight),
            Part(text=step.solution, role="rationale", weight=settings.solution_weight),
        ]
    return Branch(parts=(*parts, *_answering(answer, settings)))


def _asking(steps: Sequence[Step], settings: Settings) -> Branch:
    weight = settings.ask_weight if settings.students == "one" else settings.question_weight
    return Branch(
        parts=(
            Part(text="ask", role="control", weight=0.0),
            Part(text=_questions(steps), role="question", weight=weight),
        )
    )


def _solving(steps: Sequence[Step], answer: str, settings: Settings) -> Branch:
    solutions = " ".join(step.solution for step in steps)
    return Branch(
        parts=(
            Part(text="solve", role="control", weight=0.0),
            # The questions are read, not learned: another student asks them.
            Part(text=_questions(steps), role="question", weight=0.0),
            Part(text="think", role="control", weight=0.0),
            Part(text=solutions, role="rationale", weight=settings.solution_weight),
            *_answering(answer, settings),
        )
    )


def _questions(steps: Sequence[Step]) -> str:
    return " ".join(step.question for step in steps)


def _answering(answer: str, settings: Settings) -> tuple[Part, Part]:
    weight = settings.answer_weight
    return (
        Part(text="answer", role="control", weight=weight),
        Part(text=answer, role="answer", weight=weight),
    )


def ask(settings: Settings) -> Ask:
    asker = "asker" if settings.students == "two" else None
    return Ask(control="solve", order="rationale_answer", causal=True, asker=asker)
