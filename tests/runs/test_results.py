"""Tables of results, read back by other libraries."""

from __future__ import annotations

import csv
import io
import json
import math
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest

from restore.runs.results import environment, table, to_csv, to_parquet, write_environment
from restore.runs.trial import TrialPlan


@pytest.fixture
def rows(plan: TrialPlan) -> list[dict[str, Any]]:
    records = {
        trial.id: {
            **trial.columns(),
            **{"status": "done", "error": None, "psnr": math.pi * (1 + trial.settings.seed), "lpips": None},
            **{"steps": 3, "channels": [4, 8], "text": 'a "b", c\nd', "mixed": trial.settings.seed or "x"},
            **{"host": "h", "process": 1, "warnings": []},
        }
        for trial in reversed(plan.trials)
    }
    del records[plan.trials[1].id]
    return table(plan.trials, records)


def test_rows_follow_the_plan(rows: list[dict[str, Any]]) -> None:
    assert [row["seed"] for row in rows] == [0, 2]
    assert not {"host", "process", "warnings"} & set(rows[0])


def test_csv_gives_everything_back(rows: list[dict[str, Any]]) -> None:
    read = list(csv.DictReader(io.StringIO(to_csv(rows).decode(), newline="")))
    assert [row["seed"] for row in read] == ["0", "2"]
    assert float(read[1]["psnr"]) == 3 * math.pi
    assert (read[0]["lpips"], read[0]["text"]) == ("", 'a "b", c\nd')
    assert json.loads(read[0]["channels"]) == [4, 8]


def test_parquet_keeps_the_types(rows: list[dict[str, Any]]) -> None:
    content = to_parquet(rows)
    assert content is not None
    read = pyarrow.parquet.read_table(io.BytesIO(content))
    types = {name: str(read.schema.field(name).type) for name in ("id", "seed", "psnr", "lpips", "mixed")}
    assert types == {"id": "string", "seed": "int64", "psnr": "double", "lpips": "string", "mixed": "string"}
    assert read.column("psnr").to_pylist() == [math.pi, 3 * math.pi]


def test_nothing_is_a_table_too() -> None:
    assert to_csv([]) == b"id\r\n"
    assert to_parquet([]) is not None


def test_without_pyarrow_there_is_no_parquet(rows: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert to_parquet(rows) is None


def test_the_environment_is_json(tmp_path: Path) -> None:
    write_environment(tmp_path)
    written = json.loads((tmp_path / "environment.json").read_text())
    assert written["versions"].keys() == environment()["versions"].keys()
    assert written["versions"]["torch"]
    assert written["threads"] >= 1
