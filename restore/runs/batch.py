"""The plan of a batch: what goes in, what comes out and where, and everything that is wrong with it, before the first
fit.
"""

from __future__ import annotations

import dataclasses
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from restore.errors import InputError, OutputError, RestoreError, UsageError
from restore.images import Picture, check_output, default_output, read_mask, read_pages
from restore.runs.files import FileRequest, file_trial, read_references
from restore.runs.inputs import Wanted, pair
from restore.runs.outputs import terms_of
from restore.runs.trial import Product, Source, Trial, TrialPlan
from restore.session import check_finite

__all__ = ["Batch", "Entry", "plan_batch"]

SHOWN = 5
"""Names that a message gives before it only counts."""


@dataclass(frozen=True)
class Entry:
    """One picture of a batch.

    Attributes:
        name: what it is called in tables: its path in the tree it was found in.
        trial: its fit.
        pixels: height times width, the sum over its pages; 0 for one that cannot be used.
        shape: height, width and channels of a picture of one page; None for others.
        error: why it cannot be used, or None.
    """

    name: str
    trial: Trial
    pixels: int
    shape: tuple[int, int, int] | None
    error: str | None

    @property
    def output(self) -> str:
        """Path of the result, relative to the folder of the batch."""
        assert self.trial.product is not None
        return self.trial.product.output


@dataclass(frozen=True)
class Batch:
    """All pictures of a batch, and the plan of those that can be used."""

    entries: tuple[Entry, ...]
    plan: TrialPlan

    @property
    def trials(self) -> tuple[Trial, ...]:
        """The trials of the pictures that can be used, in order."""
        return tuple(entry.trial for entry in self.entries if entry.error is None)


@dataclass(frozen=True)
class _Looked:
    """What a file was found to be."""

    suffix: str
    pixels: int
    shape: tuple[int, int, int] | None
    error: str | None


def plan_batch(
    found: Sequence[Wanted], request: FileRequest, root: Path, *, masks: Path | None, references: Path | None
) -> Batch:
    """Return the plan of a batch. Every file is read once, so that what is damaged is known beforehand.

    Args:
        found: the pictures.
        request: what is done with each; a picture's own mask and sigma take the place of those of the request.
        root: folder of the results.
        masks: one mask for all, or a folder of masks with the pictures' paths and stems.
        references: the same for true pictures.

    Raises InputError for pictures without a mask, UsageError for results that would have the same name, OutputError for
    results that would leave the folder.
    """
    masked = _paired(found, masks, "mask") if request.command == "inpaint" else list(found)
    paired = _paired(masked, references, "reference")
    own = {path.absolute() for wanted in paired for path in (wanted.mask, wanted.reference) if path is not None}
    kept = [wanted for wanted in paired if wanted.image.absolute() not in own]
    _refuse_lonely(kept, request, masks)
    requests = [_own_request(wanted, request) for wanted in kept]
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        looked = list(pool.map(_look, kept, requests))
    outputs = _outputs(kept, looked)
    for output in outputs:
        _check_inside(root, output)
    entries = [
        _entry(wanted, own, output, look)
        for wanted, own, output, look in zip(kept, requests, outputs, looked, strict=True)
    ]
    common = file_terms(request)
    return Batch(tuple(entries), TrialPlan(request.command, tuple(entry.trial for entry in entries), common))


def file_terms(request: FileRequest) -> dict[str, object]:
    """Return what all pictures of a batch have in common, by which it is told from others."""
    product = Product(request.command, "", request.health, request.baseline, request.curves)
    source = Source("", {}, mask_invert=request.mask_invert, sigma=request.sigma)
    return terms_of(Trial(source, request.settings, product=product))


def _paired(found: Sequence[Wanted], beside: Path | None, what: str) -> list[Wanted]:
    if beside is None:
        return list(found)
    if not beside.exists():
        raise InputError(f"no such file or folder: {str(beside)!r}.")
    paired: list[Wanted] = []
    for wanted in found:
        if getattr(wanted, what) is None:
            changes: dict[str, Any] = {what: pair(wanted, beside, what)}
            paired.append(dataclasses.replace(wanted, **changes))
        else:
            paired.append(wanted)
    return paired


def _refuse_lonely(found: Sequence[Wanted], request: FileRequest, masks: Path | None) -> None:
    """Raise InputError for pictures whose mask was looked for in vain."""
    if request.command != "inpaint" or masks is None:
        return
    lonely = [wanted.name for wanted in found if wanted.mask is None]
    if lonely:
        raise InputError(
            f"{len(lonely)} of {len(found)} picture(s) have no mask in {str(masks)!r}: {_listed(lonely)}; a mask has "
            "its picture's path and stem, perhaps with -mask behind it."
        )


def _own_request(wanted: Wanted, request: FileRequest) -> FileRequest:
    changes: dict[str, Any] = {}
    if wanted.sigma is not None:
        changes["sigma"] = wanted.sigma
    if wanted.mask is not None:
        changes["mask"] = str(wanted.mask.absolute())
    return dataclasses.replace(request, **changes)


def _look(wanted: Wanted, request: FileRequest) -> _Looked:
    """Read a picture and what belongs to it, and say what is wrong."""
    suffix = PurePosixPath(wanted.name).suffix
    try:
        pages = read_pages(wanted.image)
        suffix = default_output(wanted.image, pages[0]).suffix
        if wanted.output is not None:
            check_output(pages, Path(wanted.output).name, existing="overwrite")
        for page in pages:
            _check_page(page, request)
        for page, true in zip(pages, read_references(wanted.reference, len(pages)), strict=True):
            if true is not None and (true.size, true.channels) != (page.size, page.channels):
                raise InputError(
                    f"the reference {str(wanted.reference)!r} is no picture of the size of {wanted.name!r}."
                )
    except RestoreError as error:
        return _Looked(suffix, 0, None, str(error))
    shape = (pages[0].height, pages[0].width, pages[0].channels) if len(pages) == 1 else None
    return _Looked(suffix, sum(page.height * page.width for page in pages), shape, None)


def _check_page(page: Picture, request: FileRequest) -> None:
    if request.command == "denoise":
        check_finite(page)
    elif request.mask is not None:
        read_mask(request.mask, page.size, invert=request.mask_invert)
    elif page.invalid is None:
        raise UsageError(f"{page.name!r} needs a mask: only NaN pixels of float data need none.")


def _outputs(found: Sequence[Wanted], looked: Sequence[_Looked]) -> list[str]:
    """Return the names of the results: those of the pictures, with a suffix that loses nothing.

    Raises UsageError where two would have the same name on some file system.
    """
    plain = [
        wanted.output if wanted.output is not None else str(PurePosixPath(wanted.name).with_suffix(look.suffix))
        for wanted, look in zip(found, looked, strict=True)
    ]
    taken = Counter(map(str.casefold, plain))
    outputs = [
        # a.jpg and a.png would both become a.png
        f"{wanted.name}{look.suffix}"
        if taken[name.casefold()] > 1 and wanted.output is None and name != wanted.name
        else name
        for wanted, look, name in zip(found, looked, plain, strict=True)
    ]
    first: dict[str, Wanted] = {}
    for wanted, name in zip(found, outputs, strict=True):
        other = first.setdefault(name.casefold(), wanted)
        if other is not wanted:
            raise UsageError(
                f"{str(other.image)!r} and {str(wanted.image)!r} would both be written to {name!r}: name the folder "
                "above them instead, or a manifest with the column 'output'."
            )
    return outputs


def _check_inside(root: Path, output: str) -> None:
    """Raise OutputError for a result that would leave the folder of the batch."""
    path = Path(output)
    if path.is_absolute() or ".." in path.parts or not path.name:
        raise OutputError(f"the output {output!r} leaves the folder {str(root)!r}: give a path inside it.")
    target = root / path
    if target.is_symlink():
        raise OutputError(f"the output {str(target)!r} is a symbolic link: remove it, or choose another name.")
    if not target.parent.resolve().is_relative_to(root.resolve()):
        raise OutputError(f"the output {str(target)!r} leads out of the folder {str(root)!r}, through a symbolic link.")


def _entry(wanted: Wanted, request: FileRequest, output: str, look: _Looked) -> Entry:
    image = str(wanted.image.absolute())
    reference = None if wanted.reference is None else str(wanted.reference.absolute())
    error = look.error
    try:
        trial = file_trial(request, image, output, reference, wanted.name)
    except InputError as unreadable:
        error = error or str(unreadable)
        product = Product(request.command, output, request.health, request.baseline, request.curves)
        trial = Trial(Source(image, {}, sigma=request.sigma), request.settings, picture=wanted.name, product=product)
    return Entry(wanted.name, trial, look.pixels, look.shape, error)


def _listed(names: Iterable[str]) -> str:
    every = list(names)
    more = f" and {len(every) - SHOWN} more" if len(every) > SHOWN else ""
    return ", ".join(every[:SHOWN]) + more
