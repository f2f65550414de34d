from __future__ import annotations

import numpy as np
import pytest

from limbeck.distill.settings import DistillSettings
from limbeck.evaluate.dependence.planted import items, plant

pytestmark = pytest.mark.slow


def test_a_planted_student_can_be_asked_and_made_to_go_on() -> None:
    settings = DistillSettings(
        steps=10, batch=16, vocabulary=320, precision="float32", threads=1, seed=0
    )
    student = plant("ignores", settings, n=200, width=32)
    inputs = [one.example.input for one in items("ignores", 6, 9)]
    chains = [one.example.rationale or "" for one in items("ignores", 6, 9)]
    assert len(student.ask(inputs)) == 6
    # After a chain that it is given it answers at once, in a token or two.
    said = student.answer(inputs, chains)
    assert [one.rationale for one in said] == chains
    longer = student.go_on(inputs, [chain.split("\n")[0] for chain in chains])
    assert all(
        one.rationale and one.rationale[:3] == chain[:3]
        for one, chain in zip(longer, chains, strict=True)
    )
    scores = np.stack([student.score(inputs, chains, [str(d)] * 6) for d in range(10)])
    assert (scores < 0).all()
    assert (np.exp(scores).sum(axis=0) <= 1 + 1e-4).all()
