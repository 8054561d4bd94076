"""`restore bench denoise` and `inpaint`: what they write, go on from, and refuse."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio
from skimage.restoration import denoise_nl_means

from restore.problems.degrade import add_gaussian_noise

Array = np.ndarray[Any, Any]
Call = Callable[..., Any]


@pytest.fixture
def folder(save: Call, clean: Array, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "true").mkdir()
    save("true/a.png", clean)
    save("true/b.png", clean[:, :, 0])
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_ours_and_others_in_one_table(command: Call, folder: Path, clean: Array) -> None:
    words = ("bench", "denoise", "--images", "true", "--sigma", "15,25", "-o", "run", "--iterations", 3)
    named = "restore,restore:norm=none,nlm"
    outcome = command(*words, "--methods", named, "--seeds", 2, "--threads", 1, "--json", "-q")
    report = outcome.report
    assert len(report["rows"]) == 2 * 3
    assert report["races"] == []
    peer = next(row for row in report["rows"] if (row["method"], row["damage"]) == ("nlm", "noise25"))
    by_hand = []
    for true in (clean, clean[:, :, 0]):
        noisy = add_gaussian_noise(true, 25) / 255
        axis = -1 if true.ndim == 3 else None
        restored = denoise_nl_means(noisy, 5, 6, h=0.8 * 25 / 255, sigma=25 / 255, fast_mode=True, channel_axis=axis)
        by_hand.append(peak_signal_noise_ratio(true, np.rint(255 * restored.clip(0, 1)).astype(np.uint8)))
    assert peer["psnr"] == pytest.approx(np.mean(by_hand), abs=0.02)
    assert (peer["trials"], peer["failed"], peer["iterations"]) == (4, 0, None)
    run = folder / "run"
    table = (run / "table.md").read_text()
    assert "| restore:norm=none | 4 |" in table
    assert "## noise15" in table
    assert (run / "figures/pareto.png").read_bytes().startswith(b"\x89PNG")
    with (run / "results.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 24
    assert {row["status"] for row in rows} == {"done"}
    assert {row["variant"] for row in rows} == {"restore", "restore:norm=none", "nlm"}
    with Image.open(run / "pictures" / f"{rows[-1]['id']}.png") as kept:
        assert kept.size == (48, 40)

    # The same command finds everything done.
    ended = (run / "manifest/runs.jsonl").read_bytes()
    again = command(*words, "--methods", named, "--seeds", 2, "--threads", 1)
    assert again.status == 0
    assert "24 of 24 trials have ended before" in again.stderr
    assert (run / "manifest/runs.jsonl").read_bytes() == ended


def test_inpainting_keeps_what_is_known(command: Call, folder: Path, clean: Array) -> None:
    words = ("bench", "inpaint", "--images", "true/a.png", "--missing", "0.3", "--methods", "biharmonic", "-o", "run")
    outcome = command(*words, "--json", "-q")
    (row,) = outcome.report["rows"]
    assert row["psnr"] > 25
    identity = json.loads((folder / "run/plan.json").read_text())["trials"][0]["id"]
    with Image.open(folder / f"run/pictures/{identity}.png") as kept:
        restored = np.asarray(kept)
    known = np.random.default_rng(0).random((40, 48)) >= 0.3
    np.testing.assert_array_equal(restored[known], clean[known])


def test_a_race_to_the_published_fit(command: Call, folder: Path) -> None:
    words = ("bench", "denoise", "--images", "true/b.png", "-o", "run", "--iterations", 10, "--threads", 1)
    found = command(*words, "--methods", "restore,decoder", "--race-to", "decoder", "--race-ceiling", 1, "--json", "-q")
    (race,) = found.report["races"]
    assert (race["method"], race["rival"], race["reached"]) == ("restore", "decoder", 1)
    assert race["target"] == 1
    assert race["ratio"] == pytest.approx(race["rival_seconds"] / race["seconds"])


def test_an_ablation_takes_peers(command: Call, folder: Path) -> None:
    (folder / "plan.yaml").write_text(
        "images: [true/b.png]\ndegradations: [{noise: 25}]\npeers: [nlm]\n"
        "settings: {iterations: 2, network: {channels: [4, 4], tail: 0}}\nsweep: {norm: [channel, none]}\n"
    )
    outcome = command("ablate", "plan.yaml", "--json", "-q")
    labels = [one["label"] for one in outcome.report["variants"]]
    assert labels == ["norm=channel", "norm=none", "nlm"]
    dry = command("ablate", "plan.yaml", "--dry-run", "-o", "other")
    assert dry.status == 0, dry.stderr


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("--methods", "restore,bm4d"), "unknown method 'bm4d': did you mean"),
        (("--methods", "restore:nrm=none"), "unknown setting 'nrm': did you mean 'norm'"),
        (("--methods", "restore:norm"), "takes settings as KEY=VALUE, not 'norm'"),
        (("--methods", "nlm,nlm"), "a method stands twice"),
        (("--methods", "biharmonic"), "does not denoise"),
        (("--sigma", "a"), "--sigma takes numbers with commas"),
        (("--sigma", "0"), "--sigma takes numbers above 0"),
        (("--images", "nowhere"), "nowhere"),
        (("-o", "true"), "holds other files"),
    ],
)
def test_what_is_refused(command: Call, folder: Path, contents: Call, words: tuple[str, ...], complaint: str) -> None:
    before = contents()
    given = ("bench", "denoise", "--images", "true", "--methods", "nlm", "-o", "run", *words)
    assert complaint in command(*given).complaint
    assert contents() == before
