"""Files and bytes to pictures: which decoder, and one clear error whatever is wrong with them."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

from restore.errors import InputError, RestoreError
from restore.images.formats import sniff
from restore.images.limits import MAX_PIXELS
from restore.images.picture import Picture
from restore.images.pillow_codec import decode_with_pillow
from restore.images.tiff import decode_tiff

__all__ = ["read", "read_bytes", "read_pages", "read_pages_bytes"]


def read(path: str | Path) -> Picture:
    """Return the one picture in a PNG, JPEG, TIFF, WebP, BMP or GIF file, upright as its EXIF orientation asks.

    Raises:
        InputError: no such file, not a picture, damaged, of a kind that is not supported (see `Picture`), more than
            `MAX_PIXELS`, or a TIFF of several pages: `read_pages` gives those, the first among them.
    """
    return _only(read_pages(path), str(path))


def read_pages(path: str | Path) -> list[Picture]:
    """Return the pictures in a file: every page of a TIFF, one of any other format.

    Raises:
        InputError: as `read`, but for several pages.
    """
    path = Path(path)
    pictures = read_pages_bytes(_file_bytes(path), str(path))
    return [dataclasses.replace(picture, path=path) for picture in pictures]


def read_bytes(data: bytes, name: str = "standard input") -> Picture:
    """Return the one picture in the bytes of a file; `name` stands for it in messages.

    Raises:
        InputError: as `read`.
    """
    return _only(read_pages_bytes(data, name), name)


def read_pages_bytes(data: bytes, name: str = "standard input") -> list[Picture]:
    """Return the pictures in the bytes of a file, as `read_pages` does.

    Raises:
        InputError: as `read_pages`.
    """
    if not data:
        raise InputError(f"{name!r} is empty (0 bytes): there is no picture in it.")
    file_format = sniff(data)
    if file_format is None:
        raise InputError(f"{name!r} is not a picture that can be read: use PNG, JPEG, TIFF, WebP, BMP or GIF.")
    try:
        with _quiet():
            if file_format == "TIFF":
                return decode_tiff(data, name)
            return [decode_with_pillow(data, file_format, name)]
    except RestoreError:
        raise
    except Image.DecompressionBombError:
        raise InputError(
            f"{name!r} declares more than the limit of {MAX_PIXELS:,} pixels: "
            "crop or scale it down first, or replace the file if it should be small."
        ) from None
    except Exception as error:  # decoders raise anything from struct.error to SyntaxError on damaged data
        reason = str(error).strip().rstrip(".") or type(error).__name__
        raise InputError(
            f"{name!r} cannot be decoded as {file_format}: it is truncated, damaged or unsupported ({reason})."
        ) from error


def _only(pictures: list[Picture], name: str) -> Picture:
    if len(pictures) > 1:
        raise InputError(f"{name!r} has {len(pictures)} pages where one picture is needed: save the page you mean.")
    return pictures[0]


def _file_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"no such file: {str(path)!r}.") from None
    except IsADirectoryError:
        raise InputError(f"{str(path)!r} is a folder, not a picture.") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise InputError(f"cannot read {str(path)!r}: {getattr(error, 'strerror', None) or error}.") from error


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep what the decoders warn about to themselves: a picture is either good enough or an error of ours."""
    logger = logging.getLogger("tifffile")
    disabled = logger.disabled
    logger.disabled = True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.disabled = disabled
