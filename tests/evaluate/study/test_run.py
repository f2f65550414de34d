from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from limbeck.curate.dataset import Dataset
from limbeck.distill.settings import DistillSettings
from limbeck.errors import DatasetError, UsageError
from limbeck.evaluate.study import run
from limbeck.evaluate.study.estimate import estimate
from limbeck.evaluate.study.result import Score
from limbeck.evaluate.study.run import Job, Plan, plan_study, run_study

TINY = DistillSettings(
    steps=2, batch=2, vocabulary=400, evaluate_items=1, threads=1, precision="float32"
)
Planned = Callable[..., Plan]
Trained = list[str]


@pytest.fixture
def planned(dataset: Dataset, tmp_path: Path) -> Planned:
    def make(name: str = "recipes", home: str = "studies", **given: Any) -> Plan:
        of_study = given.pop("of_study", {"recipes": "think-first"})
        settings = given.pop("settings", TINY)
        return plan_study(
            name, dataset, tmp_path / home, given=of_study, settings=settings, **given
        )

    return make


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> Trained:
    """The labels of the jobs that would have been trained; each gets a score in their place."""
    labels: Trained = []

    def instead(job: object, given: Sequence[Job], **_: object) -> None:
        for one in given:
            labels.append(one.label)
            seed = one.spec.settings.seed
            score = Score(
                student=one.score.stem,
                recipe=one.spec.recipe,
                base=one.spec.base,
                batch=2,
                seed=seed,
                weights="sha256:1",
                items="sha256:2",
                right=tuple((item + seed) % 3 > 0 for item in range(30)),
                unanswered=0,
                tokens=4.0,
                seconds=3.0,
                train_seconds=8.0,
                train_inputs=78,
                train_tokens=900,
                steps=2,
                epochs=0.1,
                parameters=1_000,
            )
            one.score.parent.mkdir(parents=True, exist_ok=True)
            one.score.write_text(score.model_dump_json())

    monkeypatch.setattr(run, "side_by_side", instead)
    return labels


def test_every_arm_gets_every_seed(planned: Planned) -> None:
    plan = planned(seeds=(4, 5, 6))
    assert [job.label for job in plan.jobs] == [
        f"{arm} s{seed}" for arm in ("label", "think-first") for seed in (4, 5, 6)
    ]
    assert plan.missing == plan.jobs
    assert len({job.score for job in plan.jobs}) == 6


def test_fewer_than_three_seeds_are_refused(planned: Planned) -> None:
    with pytest.raises(UsageError, match="wants 3 seeds or more and got 2"):
        planned(seeds=(0, 1, 1))


def test_a_split_of_few_questions_is_refused(planned: Planned) -> None:
    with pytest.raises(DatasetError, match=r"validation split of .* wanted 20 or more"):
        planned(split="validation")


def test_one_more_arm_trains_one_arm(planned: Planned, trained: Trained) -> None:
    first = run_study(planned())
    assert len(trained) == 6
    trained.clear()
    assert run_study(planned()) == first
    assert trained == []
    more = run_study(planned(of_study={"recipes": "think-first,multitask"}))
    assert trained == ["multitask s0", "multitask s1", "multitask s2"]
    assert more.arms[:2] == first.arms
    trained.clear()
    run_study(planned(seeds=(0, 1, 2, 3)))
    assert trained == ["label s3", "think-first s3"]


def test_an_arm_is_shared_between_studies(planned: Planned, trained: Trained) -> None:
    run_study(planned())
    trained.clear()
    run_study(planned("structure", of_study={"kinds": "digits", "doses": "1"}))
    assert trained == ["digits 100% s0", "digits 100% s1", "digits 100% s2"]


def test_other_settings_are_other_students(planned: Planned, trained: Trained) -> None:
    run_study(planned())
    longer = planned(settings=TINY.model_copy(update={"steps": 3}))
    assert len(longer.missing) == 6
    # Threads are the machine's business.
    assert planned(settings=TINY.model_copy(update={"threads": 2})).missing == ()


def test_a_study_that_was_stopped_continues_with_what_is_missing(
    planned: Planned, trained: Trained
) -> None:
    run_study(planned())
    lost = planned().jobs[4]
    lost.score.unlink()
    trained.clear()
    run_study(planned())
    assert trained == [lost.label]


def test_sizes_differ_in_their_data_and_seeds_in_their_draw(planned: Planned) -> None:
    plan = planned("sample-efficiency", of_study={"sizes": "18,36", "recipes": ""})
    folders = [job.spec.dataset for job in plan.jobs]
    assert len(set(folders)) == 6
    assert len(list((plan.home / "datasets").iterdir())) == 6


def test_known_students_tell_how_long_the_missing_ones_take(
    planned: Planned, trained: Trained
) -> None:
    run_study(planned())
    assert estimate(planned()).seconds == 0
    said = estimate(planned(of_study={"recipes": "think-first,multitask"}), jobs=3)
    assert (said.students, said.missing, said.side_by_side, said.tried) == (9, 3, 3, False)
    # Two steps of two inputs took eight seconds, and thirty answers three.
    asked = len(planned().dataset.split("test"))
    assert said.seconds == pytest.approx(4 + 8 + asked * 0.1, abs=0.1)


@pytest.mark.slow
def test_a_study_is_run_and_a_second_time_only_read(planned: Planned) -> None:
    plan = planned()
    said = estimate(plan, jobs=1)
    assert said.tried
    assert said.seconds > 0
    found = run_study(plan, jobs=1)
    assert plan.missing == ()
    assert found.n == len(plan.dataset.split("test"))
    assert [arm.train_inputs for arm in found.arms] == [78, 78]
    assert [arm.steps for arm in found.arms] == [2, 2]
    for arm in found.arms:
        assert all((plan.home / "students" / seed.student).is_dir() for seed in arm.seeds)
    students = sorted((plan.home / "students").iterdir())
    before = [(folder / "limbeck.json").stat().st_mtime_ns for folder in students]
    assert run_study(planned(), jobs=1) == found
    assert [(folder / "limbeck.json").stat().st_mtime_ns for folder in students] == before
