"""The command line, called in this process or as another one, and pictures for it."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Outcome:
    """How a command ended and what it said."""

    status: int
    stdout: bytes
    stderr: str

    @property
    def report(self) -> dict[str, Any]:
        """What `--json` printed: exactly one object, in strict JSON."""
        assert self.status == 0, self.stderr
        return strict_json(self.stdout)

    @property
    def complaint(self) -> str:
        """The one sentence of a command that was given something bad."""
        assert self.status == 2, (self.status, self.stderr)
        assert self.stdout == b""
        (line,) = self.stderr.splitlines()
        assert line.startswith("restore: ")
        assert line.endswith(".")
        assert "Traceback" not in line
        return line


def strict_json(text: bytes | str) -> dict[str, Any]:
    def refuse(literal: str) -> None:
        raise AssertionError(f"{literal} is no JSON")

    value = json.loads(text, parse_constant=refuse)
    assert isinstance(value, dict)
    return value


@pytest.fixture(autouse=True)
def no_weights(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty TORCH_HOME, so that the figures do not depend on what this machine once downloaded."""
    home = tmp_path_factory.mktemp("torch-home")
    monkeypatch.setenv("TORCH_HOME", str(home))
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)  # Typer sets its own
    return home


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]) -> Callable[..., Outcome]:
    """Run `restore WORDS` in this process, through the function that the console script calls."""
    from restore.cli import main

    def call(*words: object, stdin: bytes = b"") -> Outcome:
        monkeypatch.setattr(sys, "argv", ["restore", *map(str, words)])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        capsysbinary.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsysbinary.readouterr()
        return Outcome(int(ended.value.code or 0), said.out, said.err.decode())

    return call


@pytest.fixture
def process(no_weights: Path) -> Callable[..., Outcome]:
    """Run `python -m restore WORDS` as a process of its own, or `python -c CODE` with these words."""

    def call(*words: object, stdin: bytes = b"", code: str | None = None, **more: str) -> Outcome:
        start = ["-m", "restore"] if code is None else ["-c", code]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", **more}
        ended = subprocess.run(
            [sys.executable, *start, *map(str, words)], input=stdin, capture_output=True, env=environment, timeout=600
        )
        return Outcome(ended.returncode, ended.stdout, ended.stderr.decode())

    return call


@pytest.fixture(scope="session")
def clean() -> Array:
    """A colour picture, uint8 (40, 48, 3), of smooth shades and edges; no side is one that the networks like."""
    rows, columns = np.mgrid[0:40, 0:48]
    shades = np.stack([128 + 90 * np.sin(columns / 7), 128 + 80 * np.cos(rows / 5), 60.0 + 3 * columns], axis=-1)
    shades[12:28, 16:30] = (210, 190, 40)
    return shades.clip(0, 255).round().astype(np.uint8)


@pytest.fixture(scope="session")
def noisy(clean: Array) -> Array:
    """The same with Gaussian noise of 20 on the scale of 0 to 255."""
    noise = np.random.default_rng(0).normal(0, 20, clean.shape)
    return (clean + noise).clip(0, 255).round().astype(np.uint8)


@pytest.fixture(scope="session")
def hole(clean: Array) -> Array:
    """A mask for it, bool (40, 48): True in 30 % of the pixels."""
    return np.asarray(np.random.default_rng(1).random(clean.shape[:2]) < 0.3)


@pytest.fixture
def save(tmp_path: Path) -> Callable[..., Path]:
    """Write an array, uint8 or bool, as a picture in the folder of the test and return the path."""

    def write(name: str, array: Array, **options: Any) -> Path:
        path = tmp_path / name
        Image.fromarray(array if array.dtype == np.uint8 else np.where(array, 255, 0).astype(np.uint8)).save(
            path, **options
        )
        return path

    return write


@pytest.fixture
def save_tiff(tmp_path: Path) -> Callable[..., Path]:
    """Write arrays as the pages of a TIFF in the folder of the test and return the path."""

    def write(name: str, *pages: Array) -> Path:
        with tifffile.TiffWriter(tmp_path / name) as file:
            for page in pages:
                file.write(page, photometric="rgb" if page.ndim == 3 else "minisblack", metadata=None)
        return tmp_path / name

    return write


@pytest.fixture
def contents(tmp_path: Path) -> Callable[[], dict[str, bytes]]:
    """Return what the folder of the test holds: every file's name and bytes."""

    def read() -> dict[str, bytes]:
        return {str(path.relative_to(tmp_path)): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}

    return read


@pytest.fixture
def scans(tmp_path: Path, noisy: Array) -> Path:
    """A folder with three pictures, one of them in a folder of its own."""
    folder = tmp_path / "scans"
    (folder / "sub").mkdir(parents=True)
    for name, picture in {"a.png": noisy, "b.png": noisy[:20, :24], "sub/c.png": noisy[..., 0]}.items():
        Image.fromarray(picture).save(folder / name)
    return folder


@pytest.fixture
def results() -> Callable[[Path], set[str]]:
    """Return the names of all files of a folder but those of its store."""

    def names(folder: Path) -> set[str]:
        found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
        return {name for name in found if not name.startswith(".restore/")}

    return names


@pytest.fixture
def load() -> Callable[[Path | bytes], Array]:
    """Read the samples of a picture with Pillow, independently of the package."""

    def read(source: Path | bytes) -> Array:
        with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source) as image:
            return np.asarray(image)

    return read


@pytest.fixture
def sidecar() -> Callable[[Path], dict[str, Any]]:
    """Read the report beside an output."""
    return lambda path: strict_json(Path(f"{path}.json").read_text())
