"""The card of a student."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from limbeck.types.noun import SCHEMA, Noun, content_hash
from limbeck.types.targets import Ask
from limbeck.types.task import Task


class StudentCard(Noun):
    """`limbeck.json` beside a student's weights: what it is, what it learned from, how it is asked.

    `skeleton` is the hash of the instructions that it learned instead of reading them; `dataset` and
    `weights` are content hashes; `max_new_tokens` is long enough for what it was taught to write.
    """

    schema_version: int = SCHEMA
    task: Task
    recipe: str
    recipe_settings: dict[str, Any] = {}
    settings: dict[str, Any] = {}
    ask: Ask
    base: str
    parameters: int
    dataset: str
    train_examples: int
    skeleton: str
    simulated: bool
    seed: int
    steps: int
    tokens_seen: int
    seconds: float
    final_loss: dict[str, float] = {}
    validation_accuracy: float | None = None
    max_new_tokens: int
    weights: str
    version: str
    instruction_tokens: int = 0
    """Tokens of the instruction that a call no longer has to carry, since the student has learned it."""

    @cached_property
    def id(self) -> str:
        return content_hash(self.model_dump(mode="json", exclude_defaults=True))
