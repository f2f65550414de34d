"""The same in other words, by the teacher. It costs money, so it is done only where it is asked for.

A paraphrase that lost or gained a number is thrown away; what else it changed nobody checked, so its
truth is assumed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from limbeck.curate.chain import numbers
from limbeck.evaluate.shifted.change import Changed
from limbeck.models.remote import Question, Teacher
from limbeck.types import Example

WORDING = (
    "Say the text that you are given in other words. Keep every fact, every name, every number and any "
    "question exactly. Reply with the new text alone."
)


def paraphrases(teacher: Teacher, examples: Sequence[Example]) -> list[Changed | None]:
    """One paraphrase an example, in their order; None where the teacher failed or changed a number."""
    questions = [Question(WORDING, example.input) for example in examples]
    place = {id(question): at for at, question in enumerate(questions)}
    found: list[Changed | None] = [None] * len(questions)
    for asked in teacher.ask_many(questions):
        at = place[id(asked.question)]
        text = asked.reply.text.strip() if asked.reply is not None else ""
        example = examples[at]
        if text and Counter(numbers(text)) == Counter(numbers(example.input)):
            changed = example.model_copy(update={"input": text})
            found[at] = Changed(example=changed, truth="assumed")
    return found
