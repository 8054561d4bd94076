"""The verdict on a fit's gradients, with the figures and thresholds that led to it."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from restore.health.recorder import EVERY, HealthRecord
from restore.health.verdicts import EXPLODING_ABOVE, VANISHING_BELOW, Verdict, end_to_end_ratio, verdict_of_path

__all__ = ["DEAD_ABOVE", "STILL_BELOW", "UNSTABLE_ABOVE", "gradient_health"]

DEAD_ABOVE = 0.9
"""Share of a layer's channels that say nothing, above which the layer is dead."""

STILL_BELOW = 1e-7
"""Update-to-weight ratio below which a layer stands still in float32."""

UNSTABLE_ABOVE = 0.02
"""Share of the steps whose loss was a spike, above which a fit is unstable."""

THRESHOLDS: Mapping[str, float] = {
    "vanishing_below": VANISHING_BELOW,
    "exploding_above": EXPLODING_ABOVE,
    "dead_above": DEAD_ABOVE,
    "still_below": STILL_BELOW,
    "unstable_above": UNSTABLE_ABOVE,
}


def gradient_health(record: HealthRecord, set_back: Sequence[float] = (), every: int = EVERY) -> dict[str, Any]:
    """Return the verdict on a fit, why, and the figures that led to it; for JSON, but not yet strict about infinities.

    The gradient's way through the layers is judged by |g| |w|, the median over the looks: |g| alone depends on the
    scale of weights that a normalisation takes out again. A layer that neither Adam nor SGD moves is dead or starved.
    In this order: losses that are not finite; dead layers; the way through the layers; the way back through the steps
    of a recurrence; spikes of the loss.

    Args:
        record: of a recorder.
        set_back: losses of the steps that the fit was set back from; the recorder is not shown them.
        every: steps between two looks.
    """
    looks = _telling(record)
    if not looks:
        return {"verdict": None, "reasons": ["the fit ended before a look that tells"], "every": every, "looks": 0}
    scaled = record.scaled_norm[looks]
    path = [statistics.median(column) for column in scaled.T.tolist()]
    updates = np.median(np.asarray(record.update_ratio)[looks], axis=0)
    dead = np.asarray(record.dead_fraction)[-1]
    recurrent = _recurrence(record)
    verdict, reasons = _judge(record, path, float(updates.min()), float(dead.max()), set_back, recurrent)
    return {
        "verdict": str(verdict),
        "reasons": reasons,
        "every": every,
        "looks": len(looks),
        "layers": record.layers,
        "depth_ratio": end_to_end_ratio(path),
        "scaled_norms": path,
        "gradient_norms": np.median(np.asarray(record.gradient_norm)[looks], axis=0).tolist(),
        "update_ratios": updates.tolist(),
        "dead_fractions": dead.tolist(),
        "global_norm": {"first": record.global_norm[0], "last": record.global_norm[-1]},
        "steps": record.steps,
        "spikes": record.spikes,
        "nonfinite": record.nonfinite,
        "set_back": {"steps": len(set_back), "nonfinite": _nonfinite(set_back)},
        "recurrence": recurrent,
        "thresholds": dict(THRESHOLDS),
    }


def _telling(record: HealthRecord) -> list[int]:
    """Return the looks that tell of the gradients: with a refinement, those after its gain has left 0."""
    return [at for at in range(len(record.iteration)) if not record.recurrent_norm or any(record.recurrent_norm[at])]


def _recurrence(record: HealthRecord) -> dict[str, Any] | None:
    if not record.recurrent_norm:
        return None
    norms = np.median(np.asarray(record.recurrent_norm)[_telling(record)], axis=0).tolist()
    error = record.orthogonality_error[-1] if record.orthogonality_error else None
    return {"verdict": str(verdict_of_path(norms)), "gradient_norms": norms, "orthogonality_error": error}


def _judge(
    record: HealthRecord,
    path: list[float],
    slowest: float,
    deadest: float,
    set_back: Sequence[float],
    recurrent: Mapping[str, Any] | None,
) -> tuple[Verdict, list[str]]:
    if record.nonfinite or not np.isfinite(record.gradient_norm).all():
        return Verdict.nan, [f"{record.nonfinite} of {record.steps} losses were not finite, or a gradient was not"]
    layers = verdict_of_path(path)
    ratio = end_to_end_ratio(path)
    if layers is Verdict.dead or deadest > DEAD_ABOVE:
        return Verdict.dead, [f"up to {deadest:.0%} of a layer's channels are constant, or no gradient reaches a layer"]
    if layers in (Verdict.vanishing, Verdict.exploding):
        return layers, [f"|g| |w| of the first layer over the last is {ratio:.3g}"]
    if slowest < STILL_BELOW:
        return Verdict.vanishing, [f"a layer moves by only {slowest:.3g} of its weights in a step"]
    if recurrent is not None and recurrent["verdict"] not in (Verdict.healthy, Verdict.dead):
        return Verdict(recurrent["verdict"]), ["so is the gradient on its way back through the steps of the recurrence"]
    if layers is Verdict.unstable:
        return layers, ["|g| |w| leaves the thresholds in a layer between the first and the last"]
    if set_back or record.spikes > UNSTABLE_ABOVE * record.steps:
        spikes = f"{record.spikes} of {record.steps} losses were spikes"
        rescued = f"{len(set_back)} steps were set back, {_nonfinite(set_back)} of them for a loss that was not finite"
        return Verdict.unstable, [f"{spikes}; {rescued}"]
    return Verdict.healthy, [f"|g| |w| of the first layer over the last is {ratio:.3g}; all layers move"]


def _nonfinite(losses: Sequence[float]) -> int:
    return sum(not math.isfinite(loss) for loss in losses)
