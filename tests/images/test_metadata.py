from __future__ import annotations

import io
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from PIL import ExifTags, Image, ImageCms, ImageOps, TiffImagePlugin

from restore.images import Metadata, Picture, encode, encode_pages, read, read_bytes, read_pages_bytes, write
from restore.images.metadata import apply_orientation, clean_exif, exif_block, resolution
from restore.images.tiff_exif import read_directory, write_directory

MAKE, SOFTWARE, ARTIST, ORIENTATION, EXIF, GPS = 271, 305, 315, 274, 34665, 34853
EXPOSURE_TIME, MAKER_NOTE, LENS, INTEROPERABILITY = 33434, 37500, 42036, 40965
ICC = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def camera_exif(orientation: int | None = None, endian: str = "<") -> bytes:
    exif = Image.Exif()
    exif.endian = endian
    exif[MAKE] = "Konica"
    exif[ARTIST] = "Ada Lovelace"
    if orientation is not None:
        exif[ORIENTATION] = orientation
    exif[EXIF] = {
        EXPOSURE_TIME: TiffImagePlugin.IFDRational(1, 125),
        MAKER_NOTE: b"\x01\x02\x03opaque",
        LENS: "50mm",
        INTEROPERABILITY: {1: "R98"},
    }
    exif[GPS] = {1: "N", 2: (52.0, 30.0, 12.5)}
    return exif.tobytes()


def parsed(block: bytes | None) -> dict[str, Any]:
    assert block is not None
    exif = Image.Exif()
    exif.load(block)
    page = {tag: value for tag, value in exif.items() if tag not in (EXIF, GPS)}
    directory = dict(exif.get_ifd(EXIF))
    directory.pop(INTEROPERABILITY, None)
    return {
        "page": page,
        "exif": directory,
        "gps": dict(exif.get_ifd(GPS)),
        "interoperability": dict(exif.get_ifd(INTEROPERABILITY)) if EXIF in exif else {},
    }


def grey(dtype: str = "uint8") -> np.ndarray:
    return np.arange(12, dtype=dtype).reshape(3, 4)


def jpeg_with(exif: bytes) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(grey().repeat(8, 0).repeat(8, 1) * 20).save(
        buffer, "JPEG", exif=exif, icc_profile=ICC, dpi=(300, 150)
    )
    return buffer.getvalue()


def carrier(dtype: str = "uint8", channels: int = 3) -> Picture:
    shape = (6, 5, channels) if channels > 1 else (6, 5)
    picture = Picture.from_array((np.random.default_rng(0).random(shape) * 200).astype(dtype))
    exif, _ = clean_exif(camera_exif()[6:])
    return replace(picture, metadata=Metadata(exif=exif, icc=ICC, dpi=(300.0, 150.0)))


@pytest.mark.parametrize(
    ("suffix", "dtype"),
    [("png", "uint8"), ("png", "uint16"), ("jpg", "uint8"), ("webp", "uint8")]
    + [("tif", dtype) for dtype in ("uint8", "uint16", "float32")],
)
@pytest.mark.parametrize("channels", [1, 3])
def test_metadata_survives_writing(tmp_path: Path, suffix: str, dtype: str, channels: int) -> None:
    picture = carrier(dtype, channels)
    again = read(write(picture, tmp_path / f"a.{suffix}")).metadata
    assert parsed(again.exif) == parsed(picture.metadata.exif)
    assert parsed(again.exif)["exif"][EXPOSURE_TIME] == pytest.approx(1 / 125)
    assert parsed(again.exif)["gps"][2] == (52.0, 30.0, 12.5)
    assert parsed(again.exif)["interoperability"] == {1: "R98"}
    assert again.icc == ICC
    if suffix == "webp":
        assert again.dpi is None
    else:
        assert again.dpi == pytest.approx((300.0, 150.0), abs=0.02)
    twice = read_bytes(encode(read(tmp_path / f"a.{suffix}"), suffix)).metadata
    assert twice == again


def test_bmp_keeps_the_resolution() -> None:
    metadata = read_bytes(encode(carrier(), "BMP")).metadata
    assert (metadata.exif, metadata.icc) == (None, None)
    assert metadata.dpi == pytest.approx((300.0, 150.0), abs=0.02)


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_pillow_reads_what_was_written(tmp_path: Path, suffix: str) -> None:
    path = write(carrier(), tmp_path / f"a.{suffix}")
    with Image.open(path) as image:
        exif = image.getexif()
        assert exif[MAKE] == "Konica"
        assert exif.get_ifd(EXIF)[LENS].rstrip("\0") == "50mm"
        assert exif.get_ifd(GPS)[1].rstrip("\0") == "N"
        assert exif.get_ifd(INTEROPERABILITY)[1].rstrip("\0") == "R98"
        assert image.info["icc_profile"] == ICC
        assert image.info["dpi"] == pytest.approx((300.0, 150.0), abs=0.02)


def test_no_metadata_is_made_up(tmp_path: Path) -> None:
    for suffix in ("png", "tif", "webp", "bmp", "jpg"):
        metadata = read(write(Picture.from_array(grey()), tmp_path / f"a.{suffix}")).metadata
        assert metadata.exif is None
        assert metadata.icc is None
        assert metadata.dpi is None or suffix == "bmp"


@pytest.mark.parametrize("endian", ["<", ">"])
@pytest.mark.parametrize("target", ["tif", "png", "webp", "jpg"])
def test_exif_of_a_jpeg_reaches_every_format(endian: str, target: str) -> None:
    source = camera_exif(orientation=1, endian=endian)
    picture = read_bytes(jpeg_with(source))
    expected = parsed(source)
    del expected["page"][ORIENTATION]
    assert parsed(picture.metadata.exif) == expected
    assert parsed(read_bytes(encode(picture, target)).metadata.exif) == expected


def test_each_page_keeps_its_own_metadata() -> None:
    first, second = carrier(), Picture.from_array(grey())
    third = carrier("float32", 1)
    pages = read_pages_bytes(encode_pages([first, second, third], "TIFF"))
    assert parsed(pages[0].metadata.exif) == parsed(first.metadata.exif)
    assert pages[1].metadata == Metadata()
    assert parsed(pages[2].metadata.exif) == parsed(first.metadata.exif)
    assert pages[2].metadata.icc == ICC


def test_text_that_is_not_ascii_survives_in_tiff() -> None:
    text = "José Ångström\0".encode()
    block = b"II*\0\x08\0\0\0" + write_directory({ARTIST: (2, text)}, 8)
    picture = replace(Picture.from_array(grey()), metadata=Metadata(exif=block))
    again = read_bytes(encode(picture, "TIFF")).metadata.exif
    assert again == block


def test_exif_beyond_a_jpeg_segment_is_left_out() -> None:
    block = b"II*\0\x08\0\0\0" + write_directory({MAKER_NOTE: (7, bytes(70_000))}, 8)
    picture = replace(Picture.from_array(grey()), metadata=Metadata(exif=block, dpi=(96.0, 96.0)))
    assert read_bytes(encode(picture, "JPEG")).metadata == Metadata(dpi=(96.0, 96.0))
    assert read_bytes(encode(picture, "PNG")).metadata.exif == block


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("endian", ["<", ">"])
def test_orientation_is_applied_and_dropped(orientation: int, endian: str) -> None:
    data = jpeg_with(camera_exif(orientation, endian))
    picture = read_bytes(data)
    with Image.open(io.BytesIO(data)) as image:
        upright = np.asarray(ImageOps.exif_transpose(image))
    np.testing.assert_array_equal(picture.to_array(), upright)
    assert ORIENTATION not in parsed(picture.metadata.exif)["page"]
    assert parsed(picture.metadata.exif)["page"][MAKE] == "Konica"
    assert parsed(picture.metadata.exif)["exif"][LENS] == "50mm"
    assert picture.metadata.dpi == ((150.0, 300.0) if orientation >= 5 else (300.0, 150.0))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(
    ("file_format", "dtype"), [("PNG", "uint8"), ("PNG", "uint16"), ("WEBP", "uint8"), ("TIFF", "uint16")]
)
def test_orientation_in_other_formats(orientation: int, file_format: str, dtype: str) -> None:
    array = np.arange(36, dtype=dtype).reshape(3, 4, 3)
    exif = camera_exif(orientation)[6:]
    if file_format == "TIFF":
        buffer = io.BytesIO()
        tifffile.imwrite(buffer, array, photometric="rgb", extratags=[(ORIENTATION, 3, 1, orientation, True)])
        data = buffer.getvalue()
    else:
        data = encode(replace(Picture.from_array(array), metadata=Metadata(exif=exif)), file_format)
    picture = read_bytes(data)
    np.testing.assert_array_equal(picture.to_array(), apply_orientation(array, orientation))
    again = read_bytes(encode(picture, file_format))
    np.testing.assert_array_equal(again.to_array(), picture.to_array())


def test_alpha_is_turned_too() -> None:
    array = np.arange(24, dtype=np.uint16).reshape(3, 4, 2)
    picture = replace(Picture.from_array(array), metadata=Metadata(exif=camera_exif(6)[6:]))
    again = read_bytes(encode(picture, "PNG"))
    np.testing.assert_array_equal(again.to_array(), np.rot90(array, -1))


def test_cleaning_leaves_every_other_byte_in_place() -> None:
    block = camera_exif(8)[6:]
    cleaned, orientation = clean_exif(block)
    assert orientation == 8
    assert cleaned is not None
    assert len(cleaned) == len(block)
    directory_end = 8 + 2 + 12 * struct.unpack_from("<H", block, 8)[0] + 4
    assert cleaned[directory_end:] == block[directory_end:]


def test_cleaning_unlinks_the_thumbnail() -> None:
    thumbnail = write_directory({256: (4, struct.pack("<I", 9))}, 64)
    first = bytearray(write_directory({MAKE: (2, b"A\0")}, 8))
    first[-4:] = struct.pack("<I", 64)
    block = (b"II*\0\x08\0\0\0" + bytes(first)).ljust(64, b"\0") + thumbnail
    exif = Image.Exif()
    exif.load(block)
    assert exif.get_ifd(ExifTags.IFD.IFD1) == {256: 9}
    cleaned, orientation = clean_exif(block)
    assert orientation == 1
    assert cleaned is not None
    assert struct.unpack_from("<I", cleaned, 8 + 2 + 12)[0] == 0
    assert cleaned[64:] == thumbnail


@pytest.mark.parametrize("value", [0, 9, 60_000])
def test_a_meaningless_orientation_is_upright(value: int) -> None:
    block = b"II*\0\x08\0\0\0" + write_directory({MAKE: (2, b"A\0"), ORIENTATION: (3, struct.pack("<H", value))}, 8)
    cleaned, orientation = clean_exif(block)
    assert orientation == 1
    assert cleaned is not None
    assert set(read_directory(cleaned, 8, "<")) == {MAKE}


@given(st.binary(max_size=60) | st.binary(max_size=60).map(lambda tail: b"II*\0" + tail))
def test_cleaning_never_fails(block: bytes) -> None:
    _, orientation = clean_exif(block)
    assert 1 <= orientation <= 8


@given(st.binary(max_size=80).map(lambda tail: b"MM\0*\0\0\0\x08" + tail))
def test_damaged_exif_never_prevents_writing(block: bytes) -> None:
    picture = replace(Picture.from_array(grey()), metadata=Metadata(exif=block))
    for file_format in ("TIFF", "PNG"):
        np.testing.assert_array_equal(read_bytes(encode(picture, file_format)).to_array(), grey())


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("big", [False, True])
def test_directories_of_either_byte_order_and_size(order: str, big: bool) -> None:
    count, entry, pointer = ("Q", "HHQ", "Q") if big else ("H", "HHI", "I")
    width = struct.calcsize(pointer)
    long_value = 2 + struct.calcsize(order + count) + 2 * (4 + 2 * width)
    data = b"\0\0" + struct.pack(order + count, 2)
    data += struct.pack(order + entry, 18246, 3, 1) + struct.pack(order + "H", 5).ljust(width, b"\0")
    data += struct.pack(order + entry, EXPOSURE_TIME, 5, 2) + struct.pack(order + pointer, long_value)
    data += struct.pack(order + "4I", 1, 125, 3, 4)
    directory = read_directory(data, 2, order, big=big)
    assert directory == {18246: (3, struct.pack("<H", 5)), EXPOSURE_TIME: (5, struct.pack("<4I", 1, 125, 3, 4))}
    assert read_directory(bytes(8) + write_directory(directory, 8), 8, "<") == directory


def test_a_directory_that_points_to_itself() -> None:
    data = bytes(8) + struct.pack("<HHHII", 1, EXIF, 4, 1, 8)
    assert read_directory(data, 8, "<") == {EXIF: {EXIF: {}}}


def test_storage_notes_of_tifffile_are_not_exif() -> None:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, grey(), software="scope 1.0")
    exif = read_bytes(buffer.getvalue()).metadata.exif
    assert parsed(exif)["page"] == {SOFTWARE: "scope 1.0"}


@pytest.mark.parametrize(("unit", "factor"), [("inch", 1.0), ("centimeter", 2.54)])
def test_resolution_units_of_tiff(unit: str, factor: float) -> None:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, grey(), resolution=(100, 200), resolutionunit=unit)
    assert read_bytes(buffer.getvalue()).metadata.dpi == pytest.approx((100 * factor, 200 * factor))


@pytest.mark.parametrize("pair", [(0, 72), (-1, 1), (float("nan"), 1), (float("inf"), 1), (None, None), ("x", 1)])
def test_meaningless_resolutions(pair: tuple[object, object]) -> None:
    assert resolution(*pair) is None


def test_exif_prefixes_are_removed() -> None:
    assert exif_block(b"Exif\0\0II*\0") == b"II*\0"
    assert exif_block(b"Exif\0\0Exif\0\0MM") == b"MM"
    assert exif_block(b"Exif\0\0") is None
    assert exif_block(None) is None
