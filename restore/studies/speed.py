"""How fast a step of the fit is beside what this machine can do: medians of interleaved rounds."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from restore.fitting import Training, make_plan
from restore.problems.problem import denoising
from restore.settings import FitSettings
from restore.studies.peaks import PeakSizes, PeakTimer, Rates, seconds_of
from restore.studies.step_cost import StepCost, step_cost

__all__ = ["WARM", "Peak", "Speed", "Stepper", "measure_speed", "priors"]

WARM = 2
"""Steps of each before the measured ones: the first makes the optimiser's state and chooses kernels."""


@dataclass(frozen=True)
class Peak:
    """What the machine reaches in one precision, medians over the rounds.

    Attributes:
        precision: `float32` or `bfloat16`.
        convolution, product: FLOP/s of the large convolution and of the large matrix product.
        bandwidth: bytes a second, whatever the precision.
    """

    precision: str
    convolution: float
    product: float
    bandwidth: float


@dataclass(frozen=True)
class Speed:
    """What a step of one prior takes; the ratios are medians over the rounds, each against the same round's peak.

    Attributes:
        prior, precision, device: of the fit.
        milliseconds: median time of a step.
        spread: half the distance between the quartiles of that time, over the median.
        flops: of a step, as `StepCost` counts them.
        flops_per_second: median.
        fraction: of the peak in the same precision, the faster of convolution and product.
        traffic_bytes: as `StepCost` counts them.
        roofline_milliseconds: median of the longer of flops / peak and traffic / bandwidth
            (Williams, Waterman, Patterson, Roofline, 2009, doi:10.1145/1498765.1498785).
        bound: `compute` or `memory`, by which of the two is longer in most rounds.
        over_roofline: time of a step over that of the roofline.
    """

    prior: str
    precision: str
    device: str
    milliseconds: float
    spread: float
    flops: int
    flops_per_second: float
    fraction: float
    traffic_bytes: int
    roofline_milliseconds: float
    bound: str
    over_roofline: float


class Stepper:
    """The fit of one network to a colour picture of noise: takes a step whenever it is called, returns its seconds."""

    def __init__(self, settings: FitSettings, size: tuple[int, int]) -> None:
        picture = torch.rand(3, *size, generator=torch.Generator().manual_seed(settings.seed))
        problem = denoising(picture, 25.0)
        # Set back, a fit would end a step half way.
        self.training = Training(problem, dataclasses.replace(make_plan(problem, settings), rescue=False, networks=1))
        self._done = 0

    def __call__(self) -> float:
        """Take a step."""
        return seconds_of(self.step, self.training.device)

    def step(self) -> None:
        """Take a step, without a look at the clock."""
        self._done += 1
        self.training.step(self._done)

    def cost(self) -> StepCost:
        """Take a step, and return what it costs."""
        self._done += 1
        return step_cost(self.training, self._done)


def priors(precision: str = "auto", device: str = "auto") -> list[FitSettings]:
    """Return the fit of every prior: the default's, the published deep image prior, the decoder, the recurrence."""
    common = FitSettings(precision=precision, device=device)
    return [
        dataclasses.replace(common, prior="hourglass"),
        dataclasses.replace(common, prior="dip", preset="paper"),
        dataclasses.replace(common, prior="decoder"),
        dataclasses.replace(common, prior="recurrent", cell="scornn"),
    ]


def measure_speed(
    fits: Sequence[FitSettings], *, size: tuple[int, int] = (256, 256), rounds: int = 10, sizes: PeakSizes | None = None
) -> tuple[list[Peak], list[Speed]]:
    """Return what the machine reaches in each precision of the `fits`, and what a step of each takes.

    Args:
        fits: of one device.
        size: (H, W) of the picture, which is noise.
        rounds: in each of which everything is measured once, in turn.
        sizes: of what stands for the peak.

    Raises UsageError for settings that do not go together, DeviceError for a device that is not there.
    """
    steppers = [Stepper(settings, size) for settings in fits]
    precisions = [stepper.training.precision for stepper in steppers]
    timer = PeakTimer(tuple(dict.fromkeys(precisions)), steppers[0].training.device, sizes)
    timer()
    costs = []
    for stepper in steppers:
        for _ in range(WARM):
            stepper()
        costs.append(stepper.cost())
    rates: list[Rates] = []
    seconds: list[list[float]] = [[] for _ in steppers]
    for _ in range(rounds):
        rates.append(timer())
        for stepper, spent in zip(steppers, seconds, strict=True):
            spent.append(stepper())
    peaks = [
        Peak(
            precision=precision,
            convolution=statistics.median(rate.convolution[precision] for rate in rates),
            product=statistics.median(rate.product[precision] for rate in rates),
            bandwidth=statistics.median(rate.bandwidth for rate in rates),
        )
        for precision in dict.fromkeys(precisions)
    ]
    speeds = [
        _speed(stepper.training, cost, spent, rates)
        for stepper, cost, spent in zip(steppers, costs, seconds, strict=True)
    ]
    return peaks, speeds


def _speed(training: Training, cost: StepCost, seconds: Sequence[float], rates: Sequence[Rates]) -> Speed:
    plan = training.plan
    compute = [cost.flops / rate.peak(plan.precision) for rate in rates]
    memory = [cost.traffic_bytes / rate.bandwidth for rate in rates]
    roofline = [max(pair) for pair in zip(compute, memory, strict=True)]
    return Speed(
        prior=plan.prior,
        precision=plan.precision,
        device=plan.device,
        milliseconds=1e3 * statistics.median(seconds),
        spread=_spread(seconds),
        flops=cost.flops,
        flops_per_second=cost.flops / statistics.median(seconds),
        fraction=statistics.median(ideal / spent for ideal, spent in zip(compute, seconds, strict=True)),
        traffic_bytes=cost.traffic_bytes,
        roofline_milliseconds=1e3 * statistics.median(roofline),
        bound="compute" if statistics.median(compute) >= statistics.median(memory) else "memory",
        over_roofline=statistics.median(spent / least for spent, least in zip(seconds, roofline, strict=True)),
    )


def _spread(values: Sequence[float]) -> float:
    if len(values) < 2:
        return 0.0
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return (high - low) / 2 / middle
