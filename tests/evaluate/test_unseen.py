from __future__ import annotations

import pytest

from limbeck.curate.dataset import Dataset
from limbeck.errors import DatasetError
from limbeck.evaluate.unseen import find_seen, refuse_seen
from limbeck.types import Example


def example(text: str) -> Example:
    return Example(trace_id=text, input=text, answer="deny", truth="deny")


def test_the_test_split_of_a_dataset_was_never_seen(dataset: Dataset) -> None:
    seen = find_seen(dataset.split("test"), dataset)
    assert (seen.exact, seen.near, seen.rows) == (0, 0, ())
    refuse_seen("a student", "test", seen)


def test_what_trained_or_selected_is_found_by_its_text(dataset: Dataset) -> None:
    fresh, train, chosen = (dataset.split(s)[0] for s in ("test", "train", "validation"))
    shouted = train.model_copy(update={"input": train.input.upper()})
    seen = find_seen([fresh, train, chosen, shouted], dataset)
    assert (seen.n, seen.exact, seen.rows) == (4, 3, (1, 2, 3))


def test_what_is_nearly_the_same_is_found_and_other_numbers_are_another_question(
    dataset: Dataset,
) -> None:
    text = dataset.split("train")[0].input
    reworded = text[:-1] + ", thank you."
    other_number = "".join(str((int(c) + 3) % 10) if c.isdigit() else c for c in text)
    seen = find_seen([example(reworded), example(other_number)], dataset)
    assert (seen.exact, seen.near, seen.rows) == (0, 1, (0,))


def test_a_seen_split_is_refused_with_what_to_do(dataset: Dataset) -> None:
    seen = find_seen(dataset.split("train"), dataset)
    with pytest.raises(
        DatasetError, match=r"were seen in the training .* leave them out with --skip-seen"
    ):
        refuse_seen("a student", "test", seen)


def test_nothing_was_seen_of_nothing(dataset: Dataset) -> None:
    assert find_seen([], dataset).n == 0
