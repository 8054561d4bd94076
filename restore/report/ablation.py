"""What an ablation found, for people: Markdown, LaTeX, JSON, and the text that a command prints."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from restore.report.tables import aligned, latex, markdown
from restore.studies.ablation import Effect, Findings
from restore.studies.statistics import Comparison

__all__ = ["METRIC_NAMES", "as_json", "summary_markdown", "summary_tex", "summary_text"]

METRIC_NAMES = {
    "psnr": "PSNR, dB",
    "psnr_hole": "PSNR in the hole, dB",
    "psnr_peak": "highest PSNR during the fit, dB",
    "psnr_final": "PSNR of the last averaged picture, dB",
    "psnr_network": "PSNR of the network's last output, dB",
    "ssim": "SSIM",
}

DIGITS = {"ssim": 4}
"""Decimals of a metric; two for those in dB."""

DIFFERENCES = ("value", "difference", "95 % interval", "p", "better/equal/worse")
VARIANTS = ("variant", "mean", *DIFFERENCES[1:], "steps", "seconds")


def summary_markdown(found: Findings, figures: Sequence[str] = ()) -> str:
    """Return the whole summary in Markdown; `figures` are paths of pictures, relative to where it will be."""
    parts = [f"# {found.name}", _opening(found)]
    if found.effects:
        parts += ["## What each factor does", _how(found)]
    for effect in found.effects:
        parts += [
            f"### {effect.factor} (against {effect.baseline})",
            markdown(DIFFERENCES, _differences(found, effect)),
        ]
    parts += [f"## Variants (against {found.baseline})", markdown(VARIANTS, _variants(found))]
    if not found.effects:
        parts.append(_how(found))
    if found.failures:
        parts += ["## Failed", markdown(("trial", "why"), [list(one) for one in found.failures.items()])]
    parts += [f"![{figure}]({figure})" for figure in figures]
    return "\n\n".join(parts) + "\n"


def summary_tex(found: Findings) -> str:
    """Return the tables in LaTeX, for the package booktabs."""
    parts = [
        latex(
            DIFFERENCES,
            _differences(found, effect),
            f"{found.name}: {effect.factor} against {effect.baseline}. {_how(found)}",
        )
        for effect in found.effects
    ]
    caption = f"{found.name}: {METRIC_NAMES[found.metric]}, against {found.baseline}. {_how(found)}"
    return "\n\n".join([*parts, latex(VARIANTS, _variants(found), caption)]) + "\n"


def summary_text(found: Findings) -> str:
    """Return the summary for a terminal."""
    parts = [_opening(found)]
    parts += [
        f"{effect.factor} (against {effect.baseline})\n{aligned(DIFFERENCES, _differences(found, effect))}"
        for effect in found.effects
    ]
    parts.append(f"variants (against {found.baseline})\n{aligned(VARIANTS, _variants(found))}")
    parts += [f"failed: {trial}: {why}" for trial, why in found.failures.items()]
    return "\n\n".join(parts)


def as_json(found: Findings) -> dict[str, Any]:
    """Return the findings as JSON can hold them."""
    return dataclasses.asdict(found)


def _opening(found: Findings) -> str:
    missing = "" if found.ended == found.expected else f" of {found.expected}; the rest has not ended"
    failed = f", {len(found.failures)} failed" if found.failures else ""
    return (
        f"{found.ended} trials{missing}{failed}, {len(found.pictures)} picture(s) ({', '.join(found.pictures)}). "
        f"Metric: {METRIC_NAMES[found.metric]}; more is better."
    )


def _how(found: Findings) -> str:
    """Say how the differences were made, and why there is no p-value where there is none."""
    text = (
        "Differences are within a picture, seeds and damages averaged first; the interval is a bootstrap over pictures."
    )
    everything = [*found.against_baseline, *(one for effect in found.effects for one in effect.comparisons)]
    if any(one.p is not None for one in everything):
        text += " p is Wilcoxon's with Holm's correction."
    if any(one.p is None for one in everything):
        text += f" Where no p is given, {len(found.pictures)} picture(s) are too few for any to be significant."
    return text


def _differences(found: Findings, effect: Effect) -> list[list[str]]:
    return [[one.label, *_cells(found, one)] for one in effect.comparisons]


def _variants(found: Findings) -> list[list[str]]:
    against = {one.label: one for one in found.against_baseline}
    rows = []
    for variant in found.variants:
        compared = against.get(variant.label)
        cells = ["baseline", "", "", ""] if compared is None else _cells(found, compared)
        steps = _number(variant.iterations, 0)
        rows.append([variant.label, _number(variant.mean, _digits(found)), *cells, steps, _number(variant.seconds, 1)])
    return rows


def _cells(found: Findings, one: Comparison) -> list[str]:
    digits = _digits(found)
    interval = "" if one.low is None or one.high is None else f"{one.low:+.{digits}f} to {one.high:+.{digits}f}"
    mean = "" if one.mean is None else f"{one.mean:+.{digits}f}"
    return [mean, interval, "" if one.p is None else f"{one.p:.3g}", f"{one.wins}/{one.ties}/{one.losses}"]


def _digits(found: Findings) -> int:
    return DIGITS.get(found.metric, 2)


def _number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"
