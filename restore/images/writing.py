"""Pictures to files and bytes: the format by the suffix, every misfit refused before anything is written."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from restore.errors import OutputError
from restore.images.atomic import atomic_write_bytes, check_target
from restore.images.formats import FORMATS, Format, format_named, format_of
from restore.images.picture import Picture
from restore.images.pillow_codec import encode_with_pillow
from restore.images.tiff import encode_tiff

__all__ = ["check_output", "default_output", "encode", "encode_pages", "write", "write_pages"]

QUALITY = 95


def write(
    picture: Picture,
    path: str | Path,
    *,
    existing: str = "error",
    quality: int = QUALITY,
    source: str | Path | None = None,
) -> Path:
    """Write a picture whole or not at all, in the format of the suffix, and return the path.

    PNG, TIFF, BMP and WebP (always without loss; it has no grey, so grey comes back as RGB) give back the exact values
    of `picture.values()`; JPEG has 4:4:4 chroma and does not. EXIF, ICC profile and resolution go along as far as the
    format has room: BMP has none for EXIF and ICC, WebP none for the resolution, JPEG none for over 64 KiB of EXIF.

    existing: "error" or "overwrite", what to do about a file that is there
    quality: of JPEG, 1 to 100
    source: a file, besides the one the picture was read from, that must not be written over

    Raises:
        OutputError: as `check_output`, or encoding or writing fails; then nothing is left behind.
        UsageError: an unknown `existing`.
    """
    return write_pages([picture], path, existing=existing, quality=quality, source=source)


def write_pages(
    pictures: Sequence[Picture],
    path: str | Path,
    *,
    existing: str = "error",
    quality: int = QUALITY,
    source: str | Path | None = None,
) -> Path:
    """Write pictures into one file, several as the pages of a TIFF; otherwise as `write`.

    Raises:
        OutputError: as `write`, no pictures, or several for another format than TIFF.
        UsageError: an unknown `existing`.
    """
    check_output(pictures, path, existing=existing, source=source)
    data = encode_pages(pictures, format_of(path).name, quality=quality)
    return atomic_write_bytes(path, data, existing=existing)


def check_output(
    pictures: Picture | Sequence[Picture],
    path: str | Path,
    *,
    existing: str = "error",
    source: str | Path | None = None,
) -> None:
    """Raise what `write` or `write_pages` would raise before it starts, so that no fit is made in vain.

    Raises:
        OutputError: an unknown suffix, a format that cannot hold the dtype, the alpha channel or the size, the file the
            picture was read from, or a place where no file may be written (see `check_target`).
        UsageError: an unknown `existing`.
    """
    pages = [pictures] if isinstance(pictures, Picture) else pictures
    _check_fit(pages, format_of(path))
    for protected in {source, *(picture.path for picture in pages)} - {None}:
        check_target(path, existing="overwrite", source=protected)
    check_target(path, existing=existing)


def encode(picture: Picture, file_format: str, *, quality: int = QUALITY) -> bytes:
    """Return the bytes of a file of a format given by its name or suffix, for pipes.

    Raises:
        OutputError: the format cannot hold the picture, or the encoder fails.
        UsageError: an unknown format.

    >>> encode(Picture.from_array([[0, 1]]), "tif")[:4]
    b'II*\\x00'
    """
    return encode_pages([picture], file_format, quality=quality)


def encode_pages(pictures: Sequence[Picture], file_format: str, *, quality: int = QUALITY) -> bytes:
    """Return the bytes of a file of one or, for TIFF, more pictures.

    Raises:
        OutputError: no pictures, several for another format, one that it cannot hold, or the encoder fails.
        UsageError: an unknown format.
    """
    wanted = format_named(file_format)
    _check_fit(pictures, wanted)
    try:
        return encode_tiff(pictures) if wanted.name == "TIFF" else encode_with_pillow(pictures[0], wanted.name, quality)
    except OutputError:
        raise
    except Exception as error:  # encoders raise what they please
        raise OutputError(f"cannot encode {pictures[0].name!r} as {wanted.name}: {error}.") from error


def _check_fit(pictures: Sequence[Picture], wanted: Format) -> None:
    if not pictures:
        raise OutputError("there is no picture to write.")
    if len(pictures) > 1 and wanted.name != "TIFF":
        raise OutputError(f"{wanted.name} holds one picture, not {len(pictures)} pages: choose .tif.")
    for picture in pictures:
        if not _holds(wanted, picture):
            able = " or ".join(entry.suffixes[0] for entry in FORMATS.values() if _holds(entry, picture))
            raise OutputError(
                f"cannot write {picture.name!r} as {wanted.name}, which {_misfit(wanted, picture)}: choose {able}."
            )


def _holds(wanted: Format, picture: Picture) -> bool:
    return wanted.holds(picture.dtype.name, picture.alpha is not None, *picture.size)


def _misfit(wanted: Format, picture: Picture) -> str:
    if picture.dtype.name not in wanted.dtypes:
        return {"uint16": "holds no 16-bit pixels", "float32": "holds no floating-point pixels"}[picture.dtype.name]
    if picture.alpha is not None and not wanted.alpha:
        return "holds no alpha channel"
    return f"holds at most {wanted.max_side} pixels a side, not {picture.width}x{picture.height}"


def default_output(path: str | Path, picture: Picture) -> Path:
    """Return `<stem>.restored.<suffix>` beside an input: in its own format if that holds the picture without loss.

    JPEG, lossy WebP and GIF become PNG, as does what BMP cannot hold; TIFF stays TIFF, and floats become TIFF.

    >>> default_output("scans/a.jpg", Picture.from_array([[0, 1]])).name
    'a.restored.tif'
    """
    path = Path(path)
    own = FORMATS.get(picture.format or "")
    candidates = [own] if own and not own.lossy and (not picture.lossy or own.name == "TIFF") else []
    candidates += [FORMATS["PNG"], FORMATS["TIFF"]]
    chosen = next(entry for entry in candidates if _holds(entry, picture))
    suffix = path.suffix if path.suffix.lower() in chosen.suffixes else chosen.suffixes[0]
    return path.with_name(f"{path.stem}.restored{suffix}")
