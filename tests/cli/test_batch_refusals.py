"""What a batch refuses, and that nothing is touched then; a dry run."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

Array = np.ndarray[Any, Any]
Call = Callable[..., Any]

QUICK = ("--iterations", 2, "--device", "cpu", "--workers", 1)


def test_other_settings_are_refused_and_both_are_named(
    command: Call, scans: Path, tmp_path: Path, contents: Call
) -> None:
    command("denoise", scans, "-o", tmp_path / "clean", *QUICK)
    before = contents()
    refused = command("denoise", scans, "-o", tmp_path / "clean", *QUICK, "--seed", 3)
    assert "seed was 0 and is now 3" in refused.complaint
    assert contents() == before
    assert (
        command("denoise", scans, "-o", tmp_path / "clean", *QUICK, "--seed", 3, "--existing", "overwrite").status == 0
    )
    assert (tmp_path / "clean/a.png").read_bytes() != before["clean/a.png"]


def test_another_input_is_refused_and_both_are_named(
    command: Call, scans: Path, tmp_path: Path, contents: Call, noisy: Array
) -> None:
    command("denoise", scans, "-o", tmp_path / "clean", *QUICK)
    Image.fromarray(255 - noisy).save(scans / "a.png")
    before = contents()
    complaint = command("denoise", scans, "-o", tmp_path / "clean", *QUICK).complaint
    assert "a.png' exists already and was made from something else (the image was SHA-256 " in complaint
    assert {name: data for name, data in contents().items() if "lock" not in name} == {
        name: data for name, data in before.items() if "lock" not in name
    }


def test_a_file_of_somebody_else_is_in_the_way(command: Call, scans: Path, tmp_path: Path) -> None:
    (tmp_path / "clean").mkdir()
    (tmp_path / "clean/a.png").write_text("mine")
    complaint = command("denoise", scans, "-o", tmp_path / "clean", *QUICK).complaint
    assert "a.png' exists already and no report beside it says that it was made here" in complaint
    assert (tmp_path / "clean/a.png").read_text() == "mine"
    assert not (tmp_path / "clean/b.png").exists()


MANIFESTS = {
    "outside": ('{"image": "a.png", "output": "../../x.png"}', "leaves the folder"),
    "absolute": ('{"image": "a.png", "output": "/tmp/x.png"}', "leaves the folder"),
    "linked folder": ('{"image": "a.png", "output": "away/x.png"}', "through a symbolic link"),
    "link": ('{"image": "a.png", "output": "link.png"}', "is a symbolic link"),
    "column": ('{"image": "a.png", "sgima": 3}', "line 1: unknown column 'sgima': did you mean 'sigma'?"),
    "no image": ('{"sigma": 3}', "line 1: no image is named"),
    "sigma": ('{"image": "a.png", "sigma": "much"}', "sigma is 'auto' or a number"),
    "torn": ('{"image": "a.png"', "line 1: it is no JSON"),
    "list": ('["a.png"]', "line 1: a line is one object"),
    "twice": ('{"image": "a.png", "output": "x.png"}\n{"image": "b.png", "output": "X.png"}', "would both be written"),
}


@pytest.mark.parametrize("kind", MANIFESTS)
def test_manifests_that_are_refused(command: Call, scans: Path, tmp_path: Path, contents: Call, kind: str) -> None:
    text, complaint = MANIFESTS[kind]
    (tmp_path / "clean").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/mine.png").write_text("mine")
    (tmp_path / "clean/away").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "clean/link.png").symlink_to(tmp_path / "elsewhere/mine.png")
    (scans / "list.jsonl").write_text(text)
    before = contents()
    outcome = command("denoise", scans / "list.jsonl", "-o", tmp_path / "clean", *QUICK, "--existing", "overwrite")
    assert complaint in outcome.complaint
    assert contents() == before


def test_words_that_a_batch_cannot_use(command: Call, scans: Path, tmp_path: Path, contents: Call) -> None:
    before = contents()
    folder = tmp_path / "clean"
    image = scans / "a.png"
    for words, complaint in (
        ((scans,), "name it with -o FOLDER"),
        ((scans, "-o", image), "named as a picture"),
        ((scans, "-o", scans.parent / "two.png"), "named as a picture"),
        ((scans, "-o", tmp_path / "no/clean"), "there is no folder"),
        ((tmp_path / "*.gif", "-o", folder), "holds no picture"),
        ((image, scans / "none.png", "-o", folder), "no such file or folder"),
        ((image, scans / "sub", scans / "a.png", scans / "sub/../a.png", "-o", folder), "would both be written"),
        ((scans, "-o", folder, "--workers", "none"), "--workers takes a number"),
        ((scans, "-o", folder, "--devices", "7"), "--devices takes all"),
        ((scans, "-o", folder, "--shard", "4/3"), "--shard takes I/N"),
        ((scans, "-o", folder, "--shard", "slurm"), "SLURM_ARRAY_TASK_ID"),
        ((scans, "-o", folder, "--scheduler", "nowhere.json"), "neither an address"),
        ((scans, "-o", folder, "--stop", "discrepancy"), "stop 'discrepancy' needs --objective fit"),
        ((image, "--fail-fast"), "--fail-fast is for many pictures"),
    ):
        assert complaint in command("denoise", *words, "--iterations", 2, "--device", "cpu").complaint, words
        shutil.rmtree(folder, ignore_errors=True)
    assert contents() == before


def test_a_dry_run_makes_nothing(command: Call, scans: Path, tmp_path: Path, contents: Call) -> None:
    (scans / "bad.png").write_text("no picture")
    before = contents()
    outcome = command("denoise", scans, "-o", tmp_path / "clean", "--dry-run", "--device", "cpu", "--json")
    assert outcome.status == 1 and contents() == before  # as the batch would end
    report = json.loads(outcome.stdout)
    assert report["left"] == 3 and report["seconds"] > 0 and report["memory_mb"] > 100 and report["disk_mb"] > 0
    status = {row["image"]: row["status"] for row in report["files"]}
    assert status["a.png"] == "to do" and "not a picture" in status["bad.png"]
    assert "4 picture(s), 3 to do" in command("denoise", scans, "-o", tmp_path / "clean", "--dry-run").stdout.decode()
    (scans / "bad.png").unlink()
    assert command("denoise", scans, "-o", tmp_path / "clean", "--dry-run").status == 0
    assert command("denoise", scans, "-o", tmp_path / "clean", *QUICK).status == 0
    before = contents()
    refused = command("denoise", scans, "-o", tmp_path / "clean", *QUICK, "--norm", "none", "--dry-run")
    assert "norm was None and is now 'none'" in refused.complaint and contents() == before


@pytest.mark.parametrize("name", ["failures.csv", "report.html"])
def test_files_with_the_names_of_a_batchs_own_are_kept(command: Call, scans: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / "clean").mkdir()
    (tmp_path / "clean" / name).write_text("mine")
    (scans / "bad.png").write_text("no picture")
    complaint = command("denoise", scans, "-o", tmp_path / "clean", *QUICK, "--report").complaint
    assert f"{name}' exists already, and a batch writes a file of that name" in complaint
    assert (tmp_path / "clean" / name).read_text() == "mine"
