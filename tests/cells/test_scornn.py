"""scoRNN against its equations."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from restore.cells import make_cell, unroll
from restore.cells.scornn import ScoRNN


@pytest.mark.parametrize("size", [1, 5, 8])
def test_step_is_the_equation(size: int) -> None:
    generator = torch.Generator().manual_seed(size)
    cell = ScoRNN(size, generator=generator, dtype=torch.float64)
    nn.init.uniform_(cell.modrelu.bias, -0.5, 0.5, generator=generator)
    drive = torch.randn(3, size, generator=generator, dtype=torch.float64)
    state = torch.randn(3, size, generator=generator, dtype=torch.float64)
    found = cell(drive, state)
    weight, bias = cell.W.weight.detach(), cell.modrelu.bias.detach()
    for b in range(3):
        for i in range(size):
            z = sum(weight[i, j] * state[b, j] for j in range(size)) + drive[b, i]
            assert found[b, i].item() == pytest.approx((z.sign() * max(z.abs() + bias[i], 0)).item(), abs=1e-12)


def test_long_run_without_input_keeps_the_norm() -> None:
    cell = ScoRNN(16, generator=torch.Generator().manual_seed(0))
    start = torch.randn(16, generator=torch.Generator().manual_seed(1))
    end = unroll(cell, torch.zeros(1000, 16), start)[-1]
    assert end.norm().item() == pytest.approx(start.norm().item(), rel=1e-4)


def test_default_signs_and_odd_sizes() -> None:
    assert torch.linalg.det(ScoRNN(6, dtype=torch.float64).W.weight).item() == pytest.approx(-1)  # three of six
    assert torch.linalg.det(ScoRNN(7, negatives=2, dtype=torch.float64).W.weight).item() == pytest.approx(1)


def test_input_map_starts_small() -> None:
    for layer in (nn.Linear(3, 8), nn.Conv2d(3, 8, 3)):
        make_cell("scornn", 8).reset_input_(layer, torch.Generator().manual_seed(2))
        assert 0.008 < layer.weight.abs().max() <= 0.01
        assert not layer.bias.any()
