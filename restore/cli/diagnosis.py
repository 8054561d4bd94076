"""What a run tells about its gradients and its baseline, on stderr."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

import typer

from restore.fitting import Trace
from restore.health import HealthRecord
from restore.report.sparkline import ASCII, BLOCKS, sparkline

__all__ = ["print_diagnosis", "print_losses"]


ROWS = 10
"""Places at which a loss curve is printed."""


def print_losses(trace: Trace) -> None:
    """Print the loss at about ten steps from the first check to the last."""
    count = len(trace.iteration)
    places = sorted({round(at * (count - 1) / (ROWS - 1)) for at in range(ROWS)}) if count else []
    if places:
        shown = ", ".join(f"{_number(trace.loss[at])} at {trace.iteration[at]}" for at in places)
        _say(f"loss by step: {shown}")


def print_diagnosis(report: Mapping[str, Any], record: HealthRecord | None) -> None:
    """Print the gradient health and the comparison with the baseline, where the report has them."""
    if record is not None:
        _print_health(report["gradient_health"], record)
    if report["baseline"] is not None:
        _print_baseline(report["baseline"])


def _print_health(health: Mapping[str, Any], record: HealthRecord) -> None:
    _say(f"gradient health: {health['verdict'] or 'unknown'}: {'; '.join(health['reasons'])}")
    if not health["looks"]:
        return
    width = max(len(name) for name in health["layers"])
    _say(f"  {'layer':<{width}}  |g| |w|    |g|        update/weight  dead  |g| |w| over the fit, a level a decade")
    columns = ("layers", "scaled_norms", "gradient_norms", "update_ratios", "dead_fractions")
    rows = zip(*(health[column] for column in columns), record.scaled_norm.T.tolist(), strict=True)
    for name, scaled, gradient, update, dead, history in rows:
        numbers = f"{_number(scaled):<9}  {_number(gradient):<9}  {_number(update):<13}  {dead:<4.0%}"
        _say(f"  {name:<{width}}  {numbers}  {_line(history, scaled)}")
    _say(f"  from the first layer to the last: {_line(health['scaled_norms'], health['scaled_norms'][-1])}")
    if health["recurrence"] is not None:
        norms = health["recurrence"]["gradient_norms"]
        _say(f"  recurrence: {health['recurrence']['verdict']}; |dL/dh_t| from t = 1 to T: {_line(norms, norms[-1])}")


def _print_baseline(baseline: Mapping[str, Any]) -> None:
    own = baseline["normalized"]
    _say(f"  {'side':<24}  optimiser  rate      loss      PSNR   peak   verdict     at 90 % of the fall in loss")
    for side in (own, baseline, *baseline["beside"]):
        numbers = f"{side['optimizer']:<9}  {_number(side['learning_rate']):<8}  {_number(side['loss']):<8}"
        quality = f"{_decibels(side['psnr'])}  {_decibels(side['psnr_peak'])}"
        verdict = side["gradient_health"]["verdict"] or "-"
        at = _at(baseline, "iterations") if side is own else _at(side, "baseline_iterations")
        _say(f"  {side['change']:<24}  {numbers}  {quality}  {verdict:<10}  {at}")
    if baseline["speedup"] is None:
        _say(f"without normalisation: {baseline['null_reasons']['speedup']}.")
    else:
        _say(f"without normalisation the same loss takes {baseline['speedup']:.2f} times as many iterations.")


def _at(side: Mapping[str, Any], which: str) -> str:
    row = next((row for row in side["levels"] if row["metric"] == "loss" and row["fraction"] == 0.9), None)
    found = None if row is None else row[which]
    return "never" if found is None else f"step {found}"


def _line(values: Sequence[float | None], unit: float | None) -> str:
    relative = [float("nan") if value is None or not unit else value / unit for value in values]
    return sparkline(relative, width=40, levels=_levels())


def _levels() -> str:
    try:
        BLOCKS.encode(sys.stderr.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return ASCII
    return BLOCKS


def _say(line: str) -> None:
    typer.echo(line, err=True)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"


def _decibels(value: float | None) -> str:
    return "  -  " if value is None else f"{value:5.2f}"
