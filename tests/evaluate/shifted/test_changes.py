from __future__ import annotations

import random
import re
from collections import Counter

import pytest

from limbeck.capture.sandbox.tasks import load
from limbeck.errors import DataError
from limbeck.evaluate.shifted import distractor, new_numbers, one_more_step, renamed, reordered
from limbeck.evaluate.shifted.change import CHANGES, load_change, settled
from limbeck.evaluate.shifted.generated import solver_of
from limbeck.evaluate.shifted.question import without_question
from limbeck.evaluate.shifted.text import divide
from limbeck.types import Example

TEXT = "Anna has 12 apples. She buys 7 more and gives Tom 4. How many apples does Anna have?"
CHAIN = "12 + 7 = 19\n19 - 4 = 15"


def example(text: str = TEXT, truth: str = "15", rationale: str | None = CHAIN) -> Example:
    return Example(trace_id="t", input=text, rationale=rationale, answer=truth, truth=truth)


def test_every_change_says_what_it_is() -> None:
    for name in CHANGES:
        assert load_change(name).MEANING.endswith(".")


@pytest.mark.parametrize("text", [TEXT, "One line\nand another.\n\nA third?", "no end", "a. b. c?"])
def test_a_divided_text_is_put_together_again(text: str) -> None:
    sentences = divide(text)
    assert sentences.join(list(sentences.parts)) == text


def test_names_change_everywhere_and_keep_their_kind() -> None:
    choices = ("Anna", "Tom")
    asked = example().model_copy(update={"choices": choices, "truth": "Anna", "answer": "Anna"})
    changed = renamed.change(asked, random.Random(0))
    assert changed is not None
    done = changed.example
    assert "Anna" not in done.input
    assert "Tom" not in done.input
    assert done.truth == done.choices[0]
    assert done.input.count(done.truth) == 2
    assert done.truth.lower() in renamed.FEMALE
    assert done.choices[1].lower() in renamed.MALE
    assert "12 apples" in done.input


def test_a_text_without_names_is_left_alone() -> None:
    assert renamed.change(example("two boxes stand there."), random.Random(0)) is None


def test_new_numbers_have_their_size_and_the_answer_follows_from_the_chain() -> None:
    for seed in range(20):
        changed = new_numbers.change(example(), random.Random(seed))
        assert changed is not None
        a, b, c = (int(one) for one in new_numbers._NUMBER.findall(changed.example.input))
        assert [len(str(one)) for one in (a, b, c)] == [2, 1, 1]
        assert changed.example.truth == str(a + b - c)
        assert changed.truth == "derived"


@pytest.mark.parametrize(
    ("truth", "rationale"),
    [
        ("16", CHAIN),  # the chain does not lead to the truth
        ("15", "12 + 7 = 20\n20 - 5 = 15"),  # a step is wrong, a number comes from nowhere
        ("15", "It is 15."),
        ("15", None),
        ("deny", CHAIN),
    ],
)
def test_no_answer_is_made_up_where_the_chain_does_not_carry_it(
    truth: str, rationale: str | None
) -> None:
    changed = new_numbers.change(example(truth=truth, rationale=rationale), random.Random(0))
    assert changed is not None
    assert settled(changed, None) is None


def test_a_number_that_stands_twice_could_be_either_and_is_left_alone() -> None:
    text = TEXT.replace("7 more", "12 more")
    changed = new_numbers.change(example(text, "20", "12 + 12 = 24\n24 - 4 = 20"), random.Random(0))
    assert changed is not None
    assert settled(changed, None) is None


def test_resampled_sandbox_sums_agree_with_the_solver() -> None:
    sandbox = load("ledger")
    checked = 0
    for item in sandbox.generate(60, seed=5):
        asked = example(item.input, item.truth, "\n".join(item.steps))
        changed = new_numbers.change(asked, random.Random(item.input))
        if changed is None or changed.truth == "open":
            continue
        checked += 1
        assert sandbox.solve(changed.example.input).truth == changed.example.truth
    assert checked >= 10


def test_sentences_are_mixed_and_the_question_stays() -> None:
    changed = reordered.change(example(), random.Random(0))
    assert changed is not None
    before, after = divide(TEXT).parts, divide(changed.example.input).parts
    assert after[-1] == before[-1]
    assert Counter(after) == Counter(before)
    assert after != before
    assert changed.truth == "assumed"


def test_a_distractor_is_one_sentence_more_and_says_no_number() -> None:
    changed = distractor.change(example(), random.Random(3))
    assert changed is not None
    parts = divide(changed.example.input).parts
    assert len(parts) == 4
    assert parts[-1].endswith("?")
    [added] = set(parts) - set(divide(TEXT).parts)
    assert added in distractor.ASIDES
    assert not any(character.isdigit() for character in added)


def test_the_question_is_taken_out_and_nothing_else() -> None:
    left = without_question(example())
    assert left is not None
    assert left.input == "Anna has 12 apples. She buys 7 more and gives Tom 4."
    assert without_question(example("How many?")) is None
    assert without_question(example("There is nothing to ask. Nothing.")) is None


def test_a_solver_settles_the_truth_and_what_it_cannot_read_is_left_out() -> None:
    changed = reordered.change(example(), random.Random(0))
    assert changed is not None

    def unreadable(text: str) -> str:
        raise DataError("cannot read it")

    assert settled(changed, None) == changed
    assert settled(changed, unreadable) is None
    other = settled(changed, lambda text: "99")
    assert other is not None
    assert (other.example.truth, other.truth) == ("99", "derived")
    same = settled(changed, lambda text: "15")
    assert same is not None
    assert (same.example.truth, same.truth) == ("15", "derived")
    aside = distractor.change(example(), random.Random(3))
    assert aside is not None
    assert settled(aside, lambda text: "15") == aside


def test_one_more_step_adds_to_the_answer() -> None:
    for seed in range(10):
        changed = one_more_step.change(example(), random.Random(seed))
        assert changed is not None
        found = re.fullmatch(r"(.*) Then add (\d) to the result\.", changed.example.input)
        assert found is not None
        assert found[1] == TEXT
        assert changed.example.truth == str(15 + int(found[2]))
    assert one_more_step.change(example(truth="deny"), random.Random(0)) is None


def test_numbers_of_a_label_are_new_where_a_solver_says_what_is_right() -> None:
    sandbox = load("refunds")
    solver = solver_of(sandbox)
    found = []
    for item in sandbox.generate(40, seed=5):
        changed = new_numbers.change(example(item.input, item.truth, None), random.Random(1))
        assert changed is not None
        assert settled(changed, None) is None
        done = settled(changed, solver)
        if done is not None:
            found.append((item, done))
    assert len(found) >= 20
    assert all(done.truth == "derived" for _, done in found)
    assert all(done.example.input != item.input for item, done in found)
    assert any(done.example.truth != item.truth for item, done in found)
