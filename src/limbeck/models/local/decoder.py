"""Asking a model in batches: greedy answers, samples, forced continuations, scores of choices."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Literal

from limbeck.errors import StudentError
from limbeck.models.controls import control_ids
from limbeck.models.local.rows import Prompt, Rows
from limbeck.models.local.said import Reader, Said
from limbeck.types import Ask

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from limbeck.models.local.fused import Folded
    from limbeck.models.local.loop import Line

Progress = Callable[[int], None]


class Decoder:
    """One model and its tokenizer, ready to write. What it says does not depend on the batch."""

    def __init__(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
        self.model = model
        self._tokenizer = tokenizer
        self._control = control_ids(tokenizer)
        eos, pad = tokenizer.eos_token_id, tokenizer.pad_token_id
        assert isinstance(eos, int)
        assert isinstance(pad, int)
        self.end, self._pad = eos, pad
        self.reader = Reader(tokenizer, self._control, eos)
        self._foldable: bool | None = None
        self._folded: Folded | None = None

    def rows(self) -> Rows:
        """An empty batch of this model, over the fastest way that gives the same answers."""
        from limbeck.models.local.cached import CachedRows
        from limbeck.models.local.fused import Folded, FusedRows, foldable, version

        if self.model.config.is_encoder_decoder:
            from limbeck.models.local.paired import PairedRows

            return PairedRows(self.model, self._pad)
        if self._foldable is None:
            self._foldable = foldable(self.model)
        if not self._foldable:
            return CachedRows(self.model, self._pad)
        # A model that was trained further since is folded again.
        if self._folded is None or self._folded.version != version(self.model):
            self._folded = Folded(self.model)
        return FusedRows(self._folded)

    # -- what is asked ----------------------------------------------------------------------------

    def ask(
        self,
        inputs: Sequence[str],
        ask: Ask,
        max_new_tokens: int,
        *,
        batch: int = 128,
        progress: Progress | None = None,
    ) -> list[Said]:
        """Greedy answers, in the order of the inputs."""
        lines = [self.line(prompt, ask, max_new_tokens) for prompt in self.prompts(inputs, ask)]
        self.write(lines, batch, progress)
        return [self.reader.read(line.written, ask) for line in lines]

    def sample(
        self,
        inputs: Sequence[str],
        ask: Ask,
        max_new_tokens: int,
        *,
        k: int,
        temperature: float = 1.0,
        seed: int = 0,
        batch: int = 128,
        progress: Progress | None = None,
    ) -> list[tuple[Said, ...]]:
        """`k` independent replies an input. The same seed draws the same for the n-th input.

        Raises `StudentError` where `k` is below 1 or the temperature is not above 0.
        """
        import numpy as np

        if k < 1 or not temperature > 0:
            raise StudentError(
                f"got k={k!r} and temperature={temperature!r}; wanted k of 1 or more and a "
                "temperature above 0; for the likeliest answer use ask"
            )
        lines = []
        for at, prompt in enumerate(self.prompts(inputs, ask)):
            # A stream of its own for each reply: who else is in the batch plays no part.
            for one in range(k):
                draws = np.random.Generator(np.random.Philox(key=[seed, at * 65_536 + one]))
                line = self.line(prompt, ask, max_new_tokens)
                line.temperature = temperature
                line.draws = draws.random(max_new_tokens).tolist()
                lines.append(line)
        told = (lambda count: progress(count // k)) if progress is not None else None
        self.write(lines, max(1, batch // k) * k, told)
        said = [self.reader.read(line.written, ask) for line in lines]
        return [tuple(said[at : at + k]) for at in range(0, len(said), k)]

    def continue_from(
        self,
        inputs: Sequence[str],
        rationales: Sequence[str],
        ask: Ask,
        max_new_tokens: int,
        *,
        then: Literal["answer", "rationale"] = "answer",
        batch: int = 128,
        progress: Progress | None = None,
    ) -> list[Said]:
        """Greedy answers after a rationale that was put in place of the student's own.

        With `then="answer"` the student answers at once; with `then="rationale"` what was given is only
        the beginning, and the student goes on with it first. `Said.rationale` is the whole. Raises
        `StudentError` for a student that answers before it explains.
        """
        self._needs_a_rationale(ask)
        given = self.encode(rationales)
        closing = self.closing(ask) if then == "answer" else ()
        lines = []
        for prompt, more in zip(self.prompts(inputs, ask), given, strict=True):
            begin = (*prompt.begin, *more, *closing)
            lines.append(self.line(prompt._replace(begin=begin), ask, max_new_tokens))
        self.write(lines, batch, progress)
        return [
            self.reader.read(line.written, ask, given=more, answering=bool(closing))
            for line, more in zip(lines, given, strict=True)
        ]

    def score_choices(
        self,
        inputs: Sequence[str],
        choices: Sequence[Sequence[str]],
        ask: Ask,
        max_new_tokens: int,
        *,
        rationales: Sequence[str] | None = None,
        batch: int = 64,
        progress: Progress | None = None,
    ) -> list[tuple[float, ...]]:
        """The log-probability, in nats, of each choice as the whole answer, its stop included.

        `choices` are those of each input. The prompt is read once for all of them. A student that
        thinks first scores them after `rationales`, or after its own where none are given.
        """
        import torch

        from limbeck.models.local.scoring import score

        prompts = self.prompts(inputs, ask)
        if ask.order == "rationale_answer":
            if rationales is None:
                said = self.ask(inputs, ask, max_new_tokens, batch=batch)
                rationales = [one.rationale or "" for one in said]
            mark = self.closing(ask)
            prompts = [
                prompt._replace(begin=(*prompt.begin, *more, *mark))
                for prompt, more in zip(prompts, self.encode(rationales), strict=True)
            ]
        elif rationales is not None:
            self._needs_a_rationale(ask)
        flat = iter(self.encode([choice for some in choices for choice in some]))
        encoded = [[next(flat) for _ in some] for some in choices]
        if len(encoded) != len(prompts):
            raise StudentError(
                f"got choices for {len(encoded)} inputs; wanted one list of choices for each of the "
                f"{len(prompts)} inputs"
            )
        stops = sorted(self.reader.stops(ask))
        scores: list[tuple[float, ...]] = [()] * len(prompts)
        with torch.inference_mode():
            for chosen in by_length([prompt.ids for prompt in prompts], batch):
                found = score(
                    self.rows(),
                    [prompts[at] for at in chosen],
                    [encoded[at] for at in chosen],
                    stops,
                )
                for at, one in zip(chosen, found, strict=True):
                    scores[at] = one
                if progress is not None:
                    progress(len(chosen))
        return scores

    # -- how --------------------------------------------------------------------------------------

    def encode(self, texts: Sequence[str]) -> list[tuple[int, ...]]:
        """The ids of texts, in which a control token is text like any other."""
        if not texts:
            return []
        found = self._tokenizer(list(texts), add_special_tokens=False, split_special_tokens=True)
        return [tuple(ids) for ids in found["input_ids"]]

    def prompts(self, inputs: Sequence[str], ask: Ask) -> list[Prompt]:
        begin: tuple[int, ...] = (self._control[ask.control],)
        if ask.frame is None:
            return [Prompt(ids, begin) for ids in self.encode(inputs)]
        before, after = self._marks(ask.frame.before), self._marks(ask.frame.after)
        if ask.order == "rationale_answer":
            begin = (*begin, *self._marks(ask.frame.open))
        return [Prompt((*before, *ids, *after), begin) for ids in self.encode(inputs)]

    def _marks(self, text: str) -> tuple[int, ...]:
        """The ids of what a frame puts around texts; special tokens in it are read as such."""
        if not text:
            return ()
        return tuple(self._tokenizer(text, add_special_tokens=False)["input_ids"])

    def closing(self, ask: Ask) -> tuple[int, ...]:
        """What stands between a rationale and its answer."""
        close = self._marks(ask.frame.close) if ask.frame is not None else ()
        return (*close, self._control["answer"])

    def raw(self, given: str | Sequence[int]) -> Prompt:
        """A prompt as it stands, in which control tokens are read as such; what follows the first of
        them is the student's own. Raises `StudentError` for an empty one and for unknown ids."""
        ids = given
        if isinstance(given, str):
            ids = self._tokenizer(given, add_special_tokens=False)["input_ids"]
        found = tuple(int(token) for token in ids)
        size = self.model.config.get_text_config().vocab_size
        if not found or not all(0 <= token < size for token in found):
            raise StudentError(
                f"got {len(found)} tokens, of which the smallest is {min(found, default=None)!r} and the "
                f"largest {max(found, default=None)!r}; wanted one or more ids from 0 to {size - 1}"
            )
        marks = set(self._control.values())
        at = next((at for at, token in enumerate(found) if token in marks), len(found) - 1)
        return Prompt(found[:at], found[at:])

    @property
    def most_tokens(self) -> int:
        """The longest row that the model can read and write, in tokens."""
        return int(getattr(self.model.config, "max_position_embeddings", None) or 2**20)

    def check_room(self, tokens: int) -> None:
        """Raises `StudentError` where prompt and reply are longer than the student can take."""
        if tokens > self.most_tokens:
            raise StudentError(
                f"got a prompt and room for a reply of {tokens:,} tokens in all; this student takes at "
                f"most {self.most_tokens:,}"
            )

    def name(self, token: int) -> str:
        """The text of one token; a control token's is its name."""
        return str(self._tokenizer.decode([token], skip_special_tokens=False))

    def line(self, prompt: Prompt, ask: Ask, room: int) -> Line:
        from limbeck.models.local.loop import Line

        return Line(prompt, self.reader.stops(ask), room)

    def write(
        self, lines: Sequence[Line], batch: int = 128, progress: Progress | None = None
    ) -> None:
        """Writes all lines to their ends, `batch` at a time."""
        import torch

        from limbeck.models.local.loop import Loop

        with torch.inference_mode():
            for chosen in by_length([line.prompt.ids for line in lines], batch):
                loop = Loop(self.rows())
                loop.join([lines[at] for at in chosen])
                while loop.live:
                    loop.step()
                if progress is not None:
                    progress(len(chosen))

    def _needs_a_rationale(self, ask: Ask) -> None:
        if ask.order != "rationale_answer":
            raise StudentError(
                f"this student is asked for its {ask.order.replace('_', ', then its ')}: what it might "
                "think comes after the answer and cannot change it; ask a student of think-first"
            )


def by_length(rows: Sequence[Sequence[int]], batch: int) -> Iterator[list[int]]:
    """Indices of the rows, `batch` at a time, those of like length together."""
    order = sorted(range(len(rows)), key=lambda index: len(rows[index]))
    for at in range(0, len(order), batch):
        yield order[at : at + batch]
