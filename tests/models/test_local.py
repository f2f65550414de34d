from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import torch
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from limbeck.distill.settings import DistillSettings
from limbeck.distill.students import save_model
from limbeck.distill.tokens import Encoder, train_tokenizer
from limbeck.distill.train import train
from limbeck.errors import StudentError
from limbeck.models.controls import control_token
from limbeck.models.local import Decoder, Student, read_card, weights_hash
from limbeck.models.local.rows import Prompt
from limbeck.models.local.said import Said, Token
from limbeck.types import AnswerForm, Ask, Branch, Part, StudentCard, Task, Tree

ROOM = 24
ANSWER = Ask(control="answer", order="answer", causal=False)
THINK = Ask(control="think", order="rationale_answer", causal=True)
AFTER = Ask(control="answer", order="answer_rationale", causal=False)
WORDS = ("red", "green", "blue", "black", "white", "grey", "brown", "pink")


def counted(number: int) -> tuple[str, str]:
    """A question of its own length, and an answer of another."""
    colour = WORDS[number % 8]
    return f"{'please ' * (number % 5)}say {colour} {number % 4} times", " ".join(
        [colour] * (1 + 3 * (number % 4))
    )


INPUTS = [counted(number)[0] for number in range(32)]


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Models this small are slower on several threads than on one."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerBase:
    return train_tokenizer([text for n in range(32) for text in counted(n)], 400)


@pytest.fixture(scope="module", params=["llama", "qwen2"])
def model(
    request: pytest.FixtureRequest,
    tokenizer: PreTrainedTokenizerBase,
    tmp_path_factory: pytest.TempPathFactory,
) -> PreTrainedModel:
    """A student that learned a little: it stops, early and late, and is wrong at times."""
    torch.manual_seed(0)
    shape = {
        "vocab_size": len(tokenizer),
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "pad_token_id": tokenizer.pad_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "bos_token_id": None,
    }
    made: PreTrainedModel = (
        LlamaForCausalLM(LlamaConfig(**shape))
        if request.param == "llama"
        else Qwen2ForCausalLM(Qwen2Config(**shape))
    )
    trees = [
        Tree(
            prompt=question,
            branches=(
                Branch(
                    parts=(
                        Part(text="answer", role="control", weight=0.0),
                        Part(text=answer, role="answer"),
                    )
                ),
            ),
        )
        for question, answer in map(counted, range(32))
    ]
    trained = train(
        made,
        Encoder(tokenizer, part_mean=False).trees(trees),
        DistillSettings(steps=60, batch=16, precision="float32"),
        tmp_path_factory.mktemp("run"),
        pad=0,
        scratch=True,
        identity="",
    )
    assert trained.loss["answer"] < 3
    made.eval()
    return made


def token_id(tokenizer: PreTrainedTokenizerBase, token: str) -> int:
    found = tokenizer.convert_tokens_to_ids(token)
    assert isinstance(found, int)
    return found


def prompts_of(tokenizer: PreTrainedTokenizerBase) -> list[list[int]]:
    found = tokenizer(INPUTS, add_special_tokens=False)["input_ids"]
    return [[*ids, token_id(tokenizer, control_token("answer"))] for ids in found]


def write(decoder: Decoder, prompts: list[list[int]], room: int) -> list[list[Token]]:
    """What a decoder writes after prompts that end with their control token."""
    lines = [
        decoder.line(Prompt(tuple(prompt[:-1]), (prompt[-1],)), ANSWER, room) for prompt in prompts
    ]
    decoder.write(lines, batch=len(lines))
    return [line.written for line in lines]


@pytest.mark.parametrize("room", [ROOM, 5, 1])
def test_a_batch_is_decoded_token_for_token_like_generate(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, room: int
) -> None:
    prompts = prompts_of(tokenizer)
    assert len({len(prompt) for prompt in prompts}) > 3
    written = write(Decoder(model, tokenizer), prompts, room)
    for prompt, ours in zip(prompts, written, strict=True):
        alone = torch.tensor([prompt])
        theirs = model.generate(  # type: ignore[operator]  # a mixin that mypy cannot see
            alone,
            attention_mask=torch.ones_like(alone),
            do_sample=False,
            max_new_tokens=room,
            pad_token_id=tokenizer.pad_token_id,
            eos_token_id=tokenizer.eos_token_id,
        )
        assert [token.id for token in ours] == theirs[0, len(prompt) :].tolist()
    if room == ROOM:
        # Rows that stop at different times are what leaves the batch.
        lengths = sorted(len(row) for row in written)
        assert len(set(lengths)) >= 3
        assert lengths[len(lengths) // 4] < lengths[-1]


def test_log_probabilities_and_margins_are_those_of_a_full_forward_pass(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase
) -> None:
    prompts = prompts_of(tokenizer)
    written = write(Decoder(model, tokenizer), prompts, ROOM)
    for prompt, ours in zip(prompts, written, strict=True):
        tokens = [token.id for token in ours]
        with torch.no_grad():
            logits = model(torch.tensor([prompt + tokens])).logits[0, len(prompt) - 1 : -1]
        logprobs = torch.log_softmax(logits, dim=-1)
        best = logprobs.topk(2).values
        assert [token.logprob for token in ours] == pytest.approx(best[:, 0].tolist(), abs=2e-5)
        assert [token.gap for token in ours] == pytest.approx(
            (best[:, 0] - best[:, 1]).tolist(), abs=4e-5
        )


@pytest.mark.parametrize("batch", [4, 128])
def test_answers_come_in_the_order_of_the_inputs_whatever_the_batch(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, batch: int
) -> None:
    decoder = Decoder(model, tokenizer)
    told: list[int] = []
    inputs = INPUTS[:9]
    said = decoder.ask(inputs, ANSWER, ROOM, batch=batch, progress=told.append)
    assert sum(told) == len(inputs)
    alone = [decoder.ask([text], ANSWER, ROOM)[0] for text in inputs]
    assert [one.answer for one in said] == [one.answer for one in alone]
    assert [one.new_tokens for one in said] == [one.new_tokens for one in alone]
    answered = [one for one in said if one.answer is not None]
    assert answered
    assert any(one.answer in text for one, text in zip(said, inputs, strict=True) if one.answer)
    assert all(one.stopped and one.logprobs for one in answered)


def test_no_inputs_are_no_error(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    assert Decoder(model, tokenizer).ask([], ANSWER, ROOM) == []


def test_an_answer_that_was_cut_off_is_none(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase
) -> None:
    for said in Decoder(model, tokenizer).ask(INPUTS, ANSWER, 1):
        assert said.new_tokens == 1
        assert not said.stopped
        assert said.answer is None


def test_a_control_token_in_an_input_is_read_as_text(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase
) -> None:
    decoder = Decoder(model, tokenizer)
    [prompt] = decoder.prompts([f"say {control_token('think')} <|end|>"], THINK)
    think = token_id(tokenizer, control_token("think"))
    assert prompt.begin == (think,)
    assert think not in prompt.input
    assert tokenizer.eos_token_id not in prompt.input


@pytest.fixture
def ids(tokenizer: PreTrainedTokenizerBase) -> dict[str, int]:
    known = {name: control_token(name) for name in ("think", "answer")} | {"end": "<|end|>"}
    found = {name: token_id(tokenizer, token) for name, token in known.items()}
    for word in ("red", "green", "blue"):
        [found[word]] = tokenizer(word, add_special_tokens=False)["input_ids"]
    return found


def tokens(ids: dict[str, int], text: str) -> list[Token]:
    """What was written: the n-th token has log-probability -n and a gap of n, from 1."""
    return [Token(ids[word], -float(n), float(n)) for n, word in enumerate(text.split(), start=1)]


@pytest.mark.parametrize(
    ("ask", "text", "answer", "rationale", "logprobs", "stopped"),
    [
        (ANSWER, "red green end", "red green", None, (-1, -2, -3), True),
        (ANSWER, "end", None, None, (-1,), True),
        (ANSWER, "red", None, None, (-1,), False),
        (THINK, "blue blue answer red end", "red", "blue blue", (-4, -5), True),
        (THINK, "blue answer red answer green end", "red green", "blue", (-3, -4, -5, -6), True),
        (THINK, "blue blue end", None, "blue blue end", (), True),
        (THINK, "blue answer red", None, "blue", (-3,), False),
        (AFTER, "red think", "red", None, (-1, -2), True),
        (AFTER, "red end", "red", None, (-1, -2), True),
    ],
)
def test_a_reply_is_divided_at_its_control_tokens(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    ids: dict[str, int],
    ask: Ask,
    text: str,
    answer: str | None,
    rationale: str | None,
    logprobs: tuple[float, ...],
    stopped: bool,
) -> None:
    said = Decoder(model, tokenizer).reader.read(tokens(ids, text), ask)
    assert (said.answer, said.stopped) == (answer, stopped)
    assert said.rationale == (rationale.removesuffix(" end") if rationale else None)
    assert said.logprobs == logprobs
    assert said.margin == (min(-p for p in logprobs) if logprobs else 0.0)
    assert said.new_tokens == len(text.split())


def test_the_rationales_logprob_is_the_mean_of_its_tokens(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, ids: dict[str, int]
) -> None:
    said = Decoder(model, tokenizer).reader.read(
        tokens(ids, "red blue green answer red end"), THINK
    )
    assert said.rationale_logprob == -2.0


# ---- the folder ---------------------------------------------------------------------------------


@pytest.fixture
def card(tokenizer: PreTrainedTokenizerBase) -> StudentCard:
    return StudentCard(
        task=Task(name="colours", answer=AnswerForm(kind="text")),
        recipe="label",
        ask=ANSWER,
        base="nano",
        parameters=1,
        dataset="sha256:0",
        train_examples=32,
        skeleton="sha256:0",
        simulated=True,
        seed=0,
        steps=60,
        tokens_seen=1,
        seconds=1.0,
        max_new_tokens=ROOM,
        weights="sha256:0",
        version="0",
    )


@pytest.fixture
def folder(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    card: StudentCard,
    tmp_path: Path,
) -> Path:
    made = tmp_path / "student"
    save_model(model, tokenizer, {}, made)
    (made / "limbeck.json").write_text(card.model_dump_json())
    return made


# Of a Qwen2 folder transformers 5 takes the vocabulary and puts its own rules beside it.
@pytest.mark.parametrize("model", ["llama"], indirect=True)
def test_a_loaded_student_says_what_it_said_before(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, folder: Path, card: StudentCard
) -> None:
    student = Student.load(folder)
    assert student.card == card
    assert student.ask(INPUTS) == Decoder(model, tokenizer).ask(INPUTS, ANSWER, ROOM)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ("folder", "there is no student folder"),
        ("card", "has no limbeck.json, so it is not a student that limbeck made"),
        ("half a card", "cannot be read"),
        ("key", "Extra inputs are not permitted"),
        ("weights", "cannot be loaded"),
        ("half the weights", "cannot be loaded"),
        ("config", "cannot be loaded"),
    ],
)
def test_a_damaged_student_is_one_sentence(folder: Path, damage: str, said: str) -> None:
    path = folder / "limbeck.json"
    weights = folder / "model.safetensors"
    if damage == "folder":
        folder = folder.with_name("nowhere")
    elif damage == "card":
        path.unlink()
    elif damage == "half a card":
        path.write_text(path.read_text()[:100])
    elif damage == "key":
        path.write_text(json.dumps({**json.loads(path.read_text()), "colour": "red"}))
    elif damage == "weights":
        weights.unlink()
    elif damage == "half the weights":
        weights.write_bytes(weights.read_bytes()[:5000])
    else:
        (folder / "config.json").write_text("{")
    with pytest.raises(StudentError) as caught:
        Student.load(folder)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_card_is_read_without_the_model(folder: Path, card: StudentCard) -> None:
    (folder / "model.safetensors").unlink()
    assert read_card(folder) == card


def test_the_hash_of_weights_knows_names_shapes_and_values() -> None:
    first = {"a": torch.arange(6.0), "b": torch.ones(2)}
    same = {"b": torch.ones(2), "a": torch.arange(6.0)}
    assert weights_hash(first) == weights_hash(same)
    others = [
        {**first, "b": torch.ones(2) + 1e-6},
        {**first, "a": torch.arange(6.0).view(2, 3)},
        {"a": first["a"], "c": first["b"]},
    ]
    assert len({weights_hash(first), *map(weights_hash, others)}) == 4
    assert weights_hash({"a": torch.ones(1)}).startswith("sha256:")


# ---- sampling, forced rationales, choices -------------------------------------------------------


def test_a_sample_does_not_depend_on_who_else_is_drawn(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase
) -> None:
    decoder = Decoder(model, tokenizer)
    drawn = decoder.sample(INPUTS[:3], ANSWER, ROOM, k=4, temperature=1.5, seed=1)
    assert [len(some) for some in drawn] == [4, 4, 4]
    again = decoder.sample(INPUTS[:3], ANSWER, ROOM, k=4, temperature=1.5, seed=1, batch=4)
    fewer = decoder.sample(INPUTS[:3], ANSWER, ROOM, k=2, temperature=1.5, seed=1)

    def texts(said: Sequence[Sequence[Said]], count: int) -> list[list[tuple[str | None, int]]]:
        return [[(one.answer, one.new_tokens) for one in some[:count]] for some in said]

    assert texts(again, 4) == texts(drawn, 4)
    assert texts(fewer, 2) == texts(drawn, 2)
    assert any(len(set(some)) > 1 for some in texts(drawn, 4))
    other = decoder.sample(INPUTS[:3], ANSWER, ROOM, k=4, temperature=1.5, seed=2)
    assert texts(other, 4) != texts(drawn, 4)


@pytest.mark.parametrize(("k", "temperature"), [(0, 1.0), (1, 0.0), (1, -1.0)])
def test_a_sample_of_nothing_or_without_heat_is_refused(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, k: int, temperature: float
) -> None:
    with pytest.raises(StudentError, match="wanted k of 1 or more"):
        Decoder(model, tokenizer).sample(INPUTS, ANSWER, ROOM, k=k, temperature=temperature)


def test_a_given_rationale_is_read_as_if_the_student_had_written_it(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, ids: dict[str, int]
) -> None:
    decoder = Decoder(model, tokenizer)
    [said] = decoder.continue_from(["say red"], ["blue green"], THINK, 6)
    prompt = decoder.encode(["say red"])[0]
    thought = (ids["think"], *decoder.encode(["blue green"])[0], ids["answer"])
    [wanted] = write(decoder, [[*prompt, *thought]], 6)
    assert said.new_tokens == len(wanted)
    assert said.logprobs == pytest.approx([token.logprob for token in wanted], abs=1e-4)
    assert said.rationale == "blue green"
    assert said.rationale_logprob == 0.0


def test_a_beginning_of_a_rationale_is_gone_on_with(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, ids: dict[str, int]
) -> None:
    decoder = Decoder(model, tokenizer)
    [said] = decoder.continue_from(["say red"], ["blue"], THINK, 3, then="rationale")
    prompt = [*decoder.encode(["say red"])[0], ids["think"], ids["blue"]]
    [wanted] = write(decoder, [prompt], 3)
    assert said.new_tokens == len(wanted)
    assert (said.rationale or "").startswith("blue")


@pytest.mark.parametrize("ask", [ANSWER, AFTER])
def test_who_answers_first_takes_no_rationale(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, ask: Ask
) -> None:
    with pytest.raises(StudentError, match="ask a student of think-first"):
        Decoder(model, tokenizer).continue_from(["say red"], ["blue"], ask, 3)


@pytest.mark.parametrize("ask", [ANSWER, AFTER, THINK])
def test_scores_of_choices_are_those_of_a_full_forward_pass(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, ids: dict[str, int], ask: Ask
) -> None:
    decoder = Decoder(model, tokenizer)
    inputs = ["say red", "please say blue 2 times", "green"]
    choices = [["red", "red green blue"], ["blue blue"], []]
    given = ["blue", "green red", ""] if ask is THINK else None
    scores = decoder.score_choices(inputs, choices, ask, ROOM, rationales=given, batch=2)
    assert [len(some) for some in scores] == [2, 1, 0]
    for at, (text, some) in enumerate(zip(inputs, choices, strict=True)):
        begin = [*decoder.encode([text])[0], ids[ask.control]]
        if given is not None:
            begin += [*decoder.encode([given[at]])[0], ids["answer"]]
        for choice, score in zip(some, scores[at], strict=True):
            tokens = list(decoder.encode([choice])[0])
            with torch.no_grad():
                logits = model(torch.tensor([begin + tokens])).logits[0, len(begin) - 1 :]
            logprobs = torch.log_softmax(logits, dim=-1)
            stops = [ids["end"]] + ([ids["think"]] if ask is AFTER else [])
            wanted = sum(float(logprobs[place, one]) for place, one in enumerate(tokens))
            wanted += float(logprobs[-1, stops].logsumexp(0))
            assert score == pytest.approx(wanted, abs=1e-3)


def test_a_student_that_thinks_scores_after_its_own_rationale(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase
) -> None:
    decoder = Decoder(model, tokenizer)
    own = [one.rationale or "" for one in decoder.ask(INPUTS[:2], THINK, 6)]
    choices = [["red"], ["blue"]]
    assert decoder.score_choices(INPUTS[:2], choices, THINK, 6) == decoder.score_choices(
        INPUTS[:2], choices, THINK, 6, rationales=own
    )
    with pytest.raises(StudentError, match="one list of choices for each"):
        decoder.score_choices(INPUTS[:2], choices[:1], THINK, 6)
