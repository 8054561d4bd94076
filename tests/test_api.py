"""`restore.denoise` and `restore.inpaint`: what they take, what they give back, and what they leave alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from skimage.restoration import inpaint_biharmonic

import restore
from restore.errors import DeviceError, FitError, InputError, OutputError, UsageError
from restore.problems.noise_models import add_noise
from restore.settings import CHOICES, FitSettings

Array = np.ndarray[Any, Any]

QUICK: dict[str, Any] = {"iterations": 2, "device": "cpu"}


@pytest.fixture(autouse=True)
def no_weights(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path_factory.mktemp("torch-home")))


@pytest.fixture(scope="module")
def clean() -> Array:
    """uint8 (28, 36, 3): shades and one edge."""
    rows, columns = np.mgrid[0:28, 0:36]
    shades = np.stack([128 + 90 * np.sin(columns / 7), 128 + 80 * np.cos(rows / 5), 60.0 + 3 * columns], axis=-1)
    shades[8:20, 10:20] = (210, 190, 40)
    return shades.clip(0, 255).round().astype(np.uint8)


@pytest.fixture(scope="module")
def noisy(clean: Array) -> Array:
    noise = np.random.default_rng(0).normal(0, 20, clean.shape)
    return (clean + noise).clip(0, 255).round().astype(np.uint8)


@pytest.fixture(scope="module")
def hole(clean: Array) -> Array:
    return np.asarray(np.random.default_rng(1).random(clean.shape[:2]) < 0.3)


def test_every_way_to_give_a_picture_is_the_same(noisy: Array, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(noisy).save(path)
    ways = (noisy, path, str(path), Image.open(path), restore.read(path), np.asfortranarray(noisy), noisy[::-1][::-1])
    expected, *others = (restore.denoise(way, **QUICK).image for way in ways)
    for image in others:
        assert np.array_equal(image, expected)


def test_every_way_to_give_a_mask_is_the_same(clean: Array, hole: Array, tmp_path: Path) -> None:
    path = tmp_path / "m.png"
    bright = np.where(hole, 255, 0).astype(np.uint8)
    Image.fromarray(bright).save(path)
    ways = (hole, bright, hole.astype(np.float64), hole[..., None], path, str(path))
    expected, *others = (restore.inpaint(clean, way, **QUICK).image for way in ways)
    for image in others:
        assert np.array_equal(image, expected)
    assert np.array_equal(restore.inpaint(clean, ~hole, mask_invert=True, **QUICK).image, expected)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.float64, np.bool_])
@pytest.mark.parametrize("channels", [0, 1, 2, 3, 4])
def test_dtype_and_layout_come_back(noisy: Array, dtype: Any, channels: int) -> None:
    samples = np.dstack([noisy, noisy[..., :1]])[..., :channels] if channels else noisy[..., 0]
    samples = samples > 100 if dtype is np.bool_ else samples.astype(dtype)
    image = restore.denoise(samples, **QUICK).image
    assert image.dtype == {np.float64: np.float32, np.bool_: np.uint8}.get(dtype, dtype)
    assert image.shape == (samples.shape[:2] if channels == 1 else samples.shape)
    if channels in (2, 4):
        given = samples[..., -1] * np.uint8(255) if dtype is np.bool_ else samples[..., -1]
        assert np.array_equal(image[..., -1], given)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_known_pixels_come_back_exactly(clean: Array, hole: Array, dtype: Any) -> None:
    samples = clean.astype(dtype) * dtype(3 if dtype is not np.uint8 else 1)
    image = restore.inpaint(samples, hole, **QUICK).image
    assert np.array_equal(image[~hole], samples[~hole])
    assert not np.array_equal(image[hole], samples[hole])


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_what_is_given_is_not_changed(clean: Array, noisy: Array, hole: Array, dtype: Any) -> None:
    image, mask, reference = (array.copy() for array in (noisy.astype(dtype), hole, clean.astype(dtype)))
    for array in (image, mask, reference):
        array.flags.writeable = False  # a write would raise
    settings = {**QUICK, "network": {}}
    restore.denoise(image, reference=reference, **settings)
    restore.inpaint(image, mask, reference=reference, **settings)
    assert np.array_equal(image, noisy.astype(dtype))
    assert np.array_equal(mask, hole)
    assert np.array_equal(reference, clean.astype(dtype))
    assert settings == {**QUICK, "network": {}}


def test_nan_pixels_are_a_hole(clean: Array, hole: Array) -> None:
    samples = clean.astype(np.float32)
    samples[hole, 1] = np.nan
    image = restore.inpaint(samples, **QUICK).image
    assert np.isfinite(image).all()
    assert np.array_equal(image[~hole], samples[~hole])
    with pytest.raises(InputError, match="restore inpaint"):
        restore.denoise(samples, **QUICK)
    with pytest.raises(UsageError, match="needs a mask"):
        restore.inpaint(clean, **QUICK)


def test_a_seed_names_the_result_whatever_was_drawn_before(noisy: Array, hole: Array) -> None:
    first = restore.denoise(noisy, seed=1, **QUICK).image, restore.inpaint(noisy, hole, seed=1, **QUICK).image
    torch.manual_seed(1234)
    np.random.seed(1234)  # noqa: NPY002
    torch.rand(10)
    state = torch.get_rng_state()
    again = restore.denoise(noisy, seed=1, **QUICK).image, restore.inpaint(noisy, hole, seed=1, **QUICK).image
    assert torch.equal(torch.get_rng_state(), state)
    assert np.random.randint(2**31) == np.random.RandomState(1234).randint(2**31)  # noqa: NPY002
    for one, other in zip(first, again, strict=True):
        assert np.array_equal(one, other)
    assert not np.array_equal(restore.denoise(noisy, seed=2, **QUICK).image, first[0])


def test_a_reference_does_not_steer_the_fit(clean: Array, noisy: Array, hole: Array) -> None:
    plain, told = restore.denoise(noisy, **QUICK), restore.denoise(noisy, reference=clean, **QUICK)
    assert np.array_equal(plain.image, told.image)
    assert plain.reference_curve is None
    assert told.reference_curve is not None
    assert told.report["psnr_final"] == told.reference_curve.psnr[-1]
    filled = restore.inpaint(noisy, hole, **QUICK).image
    assert np.array_equal(filled, restore.inpaint(noisy, hole, reference=clean, **QUICK).image)


def test_impulses_are_not_given_back_as_black(clean: Array, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the measurement stays in the result, what was never a measurement does not; the input is what was given."""
    monkeypatch.setattr("restore.session.kept_share", lambda problem, plan, fitted: 0.9)
    struck = add_noise(add_noise(np.tile(clean, (2, 2, 1)), "gaussian", 20), "salt-and-pepper", 5)
    result = restore.denoise(struck, reference=np.tile(clean, (2, 2, 1)), **QUICK)
    known = result.fitted.image.new_tensor(0) + (result.report["impulses"] > 0)
    assert bool(known)
    hole = (struck == 0).all(-1) | (struck == 255).all(-1)
    np.testing.assert_allclose(
        result.picture.pixels[:, hole], result.fitted.image[0].numpy()[:, hole].clip(0, 1), atol=0.2
    )
    error = np.square((struck.astype(float) - np.tile(clean, (2, 2, 1))) / 255).mean()
    assert result.report["psnr_input"] == pytest.approx(-10 * np.log10(error), abs=1e-3)


def test_what_an_inpainting_was_given_under_its_hole_counts_for_nothing(clean: Array) -> None:
    hole = np.zeros(clean.shape[:2], bool)
    hole[5:9, 6:12] = True
    report = restore.inpaint(clean, hole, reference=clean, **QUICK).report
    black = np.where(hole[..., None], 0, clean) / 255
    assert report["psnr_input"] == pytest.approx(-10 * np.log10(np.square(black - clean / 255).mean()), abs=1e-3)


@pytest.mark.parametrize("scale", [1.0, 255.0])
def test_a_reference_of_integers_is_read_as_the_floats_are(clean: Array, scale: float) -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, clean.shape)
    floats = (scale * (clean / 255 + noise)).astype(np.float32)
    assert floats.min() < 0 or floats.max() > 1
    report = restore.denoise(floats, reference=clean, **QUICK).report
    same = restore.denoise(floats, reference=(scale * clean / 255).astype(np.float32), **QUICK).report
    assert report["psnr_input"] == pytest.approx(same["psnr_input"], abs=1e-4)


def test_a_picture_of_which_no_noise_was_told_comes_back_however_small(clean: Array) -> None:
    np.testing.assert_array_equal(restore.denoise(clean[:24, :24], sigma=0, **QUICK).image, clean[:24, :24])
    with pytest.raises(UsageError, match="stop 'heldout'"):
        restore.denoise(clean[:24, :24], stop="heldout", **QUICK)


def test_sigma_is_on_one_scale_for_every_dtype(noisy: Array) -> None:
    estimates = [
        restore.denoise(samples, **QUICK).report["sigma"]
        for samples in (noisy, noisy.astype(np.uint16) * 257, (noisy / 255).astype(np.float32))
    ]
    assert estimates == pytest.approx([20] * 3, abs=4)
    assert estimates[1:] == pytest.approx([estimates[0]] * 2, rel=1e-3)
    report = restore.denoise(noisy, sigma=12.5, **QUICK).report
    assert (report["sigma"], report["sigma_estimated"]) == (12.5, False)


def test_it_takes_noise_away(clean: Array, noisy: Array) -> None:
    report = restore.denoise(noisy, reference=clean, iterations=150, device="cpu").report
    assert report["psnr"] > report["psnr_input"] + 2


@pytest.mark.parametrize("iterations", [4, 10])
def test_a_fit_that_was_too_short_makes_nothing_worse(iterations: int) -> None:
    rows, columns = np.mgrid[0:96, 0:96]
    light = np.stack([128 + 70 * np.sin(columns / 9), 128 + 70 * np.cos(rows / 7), 64 + columns], axis=-1)
    given = (light + np.random.default_rng(0).normal(0, 25, light.shape)).clip(0, 255).round().astype(np.uint8)
    report = restore.denoise(
        given, reference=light.round().astype(np.uint8), sigma=25, iterations=iterations, device="cpu"
    ).report
    assert report["psnr_network"] < report["psnr_input"]
    assert report["psnr"] >= report["psnr_input"]


def test_an_inpainting_that_was_too_short_is_interpolated() -> None:
    rows, columns = np.mgrid[0:96, 0:96]
    light = np.stack([128 + 70 * np.sin(columns / 9), 128 + 70 * np.cos(rows / 7), 64.0 + columns], axis=-1)
    light = light.round().astype(np.uint8)
    missing = np.random.default_rng(0).random((96, 96)) < 0.5
    result = restore.inpaint(light, missing, reference=light, iterations=3, device="cpu")
    assert any("biharmonic interpolation" in warning for warning in result.report["warnings"])
    exact = inpaint_biharmonic(np.where(missing[..., None], 0, light / 255), missing, channel_axis=-1)
    error = np.abs(result.image / 255 - exact)[missing]
    assert error.mean() < 2 / 255 and result.report["psnr_hole"] > 35


def test_the_trace_and_what_is_announced(noisy: Array) -> None:
    steps: list[Any] = []
    announced: list[Any] = []
    result = restore.denoise(
        noisy,
        iterations=25,
        stop="none",
        device="cpu",
        observers=[steps.append],
        announce=lambda problem, plan: announced.append((len(steps), problem, plan)),
    )
    assert [step.iteration for step in steps] == list(range(1, 26))
    ((before, problem, plan),) = announced
    assert before == 0
    assert plan == result.plan
    assert problem.size == noisy.shape[:2]
    trace = result.trace
    assert trace.iteration[-1] == 25
    assert len(trace.loss) == len(trace.seconds) == len(trace.iteration)
    assert np.isfinite(trace.loss).all()
    assert trace.seconds == sorted(trace.seconds)


def test_saving(noisy: Array, tmp_path: Path) -> None:
    result = restore.denoise(noisy, **QUICK)
    path = tmp_path / "out.png"
    assert result.save(path) == path
    with Image.open(path) as saved:
        assert np.array_equal(np.asarray(saved), result.image)
    report = json.loads((tmp_path / "out.png.json").read_text())
    assert {**report, "null_reasons": {}} == {**result.report, "output": str(path), "null_reasons": {}}
    assert {name for name, value in report.items() if value is None} == report["null_reasons"].keys()

    with pytest.raises(OutputError, match="exists already"):
        result.save(path)
    path.unlink()
    with pytest.raises(OutputError, match="exists already"):
        result.save(str(path))
    assert not path.exists()  # the report that is there was noticed before the picture was written
    assert result.save(str(path), existing="overwrite") == path
    with pytest.raises(UsageError, match="'overwrit'"):
        result.save(path, existing="overwrit")

    result.save(tmp_path / "alone.tif", sidecar=False)
    assert not (tmp_path / "alone.tif.json").exists()
    for name in ("none/out.png", "out.xyz", "out"):
        with pytest.raises(OutputError):
            result.save(tmp_path / name)
    assert {file.name for file in tmp_path.iterdir()} == {"out.png", "out.png.json", "alone.tif"}


def test_saving_does_not_touch_the_input(noisy: Array, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(noisy).save(path)
    before = path.read_bytes()
    result = restore.denoise(path, **QUICK)
    with pytest.raises(OutputError, match="input"):
        result.save(path, existing="overwrite")
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["a.png"]


def test_the_report_is_strict_json(clean: Array, noisy: Array) -> None:
    for result in (restore.denoise(noisy, **QUICK), restore.denoise(noisy, reference=noisy, **QUICK)):
        json.dumps(result.report, allow_nan=False)
        missing = {name for name, value in result.report.items() if value is None}
        assert missing == result.report["null_reasons"].keys()


@pytest.mark.parametrize(
    "settings",
    [{name: value} for name in ("norm", "init", "prior") for value in CHOICES[name]]
    + [
        {"cell": "scornn"},
        {"optimizer": "sgd"},
        {"objective": "fit"},
        {"stop": "none"},
        {"preset": "fast"},
        {"precision": "float32"},
    ],
    ids=lambda settings: "-".join(map(str, *settings.items())),
)
def test_settings_reach_the_plan(noisy: Array, settings: dict[str, Any]) -> None:
    recurrence = {"cell": "gru"} if settings.get("prior") == "recurrent" else {}
    result = restore.denoise(noisy, **QUICK, **settings, **recurrence)
    for name, value in settings.items():
        assert getattr(result.plan, name, result.report.get(name)) == value


@pytest.mark.parametrize(
    ("settings", "error", "what"),
    [
        ({"iteration": 3}, UsageError, "unknown setting 'iteration': did you mean 'iterations'"),
        ({"prior": "dipp"}, UsageError, "did you mean 'dip'"),
        ({"norm": 3}, UsageError, "unknown norm '3'"),
        ({"iterations": 0}, UsageError, "iterations"),
        ({"learning_rate": float("nan")}, UsageError, "learning_rate"),
        ({"time_budget": -1}, UsageError, "time_budget"),
        ({"sigma": -3}, UsageError, "-3"),
        ({"sigma": "car"}, UsageError, "'car'"),
        ({"device": "tpu?"}, DeviceError, "tpu"),
        ({"network": {"depths": 3}, "prior": "dip"}, UsageError, "depths"),
    ],
)
def test_settings_that_make_no_sense(noisy: Array, settings: dict[str, Any], error: Any, what: str) -> None:
    with pytest.raises(error) as caught:
        restore.denoise(noisy, **{**QUICK, **settings})
    assert what in str(caught.value)


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((4, 4, 5)),
        np.zeros((3, 4, 0)),
        np.zeros((2, 4, 4, 3)),
        np.zeros(5),
        np.zeros((0, 4)),
        np.full((4, 4), np.nan),
        np.array([["a", "b"]]),
        np.zeros((4, 4), complex),
        "none.png",
    ],
    ids=lambda image: f"{type(image).__name__}{getattr(image, 'shape', '')}",
)
def test_what_is_no_picture(image: Any) -> None:
    with pytest.raises(InputError):
        restore.denoise(image, **QUICK)
    with pytest.raises(InputError):
        restore.inpaint(image, np.eye(4), **QUICK)


def test_masks_and_references_that_do_not_fit(clean: Array, hole: Array) -> None:
    for mask in (hole[1:], hole.T, np.zeros_like(hole), np.ones_like(hole)):
        with pytest.raises(InputError, match="mask"):
            restore.inpaint(clean, mask, **QUICK)
    for reference in (clean[1:], clean[..., 0], np.full(clean.shape, np.nan)):
        with pytest.raises(InputError):
            restore.denoise(clean, reference=reference, **QUICK)


def test_a_mask_that_hides_most_gives_a_hint(clean: Array, hole: Array) -> None:
    warnings = restore.inpaint(clean, ~hole, **QUICK).report["warnings"]
    assert any("mask_invert" in warning for warning in warnings)
    assert restore.inpaint(clean, hole, **QUICK).report["warnings"] == []


def test_correlated_noise_is_noticed(clean: Array) -> None:
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 40, (97, 97, 3))
    smooth = (noise[1:, 1:] + noise[:-1, 1:] + noise[1:, :-1] + noise[:-1, :-1]) / 4
    for field, expected in ((noise[1:, 1:], False), (smooth, True)):
        picture = (128 + field).clip(0, 255).astype(np.uint8)
        warnings = restore.denoise(picture, **QUICK).report["warnings"]
        assert any("correlated" in warning for warning in warnings) == expected


def test_correlated_noise_is_handled_and_reported(clean: Array) -> None:
    picture = add_noise(clean, "correlated", 30)
    report = restore.denoise(picture, **QUICK).report
    if any("covariance was estimated" in warning for warning in report["warnings"]):
        assert report["objective"] == "recorrupted"
    assert report["noise_correlation"] > 0.1
    white = restore.denoise(add_noise(clean, "gaussian", 30), **QUICK).report
    assert white["objective"] == "recorrupted" and abs(white["noise_correlation"]) < 0.1
    assert white["impulses"] == 0


def test_impulses_are_filled_and_what_lies_between_is_kept() -> None:
    rows, columns = np.indices((64, 64))
    picture = (60 + rows + columns)[..., None] + np.array([0, 20, 40])
    picture = (picture + np.random.default_rng(1).integers(-2, 3, picture.shape)).astype(np.uint8)
    struck = np.random.default_rng(0).random((64, 64)) < 0.08
    spoilt = np.where(struck[..., None], np.uint8(255), picture)
    result = restore.denoise(spoilt, **{**QUICK, "iterations": 20})
    assert result.report["problem"] == "inpaint"
    assert result.report["impulses"] == pytest.approx(struck.mean())
    assert any("impulses" in warning for warning in result.report["warnings"])
    np.testing.assert_array_equal(result.image[~struck], picture[~struck])
    assert np.abs(result.image[struck].astype(int) - picture[struck]).mean() < 15


def test_settings_are_frozen_and_checked() -> None:
    settings = FitSettings.from_mapping({"prior": "dip", "iterations": 7})
    assert (settings.prior, settings.iterations, settings.seed) == ("dip", 7, 0)
    with pytest.raises(AttributeError):
        settings.seed = 1  # type: ignore[misc]
    with pytest.raises(UsageError, match="did you mean 'learning_rate'"):
        FitSettings.from_mapping({"learningrate": 1})


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory: 9 bytes")])
def test_too_little_memory_is_told_with_remedies(
    noisy: Array, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fails(*words: Any) -> None:
        raise error

    monkeypatch.setattr("restore.fitting.bounded.fit_warm", fails)
    with pytest.raises(FitError, match=r"not enough memory on cpu to fit .*: crop or shrink the picture"):
        restore.denoise(noisy, device="cpu")
    monkeypatch.setattr("restore.fitting.bounded.fit_warm", lambda *words: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        restore.denoise(noisy, device="cpu")
