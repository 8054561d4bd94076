"""Fits that go wrong or are cut short still give the best image so far, and say what happened."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from restore.errors import FitError
from restore.fitting import Step, fit
from restore.problems.problem import Problem
from restore.settings import Plan

PlanFor = Callable[..., Plan]


@pytest.mark.parametrize("stop_at", [1, 9, 10, 25])
def test_ctrl_c_gives_the_best_image_so_far(
    stop_at: int, denoise_problem: Problem, plan_for: PlanFor, album: Any
) -> None:

    def interrupt(step: Step) -> None:
        if step.iteration == stop_at:
            raise KeyboardInterrupt

    plan = plan_for(denoise_problem, held_out=0.1, iterations=40)
    fitted = fit(denoise_problem, plan, [album, interrupt])
    assert (fitted.stop_reason, fitted.iterations) == ("interrupted", stop_at)
    assert torch.equal(fitted.image, album.images[fitted.iteration_best])
    checks = [step for i, step in album.steps.items() if step.check and i < stop_at]
    if checks:
        assert fitted.iteration_best == min(checks, key=lambda step: step.held_out or 0).iteration
    else:
        assert fitted.iteration_best == stop_at


class Broken:
    """An operator that goes wrong at the given calls, and is the identity otherwise."""

    def __init__(self, **calls: Any) -> None:
        self._calls = calls
        self._count = itertools.count(1)

    def A(self, x: Tensor) -> Tensor:
        call = next(self._count)
        for trouble, at in self._calls.items():
            if call in at:
                if trouble == "interrupt":
                    raise KeyboardInterrupt
                if trouble == "gradient":
                    x.register_hook(lambda g: g * float("nan"))
                return x * {"nan": float("nan"), "jump": 30.0}.get(trouble, 1.0)
        return x

    def A_adjoint(self, y: Tensor) -> Tensor:
        return y


def _broken(problem: Problem, **calls: Any) -> Problem:
    return dataclasses.replace(problem, operator=Broken(**calls))


def test_ctrl_c_before_the_first_image_is_passed_on(denoise_problem: Problem, plan_for: PlanFor) -> None:
    plan = plan_for(denoise_problem, objective="fit")
    with pytest.raises(KeyboardInterrupt):
        fit(_broken(denoise_problem, interrupt=[1]), plan)


def test_ctrl_c_inside_a_step_gives_the_image_of_the_last_whole_one(
    denoise_problem: Problem, plan_for: PlanFor, album: Any
) -> None:
    plan = plan_for(denoise_problem, objective="fit", stop="none")
    fitted = fit(_broken(denoise_problem, interrupt=[14]), plan, [album])
    assert fitted.stop_reason == "interrupted"
    assert fitted.iteration_best == 10
    assert torch.equal(fitted.image, album.images[10])
    assert torch.equal(fitted.last, album.images[13])


def test_what_an_interrupted_fit_says_of_its_steps_is_true(
    denoise_problem: Problem, plan_for: PlanFor, album: Any
) -> None:
    plan = plan_for(denoise_problem, objective="fit", stop="none")
    fitted = fit(_broken(denoise_problem, interrupt=[5]), plan, [album])
    assert fitted.iterations == len(album.steps) == 4
    assert torch.equal(fitted.image, album.images[fitted.iteration_best])


@pytest.mark.parametrize("call", [1, 2, 30])
def test_a_loss_that_is_no_number_falls_back_to_float32(
    call: int, denoise_problem: Problem, plan_for: PlanFor, album: Any
) -> None:
    plan = plan_for(denoise_problem, objective="fit", stop="none", iterations=40, precision="bfloat16")
    fitted = fit(_broken(denoise_problem, nan=[call]), plan, [album])
    assert (fitted.precision, fitted.stop_reason) == ("float32", "iterations")
    assert call not in album.steps
    assert len(album.steps) == 39
    assert len(fitted.warnings) == 1
    assert f"step {call}" in fitted.warnings[0]
    assert "float32" in fitted.warnings[0]
    assert {step.learning_rate for step in album.steps.values()} == {plan.learning_rate}
    assert all(image.isfinite().all() for image in album.images.values())


@pytest.mark.parametrize("trouble", ["nan", "jump"])
def test_trouble_in_float32_lowers_the_rate(
    trouble: str, denoise_problem: Problem, plan_for: PlanFor, album: Any
) -> None:
    plan = plan_for(denoise_problem, objective="fit", stop="none", iterations=40, rewind_rate=0.5)
    fitted = fit(_broken(denoise_problem, **{trouble: [25]}), plan, [album])
    assert fitted.stop_reason == "iterations"
    assert len(fitted.warnings) == 1
    assert "step 25" in fitted.warnings[0]
    assert "lowered the learning rate" in fitted.warnings[0]
    for iteration, step in album.steps.items():
        assert step.learning_rate == plan.learning_rate * (1.0 if iteration < 25 else 0.5)


@pytest.mark.parametrize("call", [48, 49, 50, 51, 52, 100])
def test_one_gradient_that_is_no_number_is_survived_at_any_step(
    call: int, denoise_problem: Problem, plan_for: PlanFor
) -> None:
    plan = plan_for(denoise_problem, objective="fit", stop="none", iterations=call + 12)
    fitted = fit(_broken(denoise_problem, gradient=[call]), plan)
    assert fitted.stop_reason == "iterations"
    assert len(fitted.warnings) == 1
    assert fitted.image.isfinite().all()


def test_a_hopeless_fit_gives_up_with_the_best_image_so_far(
    denoise_problem: Problem, plan_for: PlanFor, album: Any
) -> None:
    plan = plan_for(denoise_problem, objective="fit", stop="none", iterations=100)
    fitted = fit(_broken(denoise_problem, nan=range(26, 1000)), plan, [album])
    assert fitted.stop_reason == "diverged"
    assert max(album.steps) == 25
    assert fitted.iterations < 50
    assert "gave up" in fitted.warnings[-1]
    assert fitted.iteration_best == 20
    assert torch.equal(fitted.image, album.images[20])


def test_a_fit_that_never_gets_a_number_is_an_error(denoise_problem: Problem, plan_for: PlanFor) -> None:
    with pytest.raises(FitError, match="diverged"):
        fit(_broken(denoise_problem, nan=range(1, 1000)), plan_for(denoise_problem, objective="fit"))
