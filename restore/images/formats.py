"""The picture formats: how to recognise them, and what each can hold when written."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from restore.errors import OutputError, unknown_name

__all__ = ["FORMATS", "WRITABLE", "Format", "format_named", "format_of", "sniff"]


@dataclass(frozen=True)
class Format:
    """What one format can hold as `restore` writes it; WebP is written without loss, TIFF with deflate compression."""

    name: str
    suffixes: tuple[str, ...]
    dtypes: tuple[str, ...] = ("uint8",)
    alpha: bool = False
    lossy: bool = False
    max_side: int | None = None

    def holds(self, dtype: str, alpha: bool, height: int, width: int) -> bool:
        """Whether a picture like that fits."""
        small_enough = self.max_side is None or max(height, width) <= self.max_side
        return dtype in self.dtypes and (self.alpha or not alpha) and small_enough


FORMATS: dict[str, Format] = {
    "PNG": Format("PNG", (".png",), dtypes=("uint8", "uint16"), alpha=True),
    "TIFF": Format("TIFF", (".tif", ".tiff"), dtypes=("uint8", "uint16", "float32"), alpha=True),
    "WEBP": Format("WEBP", (".webp",), alpha=True, max_side=16_383),
    "JPEG": Format("JPEG", (".jpg", ".jpeg"), lossy=True, max_side=65_500),
    "BMP": Format("BMP", (".bmp",)),
}

WRITABLE = ", ".join(suffix for entry in FORMATS.values() for suffix in entry.suffixes)

_SIGNATURES = {
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"\xff\xd8\xff": "JPEG",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"II+\0": "TIFF",
    b"MM\0+": "TIFF",
    b"BM": "BMP",
    b"GIF8": "GIF",
}


def sniff(data: bytes) -> str | None:
    """Return the name of the format that the first bytes of a file announce, whatever its suffix, or None.

    >>> sniff(b"GIF89a")
    'GIF'
    """
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    return next((name for signature, name in _SIGNATURES.items() if data.startswith(signature)), None)


def format_of(path: str | Path) -> Format:
    """Return the format that the suffix of an output path asks for.

    Raises:
        OutputError: no suffix, or one of a format that cannot be written.

    >>> format_of("holiday.JPG").name
    'JPEG'
    """
    suffix = Path(path).suffix.lower()
    for entry in FORMATS.values():
        if suffix in entry.suffixes:
            return entry
    what = f"the suffix {suffix!r} is not one that can be written" if suffix else "it has no suffix to tell the format"
    raise OutputError(f"cannot write {str(path)!r}: {what}; use one of {WRITABLE}.")


def format_named(name: str) -> Format:
    """Return a format by its name or suffix, in any case and with or without the dot.

    Raises:
        UsageError: an unknown name.

    >>> format_named("tif").name
    'TIFF'
    """
    wanted = name.lower().removeprefix(".")
    for entry in FORMATS.values():
        if wanted == entry.name.lower() or f".{wanted}" in entry.suffixes:
            return entry
    raise unknown_name("picture format", name, FORMATS)
