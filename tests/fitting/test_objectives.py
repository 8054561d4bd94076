"""Objectives: what is shown, what image it makes, what is scored."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from restore.errors import UsageError
from restore.fitting.objectives import Objective, choose_held_out, input_channels, make_objective
from restore.priors import Prior, make_prior
from restore.problems.padding import Padding
from restore.problems.problem import Problem
from restore.settings import Plan

PlanFor = Callable[..., Plan]


def _parts(
    problem: Problem, plan: Plan, held_out: Tensor | None = None, seed: int = 0
) -> tuple[Objective, Prior, Padding]:
    prior = make_prior(plan.prior, input_channels(problem, plan), problem.channels, plan.norm, plan.network)
    padding = Padding(problem.size, prior.multiple, prior.minimum)
    if held_out is None:
        held_out = torch.zeros_like(problem.known)
    generator = torch.Generator().manual_seed(seed)
    return make_objective(problem, plan, prior, padding, held_out, generator), prior, padding


@pytest.mark.parametrize("fraction", [0.0, 0.02, 0.1, 1.0])
def test_held_out_pixels_are_a_random_part_of_the_known(fraction: float) -> None:
    known = torch.rand(1, 1, 200, 200, generator=torch.Generator().manual_seed(0)) < 0.6
    held_out = choose_held_out(known, fraction, torch.Generator().manual_seed(1))
    assert held_out.shape == known.shape
    assert not bool((held_out & ~known).any())
    assert held_out.sum().item() == pytest.approx(fraction * known.sum().item(), rel=0.15)
    again = choose_held_out(known, fraction, torch.Generator().manual_seed(1))
    assert torch.equal(again, held_out)


@pytest.mark.parametrize(
    ("values", "denoise", "inpaint"),
    [
        ({"objective": "fit", "code_channels": 7}, 7, 7),
        ({"objective": "fit", "code": "meshgrid"}, 2, 2),
        ({"objective": "blindspot"}, 3, 4),  # inpainting also shows which pixels are visible
    ],
)
def test_input_channels(
    values: dict[str, object],
    denoise: int,
    inpaint: int,
    denoise_problem: Problem,
    inpaint_problem: Problem,
    plan_for: PlanFor,
) -> None:
    for problem, channels in ((denoise_problem, denoise), (inpaint_problem, inpaint)):
        plan = plan_for(problem, **values)
        assert input_channels(problem, plan) == channels
        objective, _, padding = _parts(problem, plan)
        assert objective.draw().input.shape == (1, channels, *padding.padded)


def test_the_code_is_fixed_without_noise(denoise_problem: Problem, plan_for: PlanFor) -> None:
    objective, _, _ = _parts(denoise_problem, plan_for(denoise_problem, objective="fit", code_noise=0.0))
    first = objective.draw().input
    assert torch.equal(objective.draw().input, first)
    assert 0 <= first.min() < first.max() <= 0.1


@pytest.mark.parametrize("deviation", [0.03, 1 / 30, 0.5])
def test_the_code_is_perturbed_afresh_in_every_step(
    deviation: float, denoise_problem: Problem, plan_for: PlanFor
) -> None:
    still, _, _ = _parts(denoise_problem, plan_for(denoise_problem, objective="fit", code_noise=0.0))
    moved, _, _ = _parts(denoise_problem, plan_for(denoise_problem, objective="fit", code_noise=deviation))
    code = still.draw().input
    first, second = (moved.draw().input - code for _ in range(2))
    for noise in (first, second):
        assert noise.mean().item() == pytest.approx(0, abs=0.02 * deviation)
        assert noise.std().item() == pytest.approx(deviation, rel=0.02)
    correlation = (first * second).mean() / deviation**2
    assert abs(correlation.item()) < 0.02
    assert torch.equal(still.draw().input, code)


def test_the_meshgrid_is_the_two_coordinates(denoise_problem: Problem, plan_for: PlanFor) -> None:
    plan = plan_for(denoise_problem, objective="fit", code="meshgrid", code_noise=0.0)
    objective, _, padding = _parts(denoise_problem, plan)
    height, width = padding.padded
    horizontal, vertical = objective.draw().input[0].numpy()
    np.testing.assert_allclose(horizontal, np.tile(np.arange(width) / (width - 1), (height, 1)), atol=1e-6)
    np.testing.assert_allclose(vertical, np.tile(np.arange(height)[:, None] / (height - 1), (1, width)), atol=1e-6)


def _slow_score(image: Tensor, measurement: Tensor, scored: Tensor, loss: str) -> float:
    terms = []
    for row, column in scored[0, 0].nonzero().tolist():
        for channel in range(image.shape[1]):
            difference = float(image[0, channel, row, column]) - float(measurement[0, channel, row, column])
            terms.append(abs(difference) if loss == "absolute" else difference**2)
    return float(np.mean(terms))


@pytest.mark.parametrize("objective_name", ["fit", "blindspot"])
@pytest.mark.parametrize("loss", ["squared", "absolute"])
@pytest.mark.parametrize("kind", ["denoise", "inpaint"])
def test_score_is_the_mean_over_scored_pixels_and_channels(
    objective_name: str, loss: str, kind: str, denoise_problem: Problem, inpaint_problem: Problem, plan_for: PlanFor
) -> None:
    problem = denoise_problem if kind == "denoise" else inpaint_problem
    held_out = choose_held_out(problem.known, 0.1, torch.Generator().manual_seed(4))
    objective, _, _ = _parts(problem, plan_for(problem, objective=objective_name, loss=loss), held_out)
    draw = objective.draw()
    image = torch.rand(problem.measurement.shape, generator=torch.Generator().manual_seed(5))
    score = objective.score(image, draw)
    expected = _slow_score(image, problem.measurement, draw.scored, loss)
    assert score.loss.item() == pytest.approx(expected, rel=1e-5)
    squared = _slow_score(image, problem.measurement, draw.scored, "squared")
    assert score.misfit.item() == pytest.approx(squared, rel=1e-5)
    # Neither held-out nor unknown pixels count.
    elsewhere = torch.where(held_out | ~problem.known, image + 100, image)
    assert torch.equal(objective.score(elsewhere, draw).loss, score.loss)


@pytest.mark.parametrize("objective_name", ["fit", "blindspot"])
def test_gradient_reaches_scored_pixels_alone(objective_name: str, inpaint_problem: Problem, plan_for: PlanFor) -> None:
    objective, _, padding = _parts(inpaint_problem, plan_for(inpaint_problem, objective=objective_name))
    draw = objective.draw()
    output = torch.rand(1, 3, *padding.padded, generator=torch.Generator().manual_seed(5)).requires_grad_()
    objective.score(objective.image(output, draw), draw).loss.backward()
    assert output.grad is not None
    reached = padding.crop(output.grad) != 0
    assert torch.equal(reached, draw.scored.bool().expand_as(reached))
    assert int((output.grad != 0).sum()) == int(reached.sum())  # nothing in the padding


def test_fit_scores_all_known_pixels_and_blindspot_the_hidden_ones(inpaint_problem: Problem, plan_for: PlanFor) -> None:
    fixed, _, _ = _parts(inpaint_problem, plan_for(inpaint_problem, objective="fit"))
    assert torch.equal(fixed.draw().scored.bool(), inpaint_problem.known)
    blind, _, padding = _parts(inpaint_problem, plan_for(inpaint_problem, objective="blindspot"))
    draw = blind.draw()
    visible = padding.crop(draw.input)[:, 3:]
    assert torch.equal(visible + draw.scored, inpaint_problem.known.float())
    assert bool(draw.scored.any())


@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("kind", ["denoise", "inpaint"])
def test_a_residual_is_added_to_what_was_shown(
    residual: bool, kind: str, denoise_problem: Problem, inpaint_problem: Problem, plan_for: PlanFor
) -> None:
    problem = denoise_problem if kind == "denoise" else inpaint_problem
    objective, _, padding = _parts(problem, plan_for(problem, objective="blindspot", residual=residual))
    draw = objective.draw()
    output = torch.rand(1, 3, *padding.padded, generator=torch.Generator().manual_seed(5))
    shown = padding.crop(draw.input)[:, :3]
    expected = padding.crop(output) + (shown if residual else 0)
    assert torch.equal(objective.image(output, draw), expected)


@pytest.mark.parametrize("kind", ["denoise", "inpaint"])
def test_what_is_hidden_does_not_show_in_the_padding_either(
    kind: str, denoise_problem: Problem, inpaint_problem: Problem, plan_for: PlanFor
) -> None:
    problem = denoise_problem if kind == "denoise" else inpaint_problem
    objective, _, padding = _parts(problem, plan_for(problem, objective="blindspot"))
    draw = objective.draw()
    assert padding.padded != problem.size
    numbers = torch.arange(float(problem.size[0] * problem.size[1])).view(1, 1, *problem.size)
    copies = torch.isin(padding.pad(numbers), numbers[draw.scored.bool()])
    measured = padding.pad(problem.measurement)
    shown = draw.input[:, :3]
    assert int(copies.sum()) > int(draw.scored.sum())
    assert not torch.isclose(shown, measured, rtol=0, atol=1e-7).all(1, keepdim=True)[copies].any()


def test_a_code_is_no_picture(denoise_problem: Problem, plan_for: PlanFor) -> None:
    fixed = plan_for(denoise_problem, prior="decoder", objective="fit")
    with pytest.raises(UsageError, match="--prior hourglass or dip"):
        _parts(denoise_problem, dataclasses.replace(fixed, objective="blindspot", hidden=0.2))
