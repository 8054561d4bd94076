"""One picture on its way through a fit: what is made of it before, and what is made of the fit after."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from restore.errors import InputError, UsageError
from restore.figures import against_reference, diagnostics, figures
from restore.fitting import Checkpoint, Fitted, Observer, make_plan
from restore.fitting.bounded import bounded_plan, fit_bounded
from restore.fitting.observers import ReferenceCurve
from restore.fitting.shrinkage import kept_share
from restore.fitting.spread import Spread, uncertainty
from restore.fitting.warm_start import warm_plan
from restore.health import HealthRecorder
from restore.health.baseline import Side, check_baseline, compare_with_baseline
from restore.images import Picture, from_pillow, mask_from_array, read, read_mask
from restore.problems.examination import NoiseFindings, examine
from restore.problems.problem import Problem, inpainting
from restore.restoration import Restoration
from restore.settings import FitSettings, Plan

__all__ = [
    "Announce",
    "ImageLike",
    "MaskLike",
    "Say",
    "Session",
    "Watch",
    "check_finite",
    "checked_sigma",
    "open_denoising",
    "open_inpainting",
    "silent",
]

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


WORTH_SAYING = 0.25
"""Share of the picture kept above which it is said."""

POLARITY_HINT = (
    "the mask hides {share:.0%} of the picture; white is the hole: if white is what is known there, use mask_invert "
    "(--mask-invert)."
)


@dataclass(frozen=True)
class Watch:
    """What looks at a fit and never steers it; the attributes are arguments of `restore.denoise`.

    But `health`, `baseline` and `uncertainty` look at one network from its first step to its last: with them a large
    picture is fitted whole from drawn weights.
    `memory_share` is the part of the free memory that is this fit's, where several processes share it. `warn` is told
    before the fit what can be known by then; the report's warnings hold that as well.
    """

    reference: ImageLike | None = None
    observers: Sequence[Observer] = ()
    announce: Announce | None = None
    health: bool = False
    baseline: str | None = None
    say: Say = silent
    checkpoint: str | Path | Checkpoint | None = None
    memory_share: float = 1.0
    uncertainty: bool = False
    warn: Say = silent


@dataclass(frozen=True)
class _Given:
    """What a session begins with."""

    command: str
    picture: Picture
    problem: Problem
    sigma_estimated: bool = False
    warnings: list[str] = field(default_factory=list)
    findings: NoiseFindings | None = None


class Session:
    """A picture that is ready to be fitted.

    Attributes:
        problem, plan: of the fit.
    """

    def __init__(self, given: _Given, watch: Watch, settings: dict[str, Any], began: float) -> None:
        self._given, self._watch, self._began = given, watch, began
        self._settings = FitSettings.from_mapping(settings)
        self._truth = None if watch.reference is None else _reference_pixels(_picture(watch.reference), given.picture)
        self.problem = given.problem
        kept = watch.checkpoint
        self._checkpoint = Checkpoint(kept) if isinstance(kept, str | Path) else kept
        whole = make_plan(self.problem, self._settings)
        if self._settings.stop == "heldout" and whole.stop != "heldout":
            raise UsageError(
                f"stop 'heldout' holds pixels out, and of {int(self.problem.known.sum())} known ones too few to say "
                "anything: use --stop auto or none."
            )
        share, diagnosed = watch.memory_share, self._diagnoses
        self.plan = bounded_plan(self.problem, whole, self._settings, self._checkpoint, share, diagnosed=diagnosed)
        if not self.plan.tile_side and not diagnosed:
            self.plan = warm_plan(self.problem, self.plan, self._settings)
        if self.plan.tile_side and diagnosed:
            raise UsageError(
                f"{given.picture.name!r} takes more memory than it may, or was begun on tiles, where "
                "health, baseline and uncertainty (--health, --baseline, --save-uncertainty) have no meaning: leave "
                "them out, or allow more with --max-memory."
            )
        if watch.health and self.plan.accelerate != "none":
            raise UsageError(
                f"--health looks into the network as it runs, which accelerate {self.plan.accelerate!r} does not let "
                "it: leave one of them out."
            )
        if watch.baseline is not None:
            check_baseline(watch.baseline, self.plan)
        self._curve: ReferenceCurve | None = None
        self._recorder: HealthRecorder | None = None
        self._spread: Spread | None = None

    def observers(self) -> list[Observer]:
        """Return what looks on while the picture is fitted; called again, it begins anew.

        A tile is never compared with the reference: only the whole picture is.
        """
        truth = None if self.plan.tile_side else self._true_image
        self._curve = None if truth is None else ReferenceCurve(self.problem, truth, unclips=self.plan.unclips)
        self._recorder = HealthRecorder() if self._watch.health else None
        self._spread = Spread(self.plan.average) if self._watch.uncertainty else None
        own = (self._curve, self._recorder, self._spread)
        return [each for each in (*own, *self._watch.observers) if each is not None]

    def run(self) -> Restoration:
        """Fit the picture alone."""
        for warning in self._given.warnings:
            self._watch.warn(warning)
        if self._watch.announce is not None:
            self._watch.announce(self.problem, self.plan)
        kept = self._checkpoint
        fitted = self.fit(kept)
        if kept is not None:
            self._began -= kept.earlier
        if kept is not None and kept is not self._watch.checkpoint and fitted.stop_reason != "interrupted":
            kept.remove()
        return self.conclude(fitted)

    def fit(self, checkpoint: Checkpoint | None = None) -> Fitted:
        """Return what comes of the fit, whole or on tiles.

        Raises FitError where the memory does not suffice for either.
        """
        return fit_bounded(
            self.problem,
            self.plan,
            self._settings,
            self._observe,
            checkpoint,
            name=self._given.picture.name,
            may_split=not self._diagnoses,
        )

    def conclude(self, fitted: Fitted) -> Restoration:
        """Return the restoration and its figures."""
        given, problem, plan = self._given, self.problem, self.plan
        image = seen = problem.composite(fitted.image.cpu())
        if plan.unclips and not plan.tile_side:  # on tiles it was done tile by tile
            image = problem.unclipped(image)
        kept = kept_share(problem, plan, fitted)
        if kept > 0:
            image = torch.where(problem.known, torch.lerp(image, problem.measurement.cpu(), kept), image)
        warnings = [*given.warnings, *fitted.warnings]
        if kept > WORTH_SAYING:
            warnings.append(
                f"{kept:.0%} of the picture is kept as it is: the network would lose more of it than noise."
            )
        restored = given.picture.with_pixels(image[0].numpy())
        unsure = None if self._spread is None else uncertainty(problem, fitted, self._spread)
        if unsure is not None and not unsure[1]:
            warnings.append("the uncertainty is the spread of the steps as it is: no held-out error to scale it by.")
        report = figures(
            given.command,
            given.picture,
            problem,
            self._settings,
            plan,
            fitted,
            self._curve,
            sigma_estimated=given.sigma_estimated,
            seconds=time.perf_counter() - self._began,
            warnings=tuple(warnings),
            findings=given.findings,
            kept=kept,
        )
        hole = None if problem.kind != "inpaint" else ~problem.known[0, 0].numpy()
        interrupted = fitted.stop_reason == "interrupted"
        comparison: dict[str, Any] | None = None
        sides: dict[str, Side] = {}
        if self._watch.baseline is not None and not interrupted:
            try:
                comparison, sides = compare_with_baseline(
                    self._watch.baseline, problem, plan, self._true_image, self._watch.say
                )
            except KeyboardInterrupt:  # the restoration is done, and is not to be lost with the comparison
                interrupted = True
                report["warnings"].append("the comparison with the baseline was interrupted, and is left out.")
        record = None if self._recorder is None else self._recorder.record
        diagnosed = diagnostics(record, fitted, comparison)
        # What an inpainting was given under its hole counts for nothing; impulses came with the picture.
        seen_before = problem.measurement[0].numpy() if given.command == "inpaint" else given.picture.pixels
        scores = against_reference(seen_before, restored.quantised(), self._truth, hole)
        reasons = {**report["null_reasons"], **diagnosed["null_reasons"], **scores["null_reasons"]}
        report = {**report, **diagnosed, **scores, "null_reasons": reasons}
        deviation = None
        if unsure is not None:
            deviation = 255 * (1 - kept) * unsure[0].numpy()
            if plan.unclips and problem.level is not None:
                deviation *= problem.level.unclipping_slope(seen[0].numpy())
        return Restoration(restored, plan, fitted, self._curve, report, record, sides, interrupted, deviation)

    def _observe(self, plan: Plan) -> list[Observer]:
        self.plan = plan
        return self.observers()

    @property
    def _diagnoses(self) -> bool:
        return self._watch.health or self._watch.uncertainty or self._watch.baseline is not None

    @property
    def _true_image(self) -> Tensor | None:
        return None if self._truth is None else torch.from_numpy(self._truth)[None]


def open_denoising(image: ImageLike, sigma: float | Literal["auto"], watch: Watch, settings: dict[str, Any]) -> Session:
    """Return the session of `restore.denoise`, whose arguments these are.

    Raises RestoreError as that.
    """
    began = time.perf_counter()
    picture = _picture(image)
    check_finite(picture)
    level = sigma if sigma == "auto" else checked_sigma(sigma)
    findings = examine(picture.pixels, level)
    warnings = [*_notes(picture), *findings.warnings]
    problem = findings.problem(picture.pixels)
    return Session(_Given("denoise", picture, problem, sigma == "auto", warnings, findings), watch, settings, began)


def open_inpainting(
    image: ImageLike, mask: MaskLike | None, mask_invert: bool, sigma: float, watch: Watch, settings: dict[str, Any]
) -> Session:
    """Return the session of `restore.inpaint`, whose arguments these are.

    Raises RestoreError as that.
    """
    began = time.perf_counter()
    picture = _picture(image)
    hole = _hole(picture, mask, mask_invert)
    warnings = _notes(picture)
    hidden = picture.pixels[:, hole]
    if mask is not None and hole.mean() > 0.5 and bool(np.ptp(hidden, axis=1).any()):  # blank is no picture
        warnings.append(POLARITY_HINT.format(share=float(hole.mean())))
    problem = inpainting(torch.from_numpy(picture.pixels.copy()), torch.from_numpy(hole), checked_sigma(sigma))
    return Session(_Given("inpaint", picture, problem, False, warnings), watch, settings, began)


def _notes(picture: Picture) -> list[str]:
    """Return what is to be known of a picture before its figures are read."""
    notes = list(picture.notes)
    if picture.dtype == np.float32 and (picture.offset, picture.scale) != (0.0, 1.0):
        notes.append(
            f"the values lie between {picture.offset:.6g} and {picture.offset + picture.scale:.6g}: sigma and PSNR are "
            f"on the scale of that range, of which 255 is {picture.scale:.6g}."
        )
    return notes


def check_finite(picture: Picture) -> None:
    """Raise InputError for a picture with NaN or infinite pixels, which only inpainting can fill."""
    if picture.invalid is not None:
        raise InputError(
            f"{picture.name!r} holds {int(picture.invalid.sum())} pixels that are NaN or infinite: "
            "restore inpaint fills them."
        )


def checked_sigma(sigma: float) -> float:
    """Return the noise's standard deviation; raise UsageError for what can be none."""
    if not (isinstance(sigma, int | float) and 0 <= sigma < 1000):
        raise UsageError(
            f"sigma is the noise on the scale of 0 to 255, at least 0, not {sigma!r}: give another or 'auto'."
        )
    return float(sigma)


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


def _reference_pixels(reference: Picture, picture: Picture) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Return the reference on the scale of the picture's pixels.

    Beside a picture of floats, a reference of integers is read in whichever of two ways is nearer to the picture: as
    its values, or as those divided by 255 or 65535.

    Raises InputError when it is another kind of picture.
    """
    if reference.pixels.shape != picture.pixels.shape:
        ours, theirs = (f"{p.width}x{p.height} with {p.channels} channel(s)" for p in (picture, reference))
        raise InputError(f"the reference has {theirs}, the picture {ours}: they must be alike.")
    if reference.invalid is not None:
        raise InputError(f"the reference {reference.name!r} holds NaN or infinite pixels: nothing compares with them.")
    if picture.dtype != np.float32:
        return reference.pixels.copy()
    values = picture.values()
    # Whole numbers may stand for themselves or for parts of the range [0, 1]; floats stand for themselves.
    meanings = [reference.values().astype(np.float64)]
    if reference.dtype != np.float32:
        meanings.append(reference.pixels.astype(np.float64))
    meant = min(meanings, key=lambda each: float(np.square(each - values).mean()))
    return np.asarray((meant - picture.offset) / picture.scale, dtype=np.float32)
