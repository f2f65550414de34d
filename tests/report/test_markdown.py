from __future__ import annotations

from pathlib import Path

from limbeck.report.markdown import cell, fenced


def test_a_cell_is_one_line_without_markup() -> None:
    assert cell("a|b\n<i> *c* & [d]") == r"a\|b &lt;i\> \*c\* &amp; \[d\]"


def test_a_fence_is_longer_than_any_in_its_text() -> None:
    assert fenced("x ```` y").splitlines()[0] == "`````text"


def test_the_document_shows_hostile_text_only_as_text(written: Path) -> None:
    text = (written / "report.md").read_text("utf-8")
    outside = "".join(text.split("```")[0::2])
    assert "<script" not in outside
    assert "[link](javascript" not in outside
    assert "&lt;script" in outside


def test_the_document_points_at_drawings_that_are_there(written: Path) -> None:
    text = (written / "report.md").read_text("utf-8")
    named = [part.split(")")[0] for part in text.split("](")[1:] if part.startswith("figures/")]
    assert len(named) >= 9
    assert all((written / name).is_file() for name in named)


def test_the_document_says_what_the_page_says(written: Path) -> None:
    text = (written / "report.md").read_text("utf-8")
    for said in (
        "the student answers 71.2% of fresh calls by itself",
        "With 95% confidence at most 5% of locally answered calls are wrong",
        "post-hoc by construction",
        r"+10.7 points \[+6.2, +15.2\]",
        "371 of 412 spoiled",
        "## What these numbers do not show",
    ):
        assert said in text
