from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from restore.errors import InputError
from restore.images import MAX_PIXELS, Metadata, Picture


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_every_integer_level_survives(dtype: type) -> None:
    levels = np.arange(np.iinfo(dtype).max + 1, dtype=dtype).reshape(16, -1)
    picture = Picture.from_array(levels)
    assert picture.pixels.dtype == np.float32
    assert picture.pixels.min() == 0.0
    assert picture.pixels.max() == 1.0
    assert picture.to_array().dtype == dtype
    np.testing.assert_array_equal(picture.to_array(), levels)
    np.testing.assert_array_equal(picture.quantised(), picture.pixels)


@pytest.mark.parametrize(
    ("shape", "channels", "alpha"),
    [((5, 4), 1, False), ((5, 4, 1), 1, False), ((5, 4, 2), 1, True), ((5, 4, 3), 3, False), ((5, 4, 4), 3, True)],
)
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_layouts(shape: tuple[int, ...], channels: int, alpha: bool, dtype: str) -> None:
    array = np.random.default_rng(0).integers(0, 200, shape).astype(dtype)
    picture = Picture.from_array(array)
    assert picture.pixels.shape == (channels, 5, 4)
    assert (picture.channels, picture.height, picture.width, picture.size) == (channels, 5, 4, (5, 4))
    assert picture.dtype == dtype
    assert picture.mode == ("grey" if channels == 1 else "RGB")
    assert (picture.alpha is not None) == alpha
    if picture.alpha is not None:
        np.testing.assert_array_equal(picture.alpha, array[..., -1])
    np.testing.assert_array_equal(picture.to_array(), array.squeeze())


def test_from_array_copies_its_input() -> None:
    array = np.full((3, 3), 7.0, dtype=np.float32)
    picture = Picture.from_array(array)
    array[:] = -1.0
    assert (picture.to_array() == 7.0).all()


@pytest.mark.parametrize(
    ("array", "dtype", "values", "note"),
    [
        (np.array([[False, True]]), "uint8", [[0, 255]], ""),
        (np.array([[0.25, 1.0]], dtype=np.float64), "float32", [[0.25, 1.0]], "float64"),
        (np.array([[0.25, 1.0]], dtype=np.float16), "float32", [[0.25, 1.0]], "float16"),
        (np.array([[-7, 300]], dtype=np.int16), "float32", [[-7.0, 300.0]], "int16"),
        (np.array([[0, 2**20]], dtype=np.uint32), "float32", [[0.0, 2.0**20]], "uint32"),
        (np.array([[3, 60_000]], dtype=">u2"), "uint16", [[3, 60_000]], ""),
    ],
)
def test_other_dtypes_are_mapped(array: np.ndarray, dtype: str, values: list[list[float]], note: str) -> None:
    picture = Picture.from_array(array)
    assert picture.dtype == dtype
    assert picture.dtype.isnative
    assert picture.to_array().tolist() == values
    assert picture.notes == ((f"{note} values are kept as float32",) if note else ())


def test_floats_in_the_unit_interval_are_taken_as_they_are() -> None:
    array = np.array([[0.2, 0.4]], dtype=np.float32)
    picture = Picture.from_array(array)
    assert (picture.offset, picture.scale) == (0.0, 1.0)
    np.testing.assert_array_equal(picture.pixels[0], array)


def test_other_floats_are_mapped_onto_it_and_not_clipped_on_the_way_back() -> None:
    picture = Picture.from_array(np.array([[-100.0, 0.0, 300.0]], dtype=np.float32))
    assert (picture.offset, picture.scale) == (-100.0, 400.0)
    np.testing.assert_allclose(picture.pixels, [[[0.0, 0.25, 1.0]]])
    wide = picture.with_pixels(np.array([[[-0.5, 0.5, 2.0]]]))
    assert wide.to_array().tolist() == [[-300.0, 100.0, 700.0]]
    np.testing.assert_allclose(wide.quantised(), wide.pixels)


def test_constant_floats_outside_the_unit_interval() -> None:
    picture = Picture.from_array(np.full((2, 2), 42.0, dtype=np.float32))
    assert np.isfinite(picture.pixels).all()
    assert (picture.to_array() == 42.0).all()


@settings(max_examples=50, deadline=None)
@given(hnp.arrays(np.float32, (3, 4), elements=st.floats(-(2.0**100), 2.0**100, width=32)))
def test_unchanged_floats_come_back_bit_for_bit(array: np.ndarray) -> None:
    picture = Picture.from_array(array)
    assert 0.0 <= picture.pixels.min() <= picture.pixels.max() <= 1.0
    np.testing.assert_array_equal(picture.to_array(), array)


def test_only_changed_floats_change() -> None:
    array = np.array([[1e-6, -3e7, 5.25, 8e6]], dtype=np.float32)
    picture = Picture.from_array(array)
    pixels = picture.pixels.copy()
    pixels[0, 0, 2] = 0.5
    after = picture.with_pixels(pixels).to_array()
    assert after[0, [0, 1, 3]].tolist() == array[0, [0, 1, 3]].tolist()
    assert after[0, 2] == pytest.approx(0.5 * (8e6 + 3e7) - 3e7)


def test_integers_are_rounded_and_clipped() -> None:
    picture = Picture.from_array(np.zeros((1, 4), dtype=np.uint8)).with_pixels(
        [[[-0.2, 0.4999 / 255, 0.501 / 255, 1.7]]]
    )
    assert picture.to_array().tolist() == [[0, 0, 1, 255]]
    np.testing.assert_array_equal(picture.quantised(), Picture.from_array(picture.to_array()).pixels)


def test_pixels_that_are_not_finite() -> None:
    array = np.array([[[0.0, 10.0, 20.0], [np.nan, 30.0, 40.0]], [[np.inf, np.nan, 2.0], [4.0, 5.0, -6.0]]])
    picture = Picture.from_array(array)
    assert picture.invalid is not None
    assert picture.invalid.tolist() == [[False, True], [True, False]]
    assert np.isfinite(picture.pixels).all()
    assert np.isfinite(picture.to_array()).all()
    finite = np.isfinite(array)
    np.testing.assert_array_equal(picture.to_array()[finite], array[finite])
    assert picture.to_array()[0, 1, 0] == pytest.approx(2.0)  # the mean of 0 and 4
    assert (picture.offset, picture.offset + picture.scale) == (-6.0, 40.0)
    assert any("2 of 4 pixels are not finite" in note for note in picture.notes)


def test_finite_data_has_no_invalid_pixels() -> None:
    assert Picture.from_array(np.ones((2, 2))).invalid is None


def test_float64_beyond_float32_is_not_finite() -> None:
    picture = Picture.from_array(np.array([[1e300, 1.0]]))
    assert picture.invalid is not None
    assert picture.invalid.tolist() == [[True, False]]


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((3, 5, 5)), "move the channels"),
        (np.zeros((5, 5, 5)), "shape"),
        (np.zeros(5), "shape"),
        (np.zeros((0, 5)), "no pixels"),
        (np.zeros((5, 0, 3)), "no pixels"),
        (np.zeros((2, 2), dtype=complex), "complex128"),
        (np.array([["a", "b"]]), "integers, floats or bools"),
        (np.full((2, 2), np.nan), "no finite pixel"),
        (np.array([[[np.nan, 1.0, 1.0], [1.0, np.inf, 1.0]]]), "no finite pixel"),
    ],
)
def test_arrays_that_are_no_picture(array: np.ndarray, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Picture.from_array(array)


def test_arrays_beyond_the_limit() -> None:
    huge = np.broadcast_to(np.uint8(0), (MAX_PIXELS, 2))
    with pytest.raises(InputError, match="limit"):
        Picture.from_array(huge)


def test_with_pixels_keeps_the_rest() -> None:
    picture = Picture.from_array(np.zeros((2, 3, 4), dtype=np.uint16))
    after = picture.with_pixels(np.ones((3, 2, 3), dtype=np.float64))
    assert after.pixels.dtype == np.float32
    assert after.dtype == np.uint16
    assert after.alpha is picture.alpha
    assert (after.to_array()[..., :3] == 65535).all()
    assert (after.to_array()[..., 3] == 0).all()


def test_with_pixels_checks() -> None:
    picture = Picture.from_array(np.zeros((2, 3), dtype=np.uint8))
    with pytest.raises(InputError, match=r"\(3, 2, 3\).*\(1, 2, 3\)"):
        picture.with_pixels(np.zeros((3, 2, 3)))
    with pytest.raises(InputError, match="finite"):
        picture.with_pixels(np.full((1, 2, 3), np.nan))


def test_the_constructor_checks() -> None:
    pixels = np.zeros((1, 2, 3), dtype=np.float32)
    with pytest.raises(InputError, match="float32 of shape"):
        Picture(pixels=pixels[0], dtype=np.dtype(np.uint8), mode="grey")
    with pytest.raises(InputError, match="int32"):
        Picture(pixels=pixels, dtype=np.dtype(np.int32), mode="grey")
    with pytest.raises(InputError, match="alpha must be uint8"):
        Picture(pixels=pixels, dtype=np.dtype(np.uint8), mode="grey", alpha=np.zeros((2, 3), dtype=np.uint16))


def test_the_representation_is_short() -> None:
    picture = Picture.from_array(np.zeros((200, 300), dtype=np.uint8))
    assert len(repr(picture)) < 400
    assert repr(Metadata(exif=bytes(1000), dpi=(72.0, 72.0))) == "Metadata(exif=1000 bytes, dpi=(72.0, 72.0))"
