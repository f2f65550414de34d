from __future__ import annotations

from pathlib import Path

import pytest

from limbeck.curate.dataset import Dataset, read_dataset
from limbeck.curate.samplers import SAMPLERS
from limbeck.errors import DatasetError
from limbeck.evaluate.study.arms import Cut
from limbeck.evaluate.study.data import cut, dropped_for_quality


def inputs(dataset: Dataset) -> set[str]:
    return set(dataset.rows("train")["input"])


def test_all_of_the_data_is_the_dataset_itself(dataset: Dataset, tmp_path: Path) -> None:
    whole = dataset.rows("train")["input"].n_unique()
    assert cut(dataset, Cut(), 0, tmp_path) is dataset
    assert cut(dataset, Cut(inputs=whole), 3, tmp_path) is dataset
    assert list(tmp_path.iterdir()) == []


def test_a_smaller_draw_is_part_of_a_larger_one_of_its_seed(
    dataset: Dataset, tmp_path: Path
) -> None:
    small, large, other = (
        cut(dataset, Cut(inputs=count), seed, tmp_path)
        for count, seed in ((10, 0), (30, 0), (30, 1))
    )
    assert (len(inputs(small)), len(inputs(large))) == (10, 30)
    assert inputs(small) < inputs(large) < inputs(dataset)
    assert inputs(large) != inputs(other)


def test_the_questions_stay_the_same_and_the_folder_is_a_whole_dataset(
    dataset: Dataset, tmp_path: Path
) -> None:
    made = read_dataset(cut(dataset, Cut(inputs=12), 0, tmp_path).path)
    for split in ("validation", "calibration", "test"):
        assert made.rows(split).equals(dataset.rows(split))
    assert made.hash != dataset.hash
    assert made.manifest.summary.splits["train"] == 12
    assert dataset.hash in made.manifest.caveats[-1]


def test_the_same_draw_again_is_the_same_folder(dataset: Dataset, tmp_path: Path) -> None:
    first = cut(dataset, Cut(inputs=12), 0, tmp_path)
    assert cut(dataset, Cut(inputs=12), 0, tmp_path) == first
    assert [path.name for path in tmp_path.iterdir()] == [first.path.name]


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_sampler_leaves_so_many_chains_of_every_input(
    several: Dataset, tmp_path: Path, sampler: str
) -> None:
    made = cut(several, Cut(chains=2, sampler=sampler), 0, tmp_path)
    counted = made.rows("train").group_by("input").len()
    assert counted["len"].unique().to_list() == [2]
    assert inputs(made) == inputs(several)


def test_only_a_sampler_that_draws_depends_on_the_seed(several: Dataset, tmp_path: Path) -> None:
    def kept(sampler: str, seed: int) -> set[str]:
        made = cut(several, Cut(chains=2, sampler=sampler), seed, tmp_path)
        return set(made.rows("train")["trace_id"])

    assert kept("random", 0) != kept("random", 1)
    assert kept("shortest_correct", 0) == kept("shortest_correct", 1)


def test_more_inputs_than_there_are_is_an_error(dataset: Dataset, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"wants 9,999 inputs .* has \d+; name fewer"):
        cut(dataset, Cut(inputs=9_999), 0, tmp_path)


def test_everything_is_what_was_kept_and_what_a_check_dropped(
    dataset: Dataset, tmp_path: Path
) -> None:
    dropped = dropped_for_quality(dataset)
    assert dropped.height > 0
    assert dropped.columns == dataset.rows("train").columns
    everything = cut(dataset, Cut(pool="everything"), 0, tmp_path)
    assert inputs(everything) == inputs(dataset) | set(dropped["input"])
    unchecked = cut(dataset, Cut(pool="unchecked"), 0, tmp_path)
    assert len(inputs(unchecked)) == len(inputs(dataset))
    assert inputs(unchecked) & set(dropped["input"])


def test_what_was_dropped_teaches_what_the_teacher_said(dataset: Dataset) -> None:
    dropped = dropped_for_quality(dataset)
    assert dropped["answer"].is_in(dataset.task.answer.choices).all()
    assert not dropped["input"].is_in(dataset.rows("test")["input"].to_list()).any()
    wrong = dropped.filter(dropped["teacher_correct"].not_())
    assert (wrong["answer"] != wrong["truth"]).all()
