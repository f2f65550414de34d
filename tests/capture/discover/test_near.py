from __future__ import annotations

import random

from limbeck.capture.discover.near import (
    ALIKE,
    CANDIDATE,
    NEAR,
    Prompt,
    close_pairs,
    resemblance,
    same_order,
)

VOCABULARY = [f"word{chr(97 + n)}{chr(97 + m)}" for n in range(20) for m in range(20)]


def prose(rng: random.Random, words: int) -> list[str]:
    return [rng.choice(VOCABULARY) for _ in range(words)]


def test_a_prompt_with_a_changed_sentence_is_near() -> None:
    words = prose(random.Random(1), 200)
    changed = [*words[:100], *prose(random.Random(2), 8), *words[104:]]
    one, two = Prompt(" ".join(words)), Prompt(" ".join(changed))
    assert resemblance(one, two) > NEAR
    assert list(close_pairs([one, two])) == [(0, 1, resemblance(one, two))]


def test_examples_in_another_order_are_near() -> None:
    rng = random.Random(3)
    lines = [" ".join(prose(rng, 12)) for _ in range(12)]
    shuffled = random.Random(4).sample(lines, len(lines))
    one, two = Prompt("\n".join(lines)), Prompt("\n".join(shuffled))
    assert resemblance(one, two) > NEAR
    assert one.bag == two.bag


def test_a_name_in_a_short_prompt_is_alike_in_order() -> None:
    one = Prompt("You are Ann, the agent of a shop. Say which team takes the ticket.")
    two = Prompt("You are Bob, the agent of a shop. Say which team takes the ticket.")
    assert same_order(one, two) >= ALIKE
    assert CANDIDATE <= resemblance(one, two) < 1.0


def test_all_near_pairs_of_many_are_found_and_others_are_not() -> None:
    rng = random.Random(5)
    originals = [prose(rng, 120) for _ in range(150)]
    texts = [" ".join(words) for words in originals]
    texts += [" ".join([*words[:-3], "and", "so", "on"]) for words in originals]
    found = {(a, b) for a, b, near in close_pairs([Prompt(text) for text in texts])}
    assert found == {(n, n + 150) for n in range(150)}


def test_an_empty_prompt_is_near_nothing() -> None:
    assert list(close_pairs([Prompt(""), Prompt(""), Prompt("one two")])) == []
    assert resemblance(Prompt("word"), Prompt("word")) == 1.0


def test_many_of_one_kind_are_all_joined_to_the_first() -> None:
    words = prose(random.Random(6), 100)
    prompts = [Prompt(" ".join([*words, f"end{chr(97 + n % 26)}{n // 26}"])) for n in range(90)]
    joined = {0}
    for one, two, _ in close_pairs(prompts):
        if one in joined:
            joined.add(two)
    assert joined == set(range(90))
