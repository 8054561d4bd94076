"""What an ablation found: a mean for each variant, and paired differences for each variant and each factor."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from restore.runs.ablation import VARIANT, Ablation, label_of
from restore.runs.store import Record
from restore.runs.trial import Trial
from restore.studies.statistics import Comparison, compare

__all__ = ["Effect", "Findings", "VariantMean", "find"]


@dataclass(frozen=True)
class VariantMean:
    """One variant over all pictures.

    Attributes:
        label: of the variant.
        trials, failed: number of those that ended, and of those among them that failed.
        mean: of the metric over pictures, seeds and damages averaged first; None if nothing was done.
        iterations, seconds: mean over the trials that were done.
    """

    label: str
    trials: int
    failed: int
    mean: float | None
    iterations: float | None
    seconds: float | None


@dataclass(frozen=True)
class Effect:
    """What one factor does, everything else equal: its values against the baseline's, over all other factors.

    Attributes:
        factor: its name.
        baseline: its value in the baseline.
        comparisons: one for each other value.
    """

    factor: str
    baseline: Any
    comparisons: tuple[Comparison, ...]


@dataclass(frozen=True)
class Findings:
    """What an ablation found.

    Attributes:
        name: of the ablation.
        metric: by which variants are compared.
        baseline: label of the variant that the others are compared with.
        expected: number of trials of the whole plan.
        ended: number of those that ended.
        pictures: names of the pictures.
        variants: in the order of the plan.
        effects: one for each factor, where there is more than one.
        against_baseline: each other variant against the baseline.
        failures: what was wrong, by the title of the trial.
    """

    name: str
    metric: str
    baseline: str
    expected: int
    ended: int
    pictures: tuple[str, ...]
    variants: tuple[VariantMean, ...]
    effects: tuple[Effect, ...]
    against_baseline: tuple[Comparison, ...]
    failures: Mapping[str, str]


def find(ablation: Ablation, records: Mapping[str, Record]) -> Findings:
    """Return what the `records`, by the id of their trials, say about the `ablation`."""
    trials = [trial for trial in ablation.plan.trials if trial.id in records]
    values = {
        trial.id: records[trial.id][ablation.metric]
        for trial in trials
        if records[trial.id]["status"] == "done" and records[trial.id][ablation.metric] is not None
    }
    measured = [trial for trial in trials if trial.id in values]
    failed = {trial.title: str(records[trial.id]["error"]) for trial in trials if records[trial.id]["error"]}
    return Findings(
        name=ablation.plan.name,
        metric=ablation.metric,
        baseline=ablation.baseline,
        expected=len(ablation.plan.trials),
        ended=len(trials),
        pictures=tuple(dict.fromkeys(trial.picture for trial in ablation.plan.trials)),
        variants=tuple(_mean_of(label, trials, values, records) for label in ablation.variants),
        effects=tuple(_effects(ablation, measured, values)) if len(ablation.factors) > 1 else (),
        against_baseline=tuple(_against_baseline(ablation, measured, values)),
        failures=failed,
    )


def _mean_of(
    label: str, trials: Sequence[Trial], values: Mapping[str, float], records: Mapping[str, Record]
) -> VariantMean:
    own = [trial for trial in trials if trial.variant == label]
    done = [records[trial.id] for trial in own if records[trial.id]["status"] == "done"]
    pictures = _by_picture((trial, values[trial.id]) for trial in own if trial.id in values)
    return VariantMean(
        label,
        len(own),
        len(own) - len(done),
        _mean(pictures.values()),
        _mean(record["iterations"] for record in done),
        _mean(record["seconds"] for record in done),
    )


def _against_baseline(ablation: Ablation, measured: Sequence[Trial], values: Mapping[str, float]) -> list[Comparison]:
    base = {_problem(trial): values[trial.id] for trial in measured if trial.variant == ablation.baseline}
    family = {
        label: _by_picture(
            (trial, values[trial.id] - base[_problem(trial)])
            for trial in measured
            if trial.variant == label and _problem(trial) in base
        )
        for label in ablation.variants
        if label != ablation.baseline
    }
    return compare(family)


def _effects(ablation: Ablation, measured: Sequence[Trial], values: Mapping[str, float]) -> Iterable[Effect]:
    for factor, levels in ablation.factors.items():
        standard = ablation.baseline_factors[factor]
        base = {_others(trial, factor): values[trial.id] for trial in measured if trial.factors[factor] == standard}
        family = {
            _label(factor, level): _by_picture(
                (trial, values[trial.id] - base[_others(trial, factor)])
                for trial in measured
                if trial.factors[factor] == level and _others(trial, factor) in base
            )
            for level in levels
            if level != standard
        }
        if family:
            yield Effect(factor, standard, tuple(compare(family)))


def _label(factor: str, level: Any) -> str:
    return str(level) if factor == VARIANT else label_of(factor, level)


def _problem(trial: Trial) -> tuple[str, str, int]:
    return trial.picture, trial.damage, trial.settings.seed


def _others(trial: Trial, factor: str) -> tuple[Any, ...]:
    """Return all that tells a trial apart but one of its factors."""
    rest = tuple(label_of(name, value) for name, value in trial.factors.items() if name != factor)
    return (*_problem(trial), *rest)


def _by_picture(found: Iterable[tuple[Trial, float]]) -> dict[str, float]:
    """Return the mean of each picture: seeds and factors within a damage first, then damages."""
    damages: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for trial, value in found:
        damages[trial.picture][trial.damage].append(value)
    return {
        picture: math.fsum(math.fsum(one) / len(one) for one in by_damage.values()) / len(by_damage)
        for picture, by_damage in damages.items()
    }


def _mean(values: Iterable[float | None]) -> float | None:
    """Return the mean of what is known: a peer counts no steps."""
    found = [value for value in values if value is not None]
    return math.fsum(found) / len(found) if found else None
