"""Random matrices against their laws."""

from __future__ import annotations

import pytest
import torch

from restore.cells.draws import normal, orthogonal


def test_normal_moments() -> None:
    drawn = normal((100_000,), 3.0, torch.Generator().manual_seed(0)) / 3
    for power, moment in ((1, 0.0), (2, 1.0), (3, 0.0), (4, 3.0)):
        assert drawn.pow(power).mean().item() == pytest.approx(moment, abs=0.06)


@pytest.mark.parametrize("shape", [(6, 6), (8, 3), (3, 8)])
def test_orthogonal(shape: tuple[int, int]) -> None:
    drawn = orthogonal(*shape, torch.Generator().manual_seed(1))
    assert drawn.shape == shape
    gram = drawn @ drawn.mT if shape[0] <= shape[1] else drawn.mT @ drawn
    torch.testing.assert_close(gram, torch.eye(min(shape), dtype=torch.float64), rtol=0, atol=1e-14)


def test_orthogonal_is_uniform() -> None:
    # Under Haar's measure every entry of an n x n matrix has mean 0 and variance 1/n; plain QR has a negative diagonal.
    generator = torch.Generator().manual_seed(2)
    drawn = torch.stack([orthogonal(3, 3, generator) for _ in range(2000)])
    assert drawn.mean(dim=0).abs().max() < 0.05
    torch.testing.assert_close(drawn.square().mean(dim=0), torch.full((3, 3), 1 / 3).double(), rtol=0, atol=0.03)
