"""What the short names of drops and faults mean, in words for somebody who sees them once."""

from __future__ import annotations

REASONS = {
    "arithmetic": "An equation in the chain does not hold.",
    "conflicting_truth": "Trusted sources say different things about the right answer.",
    "contamination": "The input stands in a set that is kept for evaluation.",
    "contradiction": "The chain argues for another answer than the one given.",
    "cut_off": "The reply ends before it is done.",
    "duplicate": "The same input is already there; the best reply to it was kept.",
    "failed_call": "The call gave no reply.",
    "judge": "A teacher that read the chain by a rubric found it wanting.",
    "language": "The chain is not in the language of the others.",
    "leakage": "The same input stands in another split.",
    "loop": "The chain repeats itself.",
    "malformed_answer": "The answer is not in the form that the task wants.",
    "missing_answer": "No answer could be found in the reply.",
    "near_duplicate": "Nearly the same input is already there; the best reply to it was kept.",
    "near_leakage": "Nearly the same input stands in another split.",
    "nonsense": "The chain is not about its input, or not a text.",
    "over_budget": "The down-sampler chose other chains of the same input.",
    "refusal": "The teacher declined to answer.",
    "residue": "Left-overs of the prompt or of a template stand in the chain.",
    "same_meaning": "An input that means the same is already there.",
    "short_or_long": "The chain is far shorter or longer than the others.",
    "student_reply": "A student answered this call, not the teacher.",
    "support": "The chain uses facts that do not stand in its input.",
    "unknown_truth": "Nobody knows whether the answer is right.",
    "wrong_answer": "The answer is not the right one.",
}
"""By the name that curation gives; a check from elsewhere shows its name alone."""


def meaning(reason: str) -> str:
    return REASONS.get(reason, "")
