"""One run of `denoise` or `inpaint` on one file: from the words of the command line to files and messages."""

from __future__ import annotations

import dataclasses
import sys
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
import typer

from restore.cli.allocator import keep_freed_memory
from restore.cli.diagnosis import print_diagnosis, print_losses
from restore.cli.durations import duration
from restore.cli.foresight import announce_fit, foresee
from restore.cli.keeping import checked_checkpoints, seconds_before, tell_kept
from restore.cli.options import Already, Shared
from restore.cli.paging import report_path
from restore.cli.progress import Progress
from restore.cli.residual import check_beside, refuse_beside, save_residual, save_uncertainty
from restore.cli.statuses import INTERRUPTED
from restore.errors import OutputError, UsageError
from restore.fitting import Checkpoint
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
from restore.restoration import Restoration, to_json
from restore.runs.files import (
    FileRequest,
    beside,
    file_trial,
    joined_curves,
    joined_report,
    read_references,
    restore_page,
    save_file,
)
from restore.runs.outputs import already_made, provenance
from restore.session import Watch, check_finite, checked_sigma
from restore.settings import FitSettings, Plan

__all__ = ["Job", "run"]


@dataclass(frozen=True)
class Job:
    """What the command line asked for."""

    images: tuple[str, ...]
    options: Shared
    settings: FitSettings
    sigma: float | Literal["auto"]
    inpaints: bool = False
    mask: Path | None = None
    mask_invert: bool = False

    @property
    def existing(self) -> str:
        """What a single file does about an output that is there, as `restore.images` names it."""
        wanted = self.options.existing
        return "error" if wanted in (None, Already.skip) else wanted.value

    @property
    def request(self) -> FileRequest:
        """What is done with each file."""
        return FileRequest(
            command="inpaint" if self.inpaints else "denoise",
            settings=self.settings,
            sigma=self.sigma,
            mask=None if self.mask is None else str(self.mask),
            mask_invert=self.mask_invert,
            health=self.options.health,
            baseline=self.options.baseline,
            curves=self.options.curves,
        )


def run(job: Job) -> None:
    """Restore every page of the job's picture and write them to one file, or a batch of files to a folder.

    Raises RestoreError before the first step wherever it can be known by then, so that no work is lost.
    """
    from restore.runs.inputs import is_batch

    if job.sigma != "auto":
        checked_sigma(job.sigma)
    if is_batch(job.images):
        from restore.cli.batch import run_batch

        refuse_beside(job.options.beside)
        run_batch(job)
        return
    try:
        _run(job, job.images[0])
    except KeyboardInterrupt:
        typer.echo("restore: interrupted; nothing was written.", err=True)
        raise typer.Exit(INTERRUPTED) from None


def _run(job: Job, image: str) -> None:
    began = time.perf_counter()
    job.options.refuse_batch_options()
    for role, path in (("mask", job.mask), ("reference", job.options.reference)):
        if path is not None and path.is_dir():
            raise UsageError(
                f"the {role} {str(path)!r} is a folder, which only a folder of pictures may have: name a file."
            )
    keep_freed_memory()
    if job.options.threads is not None:
        torch.set_num_threads(job.options.threads)
    pages = _read(image)
    path = _output(job, image, pages)
    origin = _origin(job, image, path)
    if path is not None and job.options.existing is Already.skip and already_made(path, origin):
        if not job.options.quiet:
            typer.echo(f"{path} is there already, made from the same input with the same settings: skipped.", err=True)
        return
    target = _target(job, path, pages)
    html = None if target is None else report_path(job.options.report, target)
    if html is not None:
        require_matplotlib()
        check_target(html, existing=job.existing)
    if not job.inpaints:
        for page in pages:
            check_finite(page)
    check_beside(job.options.beside, pages, target, existing=job.existing)
    references = read_references(job.options.reference, len(pages))
    checkpoints = checked_checkpoints(
        job.options.checkpoint,
        job.options.checkpoint_every,
        len(pages),
        given=(image, job.mask, job.options.reference),
        written=[] if target is None else [target, *beside(target, job.request), *([] if html is None else [html])],
    )
    if job.options.dry_run:
        watches = [_watch(job, *given) for given in zip(references, checkpoints, strict=True)]
        foresee(pages, job.request, watches, target, as_json=job.options.as_json, verbose=job.options.verbose)
        return
    results: list[Restoration] = []
    warned: set[str] = set()
    for page, reference, checkpoint in zip(pages, references, checkpoints, strict=True):
        results.append(_restore(job, page, reference, checkpoint, warned))
        if results[-1].interrupted:
            break
    interrupted = results[-1].interrupted
    if interrupted and len(results) < len(pages):
        tell_kept(checkpoints, overwrites=False)
        raise KeyboardInterrupt
    report = {**joined_report([result.report for result in results], target), **origin}
    seconds = time.perf_counter() - began + seconds_before(checkpoints)
    report |= {"seconds": round(seconds, 3), "arguments": sys.argv[1:]}
    report["null_reasons"].pop("arguments", None)
    pictures = [result.picture for result in results]
    if target is None:
        sys.stdout.buffer.write(encode_pages(pictures, format_of(default_output("-", pages[0])).name))
        sys.stdout.buffer.flush()
    else:
        save_file(results, report, target, job.request, existing=job.existing)
        if html is not None:
            pairs = [Pair(before.pixels, after.pixels) for before, after in zip(pages, pictures, strict=False)]
            page_of_run = run_page(report, joined_curves([result.curves() for result in results]), pairs)
            atomic_write_bytes(html, page_of_run.encode(), existing=job.existing)
    if job.options.save_residual is not None:
        save_residual(job.options.save_residual, pages, pictures, existing=job.existing)
    if job.options.save_uncertainty is not None:
        save_uncertainty(job.options.save_uncertainty, results, existing=job.existing)
    for checkpoint in checkpoints:
        if checkpoint is not None and not interrupted:
            checkpoint.remove()
    if job.options.as_json:
        typer.echo(to_json(report), nl=False)
    if not job.options.quiet:
        for result in results:
            if job.options.verbose:
                print_losses(result.trace)
            print_diagnosis(result.report, result.health)
        _conclude(report, target, warned)
    if interrupted:
        if not job.options.quiet:
            tell_kept(checkpoints, overwrites=target is not None and job.existing == "error")
        raise typer.Exit(INTERRUPTED)


def _restore(
    job: Job, page: Picture, reference: Picture | None, checkpoint: Checkpoint | None, warned: set[str]
) -> Restoration:
    name = page.name if page.path is not None else "standard input"
    progress = Progress(Path(name).name, shown=not job.options.quiet)

    def announce(problem: Problem, plan: Plan) -> None:
        done = 0 if checkpoint is None else checkpoint.found(problem, plan)
        if not job.options.quiet:
            typer.echo(announce_fit(problem, plan, forecast(problem, plan), job.options.verbose), err=True)
            if checkpoint is not None and done:
                typer.echo(f"going on from step {done} of {checkpoint.path}", err=True)
        progress.start(problem, plan, done)

    def say(line: str) -> None:
        if not job.options.quiet:
            typer.echo(line, err=True)

    def warn(line: str) -> None:
        if line not in warned:
            say(f"restore: warning: {line}")
        warned.add(line)

    try:
        watch = _watch(job, reference, checkpoint)
        watch = dataclasses.replace(watch, observers=[progress], announce=announce, say=say, warn=warn)
        return restore_page(page, job.request, watch)
    finally:
        progress.close()


def _watch(job: Job, reference: Picture | None, checkpoint: Checkpoint | None) -> Watch:
    return Watch(reference, checkpoint=checkpoint, uncertainty=job.options.save_uncertainty is not None)


def _read(image: str) -> list[Picture]:
    return read_pages_bytes(sys.stdin.buffer.read()) if image == "-" else read_pages(image)


def _output(job: Job, image: str, pages: Sequence[Picture]) -> Path | None:
    """Return where to write, or None for standard output.

    Raises UsageError where that has no name, or standard output is asked to carry two things.
    """
    if job.options.output == "-":
        if job.request.curves or job.options.report is not None:
            raise UsageError(
                "--curves and --report write beside the picture, which -o - does not: name a file with -o."
            )
        if job.options.as_json:
            raise UsageError("--json and -o - both want standard output: write the picture to a file, or drop --json.")
        return None
    if job.options.output is not None:
        return Path(job.options.output)
    if image == "-":
        raise UsageError("a picture from standard input has no name to derive the output's from: give -o FILE or -o -.")
    return default_output(image, pages[0])


def _origin(job: Job, image: str, path: Path | None) -> dict[str, Any]:
    """Return what a report tells of where its picture came from; of standard input that is unknown."""
    if image == "-" or path is None:
        return {}
    reference = None if job.options.reference is None else str(job.options.reference)
    return provenance(file_trial(job.request, image, path.name, reference))


def _target(job: Job, path: Path | None, pages: Sequence[Picture]) -> Path | None:
    """Return where to write, having made sure that it can be written.

    Raises OutputError when it cannot.
    """
    if path is None:
        return None
    if path.is_dir():
        raise OutputError(f"the output {path} is a folder: name a file in it.")
    for source in (job.mask, job.options.reference):
        check_target(path, existing="overwrite", source=source)
    check_output(pages, path, existing=job.existing)
    for other in beside(path, job.request):
        check_target(other, existing=job.existing)
    return path


def _conclude(report: Mapping[str, Any], target: Path | None, warned: Collection[str]) -> None:
    for warning in report["warnings"]:
        if warning not in warned:
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
    begun = report.get("warm_start")
    middle_steps = f", after {begun['iterations']} on the middle" if begun else ""
    words.append(f"step {report['iteration_best']} of {report['iterations']}{middle_steps} ({report['stop_reason']})")
    words.append(duration(report["seconds"]))
    typer.echo(", ".join(words), err=True)
