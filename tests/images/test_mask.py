from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from restore.errors import InputError
from restore.images import hidden_fraction, mask_from_array, read_mask

HOLE = np.zeros((12, 16), dtype=bool)
HOLE[3:9, 4:8] = True


def saved(tmp_path: Path, image: Image.Image, name: str = "mask.png", **options: Any) -> Path:
    image.save(tmp_path / name, **options)
    return tmp_path / name


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA", "I;16", "CMYK"])
@pytest.mark.parametrize("invert", [False, True])
def test_white_is_the_hole_in_every_mode(tmp_path: Path, mode: str, invert: bool) -> None:
    image = Image.fromarray(np.where(HOLE, 255, 0).astype(np.uint8))
    image = image.convert("RGB").convert(mode) if mode == "CMYK" else image.convert(mode)
    mask = read_mask(saved(tmp_path, image, "mask.tif" if mode == "CMYK" else "mask.png"), HOLE.shape, invert=invert)
    assert mask.dtype == np.bool_
    np.testing.assert_array_equal(mask, HOLE ^ invert)


@pytest.mark.parametrize("name", ["mask.png", "mask.tif", "mask.bmp", "mask.webp"])
@pytest.mark.parametrize("level", [1, 100, 255])
def test_whatever_is_not_black_is_the_hole_in_exact_formats(tmp_path: Path, name: str, level: int) -> None:
    image = Image.fromarray(np.where(HOLE, level, 0).astype(np.uint8))
    options = {"lossless": True} if name.endswith("webp") else {}
    np.testing.assert_array_equal(read_mask(saved(tmp_path, image, name, **options), HOLE.shape), HOLE)


@pytest.mark.parametrize("colour", [(255, 0, 0), (0, 3, 0), (10, 20, 30)])
def test_any_colour_is_the_hole(tmp_path: Path, colour: tuple[int, int, int]) -> None:
    array = np.zeros((*HOLE.shape, 3), dtype=np.uint8)
    array[HOLE] = colour
    np.testing.assert_array_equal(read_mask(saved(tmp_path, Image.fromarray(array)), HOLE.shape), HOLE)


@pytest.mark.parametrize("quality", [20, 75, 95])
def test_lossy_masks_begin_at_half_the_range(tmp_path: Path, quality: int) -> None:
    hole = np.roll(HOLE.repeat(8, 0).repeat(8, 1), (3, 5), axis=(0, 1))
    image = Image.fromarray(np.where(hole, 255, 0).astype(np.uint8))
    path = saved(tmp_path, image, "mask.jpg", quality=quality)
    with Image.open(path) as lossy:
        assert ((np.asarray(lossy) > 0) != hole).any()  # it does ring
    np.testing.assert_array_equal(read_mask(path, hole.shape), hole)


@pytest.mark.parametrize("level", [127, 128])
def test_the_threshold_of_lossy_masks(tmp_path: Path, level: int) -> None:
    array = np.full((16, 16), level, dtype=np.uint8)
    array[:, 8:] = 255 - level
    mask = read_mask(saved(tmp_path, Image.fromarray(array), "mask.jpg", quality=100), (16, 16))
    np.testing.assert_array_equal(mask, array >= 128)


@pytest.mark.parametrize("colour", [0, 255, 77])
def test_strokes_on_a_transparent_layer(tmp_path: Path, colour: int) -> None:
    array = np.full((*HOLE.shape, 4), colour, dtype=np.uint8)
    array[..., 3] = np.where(HOLE, 255, 0)
    np.testing.assert_array_equal(read_mask(saved(tmp_path, Image.fromarray(array)), HOLE.shape), HOLE)
    np.testing.assert_array_equal(mask_from_array(array, HOLE.shape), HOLE)


def test_red_strokes_on_transparent_white(tmp_path: Path) -> None:
    array = np.full((*HOLE.shape, 4), 255, dtype=np.uint8)
    array[HOLE] = [255, 0, 0, 200]
    array[~HOLE, 3] = 0
    np.testing.assert_array_equal(read_mask(saved(tmp_path, Image.fromarray(array)), HOLE.shape), HOLE)


def test_an_opaque_alpha_channel_does_not_matter(tmp_path: Path) -> None:
    array = np.zeros((*HOLE.shape, 4), dtype=np.uint8)
    array[..., 3] = 255
    with pytest.raises(InputError, match="hides nothing"):
        read_mask(saved(tmp_path, Image.fromarray(array)), HOLE.shape)
    array[HOLE, :3] = 255
    np.testing.assert_array_equal(read_mask(saved(tmp_path, Image.fromarray(array), "b.png"), HOLE.shape), HOLE)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int16", "uint16"])
def test_masks_in_tiff(tmp_path: Path, dtype: str) -> None:
    path = tmp_path / "mask.tif"
    array = np.where(HOLE, 1, 0).astype(dtype)
    if dtype in ("float32", "int16"):
        array[HOLE] = -1
    tifffile.imwrite(path, array)
    np.testing.assert_array_equal(read_mask(path, HOLE.shape), HOLE)


def test_nan_is_the_hole(tmp_path: Path) -> None:
    array = np.where(HOLE, np.nan, 0.0)
    tifffile.imwrite(tmp_path / "mask.tif", array.astype(np.float32))
    np.testing.assert_array_equal(read_mask(tmp_path / "mask.tif", HOLE.shape), HOLE)
    np.testing.assert_array_equal(mask_from_array(array, HOLE.shape), HOLE)


def test_orientation_applies_to_masks_too(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[274] = 6
    path = saved(tmp_path, Image.fromarray(np.where(HOLE, 255, 0).astype(np.uint8)), exif=exif)
    np.testing.assert_array_equal(read_mask(path, HOLE.shape[::-1]), np.rot90(HOLE, -1))


@pytest.mark.parametrize("dtype", [bool, "uint8", "int64", "float64"])
@pytest.mark.parametrize("channels", [None, 1, 3])
@pytest.mark.parametrize("invert", [False, True])
def test_masks_from_arrays(dtype: Any, channels: int | None, invert: bool) -> None:
    array = HOLE.astype(dtype)
    if channels:
        array = np.stack([array] * channels, axis=-1)
    mask = mask_from_array(array, HOLE.shape, invert=invert)
    np.testing.assert_array_equal(mask, HOLE ^ invert)
    assert mask.dtype == np.bool_


def test_masks_from_arrays_are_copies() -> None:
    array = HOLE.copy()
    mask = mask_from_array(array, HOLE.shape)
    mask[:] = True
    np.testing.assert_array_equal(array, HOLE)


def test_negative_values_are_not_black() -> None:
    assert mask_from_array([[0, -1]], (1, 2)).tolist() == [[False, True]]


@pytest.mark.parametrize("invert", [False, True])
def test_masks_that_hide_nothing_or_everything(tmp_path: Path, invert: bool) -> None:
    nothing, everything = np.full((4, 4), invert), np.full((4, 4), not invert)
    for array, message in ((nothing, "hides nothing"), (everything, "hides the whole picture")):
        with pytest.raises(InputError, match=message):
            mask_from_array(array, (4, 4), invert=invert)
        with pytest.raises(InputError, match=message):
            read_mask(saved(tmp_path, Image.fromarray(array)), (4, 4), invert=invert)


def test_a_mask_of_another_size(tmp_path: Path) -> None:
    path = saved(tmp_path, Image.fromarray(HOLE))
    with pytest.raises(InputError, match=r"16x12.*64x32"):
        read_mask(path, (32, 64))
    with pytest.raises(InputError, match=r"16x12.*12x16"):
        mask_from_array(HOLE, (16, 12))


def test_masks_that_are_no_pictures(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_mask(tmp_path / "none.png", (4, 4))
    with pytest.raises(InputError, match="shape"):
        mask_from_array(np.zeros((4, 4, 7)), (4, 4))
    with pytest.raises(InputError, match="holds"):
        mask_from_array(np.array([["a"]]), (1, 1))


def test_hidden_fraction() -> None:
    assert hidden_fraction(HOLE) == HOLE.sum() / HOLE.size
    assert hidden_fraction(~HOLE) > 0.5
