"""A drawing of a phase plane."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from restore.errors import UsageError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from restore.cells.dynamics import FixedPoint, PhasePortrait

__all__ = ["draw_phase_portrait", "require_matplotlib"]

FIRST, SECOND, CYCLE, FLOW = "#1b6ca8", "#c2571a", "#111111", "#b8b8b8"

MARKERS = {
    "stable node": ("o", "full"),
    "stable focus": ("s", "full"),
    "unstable node": ("o", "none"),
    "unstable focus": ("s", "none"),
    "saddle": ("D", "left"),
    "non-hyperbolic": ("X", "full"),
}
"""Shape and filling: what is filled attracts, what is open repels, half filled does both."""


def require_matplotlib() -> None:
    """Raise UsageError, with the remedy, where matplotlib is not installed."""
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise UsageError("a plot needs matplotlib, which is not there: pip install 'restore[plot]'.") from error


def draw_phase_portrait(portrait: PhasePortrait, title: str = "", *, dpi: int = 150) -> bytes:
    """Return a PNG of the flow, both nullclines, the fixed points by kind, and the stable limit cycles.

    Raises UsageError where matplotlib is not installed.
    """
    require_matplotlib()
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.0, 5.2), dpi=dpi, layout="constrained")
    axes = figure.add_subplot()
    _draw_flow(axes, portrait)
    for curves, colour, label in zip(portrait.nullclines, (FIRST, SECOND), ("$h_1' = 0$", "$h_2' = 0$"), strict=True):
        for number, curve in enumerate(curves):
            axes.plot(*curve.T.numpy(), color=colour, linewidth=1.6, label=None if number else label)
    for cycle in portrait.cycles:
        label = f"stable cycle, period {cycle.period:.4g}"
        axes.plot(*cycle.orbit.T.numpy(), color=CYCLE, linewidth=2.6, label=label)
    _draw_points(axes, portrait.fixed_points)
    limit = float(portrait.axis[-1])
    axes.set(xlim=(-limit, limit), ylim=(-limit, limit), aspect="equal", xlabel="$h_1$", ylabel="$h_2$", title=title)
    axes.legend(loc="upper left", bbox_to_anchor=(1.02, 1), borderaxespad=0, frameon=False)
    target = io.BytesIO()
    figure.savefig(target, format="png", bbox_inches="tight", metadata={"Software": None})
    return target.getvalue()


def _draw_flow(axes: Axes, portrait: PhasePortrait) -> None:
    grid = portrait.axis.numpy()
    first, second = portrait.velocity.unbind(dim=-1)
    axes.streamplot(grid, grid, first.numpy(), second.numpy(), color=FLOW, density=1.3, linewidth=0.7, arrowsize=0.8)


def _draw_points(axes: Axes, points: list[FixedPoint]) -> None:
    for kind in dict.fromkeys(point.kind for point in points):
        shape, filling = MARKERS[kind]
        places = [point.position.tolist() for point in points if point.kind == kind]
        axes.plot(
            *zip(*places, strict=True),
            linestyle="none",
            marker=shape,
            fillstyle=filling,
            color=CYCLE,
            markerfacecoloralt="white",
            markersize=8,
            zorder=3,
            label=kind,
        )
