"""How many pictures an hour: stacks of several sizes against lone fits, by medians of interleaved rounds."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from restore.errors import UsageError
from restore.fitting import fit, fit_stack, make_plan
from restore.peers import PEERS, Task, missing_packages
from restore.peers.deepinv_prior import ITERATIONS
from restore.problems.noise_level import NoiseLevel
from restore.problems.problem import Problem, denoising, inpainting
from restore.settings import FitSettings, Plan

__all__ = ["Throughput", "measure_deepinv", "measure_throughput"]

SIGMA = 25.0
"""Noise of what is fitted, on the scale of 0 to 255; its level is known, as that of most pictures is."""


@dataclass(frozen=True)
class Throughput:
    """What a stack of one size is worth.

    Attributes:
        prior: of the fits, or `deepinv`.
        accelerate: how the networks were called.
        stack: pictures in one pass; 1 is the lone fit.
        milliseconds: of a step, for each picture.
        ratio: time of the stack over that of as many lone fits, in the same rounds.
        pictures_an_hour: with the steps of the plan, begin and end of a fit left out.
        steps: of the plan.
    """

    prior: str
    accelerate: str
    stack: int
    milliseconds: float
    ratio: float
    pictures_an_hour: float
    steps: int


def measure_throughput(
    settings: FitSettings, stacks: Sequence[int], *, size: int, steps: int = 5, rounds: int = 5, missing: bool = False
) -> list[Throughput]:
    """Return the throughput of each stack, the lone fit first. No rule stops a fit, and none is set back.

    Args:
        settings: of the fits.
        stacks: numbers of pictures, above 1.
        size: height and width of the pictures.
        steps: of each measurement.
        rounds: of measurements, all stacks in turn.
        missing: whether half the pixels are missing, instead of noise on all.
    """
    most = max(stacks, default=1)
    problems = [_problem(seed, size, missing) for seed in range(most)]
    full = make_plan(problems[0], settings)
    plans = [_short(make_plan(problem, settings), seed, steps) for seed, problem in enumerate(problems)]
    seconds: dict[int, list[float]] = {count: [] for count in (1, *stacks)}
    for _ in range(rounds + 1):
        for count in seconds:
            seconds[count].append(_seconds_a_picture(problems[:count], plans[:count]))
    medians = {count: statistics.median(values[1:]) for count, values in seconds.items()}  # the first round warms up
    lone = seconds[1][1:]
    found = []
    for count, values in seconds.items():
        ratio = statistics.median(mine / other for mine, other in zip(values[1:], lone, strict=True))
        hourly = 3600 / (medians[count] * full.iterations)
        found.append(
            Throughput(full.prior, full.accelerate, count, 1e3 * medians[count], ratio, hourly, full.iterations)
        )
    return found


def measure_deepinv(*, size: int, device: str, steps: int = 5, rounds: int = 5, missing: bool = False) -> Throughput:
    """Return the throughput of deepinv's deep image prior, one picture at a time, with its own number of steps.

    A step's time is that of a run less that of one with a single step, so that building the network does not count.

    Raises UsageError where deepinv is not installed.
    """
    peer = PEERS["deepinv"]
    if missing_packages(peer):
        raise UsageError("deepinv is not installed: pip install 'restore[peers]', or leave --deepinv out.")
    problem = _problem(0, size, missing)
    pixels = problem.measurement[0].movedim(0, -1).double().numpy()
    hole = ~problem.known[0, 0].numpy() if missing else None
    each: list[float] = []
    for _ in range(rounds + 1):
        marks = []
        for iterations in (1, 1 + steps):
            began = time.perf_counter()
            peer.run(Task(pixels, hole=hole, device=device, iterations=iterations))  # its result is on the CPU
            marks.append(time.perf_counter() - began)
        each.append((marks[1] - marks[0]) / steps)
    seconds = max(statistics.median(each[1:]), 1e-9)
    return Throughput("deepinv", "none", 1, 1e3 * seconds, 1.0, 3600 / (seconds * ITERATIONS), ITERATIONS)


def _problem(seed: int, size: int, missing: bool) -> Problem:
    generator = torch.Generator().manual_seed(seed)
    picture = torch.rand(3, size, size, generator=generator)
    if missing:
        return inpainting(picture, torch.rand(size, size, generator=generator) < 0.5)
    return denoising(picture, SIGMA, level=NoiseLevel((SIGMA / 255) ** 2))


def _short(plan: Plan, seed: int, steps: int) -> Plan:
    return replace(plan, seed=seed, iterations=steps + 1, stop="none", rescue=False)


def _seconds_a_picture(problems: Sequence[Problem], plans: Sequence[Plan]) -> float:
    """Return the seconds that a step takes for each picture, without the first step."""
    marks: list[float] = []

    def mark(step: object) -> None:
        if plans[0].device.startswith("cuda"):
            torch.cuda.synchronize()
        marks.append(time.perf_counter())

    if len(problems) == 1:
        fit(problems[0], plans[0], [mark])
    else:
        fit_stack(problems, plans, lambda place: [mark] if place == len(problems) - 1 else [])
    return (marks[-1] - marks[0]) / (len(marks) - 1) / len(problems)
