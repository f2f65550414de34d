from __future__ import annotations

from collections.abc import Callable

import torch

from limbeck.distill.muon import Muon32, orthogonal

SHAPES = ((16, 16), (24, 8), (8, 24), (16, 16), (24, 8))
COEFFICIENTS = (3.4445, -4.7750, 2.0315)


def trained(kind: Callable[..., torch.optim.Muon], steps: int = 3) -> list[torch.Tensor]:
    """Matrices after a few steps of some gradients, the same each time."""
    generator = torch.Generator().manual_seed(0)
    made = [torch.nn.Parameter(torch.randn(shape, generator=generator)) for shape in SHAPES]
    optimizer = kind(made, lr=0.02, weight_decay=0.1)
    for _ in range(steps):
        for parameter in made:
            parameter.grad = torch.randn(parameter.shape, generator=generator)
        optimizer.step()
    return [parameter.detach() for parameter in made]


def test_the_steps_are_those_of_torch_but_for_the_rounding_of_bfloat16() -> None:
    begun = trained(torch.optim.Muon, steps=0)
    for ours, theirs, first in zip(trained(Muon32), trained(torch.optim.Muon), begun, strict=True):
        assert not torch.equal(ours, first)
        assert float((ours - theirs).norm() / (theirs - first).norm()) < 0.02


def test_a_checkpoint_of_one_is_read_by_the_other() -> None:
    parameter = torch.nn.Parameter(torch.ones(4, 4))
    parameter.grad = torch.eye(4)
    theirs = torch.optim.Muon([parameter], lr=0.02)
    theirs.step()
    ours = Muon32([parameter], lr=0.02)
    ours.load_state_dict(theirs.state_dict())
    held = ours.state[parameter]["momentum_buffer"]
    assert torch.equal(held, theirs.state[parameter]["momentum_buffer"])
    ours.step()
    assert torch.equal(held, ours.state[parameter]["momentum_buffer"])


def test_singular_values_come_near_to_one_and_no_matrix_changes_another() -> None:
    generator = torch.Generator().manual_seed(1)
    matrices = torch.randn(3, 8, 24, generator=generator)
    found = orthogonal(matrices, COEFFICIENTS, 5, 1e-7)
    values = torch.linalg.svdvals(found)
    assert float(values.min()) > 0.5
    assert float(values.max()) < 1.3
    alone = orthogonal(matrices[1:2], COEFFICIENTS, 5, 1e-7)
    assert torch.allclose(alone[0], found[1], atol=1e-5)


def test_a_gradient_of_nothing_moves_nothing() -> None:
    assert torch.equal(
        orthogonal(torch.zeros(1, 4, 4), COEFFICIENTS, 5, 1e-7), torch.zeros(1, 4, 4)
    )
