from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from limbeck.errors import StudentError
from limbeck.evaluate.answers import Answers
from limbeck.evaluate.calibrate import fit_policy
from limbeck.evaluate.policy_file import FILE, read_policy, save_policy
from limbeck.types import Policy


@pytest.fixture
def policy(answers: Callable[..., Answers]) -> Policy:
    return fit_policy(answers(np.ones(200, dtype=np.bool_)), 0.1, 0.9)


def test_a_policy_comes_back_as_it_was(policy: Policy, tmp_path: Path) -> None:
    assert read_policy(tmp_path) is None
    assert save_policy(tmp_path, policy) == tmp_path / FILE
    assert read_policy(tmp_path) == policy
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


def test_a_failed_write_leaves_the_old_policy(
    policy: Policy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_policy(tmp_path, policy)

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StudentError, match="No space left on device"):
        save_policy(tmp_path, policy.model_copy(update={"bias": 9.0}))
    assert read_policy(tmp_path) == policy


@pytest.mark.parametrize("text", ["", "{", "[]", '{"task": "t"}', "\udcff"])
def test_a_damaged_policy_is_one_sentence(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE).write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(
        StudentError, match=r"policy.json cannot be read .* limbeck calibrate"
    ) as it:
        read_policy(tmp_path)
    assert "\n" not in str(it.value)
