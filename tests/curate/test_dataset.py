from __future__ import annotations

import errno
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from limbeck.curate import dataset as module
from limbeck.curate.curate import curate
from limbeck.curate.dataset import DatasetInfo, read_dataset
from limbeck.errors import DatasetError
from limbeck.types import Example, SplitPlan, Task, Trace, content_hash

Make = Callable[..., Trace]
LABELS = ("refund", "exchange", "deny")


@pytest.fixture
def traces(trace: Make) -> list[Trace]:
    return [
        trace(f"case {n}", raw=f"Rule {n} is clear.\nAnswer: {LABELS[n % 3]}", group=f"g{n}")
        for n in range(60)
    ]


@pytest.fixture
def written(traces: list[Trace], choice_task: Task, tmp_path: Path) -> DatasetInfo:
    task = choice_task.model_copy(update={"splits": SplitPlan()})
    return curate(traces, {}, task, tmp_path)


def test_examples_come_back_as_they_were(written: DatasetInfo, traces: list[Trace]) -> None:
    dataset = read_dataset(written.path)
    by_id = {trace.id: trace for trace in traces}
    for example in dataset.split("train"):
        assert isinstance(example, Example)
        trace = by_id[example.trace_id]
        assert example.input == trace.input
        assert example.choices == LABELS
        assert example.group == trace.group
        assert example.rationale is not None
        assert example.rationale.startswith("Rule ")
        assert example.answer == example.truth
    assert dataset.hash == written.hash
    assert dataset.task.name == "triage"
    assert written.name == f"triage-{written.hash[7:15]}"


def test_a_chainless_trace_trains_without_a_rationale(
    trace: Make, choice_task: Task, tmp_path: Path
) -> None:
    made = [trace(f"case {n}", raw=f"Answer: {LABELS[n % 3]}") for n in range(6)]
    info = curate(made, {}, choice_task, tmp_path)
    assert [e.rationale for e in read_dataset(info.path).split("train")] == [None] * 6


def test_every_file_is_in_the_manifest_and_no_time_is(written: DatasetInfo) -> None:
    manifest = json.loads((written.path / "manifest.json").read_text())
    files = {path.name for path in written.path.iterdir()} - {"manifest.json"}
    assert set(manifest["files"]) == files
    assert files >= {"train.parquet", "test.parquet", "dropped.parquet", "card.md", "card.html"}
    assert "202" not in json.dumps(
        {k: v for k, v in manifest.items() if k not in ("files", "hash")}
    )


def test_an_unknown_split_names_those_that_there_are(written: DatasetInfo) -> None:
    with pytest.raises(DatasetError, match="no split 'dev'; wanted one of train, validation"):
        read_dataset(written.path).split("dev")


def test_a_missing_dataset_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"is no dataset: it has no manifest\.json"):
        read_dataset(tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["train.parquet", "dropped.parquet", "card.html"])
def test_a_changed_file_is_noticed(name: str, written: DatasetInfo) -> None:
    path = written.path / name
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(DatasetError, match=f"damaged: {name} is not what was written"):
        read_dataset(written.path)


def test_a_lost_file_is_noticed(written: DatasetInfo) -> None:
    (written.path / "test.parquet").unlink()
    with pytest.raises(DatasetError, match=r"damaged: test\.parquet cannot be read"):
        read_dataset(written.path)


def test_a_changed_manifest_is_noticed(written: DatasetInfo) -> None:
    path = written.path / "manifest.json"
    path.write_text(path.read_text().replace('"traces": 60', '"traces": 61'))
    with pytest.raises(DatasetError, match="does not match its own hash"):
        read_dataset(written.path)
    path.write_text("{")
    with pytest.raises(DatasetError, match=r"damaged: manifest\.json is not one"):
        read_dataset(written.path)


def test_a_damaged_dataset_is_rewritten_by_the_same_command(
    written: DatasetInfo, traces: list[Trace], choice_task: Task, tmp_path: Path
) -> None:
    (written.path / "train.parquet").write_bytes(b"")
    task = choice_task.model_copy(update={"splits": SplitPlan()})
    again = curate(traces, {}, task, tmp_path)
    assert again.path == written.path
    assert again.reused is False
    assert read_dataset(again.path).hash == written.hash


def test_a_full_disk_leaves_nothing_behind_and_earlier_datasets_whole(
    written: DatasetInfo,
    traces: list[Trace],
    choice_task: Task,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plain = module._write_table

    def full(folder: Path, name: str, pieces: list[Path]) -> None:
        if name == "dropped":
            raise OSError(errno.ENOSPC, "No space left on device")
        plain(folder, name, pieces)

    monkeypatch.setattr(module, "_write_table", full)
    with pytest.raises(DatasetError, match="No space left on device; earlier datasets are as they"):
        curate(traces[:50], {}, choice_task, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [written.name]
    assert read_dataset(written.path).hash == written.hash


def test_an_interrupted_write_leaves_nothing_behind(
    traces: list[Trace], choice_task: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "write_cards", interrupted)
    with pytest.raises(KeyboardInterrupt):
        curate(traces, {}, choice_task, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_manifest_from_before_a_number_was_counted_is_no_damage(written: DatasetInfo) -> None:
    path = written.path / "manifest.json"
    manifest = json.loads(path.read_text())
    del manifest["summary"]["near"], manifest["settings"]["contamination"]
    content = {key: value for key, value in manifest.items() if key != "hash"}
    tables = {k: v for k, v in content["files"].items() if k.endswith(".parquet")}
    manifest["hash"] = content_hash({**content, "files": tables})
    path.write_text(json.dumps(manifest))
    assert read_dataset(written.path).hash == manifest["hash"]
    manifest["summary"]["traces"] += 1
    path.write_text(json.dumps(manifest))
    with pytest.raises(DatasetError, match="does not match its own hash"):
        read_dataset(written.path)
