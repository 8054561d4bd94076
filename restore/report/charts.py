"""The curves of a run as drawings for a page."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from restore.report.phase import require_matplotlib
from restore.report.pictures import data_uri

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Chart", "line_chart", "run_charts"]

Curves = Mapping[str, np.ndarray[Any, Any]]


@dataclass(frozen=True)
class Chart:
    """A drawing: `source` is a data URI of an SVG, `caption` says what it shows."""

    source: str
    caption: str


def run_charts(curves: Curves, best: int | None) -> list[Chart]:
    """Return the charts that the curves of a run allow: loss, PSNR, gradient heat map, way back through a recurrence.

    Args:
        curves: as `Restoration.curves` gives them.
        best: step of the picture that was written, to be marked.

    Raises UsageError where matplotlib is not installed.
    """
    require_matplotlib()
    charts = [_lines(curves, "loss", best, "Loss", logarithmic=True)]
    if len(curves.get("held_out", ())):
        charts.append(_lines(curves, "held_out", best, "Error on the held-out pixels", logarithmic=True))
    if len(curves.get("psnr", ())):
        charts.append(_lines(curves, "psnr", best, "PSNR of the averaged picture in dB"))
    if len(curves.get("health_gradient_norm", ())):
        charts.append(_heat(curves))
    if len(curves.get("health_recurrent_norm", ())):
        charts.append(_way_back(curves))
    return charts


def line_chart(
    lines: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    caption: str,
    *,
    across: str,
    logarithmic: bool = False,
) -> Chart:
    """Return a chart of lines by name, each the abscissae and the ordinates of its points.

    Args:
        across: what the abscissa is.
        logarithmic: whether the ordinate is.

    Raises UsageError where matplotlib is not installed.
    """
    require_matplotlib()

    def draw(axes: Axes) -> None:
        for name, (x, y) in lines.items():
            axes.plot(x, y, label=name, linewidth=1.2)
        axes.set_xlabel(across)
        if logarithmic:
            axes.set_yscale("log")
        axes.legend(fontsize=7, frameon=False)

    return Chart(_svg(draw), caption)


def _lines(curves: Curves, name: str, best: int | None, caption: str, *, logarithmic: bool = False) -> Chart:
    def draw(axes: Axes) -> None:
        length = len(curves[name])
        axes.plot(curves["iteration"][:length], curves[name], label="this run", linewidth=1.4)
        for key in curves:
            if key.startswith("baseline_") and key.endswith(f"_{name}") and len(curves[key]):
                side = key.removeprefix("baseline_").removesuffix(f"_{name}")
                steps = curves[f"baseline_{side}_iteration"][: len(curves[key])]
                axes.plot(steps, curves[key], "--", label=f"left to itself: {side}", linewidth=1)
        if best is not None:
            axes.axvline(best, color="#888888", linewidth=0.8)
            axes.annotate(
                "written", (best, 1), xycoords=("data", "axes fraction"), fontsize=7, va="bottom", ha="center"
            )
        axes.set_xlabel("step")
        if logarithmic:
            axes.set_yscale("log")
        axes.legend(fontsize=7, frameon=False)

    return Chart(_svg(draw), caption)


def _heat(curves: Curves) -> Chart:
    scaled = curves["health_gradient_norm"] * curves["health_weight_norm"]
    layers: Sequence[str] = curves["health_layers"].tolist()

    def draw(axes: Axes) -> None:
        shown = np.log10(np.maximum(scaled.T, 1e-30))
        image = axes.imshow(shown, aspect="auto", interpolation="nearest", cmap="viridis")
        axes.set_yticks(range(len(layers)), layers, fontsize=5)
        ticks = np.unique(np.linspace(0, scaled.shape[0] - 1, 6).astype(int))
        axes.set_xticks(ticks, [f"{curves['health_iteration'][at]:.0f}" for at in ticks])
        axes.set_xlabel("step")
        axes.figure.colorbar(image, ax=axes, label="log10 |g| |w|")

    return Chart(_svg(draw), "Gradient norm times weight norm, layer by layer from the first at the top")


def _way_back(curves: Curves) -> Chart:
    norms = curves["health_recurrent_norm"]
    flowing = norms[norms.any(axis=1)] if norms.any() else norms
    steps = np.arange(1, norms.shape[1] + 1)

    def draw(axes: Axes) -> None:
        axes.plot(steps, np.median(flowing, axis=0), "o-", linewidth=1.2)
        axes.set_yscale("log")
        axes.set_xlabel("t")

    return Chart(_svg(draw), "|dL/dh_t| on its way back through the recurrence, the median over the fit")


def _svg(draw: Any) -> str:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.6, 3.4), layout="constrained")
    draw(figure.add_subplot())
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    return data_uri(buffer.getvalue(), "image/svg+xml")
