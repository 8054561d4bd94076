"""`restore degrade`: test cases that anyone can check with numpy alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from restore.problems.noise_models import add_noise

Array = np.ndarray[Any, Any]
Command = Callable[..., Any]
Contents = Callable[[], dict[str, bytes]]


@pytest.mark.parametrize("grey", [False, True])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_noise(
    command: Command,
    save_tiff: Callable[..., Path],
    load: Callable[..., Array],
    contents: Contents,
    tmp_path: Path,
    clean: Array,
    grey: bool,
    dtype: type,
) -> None:
    levels = np.iinfo(dtype).max
    samples = (clean[..., 0] if grey else clean).astype(dtype) * dtype(levels // 255)
    image = save_tiff("a.tif", samples)
    assert command("degrade", image, "--noise", 25, "--seed", 3).status == 0
    noise = np.random.default_rng(3).standard_normal(samples.shape)
    expected = np.rint(255 * np.clip(samples / levels + 25 / 255 * noise, 0, 1)).astype(np.uint8)
    made = load(tmp_path / "a-noise25.png")
    assert made.dtype == np.uint8
    assert made.shape == expected.shape
    assert np.abs(made.astype(int) - expected).max() <= 1  # the pixels were float32 on the way
    assert (made != expected).mean() < 1e-3
    assert contents().keys() == {"a.tif", "a-noise25.png"}


def test_missing_pixels_and_their_mask(
    command: Command,
    save: Callable[..., Path],
    load: Callable[..., Array],
    contents: Contents,
    tmp_path: Path,
    clean: Array,
) -> None:
    image = save("a.png", clean)
    assert command("degrade", image, "--missing", 0.5).status == 0
    assert contents().keys() == {"a.png", "a-missing50.png", "a-missing50-mask.png"}
    mask = load(tmp_path / "a-missing50-mask.png")
    assert mask.shape == clean.shape[:2]
    assert np.array_equal(mask == 255, np.random.default_rng(0).random(clean.shape[:2]) < 0.5)
    assert set(np.unique(mask)) == {0, 255}
    assert np.array_equal(load(tmp_path / "a-missing50.png"), np.where(mask[..., None] == 255, 0, clean))

    words = ("inpaint", tmp_path / "a-missing50.png", "--mask", tmp_path / "a-missing50-mask.png")
    report = command(*words, "--reference", image, "--iterations", 2, "--device", "cpu", "--json").report
    assert report["psnr"] > report["psnr_input"]


def test_the_same_seed_makes_the_same_case(
    command: Command, save: Callable[..., Path], tmp_path: Path, clean: Array
) -> None:
    image = save("a.png", clean)
    for name, seed in (("b", 0), ("c", 0), ("d", 1)):
        for kind, amount in (("--noise", 10), ("--missing", 0.2)):
            output = tmp_path / f"{name}{kind}.png"
            assert command("degrade", image, kind, amount, "--seed", seed, "-o", output).status == 0
    for kind in ("--noise", "--missing"):
        b, c, d = ((tmp_path / f"{name}{kind}.png").read_bytes() for name in "bcd")
        assert b == c != d


@pytest.mark.parametrize("there", ["a-missing50.png", "a-missing50-mask.png"])
def test_nothing_is_written_over(
    command: Command, save: Callable[..., Path], contents: Contents, tmp_path: Path, clean: Array, there: str
) -> None:
    image = save("a.png", clean)
    (tmp_path / there).write_bytes(b"precious")
    before = contents()
    assert "--existing overwrite" in command("degrade", image, "--missing", 0.5).complaint
    assert contents() == before
    assert command("degrade", image, "--missing", 0.5, "--existing", "overwrite").status == 0
    assert contents()[there] != b"precious"
    for kind, amount in (("--noise", 5), ("--missing", 0.5)):
        refused = command("degrade", image, kind, amount, "-o", image, "--existing", "overwrite")
        assert "input" in refused.complaint
    assert contents()["a.png"] == before["a.png"]


@pytest.mark.parametrize(
    ("words", "what"),
    [
        ((), "--noise"),
        (("--noise", 5, "--missing", 0.5), "--noise"),
        (("--noise", -3), "-3"),
        (("--noise", "nan"), "nan"),
        (("--missing", 1.5), "1.5"),
        (("--missing", -0.5), "-0.5"),
        (("--noise", 5, "-o", "b.jpg"), ".jpg"),
        (("--noise", 5, "-o", "b"), ".png"),
    ],
)
def test_what_makes_no_sense(
    command: Command,
    save: Callable[..., Path],
    contents: Contents,
    tmp_path: Path,
    clean: Array,
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[object, ...],
    what: str,
) -> None:
    image = save("a.png", clean)
    monkeypatch.chdir(tmp_path)
    before = contents()
    assert what in command("degrade", image, *words).complaint
    assert contents() == before


@pytest.mark.parametrize("kind", ["poisson", "salt-and-pepper", "correlated"])
def test_other_kinds_of_noise(
    command: Command, save: Callable[..., Path], load: Callable[..., Array], tmp_path: Path, clean: Array, kind: str
) -> None:
    image = save("a.png", clean)
    assert command("degrade", image, "--noise", 20, "--noise-kind", kind, "--seed", 2).status == 0
    made = load(tmp_path / f"a-{kind}20.png")
    assert np.abs(made.astype(int) - add_noise(clean, kind, 20, 2)).max() <= 1


def test_an_unknown_kind_and_a_kind_without_amount_are_refused(
    command: Command, save: Callable[..., Path], clean: Array
) -> None:
    image = save("a.png", clean)
    for words, told in (
        (("--noise", 20, "--noise-kind", "poison"), "poisson"),
        (("--missing", 0.5, "--noise-kind", "jpeg"), "--noise"),
    ):
        result = command("degrade", image, *words)
        assert result.status == 2
        assert told in result.stderr
        assert "Traceback" not in result.stderr
