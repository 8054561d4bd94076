"""`restore cells probe`: the report, the text, and what is refused."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch

from restore.cells import CELLS
from restore.cli.cells import probe as command
from restore.health import Verdict
from restore.studies.probe import Probe, probe_cell

KEYS = [
    "cell",
    "size",
    "steps",
    "seed",
    "gradient_norms",
    "singular_values",
    "orthogonality_error",
    "spectral_radius",
    "state_norms",
    "verdict",
    "controls",
]


def test_json_has_exactly_these_keys(cells: Callable[..., Any]) -> None:
    report = cells("probe", "scornn", "--size", 6, "--steps", 20, "--seed", 3, "--json").report
    assert list(report) == KEYS
    assert [report[key] for key in KEYS[:4]] == ["scornn", 6, 20, 3]
    assert list(report["controls"]) == ["rnn", "gru"]
    for control in report["controls"].values():
        assert list(control) == KEYS[4:-1]


def test_json_is_what_the_study_measured(cells: Callable[..., Any]) -> None:
    report = cells("probe", "scurnn", "--size", 6, "--steps", 20, "--json").report
    probe = probe_cell("scurnn", size=6, steps=20)
    for measures, expected in ((report, probe), (report["controls"]["gru"], probe_cell("gru", size=6, steps=20))):
        assert measures["gradient_norms"] == expected.gradient_norms.tolist()
        assert measures["singular_values"] == expected.singular_values.tolist()
        assert measures["state_norms"] == expected.state_norms.tolist()
        assert measures["orthogonality_error"] == expected.orthogonality_error
        assert measures["spectral_radius"] == expected.spectral_radius
        assert measures["verdict"] == expected.verdict


@pytest.mark.parametrize("name", CELLS)
def test_every_cell_is_probed(cells: Callable[..., Any], name: str) -> None:
    report = cells("probe", name, "--size", 4, "--steps", 3, "--json").report
    assert report["verdict"] in set(Verdict)
    assert len(report["gradient_norms"]) == 4


def test_text_says_bounded_and_vanishing(cells: Callable[..., Any]) -> None:
    lines = cells("probe", "scornn", "--size", 8, "--steps", 200).stdout.splitlines()
    assert any(line.startswith("scornn: bounded (healthy); over 200 steps back") for line in lines)
    assert any(line.startswith("rnn: vanishing; over 200 steps back") for line in lines)
    assert any(line.startswith("gru: vanishing; over 200 steps back") for line in lines)
    curves = {line.split()[0]: line.split()[1] for line in lines if set("▁▅") & set(line) and not line.startswith("|")}
    assert set(curves["scornn"]) == {"▅"}
    assert curves["rnn"].startswith("▁▁▁")


def test_probing_a_control_shows_it_once(cells: Callable[..., Any]) -> None:
    text = cells("probe", "rnn", "--size", 4, "--steps", 10).stdout
    assert sum(line.startswith("rnn:") for line in text.splitlines()) == 1


def test_not_finite_is_null(cells: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    def overflowing(name: str, **settings: int) -> tuple[Probe, dict[str, Probe]]:
        values = torch.tensor([math.inf, math.nan, 1.0], dtype=torch.float64)
        return Probe(name, 3, 2, 0, values, values, values, {}, Verdict.exploding), {}

    monkeypatch.setattr("restore.studies.probe.probe_with_controls", overflowing)
    report = cells("probe", "rnn", "--json").report
    assert report["gradient_norms"] == report["singular_values"] == report["state_norms"] == [None, None, 1.0]
    assert report["orthogonality_error"] is None
    assert cells("probe", "rnn").status == 0


def test_defaults_are_those_of_the_study() -> None:
    assert command.__defaults__[:3] == (128, 1000, 0)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("scorn",), "unknown cell 'scorn': did you mean 'scornn'?"),
        (("scornn", "--steps", 0), "a probe needs at least one step, got 0."),
        (("scornn", "--size", -3), "a cell needs a size of at least 1, got -3."),
        (("limitcycle", "--size", 7), "needs an even size; got 7, take 8."),
        (("rnn", "--seed", -1), "got -1."),
    ],
)
def test_bad_input(cells: Callable[..., Any], words: tuple[object, ...], message: str) -> None:
    assert message in cells("probe", *words).complaint
