"""What travels beside the pixels: EXIF, ICC profile and resolution; and the EXIF orientation, which is applied."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["Metadata", "apply_orientation", "clean_exif", "exif_block", "resolution"]

ORIENTATION_TAG = 274
_SHORT, _LONG = 3, 4
_ENTRY = 12
_BYTE_ORDERS = {b"II*\0": "<", b"MM\0*": ">"}


@dataclass(frozen=True)
class Metadata:
    """What a picture file says about its pixels.

    exif: the EXIF block from its byte-order mark on (without the `Exif` prefix of JPEG), orientation removed
    icc: the ICC colour profile
    dpi: horizontal and vertical resolution in pixels per inch
    """

    exif: bytes | None = None
    icc: bytes | None = None
    dpi: tuple[float, float] | None = None

    def __repr__(self) -> str:
        sizes = [f"{name}={len(block)} bytes" for name, block in (("exif", self.exif), ("icc", self.icc)) if block]
        return f"Metadata({', '.join([*sizes, f'dpi={self.dpi}'])})"


def exif_block(data: object) -> bytes | None:
    """Return EXIF bytes without the `Exif` prefix that some containers put before them, or None if nothing is left."""
    if not isinstance(data, bytes):
        return None
    while data.startswith(b"Exif\0\0"):
        data = data[6:]
    return data or None


def resolution(horizontal: object, vertical: object) -> tuple[float, float] | None:
    """Return the resolution in pixels per inch, or None where a file declares a meaningless one.

    >>> resolution(300, 300)
    (300.0, 300.0)
    >>> resolution(0, 72) is None
    True
    """
    try:
        pair = float(horizontal), float(vertical)  # type: ignore[arg-type]
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    return pair if all(math.isfinite(value) and value > 0 for value in pair) else None


def clean_exif(exif: bytes) -> tuple[bytes | None, int]:
    """Return an EXIF block without its orientation and thumbnail, and the orientation (1 to 8; 1 is upright).

    The entry is cut out in place, so that every other byte stays where it was: maker notes hold absolute offsets that
    do not survive rewriting. The thumbnail is unlinked because it shows the picture before it was turned and restored.
    A block that cannot be parsed comes back as it was, with orientation 1.

    >>> clean_exif(b"MM\\0*" + bytes([0, 0, 0, 8, 0, 1, 1, 18, 0, 3, 0, 0, 0, 1, 0, 6, 0, 0, 0, 0, 0, 0]))
    (None, 6)
    """
    order = _BYTE_ORDERS.get(exif[:4])
    if order is None:
        return exif, 1
    try:
        (first,) = struct.unpack_from(f"{order}I", exif, 4)
        (count,) = struct.unpack_from(f"{order}H", exif, first)
        entries = [first + 2 + _ENTRY * index for index in range(count)]
        next_directory = first + 2 + _ENTRY * count
        struct.unpack_from(f"{order}I", exif, next_directory)
        tags = {struct.unpack_from(f"{order}H", exif, entry)[0]: entry for entry in reversed(entries)}
    except struct.error:
        return exif, 1

    block = bytearray(exif)
    block[next_directory : next_directory + 4] = bytes(4)
    entry = tags.get(ORIENTATION_TAG)
    if entry is None:
        return bytes(block), 1
    orientation = _orientation(exif, entry, order)
    if count == 1:
        return None, orientation
    struct.pack_into(f"{order}H", block, first, count - 1)
    end = next_directory + 4
    block[entry:end] = block[entry + _ENTRY : end] + bytes(_ENTRY)
    return bytes(block), orientation


def _orientation(exif: bytes, entry: int, order: str) -> int:
    _, kind, _ = struct.unpack_from(f"{order}HHI", exif, entry)
    layout = {_SHORT: "H", _LONG: "I"}.get(kind)
    value: int = struct.unpack_from(f"{order}{layout}", exif, entry + 8)[0] if layout else 1
    return value if 1 <= value <= 8 else 1


def apply_orientation(array: np.ndarray[Any, Any], orientation: int) -> np.ndarray[Any, Any]:
    """Turn and mirror an (H, W, ...) array so that it is upright; orientations 5 to 8 exchange height and width.

    >>> apply_orientation(np.array([[1, 2], [3, 4]]), 6).tolist()
    [[3, 1], [4, 2]]
    """
    if orientation in (5, 6, 7, 8):
        array = array.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        array = array[:, ::-1]
    if orientation in (3, 4, 7, 8):
        array = array[::-1]
    return array
