"""What a fit is built of: the network from the seed alone, and one step against a step written out."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from restore.fitting import Training, build_prior
from restore.priors import initialise, make_prior
from restore.problems.problem import Problem
from restore.settings import Plan

PlanFor = Callable[..., Plan]


@pytest.mark.parametrize("prior", ["hourglass", "dip", "decoder"])
def test_weights_come_from_the_seed_alone(prior: str, denoise_problem: Problem, plan_for: PlanFor) -> None:
    plans = [plan_for(denoise_problem, prior=prior, seed=seed) for seed in (5, 5, 6)]
    state = torch.random.get_rng_state()
    first, second, other = (build_prior(denoise_problem, plan) for plan in plans)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(first.parameters(), other.parameters(), strict=True))


@pytest.mark.parametrize("norm", ["channel", "bias", "none", "group"])
@pytest.mark.parametrize("init", ["he", "orthogonal"])
def test_network_is_the_plans(norm: str, init: str, denoise_problem: Problem, plan_for: PlanFor) -> None:
    plan = plan_for(denoise_problem, norm=norm, init=init, seed=2)
    expected = make_prior("hourglass", 3, 3, norm, plan.network)
    initialise(expected, init, torch.Generator().manual_seed(2))
    built = build_prior(denoise_problem, plan)
    assert [type(m) for m in built.modules()] == [type(m) for m in expected.modules()]
    assert all(torch.equal(a, b) for a, b in zip(built.parameters(), expected.parameters(), strict=True))


@pytest.mark.parametrize("beta2", [0.9, 0.999])
def test_steps_are_adams(beta2: float, denoise_problem: Problem, plan_for: PlanFor) -> None:
    plan = plan_for(denoise_problem, objective="fit", code_noise=0.0, beta2=beta2, learning_rate=0.01, stop="none")
    training, twin = Training(denoise_problem, plan), Training(denoise_problem, plan)
    weights = list(twin.prior.parameters())
    first, second = ([torch.zeros_like(w) for w in weights] for _ in range(2))
    for iteration in range(1, 6):
        draw = twin._objective.draw()
        image = twin._objective.image(twin.prior(draw.input), draw)
        loss = (image - denoise_problem.measurement).square().mean()
        gradients = torch.autograd.grad(loss, weights)
        step = training.step(iteration)
        assert step is not None
        assert step.loss == pytest.approx(loss.item(), rel=1e-3)
        assert step.misfit == step.loss
        with torch.no_grad():
            for w, g, m, v in zip(weights, gradients, first, second, strict=True):
                m.mul_(0.9).add_(0.1 * g)
                v.mul_(beta2).add_((1 - beta2) * g**2)
                corrected = m / (1 - 0.9**iteration), v / (1 - beta2**iteration)
                w -= 0.01 * corrected[0] / (corrected[1].sqrt() + 1e-8)
        if iteration == 1:  # afterwards the rounding of near-zero gradients decides their sign
            for ours, theirs, g in zip(training.prior.parameters(), weights, gradients, strict=True):
                clear = g.abs() > 1e-5
                torch.testing.assert_close(ours[clear], theirs[clear], rtol=0, atol=2e-5)


def test_draws_of_the_steps_do_not_repeat_those_of_the_weights(denoise_problem: Problem, plan_for: PlanFor) -> None:
    plan = plan_for(denoise_problem, prior="decoder", code_noise=0.0)
    code = Training(denoise_problem, plan)._objective.draw().input.flatten()
    stream = torch.rand(10_000, generator=torch.Generator().manual_seed(plan.seed))
    assert not torch.isin(code, 0.1 * stream).all()
