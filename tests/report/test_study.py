from __future__ import annotations

import re
from pathlib import Path

import pytest

from limbeck.errors import LimbeckError
from limbeck.evaluate.evaluate import Comparison, SeedScore
from limbeck.evaluate.intervals import Interval, wilson
from limbeck.evaluate.study.result import ArmResult, Pair, StudyResult
from limbeck.report.figures.study import MOST_ROWS, drawings
from limbeck.report.study import write_study


def versus(against: str, difference: float) -> Comparison:
    low, high = difference - 0.04, difference + 0.04
    verdict = "better" if low > 0 else "worse" if high < 0 else "no difference seen"
    return Comparison(
        against=against,
        difference=difference,
        interval=Interval(low=low, high=high),
        p_value=None,
        verdict=verdict,
    )


def arm(name: str, right: int, **given: object) -> ArmResult:
    seeds = tuple(
        SeedScore(
            student=f"{name}-s{seed}",
            seed=seed,
            right=right + seed,
            n=200,
            accuracy=(right + seed) / 200,
            interval=wilson(right + seed, 200),
        )
        for seed in range(3)
    )
    values: dict[str, object] = {
        "name": name,
        "recipe": "think-first",
        "panel": "",
        "series": "",
        "x": None,
        "train_inputs": 450,
        "steps": 300,
        "epochs": 21.3,
        "train_tokens": 400_000,
        "seeds": seeds,
        "accuracy": (right + 1) / 200,
        "interval": Interval(low=(right - 8) / 200, high=(right + 10) / 200),
        "unanswered": 0.01,
        "tokens": 57.2,
        "seconds": 0.004,
        "train_seconds": 41.0,
        "versus": None,
    }
    return ArmResult.model_validate({**values, **given})


def result(*arms: ArmResult, x_title: str | None = None, **given: object) -> StudyResult:
    values: dict[str, object] = {
        "study": "recipes",
        "question": "Which recipe?",
        "x_title": x_title,
        "task": "refunds",
        "dataset": "sha256:" + "1" * 64,
        "split": "test",
        "n": 200,
        "base": "nano",
        "parameters": 940_416,
        "seeds": (0, 1, 2),
        "settings": {"batch": 32, "steps": 300},
        "study_settings": {"recipes": ["think-first"]},
        "arms": arms,
        "pairs": (),
        "teacher": None,
        "majority": 0.31,
        "simulated": True,
        "compute_seconds": 512.0,
        "version": "0.1.0",
        "shown": ("think-first is better than label.",),
        "limits": ("The traces are simulated.",),
    }
    return StudyResult.model_validate({**values, **given})


@pytest.fixture
def recipes() -> StudyResult:
    return result(
        arm("label", 120, recipe="label"),
        arm("think-first", 160, versus=versus("label", 0.2)),
        arm("answer <first>", 118, versus=versus("label", -0.01)),
    )


@pytest.fixture
def curves() -> StudyResult:
    """Two kinds of spoiling with the control, and learning from them."""
    spoiled = [
        arm(f"{kind} {dose:.0%}", right, panel=kind, series=kind, x=dose, versus=versus("clean", d))
        for kind, dose, right, d in (
            ("digits", 0.5, 158, -0.01),
            ("digits", 1.0, 150, -0.05),
            ("shuffle", 0.5, 130, -0.15),
            ("shuffle", 1.0, 118, -0.21),
        )
    ]
    control = arm("label", 120, recipe="label")
    clean = arm("clean", 160, series="clean", x=0.0, versus=versus("label", 0.2))
    pairs = (Pair(arm="digits 100%", versus=versus("label", 0.15)),)
    return result(control, clean, *spoiled, x_title="dose", study="structure", pairs=pairs)


def test_the_page_says_what_was_found_and_shows_every_number(
    recipes: StudyResult, tmp_path: Path
) -> None:
    page = write_study(recipes, tmp_path, command="limbeck study recipes -t refunds")
    text = page.read_text("utf-8")
    assert "think-first is better than label." in text
    assert "Simulated." in text
    for shown in ("80.5%", "60.5%", "+20.0 points", "57.2", "limbeck study recipes -t refunds"):
        assert shown in text
    assert "answer &lt;first&gt;" in text
    assert "<first>" not in text
    assert not re.search(r"<script|https?://(?!www\.w3\.org)", text)


def test_the_markdown_and_the_numbers_lie_beside_it(recipes: StudyResult, tmp_path: Path) -> None:
    write_study(recipes, tmp_path, command="limbeck study recipes")
    text = (tmp_path / "study.md").read_text("utf-8")
    assert "| think-first | 80.5% |" in text
    drawn = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", text)
    assert len(drawn) == 2
    assert all((tmp_path / path).is_file() for path in drawn)
    assert StudyResult.model_validate_json((tmp_path / "study.json").read_bytes()) == recipes


def test_the_same_result_gives_the_same_bytes(curves: StudyResult, tmp_path: Path) -> None:
    first = write_study(curves, tmp_path / "a", command="c").read_bytes()
    assert write_study(curves, tmp_path / "b", command="c").read_bytes() == first


def test_each_kind_has_a_drawing_that_begins_with_the_clean_arm(curves: StudyResult) -> None:
    digits, shuffle, differences = drawings(curves)
    assert digits.name == "refunds-structure-digits"
    assert digits.title == "digits: right on 75.5% at a dose of 100%, 80.5% without"
    assert [row[0] for row in shuffle.table.rows] == [
        "label",
        "clean",
        "shuffle 50%",
        "shuffle 100%",
    ]
    assert differences.title == "4 of 5 differences stand out from chance"


def test_many_differences_are_left_to_the_table(curves: StudyResult) -> None:
    more = [
        arm(f"arm {i}", 120, panel="digits", x=0.5, versus=versus("clean", 0.0))
        for i in range(MOST_ROWS)
    ]
    many = curves.model_copy(update={"arms": (*curves.arms, *more)})
    assert [figure.name for figure in drawings(many)] == [
        "refunds-structure-digits",
        "refunds-structure-shuffle",
    ]


def test_a_folder_that_cannot_be_written_is_named(recipes: StudyResult, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LimbeckError, match=r"cannot be written into .*file"):
        write_study(recipes, tmp_path / "file", command="c")
