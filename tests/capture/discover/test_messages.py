from __future__ import annotations

import random
from collections.abc import Sequence

from limbeck.capture.discover.messages import FEWEST, find_templates

TALE = "we took the old road to town and saw a red barn by that river near an inn"
WORDS = TALE.split()
PLACE = "Say in one word where the text plays.\n\nText: {}\n\nGive only the word."
TENSE = "Say which tense the writer of these lines uses.\n\nLines: {}\n\nGive only the word."


def prose(rng: random.Random) -> str:
    return " ".join(rng.choice(WORDS) for _ in range(rng.randint(6, 25)))


def never(one: object, two: object) -> bool:
    return False


def test_templates_with_a_phrase_in_common_are_told_apart() -> None:
    rng = random.Random(1)
    texts = [rng.choice((PLACE, PLACE, TENSE)).format(prose(rng)) for _ in range(300)]
    texts += [prose(rng) for _ in range(200)]
    made = find_templates(texts, never)
    assert [one.template for one in made] == [PLACE.format("{text}"), TENSE.format("{lines}")]
    for one, start in zip(made, ("Say in", "Say which"), strict=True):
        assert one.of == [at for at, text in enumerate(texts) if text.startswith(start)]


def test_wordings_of_the_input_are_no_templates_of_their_own() -> None:
    rng = random.Random(2)
    openings = ["I would like you to know that ", "It has been said by many that ", ""]
    texts = [PLACE.format(rng.choice(openings) + prose(rng)) for _ in range(300)]
    assert [one.template for one in find_templates(texts, never)] == [PLACE.format("{text}")]


def test_parts_that_are_answered_otherwise_are_templates_of_their_own() -> None:
    rng = random.Random(3)
    jobs = ["whether it is sad or glad", "how many animals are in it"]
    texts = [
        f"Read the whole text, twice where it is long, and say {rng.choice(jobs)}.\n\nText: {prose(rng)}"
        for _ in range(300)
    ]

    def different(one: Sequence[int], two: Sequence[int]) -> bool:
        return ("sad" in texts[one[0]]) != ("sad" in texts[two[0]])

    assert len(find_templates(texts, never)) == 1
    assert sorted(one.template for one in find_templates(texts, different)) == sorted(
        f"Read the whole text, twice where it is long, and say {job}.\n\nText: {{text}}"
        for job in jobs
    )


def test_conversation_has_no_template() -> None:
    rng = random.Random(4)
    assert find_templates([prose(rng) for _ in range(500)], never) == []
    assert find_templates(["thanks"] * 100, never) == []


def test_few_messages_make_no_template() -> None:
    rng = random.Random(5)
    assert find_templates([PLACE.format(prose(rng)) for _ in range(FEWEST - 1)], never) == []
    assert len(find_templates([PLACE.format(prose(rng)) for _ in range(FEWEST)], never)) == 1
