from __future__ import annotations

import random

import pytest

from limbeck.capture.discover.align import find_template
from limbeck.capture.template import match

TALE = "we took the old road to town and saw a red barn by that river near an inn"
WORDS = TALE.split()


def prose(rng: random.Random, least: int = 6, most: int = 25) -> str:
    return " ".join(rng.choice(WORDS) for _ in range(rng.randint(least, most)))


def filled(template: str, n: int = 60) -> list[str]:
    rng = random.Random(1)
    texts = []
    for at in range(n):
        date = f"2026-07-{at % 28 + 1:02d}"
        texts.append(
            template.replace("{date}", date)
            .replace("{story}", prose(rng))
            .replace("{title}", prose(rng, 1, 3))
            .replace("{text}", prose(rng))
        )
    return texts


@pytest.mark.parametrize(
    "template",
    [
        "Say where the story plays.\n\nStory: {story}",
        "{text}\n\nSay in one word where the text above plays.",
        "Title: {title}\nStory: {story}\nSay in one word where it plays.",
        'Look at <story>{story}</story> and give {"place": "..."} as JSON.',
        'Read this: {"title": "{title}", "story": "{story}"} and say where it plays.',
        "Today is {date}. Say how old the story is.\nStory: {story}",
        "Say {{name}} of the one in this text.\n## Text\n{text}",
    ],
)
def test_a_template_is_found_with_the_names_of_its_fields(template: str) -> None:
    texts = filled(template.replace("{{name}}", "{name}"))
    found = find_template(texts)
    assert found is not None
    assert (found.template, found.share) == (template, 1.0)


def test_a_sign_that_ends_every_value_belongs_to_it() -> None:
    rng = random.Random(2)
    texts = [f"Say where it plays.\nStory: {prose(rng)}?\n\nGive one word." for _ in range(40)]
    found = find_template(texts)
    assert found is not None
    assert found.template == "Say where it plays.\nStory: {story}\n\nGive one word."


def test_a_month_that_all_dates_share_is_no_constant() -> None:
    texts = [f"Today is July {n}, 2026. Say which day of the week it is." for n in range(1, 30)]
    found = find_template(texts)
    assert found is not None
    assert found.template == "Today is {date}. Say which day of the week it is."
    assert match(found.template, "Today is August 4, 2027. Say which day of the week it is.")


def test_a_few_other_texts_do_not_hide_the_template() -> None:
    rng = random.Random(3)
    texts = [
        *filled("Say where the story plays.\n\nStory: {story}", 96),
        *(prose(rng) for _ in "abcd"),
    ]
    found = find_template(texts)
    assert found is not None
    assert found.share == pytest.approx(0.96)
    assert find_template(texts, enough=0.97) is None


def test_texts_with_nothing_in_common_have_no_template() -> None:
    rng = random.Random(4)
    assert find_template([prose(rng) for _ in range(50)]) is None
    assert find_template(["the same text"] * 9) is None


def test_fields_of_one_name_are_told_apart() -> None:
    rng = random.Random(5)
    texts = [
        f"Compare them.\nText: {prose(rng)}\nText: {prose(rng)}\nText: {prose(rng)}"
        for _ in range(60)
    ]
    found = find_template(texts)
    assert found is not None
    assert found.template == "Compare them.\nText: {text}\nText: {text_2}\nText: {text_3}"
