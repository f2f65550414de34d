"""What an assessment says of tasks whose right answer is planted."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from limbeck.capture.importer import import_rows
from limbeck.curate.assess.assess import assess
from limbeck.curate.assess.findings import Assessment
from limbeck.curate.assess.settings import AssessSettings
from limbeck.errors import DataError
from limbeck.store.store import Store
from limbeck.types import Outcome, Task, Trace
from limbeck.workspace import read_task

Planted = tuple[Task, list[Trace], dict[str, Outcome]]
Assessed = Callable[..., Assessment]
EXAMPLES = Path(__file__).parents[3] / "examples" / "tasks"


def test_a_task_that_words_give_away_is_not_distilled(
    easy: Callable[..., Planted], assessed: Assessed
) -> None:
    found = assessed(easy(), max_risk=0.1)
    assert found.decision.verdict == "dont"
    assert found.decision.more is None
    [reason] = found.decision.reasons
    assert "A linear model over words gets" in reason
    accuracy = found.findings.baseline.accuracy
    assert accuracy is not None
    assert accuracy.low >= 0.97


def test_a_task_of_rules_with_templates_is_a_go(
    rules: Callable[[int], Planted], assessed: Assessed
) -> None:
    found = assessed(rules(900), max_risk=0.1)
    assert found.decision.verdict == "go"
    chains, accuracy = found.findings.chains, found.findings.baseline.accuracy
    assert chains is not None
    assert accuracy is not None
    assert chains.program.low > 0.9
    assert chains.steps_right == 1.0
    assert accuracy.high < 0.8
    assert found.findings.volume.days == pytest.approx(56, abs=0.1)
    assert any("program-like" in reason for reason in found.decision.reasons)


def test_too_few_labels_are_waited_for_with_their_number(
    rules: Callable[[int], Planted], assessed: Assessed
) -> None:
    found = assessed(rules(120))
    assert found.decision.verdict == "wait"
    missing = found.decision.labels_needed - found.findings.stability.usable
    assert found.findings.stability.usable == 120
    assert found.decision.more is not None
    assert found.decision.more >= missing > 0
    assert any("At today's rate" in reason for reason in found.decision.reasons)


def test_free_text_that_nothing_can_check_is_not_distilled(
    essays: Callable[[int], Planted], assessed: Assessed
) -> None:
    found = assessed(essays(400))
    assert found.decision.verdict == "dont"
    assert any("open-ended" in reason for reason in found.decision.reasons)
    assert found.findings.chains is not None
    assert found.findings.chains.program.high < 0.2


def test_inputs_that_changed_lately_are_waited_for(
    easy: Callable[..., Planted], assessed: Assessed
) -> None:
    # The target lies out of a linear model's reach, so that only the change decides.
    found = assessed(easy(900, changed_at=700), target=1.0, max_risk=0.1)
    stability = found.findings.stability
    assert sum(week.drifted for week in stability.weeks) in (1, 2)
    assert stability.changed is not None
    assert stability.usable < 400
    assert found.decision.verdict == "wait"
    assert found.decision.more == found.decision.labels_needed - stability.usable
    assert "since the inputs changed" in found.decision.reasons[0]


def test_inputs_that_stay_the_same_are_not_called_changed(
    easy: Callable[..., Planted], assessed: Assessed
) -> None:
    stability = assessed(easy(900)).findings.stability
    assert stability.weeks
    assert stability.changed is None
    assert stability.usable == 900


def test_new_instructions_make_the_earlier_calls_unusable(
    easy: Callable[..., Planted], assessed: Assessed
) -> None:
    task, traces, truths = easy(400)
    moved = []
    for n, trace in enumerate(traces):
        new = trace.provenance.model_copy(
            update={"skeleton": "sha256:two" if n >= 300 else "sha256:one"}
        )
        moved.append(trace.model_copy(update={"provenance": new}))
    truths = {
        new.id: truths[old.id].model_copy(update={"trace_id": new.id})
        for old, new in zip(traces, moved, strict=True)
    }
    found = assessed((task, moved, truths), target=1.0)
    assert found.findings.stability.current == "sha256:two"
    assert found.findings.stability.usable == 100
    assert found.decision.verdict == "wait"
    assert "under today's instructions" in found.decision.reasons[0]


def test_a_volume_that_never_pays_is_not_distilled(
    rules: Callable[[int], Planted], assessed: Assessed
) -> None:
    found = assessed(rules(300), monthly_calls=1000)
    assert found.decision.verdict == "dont"
    money = found.findings.break_even
    assert money is not None
    assert money.saved == pytest.approx(1000 * 0.01 * 0.7)
    assert money.months is None
    # 50 a month and 500 over a year, at 0.7 cents a call.
    assert money.calls_needed == pytest.approx((50 + 500 / 12) / 0.007)
    assert "it never pays" in found.decision.reasons[0]


def test_a_short_span_does_not_decide_about_money(
    rules: Callable[[int], Planted], assessed: Assessed
) -> None:
    task, traces, truths = rules(300)
    first = traces[0].created_at
    assert first is not None
    moved = [
        trace.model_copy(update={"created_at": first + timedelta(hours=n / 3)})
        for n, trace in enumerate(traces)
    ]
    known = {
        new.id: truths[old.id].model_copy(update={"trace_id": new.id})
        for old, new in zip(traces, moved, strict=True)
    }
    found = assessed((task, moved, known), monthly_calls=None)
    assert found.findings.break_even is not None
    assert found.findings.break_even.months is None
    assert found.decision.verdict == "wait"


def test_a_teacher_that_is_often_wrong_is_not_distilled_at_such_a_coverage(
    rules: Callable[[int], Planted], assessed: Assessed
) -> None:
    task, traces, truths = rules(400)
    labels = task.answer.choices
    wrong = {
        name: one.model_copy(update={"value": next(x for x in labels if x != one.value)})
        for name, one in list(truths.items())[::2]
    }
    planted = (task, traces, {**truths, **wrong})
    found = assessed(planted, sample=400)
    assert found.decision.verdict == "dont"
    [reason] = [one for one in found.decision.reasons if one.startswith("The teacher is right")]
    assert "in 50.0% (" in reason
    assert "and 70% are wanted" in reason
    assert "--coverage 0.55" in reason
    less = assessed(planted, sample=400, coverage=0.5).decision.reasons
    assert not any(one.startswith("The teacher is right") for one in less)


def test_money_counted_over_few_days_is_not_believed(
    rules: Callable[[int], Planted], assessed: Assessed
) -> None:
    task, traces, truths = rules(400)
    first = traces[0].created_at
    assert first is not None
    moved = [
        trace.model_copy(update={"created_at": first + timedelta(seconds=n), "cost_usd": 1.0})
        for n, trace in enumerate(traces)
    ]
    known = {
        new.id: truths[old.id].model_copy(update={"trace_id": new.id})
        for old, new in zip(traces, moved, strict=True)
    }
    found = assessed((task, moved, known), monthly_calls=None, max_doubling_gain=1.0)
    assert found.findings.break_even is not None
    assert found.findings.break_even.months is not None
    assert not any("It saves" in reason for reason in found.decision.reasons)


def test_one_label_only_is_a_constant(easy: Callable[..., Planted], assessed: Assessed) -> None:
    task, traces, truths = easy(400)
    same = {name: one.model_copy(update={"value": "deny"}) for name, one in truths.items()}
    found = assessed((task, traces, same))
    assert found.decision.verdict == "dont"
    assert "a constant gives it" in found.decision.reasons[0]


def test_without_outcomes_it_says_whose_word_the_labels_are(
    rules: Callable[[int], Planted], assessed: Assessed
) -> None:
    task, traces, _ = rules(300)
    found = assessed((task, traces, {}))
    assert found.findings.labels.source == "teacher"
    assert found.findings.teacher.right is None
    assert found.decision.target == pytest.approx(0.97)
    assert any("the teacher's own word" in note for note in found.decision.notes)


def test_traces_without_times_leave_volume_and_money_unknown(
    rules: Callable[[int], Planted],
) -> None:
    task, traces, _ = rules(300)
    bare = [trace.model_copy(update={"created_at": None, "cost_usd": None}) for trace in traces]
    unpriced = task.model_copy(update={"teacher": task.teacher.model_copy(update={"model": ""})})
    unpriced = unpriced.model_copy(
        update={
            "teacher": unpriced.teacher.model_copy(update={"price": type(task.teacher.price)()})
        }
    )
    found = assess(bare, {}, unpriced, AssessSettings(sample=500))
    assert found.findings.volume.month is None
    assert found.findings.break_even is None
    assert any("no times" in note for note in found.decision.notes)
    assert any("No cost is known" in note for note in found.decision.notes)


def test_no_calls_are_an_error_that_says_how_to_get_some(easy: Callable[..., Planted]) -> None:
    task, _, _ = easy(50)
    with pytest.raises(DataError, match=r"has no calls of a teacher.*limbeck import"):
        assess([], {}, task)


def test_the_same_traces_twice_count_once_and_give_the_same_words(
    rules: Callable[[int], Planted], assessed: Assessed
) -> None:
    task, traces, truths = rules(200)
    once = assessed((task, traces, truths))
    again = assessed((task, [*traces, *traces], truths))
    assert once == again


def test_a_reply_of_a_student_is_left_out(easy: Callable[..., Planted], assessed: Assessed) -> None:
    task, traces, truths = easy(200)
    local = [
        trace.model_copy(
            update={"provenance": trace.provenance.model_copy(update={"source": "student"})}
        )
        for trace in traces
    ]
    volume = assessed((task, [*traces, *local], truths)).findings.volume
    assert (volume.calls, volume.students) == (200, 200)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "file", "verdict"),
    [("svamp", "svamp_palm/train.jsonl.gz", "wait"), ("esnli", "esnli_palm/valid.jsonl.gz", "go")],
)
def test_public_sets_are_told_apart(
    shared_data: Path, tmp_path: Path, name: str, file: str, verdict: str
) -> None:
    task = read_task(EXAMPLES / f"{name}.toml")
    with Store(tmp_path / "store.db") as store:
        import_rows(store, task, shared_data / file)
        found = assess(store.traces(name), store.truths(name), task)
    assert found.decision.verdict == verdict
    assert found.findings.volume.month is None
