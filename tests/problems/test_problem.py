"""Problems: what a fit may know, and nothing else."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from restore.errors import InputError
from restore.problems.operators import Identity, Mask
from restore.problems.problem import denoising, inpainting


@pytest.fixture
def hole() -> Tensor:
    return torch.rand(40, 50, generator=torch.Generator().manual_seed(3)) < 0.4


def test_denoising_knows_every_pixel(noisy_scene: Tensor) -> None:
    problem = denoising(noisy_scene, 25.0)
    assert (problem.kind, problem.channels, problem.size, problem.sigma) == ("denoise", 3, (40, 50), 25.0)
    assert problem.known.shape == (1, 1, 40, 50)
    assert bool(problem.known.all())
    assert isinstance(problem.operator, Identity)
    assert torch.equal(problem.measurement, noisy_scene[None])
    image = torch.zeros(1, 3, 40, 50)
    assert problem.composite(image) is image


def test_inpainting_drops_what_is_inside_the_hole(scene: Tensor, hole: Tensor) -> None:
    problem = inpainting(scene, hole)
    assert (problem.kind, problem.sigma) == ("inpaint", 0.0)
    assert isinstance(problem.operator, Mask)
    assert torch.equal(problem.known[0, 0], ~hole)
    assert torch.equal(problem.measurement[0][:, ~hole], scene[:, ~hole])
    assert not problem.measurement[0][:, hole].any()
    assert torch.equal(problem.operator.A(scene[None]), problem.measurement)
    for inside in (7.0, math.nan, math.inf):
        other = inpainting(torch.where(hole, inside, scene), hole)
        assert torch.equal(other.measurement, problem.measurement)


def test_the_given_picture_is_not_changed(scene: Tensor, hole: Tensor) -> None:
    before = scene.clone()
    inpainting(scene, hole)
    assert torch.equal(scene, before)


def test_composite_keeps_known_pixels_and_takes_the_rest(scene: Tensor, hole: Tensor) -> None:
    problem = inpainting(scene, hole)
    image = torch.full((1, 3, 40, 50), 0.123)
    composite = problem.composite(image)
    assert torch.equal(composite[0][:, ~hole], scene[:, ~hole])
    assert bool((composite[0][:, hole] == 0.123).all())


def test_moving_to_a_device_keeps_everything(scene: Tensor, hole: Tensor) -> None:
    problem = inpainting(scene, hole, sigma=3.0)
    moved = problem.to("cpu")
    assert (moved.kind, moved.sigma) == ("inpaint", 3.0)
    assert torch.equal(moved.measurement, problem.measurement)
    assert torch.equal(moved.known, problem.known)
    assert torch.equal(moved.operator.A(scene[None]), problem.operator.A(scene[None]))


@pytest.mark.parametrize("dtype", [torch.float16, torch.float64])
def test_measurements_are_float32(dtype: torch.dtype) -> None:
    assert denoising(torch.rand(1, 4, 4).to(dtype), 10.0).measurement.dtype == torch.float32
    assert inpainting(torch.rand(1, 4, 4).to(dtype), torch.eye(4).bool()).measurement.dtype == torch.float32


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_pixels_that_are_not_finite_are_refused(value: float, hole: Tensor) -> None:
    picture = torch.full((1, 40, 50), 0.5)
    row, column = (~hole).nonzero()[0].tolist()
    picture[0, row, column] = value
    with pytest.raises(InputError, match="NaN or infinite"):
        denoising(picture, 25.0)
    with pytest.raises(InputError, match="NaN or infinite"):
        inpainting(picture, hole)


def test_a_hole_that_covers_everything_is_refused(scene: Tensor) -> None:
    with pytest.raises(InputError, match="hides every pixel"):
        inpainting(scene, torch.ones(40, 50, dtype=torch.bool))


@pytest.mark.parametrize("shape", [(4, 4), (1, 1, 4, 4)])
def test_another_shape_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="shape"):
        denoising(torch.zeros(shape), 25.0)
