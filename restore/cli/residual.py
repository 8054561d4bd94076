"""`--save-residual`: a picture of what was taken away, by which one sees whether it was noise alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from restore.errors import OutputError
from restore.images import Picture, check_output, write_pages

__all__ = ["check_residual", "save_residual"]

MIDDLE = 0.5


def check_residual(path: Path | None, pages: Sequence[Picture], taken: Sequence[Path], *, existing: str) -> None:
    """Raise OutputError where the residual cannot be written to `path`, or would go over a file of this run."""
    if path is None:
        return
    if any(path.absolute() == other.absolute() for other in taken):
        raise OutputError(f"the residual {str(path)!r} is the output itself: name another file.")
    check_output(pages, path, existing=existing)


def save_residual(path: Path, before: Sequence[Picture], after: Sequence[Picture], *, existing: str) -> None:
    """Write 1/2 + before - after of each page, in the range and dtype of the page, clipped to it."""
    pictures = [
        page.with_pixels((MIDDLE + page.pixels - restored.pixels).clip(0, 1))
        for page, restored in zip(before, after, strict=False)
    ]
    write_pages(pictures, path, existing=existing)
