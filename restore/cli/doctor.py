"""`restore doctor`: what is there to work with, and what is not."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

__all__ = ["doctor"]


def doctor(
    fetch_lpips: Annotated[
        bool, typer.Option("--fetch-lpips", help="Download the weights that LPIPS needs (about 230 MB) to TORCH_HOME.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
) -> None:
    """Say which devices, precisions and optional parts are there. Downloads nothing unless told to."""
    if fetch_lpips:
        from restore.metrics import fetch_weights

        typer.echo(f"fetched {fetch_weights()}", err=True)
    findings = _findings()
    if as_json:
        typer.echo(json.dumps(findings, indent=2))
        return
    for name, value in findings.items():
        text = ", ".join(value) if isinstance(value, list) else value
        typer.echo(f"{name.replace('_', ' '):<14} {text if text not in ('', None) else 'none'}")


def _findings() -> dict[str, Any]:
    from importlib.metadata import version

    import torch

    from restore.fitting.precision import resolve_device, resolve_precision
    from restore.metrics import LpipsUnavailable, trunk_weights

    device = resolve_device("auto")
    weights = trunk_weights()
    gpus = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    return {
        "restore": version("restore"),
        "python": sys.version.split()[0],
        "torch": torch.__version__,
        "device": str(device),
        "precision": resolve_precision("auto", device),
        "threads": torch.get_num_threads(),
        "gpus": gpus,
        "lpips": f"{weights.reason} {weights.hint}" if isinstance(weights, LpipsUnavailable) else f"ready: {weights}",
        "command": sys.argv[0],
        "other_restore": _others(),
    }


def _others() -> list[str]:
    """Return the commands named `restore` on the PATH that are not this one: some systems have one of their own."""
    own = Path(sys.executable).parent.resolve()
    folders = os.environ.get("PATH", "").split(os.pathsep)
    found = [shutil.which("restore", path=folder) for folder in folders if folder]
    return list(dict.fromkeys(path for path in found if path is not None and Path(path).parent.resolve() != own))
