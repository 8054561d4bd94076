"""What is put in place of hidden pixels, against plain loops and a dense solver."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from restore.fitting import fills
from restore.fitting.fills import fill_biharmonic, fill_from_neighbours
from restore.fitting.masking import Fill
from restore.problems.holes import biharmonic_fill

SIZE = (20, 23)
SAMPLES = Path(__file__).parents[2] / "sample_images"


def _picture(channels: int = 3) -> Tensor:
    return torch.rand(1, channels, *SIZE, generator=torch.Generator().manual_seed(0))


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
    monkeypatch.setattr(fills, "ROUNDS", 200)
    image, visible = 0.3 + 0.4 * _picture(1), _visible(0.5)
    filled = fill_biharmonic(image, visible)[0, 0].double().numpy().ravel()
    seen, values = visible[0, 0].bool().numpy().ravel(), image[0, 0].double().numpy().ravel()
    matrix = _laplacian(*SIZE)
    expected = values.copy()
    expected[~seen] = np.linalg.lstsq(matrix[:, ~seen], -matrix[:, seen] @ values[seen], rcond=None)[0]
    np.testing.assert_array_equal(filled[seen], values[seen])
    np.testing.assert_allclose(filled, expected.clip(0, 1), atol=2e-4)


@pytest.mark.parametrize("missing", [0.5, 0.7, 0.9, 0.96])
def test_a_photograph_is_filled_as_well_as_by_scikit_image(missing: float) -> None:
    photograph = np.asarray(Image.open(SAMPLES / "camera.png"), dtype=np.float32)[60:188, 60:188] / 255
    image, visible = torch.from_numpy(photograph)[None, None], _visible(missing, (128, 128))
    theirs = biharmonic_fill(image[0].numpy(), visible[0, 0].numpy() == 0)

    def error(filled: Tensor) -> float:
        return float((filled - image)[..., 4:-4, 4:-4].square().mean().sqrt())  # the borders are others

    exact = error(torch.from_numpy(theirs)[None])
    assert error(fill_biharmonic(image, visible)) < 1.03 * exact
    assert error(fill_from_neighbours(image, visible)) > 1.03 * exact


def test_hidden_values_do_not_matter_and_all_stays_between_black_and_white() -> None:
    image, visible = _picture().round(), _visible(0.7)
    filled = fill_biharmonic(image, visible)
    assert filled.min() >= 0
    assert filled.max() <= 1
    for other in (0.0, 1.0, -5.0):
        assert torch.equal(fill_biharmonic(torch.where(visible > 0, image, other), visible), filled)


@pytest.mark.parametrize("size", [(1, 2), (2, 1), (2, 2), (1, 5), (4, 3)])
def test_pictures_of_a_few_pixels_can_be_filled(size: tuple[int, int]) -> None:
    visible, image = torch.ones(1, 1, *size), torch.rand(1, 2, *size, generator=torch.Generator().manual_seed(0))
    visible[..., -1, -1] = 0
    filled = fill_biharmonic(image, visible)[0].double().numpy().reshape(2, -1)
    matrix = _laplacian(*size)
    for channel, values in zip(filled, image[0].double().numpy().reshape(2, -1), strict=True):
        last = np.linalg.lstsq(matrix[:, -1:], -matrix[:, :-1] @ values[:-1], rcond=None)[0]
        np.testing.assert_allclose(channel, [*values[:-1], last.clip(0, 1)[0]], atol=1e-5)
