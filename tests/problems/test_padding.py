"""Padding against numpy's symmetric mode."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from restore.problems.padding import Padding

SIZES = [(1, 1), (1, 7), (3, 5), (31, 33), (32, 64), (63, 65), (64, 64), (100, 2)]
RULES = [(32, 64), (16, 32), (64, 192), (1, 1), (4, 6)]


def _picture(size: tuple[int, int], channels: int = 3) -> Tensor:
    return torch.rand(1, channels, *size, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(("multiple", "minimum"), RULES)
@pytest.mark.parametrize("size", SIZES)
def test_is_numpys_symmetric_padding_around_the_middle(size: tuple[int, int], multiple: int, minimum: int) -> None:
    padding, picture = Padding(size, multiple, minimum), _picture(size)
    excess = [padded - n for padded, n in zip(padding.padded, size, strict=True)]
    margins = [(0, 0), (0, 0), *((e // 2, e - e // 2) for e in excess)]
    assert np.array_equal(padding.pad(picture).numpy(), np.pad(picture.numpy(), margins, mode="symmetric"))


@pytest.mark.parametrize(("multiple", "minimum"), RULES)
@pytest.mark.parametrize("size", SIZES)
def test_size_is_the_least_that_fits(size: tuple[int, int], multiple: int, minimum: int) -> None:
    for padded, n in zip(Padding(size, multiple, minimum).padded, size, strict=True):
        assert padded % multiple == 0
        assert padded >= max(n, minimum)
        assert padded - multiple < max(n, minimum)


@pytest.mark.parametrize(("multiple", "minimum"), RULES)
@pytest.mark.parametrize("size", SIZES)
def test_crop_undoes_pad(size: tuple[int, int], multiple: int, minimum: int) -> None:
    padding, picture = Padding(size, multiple, minimum), _picture(size)
    assert torch.equal(padding.crop(padding.pad(picture)), picture)


@pytest.mark.parametrize("size", [(1, 1), (5, 3), (40, 50)])
def test_every_copy_of_a_hidden_pixel_is_hidden(size: tuple[int, int]) -> None:
    padding = Padding(size, 32, 64)
    numbers = torch.arange(float(size[0] * size[1])).view(1, 1, *size)  # which pixel each padded pixel is a copy of
    mask = torch.rand(1, 1, *size, generator=torch.Generator().manual_seed(1)) < 0.3
    hidden = numbers[mask]
    assert torch.equal(padding.pad(mask), torch.isin(padding.pad(numbers), hidden))


def test_nothing_is_copied_when_nothing_is_to_do() -> None:
    picture = _picture((64, 96))
    assert Padding((64, 96), 32, 64).pad(picture) is picture


def test_one_pixel_fills_everything() -> None:
    padded = Padding((1, 1), 32, 64).pad(torch.full((1, 3, 1, 1), 0.7))
    assert padded.shape == (1, 3, 64, 64)
    assert bool((padded == 0.7).all())


def test_gradient_of_a_cropped_image_stays_inside() -> None:
    padding = Padding((40, 50), 32, 64)
    image = torch.rand(1, 1, *padding.padded, requires_grad=True)
    padding.crop(image).sum().backward()
    assert image.grad is not None
    assert image.grad.sum() == 40 * 50
    assert bool((padding.crop(image.grad) == 1).all())
