"""The page of a batch: every picture, small, with what became of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from restore.errors import RestoreError
from restore.images import read_pages
from restore.report.page import MOST_THUMBNAILS, THUMBNAIL, render
from restore.report.pictures import picture_uri

__all__ = ["batch_page"]

COLUMNS = (
    *("image", "output", "status", "psnr_input", "psnr", "ssim", "psnr_estimate", "sigma"),
    *("iteration_best", "iterations", "stop_reason", "seconds", "error"),
)


def batch_page(root: Path, command: str, records: Sequence[Mapping[str, Any]]) -> str:
    """Return the page of the batch whose results are in `root`; what failed comes first.

    Args:
        command: `denoise` or `inpaint`.
        records: how each picture ended.
    """
    ordered = sorted(records, key=lambda record: record["status"] == "done")
    shown = [name for name in COLUMNS if any(record.get(name) is not None for record in ordered)]
    pictures = len(ordered) <= MOST_THUMBNAILS
    rows = [
        [
            *([{"text": "", "picture": _thumbnail(root, record)}] if pictures else []),
            *({"text": _text(record.get(name)), "picture": ""} for name in shown),
        ]
        for record in ordered
    ]
    failed = sum(record["status"] == "failed" for record in ordered)
    return render(
        "ablation.html.j2",
        title=f"{command}: {root.resolve().name}",
        lead=f"{len(ordered) - failed} pictures restored, {failed} failed",
        summary="",
        charts=[],
        columns=[*(["picture"] if pictures else []), *shown],
        trials=rows,
    )


def _thumbnail(root: Path, record: Mapping[str, Any]) -> str:
    if record["status"] != "done":
        return ""
    try:
        return picture_uri(read_pages(root / record["output"])[0].pixels, THUMBNAIL)
    except RestoreError:
        return ""  # it was moved since


def _text(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)
