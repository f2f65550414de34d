"""Scores and feedback that exports carry become outcomes where their name says what they mean.

| name of the score                                            | value                   | outcome   |
|--------------------------------------------------------------|-------------------------|-----------|
| correct, is_correct, correctness, exact_match                | true/false, 1/0,        | `correct` |
|                                                              | correct/incorrect, ...  |           |
| expected, expected_output, ground_truth, reference, truth,   | a text or number        | `value`   |
| correction, demonstration                                    |                         |           |

Everything else (helpfulness 0.7, thumbs, toxicity) says nothing of whether the answer was right, and
is counted as not used.
"""

from __future__ import annotations

from limbeck.capture.formats.imported import Score
from limbeck.capture.formats.loose import words
from limbeck.types import Outcome, Task
from limbeck.verify.table import normalize

CORRECT = ("correct", "is_correct", "correctness", "exact_match")
TRUTH = (
    "expected",
    "expected_output",
    "ground_truth",
    "reference",
    "truth",
    "correction",
    "demonstration",
)
_YES = ("true", "yes", "correct", "right", "1", "1.0", "pass")
_NO = ("false", "no", "incorrect", "wrong", "0", "0.0", "fail")


def outcome_of(score: Score, trace_id: str, task: Task | None) -> Outcome | None:
    """The outcome that `score` is, or None where it says nothing of the answer.

    A value that has not the form of the task's answers is none.
    """
    name = score.name.strip().lower().replace(" ", "_").replace("-", "_")
    if name in CORRECT:
        said = str(score.value).strip().lower()
        if said in (*_YES, *_NO):
            return Outcome(
                trace_id=trace_id, correct=said in _YES, source=score.source, at=score.at
            )
    if name in TRUTH:
        value = words(score.value)
        if value is not None and task is not None:
            value = normalize(task, value, ())
        if value is not None:
            return Outcome(trace_id=trace_id, value=value, source=score.source, at=score.at)
    return None
