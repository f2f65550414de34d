from __future__ import annotations

from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest

from limbeck.curate.curate import curate
from limbeck.curate.dataset import read_dataset
from limbeck.types import Outcome, Rationale, SplitPlan, Task, Trace

Make = Callable[..., Trace]
LABELS = ("refund", "exchange", "deny")


@pytest.fixture
def folder(trace: Make, choice_task: Task, tmp_path: Path) -> Path:
    traces, truths = [], {}
    for n in range(80):
        chain = "<script>alert(1)</script> | `so` " * 4 if n % 4 == 0 else f"Rule {n} is clear."
        made = trace(
            f"case {n}",
            raw=f"{chain}\nAnswer: {LABELS[n % 3]}",
            generator="claude-x",
            simulated=True,
            licence="CC BY 4.0",
        )
        traces.append(made)
        truths[made.id] = Outcome(trace_id=made.id, value=LABELS[n % 3], source="gold")
    task = choice_task.model_copy(update={"splits": SplitPlan(train=1, test=1)})
    return curate(traces, truths, task, tmp_path).path


class Tags(HTMLParser):
    """Notes every tag that is opened and checks that it is closed in its order."""

    VOID = frozenset({"meta", "br"})

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_what_users_wrote_never_becomes_markup(folder: Path) -> None:
    tags = Tags()
    tags.feed((folder / "card.html").read_text())
    assert tags.open == []
    assert "script" not in tags.seen
    assert "\\<script\\>" in (folder / "card.md").read_text()


@pytest.mark.parametrize("name", ["card.md", "card.html"])
def test_the_card_says_what_a_reader_must_know(name: str, folder: Path) -> None:
    text = (folder / name).read_text()
    for part in (
        "simulated",
        "claude-x",
        "Anthropic",
        "CC BY 4.0",
        "Funnel",
        "Wilson interval",
        "100.0% (",
        "loop",
        "ends on a phrase 4 times",
        "refund",
        "wrong_answer",
        "per_input = 1",
        folder.name,
    ):
        assert part.replace("_", "\\_") in text or part in text, part


def test_at_most_three_examples_stand_for_a_reason(folder: Path) -> None:
    assert (folder / "card.html").read_text().count("<dt>why</dt>") == 3


def test_every_markdown_table_has_rows_as_wide_as_its_head(folder: Path) -> None:
    blocks = (folder / "card.md").read_text().split("\n\n")
    tables = [b.strip().splitlines() for b in blocks if b.strip().startswith("|")]
    assert len(tables) == 7
    for lines in tables:
        assert len(lines) > 2
        assert len({line.count("|") for line in lines}) == 1, lines


def test_a_repaired_answer_is_counted_shown_and_told_in_its_row(
    trace: Make, choice_task: Task, tmp_path: Path
) -> None:
    wrote = ["(b)", "deny", "Deny", "deny."] * 5
    made = [trace(f"case {n}", raw=f"It is so.\nAnswer: {text}") for n, text in enumerate(wrote)]
    made.append(trace("bare", answer="Refund", rationale=Rationale(text="It is broken.")))
    found = curate(made, {}, choice_task, tmp_path)
    rows = read_dataset(found.path).rows("train")
    told = rows.select("teacher_wrote", "teacher_answer").drop_nulls().sort("teacher_wrote")
    assert sorted(set(told.iter_rows())) == [
        ("(b)", "exchange"), ("Deny", "deny"), ("Refund", "refund"),
    ]  # fmt: skip
    assert told.height == 11
    card = (found.path / "card.md").read_text()
    assert "train 11." in card
    assert "- (b) was read as exchange: 5\n" in card
    assert "(b) was read as exchange: 5" in (found.path / "card.html").read_text()
