"""TIFF through tifffile: any dtype and compression, every page a picture, EXIF and GPS directories included."""

from __future__ import annotations

import dataclasses
import io
import struct
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from restore.errors import InputError, OutputError
from restore.images.colours import cmyk_to_rgb, full_range, grey_if_colourless, look_up, unpremultiply
from restore.images.limits import check_size
from restore.images.metadata import Metadata, apply_orientation, resolution
from restore.images.picture import Array, Picture
from restore.images.tiff_exif import exif_of_page, extra_tags, link_directories

if TYPE_CHECKING:
    from tifffile import TiffFile, TiffPage, TiffWriter

__all__ = ["decode_tiff", "encode_tiff"]

_MINISWHITE, _MINISBLACK, _RGB, _PALETTE, _SEPARATED, _YCBCR = 0, 1, 2, 3, 5, 6
_REDUCED_OR_MASK = 0b101  # NewSubfileType: a smaller copy or the transparency mask of another page
_UNSPECIFIED, _ASSOCIATED_ALPHA = 0, 1
_ORIENTATION, _ICC = 274, 34675
_UNDEFINED = 7  # the type of values that are just bytes
_INCH, _CENTIMETRE = 2, 3
_CLASSIC_LIMIT = 2**32 - 2**25  # offsets are 32-bit numbers; the rest is left for metadata


def decode_tiff(data: bytes, name: str) -> list[Picture]:
    """Return the pages of a TIFF file as pictures, leaving out thumbnails and masks of other pages.

    Raises:
        InputError: no page, a truncated page, or one that is not grey, RGB, palette or CMYK with at most one alpha
            channel; damaged data raises what tifffile raises.
    """
    from tifffile import TiffFile

    with TiffFile(io.BytesIO(data)) as file:
        pages = [page.aspage() for page in file.pages]
        pictures = [
            _page_to_picture(page, data, name, index)
            for index, page in enumerate(page for page in pages if not page.subfiletype & _REDUCED_OR_MASK)
        ]
        _check_end_of_chain(file, pages[-1], data, name)
    if not pictures:
        raise InputError(f"{name!r} is a TIFF file without a page that holds a picture.")
    return pictures


def _check_end_of_chain(file: TiffFile, last: TiffPage, data: bytes, name: str) -> None:
    """tifffile takes a page that would begin after the end of the file for none at all."""
    layout = file.tiff
    (count,) = struct.unpack_from(layout.tagnoformat, data, last.offset)
    position = last.offset + layout.tagnosize + count * layout.tagsize
    (following,) = struct.unpack_from(layout.offsetformat, data, position)
    if following >= len(data):
        raise InputError(f"{name!r} is truncated: pages after the first {last.index + 1} are missing; fetch it again.")


def _page_to_picture(page: TiffPage, data: bytes, name: str, index: int) -> Picture:
    where = f"{name}, page {index + 1}" if index else name
    check_size(where, page.imagewidth, page.imagelength)
    if any(offset + count > len(data) for offset, count in zip(page.dataoffsets, page.databytecounts, strict=False)):
        raise InputError(f"{where!r} is truncated: its pixels end after the end of the file; fetch it again.")
    samples, mode = _plain_colours(page, where)
    orientation = int(page.tags.valueof(_ORIENTATION, default=1))
    dpi = _page_resolution(page)
    if dpi and orientation >= 5:
        dpi = dpi[::-1]
    icc = page.tags.valueof(_ICC) if mode != "CMYK" else None
    picture = dataclasses.replace(
        Picture.from_array(apply_orientation(samples, orientation), name=where),
        metadata=Metadata(exif=exif_of_page(data, page.offset), icc=bytes(icc) if icc else None, dpi=dpi),
        format="TIFF",
        lossy=_is_jpeg(page),
        page=index,
    )
    return _noted(picture.converted_from(mode) if mode else picture, page)


def _noted(picture: Picture, page: TiffPage) -> Picture:
    """Return the picture with notes on what of the page it does not keep, or takes for something else."""
    notes = picture.notes
    if picture.alpha is not None and page.extrasamples and int(page.extrasamples[0]) == _UNSPECIFIED:
        notes += ("the last channel is taken for alpha and left as it is; to have it restored, save channels as pages",)
    if page.is_imagej or page.is_ome:
        notes += ("axes, spacing and units of ImageJ or OME are not kept",)
    return dataclasses.replace(picture, notes=notes)


def _colour_space(page: TiffPage, where: str) -> tuple[int, int]:
    """How the samples are to be read, and how many of them are colours."""
    photometric, count = int(page.photometric), page.samplesperpixel
    if photometric in (_MINISWHITE, _MINISBLACK) and count >= 3:
        photometric = _RGB  # three channels of which the writer only said that zero is black
    if photometric == _YCBCR and _is_jpeg(page):
        photometric = _RGB  # the JPEG decoder converts it
    colours = {_MINISWHITE: 1, _MINISBLACK: 1, _RGB: 3, _PALETTE: 1, _SEPARATED: 4}.get(photometric)
    if colours is None or (photometric == _SEPARATED and page.dtype not in (np.uint8, np.uint16)):
        raise InputError(
            f"{where!r} holds {_name(page.photometric)} colours as {page.dtype}: convert it to RGB or grey first."
        )
    if count - colours not in ((0,) if photometric == _PALETTE else (0, 1)):
        raise InputError(
            f"{where!r} has {count} channels: a picture is grey, RGB or CMYK with at most one alpha channel; "
            "save its channels as pages."
        )
    return photometric, colours


def _plain_colours(page: TiffPage, where: str) -> tuple[Array, str]:
    """The samples as grey or RGB, with alpha if there is one, and what they were if they had to be converted."""
    photometric, colours = _colour_space(page, where)
    samples = _samples(page, where)
    if photometric == _PALETTE:
        coloured = look_up(samples[..., 0], np.asarray(page.colormap))
        return coloured if page.tags.valueof(_ICC) else grey_if_colourless(coloured), "palette"

    samples = full_range(samples, page.bitspersample)
    colour, alpha = samples[..., :colours], samples[..., colours:]
    if photometric == _MINISWHITE and colour.dtype.kind == "u":
        colour = np.iinfo(colour.dtype).max - colour
    if page.extrasamples and int(page.extrasamples[0]) == _ASSOCIATED_ALPHA:
        colour = unpremultiply(colour, alpha)
    if photometric == _SEPARATED:
        colour = cmyk_to_rgb(colour, page.tags.valueof(_ICC))
    mode = "CMYK" if photometric == _SEPARATED else "bilevel" if page.bitspersample == 1 else ""
    return np.concatenate([colour, alpha], axis=2), mode


def _samples(page: TiffPage, where: str) -> Array:
    """The samples as (H, W, S)."""
    if page.axes not in ("YX", "YXS", "SYX"):
        raise InputError(f"{where!r} has axes {page.axes}: a page must be one flat picture; save its slices as pages.")
    samples = np.asarray(page.asarray(maxworkers=1))
    if page.axes == "SYX":
        return np.moveaxis(samples, 0, -1)
    return samples.reshape(*samples.shape[:2], -1)


def _is_jpeg(page: TiffPage) -> bool:
    return "JPEG" in _name(page.compression)


def _name(value: int) -> str:
    """The name that tifffile has for a number, if it knows it."""
    return str(getattr(value, "name", value))


def _page_resolution(page: TiffPage) -> tuple[float, float] | None:
    unit = {_INCH: 1.0, _CENTIMETRE: 2.54}.get(int(page.tags.valueof(296, default=_INCH)))
    try:
        horizontal, vertical = (page.tags.valueof(tag) for tag in (282, 283))
        return resolution(unit * horizontal[0] / horizontal[1], unit * vertical[0] / vertical[1])
    except (TypeError, ZeroDivisionError):  # a tag that is not there, or makes no sense
        return None


def encode_tiff(pictures: Sequence[Picture]) -> bytes:
    """Return a TIFF file with one deflate-compressed page a picture.

    Raises:
        OutputError: more than four gigabytes of pixels.
    """
    from tifffile import TiffWriter

    if sum(picture.pixels.size * picture.dtype.itemsize for picture in pictures) > _CLASSIC_LIMIT:
        raise OutputError("the pages do not fit one TIFF file of 4 GB: write fewer pages into each.")
    buffer = io.BytesIO()
    with TiffWriter(buffer, byteorder="<") as file:
        for picture in pictures:
            _write_page(file, picture)
    return link_directories(buffer.getvalue(), [picture.metadata.exif for picture in pictures])


def _write_page(file: TiffWriter, picture: Picture) -> None:
    metadata = picture.metadata
    options: dict[str, Any] = {}
    tags = extra_tags(metadata.exif)
    if metadata.icc:
        tags.append((_ICC, _UNDEFINED, len(metadata.icc), metadata.icc, True))
    if picture.alpha is not None:
        options["extrasamples"] = ["unassalpha"]
    if picture.channels == 3 or picture.alpha is not None:
        options["planarconfig"] = "contig"
    if metadata.dpi:
        options |= {"resolution": metadata.dpi, "resolutionunit": "inch"}
    file.write(
        picture.to_array(),
        photometric="rgb" if picture.channels == 3 else "minisblack",
        compression="zlib",
        predictor=True,
        metadata=None,
        software=False,
        extratags=tags,
        **options,
    )
