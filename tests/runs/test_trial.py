"""Names of trials: equal for what gives equal results, different for all else."""

from __future__ import annotations

import dataclasses
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from restore.runs.shard import part_of
from restore.runs.trial import Damage, Trial, TrialPlan
from restore.settings import FitSettings


def test_the_id_is_the_same_in_another_process(trial: Callable[..., Trial]) -> None:
    one = trial(3)
    code = "import pickle, sys; print(pickle.loads(sys.stdin.buffer.read()).id)"
    said = subprocess.run([sys.executable, "-c", code], input=pickle.dumps(trial(3)), capture_output=True, check=True)
    assert said.stdout.decode().strip() == one.id
    assert len(one.id) == 16


def test_names_do_not_matter(trial: Callable[..., Trial], tmp_path: Path) -> None:
    one = trial()
    source = dataclasses.replace(one.source, image=str(tmp_path / "moved.png"))
    assert dataclasses.replace(one, variant="x", picture="y", source=source).id == one.id
    assert dataclasses.replace(one, settings=dataclasses.replace(one.settings, learning_rate=None)).id == one.id


@pytest.mark.parametrize(
    "change",
    [
        {"crop": (0, 0, 24, 31)},
        {"damage": Damage("noise", 21)},
        {"damage": Damage("noise", 20, 1)},
        {"damage": None},
        {"content": {"image": "0"}},
        {"sigma": 20.0},
    ],
)
def test_another_problem_is_another_trial(trial: Callable[..., Trial], change: dict[str, object]) -> None:
    one = trial()
    assert dataclasses.replace(one, source=dataclasses.replace(one.source, **change)).id != one.id  # type: ignore[arg-type]


def test_every_setting_counts(trial: Callable[..., Trial]) -> None:
    others = [
        trial(norm="none"),
        trial(seed=1),
        trial(iterations=3),
        trial(network={"channels": [4, 4], "tail": 1}),
        trial(learning_rate=0.1),
        trial(stop="none"),
    ]
    assert len({one.id for one in (trial(), *others)}) == len(others) + 1


def test_shards_are_a_partition(trial: Callable[..., Trial]) -> None:
    plan = TrialPlan("p", tuple(trial(seed) for seed in range(7)))
    parts = [part_of(plan.trials, f"{index}/3") for index in (1, 2, 3)]
    assert sorted(one.id for part in parts for one in part) == sorted(one.id for one in plan.trials)
    assert [len(part) for part in parts] == [3, 2, 2]


def test_the_summary_is_whole(plan: TrialPlan) -> None:
    kept = plan.summary()
    assert kept["id"] == plan.id
    assert [one["seed"] for one in kept["trials"]] == [0, 1, 2]
    assert set(kept["trials"][0]["settings"]) == {field.name for field in dataclasses.fields(FitSettings)}
