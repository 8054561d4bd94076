"""The engine and one trial: resume, failure, other executors and other processes."""

from __future__ import annotations

import dataclasses
import json
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import restore
from restore.errors import InputError
from restore.problems.degrade import add_gaussian_noise
from restore.runs.engine import run_trials
from restore.runs.execute import carry_out, measure, prepare
from restore.runs.store import Store
from restore.runs.trial import Damage, Source, Trial, TrialPlan, content_hash


def lines(store: Store) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (store.folder / "manifest" / "runs.jsonl").read_text().splitlines()]


def noted(folder: str, trial: Trial, again: bool) -> dict[str, Any] | None:
    """Work that costs nothing: seed 1 fails the first time."""
    store = Store(folder)
    claim = store.claim(trial.id, again=again)
    if claim is None:
        return None
    with claim:
        failed = trial.settings.seed == 1 and trial.id not in store.records()
        record = {"id": trial.id, "status": "failed" if failed else "done", "seed": trial.settings.seed}
        store.keep(record)
    return record


def test_a_trial_is_what_the_api_does(trial: Callable[..., Trial], picture: Path, tmp_path: Path) -> None:
    one = trial(5)
    store = Store.open(tmp_path / "out", TrialPlan("one", (one,)))
    record = carry_out(str(store.folder), one)
    true = restore.read(picture).to_array()[:24, :32]
    settings = {"iterations": 2, "device": "cpu", "network": {"channels": [4, 4], "tail": 0}, "seed": 5}
    result = restore.denoise(add_gaussian_noise(true, 20), reference=true, **settings)
    assert record is not None
    assert record["status"] == "done"
    for name in ("psnr", "ssim", "psnr_input", "iterations", "sigma"):
        assert record[name] == result.report[name]
    with np.load(store.curves_path(one.id)) as curves:
        assert curves["loss"].tolist() == result.trace.loss
        assert curves["psnr"].tolist() == result.reference_curve.psnr
        assert curves["iteration"].tolist() == [2]
    assert lines(store) == [record]
    assert np.array_equal(restore.read(store.picture_path(one.id)).to_array(), result.image)
    assert carry_out(str(store.folder), one) is None


@pytest.mark.parametrize("damage", [Damage("missing", 0.4, 3), Damage("text", "word"), Damage("scratches", 2)])
def test_holes_are_inpainted(trial: Callable[..., Trial], damage: Damage) -> None:
    one = trial(damage=damage, objective="blindspot", prior="hourglass")
    damaged, hole, true = prepare(one.source)
    assert hole is not None and true is not None
    assert (damaged[hole] == 0).all()
    assert np.array_equal(damaged[~hole], np.rint(255 * true[~hole]))
    report = measure(one).report
    assert report["command"] == "inpaint"
    assert report["psnr_hole"] is not None


def test_a_picture_that_came_damaged(trial: Callable[..., Trial], picture: Path) -> None:
    whole = trial(damage=None)
    source = Source(str(picture), {"image": content_hash(picture), "reference": content_hash(picture)}, None, None)
    source = dataclasses.replace(source, reference=str(picture), sigma=10.0)
    result = measure(dataclasses.replace(whole, source=source))
    assert result.report["sigma"] == 10
    assert result.report["size"] == [40, 32]
    assert result.report["null_reasons"]["psnr_input"] == "the two pictures are equal"


def test_a_picture_that_changed_is_refused(trial: Callable[..., Trial], picture: Path) -> None:
    one = trial()
    picture.write_bytes(picture.read_bytes() + b" ")
    with pytest.raises(InputError, match="has changed since the plan was made"):
        measure(one)


def test_only_what_is_left_is_run(tmp_path: Path, plan: TrialPlan) -> None:
    store = Store.open(tmp_path / "out", plan)
    noted(str(store.folder), plan.trials[2], False)
    seen: list[int] = []
    records = run_trials(store, plan.trials, ended=lambda record: seen.append(record["seed"]), work=noted)
    assert seen == [0, 1]
    assert list(records) == [trial.id for trial in plan.trials]
    assert run_trials(store, plan.trials, ended=lambda record: seen.append(9), work=noted) == records
    assert len(lines(store)) == 3
    again = run_trials(store, plan.trials, again=True, work=noted)
    assert {record["status"] for record in again.values()} == {"done"}
    assert len(lines(store)) == 4


def test_fail_fast(tmp_path: Path, plan: TrialPlan) -> None:
    store = Store.open(tmp_path / "out", plan)
    records = run_trials(store, plan.trials, fail_fast=True, work=noted)
    assert [record["status"] for record in records.values()] == ["done", "failed"]


def test_a_failure_says_why_and_ends_nothing_else(trial: Callable[..., Trial], tmp_path: Path) -> None:
    bad = trial(1, network={"chanels": [4]})
    plan = TrialPlan("two", (bad, trial(0)))
    store = Store.open(tmp_path / "out", plan)
    first, second = run_trials(store, plan.trials).values()
    assert first["status"] == "failed"
    assert "did you mean 'channels'" in first["error"]
    assert first["psnr"] is None
    assert second["status"] == "done"


def test_another_process_is_waited_for_and_replaced(tmp_path: Path, plan: TrialPlan) -> None:
    store = Store.open(tmp_path / "out", plan)
    claim = store.claim(plan.trials[0].id)
    assert claim is not None
    told: list[int] = []

    def waiting(number: int) -> None:
        told.append(number)
        threading.Timer(0.1, lambda: claim.__exit__()).start()

    with claim:
        records = run_trials(store, plan.trials, waiting=waiting, work=noted)
    assert told == [1]
    assert len(records) == 3
    assert [line["seed"] for line in lines(store)] == [1, 2, 0]


def test_a_failure_of_before_does_not_end_the_wait_for_another_process(tmp_path: Path, plan: TrialPlan) -> None:
    store = Store.open(tmp_path / "out", plan)
    stale = {"id": plan.trials[0].id, "status": "failed", "seed": 0}
    store.keep(stale)
    claim = store.claim(plan.trials[0].id, again=True)
    assert claim is not None

    def succeed(count: int) -> None:
        assert count == 1
        with claim:
            store.keep({**stale, "status": "done"})

    records = run_trials(store, plan.trials, work=noted, again=True, waiting=succeed)
    assert records[plan.trials[0].id]["status"] == "done"


def test_threads_share_a_plan(tmp_path: Path, plan: TrialPlan) -> None:
    store = Store.open(tmp_path / "out", plan)
    with ThreadPoolExecutor(4) as pool:
        each = list(pool.map(lambda _: run_trials(store, plan.trials, work=noted), range(4)))
    assert all(records == each[0] for records in each)
    assert len(lines(store)) == 3


def test_an_executor_of_processes(tmp_path: Path, plan: TrialPlan) -> None:
    store = Store.open(tmp_path / "out", plan)
    alone = Store.open(tmp_path / "alone", plan)
    threads = torch.get_num_threads()  # with other ones sums are taken in another order
    spawn = get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn, initializer=torch.set_num_threads, initargs=(threads,)) as pool:
        records = run_trials(store, plan.trials, executor=pool, slots=2)
    expected = run_trials(alone, plan.trials)
    assert [record["psnr"] for record in records.values()] == [record["psnr"] for record in expected.values()]
    assert len(lines(store)) == 3
