"""A benchmark's tables for people, and its picture: quality against time."""

from __future__ import annotations

import io
from collections.abc import Sequence

from restore.report.phase import require_matplotlib
from restore.report.tables import aligned, markdown
from restore.studies.quality import Race, Row, pareto_front

__all__ = ["draw_pareto", "quality_markdown", "quality_text"]

METHODS = (
    *("method", "trials", "PSNR, dB", "peak", "last", "lost by stopping"),
    *("SSIM", "LPIPS", "seconds", "steps", "MiB"),
)
RACES = ("method", "target, dB", "reached", "seconds", "rival's seconds", "times as fast")


def quality_markdown(name: str, found: Sequence[Row], raced: Sequence[Race], notes: Sequence[str]) -> str:
    """Return all tables in Markdown; `notes` say how they were made, a sentence each."""
    parts = [f"# {name}", *notes]
    for damage, title in _titles(found).items():
        parts += [f"## {title}", markdown(METHODS, [_row(row) for row in found if row.damage == damage])]
    for damage, rival in dict.fromkeys((race.damage, race.rival) for race in raced):
        lines = [_race(race) for race in raced if race.damage == damage]
        parts += [f"## {damage}: time to the best averaged picture of {rival}", markdown(RACES, lines)]
    return "\n\n".join(parts) + "\n"


def quality_text(found: Sequence[Row], raced: Sequence[Race]) -> str:
    """Return all tables for a terminal."""
    parts = []
    for damage, title in _titles(found).items():
        parts.append(f"{title}\n{aligned(METHODS, [_row(row) for row in found if row.damage == damage])}")
    for damage, rival in dict.fromkeys((race.damage, race.rival) for race in raced):
        lines = [_race(race) for race in raced if race.damage == damage]
        parts.append(f"{damage}: time to the best averaged picture of {rival}\n{aligned(RACES, lines)}")
    return "\n\n".join(parts)


def draw_pareto(found: Sequence[Row]) -> bytes | None:
    """Return a PNG, a panel a damage: PSNR against seconds, with the front that nothing beats in both; None if empty.

    Raises UsageError where matplotlib is not installed.
    """
    measured = [row for row in found if row.psnr is not None and row.seconds is not None]
    if not measured:
        return None
    require_matplotlib()
    from matplotlib.figure import Figure

    damages = list(dict.fromkeys(row.damage for row in measured))
    figure = Figure(figsize=(1.0 + 4.2 * len(damages), 4.0), dpi=150, layout="constrained")
    panels = figure.subplots(1, len(damages), squeeze=False)[0]
    for axes, damage in zip(panels, damages, strict=True):
        points = [
            (row.method, max(row.seconds, 1e-3), row.psnr)
            for row in measured
            if row.damage == damage and row.seconds is not None and row.psnr is not None
        ]
        axes.plot([x for _, x, _ in points], [y for _, _, y in points], "o", color="#1b6ca8", markersize=5)
        for method, x, y in points:
            axes.annotate(method, (x, y), xytext=(4, 4), textcoords="offset points", fontsize=7)
        front = [points[index] for index in pareto_front([(x, y) for _, x, y in points])]
        axes.step(
            [x for _, x, _ in front], [y for _, _, y in front], where="post", color="#c2571a", linewidth=1, alpha=0.7
        )
        axes.set_title(damage, loc="left", fontsize=9)
        axes.set(xscale="log", xlabel="seconds a picture")
        axes.margins(0.18)
        axes.grid(alpha=0.3)
    panels[0].set_ylabel("mean PSNR, dB")
    target = io.BytesIO()
    figure.savefig(target, format="png", metadata={"Software": None})
    return target.getvalue()


def _titles(found: Sequence[Row]) -> dict[str, str]:
    titles: dict[str, str] = {}
    for row in found:
        given = "" if row.psnr_input is None else f": {row.psnr_input:.2f} dB given"
        titles.setdefault(row.damage, f"{row.damage}{given}")
    return titles


def _row(row: Row) -> list[str]:
    trials = str(row.trials) if not row.failed else f"{row.trials}, {row.failed} failed"
    return [
        *(row.method, trials, _number(row.psnr, 2), _number(row.psnr_peak, 2), _number(row.psnr_final, 2)),
        *(_number(row.stopping_loss, 2), _number(row.ssim, 4), _number(row.lpips, 4), _number(row.seconds, 1)),
        *(_number(row.iterations, 0), _number(row.peak_memory_mb, 0)),
    ]


def _race(race: Race) -> list[str]:
    return [
        *(race.method, f"{race.target:.2f}", f"{race.reached} of {race.runs}", _number(race.seconds, 1)),
        *(_number(race.rival_seconds, 1), _number(race.ratio, 1)),
    ]


def _number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"
