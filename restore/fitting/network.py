"""The network of a plan, its weights drawn, and the optimiser of its parameters."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

from restore.cells.parameter_groups import parameter_groups
from restore.fitting.muon import Muon
from restore.fitting.objectives import input_channels
from restore.priors import Prior, initialise, make_prior
from restore.problems.problem import Problem
from restore.refinement import DESIGNS, refine
from restore.settings import Plan

__all__ = [
    "bare_prior",
    "build_prior",
    "build_priors",
    "make_optimizer",
    "network_options",
    "network_prior",
    "with_refinement",
]

NEXT = 1_000_003
"""Between the seeds of the networks of one plan."""

REFINEMENT = 1
"""Purpose of the seed of a recurrence's weights (`_seed`)."""


def build_priors(problem: Problem, plan: Plan) -> list[Prior]:
    """Return the plan's networks, as `build_prior` draws the first; the others have seeds of their own."""
    seeds = [(plan.seed + number * NEXT) % 2**31 for number in range(plan.networks)]
    return [build_prior(problem, dataclasses.replace(plan, seed=seed)) for seed in seeds]


def build_prior(problem: Problem, plan: Plan) -> Prior:
    """Return a network for this problem, on the plan's device, its weights drawn from the plan's seed.

    A refinement is put around a prior that is drawn as if it stood alone.
    """
    with torch.random.fork_rng(devices=[]):  # the layers' constructors draw from the global generator, in vain
        bare = bare_prior(problem, plan)
        initialise(bare, plan.init, torch.Generator().manual_seed(plan.seed))
        prior = with_refinement(bare, problem, plan)
    return prior.to(plan.device, memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def bare_prior(problem: Problem, plan: Plan) -> Prior:
    """Return the plan's network without a refinement around it, its weights still to be drawn."""
    channels = input_channels(problem, plan)
    return make_prior(network_prior(plan), channels, problem.channels, plan.norm, network_options(plan))


def with_refinement(prior: Prior, problem: Problem, plan: Plan) -> Prior:
    """Return `prior` with the plan's refinement around it, or as it is."""
    if plan.refine not in DESIGNS:
        return prior
    return refine(
        prior,
        plan.refine,
        plan.cell,
        size=plan.refine_channels,
        steps=plan.refine_steps,
        channels=problem.channels,
        residual=plan.residual,
        options=plan.cell_options,
        seed=_seed(plan, REFINEMENT),
    )


def network_prior(plan: Plan) -> str:
    """Return the name of the prior that is built: a decoder whose scales are steps of a cell is a recurrence."""
    return "recurrent" if plan.refine == "generator" else plan.prior


def network_options(plan: Plan) -> Mapping[str, Any]:
    """Return the options of the prior's constructor, those of its recurrence among them."""
    if plan.refine != "generator":
        return plan.network
    published = ("channels", "layers", "upsample")  # of a decoder; its scales are the steps here
    return {
        **{name: value for name, value in plan.network.items() if name not in published},
        "cell": plan.cell,
        "steps": plan.refine_steps,
        "channels": plan.refine_channels,
        "scales": plan.prior == "decoder",
        "cell_options": plan.cell_options,
        "seed": _seed(plan, REFINEMENT),
    }


def make_optimizer(prior: nn.Module, plan: Plan) -> torch.optim.Optimizer:
    """Return the plan's optimiser; the skew entries of Cayley maps learn at a tenth of the rate (arXiv:1707.09520)."""
    fused = torch.device(plan.device).type in ("cpu", "cuda")
    parameters: Any = prior.parameters() if plan.cell == "none" else parameter_groups(prior, plan.learning_rate)
    if plan.optimizer == "muon":
        return Muon(parameters, plan.learning_rate, beta2=plan.beta2, fused=fused)
    if plan.optimizer == "sgd":
        return torch.optim.SGD(parameters, lr=plan.learning_rate, momentum=0.9, fused=fused)
    return torch.optim.Adam(parameters, lr=plan.learning_rate, betas=(0.9, plan.beta2), fused=fused)


def _seed(plan: Plan, purpose: int) -> int:
    """Return a seed for this purpose, of 32 bits: PyTorch's generator on the CPU looks at no more."""
    return int(np.random.SeedSequence((plan.seed, purpose)).generate_state(1)[0])
