"""Students on this machine: load one, ask it in batches, with the log-probability of every token."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from limbeck.errors import MissingExtraError, StudentError
from limbeck.models.controls import control_ids
from limbeck.types import Ask, StudentCard

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

CARD = "limbeck.json"


@dataclass(frozen=True)
class Said:
    """What a student wrote to one input.

    `answer` and `rationale` are None where it never got to them. `logprobs` are those of the answer's
    tokens and the stop after them, in nats; `margin` is the smallest gap, in nats, between the chosen
    and the second token inside the answer; `new_tokens` counts everything that it wrote.
    """

    answer: str | None
    rationale: str | None
    logprobs: tuple[float, ...]
    margin: float
    rationale_logprob: float
    new_tokens: int
    stopped: bool


def read_card(folder: Path) -> StudentCard:
    """`limbeck.json` of a student folder; raises `StudentError` in one sentence."""
    path = folder / CARD
    if not folder.is_dir():
        raise StudentError(
            f"there is no student folder {str(folder)!r}; make one with: limbeck distill DATASET"
        )
    try:
        return StudentCard.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise StudentError(
            f"{str(folder)!r} has no {CARD}, so it is not a student that limbeck made; "
            "to start from a plain model use: limbeck distill DATASET --student FOLDER"
        ) from None
    except (ValidationError, ValueError) as error:
        first = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
        raise StudentError(
            f"{path} cannot be read ({first}); the folder is damaged or from another version: distill again"
        ) from None


class Student:
    """A student ready to answer. Not safe for calls from several threads at once."""

    def __init__(
        self, card: StudentCard, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase
    ) -> None:
        self.card = card
        self._decoder = Decoder(model, tokenizer)

    @classmethod
    def load(cls, folder: Path, *, threads: int = 0) -> Student:
        """Loads card, tokenizer and weights (safetensors only, no remote code)."""
        card = read_card(folder)
        try:
            import torch
            from safetensors import SafetensorError
            from transformers import AutoModelForCausalLM, AutoTokenizer
            from transformers.utils import logging
        except ImportError as error:
            raise MissingExtraError(error.name or "torch", "train") from None
        if threads:
            torch.set_num_threads(threads)
        # Its bar for a load of milliseconds would stand between our own lines.
        logging.disable_progress_bar()
        try:
            tokenizer = AutoTokenizer.from_pretrained(folder)
            model = AutoModelForCausalLM.from_pretrained(
                folder, dtype=torch.float32, use_safetensors=True, attn_implementation="sdpa"
            )
        except (OSError, ValueError, SafetensorError) as error:
            reason = str(error).strip().splitlines()[0]
            raise StudentError(
                f"the student in {str(folder)!r} cannot be loaded: {reason}"
            ) from None
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        return cls(card, model.eval().to(device), tokenizer)

    def ask(
        self,
        inputs: Sequence[str],
        *,
        batch: int = 128,
        progress: Callable[[int], None] | None = None,
    ) -> list[Said]:
        """Greedy answers to `inputs`, in their order."""
        return self._decoder.ask(
            inputs,
            self.card.ask,
            self.card.max_new_tokens,
            batch=batch,
            progress=progress,
        )


class Decoder:
    """Greedy batched decoding with a key-value cache; rows that have stopped leave the batch."""

    def __init__(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
        self._model = model
        self._tokenizer = tokenizer
        self._control = control_ids(tokenizer)
        eos, pad = tokenizer.eos_token_id, tokenizer.pad_token_id
        assert isinstance(eos, int)
        assert isinstance(pad, int)
        self._end, self._pad = eos, pad

    def ask(
        self,
        inputs: Sequence[str],
        ask: Ask,
        max_new_tokens: int,
        *,
        batch: int = 128,
        progress: Callable[[int], None] | None = None,
    ) -> list[Said]:
        if not inputs:
            return []
        encoded = self._tokenizer(list(inputs), add_special_tokens=False, split_special_tokens=True)
        prompts = [[*ids, self._control[ask.control]] for ids in encoded["input_ids"]]
        said: list[Said | None] = [None] * len(prompts)
        for chosen in _by_length(prompts, batch):
            for index, written in zip(
                chosen, self._write([prompts[i] for i in chosen], ask, max_new_tokens), strict=True
            ):
                said[index] = self._read(written, ask)
            if progress is not None:
                progress(len(chosen))
        return [one for one in said if one is not None]

    def _write(
        self, prompts: list[list[int]], ask: Ask, max_new_tokens: int
    ) -> list[list[tuple[int, float, float]]]:
        """For each prompt the tokens written: (id, log-probability, gap to the second), in nats."""
        import torch
        from transformers import DynamicCache

        device = self._model.device
        width = max(map(len, prompts))
        ids = torch.full((len(prompts), width), self._pad, dtype=torch.long)
        for row, prompt in enumerate(prompts):
            ids[row, width - len(prompt) :] = torch.tensor(prompt)
        lengths = torch.tensor([len(prompt) for prompt in prompts])
        seen = (torch.arange(width)[None] >= (width - lengths)[:, None]).long().to(device)
        positions = (seen.cumsum(-1) - 1).clamp(min=0)
        ids = ids.to(device)
        stops = self._stops(ask)
        written: list[list[tuple[int, float, float]]] = [[] for _ in prompts]
        live = list(range(len(prompts)))
        done = [False] * len(prompts)
        cache = DynamicCache(config=self._model.config)
        with torch.inference_mode():
            for _ in range(max_new_tokens):
                logits = self._model(
                    input_ids=ids,
                    attention_mask=seen,
                    position_ids=positions,
                    past_key_values=cache,
                    use_cache=True,
                    logits_to_keep=1,
                ).logits[:, -1]
                logprobs, tokens = torch.log_softmax(logits.float(), dim=-1).topk(2, dim=-1)
                best = tokens[:, 0].tolist()
                pairs = logprobs.tolist()
                for slot, row in enumerate(live):
                    if not done[row]:
                        first, second = pairs[slot]
                        written[row].append((best[slot], first, first - second))
                        done[row] = best[slot] in stops
                keep = [slot for slot, row in enumerate(live) if not done[row]]
                if not keep:
                    break
                ids = tokens[:, :1]
                positions = positions[:, -1:] + 1
                seen = torch.cat([seen, seen.new_ones(len(seen), 1)], dim=-1)
                if len(keep) <= 0.75 * len(live):
                    # Leaving only on a quarter keeps the copying of the cache rare.
                    index = torch.tensor(keep, device=device)
                    cache.batch_select_indices(index)
                    ids, positions, seen = ids[index], positions[index], seen[index]
                    live = [live[slot] for slot in keep]
        return written

    def _stops(self, ask: Ask) -> frozenset[int]:
        if ask.order == "answer_rationale":
            return frozenset({self._end, self._control["think"]})
        return frozenset({self._end})

    def _read(self, written: list[tuple[int, float, float]], ask: Ask) -> Said:
        stopped = bool(written) and written[-1][0] in self._stops(ask)
        rationale: list[tuple[int, float, float]] = []
        answer: list[tuple[int, float, float]] | None = written
        if ask.order == "rationale_answer":
            marks = [
                at for at, (token, _, _) in enumerate(written) if token == self._control["answer"]
            ]
            rationale = written[: marks[0]] if marks else written
            answer = written[marks[0] + 1 :] if marks else None
        text = self._text(answer[:-1] if stopped else answer) if answer is not None else None
        return Said(
            answer=text or None if stopped else None,
            rationale=self._text(rationale) or None,
            logprobs=tuple(logprob for _, logprob, _ in answer or ()),
            margin=min((gap for _, _, gap in answer or ()), default=0.0),
            rationale_logprob=(
                math.fsum(logprob for _, logprob, _ in rationale) / len(rationale)
                if rationale
                else 0.0
            ),
            new_tokens=len(written),
            stopped=stopped,
        )

    def _text(self, tokens: Sequence[tuple[int, float, float]]) -> str:
        decoded: Any = self._tokenizer.decode(
            [token for token, _, _ in tokens], skip_special_tokens=True
        )
        return str(decoded).strip()


def _by_length(prompts: Sequence[Sequence[int]], batch: int) -> Iterator[list[int]]:
    order = sorted(range(len(prompts)), key=lambda index: len(prompts[index]))
    for at in range(0, len(order), batch):
        yield order[at : at + batch]


def weights_hash(state: dict[str, torch.Tensor]) -> str:
    """The content hash of named weights: names, shapes and float32 bytes."""
    import hashlib

    digest = hashlib.sha256()
    for name in sorted(state):
        tensor = state[name].detach().float().contiguous().cpu()
        digest.update(f"{name}{tuple(tensor.shape)}".encode())
        digest.update(tensor.numpy().tobytes())
    return f"sha256:{digest.hexdigest()}"
