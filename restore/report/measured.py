"""The page of something measured: what was found in words, charts, and tables that can be sorted."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from restore.report.charts import Chart
from restore.report.page import render

__all__ = ["Table", "measured_page"]


@dataclass(frozen=True)
class Table:
    """Rows of text under the names of their columns."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    title: str = ""


def measured_page(
    title: str,
    lead: str,
    tables: Sequence[Table],
    charts: Sequence[Chart] = (),
    findings: Sequence[str] = (),
    arguments: Sequence[str] | None = None,
) -> str:
    """Return a page that stands alone.

    Args:
        title, lead: what was measured, and how.
        tables, charts, findings: what came of it.
        arguments: of the command that repeats it; None takes those of this process.
    """
    again = "restore " + shlex.join(sys.argv[1:] if arguments is None else arguments)
    return render(
        "measured.html.j2", title=title, lead=lead, tables=tables, charts=charts, findings=findings, again=again
    )
