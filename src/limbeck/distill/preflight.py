"""What is checked before the first step. A run that could not teach what it should is refused.

Each check raises `PreflightError` in one sentence; each has a test that plants its fault.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from limbeck.distill.settings import DistillSettings
from limbeck.errors import PreflightError
from limbeck.models.controls import CONTROLS, control_token
from limbeck.types import Example, Task, Tree
from limbeck.verify.table import judge

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from limbeck.distill.rows import Row
    from limbeck.distill.tokens import EncodedTree


def check_sharded(settings: DistillSettings, *, scratch: bool, loops: bool) -> None:
    """What was asked for goes with weights that are cut over the processes (FSDP).

    `scratch` says that the student begins without weights, `loops` that the recipe does more than to
    train once.
    """

    def said(name: str, default: str) -> str:
        # `accelerate launch` hands its options on in the environment.
        return os.environ.get(f"FSDP_{name}", default).lower()

    refusals = [
        (
            said("VERSION", "1") != "2",
            "weights are sharded by the second version of FSDP; add --fsdp_version 2",
        ),
        (
            said("OFFLOAD_PARAMS", "false") == "true",
            "sharded weights stay on their devices; leave --fsdp_offload_params false",
        ),
        (
            said("ACTIVATION_CHECKPOINTING", "false") == "true",
            "instead of --fsdp_activation_checkpointing take --set checkpointing=true",
        ),
        (
            loops,
            "this recipe needs a whole student or teacher while it trains, and with --use_fsdp no "
            "process has one; take a recipe of a single training, or leave --use_fsdp",
        ),
        (
            settings.optimizer == "muon" or (settings.optimizer == "auto" and scratch),
            "Muon needs whole matrices, and with --use_fsdp they are sharded; set optimizer=adamw",
        ),
        (
            settings.tune == "qlora",
            "weights of 4 bits cannot be sharded; set tune=lora, or leave --use_fsdp",
        ),
        (
            settings.compile,
            "sharded layers cannot be compiled; set compile=false, or leave --use_fsdp",
        ),
        (
            settings.evaluate_every > 0 or settings.patience > 0,
            "with --use_fsdp no process has a whole student to check while it trains; leave "
            "evaluate_every and patience at 0, and run limbeck evaluate afterwards",
        ),
    ]
    for found, sentence in refusals:
        if found:
            raise PreflightError(sentence)


def check_tokenizer(tokenizer: PreTrainedTokenizerBase) -> None:
    """Control tokens are single tokens of their own; padding is not the end token."""
    seen: dict[int, str] = {}
    for name in CONTROLS:
        ids = tokenizer(control_token(name), add_special_tokens=False)["input_ids"]
        if len(ids) != 1 or ids[0] in seen:
            raise PreflightError(
                f"the control token {control_token(name)!r} reads as {list(ids)!r}; wanted one token of "
                "its own: add it to the tokenizer as a special token"
            )
        seen[ids[0]] = name
    if tokenizer.pad_token_id == tokenizer.eos_token_id:
        raise PreflightError(
            f"padding and end of text are the same token ({tokenizer.eos_token!r}), so the student would "
            "never learn to stop; give the tokenizer a pad token of its own"
        )


def check_targets(trees: Sequence[EncodedTree], end: int, branches_wanted: Sequence[Tree]) -> None:
    """Something is supervised in every branch, the end is among it, and no prompt is empty."""
    if not trees:
        raise PreflightError("there is nothing to train on: the training split is empty")
    for tree, source in zip(trees, branches_wanted, strict=True):
        if not tree.prompt:
            raise PreflightError(f"an input is empty after tokenization: {source.prompt!r}")
        for branch, text in zip(tree.branches, source.branches, strict=True):
            shown = [part.text for part in text.parts][:2]
            if not any(branch.weights):
                raise PreflightError(
                    f"a target has no supervised token: {shown!r}; give a part a weight"
                )
            if branch.ids[-1] != end or not branch.weights[-1]:
                raise PreflightError(
                    f"the end of a target is not supervised: {shown!r}; the student would never stop"
                )


def check_rows(rows: Sequence[Row]) -> None:
    """Only tokens of branches are supervised, each from the token before it: never a prompt's."""
    for row in rows:
        for target, source in zip(row.targets, row.sources, strict=True):
            if row.segments[target] == 0:
                raise PreflightError(
                    f"token {target} of a row belongs to the prompt and is supervised; the student would "
                    "learn to write inputs, so the recipe or the engine is wrong"
                )
            if row.segments[source] not in (0, row.segments[target]) or source >= target:
                raise PreflightError(
                    f"token {target} of a row is predicted from token {source}, which is none before it "
                    "in its own branch; the engine is wrong"
                )


def check_same_examples(examples: Sequence[Example], trees: Sequence[Tree]) -> None:
    """A recipe trains on every input that its control trains on, so that the two can be compared."""
    there = {tree.prompt for tree in trees}
    absent = [one.input for one in examples if one.input not in there]
    if absent:
        # A recipe may add to an input; each then begins with it.
        begun = tuple(there)
        absent = [text for text in absent if not any(one.startswith(text) for one in begun)]
    if absent:
        raise PreflightError(
            f"the recipe leaves out {len(absent):,} of {len(examples):,} inputs, such as "
            f"{absent[0][:60]!r}, which its control would learn from; give each at least its answer"
        )


def too_long(
    examples: Sequence[Example], tokenizer: PreTrainedTokenizerBase, limit: int
) -> set[str]:
    """Inputs that, with their rationale and answer, are longer than `limit` tokens.

    They are left out whatever the recipe, so that a control, which writes less, sees no more of them.
    """
    texts = [f"{e.input}\n{e.rationale or ''}\n{e.answer}" for e in examples]
    read = tokenizer(texts, add_special_tokens=False, split_special_tokens=True)["input_ids"]
    return {e.input for e, ids in zip(examples, read, strict=True) if len(ids) > limit}


def fit_length(
    trees: Sequence[EncodedTree], settings: DistillSettings, left: Collection[int] = ()
) -> tuple[list[int], float]:
    """Indices of the trees that fit `max_length` and are not in `left`, and the share of the others.

    A target is never cut: a tree that does not fit is left out whole. Raises above `max_cut_share`.
    """
    fits = [
        index
        for index, tree in enumerate(trees)
        if len(tree.prompt) + max(len(branch.ids) for branch in tree.branches)
        <= settings.max_length
        and index not in left
    ]
    share = 1 - len(fits) / len(trees)
    if share > settings.max_cut_share:
        longest = max(len(t.prompt) + max(len(b.ids) for b in t.branches) for t in trees)
        raise PreflightError(
            f"{share:.1%} of the examples are longer than max_length = {settings.max_length} tokens (the "
            f"longest has {longest}); raise it, or allow more with max_cut_share = {share:.2f}"
        )
    return fits, share


def check_answers(
    task: Task, examples: Sequence[Example], tokenizer: PreTrainedTokenizerBase
) -> None:
    """What is taught is the verified answer, and the student can write every answer it is taught."""
    offers = dict.fromkeys((task.answer.choices, *(example.choices for example in examples)))
    pairs = [(choice, offer) for offer in offers for choice in offer]
    for choice, offer in pairs:
        back = _back(choice, tokenizer)
        if judge(task, back, choice, offer).score < 1:
            raise PreflightError(
                f"the choice {choice!r} reads back as {back!r} through the tokenizer, so the student "
                "could never choose it; use another tokenizer or another name for the choice"
            )
    for example in examples:
        back = _back(example.answer, tokenizer)
        if judge(task, back, example.answer, example.choices).score < 1:
            raise PreflightError(
                f"the answer {example.answer!r} reads back as {back!r} through the tokenizer, so the "
                "student could never write it; use another tokenizer or another answer form"
            )


def _back(text: str, tokenizer: PreTrainedTokenizerBase) -> str:
    ids = tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]
    return str(tokenizer.decode(ids, skip_special_tokens=True)).strip()
