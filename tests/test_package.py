"""The package as a whole: what importing it costs, what it offers, and that optional parts may be missing."""

from __future__ import annotations

import importlib
import inspect
import os
import pkgutil
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import entry_points, version
from typing import Any

import pytest

import restore
import restore.errors as errors

MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(restore.__path__, "restore.")
    if module.name != "restore.__main__"  # runs the command line
)


def python(code: str) -> str:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=120)
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr == ""
    return ended.stdout


def test_importing_costs_nothing() -> None:
    loaded = python("import sys; before = set(sys.modules); import restore; print(*set(sys.modules) - before)").split()
    assert {name for name in loaded if name.startswith("restore")} == {"restore"}
    assert not {"torch", "numpy", "PIL", "pydantic", "typer"} & set(loaded)


def test_settings_and_errors_need_no_torch() -> None:
    code = "import sys, restore; restore.FitSettings(); restore.RestoreError; print('torch' in sys.modules)"
    assert python(code).split() == ["False"]


def test_every_public_name_is_there() -> None:
    assert restore.__all__ == sorted(restore.__all__)
    assert set(restore.__all__) >= {
        "FitSettings",
        "Picture",
        "Restoration",
        "RestoreError",
        "denoise",
        "fit",
        "inpaint",
        "read",
    }
    assert set(restore.__all__) <= set(dir(restore))
    for name in restore.__all__:
        value = getattr(restore, name)
        assert value.__name__ == name
        assert value.__module__.startswith("restore.")
        assert inspect.getdoc(value)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'restore' has no attribute 'denoice'"):
        getattr(restore, "denoice")  # noqa: B009


@pytest.mark.parametrize("name", MODULES)
def test_what_a_module_exports_is_there(name: str) -> None:
    module = importlib.import_module(name)
    assert module.__doc__
    public: list[str] = getattr(module, "__all__", [])
    assert len(set(public)) == len(public)
    for exported in public:
        assert hasattr(module, exported)


@pytest.mark.parametrize("name", [name for name in errors.__all__ if name != "unknown_name"])
def test_every_error_of_ours_can_be_caught_as_one(name: str) -> None:
    error: Any = getattr(errors, name)
    assert issubclass(error, restore.RestoreError)
    assert error.exit_status == (1 if name == "FitError" else 2)
    assert str(error("what is wrong.")) == "what is wrong."


def test_the_console_script_is_the_command() -> None:
    from restore.cli import main

    scripts = [script for script in entry_points(group="console_scripts") if script.name == "restore"]
    assert main in [script.load() for script in scripts if script.value == "restore.cli:main"]
    assert version("restore")


def test_the_api_without_optional_packages(without: Callable[..., str]) -> None:
    code = """
import numpy as np
import restore
noisy = np.random.default_rng(0).integers(0, 256, (20, 24, 3)).astype("uint8")
result = restore.denoise(noisy, iterations=2, reference=noisy, device="cpu")
filled = restore.inpaint(noisy, noisy[..., 0] > 200, iterations=2, device="cpu")
print(result.image.shape, filled.image.dtype, result.report["null_reasons"]["lpips"])
"""
    optional = ("torchvision", "lpips", "pydantic", "matplotlib", "tifffile", "imagecodecs")
    said = python(without(*optional, then=code))
    assert said.startswith("(20, 24, 3) uint8 ")
