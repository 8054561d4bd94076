"""A fit sees nothing that it must not see, takes pictures of any size, and removes damage."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from restore.fitting import Fitted, Training, fit
from restore.problems.problem import Problem, denoising, inpainting
from restore.settings import Plan

PlanFor = Callable[..., Plan]

CASES: dict[str, dict[str, Any]] = {
    "hourglass, blindspot": {"objective": "blindspot"},
    "hourglass, fit": {"objective": "fit"},
    "dip, blindspot": {"prior": "dip", "objective": "blindspot"},
    "dip, fit": {"prior": "dip", "objective": "fit"},
    "decoder": {"prior": "decoder"},
}
both_kinds = pytest.mark.parametrize("kind", ["denoise", "inpaint"])


def _same(first: Fitted, second: Fitted) -> bool:
    pairs = ((first.image, second.image), (first.last, second.last), (first.output, second.output))
    return all(torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize("case", list(CASES))
def test_what_the_picture_holds_inside_the_hole_changes_nothing(
    case: str, scene: Tensor, hole: Tensor, plan_for: PlanFor
) -> None:
    problems = [inpainting(torch.where(hole, inside, scene), hole) for inside in (0.0, 1.0, float("nan"))]
    first, *others = (fit(problem, plan_for(problem, **CASES[case])) for problem in problems)
    assert all(_same(first, other) for other in others)
    known = ~hole
    assert torch.equal(problems[1].composite(first.image)[0][:, known], scene[:, known])


@both_kinds
@pytest.mark.parametrize("objective", ["blindspot", "fit"])
def test_held_out_pixels_are_never_seen_nor_scored(
    objective: str, kind: str, problems: dict[str, Problem], plan_for: PlanFor
) -> None:
    problem = problems[kind]
    plan = plan_for(problem, objective=objective, held_out=0.1)
    held_out = Training(problem, plan).held_out
    assert 100 < int(held_out.sum()) < 300
    assert not bool((held_out & ~problem.known).any())
    noise = torch.rand(problem.measurement.shape, generator=torch.Generator().manual_seed(8))
    other = dataclasses.replace(problem, measurement=torch.where(held_out, noise, problem.measurement))
    first, second = fit(problem, plan), fit(other, plan)
    assert torch.equal(first.last, second.last)
    assert first.trace.loss == second.trace.loss
    assert first.trace.held_out != second.trace.held_out


def test_a_hidden_pixel_does_not_see_itself(denoise_problem: Problem, plan_for: PlanFor) -> None:
    # What the network makes of a step's hidden pixels must not depend on what was measured there.
    plan = plan_for(denoise_problem, objective="blindspot", stop="none", iterations=1, networks=1)
    scored = Training(denoise_problem, plan)._objective.draw().scored.bool()
    changed = torch.where(scored, torch.zeros(()), denoise_problem.measurement)
    first = fit(denoise_problem, plan)
    second = fit(dataclasses.replace(denoise_problem, measurement=changed), plan)
    assert torch.equal(first.output, second.output)
    assert first.trace.loss != second.trace.loss


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (17, 3)])
@pytest.mark.parametrize("case", ["hourglass, blindspot", "hourglass, fit", "dip, fit", "decoder"])
def test_pictures_of_any_size(case: str, size: tuple[int, int], plan_for: PlanFor) -> None:
    problem = denoising(torch.full((1, *size), 0.4), 25.0)
    fitted = fit(problem, plan_for(problem, iterations=3, **CASES[case]))
    assert fitted.image.shape == (1, 1, *size)
    assert fitted.image.isfinite().all()


@pytest.mark.parametrize("size", [(1, 2), (2, 2), (3, 17)])
@pytest.mark.parametrize("objective", ["blindspot", "fit"])
def test_holes_in_pictures_of_any_size(size: tuple[int, int], objective: str, plan_for: PlanFor) -> None:
    hole = torch.zeros(size, dtype=torch.bool)
    hole[-1, -1] = True
    problem = inpainting(torch.full((3, *size), 0.4), hole)
    fitted = fit(problem, plan_for(problem, objective=objective, iterations=3))
    assert fitted.image.shape == (1, 3, *size)
    assert fitted.image.isfinite().all()


def test_pure_noise_on_a_flat_picture_goes(flat: Tensor, generator: torch.Generator, plan_for: PlanFor) -> None:
    problem = denoising(flat + 25 / 255 * torch.randn(flat.shape, generator=generator), 25.0)
    fitted = fit(problem, plan_for(problem, objective="blindspot", stop="none", iterations=80))
    variance = (25 / 255) ** 2
    error = (fitted.image - flat).square().mean().item()
    assert error < 0.1 * variance  # a network that saw its own noise would end near the variance


def test_missing_pixels_come_back(scene: Tensor, plan_for: PlanFor) -> None:
    hole = torch.rand(40, 50, generator=torch.Generator().manual_seed(3)) < 0.5
    problem = inpainting(scene, hole)
    fitted = fit(problem, plan_for(problem, objective="blindspot", stop="none", iterations=30))
    error = (problem.composite(fitted.image)[0] - scene)[:, hole].square().mean()
    assert error < 0.1 * scene[:, hole].var()


def test_a_foreign_operator_can_be_fitted(scene: Tensor, plan_for: PlanFor) -> None:
    class Negative:
        def A(self, x: Tensor) -> Tensor:
            return 1 - x

        def A_adjoint(self, y: Tensor) -> Tensor:
            return -y

    problem = dataclasses.replace(denoising(1 - scene, 0.0), operator=Negative())
    fitted = fit(problem, plan_for(problem, objective="fit", stop="none", iterations=150, learning_rate=0.01))
    assert (fitted.image[0] - scene).square().mean() < 0.2 * scene.var()
