"""Drawings of an ablation: the difference on each picture with its interval, and the curves of the fits."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from restore.report.ablation import METRIC_NAMES
from restore.report.phase import require_matplotlib
from restore.studies.ablation import Findings
from restore.studies.statistics import Comparison

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Curve", "draw_curves", "draw_differences"]

DOT, MEAN, ZERO = "#1b6ca8", "#c2571a", "#888888"

Curve = tuple[Sequence[float], Sequence[float]]
"""Steps, and a value at each."""


def draw_differences(found: Findings) -> bytes | None:
    """Return a PNG: for each comparison a dot a picture, the mean, and its interval where there is one; None if empty.

    Raises UsageError where matplotlib is not installed.
    """
    require_matplotlib()
    from matplotlib.figure import Figure

    groups = [(f"{effect.factor} (against {effect.baseline})", effect.comparisons) for effect in found.effects]
    if found.against_baseline:
        groups.append((f"variants (against {found.baseline})", found.against_baseline))
    if not groups:
        return None
    heights = [len(comparisons) + 1.0 for _, comparisons in groups]
    figure = Figure(figsize=(8.0, 0.6 + 0.3 * sum(heights)), dpi=150, layout="constrained")
    panels = figure.subplots(len(groups), 1, sharex=True, squeeze=False, height_ratios=heights)[:, 0]
    for axes, (title, comparisons) in zip(panels, groups, strict=True):
        _draw_group(axes, comparisons)
        axes.set_title(title, loc="left", fontsize=9)
    panels[-1].set_xlabel(f"difference ({METRIC_NAMES[found.metric]}); one dot a picture, mean and 95 % interval")
    return _png(figure)


def draw_curves(
    panels: Mapping[str, Mapping[str, Sequence[Curve]]], ylabel: str, *, logarithmic: bool = False
) -> bytes | None:
    """Return a PNG with a panel for each title and in it a mean curve for each name, or None if there is no curve.

    Args:
        panels: the curves of the trials that each mean is of; it ends where the first of them ends.

    Raises UsageError where matplotlib is not installed.
    """
    require_matplotlib()
    from matplotlib.figure import Figure

    drawn = {title: _means(named) for title, named in panels.items()}
    drawn = {title: means for title, means in drawn.items() if means}
    if not drawn:
        return None
    figure = Figure(figsize=(1.0 + 4.5 * len(drawn), 4.0), dpi=150, layout="constrained")
    axes = figure.subplots(1, len(drawn), sharey=True, squeeze=False)[0]
    for panel, (title, means) in zip(axes, drawn.items(), strict=True):
        for name, (steps, values) in means.items():
            panel.plot(steps, values, linewidth=1.4, label=name)
        panel.set_title(title, loc="left", fontsize=9)
        panel.set(xlabel="step", yscale="log" if logarithmic else "linear")
        panel.grid(alpha=0.3)
        panel.legend(fontsize=8, frameon=False)
    axes[0].set_ylabel(ylabel)
    return _png(figure)


def _draw_group(axes: Any, comparisons: Iterable[Comparison]) -> None:
    labels = []
    for row, one in enumerate(comparisons):
        labels.append(one.label)
        values = list(one.differences.values())
        axes.plot(values, [row] * len(values), "o", color=DOT, alpha=0.6, markersize=5, markeredgewidth=0)
        if one.low is not None and one.high is not None:
            axes.plot([one.low, one.high], [row, row], color=MEAN, linewidth=2)
        if one.mean is not None:
            axes.plot([one.mean], [row], "D", color=MEAN, markersize=5)
    axes.axvline(0, color=ZERO, linewidth=0.8)
    axes.set_yticks(range(len(labels)), labels, fontsize=8)
    axes.set_ylim(len(labels) - 0.5, -0.5)


def _means(named: Mapping[str, Sequence[Curve]]) -> dict[str, tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]]:
    return {name: mean for name, several in named.items() if (mean := _mean(several)) is not None}


def _mean(curves: Sequence[Curve]) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]] | None:
    """Return the mean of curves that may have been looked at on other steps: on the steps of the shortest."""
    several = [(np.asarray(steps), np.asarray(values)) for steps, values in curves if len(steps) and len(values)]
    if not several:
        return None
    steps = min((steps for steps, _ in several), key=lambda steps: float(steps[-1]))
    return steps, np.mean([np.interp(steps, *curve) for curve in several], axis=0)


def _png(figure: Figure) -> bytes:
    target = io.BytesIO()
    figure.savefig(target, format="png", metadata={"Software": None})
    return target.getvalue()
