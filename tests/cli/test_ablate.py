"""`restore ablate`: what it writes, resumes, refuses, and that a kill at any moment costs the running trial alone."""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet
import pytest

from restore.restoration import Restoration
from restore.runs import execute
from restore.runs.store import Store
from restore.runs.trial import Trial

Array = np.ndarray[Any, Any]
Call = Callable[..., Any]

CONFIG = """\
images: [true.png, {path: true.png, name: half, crop: 24}]
degradations: [{noise: 25}]
seeds: [0, 1]
settings: {iterations: %d, device: cpu, network: {channels: [4, 4], tail: 0}}
sweep: {norm: [channel, none]}
"""
TRIALS = 8
CHANGING = ("seconds", "seconds_per_iteration", "peak_memory_mb", "ended")


@pytest.fixture
def config(save: Call, clean: Array, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    save("true.png", clean)
    (tmp_path / "plan.yaml").write_text(CONFIG % 10)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "plan.yaml"


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "results.csv").open(newline="") as file:
        return [{name: value for name, value in row.items() if name not in CHANGING} for row in csv.DictReader(file)]


def ended(folder: Path) -> list[str]:
    """The ids in the manifest: one for each time that a trial ended."""
    manifest = folder / "manifest" / "runs.jsonl"
    lines = manifest.read_text().splitlines() if manifest.exists() else []
    return [json.loads(line)["id"] for line in lines if line.endswith("}")]


def test_everything_is_written(command: Call, config: Path, tmp_path: Path) -> None:
    outcome = command("ablate", config, "--threads", 1)
    assert outcome.status == 0, outcome.stderr
    folder = tmp_path / "plan-results"
    assert {path.name for path in folder.iterdir()} == {
        *("manifest", "curves", "pictures", "figures", "plan.json", "environment.json"),
        *("results.csv", "results.parquet", "summary.md", "summary.tex"),
    }
    assert {path.name for path in (folder / "figures").iterdir()} == {"differences.png", "psnr.png", "loss.png"}
    assert len(list((folder / "curves").iterdir())) == len(list((folder / "pictures").iterdir())) == TRIALS
    table = rows(folder)
    assert [row["norm"] for row in table] == ["channel"] * 4 + ["none"] * 4
    parquet = pyarrow.parquet.read_table(folder / "results.parquet")
    assert [float(row["psnr"]) for row in table] == parquet["psnr"].to_pylist()
    assert json.loads((folder / "environment.json").read_text())["threads"] == 1
    assert "norm=none" in outcome.stdout.decode()
    assert outcome.stderr.count("dB, 10 steps") == TRIALS
    assert not list((folder / "manifest" / "claims").iterdir())

    # The differences in the summary, from the table by hand.
    report = command("ablate", config, "--json", "-q").report
    (one,) = report["against_baseline"]
    psnr = np.array([float(row["psnr"]) for row in table]).reshape(2, 2, 2).mean(axis=2)  # norm, picture, seed
    assert list(one["differences"].values()) == pytest.approx(psnr[1] - psnr[0])
    assert len(ended(folder)) == TRIALS


def test_a_dry_run_writes_nothing(command: Call, config: Path, contents: Call) -> None:
    before = contents()
    outcome = command("ablate", config, "--dry-run")
    assert outcome.status == 0, outcome.stderr
    assert contents() == before
    lines = outcome.stdout.decode().splitlines()
    assert sum(line.endswith("to run") for line in lines) == TRIALS
    assert re.search(r"8 trials, 8 left to run: at most about [\d.]+ s on 1 thread", lines[-1])
    told = command("ablate", config, "--dry-run", "--json", "--set", "iterations=20", "--set", "seeds=[5]").report
    assert [(row["seed"], row["iterations"]) for row in told["trials"]] == [(5, 20)] * 4
    assert told["seconds"] == pytest.approx(sum(row["seconds"] for row in told["trials"]))


def test_shards_meet_in_one_folder(command: Call, config: Path, tmp_path: Path) -> None:
    folder = tmp_path / "plan-results"
    command("ablate", config, "--shard", "1/3", "-q", "--set", "iterations=2")
    assert len(rows(folder)) == 3
    assert "3 trials of 8; the rest has not ended" in (folder / "summary.md").read_text()
    for shard in ("2/3", "3/3", "1/3"):
        assert command("ablate", config, "--shard", shard, "-q", "--set", "iterations=2").status == 0
    assert len(rows(folder)) == len(ended(folder)) == TRIALS


def test_failures_are_listed_and_can_be_retried(
    command: Call, config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measure = execute.measure

    def flaky(trial: Trial) -> Restoration:
        if trial.picture == "half" and trial.settings.seed == 1:
            raise MemoryError("no memory left")
        return measure(trial)

    words = ("ablate", config, "--set", "iterations=2")
    monkeypatch.setattr(execute, "measure", flaky)
    stopped = command(*words, "--fail-fast")
    assert stopped.status == 1
    assert len(ended(tmp_path / "plan-results")) == 4
    failed = command(*words, "-q")
    assert failed.status == 1
    assert failed.stderr.count("no memory left") == 1
    summary = (tmp_path / "plan-results/summary.md").read_text()
    assert "| norm=none \\| half \\| noise25 \\| seed 1 | no memory left |" in summary
    monkeypatch.setattr(execute, "measure", measure)
    assert command(*words, "-q").status == 1
    assert command(*words, "-q", "--retry-failed").status == 0
    assert len(ended(tmp_path / "plan-results")) == TRIALS + 2
    assert {row["status"] for row in rows(tmp_path / "plan-results")} == {"done"}


def test_ctrl_c_leaves_what_has_ended(
    command: Call, config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measure, folder = execute.measure, tmp_path / "plan-results"

    def interrupted(trial: Trial) -> Restoration:
        if len(ended(folder)) == 3:
            raise KeyboardInterrupt
        return measure(trial)

    monkeypatch.setattr(execute, "measure", interrupted)
    outcome = command("ablate", config, "-q", "--set", "iterations=2")
    assert outcome.status == 130
    assert "interrupted; the same command goes on from here" in outcome.stderr
    assert len(rows(folder)) == 3
    assert not list((folder / "manifest" / "claims").iterdir())


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("none.yaml",), "no such file: 'none.yaml'"),
        (("plan.yaml", "--set", "norm=none"), "the sweep varies 'norm'"),
        (("plan.yaml", "--set", "network.chanels=[4]"), "seed 0' cannot be run: unknown hourglass option 'chanels'"),
        (("plan.yaml", "--set", "stop=discrepancy"), "stop 'discrepancy' needs --objective fit"),
        (("plan.yaml", "--set", "device=cuda:99"), "cannot be run"),
        (("plan.yaml", "--shard", "3/2"), "--shard takes I/N"),
        (("plan.yaml", "-o", "."), "holds other files"),
        (("true.png",), "cannot use 'true.png'"),
    ],
)
def test_what_is_refused(command: Call, config: Path, contents: Call, words: tuple[str, ...], complaint: str) -> None:
    before = contents()
    assert complaint in command("ablate", *words).complaint
    assert contents() == before


def test_another_plan_in_the_folder(command: Call, config: Path, contents: Call) -> None:
    command("ablate", config, "-q", "--set", "iterations=2", "--set", "seeds=[0]")
    before = contents()
    refused = command("ablate", config, "-q", "--set", "iterations=2", "--set", "seeds=[1, 2]")
    assert "holds the results of another plan, 'plan', which has 4 of 4 trials that this one lacks" in refused.complaint
    assert contents() == before


def test_a_plan_that_grows_meanwhile_keeps_its_tables(
    command: Call, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Store, "holds", lambda store, plan: False)
    outcome = command("ablate", config, "--set", "iterations=2", "--set", "seeds=[0]")
    assert outcome.status == 0 and "the plan has grown since this began" in outcome.stderr
    assert not (config.parent / "plan-results" / "summary.md").exists()


def test_more_seeds_in_the_folder(command: Call, config: Path) -> None:
    command("ablate", config, "-q", "--set", "iterations=2", "--set", "seeds=[0]")
    grown = command("ablate", config, "--set", "iterations=2", "--set", "seeds=[0, 1]")
    assert grown.status == 0, grown.stderr
    assert grown.stderr.startswith("4 of 8 trials have ended before.\n[5/8]")


def test_without_what_is_optional(process: Call, without: Call, config: Path, tmp_path: Path) -> None:
    words = ("ablate", config, "--set", "iterations=2", "--set", "seeds=[0]")
    outcome = process(*words, code=without("pyarrow", "matplotlib", "torchvision"))
    assert outcome.status == 0, outcome.stderr
    assert outcome.stderr.count("pip install 'restore[tables]'") == 1
    assert outcome.stderr.count("pip install 'restore[plot]'") == 1
    assert len(rows(tmp_path / "plan-results")) == 4
    assert not (tmp_path / "plan-results/results.parquet").exists()
    assert "![" not in (tmp_path / "plan-results/summary.md").read_text()


def start(config: Path, folder: Path) -> subprocess.Popen[bytes]:
    words = [sys.executable, "-m", "restore", "ablate", str(config), "-o", str(folder), "-q", "--threads", "1"]
    return subprocess.Popen(words, env={**os.environ, "OMP_NUM_THREADS": "1"}, stdout=subprocess.DEVNULL)


def test_kill_9_and_the_same_command_again(config: Path, tmp_path: Path) -> None:
    config.write_text(CONFIG % 40)
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert start(config, whole).wait(120) == 0
    process = start(config, killed)
    while len(ended(killed)) < 3 and process.poll() is None:
        time.sleep(0.01)
    process.kill()
    assert process.wait(120) != 0
    assert 3 <= len(ended(killed)) < TRIALS
    assert start(config, killed).wait(120) == 0
    differing = {k for a, b in zip(rows(killed), rows(whole), strict=True) for k in a if a[k] != b[k]}
    assert differing == set()
    assert len(ended(killed)) == len(set(ended(killed))) == TRIALS
    for name in ended(whole):
        with np.load(whole / f"curves/{name}.npz") as one, np.load(killed / f"curves/{name}.npz") as other:
            for curve in ("iteration", "loss", "psnr", "held_out", "learning_rate"):
                assert np.array_equal(one[curve], other[curve])
