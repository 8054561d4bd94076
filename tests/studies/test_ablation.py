"""Findings of an ablation from records made up for it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import pytest

from restore.runs.ablation import Ablation
from restore.runs.trial import Damage, Source, Trial, TrialPlan
from restore.settings import FitSettings
from restore.studies.ablation import find

NORMS, INITS, PICTURES, SEEDS = ("channel", "none"), ("default", "he"), ("a", "b", "c"), (0, 1)


@pytest.fixture
def ablation() -> Ablation:
    trials = [
        Trial(
            Source(picture, {"image": picture}, damage=Damage("noise", noise)),
            FitSettings(norm=norm, init=init, seed=seed),
            f"norm={norm}, init={init}",
            picture,
            {"norm": norm, "init": init},
        )
        for norm in NORMS
        for init in INITS
        for picture in PICTURES
        for noise in (10.0, 25.0)
        for seed in SEEDS
    ]
    variants = tuple(dict.fromkeys(trial.variant for trial in trials))
    factors = {"norm": NORMS, "init": INITS}
    base = {"norm": "channel", "init": "default"}
    return Ablation(TrialPlan("made up", tuple(trials)), variants, factors, variants[0], base, "psnr")


def value(trial: Trial) -> float:
    """Every dB has its cause: `none` costs 3, and 1 more on picture c; `he` costs 1 beside `none`."""
    unnormalised, he = trial.factors["norm"] == "none", trial.factors["init"] == "he"
    damage = trial.source.damage
    assert damage is not None
    level = {"a": 20.0, "b": 25.0, "c": 30.0}[trial.picture] + trial.settings.seed - float(damage.amount) / 5
    return level - unnormalised * (3 + (trial.picture == "c")) - he * unnormalised


@pytest.fixture
def records(ablation: Ablation) -> dict[str, dict[str, Any]]:
    return {
        trial.id: {"status": "done", "error": None, "psnr": value(trial), "iterations": 10, "seconds": 2.0}
        for trial in ablation.plan.trials
    }


def test_effects_are_taken_within_pictures(ablation: Ablation, records: Mapping[str, Any]) -> None:
    found = find(ablation, records)
    norm, init = found.effects
    (one,) = norm.comparisons
    assert (norm.factor, norm.baseline, one.label) == ("norm", "channel", "norm=none")
    assert one.differences == pytest.approx({"a": -3.5, "b": -3.5, "c": -4.5})
    assert one.mean == pytest.approx(-11.5 / 3)
    assert (one.wins, one.ties, one.losses) == (0, 0, 3)
    assert init.comparisons[0].differences == pytest.approx({"a": -0.5, "b": -0.5, "c": -0.5})
    assert [other.mean for other in found.against_baseline] == pytest.approx([0.0, -10 / 3, -13 / 3])
    assert found.variants[0].mean == pytest.approx(25 + 0.5 - 3.5)
    assert (found.ended, found.expected, found.variants[0].trials) == (48, 48, 12)


def test_a_failed_trial_takes_its_twins_with_it(ablation: Ablation, records: dict[str, Any]) -> None:
    trial = next(trial for trial in ablation.plan.trials if trial.variant == "norm=none, init=default")
    records[trial.id] = {
        "status": "failed",
        "error": "out of memory",
        "psnr": None,
        "iterations": None,
        "seconds": None,
    }
    found = find(ablation, records)
    # Without the pairing, a's mean would lose its worst seed and damage and change.
    against = {one.label: one for one in found.against_baseline}
    assert against["norm=none, init=default"].differences == pytest.approx({"a": -3, "b": -3, "c": -4})
    assert found.failures == {trial.title: "out of memory"}
    assert found.variants[2].failed == 1


def test_an_unfinished_ablation(ablation: Ablation, records: dict[str, Any]) -> None:
    half = dict(list(records.items())[:14])
    found = find(ablation, half)
    assert (found.ended, found.expected) == (14, 48)
    assert [variant.trials for variant in found.variants] == [12, 2, 0, 0]
    assert found.variants[2].mean is None
    assert found.against_baseline[1].mean is None
    nothing = find(ablation, {})
    assert (nothing.ended, nothing.variants[0].mean) == (0, None)


def test_one_factor_has_one_table(ablation: Ablation, records: dict[str, Any]) -> None:
    single = dataclasses.replace(ablation, factors={"norm": NORMS})
    assert find(single, records).effects == ()


def test_the_order_of_records_does_not_matter(ablation: Ablation, records: dict[str, Any]) -> None:
    assert find(ablation, dict(reversed(records.items()))) == find(ablation, records)
