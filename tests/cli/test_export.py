from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer

from limbeck.cli.app import main
from limbeck.curate import provider_formats
from limbeck.curate.dataset import read_dataset
from limbeck.curate.provider_formats import FORMATS, Conversation, export_dataset
from limbeck.errors import DatasetError
from limbeck.models.controls import control_token
from limbeck.models.local import Student, read_card
from limbeck.models.local.exported import CONVERTER, WHERE, chat_template
from limbeck.types import Ask, Frame
from limbeck.workspace import Workspace


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def student_of(workspace: Workspace, recipe: str) -> Path:
    [found] = workspace.students.glob(f"refunds-{recipe}-*")
    return found


@pytest.mark.parametrize("to", FORMATS)
def test_a_dataset_is_written_as_a_provider_wants_it(
    trained: Workspace, to: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", "refunds", "--to", to, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    files = {one["split"]: one for one in said["files"]}
    assert set(files) == {"train", "validation"}
    written = lines(Path(files["train"]["path"]))
    assert len(written) == files["train"]["examples"] > 10
    [folder] = trained.datasets.iterdir()
    dataset = read_dataset(folder)
    example = dataset.split("train")[0]
    first = json.dumps(written[0], ensure_ascii=False)
    for text in (dataset.task.instruction.strip(), example.input, example.answer):
        assert json.dumps(text, ensure_ascii=False)[1:-1] in first
    assert example.rationale is not None
    assert json.dumps(example.rationale.splitlines()[0])[1:-1] in first


def test_answers_can_be_exported_alone(
    trained: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", "refunds", "--to", "openai", "--answers-only", "--out", "here"]) == 0
    assert "read the terms" in capsys.readouterr().out
    [folder] = trained.datasets.iterdir()
    wanted = [example.answer for example in read_dataset(folder).split("train")]
    found = [one["messages"][-1]["content"] for one in lines(Path("here/train.jsonl"))]
    assert found == wanted


def test_a_validation_rationale_argues_for_its_answer(trained: Workspace, tmp_path: Path) -> None:
    [folder] = trained.datasets.iterdir()
    dataset = read_dataset(folder)
    rows = dataset.rows("validation")
    agreed = (rows["teacher_answer"] == rows["answer"]).sum()
    found = export_dataset(dataset, "together", tmp_path)
    assert [one.examples for one in found if one.split == "validation"] == [agreed]


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ({"least": 10_000}, "it takes 10,000 or more"),
        ({"most": 3}, "it takes at most 3"),
        ({"most_validation": 1}, "validation has"),
        ({"most_bytes": 100}, "it takes at most 100"),
        ({"most_tokens": 5}, "an example of about"),
    ],
)
def test_a_dataset_over_a_limit_leaves_nothing_behind(
    trained: Workspace,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    limits: dict[str, int],
    said: str,
) -> None:
    chosen = FORMATS["openai"]
    changed = provider_formats.Format(
        chosen.write, chosen.shape, provider_formats.Limits(source="the page", **limits)
    )
    monkeypatch.setitem(FORMATS, "openai", changed)
    [folder] = trained.datasets.iterdir()
    with pytest.raises(DatasetError, match=said) as caught:
        export_dataset(read_dataset(folder), "openai", tmp_path / "out")
    assert "see the page" in str(caught.value)
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("to", FORMATS)
def test_a_line_that_is_not_in_form_is_refused(to: str) -> None:
    chosen = FORMATS[to]
    good = chosen.write(Conversation(system="s", user="u", assistant="a"))
    chosen.shape.model_validate(good)
    chosen.shape.model_validate(chosen.write(Conversation(system="", user="u", assistant="a")))
    with pytest.raises(ValueError, match="at least 1 character"):
        chosen.shape.model_validate(chosen.write(Conversation(system="s", user="", assistant="a")))
    turns = "contents" if "contents" in good else "messages"
    with pytest.raises(ValueError, match="by turns"):
        chosen.shape.model_validate({**good, turns: good[turns][:-1]})
    with pytest.raises(ValueError, match="Extra inputs"):
        chosen.shape.model_validate({**good, "text": "more"})


def test_an_exported_student_answers_as_the_one_in_the_workspace(
    trained: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    student = student_of(trained, "label")
    (student / "answers-test-0.parquet").write_bytes(b"")
    assert main(["export", student.name, "--to", "vllm", "--out", "out", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    length = json.loads((student / "config.json").read_text())["max_position_embeddings"]
    assert said["command"] == (
        f"vllm serve out --served-model-name {student.name} --dtype auto --max-model-len {length}"
    )
    assert not Path("out/answers-test-0.parquet").exists()
    inputs = ["a blue kettle came late"]
    assert Student.load(Path("out")).ask(inputs) == Student.load(student).ask(inputs)
    # A second time nothing is overwritten.
    assert main(["export", student.name, "--to", "safetensors", "--out", "out"]) == 1
    assert "is there already" in capsys.readouterr().err


@pytest.mark.parametrize("recipe", ["label", "think-first"])
def test_the_chat_template_asks_as_the_decoder_does(trained: Workspace, recipe: str) -> None:
    student = student_of(trained, recipe)
    assert main(["export", student.name, "--to", "safetensors", "--out", "out"]) == 0
    tokenizer = AutoTokenizer.from_pretrained("out")
    loaded = Student.load(student)
    text = "a blue kettle\ncame late"
    messages = [{"role": "system", "content": "x"}, {"role": "user", "content": text}]
    read: Any = tokenizer.apply_chat_template(messages, add_generation_prompt=True)
    [prompt] = loaded.decoder.prompts([text], loaded.card.ask)
    assert tuple(read["input_ids"]) == prompt.ids


def test_a_frame_stands_around_the_message() -> None:
    frame = Frame(before="<u>", after="</u>", open="<think>", close="</think>")
    ask = Ask(control="think", order="rationale_answer", causal=True, frame=frame)
    from jinja2 import Template

    made = Template(chat_template(ask))
    said = made.render(messages=[{"content": "hi"}], add_generation_prompt=True)
    assert said == f"<u>hi</u>{control_token('think')}<think>"


def test_without_llama_cpp_the_sentence_says_where_to_get_it(
    trained: Workspace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv(WHERE, raising=False)
    monkeypatch.setenv("PATH", str(trained.root))
    name = student_of(trained, "label").name
    assert main(["export", name, "--to", "gguf"]) == 1
    said = capsys.readouterr().err
    assert f"{CONVERTER} was not found" in said
    assert "git clone" in said


def test_gguf_is_made_by_the_converter_and_its_failure_is_told(
    trained: Workspace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    program = (
        "import pathlib, sys\n"
        "if sys.argv[-1] == 'bf16': sys.exit('BPE pre-tokenizer was not recognized')\n"
        "pathlib.Path(sys.argv[3]).write_text(' '.join(sys.argv[4:]))\n"
    )
    (trained.root / CONVERTER).write_text(program)
    monkeypatch.setenv(WHERE, str(trained.root))
    student = student_of(trained, "label")
    assert main(["export", student.name, "--to", "gguf", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert Path(said["path"]).read_text() == "--outtype f16"
    assert said["command"].startswith("llama-server --model ")
    assert main(["export", student.name, "--to", "gguf", "--type", "bf16", "--out", "o.gguf"]) == 1
    assert "pre-tokenizer was not recognized" in capsys.readouterr().err
    assert not list(trained.root.glob("o.gguf*"))
    assert main(["export", student.name, "--to", "gguf", "--type", "int1", "--out", "p"]) == 1
    assert "wanted one of f32" in capsys.readouterr().err


def test_the_card_goes_with_the_weights(trained: Workspace) -> None:
    student = student_of(trained, "think-first")
    assert main(["export", student.name, "--to", "safetensors"]) == 0
    [made] = (trained.root / "exports").iterdir()
    assert read_card(made) == read_card(student)
