"""The results of a plan as tables and the surroundings that they were made in."""

from __future__ import annotations

import csv
import io
import json
import os
import platform
import shlex
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from restore.images.atomic import atomic_write_bytes
from restore.runs.store import Record
from restore.runs.trial import Trial

__all__ = ["environment", "table", "to_csv", "to_parquet", "write_environment"]

UNTABLED = ("host", "process", "warnings")
"""What a record says but a table does not: it would differ from run to run, or is a list."""

LIBRARIES = (
    "restore",
    "torch",
    "numpy",
    "scipy",
    "scikit-image",
    "pillow",
    "pydantic",
    "PyYAML",
    "pyarrow",
    "matplotlib",
)


def table(trials: Sequence[Trial], records: Mapping[str, Record]) -> list[dict[str, Any]]:
    """Return one row for each trial that ended, in the order of the plan; all rows have the same columns."""
    rows = [records[trial.id] for trial in trials if trial.id in records]
    return [{name: _flat(value) for name, value in row.items() if name not in UNTABLED} for row in rows]


def to_csv(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """Return a table as CSV (RFC 4180, UTF-8); what is None is empty, floats have all their digits.

    >>> to_csv([{"norm": "none", "psnr": 20.5, "error": None}])
    b'norm,psnr,error\\r\\nnone,20.5,\\r\\n'
    """
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]) if rows else ["id"])
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def to_parquet(rows: Sequence[Mapping[str, Any]]) -> bytes | None:
    """Return a table as Parquet, or None where pyarrow is not installed. A column without a value is one of text."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        return None
    columns: dict[str, Any] = {}
    for name in rows[0] if rows else ("id",):
        values = [row[name] for row in rows]
        column = pyarrow.array(_alike(values))
        columns[name] = column.cast(pyarrow.string()) if pyarrow.types.is_null(column.type) else column
    target = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table(columns), target)
    return target.getvalue()


def environment() -> dict[str, Any]:
    """Return what the results may depend on beside the plan: versions, machine, threads, and the command."""
    import torch

    versions: dict[str, str | None] = {"python": platform.python_version()}
    for name in LIBRARIES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = None
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": shlex.join(["restore", *sys.argv[1:]]),
        "versions": versions,
        "platform": platform.platform(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "gpus": [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())],
    }


def write_environment(folder: Path) -> None:
    """Write `environment.json`; raises OutputError where that is not possible."""
    text = json.dumps(environment(), indent=2, allow_nan=False) + "\n"
    atomic_write_bytes(folder / "environment.json", text.encode(), existing="overwrite")


def _flat(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, list | dict | bool) else value


def _alike(values: Sequence[Any]) -> Sequence[Any]:
    """A column has one type in Parquet: words beside numbers make all of it text, and a fraction all of it floats."""
    kinds = {type(value) for value in values if value is not None}
    if str in kinds and len(kinds) > 1:
        return [None if value is None else str(value) for value in values]
    return [float(value) if isinstance(value, int) else value for value in values] if float in kinds else values


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.processor()
    )
