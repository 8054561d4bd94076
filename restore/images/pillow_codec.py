"""Pictures from and to the formats that Pillow handles: PNG, JPEG, WebP, BMP and GIF (reading only)."""

from __future__ import annotations

import dataclasses
import io
import struct
from typing import Any

import numpy as np
from PIL import Image

from restore.errors import InputError
from restore.images.colours import cmyk_to_rgb, grey_if_colourless
from restore.images.limits import check_size
from restore.images.metadata import Metadata, apply_orientation, clean_exif, exif_block, resolution
from restore.images.picture import Array, Picture
from restore.images.png16 import bit_depth, decode_png16, encode_png16

__all__ = ["decode_with_pillow", "encode_with_pillow", "from_pillow"]

_JPEG_EXIF_LIMIT = 65_533 - len(b"Exif\0\0")  # the length of an APP1 segment is a 16-bit number

# What Pillow converts without loss of meaning, and to what; a transparent colour adds the alpha channel.
_TARGETS = {"1": "L", "L": "L", "LA": "LA", "La": "LA", "PA": "RGBA", "P": "RGB", "RGB": "RGB", "RGBX": "RGB"}
_TARGETS |= {"RGBA": "RGBA", "RGBa": "RGBA", "YCbCr": "RGB", "HSV": "RGB"}
_MODES = {"1": "bilevel", "P": "palette", "PA": "palette", "CMYK": "CMYK"}


def decode_with_pillow(data: bytes, file_format: str, name: str) -> Picture:
    """Return the one picture in the bytes of a PNG, JPEG, WebP, BMP or GIF file.

    Raises:
        InputError: an animation, or a size that `check_size` refuses; damaged data raises what Pillow raises.
    """
    with Image.open(io.BytesIO(data), formats=[file_format]) as image:
        check_size(name, *image.size)
        frames = getattr(image, "n_frames", 1)
        if frames > 1 and file_format != "JPEG":  # the further frames of a JPEG are previews of it
            raise InputError(f"{name!r} is an animation of {frames} frames: save the frame you mean as a PNG picture.")
        image.load()
        deep = decode_png16(data) if file_format == "PNG" and bit_depth(data) == 16 else None
        picture = _to_picture(image, name, deep)
    lossy = file_format == "JPEG" or (file_format == "WEBP" and not _is_lossless_webp(data))
    return dataclasses.replace(picture, format=file_format, lossy=lossy)


def from_pillow(image: Image.Image, *, name: str = "image") -> Picture:
    """Return the picture that a Pillow image shows, its EXIF orientation applied.

    Modes 1, L, I;16, I (32-bit integers, kept as float32), F, P, RGB, CMYK, YCbCr, HSV and their forms with alpha.

    Raises:
        InputError: another mode, or a size that cannot be worked on.

    >>> from_pillow(Image.new("LA", (3, 2))).to_array().shape
    (2, 3, 2)
    """
    check_size(name, *image.size)
    return _to_picture(image, name)


def _to_picture(image: Image.Image, name: str, samples: Array | None = None) -> Picture:
    """`samples` are the pixels where Pillow cannot hold them, its image then only gives the metadata."""
    exif, orientation = None, 1
    block = exif_block(image.info.get("exif"))
    if block:
        exif, orientation = clean_exif(block)
    icc: bytes | None = image.info.get("icc_profile") or None
    dpi = resolution(*image.info.get("dpi", (None, None))[:2])
    if dpi and orientation >= 5:
        dpi = dpi[::-1]
    if image.mode == "CMYK":
        icc = None  # it described the inks
    if samples is None:
        samples = _samples(image, name)
    picture = Picture.from_array(apply_orientation(samples, orientation), name=name)
    picture = dataclasses.replace(picture, metadata=Metadata(exif=exif, icc=icc, dpi=dpi))
    return picture.converted_from(_MODES[image.mode]) if image.mode in _MODES else picture


def _samples(image: Image.Image, name: str) -> Array:
    if image.mode == "CMYK":
        return cmyk_to_rgb(np.asarray(image), image.info.get("icc_profile"))
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        return np.asarray(image)
    target = _TARGETS.get(image.mode)
    if target is None:
        raise InputError(f"{name!r} has pixels of Pillow's mode {image.mode!r}: convert it to RGB or grey first.")
    if image.has_transparency_data and not target.endswith("A"):
        target += "A"
    samples = np.asarray(image.convert(target))
    if image.mode in ("P", "PA") and "icc_profile" not in image.info:  # a profile for colours does not fit grey
        return grey_if_colourless(samples)
    return samples


def _is_lossless_webp(data: bytes) -> bool:
    position = 12
    while position + 8 <= len(data):
        kind, length = struct.unpack_from("<4sI", data, position)
        if kind in (b"VP8 ", b"VP8L"):
            return bool(kind == b"VP8L")
        position += 8 + length + length % 2
    return False


def encode_with_pillow(picture: Picture, file_format: str, quality: int) -> bytes:
    """Return the bytes of a file; JPEG at `quality` with 4:4:4 chroma, WebP without loss, 16-bit PNG by `png16`.

    EXIF that does not fit a JPEG segment (64 KiB) is left out; BMP holds neither EXIF nor ICC, WebP no resolution.
    """
    samples = picture.to_array()
    metadata = picture.metadata
    if file_format == "PNG" and samples.dtype == np.uint16:
        return encode_png16(samples, metadata)
    options: dict[str, Any] = {}
    if metadata.dpi and file_format != "WEBP":
        options["dpi"] = metadata.dpi
    if metadata.icc and file_format != "BMP":
        options["icc_profile"] = metadata.icc
    if metadata.exif and file_format != "BMP" and (file_format != "JPEG" or len(metadata.exif) <= _JPEG_EXIF_LIMIT):
        options["exif"] = b"Exif\0\0" + metadata.exif
    if file_format == "JPEG":
        options |= {"quality": quality, "subsampling": 0}
    if file_format == "WEBP":
        options |= {"lossless": True, "exact": True}
    buffer = io.BytesIO()
    Image.fromarray(samples).save(buffer, file_format, **options)
    return buffer.getvalue()
