"""Targets: what a student is taught to write after a prompt, and how it is asked afterwards."""

from __future__ import annotations

from typing import Literal

from limbeck.types.noun import Noun

Role = Literal["control", "rationale", "answer", "question"]


class Part(Noun):
    """A piece of what the student writes. `weight` scales its loss; 0 is read but not learned.

    A `control` part is the name of a control token (`think`, `answer`, ...), not text.
    """

    text: str
    role: Role
    weight: float = 1.0


class Branch(Noun):
    """One continuation of a prompt. The end-of-text token follows the last part, with its weight."""

    parts: tuple[Part, ...]


class Tree(Noun):
    """Everything that the student learns about one input: a prompt and its weighted branches."""

    prompt: str
    branches: tuple[Branch, ...]
    weight: float = 1.0


class Again(Noun):
    """When a first answer is unsure, and how the student is then asked.

    P(the first answer is right) = σ(bias + Σ weight · (feature − center) / scale) over the features of
    `limbeck.models.turns`; below `threshold` it is asked again.
    """

    control: str
    order: Literal["rationale_answer", "answer_rationale"]
    center: tuple[float, ...]
    scale: tuple[float, ...]
    weights: tuple[float, ...]
    bias: float
    threshold: float


class Frame(Noun):
    """What stands around an input, and around a rationale, for a student that reads it: a chat template,
    or the task's instruction. Special tokens in these are read as such.
    """

    before: str = ""
    after: str = ""
    open: str = ""
    close: str = ""


class Ask(Noun):
    """How a student of a recipe is asked, and what its reply means.

    `control` is the control token put after the input; the student then writes. `order` says where
    the answer stands. `causal` is False where the rationale cannot have caused the answer: such a
    rationale is labelled "post-hoc by construction".

    Some are asked in two turns: with `asker`, a student in that folder inside of its own first writes
    the questions that it is to solve; with `again`, it is asked anew where its first answer is unsure.
    """

    control: str
    order: Literal["answer", "rationale_answer", "answer_rationale"]
    causal: bool
    asker: str | None = None
    again: Again | None = None
    frame: Frame | None = None
