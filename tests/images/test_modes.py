"""What other programs write, in every layout that is not plain grey or RGB."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import imagecodecs
import numpy as np
import pytest
from PIL import Image, ImageCms

from restore.errors import InputError
from restore.images import Picture, from_pillow, read_bytes

RNG = np.random.default_rng(2)
RGB = RNG.integers(0, 256, (6, 8, 3)).astype(np.uint8)


def encoded(image: Image.Image, file_format: str, **options: Any) -> Picture:
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    return read_bytes(buffer.getvalue(), f"a.{file_format.lower()}")


@pytest.mark.parametrize("file_format", ["PNG", "BMP", "TIFF", "GIF"])
def test_palette_becomes_rgb(file_format: str) -> None:
    image = Image.fromarray(RGB).quantize(6)
    picture = encoded(image, file_format)
    np.testing.assert_array_equal(picture.to_array(), np.asarray(image.convert("RGB")))
    assert picture.mode == "palette"
    assert picture.alpha is None
    assert picture.dtype == np.uint8
    assert "palette" in picture.notes[0]


@pytest.mark.parametrize("file_format", ["PNG", "TIFF"])
def test_a_palette_of_greys_becomes_grey(file_format: str) -> None:
    image = Image.fromarray(RNG.integers(0, 5, (6, 8)).astype(np.uint8), mode="P")
    image.putpalette([value for level in (9, 200, 40, 41, 0) for value in (level,) * 3])
    picture = encoded(image, file_format)
    assert picture.channels == 1
    assert picture.mode == "palette"
    np.testing.assert_array_equal(picture.to_array(), np.asarray(image.convert("L")))


@pytest.mark.parametrize("transparency", [1, bytes([255, 0, 128, 255, 7, 255])])
def test_palette_transparency_becomes_alpha(transparency: int | bytes) -> None:
    image = Image.fromarray(RGB).quantize(6)
    picture = encoded(image, "PNG", transparency=transparency)
    indices = np.asarray(image)
    table = np.full(256, 255)
    if isinstance(transparency, int):
        table[transparency] = 0
    else:
        table[: len(transparency)] = list(transparency)
    assert picture.alpha is not None
    np.testing.assert_array_equal(picture.alpha, table[indices])
    np.testing.assert_array_equal(picture.to_array()[..., :3], np.asarray(image.convert("RGB")))


def test_grey_palette_with_transparency() -> None:
    image = Image.fromarray(RNG.integers(0, 3, (6, 8)).astype(np.uint8), mode="P")
    image.putpalette([0, 0, 0, 90, 90, 90, 255, 255, 255])
    picture = encoded(image, "PNG", transparency=1)
    assert picture.to_array().shape == (6, 8, 2)
    np.testing.assert_array_equal(picture.to_array()[..., 0], np.array([0, 90, 255])[np.asarray(image)])
    np.testing.assert_array_equal(picture.to_array()[..., 1], np.where(np.asarray(image) == 1, 0, 255))


@pytest.mark.parametrize("file_format", ["PNG", "BMP", "TIFF"])
def test_one_bit_becomes_grey(file_format: str) -> None:
    bits = RNG.random((6, 11)) < 0.5
    picture = encoded(Image.fromarray(bits), file_format)
    assert picture.mode == "bilevel"
    assert picture.dtype == np.uint8
    np.testing.assert_array_equal(picture.to_array(), np.where(bits, 255, 0))
    assert "1-bit" in picture.notes[0]


def test_a_transparent_colour_becomes_alpha() -> None:
    picture = encoded(Image.fromarray(RGB), "PNG", transparency=tuple(int(value) for value in RGB[2, 3]))
    assert picture.alpha is not None
    np.testing.assert_array_equal(picture.alpha == 0, (RGB[2, 3] == RGB).all(axis=-1))
    np.testing.assert_array_equal(picture.to_array()[..., :3], RGB)


def test_a_transparent_grey_becomes_alpha() -> None:
    grey = RGB[..., 0]
    picture = encoded(Image.fromarray(grey), "PNG", transparency=int(grey[0, 0]))
    np.testing.assert_array_equal(picture.to_array()[..., 0], grey)
    np.testing.assert_array_equal(picture.to_array()[..., 1], np.where(grey == grey[0, 0], 0, 255))


@pytest.mark.parametrize("channels", [1, 3])
def test_a_transparent_16_bit_colour_becomes_alpha(channels: int) -> None:
    array = RNG.integers(0, 65536, (6, 8, channels)).astype(np.uint16)
    data = imagecodecs.png_encode(array.squeeze())
    colour = struct.pack(f">{channels}H", *array[1, 2])
    body = b"tRNS" + colour
    chunk = struct.pack(">I", len(colour)) + body + struct.pack(">I", zlib.crc32(body))
    picture = read_bytes(data[:33] + chunk + data[33:])
    assert picture.dtype == np.uint16
    np.testing.assert_array_equal(picture.to_array()[..., :channels], array)
    assert picture.alpha is not None
    np.testing.assert_array_equal(picture.alpha, np.where((array == array[1, 2]).all(axis=-1), 0, 65535))


@pytest.mark.parametrize("file_format", ["JPEG", "TIFF"])
def test_cmyk_becomes_rgb(file_format: str) -> None:
    inks = np.full((16, 16, 4), [0, 200, 100, 50], dtype=np.uint8)
    picture = encoded(Image.frombytes("CMYK", (16, 16), inks.tobytes()), file_format)
    expected = np.rint(255 * (1 - np.array([0, 200, 100]) / 255) * (1 - 50 / 255))
    assert picture.mode == "CMYK"
    assert picture.channels == 3
    assert "CMYK" in picture.notes[0]
    assert np.abs(picture.to_array().astype(int) - expected).max() <= (2 if file_format == "JPEG" else 0)


@pytest.mark.parametrize("file_format", ["JPEG", "TIFF"])
def test_the_profile_of_the_inks_goes_with_them(file_format: str) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()  # not one of inks: not usable
    image = Image.new("CMYK", (8, 8), (10, 20, 30, 40))
    assert encoded(image, file_format, icc_profile=profile).metadata.icc is None


@pytest.mark.parametrize(("bits", "dtype"), [(1, "uint8"), (2, "uint8"), (4, "uint8")])
def test_png_of_few_bits(bits: int, dtype: str) -> None:
    levels = np.arange(2**bits, dtype=np.uint8).reshape(1, -1)
    packed = np.packbits(((levels[..., None] >> np.arange(bits)[::-1]) & 1).reshape(1, -1), axis=1)

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", levels.shape[1], 1, bits, 0, 0, 0, 0)
    pixels = zlib.compress(b"\0" + packed.tobytes())
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    picture = read_bytes(data)
    assert picture.dtype == dtype
    np.testing.assert_array_equal(picture.to_array(), levels * (255 // (2**bits - 1)))


def test_further_pictures_in_a_jpeg_are_previews() -> None:
    buffer = io.BytesIO()
    large, small = Image.fromarray(RGB.repeat(8, 0).repeat(8, 1)), Image.new("RGB", (4, 4))
    large.save(buffer, "MPO", save_all=True, append_images=[small])
    picture = read_bytes(buffer.getvalue())
    assert picture.size == (48, 64)
    assert picture.format == "JPEG"


@pytest.mark.parametrize(
    ("mode", "dtype", "channels", "alpha"),
    [
        ("1", "uint8", 1, False),
        ("L", "uint8", 1, False),
        ("LA", "uint8", 1, True),
        ("La", "uint8", 1, True),
        ("P", "uint8", 1, False),
        ("PA", "uint8", 1, True),
        ("RGB", "uint8", 3, False),
        ("RGBX", "uint8", 3, False),
        ("RGBA", "uint8", 3, True),
        ("RGBa", "uint8", 3, True),
        ("CMYK", "uint8", 3, False),
        ("YCbCr", "uint8", 3, False),
        ("HSV", "uint8", 3, False),
        ("I;16", "uint16", 1, False),
        ("I;16B", "uint16", 1, False),
        ("I", "float32", 1, False),
        ("F", "float32", 1, False),
    ],
)
def test_every_mode_of_pillow(mode: str, dtype: str, channels: int, alpha: bool) -> None:
    picture = from_pillow(Image.new(mode, (3, 2)))
    assert (picture.dtype, picture.channels, picture.size) == (np.dtype(dtype), channels, (2, 3))
    assert (picture.alpha is not None) == alpha


def test_pillow_pixels_are_taken_exactly() -> None:
    np.testing.assert_array_equal(from_pillow(Image.fromarray(RGB)).to_array(), RGB)
    deep = RNG.integers(0, 65536, (4, 5)).astype(np.uint16)
    np.testing.assert_array_equal(from_pillow(Image.fromarray(deep)).to_array(), deep)


def test_a_mode_that_is_not_supported() -> None:
    with pytest.raises(InputError, match="LAB"):
        from_pillow(Image.new("LAB", (3, 2)))
    with pytest.raises(InputError, match="no pixels"):
        from_pillow(Image.new("L", (0, 2)))
