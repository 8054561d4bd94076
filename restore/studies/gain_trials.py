"""The trials behind a study of gains: variants on pictures and seeds, and what each is worth against `none`."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from restore.errors import FitError, InputError
from restore.images import read
from restore.runs.engine import run_trials
from restore.runs.store import Record, Store
from restore.runs.trial import Damage, Source, Trial, TrialPlan, content_hash
from restore.settings import FitSettings

__all__ = ["HEADER", "Gain", "Variant", "measure_variants", "middle", "rows", "table"]

Variant = tuple[str, FitSettings]
"""What a study calls some settings, and the settings."""


@dataclass(frozen=True)
class Gain:
    """One variant on one problem: means over pictures and seeds, PSNR in dB.

    Attributes:
        prior: of the fit. problem: name of the damage. variant: `none`, `none, as many parameters`, or the refinement.
        iterations: most steps of a fit. parameters: of the network.
        written, peak, final: PSNR of the written picture; the highest and the last of the averaged one.
        gain: mean of the differences of `written` from `none`, picture by picture and seed by seed.
        least, most: of those differences.
    """

    prior: str
    problem: str
    variant: str
    iterations: int
    parameters: int
    written: float
    peak: float
    final: float
    gain: float
    least: float
    most: float


def middle(path: str | Path, size: int, damage: Damage) -> Source:
    """Return the middle `size` x `size` pixels of a picture, damaged.

    Raises InputError for a picture that is smaller.
    """
    picture = read(path)
    if min(picture.height, picture.width) < size:
        raise InputError(f"{str(path)!r} is {picture.width}x{picture.height}: the study needs {size}x{size} or more.")
    crop = ((picture.height - size) // 2, (picture.width - size) // 2, size, size)
    return Source(str(path), {"image": content_hash(path)}, crop=crop, damage=damage)


def measure_variants(
    folder: Path,
    name: str,
    variants: Sequence[Variant],
    sources: Sequence[Source],
    seeds: Sequence[int],
    say: Callable[[str], None],
) -> list[Gain]:
    """Fit every variant on every source and seed, and return the gain of each; what the folder holds is not run again.

    Args:
        folder: of the results.
        name: of the problem.
        variants: among them `none` for every prior.
        sources: the damaged pictures.
        seeds: of the fits.
        say: told of each trial that ends.

    Raises FitError where a trial failed, OutputError where the folder cannot be used.
    """
    trials = [
        Trial(source, replace(settings, seed=seed), f"{settings.prior}: {variant}", Path(source.image).stem)
        for source in sources
        for seed in seeds
        for variant, settings in variants
    ]
    plan = TrialPlan(name, tuple(trials))
    records = run_trials(Store.open(folder, plan), trials, ended=lambda record: say(_line(name, record)))
    failed = [record for record in records.values() if record["status"] != "done"]
    if failed:
        raise FitError(f"{failed[0]['variant']} on {failed[0]['picture']} failed: {failed[0]['error']}")
    return [_gain(name, variant, settings, trials, records) for variant, settings in variants]


def _gain(
    name: str, variant: str, settings: FitSettings, trials: Sequence[Trial], records: Mapping[str, Record]
) -> Gain:
    def of(title: str) -> dict[tuple[str, int], Record]:
        mine = [trial for trial in trials if trial.variant == f"{settings.prior}: {title}"]
        return {(trial.picture, trial.settings.seed): records[trial.id] for trial in mine}

    own, none = of(variant), of("none")
    differences = [own[key]["psnr"] - none[key]["psnr"] for key in own]
    means = {
        key: statistics.fmean(record[key] for record in own.values()) for key in ("psnr", "psnr_peak", "psnr_final")
    }
    return Gain(
        prior=str(settings.prior),
        problem=name,
        variant=variant,
        iterations=settings.iterations or 0,
        parameters=next(iter(own.values()))["parameters"],
        written=means["psnr"],
        peak=means["psnr_peak"],
        final=means["psnr_final"],
        gain=statistics.fmean(differences),
        least=min(differences),
        most=max(differences),
    )


def _line(name: str, record: Record) -> str:
    found = "failed" if record["psnr"] is None else f"{record['psnr']:.2f} dB, {record['seconds']:.0f} s"
    return f"{name}: {record['variant']} on {record['picture']}, seed {record['seed']}: {found}"


HEADER = (
    *("prior", "problem", "refinement", "steps", "parameters"),
    *("written", "peak", "final", "gain in dB (least, most)"),
)
"""Columns of a table of gains."""


def rows(gains: Sequence[Gain]) -> list[tuple[str, ...]]:
    """Return the gains as rows under `HEADER`."""
    return [
        (
            *(gain.prior, gain.problem, gain.variant, str(gain.iterations), f"{gain.parameters:,}"),
            *(f"{value:.2f}" for value in (gain.written, gain.peak, gain.final)),
            f"{gain.gain:+.2f} ({gain.least:+.2f}, {gain.most:+.2f})",
        )
        for gain in gains
    ]


def table(gains: Sequence[Gain]) -> str:
    """Return a Markdown table of the gains."""
    rule = "|---|---|---|--:|--:|--:|--:|--:|--:|"
    return "\n".join([f"| {' | '.join(HEADER)} |", rule, *(f"| {' | '.join(row)} |" for row in rows(gains))])
