"""One file to one file: every page restored, written with its report beside it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from restore.errors import InputError
from restore.fitting import Checkpoint
from restore.images import Picture, format_of, read_pages
from restore.restoration import Restoration, curves_path, save_curves, save_pages, sidecar_path, written_to
from restore.runs.trial import Product, Source, Trial, content_hash
from restore.session import Session, Watch, open_denoising, open_inpainting
from restore.settings import FitSettings

__all__ = [
    "FileRequest",
    "beside",
    "file_trial",
    "joined_curves",
    "joined_report",
    "open_page",
    "page_checkpoints",
    "read_references",
    "request_of",
    "restore_page",
    "save_file",
]

Curves = Mapping[str, np.ndarray[Any, Any]]

JPEG_WARNING = "JPEG is lossy: known pixels cannot come back exactly; write PNG for that."


@dataclass(frozen=True)
class FileRequest:
    """What is to be done with the pages of a file.

    Attributes:
        command: `denoise` or `inpaint`.
        settings: of every fit.
        sigma: of the noise, 0 to 255 scale, or `auto`.
        mask, mask_invert: of inpainting.
        health, baseline, curves: as the options of `restore denoise`.
    """

    command: str
    settings: FitSettings
    sigma: float | Literal["auto"] = "auto"
    mask: str | None = None
    mask_invert: bool = False
    health: bool = False
    baseline: str | None = None
    curves: bool = False

    @property
    def keeps_curves(self) -> bool:
        """Whether the curves are kept in a file: what was recorded of the gradients is one of them."""
        return self.curves or self.health


def file_trial(request: FileRequest, image: str, output: str, reference: str | None = None, name: str = "") -> Trial:
    """Return the trial that stands for a file: its name is the hash of the files that go in and of all settings.

    Args:
        image: path of the damaged picture.
        output: what the restored one is called, which is part of the name.
        reference: path of the true picture, or None.
        name: what the file is called in tables.

    Raises InputError for a file that cannot be read.
    """
    roles = {"image": image, "mask": request.mask, "reference": reference}
    source = Source(
        image=image,
        content={role: content_hash(path) for role, path in roles.items() if path is not None},
        mask=request.mask,
        mask_invert=request.mask_invert,
        reference=reference,
        sigma=request.sigma,
    )
    product = Product(request.command, output, request.health, request.baseline, request.curves)
    return Trial(source, request.settings, picture=name or image, product=product)


def request_of(trial: Trial) -> FileRequest:
    """Return what the trial of a file asks for."""
    product, source = trial.product, trial.source
    assert product is not None
    return FileRequest(
        command=product.command,
        settings=trial.settings,
        sigma=source.sigma,
        mask=source.mask,
        mask_invert=source.mask_invert,
        health=product.health,
        baseline=product.baseline,
        curves=product.curves,
    )


def open_page(page: Picture, request: FileRequest, watch: Watch) -> Session:
    """Return the session of one page.

    Raises RestoreError as `restore.denoise` and `restore.inpaint`.
    """
    settings = {field.name: getattr(request.settings, field.name) for field in dataclasses.fields(FitSettings)}
    looking = dataclasses.replace(watch, health=request.health, baseline=request.baseline)
    if request.command == "inpaint":
        sigma = 0.0 if request.sigma == "auto" else request.sigma
        return open_inpainting(page, request.mask, request.mask_invert, sigma, looking, settings)
    return open_denoising(page, request.sigma, looking, settings)


def restore_page(page: Picture, request: FileRequest, watch: Watch) -> Restoration:
    """Restore one page.

    Raises RestoreError as `restore.denoise` and `restore.inpaint`.
    """
    return open_page(page, request, watch).run()


def page_checkpoints(
    path: str | Path | None, every: float, pages: int, *, strict: bool = True
) -> list[Checkpoint | None]:
    """Return the checkpoint of each page: `path` for the first, `<path>.page<n>` for another; None for each without."""
    if path is None:
        return [None] * pages
    paths = [path if number == 1 else f"{path}.page{number}" for number in range(1, pages + 1)]
    return [Checkpoint(each, every, strict) for each in paths]


def read_references(path: str | Path | None, pages: int) -> Sequence[Picture | None]:
    """Return the true picture of each of so many pages; None for each without a path.

    Raises InputError where the file has another number of pages, and as `read_pages`.
    """
    if path is None:
        return [None] * pages
    references = read_pages(path)
    if len(references) != pages:
        raise InputError(f"the reference {path} has {len(references)} page(s), the picture {pages}: give one a page.")
    return references


def joined_report(reports: Sequence[Mapping[str, Any]], target: Path | None = None) -> dict[str, Any]:
    """Return one report for all pages: the first page's, and under `pages` each one's own.

    Args:
        target: where the pages are written, if that is known.
    """
    joined = {**reports[0], "warnings": list(reports[0]["warnings"])}
    if len(reports) > 1:
        joined["pages"] = [dict(report) for report in reports]
        joined["warnings"] = list(dict.fromkeys(warning for report in reports for warning in report["warnings"]))
    if target is not None and joined["problem"] == "inpaint" and format_of(target).lossy:
        joined["warnings"].append(JPEG_WARNING)
    return joined if target is None else written_to(target, joined)


def joined_curves(pages: Sequence[Curves]) -> dict[str, Any]:
    """Return the curves of all pages: the first page's by their names, another's with `page<n>_` before them."""
    joined = dict(pages[0])
    for number, page in enumerate(pages[1:], 2):
        joined |= {f"page{number}_{name}": curve for name, curve in page.items()}
    return joined


def save_file(
    results: Sequence[Restoration], report: Mapping[str, Any], target: Path, request: FileRequest, *, existing: str
) -> None:
    """Write the restored pages, their common report, and their curves if they are kept.

    Raises OutputError where they cannot be written.
    """
    save_pages([result.picture for result in results], report, target, existing=existing)
    if request.keeps_curves:
        save_curves(joined_curves([result.curves() for result in results]), target, existing=existing)


def beside(target: Path, request: FileRequest) -> list[Path]:
    """Return the files that are written beside the picture at `target`."""
    return [sidecar_path(target), *([curves_path(target)] if request.keeps_curves else [])]
