"""The store: what a crash may leave, claims, and that a folder belongs to one plan."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from restore.errors import OutputError
from restore.runs.claims import STALE_AFTER, Holder
from restore.runs.store import Store
from restore.runs.trial import Trial, TrialPlan


def record(trial: str, status: str = "done", **more: object) -> dict[str, object]:
    return {"id": trial, "status": status, **more}


@pytest.fixture
def store(tmp_path: Path, plan: TrialPlan) -> Store:
    return Store.open(tmp_path / "out", plan)


def manifest(store: Store) -> Path:
    return store.folder / "manifest" / "runs.jsonl"


@pytest.mark.parametrize("cut", range(1, 21, 3))
def test_a_torn_line_costs_its_own_trial_alone(store: Store, cut: int) -> None:
    store.keep(record("a", value=1))
    store.keep(record("b", value=2))
    whole = manifest(store).read_bytes()
    manifest(store).write_bytes(whole[:-cut])
    assert set(store.records()) == ({"a", "b"} if cut == 1 else {"a"})
    store.keep(record("c"))
    store.keep(record("b", value=3))
    assert set(store.records()) == {"a", "b", "c"}
    assert store.records()["b"]["value"] == (2 if cut == 1 else 3)


def test_lines_of_many_writers_stay_whole(store: Store) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: store.keep(record(f"t{n}", text="x" * 5000)), range(40)))
    lines = manifest(store).read_text().splitlines()
    assert sorted(json.loads(line)["id"] for line in lines) == sorted(f"t{n}" for n in range(40))


def test_a_success_outlives_a_failure(store: Store) -> None:
    for status in ("failed", "done", "failed"):
        store.keep(record("a", status))
    assert store.records()["a"]["status"] == "done"


def test_one_claim_a_trial(store: Store) -> None:
    claim = store.claim("a")
    assert claim is not None
    with claim:
        assert store.claim("a") is None
        assert store.claim("b") is not None
    assert store.claim("a") is not None


def test_what_has_ended_cannot_be_claimed(store: Store) -> None:
    store.keep(record("a"))
    store.keep(record("b", "failed"))
    assert store.claim("a", again=True) is None
    assert store.claim("b") is None
    assert store.claim("b", again=True) is not None


def test_one_of_many_takes_a_trial(store: Store) -> None:
    with ThreadPoolExecutor(8) as pool:
        claims = list(pool.map(lambda _: store.claim("a"), range(32)))
    assert sum(claim is not None for claim in claims) == 1


def test_the_claim_of_a_dead_process_is_free_at_once(store: Store) -> None:
    code = f"import os; from restore.runs.store import Store; Store({str(store.folder)!r}).claim('a'); os._exit(9)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 9
    assert (store.folder / "manifest" / "claims" / "a.json").exists()
    assert store.claim("a") is not None


def claimed_by(store: Store, holder: Holder, age: float = 0.0) -> None:
    path = store.folder / "manifest" / "claims" / "a.json"
    path.write_text(json.dumps(dataclasses.asdict(holder)))
    then = path.stat().st_mtime - age
    os.utime(path, (then, then))


def test_the_number_of_a_process_is_not_its_identity(store: Store) -> None:
    claimed_by(store, dataclasses.replace(Holder.this(), started=1))
    assert store.claim("a") is not None


def test_another_machine_is_believed_while_its_heart_beats(store: Store) -> None:
    far = Holder("far", "far 1", 2**22, 5)
    claimed_by(store, far, STALE_AFTER - 60)
    assert store.claim("a") is None
    claimed_by(store, far, STALE_AFTER + 60)
    assert store.claim("a") is not None


def test_a_process_of_this_machine_that_was_suspended_keeps_its_claim(store: Store) -> None:
    claimed_by(store, Holder.this(), STALE_AFTER + 60)
    assert store.claim("a") is None


def test_where_the_system_does_not_tell_processes_apart_the_heart_counts(store: Store) -> None:
    claimed_by(store, Holder("here", Holder.this().machine, os.getppid(), None), STALE_AFTER + 60)
    assert store.claim("a") is not None


def test_a_claim_that_was_taken_over_is_left_to_its_new_holder(store: Store) -> None:
    claim = store.claim("a")
    assert claim is not None
    far = Holder("far", "far 1", 2**22, 5)
    with claim:
        claimed_by(store, far)
    assert store.claim("a") is None


@pytest.mark.parametrize("content", ["", "{", "[]", '{"host": 1}'])
def test_a_claim_that_says_nothing_is_free(store: Store, content: str) -> None:
    (store.folder / "manifest" / "claims" / "a.json").write_text(content)
    assert store.claim("a") is not None


def test_a_heart_beats(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("restore.runs.claims.HEARTBEAT", 0.01)
    claim = store.claim("a")
    assert claim is not None
    path = store.folder / "manifest" / "claims" / "a.json"
    os.utime(path, (0, 0))
    with claim:
        while path.stat().st_mtime == 0:
            pass
    assert not path.exists()


def test_another_plan_is_refused(store: Store, trial: Callable[..., Trial], plan: TrialPlan) -> None:
    before = {path: path.read_bytes() for path in store.folder.rglob("*") if path.is_file()}
    other = TrialPlan("four", (*plan.trials[1:], trial(7)))
    with pytest.raises(OutputError, match=r"another plan, 'three', which has 1 of 3 trials that this one lacks"):
        Store.open(store.folder, other)
    renamed = TrialPlan("four", tuple(dataclasses.replace(each, variant="other") for each in plan.trials))
    with pytest.raises(OutputError, match=r"which has 3 of 3 trials that this one lacks or calls otherwise"):
        Store.open(store.folder, renamed)
    assert {path: path.read_bytes() for path in store.folder.rglob("*") if path.is_file()} == before
    Store.open(store.folder, plan)


def test_a_plan_may_grow(store: Store, trial: Callable[..., Trial], plan: TrialPlan) -> None:
    store.keep(record(plan.trials[0].id))
    grown = TrialPlan("three", (*plan.trials, trial(7)))
    assert list(Store.open(store.folder, grown).records()) == [plan.trials[0].id]
    assert store.holds(grown) and not store.holds(plan)  # as a process sees that began with the smaller one
    with pytest.raises(OutputError, match="1 of 4 trials that this one lacks"):
        Store.open(store.folder, plan)


def test_a_plan_that_is_none(store: Store, plan: TrialPlan) -> None:
    for text in ("", "{}", "[1]", '{"trials": 3}'):
        (store.folder / "plan.json").write_text(text)
        with pytest.raises(OutputError, match="is no plan"):
            Store.open(store.folder, plan)


def test_what_others_append_is_seen(store: Store) -> None:
    other = Store(store.folder)
    for name in "abc":
        other.keep(record(name))
        assert name in store.records()
        store.records().clear()
    manifest(store).unlink()
    assert store.records() == {}
    other.keep(record("d"))
    assert set(store.records()) == {"d"}


def test_a_folder_of_other_files_is_refused(tmp_path: Path, plan: TrialPlan) -> None:
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(OutputError, match="holds other files"):
        Store.open(tmp_path, plan)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["thesis.tex", "waves.png"]


def test_a_file_is_no_folder(tmp_path: Path, plan: TrialPlan) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OutputError, match="cannot write in the folder"):
        Store.open(tmp_path / "file", plan)


def test_a_folder_that_went_away_is_named(store: Store) -> None:
    for path in sorted(store.folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    with pytest.raises(OutputError, match="No such file"):
        store.keep(record("a"))


def test_curves_are_there_before_their_record(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.keep(record("a"), {"loss": np.arange(3.0)})
    with np.load(store.curves_path("a")) as curves:
        assert curves["loss"].tolist() == [0, 1, 2]
    monkeypatch.setattr(os, "fsync", lambda file: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(OutputError, match="No space left"):
        store.keep(record("b"), {"loss": np.arange(3.0)})
    assert store.curves_path("b").exists()
