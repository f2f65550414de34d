from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from limbeck.capture.post_hoc.submissions import (
    Submission,
    Submissions,
    Tally,
    custom_id,
    new_token,
)
from limbeck.errors import DataError


def made(token: str, **more: object) -> Submission:
    given = {
        "task": "t",
        "upstream": "anthropic",
        "model": "m",
        "how": "guided",
        "max_tokens": 9,
        "step": "prepared",
        "requests": 1,
        "at": datetime(2026, 1, 1, tzinfo=UTC),
    }
    return Submission.model_validate({"token": token, **given, **more})


def test_what_was_saved_is_read_again_and_replaced_whole(tmp_path: Path) -> None:
    here = Submissions(tmp_path, "t")
    assert here.read() == []
    one, two = made("a"), made("b", step="submitted", batch_id="x")
    here.save(one)
    here.save(two)
    assert here.read() == [one, two]
    over = one.model_copy(update={"step": "collected", "in_vain": ("sha256:1",)})
    here.save(over)
    assert here.open() == [two]
    assert here.in_vain() == {"sha256:1"}
    here.drop(two)
    assert here.read() == [over]


def test_the_batches_of_other_tasks_are_known(tmp_path: Path) -> None:
    Submissions(tmp_path, "other").save(made("a", step="submitted", batch_id="theirs"))
    here = Submissions(tmp_path, "t")
    here.save(made("b", step="submitted", batch_id="ours"))
    assert here.batch_ids() == {"ours", "theirs"}


def test_one_program_asks_about_a_task_at_a_time(tmp_path: Path) -> None:
    with Submissions(tmp_path, "t").locked():
        with (
            pytest.raises(DataError, match="another `limbeck elicit --task t` is running"),
            Submissions(tmp_path, "t").locked(),
        ):
            pass
        with Submissions(tmp_path, "other").locked():
            pass
    with Submissions(tmp_path, "t").locked():
        pass


def test_a_damaged_file_is_named_and_never_taken_for_nothing(tmp_path: Path) -> None:
    here = Submissions(tmp_path, "t")
    here.save(made("a"))
    (tmp_path / "elicit" / "t" / "a.json").write_text("{half")
    with pytest.raises(DataError, match=r"a\.json"):
        here.read()


def test_names_of_requests_are_what_both_providers_take() -> None:
    name = custom_id(new_token(), "sha256:" + "af" * 32)
    assert re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", name)
    assert new_token() != new_token()


def test_tallies_add_up() -> None:
    one = Tally(asked=2, explained=1, failed={"expired": 1}, cost_usd=0.5)
    other = Tally(asked=3, failed={"expired": 1, "errored": 2}, unpriced=1)
    assert one + other == Tally(
        asked=5, explained=1, failed={"expired": 2, "errored": 2}, cost_usd=0.5, unpriced=1
    )
