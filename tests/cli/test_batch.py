"""Many pictures in one command: what comes out, and that the same command goes on."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

Array = np.ndarray[Any, Any]
Call = Callable[..., Any]

QUICK = ("--iterations", 2, "--device", "cpu", "--workers", 1)


def ended(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / ".restore/manifest/runs.jsonl").read_text().splitlines()]


def test_a_folder_keeps_its_tree(command: Call, results: Call, scans: Path, tmp_path: Path, contents: Call) -> None:
    before = {name: data for name, data in contents().items() if name.startswith("scans/")}
    outcome = command("denoise", scans, "-o", tmp_path / "clean", *QUICK)
    assert outcome.status == 0, outcome.stderr
    pictures = {"a.png", "b.png", "sub/c.png"}
    assert results(tmp_path / "clean") == pictures | {f"{name}.json" for name in pictures}
    for name in pictures:
        with Image.open(scans / name) as old, Image.open(tmp_path / "clean" / name) as new:
            assert (old.size, old.mode) == (new.size, new.mode)
    assert {name: data for name, data in contents().items() if name.startswith("scans/")} == before
    assert "[3/3] sub/c.png" in outcome.stderr and "3 restored to" in outcome.stderr


def test_a_result_is_that_of_the_picture_alone(command: Call, scans: Path, tmp_path: Path) -> None:
    command("denoise", scans, "-o", tmp_path / "clean", *QUICK)
    command("denoise", scans / "a.png", "-o", tmp_path / "alone.png", *QUICK[:4])
    assert (tmp_path / "alone.png").read_bytes() == (tmp_path / "clean/a.png").read_bytes()


def mixed(folder: Path) -> int:
    """Make 40 files, three of them no pictures, and return how many are."""
    (folder / "deep/deeper").mkdir(parents=True)
    draw = np.random.default_rng(0)

    def pixels(*shape: int, top: int = 255) -> Array:
        return draw.integers(0, top + 1, shape).astype(np.uint8 if top == 255 else np.uint16)

    for number in range(12):
        shape = (8 + number, 9 + 2 * number, 3) if number % 2 else (8 + number, 9 + 2 * number)
        Image.fromarray(pixels(*shape)).save(folder / f"plain{number}.png")
    for number in range(6):
        Image.fromarray(pixels(12, 11 + number, 4)).save(folder / f"alpha{number}.png")
    for number in range(6):
        Image.fromarray(pixels(10 + number, 7, top=65535)).save(folder / "deep" / f"sixteen{number}.png")
    for number in range(5):
        tifffile.imwrite(folder / "deep/deeper" / f"page{number}.tif", pixels(9, 8 + number, top=65535))
    tifffile.imwrite(folder / "deep/float.tiff", draw.random((9, 10)).astype(np.float32))
    for number in range(4):
        Image.fromarray(pixels(12, 13, 3)).save(folder / f"lossy{number}.jpg")
    Image.fromarray(pixels(9, 9)).save(folder / "twin.png")
    Image.fromarray(pixels(9, 9, 3)).save(folder / "twin.jpg")
    Image.fromarray(pixels(1, 1)).save(folder / "dot.bmp")
    (folder / "text.png").write_text("no picture")
    (folder / "nothing.tif").touch()
    (folder / "cut.png").write_bytes((folder / "plain11.png").read_bytes()[:60])
    (folder / "notes.txt").write_text("not looked at")
    return 37


def test_forty_mixed_files(command: Call, results: Call, tmp_path: Path, contents: Call) -> None:
    usable = mixed(tmp_path / "scans")
    before = contents()
    outcome = command("denoise", tmp_path / "scans", "-o", tmp_path / "clean", "--json", *QUICK)
    assert outcome.status == 1
    report = json.loads(outcome.stdout)
    assert (report["done"], report["failed"], report["left"]) == (usable, 3, 0)
    made = {file["output"] for file in report["files"] if file["status"] == "done"}
    assert len(made) == usable and {"twin.png", "twin.jpg.png", "lossy0.png", "dot.bmp"} <= made
    assert results(tmp_path / "clean") == made | {f"{name}.json" for name in made} | {"failures.csv"}
    with (tmp_path / "clean/failures.csv").open() as file:
        failed = {row["image"]: row["error"] for row in csv.DictReader(file)}
    assert set(failed) == {"text.png", "nothing.tif", "cut.png"}
    assert "0 bytes" in failed["nothing.tif"] and "truncated" in failed["cut.png"]
    assert all(f"{name}  " in outcome.stderr for name in failed)
    after = {name: data for name, data in contents().items() if not name.startswith("clean/")}
    assert after == before
    with Image.open(tmp_path / "clean/alpha0.png") as new, Image.open(tmp_path / "scans/alpha0.png") as old:
        assert np.array_equal(np.asarray(new)[..., 3], np.asarray(old)[..., 3])
    assert tifffile.imread(tmp_path / "clean/deep/deeper/page0.tif").dtype == np.uint16

    again = command("denoise", tmp_path / "scans", "-o", tmp_path / "clean", *QUICK)
    assert again.status == 1 and f"{usable} of {usable} pictures have ended before" in again.stderr
    assert len(ended(tmp_path / "clean")) == 40


def test_what_was_deleted_is_made_again_and_what_was_added_too(
    command: Call, scans: Path, tmp_path: Path, noisy: Array
) -> None:
    clean = tmp_path / "clean"
    command("denoise", scans, "-o", clean, *QUICK)
    first = (clean / "a.png").read_bytes()
    (clean / "a.png").unlink()
    Image.fromarray(noisy[5:25, 5:25]).save(scans / "new.png")
    outcome = command("denoise", scans, "-o", clean, *QUICK)
    assert outcome.status == 0, outcome.stderr
    assert (clean / "a.png").read_bytes() == first
    assert "2 of 4 pictures have ended before" in outcome.stderr


@pytest.mark.parametrize("existing", ["skip", "error"])
def test_results_whose_store_is_gone(command: Call, scans: Path, tmp_path: Path, existing: str) -> None:
    clean = tmp_path / "clean"
    command("denoise", scans, "-o", clean, *QUICK)
    shutil.rmtree(clean / ".restore")
    outcome = command("denoise", scans, "-o", clean, *QUICK, "--existing", existing)
    if existing == "skip":
        assert outcome.status == 0 and "3 of 3 pictures have ended before" in outcome.stderr
    else:
        assert "exists already (and 2 more like it)" in outcome.complaint


def test_a_single_file_that_is_there(command: Call, save: Call, noisy: Array, tmp_path: Path) -> None:
    image = save("a.png", noisy)
    command("denoise", image, *QUICK[:4])
    first = (tmp_path / "a.restored.png").stat().st_mtime_ns
    assert "exists already" in command("denoise", image, *QUICK[:4]).complaint
    skipped = command("denoise", image, *QUICK[:4], "--existing", "skip")
    assert skipped.status == 0 and "same input with the same settings: skipped" in skipped.stderr
    other = command("denoise", image, *QUICK[:4], "--norm", "none", "--existing", "skip")
    assert "norm was None and is now 'none'" in other.complaint
    assert (tmp_path / "a.restored.png").stat().st_mtime_ns == first


def test_masks_by_path_and_stem(command: Call, scans: Path, tmp_path: Path, save: Call, noisy: Array) -> None:
    masks = tmp_path / "masks"
    (masks / "sub").mkdir(parents=True)
    for name, size in {"a.png": (48, 40), "b-mask.png": (24, 20), "sub/c.tif": (48, 40)}.items():
        Image.fromarray((np.indices(size[::-1]).sum(0) % 3 == 0).astype(np.uint8) * 255).save(masks / name)
    outcome = command("inpaint", scans, "--mask", masks, "-o", tmp_path / "whole", *QUICK)
    assert outcome.status == 0, outcome.stderr
    with Image.open(tmp_path / "whole/a.png") as new:
        known = np.indices((40, 48)).sum(0) % 3 != 0
        assert np.array_equal(np.asarray(new)[known], noisy[known])

    (masks / "b-mask.png").unlink()
    (masks / "sub/c.tif").unlink()
    complaint = command("inpaint", scans, "--mask", masks, "-o", tmp_path / "other", *QUICK).complaint
    assert "2 of 3 picture(s) have no mask in" in complaint and "b.png, sub/c.png" in complaint
    assert not (tmp_path / "other").exists()


def test_one_mask_for_all_and_masks_among_the_pictures(
    command: Call, results: Call, tmp_path: Path, noisy: Array, hole: Array
) -> None:
    folder = tmp_path / "scans"
    folder.mkdir()
    for name in ("a.png", "b.png"):
        Image.fromarray(noisy).save(folder / name)
    Image.fromarray(hole).save(tmp_path / "m.png")
    outcome = command("inpaint", folder, "--mask", tmp_path / "m.png", "-o", tmp_path / "one", *QUICK)
    assert outcome.status == 0 and results(tmp_path / "one") >= {"a.png", "b.png"}
    for name in ("a-mask.png", "b-mask.png"):
        Image.fromarray(hole).save(folder / name)
    outcome = command("inpaint", folder, "--mask", folder, "-o", tmp_path / "two", *QUICK)
    assert outcome.status == 0, outcome.stderr
    assert {name for name in results(tmp_path / "two") if not name.endswith(".json")} == {"a.png", "b.png"}


def test_a_manifest_has_settings_of_its_own(
    command: Call, results: Call, scans: Path, tmp_path: Path, hole: Array
) -> None:
    Image.fromarray(hole).save(scans / "hole.png")
    lines = [
        {"image": "a.png", "sigma": 30, "output": "first/one.tif"},
        {"image": "sub/c.png", "sigma": "auto"},
        {"image": str(scans / "b.png")},
    ]
    (scans / "list.jsonl").write_text("\n".join(json.dumps(line) for line in lines))
    outcome = command("denoise", scans / "list.jsonl", "-o", tmp_path / "clean", *QUICK)
    assert outcome.status == 0, outcome.stderr
    assert {name for name in results(tmp_path / "clean") if "json" not in name} == {
        "first/one.tif",
        "sub/c.png",
        "b.png",
    }
    assert json.loads((tmp_path / "clean/first/one.tif.json").read_text())["sigma"] == 30

    (scans / "list.csv").write_text("image,mask\na.png,hole.png\nsub/c.png,hole.png\n")
    outcome = command("inpaint", scans / "list.csv", "-o", tmp_path / "whole", *QUICK)
    assert outcome.status == 0, outcome.stderr


def test_shards_share_a_batch(command: Call, scans: Path, tmp_path: Path) -> None:
    clean = tmp_path / "clean"
    for part, made in (("1/2", 2), ("2/2", 1)):
        outcome = command("denoise", scans, "-o", clean, *QUICK, "--shard", part)
        assert outcome.status == 0 and f"{made} restored to" in outcome.stderr
    assert len({record["id"] for record in ended(clean)}) == len(ended(clean)) == 3


def test_a_page_of_all_pictures(command: Call, scans: Path, tmp_path: Path) -> None:
    (scans / "bad.png").write_text("no picture")
    words = ("denoise", scans, "-o", tmp_path / "clean", *QUICK, "--report")
    assert [command(*words).status for _ in range(2)] == [1, 1]  # the same command goes on, its own page or not
    page = (tmp_path / "clean/report.html").read_text()
    assert "3 pictures restored, 1 failed" in page and page.count('class="thumb"') == 3 and "not a picture" in page


def test_references_give_figures(command: Call, tmp_path: Path, noisy: Array, clean: Array) -> None:
    for name, picture in {"scans/a.png": noisy, "true/a.png": clean}.items():
        (tmp_path / name).parent.mkdir()
        Image.fromarray(picture).save(tmp_path / name)
    words = ("denoise", tmp_path / "scans", "-o", tmp_path / "clean", "--reference", tmp_path / "true", "--json")
    (file,) = command(*words, *QUICK).report["files"]
    assert 0 < file["psnr_input"] < 50 and file["psnr"] > 0 and file["ssim"] is not None
