"""The objective for correlated noise: what is asked for must say nothing of the noise that is shown."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from torch import Tensor

from restore.errors import UsageError
from restore.fitting import fit, make_plan
from restore.fitting.recorrupted import RECORRUPTION, Recorrupted
from restore.problems.covariance import NoiseCovariance
from restore.problems.padding import Padding
from restore.problems.problem import Problem, denoising
from restore.problems.signal_dependence import SignalDependence
from restore.settings import FitSettings

SIZE = (64, 64)


@pytest.fixture
def covariance() -> NoiseCovariance:
    """Noise of three channels blurred by (1, 2, 1) in both directions, of deviation 0.1."""
    blur = np.convolve([1, 2, 1], [1, 2, 1])
    lags = np.zeros((3, 3, 5, 5))
    for channel in range(3):
        lags[channel, channel] = 0.01 * np.outer(blur, blur) / 36
    return NoiseCovariance(lags)


def problem_of(covariance: NoiseCovariance, measurement: Tensor | None = None) -> Problem:
    noisy = 0.5 + torch.from_numpy(covariance.draw(SIZE, 1, 1)[0]).float() if measurement is None else measurement
    return denoising(noisy, 25.5, covariance=covariance)


def objective_of(problem: Problem, seed: int = 0, **changed: float) -> Recorrupted:
    plan = make_plan(problem, FitSettings(device="cpu"))
    plan = type(plan)(**{**vars(plan), **changed})
    held_out = torch.zeros_like(problem.known)
    return Recorrupted(problem, plan, Padding(SIZE, 16, 32), held_out, torch.Generator().manual_seed(seed))


def test_auto_chooses_it_for_correlated_noise_alone(covariance: NoiseCovariance) -> None:
    problem = problem_of(covariance)
    assert make_plan(problem, FitSettings()).objective == "recorrupted"
    assert make_plan(denoising(problem.measurement[0], 25.5), FitSettings()).objective == "blindspot"
    assert make_plan(problem, FitSettings(objective="blindspot")).objective == "blindspot"
    assert make_plan(problem, FitSettings(prior="decoder")).objective == "fit"


def test_a_guessed_covariance_hides_pixels_too(covariance: NoiseCovariance) -> None:
    assert make_plan(problem_of(covariance), FitSettings()).hidden == 0
    guessed = NoiseCovariance(covariance.lags, uneven=True)
    assert make_plan(problem_of(guessed), FitSettings()).hidden > 0


def test_noise_of_what_is_asked_for_and_of_what_is_shown_is_uncorrelated(covariance: NoiseCovariance) -> None:
    shown, asked = [], []
    for seed in range(60):
        measurement = torch.from_numpy(covariance.draw(SIZE, 1, seed)[0]).float()  # noise on black
        draw = objective_of(problem_of(covariance, measurement), seed).draw()
        assert draw.target is not None
        shown.append(draw.input[0])
        asked.append(draw.target[0])
    a, b = torch.stack(shown), torch.stack(asked)
    for down, right in [(0, 0), (0, 1), (1, 1), (0, 2)]:
        product = (a * torch.roll(b, (down, right), (-2, -1))).mean()
        assert abs(product.item()) < 0.02 * 0.01, (down, right)
    assert a.var().item() == pytest.approx(0.01 * (1 + RECORRUPTION**2), rel=0.05)
    assert b.var().item() == pytest.approx(0.01 * (1 + 1 / RECORRUPTION**2), rel=0.05)


def test_new_noise_is_as_strong_as_the_light_makes_it(covariance: NoiseCovariance) -> None:
    grows = SignalDependence((0.5, 1.0, 0.0, 0.0, 0.0), 0.4, 1.7)  # variance 0.5 + m, in units of that of the lags
    light = torch.full((3, *SIZE), 0.1)
    light[..., 32:] = 0.9
    objective = objective_of(problem_of(dataclasses.replace(covariance, dependence=grows), light))
    drawn = torch.cat([objective.noise() for _ in range(50)])
    for columns, variance in ((slice(0, 24), 0.6), (slice(40, 64), 1.4)):  # away from where the mean around is of both
        assert float(drawn[..., columns].square().mean()) == pytest.approx(0.01 * variance, rel=0.05)


def test_a_scored_pixel_that_is_hidden_never_enters_the_input(covariance: NoiseCovariance) -> None:
    problem = problem_of(covariance)
    draw = objective_of(problem, hidden=0.2).draw()
    scored = draw.scored.bool()
    assert 0.1 < draw.scored.mean() < 0.3
    changed = problem_of(covariance, torch.where(scored, torch.rand(()), problem.measurement)[0])
    again = objective_of(changed, hidden=0.2).draw()
    assert torch.equal(draw.input, again.input)
    assert torch.equal(draw.scored, again.scored)
    assert draw.target is not None
    assert again.target is not None
    assert not torch.equal(draw.target, again.target)


def test_impulses_are_neither_shown_nor_scored(covariance: NoiseCovariance) -> None:
    measurement = problem_of(covariance).measurement[0]
    known = torch.rand(SIZE, generator=torch.Generator().manual_seed(2)) > 0.1
    inputs = []
    for value in (0.0, 1.0):
        spoilt = torch.where(known, measurement, torch.full((), value))
        draw = objective_of(denoising(spoilt, 25.5, known, covariance)).draw()
        assert not draw.scored[0, 0][~known].any()
        inputs.append(draw.input)
    assert torch.equal(*inputs)


def test_correlated_noise_on_a_flat_picture_goes_and_the_blind_spot_keeps_it(covariance: NoiseCovariance) -> None:
    problem = problem_of(covariance)
    errors = {}
    for objective in ("recorrupted", "blindspot"):
        settings = FitSettings(
            device="cpu",
            objective=objective,
            iterations=100,
            stop="none",
            learning_rate=0.01,
            network={"channels": (8, 8, 8), "tail": 1},
        )
        fitted = fit(problem, make_plan(problem, settings))
        errors[objective] = (fitted.image - 0.5).square().mean().item() / 0.01
    assert errors["recorrupted"] < 0.25
    assert errors["recorrupted"] < 0.6 * errors["blindspot"]


def test_what_does_not_go_together_is_refused(covariance: NoiseCovariance) -> None:
    problem = problem_of(covariance)
    with pytest.raises(UsageError, match="strength"):
        make_plan(denoising(problem.measurement[0], 25.5), FitSettings(objective="recorrupted"))
    for stop in ("heldout", "discrepancy"):
        with pytest.raises(UsageError, match=stop):
            make_plan(problem, FitSettings(stop=stop))
    with pytest.raises(UsageError, match="decoder"):
        make_plan(problem, FitSettings(prior="decoder", objective="recorrupted"))
    with pytest.raises(UsageError, match="paper"):
        make_plan(problem, FitSettings(preset="paper", objective="recorrupted"))
