"""What starting costs, and that what is missing is missed only by what needs it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

Array = np.ndarray[Any, Any]

HELP = """
import sys
from restore.cli import main
try:
    main()
finally:
    print(*sys.modules, file=sys.stderr)
"""

HEAVY = {"torch", "torchvision", "lpips", "matplotlib", "numpy", "PIL", "scipy", "skimage", "tqdm", "yaml"}


def test_help_is_cheap(process: Callable[..., Any]) -> None:
    helped = process("--help", code=HELP)
    assert helped.status == 0
    assert all(name in helped.stdout for name in (b"Usage", b"denoise", b"inpaint", b"degrade", b"doctor"))
    assert not (HEAVY | {"pydantic"}) & set(helped.stderr.split())


@pytest.mark.parametrize(
    "words", [("denoise", "--help"), ("inpaint", "-h"), ("degrade", "-h"), ("ablate", "-h"), ("doctor", "-h")]
)
def test_the_help_of_a_command_is_cheap(process: Callable[..., Any], words: tuple[str, ...]) -> None:
    helped = process(*words, code=HELP)
    assert helped.status == 0
    assert words[0].encode() in helped.stdout
    assert not HEAVY & set(helped.stderr.split())  # pydantic comes with recent releases of Typer


def test_completion_is_cheap(process: Callable[..., Any]) -> None:
    more = {"_RESTORE_COMPLETE": "complete_bash", "COMP_WORDS": "restore denoi", "COMP_CWORD": "1"}
    code = f"import sys; sys.argv[0] = 'restore'\n{HELP}"
    completed = process(code=code, **more)
    assert completed.stdout.split() == [b"denoise"]
    assert not HEAVY & set(completed.stderr.split())


def test_the_module_and_the_script_are_one_command(process: Callable[..., Any]) -> None:
    module = process("--version")
    script = Path(sys.executable).with_name("restore")
    ended = subprocess.run([script, "--version"], capture_output=True, check=True, env=dict(os.environ))
    assert module.stdout == ended.stdout != b""


def test_without_what_only_lpips_needs(
    process: Callable[..., Any], without: Callable[..., str], save: Callable[..., Path], clean: Array, noisy: Array
) -> None:
    image, reference = save("a.png", noisy), save("true.png", clean)
    code = without("torchvision", "lpips", "matplotlib")
    words = ("denoise", image, "--reference", reference, "--iterations", 2, "--device", "cpu", "--json")
    report = process(*words, code=code).report
    assert report["lpips"] is None
    assert "torchvision is blocked" in report["null_reasons"]["lpips"]
    assert report["psnr"] > 0

    examined = process("doctor", "--json", code=code)
    assert "torchvision" in examined.report["lpips"]


def test_an_8_bit_picture_needs_no_other_codec(
    process: Callable[..., Any], without: Callable[..., str], save: Callable[..., Path], noisy: Array
) -> None:
    words = ("denoise", save("a.png", noisy), "--iterations", 2, "--device", "cpu", "--json")
    report = process(*words, code=without("imagecodecs", "tifffile", "torchvision")).report
    assert report["stop_reason"] == "iterations"
