"""A batch in trouble: a picture that fails, a full disk, a folder that goes away, Ctrl-C."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from restore.errors import OutputError
from restore.fitting import Training
from restore.runs import file_work

Call = Callable[..., Any]

QUICK = ("--iterations", 2, "--device", "cpu", "--workers", 1)


def test_one_failure_does_not_end_the_others(
    command: Call, results: Call, scans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = Training.step

    def fails(self: Training, iteration: int) -> Any:
        if self.problem.size == (20, 24):
            raise RuntimeError("made up")
        return step(self, iteration)

    monkeypatch.setattr(Training, "step", fails)
    clean = tmp_path / "clean"
    outcome = command("denoise", scans, "-o", clean, *QUICK)
    assert outcome.status == 1 and "b.png: failed: made up" in outcome.stderr
    assert {name for name in results(clean) if not name.endswith(".json")} == {"a.png", "sub/c.png", "failures.csv"}
    assert command("denoise", scans, "-o", clean, *QUICK).status == 1  # not tried again unasked
    for words, status, left in (((), 1, "0 to do"), (("--retry-failed",), 0, "1 to do")):
        told = command("denoise", scans, "-o", clean, *QUICK, "--dry-run", *words)
        assert told.status == status and left in told.stdout.decode()
    monkeypatch.undo()
    assert command("denoise", scans, "-o", clean, *QUICK, "--retry-failed").status == 0
    assert "failures.csv" not in results(clean)

    monkeypatch.setattr(Training, "step", fails)
    outcome = command("denoise", scans, "-o", tmp_path / "fast", *QUICK, "--fail-fast")
    assert outcome.status == 1 and "1 left" in outcome.stderr


def test_a_full_disk_ends_it_and_loses_nothing(
    command: Call, results: Call, scans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save = file_work.save_file

    def full(*words: Any, **more: Any) -> None:
        if words[2].name == "b.png":
            raise OutputError(f"cannot write {str(words[2])!r}: No space left on device.")
        save(*words, **more)

    clean = tmp_path / "clean"
    monkeypatch.setattr(file_work, "save_file", full)
    outcome = command("denoise", scans, "-o", clean, *QUICK)
    assert outcome.status == 2 and "No space left on device" in outcome.stderr and "Traceback" not in outcome.stderr
    assert results(clean) == {"a.png", "a.png.json"}
    monkeypatch.undo()
    outcome = command("denoise", scans, "-o", clean, *QUICK)
    assert outcome.status == 0 and "1 of 3 pictures have ended before" in outcome.stderr


def test_a_folder_that_goes_away(command: Call, scans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clean = tmp_path / "clean"
    step = Training.step

    def removing(self: Training, iteration: int) -> Any:
        shutil.rmtree(clean, ignore_errors=True)
        return step(self, iteration)

    monkeypatch.setattr(Training, "step", removing)
    outcome = command("denoise", scans, "-o", clean, *QUICK)
    assert outcome.status == 2
    assert "cannot write" in outcome.stderr and "Traceback" not in outcome.stderr
    assert not clean.exists()


def test_ctrl_c_keeps_what_has_ended(
    command: Call, results: Call, scans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = Training.step

    def interrupted(self: Training, iteration: int) -> Any:
        if self.problem.size == (20, 24) and iteration == 2:
            raise KeyboardInterrupt
        return step(self, iteration)

    monkeypatch.setattr(Training, "step", interrupted)
    clean = tmp_path / "clean"
    outcome = command("denoise", scans, "-o", clean, *QUICK)
    assert outcome.status == 130 and "the same command goes on from here" in outcome.stderr
    assert results(clean) == {"a.png", "a.png.json"}
    assert not list((clean / ".restore/manifest/claims").iterdir())
