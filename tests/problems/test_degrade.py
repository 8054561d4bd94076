from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage
from skimage import data

from restore.errors import InputError, UsageError
from restore.problems.degrade import add_gaussian_noise, apply_mask, random_mask, scratch_mask, text_mask


@pytest.mark.parametrize("shape", [(40, 30), (40, 30, 3), (1, 1)])
def test_noise_is_drawn_in_array_order_scaled_clipped_and_rounded(shape: tuple[int, ...]) -> None:
    picture = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
    expected = picture / 255 + np.random.default_rng(7).normal(0, 25 / 255, shape)
    noisy = add_gaussian_noise(picture, 25, seed=7)
    assert noisy.dtype == np.uint8
    np.testing.assert_array_equal(noisy, np.round(255 * expected.clip(0, 1)).astype(np.uint8))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint32, np.float32, np.float64])
def test_every_dtype_gives_the_same_noise(dtype: type) -> None:
    picture = data.camera()[:64, :64]
    scale = np.iinfo(dtype).max // 255 if np.issubdtype(dtype, np.integer) else 1 / 255
    same = (picture.astype(np.float64) * scale).astype(dtype)
    np.testing.assert_array_equal(add_gaussian_noise(same, 0), picture)
    difference = add_gaussian_noise(same, 30, 2).astype(int) - add_gaussian_noise(picture, 30, 2)
    assert np.abs(difference).max() <= 1


def test_noise_has_the_deviation_asked_for_and_follows_the_seed() -> None:
    grey = np.full((200, 200), 128, np.uint8)
    assert (add_gaussian_noise(grey, 25).astype(float) - 128).std() == pytest.approx(25, rel=0.02)
    assert (add_gaussian_noise(grey, 25, 3) == add_gaussian_noise(grey, 25, 3)).all()
    assert (add_gaussian_noise(grey, 25, 3) != add_gaussian_noise(grey, 25, 4)).any()
    assert add_gaussian_noise(grey, 300).min() == 0
    assert add_gaussian_noise(grey, 300).max() == 255


@pytest.mark.parametrize("sigma", [-3.0, float("nan"), float("inf")])
def test_impossible_sigma_is_a_usage_error(sigma: float) -> None:
    with pytest.raises(UsageError, match=str(sigma)):
        add_gaussian_noise(np.zeros((2, 2), np.uint8), sigma)


@pytest.mark.parametrize(
    "picture",
    [np.full((2, 2), 1.5), np.full((2, 2), np.nan), np.zeros((2, 2), np.int16), np.zeros((2, 2), bool), np.zeros(4)],
    ids=["range", "nan", "signed", "bool", "line"],
)
def test_unusable_pictures_are_input_errors(picture: np.ndarray) -> None:
    with pytest.raises(InputError):
        add_gaussian_noise(picture, 10)


def test_random_mask_is_bernoulli() -> None:
    mask = random_mask((300, 200), 0.3, seed=5)
    assert mask.shape == (300, 200)
    assert mask.dtype == bool
    assert mask.mean() == pytest.approx(0.3, abs=4 * (0.21 / 60000) ** 0.5)
    np.testing.assert_array_equal(mask, random_mask((300, 200), 0.3, seed=5))
    assert (mask != random_mask((300, 200), 0.3, seed=6)).any()
    assert not random_mask((9, 9), 0.0).any()
    assert random_mask((9, 9), 1.0).all()
    neighbours = np.corrcoef(mask[:, 1:].ravel(), mask[:, :-1].ravel())[0, 1]
    assert abs(neighbours) < 0.02


@pytest.mark.parametrize("missing", [-0.1, 1.1, float("nan")])
def test_impossible_share_is_a_usage_error(missing: float) -> None:
    with pytest.raises(UsageError, match="between 0 and 1"):
        random_mask((4, 4), missing)


@pytest.mark.parametrize("shape", [(20, 30), (20, 30, 3)])
def test_apply_mask_blackens_the_hole_and_keeps_the_rest(shape: tuple[int, ...]) -> None:
    picture = np.random.default_rng(0).integers(1, 256, shape, dtype=np.uint8)
    before = picture.copy()
    mask = random_mask((20, 30), 0.5)
    masked = apply_mask(picture, mask)
    assert (masked[mask] == 0).all()
    np.testing.assert_array_equal(masked[~mask], picture[~mask])
    np.testing.assert_array_equal(picture, before)


def test_apply_mask_refuses_another_size() -> None:
    with pytest.raises(InputError, match=r"30x20.*20x30"):
        apply_mask(np.zeros((30, 20), np.uint8), np.zeros((20, 30), bool))


@pytest.mark.parametrize("shape", [(128, 200), (256, 256), (64, 96)])
def test_text_and_scratches_are_thin_reach_everywhere_and_repeat(shape: tuple[int, int]) -> None:
    for make in (lambda: text_mask(shape, "the quick brown fox"), lambda: scratch_mask(shape, seed=1)):
        mask = make()
        assert mask.shape == shape
        assert mask.dtype == bool
        assert 0.01 < mask.mean() < 0.5
        np.testing.assert_array_equal(mask, make())
        half = shape[0] // 2, shape[1] // 2
        assert mask[: half[0]].any()
        assert mask[half[0] :].any()
        assert mask[:, : half[1]].any()
        assert mask[:, half[1] :].any()
        assert ndimage.distance_transform_edt(mask).max() < 6


def test_scratches_follow_the_seed_and_their_number() -> None:
    assert (scratch_mask((64, 64), seed=1) != scratch_mask((64, 64), seed=2)).any()
    assert scratch_mask((64, 64), 3).sum() < scratch_mask((64, 64), 12).sum()
    for scratch in range(5):
        _, pieces = ndimage.label(scratch_mask((90, 64), 1, seed=scratch), np.ones((3, 3)))
        assert pieces <= 2, "a scratch may leave the picture and come back, but does not crumble"


def test_empty_text_and_no_scratches_are_usage_errors() -> None:
    with pytest.raises(UsageError, match="word"):
        text_mask((20, 20), "  ")
    with pytest.raises(UsageError, match="not 0"):
        scratch_mask((20, 20), 0)


SAMPLES = Path(__file__).parents[2] / "sample_images"


def read(name: str) -> np.ndarray:
    return np.asarray(Image.open(SAMPLES / f"{name}.png"))


@pytest.mark.parametrize("name", ["astronaut", "camera", "cell", "retina"])
def test_noisy_samples_are_what_the_functions_make(name: str) -> None:
    expected = add_gaussian_noise(read(name), 25, seed=0)
    np.testing.assert_array_equal(read(f"{name}-noise25"), expected)


@pytest.mark.parametrize("name", ["brick", "chelsea"])
def test_samples_with_missing_pixels_are_what_the_functions_make(name: str) -> None:
    mask = random_mask((256, 256), 0.5, seed=0)
    np.testing.assert_array_equal(read(f"{name}-missing50-mask"), 255 * mask.astype(np.uint8))
    np.testing.assert_array_equal(read(f"{name}-missing50"), apply_mask(read(name), mask))


@pytest.mark.parametrize("damaged", ["coffee-text", "rocket-scratches"])
def test_samples_are_damaged_where_their_mask_says(damaged: str) -> None:
    mask = read(f"{damaged}-mask") == 255
    assert 0.02 < mask.mean() < 0.3
    np.testing.assert_array_equal(read(damaged), apply_mask(read(damaged.split("-")[0]), mask))


def test_every_sample_is_described_and_small() -> None:
    files = [file for file in SAMPLES.glob("*.png") if ".restored." not in file.name]  # the README's command leaves one
    description = (SAMPLES / "README.md").read_text(encoding="utf-8")
    assert [file.name for file in files if f"`{file.name}`" not in description] == []
    assert sum(file.stat().st_size for file in files) < 2_500_000
