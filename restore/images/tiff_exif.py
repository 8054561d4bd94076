"""EXIF in TIFF: no block, but part of the page's own directory, from which EXIF and GPS directories hang.

A directory is read into a dict from tag to (type, value bytes in little-endian order), or to another dict where the tag
points to one, and written again at any offset; no value is interpreted, so none is changed. TIFF 6.0, section 2.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import TypeAlias, Union

import numpy as np

__all__ = ["exif_of_page", "extra_tags", "link_directories", "read_directory", "write_directory"]

Directory: TypeAlias = dict[int, Union[tuple[int, bytes], "Directory"]]

# ImageDescription, Make, Model, Software, DateTime, Artist, HostComputer, Rating (two tags), Copyright, and Windows'
# title to subject: what describes the picture. The other tags of a page describe how its pixels are stored.
_DESCRIPTIVE = {270, 271, 272, 305, 306, 315, 316, 18246, 18249, 33432, 40091, 40092, 40093, 40094, 40095}
_IMAGE_DESCRIPTION = 270
_STORAGE_DESCRIPTIONS = (b'{"shape"', b"ImageJ=", b"<?xml")  # notes of tifffile, ImageJ and OME on the layout of a file
_POINTERS = {34665: "ExifTag", 34853: "GPSTag"}
_INTEROPERABILITY = 40965
_DEEPEST = 2  # page, EXIF, interoperability

# Type number -> (bytes of a value, bytes of the units in it that have a byte order)
_TYPES = {1: (1, 1), 2: (1, 1), 3: (2, 2), 4: (4, 4), 5: (8, 4), 6: (1, 1), 7: (1, 1), 8: (2, 2), 9: (4, 4), 10: (8, 4)}
_TYPES |= {11: (4, 4), 12: (8, 8), 13: (4, 4)}
_LONG = 4
_PLACEHOLDER = 0xFFFF_FFFF
_HEADER = b"II*\0\x08\0\0\0"


def read_directory(data: bytes, offset: int, order: str, *, big: bool = False, depth: int = 0) -> Directory:
    """Return the directory at `offset`, without entries whose values lie outside `data`.

    order: '<' or '>'
    big: whether the counts and offsets are those of BigTIFF

    Raises:
        struct.error: the directory itself lies outside `data`.
    """
    count_layout, entry_layout, width = ("Q", "HHQ", 8) if big else ("H", "HHI", 4)
    (count,) = struct.unpack_from(order + count_layout, data, offset)
    first, size = offset + struct.calcsize(order + count_layout), 4 + 2 * width
    directory: Directory = {}
    total = 0
    for entry in range(first, first + size * count, size):
        tag, kind, number = struct.unpack_from(order + entry_layout, data, entry)
        (pointer,) = struct.unpack_from(f"{order}{'Q' if big else 'I'}", data, entry + 4 + width)
        if tag in _POINTERS or tag == _INTEROPERABILITY:
            if depth < _DEEPEST:
                directory[tag] = read_directory(data, pointer, order, big=big, depth=depth + 1)
        elif kind in _TYPES:
            value_size, unit = _TYPES[kind]
            length = number * value_size
            start = entry + 4 + width if length <= width else pointer
            total += length
            raw = data[start : start + length] if total <= len(data) else b""  # overlapping values would swell
            if len(raw) == length:
                directory[tag] = kind, np.frombuffer(raw, f"{order}u{unit}").astype(f"<u{unit}").tobytes()
    return directory


def write_directory(directory: Directory, offset: int) -> bytes:
    """Return a directory and all it points to, in little-endian order, to be placed at the even `offset`."""
    entries, values = b"", b""
    first_value = offset + 2 + 12 * len(directory) + 4
    for tag, entry in sorted(directory.items()):
        pointer = first_value + len(values)
        if isinstance(entry, dict):
            values += _even(write_directory(entry, pointer))
            entries += struct.pack("<HHII", tag, _LONG, 1, pointer)
            continue
        kind, raw = entry
        if len(raw) > 4:
            values += _even(raw)
            raw = struct.pack("<I", pointer)
        entries += struct.pack("<HHI", tag, kind, len(entry[1]) // _TYPES[kind][0]) + raw.ljust(4, b"\0")
    return struct.pack("<H", len(directory)) + entries + bytes(4) + values


def _even(data: bytes) -> bytes:
    return data + bytes(len(data) % 2)


def exif_of_page(data: bytes, offset: int) -> bytes | None:
    """Return the EXIF block of the TIFF page whose directory begins at `offset`, or None if it says nothing."""
    order = "<" if data[:1] == b"I" else ">"
    try:
        page = read_directory(data, offset, order, big=b"+" in data[2:4])
    except struct.error:
        return None
    kept = {tag: entry for tag, entry in page.items() if tag in _DESCRIPTIVE or tag in _POINTERS}
    description = kept.get(_IMAGE_DESCRIPTION)
    if isinstance(description, tuple) and description[1].startswith(_STORAGE_DESCRIPTIONS):
        del kept[_IMAGE_DESCRIPTION]
    return _HEADER + write_directory(kept, len(_HEADER)) if kept else None


def _directory_of_block(exif: bytes | None) -> Directory:
    """The first directory of an EXIF block; an empty one where the block cannot be read."""
    order = {b"II": "<", b"MM": ">"}.get((exif or b"")[:2])
    if exif is None or order is None:
        return {}
    try:
        return read_directory(exif, struct.unpack_from(f"{order}I", exif, 4)[0], order)
    except struct.error:
        return {}


def extra_tags(exif: bytes | None) -> list[tuple[int | str, int, int, bytes | int, bool]]:
    """Return what tifffile is to write into a page's directory; pointers hold a placeholder for `link_directories`."""
    tags: list[tuple[int | str, int, int, bytes | int, bool]] = []
    for tag, entry in sorted(_directory_of_block(exif).items()):
        if isinstance(entry, dict) and tag in _POINTERS:
            tags.append((_POINTERS[tag], _LONG, 1, _PLACEHOLDER, True))  # tifffile drops these unless given by name
        elif isinstance(entry, tuple) and tag in _DESCRIPTIVE:
            kind, raw = entry
            tags.append((tag, kind, len(raw) // _TYPES[kind][0], raw, True))
    return tags


def link_directories(data: bytes, exifs: Sequence[bytes | None]) -> bytes:
    """Return a little-endian TIFF file with the EXIF and GPS directories of its pages appended and pointed to.

    data: written with `extra_tags(exif)` for the page of each exif, in the same order
    """
    file = bytearray(data)
    start = 0
    for exif in exifs:
        for tag, entry in sorted(_directory_of_block(exif).items()):
            if isinstance(entry, dict) and tag in _POINTERS:
                file += bytes(len(file) % 2)
                start = file.index(struct.pack("<HHII", tag, _LONG, 1, _PLACEHOLDER), start)
                struct.pack_into("<I", file, start + 8, len(file))
                file += write_directory(entry, len(file))
    return bytes(file)
