from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from transformers import PreTrainedModel

from limbeck.distill.memory import Need, fit, free_bytes, need
from limbeck.distill.settings import DistillSettings
from limbeck.errors import PreflightError

SETTINGS = DistillSettings(micro_tokens=8192, memory_share=1.0)


def test_a_run_that_fits_keeps_its_batch() -> None:
    wanted = Need(fixed=1_000, token=10, micro_tokens=8192)
    assert wanted.total == 82_920
    assert fit(wanted, 82_920, SETTINGS, 100) == 8192


def test_a_batch_is_halved_until_it_fits() -> None:
    wanted = Need(fixed=1_000, token=10, micro_tokens=8192)
    assert fit(wanted, 22_000, SETTINGS, 100) == 2048
    half = SETTINGS.model_copy(update={"memory_share": 0.5})
    assert fit(wanted, 44_000, half, 100) == 2048


def test_the_longest_row_always_goes_through_whole() -> None:
    wanted = Need(fixed=1_000, token=10, micro_tokens=8192)
    assert fit(wanted, 16_000, SETTINGS, 1500) == 1500


def test_a_run_that_cannot_fit_is_refused_with_the_way_out() -> None:
    wanted = Need(fixed=10**9, token=10**6, micro_tokens=8192)
    with pytest.raises(PreflightError, match=r"needs about 1\.3 GB at the least.*tune=lora"):
        fit(wanted, 10**9, SETTINGS, 100)


def test_moments_masters_and_copies_are_counted(tiny: Callable[..., PreTrainedModel]) -> None:
    model = tiny()
    count = sum(p.numel() for p in model.parameters())
    full = need(model, SETTINGS, torch.float32, longest=100, copies=0)
    assert full.fixed == 16 * count
    assert need(model, SETTINGS, torch.float32, longest=100, copies=2).fixed == 24 * count
    assert need(model, SETTINGS, torch.bfloat16, longest=100, copies=0).fixed == 20 * count
    less = SETTINGS.model_copy(update={"checkpointing": True})
    assert need(model, less, torch.float32, longest=100, copies=0).token < full.token


def test_shards_are_smaller_and_what_is_gathered_is_counted(
    tiny: Callable[..., PreTrainedModel],
) -> None:
    model = tiny()
    count = sum(p.numel() for p in model.parameters())
    table = model.config.vocab_size * 32
    gathered = 2 * 4 * (2 * table + 2 * (count // 2))
    cut = need(model, SETTINGS, torch.float32, longest=100, copies=0, shards=4)
    assert cut.fixed == 4 * count + gathered


def test_frozen_weights_have_no_moments(tiny: Callable[..., PreTrainedModel]) -> None:
    model = tiny()
    for parameter in model.parameters():
        parameter.requires_grad = False
    count = sum(p.numel() for p in model.parameters())
    assert need(model, SETTINGS, torch.float32, longest=100, copies=0).fixed == 4 * count


def test_the_free_memory_is_known() -> None:
    free = free_bytes(torch.device("cpu"))
    assert free is None or free > 0
