"""Options that `denoise` and `inpaint` share, declared once, and how their text becomes settings."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import typer

from restore.cli.flat import with_options
from restore.cli.options_many import Devices, FailFast, RetryFailed, Scheduler, Shard, Stack, Workers
from restore.cli.options_recurrence import Cell, LearningRule, Refine, RefineChannels, RefineSteps
from restore.errors import UsageError
from restore.settings import CHOICES, FitSettings

__all__ = ["Shared", "parse_duration", "parse_sigma", "with_shared"]

FIT = "Fit"
OUTPUT = "Output"
ADVANCED = "Network and optimiser"
DIAGNOSTICS = "Diagnostics"


def _names(setting: str) -> str:
    return ", ".join(CHOICES[setting])


class Existing(StrEnum):
    """What to do about an output that is there."""

    error = "error"
    overwrite = "overwrite"


class Already(StrEnum):
    """What to do about a result that is there."""

    error = "error"
    overwrite = "overwrite"
    skip = "skip"


Inputs: TypeAlias = Annotated[
    list[str],
    typer.Argument(
        metavar="IN...",
        help="The picture, - for standard input; or files, folders, patterns, a .csv or .jsonl of many.",
    ),
]
Output: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "-o",
        "--output",
        help="Where to write, a folder for many; - for standard output. Default: <stem>.restored.<ext>.",
        rich_help_panel=OUTPUT,
    ),
]
ExistingOption: TypeAlias = Annotated[
    Existing, typer.Option("--existing", help="If the output is there.", rich_help_panel=OUTPUT)
]
ExistingResult: TypeAlias = Annotated[
    Already | None,
    typer.Option(
        "--existing",
        help="If the output is there; skip leaves what has the same input and settings, as a batch does unasked.",
        rich_help_panel=OUTPUT,
    ),
]
DryRun: TypeAlias = Annotated[
    bool, typer.Option("--dry-run", help="Print what would be done, and what it takes.", rich_help_panel=OUTPUT)
]
Json: TypeAlias = Annotated[
    bool, typer.Option("--json", help="Print the report as one JSON object on stdout.", rich_help_panel=OUTPUT)
]
Quiet: TypeAlias = Annotated[bool, typer.Option("-q", "--quiet", help="Only errors.", rich_help_panel=OUTPUT)]
Verbose: TypeAlias = Annotated[
    bool, typer.Option("-v", "--verbose", help="Print the whole plan.", rich_help_panel=OUTPUT)
]
Reference: TypeAlias = Annotated[
    Path | None,
    typer.Option("--reference", help="The true picture, for figures; the fit never sees it.", rich_help_panel=OUTPUT),
]
Preset: TypeAlias = Annotated[
    str, typer.Option("--preset", help=f"How much work, or whose: {_names('preset')}.", rich_help_panel=FIT)
]
Stop: TypeAlias = Annotated[str, typer.Option("--stop", help=f"When to stop: {_names('stop')}.", rich_help_panel=FIT)]
Clipping: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--clipping",
        help=f"Denoising, where black and white cut white noise: {_names('clipping')} the grey that they become.",
        rich_help_panel=ADVANCED,
    ),
]
Iterations: TypeAlias = Annotated[
    int | None, typer.Option("--iterations", min=1, help="Number of steps, at most.", rich_help_panel=FIT)
]
Accelerate: TypeAlias = Annotated[
    str, typer.Option("--accelerate", help=f"{_names('accelerate')}.", rich_help_panel=ADVANCED)
]
Networks: TypeAlias = Annotated[
    int | None,
    typer.Option("--networks", min=1, help="Networks whose images are averaged.", rich_help_panel=FIT),
]
TimeBudget: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--time-budget",
        help="End the fit after this long: 60s, 5m, 1h; start and figures come on top.",
        rich_help_panel=FIT,
    ),
]
MaxMemory: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--max-memory",
        help="Above this (4GiB, 900MiB) a picture is fitted on tiles; default: 80 % of what is free, and denoising and "
        "inpainting of scattered pixels on a CPU take tiles above half a megapixel.",
        rich_help_panel=FIT,
    ),
]
Seed: TypeAlias = Annotated[int, typer.Option("--seed", min=0, help="Of all random draws.", rich_help_panel=FIT)]
Device: TypeAlias = Annotated[
    str, typer.Option("--device", help="auto, cpu, cuda, cuda:N or mps.", rich_help_panel=FIT)
]
Threads: TypeAlias = Annotated[
    int | None,
    typer.Option("--threads", min=1, help="CPU threads; fewer where other work runs beside it.", rich_help_panel=FIT),
]
Precision: TypeAlias = Annotated[
    str, typer.Option("--precision", help=f"Of the network: {_names('precision')}.", rich_help_panel=FIT)
]
Prior: TypeAlias = Annotated[
    str | None,
    typer.Option("--prior", help=f"Untrained network: {_names('prior')}.", rich_help_panel=ADVANCED),
]
Norm: TypeAlias = Annotated[
    str | None, typer.Option("--norm", help=f"Normalisation: {_names('norm')}.", rich_help_panel=ADVANCED)
]
Init: TypeAlias = Annotated[
    str | None, typer.Option("--init", help=f"Initial weights: {_names('init')}.", rich_help_panel=ADVANCED)
]
Optimizer: TypeAlias = Annotated[
    str | None, typer.Option("--optimizer", help=f"{_names('optimizer')}.", rich_help_panel=ADVANCED)
]
LearningRate: TypeAlias = Annotated[
    float | None, typer.Option("--learning-rate", help="Step size.", rich_help_panel=ADVANCED)
]
Objective: TypeAlias = Annotated[
    str, typer.Option("--objective", help=f"What is scored: {_names('objective')}.", rich_help_panel=ADVANCED)
]
Health: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--health",
        help="Tell whether the gradients are alive, layer by layer; kept with --curves.",
        rich_help_panel=DIAGNOSTICS,
    ),
]
Baseline: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--baseline",
        help="Also fit without normalisation and compare: unnormalized, or fair (tuned rates, more controls).",
        rich_help_panel=DIAGNOSTICS,
    ),
]
SaveResidual: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--save-residual",
        help="Also write what was taken away, as a picture; mid-grey is nothing.",
        rich_help_panel=DIAGNOSTICS,
    ),
]
SaveUncertainty: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--save-uncertainty",
        help="Also write the standard deviation of every value, on the scale of 0 to 255, as a float TIFF.",
        rich_help_panel=DIAGNOSTICS,
    ),
]
Curves: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--curves", help="Write the curves of the run beside it, .npz (--health does too).", rich_help_panel=DIAGNOSTICS
    ),
]

CheckpointFile: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--checkpoint", help="Keep the fit in this file, and go on from it if it is there.", rich_help_panel=OUTPUT
    ),
]
CheckpointEvery: TypeAlias = Annotated[
    float, typer.Option("--checkpoint-every", min=0, help="Seconds between checkpoints.", rich_help_panel=OUTPUT)
]

Report: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--report",
        metavar="[FILE.html]",
        help="Write a page of the run; default <output>.html.",
        rich_help_panel=DIAGNOSTICS,
    ),
]


@dataclass(frozen=True, kw_only=True)
class Shared:
    """The options that every command which fits a picture has; their order is that of the help."""

    output: Output = None
    preset: Preset = "balanced"
    stop: Stop = "auto"
    clipping: Clipping = None
    iterations: Iterations = None
    networks: Networks = None
    time_budget: TimeBudget = None
    max_memory: MaxMemory = None
    seed: Seed = 0
    device: Device = "auto"
    threads: Threads = None
    precision: Precision = "auto"
    accelerate: Accelerate = "none"
    prior: Prior = None
    norm: Norm = None
    init: Init = None
    optimizer: Optimizer = None
    learning_rate: LearningRate = None
    objective: Objective = "auto"
    cell: Cell = "none"
    refine: Refine = None
    refine_steps: RefineSteps = None
    refine_channels: RefineChannels = 32
    learning_rule: LearningRule = "backpropagation"
    reference: Reference = None
    health: Health = False
    baseline: Baseline = None
    curves: Curves = False
    save_residual: SaveResidual = None
    save_uncertainty: SaveUncertainty = None
    report: Report = None
    checkpoint: CheckpointFile = None
    checkpoint_every: CheckpointEvery = 60.0
    existing: ExistingResult = None
    workers: Workers = None
    devices: Devices = None
    stack: Stack = None
    scheduler: Scheduler = None
    shard: Shard = None
    dry_run: DryRun = False
    fail_fast: FailFast = False
    retry_failed: RetryFailed = False
    as_json: Json = False
    quiet: Quiet = False
    verbose: Verbose = False

    @property
    def beside(self) -> list[tuple[str, Path | None]]:
        """The options that name a file beside the output."""
        return [("--save-residual", self.save_residual), ("--save-uncertainty", self.save_uncertainty)]

    def refuse_batch_options(self) -> None:
        """Raise UsageError for an option that only many pictures have a use for."""
        for name in ("workers", "devices", "stack", "scheduler", "shard", "fail_fast", "retry_failed"):
            if getattr(self, name):
                option = name.replace("_", "-")
                raise UsageError(
                    f"--{option} is for many pictures: name a folder, a pattern, several files or a manifest."
                )

    def settings(self) -> FitSettings:
        """Return the settings of the fit that these options ask for.

        Raises UsageError for a value that no fit could use.
        """
        own = {field.name for field in fields(self)}
        values = {field.name: getattr(self, field.name) for field in fields(FitSettings) if field.name in own}
        return FitSettings(**{**values, "time_budget": parse_duration(self.time_budget)})


with_shared = with_options(Shared)
"""Gives a command the options of `Shared` beside its own, handed over as its parameter `shared`."""


def parse_sigma(text: str) -> float | Literal["auto"]:
    """Return `auto` or a number.

    Raises UsageError for anything else.
    """
    if text == "auto":
        return "auto"
    try:
        return float(text)
    except ValueError as error:
        raise UsageError(f"--sigma takes 'auto' or a number on the scale of 0 to 255, not {text!r}.") from error


def parse_duration(text: str | None) -> float | None:
    """Return seconds.

    Raises UsageError for text that is no duration.

    >>> parse_duration("90"), parse_duration("1.5m"), parse_duration("2h")
    (90.0, 90.0, 7200.0)
    """
    if text is None:
        return None
    match = re.fullmatch(r"(\d+(?:\.\d*)?|\.\d+)\s*(s|m|min|h)?", text.strip())
    if match is None or float(match[1]) == 0:
        raise UsageError(f"--time-budget takes a duration above 0 such as 60s, 5m or 1h, not {text!r}.")
    return float(match[1]) * {None: 1, "s": 1, "m": 60, "min": 60, "h": 3600}[match[2]]
