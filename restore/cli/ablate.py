"""`restore ablate`: settings compared in pairs, on the same pictures, seeds and damages."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from restore.cli.options import OUTPUT, Json, Quiet, Report, Threads

__all__ = ["ablate"]

RUN = "Run"


def ablate(
    config: Annotated[Path, typer.Argument(metavar="CONFIG.yaml", help="Pictures, damages, seeds, and what to vary.")],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Folder of the results. Default: <stem>-results.", rich_help_panel=OUTPUT),
    ] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change the file's value: iterations=100, seeds=[0, 1]."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the trials and what they would cost.", rich_help_panel=RUN)
    ] = False,
    fail_fast: Annotated[
        bool, typer.Option("--fail-fast", help="End with the first trial that fails.", rich_help_panel=RUN)
    ] = False,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Run those again that failed before.", rich_help_panel=RUN)
    ] = False,
    shard: Annotated[
        str | None,
        typer.Option(
            "--shard",
            metavar="I/N",
            help="Run part I of N, for jobs that share it; slurm: of the job array.",
            rich_help_panel=RUN,
        ),
    ] = None,
    threads: Threads = None,
    report: Report = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Fit every combination of settings on the same pictures and seeds, and compare them in pairs.

    What has ended is never run again: the same command goes on where it was killed, and several of them share the work.
    """
    from restore.cli.ablation_job import AblationJob, run
    from restore.runs.config import read_ablation

    run(
        AblationJob(
            output=output or Path(f"{config.stem}-results"),
            dry_run=dry_run,
            fail_fast=fail_fast,
            retry_failed=retry_failed,
            shard=shard,
            threads=threads,
            report=report,
            as_json=as_json,
            quiet=quiet,
        ),
        lambda: read_ablation(config, changes or ()),
    )
