"""The commands as processes of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest


def _run(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "restore", "cells", *words],
        capture_output=True,
        text=True,
        encoding="utf-8",
        env={**os.environ, **environment},
        check=False,
    )


def test_probe_prints_one_object_and_nothing_else() -> None:
    done = _run("probe", "scornn", "--size", "6", "--steps", "20", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["cell"] == "scornn"


def test_bad_input_ends_with_one_sentence() -> None:
    done = _run("probe", "scorn", "--steps", "20")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("restore: unknown cell 'scorn': did you mean 'scornn'?")
    assert done.stderr.count("\n") == 1


def test_a_terminal_without_blocks_gets_plain_characters() -> None:
    done = _run("probe", "rnn", "--size", "4", "--steps", "20", PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (0, "")
    assert "rnn  __" in done.stdout


def test_help_loads_neither_torch_nor_matplotlib() -> None:
    code = (
        "import sys; sys.argv = ['restore', 'cells', 'dynamics', '--help']\n"
        "from restore.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print([name for name in ('torch', 'matplotlib', 'yaml', 'numpy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, encoding="utf-8", check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    assert "U_h" in done.stdout


@pytest.mark.parametrize("words", [(), ("list", "--help"), ("probe", "-h")])
def test_help(words: tuple[str, ...]) -> None:
    done = _run(*words)
    assert "Usage" in done.stdout + done.stderr
