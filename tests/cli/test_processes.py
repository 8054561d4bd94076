"""`python -m restore` as a user runs it: one process a command, from a real file to a restored file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def test_denoise_from_file_to_file_twice(
    process: Callable[..., Any],
    save: Callable[..., Path],
    load: Callable[..., Array],
    sidecar: Callable[[Path], dict[str, Any]],
    tmp_path: Path,
    clean: Array,
    noisy: Array,
) -> None:
    image, reference = save("img.png", noisy), save("true.png", clean)
    words = ("denoise", image, "--reference", reference, "--iterations", 25, "--device", "cpu", "--seed", 3, "--json")
    first = process(*words)
    again = process(*words, "-o", tmp_path / "again.png")

    output = tmp_path / "img.restored.png"
    report = first.report
    assert report == sidecar(output)
    assert report["output"] == str(output)
    assert output.read_bytes() == (tmp_path / "again.png").read_bytes()
    assert {**again.report, "output": 0, "seconds": 0}.keys() == report.keys()
    assert load(output).shape == noisy.shape
    assert not np.array_equal(load(output), noisy)
    assert np.array_equal(load(image), noisy)
    assert (report["iterations"], report["stop_reason"], report["threads"]) == (25, "iterations", 1)
    announced, *_, concluded = first.stderr.splitlines()
    for word in ("48x40", "cpu", report["precision"], "GiB", "25 steps", f"{report['parameters']:,}"):
        assert word in announced
    assert concluded.startswith(f"wrote {output}")
    assert f"{report['psnr']:.2f} dB" in concluded


def test_inpaint_from_file_to_file_twice(
    process: Callable[..., Any],
    save: Callable[..., Path],
    load: Callable[..., Array],
    sidecar: Callable[[Path], dict[str, Any]],
    tmp_path: Path,
    clean: Array,
    hole: Array,
) -> None:
    image = save("img.png", np.where(hole[..., None], 0, clean).astype(np.uint8))
    mask, reference = save("mask.png", hole), save("true.png", clean)
    words = ("inpaint", image, "--mask", mask, "--reference", reference, "--iterations", 8, "--device", "cpu", "--json")
    first = process(*words)
    again = process(*words, "-o", tmp_path / "again.png")

    output = tmp_path / "img.restored.png"
    assert first.report == sidecar(output)
    assert again.status == 0
    assert output.read_bytes() == (tmp_path / "again.png").read_bytes()
    filled = load(output)
    assert np.array_equal(filled[~hole], clean[~hole])
    assert not (filled[hole] == 0).all(axis=-1).any()
    assert first.report["psnr_hole"] > first.report["psnr_input"]
    assert f"{first.report['psnr_hole']:.2f} dB in the hole" in first.stderr


def test_a_picture_through_pipes(
    process: Callable[..., Any],
    load: Callable[..., Array],
    save: Callable[..., Path],
    noisy: Array,
    tmp_path: Path,
    contents: Callable[[], dict[str, bytes]],
) -> None:
    image = save("img.png", noisy)
    before = contents()
    piped = process("denoise", "-", "-o", "-", "--iterations", 3, stdin=image.read_bytes())
    assert piped.status == 0, piped.stderr
    assert piped.stdout.startswith(b"\x89PNG")
    assert load(piped.stdout).shape == noisy.shape
    assert "wrote standard output" in piped.stderr
    assert contents() == before


def test_a_device_that_is_not_there(
    process: Callable[..., Any], save: Callable[..., Path], noisy: Array, contents: Callable[[], dict[str, bytes]]
) -> None:
    image = save("img.png", noisy)
    before = contents()
    complaint = process("denoise", image, "--device", "cuda", CUDA_VISIBLE_DEVICES="").complaint
    assert "'cuda'" in complaint
    assert "--device cpu" in complaint
    assert contents() == before


def test_bad_input_ends_with_one_sentence(process: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("not a picture")
    assert "text.png" in process("inpaint", tmp_path / "text.png", "--mask", tmp_path / "none.png").complaint
    assert [path.name for path in tmp_path.iterdir()] == ["text.png"]


def test_the_number_of_threads_is_the_users(
    process: Callable[..., Any], save: Callable[..., Path], noisy: Array
) -> None:
    ended = process("denoise", save("img.png", noisy), "--iterations", 1, "--device", "cpu", "--threads", 2, "--json")
    assert ended.report["threads"] == 2
