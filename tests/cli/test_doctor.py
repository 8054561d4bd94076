"""`restore doctor`: what is there, and that nothing is fetched unasked."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from restore.errors import InputError

Command = Callable[..., Any]


def test_what_it_finds(command: Command, no_weights: Path) -> None:
    findings = command("doctor", "--json").report
    assert findings["torch"] == torch.__version__
    assert findings["threads"] == torch.get_num_threads()
    assert findings["precision"] in ("float32", "bfloat16")
    assert torch.device(findings["device"]).type in ("cpu", "cuda", "mps")
    assert len(findings["gpus"]) == torch.cuda.device_count()
    assert "ready" not in findings["lpips"]
    assert list(no_weights.rglob("*")) == []

    plain = command("doctor")
    assert plain.status == 0
    assert plain.stderr == ""
    assert torch.__version__ in plain.stdout.decode()
    assert len(plain.stdout.splitlines()) == len(findings)


def test_it_fetches_when_told_to(command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked = []

    def fetch() -> Path:
        asked.append(1)
        return tmp_path / "weights.pth"

    monkeypatch.setattr("restore.metrics.fetch_weights", fetch)
    assert command("doctor").status == 0
    assert asked == []
    fetched = command("doctor", "--fetch-lpips", "--json")
    assert fetched.report
    assert asked == [1]
    assert "weights.pth" in fetched.stderr


def test_a_failed_download_is_one_sentence(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def offline() -> Path:
        raise InputError("the weights could not be fetched (no network): check the connection.")

    monkeypatch.setattr("restore.metrics.fetch_weights", offline)
    assert "no network" in command("doctor", "--fetch-lpips").complaint


def test_it_finds_other_commands_of_the_name(command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    other = tmp_path / "restore"
    other.write_text("#!/bin/sh\n")
    other.chmod(0o755)
    monkeypatch.setenv("PATH", os.pathsep.join([str(tmp_path), os.environ["PATH"]]))
    assert str(other) in command("doctor", "--json").report["other_restore"]
    assert str(other) in command("doctor").stdout.decode()
