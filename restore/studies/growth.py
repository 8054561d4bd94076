"""How the time and the memory of a step grow: with the picture's area, the network's channels, a recurrence's T."""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from restore.priors.hourglass import HourglassOptions
from restore.settings import FitSettings
from restore.studies.speed import WARM, Stepper
from restore.studies.step_cost import peak_bytes

__all__ = ["Growth", "Variant", "exponents", "measure_growth", "variants"]


@dataclass(frozen=True)
class Variant:
    """One fit of a row that differs in one thing: `of` says in what, `value` how much of it there is."""

    of: str
    value: int
    settings: FitSettings
    size: tuple[int, int]


@dataclass(frozen=True)
class Growth:
    """What a step of a variant takes.

    Attributes:
        of: `area` (pixels), `channels` (of the hourglass's first level; all levels alike) or `T`.
        value: how much of it there is.
        precision: of the fit.
        milliseconds: median time of a step.
        peak_bytes: the most that a step holds at once, beyond what stays between steps.
    """

    of: str
    value: int
    precision: str
    milliseconds: float
    peak_bytes: int


def variants(size: int, precision: str = "auto", device: str = "auto") -> list[Variant]:
    """Return the fits whose steps are compared, for pictures of `size` x `size` and less.

    Args:
        size: a multiple of 64, so that no prior pads a picture and areas are those that are computed.
        precision, device: as in `FitSettings`.
    """
    hourglass = FitSettings(prior="hourglass", precision=precision, device=device)
    recurrent = dataclasses.replace(hourglass, prior="recurrent", cell="scornn")
    half = size // 2
    found = [Variant("area", side * side, hourglass, (side, side)) for side in (half, half * 3 // 2, size)]
    widths = HourglassOptions().channels
    for numerator in (1, 2, 4):
        wide = tuple(width * numerator // 2 for width in widths)
        settings = dataclasses.replace(hourglass, network={"channels": wide})
        found.append(Variant("channels", wide[0], settings, (half, half)))
    for steps in (2, 4, 8):
        settings = dataclasses.replace(recurrent, refine_steps=steps)
        found.append(Variant("T", steps, settings, (half, half)))
    return found


def measure_growth(fits: Sequence[Variant], *, rounds: int = 10) -> list[Growth]:
    """Return what a step of each variant takes, by `rounds` interleaved steps of each."""
    steppers = [Stepper(fit.settings, fit.size) for fit in fits]
    spent: list[list[float]] = [[] for _ in steppers]
    for number in range(rounds + WARM):
        for stepper, seconds in zip(steppers, spent, strict=True):
            taken = stepper()
            if number >= WARM:
                seconds.append(taken)
    return [
        Growth(
            of=fit.of,
            value=fit.value,
            precision=stepper.training.precision,
            milliseconds=1e3 * statistics.median(seconds),
            peak_bytes=peak_bytes(stepper.step, stepper.training.device),
        )
        for fit, stepper, seconds in zip(fits, steppers, spent, strict=True)
    ]


def exponents(grown: Sequence[Growth]) -> dict[str, tuple[float, float]]:
    """Return, by what grows, the exponents a of time and memory ~ value^a: least squares of the logarithms.

    >>> time, memory = exponents([Growth("T", 2, "float32", 10.0, 100), Growth("T", 4, "float32", 20.0, 400)])["T"]
    >>> round(time, 9), round(memory, 9)
    (1.0, 2.0)
    """
    found = {}
    for name in dict.fromkeys(each.of for each in grown):
        own = [each for each in grown if each.of == name]
        values = [math.log2(each.value) for each in own]
        times = [math.log2(each.milliseconds) for each in own]
        sizes = [math.log2(each.peak_bytes) for each in own]
        found[name] = (
            statistics.linear_regression(values, times).slope,
            statistics.linear_regression(values, sizes).slope,
        )
    return found
