from __future__ import annotations

from collections.abc import Callable

import polars as pl
import pytest

from limbeck.curate.checks.table import load
from limbeck.types import Task

Frame = Callable[..., pl.DataFrame]
ENGLISH = "The order {n} is late, so it was not in the window, and they are not to be paid."


def said(frame: Frame, task: Task, *rows: dict[str, str]) -> list[str | None]:
    usual = [{"rationale": ENGLISH.format(n=n), "input": f"case {n}"} for n in range(60)]
    result = load("language").run(frame(*usual, *rows), task)["evidence"].to_list()
    assert result[:60] == [None] * 60
    return list(result[60:])


@pytest.mark.parametrize(
    ("chain", "language"),
    [
        ("Die Bestellung ist zu spät und das Paket ist nicht mit dem Kunden gekommen.", "German"),
        ("La commande est en retard et le client ne peut pas être payé par les autres.", "French"),
        ("The order is late. 首先 我们 看到 订单 已经 迟到 所以 不能 退款", "Chinese"),
        ("Заказ опоздал, поэтому деньги не возвращаются.", "Cyrillic script"),
    ],
)
def test_another_language_than_the_tasks_is_caught(
    chain: str, language: str, frame: Frame, choice_task: Task
) -> None:
    [found] = said(frame, choice_task, {"rationale": chain})
    assert str(found).startswith(f"the chain is in {language}, this task's in English")


def test_the_language_of_the_input_names_and_terse_chains_pass(
    frame: Frame, choice_task: Task
) -> None:
    german = "Die Bestellung ist zu spät und das Paket ist nicht mit dem Kunden gekommen."
    assert said(
        frame,
        choice_task,
        {"rationale": german, "input": german.replace("Kunden", "Boten")},
        {"rationale": "mon: 33 - 9 = 24\ntue: 24 - 4 = 20"},
        {"rationale": "The order of Müller & Cie. is late, so it is not to be paid (東京)."},
    ) == [None, None, None]
