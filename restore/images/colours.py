"""CMYK, palettes, packed samples and premultiplied colours to plain grey or RGB."""

from __future__ import annotations

import io
from typing import Any

import numpy as np

__all__ = ["cmyk_to_rgb", "full_range", "grey_if_colourless", "look_up", "unpremultiply"]

Array = np.ndarray[Any, Any]


def cmyk_to_rgb(inks: Array, icc: bytes | None = None) -> Array:
    """Return RGB (H, W, 3) of inks (H, W, 4), uint8 or uint16, where 0 is no ink.

    8-bit inks with a usable ICC profile become sRGB through it, all others R = (1 - C) (1 - K) and so on.

    >>> cmyk_to_rgb(np.array([[[0, 255, 255, 0]]], dtype=np.uint8)).tolist()
    [[[255, 0, 0]]]
    """
    if icc and inks.dtype == np.uint8:
        converted = _through_profile(inks, icc)
        if converted is not None:
            return converted
    top = float(np.iinfo(inks.dtype).max)
    paper = 1.0 - inks / top
    return np.rint(top * paper[..., :3] * paper[..., 3:]).astype(inks.dtype)


def _through_profile(inks: Array, icc: bytes) -> Array | None:
    from PIL import Image, ImageCms

    image = Image.frombytes("CMYK", (inks.shape[1], inks.shape[0]), inks.tobytes())
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
        converted = ImageCms.profileToProfile(image, profile, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError):
        return None
    return None if converted is None else np.asarray(converted)


def look_up(indices: Array, table: Array) -> Array:
    """Return the 8-bit colours (H, W, 3) of palette indices (H, W); the table is a TIFF colour map, uint16 of (3, N).

    A table without an entry above 255 was written by a program that took it for 8 bits, as libtiff assumes too.
    """
    if table.max() > 255:
        table = table >> 8
    return np.moveaxis(table.astype(np.uint8)[:, indices], 0, -1)


def grey_if_colourless(colours: Array) -> Array:
    """Return (H, W, 3) or (H, W, 4) as (H, W, 1) or (H, W, 2) if red, green and blue are the same everywhere."""
    return colours[..., 2:] if (colours[..., :3] == colours[..., :1]).all() else colours


def full_range(samples: Array, bits: int) -> Array:
    """Stretch unsigned samples of 1 to 7 bits over uint8 and of 9 to 15 bits over uint16; others stay as they are.

    >>> full_range(np.array([0, 1, 15], dtype=np.uint8), bits=4).tolist()
    [0, 17, 255]
    """
    if samples.dtype == np.bool_:
        return samples.astype(np.uint8) * np.uint8(255)
    if samples.dtype not in (np.uint8, np.uint16) or bits in (8, 16):
        return samples
    target: np.dtype[Any] = np.dtype(np.uint8 if bits < 8 else np.uint16)
    stretched: Array = np.rint(samples * (np.iinfo(target).max / (2**bits - 1)))
    return stretched.astype(target)


def unpremultiply(colours: Array, alpha: Array) -> Array:
    """Divide colours (H, W, C) by their alpha (H, W, 1); where alpha is zero they are zero."""
    if colours.dtype.kind != "u":
        return np.asarray(np.divide(colours, alpha, out=np.zeros_like(colours), where=alpha != 0))
    top = int(np.iinfo(colours.dtype).max)
    straight = np.zeros(colours.shape)
    np.divide(top * colours.astype(np.float64), alpha, out=straight, where=alpha != 0)
    return np.rint(straight).clip(0, top).astype(colours.dtype)
