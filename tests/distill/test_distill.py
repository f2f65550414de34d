from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from transformers import (
    AutoTokenizer,
    PreTrainedTokenizerBase,
    T5Config,
    T5ForConditionalGeneration,
)

from limbeck.curate.dataset import Dataset
from limbeck.distill.checkpoint import FILE
from limbeck.distill.distill import WORK, distill, student_name, verified_share
from limbeck.distill.settings import DistillSettings
from limbeck.errors import ConfigError, Interrupted, PreflightError, TrainingError
from limbeck.models.local import Student, read_card
from limbeck.types import Example

QUICK = DistillSettings(
    steps=4, batch=4, vocabulary=400, evaluate_items=2, threads=1, max_length=1024
)


@pytest.fixture(scope="module")
def student(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return distill(dataset, "multitask", tmp_path_factory.mktemp("students"), settings=QUICK)


def test_a_student_folder_says_what_it_is(dataset: Dataset, student: Path) -> None:
    card = read_card(student)
    assert student.name == student_name(dataset, "multitask", "nano", QUICK)
    assert (card.task, card.dataset) == (dataset.task, dataset.hash)
    assert card.skeleton == dataset.task.skeleton
    assert (card.recipe, card.recipe_settings) == ("multitask", {"alpha": 0.5, "lam": None})
    assert (card.steps, card.seed, card.train_examples) == (4, 0, len(dataset.split("train")))
    assert card.settings == QUICK.model_dump(mode="json")
    assert card.simulated
    assert set(card.final_loss) == {"answer", "rationale"}
    assert card.validation_accuracy is not None
    assert not (student / WORK).exists()
    history = json.loads((student / "training.json").read_text())
    assert [row["step"] for row in history] == [4]


def test_a_finished_student_is_not_trained_again(dataset: Dataset, student: Path) -> None:
    before = {path.name: path.stat().st_mtime_ns for path in student.iterdir()}
    assert distill(dataset, "multitask", student.parent, settings=QUICK) == student
    assert {path.name: path.stat().st_mtime_ns for path in student.iterdir()} == before


def test_a_saved_student_answers(student: Path, dataset: Dataset) -> None:
    said = Student.load(student).ask([example.input for example in dataset.split("test")])
    assert len(said) == len(dataset.split("test"))


def test_other_data_recipes_settings_and_bases_have_other_names(dataset: Dataset) -> None:
    names = {
        student_name(dataset, "label", "nano", QUICK),
        student_name(dataset, "multitask", "nano", QUICK),
        student_name(dataset, "multitask", "micro", QUICK),
        student_name(dataset, "multitask", "nano", QUICK, {"alpha": 0.3}),
        student_name(dataset, "multitask", "nano", QUICK.model_copy(update={"seed": 1})),
        student_name(dataset, "multitask", "nano", QUICK.model_copy(update={"steps": 5})),
    }
    assert len(names) == 6


def test_a_stopped_run_leaves_no_student_and_continues_to_the_identical_one(
    dataset: Dataset, student: Path, tmp_path: Path
) -> None:
    asked = iter([False, True])
    with pytest.raises(Interrupted, match="stopped at step 2 of 4"):
        distill(dataset, "multitask", tmp_path, settings=QUICK, should_stop=lambda: next(asked))
    folder = tmp_path / student.name
    assert [path.name for path in folder.iterdir()] == [WORK]
    distill(dataset, "multitask", tmp_path, settings=QUICK)
    assert read_card(folder).weights == read_card(student).weights


@pytest.mark.slow
def test_a_killed_run_continues_to_the_identical_student(dataset: Dataset, tmp_path: Path) -> None:
    settings = QUICK.model_copy(update={"steps": 12, "checkpoint_every_s": 1e-9})
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from limbeck.curate.dataset import read_dataset\n"
        "from limbeck.distill.distill import distill\n"
        "from limbeck.distill.settings import DistillSettings\n"
        "settings = DistillSettings.model_validate_json(sys.argv[3])\n"
        "distill(read_dataset(sys.argv[1]), 'label', Path(sys.argv[2]), settings=settings)\n"
    )
    command = [sys.executable, "-c", program, str(dataset.path), str(tmp_path / "killed")]
    process = subprocess.Popen([*command, settings.model_dump_json()])
    folder = tmp_path / "killed" / student_name(dataset, "label", "nano", settings)
    checkpoint = folder / WORK / FILE
    while not checkpoint.exists() and process.poll() is None:
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not (folder / "limbeck.json").exists()

    began: list[int] = []
    distill(
        dataset,
        "label",
        tmp_path / "killed",
        settings=settings,
        watch=lambda progress: began.append(progress.step),
    )
    assert began[0] > 1
    whole = distill(dataset, "label", tmp_path / "whole", settings=settings)
    assert read_card(folder).weights == read_card(whole).weights


def test_a_run_that_would_cut_too_much_is_refused_before_the_first_step(
    dataset: Dataset, tmp_path: Path
) -> None:
    steps: list[object] = []
    with pytest.raises(PreflightError, match="longer than max_length = 16"):
        distill(
            dataset,
            "label",
            tmp_path,
            settings=QUICK.model_copy(update={"max_length": 16}),
            watch=steps.append,
        )
    assert steps == []
    assert not any(tmp_path.rglob("limbeck.json"))


def test_a_run_that_diverges_leaves_no_student(dataset: Dataset, tmp_path: Path) -> None:
    wild = QUICK.model_copy(update={"learning_rate": 1e30, "muon_rate": 1e30, "warmup": 0.0})
    with pytest.raises(TrainingError, match="the loss is not a number at step"):
        distill(dataset, "label", tmp_path, settings=wild)
    assert not any(tmp_path.rglob("limbeck.json"))
    assert len(list(tmp_path.rglob("diverged.json"))) == 1


def test_an_unknown_recipe_or_setting_is_named(dataset: Dataset, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no recipe 'labels'"):
        distill(dataset, "labels", tmp_path)
    with pytest.raises(ConfigError, match=r"recipe setting 'alpha'.*got 2"):
        distill(dataset, "multitask", tmp_path, recipe_given={"alpha": 2})
    with pytest.raises(ConfigError, match=r"recipe setting 'beta'.*known: \['alpha', 'lam'\]"):
        distill(dataset, "multitask", tmp_path, recipe_given={"beta": 2})
    assert list(tmp_path.iterdir()) == []


def test_an_absent_answer_is_a_wrong_answer(dataset: Dataset) -> None:
    first, second = dataset.split("train")[:2]
    assert verified_share(dataset.task, [first, second], [first.truth, None]) == 0.5


def test_any_causal_model_can_be_the_student(
    dataset: Dataset,
    tiny_folder: Path,
    tokenizer: PreTrainedTokenizerBase,
    examples: list[Example],
    tmp_path: Path,
) -> None:
    folder = distill(dataset, "think-first", tmp_path, base=str(tiny_folder), settings=QUICK)
    card = read_card(folder)
    assert card.base == str(tiny_folder)
    [said] = Student.load(folder).ask([examples[0].input])
    assert said.new_tokens > 0


def test_adapters_of_a_chat_model_become_one_student(
    dataset: Dataset, tiny_folder: Path, tmp_path: Path
) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny_folder)
    tokenizer.chat_template = (
        "{% for m in messages %}{{ m.content if not m.reasoning_content else "
        "'(' + m.reasoning_content + ')' + m.content }}{{ eos_token }}{% endfor %}"
    )
    tokenizer.save_pretrained(tiny_folder)
    settings = QUICK.model_copy(update={"tune": "lora", "keep_adapter": True})
    folder = distill(dataset, "think-first", tmp_path, base=str(tiny_folder), settings=settings)
    card = read_card(folder)
    assert card.ask.frame is not None
    assert (card.ask.frame.open, card.ask.frame.close) == ("(", ")")
    assert (folder / "adapter" / "adapter_model.safetensors").exists()
    assert card.instruction_tokens > 0
    loaded = AutoTokenizer.from_pretrained(folder)
    asked = loaded.apply_chat_template(
        [{"role": "user", "content": "hm"}], tokenize=False, add_generation_prompt=True
    )
    assert str(asked).endswith("<|think|>(")
    [said] = Student.load(folder).ask([dataset.split("test")[0].input])
    assert said.new_tokens > 0


def test_an_encoder_decoder_can_be_the_student(
    dataset: Dataset, tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    given: dict[str, Any] = {
        "vocab_size": len(tokenizer),
        "d_model": 32,
        "d_kv": 8,
        "d_ff": 48,
        "num_layers": 1,
        "num_heads": 4,
        "decoder_start_token_id": tokenizer.pad_token_id,
        "pad_token_id": tokenizer.pad_token_id,
        "eos_token_id": tokenizer.eos_token_id,
    }
    base = tmp_path / "t5"
    T5ForConditionalGeneration(T5Config(**given)).save_pretrained(base)
    tokenizer.save_pretrained(base)
    folder = distill(dataset, "multitask", tmp_path, base=str(base), settings=QUICK)
    [said] = Student.load(folder).ask([dataset.split("test")[0].input])
    assert said.new_tokens > 0


def test_a_student_with_instructions_reads_them_when_it_is_asked(
    dataset: Dataset, tmp_path: Path
) -> None:
    settings = QUICK.model_copy(update={"with_instructions": True, "steps": 2})
    card = read_card(distill(dataset, "label", tmp_path, settings=settings))
    assert card.ask.frame is not None
    assert card.ask.frame.before.startswith(dataset.task.instruction.strip()[:40])
    assert card.instruction_tokens == 0
