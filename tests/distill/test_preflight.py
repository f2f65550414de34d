from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

from limbeck.distill.preflight import (
    check_answers,
    check_rows,
    check_same_examples,
    check_sharded,
    check_targets,
    check_tokenizer,
    fit_length,
    too_long,
)
from limbeck.distill.rows import tree_row
from limbeck.distill.settings import DistillSettings
from limbeck.distill.tokens import EncodedBranch, EncodedTree
from limbeck.errors import PreflightError
from limbeck.models.controls import CONTROLS, control_token
from limbeck.types import AnswerForm, Branch, Example, Part, Task, Tree

END = 1
SOURCE = Tree(prompt="Is it?", branches=(Branch(parts=(Part(text="yes", role="answer"),)),))


def plain(words: Sequence[str], **special: str) -> PreTrainedTokenizerBase:
    """A tokenizer of whole words that knows these and nothing else."""
    names = {word: index for index, word in enumerate(["<unk>", "<end>", "<pad>", *words])}
    made = Tokenizer(models.WordLevel(names, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(
        tokenizer_object=made, unk_token="<unk>", **{"eos_token": "<end>", **special}
    )


def tree(
    prompt: tuple[int, ...] = (5, 6),
    ids: tuple[int, ...] = (7, END),
    weights: tuple[float, ...] = (1.0, 1.0),
) -> EncodedTree:
    roles = ("answer",) * len(ids)
    return EncodedTree(prompt, (EncodedBranch(ids, weights, roles),), 1.0)  # type: ignore[arg-type]  # a tuple of one role


def refused(said: str) -> re.Pattern[str]:
    return re.compile(re.escape(said))


def test_a_sound_run_passes(tokenizer: PreTrainedTokenizerBase, examples: list[Example]) -> None:
    check_tokenizer(tokenizer)
    check_targets([tree()], END, [SOURCE])
    assert fit_length([tree()], DistillSettings()) == ([0], 0.0)
    task = Task(name="t", answer=AnswerForm(kind="text"))
    check_answers(task, examples, tokenizer)


def test_padding_that_is_also_the_end_is_refused() -> None:
    controls = [control_token(name) for name in CONTROLS]
    made = plain([], pad_token="<end>")
    made.add_special_tokens({"extra_special_tokens": controls})
    with pytest.raises(PreflightError, match=refused("never learn to stop")):
        check_tokenizer(made)


def test_a_control_that_reads_as_several_tokens_is_refused() -> None:
    made = plain(["<|", "think", "|>"], pad_token="<pad>")
    backend = made.backend_tokenizer
    backend.pre_tokenizer = pre_tokenizers.Split("think", behavior="isolated")
    with pytest.raises(PreflightError, match=refused("'<|think|>' reads as [3, 4, 5]")):
        check_tokenizer(made)


def test_controls_that_are_all_unknown_are_refused() -> None:
    with pytest.raises(PreflightError, match=refused("'<|answer|>' reads as [0]")):
        check_tokenizer(plain([], pad_token="<pad>"))


@pytest.mark.parametrize(
    ("planted", "said"),
    [
        (tree(prompt=()), "an input is empty after tokenization: 'Is it?'"),
        (tree(weights=(0.0, 0.0)), "a target has no supervised token: ['yes']"),
        (tree(weights=(1.0, 0.0)), "the end of a target is not supervised: ['yes']"),
        (tree(ids=(7, 8)), "the end of a target is not supervised: ['yes']"),
    ],
)
def test_a_target_that_cannot_teach_is_refused(planted: EncodedTree, said: str) -> None:
    with pytest.raises(PreflightError, match=refused(said)):
        check_targets([tree(), planted], END, [SOURCE, SOURCE])


def test_nothing_to_train_on_is_refused() -> None:
    with pytest.raises(PreflightError, match="the training split is empty"):
        check_targets([], END, [])


def test_a_row_that_just_fits_is_kept_and_a_longer_one_is_left_out_whole() -> None:
    settings = DistillSettings(max_length=16, max_cut_share=0.5)
    fits, too_long = tree(prompt=(5,) * 14), tree(prompt=(5,) * 15)
    assert fit_length([too_long, fits], settings) == ([1], 0.5)


def test_only_the_longest_branch_counts_for_the_length() -> None:
    one = tree(prompt=(5,) * 12)
    several = EncodedTree(one.prompt, one.branches * 5, 1.0)
    assert fit_length([several], DistillSettings(max_length=16))[0] == [0]


def test_too_many_cut_examples_are_refused_with_the_way_out() -> None:
    trees = [tree()] * 9 + [tree(prompt=(5,) * 40)]
    with pytest.raises(PreflightError) as caught:
        fit_length(trees, DistillSettings(max_length=16))
    said = str(caught.value)
    assert said.startswith("10.0% of the examples are longer than max_length = 16 tokens")
    assert "the longest has 42" in said
    assert "max_cut_share = 0.10" in said


def test_an_answer_that_the_tokenizer_cannot_write_is_refused() -> None:
    task = Task(name="t", answer=AnswerForm(kind="text"))
    known = Example(trace_id="a", input="q", answer="grant", truth="grant")
    check_answers(task, [known], plain(["grant"], pad_token="<pad>"))
    unknown = known.model_copy(update={"answer": "deny"})
    with pytest.raises(PreflightError, match=refused("the answer 'deny' reads back as ''")):
        check_answers(task, [known, unknown], plain(["grant"], pad_token="<pad>"))


def test_a_choice_that_the_tokenizer_cannot_write_is_refused() -> None:
    task = Task(name="t", answer=AnswerForm(kind="choice", choices=("grant", "deny")))
    known = Example(trace_id="a", input="q", answer="grant", truth="grant")
    with pytest.raises(PreflightError, match=refused("the choice 'deny' reads back as ''")):
        check_answers(task, [known], plain(["grant"], pad_token="<pad>"))


def test_a_prompt_that_is_supervised_is_refused() -> None:
    row = tree_row(tree(), tree().branches)
    check_rows([row])
    with pytest.raises(PreflightError, match="token 1 of a row belongs to the prompt"):
        check_rows([replace(row, targets=[1, *row.targets], sources=[0, *row.sources])])
    with pytest.raises(PreflightError, match="is predicted from token 2, which is none before it"):
        check_rows([replace(row, sources=[2] * len(row.sources))])


def test_a_recipe_that_leaves_out_what_its_control_sees_is_refused() -> None:
    seen = [Example(trace_id=text, input=text, answer="x", truth="x") for text in ("one", "two")]
    trees = [SOURCE.model_copy(update={"prompt": text}) for text in ("one", "two and more")]
    check_same_examples(seen, trees)
    with pytest.raises(PreflightError, match="leaves out 1 of 2 inputs, such as 'two'"):
        check_same_examples(seen, trees[:1])


def test_what_is_too_long_with_its_rationale_is_left_out_for_every_recipe(
    tokenizer: PreTrainedTokenizerBase,
) -> None:
    short = Example(trace_id="a", input="short", answer="x", truth="x")
    wordy = short.model_copy(update={"input": "wordy", "rationale": "so it goes. " * 50})
    assert too_long([short, wordy], tokenizer, 64) == {"wordy"}
    settings = DistillSettings(max_cut_share=0.5)
    assert fit_length([tree(), tree()], settings, {1}) == ([0], 0.5)


@pytest.mark.parametrize(
    ("said", "given", "sentence"),
    [
        ({"FSDP_VERSION": "1"}, {}, "add --fsdp_version 2"),
        ({"FSDP_OFFLOAD_PARAMS": "true"}, {}, "leave --fsdp_offload_params false"),
        ({"FSDP_ACTIVATION_CHECKPOINTING": "true"}, {}, "take --set checkpointing=true"),
        ({}, {"optimizer": "muon"}, "set optimizer=adamw"),
        ({}, {"tune": "qlora"}, "set tune=lora"),
        ({}, {"compile": True}, "set compile=false"),
        ({}, {"evaluate_every": 5}, "run limbeck evaluate afterwards"),
        ({}, {"patience": 2}, "run limbeck evaluate afterwards"),
    ],
)
def test_what_does_not_go_with_sharded_weights_is_refused(
    said: dict[str, str],
    given: dict[str, object],
    sentence: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FSDP_VERSION", "2")
    check_sharded(DistillSettings(), scratch=False, loops=False)
    for name, value in said.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(PreflightError, match=re.escape(sentence)):
        check_sharded(DistillSettings.model_validate(given), scratch=False, loops=False)
