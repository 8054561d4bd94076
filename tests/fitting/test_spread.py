"""Where a fit is unsure: the spread of its steps, scaled by what the held-out pixels say."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

import restore
from restore.fitting.averaging import OutputAverage
from restore.fitting.judge import Fitted
from restore.fitting.spread import Spread, uncertainty
from restore.fitting.trace import Step, Trace
from restore.problems.problem import Problem, denoising, inpainting


def step(iteration: int, output: Tensor, image: Tensor, held_out: float | None, check: bool) -> Step:
    return Step(iteration, 0.0, 0.0, 0.0, 0.0, output, image, held_out, check)


def watched(errors: list[float | None], scale: list[float]) -> tuple[Spread, list[Tensor]]:
    """Return a spread that has seen as many checks of ten steps, whose images scatter by `scale`; and its variances."""
    generator, average, spread = torch.Generator().manual_seed(0), OutputAverage(0.98), Spread(0.98)
    variances: list[Tensor] = []
    for check, (error, wide) in enumerate(zip(errors, scale, strict=True)):
        for number in range(1, 11):
            output = 0.5 + wide * torch.randn(1, 3, 16, 16, generator=generator)
            image = average.update(output)
            spread(step(10 * check + number, output, image, error if number == 10 else None, number == 10))
        assert spread.variance is not None
        variances.append(spread.variance)
    return spread, variances


def fitted_with(error: float | None) -> Fitted:
    image = torch.zeros(1, 3, 16, 16)
    return Fitted(image, image, image, 1, 1, "iterations", 0.0, error, 0.0, 0, "float32", (), (), Trace())


def test_it_is_that_of_the_best_step() -> None:
    _, variances = watched([3.0, 1.0, 2.0], [0.1, 0.1, 0.4])
    assert not torch.equal(variances[0], variances[1])
    assert torch.equal(variances[1], variances[2])
    _, variances = watched([None, None], [0.1, 0.4])
    assert float(variances[1].mean()) > 2 * float(variances[0].mean())


def test_a_fit_that_ends_before_its_first_check_has_one() -> None:
    spread, image = Spread(0.98), torch.zeros(1, 3, 16, 16)
    spread(step(1, image + 0.1, image, None, False))
    assert spread.variance is not None
    assert torch.equal(spread.variance, image)  # a single step scatters about nothing


def test_where_steps_fill_pixels_their_neighbours_tell() -> None:
    class Filling:
        device = torch.device("cpu")
        shown_in_looks = torch.zeros(1, 1, 16, 16, dtype=torch.bool)

    Filling.shown_in_looks[..., 4, 5] = True
    generator, spread = torch.Generator().manual_seed(0), Spread(0.98)
    spread.attach(Filling())  # type: ignore[arg-type]
    for number in range(1, 21):
        output = 0.01 * torch.randn(1, 3, 16, 16, generator=generator)
        output[..., 4, 5] *= 100
        spread(step(number, output, output, None, number == 20))
    assert spread.variance is not None
    around = spread.variance[..., 3:6, 4:7].mean((2, 3))
    torch.testing.assert_close(spread.variance[..., 4, 5], around)


def test_it_goes_on_from_a_checkpoint() -> None:
    whole, _ = watched([3.0, 2.0], [0.1, 0.2])
    other = Spread(0.98)
    other.restore(whole.state())
    assert whole.variance is not None and other.variance is not None
    assert torch.equal(whole.variance, other.variance)


def test_its_mean_square_is_the_held_out_error() -> None:
    spread, _ = watched([1.0], [0.1])
    problem = denoising(torch.full((3, 16, 16), 0.5), 25.5)
    found = uncertainty(problem, fitted_with(0.01 + 0.0004), spread)
    assert found is not None
    deviation, calibrated = found
    assert calibrated
    assert float(deviation.square().mean()) == pytest.approx(0.0004, rel=1e-4)
    raw = uncertainty(problem, fitted_with(None), spread)
    assert raw is not None and not raw[1]
    assert spread.variance is not None
    torch.testing.assert_close(raw[0], spread.variance.sqrt()[0])


def test_known_pixels_of_an_inpainting_are_certain() -> None:
    spread, _ = watched([1.0], [0.1])
    hole = torch.zeros(16, 16, dtype=torch.bool)
    hole[4:8] = True
    problem: Problem = inpainting(torch.full((3, 16, 16), 0.5), hole)
    found = uncertainty(problem, fitted_with(0.0004), spread)
    assert found is not None
    assert float(found[0][:, ~hole].max()) == 0
    assert float(found[0][:, hole].min()) > 0


def test_it_is_larger_where_the_error_is() -> None:
    """A flat half and a half of fine texture, which a short fit cannot know."""
    rng = np.random.default_rng(0)
    true = np.full((64, 64), 0.5)
    true[:, 32:] += 0.25 * np.sign(rng.normal(size=(64, 32)))
    noisy = (255 * (true + 0.08 * rng.normal(size=true.shape)).clip(0, 1)).round().astype(np.uint8)
    result = restore.denoise(noisy, sigma=20.4, objective="blindspot", device="cpu", iterations=40, uncertainty=True)
    assert result.uncertainty is not None
    flat, busy = result.uncertainty[0, :, :28].mean(), result.uncertainty[0, :, 36:].mean()
    assert busy > 1.3 * flat
    assert restore.denoise(noisy, device="cpu", iterations=2).uncertainty is None
