"""A student from its folder, ready to answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from limbeck.errors import MissingExtraError, StudentError
from limbeck.models.local.card import read_card
from limbeck.models.local.decoder import Decoder
from limbeck.models.local.said import Said
from limbeck.models.local.solver import Solver
from limbeck.models.turns import answers
from limbeck.types import StudentCard

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


class Student:
    """A student ready to answer. Not safe for calls from several threads at once."""

    def __init__(
        self,
        card: StudentCard,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        asker: Student | None = None,
    ) -> None:
        self.card = card
        self.decoder = Decoder(model, tokenizer)
        if asker is not None:
            how, room = asker.card.ask, asker.card.max_new_tokens
            self.decoder = Solver.of(self.decoder, asker.decoder, how, room)

    @classmethod
    def load(
        cls,
        folder: Path,
        *,
        threads: int = 0,
        precision: Literal["float32", "bfloat16"] = "float32",
    ) -> Student:
        """Loads card, tokenizer and weights (safetensors only, no remote code).

        `bfloat16` halves the memory that a large student is read from at every step; its answers
        differ from those in float32 where two tokens are nearly level.
        """
        card = read_card(folder)
        try:
            import torch
            from safetensors import SafetensorError
            from transformers import (
                AutoConfig,
                AutoModelForCausalLM,
                AutoModelForSeq2SeqLM,
                AutoTokenizer,
            )
            from transformers.utils import logging
        except ImportError as error:
            raise MissingExtraError(error.name or "torch", "train") from None
        if threads:
            torch.set_num_threads(threads)
        # Its bar for a load of milliseconds would stand between our own lines.
        logging.disable_progress_bar()
        try:
            tokenizer = AutoTokenizer.from_pretrained(folder)
            paired = AutoConfig.from_pretrained(folder).is_encoder_decoder
            kind = AutoModelForSeq2SeqLM if paired else AutoModelForCausalLM
            # T5 adds a bias by position to its scores, for which its own way is the known one.
            attention = {} if paired else {"attn_implementation": "sdpa"}
            model = kind.from_pretrained(
                folder, dtype=getattr(torch, precision), use_safetensors=True, **attention
            )
        except (OSError, ValueError, SafetensorError) as error:
            reason = str(error).strip().splitlines()[0]
            raise StudentError(
                f"the student in {str(folder)!r} cannot be loaded: {reason}"
            ) from None
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        asker = None
        if card.ask.asker is not None:
            asker = cls.load(folder / card.ask.asker, threads=threads, precision=precision)
        return cls(card, model.eval().to(device), tokenizer, asker)

    def ask(
        self,
        inputs: Sequence[str],
        *,
        batch: int = 128,
        progress: Callable[[int], None] | None = None,
    ) -> list[Said]:
        """Greedy answers to `inputs`, in their order."""
        return answers(
            self.decoder,
            inputs,
            self.card.ask,
            self.card.max_new_tokens,
            batch=batch,
            progress=progress,
        )

    def sample(
        self,
        inputs: Sequence[str],
        *,
        k: int = 1,
        temperature: float = 1.0,
        seed: int = 0,
        batch: int = 128,
        progress: Callable[[int], None] | None = None,
    ) -> list[tuple[Said, ...]]:
        """`k` independent replies to each input; the same seed draws the same."""
        return self.decoder.sample(
            inputs,
            self.card.ask,
            self.card.max_new_tokens,
            k=k,
            temperature=temperature,
            seed=seed,
            batch=batch,
            progress=progress,
        )

    def continue_from(
        self,
        inputs: Sequence[str],
        rationales: Sequence[str],
        *,
        then: Literal["answer", "rationale"] = "answer",
        batch: int = 128,
        progress: Callable[[int], None] | None = None,
    ) -> list[Said]:
        """Greedy answers after a given rationale, or after a given beginning of one.

        Raises `StudentError` for a student that answers before it explains.
        """
        return self.decoder.continue_from(
            inputs,
            rationales,
            self.card.ask,
            self.card.max_new_tokens,
            then=then,
            batch=batch,
            progress=progress,
        )

    def score_choices(
        self,
        inputs: Sequence[str],
        choices: Sequence[Sequence[str]],
        *,
        rationales: Sequence[str] | None = None,
        batch: int = 64,
        progress: Callable[[int], None] | None = None,
    ) -> list[tuple[float, ...]]:
        """The exact log-probability of every choice of every input as the whole answer, in nats."""
        return self.decoder.score_choices(
            inputs,
            choices,
            self.card.ask,
            self.card.max_new_tokens,
            rationales=rationales,
            batch=batch,
            progress=progress,
        )
