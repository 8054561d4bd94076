"""Where the result goes: names, pipes, files that are there already, and files that must not be touched."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

Array = np.ndarray[Any, Any]
Command = Callable[..., Any]
Contents = Callable[[], dict[str, bytes]]

QUICK = ("--iterations", 2, "--device", "cpu")


@pytest.mark.parametrize(
    ("name", "output"),
    [
        ("a.png", "a.restored.png"),
        ("a.b.png", "a.b.restored.png"),
        ("a.PNG", "a.restored.PNG"),
        ("a.bmp", "a.restored.bmp"),
        ("a.tiff", "a.restored.tiff"),
        ("a.jpg", "a.restored.png"),
    ],
)
def test_the_default_name(
    command: Command, save: Callable[..., Path], contents: Contents, noisy: Array, name: str, output: str
) -> None:
    image = save(name, noisy)
    before = contents()
    assert command("denoise", image, *QUICK).status == 0
    assert contents().keys() == {name, output, f"{output}.json"}
    assert contents()[name] == before[name]


def test_nothing_on_stdout_unasked_and_nothing_at_all_when_quiet(
    command: Command, save: Callable[..., Path], noisy: Array, tmp_path: Path
) -> None:
    image = save("a.png", noisy)
    spoken = command("denoise", image, *QUICK)
    quiet = command("denoise", image, "-o", tmp_path / "b.png", "-q", *QUICK)
    verbose = command("denoise", image, "-o", tmp_path / "c.png", "-v", *QUICK)
    assert spoken.stdout == quiet.stdout == verbose.stdout == b""
    assert quiet.stderr == ""
    both = command("denoise", image, "-o", tmp_path / "d.png", "-q", "--json", *QUICK)
    assert both.stderr == ""
    assert both.report["output"] == str(tmp_path / "d.png")
    assert len(verbose.stderr.splitlines()) > len(spoken.stderr.splitlines()) >= 2
    assert "learning_rate: 0.0" in verbose.stderr


def test_a_dry_run_tells_what_would_be_done_and_does_nothing(
    command: Command, save: Callable[..., Path], contents: Contents, noisy: Array
) -> None:
    image = save("a.png", noisy)
    before = contents()
    told = command("denoise", image, "--dry-run", *QUICK)
    assert told.status == 0 and told.stderr == ""
    assert b"up to 2 steps" in told.stdout and b"would write" in told.stdout and b"a.restored.png" in told.stdout
    report = command("denoise", image, "--dry-run", "--json", *QUICK).report
    assert report["output"] == str(image.with_name("a.restored.png"))
    (page,) = report["pages"]
    assert page["iterations"] == 2 and page["prior"] == "hourglass" and page["networks"] >= 1
    assert report["seconds"] == page["seconds"] > 0 and report["memory_mb"] > 100
    short = command("denoise", image, "--dry-run", "--device", "cpu", "--time-budget", "0.01s", "--json").report
    assert short["seconds"] == 0.01
    assert contents() == before
    for words, complaint in (
        (("--reference", save("small.png", noisy[:20])), "reference"),
        (("--save-uncertainty", image.with_name("u.tif"), "--max-memory", "200MiB"), "MiB"),
    ):
        assert complaint in command("denoise", image, *words, "--dry-run", *QUICK).complaint
    image.with_name("a.restored.png").touch()
    assert "a.restored.png" in command("denoise", image, "--dry-run", *QUICK).complaint
    mask = save("m.png", np.full(noisy.shape[:2], 255, np.uint8) * (np.arange(noisy.shape[1]) % 4 > 0).astype(np.uint8))
    hinted = command("inpaint", image, "--mask", mask, "-o", image.with_name("b.png"), "--dry-run", *QUICK)
    assert hinted.status == 0 and "--mask-invert" in hinted.stderr


@pytest.mark.parametrize("there", ["a.restored.png", "a.restored.png.json"])
def test_an_existing_output_is_an_error_and_stays(
    command: Command, save: Callable[..., Path], contents: Contents, noisy: Array, tmp_path: Path, there: str
) -> None:
    image = save("a.png", noisy)
    (tmp_path / there).write_bytes(b"precious")
    before = contents()
    refused = command("denoise", image, *QUICK)
    assert there in refused.complaint
    assert "--existing overwrite" in refused.complaint
    assert contents() == before

    assert command("denoise", image, "--existing", "overwrite", *QUICK).status == 0
    after = contents()
    assert after[there] != b"precious"
    assert after.keys() == {"a.png", "a.restored.png", "a.restored.png.json"}
    assert after["a.png"] == before["a.png"]


@pytest.mark.parametrize("existing", ["error", "overwrite"])
@pytest.mark.parametrize("way", ["name", "link", "detour"])
def test_the_input_is_never_the_output(
    command: Command,
    save: Callable[..., Path],
    contents: Contents,
    noisy: Array,
    tmp_path: Path,
    existing: str,
    way: str,
) -> None:
    image = save("a.png", noisy)
    (tmp_path / "sub").mkdir()
    (tmp_path / "link.png").symlink_to(image)
    output = {"name": image, "link": tmp_path / "link.png", "detour": tmp_path / "sub" / ".." / "a.png"}[way]
    before = contents()
    refused = command("denoise", image, "-o", output, "--existing", existing, *QUICK)
    assert "input" in refused.complaint
    assert contents() == before


@pytest.mark.parametrize("which", ["mask.png", "true.png"])
def test_a_mask_or_reference_is_never_the_output(
    command: Command,
    save: Callable[..., Path],
    contents: Contents,
    tmp_path: Path,
    clean: Array,
    hole: Array,
    which: str,
) -> None:
    image, mask, reference = save("a.png", clean), save("mask.png", hole), save("true.png", clean)
    before = contents()
    words = ("inpaint", image, "--mask", mask, "--reference", reference, "-o", tmp_path / which)
    assert "input" in command(*words, "--existing", "overwrite", *QUICK).complaint
    assert contents() == before


def test_pipes(
    command: Command,
    save: Callable[..., Path],
    contents: Contents,
    load: Callable[..., Array],
    tmp_path: Path,
    noisy: Array,
) -> None:
    image = save("a.png", noisy)
    before = contents()
    out = command("denoise", image, "-o", "-", "--seed", 7, *QUICK)
    assert out.status == 0
    assert contents() == before

    saved = command("denoise", "-", "-o", tmp_path / "b.png", "--seed", 7, "--json", *QUICK, stdin=image.read_bytes())
    assert saved.report["input"] is None
    assert saved.report["null_reasons"]["input"]
    assert np.array_equal(load(out.stdout), load(tmp_path / "b.png"))


@pytest.mark.parametrize("file_format", ["PNG", "TIFF", "BMP", "GIF", "JPEG"])
def test_a_pipe_carries_a_format_that_can_be_written(
    command: Command,
    load: Callable[..., Array],
    clean: Array,
    hole: Array,
    tmp_path: Path,
    save: Callable[..., Path],
    file_format: str,
) -> None:
    image = save(f"a.{file_format.lower()}", clean, format=file_format)
    mask = save("mask.png", hole)
    out = command("inpaint", "-", "--mask", mask, "-o", "-", *QUICK, stdin=image.read_bytes())
    assert out.status == 0, out.stderr
    with Image.open(image) as picture:
        given = np.asarray(picture.convert("RGB"))
    assert np.array_equal(load(out.stdout)[~hole], given[~hole])


def test_standard_output_carries_one_thing(
    command: Command, save: Callable[..., Path], contents: Contents, noisy: Array
) -> None:
    image = save("a.png", noisy)
    before = contents()
    assert "--json" in command("denoise", image, "-o", "-", "--json", *QUICK).complaint
    assert "-o FILE" in command("denoise", "-", *QUICK, stdin=image.read_bytes()).complaint
    assert contents() == before


def test_jpeg_output_says_that_it_is_lossy(
    command: Command, save: Callable[..., Path], tmp_path: Path, clean: Array, hole: Array
) -> None:
    image, mask = save("a.png", clean), save("mask.png", hole)
    said = command("inpaint", image, "--mask", mask, "-o", tmp_path / "b.jpg", *QUICK)
    assert said.status == 0
    assert "known pixels cannot" in said.stderr
    assert command("inpaint", image, "--mask", mask, "-o", tmp_path / "c.jpg", "-q", *QUICK).stderr == ""
    with Image.open(tmp_path / "b.jpg") as picture:
        assert (picture.format, picture.size) == ("JPEG", (48, 40))
        assert picture.layer[0][1:3] == picture.layer[1][1:3] == (1, 1)  # type: ignore[attr-defined]


def test_a_plain_line_now_and_then_where_there_is_no_terminal(
    command: Command, save: Callable[..., Path], noisy: Array, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("restore.cli.progress.SECONDS_BETWEEN_LINES", 0.0)
    said = command("denoise", save("a.png", noisy), "--iterations", 20, "--stop", "none", "--device", "cpu")
    lines = [line for line in said.stderr.splitlines() if line.startswith("a.png: step ")]
    assert len(lines) == 20
    assert "20/20" in lines[-1]
    assert all("loss 0." in line and "left" in line for line in lines)
    assert "\r" not in said.stderr


def test_a_bar_on_a_terminal(
    command: Command, save: Callable[..., Path], noisy: Array, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(sys.stderr), "isatty", lambda self: True)
    image = save("a.png", noisy)
    said = command("denoise", image, "--iterations", 20, "--device", "cpu")
    assert "20/20" in said.stderr
    assert "loss" in said.stderr
    assert "\r" in said.stderr
    quiet = command("denoise", image, "--iterations", 2, "--device", "cpu", "-q", "--existing", "overwrite")
    assert quiet.stderr == ""


def test_what_was_taken_away_can_be_looked_at(
    save: Callable[..., Path], load: Callable[..., Array], command: Command, noisy: Array, tmp_path: Path
) -> None:
    image, residual = save("a.png", noisy), tmp_path / "r.png"
    words = ("denoise", image, "--iterations", 20, "--device", "cpu", "-q")
    outcome = command(*words, "--save-residual", residual)
    assert outcome.status == 0, outcome.stderr
    restored = load(tmp_path / "a.restored.png").astype(float)
    expected = (127.5 + noisy - restored).clip(0, 255)
    assert abs(load(residual) - expected).max() <= 1  # the restored picture was rounded, the residual's was not
    assert "exists already" in command(*words, "-o", tmp_path / "b.png", "--save-residual", residual).complaint
    same = tmp_path / "c.png"
    assert "is the output itself" in command(*words, "-o", same, "--save-residual", same).complaint
    many = command(*words, tmp_path, "-o", tmp_path / "all", "--save-residual", "x.png")
    assert "takes one picture" in many.complaint


def test_where_the_result_is_unsure(
    save: Callable[..., Path], command: Command, noisy: Array, contents: Contents, tmp_path: Path
) -> None:
    image, unsure = save("a.png", noisy), tmp_path / "u.tif"
    words = ("denoise", image, "--iterations", 30, "--device", "cpu", "-q")
    outcome = command(*words, "--save-uncertainty", unsure)
    assert outcome.status == 0, outcome.stderr
    deviation = tifffile.imread(unsure)
    assert deviation.dtype == np.float32
    assert deviation.shape == noisy.shape
    assert 0 <= deviation.min() < deviation.mean() < 40
    assert deviation.std() > 0.05 * deviation.mean()
    before = contents()
    # Floats do not fit into a PNG, and two files of one run cannot be one.
    assert "floating-point" in command(*words, "-o", tmp_path / "c.png", "--save-uncertainty", "b.png").complaint
    twice = ("--save-residual", tmp_path / "d.tif", "--save-uncertainty", tmp_path / "d.tif")
    assert "is the file of --save-residual" in command(*words, "-o", tmp_path / "c.png", *twice).complaint
    many = command(*words, tmp_path, "-o", tmp_path / "all", "--save-uncertainty", "x.tif")
    assert "takes one picture" in many.complaint
    assert contents() == before
