"""The forecast against counts made by hand."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from restore.fitting import build_priors, make_plan
from restore.fitting.forecast import forecast
from restore.problems.problem import Problem, denoising, inpainting
from restore.settings import FitSettings, Plan

PlanFor = Callable[..., Plan]


def _conv(inputs: int, outputs: int, kernel: int, pixels: int) -> int:
    """Return the operations of one convolution, forward and twice backward; a multiply-add is two."""
    return 3 * 2 * inputs * outputs * kernel**2 * pixels


def test_operations_of_the_smallest_hourglass(plan_for: PlanFor) -> None:
    problem = denoising(torch.zeros(3, 64, 96), 25.0)
    plan = plan_for(problem, network={"channels": (5,), "tail": 0}, networks=1)
    cost, pixels = forecast(problem, plan), 64 * 96
    assert cost.flops == _conv(3, 5, 3, pixels) + _conv(5, 3, 1, pixels)
    assert cost.parameters == 3 * 5 * 9 + 2 * 5 + 5 * 3 + 3


def test_operations_of_a_small_decoder(plan_for: PlanFor) -> None:
    problem = denoising(torch.zeros(1, 64, 64), 25.0)
    plan = plan_for(problem, prior="decoder", network={"channels": 7, "layers": 2})
    sizes = [16, 32, 64]  # each 1x1 convolution but the head's runs before its upsampling
    assert forecast(problem, plan).flops == sum(_conv(7, 7, 1, n * n) for n in sizes) + _conv(7, 1, 1, 64 * 64)


def test_operations_of_the_published_networks() -> None:
    # Published arithmetic: 19.4 billion multiply-adds forward at 256x256, and 13 times fewer of the deep decoder.
    problem = denoising(torch.zeros(3, 256, 256), 25.0)
    plan = make_plan(problem, FitSettings(preset="paper", device="cpu"))
    assert forecast(problem, plan).flops == pytest.approx(3 * 2 * 19.4e9, rel=0.01)
    decoder = make_plan(problem, FitSettings(preset="paper", prior="decoder", device="cpu"))
    assert forecast(problem, decoder).flops == pytest.approx(3 * 2 * 5.8e9 / 4, rel=0.02)


@pytest.mark.parametrize("prior", ["hourglass", "dip", "decoder"])
def test_parameters_are_those_of_the_fit(
    prior: str, denoise_problem: Problem, inpaint_problem: Problem, plan_for: PlanFor
) -> None:
    for problem in (denoise_problem, inpaint_problem):
        plan = plan_for(problem, prior=prior)
        expected = sum(p.numel() for network in build_priors(problem, plan) for p in network.parameters())
        assert forecast(problem, plan).parameters == expected


def test_padding_is_paid_for(plan_for: PlanFor) -> None:
    costs = []
    for size in ((1, 1), (64, 64), (65, 64)):
        problem = denoising(torch.zeros(1, *size), 25.0)
        plan = plan_for(problem, prior="dip", network={})
        costs.append(forecast(problem, plan).flops)
    assert costs[0] == costs[1]
    assert costs[2] == pytest.approx(1.5 * costs[1])  # 96 rows, not 65


def test_time_and_memory_grow_with_the_work(plan_for: PlanFor) -> None:
    small, large = (denoising(torch.zeros(3, n, n), 25.0) for n in (128, 256))
    plan = plan_for(small, iterations=100)
    cost, more = forecast(small, plan), forecast(large, plan)
    assert more.flops == 4 * cost.flops
    assert more.seconds == pytest.approx(4 * cost.seconds)
    assert more.memory_mb > cost.memory_mb > 100
    longer = forecast(small, dataclasses.replace(plan, iterations=300))
    assert longer.seconds == pytest.approx(3 * cost.seconds)
    assert forecast(small, dataclasses.replace(plan, precision="bfloat16")).seconds < cost.seconds


def test_no_network_is_run_and_no_number_drawn(plan_for: PlanFor, hole: Tensor) -> None:
    problem = inpainting(torch.zeros(3, 40, 50), hole)
    state = torch.random.get_rng_state()
    huge = plan_for(problem, network={"channels": (100_000, 100_000), "tail": 3})  # terabytes, were it made
    assert forecast(problem, huge).parameters > 10**11
    assert torch.equal(torch.random.get_rng_state(), state)
