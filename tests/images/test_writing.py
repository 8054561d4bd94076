from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from restore.errors import OutputError, UsageError
from restore.images import (
    Picture,
    check_output,
    default_output,
    encode,
    encode_pages,
    format_of,
    read,
    write,
    write_pages,
)
from restore.images import writing as writing_module


def picture(dtype: str = "uint8", channels: int = 3, size: tuple[int, int] = (4, 5)) -> Picture:
    array = (np.random.default_rng(0).random((*size, channels)) * 200).astype(dtype)
    return Picture.from_array(array[..., 0] if channels == 1 else array)


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


@pytest.mark.parametrize(
    ("dtype", "channels", "suffix", "message"),
    [
        ("uint16", 3, "jpg", r"16-bit.*\.png or \.tif"),
        ("uint16", 1, "webp", r"16-bit.*\.png or \.tif"),
        ("uint16", 3, "bmp", r"16-bit.*\.png or \.tif"),
        ("float32", 1, "png", r"floating-point.*choose \.tif\."),
        ("float32", 3, "jpeg", r"floating-point.*choose \.tif\."),
        ("float32", 3, "bmp", r"floating-point.*choose \.tif\."),
        ("uint8", 4, "jpg", r"no alpha channel.*\.png or \.tif or \.webp"),
        ("uint8", 2, "bmp", r"no alpha channel.*\.png"),
        ("uint16", 4, "jpg", r"16-bit.*\.png or \.tif\."),
    ],
)
def test_what_a_format_cannot_hold(tmp_path: Path, dtype: str, channels: int, suffix: str, message: str) -> None:
    path = tmp_path / f"a.{suffix}"
    for call in (check_output, write):
        with pytest.raises(OutputError, match=message):
            call(picture(dtype, channels), path)
    with pytest.raises(OutputError, match=message):
        encode(picture(dtype, channels), suffix)
    assert names(tmp_path) == []


@pytest.mark.parametrize(("suffix", "limit"), [("webp", 16_383), ("jpg", 65_500)])
def test_sides_beyond_a_format(tmp_path: Path, suffix: str, limit: int) -> None:
    with pytest.raises(OutputError, match=f"at most {limit} pixels"):
        write(picture(size=(1, limit + 1)), tmp_path / f"a.{suffix}")
    assert read(write(picture(size=(1, limit)), tmp_path / f"a.{suffix}")).width == limit


@pytest.mark.parametrize("name", ["a.xyz", "a.gif", "a", ".png", "a.png.bak"])
def test_unknown_suffixes(tmp_path: Path, name: str) -> None:
    with pytest.raises(OutputError, match=r"suffix.*\.png, \.tif"):
        write(picture(), tmp_path / name)


def test_unknown_formats_and_ways(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="PNG"):
        encode(picture(), "PGN")
    with pytest.raises(UsageError, match="overwrite"):
        write(picture(), tmp_path / "a.png", existing="replace")


@pytest.mark.parametrize(("name", "expected"), [("a.JPG", "JPEG"), ("b.Tiff", "TIFF"), ("c.png", "PNG")])
def test_suffixes_in_any_case(tmp_path: Path, name: str, expected: str) -> None:
    assert read(write(picture(), tmp_path / name)).format == expected
    assert format_of(name).lossy == (expected == "JPEG")


def test_existing_files(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"old")
    with pytest.raises(OutputError, match="exists already"):
        write(picture(), path)
    assert path.read_bytes() == b"old"
    write(picture(), path, existing="overwrite")
    np.testing.assert_array_equal(read(path).to_array(), picture().to_array())
    assert names(tmp_path) == ["a.png"]


def test_the_input_is_never_written_over(tmp_path: Path) -> None:
    source, mask = write(picture(), tmp_path / "a.png"), write(picture(), tmp_path / "mask.png")
    before = source.read_bytes()
    again = read(source)
    for options in ({}, {"existing": "overwrite"}):
        for call in (write, check_output):
            with pytest.raises(OutputError, match="is an input"):
                call(again, source, **options)
            with pytest.raises(OutputError, match="is an input"):
                call(again, mask, source=mask, **options)
    (tmp_path / "link.png").symlink_to(source)
    with pytest.raises(OutputError, match="is an input"):
        write(again, tmp_path / "link.png", existing="overwrite")
    assert source.read_bytes() == before


def test_missing_folders(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="no folder"):
        write(picture(), tmp_path / "none" / "a.png")


@pytest.mark.parametrize("suffix", ["png", "tif", "jpg", "webp", "bmp"])
@pytest.mark.parametrize("existing", ["error", "overwrite"])
def test_a_failing_encoder_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, existing: str
) -> None:
    path = tmp_path / f"a.{suffix}"
    if existing == "overwrite":
        path.write_bytes(b"old")
    before = names(tmp_path)

    def fail(*arguments: Any) -> bytes:
        raise ValueError("broken encoder")

    monkeypatch.setattr(writing_module, "encode_with_pillow", fail)
    monkeypatch.setattr(writing_module, "encode_tiff", fail)
    with pytest.raises(OutputError, match="broken encoder"):
        write(picture(), path, existing=existing)
    assert names(tmp_path) == before
    assert existing == "error" or path.read_bytes() == b"old"


def test_checking_writes_nothing(tmp_path: Path) -> None:
    check_output(picture(), tmp_path / "a.png")
    check_output([picture(), picture()], tmp_path / "a.tif")
    assert names(tmp_path) == []


def test_pages_need_tiff(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"2 pages: choose \.tif"):
        write_pages([picture(), picture()], tmp_path / "a.png")
    with pytest.raises(OutputError, match=r"2 pages: choose \.tif"):
        encode_pages([picture(), picture()], "PNG")
    with pytest.raises(OutputError, match="no picture"):
        write_pages([], tmp_path / "a.tif")
    assert names(tmp_path) == []
    assert read(write_pages([picture()], tmp_path / "a.png")).size == (4, 5)


@pytest.mark.parametrize(
    ("name", "dtype", "channels", "file_format", "lossy", "expected"),
    [
        ("a.png", "uint8", 3, "PNG", False, "a.restored.png"),
        ("a.PNG", "uint16", 1, "PNG", False, "a.restored.PNG"),
        ("a.jpg", "uint8", 3, "JPEG", True, "a.restored.png"),
        ("a.jpeg", "uint8", 1, "JPEG", True, "a.restored.png"),
        ("a.webp", "uint8", 4, "WEBP", False, "a.restored.webp"),
        ("a.webp", "uint8", 3, "WEBP", True, "a.restored.png"),
        ("a.bmp", "uint8", 3, "BMP", False, "a.restored.bmp"),
        ("a.bmp", "uint8", 4, "BMP", False, "a.restored.png"),
        ("a.tif", "float32", 1, "TIFF", False, "a.restored.tif"),
        ("a.TIFF", "uint16", 3, "TIFF", False, "a.restored.TIFF"),
        ("a.tiff", "uint8", 3, "TIFF", True, "a.restored.tiff"),
        ("a.gif", "uint8", 3, "GIF", False, "a.restored.png"),
        ("really_a_tiff.png", "float32", 1, "TIFF", False, "really_a_tiff.restored.tif"),
        ("really_a_jpeg.png", "uint8", 3, "JPEG", True, "really_a_jpeg.restored.png"),
        ("no_suffix", "uint8", 3, "PNG", False, "no_suffix.restored.png"),
        ("two.dots.png", "uint8", 3, "PNG", False, "two.dots.restored.png"),
    ],
)
def test_default_output(
    tmp_path: Path, name: str, dtype: str, channels: int, file_format: str, lossy: bool, expected: str
) -> None:
    source = dataclasses.replace(picture(dtype, channels), format=file_format, lossy=lossy)
    path = default_output(tmp_path / name, source)
    assert path == tmp_path / expected
    check_output(source, path)


def test_palette_and_cmyk_are_written_as_rgb(tmp_path: Path) -> None:
    colours = Image.fromarray(picture(size=(16, 16)).to_array())
    colours.quantize(5).save(tmp_path / "palette.png")
    colours.convert("CMYK").save(tmp_path / "cmyk.tif")
    for name in ("palette.png", "cmyk.tif"):
        source = read(tmp_path / name)
        again = read(write(source, default_output(tmp_path / name, source)))
        assert again.mode == "RGB"
        np.testing.assert_array_equal(again.to_array(), source.to_array())


def test_what_is_read_back_is_what_quantised_says(tmp_path: Path) -> None:
    for dtype, suffix in (("uint8", "png"), ("uint16", "png"), ("float32", "tif")):
        source = picture(dtype)
        restored = source.with_pixels(np.random.default_rng(1).normal(0.5, 0.4, source.pixels.shape))
        again = read(write(restored, tmp_path / f"{dtype}.{suffix}"))
        values = (again.values().astype(np.float64) - source.offset) / source.scale
        np.testing.assert_array_equal(values.astype(np.float32), restored.quantised())
