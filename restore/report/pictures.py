"""Pictures inside a page: data URIs, of a size that a page can carry."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
from PIL import Image

__all__ = ["MOST_PIXELS", "data_uri", "difference", "picture_uri", "shrunk"]

MOST_PIXELS = 1600
"""Longest side of a picture in a page; larger ones are averaged down."""

Pixels = np.ndarray[Any, np.dtype[np.float32]]


def data_uri(data: bytes, kind: str) -> str:
    """Return bytes of the media type `kind` as a data URI."""
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def picture_uri(pixels: Pixels, longest: int = MOST_PIXELS) -> str:
    """Return (C, H, W) in [0, 1] as a PNG in a data URI."""
    return data_uri(_png(shrunk(pixels, longest)), "image/png")


def shrunk(pixels: Pixels, longest: int = MOST_PIXELS) -> Image.Image:
    """Return (C, H, W) in [0, 1] as an 8-bit picture whose longest side is at most `longest`."""
    bytes_ = np.rint(255 * np.clip(np.nan_to_num(pixels), 0, 1)).astype(np.uint8)
    picture = Image.fromarray(bytes_[0] if len(bytes_) == 1 else np.ascontiguousarray(np.moveaxis(bytes_[:3], 0, -1)))
    if max(picture.size) > longest:
        picture.thumbnail((longest, longest), Image.Resampling.BOX)
    return picture


def difference(before: Pixels, after: Pixels) -> tuple[Pixels, int]:
    """Return the mean difference over the channels around a grey of 1/2, (1, H, W), and what black and white stand for.

    The scale, in levels of 255, holds 99 % of the pixels.
    """
    change = np.nan_to_num(after - before).mean(axis=0, keepdims=True)
    reach = max(1, int(np.ceil(255 * float(np.quantile(np.abs(change), 0.99)))))
    return (0.5 + change * 255 / (2 * reach)).astype(np.float32), reach


def _png(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()
