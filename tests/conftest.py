"""One thread a worker, and the small pictures that many rooms test with."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

torch.set_num_threads(1)

BLOCKER = """
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {blocked}:
            raise ImportError(name + " is blocked")
sys.meta_path.insert(0, Blocker())
"""


@pytest.fixture
def without() -> Callable[..., str]:
    """Code that makes a process believe that packages are not installed, and code to follow it."""

    def blocking(*packages: str, then: str = "from restore.cli import main\nmain()\n") -> str:
        return BLOCKER.format(blocked=set(packages)) + then

    return blocking


@pytest.fixture
def generator() -> torch.Generator:
    """A generator of the CPU with a fixed seed."""
    return torch.Generator().manual_seed(0)


@pytest.fixture
def flat() -> Tensor:
    """A grey picture of one value, (1, 64, 64)."""
    return torch.full((1, 64, 64), 0.5)


@pytest.fixture
def scene() -> Tensor:
    """A colour picture of soft waves and one hard edge, (3, 40, 50) in [0.05, 0.95]; no network's size multiple."""
    y, x = torch.meshgrid(torch.linspace(0, 1, 40), torch.linspace(0, 1, 50), indexing="ij")
    waves = torch.stack([torch.sin(5 * x + 2 * y), torch.cos(7 * y), torch.sin(4 * x * y)])
    return 0.5 + 0.3 * waves + 0.15 * torch.where(x > y, 1.0, -1.0)


@pytest.fixture
def noisy_scene(scene: Tensor, generator: torch.Generator) -> Tensor:
    """The scene with Gaussian noise of sigma 25 of 255, not clipped."""
    return scene + 25 / 255 * torch.randn(scene.shape, generator=generator)


@pytest.fixture
def run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run `restore WORDS` in this process, through the function that the console script calls.

    A process of its own takes seconds to begin; `process` of tests/cli is one.
    """
    from restore.cli import main

    def call(*words: object) -> subprocess.CompletedProcess[str]:
        given = ["restore", *map(str, words)]
        monkeypatch.setattr(sys, "argv", given)
        monkeypatch.setattr(sys, "excepthook", sys.excepthook)  # Typer sets its own
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        return subprocess.CompletedProcess(given, int(ended.value.code or 0), said.out, said.err)

    return call
