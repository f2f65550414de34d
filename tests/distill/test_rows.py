from __future__ import annotations

from collections import Counter

import torch
from hypothesis import given
from hypothesis import strategies as st

from limbeck.distill.rows import collate, micro_batches, rows_of, schedule, share, tree_row
from limbeck.distill.tokens import EncodedBranch, EncodedTree
from limbeck.types import Role

ANSWER: Role = "answer"


def tree(prompt: int, *lengths: int) -> EncodedTree:
    role: Role = "answer"
    branches = tuple(
        EncodedBranch((9,) * n, (0.0,) + (1.0,) * (n - 1), (role,) * n) for n in lengths
    )
    return EncodedTree(tuple(range(10, 10 + prompt)), branches, 1.0)


def test_positions_restart_after_the_prompt_and_tokens_see_their_own_branch_only() -> None:
    row = tree_row(tree(2, 2, 3), tree(2, 2, 3).branches)
    assert row.positions == [0, 1, 2, 3, 2, 3, 4]
    batch = collate([row], pad=0)
    mask = batch.mask(torch.float32)
    assert mask is not None
    seen = (mask[0, 0] == 0).int().tolist()
    assert seen == [
        [1, 0, 0, 0, 0, 0, 0],
        [1, 1, 0, 0, 0, 0, 0],
        [1, 1, 1, 0, 0, 0, 0],
        [1, 1, 1, 1, 0, 0, 0],
        [1, 1, 0, 0, 1, 0, 0],
        [1, 1, 0, 0, 1, 1, 0],
        [1, 1, 0, 0, 1, 1, 1],
    ]


def test_a_first_token_is_predicted_from_the_prompt_and_others_from_their_branch() -> None:
    whole = EncodedBranch((7, 8), (1.0, 1.0), ("answer", "answer"))
    row = tree_row(EncodedTree((1, 2, 3), (whole, whole), 0.5), (whole, whole))
    assert row.targets == [3, 4, 5, 6]
    assert row.sources == [2, 3, 2, 5]
    assert row.weights == [0.5] * 4


def test_padding_is_seen_by_no_token_and_supervises_nothing() -> None:
    rows = rows_of([tree(2, 2, 2), tree(5, 3, 4)], "tree")
    batch = collate(rows, pad=0)
    assert batch.ids.shape == (2, 12)
    mask = batch.mask(torch.float32)
    assert mask is not None
    assert bool((mask[0, 0, :6, 6:] < 0).all())
    assert batch.labels.tolist() == [9] * (1 + 1 + 2 + 3)
    assert bool((batch.ids.flatten()[batch.sources] != 0).all())


def test_rows_of_one_branch_need_no_mask() -> None:
    assert collate(rows_of([tree(3, 4), tree(2, 2)], "tree"), pad=0).mask(torch.float32) is None


@given(
    count=st.integers(1, 200),
    batch=st.integers(1, 40),
    steps=st.integers(1, 120),
    seed=st.integers(0, 9),
)
def test_every_tree_comes_once_an_epoch(count: int, batch: int, steps: int, seed: int) -> None:
    lengths = [(index * 7919) % 97 + 1 for index in range(count)]
    plan = list(schedule(lengths, batch, steps, seed))
    assert len(plan) == steps
    size = min(batch, count)
    assert all(len(chosen) == size for chosen in plan)
    # Windows of sixteen steps cut the epochs; at their ends no tree is more than one visit ahead.
    for end in range(16, steps + 1, 16):
        seen = Counter(index for chosen in plan[:end] for index in chosen)
        visits = [seen[index] for index in range(count)]
        assert max(visits) - min(visits) <= 1


def test_a_plan_is_the_same_again_and_another_for_another_seed() -> None:
    lengths = list(range(100))
    first = list(schedule(lengths, 8, 40, seed=3))
    assert first == list(schedule(lengths, 8, 40, seed=3))
    assert first != list(schedule(lengths, 8, 40, seed=4))


def test_a_longer_plan_begins_like_a_shorter_one() -> None:
    lengths = list(range(100))
    assert list(schedule(lengths, 8, 90, seed=3))[:40] == list(schedule(lengths, 8, 40, seed=3))


def test_a_step_holds_trees_of_like_length() -> None:
    lengths = [(index * 7919) % 1000 for index in range(1000)]
    plan = list(schedule(lengths, 8, 48, seed=0))
    spread = [max(lengths[i] for i in step) - min(lengths[i] for i in step) for step in plan]
    # By chance alone eight of a thousand lengths would span nearly all of them.
    assert sum(spread) / len(spread) < 200


@given(st.lists(st.integers(1, 300), min_size=1, max_size=40), st.integers(64, 2000))
def test_pieces_of_a_step_keep_every_row_within_the_budget(lengths: list[int], tokens: int) -> None:
    rows = [tree_row(tree(1, n), tree(1, n).branches) for n in lengths]
    pieces = list(micro_batches(rows, tokens))
    assert sorted(len(row.ids) for piece in pieces for row in piece) == sorted(
        len(row.ids) for row in rows
    )
    for piece in pieces:
        padded = len(piece) * max(len(row.ids) for row in piece)
        assert padded <= tokens or len(piece) == 1


def test_branches_share_a_row_where_that_is_estimated_to_pay() -> None:
    def shared(prompt: int, length: int, many: int) -> int:
        one = EncodedBranch((5,) * length, (1.0,) * length, (ANSWER,) * length)
        return share(EncodedTree((5,) * prompt, (one,) * many, 1.0))

    assert shared(prompt=400, length=60, many=8) == 8
    assert shared(prompt=4, length=600, many=8) == 1
    assert shared(prompt=100, length=60, many=1) == 1
    # In between, a few branches share.
    assert 1 < shared(prompt=150, length=200, many=16) < 16
