from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from limbeck.curate.dataset import Dataset
from limbeck.errors import DatasetError, StudentError
from limbeck.evaluate import answers as module
from limbeck.evaluate.answers import answers_of
from limbeck.models.local import Said
from limbeck.types import StudentCard

Say = Callable[[str], str | None]


@pytest.fixture
def folder(card: Callable[..., StudentCard], dataset: Dataset, tmp_path: Path) -> Path:
    made = card(task=dataset.task, dataset=dataset.hash)
    (tmp_path / "limbeck.json").write_text(made.model_dump_json())
    return tmp_path


@pytest.fixture
def student(monkeypatch: pytest.MonkeyPatch) -> Callable[[Say], list[int]]:
    """Puts in place of the model one that says what it is told; gives the sizes of what it is asked."""
    asked: list[int] = []

    class Told:
        say: Say

        @classmethod
        def load(cls, folder: Path, *, threads: int = 0) -> Told:
            return cls()

        def ask(
            self, inputs: Sequence[str], progress: Callable[[int], None] | None = None
        ) -> list[Said]:
            asked.append(len(inputs))
            return [
                Said(
                    answer=type(self).say(text),
                    rationale=None,
                    logprobs=(-0.5,),
                    margin=1.0,
                    rationale_logprob=0.0,
                    new_tokens=2,
                    stopped=True,
                )
                for text in inputs
            ]

    def put(say: Say) -> list[int]:
        Told.say = staticmethod(say)
        monkeypatch.setattr(module, "Student", Told)
        return asked

    return put


def test_an_answer_is_right_by_the_truth_and_not_by_the_teacher(
    folder: Path, dataset: Dataset, student: Callable[[Say], list[int]]
) -> None:
    truths = {example.input: example.truth for example in dataset.split("test")}
    student(truths.__getitem__)
    assert answers_of(folder, dataset, "test").right.all()


def test_case_is_repaired_and_nonsense_and_silence_are_wrong(
    folder: Path, dataset: Dataset, student: Callable[[Say], list[int]]
) -> None:
    examples = dataset.split("test")
    said: dict[str, str | None] = {example.input: example.truth.upper() for example in examples}
    said[examples[0].input] = "perhaps"
    said[examples[1].input] = None
    student(said.__getitem__)
    found = answers_of(folder, dataset, "test")
    assert found.said[:3] == [None, None, examples[2].truth]
    assert found.right.tolist() == [False, False] + [True] * (len(examples) - 2)


def test_a_second_look_asks_nobody_and_sees_the_same(
    folder: Path, dataset: Dataset, student: Callable[[Say], list[int]]
) -> None:
    choice = dataset.split("test")[0].truth
    asked = student(lambda text: choice)
    first = answers_of(folder, dataset, "test")
    told: list[int] = []
    second = answers_of(folder, dataset, "test", progress=told.append)
    assert asked == [len(first.examples)]
    assert told == [len(first.examples)]
    assert second.said == first.said
    assert np.array_equal(second.signals, first.signals)
    assert np.array_equal(second.right, first.right)
    assert second.seconds == pytest.approx(first.seconds)
    answers_of(folder, dataset, "validation")
    assert len(asked) == 2


def test_other_weights_are_asked_anew(
    folder: Path,
    dataset: Dataset,
    card: Callable[..., StudentCard],
    student: Callable[[Say], list[int]],
) -> None:
    asked = student(lambda text: None)
    answers_of(folder, dataset, "test")
    changed = card(task=dataset.task, dataset=dataset.hash, weights="sha256:another")
    (folder / "limbeck.json").write_text(changed.model_dump_json())
    answers_of(folder, dataset, "test")
    assert len(asked) == 2


def test_a_student_of_another_dataset_may_have_seen_the_test_and_is_refused(
    folder: Path, dataset: Dataset, card: Callable[..., StudentCard]
) -> None:
    (folder / "limbeck.json").write_text(card(dataset="sha256:another").model_dump_json())
    with pytest.raises(StudentError, match="its training data may overlap the test split"):
        answers_of(folder, dataset, "test")


def test_a_split_that_is_not_there_is_named(folder: Path, dataset: Dataset) -> None:
    with pytest.raises(DatasetError, match="has no split 'tests'"):
        answers_of(folder, dataset, "tests")
