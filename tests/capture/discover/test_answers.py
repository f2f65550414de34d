from __future__ import annotations

from collections.abc import Callable

import pytest

from limbeck.capture.discover.answers import Said, guess_form


def replies(make: Callable[[int], str], n: int = 100, thought: bool = False) -> list[Said]:
    return [Said(make(number), thought) for number in range(n)]


def colour(n: int) -> str:
    return ("Red", "blue", "red.", "GREEN", "blue", "Red")[n % 6]


def test_a_few_labels_that_repeat_are_a_choice() -> None:
    form = guess_form(replies(colour, 96))
    assert (form.kind, form.share, form.marker) == ("choice", 1.0, None)
    assert [(label.text, label.share) for label in form.labels] == [
        ("Red", 0.5),
        ("blue", pytest.approx(1 / 3)),
        ("GREEN", pytest.approx(1 / 6)),
    ]
    assert form.entropy_bits == pytest.approx(1.459, abs=0.001)


@pytest.mark.parametrize(
    ("make", "marker"),
    [
        (lambda n: f"It is number {n}.\nAnswer: {colour(n)}", "Answer:"),
        (lambda n: f"Since {n}: so.\n**Final answer:** {colour(n)}\nDone.", "Final answer:"),
        (lambda n: f"For {n} there is much. The answer is {colour(n)}", "The answer is"),
        (lambda n: f"Colour: {colour(n)}\nReason: it was {n}", "Colour:"),
        (lambda n: f"Reason: it was {n}\nColour: {colour(n)}", "Colour:"),
        (
            lambda n: f"Note: {n} x\nAnswer: {colour(n)}" if n % 9 else f"Answer: {colour(n)}",
            "Answer:",
        ),
    ],
)
def test_the_words_before_the_answer_are_found(make: Callable[[int], str], marker: str) -> None:
    form = guess_form(replies(make))
    assert (form.kind, form.marker) == ("choice", marker)
    assert len(form.labels) == 3


def test_words_before_the_answer_are_an_explanation() -> None:
    assert guess_form(replies(lambda n: f"Since {n}.\nAnswer: {n}")).explained == 1.0
    assert guess_form(replies(lambda n: f"Answer: {n}\nSince {n}.")).explained == 0.0


def test_numbers_are_numbers_and_grades_are_labels() -> None:
    assert guess_form(replies(lambda n: f"${n * 7}.50")).kind == "number"
    assert guess_form(replies(lambda n: str(n % 50))).kind == "number"
    grades = guess_form(replies(lambda n: str(n % 5 + 1)))
    assert (grades.kind, len(grades.labels)) == ("choice", 5)


def test_thinking_is_no_part_of_the_answer() -> None:
    inside = guess_form(replies(lambda n: f"<think>about {n}</think>\n{colour(n)}"))
    assert (inside.kind, inside.native) == ("choice", 1.0)
    assert guess_form(replies(colour, thought=True)).native == 1.0


def test_a_rare_slip_is_no_label() -> None:
    form = guess_form(replies(lambda n: "I cannot say" if n == 3 else colour(n), 400))
    assert {label.text.lower() for label in form.labels} == {"red", "blue", "green"}
    assert form.share == pytest.approx(399 / 400)


def test_the_keys_of_json_are_told() -> None:
    form = guess_form(replies(lambda n: f'```json\n{{"id": {n}, "tags": [], "name": "n{n}"}}\n```'))
    assert form.kind == "json"
    assert [(key.name, key.kind) for key in form.fields] == [
        ("id", "number"), ("tags", "json"), ("name", "text"),
    ]  # fmt: skip
    assert form.answer_field is None


def test_one_key_beside_reasons_is_the_answer() -> None:
    form = guess_form(replies(lambda n: f'{{"reasoning": "it is {n}", "colour": "{colour(n)}"}}'))
    assert (form.answer_field, form.rationale_field, form.explained) == ("colour", "reasoning", 1.0)


def test_other_replies_are_text() -> None:
    form = guess_form(replies(lambda n: f"There were {n} of them, and then some {'x' * n}"))
    assert (form.kind, form.labels) == ("text", ())
    assert form.characters == pytest.approx(87, abs=2)


def test_a_few_replies_have_no_form() -> None:
    assert guess_form(replies(colour, 4)).kind == "unknown"
    assert guess_form([]).kind == "unknown"
    assert guess_form(replies(lambda n: "")).kind == "text"
