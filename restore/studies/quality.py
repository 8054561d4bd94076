"""What a benchmark found: quality and cost of each method, and how long each takes to another one's quality."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from restore.runs.ablation import Ablation
from restore.runs.store import Record
from restore.runs.trial import Trial

__all__ = ["Curve", "Race", "Row", "pareto_front", "races", "rows", "seconds_to"]

FIGURES = ("psnr_input", "psnr", "psnr_peak", "psnr_final", "ssim", "lpips", "seconds", "iterations", "peak_memory_mb")


@dataclass(frozen=True)
class Curve:
    """The PSNR of a fit's averaged picture in dB at each check, and the seconds of the fit until then."""

    seconds: Sequence[float]
    psnr: Sequence[float]


@dataclass(frozen=True)
class Row:
    """Means of one method under one damage, over pictures, seeds of a picture averaged first.

    Attributes:
        damage, method: their names.
        trials, failed: number that ended, and of those among them that failed.
        psnr_input: PSNR of what was given, in dB.
        psnr: of what was written.
        psnr_peak, psnr_final: highest and last of the averaged picture during the fit; None for a peer.
        stopping_loss: mean of `psnr_peak - psnr`, in dB: what the stopping rule cost.
        ssim, lpips: of what was written; LPIPS is None where its package is not installed.
        seconds, iterations, peak_memory_mb: of a trial.

    What was never measured is None.
    """

    damage: str
    method: str
    trials: int
    failed: int
    psnr_input: float | None
    psnr: float | None
    psnr_peak: float | None
    psnr_final: float | None
    stopping_loss: float | None
    ssim: float | None
    lpips: float | None
    seconds: float | None
    iterations: float | None
    peak_memory_mb: float | None


@dataclass(frozen=True)
class Race:
    """How long a method takes to the quality of another one.

    Attributes:
        damage, method, rival: their names.
        target: mean of the PSNR to be reached, in dB.
        runs: number of pictures and seeds.
        reached: number of those in which the method reached it.
        seconds, rival_seconds: mean time of the fits until then, over those that reached it.
        ratio: median of the rival's seconds over the method's; None if it never got there.
    """

    damage: str
    method: str
    rival: str
    target: float
    runs: int
    reached: int
    seconds: float | None
    rival_seconds: float | None
    ratio: float | None


def rows(ablation: Ablation, records: Mapping[str, Record]) -> list[Row]:
    """Return a row for each damage and method of which something has ended, in the order of the plan."""
    found = []
    ended = [trial for trial in ablation.plan.trials if trial.id in records]
    for damage in dict.fromkeys(trial.damage for trial in ended):
        for method in ablation.variants:
            own = [trial for trial in ended if trial.damage == damage and trial.variant == method]
            if not own:
                continue
            done = [(trial, records[trial.id]) for trial in own if records[trial.id]["status"] == "done"]
            means = {name: _mean((trial, record[name]) for trial, record in done) for name in FIGURES}
            loss = _mean((trial, _difference(record["psnr_peak"], record["psnr"])) for trial, record in done)
            found.append(Row(damage, method, len(own), len(own) - len(done), stopping_loss=loss, **means))
    return found


def races(ablation: Ablation, curves: Mapping[str, Curve], rival: str, ceiling: float = math.inf) -> list[Race]:
    """Return for each damage and other method how long it takes to the best averaged picture of the `rival`.

    Args:
        curves: by the id of the trial; peers have none.
        ceiling: PSNR in dB that is enough, however much better the rival becomes.
    """
    found = []
    trials = [trial for trial in ablation.plan.trials if trial.id in curves and len(curves[trial.id].psnr)]
    for damage in dict.fromkeys(trial.damage for trial in trials):
        there = [trial for trial in trials if trial.damage == damage]
        rivals = {_run(trial): curves[trial.id] for trial in there if trial.variant == rival}
        for method in ablation.variants:
            pairs = [
                (curves[trial.id], rivals[_run(trial)])
                for trial in there
                if trial.variant == method and method != rival and _run(trial) in rivals
            ]
            if pairs:
                found.append(_race(damage, method, rival, pairs, ceiling))
    return found


def seconds_to(curve: Curve, target: float) -> float | None:
    """Return the seconds until the curve first reaches `target` dB, or None.

    >>> seconds_to(Curve([1.0, 2.0, 3.0], [20.0, 25.0, 24.0]), 24)
    2.0
    """
    return next((second for second, psnr in zip(curve.seconds, curve.psnr, strict=True) if psnr >= target), None)


def pareto_front(points: Sequence[tuple[float, float]]) -> list[int]:
    """Return which of the points (seconds, quality) no other one beats in both, by their seconds.

    >>> pareto_front([(1.0, 20.0), (2.0, 19.0), (3.0, 25.0)])
    [0, 2]
    """
    order = sorted(range(len(points)), key=lambda index: (points[index][0], -points[index][1]))
    front: list[int] = []
    for index in order:
        if not front or points[index][1] > points[front[-1]][1]:
            front.append(index)
    return front


def _race(damage: str, method: str, rival: str, pairs: Sequence[tuple[Curve, Curve]], ceiling: float) -> Race:
    targets = [min(max(theirs.psnr), ceiling) for _, theirs in pairs]
    times = [
        (ours, theirs)
        for (one, other), target in zip(pairs, targets, strict=True)
        if (ours := seconds_to(one, target)) is not None and (theirs := seconds_to(other, target)) is not None
    ]
    return Race(
        damage,
        method,
        rival,
        statistics.fmean(targets),
        len(pairs),
        len(times),
        statistics.fmean(ours for ours, _ in times) if times else None,
        statistics.fmean(theirs for _, theirs in times) if times else None,
        statistics.median(theirs / ours for ours, theirs in times) if times else None,
    )


def _run(trial: Trial) -> tuple[str, int]:
    return trial.picture, trial.settings.seed


def _difference(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one - other


def _mean(values: Iterable[tuple[Trial, float | None]]) -> float | None:
    """Return the mean over pictures of the means over seeds, of what was measured."""
    pictures: dict[str, list[float]] = {}
    for trial, value in values:
        if value is not None:
            pictures.setdefault(trial.picture, []).append(value)
    return statistics.fmean(map(statistics.fmean, pictures.values())) if pictures else None
