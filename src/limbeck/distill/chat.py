"""Chat models through their own template, with the rationale where the template wants it.

The template is asked with marks in place of texts, and what it puts around them becomes the frame of
every input and rationale. Control tokens stay where they always are: after the input, and between
rationale and answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from limbeck.distill.settings import DistillSettings
from limbeck.errors import PreflightError
from limbeck.models.controls import control_token
from limbeck.types import Ask, Frame, Task

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

INPUT, WHY, SAID = "Q1w2e3r4", "T5y6u7i8", "Z9x8c7v6"
"""Marks that no template changes and that hold nothing of each other."""

_OFF = "set chat = 'off' to train it as a plain model"


def frame_of(
    tokenizer: PreTrainedTokenizerBase, task: Task, settings: DistillSettings
) -> Frame | None:
    """What is put around inputs and rationales; None where nothing is.

    Raises `PreflightError` for a template that changes the input, or drops or moves the rationale.
    """
    instruction = task.instruction.strip() if settings.with_instructions else ""
    if settings.chat == "off" or not getattr(tokenizer, "chat_template", None):
        return Frame(before=f"{instruction}\n\n") if instruction else None
    system = [{"role": "system", "content": instruction}] if instruction else []
    turns: list[dict[str, str]] = [*system, {"role": "user", "content": INPUT}]
    asked = _render(tokenizer, turns, prompt=True)
    if asked.count(INPUT) != 1:
        raise PreflightError(
            f"the chat template shows the input {asked.count(INPUT)} times; wanted once: {_OFF}"
        )
    before, _, after = asked.partition(INPUT)
    replies: list[dict[str, str]] = [
        {"content": SAID, "reasoning_content": WHY},
        {"content": SAID, "reasoning": WHY},
        {"content": SAID, "thinking": WHY},
        {"content": f"<think>\n{WHY}\n</think>\n\n{SAID}"},
    ]
    for reply in replies:
        whole = _render(tokenizer, [*turns, {"role": "assistant", **reply}], prompt=False)
        if not whole.startswith(asked) or WHY not in whole:
            continue
        rest = whole[len(asked) :]
        start, _, more = rest.partition(WHY)
        middle, found, tail = more.partition(SAID)
        if not found:
            raise PreflightError(
                f"the chat template moves the rationale behind the answer: {rest!r}; {_OFF}"
            )
        if str(tokenizer.eos_token) not in tail:
            raise PreflightError(
                f"the chat template ends a reply with {tail!r}, and the end token is "
                f"{tokenizer.eos_token!r}; set eos_token to the one of the template, or {_OFF}"
            )
        return Frame(before=before, after=after, open=start, close=middle)
    raise PreflightError(
        f"the chat template drops the rationale of a reply, in every form that is known; {_OFF}"
    )


def template_for(tokenizer: PreTrainedTokenizerBase, ask: Ask) -> str | None:
    """The chat template of the finished student: its own, with the beginning of a reply as `ask` has it,
    so that a server that knows nothing of control tokens asks it rightly."""
    own: Any = getattr(tokenizer, "chat_template", None)
    if ask.frame is None or not isinstance(own, str):
        return None
    begin = control_token(ask.control) + (ask.frame.open if ask.control == "think" else "")
    quoted = begin.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n")
    return f"{own}{{%- if add_generation_prompt %}}{{{{- '{quoted}' }}}}{{%- endif %}}"


def _render(
    tokenizer: PreTrainedTokenizerBase, turns: list[dict[str, str]], *, prompt: bool
) -> str:
    try:
        shown = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=prompt)
    except Exception as error:  # noqa: BLE001 - the boundary to a template, which may raise anything
        raise PreflightError(f"the chat template cannot be used ({error}); {_OFF}") from None
    return str(shown)
