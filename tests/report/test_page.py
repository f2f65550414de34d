from __future__ import annotations

import html
import json
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest

from limbeck.errors import DataError, LimbeckError
from limbeck.report.numbers import (
    count,
    duration,
    percent,
    points,
    points_span,
    span,
    usd,
)
from limbeck.report.page import TaskView, read_summary, write_report
from limbeck.report.summary import Summary, TaskSummary


class Reader(HTMLParser):
    """Tags with their attributes, and the text that a person reads."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.pieces: list[str] = []
        self.feed(page)
        self.text = " ".join(" ".join(self.pieces).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.pieces.append(data)

    def all(self, attribute: str) -> list[str]:
        return [value for _, attrs in self.tags if (value := attrs.get(attribute)) is not None]


@pytest.fixture(scope="module")
def reader(page: str) -> Reader:
    return Reader(page)


def test_the_page_comes_with_markdown_numbers_and_figures(written: Path, summary: Summary) -> None:
    names = {path.name for path in written.iterdir()}
    assert names == {"report.html", "report.md", "summary.json", "figures"}
    assert Summary.model_validate_json((written / "summary.json").read_bytes()) == summary
    drawn = sorted(path.name for path in (written / "figures").glob("*.svg"))
    assert drawn == [
        "ledger-accuracy.svg",
        "ledger-funnel.svg",
        "ledger-risk.svg",
        "refunds-accuracy.svg",
        "refunds-cost.svg",
        "refunds-drops.svg",
        "refunds-funnel.svg",
        "refunds-latency.svg",
        "refunds-risk.svg",
        "refunds-timeline.svg",
        "run-time.svg",
    ]
    for path in (written / "figures").glob("*.svg"):
        assert path.with_suffix(".png").read_bytes().startswith(b"\x89PNG")


def test_every_number_of_the_tables_is_on_the_page(reader: Reader, summary: Summary) -> None:
    for task in summary.tasks:
        wanted = [count(task.capture.calls), usd(task.capture.cost_usd)]
        wanted += [count(stage.left) for stage in task.data.funnel]
        wanted += [count(sum(n.values())) for n in task.data.drops.values()]
        wanted += [count(n) for n in task.data.splits.values()]
        for arm in task.evaluation.arms:
            wanted += [percent(arm.accuracy), span(arm.interval), percent(arm.unanswered)]
            wanted += [f"{arm.tokens:.1f}", duration(arm.seconds), duration(arm.train_seconds)]
            wanted += [percent(seed.accuracy) for seed in arm.seeds]
            if arm.versus_control is not None:
                versus = arm.versus_control
                wanted += [points(versus.difference), points_span(versus.interval), versus.verdict]
        if task.calibration is not None:
            wanted += [percent(point.risk) for point in task.calibration.curve]
            wanted += [percent(point.coverage) for point in task.calibration.curve]
            wanted.append(percent(task.calibration.aurc))
            wanted.append(task.calibration.policy.calibration_hash)
        if task.cascade is not None:
            cascade = task.cascade
            wanted += [count(n) for n in (cascade.local, cascade.right, cascade.teacher_right)]
            wanted += [span(cascade.local_share), span(cascade.local_risk), usd(cascade.cost_usd)]
            wanted += [duration(s) for s in (cascade.local_p95, cascade.escalated_p95)]
            wanted += [count(n) for n in cascade.escalation_reasons.values()]
        for figure in filter(None, TaskView(task.task, task).figures.values()):
            wanted += [text for row in figure.table.rows for text in row]
        assert [text for text in wanted if text not in reader.text] == []
    for stage in summary.stages:
        assert duration(stage.seconds) in reader.text


def test_hostile_text_is_shown_and_never_markup(page: str, reader: Reader, hostile: str) -> None:
    assert "<script" not in page
    assert html.escape(hostile, quote=False).replace('"', "&#34;").replace("'", "&#39;") in page
    assert reader.text.count(" ".join(hostile.split())) >= 5
    assert not [tag for tag, _ in reader.tags if tag in ("script", "iframe", "object", "embed")]
    assert not [name for _, attrs in reader.tags for name in attrs if name.startswith("on")]


def test_the_page_loads_nothing(page: str, reader: Reader) -> None:
    for attribute in ("src", "srcset", "data", "action", "poster", "xlink:href"):
        assert reader.all(attribute) == []
    assert all(target.startswith("#") for target in reader.all("href"))
    assert "@import" not in page
    assert [at for at in page.split("url(")[1:] if not at.startswith("#")] == []
    assert "default-src 'none'" in page


def test_every_drawing_is_one_described_image_and_no_name_occurs_twice(reader: Reader) -> None:
    drawings = [attrs for tag, attrs in reader.tags if tag == "svg"]
    assert len(drawings) == 11
    assert all(attrs.get("role") == "img" and attrs.get("aria-label") for attrs in drawings)
    names = reader.all("id")
    assert len(names) == len(set(names))
    assert {target[1:] for target in reader.all("href")} <= set(names)


def test_the_headings_form_an_outline(reader: Reader) -> None:
    levels = [int(tag[1]) for tag, _ in reader.tags if tag in ("h1", "h2", "h3", "h4")]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))


def test_no_finding_is_said_twice(reader: Reader, summary: Summary) -> None:
    for task in summary.tasks:
        for finding in {*task.findings, *task.evaluation.findings} - {task.instruction}:
            assert reader.text.count(finding) == 1


def test_a_rationale_that_cannot_be_a_cause_is_labelled(reader: Reader) -> None:
    # multitask and answer-first of refunds; the control has no rationale to label.
    assert reader.text.count("post-hoc by construction") == 2


def test_simulated_numbers_carry_a_banner(summary: Summary, reader: Reader, tmp_path: Path) -> None:
    assert "Simulated. The teacher and the tasks are made by a program" in reader.text
    real = summary.model_copy(update={"simulated": False, "tasks": ()})
    assert "Simulated." not in write_report(real, tmp_path).read_text("utf-8")


def test_a_task_without_policy_and_without_students_of_note_renders(
    summary: Summary, ledger: TaskSummary, tmp_path: Path
) -> None:
    bare = ledger.model_copy(update={"calibration": None, "cascade": None, "findings": ()})
    page = write_report(
        summary.model_copy(update={"tasks": (bare,), "stages": ()}), tmp_path / "new" / "run"
    )
    text = Reader(page.read_text("utf-8")).text
    assert "No policy was fitted, so nothing is promised" in text
    assert "No call was dropped." in text
    assert "fresh calls" not in text.split("What these numbers do not show")[0]


def test_writing_again_gives_the_same_bytes(
    written: Path, summary: Summary, tmp_path: Path
) -> None:
    again = write_report(summary, tmp_path).parent
    for path in sorted(written.rglob("*.*")):
        assert (again / path.relative_to(written)).read_bytes() == path.read_bytes(), path.name
    assert list(again.rglob("*.partial")) == []


def test_half_a_character_in_a_recorded_call_does_not_stop_the_report(
    summary: Summary, ledger: TaskSummary, tmp_path: Path
) -> None:
    task = ledger.model_copy(update={"findings": ("half \ud83d of an emoji",), "calibration": None})
    write_report(summary.model_copy(update={"tasks": (task,)}), tmp_path)
    assert read_summary(tmp_path).tasks[0].findings == ("half ? of an emoji",)


def test_a_folder_that_cannot_be_written_gives_one_sentence(
    summary: Summary, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LimbeckError, match=r"the report cannot be written into .*wanted a folder"):
        write_report(summary.model_copy(update={"tasks": ()}), tmp_path / "file" / "run")


def test_a_task_named_like_a_path_stays_in_the_folder(
    summary: Summary, ledger: TaskSummary, tmp_path: Path
) -> None:
    named = ledger.model_copy(update={"task": "../../etc", "calibration": None})
    write_report(summary.model_copy(update={"tasks": (named,), "stages": ()}), tmp_path / "run")
    drawn = sorted(path.name for path in (tmp_path / "run" / "figures").glob("*.svg"))
    assert drawn == ["task-1-accuracy.svg", "task-1-funnel.svg"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run"]


def test_numbers_that_are_absent_or_damaged_give_one_sentence(
    written: Path, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=r"cannot read .*wanted the folder of a run"):
        read_summary(tmp_path)
    values = json.loads((written / "summary.json").read_bytes())
    del values["tasks"][0]["capture"]["calls"]
    (tmp_path / "summary.json").write_text(json.dumps(values))
    with pytest.raises(DataError, match=r"at 'tasks\.0\.capture\.calls': field required"):
        read_summary(tmp_path)
    (tmp_path / "summary.json").write_text('{"version": "0.1')
    with pytest.raises(DataError, match="is not the summary of a run"):
        read_summary(tmp_path)
