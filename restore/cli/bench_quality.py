"""`restore bench denoise` and `restore bench inpaint`: ours and others' methods on the same pictures and damage."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

import typer

from restore.cli.flat import with_options
from restore.cli.options import Json, Quiet, Report, Threads
from restore.errors import UsageError

if TYPE_CHECKING:
    from restore.cli.ablation_job import Results
    from restore.runs.ablation import Ablation
    from restore.runs.store import Store
    from restore.studies.quality import Race

__all__ = ["denoise", "inpaint"]

Images: TypeAlias = Annotated[
    list[str], typer.Option("--images", metavar="DIR", help="True pictures, or folders of them; repeatable.")
]
Output: TypeAlias = Annotated[
    Path, typer.Option("-o", "--output", help="Folder of the results; started again, it goes on.")
]
Methods: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--methods",
        metavar="A,B",
        help="Methods with commas; settings may follow ours: restore:norm=none. all: every one. Default: ours and the "
        "quick peers that are installed.",
    ),
]
Seeds: TypeAlias = Annotated[int, typer.Option("--seeds", min=1, help="Seeds of each method; the damage is the same.")]
Crop: TypeAlias = Annotated[int | None, typer.Option("--crop", min=16, help="Use the middle square of this side.")]
RaceTo: TypeAlias = Annotated[
    str, typer.Option("--race-to", help="Method to whose best averaged picture the others' time is taken.")
]
Ceiling: TypeAlias = Annotated[
    float | None, typer.Option("--race-ceiling", help="PSNR in dB that is enough in that race.")
]
Iterations: TypeAlias = Annotated[int | None, typer.Option("--iterations", min=1, help="Steps of every fit, at most.")]
Device: TypeAlias = Annotated[str, typer.Option("--device", help="auto, cpu, cuda, cuda:N or mps.")]
Precision: TypeAlias = Annotated[str, typer.Option("--precision", help="auto, float32, bfloat16.")]
DryRun: TypeAlias = Annotated[bool, typer.Option("--dry-run", help="Print the trials and what they would cost.")]
Retry: TypeAlias = Annotated[bool, typer.Option("--retry-failed", help="Run those again that failed before.")]
Shard: TypeAlias = Annotated[
    str | None, typer.Option("--shard", metavar="I/N", help="Run part I of N; slurm: of the job array.")
]


@dataclass(frozen=True)
class Shared:
    """What both commands take."""

    images: Images
    output: Output
    methods: Methods = None
    seeds: Seeds = 1
    crop: Crop = None
    race_to: RaceTo = "dip-paper"
    race_ceiling: Ceiling = None
    iterations: Iterations = None
    device: Device = "auto"
    precision: Precision = "auto"
    dry_run: DryRun = False
    retry_failed: Retry = False
    shard: Shard = None
    threads: Threads = None
    report: Report = None
    as_json: Json = False
    quiet: Quiet = False


@with_options(Shared)
def denoise(
    shared: Shared,
    sigma: Annotated[str, typer.Option("--sigma", help="Noise, 0 to 255 scale, with commas.")] = "25",
) -> None:
    """Denoising: PSNR, SSIM, LPIPS, time and memory of ours and of others, on Gaussian noise clipped to [0, 1].

    Ours are never told the noise; the peers that need it are told the true sigma. Others: nlm, tv, wavelet, bm3d,
    bm3d-effective (told what clipping left of sigma), bm3d-unclipped (clipping undone, as in ours), deepinv.
    """
    _run("denoise", numbers(sigma, "--sigma"), shared)


@with_options(Shared)
def inpaint(
    shared: Shared,
    missing: Annotated[str, typer.Option("--missing", help="Shares of missing pixels, with commas.")] = "0.5",
) -> None:
    """Inpainting of scattered pixels: PSNR, SSIM, LPIPS, time and memory of ours and others (biharmonic, deepinv)."""
    _run("inpaint", numbers(missing, "--missing"), shared)


def _run(kind: Literal["denoise", "inpaint"], amounts: Sequence[float], shared: Shared) -> None:
    from restore.cli.ablation_job import AblationJob, run
    from restore.runs.benchmark import benchmark

    names = _methods(kind, shared)
    settings = {"iterations": shared.iterations, "device": shared.device, "precision": shared.precision}
    job = AblationJob(
        output=shared.output,
        dry_run=shared.dry_run,
        retry_failed=shared.retry_failed,
        shard=shared.shard,
        threads=shared.threads,
        report=shared.report,
        as_json=shared.as_json,
        quiet=shared.quiet,
    )
    run(
        job,
        lambda: benchmark(
            kind,
            shared.images,
            amounts,
            names,
            seeds=shared.seeds,
            crop=shared.crop,
            settings={name: value for name, value in settings.items() if value is not None},
        ),
        _results((shared.race_to, math.inf if shared.race_ceiling is None else shared.race_ceiling)),
    )


def _methods(kind: Literal["denoise", "inpaint"], shared: Shared) -> list[str]:
    from restore.peers import PEERS
    from restore.runs.benchmark import OWN, standard_methods

    if shared.methods == "all":
        return [*OWN, *(name for name, peer in PEERS.items() if kind in peer.kinds)]
    if shared.methods is not None:
        return [name.strip() for name in shared.methods.split(",") if name.strip()]
    names, absent = standard_methods(kind)
    if absent and not shared.quiet:
        typer.echo(f"restore: not installed, so left out: {', '.join(absent)} (pip install 'restore[peers]')", err=True)
    return names


def _results(race: tuple[str, float]) -> Results:
    """Return what a benchmark leaves behind: an ablation's results, `table.md` and `figures/pareto.png`."""
    import dataclasses

    from restore.cli.ablation_job import OF_ABLATIONS, Results
    from restore.cli.ablation_output import write_results
    from restore.images.atomic import atomic_write_bytes
    from restore.report.quality import draw_pareto, quality_markdown, quality_text
    from restore.runs.results import environment
    from restore.studies.quality import rows

    def write(store: Store, ablation: Ablation) -> list[str]:
        notes = write_results(store, ablation)
        found, here = rows(ablation, store.records()), environment()
        machine = ", ".join([here["processor"], f"{here['threads']} thread(s)", *here["gpus"]])
        said = [f"`{here['command']}`", f"{machine}; PyTorch {here['versions']['torch']}."]
        files = {"table.md": quality_markdown(ablation.plan.name, found, _races(store, ablation, race), said).encode()}
        try:
            drawn = draw_pareto(found)
        except UsageError:
            drawn = None  # the ablation's own notes say so
        if drawn is not None:
            files["figures/pareto.png"] = drawn
        for name, content in files.items():
            (store.folder / name).parent.mkdir(exist_ok=True)
            atomic_write_bytes(store.folder / name, content, existing="overwrite")
        return notes

    def text(store: Store, ablation: Ablation) -> str:
        return quality_text(rows(ablation, store.records()), _races(store, ablation, race))

    def as_json(store: Store, ablation: Ablation) -> dict[str, Any]:
        found = [dataclasses.asdict(row) for row in rows(ablation, store.records())]
        return {"rows": found, "races": [dataclasses.asdict(one) for one in _races(store, ablation, race)]}

    return Results(write, OF_ABLATIONS.page, text, as_json)


def _races(store: Store, ablation: Ablation, race: tuple[str, float]) -> list[Race]:
    import numpy as np

    from restore.studies.quality import Curve, races

    rival, ceiling = race
    curves: dict[str, Curve] = {}
    for trial in ablation.plan.trials:
        if store.curves_path(trial.id).is_file():
            with np.load(store.curves_path(trial.id)) as kept:
                curves[trial.id] = Curve(kept["seconds"].tolist(), kept["psnr"].tolist())
    return races(ablation, curves, rival, ceiling)


def numbers(text: str, option: str) -> list[float]:
    """Return the positive numbers of a list with commas.

    Raises UsageError, which names the option, for anything else.
    """
    try:
        found = [float(part) for part in text.split(",")]
    except ValueError:
        raise UsageError(f"{option} takes numbers with commas, such as 15,25,50, not {text!r}.") from None
    if not all(math.isfinite(number) and number > 0 for number in found):
        raise UsageError(f"{option} takes numbers above 0, not {text!r}.")
    return found
