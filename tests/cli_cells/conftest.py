"""`restore cells WORDS` in this process, through the function that the console script calls."""

from __future__ import annotations

import json
import subprocess
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
def cells(run: Callable[..., subprocess.CompletedProcess[str]]) -> Callable[..., Outcome]:
    """Run `restore cells WORDS`."""

    def call(*words: object) -> Outcome:
        ended = run("cells", *words)
        return Outcome(ended.returncode, ended.stdout, ended.stderr)

    return call
