"""Large pictures begin on their middle, and go on with what was learned there."""

from __future__ import annotations

import dataclasses
import signal
from pathlib import Path
from typing import Any

import pytest
import torch

from restore.errors import UsageError
from restore.fitting import Checkpoint, fit, make_plan, warm_start
from restore.fitting.forecast import forecast
from restore.fitting.judge import INTERPOLATED, Fitted
from restore.fitting.stack import stack_key
from restore.fitting.subject import Subject
from restore.fitting.tiles import middle
from restore.fitting.trace import Step
from restore.fitting.training import Training
from restore.fitting.warm_start import fit_warm, warm_plan
from restore.problems.problem import Problem, denoising, inpainting
from restore.settings import FitSettings, Plan

SMALL: dict[str, Any] = {
    "network": {"channels": (8, 8), "tail": 1},
    "device": "cpu",
    "precision": "float32",
    "networks": 1,
}
SETTINGS = FitSettings(**SMALL)
SIGMA = 26.0


@pytest.fixture(scope="module")
def truth() -> torch.Tensor:
    y, x = torch.meshgrid(torch.linspace(0, 9, 96), torch.linspace(0, 12, 128), indexing="ij")
    return 0.5 + 0.4 * torch.stack([torch.sin(x + phase) * torch.cos(y) for phase in range(3)])


@pytest.fixture(scope="module")
def problem(truth: torch.Tensor) -> Problem:
    noise = torch.randn(truth.shape, generator=torch.Generator().manual_seed(1))
    return denoising(truth + SIGMA / 255 * noise, SIGMA)


@pytest.fixture
def plan(problem: Problem, monkeypatch: pytest.MonkeyPatch) -> Plan:
    """Of a picture that counts as large."""
    monkeypatch.setattr(warm_start, "LARGE", 96 * 128 - 1)
    plan = warm_plan(problem, make_plan(problem, SETTINGS), SETTINGS)
    return dataclasses.replace(plan, warm_start=60, iterations=30)


class Watcher:
    """Notes what it is shown, and presses Ctrl-C in a step."""

    def __init__(self, end: tuple[str, int] | None = None) -> None:
        self.end, self.what, self.steps = end, "middle", 0
        self.told: list[tuple[str, int, float]] = []
        self.sizes: set[tuple[int, ...]] = set()
        self.heard: list[str] = []

    def begin_fit(self, what: str, plan: Plan, seconds: float = 0.0) -> None:
        self.what = what
        self.told.append((what, plan.iterations, seconds))

    def interrupted(self, rest: str) -> None:
        self.heard.append(rest)

    def __call__(self, step: Step) -> None:
        self.sizes.add(tuple(step.image.shape[-2:]))
        if (self.what, step.iteration) == self.end:
            signal.raise_signal(signal.SIGINT)


def _error(image: torch.Tensor, truth: torch.Tensor) -> float:
    return float((image[0] - truth).square().mean())


def test_the_plan_shares_the_steps_between_the_middle_and_the_whole() -> None:
    large = denoising(torch.zeros(3, 400, 500), 25.0)
    drawn = make_plan(large, SETTINGS)
    plan = warm_plan(large, drawn, SETTINGS)
    part = large.part(large.measurement[..., :224, :272], large.known[..., :224, :272])
    assert plan.warm_start == round(make_plan(part, SETTINGS).iterations / 2)
    strong = dataclasses.replace(large, sigma=50.0)
    brief = warm_plan(strong, make_plan(strong, SETTINGS), SETTINGS)  # strong noise is soon learned by heart
    assert brief.warm_start == pytest.approx(plan.warm_start / 2, abs=1) and brief.iterations == plan.iterations
    assert 0 < plan.iterations < 0.5 * drawn.iterations and plan.learning_rate < drawn.learning_rate
    same = {"iterations": drawn.iterations, "learning_rate": drawn.learning_rate, "warm_start": 0}
    assert dataclasses.replace(plan, **same) == drawn
    assert 0.5 < forecast(large, plan).seconds / forecast(large, drawn).seconds < 0.75
    assert stack_key(large, drawn) is not None and stack_key(large, plan) is None
    chosen = FitSettings(**SMALL, learning_rate=0.01)
    assert warm_plan(large, make_plan(large, chosen), chosen).learning_rate == 0.01


@pytest.mark.parametrize(
    "asked", [{"iterations": 9}, {"optimizer": "adam"}, {"objective": "fit"}, {"prior": "decoder", "network": {}}]
)
def test_other_fits_begin_on_the_whole(asked: dict[str, Any]) -> None:
    settings = FitSettings(**{**SMALL, **asked})
    large = denoising(torch.zeros(3, 400, 500), 25.0)
    assert warm_plan(large, make_plan(large, settings), settings) == make_plan(large, settings)


def test_inpainting_begins_on_the_middle_where_its_holes_are_scattered() -> None:
    hole = torch.rand(400, 500, generator=torch.Generator().manual_seed(0)) < 0.5
    picture = torch.zeros(3, 400, 500)
    scattered = inpainting(picture, hole)
    drawn = make_plan(scattered, SETTINGS)
    plan = warm_plan(scattered, drawn, SETTINGS)
    assert plan.warm_start > 0 and plan.learning_rate == drawn.learning_rate
    strokes, aside = torch.zeros_like(hole), hole.clone()
    strokes[::20] = True
    aside[:, 300:] = False
    for holes in (strokes, aside):
        one = inpainting(picture, holes)
        assert warm_plan(one, make_plan(one, SETTINGS), SETTINGS).warm_start == 0


def test_what_was_learned_on_the_middle_fills_the_hole_of_the_whole(
    truth: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(warm_start, "LARGE", 96 * 128 - 1)
    hole = torch.rand(96, 128, generator=torch.Generator().manual_seed(0)) < 0.5
    problem = inpainting(truth, hole)
    plan = dataclasses.replace(warm_plan(problem, make_plan(problem, SETTINGS), SETTINGS), warm_start=60, iterations=20)
    fitted = fit_warm(problem, plan, SETTINGS)
    drawn = fit(problem, dataclasses.replace(plan, warm_start=0))
    # This picture is so smooth that interpolation is better than either, and so it is what comes of both.
    errors = [float((each.last[0] - truth).square()[:, hole].mean()) for each in (fitted, drawn)]
    assert fitted.steps_before == 60 and errors[0] < 0.7 * errors[1]
    assert INTERPOLATED in fitted.warnings


def test_an_interpolated_middle_says_nothing_of_the_whole(truth: torch.Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the networks make of the whole is written, once no fill is better than that."""
    monkeypatch.setattr(warm_start, "LARGE", 96 * 128 - 1)
    hole = torch.rand(96, 128, generator=torch.Generator().manual_seed(0)) < 0.5
    problem = inpainting(truth, hole)
    plan = dataclasses.replace(warm_plan(problem, make_plan(problem, SETTINGS), SETTINGS), warm_start=3, iterations=3)
    judged = Subject.interpolation

    def of_the_middle(self: Subject, image: torch.Tensor) -> Any:
        return judged(self, image) if self.problem.size != problem.size else None

    monkeypatch.setattr(Subject, "interpolation", of_the_middle)
    assert INTERPOLATED not in fit_warm(problem, plan, SETTINGS).warnings


def test_small_pictures_and_gpus_begin_on_the_whole() -> None:
    small = denoising(torch.zeros(3, 300, 400), 25.0)
    assert warm_plan(small, make_plan(small, SETTINGS), SETTINGS).warm_start == 0
    large = denoising(torch.zeros(3, 400, 500), 25.0)
    on_gpu = dataclasses.replace(make_plan(large, SETTINGS), device="cuda")
    assert warm_plan(large, on_gpu, SETTINGS) == on_gpu


@pytest.mark.parametrize("size", [(363, 362), (1000, 140), (512, 768), (9, 20_000)])
def test_the_middle_is_in_the_middle(size: tuple[int, int]) -> None:
    tile = middle(size)
    assert abs(2 * tile.top + tile.height - size[0]) <= 1 and abs(2 * tile.left + tile.width - size[1]) <= 1
    if min(size) < 16:
        assert (tile.top, tile.height) == (0, 9)
        return
    assert tile.height % 16 == tile.width % 16 == 0
    assert all(0.4 < part / whole < 0.6 for part, whole in zip((tile.height, tile.width), size, strict=True))


def test_what_was_learned_on_the_middle_saves_steps_on_the_whole(
    problem: Problem, truth: torch.Tensor, plan: Plan
) -> None:
    watcher, plain = Watcher(), []
    fitted = fit_warm(problem, plan, SETTINGS, [watcher, lambda step: plain.append(tuple(step.image.shape[-2:]))])
    assert watcher.sizes == {(48, 64), (96, 128)} and set(plain) == {(96, 128)}
    assert [what for what, _, _ in watcher.told] == ["middle", ""] and watcher.told[1][1] == 30
    assert fitted.steps_before == 60 and fitted.iterations == 30 and watcher.heard == []
    assert 0 < fitted.seconds_before < fitted.trace.seconds[0] < fitted.seconds
    assert watcher.told[1][2] == fitted.seconds_before
    drawn = fit(problem, dataclasses.replace(plan, learning_rate=make_plan(problem, SETTINGS).learning_rate))
    assert _error(fitted.image, truth) < 0.8 * _error(drawn.image, truth)


def test_ctrl_c_on_the_middle_shows_the_whole_to_what_was_learned(
    problem: Problem, truth: torch.Tensor, plan: Plan
) -> None:
    watcher = Watcher(("middle", 55))
    fitted = fit_warm(problem, plan, SETTINGS, [watcher])
    assert len(watcher.heard) == 1 and "shown once to what was learned" in watcher.heard[0]
    assert (fitted.stop_reason, fitted.iterations, fitted.steps_before) == ("interrupted", 1, 55)
    assert _error(fitted.image, truth) < 0.5 * (SIGMA / 255) ** 2


def test_a_fit_that_was_interrupted_on_the_whole_goes_on_bit_for_bit(
    problem: Problem, plan: Plan, tmp_path: Path
) -> None:
    whole = fit_warm(problem, plan, SETTINGS)
    path = tmp_path / "fit"
    assert fit_warm(problem, plan, SETTINGS, [Watcher(("middle", 45))], Checkpoint(path)).iterations == 1
    assert list(tmp_path.iterdir()) == []
    halted = fit_warm(problem, plan, SETTINGS, [Watcher(("", 20))], Checkpoint(path))
    assert (halted.stop_reason, halted.iterations) == ("interrupted", 20)
    watcher = Watcher()
    fitted = fit_warm(problem, plan, SETTINGS, [watcher], Checkpoint(path))
    assert watcher.sizes == {(96, 128)}  # the middle is not fitted again
    assert torch.equal(fitted.image, whole.image) and torch.equal(fitted.last, whole.last)
    assert (fitted.steps_before, fitted.seconds_before) == (halted.steps_before, halted.seconds_before)


def test_the_checkpoint_of_another_fit_begins_anew_or_is_refused(problem: Problem, plan: Plan, tmp_path: Path) -> None:
    path = tmp_path / "fit"
    other = dataclasses.replace(plan, learning_rate=0.001, warm_start=0)
    assert fit_warm(problem, other, SETTINGS, [Watcher(("middle", 20))], Checkpoint(path)).iterations == 20
    with pytest.raises(UsageError, match="learning_rate"):
        fit_warm(problem, plan, SETTINGS, checkpoint=Checkpoint(path))
    fitted = fit_warm(problem, plan, SETTINGS, checkpoint=Checkpoint(path, strict=False))
    assert fitted.steps_before == 60 and any("started anew" in warning for warning in fitted.warnings)


def test_the_middle_never_sees_what_the_whole_is_judged_by(
    problem: Problem, plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    masks = []

    def spy(part: Problem, begun: Plan, *given: Any, **named: Any) -> Fitted:
        masks.append(named.get("held_out"))
        return fit(part, begun, *given, **named)

    monkeypatch.setattr(warm_start, "fit", spy)
    fit_warm(problem, dataclasses.replace(plan, warm_start=1, iterations=1), SETTINGS)
    held_out = Training(problem, plan).held_out
    assert masks[1] is None and torch.equal(masks[0], middle(problem.size).cut(held_out))
    assert 0.02 < float(masks[0].float().mean()) < 0.08


def test_a_middle_that_diverges_is_left_behind(
    problem: Problem, plan: Plan, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def diverge(part: Problem, begun: Plan, *given: Any, **named: Any) -> Fitted:
        fitted = fit(part, dataclasses.replace(begun, iterations=2), *given, **named)
        if part.size == problem.size:
            assert named["before"][0] == 2 and begun.learning_rate == make_plan(problem, SETTINGS).learning_rate
            return fitted
        return dataclasses.replace(fitted, stop_reason="diverged", warnings=("gave up",), set_back=(1.0,))

    monkeypatch.setattr(warm_start, "fit", diverge)
    fitted = fit_warm(problem, plan, SETTINGS, checkpoint=Checkpoint(tmp_path / "fit"))
    assert "gave up" in fitted.warnings and fitted.set_back == (1.0,)
    assert fitted.stop_reason == "iterations" and 0 < fitted.seconds_before < fitted.seconds


def test_the_time_budget_is_shared(problem: Problem, plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    budgets = []

    def spy(part: Problem, begun: Plan, *given: Any, **named: Any) -> Fitted:
        budgets.append(begun.time_budget)
        return fit(part, dataclasses.replace(begun, iterations=1), *given, **named)

    monkeypatch.setattr(warm_start, "fit", spy)
    fit_warm(problem, dataclasses.replace(plan, time_budget=100.0), SETTINGS)
    assert budgets == [pytest.approx(100 / 3), 100.0]  # 60 steps of a quarter, 30 of the whole
    ended = fit_warm(problem, dataclasses.replace(plan, time_budget=0.0), SETTINGS)
    assert (ended.stop_reason, ended.steps_before) == ("time", 1)
