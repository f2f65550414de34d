from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
)

from limbeck.distill.preflight import check_tokenizer
from limbeck.distill.settings import DistillSettings
from limbeck.distill.students import PRESETS, check_saved, is_scratch, save_model, start
from limbeck.distill.tokens import train_tokenizer
from limbeck.errors import StudentError
from limbeck.models.controls import CONTROLS, PAD, control_token
from limbeck.types import Example

Make = Callable[..., PreTrainedModel]
SETTINGS = DistillSettings(vocabulary=400)


@pytest.fixture
def base(tiny: Make, tokenizer: PreTrainedTokenizerBase, tmp_path: Path) -> Callable[..., Path]:
    """`base(kind, pad)`: a plain folder of a model that knows nothing of this product."""

    def make(kind: str = "qwen2", pad: str | None = "<|end|>") -> Path:
        folder = tmp_path / f"{kind}-base"
        backend = tokenizer.backend_tokenizer.to_str()
        for name in ("<|pad|>", *(control_token(name) for name in CONTROLS)):
            backend = backend.replace(name, name.replace("|", "x"))
        plain = PreTrainedTokenizerFast(
            tokenizer_object=type(tokenizer.backend_tokenizer).from_str(backend),
            eos_token="<|end|>",
            pad_token=pad,
        )
        tiny(kind).save_pretrained(folder)
        plain.save_pretrained(folder)
        return folder

    return make


def test_presets_are_as_large_as_they_say(examples: list[Example]) -> None:
    texts = [example.input for example in examples]
    sizes = {}
    for name in PRESETS:
        model, tokenizer = start(name, texts, DistillSettings(vocabulary=2048))
        # What the vocabulary would add if the texts filled it.
        missing = 2048 - len(tokenizer)
        sizes[name] = model.num_parameters() + missing * PRESETS[name].width
        assert is_scratch(name)
    assert 0.8e6 < sizes["nano"] < 1.3e6
    assert 4.5e6 < sizes["micro"] < 7e6


def test_a_start_is_the_same_for_the_same_seed(examples: list[Example]) -> None:
    texts = [example.input for example in examples]
    first, second, other = (
        start("nano", texts, SETTINGS.model_copy(update={"seed": seed}))[0].state_dict()
        for seed in (1, 1, 2)
    )
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


def test_a_saved_student_is_a_plain_folder_with_the_trained_weights(
    examples: list[Example], tmp_path: Path
) -> None:
    texts = [example.input for example in examples]
    model, tokenizer = start("nano", texts, SETTINGS)
    weights = {name: p.detach() * 1.5 for name, p in model.named_parameters()}
    folder = tmp_path / "student"
    save_model(model, tokenizer, weights, folder)

    loaded = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    again = AutoTokenizer.from_pretrained(folder)
    assert {path.suffix for path in folder.iterdir()} <= {".json", ".safetensors", ".jinja"}
    ids = again(texts[0], add_special_tokens=False, return_tensors="pt")["input_ids"]
    assert ids[0].tolist() == tokenizer(texts[0], add_special_tokens=False)["input_ids"]
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(weights[name])
        model.set_attn_implementation("sdpa")
        assert torch.equal(loaded(ids).logits, model.eval()(ids).logits)
    assert again.decode(ids[0]) == texts[0]
    check_tokenizer(again)


def test_a_saved_tokenizer_that_reads_differently_is_refused(
    examples: list[Example], tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    texts = [example.input for example in examples]
    tokenizer.save_pretrained(tmp_path)
    check_saved(tmp_path, tokenizer, texts)
    other = train_tokenizer(["quite other words"], 330)
    with pytest.raises(StudentError, match="differently than in training"):
        check_saved(tmp_path, other, texts)


@pytest.mark.parametrize("kind", ["qwen2", "llama"])
@pytest.mark.parametrize("pad", ["<|end|>", None], ids=["pad-is-end", "no-pad"])
def test_any_causal_model_gets_controls_and_a_pad_token_of_its_own(
    base: Callable[..., Path], kind: str, pad: str | None
) -> None:
    folder = base(kind, pad)
    plain = AutoTokenizer.from_pretrained(folder)
    before = AutoModelForCausalLM.from_pretrained(folder).eval()
    assert plain.pad_token_id in (None, plain.eos_token_id)
    model, tokenizer = start(str(folder), [], SETTINGS)
    check_tokenizer(tokenizer)
    assert tokenizer.pad_token == PAD
    assert tokenizer.pad_token_id != tokenizer.eos_token_id
    assert model.config.pad_token_id == tokenizer.pad_token_id
    assert len(model.state_dict()["model.embed_tokens.weight"]) >= len(tokenizer)
    # What the model knew of its own words is untouched.
    ids = torch.tensor([plain("return this order", add_special_tokens=False)["input_ids"]])
    size = before.config.vocab_size
    with torch.no_grad():
        assert torch.equal(model.eval()(ids).logits[..., :size], before(ids).logits)


def test_a_pad_token_of_its_own_is_kept(base: Callable[..., Path]) -> None:
    folder = base("qwen2", "<xpadx>")
    _, tokenizer = start(str(folder), [], SETTINGS)
    assert tokenizer.pad_token == "<xpadx>"


def test_a_wrong_place_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for wrong in (str(tmp_path / "empty"), str(tmp_path / "nowhere"), "no/such-model"):
        with pytest.raises(StudentError) as caught:
            start(wrong, [], SETTINGS)
        said = str(caught.value)
        assert said.startswith(f"no student can be loaded from {wrong!r}")
        assert "'micro', 'nano'" in said
        assert "\n" not in said


@pytest.mark.parametrize("lost", ["config.json", "model.safetensors", "tokenizer.json"])
def test_a_folder_that_lacks_a_file_is_one_sentence(base: Callable[..., Path], lost: str) -> None:
    folder = base()
    (folder / lost).unlink()
    with pytest.raises(StudentError, match="no student can be loaded") as caught:
        start(str(folder), [], SETTINGS)
    assert "\n" not in str(caught.value)


def test_half_a_weights_file_is_one_sentence(base: Callable[..., Path]) -> None:
    folder = base()
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(StudentError, match="no student can be loaded"):
        start(str(folder), [], SETTINGS)


def test_a_tokenizer_without_an_end_is_refused(base: Callable[..., Path]) -> None:
    folder = base()
    shutil.rmtree(folder)
    folder = base()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.eos_token = None
    tokenizer.save_pretrained(folder)
    with pytest.raises(StudentError, match="has no end-of-text token; set eos_token in it"):
        start(str(folder), [], SETTINGS)
