"""`restore cells WORDS` in this process, through the function that the console script calls."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest


@dataclass(frozen=True)
class Outcome:
    """How a command ended and what it said."""

    status: int
    stdout: str
    stderr: str

    @property
    def report(self) -> Any:
        """What `--json` printed, in strict JSON."""

        def refuse(literal: str) -> None:
            raise AssertionError(f"{literal} is no JSON")

        assert self.status == 0, self.stderr
        return json.loads(self.stdout, parse_constant=refuse)

    @property
    def complaint(self) -> str:
        """The one sentence of a command that was given something bad."""
        assert (self.status, self.stdout) == (2, "")
        (line,) = self.stderr.splitlines()
        assert line.startswith("restore: ")
        assert line.endswith(".")
        return line


@pytest.fixture
def cells(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """Run `restore cells WORDS`."""
    from restore.cli import main

    def call(*words: object) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["restore", "cells", *map(str, words)])
        monkeypatch.setattr(sys, "excepthook", sys.excepthook)  # Typer sets its own
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        return Outcome(int(ended.value.code or 0), said.out, said.err)

    return call
