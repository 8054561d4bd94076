from __future__ import annotations

import io
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from restore.images import Picture, encode, encode_pages, read, read_bytes, read_pages, write, write_pages

LAYOUTS = {"grey": (), "grey+alpha": (2,), "RGB": (3,), "RGB+alpha": (4,)}
LOSSLESS = [
    *[
        (suffix, dtype, layout)
        for suffix in ("tif", "tiff")
        for dtype in ("uint8", "uint16", "float32")
        for layout in LAYOUTS
    ],
    *[("png", dtype, layout) for dtype in ("uint8", "uint16") for layout in LAYOUTS],
    *[("bmp", "uint8", layout) for layout in ("grey", "RGB")],
    *[("webp", "uint8", layout) for layout in ("RGB", "RGB+alpha")],
]


def sample(dtype: str, layout: str, size: tuple[int, int] = (7, 5)) -> np.ndarray:
    rng = np.random.default_rng(1)
    shape = size + LAYOUTS[layout]
    if dtype == "float32":
        return rng.normal(10.0, 1000.0, shape).astype(np.float32)
    array = rng.integers(0, np.iinfo(dtype).max + 1, shape).astype(dtype)
    if layout.endswith("alpha"):
        array[0, :, -1] = 0  # colours under transparency must survive too
    return array


@pytest.mark.parametrize(("suffix", "dtype", "layout"), LOSSLESS)
@pytest.mark.parametrize("size", [(7, 5), (1, 1), (1, 9)])
def test_lossless_formats_give_the_same_picture_back(
    tmp_path: Path, suffix: str, dtype: str, layout: str, size: tuple[int, int]
) -> None:
    array = sample(dtype, layout, size)
    path = write(Picture.from_array(array), tmp_path / f"a.{suffix}")
    again = read(path)
    assert again.dtype == dtype
    assert again.mode == layout.removesuffix("+alpha")
    assert (again.alpha is not None) == layout.endswith("alpha")
    assert again.pixels.dtype == np.float32
    np.testing.assert_array_equal(again.to_array(), array)
    np.testing.assert_array_equal(again.pixels, Picture.from_array(array).quantised())
    assert (again.lossy, again.path, again.page) == (False, path, 0)
    assert again.notes == ()


@pytest.mark.parametrize(("suffix", "dtype", "layout"), [entry for entry in LOSSLESS if entry[1] != "float32"])
def test_other_programs_read_the_same(tmp_path: Path, suffix: str, dtype: str, layout: str) -> None:
    array = sample(dtype, layout)
    path = write(Picture.from_array(array), tmp_path / f"a.{suffix}")
    if dtype == "uint8":
        with Image.open(path) as image:
            assert image.mode == {"grey": "L", "grey+alpha": "LA", "RGB": "RGB", "RGB+alpha": "RGBA"}[layout]
            np.testing.assert_array_equal(np.asarray(image), array)
    elif suffix == "png":
        np.testing.assert_array_equal(imagecodecs.png_decode(path.read_bytes()), array)
    else:
        np.testing.assert_array_equal(tifffile.imread(path), array)


def test_grey_float_tiff_is_readable_by_pillow(tmp_path: Path) -> None:
    array = sample("float32", "grey")
    with Image.open(write(Picture.from_array(array), tmp_path / "a.tif")) as image:
        assert image.mode == "F"
        np.testing.assert_array_equal(np.asarray(image), array)


def test_grey_16_bit_png_is_readable_by_pillow(tmp_path: Path) -> None:
    array = sample("uint16", "grey")
    with Image.open(write(Picture.from_array(array), tmp_path / "a.png")) as image:
        np.testing.assert_array_equal(np.asarray(image).astype(np.uint16), array)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    array=hnp.arrays(
        np.uint16,
        hnp.array_shapes(min_dims=2, max_dims=2, max_side=9).map(lambda s: (*s, 3)),
        elements=st.integers(0, 65535),
    )
)
def test_any_16_bit_rgb_png(array: np.ndarray) -> None:
    picture = read_bytes(encode(Picture.from_array(array), "PNG"), "a.png")
    assert picture.dtype == np.uint16
    np.testing.assert_array_equal(picture.to_array(), array)


@pytest.mark.parametrize("layout", ["grey", "RGB"])
def test_jpeg_is_close_and_without_chroma_subsampling(tmp_path: Path, layout: str) -> None:
    rows, columns = np.mgrid[0:64, 0:64]
    array = np.stack([2 * rows + 60, 2 * columns + 40, 190 - rows - columns], axis=-1).astype(np.uint8)
    array[:, 32:33] = [250, 20, 20]  # one saturated column, which 4:2:0 smears
    array = array if layout == "RGB" else array[..., 0]
    path = write(Picture.from_array(array), tmp_path / "a.jpg")
    again = read(path)
    assert again.lossy
    assert again.mode == layout
    assert np.abs(again.to_array().astype(int) - array).mean() < 2.0
    if layout == "RGB":
        assert np.abs(again.to_array()[:, 32].astype(int) - [250, 20, 20]).mean() < 12
        with Image.open(path) as image:
            assert [component[1:3] for component in image.layer] == [(1, 1)] * 3  # type: ignore[attr-defined]


def test_jpeg_quality_is_the_callers() -> None:
    picture = Picture.from_array(sample("uint8", "RGB", (64, 64)))
    assert len(encode(picture, "JPEG", quality=20)) < len(encode(picture, "JPEG"))
    reference = io.BytesIO()
    Image.fromarray(picture.to_array()).save(reference, "JPEG", quality=95, subsampling=0)
    with Image.open(reference) as wanted, Image.open(io.BytesIO(encode(picture, "JPEG"))) as got:
        assert got.quantization == wanted.quantization  # type: ignore[attr-defined]


def test_grey_webp_comes_back_as_rgb(tmp_path: Path) -> None:
    array = sample("uint8", "grey")
    again = read(write(Picture.from_array(array), tmp_path / "a.webp"))
    np.testing.assert_array_equal(again.to_array(), np.stack([array] * 3, axis=-1))


@pytest.mark.parametrize(("options", "lossy"), [({"lossless": True}, False), ({"quality": 90}, True)])
@pytest.mark.parametrize("alpha", [False, True])
@pytest.mark.parametrize("exif", [False, True])
def test_lossy_webp_is_recognised(options: dict[str, object], lossy: bool, alpha: bool, exif: bool) -> None:
    buffer = io.BytesIO()
    extra = {"exif": b"Exif\0\0MM\0*\0\0\0\x08\0\0\0\0\0\0"} if exif else {}
    Image.fromarray(sample("uint8", "RGB+alpha" if alpha else "RGB")).save(buffer, "WEBP", **options, **extra)
    assert read_bytes(buffer.getvalue()).lossy is lossy


@pytest.mark.parametrize("file_format", ["PNG", "TIFF"])
def test_bytes_and_files_are_the_same(tmp_path: Path, file_format: str) -> None:
    picture = Picture.from_array(sample("uint16", "RGB+alpha"))
    path = write(picture, tmp_path / f"a.{file_format.lower()}")
    data = encode(picture, file_format)
    assert path.read_bytes() == data
    assert read_bytes(data).path is None
    np.testing.assert_array_equal(read_bytes(data).to_array(), read(path).to_array())


def test_pages_of_a_tiff_are_pictures(tmp_path: Path) -> None:
    arrays = [
        sample("uint8", "RGB"),
        sample("uint16", "grey", (4, 9)),
        sample("float32", "grey+alpha"),
        sample("uint8", "grey"),
    ]
    pictures = [Picture.from_array(array) for array in arrays]
    path = write_pages(pictures, tmp_path / "a.tif")
    again = read_pages(path)
    assert [picture.page for picture in again] == [0, 1, 2, 3]
    assert all(picture.path == path for picture in again)
    for picture, array in zip(again, arrays, strict=True):
        assert picture.dtype == array.dtype
        np.testing.assert_array_equal(picture.to_array(), array)
    assert encode_pages(pictures, "TIFF") == path.read_bytes()


def test_read_pages_of_one_picture(tmp_path: Path) -> None:
    path = write(Picture.from_array(sample("uint8", "grey")), tmp_path / "a.png")
    assert len(read_pages(path)) == 1


def test_a_large_noisy_jpeg_at_the_highest_quality() -> None:
    noise = np.random.default_rng(5).integers(0, 256, (300, 400, 3)).astype(np.uint8)
    picture = read_bytes(encode(Picture.from_array(noise), "JPEG", quality=100))
    assert np.abs(picture.to_array().astype(int) - noise).mean() < 2.0
