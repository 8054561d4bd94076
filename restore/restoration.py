"""A restoration: the restored picture, what made it, and how it is written."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from restore.fitting import Fitted, Trace
from restore.fitting.observers import ReferenceCurve
from restore.images import Picture, atomic_write_bytes, check_output, check_target, write_pages
from restore.settings import Plan

__all__ = ["Restoration", "save_pages", "sidecar_path", "to_json", "written_to"]


@dataclass(frozen=True, eq=False)
class Restoration:
    """What `denoise` and `inpaint` give back.

    Attributes:
        picture: the restored picture, with the dtype, alpha, metadata and range of the input.
        plan: what was done.
        fitted: the images and the record of the fit.
        reference_curve: PSNR at each check, or None without a reference.
        report: the figures of the run, ready for JSON.
    """

    picture: Picture
    plan: Plan
    fitted: Fitted
    reference_curve: ReferenceCurve | None
    report: Mapping[str, Any]

    @property
    def image(self) -> np.ndarray[Any, Any]:
        """The restored picture in the input's dtype: (H, W) for grey, otherwise (H, W, C) with alpha last."""
        return self.picture.to_array()

    @property
    def trace(self) -> Trace:
        """The record of the fit."""
        return self.fitted.trace

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
