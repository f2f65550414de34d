from __future__ import annotations

import pytest
import torch

from limbeck.distill.attention import bmm_attention
from limbeck.distill.blocks import blocks_of, gather, scatter
from limbeck.distill.rows import Row, collate, concatenate, tree_row
from limbeck.distill.tokens import EncodedBranch, EncodedTree
from limbeck.types import Role

ANSWER: Role = "answer"


def branch(length: int) -> EncodedBranch:
    return EncodedBranch(tuple(range(5, 5 + length)), (1.0,) * length, (ANSWER,) * length)


ROWS = [
    tree_row(tree, tree.branches)
    for tree in (
        EncodedTree((2,) * 7, (branch(3), branch(5), branch(1)), 1.0),
        EncodedTree((3,) * 4, (branch(2),), 1.0),
        EncodedTree((4,) * 2, (branch(6), branch(4)), 1.0),
    )
]


def test_every_token_comes_back_to_its_place() -> None:
    blocks = blocks_of([row.lengths for row in ROWS])
    total = sum(len(row.ids) for row in ROWS)
    flat = torch.randn(2, total, 3, dtype=torch.float64, requires_grad=True)
    back = scatter(*gather(flat, blocks), blocks)
    assert torch.equal(back, flat)
    seen = torch.randn_like(back)
    (back * seen).sum().backward()
    assert flat.grad is not None
    assert torch.equal(flat.grad, seen)


def test_a_single_branch_continues_its_prompt() -> None:
    assert [row.lengths for row in ROWS] == [(7, [3, 5, 1]), (6, []), (2, [6, 4])]
    plain = blocks_of([row.lengths for row in ROWS[1:2]])
    assert plain.shape == (1, 6, 0, 0)


@pytest.mark.parametrize("rows", [ROWS, ROWS[1:2], ROWS[:1]], ids=["all", "one", "tree"])
@pytest.mark.parametrize("repeat", [1, 2])
def test_attention_in_blocks_is_attention_under_the_mask(rows: list[Row], repeat: int) -> None:
    torch.manual_seed(0)
    dense, flat = collate(rows, 0), concatenate(rows)
    heads, width = 2 * repeat, 4
    size, length = dense.ids.shape
    places = [n * length + at for n, row in enumerate(rows) for at in range(len(row.ids))]

    def laid(tensor: torch.Tensor) -> torch.Tensor:
        """(B, H, T, D) of padded rows -> (1, H, all tokens, D) end to end."""
        return tensor.transpose(0, 1).flatten(1, 2)[:, places][None]

    module = torch.nn.Identity()
    query = torch.randn(size, heads, length, width)
    key, value = (torch.randn(size, 2, length, width) for _ in range(2))
    wanted, _ = bmm_attention(module, query, key, value, dense.mask(torch.float32))
    got, _ = bmm_attention(module, laid(query), laid(key), laid(value), None, blocks=flat.blocks)
    assert torch.allclose(got, laid(wanted.transpose(1, 2)).transpose(1, 2), atol=1e-6)


def test_rows_end_to_end_hold_no_padding() -> None:
    batch = concatenate(ROWS)
    assert batch.ids.tolist() == [[i for row in ROWS for i in row.ids]]
    assert batch.positions.tolist() == [[i for row in ROWS for i in row.positions]]
    predicted = batch.ids[0, batch.sources + 0].tolist()
    assert len(predicted) == len(batch.labels) == sum(len(row.targets) for row in ROWS)
