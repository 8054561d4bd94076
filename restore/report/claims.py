"""The figure of a claim that was measured again."""

from __future__ import annotations

import io

from restore.report.phase import require_matplotlib
from restore.studies.claims import Result

__all__ = ["draw_claim"]


def draw_claim(result: Result) -> bytes:
    """Return a PNG of the curves of a result, or nothing where it has none.

    Raises UsageError where matplotlib is not installed.
    """
    outcome = result.outcome
    if not outcome.curves:
        return b""
    require_matplotlib()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for curve in outcome.curves:
        axes.plot(curve.x, curve.y, "--" if curve.dashed else "-", label=curve.name, linewidth=1.2)
    axes.set_xlabel(outcome.axes[0])
    axes.set_ylabel(outcome.axes[1])
    axes.set_xscale(outcome.scales[0])
    axes.set_yscale(outcome.scales[1])
    axes.set_title(f"{result.claim.name}: {outcome.verdict}", fontsize=10)
    axes.legend(fontsize=8, frameon=False)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=120)
    return buffer.getvalue()
