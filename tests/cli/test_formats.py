"""What a picture is made of comes back: dtype, alpha, pages, metadata, and every known pixel."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms

Array = np.ndarray[Any, Any]
Command = Callable[..., Any]

QUICK = ("--iterations", 2, "--device", "cpu")


def as_dtype(picture: Array, dtype: str) -> Array:
    """The picture spread over the range of a dtype; floats leave [0, 1]."""
    if dtype == "uint8":
        return picture
    if dtype == "uint16":
        return picture.astype(np.uint16) * 251 + 17
    return (picture / np.float32(37) - np.float32(1.5)).astype(np.float32)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("grey", [False, True])
def test_known_pixels_come_back_exactly(
    command: Command,
    save_tiff: Callable[..., Path],
    save: Callable[..., Path],
    tmp_path: Path,
    clean: Array,
    hole: Array,
    dtype: str,
    grey: bool,
) -> None:
    samples = as_dtype(clean[..., 0] if grey else clean, dtype)
    image = save_tiff("a.tif", samples)
    assert command("inpaint", image, "--mask", save("m.png", hole), *QUICK).status == 0
    filled = tifffile.imread(tmp_path / "a.restored.tif")
    assert filled.dtype == samples.dtype
    assert filled.shape == samples.shape
    assert np.array_equal(filled[~hole], samples[~hole])
    assert not np.array_equal(filled[hole], samples[hole])


def test_what_is_in_the_hole_is_never_looked_at(
    command: Command, save: Callable[..., Path], load: Callable[..., Array], tmp_path: Path, clean: Array, hole: Array
) -> None:
    mask = save("m.png", hole)
    for name, colour in (("a.png", 0), ("b.png", 255)):
        image = save(name, np.where(hole[..., None], colour, clean).astype(np.uint8))
        assert command("inpaint", image, "--mask", mask, *QUICK).status == 0
    assert np.array_equal(load(tmp_path / "a.restored.png"), load(tmp_path / "b.restored.png"))


def test_mask_invert_turns_the_mask_around(
    command: Command, save: Callable[..., Path], load: Callable[..., Array], tmp_path: Path, clean: Array, hole: Array
) -> None:
    image = save("a.png", clean)
    plain, inverted = save("m.png", hole), save("n.png", ~hole)
    assert command("inpaint", image, "--mask", plain, "-o", tmp_path / "b.png", *QUICK).status == 0
    words = ("inpaint", image, "--mask", inverted, "--mask-invert", "-o", tmp_path / "c.png")
    said = command(*words, *QUICK)
    assert said.status == 0
    assert "white is the hole" not in said.stderr
    assert np.array_equal(load(tmp_path / "b.png"), load(tmp_path / "c.png"))


def test_a_mask_that_hides_most_gives_a_hint_before_the_fit(
    command: Command, save: Callable[..., Path], clean: Array, hole: Array
) -> None:
    said = command("inpaint", save("a.png", clean), "--mask", save("m.png", ~hole), "--json", *QUICK)
    assert said.stderr.count("--mask-invert") == 1
    assert said.stderr.index("--mask-invert") < said.stderr.index("up to 2 steps")
    report = said.report
    (hint,) = (warning for warning in report["warnings"] if "mask" in warning)
    assert "--mask-invert" in hint
    assert f"{1 - hole.mean():.0%}" in hint
    blank = np.where(hole.reshape(hole.shape + (1,) * (clean.ndim - 2)), clean, 0)  # as a damaged picture is
    report = command("inpaint", save("b.png", blank), "--mask", save("n.png", ~hole), "--json", *QUICK).report
    assert not any("mask" in warning for warning in report["warnings"])


def test_nan_pixels_are_a_mask(
    command: Command,
    save_tiff: Callable[..., Path],
    save: Callable[..., Path],
    tmp_path: Path,
    clean: Array,
    hole: Array,
) -> None:
    samples = as_dtype(clean, "float32")
    samples[hole, 1] = np.nan
    image = save_tiff("a.tif", samples)
    assert command("inpaint", image, *QUICK).status == 0
    filled = tifffile.imread(tmp_path / "a.restored.tif")
    assert np.isfinite(filled).all()
    assert np.array_equal(filled[~hole], samples[~hole])

    corner = np.zeros_like(hole)
    corner[:6, :6] = True
    words = ("inpaint", image, "--mask", save("m.png", corner), "-o", tmp_path / "b.tif")
    assert command(*words, *QUICK).status == 0
    filled = tifffile.imread(tmp_path / "b.tif")
    both = hole | corner
    assert np.isfinite(filled).all()
    assert np.array_equal(filled[~both], samples[~both])
    assert (filled[corner & ~hole] != samples[corner & ~hole]).any()


@pytest.mark.parametrize("name", ["denoise", "inpaint"])
def test_16_bit_png_with_alpha(
    command: Command, save: Callable[..., Path], tmp_path: Path, noisy: Array, hole: Array, name: str
) -> None:
    alpha = np.random.default_rng(2).integers(0, 65536, noisy.shape[:2]).astype(np.uint16)
    samples = np.dstack([as_dtype(noisy, "uint16"), alpha])
    (tmp_path / "a.png").write_bytes(imagecodecs.png_encode(samples))
    mask = ("--mask", save("m.png", hole)) if name == "inpaint" else ()
    assert command(name, tmp_path / "a.png", *mask, *QUICK).status == 0
    restored = imagecodecs.png_decode((tmp_path / "a.restored.png").read_bytes())
    assert restored.dtype == np.uint16
    assert np.array_equal(restored[..., 3], alpha)
    assert np.unique(restored[..., :3]).size > 300


@pytest.mark.parametrize("colours", [1, 3])
def test_alpha_passes_through(
    command: Command, save: Callable[..., Path], load: Callable[..., Array], tmp_path: Path, noisy: Array, colours: int
) -> None:
    alpha = np.random.default_rng(2).integers(0, 256, noisy.shape[:2]).astype(np.uint8)
    image = save("a.png", np.dstack([noisy[..., :colours], alpha]))
    assert command("denoise", image, *QUICK).status == 0
    restored = load(tmp_path / "a.restored.png")
    assert restored.shape == (*alpha.shape, colours + 1)
    assert np.array_equal(restored[..., -1], alpha)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif"])
def test_metadata_survives_and_orientation_is_applied(
    command: Command, save: Callable[..., Path], tmp_path: Path, noisy: Array, suffix: str
) -> None:
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "Maker", 6
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    image = save("a.png", noisy)
    with Image.open(image) as picture:
        source = tmp_path / f"b{suffix}"
        picture.save(source, exif=exif, icc_profile=profile, dpi=(300, 150))
    assert command("denoise", source, *QUICK).status == 0
    output = tmp_path / f"b.restored{'.png' if suffix == '.jpg' else suffix}"
    with Image.open(output) as restored:
        assert restored.size == (40, 48)
        assert restored.getexif().get(0x010F) == "Maker"
        assert restored.getexif().get(0x0112) in (None, 1)
        assert restored.info["icc_profile"] == profile
        assert [round(float(value)) for value in restored.info["dpi"]] == [150, 300]


def test_pages_are_pictures(
    command: Command,
    save_tiff: Callable[..., Path],
    save: Callable[..., Path],
    tmp_path: Path,
    noisy: Array,
    clean: Array,
    hole: Array,
) -> None:
    pages = [as_dtype(noisy, "uint16"), as_dtype(noisy[:30, :20, 0], "float32")]
    image = save_tiff("a.tif", *pages)
    report = command("denoise", image, "--json", *QUICK).report
    assert [page["size"] for page in report["pages"]] == [[48, 40], [20, 30]]
    with tifffile.TiffFile(tmp_path / "a.restored.tif") as file:
        restored = [page.asarray() for page in file.pages]
    for before, after in zip(pages, restored, strict=True):
        assert (after.shape, after.dtype) == (before.shape, before.dtype)
        assert not np.array_equal(before, after)

    refused = command("denoise", image, "-o", tmp_path / "a.png", *QUICK)
    assert ".tif" in refused.complaint
    refused = command("denoise", image, "--reference", save("true.png", clean), *QUICK)
    assert "page" in refused.complaint


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (7, 2)])
def test_pictures_of_a_few_pixels(
    command: Command,
    save: Callable[..., Path],
    load: Callable[..., Array],
    tmp_path: Path,
    noisy: Array,
    size: tuple[int, int],
) -> None:
    image = save("a.png", noisy[: size[0], : size[1]])
    for words in ((), ("--preset", "paper"), ("--prior", "decoder")):
        assert command("denoise", image, *words, "--existing", "overwrite", *QUICK).status == 0
        assert load(tmp_path / "a.restored.png").shape == (*size, 3)


def test_floats_come_back_in_their_own_range(
    command: Command, save_tiff: Callable[..., Path], tmp_path: Path, noisy: Array
) -> None:
    samples = noisy[..., 0].astype(np.float32) * 40 - 3000
    image = save_tiff("a.tif", samples)
    words = ("denoise", image, "--iterations", 60, "--device", "cpu")
    assert command(*words).status == 0
    restored = tifffile.imread(tmp_path / "a.restored.tif")
    assert restored.dtype == np.float32
    assert abs(restored.mean() - samples.mean()) < 0.1 * np.ptp(samples)


def test_16_bits_do_not_go_into_8(
    command: Command,
    save_tiff: Callable[..., Path],
    tmp_path: Path,
    noisy: Array,
    contents: Callable[[], dict[str, bytes]],
) -> None:
    image = save_tiff("a.tif", as_dtype(noisy, "uint16"))
    before = contents()
    for name in ("b.jpg", "b.bmp", "b.webp"):
        assert "16-bit" in command("denoise", image, "-o", tmp_path / name, *QUICK).complaint
    assert contents() == before
