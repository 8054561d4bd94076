"""Pages that stand alone: one file of HTML, with nothing fetched from anywhere."""

from __future__ import annotations

import csv
import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from restore.errors import InputError
from restore.report.charts import Chart, run_charts
from restore.report.findings import findings
from restore.report.pictures import Pixels, data_uri, difference, picture_uri

__all__ = ["Pair", "ablation_page", "claims_page", "render", "run_page"]

LONG = ("gradient_health", "baseline", "pages", "arguments", "null_reasons")
"""Entries of a report that a table cannot hold; the page shows them in other ways."""

THUMBNAIL = 96
MOST_THUMBNAILS = 400


@dataclass(frozen=True)
class Pair:
    """A picture before and after, (C, H, W) in [0, 1]."""

    before: Pixels
    after: Pixels


def run_page(report: Mapping[str, Any], curves: Mapping[str, np.ndarray[Any, Any]], pairs: Sequence[Pair]) -> str:
    """Return the page of one run: its report, its curves (may be none), and the pictures of its pages.

    Raises UsageError where matplotlib is not installed and there are curves to draw.
    """
    shown = []
    for number, pair in enumerate(pairs, 1):
        change, reach = difference(pair.before, pair.after)
        shown.append(
            {
                "title": f"page {number}" if len(pairs) > 1 else "",
                "before": picture_uri(pair.before),
                "after": picture_uri(pair.after),
                "difference": picture_uri(change),
                "reach": reach,
            }
        )
    charts = run_charts(curves, report["iteration_best"]) if curves else []
    name = report["output"] or report["input"] or "a picture"
    return render(
        "run.html.j2",
        title=f"{report['command']}: {Path(name).name}",
        lead=f"{report['prior']}, {report['norm']} normalisation, {report['objective']}, {report['seconds']:.0f} "
        f"seconds on {report['device']} in {report['precision']}",
        findings=findings(report),
        pages=shown,
        charts=charts,
        again=_again(report),
        rows=[(key, _text(value)) for key, value in report.items() if key not in LONG and value is not None],
    )


def ablation_page(folder: Path) -> str:
    """Return the page of an ablation's folder: its summary, its figures, and its trials in a table that can be sorted.

    Raises InputError for a folder that holds no results.
    """
    results = folder / "results.csv"
    if not results.is_file():
        raise InputError(f"{str(folder)!r} holds no results.csv: run restore ablate with -o {folder} first.")
    with results.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    columns = list(rows[0]) if rows else ["id"]
    pictures = len(rows) <= MOST_THUMBNAILS
    trials = [
        [
            *([_thumbnail(folder, row)] if pictures else []),
            *({"text": _short(row[name]), "picture": ""} for name in columns),
        ]
        for row in rows
    ]
    figures = sorted((folder / "figures").glob("*.png")) if (folder / "figures").is_dir() else []
    summary = folder / "summary.md"
    return render(
        "ablation.html.j2",
        title=f"Ablation: {folder.resolve().name}",
        lead=f"{len(rows)} trials have ended",
        summary=summary.read_text(encoding="utf-8") if summary.is_file() else "",
        charts=[Chart(data_uri(path.read_bytes(), "image/png"), path.stem) for path in figures],
        columns=[*(["picture"] if pictures else []), *columns],
        trials=trials,
    )


def claims_page(folder: Path) -> str:
    """Return the page of a folder of `restore reproduce`.

    Raises InputError for a folder that holds no results.
    """
    claims = []
    for path in sorted(folder.glob("*.json")):
        claim = json.loads(path.read_text(encoding="utf-8"))
        if not (isinstance(claim, dict) and {"claim", "measured", "verdict"} <= set(claim)):
            continue
        figure = path.with_suffix(".png")
        picture = data_uri(figure.read_bytes(), "image/png") if figure.is_file() else ""
        claims.append({**claim, "figure": picture, "rows": [(n, _text(v)) for n, v in claim["measured"].items()]})
    if not claims:
        raise InputError(
            f"{str(folder)!r} holds no results: name an output, its sidecar, or a folder of ablate or reproduce."
        )
    met = sum(claim["verdict"] == "met" for claim in claims)
    return render(
        "claims.html.j2", title="Claims measured again", lead=f"{met} of {len(claims)} are met", claims=claims
    )


def _thumbnail(folder: Path, row: Mapping[str, str]) -> dict[str, str]:
    path = folder / "pictures" / f"{row.get('id', '')}.png"
    if not path.is_file():
        return {"text": "", "picture": ""}
    from PIL import Image

    with Image.open(path) as picture:
        small = (np.asarray(picture.convert("RGB")) / 255).astype(np.float32)
    return {"text": "", "picture": picture_uri(np.moveaxis(small, -1, 0), THUMBNAIL)}


def _short(text: str) -> str:
    """Return a number with more digits than a reader wants to six of them, anything else as it is."""
    try:
        return f"{float(text):.6g}" if len(text) > 8 else text
    except ValueError:
        return text


def _again(report: Mapping[str, Any]) -> str:
    """Return the command that repeats the run, as it was given, or what to call in Python."""
    arguments = report.get("arguments")
    if arguments:
        return "restore " + shlex.join(arguments)
    return f"restore.{report['command']}({report['input']!r}, preset={report['preset']!r}, seed={report['seed']})"


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, Mapping | list):
        return json.dumps(value, ensure_ascii=False)
    return "" if value is None else str(value)


def render(template: str, **values: Any) -> str:
    """Return one of the templates, filled in; what is filled in cannot break out of its place."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("restore.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
    )
    return environment.get_template(template).render(**values)
