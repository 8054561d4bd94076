"""TIFF files as other programs write them."""

from __future__ import annotations

import io
import logging
import struct
from typing import Any

import numpy as np
import pytest
import tifffile

from restore.errors import InputError, OutputError
from restore.images import Picture, encode_pages, read_bytes, read_pages_bytes
from restore.images.tiff_exif import write_directory

RNG = np.random.default_rng(3)


def tiff(array: np.ndarray, **options: Any) -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, array, metadata=None, **options)
    return buffer.getvalue()


def raw_tiff(tags: dict[int, tuple[int, bytes]], pixels: bytes) -> bytes:
    """A one-strip TIFF with just these tags, for what tifffile does not write."""
    tags = {273: (4, struct.pack("<I", 8)), 279: (4, struct.pack("<I", len(pixels))), **tags}
    padded = pixels + bytes(len(pixels) % 2)
    return struct.pack("<2sHI", b"II", 42, 8 + len(padded)) + padded + write_directory(dict(tags), 8 + len(padded))


def short(*values: int) -> tuple[int, bytes]:
    return 3, struct.pack(f"<{len(values)}H", *values)


@pytest.mark.parametrize("compression", [None, "deflate", "lzw", "packbits", "zstd", "lzma"])
@pytest.mark.parametrize("predictor", [False, True])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("byteorder", ["<", ">"])
def test_compressions(compression: str | None, predictor: bool, dtype: str, byteorder: Any) -> None:
    array = (RNG.random((20, 30, 3)) * 250).astype(dtype)
    options: dict[str, Any] = {"compression": compression, "predictor": True} if compression and predictor else {}
    data = tiff(array, photometric="rgb", byteorder=byteorder, rowsperstrip=7, **options)
    picture = read_bytes(data)
    assert picture.dtype == dtype
    np.testing.assert_array_equal(picture.to_array(), array)


@pytest.mark.parametrize("options", [{"tile": (16, 16)}, {"bigtiff": True}, {"planarconfig": "separate"}])
def test_layouts_of_the_file(options: dict[str, Any]) -> None:
    array = RNG.integers(0, 65536, (20, 30, 4)).astype(np.uint16)
    stored = np.moveaxis(array, -1, 0) if "planarconfig" in options else array
    picture = read_bytes(tiff(stored, photometric="rgb", extrasamples=["unassalpha"], **options))
    np.testing.assert_array_equal(picture.to_array(), array)
    assert picture.alpha is not None


def test_white_is_zero() -> None:
    array = RNG.integers(0, 256, (4, 5)).astype(np.uint8)
    np.testing.assert_array_equal(read_bytes(tiff(array, photometric="miniswhite")).to_array(), 255 - array)
    bits = array > 100
    picture = read_bytes(tiff(bits, photometric="miniswhite"))
    assert picture.mode == "bilevel"
    np.testing.assert_array_equal(picture.to_array(), np.where(bits, 0, 255))


@pytest.mark.parametrize("bits", [2, 4, 10, 12, 14])
def test_packed_samples_cover_the_full_range(bits: int) -> None:
    levels = np.arange(8, dtype=np.uint16) * ((2**bits - 1) / 7)
    levels = levels.astype(np.uint16).reshape(1, 8)
    expanded = ((levels[..., None] >> np.arange(bits)[::-1]) & 1).reshape(1, -1)
    pixels = np.packbits(expanded.astype(np.uint8), axis=1).tobytes()
    size = {256: short(8), 257: short(1), 277: short(1), 278: short(1)}
    picture = read_bytes(raw_tiff({**size, 258: short(bits), 259: short(1), 262: short(1)}, pixels))
    dtype, top = (np.uint8, 255) if bits < 8 else (np.uint16, 65535)
    assert picture.dtype == dtype
    np.testing.assert_array_equal(picture.to_array(), np.rint(levels * (top / (2**bits - 1))))
    assert picture.to_array().max() == top


@pytest.mark.parametrize("scale", [1, 257])
def test_palettes_of_8_and_16_bits(scale: int) -> None:
    indices = RNG.integers(0, 256, (4, 5)).astype(np.uint8)
    table = RNG.integers(0, 256, (3, 256)).astype(np.uint16)
    picture = read_bytes(tiff(indices, photometric="palette", colormap=table * scale))
    assert picture.mode == "palette"
    np.testing.assert_array_equal(picture.to_array(), np.moveaxis(table[:, indices], 0, -1))


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_cmyk(dtype: str) -> None:
    top = np.iinfo(dtype).max
    inks = RNG.integers(0, top + 1, (4, 5, 4)).astype(dtype)
    picture = read_bytes(tiff(inks, photometric="separated"))
    share = 1 - inks / top
    assert picture.mode == "CMYK"
    assert picture.dtype == dtype
    np.testing.assert_allclose(picture.to_array(), top * share[..., :3] * share[..., 3:], atol=0.51)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_premultiplied_colours_are_divided(dtype: str) -> None:
    top = 1.0 if dtype == "float32" else np.iinfo(dtype).max
    array = (np.array([[[0.25, 0.5, 0.0, 0.5], [0.0, 0.0, 0.0, 0.0], [0.75, 0.5, 0.25, 1.0]]]) * top).astype(dtype)
    picture = read_bytes(tiff(array, photometric="rgb", extrasamples=["assocalpha"]))
    assert picture.alpha is not None
    np.testing.assert_array_equal(picture.alpha, array[..., 3])
    expected = np.array([[[0.5, 1.0, 0.0], [0.0, 0.0, 0.0], [0.75, 0.5, 0.25]]])
    np.testing.assert_allclose(
        picture.to_array()[..., :3] / top, expected, atol=1.5 / 255 if dtype == "uint8" else 1e-4
    )


def test_jpeg_in_tiff_is_lossy_rgb() -> None:
    array = np.full((32, 32, 3), [200, 40, 90], dtype=np.uint8)
    picture = read_bytes(tiff(array, photometric="rgb", compression="jpeg"))
    assert picture.lossy
    assert np.abs(picture.to_array().astype(int) - array).max() < 6


@pytest.mark.parametrize(
    ("dtype", "note"),
    [("int8", True), ("int16", True), ("uint32", True), ("float16", True), ("float64", True), ("float32", False)],
)
def test_other_dtypes_become_float32(dtype: str, note: bool) -> None:
    array = np.array([[0, 1, 2], [100, 101, 127]]).astype(dtype)
    picture = read_bytes(tiff(array, photometric="minisblack"))
    assert picture.dtype == np.float32
    np.testing.assert_array_equal(picture.to_array(), array)
    assert any(dtype in text for text in picture.notes) == note


def test_nan_pixels() -> None:
    array = np.array([[1.0, np.nan], [np.inf, 4.0]], dtype=np.float32)
    picture = read_bytes(tiff(array))
    assert picture.invalid is not None
    assert picture.invalid.tolist() == [[False, True], [True, False]]
    with pytest.raises(InputError, match="no finite pixel"):
        read_bytes(tiff(np.full((2, 2), np.nan, dtype=np.float32)))


def test_three_unnamed_channels_are_colours() -> None:
    array = RNG.random((4, 5, 3)).astype(np.float32)
    picture = read_bytes(tiff(array, photometric="minisblack", planarconfig="contig"))
    assert picture.mode == "RGB"
    np.testing.assert_array_equal(picture.to_array(), array)


@pytest.mark.parametrize("channels", [5, 6])
def test_too_many_channels(channels: int) -> None:
    data = tiff(np.zeros((8, 8, channels), np.uint8), photometric="minisblack", planarconfig="contig")
    with pytest.raises(InputError, match=f"{channels} channels.*save its channels as pages"):
        read_bytes(data)


def test_colours_that_are_not_supported() -> None:
    with pytest.raises(InputError, match="CIELAB"):
        read_bytes(tiff(np.zeros((8, 8, 3), np.uint8), photometric="cielab"))
    with pytest.raises(InputError, match="SEPARATED colours as float32"):
        read_bytes(tiff(np.zeros((8, 8, 4), np.float32), photometric="separated"))


def test_volumes_are_not_supported() -> None:
    with pytest.raises(InputError, match="one flat picture"):
        read_bytes(tiff(np.zeros((16, 32, 32), np.uint8), photometric="minisblack", volumetric=True, tile=(16, 16, 16)))


def test_several_pages_are_an_error_where_one_is_needed() -> None:
    data = tiff(np.zeros((3, 8, 9), np.uint8), photometric="minisblack")
    with pytest.raises(InputError, match="3 pages"):
        read_bytes(data)
    assert [page.size for page in read_pages_bytes(data)] == [(8, 9)] * 3


def test_thumbnails_and_masks_are_no_pages() -> None:
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer) as file:
        for subfiletype, size in ((1, 4), (0, 16), (2, 8)):
            file.write(
                np.zeros((size, size), np.uint8), photometric="minisblack", subfiletype=subfiletype, metadata=None
            )
        file.write(np.zeros((16, 16), bool), photometric="mask", subfiletype=4, metadata=None)
    assert [page.size for page in read_pages_bytes(buffer.getvalue())] == [(16, 16), (8, 8)]


def test_no_page_at_all() -> None:
    with pytest.raises(InputError):
        read_pages_bytes(b"II*\0\0\0\0\0")
    with pytest.raises(InputError, match="without a page"):
        read_pages_bytes(tiff(np.zeros((8, 8), np.uint8), subfiletype=1))


@pytest.mark.parametrize("compression", [None, "deflate", "lzw"])
@pytest.mark.parametrize("keep", [0.3, 0.9, 0.999])
def test_truncated_files(compression: str | None, keep: float) -> None:
    data = tiff(RNG.integers(0, 256, (64, 64)).astype(np.uint8), compression=compression, rowsperstrip=16)
    with pytest.raises(InputError, match=r"truncated|damaged"):
        read_bytes(data[: int(keep * len(data))])


def test_a_damaged_page_is_named() -> None:
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer) as file:
        for _ in range(2):
            file.write(np.zeros((8, 8), np.uint8), photometric="minisblack", metadata=None)
        page = np.zeros((8, 8, 5), np.uint8)
        file.write(page, photometric="minisblack", planarconfig="contig", metadata=None)
    with pytest.raises(InputError, match=r"'stack\.tif, page 3' has 5 channels"):
        read_pages_bytes(buffer.getvalue(), "stack.tif")


@pytest.mark.parametrize("bigtiff", [False, True])
@pytest.mark.parametrize("byteorder", ["<", ">"])
def test_pages_lost_by_truncation_are_missed(bigtiff: bool, byteorder: Any) -> None:
    buffer = io.BytesIO()
    ends = []
    with tifffile.TiffWriter(buffer, bigtiff=bigtiff, byteorder=byteorder) as file:
        for _ in range(3):
            file.write(np.zeros((64, 64), np.uint8), photometric="minisblack", metadata=None, compression="deflate")
            ends.append(buffer.seek(0, io.SEEK_END))
    assert len(read_pages_bytes(buffer.getvalue())) == 3
    for keep in range(ends[0], ends[2], 7):
        with pytest.raises(InputError, match=r"truncated|damaged"):
            read_pages_bytes(buffer.getvalue()[:keep])


def test_declared_sizes_are_checked_before_decoding() -> None:
    sides = {tag: (4, struct.pack("<I", 60_000)) for tag in (256, 257, 278)}
    huge = raw_tiff({**sides, 258: short(8), 259: short(1), 262: short(1), 277: short(1)}, b"few pixels")
    with pytest.raises(InputError, match=r"60000x60000.*limit"):
        read_bytes(huge)


@pytest.mark.filterwarnings("ignore:.*zero-size array:UserWarning")
def test_no_pixels() -> None:
    with pytest.raises(InputError, match="no pixels"):
        read_bytes(tiff(np.zeros((0, 0), np.uint8)))


def test_nothing_leaks_from_tifffile(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> None:
    data = bytearray(tiff(np.zeros((8, 8), np.uint8), extratags=[("ExifTag", 4, 1, 0xFFFF_0000, True)], software="x"))
    with caplog.at_level(logging.DEBUG, logger="tifffile"):
        assert read_bytes(bytes(data)).size == (8, 8)
    assert caplog.records == []
    assert capfd.readouterr() == ("", "")
    assert not logging.getLogger("tifffile").disabled


def test_more_than_a_classic_tiff_holds() -> None:
    page = Picture.from_array(np.zeros((8000, 8000), np.float32))
    with pytest.raises(OutputError, match="4 GB"):
        encode_pages([page] * 17, "TIFF")


def test_what_is_not_kept_is_said() -> None:
    """Of a microscope's channels the last would be taken for alpha, and its spacing lost, without a word."""
    rng = np.random.default_rng(0)
    channels = rng.integers(0, 65535, (8, 9, 2), dtype=np.uint16)
    picture = read_bytes(tiff(channels, photometric="minisblack", planarconfig="contig", extrasamples=["unspecified"]))
    assert picture.alpha is not None
    assert any("taken for alpha" in note for note in picture.notes)
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, channels[..., 0], imagej=True, metadata={"unit": "um"})
    assert any("ImageJ" in note for note in read_bytes(buffer.getvalue()).notes)
    assert read_bytes(tiff(channels[..., 0], photometric="minisblack")).notes == ()
