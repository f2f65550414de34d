"""Datasets in the formats of those who fine-tune models for others, checked against their limits.

Each format is a function from a conversation to a JSON object, a shape that every line is read back
with, and the limits as its provider published them. Limits and prices change: the address where a
limit stood goes with it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from limbeck.curate.dataset import Dataset
from limbeck.errors import DatasetError
from limbeck.types import Example, Noun, Task

SPLITS = ("train", "validation")
"""What is exported. The other splits judge the outcome, and nothing may learn from them."""
CHARACTERS_A_TOKEN = 4
"""Roughly, in English: nobody can count the tokens of a model that only its provider has."""
MB, GB = 10**6, 10**9


class Conversation(Noun):
    """One example as a chat; `system` is empty where the task has no instruction."""

    system: str
    user: str
    assistant: str


class Limits(Noun):
    """What a provider takes; None is no stated limit."""

    source: str
    least: int = 1
    most: int | None = None
    most_validation: int | None = None
    most_bytes: int | None = None
    most_tokens: int | None = None
    note: str = ""


class Exported(Noun):
    """One file that was written. `longest_tokens` is an estimate, by characters."""

    split: str
    path: Path
    examples: int
    bytes: int
    longest_tokens: int


Text = Annotated[str, Field(min_length=1)]


class _Line(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _Message(_Line):
    role: Literal["system", "user", "assistant"]
    content: Text


class _Messages(_Line):
    messages: list[_Message]

    @model_validator(mode="after")
    def _in_turns(self) -> _Messages:
        _check_turns([message.role for message in self.messages], "assistant")
        return self


class _Part(_Line):
    text: Text


class _Content(_Line):
    role: Literal["user", "model"]
    parts: Annotated[list[_Part], Field(min_length=1)]


class _Instruction(_Line):
    role: Literal["system"]
    parts: Annotated[list[_Part], Field(min_length=1)]


class _Vertex(_Line):
    systemInstruction: _Instruction | None = None  # noqa: N815 - the provider's spelling
    contents: list[_Content]

    @model_validator(mode="after")
    def _in_turns(self) -> _Vertex:
        _check_turns([content.role for content in self.contents], "model")
        return self


class _Turn(_Line):
    role: Literal["user", "assistant"]
    content: Annotated[list[_Part], Field(min_length=1)]


class _Bedrock(_Line):
    schemaVersion: Literal["bedrock-conversation-2024"]  # noqa: N815 - the provider's spelling
    system: list[_Part] | None = None
    messages: list[_Turn]

    @model_validator(mode="after")
    def _in_turns(self) -> _Bedrock:
        _check_turns([turn.role for turn in self.messages], "assistant")
        return self


def _check_turns(roles: Sequence[str], answering: str) -> None:
    turns = list(roles[1:] if roles[:1] == ["system"] else roles)
    if not turns or turns != ["user", answering] * (len(turns) // 2):
        raise ValueError(f"got the roles {list(roles)}; wanted user and {answering} by turns")


def _messages(one: Conversation) -> dict[str, Any]:
    system = [{"role": "system", "content": one.system}] if one.system else []
    return {
        "messages": [
            *system,
            {"role": "user", "content": one.user},
            {"role": "assistant", "content": one.assistant},
        ]
    }


def _vertex(one: Conversation) -> dict[str, Any]:
    system = {"systemInstruction": {"role": "system", "parts": [{"text": one.system}]}}
    return {
        **(system if one.system else {}),
        "contents": [
            {"role": "user", "parts": [{"text": one.user}]},
            {"role": "model", "parts": [{"text": one.assistant}]},
        ],
    }


def _bedrock(one: Conversation) -> dict[str, Any]:
    return {
        "schemaVersion": "bedrock-conversation-2024",
        **({"system": [{"text": one.system}]} if one.system else {}),
        "messages": [
            {"role": "user", "content": [{"text": one.user}]},
            {"role": "assistant", "content": [{"text": one.assistant}]},
        ],
    }


@dataclass(frozen=True)
class Format:
    """A provider's format: how a line is written, read back, and what the provider takes."""

    write: Callable[[Conversation], dict[str, Any]]
    shape: type[BaseModel]
    limits: Limits


FORMATS: dict[str, Format] = {
    "hf-messages": Format(
        _messages,
        _Messages,
        Limits(source="https://huggingface.co/docs/trl/dataset_formats"),
    ),
    "openai": Format(
        _messages,
        _Messages,
        Limits(
            source="https://developers.openai.com/docs/guides/distillation",
            least=10,
            most_bytes=512 * MB,
            note="OpenAI's self-serve fine-tuning takes no new jobs after 6 January 2027",
        ),
    ),
    "together": Format(
        _messages,
        _Messages,
        Limits(
            source="https://docs.together.ai/docs/fine-tuning/data-preparation",
            most_bytes=100 * GB,
        ),
    ),
    "fireworks": Format(
        _messages,
        _Messages,
        Limits(
            source="https://docs.fireworks.ai/fine-tuning/fine-tuning-models",
            least=3,
            most=3_000_000,
        ),
    ),
    "vertex": Format(
        _vertex,
        _Vertex,
        Limits(
            source="https://cloud.google.com/vertex-ai/generative-ai/docs/models/gemini-tuning",
            most=1_000_000,
            most_validation=5000,
            most_bytes=GB,
            most_tokens=131_072,
            note="the limits are those of Gemini 2.5 Flash; other models have others",
        ),
    ),
    "bedrock": Format(
        _bedrock,
        _Bedrock,
        Limits(
            source="https://docs.aws.amazon.com/bedrock/latest/userguide/preparing-text-data.html",
            note="how many records a job takes depends on the model; see the quotas of your region",
        ),
    ),
}


def conversation(task: Task, example: Example, *, rationale: bool) -> Conversation:
    """An example as the teacher would have said it: rationale, marker and answer, or the answer."""
    answer = example.answer
    if rationale and example.rationale:
        marker = next(iter(task.reply.answer_markers), "")
        answer = f"{example.rationale.rstrip()}\n{marker} {answer}" if marker else answer
    return Conversation(system=task.instruction.strip(), user=example.input, assistant=answer)


def export_dataset(
    dataset: Dataset, name: str, folder: Path, *, rationale: bool = True
) -> list[Exported]:
    """Writes `train.jsonl` and `validation.jsonl` in the format called `name`, read back and checked.

    Nothing stays behind of a dataset that the provider would not take: raises `DatasetError`.
    """
    chosen = FORMATS[name]
    folder.mkdir(parents=True, exist_ok=True)
    written: list[tuple[Path, Exported]] = []
    try:
        for split in SPLITS:
            found = _examples(dataset, split, rationale)
            if not found:
                continue
            partial = folder / f"{split}.jsonl.partial"
            written.append((partial, _write(dataset, chosen, split, found, partial, rationale)))
            _check_limits(name, chosen.limits, written[-1][1])
        if not any(one.split == "train" for _, one in written):
            raise DatasetError(f"the dataset {dataset.path.name!r} has no examples to train on")
    except BaseException:
        for split in SPLITS:
            (folder / f"{split}.jsonl.partial").unlink(missing_ok=True)
        raise
    for partial, one in written:
        partial.replace(one.path)
    return [one for _, one in written]


def _examples(dataset: Dataset, split: str, rationale: bool) -> list[Example]:
    """Those of a split whose rationale, where it is wanted, argues for the answer that is exported: in
    validation the answer is the truth, and the teacher may have said something else."""
    if split not in dataset.splits:
        return []
    found = dataset.split(split)
    if not rationale or split == "train":
        return found
    said = dataset.rows(split)["teacher_answer"].to_list()
    return [
        one
        for one, answer in zip(found, said, strict=True)
        if not one.rationale or answer == one.answer
    ]


def _write(
    dataset: Dataset,
    chosen: Format,
    split: str,
    examples: Sequence[Example],
    partial: Path,
    rationale: bool,
) -> Exported:
    longest = 0
    with partial.open("w", encoding="utf-8", newline="\n") as file:
        for number, example in enumerate(examples, start=1):
            said = conversation(dataset.task, example, rationale=rationale)
            longest = max(longest, len(said.system) + len(said.user) + len(said.assistant))
            line = json.dumps(chosen.write(said), ensure_ascii=False)
            try:
                chosen.shape.model_validate_json(line)
            except (ValidationError, ValueError) as error:
                raise DatasetError(
                    f"example {number:,} of {split} (trace {example.trace_id[:15]}…) cannot be exported: "
                    f"{_reason(error)}"
                ) from None
            file.write(line + "\n")
        file.flush()
        os.fsync(file.fileno())
    return Exported(
        split=split,
        path=partial.with_suffix(""),
        examples=len(examples),
        bytes=partial.stat().st_size,
        longest_tokens=-(-longest // CHARACTERS_A_TOKEN),
    )


def _reason(error: ValueError) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        where = ".".join(str(place) for place in first["loc"])
        return f"{where}: {first['msg']}" if where else str(first["msg"])
    return str(error)


def _check_limits(name: str, limits: Limits, one: Exported) -> None:
    most = limits.most if one.split == "train" else limits.most_validation
    least = limits.least if one.split == "train" else 1
    wrong = None
    if one.examples < least:
        wrong = f"{one.examples:,} examples; it takes {least:,} or more"
    elif most is not None and one.examples > most:
        wrong = f"{one.examples:,} examples; it takes at most {most:,}"
    elif limits.most_bytes is not None and one.bytes > limits.most_bytes:
        wrong = f"{one.bytes:,} bytes; it takes at most {limits.most_bytes:,}"
    elif limits.most_tokens is not None and one.longest_tokens > limits.most_tokens:
        wrong = (
            f"an example of about {one.longest_tokens:,} tokens; it takes at most "
            f"{limits.most_tokens:,}"
        )
    if wrong is not None:
        raise DatasetError(
            f"{name} would not take this dataset: {one.split} has {wrong} (see {limits.source}); curate "
            "again with other splits or filters"
        )
