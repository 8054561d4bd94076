"""Figures of a big picture are taken strip by strip, and are what they are of the whole."""

from __future__ import annotations

import pytest
import torch

from restore.metrics import fidelity, mse, similarity, ssim


@pytest.mark.parametrize("strip", [1, 40, 40 * 7, 40 * 43])
def test_strips_give_what_the_whole_gives(strip: int, monkeypatch: pytest.MonkeyPatch) -> None:
    generator = torch.Generator().manual_seed(0)
    one, other = (torch.rand(2, 3, 53, 40, generator=generator) for _ in range(2))
    whole = ssim(one, other)
    monkeypatch.setattr(similarity, "_STRIP", strip)
    torch.testing.assert_close(ssim(one, other), whole)
    error = mse(one, other)
    monkeypatch.setattr(fidelity, "_STRIP", strip)
    torch.testing.assert_close(mse(one, other), error)
