from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter

import restore
from restore.problems.clipping import mean_around
from restore.problems.compression import was_jpeg
from restore.problems.examination import examine
from restore.problems.noise_models import add_noise

SAMPLES = Path(__file__).parents[2] / "sample_images"


def sample(name: str) -> NDArray[np.uint8]:
    return np.asarray(Image.open(SAMPLES / f"{name}.png"))[40:200, 40:200]


def planes(image: NDArray[Any]) -> NDArray[np.float32]:
    return np.ascontiguousarray(np.moveaxis(np.atleast_3d(image), -1, 0)).astype(np.float32) / 255


def jpeg(image: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="JPEG", quality=quality)
    return np.asarray(Image.open(buffer))


@pytest.mark.parametrize("name", ["astronaut", "camera", "retina"])
@pytest.mark.parametrize("sigma", [15, 25, 50])
def test_white_noise_is_fitted_as_ever(name: str, sigma: float) -> None:
    pixels = planes(add_noise(sample(name), "gaussian", sigma))
    findings = examine(pixels)
    problem = findings.problem(pixels)
    assert findings.warnings == ()
    assert findings.share == 0
    assert findings.covariance is None
    assert problem.kind == "denoise"
    assert bool(problem.known.all())
    np.testing.assert_array_equal(problem.measurement[0].numpy(), pixels)
    assert problem.level is not None and not problem.level.varies
    assert 255 * problem.level.constant**0.5 == pytest.approx(findings.sigma)


@pytest.mark.parametrize("name", ["astronaut", "camera", "coffee", "retina"])
def test_correlated_noise_brings_its_covariance_and_its_sigma(name: str) -> None:
    clean = sample(name)
    for kind in ("correlated", "demosaicked"):
        pixels = planes(add_noise(clean, kind, 25))
        findings = examine(pixels)
        assert findings.covariance is not None
        assert findings.sigma == pytest.approx(255 * (pixels - planes(clean)).std(), rel=0.2)
        assert any("covariance" in warning for warning in findings.warnings)


def test_a_sigma_that_is_given_scales_the_covariance() -> None:
    findings = examine(planes(add_noise(sample("retina"), "correlated", 25)), sigma=12.0)
    assert findings.sigma == pytest.approx(12, abs=0.01)
    assert findings.covariance is not None
    assert 255 * findings.covariance.sigma == pytest.approx(12)


def test_impulses_alone_are_a_hole_and_with_noise_they_are_unknown() -> None:
    clean = sample("retina")
    pixels = planes(add_noise(clean, "salt-and-pepper", 10))
    findings = examine(pixels)
    assert findings.share == pytest.approx(0.1, abs=0.01)
    assert findings.problem(pixels).kind == "inpaint"
    noisy = planes(add_noise(add_noise(clean, "gaussian", 25), "salt-and-pepper", 2))
    findings = examine(noisy)
    problem = findings.problem(noisy)
    assert problem.kind == "denoise"
    assert findings.impulses is not None
    np.testing.assert_array_equal(~problem.known[0, 0].numpy(), findings.impulses)
    assert not problem.measurement[0][:, ~problem.known[0, 0]].any()


@pytest.mark.parametrize("quality", [50, 75])
@pytest.mark.parametrize("name", ["camera", "coffee"])
def test_a_clean_jpeg_is_not_made_worse(name: str, quality: int) -> None:
    clean = sample(name)
    compressed = jpeg(clean, quality)
    report = restore.denoise(compressed, reference=clean, iterations=2, device="cpu").report
    assert report["psnr"] > report["psnr_input"] - 0.05
    assert any("JPEG" in warning for warning in report["warnings"])


@pytest.mark.parametrize("name", ["astronaut", "brick", "camera", "clock", "coffee", "retina"])
def test_jpeg_is_recognised(name: str) -> None:
    clean = np.asarray(Image.open(SAMPLES / f"{name}.png"))
    assert not was_jpeg(planes(clean))
    for quality in (50, 75, 90, 95):
        assert was_jpeg(planes(jpeg(clean, quality))), quality


def test_smooth_pictures_do_not_pass_for_jpeg() -> None:
    rng = np.random.default_rng(0)
    for number in range(40):
        smooth = gaussian_filter(rng.normal(size=(3, 64, 64)), (0, 1 + number % 5, 1 + number % 5))
        assert not was_jpeg(np.rint(128 + 40 * smooth / smooth.std()).clip(0, 255) / 255), number


@pytest.mark.parametrize("sigma", [0, 4])
def test_weak_noise_is_not_paid_for_with_detail(sigma: float) -> None:
    """After a few steps the network knows next to nothing, and the picture is kept; the more so without any noise."""
    clean = sample("camera")
    noisy = add_noise(clean, "gaussian", sigma) if sigma else clean
    result = restore.denoise(noisy, reference=clean, iterations=20, device="cpu")
    lost = (result.image.astype(float) - clean).std()
    if sigma == 0:
        assert lost < 0.2
        assert any("kept as it is" in warning for warning in result.report["warnings"])
    else:
        assert lost < 1.02 * sigma
        assert 20 * np.log10(255 / (result.fitted.image[0, 0].numpy() * 255 - clean).std()) < 33


@pytest.mark.parametrize(("kind", "amount"), [("poisson", 40), ("speckle", 60)])
def test_noise_that_grows_with_the_light_is_measured(kind: str, amount: float) -> None:
    clean = np.asarray(Image.open(SAMPLES / "retina.png"))
    pixels = planes(add_noise(clean, kind, amount))
    findings = examine(pixels)
    assert findings.level is not None and findings.level.varies
    assert findings.sigma == pytest.approx(255 * (pixels - planes(clean)).std(), rel=0.15)
    assert any("grows with the light" in warning for warning in findings.warnings)


@pytest.mark.parametrize(("name", "kind", "amount"), [("cell", "speckle", 60), ("camera", "speckle", 30)])
@pytest.mark.parametrize("side", [112, 160])
def test_texture_in_the_dark_does_not_pass_for_correlated_noise(name: str, kind: str, amount: float, side: int) -> None:
    """Noise that grows with the light leaves the dark alone, whose texture was taken for noise: 14 dB on this cell."""
    whole = np.asarray(Image.open(SAMPLES / f"{name}.png"))
    top, left = ((length - side) // 2 for length in whole.shape[:2])
    clean = whole[top : top + side, left : left + side]
    pixels = planes(add_noise(clean, kind, amount))
    findings = examine(pixels)
    assert findings.covariance is None
    assert findings.level is not None and findings.level.varies
    assert findings.sigma == pytest.approx(255 * (pixels - planes(clean)).std(), rel=0.2)


@pytest.mark.parametrize("name", ["astronaut", "camera", "coffee"])
def test_the_dark_does_not_hide_noise_that_is_correlated_and_grows(name: str) -> None:
    """Its flattest patches hold none of it: coffee kept all of its noise, at 27.1 dB, where 31.6 can be had."""
    whole = np.asarray(Image.open(SAMPLES / f"{name}.png"))
    middle = tuple(slice((length - 160) // 2, (length + 160) // 2) for length in whole.shape[:2])
    pixels, clean = (planes(add_noise(whole[middle], "sensor", amount)) for amount in (40, 0))
    findings = examine(pixels)
    array = np.rint(255 * np.moveaxis(pixels, 0, -1).squeeze()).astype(np.uint8)
    assert findings.correlation.correlated
    assert examine(planes(add_noise(array, "salt-and-pepper", 1))).covariance is not None
    assert findings.covariance is not None and findings.covariance.dependence is not None
    assert findings.sigma == pytest.approx(255 * (pixels - clean).std(), rel=0.15)
    assert any("depends on the light" in warning for warning in findings.warnings)


@pytest.mark.parametrize(
    ("name", "kind", "amount"),
    [("camera", "correlated", 20), ("coffee", "sensor", 40), ("retina", "poisson", 20), ("retina", "gaussian", 20)],
)
def test_a_sigma_that_is_told_holds_for_every_kind_of_noise(name: str, kind: str, amount: float) -> None:
    pixels = planes(add_noise(sample(name), kind, amount))
    estimated, told = examine(pixels), examine(pixels, 7.0)
    assert told.sigma == pytest.approx(7)
    assert (told.covariance is None, told.level is None) == (estimated.covariance is None, estimated.level is None)
    for wanted in (7.0, 60.0):
        level = examine(pixels, wanted).level
        if level is not None:  # of before clipping
            assert 255 * np.sqrt(np.square(level.sigma(mean_around(pixels))).mean()) == pytest.approx(wanted, rel=0.01)
    nothing = examine(pixels, 0)
    assert (nothing.sigma, nothing.covariance, nothing.level and nothing.level.is_noisy) == (0, None, False)


@pytest.mark.parametrize("kind", ["correlated", "demosaicked"])
@pytest.mark.parametrize("name", ["brick", "cell", "rocket"])
def test_correlated_noise_does_not_pass_for_growing(name: str, kind: str) -> None:
    findings = examine(planes(add_noise(sample(name), kind, 25)))
    assert findings.correlation.correlated
    assert findings.level is None


def test_noise_that_the_channels_share_and_that_grows_is_measured_by_the_light() -> None:
    grey = np.asarray(Image.open(SAMPLES / "coffee.png").convert("L"))[40:200, 40:200]
    noise = planes(add_noise(grey, "poisson", 40)) - planes(grey)
    clean = planes(sample("coffee"))
    pixels = (clean + noise).clip(0, 1).astype(np.float32)
    findings = examine(pixels)
    assert findings.covariance is not None
    assert findings.sigma == pytest.approx(255 * (pixels - clean).std(), rel=0.25)


@pytest.mark.parametrize("size", [(1, 1), (3, 40), (17, 17), (40, 64)])
def test_pictures_without_a_patch_that_is_not_clipped(size: tuple[int, int]) -> None:
    pixels = (np.random.default_rng(0).random((3, *size)) < 0.5).astype(np.float32)
    assert examine(pixels).covariance is None


@pytest.mark.parametrize("name", ["coffee", "retina"])
def test_the_best_jpeg_does_not_hide_the_noise(name: str) -> None:
    """Its halved chroma leaves all channels together hardly any noise: sigma 1 of 17 was told, and the noise kept."""
    clean = sample(name)
    pixels = planes(jpeg(add_noise(clean, "gaussian", 25), 95))
    findings = examine(pixels)
    assert findings.covariance is not None
    assert findings.sigma == pytest.approx(255 * (pixels - planes(clean)).std(), rel=0.25)
    assert any("channels" in warning for warning in findings.warnings)
    assert examine(planes(jpeg(clean, 95))).covariance is None
