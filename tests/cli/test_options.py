"""Options: what they take, that they reach the fit, and what is said when they make no sense."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from restore.cli.options import parse_duration, parse_sigma
from restore.errors import UsageError
from restore.settings import CHOICES

Array = np.ndarray[Any, Any]
Command = Callable[..., Any]
Contents = Callable[[], dict[str, bytes]]

CPU = ("--device", "cpu")


@pytest.mark.parametrize("name", ["denoise", "inpaint"])
def test_the_help_names_every_choice(command: Command, name: str) -> None:
    said = command(name, "--help")
    assert said.status == 0
    text = " ".join(said.stdout.decode().split())
    for setting, names in CHOICES.items():
        option = setting.replace("_", "-")
        assert f"--{option}" in text
        assert setting == "cell" or ", ".join(names) in text
    assert "restore cells list" in text  # has the names of the cells
    for option in ("learning-rate", "iterations", "time-budget", "seed", "device", "reference", "json", "existing"):
        assert f"--{option}" in text
    assert ("--mask-invert" in text) == (name == "inpaint")
    assert all(short in text for short in ("-o", "-q", "-v", "--sigma"))


def test_the_version_and_no_command(command: Command) -> None:
    assert command("--version").stdout.startswith(b"restore 0.")
    helped = command()
    assert helped.status in (0, 2)
    assert all(name in helped.stdout + helped.stderr.encode() for name in (b"denoise", b"inpaint", b"degrade"))


@pytest.mark.parametrize(
    ("option", "typo", "nearest"),
    [
        ("--prior", "dipp", "dip"),
        ("--prior", "decodr", "decoder"),
        ("--norm", "chanel", "channel"),
        ("--init", "ortogonal", "orthogonal"),
        ("--optimizer", "adm", "adam"),
        ("--objective", "blind-spot", "blindspot"),
        ("--preset", "balance", "balanced"),
        ("--preset", "paper:kat", "paper:kate"),
        ("--stop", "held-out", "heldout"),
        ("--precision", "float23", "float32"),
    ],
)
def test_an_unknown_name_offers_the_nearest(
    command: Command, save: Callable[..., Path], contents: Contents, noisy: Array, option: str, typo: str, nearest: str
) -> None:
    image = save("a.png", noisy)
    before = contents()
    for name in ("denoise", "inpaint"):
        complaint = command(name, image, option, typo).complaint
        assert f"unknown {option[2:]} {typo!r}: did you mean {nearest!r}?" in complaint
        assert all(known in complaint for known in CHOICES[option[2:]])
    assert contents() == before


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (("--sigma", "-3"), "-3"),
        (("--sigma", "nan"), "nan"),
        (("--sigma", "inf"), "inf"),
        (("--sigma", "lots"), "'lots'"),
        (("--learning-rate", "-1"), "-1"),
        (("--learning-rate", "0"), "0"),
        (("--learning-rate", "nan"), "nan"),
        (("--time-budget", "soon"), "'soon'"),
        (("--time-budget", "0s"), "'0s'"),
        (("--time-budget", "-5"), "'-5'"),
        (("--device", "gpu"), "'gpu'"),
        (("--device", "cpu:7"), "cpu:7"),
        (("--preset", "paper", "--objective", "blindspot"), "--preset paper"),
        (("--preset", "paper", "--prior", "hourglass"), "'hourglass'"),
        (("--preset", "paper:f16", "--prior", "decoder"), "paper:f16"),
        (("--prior", "decoder", "--objective", "blindspot"), "decoder"),
        (("--stop", "discrepancy"), "--objective fit"),
        (("--stop", "discrepancy", "--objective", "fit", "--sigma", "0"), "sigma is 0"),
    ],
)
def test_values_that_make_no_sense(
    command: Command, save: Callable[..., Path], contents: Contents, noisy: Array, words: tuple[str, ...], what: str
) -> None:
    image = save("a.png", noisy)
    before = contents()
    assert what in command("denoise", image, "--iterations", 2, *words).complaint
    assert contents() == before


@pytest.mark.parametrize(
    "words",
    [
        ("denoise",),
        ("denoise", "a.png", "--iterations", "0"),
        ("denoise", "a.png", "--iterations", "many"),
        ("denoise", "a.png", "--seed", "-1"),
        ("denoise", "a.png", "--existing", "keep"),
        ("denoise", "a.png", "--mask", "m.png"),
        ("inpaint", "a.png", "--sigma", "auto"),
        ("denois", "a.png"),
    ],
)
def test_words_that_no_command_takes(
    command: Command,
    save: Callable[..., Path],
    contents: Contents,
    noisy: Array,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
) -> None:
    save("a.png", noisy)
    monkeypatch.chdir(tmp_path)
    before = contents()
    refused = command(*words)
    assert refused.status == 2
    assert refused.stdout == b""
    assert "Error" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert contents() == before


@pytest.mark.parametrize("prior", ["dip", "decoder", "hourglass"])
@pytest.mark.parametrize("norm", CHOICES["norm"])
def test_every_normalisation_runs(
    command: Command, save: Callable[..., Path], load: Callable[..., Array], noisy: Array, prior: str, norm: str
) -> None:
    image = save("a.png", noisy)
    report = command("denoise", image, "--prior", prior, "--norm", norm, "--iterations", 2, "--json", *CPU).report
    assert (report["prior"], report["norm"], report["iterations"]) == (prior, norm, 2)
    assert load(Path(report["output"])).shape == noisy.shape


@pytest.mark.parametrize(
    "words",
    [
        ("--init", "he", "--optimizer", "sgd", "--learning-rate", "1e-3"),
        ("--init", "orthogonal", "--precision", "float32", "--objective", "fit"),
        ("--init", "gaussian", "--preset", "fast", "--sigma", "17.5"),
        ("--objective", "fit", "--stop", "variance"),
        ("--objective", "fit", "--stop", "discrepancy", "--sigma", "30"),
        ("--stop", "none", "--preset", "best", "--seed", "4"),
    ],
)
def test_options_reach_the_fit(
    command: Command, save: Callable[..., Path], noisy: Array, words: tuple[str, ...]
) -> None:
    report = command("denoise", save("a.png", noisy), *words, "--iterations", 3, "--json", *CPU).report
    for option, value in zip(words[::2], words[1::2], strict=True):
        if option == "--optimizer":
            continue
        found = report[option[2:].replace("-", "_")]
        assert found == (value if isinstance(found, str) else float(value)), option


def test_sgd_is_another_optimiser_than_adam(
    command: Command, save: Callable[..., Path], load: Callable[..., Array], tmp_path: Path, noisy: Array
) -> None:
    image = save("a.png", noisy)
    for name in ("adam", "sgd"):
        words = ("--optimizer", name, "-o", tmp_path / f"{name}.png", "--iterations", 3, *CPU)
        assert command("denoise", image, *words).status == 0
    assert not np.array_equal(load(tmp_path / "adam.png"), load(tmp_path / "sgd.png"))


@pytest.mark.parametrize("name", ["", "f16", "jpeg", "vase", "kate", "library", "pixels", "kate98"])
def test_every_published_setting_runs(
    command: Command, save: Callable[..., Path], noisy: Array, hole: Array, name: str
) -> None:
    image, mask = save("a.png", noisy), save("m.png", hole)
    words = ("--preset", f"paper:{name}" if name else "paper", "--iterations", 2, "--json", *CPU)
    if name in ("", "f16", "jpeg"):
        report = command("denoise", image, *words).report
    else:
        report = command("inpaint", image, "--mask", mask, *words).report
    assert (report["prior"], report["objective"], report["stop"]) == ("dip", "fit", "none")
    expected = {"": 2_217_831, "f16": 2_217_831, "pixels": 2_217_831}.get(name)
    assert expected is None or report["parameters"] == expected


def test_the_published_decoder(command: Command, save: Callable[..., Path], noisy: Array) -> None:
    words = ("--preset", "paper", "--prior", "decoder", "--iterations", 2, "--json", *CPU)
    report = command("denoise", save("a.png", noisy), *words).report
    assert (report["prior"], report["parameters"], report["objective"]) == ("decoder", 100_224, "fit")


def test_a_region_is_filled_by_fitting(command: Command, save: Callable[..., Path], clean: Array) -> None:
    region = np.zeros(clean.shape[:2], dtype=bool)
    region[:, 4:44] = True
    image, mask = save("a.png", clean), save("m.png", region)
    report = command("inpaint", image, "--mask", mask, "--iterations", 2, "--json", *CPU).report
    assert report["objective"] == "fit"


def test_other_seeds_give_other_pictures(
    command: Command, save: Callable[..., Path], load: Callable[..., Array], tmp_path: Path, noisy: Array
) -> None:
    image = save("a.png", noisy)
    for seed in (0, 1):
        words = ("-o", tmp_path / f"{seed}.png", "--seed", seed, "--iterations", 2, *CPU)
        assert command("denoise", image, *words).status == 0
    assert not np.array_equal(load(tmp_path / "0.png"), load(tmp_path / "1.png"))


def test_durations() -> None:
    assert parse_duration(None) is None
    texts = {"60": 60, "60s": 60, " 5m ": 300, "5 min": 300, "1h": 3600, ".5s": 0.5, "1.5m": 90}
    for text, seconds in texts.items():
        assert parse_duration(text) == seconds
    for text in ("", "s", "-1s", "1d", "1m30s", "0", "nan", "1e3"):
        with pytest.raises(UsageError, match="--time-budget"):
            parse_duration(text)


def test_sigmas() -> None:
    assert parse_sigma("auto") == "auto"
    assert parse_sigma("25") == 25
    with pytest.raises(UsageError, match="--sigma"):
        parse_sigma("Auto!")
