"""`limbeck export`: students for other servers, datasets for other trainers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from limbeck.cli.find import find_dataset, find_student
from limbeck.cli.working import working
from limbeck.curate.provider_formats import FORMATS, Exported, export_dataset
from limbeck.models.local.exported import (
    ExportedStudent,
    export_folder,
    export_gguf,
    export_vllm,
)
from limbeck.workspace import Workspace


class To(StrEnum):
    safetensors = "safetensors"
    vllm = "vllm"
    gguf = "gguf"
    hf_messages = "hf-messages"
    openai = "openai"
    together = "together"
    fireworks = "fireworks"
    vertex = "vertex"
    bedrock = "bedrock"


def command(
    name: Annotated[str, typer.Argument(help="A student, or a dataset for a provider's format.")],
    to: Annotated[
        To,
        typer.Option(
            "--to",
            help="Students: safetensors, vllm, gguf. Datasets: hf-messages, openai, together, "
            "fireworks, vertex, bedrock.",
        ),
    ],
    out: Annotated[
        Path | None, typer.Option(help="Where to write (default: exports/ in the workspace).")
    ] = None,
    answers_only: Annotated[
        bool, typer.Option("--answers-only", help="Datasets: leave the rationales out.")
    ] = False,
    gguf_type: Annotated[
        str, typer.Option("--type", help="GGUF: f32, f16, bf16, q8_0 or auto.")
    ] = "f16",
    converter: Annotated[
        Path | None, typer.Option(help="GGUF: llama.cpp's convert_hf_to_gguf.py.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Write a student or a dataset as others want it. Nothing is sent anywhere.

    Of a dataset the train and validation splits are written, each line read back in the provider's form,
    and its published limits checked. The other splits judge the outcome and stay here.
    """
    workspace = Workspace.find()
    if to.value in FORMATS:
        dataset = find_dataset(workspace, name)
        folder = out or workspace.root / "exports" / f"{dataset.path.name}-{to.value}"
        with working("writing"):
            files = export_dataset(dataset, to.value, folder, rationale=not answers_only)
        _show_files(to.value, files, as_json)
        return
    student = find_student(workspace, name)
    suffix = ".gguf" if to is To.gguf else f"-{to.value}"
    place = out or workspace.root / "exports" / f"{student.name}{suffix}"
    place.parent.mkdir(parents=True, exist_ok=True)
    with working("converting"):
        if to is To.gguf:
            made = export_gguf(student, place, kind=gguf_type, converter=converter)
        else:
            made = (export_vllm if to is To.vllm else export_folder)(student, place)
    _show_student(made, as_json)


def _show_files(to: str, files: Sequence[Exported], as_json: bool) -> None:
    limits = FORMATS[to].limits
    if as_json:
        said: dict[str, Any] = {
            "format": to,
            "files": [one.model_dump(mode="json") for one in files],
            "limits": limits.model_dump(mode="json"),
        }
        print(json.dumps(said, indent=2))
        return
    for one in files:
        print(
            f"{one.split:<11}{one.examples:>9,} examples  {one.bytes:>13,} bytes  "
            f"longest about {one.longest_tokens:,} tokens  {one.path}"
        )
    print(f"checked against {limits.source}" + (f"; {limits.note}" if limits.note else ""))
    print("read the terms of whoever generated these rationales before you train on them")


def _show_student(made: ExportedStudent, as_json: bool) -> None:
    if as_json:
        print(made.model_dump_json(indent=2))
        return
    print(f"{made.student}  {made.bytes:,} bytes  {made.path}")
    if made.command:
        print(f"serve it with: {made.command}")
    for note in made.notes:
        print(f"- {note}")
