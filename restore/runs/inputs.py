"""The pictures of a batch: files, folders, patterns and manifests, each with the name that its result will have."""

from __future__ import annotations

import csv
import glob
import io
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from restore.errors import InputError, UsageError, unknown_name
from restore.images.formats import FORMATS

__all__ = ["READABLE", "Wanted", "find_inputs", "is_batch", "pair"]

READABLE = frozenset(suffix for entry in FORMATS.values() for suffix in entry.suffixes) | {".gif"}
"""Suffixes of the pictures that are looked for in folders."""

MANIFESTS = (".csv", ".jsonl")
COLUMNS = ("image", "output", "mask", "sigma", "reference")
"""What a line of a manifest may hold; `image` must be there, an empty value is as good as none."""

MASK_ENDINGS = ("", "-mask", "_mask")
"""What the name of a picture's mask may have behind the picture's own."""


@dataclass(frozen=True)
class Wanted:
    """A picture that is to be restored.

    Attributes:
        image: its path.
        name: its path in the tree that it was found in, with `/`; the result is called like it.
        output: what the result is called instead, or None.
        mask, reference: of its own, or None.
        sigma: of its own, or None.
    """

    image: Path
    name: str
    output: str | None = None
    mask: Path | None = None
    reference: Path | None = None
    sigma: float | Literal["auto"] | None = None


def is_batch(words: Sequence[str]) -> bool:
    """Return whether the inputs of a command are a batch: several, a folder, a pattern, or a manifest."""
    if len(words) != 1:
        return True
    path = Path(words[0])
    if path.is_dir() or path.suffix.lower() in MANIFESTS:
        return True
    return glob.has_magic(words[0]) and not path.exists()


def find_inputs(words: Sequence[str], leave_out: Path | None = None) -> list[Wanted]:
    """Return the pictures that the words of a command line name, in the order of the words, then of the names.

    Args:
        leave_out: a folder whose files are no inputs: that of the results, which may lie inside that of the pictures.

    Raises InputError for words that name nothing, UsageError for a manifest that cannot be understood.
    """
    found: dict[Path, Wanted] = {}
    for word in words:
        named = list(_of_word(word, leave_out))
        for wanted in named:
            found.setdefault(wanted.image.absolute(), wanted)
        if not named:
            raise InputError(f"{word!r} holds no picture: looked for {', '.join(sorted(READABLE))}.")
    return list(found.values())


def pair(wanted: Wanted, beside: Path, what: str) -> Path | None:
    """Return the file that belongs to a picture: `beside` itself, or one of that name in the folder `beside`.

    In a folder it has the picture's path and stem, with any suffix of a picture; a mask may have `-mask` or `_mask`
    behind the stem. None says that there is none.

    Args:
        what: `mask` or `reference`.

    Raises InputError where several files have such a name.
    """
    if not beside.is_dir():
        return beside
    name = PurePosixPath(wanted.name)
    folder = beside / name.parent
    if not folder.is_dir():
        return None
    image = wanted.image.absolute()
    for ending in MASK_ENDINGS if what == "mask" else ("",):
        stem = f"{name.stem}{ending}"
        fits = [path for path in sorted(folder.iterdir()) if path.stem == stem and path.suffix.lower() in READABLE]
        fits = [path for path in fits if path.absolute() != image]
        exact = [path for path in fits if path.suffix == name.suffix]
        fits = exact or fits
        if len(fits) > 1:
            raise InputError(f"{wanted.name!r} has several {what}s: {', '.join(str(path) for path in fits)}; keep one.")
        if fits:
            return fits[0]
    return None


def _of_word(word: str, leave_out: Path | None) -> Iterator[Wanted]:
    path = Path(word)
    if word == "-":
        raise UsageError("standard input is one picture: it cannot be part of a batch.")
    if path.is_dir():
        for file in _walk(path, leave_out):
            yield Wanted(file, file.relative_to(path).as_posix())
    elif path.suffix.lower() in MANIFESTS and path.is_file():
        yield from _manifest(path)
    elif path.exists():
        yield Wanted(path, path.name)
    elif glob.has_magic(word):
        root = Path(*_fixed(path))
        for match in sorted(glob.glob(word, recursive=True)):  # noqa: PTH207, Path has no glob of a whole pattern
            file = Path(match)
            if file.is_file() and file.suffix.lower() in READABLE and not _inside(file, leave_out):
                yield Wanted(file, file.relative_to(root).as_posix() if _fixed(path) else file.as_posix())
    else:
        raise InputError(f"no such file or folder: {word!r}.")


def _walk(folder: Path, leave_out: Path | None) -> Iterator[Path]:
    """Yield the pictures of a folder and all below, in order; what is hidden is passed over, links are not followed."""
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(
            name for name in folders if not name.startswith(".") and not _inside(Path(parent, name), leave_out)
        )
        for name in sorted(files):
            file = Path(parent, name)
            if file.suffix.lower() in READABLE and not name.startswith(".") and file.is_file():
                yield file


def _inside(path: Path, folder: Path | None) -> bool:
    return folder is not None and path.resolve().is_relative_to(folder.resolve())


def _fixed(pattern: Path) -> list[str]:
    """Return the parts of a pattern before the first one that has a wildcard."""
    parts: list[str] = []
    for part in pattern.parts[:-1]:
        if glob.has_magic(part):
            break
        parts.append(part)
    return parts


def _manifest(path: Path) -> Iterator[Wanted]:
    """Yield the pictures of a manifest; its relative paths start from its own folder."""
    for line, row in _rows(path):
        where = f"{str(path)!r}, line {line}"
        for name in row:
            if name not in COLUMNS:
                raise UsageError(f"{where}: {unknown_name('column', name, COLUMNS)}")
        values = {name: value for name, value in row.items() if value not in (None, "")}
        if "image" not in values:
            raise UsageError(f"{where}: no image is named.")
        for name, value in values.items():
            if name != "sigma" and not isinstance(value, str):
                raise UsageError(f"{where}: {name} must be text, not {value!r}.")
        files = {name: path.parent / values[name] for name in ("image", "mask", "reference") if name in values}
        image = files["image"]
        inside = not Path(values["image"]).is_absolute() and ".." not in Path(values["image"]).parts
        yield Wanted(
            image,
            PurePosixPath(Path(values["image"])).as_posix() if inside else image.name,
            output=values.get("output"),
            mask=files.get("mask"),
            reference=files.get("reference"),
            sigma=_sigma(values.get("sigma"), where),
        )


def _rows(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read the manifest {str(path)!r}: {error}.") from error
    if path.suffix.lower() == ".csv":
        reader = csv.DictReader(io.StringIO(text), restkey="")
        for row in reader:
            if row.pop("", None):
                raise UsageError(f"{str(path)!r}, line {reader.line_num}: there are more values than columns.")
            yield reader.line_num, row
        return
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise UsageError(f"{str(path)!r}, line {number}: it is no JSON ({error}).") from error
        if not isinstance(row, dict):
            raise UsageError(f'{str(path)!r}, line {number}: a line is one object, such as {{"image": "a.png"}}.')
        yield number, row


def _sigma(value: Any, where: str) -> float | Literal["auto"] | None:
    if value is None:
        return None
    if value == "auto":
        return "auto"
    try:
        return float(value)
    except (TypeError, ValueError) as error:
        raise UsageError(f"{where}: sigma is 'auto' or a number from 0 to 255, not {value!r}.") from error
