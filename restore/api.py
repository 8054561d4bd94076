"""The Python interface: the names of the command line, on files, arrays and PIL images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from restore.fitting import Checkpoint, Observer
from restore.restoration import Restoration
from restore.session import Announce, ImageLike, MaskLike, Say, Watch, open_denoising, open_inpainting, silent

__all__ = ["ImageLike", "MaskLike", "denoise", "inpaint"]


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
    uncertainty: bool = False,
    **settings: Any,
) -> Restoration:
    """Remove noise from one picture: white, signal-dependent, correlated between pixels, or impulses.

    Args:
        image: the noisy picture.
        sigma: standard deviation of the noise on the scale of 0 to 255, whatever the dtype (for float data 255 stands
            for the whole range of the data); `auto` estimates it.
        reference: the true picture, for figures only: the fit never sees it.
        observers: called after each step with its `Step`, on the middle of a large picture only if they have a method
            `begin_fit` (`restore.fitting.warm_start.fit_warm`).
        announce: called once before the first step with the problem and the plan.
        health: whether to look into the network every 25 steps; gives `gradient_health` of the report, and `health`.
            With it, `baseline` or `uncertainty`, a large picture is fitted whole from drawn weights.
        baseline: `unnormalized` also fits the same network without normalisation, `fair` with rates tuned for all and
            further controls: `baseline` of the report and of the result.
        say: told of the progress of the baseline.
        checkpoint: a file that keeps the fit while it runs, so that the same call goes on after an interruption, bit
            for bit on a CPU; it is removed when the fit has ended. A `Checkpoint` stays until its `remove` is called.
        uncertainty: whether to record where the fit is unsure; gives `uncertainty` of the result.
        settings: fields of `FitSettings`.

    Raises RestoreError: InputError for a picture that cannot be used, UsageError for settings that cannot be.
    """
    watch = Watch(reference, observers, announce, health, baseline, say, checkpoint, uncertainty=uncertainty)
    return open_denoising(image, sigma, watch, settings).run()


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
    uncertainty: bool = False,
    **settings: Any,
) -> Restoration:
    """Fill the holes of one picture. Known pixels come back exactly.

    Args:
        image: the damaged picture; what it holds inside the hole is never looked at.
        mask: white (nonzero) is the hole; None where NaN pixels of float data are the hole.
        mask_invert: take black for the hole.
        sigma: standard deviation of noise in the known pixels, on the scale of 0 to 255.
        reference, observers, announce, health, baseline, say, checkpoint, uncertainty, settings: as for `denoise`.

    Raises RestoreError: InputError for a picture or mask that cannot be used, UsageError for settings that cannot be.
    """
    watch = Watch(reference, observers, announce, health, baseline, say, checkpoint, uncertainty=uncertainty)
    return open_inpainting(image, mask, mask_invert, sigma, watch, settings).run()
