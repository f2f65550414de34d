"""What can be set for a training run: declared once, read from `--set`, `limbeck.toml` and code."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from limbeck.types import Noun


class DistillSettings(Noun):
    """Settings of one training run; they are saved beside the student."""

    steps: Annotated[int, Field(ge=1)] = 400
    """Optimizer steps."""
    batch: Annotated[int, Field(ge=1)] = 32
    """Inputs (trees) a step; the same for every recipe, so that the control sees the same data."""
    micro_tokens: Annotated[int, Field(ge=64)] = 8192
    """Tokens, padding included, that go through the model at once; larger steps accumulate."""
    optimizer: Literal["auto", "muon", "adamw"] = "auto"
    """`auto`: Muon for the matrices of a student from scratch, AdamW for a pretrained one."""
    learning_rate: Annotated[float, Field(gt=0)] | None = None
    """Peak learning rate of AdamW; None: 0.006 from scratch, 2e-5 for a pretrained student, and
    ten times that for its adapters."""
    muon_rate: Annotated[float, Field(gt=0)] = 0.012
    """Peak learning rate of Muon's orthogonalized updates."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    warmup: Annotated[float, Field(ge=0, lt=1)] = 0.03
    """Share of the steps over which the rates rise from zero."""
    cooldown: Annotated[float, Field(gt=0, le=1)] = 0.8
    """Share of the steps, at the end, over which the rates fall linearly to a twentieth."""
    clip: Annotated[float, Field(gt=0)] = 1.0
    """Largest norm of the gradient."""
    mean: Literal["token", "part"] = "token"
    """`token`: every supervised token counts its part's weight. `part`: every part counts as a
    whole, however long it is."""
    layout: Literal["auto", "tree", "plain"] = "auto"
    """`tree`: a prompt is computed once for all its branches. `plain`: once for each. `auto`: for each
    prompt whichever is estimated to cost less."""
    max_length: Annotated[int, Field(ge=16)] = 1024
    """Longest row of prompt and one branch, in tokens."""
    max_cut_share: Annotated[float, Field(ge=0, le=1)] = 0.02
    """Largest share of examples that may be left out for their length; above it the run is refused."""
    vocabulary: Annotated[int, Field(ge=320)] = 2048
    """Largest vocabulary of a student from scratch."""
    tune: Literal["full", "lora", "qlora"] = "full"
    """`lora`: low-rank adapters on all linear layers, merged into the student at the end. `qlora`: the
    same over weights held in 4 bits, where bitsandbytes is installed."""
    lora_rank: Annotated[int, Field(ge=0)] = 0
    """Rank of the adapters; 0: the smallest power of two, from 8 to 128, that gives them at least half
    as many parameters as the data has supervised tokens."""
    keep_adapter: bool = False
    """Keep the adapter beside the merged weights, in the folder `adapter`."""
    chat: Literal["auto", "off"] = "auto"
    """`auto`: a model that has a chat template is trained and asked through it."""
    with_instructions: bool = False
    """Put the task's instruction before each input instead of letting the student learn it."""
    attention: Literal["auto", "sdpa", "flex"] = "auto"
    """`auto`: products in blocks on a processor, `sdpa` on a GPU. `flex`: FlexAttention, on a GPU."""
    checkpointing: bool = False
    """Recompute activations in the backward pass: a third slower, much less memory."""
    compile: bool = False
    """`torch.compile` of the layers; it pays on a GPU in long runs."""
    memory_share: Annotated[float, Field(gt=0, le=1)] = 0.8
    """Share of the free memory that a run may be estimated to need; `micro_tokens` is lowered to it."""
    deterministic: bool = False
    """Only operations that give the same bits each time; needed on a GPU alone, and slower there."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """`auto`: bfloat16 compute over float32 weights where the processor has it."""
    threads: Annotated[int, Field(ge=0)] = 0
    """Threads of the tensor library; 0 leaves its own choice."""
    seed: int = 0
    evaluate_every: Annotated[int, Field(ge=0)] = 0
    """Steps between checks of verified accuracy on validation; 0: at the end only. With checks the
    best checkpoint is kept, chosen by validation, never by test."""
    patience: Annotated[int, Field(ge=0)] = 0
    """Checks in a row without a better accuracy after which a run ends early; 0: never."""
    evaluate_items: Annotated[int, Field(ge=1)] = 512
    checkpoint_every_s: Annotated[float, Field(gt=0)] = 60.0
    """Seconds between checkpoints from which an interrupted run continues."""
