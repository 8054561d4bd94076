"""Throughput: every stack is measured, and figures follow from each other; times themselves belong to `bench`."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable

import pytest

from restore.errors import UsageError
from restore.settings import FitSettings
from restore.studies.throughput import measure_deepinv, measure_throughput
from restore.studies.workers_gain import median_ratios, workers_gain


@pytest.mark.parametrize("missing", [False, True])
def test_every_stack_is_measured(missing: bool) -> None:
    settings = FitSettings(device="cpu", network={"channels": (8, 8), "tail": 0})
    found = measure_throughput(settings, (2, 3), size=32, steps=2, rounds=1, missing=missing)
    assert [each.stack for each in found] == [1, 2, 3]
    assert found[0].ratio == 1.0
    for each in found:
        assert each.pictures_an_hour == pytest.approx(3.6e6 / (each.milliseconds * each.steps))
        assert each.steps > 100  # those of the whole fit, not of the measurement


def test_the_command_prints_them(run: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    words = (
        "bench",
        "throughput",
        "decoder",
        "--stacks",
        "2",
        "--size",
        "64",
        "--steps",
        "1",
        "--rounds",
        "1",
        "--json",
    )
    ended = run(*words)
    assert ended.returncode == 0, ended.stderr
    assert [(each["prior"], each["stack"]) for each in json.loads(ended.stdout)] == [("decoder", 1), ("decoder", 2)]


def test_processes_are_compared_on_whole_batches() -> None:
    found = workers_gain(2, pictures=2, size=16, iterations=1, rounds=1)
    assert len(found) == 1 and min(found[0]) > 0
    assert median_ratios([(4.0, 3.0, 2.0), (8.0, 2.0, 4.0), (6.0, 6.0, 2.0)]) == (2.0, 1.5)


def test_deepinv_is_named_when_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UsageError, match="deepinv is not installed: pip install"):
        measure_deepinv(size=32, device="cpu")
