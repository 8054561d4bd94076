"""What is put in place of hidden pixels, against plain loops and a dense solver."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from restore.fitting import fills
from restore.fitting.fills import fill_biharmonic, fill_from_neighbours
from restore.fitting.masking import Fill
from restore.problems.holes import biharmonic_fill

SIZE = (20, 23)


def _picture(channels: int = 3) -> Tensor:
    return torch.rand(1, channels, *SIZE, generator=torch.Generator().manual_seed(0))


def _smooth() -> Tensor:
    row, column = torch.meshgrid(torch.linspace(0, 3, 48), torch.linspace(0, 4, 56), indexing="ij")
    return torch.stack([0.5 + 0.3 * torch.sin(row + column), 0.5 + 0.3 * torch.cos(2 * row - column)])[None]


def _visible(missing: float, size: tuple[int, int] = SIZE) -> Tensor:
    return (torch.rand(1, 1, *size, generator=torch.Generator().manual_seed(3)) >= missing).float()


def test_neighbours_fill_with_the_mean_of_those_that_are_visible() -> None:
    image, visible = _picture(), _visible(0.4)
    visible[..., 2:8, 2:9] = 0  # holds pixels without any visible neighbour
    filled = fill_from_neighbours(image, visible)
    everywhere = image[..., visible[0, 0] > 0].mean(2)[0]
    for row in range(SIZE[0]):
        for column in range(SIZE[1]):
            if visible[0, 0, row, column]:
                assert torch.equal(filled[0, :, row, column], image[0, :, row, column])
                continue
            near = [
                image[0, :, r, c]
                for r in range(max(0, row - 1), min(SIZE[0], row + 2))
                for c in range(max(0, column - 1), min(SIZE[1], column + 2))
                if visible[0, 0, r, c]
            ]
            expected = torch.stack(near).mean(0) if near else everywhere
            torch.testing.assert_close(filled[0, :, row, column], expected)


@pytest.mark.parametrize("fill", [fill_from_neighbours, fill_biharmonic])
def test_fill_when_nothing_is_visible_is_finite(fill: Fill) -> None:
    assert fill(_picture(), torch.zeros(1, 1, *SIZE)).isfinite().all()


def _laplacian(height: int, width: int) -> NDArray[np.float64]:
    """Return the matrix that sums the differences from the neighbours of every pixel."""
    matrix = np.zeros((height * width, height * width))
    for row in range(height):
        for column in range(width):
            for down, right in ((1, 0), (-1, 0), (0, 1), (0, -1)):
                if 0 <= row + down < height and 0 <= column + right < width:
                    matrix[row * width + column, (row + down) * width + column + right] += 1
                    matrix[row * width + column, row * width + column] -= 1
    return matrix


def test_the_biharmonic_fill_is_the_smoothest_surface(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fills, "REDUCTION", 1e-5)
    image, visible = 0.3 + 0.4 * _picture(1), _visible(0.5)
    filled = fill_biharmonic(image, visible)[0, 0].double().numpy().ravel()
    seen, values = visible[0, 0].bool().numpy().ravel(), image[0, 0].double().numpy().ravel()
    matrix = _laplacian(*SIZE)
    expected = values.copy()
    expected[~seen] = np.linalg.lstsq(matrix[:, ~seen], -matrix[:, seen] @ values[seen], rcond=None)[0]
    np.testing.assert_array_equal(filled[seen], values[seen])
    np.testing.assert_allclose(filled, expected.clip(0, 1), atol=2e-4)


def test_it_is_near_that_of_scikit_image() -> None:
    image, visible = _smooth(), _visible(0.5, (48, 56))
    ours = fill_biharmonic(image, visible)[0].numpy()
    theirs = biharmonic_fill(image[0].numpy(), visible[0, 0].numpy() == 0)
    inside = np.s_[:, 4:-4, 4:-4]  # the borders are others
    assert np.sqrt(np.square(ours[inside] - theirs[inside]).mean()) < 0.5 / 255
    from_neighbours = fill_from_neighbours(image, visible)[0].numpy()
    worse = np.sqrt(np.square(from_neighbours[inside] - image[0].numpy()[inside]).mean())
    assert np.sqrt(np.square(ours[inside] - image[0].numpy()[inside]).mean()) < 0.2 * worse


def test_hidden_values_do_not_matter_and_all_stays_between_black_and_white() -> None:
    image, visible = _picture().round(), _visible(0.7)
    filled = fill_biharmonic(image, visible)
    assert filled.min() >= 0
    assert filled.max() <= 1
    for other in (0.0, 1.0, -5.0):
        assert torch.equal(fill_biharmonic(torch.where(visible > 0, image, other), visible), filled)


@pytest.mark.parametrize("size", [(1, 2), (2, 1), (2, 2), (1, 5), (4, 3)])
def test_pictures_of_a_few_pixels_can_be_filled(size: tuple[int, int]) -> None:
    visible = torch.ones(1, 1, *size)
    visible[..., -1, -1] = 0
    filled = fill_biharmonic(torch.full((1, 1, *size), 0.25), visible)
    torch.testing.assert_close(filled, torch.full((1, 1, *size), 0.25))
