"""The files that an ablation leaves beside its store: tables, summaries and figures."""

from __future__ import annotations

import json
from collections import defaultdict

import numpy as np

from restore.errors import UsageError
from restore.images.atomic import atomic_write_bytes
from restore.report.ablation import METRIC_NAMES, summary_markdown, summary_tex
from restore.report.ablation_figures import Curve, draw_curves, draw_differences
from restore.runs.ablation import CONTROL, Ablation
from restore.runs.results import table, to_csv, to_parquet
from restore.runs.store import Store
from restore.studies.ablation import Findings, find

__all__ = ["write_results"]


def write_results(store: Store, ablation: Ablation) -> list[str]:
    """Write results.csv, results.parquet, summary.md, summary.tex and figures/; return notes on what was left out.

    They say what has ended so far, and are written over when more has.

    Raises OutputError where they cannot be written.
    """
    notes: list[str] = []
    records = store.records()
    rows = table(ablation.plan.trials, records)
    found = find(ablation, records)
    files = {"results.csv": to_csv(rows)}
    parquet = to_parquet(rows)
    if parquet is None:
        notes.append("results.parquet needs pyarrow: pip install 'restore[tables]'; results.csv holds the same.")
    else:
        files["results.parquet"] = parquet
    drawings: dict[str, bytes] = {}
    try:
        drawings = _drawings(store, ablation, found) if found.ended else {}
    except UsageError as error:
        notes.append(f"no figures: {error}")
    files |= drawings
    files["summary.md"] = summary_markdown(found, list(drawings)).encode()
    files["summary.tex"] = summary_tex(found).encode()
    for name, content in files.items():
        (store.folder / name).parent.mkdir(exist_ok=True)
        atomic_write_bytes(store.folder / name, content, existing="overwrite")
    return notes


def _drawings(store: Store, ablation: Ablation, found: Findings) -> dict[str, bytes]:
    differences = draw_differences(found)
    drawn = {} if differences is None else {"figures/differences.png": differences}
    for name, label in (("psnr", METRIC_NAMES["psnr"]), ("loss", "loss")):
        curves = draw_curves(_curves(store, ablation, name), label, logarithmic=name == "loss")
        if curves is not None:
            drawn[f"figures/{name}.png"] = curves
    return drawn


def _curves(store: Store, ablation: Ablation, name: str) -> dict[str, dict[str, list[Curve]]]:
    """Return the curves of all trials that were done, by the values of each factor; controls are in every panel."""
    done = {one for one, record in store.records().items() if record["status"] == "done"}
    found: dict[str, dict[str, list[Curve]]] = {factor: defaultdict(list) for factor in ablation.factors}
    for trial in ablation.plan.trials:
        if trial.id not in done or trial.peer is not None:  # a peer has no curves
            continue
        with np.load(store.curves_path(trial.id)) as kept:
            curve = kept["iteration"].tolist(), kept[name].tolist()
        for factor, value in trial.factors.items():
            found[factor][trial.variant if value == CONTROL else _text(value)].append(curve)
    return found


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)
