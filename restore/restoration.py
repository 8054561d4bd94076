"""A restoration: the restored picture, what made it, and how it is written."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from restore.fitting import Fitted, Trace
from restore.fitting.observers import ReferenceCurve
from restore.health.baseline import Side
from restore.health.recorder import HealthRecord
from restore.images import Picture, atomic_write_bytes, check_output, check_target, write_pages
from restore.settings import Plan

__all__ = ["Restoration", "curves_path", "save_curves", "save_pages", "sidecar_path", "to_json", "written_to"]


@dataclass(frozen=True, eq=False)
class Restoration:
    """What `denoise` and `inpaint` give back.

    Attributes:
        picture: the restored picture, with the dtype, alpha, metadata and range of the input.
        plan: what was done.
        fitted: the images and the record of the fit.
        reference_curve: PSNR at each check, or None without a reference.
        report: the figures of the run, ready for JSON.
        health: what was recorded of the gradients, or None unless asked for.
        baseline: the sides of a comparison without normalisation, by name; empty unless asked for.
        interrupted: whether Ctrl-C ended the fit, or the comparison after it.
        uncertainty: float32 (C, H, W), the standard deviation of every value on the scale of 0 to 255, or None unless
            asked for.
    """

    picture: Picture
    plan: Plan
    fitted: Fitted
    reference_curve: ReferenceCurve | None
    report: Mapping[str, Any]
    health: HealthRecord | None = None
    baseline: Mapping[str, Side] = field(default_factory=dict)
    interrupted: bool = False
    uncertainty: np.ndarray[Any, Any] | None = None

    @property
    def image(self) -> np.ndarray[Any, Any]:
        """The restored picture in the input's dtype: (H, W) for grey, otherwise (H, W, C) with alpha last."""
        return self.picture.to_array()

    @property
    def trace(self) -> Trace:
        """The record of the fit."""
        return self.fitted.trace

    def curves(self) -> dict[str, np.ndarray[Any, Any]]:
        """Return the curves of the run, each float64 with one number a check (every ten steps) unless said otherwise.

        `iteration, seconds, loss, learning_rate, held_out` of the trace; `psnr` (of the averaged image) and
        `psnr_network` in dB, empty without a reference; `health_...` as in `HealthRecord.arrays`, if recorded;
        `baseline_<side>_iteration, ..._seconds, ..._loss, ..._psnr` of each side of a comparison. What was not measured
        is empty.
        """
        trace, reference = self.fitted.trace, self.reference_curve
        named: dict[str, Any] = {
            **{name: getattr(trace, name) for name in ("iteration", "seconds", "loss", "learning_rate", "held_out")},
            "psnr": [] if reference is None else reference.psnr,
            "psnr_network": [] if reference is None else reference.network,
        }
        for name, side in self.baseline.items():
            for curve in ("iteration", "seconds", "loss", "psnr"):
                named[f"baseline_{name}_{curve}"] = getattr(side.run, curve)
        plain = {name: np.asarray(values, dtype=np.float64) for name, values in named.items()}
        return plain if self.health is None else {**plain, **self.health.arrays()}

    def save(self, path: str | Path, *, existing: str = "error", sidecar: bool = True) -> Path:
        """Write the picture to `path`, and the report to `<path>.json`; return `path`.

        Both are written atomically. The format comes from the suffix.

        Args:
            existing: `error` or `overwrite`, what to do about files that are there.
            sidecar: whether to write the report.

        Raises OutputError when something cannot be written, UsageError for an unknown `existing`.
        """
        return save_pages([self.picture], self.report, path, existing=existing, sidecar=sidecar)


def save_pages(
    pictures: Sequence[Picture],
    report: Mapping[str, Any],
    path: str | Path,
    *,
    existing: str = "error",
    sidecar: bool = True,
) -> Path:
    """Write the pages of one file and their common report, as `Restoration.save` does for one."""
    beside = sidecar_path(path)
    check_output(pictures, path, existing=existing)
    if sidecar:
        check_target(beside, existing=existing)
    write_pages(pictures, path, existing=existing)
    if sidecar:
        atomic_write_bytes(beside, to_json(written_to(path, report)).encode(), existing=existing)
    return Path(path)


def save_curves(curves: Mapping[str, np.ndarray[Any, Any]], path: str | Path, *, existing: str = "error") -> Path:
    """Write curves beside the picture at `path`, as `<path>.npz`, atomically; return where.

    Raises OutputError when it cannot be written.
    """
    buffer = io.BytesIO()
    named: dict[str, Any] = {name: np.asarray(curve) for name, curve in curves.items()}
    np.savez_compressed(buffer, **named)
    return atomic_write_bytes(curves_path(path), buffer.getvalue(), existing=existing)


def curves_path(path: str | Path) -> Path:
    """Return where the curves of the picture at `path` are written: `<path>.npz`."""
    return Path(f"{path}.npz")


def written_to(path: str | Path, report: Mapping[str, Any]) -> dict[str, Any]:
    """Return the report with its `output` filled in."""
    reasons = {name: why for name, why in report["null_reasons"].items() if name != "output"}
    return {**report, "output": str(path), "null_reasons": reasons}


def sidecar_path(path: str | Path) -> Path:
    """Return where the report of the picture at `path` is written: `<path>.json`."""
    return Path(f"{path}.json")


def to_json(report: Mapping[str, Any]) -> str:
    """Return the report as strict JSON: a number that is not finite is an error, not a literal of JavaScript's."""
    return json.dumps(report, indent=2, allow_nan=False) + "\n"
