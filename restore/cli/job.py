"""One run of `denoise` or `inpaint`: from the words of the command line to files and messages."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
import typer

from restore import api
from restore.cli.allocator import keep_freed_memory
from restore.cli.diagnosis import print_diagnosis, print_losses
from restore.cli.options import Shared
from restore.cli.paging import report_path
from restore.cli.progress import Progress
from restore.errors import FitError, InputError, OutputError, UsageError
from restore.fitting.forecast import forecast
from restore.images import (
    Picture,
    atomic_write_bytes,
    check_output,
    check_target,
    default_output,
    encode_pages,
    format_of,
    read_pages,
    read_pages_bytes,
)
from restore.problems.problem import Problem
from restore.report.page import Pair, run_page
from restore.report.phase import require_matplotlib
from restore.restoration import (
    Restoration,
    curves_path,
    save_curves,
    save_pages,
    sidecar_path,
    to_json,
    written_to,
)
from restore.settings import FitSettings, Plan

__all__ = ["Job", "run"]

INTERRUPTED = 130


@dataclass(frozen=True)
class Job:
    """What the command line asked for."""

    image: str
    options: Shared
    settings: FitSettings
    sigma: float | Literal["auto"]
    inpaints: bool = False
    mask: Path | None = None
    mask_invert: bool = False


def run(job: Job) -> None:
    """Restore every page of the job's picture and write them to one file.

    Raises RestoreError before the first step wherever it can be known by then, so that no work is lost.
    """
    try:
        _run(job)
    except KeyboardInterrupt:
        typer.echo("restore: interrupted; nothing was written.", err=True)
        raise typer.Exit(INTERRUPTED) from None


def _run(job: Job) -> None:
    began = time.perf_counter()
    keep_freed_memory()
    if job.options.threads is not None:
        torch.set_num_threads(job.options.threads)
    pages = _read(job.image)
    target = _target(job, pages)
    html = None if target is None else report_path(job.options.report, target)
    if html is not None:
        require_matplotlib()
        check_target(html, existing=job.options.existing.value)
    if not job.inpaints:
        for page in pages:
            api.check_finite(page)
    references = (
        [None] * len(pages) if job.options.reference is None else _references(job.options.reference, len(pages))
    )
    results: list[Restoration] = []
    for page, reference in zip(pages, references, strict=True):
        results.append(_restore(job, page, reference))
        if results[-1].interrupted:
            break
    interrupted = results[-1].interrupted
    if interrupted and len(results) < len(pages):
        raise KeyboardInterrupt
    report = {**_joined([result.report for result in results]), "seconds": round(time.perf_counter() - began, 3)}
    report |= {"arguments": sys.argv[1:]}
    report["null_reasons"].pop("arguments", None)
    if target is not None and job.inpaints and format_of(target).lossy:
        report["warnings"].append("JPEG is lossy: known pixels cannot come back exactly; write PNG for that.")
    pictures = [result.picture for result in results]
    if target is None:
        sys.stdout.buffer.write(encode_pages(pictures, format_of(default_output("-", pages[0])).name))
        sys.stdout.buffer.flush()
    else:
        report = written_to(target, report)
        save_pages(pictures, report, target, existing=job.options.existing.value)
        wanted = _writes_curves(job.options)
        curves = _joined_curves([result.curves() for result in results]) if wanted or html is not None else {}
        if wanted:
            save_curves(curves, target, existing=job.options.existing.value)
        if html is not None:
            pairs = [Pair(before.pixels, after.pixels) for before, after in zip(pages, pictures, strict=False)]
            atomic_write_bytes(html, run_page(report, curves, pairs).encode(), existing=job.options.existing.value)
    if job.options.as_json:
        typer.echo(to_json(report), nl=False)
    if not job.options.quiet:
        for result in results:
            if job.options.verbose:
                print_losses(result.trace)
            print_diagnosis(result.report, result.health)
        _conclude(report, target)
    if interrupted:
        raise typer.Exit(INTERRUPTED)


def _restore(job: Job, page: Picture, reference: Picture | None) -> Restoration:
    name = page.name if page.path is not None else "standard input"
    progress = Progress(Path(name).name, shown=not job.options.quiet)

    def announce(problem: Problem, plan: Plan) -> None:
        if not job.options.quiet:
            _announce(problem, plan, job.options.verbose)
        progress.start(problem, plan)

    settings = {field: getattr(job.settings, field) for field in job.settings.__dataclass_fields__}
    shared: dict[str, Any] = {
        "reference": reference,
        "observers": [progress],
        "announce": announce,
        "health": job.options.health,
        "baseline": job.options.baseline,
        "say": lambda line: None if job.options.quiet else typer.echo(line, err=True),
        **settings,
    }
    try:
        if job.inpaints:
            mask = None if job.mask is None else str(job.mask)
            sigma = 0.0 if job.sigma == "auto" else job.sigma
            result = api.inpaint(page, mask, mask_invert=job.mask_invert, sigma=sigma, **shared)
        else:
            result = api.denoise(page, sigma=job.sigma, **shared)
    except MemoryError as error:
        raise FitError(f"not enough memory to fit {name}, {page.width}x{page.height}: crop or shrink it.") from error
    finally:
        progress.close()
    return result


def _read(image: str) -> list[Picture]:
    if image == "-":
        return read_pages_bytes(sys.stdin.buffer.read())
    if Path(image).is_dir():
        raise UsageError(f"{image} is a folder: name one picture, for example {image.rstrip('/')}/picture.png.")
    return read_pages(image)


def _references(path: Path, pages: int) -> list[Picture]:
    references = read_pages(path)
    if len(references) != pages:
        raise InputError(f"the reference {path} has {len(references)} page(s), the picture {pages}: give one a page.")
    return references


def _target(job: Job, pages: Sequence[Picture]) -> Path | None:
    """Return where to write, or None for standard output, having made sure that it can be written.

    Raises OutputError when it cannot, UsageError when standard output is asked to carry two things.
    """
    if job.options.output == "-":
        if job.options.curves or job.options.report is not None:
            raise UsageError(
                "--curves and --report write beside the picture, which -o - does not: name a file with -o."
            )
        if job.options.as_json:
            raise UsageError("--json and -o - both want standard output: write the picture to a file, or drop --json.")
        return None
    if job.options.output is not None:
        path = Path(job.options.output)
        if path.is_dir():
            raise OutputError(f"the output {path} is a folder: name a file in it.")
    elif job.image == "-":
        raise UsageError("a picture from standard input has no name to derive the output's from: give -o FILE or -o -.")
    else:
        path = default_output(job.image, pages[0])
    for source in (job.mask, job.options.reference):
        check_target(path, existing="overwrite", source=source)
    check_output(pages, path, existing=job.options.existing.value)
    check_target(sidecar_path(path), existing=job.options.existing.value)
    if _writes_curves(job.options):
        check_target(curves_path(path), existing=job.options.existing.value)
    return path


def _writes_curves(options: Shared) -> bool:
    """Whether the run's curves are kept in a file: what was recorded of the gradients is one of them."""
    return options.curves or options.health


def _announce(problem: Problem, plan: Plan, verbose: bool) -> None:
    cost = forecast(problem, plan)
    height, width = problem.size
    typer.echo(
        f"{width}x{height}, {problem.channels} channel(s), sigma {problem.sigma:.1f}: {plan.prior} "
        f"({cost.parameters:,} parameters), {plan.objective}, on {plan.device} in {plan.precision}, "
        f"about {cost.memory_mb / 1024:.1f} GiB, up to {plan.iterations} steps in about {_minutes(cost.seconds)}",
        err=True,
    )
    if verbose:
        for name, value in vars(plan).items():
            typer.echo(f"  {name}: {value}", err=True)


def _conclude(report: Mapping[str, Any], target: Path | None) -> None:
    for warning in report["warnings"]:
        typer.echo(f"restore: warning: {warning}", err=True)
    words = [f"wrote {target if target is not None else 'standard output'}"]
    if report["psnr"] is not None:
        gain = "" if report["psnr_input"] is None else f" (input {report['psnr_input']:.2f} dB)"
        words.append(f"PSNR {report['psnr']:.2f} dB{gain}")
        if report["psnr_hole"] is not None:
            words.append(f"{report['psnr_hole']:.2f} dB in the hole")
        if report["ssim"] is not None:
            words.append(f"SSIM {report['ssim']:.4f}")
    elif report["psnr_estimate"] is not None:
        words.append(f"estimated PSNR {report['psnr_estimate']:.1f} +- {report['psnr_estimate_error']:.1f} dB")
    words.append(f"step {report['iteration_best']} of {report['iterations']} ({report['stop_reason']})")
    words.append(_minutes(report["seconds"]))
    typer.echo(", ".join(words), err=True)


def _joined(reports: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return one report for all pages: the first page's, and under `pages` each one's own."""
    joined = dict(reports[0])
    if len(reports) > 1:
        joined["pages"] = [dict(report) for report in reports]
        joined["warnings"] = list(dict.fromkeys(warning for report in reports for warning in report["warnings"]))
    return joined


def _joined_curves(pages: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the curves of all pages: the first page's by their names, another's with `page<n>_` before them."""
    joined = dict(pages[0])
    for number, page in enumerate(pages[1:], 2):
        joined |= {f"page{number}_{name}": curve for name, curve in page.items()}
    return joined


def _minutes(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"
