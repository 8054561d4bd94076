"""The Python interface: the names of the command line, on files, arrays and PIL images."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from PIL import Image

from restore.errors import InputError, UsageError
from restore.figures import against_reference, diagnostics, figures
from restore.fitting import Checkpoint, Observer, fit, make_plan
from restore.fitting.observers import ReferenceCurve
from restore.health import HealthRecorder
from restore.health.baseline import Side, check_baseline, compare_with_baseline
from restore.images import Picture, from_pillow, mask_from_array, read, read_mask
from restore.problems.noise import estimate_sigma, noise_correlation
from restore.problems.problem import Problem, denoising, inpainting
from restore.restoration import Restoration
from restore.settings import FitSettings, Plan

__all__ = ["ImageLike", "MaskLike", "check_finite", "checked_sigma", "denoise", "inpaint"]

ImageLike: TypeAlias = str | Path | np.ndarray[Any, Any] | Image.Image | Picture
"""A path, an array (H, W), (H, W, C) of uint8, uint16 or float, a PIL image, or a `Picture`."""

MaskLike: TypeAlias = str | Path | np.ndarray[Any, Any]
"""A path or an array (H, W); nonzero is the hole."""

Announce: TypeAlias = Callable[[Problem, Plan], None]
"""Called once before the first step, with what is about to be done."""

Say: TypeAlias = Callable[[str], None]
"""Told of the progress of a comparison, a line at a time."""


def silent(line: str) -> None:
    """Say nothing."""


POLARITY_HINT = (
    "the mask hides {share:.0%} of the picture; white is the hole: if white is what is known there, use mask_invert "
    "(--mask-invert)."
)


def denoise(
    image: ImageLike,
    *,
    sigma: float | Literal["auto"] = "auto",
    reference: ImageLike | None = None,
    observers: Sequence[Observer] = (),
    announce: Announce | None = None,
    health: bool = False,
    baseline: str | None = None,
    say: Say = silent,
    checkpoint: str | Path | Checkpoint | None = None,
    **settings: Any,
) -> Restoration:
    """Remove noise that is independent from pixel to pixel from one picture.

    Args:
        image: the noisy picture.
        sigma: standard deviation of the noise on the scale of 0 to 255, whatever the dtype (for float data 255 stands
            for the whole range of the data); `auto` estimates it.
        reference: the true picture, for figures only: the fit never sees it.
        observers: called after each step with its `Step`.
        announce: called once before the first step with the problem and the plan.
        health: whether to look into the network every 25 steps; gives `gradient_health` of the report, and `health`.
        baseline: `unnormalized` also fits the same network without normalisation, `fair` with rates tuned for all and
            further controls: `baseline` of the report and of the result.
        say: told of the progress of the baseline.
        checkpoint: a file that keeps the fit while it runs, so that the same call goes on after an interruption, bit
            for bit on a CPU; it is removed when the fit has ended. A `Checkpoint` stays until its `remove` is called.
        settings: fields of `FitSettings`.

    Raises RestoreError: InputError for a picture that cannot be used, UsageError for settings that cannot be.
    """
    began = time.perf_counter()
    picture = _picture(image)
    check_finite(picture)
    estimated = sigma == "auto"
    level = 255 * estimate_sigma(picture.pixels) if sigma == "auto" else checked_sigma(sigma)
    problem = denoising(torch.from_numpy(picture.pixels.copy()), level)
    warnings = list(picture.notes)
    correlation = noise_correlation(picture.pixels)
    if correlation.correlated:
        warnings.append(
            f"the noise of neighbouring pixels is correlated ({correlation.coefficient:.2f}), as in JPEG or camera "
            "pictures: the blind-spot objective and the estimated sigma do not hold for it; try objective 'fit'."
        )
    watch = _Watch(reference, observers, announce, health, baseline, say, checkpoint)
    return _run("denoise", picture, problem, estimated, warnings, watch, settings, began)


def check_finite(picture: Picture) -> None:
    """Raise InputError for a picture with NaN or infinite pixels, which only inpainting can fill."""
    if picture.invalid is not None:
        raise InputError(
            f"{picture.name!r} holds {int(picture.invalid.sum())} pixels that are NaN or infinite: "
            "restore inpaint fills them."
        )


def inpaint(
    image: ImageLike,
    mask: MaskLike | None = None,
    *,
    mask_invert: bool = False,
    sigma: float = 0.0,
    reference: ImageLike | None = None,
    observers: Sequence[Observer] = (),
    announce: Announce | None = None,
    health: bool = False,
    baseline: str | None = None,
    say: Say = silent,
    checkpoint: str | Path | Checkpoint | None = None,
    **settings: Any,
) -> Restoration:
    """Fill the holes of one picture. Known pixels come back exactly.

    Args:
        image: the damaged picture; what it holds inside the hole is never looked at.
        mask: white (nonzero) is the hole; None where NaN pixels of float data are the hole.
        mask_invert: take black for the hole.
        sigma: standard deviation of noise in the known pixels, on the scale of 0 to 255.
        reference, observers, announce, health, baseline, say, checkpoint, settings: as for `denoise`.

    Raises RestoreError: InputError for a picture or mask that cannot be used, UsageError for settings that cannot be.
    """
    began = time.perf_counter()
    picture = _picture(image)
    hole = _hole(picture, mask, mask_invert)
    warnings = list(picture.notes)
    if mask is not None and hole.mean() > 0.5:
        warnings.append(POLARITY_HINT.format(share=float(hole.mean())))
    problem = inpainting(torch.from_numpy(picture.pixels.copy()), torch.from_numpy(hole), checked_sigma(sigma))
    watch = _Watch(reference, observers, announce, health, baseline, say, checkpoint)
    return _run("inpaint", picture, problem, False, warnings, watch, settings, began)


@dataclass(frozen=True)
class _Watch:
    """What looks at a fit and never steers it; the attributes are arguments of `denoise`."""

    reference: ImageLike | None
    observers: Sequence[Observer]
    announce: Announce | None
    health: bool
    baseline: str | None
    say: Say
    checkpoint: str | Path | Checkpoint | None


def _run(
    command: str,
    picture: Picture,
    problem: Problem,
    sigma_estimated: bool,
    warnings: list[str],
    watch: _Watch,
    settings: dict[str, Any],
    began: float,
) -> Restoration:
    wanted = FitSettings.from_mapping(settings)
    truth = None if watch.reference is None else _reference_pixels(_picture(watch.reference), picture)
    plan = make_plan(problem, wanted)
    if watch.baseline is not None:
        check_baseline(watch.baseline, plan)
    true_image = None if truth is None else torch.from_numpy(truth)[None]
    curve = None if true_image is None else ReferenceCurve(problem, true_image)
    recorder = HealthRecorder() if watch.health else None
    if watch.announce is not None:
        watch.announce(problem, plan)
    kept = Checkpoint(watch.checkpoint) if isinstance(watch.checkpoint, str | Path) else watch.checkpoint
    fitted = fit(problem, plan, [each for each in (curve, recorder, *watch.observers) if each is not None], kept)
    if kept is not None and kept is not watch.checkpoint and fitted.stop_reason != "interrupted":
        kept.remove()
    restored = picture.with_pixels(problem.composite(fitted.image.cpu())[0].numpy())
    report = figures(
        command,
        picture,
        problem,
        wanted,
        plan,
        fitted,
        curve,
        sigma_estimated=sigma_estimated,
        seconds=time.perf_counter() - began,
        warnings=(*warnings, *fitted.warnings),
    )
    hole = None if problem.kind != "inpaint" else ~problem.known[0, 0].numpy()
    interrupted = fitted.stop_reason == "interrupted"
    comparison: dict[str, Any] | None = None
    sides: dict[str, Side] = {}
    if watch.baseline is not None and not interrupted:
        try:
            comparison, sides = compare_with_baseline(watch.baseline, problem, plan, true_image, watch.say)
        except KeyboardInterrupt:  # the restoration is done, and is not to be lost with the comparison
            interrupted = True
            report["warnings"].append("the comparison with the baseline was interrupted, and is left out.")
    record = None if recorder is None else recorder.record
    diagnosed = diagnostics(record, fitted, comparison)
    scores = against_reference(problem.measurement[0].numpy(), restored.quantised(), truth, hole)
    reasons = {**report["null_reasons"], **diagnosed["null_reasons"], **scores["null_reasons"]}
    report = {**report, **diagnosed, **scores, "null_reasons": reasons}
    return Restoration(restored, plan, fitted, curve, report, record, sides, interrupted)


def _picture(image: ImageLike) -> Picture:
    if isinstance(image, Picture):
        return image
    if isinstance(image, Image.Image):
        return from_pillow(image)
    if isinstance(image, str | Path):
        return read(image)
    return Picture.from_array(image)


def _hole(picture: Picture, mask: MaskLike | None, invert: bool) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Return bool (H, W): the mask's hole and the pixels that are not finite."""
    if mask is None:
        if picture.invalid is None:
            raise UsageError("inpainting needs a mask: white is the hole (only NaN pixels of float data need none).")
        return np.asarray(picture.invalid)
    if isinstance(mask, str | Path):
        hole = read_mask(mask, picture.size, invert=invert)
    else:
        hole = mask_from_array(mask, picture.size, invert=invert)
    if picture.invalid is None:
        return hole
    if bool((hole | picture.invalid).all()):
        raise InputError("the mask and the NaN pixels together hide the whole picture, so nothing is known.")
    return np.asarray(hole | picture.invalid)


def checked_sigma(sigma: float) -> float:
    """Return the noise's standard deviation; raise UsageError for what can be none."""
    if not (isinstance(sigma, int | float) and 0 <= sigma < 1000):
        raise UsageError(
            f"sigma is the noise on the scale of 0 to 255, at least 0, not {sigma!r}: give another or 'auto'."
        )
    return float(sigma)


def _reference_pixels(reference: Picture, picture: Picture) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Return the reference on the scale of the picture's pixels.

    Raises InputError when it is another kind of picture.
    """
    if reference.pixels.shape != picture.pixels.shape:
        ours, theirs = (f"{p.width}x{p.height} with {p.channels} channel(s)" for p in (picture, reference))
        raise InputError(f"the reference has {theirs}, the picture {ours}: they must be alike.")
    if reference.invalid is not None:
        raise InputError(f"the reference {reference.name!r} holds NaN or infinite pixels: nothing compares with them.")
    if picture.dtype != np.float32 or reference.dtype != np.float32:
        return reference.pixels.copy()
    return ((reference.values() - picture.offset) / picture.scale).astype(np.float32)
