"""A student as others want it: a folder for servers that read safetensors, GGUF, a vLLM command.

The folder is a plain Hugging Face model. Beside the weights it has a chat template that asks the
student as its recipe does, so that a server's chat endpoint needs to know nothing of control tokens.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from limbeck.errors import StudentError
from limbeck.models.controls import control_token
from limbeck.models.local.card import read_card
from limbeck.types import Ask, Noun

CONVERTER = "convert_hf_to_gguf.py"
WHERE = "LLAMA_CPP"
"""The environment variable that names the folder of llama.cpp."""
TYPES = ("f32", "f16", "bf16", "q8_0", "auto")
LEFT = ("answers-*", "signals-*", "training.json", "adapter", "*.partial", "work", "evaluation*")
"""What a student's folder holds for Limbeck alone."""


class ExportedStudent(Noun):
    """What was written, and the command that serves it where there is one."""

    student: str
    path: Path
    bytes: int
    command: str | None = None
    notes: tuple[str, ...] = ()


def chat_template(ask: Ask) -> str:
    """A Jinja template that writes what the student reads: the last message, and its control token."""
    frame = ask.frame
    before, after, begin = (
        ("", "", "") if frame is None else (frame.before, frame.after, frame.open)
    )
    if ask.order != "rationale_answer":
        begin = ""
    ends = f"{after}{control_token(ask.control)}{begin}"
    return (
        f"{{{{- {json.dumps(before)} }}}}{{{{- messages[-1]['content'] }}}}"
        f"{{%- if add_generation_prompt %}}{{{{- {json.dumps(ends)} }}}}{{%- endif %}}"
    )


def export_folder(folder: Path, out: Path) -> ExportedStudent:
    """Copies the student's merged weights (safetensors), tokenizer and card to `out`; atomic.

    Raises `StudentError` where there is something already, or no weights as safetensors.
    """
    card = read_card(folder)
    if out.exists():
        raise StudentError(f"{str(out)!r} is there already; name another folder with --out")
    if not any(folder.glob("*.safetensors")):
        raise StudentError(
            f"{str(folder)!r} has no weights as safetensors; distill the student again"
        )
    partial = out.with_name(f"{out.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    shutil.copytree(folder, partial, ignore=shutil.ignore_patterns(*LEFT))
    (partial / "chat_template.jinja").write_text(chat_template(card.ask), encoding="utf-8")
    partial.replace(out)
    return ExportedStudent(
        student=folder.name, path=out, bytes=_size(out), command=None, notes=_notes(card.ask)
    )


def _notes(ask: Ask) -> tuple[str, ...]:
    notes = []
    if ask.asker is not None or ask.again is not None:
        notes.append(
            "this student is asked in two turns, which a plain server does not do; what it serves is "
            "the first of them alone"
        )
    if ask.order == "rationale_answer":
        notes.append(
            f"its reply is a rationale, {control_token('answer')} and the answer: ask the server to keep "
            "special tokens (skip_special_tokens: false), and take what follows"
        )
    if ask.order == "answer_rationale":
        notes.append(f"stop at {control_token('think')}: what follows the answer cannot change it")
    return tuple(notes)


def export_vllm(folder: Path, out: Path) -> ExportedStudent:
    """The folder, and the command with which vLLM serves it at an OpenAI-compatible endpoint."""
    read_card(folder)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    if config.get("is_encoder_decoder"):
        raise StudentError(
            f"{folder.name!r} is an encoder-decoder, which vLLM does not serve; use: limbeck serve"
        )
    made = export_folder(folder, out)
    length = config.get("max_position_embeddings")
    parts = ["vllm", "serve", str(out), "--served-model-name", folder.name, "--dtype", "auto"]
    if length:
        parts += ["--max-model-len", str(length)]
    return made.model_copy(update={"command": shlex.join(parts)})


def export_gguf(
    folder: Path, out: Path, *, kind: str = "f16", converter: Path | None = None
) -> ExportedStudent:
    """A GGUF file for llama.cpp and Ollama, made by llama.cpp's own converter.

    Raises `StudentError` where the converter is not found, or does not know the student's kind.
    """
    card = read_card(folder)
    if kind not in TYPES:
        raise StudentError(f"got the type {kind!r}; wanted one of {', '.join(TYPES)}")
    if out.exists():
        raise StudentError(f"{str(out)!r} is there already; name another file with --out")
    script = _converter(converter)
    partial = out.with_name(f"{out.name}.partial")
    command = [
        sys.executable, str(script), str(folder), "--outfile", str(partial), "--outtype", kind,
    ]  # fmt: skip
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    if ran.returncode or not partial.exists():
        partial.unlink(missing_ok=True)
        lines = (ran.stderr or ran.stdout).strip().splitlines()
        raise StudentError(
            f"{script.name} could not convert {folder.name!r}: {lines[-1] if lines else 'no reason'}; "
            "llama.cpp knows tokenizers by name, and one that was trained from scratch is none of "
            "them: start from a pretrained student for GGUF, or use: limbeck export --to safetensors"
        )
    partial.replace(out)
    return ExportedStudent(
        student=folder.name,
        path=out,
        bytes=out.stat().st_size,
        command=shlex.join(["llama-server", "--model", str(out), "--special"]),
        notes=_notes(card.ask),
    )


def _converter(given: Path | None) -> Path:
    places = [given] if given is not None else []
    if given is None and os.environ.get(WHERE):
        places.append(Path(os.environ[WHERE]) / CONVERTER)
    on_path = shutil.which(CONVERTER)
    if given is None and on_path:
        places.append(Path(on_path))
    for place in places:
        if place.is_file():
            return place
    looked = ", ".join(str(place) for place in places) or f"{WHERE} and PATH"
    raise StudentError(
        f"llama.cpp's {CONVERTER} was not found ({looked}); get llama.cpp with "
        f"git clone https://github.com/ggml-org/llama.cpp and pip install gguf, then name its folder in "
        f"{WHERE} or the script with --converter"
    )


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
