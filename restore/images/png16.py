"""16-bit PNG, which Pillow reduces to 8 bits in colour and cannot write: imagecodecs does the pixels."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING

import numpy as np

from restore.images.metadata import Metadata

if TYPE_CHECKING:
    from restore.images.picture import Array

__all__ = ["bit_depth", "decode_png16", "encode_png16"]

_HEADER_END = 33  # signature, then the IHDR chunk of 13 bytes
_METRES_PER_INCH = 0.0254


def bit_depth(data: bytes) -> int:
    """Return the bits a sample that a PNG file declares, 0 where the header is cut off."""
    return data[24] if len(data) > 24 else 0


def decode_png16(data: bytes) -> Array:
    """Return the uint16 samples of a 16-bit PNG: (H, W) or (H, W, C), a transparent colour (tRNS) as alpha."""
    import imagecodecs

    samples: Array = imagecodecs.png_decode(data)
    return samples


def encode_png16(samples: Array, metadata: Metadata) -> bytes:
    """Return a PNG file of uint16 samples, (H, W) or (H, W, C), with its metadata.

    Chunks as in the PNG specification, third edition, https://www.w3.org/TR/png-3/
    """
    import imagecodecs

    plain = bytes(imagecodecs.png_encode(np.ascontiguousarray(samples)))
    extra = b""
    if metadata.icc:
        extra += _chunk(b"iCCP", b"ICC profile\0\0" + zlib.compress(metadata.icc))
    if metadata.dpi:
        per_metre = [min(round(value / _METRES_PER_INCH), 2**31 - 1) for value in metadata.dpi]
        extra += _chunk(b"pHYs", struct.pack(">IIB", *per_metre, 1))
    if metadata.exif:
        extra += _chunk(b"eXIf", metadata.exif)
    return plain[:_HEADER_END] + extra + plain[_HEADER_END:]


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
