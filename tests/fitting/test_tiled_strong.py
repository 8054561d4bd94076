"""Tiles of strong noise: each begins anew, on its own middle if it is large."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from torch import Tensor

from restore.fitting import Fitted, fit, make_plan, tile_steps, tiled, warm_start
from restore.fitting.bounded import tile_plan
from restore.fitting.tile_steps import warm_rate
from restore.fitting.tiled import fit_tiles
from restore.problems.problem import Problem, denoising
from restore.settings import FitSettings

SETTINGS: dict[str, Any] = {
    "network": {"channels": (8, 8), "tail": 1},
    "networks": 1,
    "device": "cpu",
    "precision": "float32",
}


def _truth() -> Tensor:
    y, x = torch.meshgrid(torch.linspace(0, 6, 70), torch.linspace(0, 9, 101), indexing="ij")
    return 0.5 + 0.4 * torch.stack([torch.sin(x + phase) * torch.cos(y) for phase in range(3)])


TRUTH = _truth()


@pytest.fixture
def problem() -> Problem:
    """Six tiles of 48 pixels at most."""
    return denoising(TRUTH + 50 / 255 * torch.randn(TRUTH.shape, generator=torch.Generator().manual_seed(1)), 50.0)


def test_large_tiles_of_strong_noise_begin_on_their_middle(problem: Problem, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warm_start, "LARGE", 500)
    monkeypatch.setattr(warm_start, "FEWEST", 3)
    monkeypatch.setattr(warm_start, "REST", 0.02)
    monkeypatch.setattr(warm_start, "FIRST_SHORT", 0.02)
    settings = FitSettings(**SETTINGS)
    plan = tile_plan(problem, make_plan(problem, settings), settings, 48)
    assert 0 < plan.iterations == plan.warm_start < 10 and plan.tile_iterations == 0
    fitted = fit_tiles(problem, plan, settings)
    assert (fitted.iterations, fitted.steps_before) == (6 * plan.iterations, 6 * plan.warm_start)
    assert 0 < fitted.seconds_before < fitted.seconds
    own = make_plan(problem, settings)
    assert own.objective == "blindspot" and plan.learning_rate == tile_steps.WARM_RATE * own.learning_rate
    narrow = dataclasses.replace(own, objective="recorrupted")
    assert warm_rate(narrow, settings, problem) == own.learning_rate
    weak = dataclasses.replace(problem, sigma=25.0)
    assert tile_plan(weak, make_plan(weak, settings), settings, 48).warm_start == 0


def test_each_tile_of_strong_noise_has_its_own_seed_and_time_whatever_becomes_of_its_middle(
    problem: Problem, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(warm_start, "LARGE", 500)
    asked: list[tuple[int, float, bool]] = []
    original = fit

    def diverging(problem: Problem, plan: Any, observers: Any = (), *rest: Any, **named: Any) -> Fitted:
        whole = "before" in named
        fitted = original(problem, dataclasses.replace(plan, iterations=1), observers, *rest, **named)
        assert plan.time_budget is not None
        asked.append((plan.seed, plan.time_budget, whole))
        return fitted if whole else dataclasses.replace(fitted, stop_reason="diverged")

    monkeypatch.setattr(warm_start, "fit", diverging)
    settings = FitSettings(**SETTINGS, time_budget=600.0)
    fit_tiles(problem, tile_plan(problem, make_plan(problem, settings), settings, 48), settings)
    assert [whole for *_, whole in asked] == 6 * [False, True]
    assert [seed for seed, *_ in asked[::2]] == [seed for seed, *_ in asked[1::2]]
    assert len({seed for seed, *_ in asked}) == 6
    assert asked[0][1] < asked[1][1] < 600 / 5  # the first tile's share, of which its middle has a part


def test_without_the_time_to_begin_anew_a_tile_goes_on_and_all_are_shown_to_what_came_of_it(
    problem: Problem, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[bool] = []
    original = fit

    def cut_short(problem: Problem, plan: Any, *rest: Any, **named: Any) -> Fitted:
        begun.append(bool(named.get("start")))
        fitted = original(problem, dataclasses.replace(plan, iterations=15), *rest, **named)
        return dataclasses.replace(fitted, stop_reason="time")

    for module in (tiled, warm_start):
        monkeypatch.setattr(module, "fit", cut_short)
    settings = FitSettings(**SETTINGS, time_budget=600.0)
    fitted = fit_tiles(problem, tile_plan(problem, make_plan(problem, settings), settings, 48), settings)
    assert begun == [False] + 6 * [True]  # the first has another turn
    assert fitted.stop_reason == "time" and 0 < fitted.tiles_fitted < fitted.tiles
    assert any("were shown once to what these had learned" in warning for warning in fitted.warnings)
    for corner in ((slice(None, 24), slice(None, 24)), (slice(-24, None), slice(-24, None))):
        before, after = (
            (image[0] - TRUTH)[:, *corner].square().mean() for image in (problem.measurement, fitted.image)
        )
        assert after < 0.5 * before
