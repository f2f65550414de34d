"""The rounds of `bootstrap`: train, let the student write chains, keep those that verify, train anew.

Each round is a folder of its own while the run is under way, with the student of the round and then the
chains that it wrote. Both are written whole, so that a run that was stopped or killed goes on with the
round in which it was.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from limbeck.distill.distill import Run, adopt, learn, summed
from limbeck.distill.recipes.bootstrap import Settings
from limbeck.distill.recipes.outline import commonness, outline
from limbeck.distill.recipes.table import Recipe
from limbeck.errors import DatasetError, Interrupted
from limbeck.models.local import Said, Student, read_card
from limbeck.types import Example, Noun, Origin, Task, text_hash
from limbeck.verify.table import judge

ROUNDS = "rounds.json"
CHAINS = "chains.jsonl"
PIECE = 256
"""Inputs that are asked between two looks at whether the run is to stop."""


class BankedChain(Noun):
    """A chain that a round trains on. `origin` is `native` for a teacher's, else `self` or
    `rationalized`."""

    trace_id: str
    rationale: str
    origin: Origin


class Round(Noun):
    """What one round trained on, by source, and how good its student was on validation."""

    number: int
    teacher: int
    self: int
    rationalized: int
    without: int
    """Inputs that had no chain in this round and were left out."""
    validation_accuracy: float | None


def train(run: Run, recipe: Recipe, chosen: Settings) -> Path:
    """Trains the student of `run` in `chosen.rounds` rounds after the first; returns its folder.

    Raises `DatasetError` where no example has a chain to begin with.
    """
    examples = run.examples()
    bank = seeds(examples, chosen)
    if not bank:
        raise DatasetError(
            f"no example of {run.dataset.path.name!r} has a rationale, so there is no seed to begin "
            "with; elicit some rationales first"
        )
    rounds: list[Round] = []
    for number in range(chosen.rounds + 1):
        folder = run.work / f"round-{number}"
        if number:
            bank = _written(run, chosen, examples, run.work / f"round-{number - 1}", number)
        trees = recipe.trees(banked(examples, bank), chosen)
        learn(run, chosen, trees, recipe.ask(chosen), folder)
        rounds.append(_round(number, bank, examples, read_card(folder).validation_accuracy))
        _write(run.work / ROUNDS, json.dumps([r.model_dump() for r in rounds], indent=1) + "\n")
    last = run.work / f"round-{chosen.rounds}"
    _write(last / CHAINS, _lines(bank))
    _write(last / ROUNDS, (run.work / ROUNDS).read_text(encoding="utf-8"))
    earlier = [read_card(run.work / f"round-{number}") for number in range(chosen.rounds)]
    return adopt(last, run.folder, summed(read_card(last), earlier))


def seeds(examples: Sequence[Example], chosen: Settings) -> list[BankedChain]:
    """The chains that the first round has: a share of those in the data, chosen by a hash, at least
    one; outlines of them where `rate` is below 1."""
    having = [example for example in examples if example.rationale]
    wanted = max(1, round(chosen.seeds * len(examples))) if having else 0
    ordered = sorted(having, key=lambda example: text_hash(f"seed\n{example.trace_id}"))
    common = commonness(examples)
    return [
        BankedChain(
            trace_id=example.trace_id,
            rationale=outline(example.rationale or "", chosen.rate, common),
            origin="native",
        )
        for example in ordered[:wanted]
    ]


def banked(examples: Sequence[Example], bank: Sequence[BankedChain]) -> list[Example]:
    """The examples that have a chain in `bank`, with that chain. An own chain leads to the truth, since
    that is how it was checked."""
    chains = {one.trace_id: one for one in bank}
    found = []
    for example in examples:
        one = chains.get(example.trace_id)
        if one is not None:
            answer = example.answer if one.origin == "native" else example.truth
            update = {"rationale": one.rationale, "answer": answer, "others": ()}
            found.append(example.model_copy(update=update))
    return found


def _written(
    run: Run, chosen: Settings, examples: Sequence[Example], before: Path, number: int
) -> list[BankedChain]:
    """The chains of a round: the seeds, and what the student of the round before wrote."""
    kept = before / CHAINS
    if kept.exists():
        lines = kept.read_text(encoding="utf-8").splitlines()
        return [BankedChain.model_validate_json(line) for line in lines]
    bank = seeds(examples, chosen)
    seeded = {one.trace_id for one in bank}
    student = Student.load(before, threads=run.settings.threads)
    for piece in _pieces([one for one in examples if one.trace_id not in seeded], run.should_stop):
        own = sampled(student, piece, chosen, seed=run.settings.seed * 1009 + number)
        bank += own
        if chosen.rationalize:
            solved = {one.trace_id for one in own}
            bank += rationalized(student, [one for one in piece if one.trace_id not in solved])
    _write(kept, _lines(bank))
    return bank


def sampled(
    student: Student, examples: Sequence[Example], chosen: Settings, seed: int
) -> list[BankedChain]:
    """For each input the first chain of the student whose answer verifies, if there is one."""
    inputs = [example.input for example in examples]
    if chosen.samples == 1:
        tried: list[tuple[Said, ...]] = [(said,) for said in student.ask(inputs)]
    else:
        # Drawn by their place in the piece: the texts before it choose the seed.
        place = int(text_hash("\n".join(inputs))[7:15], 16)
        tried = student.sample(
            inputs, k=chosen.samples, temperature=chosen.temperature, seed=seed ^ place
        )
    found = []
    for example, said in zip(examples, tried, strict=True):
        right = [one for one in said if _is_right(student.card.task, one, example)]
        if right:
            chain = str(right[0].rationale)
            found.append(BankedChain(trace_id=example.trace_id, rationale=chain, origin="self"))
    return found


def rationalized(student: Student, examples: Sequence[Example]) -> list[BankedChain]:
    """Chains that the student wrote with the answer as a hint, and that lead it there without."""
    if not examples:
        return []
    chains = hinted(student, examples)
    having = [(one, chain) for one, chain in zip(examples, chains, strict=True) if chain]
    again = student.continue_from([one.input for one, _ in having], [chain for _, chain in having])
    return [
        BankedChain(trace_id=example.trace_id, rationale=chain, origin="rationalized")
        for (example, chain), said in zip(having, again, strict=True)
        if _is_right(student.card.task, said, example)
    ]


def hinted(student: Student, examples: Sequence[Example]) -> list[str]:
    """What the student writes after `⟨answer⟩ truth ⟨think⟩`; empty where it found no end."""
    decoder, ask = student.decoder, student.card.ask
    direct = ask.model_copy(update={"control": "answer", "order": "answer"})
    inputs = [example.input for example in examples]
    truths = decoder.encode([example.truth for example in examples])
    lines = [
        decoder.line(
            prompt._replace(begin=(*prompt.begin, *truth, *think.begin)),
            direct,
            student.card.max_new_tokens,
        )
        for prompt, truth, think in zip(
            decoder.prompts(inputs, direct), truths, decoder.prompts(inputs, ask), strict=True
        )
    ]
    decoder.write(lines)
    return [decoder.reader.read(line.written, direct).answer or "" for line in lines]


def _is_right(task: Task, said: Said, example: Example) -> bool:
    if said.answer is None or not said.rationale:
        return False
    return judge(task, said.answer, example.truth, example.choices).score == 1.0


def _pieces(
    examples: Sequence[Example], should_stop: Callable[[], bool]
) -> Iterator[Sequence[Example]]:
    for at in range(0, len(examples), PIECE):
        if should_stop():
            raise Interrupted(
                "stopped while the student wrote chains; the same command begins them again, with "
                "the students of the earlier rounds"
            )
        yield examples[at : at + PIECE]


def _round(
    number: int, bank: Sequence[BankedChain], examples: Sequence[Example], accuracy: float | None
) -> Round:
    count = Counter(one.origin for one in bank)
    return Round(
        number=number,
        teacher=count["native"],
        self=count["self"],
        rationalized=count["rationalized"],
        without=len(examples) - len(bank),
        validation_accuracy=accuracy,
    )


def _lines(bank: Sequence[BankedChain]) -> str:
    return "".join(one.model_dump_json() + "\n" for one in bank)


def _write(path: Path, text: str) -> None:
    """Whole or not at all."""
    partial = path.with_name(f"{path.name}.partial")
    partial.write_text(text, encoding="utf-8")
    with partial.open("rb") as file:
        os.fsync(file.fileno())
    partial.replace(path)
