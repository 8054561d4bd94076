"""Settings: one object for command line, Python and YAML, which refuses what no fit could use."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest

from restore.errors import RestoreError, UsageError
from restore.fitting.paper import DIP_SETTINGS
from restore.settings import CHOICES, PAPER_PRESETS, FitSettings, Plan


def test_defaults_need_no_thought() -> None:
    settings = FitSettings()
    assert (settings.preset, settings.objective, settings.stop, settings.device, settings.precision, settings.seed) == (
        *("balanced", "auto", "auto", "auto", "auto", 0),
    )
    assert settings.prior is settings.norm is settings.init is settings.learning_rate is settings.iterations is None


def test_settings_are_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        FitSettings().seed = 1  # type: ignore[misc]


@pytest.mark.parametrize(("name", "value"), [(n, v) for n, known in CHOICES.items() for v in known])
def test_every_choice_is_taken(name: str, value: str) -> None:
    assert getattr(FitSettings(**{name: value}), name) == value


@pytest.mark.parametrize("name", list(CHOICES))
def test_every_other_choice_is_refused_with_what_there_is(name: str) -> None:
    with pytest.raises(UsageError, match="nonsense") as caught:
        FitSettings(**{name: "nonsense"})
    assert all(known in str(caught.value) for known in CHOICES[name])


def test_presets_name_the_published_settings() -> None:
    assert set(PAPER_PRESETS) == set(DIP_SETTINGS)
    assert {f"paper:{name}" for name in PAPER_PRESETS} < set(CHOICES["preset"])
    with pytest.raises(UsageError, match="did you mean 'paper:kate'"):
        FitSettings(preset="paper:kat")


@pytest.mark.parametrize("name", ["learning_rate", "iterations", "time_budget"])
@pytest.mark.parametrize("value", [0, -1, math.nan, math.inf, -math.inf])
def test_numbers_that_must_be_positive(name: str, value: float) -> None:
    with pytest.raises(UsageError, match=name) as caught:
        FitSettings(**{name: value})
    assert str(value) in str(caught.value)


@pytest.mark.parametrize(
    "values",
    [
        {"iterations": 2.5},
        {"iterations": "10"},
        {"time_budget": "soon"},
        {"learning_rate": "fast"},
        {"seed": 1.5},
        {"seed": "zero"},
        {"preset": None},
        {"objective": None},
    ],
)
def test_values_of_another_type_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(RestoreError):
        FitSettings(**values)


def test_a_mapping_makes_the_same_object() -> None:
    values = {"prior": "dip", "iterations": 7, "network": {"skip": (0,) * 5}}
    assert FitSettings.from_mapping(values) == FitSettings(prior="dip", iterations=7, network={"skip": (0,) * 5})
    assert FitSettings.from_mapping({}) == FitSettings()


@pytest.mark.parametrize(
    ("name", "nearest"), [("learning_rat", "learning_rate"), ("iteration", "iterations"), ("Seed", "seed")]
)
def test_an_unknown_setting_offers_the_nearest(name: str, nearest: str) -> None:
    with pytest.raises(UsageError, match=f"unknown setting '{name}': did you mean '{nearest}'"):
        FitSettings.from_mapping({name: 1})


def test_every_setting_and_every_part_of_a_plan_is_described() -> None:
    for kind in (FitSettings, Plan):
        described = (kind.__doc__ or "").replace(",", " ").replace(":", " ").split()
        assert all(field.name in described for field in dataclasses.fields(kind))
