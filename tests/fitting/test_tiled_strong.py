"""Tiles of strong noise: each begins anew, on its own middle if it is large."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from restore.fitting import Checkpoint, Fitted, fit, make_plan, tile_steps, tiled, warm_start
from restore.fitting.bounded import tile_plan
from restore.fitting.tiled import fit_tiles
from restore.fitting.trace import Trace
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
    assert plan.learning_rate == tile_steps.WARM_RATE * own.learning_rate
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


class _Stub:
    """Fits that learn nothing: they give a picture of ones, and end as they are told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, ends: Callable[[int, bool], tuple[str, float, bool]]) -> None:
        self.went_on: list[bool] = []
        self.ends, self.useful = ends, True
        self.looks: Callable[[], torch.Tensor | None] = lambda: None
        monkeypatch.setattr(tiled, "release", lambda device: None)  # it looks through all objects
        monkeypatch.setattr(tiled, "fit", self)
        monkeypatch.setattr(tiled, "fit_warm", lambda part, plan, settings, observers: self(part, plan, observers))
        monkeypatch.setattr(tiled, "is_useful", lambda part, fitted: self.useful)
        monkeypatch.setattr(tiled, "glance", lambda *given: self.looks())
        monkeypatch.setattr(tiled.Learned, "taken", lambda self: {"networks": {}})

    def __call__(self, part: Problem, plan: Any, observers: Any, start: Any = None) -> Fitted:
        self.went_on.append(start is not None)
        reason, share, self.useful = self.ends(len(self.went_on), self.went_on[-1])
        steps = max(1, round(share * plan.iterations))
        image = torch.ones_like(part.measurement)
        return Fitted(image, image, image, steps, steps, reason, 1.0, None, None, 1, "float32", (), (), Trace())


def _of_ones(**values: Any) -> tuple[Problem, Any, FitSettings]:
    problem = denoising(torch.ones(1, 70, 101), 50.0)
    settings = FitSettings(**{**SETTINGS, **values})
    return problem, tile_plan(problem, make_plan(problem, settings), settings, 48), settings


@pytest.mark.parametrize("seed", range(12))
def test_tiles_are_joined_once_however_they_end(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    generator = random.Random(seed)

    def ends(number: int, went_on: bool) -> tuple[str, float, bool]:
        return generator.choice(["time", "heldout", "diverged"]), generator.random(), generator.random() < 0.5

    _Stub(monkeypatch, ends)
    fitted = fit_tiles(*_of_ones(time_budget=100.0))
    torch.testing.assert_close(fitted.image, torch.ones(1, 1, 70, 101))


def test_the_last_tile_has_no_second_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    stub = _Stub(monkeypatch, lambda number, went_on: ("time", 0.4 if number == 6 else 0.6, True))
    assert fit_tiles(*_of_ones(time_budget=100.0)).tiles_fitted == 6
    assert stub.went_on == 6 * [False]


def test_a_second_turn_without_time_leaves_what_was_there(monkeypatch: pytest.MonkeyPatch) -> None:
    stub = _Stub(monkeypatch, lambda number, went_on: ("time", 0.1, True))
    original = _Stub.__call__
    monkeypatch.setattr(
        tiled, "fit", lambda *given, **named: _darkened(original(stub, *given, **named), len(stub.went_on) == 7)
    )
    fitted = fit_tiles(*_of_ones(time_budget=100.0))
    assert stub.went_on == [False] + 6 * [True]
    torch.testing.assert_close(fitted.image, torch.ones(1, 1, 70, 101))


def _darkened(fitted: Fitted, whether: bool) -> Fitted:
    return dataclasses.replace(fitted, image=0 * fitted.image) if whether else fitted


def test_a_first_tile_of_no_use_is_restored_in_its_second_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    stub = _Stub(monkeypatch, lambda number, went_on: ("time", 0.1, number > 1))
    fitted = fit_tiles(*_of_ones(time_budget=100.0))
    assert (fitted.tiles_fitted, len(stub.went_on)) == (6, 7)
    assert len(fitted.warnings) == 1 and "better with more" in fitted.warnings[0]


def test_ctrl_c_while_tiles_without_time_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    def pressed() -> None:
        raise KeyboardInterrupt

    stub = _Stub(monkeypatch, lambda number, went_on: ("time", 0.1, False))
    stub.looks = pressed
    fitted = fit_tiles(*_of_ones(time_budget=100.0))
    assert fitted.stop_reason == "interrupted" and fitted.tiles_fitted == 0


def test_what_was_hurried_goes_on_from_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def ends(number: int, went_on: bool) -> tuple[str, float, bool]:
        if number == 4:
            raise KeyboardInterrupt
        return "time", 0.1, number == 2

    stub = _Stub(monkeypatch, ends)
    given = _of_ones(time_budget=100.0)
    kept = Checkpoint(tmp_path / "kept")
    with kept:
        fit_tiles(*given, checkpoint=kept)
    del stub.went_on[:]
    stub.ends = lambda number, went_on: ("heldout", 1.0, True)
    again = Checkpoint(tmp_path / "kept")
    with again:
        fitted = fit_tiles(*given, checkpoint=again)
    assert stub.went_on == 4 * [True]  # three are left, and the first one's second turn; the third is of no use
    assert fitted.tiles_fitted == 5
    torch.testing.assert_close(fitted.image, torch.ones(1, 1, 70, 101))
