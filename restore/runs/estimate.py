"""What a plan will cost, and whether its fits can be begun at all: asked before the first of them."""

from __future__ import annotations

import dataclasses
import itertools
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from restore.errors import RestoreError
from restore.fitting import Step
from restore.fitting.forecast import Forecast
from restore.runs.ahead import ahead_of
from restore.runs.execute import measure
from restore.runs.store import Record
from restore.runs.trial import Trial
from restore.settings import Plan

__all__ = ["Cost", "estimate", "look_ahead"]

TRIED = 6
"""Steps that are tried to see how long one takes."""

SHORT = 0.25
"""Forecast seconds of a step above which none is tried: there the forecast is good, and trying would take long."""


@dataclass(frozen=True)
class Cost:
    """What a trial takes at most.

    Attributes:
        iterations: largest number of steps.
        seconds: about how long.
        memory_mb: about how much memory, in MiB.
    """

    iterations: int
    seconds: float
    memory_mb: float


def look_ahead(trial: Trial) -> tuple[Plan, Forecast]:
    """Return what the fit of a trial would do, and what that costs; a peer's trial has no fit.

    Raises RestoreError for settings that contradict each other, and all else that keeps the fit from beginning.
    """
    try:
        return ahead_of(lambda announce: measure(trial, announce=announce))[1:]
    except RestoreError as error:
        raise type(error)(f"the trial {trial.title!r} cannot be run: {error}") from error


def estimate(trials: Sequence[Trial], records: Mapping[str, Record]) -> list[Cost]:
    """Return the cost of each trial, from trials of the same settings that have ended, else from a few steps.

    What a peer costs is known once it has ended on a picture of that size; until then it counts as nothing.
    Trials that differ in the seed alone, or in pictures of one size, are taken to cost the same.

    Raises RestoreError as `look_ahead`.
    """
    measured: dict[Any, float] = {}
    for trial in trials:
        record = records.get(trial.id)
        if record is not None and record["status"] == "done":
            measured[_kind(trial)] = record["seconds"] / max(1, record["iterations"] or 1)
    known: dict[Any, Cost] = {}
    for trial in trials:
        if trial.peer is not None:  # only what it took elsewhere tells what it takes
            known[_kind(trial)] = Cost(0, measured.get(_kind(trial), 0.0), 0.0)
        elif _kind(trial) not in known:
            plan, told = look_ahead(trial)
            step, rest = told.seconds / plan.iterations, 0.0
            if _kind(trial) in measured:
                step = measured[_kind(trial)]
            elif step < SHORT and not plan.warm_start and not plan.tile_side:  # whose steps are not all alike
                step, rest = _tried(trial)
            known[_kind(trial)] = Cost(plan.iterations, step * plan.iterations + rest, told.memory_mb)
    return [known[_kind(trial)] for trial in trials]


def _kind(trial: Trial) -> Any:
    source = trial.source
    picture = source.crop[2:] if source.crop is not None else trial.picture
    settings = dataclasses.replace(trial.settings, seed=0)
    return repr(settings), trial.peer, picture, None if source.damage is None else source.damage.kind


def _tried(trial: Trial) -> tuple[float, float]:
    """Return the seconds of a step, the median of a few without the first, and those of all else in a trial."""
    began = time.perf_counter()
    seconds: list[float] = []

    def note(step: Step) -> None:
        seconds.append(step.seconds)

    measure(dataclasses.replace(trial, settings=dataclasses.replace(trial.settings, iterations=TRIED)), [note])
    rest = time.perf_counter() - began - seconds[-1]
    return statistics.median(after - before for before, after in itertools.pairwise(seconds)), rest
