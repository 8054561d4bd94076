"""The size a picture may have, asked before a single pixel is decoded."""

from __future__ import annotations

from restore.errors import InputError

__all__ = ["MAX_PIXELS", "check_size"]

MAX_PIXELS = 89_478_485
"""Most pixels of one picture: Pillow's own warning threshold, a quarter of a gibibyte of 8-bit RGB.

A file of a few kilobytes can declare far more (a decompression bomb); fitting a network to more would take days.
"""


def check_size(name: str, width: int, height: int) -> None:
    """Raise InputError unless a picture of width x height pixels can be worked on.

    >>> check_size("a.png", 640, 480)
    >>> check_size("a.png", 0, 480)
    Traceback (most recent call last):
        ...
    restore.errors.InputError: 'a.png' has no pixels: its size is 0x480.
    """
    if width < 1 or height < 1:
        raise InputError(f"{name!r} has no pixels: its size is {width}x{height}.")
    if width * height > MAX_PIXELS:
        raise InputError(
            f"{name!r} declares {width}x{height} pixels, more than the limit of {MAX_PIXELS:,}: "
            "crop or scale it down first, or replace the file if it should be small."
        )
