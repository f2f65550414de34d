from __future__ import annotations

import re

import pytest

from limbeck.report.figures.chart import svg
from limbeck.report.figures.timeline import timeline
from limbeck.report.summary import Shift


def drawn(shift: Shift) -> str:
    figure = timeline("refunds", shift, 0.05)
    assert figure is not None
    return svg(figure)


def test_every_mark_and_both_ends_of_each_act_are_drawn(shift: Shift) -> None:
    texts = re.findall(r"<text[^>]*>([^<]+)</text>", drawn(shift))
    for text in ("shift", "alarm", "canary", "confirmed"):
        assert texts.count(text) == 1
    for call in ("0", "300", "350", "2,750", "3,175", "3,475"):
        assert call in texts


def test_the_title_says_when_the_alarm_came_and_how_it_ended(shift: Shift) -> None:
    figure = timeline("refunds", shift, 0.05)
    assert figure is not None
    assert figure.title == (
        "The alarm came 50 calls after the change, by 6 audits; the next student was confirmed"
    )
    assert "changed, until the alarm: 50 calls, 82.0% answered by the student" in figure.description
    assert len(figure.table.rows) == len(shift.stretches)
    assert figure.table.rows[3][0] == "326 to 350"


def test_a_story_that_ends_early_has_only_the_acts_that_there_were(shift: Shift) -> None:
    short = shift.model_copy(
        update={"stretches": shift.stretches[:4], "alarm": None, "retrained": None, "canary": None}
    )
    figure = timeline("refunds", short, 0.05)
    assert figure is not None
    assert figure.title == "No alarm within 50 changed calls"
    text = svg(figure)
    assert ">shift<" in text
    assert ">canary<" not in text
    assert "teacher answers:" not in figure.description


@pytest.mark.parametrize("stretches", [()])
def test_without_calls_there_is_no_drawing(shift: Shift, stretches: tuple[()]) -> None:
    assert timeline("refunds", shift.model_copy(update={"stretches": stretches}), 0.05) is None
