"""What a fit will cost, told before its first step and without running it."""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from restore.fitting.network import bare_prior, with_refinement
from restore.fitting.objectives import PREPARED
from restore.fitting.tiles import Layout, Tile, make_layout, middle
from restore.priors import RecurrentGenerator
from restore.problems.padding import Padding
from restore.problems.problem import Problem
from restore.refinement import BLOCK, Refined, RefinedFeatures
from restore.settings import Plan

__all__ = ["Forecast", "forecast", "fullest", "to_fit"]

GIGAFLOPS = {"bfloat16": 100.0, "float32": 60.0}
"""Rough speed of one CPU core with 512-bit vectors at the default's networks; others differ by a factor of two or so.

Wider networks are some 20 % faster."""

GPU_GIGAFLOPS = {"bfloat16": 60_000.0, "float32": 15_000.0}
"""Rough speed of a data-centre GPU at these networks."""

STARTED_BYTES = 700 * 2**20
"""What Python and PyTorch take before a fit."""

PICTURES = 6
"""Copies of a whole picture, in float32, that a process holds while it fits one of its tiles."""

FILL_BYTES = 1800
"""What the biharmonic interpolation of an unknown pixel takes, in bytes."""


@dataclass(frozen=True)
class Forecast:
    """Cost of a fit: multiply-adds count as two operations.

    Attributes:
        flops: floating-point operations of a step, forward and backward; on tiles, of one of them.
        memory_mb: about what the process will take, in MiB.
        seconds: about what all steps take.
        parameters: number of the network's parameters.
    """

    flops: int
    memory_mb: float
    seconds: float
    parameters: int


def forecast(problem: Problem, plan: Plan) -> Forecast:
    """Return what the `plan` will cost on this `problem`, from the shapes alone; on tiles, if the plan says so."""
    if plan.tile_side == 0:
        return _of_one(problem, plan)
    layout = make_layout(problem.size, plan.tile_side, plan.tile_overlap)
    tile = fullest(problem, layout)
    cost = _of_one(tile, plan)
    others = len(to_fit(problem, layout)) - 1
    # The first has a second turn where each begins with what the one before has learned.
    steps = plan.iterations + ((others + (others > 0)) * plan.tile_iterations or others * plan.iterations)
    on_cpu = torch.device(plan.device).type == "cpu"  # the picture stays there; a tile alone goes to another device
    whole = 4 * PICTURES * problem.channels * problem.size[0] * problem.size[1] if on_cpu else 0
    return dataclasses.replace(
        cost, memory_mb=cost.memory_mb + whole / 2**20, seconds=cost.seconds / plan.iterations * steps
    )


def to_fit(problem: Problem, layout: Layout) -> list[Tile]:
    """Return the tiles that have something to fit: of an inpainting those with a hole."""
    if problem.kind == "denoise":
        return list(layout.tiles)
    return [tile for tile in layout.tiles if not bool(tile.cut(problem.known).all())]


def fullest(problem: Problem, layout: Layout) -> Problem:
    """Return the tile that takes most memory: the one with most unknown pixels, of those that are not all hole."""
    best = layout.tiles[0]
    if problem.kind == "inpaint":
        counts = {tile: int(tile.cut(problem.known).sum()) for tile in layout.tiles}
        best = min((tile for tile in layout.tiles if counts[tile]), key=lambda tile: counts[tile])
    return problem.part(best.cut(problem.measurement), best.cut(problem.known))


def _of_one(problem: Problem, plan: Plan) -> Forecast:
    """Return the cost of a fit of the whole, or of one tile, with that of its beginning on the middle."""
    cost = _forecast(problem, plan)
    first = middle(problem.size)
    share = first.height * first.width / (problem.size[0] * problem.size[1])
    return dataclasses.replace(cost, seconds=cost.seconds * (1 + share * plan.warm_start / plan.iterations))


def _forecast(problem: Problem, plan: Plan) -> Forecast:
    generates = plan.refine == "generator"  # cells draw their weights where they are made, and do not run on "meta"
    with torch.device("cpu" if generates else "meta"), torch.random.fork_rng(devices=[]):
        prior = bare_prior(problem, plan)
        size = Padding(problem.size, prior.multiple, prior.minimum).padded
        code = torch.empty(1, prior.in_channels, *prior.code_size(size))
    width = 2 if plan.precision == "bfloat16" else 4
    kept = 0

    def count(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal kept
        if not list(module.children()):
            kept += output.numel() * width

    hooks = [module.register_forward_hook(count) for module in prior.modules()]
    with FlopCounterMode(display=False) as counter:
        if not generates:
            prior(code)
    for hook in hooks:
        hook.remove()
    refined = with_refinement(prior, problem, plan)
    parameters = sum(parameter.numel() for parameter in refined.parameters())
    operations, numbers = _recurrence(refined, size)
    kept += 4 * numbers
    parameters *= plan.networks
    flops = (
        3 * plan.networks * (counter.get_total_flops() + operations)
    )  # backward: once for the inputs, once for the weights
    device = torch.device(plan.device)
    if device.type == "cpu":
        threads = min(torch.get_num_threads(), os.cpu_count() or 1)
        rate = GIGAFLOPS[plan.precision] * threads
    else:
        rate = GPU_GIGAFLOPS[plan.precision]
    fills, peak = _preparation(problem, plan)
    image = 4 * problem.channels * problem.size[0] * problem.size[1]
    memory = STARTED_BYTES + fills + max(peak, 1.5 * kept) + 20 * image + 40 * parameters
    return Forecast(flops, memory / 2**20, plan.iterations * flops / (1e9 * rate), parameters)


def _preparation(problem: Problem, plan: Plan) -> tuple[int, int]:
    """Return the bytes of the maskings that an inpainting fit prepares, and those that making them takes."""
    if problem.kind != "inpaint" or plan.objective != "blindspot" or plan.hidden_spread > 0:
        return 0, 0  # scattered pixels are filled in every step
    pixels, known = problem.known.numel(), int(problem.known.sum())
    return 4 * (PREPARED + 1) * (problem.channels + 2) * pixels, int(FILL_BYTES * (pixels - known * (1 - plan.hidden)))


def _recurrence(network: nn.Module, size: tuple[int, int]) -> tuple[int, int]:
    """Return the operations of a forward pass of the recurrence in `network`, and the numbers that it keeps."""
    if not isinstance(network, Refined | RecurrentGenerator):
        return 0, 0
    cell, pixels = network.cell, size[0] * size[1]
    pixels //= BLOCK**2 if isinstance(network, Refined) else 1
    visits = network.steps * pixels
    if isinstance(network, RecurrentGenerator) and network.scales:
        visits = sum(pixels // 4**scale for scale in range(network.steps))
    inputs = sum(weight.numel() for weight in network.input.parameters())
    once = isinstance(network, RefinedFeatures) and not cell.needs_varying_drive
    recurrent = cell.size * cell.drive_size * visits
    return 2 * (recurrent + inputs * (pixels if once else visits)), visits * (cell.drive_size + 3 * cell.readout_size)
