"""A fit on tiles: whole pictures, no seam, the same again, in time, resumed and interrupted."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from restore.errors import FitError, UsageError
from restore.fitting import Checkpoint, Fitted, Step, Training, fit, make_plan, warm_start
from restore.fitting import tiled as module
from restore.fitting.bounded import fit_bounded, smaller_plan, tile_plan
from restore.fitting.judge import INTERPOLATED
from restore.fitting.ledger import Ledger
from restore.fitting.tile_steps import first_steps, hands_on, warm_steps
from restore.fitting.tiled import fit_tiles
from restore.fitting.tiles import make_layout
from restore.problems.problem import Problem, denoising, inpainting
from restore.settings import FitSettings, Plan

SMALL: dict[str, Any] = {"network": {"channels": (8, 8), "tail": 1}, "device": "cpu", "precision": "float32"}


def _scene(channels: int = 3, size: tuple[int, int] = (70, 101)) -> Tensor:
    """Soft waves, (channels, H, W) in [0.1, 0.9]; no side is a multiple of anything."""
    y, x = torch.meshgrid(torch.linspace(0, 6, size[0]), torch.linspace(0, 9, size[1]), indexing="ij")
    return 0.5 + 0.4 * torch.stack([torch.sin(x + phase) * torch.cos(y) for phase in range(channels)])


def _noisy(truth: Tensor, sigma: float = 25.0) -> Problem:
    noise = torch.randn(truth.shape, generator=torch.Generator().manual_seed(1))
    return denoising(truth + sigma / 255 * noise, sigma)


def _tiled(problem: Problem, side: int = 48, **values: Any) -> tuple[Plan, FitSettings]:
    settings = FitSettings(**{**SMALL, "iterations": 15, **values})
    return tile_plan(problem, make_plan(problem, settings), settings, side), settings


def _error(image: Tensor, truth: Tensor) -> float:
    return float((image[0] - truth).square().mean())


class _InterruptIn:
    """Presses Ctrl-C in a step of a tile."""

    def __init__(self, tile: int, step: int) -> None:
        self.tile, self.step, self.now = tile, step, 0
        self.steps: list[tuple[int, int]] = []

    def begin_tile(self, number: int, count: int, plan: Plan) -> None:
        self.now, self.count = number, count

    def __call__(self, step: Step) -> None:
        self.steps.append((self.now, step.iteration))
        if (self.now, step.iteration) == (self.tile, self.step):
            raise KeyboardInterrupt


@pytest.mark.parametrize("channels", [1, 3])
def test_noise_goes(channels: int) -> None:
    truth = _scene(channels)
    problem = _noisy(truth)
    fitted = fit_tiles(problem, *_tiled(problem, iterations=50))
    assert fitted.image.shape == problem.measurement.shape
    assert fitted.tiles == fitted.tiles_fitted == len(make_layout(problem.size, 48, 12).tiles) == 6
    assert fitted.iterations == 7 * 50 == fitted.trace.iteration[-1]
    iterations, seconds = fitted.trace.iteration, fitted.trace.seconds
    assert sorted(iterations) == iterations and sorted(seconds) == seconds
    assert _error(fitted.image, truth) < 0.6 * _error(problem.measurement, truth)


def test_the_same_seed_gives_the_same_image() -> None:
    problem = _noisy(_scene())
    plan, settings = _tiled(problem, iterations=10)
    first, second = fit_tiles(problem, plan, settings), fit_tiles(problem, plan, settings)
    assert torch.equal(first.image, second.image)
    other = dataclasses.replace(settings, seed=1)
    assert not torch.equal(fit_tiles(problem, plan, other).image, first.image)


def test_no_step_across_the_borders_of_tiles() -> None:
    truth = _scene(1)
    problem = _noisy(truth)
    plan, settings = _tiled(problem, iterations=80)
    error = fit_tiles(problem, plan, settings).image[0, 0] - truth[0]
    tiles = make_layout(problem.size, plan.tile_side, plan.tile_overlap).tiles
    steps = error.diff(dim=1).square().mean(dim=0).sqrt()  # between columns k and k + 1
    borders = {tile.left - 1 for tile in tiles if tile.left} | {tile.left + tile.width - 1 for tile in tiles}
    borders.discard(problem.size[1] - 1)
    inside = torch.tensor([float(step) for place, step in enumerate(steps) if place not in borders])
    assert borders and all(steps[place] <= inside.max() for place in borders)


def test_later_tiles_begin_with_the_weights_of_the_one_before(monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[bool] = []
    began_with: list[Tensor] = []
    original = fit

    def noting(problem: Problem, plan: Plan, observers: Any = (), checkpoint: Any = None, start: Any = None) -> Fitted:
        begun.append(start is not None)
        if start is not None:
            began_with.append(start["networks"]["0.head.weight"])
        return original(problem, plan, observers, checkpoint, start)

    for each in (module, warm_start):
        monkeypatch.setattr(each, "fit", noting)
    problem = _noisy(_scene())
    plan, settings = _tiled(problem, iterations=3)
    fit_tiles(problem, plan, settings)
    assert begun == [False] + 6 * [True]  # the first has another turn
    assert not torch.equal(began_with[0], began_with[-1])
    begun.clear()
    fit_tiles(problem, *_tiled(problem, iterations=3, objective="fit"))
    assert begun == 6 * [False]  # a code says nothing about another tile
    begun.clear()
    strong = _noisy(_scene(), 50.0)
    fit_tiles(strong, *_tiled(strong, iterations=3))
    assert begun == 6 * [False]  # strong noise is learned by heart by weights that have seen much of it


def test_steps_of_later_tiles_are_fewer_unless_a_number_was_asked_for() -> None:
    problem = _noisy(_scene())
    settings = FitSettings(**SMALL)
    plan = make_plan(problem, settings)
    holed = dataclasses.replace(problem, kind="inpaint")
    assert 0 < warm_steps(plan, settings, problem) < plan.iterations
    assert warm_steps(plan, settings, problem) < warm_steps(plan, settings, holed)
    assert warm_steps(dataclasses.replace(plan, iterations=30), FitSettings(iterations=30), problem) == 30
    assert first_steps(plan, settings, problem) < plan.iterations == first_steps(plan, settings, holed)
    strong = dataclasses.replace(problem, sigma=50.0)
    assert hands_on(plan, problem) and not hands_on(plan, strong)
    assert hands_on(dataclasses.replace(plan, optimizer="adam"), strong)
    assert not hands_on(dataclasses.replace(plan, objective="fit"), problem)


def test_each_tile_takes_the_steps_that_its_own_hole_asks_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Single pixels on the left, a region on the right, which only another prior under `fit` continues."""
    taken: dict[str, int] = {}
    original = fit

    def noting(problem: Problem, plan: Plan, observers: Any = (), checkpoint: Any = None, start: Any = None) -> Fitted:
        taken[plan.objective] = plan.iterations
        return original(problem, dataclasses.replace(plan, iterations=1), observers, checkpoint, start)

    for each in (module, warm_start):
        monkeypatch.setattr(each, "fit", noting)
    hole = torch.zeros(64, 112, dtype=torch.bool)
    hole[:, :48] = torch.rand(64, 48, generator=torch.Generator().manual_seed(0)) < 0.5
    hole[12:52, 66:106] = True
    problem = inpainting(_scene(1, (64, 112)), hole)
    settings = FitSettings(device="cpu", precision="float32")
    parts = [tile.cut(hole) for tile in make_layout((64, 112), 64, 16).tiles]
    wanted = {
        plan.objective: plan.iterations
        for plan in (make_plan(inpainting(_scene(1, (64, 64)), part.contiguous()), settings) for part in parts)
    }
    fit_tiles(problem, tile_plan(problem, make_plan(problem, settings), settings, 64), settings)
    assert set(wanted) == {"blindspot", "fit"} and wanted["fit"] != wanted["blindspot"]
    assert taken == wanted


def test_what_was_learned_is_what_the_next_fit_begins_with() -> None:
    problem = _noisy(_scene())
    plan = make_plan(problem, FitSettings(**SMALL, iterations=4, optimizer="adam"))
    teacher = Training(problem, plan)
    teacher.step(1)
    learned = teacher.learned()
    pupil = Training(problem, dataclasses.replace(plan, learning_rate=0.5), learned)
    taught = pupil.learned()
    assert all(torch.equal(value, learned["networks"][name]) for name, value in taught["networks"].items())
    moments = [(taught["optimizer"][key], learned["optimizer"][key]) for key in learned["optimizer"]]
    assert moments and all(torch.equal(one["exp_avg_sq"], other["exp_avg_sq"]) for one, other in moments)
    step = pupil.step(1)
    assert step is not None and step.learning_rate == 0.5  # the plan's
    assert all(torch.equal(value, learned["networks"][name]) for name, value in teacher.networks.state_dict().items())


def test_inpainting_fits_no_tile_that_is_known_and_every_hole() -> None:
    truth = _scene()
    hole = torch.zeros(70, 101, dtype=torch.bool)
    hole[:30, :30] = torch.rand(30, 30, generator=torch.Generator().manual_seed(2)) < 0.4
    problem = inpainting(truth, hole)
    watching = _InterruptIn(0, 0)
    plan, settings = _tiled(problem, iterations=60)
    fitted = fit_tiles(problem, plan, settings, [watching])
    tiles = make_layout(problem.size, plan.tile_side, plan.tile_overlap).tiles
    holed = sum(bool(tile.cut(hole).any()) for tile in tiles)
    assert len({tile for tile, _ in watching.steps}) == holed < len(tiles) == fitted.tiles_fitted
    errors = (problem.composite(fitted.image)[0] - truth)[:, hole].square().mean()
    assert errors < 0.25 * (problem.measurement[0] - truth)[:, hole].square().mean()
    torch.testing.assert_close(fitted.image[..., 62:, 72:], truth[None, :, 62:, 72:])  # what was known


def test_a_tile_that_is_alone_takes_all_its_steps_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where others follow, the first takes fewer and has another turn."""
    taken: list[tuple[int, bool]] = []
    original = fit

    def noting(problem: Problem, plan: Plan, observers: Any = (), checkpoint: Any = None, start: Any = None) -> Fitted:
        taken.append((plan.iterations, start is not None))
        return original(problem, dataclasses.replace(plan, iterations=1), observers, checkpoint, start)

    monkeypatch.setattr(module, "fit", noting)
    settings = FitSettings(**SMALL)
    hole = torch.rand(70, 101, generator=torch.Generator().manual_seed(2)) < 0.4
    corner = torch.zeros_like(hole)
    corner[2:18:5, 2:18:5] = True
    firsts = []
    for missing, count in ((hole, 7), (corner, 1)):
        taken.clear()
        problem = inpainting(_scene(), missing)
        plan = tile_plan(problem, make_plan(problem, settings), settings, 48)
        fit_tiles(problem, plan, settings)
        assert len(taken) == count and taken[0] == (plan.iterations, False)
        assert taken[1:] == (count - 1) * [(plan.tile_iterations, True)]
        firsts.append(plan.iterations)
    assert firsts[0] == round(0.4 * firsts[1])


def test_ctrl_c_fills_the_holes_of_the_rest() -> None:
    truth = _scene()
    hole = torch.rand(70, 101, generator=torch.Generator().manual_seed(2)) < 0.4
    strokes = torch.zeros_like(hole)
    strokes[::12] = strokes[:, ::12] = True
    for missing, said in ((hole, "were shown once"), (strokes, "their holes filled from their neighbours")):
        problem = inpainting(truth, missing)
        plan, settings = _tiled(problem, iterations=20, optimizer="muon", networks=1)
        fitted = fit_tiles(problem, plan, settings, [_InterruptIn(3, 2)])
        assert any(said in warning for warning in fitted.warnings)
        rest = (..., slice(50, None), slice(None, 40))
        errors = (problem.composite(fitted.image) - truth)[rest][..., missing[rest]].square().mean()
        assert errors < 0.1 * truth[rest][..., missing[rest]].square().mean()  # black


def test_a_tile_wholly_in_a_hole_continues_its_neighbours() -> None:
    truth = 0.25 + 0.5 * _scene(1, (120, 120)).clamp(0.4, 0.6)
    hole = torch.zeros(120, 120, dtype=torch.bool)
    hole[6:114, 6:114] = True
    problem = inpainting(truth, hole)
    plan, settings = _tiled(problem, iterations=8, **{"network": {}})
    tiles = make_layout(problem.size, plan.tile_side, plan.tile_overlap).tiles
    assert any(bool(tile.cut(hole).all()) for tile in tiles)
    fitted = fit_tiles(problem, plan, settings)
    assert fitted.tiles_fitted == len(tiles)
    assert bool(fitted.image.isfinite().all())
    inside = fitted.image[0, 0][hole]
    assert (inside - truth[0][hole]).abs().mean() < 0.25  # zeros would be half a unit away


def test_the_time_budget_is_shared() -> None:
    problem = _noisy(_scene())
    plan, settings = _tiled(problem, iterations=1_000_000, stop="none", time_budget=1.5)
    watching = _InterruptIn(0, 0)
    fitted = fit_tiles(problem, plan, settings, [watching])
    assert fitted.stop_reason == "time"
    assert fitted.seconds < 1.5 + 1.0  # of steps; each tile has one at least
    assert {tile for tile, _ in watching.steps} == set(range(1, 7))
    assert fitted.iterations == len(watching.steps)
    assert fitted.tiles == 6


def test_tiles_that_were_cut_short_are_not_called_restored(monkeypatch: pytest.MonkeyPatch) -> None:
    """They stay as they were measured, but for impulses, which were never a measurement."""
    monkeypatch.setattr(module, "is_useful", lambda problem, fitted: False)
    truth = _scene(1)
    struck = torch.rand(truth.shape[-2:], generator=torch.Generator().manual_seed(4)) < 0.1
    problem = denoising(truth, 25.0, ~struck)
    fitted = fit_tiles(problem, *_tiled(problem, iterations=1))
    assert (fitted.tiles, fitted.tiles_fitted) == (6, 0)
    assert any("0 of 6 tiles" in warning for warning in fitted.warnings)
    torch.testing.assert_close(fitted.image[0][:, ~struck], truth[:, ~struck])
    assert (fitted.image[0] - truth)[:, struck].abs().mean() < 0.1 < truth[:, struck].mean()


def test_ctrl_c_keeps_what_is_finished_and_measures_the_rest() -> None:
    problem = _noisy(_scene())
    plan, settings = _tiled(problem)
    whole = fit_tiles(problem, plan, settings).image
    fitted = fit_tiles(problem, plan, settings, [_InterruptIn(3, 2)])
    assert (fitted.stop_reason, fitted.tiles, fitted.tiles_fitted) == ("interrupted", 6, 2)
    assert any("2 of 6 tiles" in warning for warning in fitted.warnings)
    assert torch.equal(fitted.image[..., :25, 44:57], whole[..., :25, 44:57])  # the second tile's own
    torch.testing.assert_close(fitted.image[..., 60:, :20], problem.measurement[..., 60:, :20])
    with pytest.raises(KeyboardInterrupt):
        fit_tiles(problem, plan, settings, [_InterruptIn(1, 1)])


@pytest.mark.parametrize(("sigma", "restored"), [(25.0, 3), (40.0, 2)])  # two steps of a tile that begins anew are none
def test_ctrl_c_shows_the_rest_to_what_was_learned(
    sigma: float, restored: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    truth = _scene()
    problem = _noisy(truth, sigma)
    plan, settings = _tiled(problem, iterations=60, optimizer="muon", networks=1)
    fitted = fit_tiles(problem, plan, settings, [_InterruptIn(3, 2)])
    assert (fitted.stop_reason, fitted.tiles, fitted.tiles_fitted) == ("interrupted", 6, restored)
    left = 6 - restored
    said = f"only {restored} of 6 tiles were restored; {left} were shown once"
    assert any(said in warning for warning in fitted.warnings)
    corner = (..., slice(50, None), slice(None, 40))
    before, after = (_error(image[corner], truth[corner]) for image in (problem.measurement, fitted.image))
    assert after < 0.5 * before

    def again(training: Training) -> Tensor:
        raise KeyboardInterrupt

    monkeypatch.setattr(Training, "glance", again)
    fitted = fit_tiles(problem, plan, settings, [_InterruptIn(3, 2)])
    assert any(f"{restored} of 6 tiles were restored; {left} are as they came" in each for each in fitted.warnings)
    torch.testing.assert_close(fitted.image[..., 60:, :20], problem.measurement[..., 60:, :20])


def test_finished_tiles_are_kept_and_not_fitted_again(tmp_path: Path) -> None:
    problem = _noisy(_scene())
    plan, settings = _tiled(problem)
    whole = fit_tiles(problem, plan, settings)
    path = tmp_path / "kept"
    fit_tiles(problem, plan, settings, [_InterruptIn(4, 5)], Checkpoint(path))
    watching = _InterruptIn(0, 0)
    checkpoint = Checkpoint(path)
    assert checkpoint.found(problem, plan) == 3 * 15
    resumed = fit_tiles(problem, plan, settings, [watching], checkpoint)
    assert {tile for tile, _ in watching.steps} == {4, 5, 6, 1}
    assert torch.equal(resumed.image, whole.image)
    assert resumed.iterations == whole.iterations and resumed.trace.loss == whole.trace.loss
    assert resumed.held_out_error == whole.held_out_error
    with pytest.raises(UsageError, match="tile_side"):
        Checkpoint(path).found(problem, _tiled(problem, 40)[0])


@pytest.fixture
def small_sides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("restore.fitting.bounded.SIDES", (64, 48, 32))


def _fails(monkeypatch: pytest.MonkeyPatch, pixels: int) -> None:
    """Let the memory run out in every fit of more pixels than that."""
    step = Training.step

    def limited(self: Training, iteration: int) -> Any:
        if self.problem.size[0] * self.problem.size[1] > pixels:
            raise RuntimeError("[enforce fail at alloc_cpu.cpp:119] DefaultCPUAllocator: can't allocate memory")
        return step(self, iteration)

    monkeypatch.setattr(Training, "step", limited)


def _bounded(problem: Problem, plan: Plan, settings: FitSettings, plans: list[Plan], **more: Any) -> Fitted:
    def observe(plan: Plan) -> list[Callable[[Step], None]]:
        plans.append(plan)
        return []

    return fit_bounded(problem, plan, settings, observe, **more)


@pytest.mark.usefixtures("small_sides")
def test_out_of_memory_is_tried_once_more_on_smaller_tiles(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    problem = _noisy(_scene())
    settings = FitSettings(**SMALL, iterations=5)
    _fails(monkeypatch, 48 * 48)
    plans: list[Plan] = []
    fitted = _bounded(problem, make_plan(problem, settings), settings, plans, checkpoint=Checkpoint(tmp_path / "kept"))
    assert [plan.tile_side for plan in plans] == [0, 48]
    assert fitted.tiles_fitted == fitted.tiles == 6
    assert any("ran out" in warning and "48" in warning for warning in fitted.warnings)


@pytest.mark.usefixtures("small_sides")
def test_out_of_memory_twice_says_the_remedies(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = _noisy(_scene())
    plan, settings = _tiled(problem, 64, iterations=5)
    _fails(monkeypatch, 100)
    plans: list[Plan] = []
    with pytest.raises(FitError, match=r"even on smaller tiles: .*--max-memory.*--device") as caught:
        _bounded(problem, plan, settings, plans)
    assert [plan.tile_side for plan in plans] == [64, 32]
    assert "101x70" in str(caught.value)
    plans.clear()
    with pytest.raises(FitError, match="not enough memory"):
        _bounded(problem, make_plan(problem, settings), settings, plans, may_split=False)
    assert len(plans) == 1
    assert smaller_plan(problem, dataclasses.replace(plan, tile_side=32), settings) is None


def test_other_errors_are_not_taken_for_want_of_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: Training, iteration: int) -> None:
        raise RuntimeError("shapes do not match")

    monkeypatch.setattr(Training, "step", broken)
    problem = _noisy(_scene())
    plan, settings = _tiled(problem)
    with pytest.raises(RuntimeError, match="shapes"):
        _bounded(problem, plan, settings, [])


def test_a_tile_that_was_interpolated_and_is_no_more_does_not_say_so() -> None:
    problem = inpainting(_scene(), torch.rand(70, 101, generator=torch.Generator().manual_seed(2)) < 0.4)
    settings = FitSettings(**SMALL, iterations=1)
    first = fit(problem, make_plan(problem, settings))
    assert first.warnings == (INTERPOLATED,)
    ledger = Ledger()
    ledger.enter(first, True, "tile 1")
    ledger.enter(dataclasses.replace(first, warnings=()), False, "tile 1")
    assert ledger.warnings == [f"tile 1: {INTERPOLATED}"]
    ledger.enter(dataclasses.replace(first, warnings=()), True, "tile 1")
    assert ledger.warnings == []
