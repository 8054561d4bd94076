"""`--save-residual` and `--save-uncertainty`: what was taken away, and where the result is unsure."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from restore.errors import OutputError, UsageError
from restore.images import Picture, check_output, write_pages
from restore.restoration import Restoration

__all__ = ["check_beside", "refuse_beside", "save_residual", "save_uncertainty"]

MIDDLE = 0.5

Beside = Sequence[tuple[str, Path | None]]
"""Options that name a file beside the output, and the files."""


def refuse_beside(named: Beside) -> None:
    """Raise UsageError if one is given, since there are many pictures."""
    for option, path in named:
        if path is not None:
            raise UsageError(f"{option} names one file, so it takes one picture, not many: leave it out.")


def check_beside(named: Beside, pages: Sequence[Picture], output: Path | None, *, existing: str) -> None:
    """Raise OutputError where one cannot be written, or would go over another file of this run."""
    taken = {} if output is None else {output.absolute(): "the output itself"}
    for option, path in named:
        if path is None:
            continue
        if path.absolute() in taken:
            raise OutputError(f"{option} {str(path)!r} is {taken[path.absolute()]}: name another file.")
        taken[path.absolute()] = f"the file of {option}"
        floats = [Picture.from_array(np.zeros((page.height, page.width), np.float32)) for page in pages]
        check_output(floats if option == "--save-uncertainty" else pages, path, existing=existing)


def save_residual(path: Path, before: Sequence[Picture], after: Sequence[Picture], *, existing: str) -> None:
    """Write 1/2 + before - after of each page, in the range and dtype of the page, clipped to it."""
    pictures = [
        page.with_pixels((MIDDLE + page.pixels - restored.pixels).clip(0, 1))
        for page, restored in zip(before, after, strict=False)
    ]
    write_pages(pictures, path, existing=existing)


def save_uncertainty(path: Path, results: Sequence[Restoration], *, existing: str) -> None:
    """Write the standard deviation of every value of each page, on the scale of 0 to 255, as floats."""
    pictures = [
        Picture.from_array(np.moveaxis(result.uncertainty, 0, -1).astype(np.float32))
        for result in results
        if result.uncertainty is not None
    ]
    write_pages(pictures, path, existing=existing)
