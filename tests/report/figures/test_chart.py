from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

from limbeck.report.figures.chart import WIDTH, inline, svg
from limbeck.report.page import TaskView
from limbeck.report.summary import TaskSummary


def test_every_drawing_is_as_wide_as_a_phone_can_show(written: Path) -> None:
    drawings = list((written / "figures").glob("*.svg"))
    assert drawings
    for path in drawings:
        root = ElementTree.fromstring(path.read_text("utf-8"))
        width = float(root.attrib["viewBox"].split()[2])
        assert width <= WIDTH + 1, path.name


def test_type_on_the_page_is_never_smaller_than_fourteen_units(page: str) -> None:
    sizes = {float(size) for size in re.findall(r'font-size="([\d.]+)px"', page)}
    assert sizes == {14.0}


def test_a_drawing_of_the_page_takes_the_colours_of_the_page(refunds: TaskSummary) -> None:
    figure = TaskView("refunds", refunds).figures["accuracy"]
    assert figure is not None
    assert "var(--student, #1763a6)" in inline(figure)
    assert "var(" not in svg(figure)


def test_a_drawing_that_stands_alone_carries_its_title(refunds: TaskSummary) -> None:
    figure = TaskView("refunds", refunds).figures["cost"]
    assert figure is not None
    drawn = re.sub(r"<[^>]+>", " ", svg(figure))
    assert "1,000 calls cost $0.928" in " ".join(drawn.split())
    assert "1,000 calls cost" not in re.sub(r"<[^>]+>", " ", inline(figure))


def test_a_drawing_of_simulated_numbers_says_so_wherever_it_goes(written: Path) -> None:
    for path in (written / "figures").glob("*.svg"):
        assert "Simulated." in path.read_text("utf-8"), path.name


def test_a_drawing_of_real_numbers_is_not_marked(refunds: TaskSummary) -> None:
    figure = TaskView("refunds", refunds).figures["cost"]
    assert figure is not None
    assert "Simulated" not in svg(figure)
