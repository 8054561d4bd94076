"""The page of something measured: what is filled in stays text, and the command is there to be repeated."""

from __future__ import annotations

import sys

import pytest

from restore.report.charts import line_chart
from restore.report.measured import Table, measured_page


def test_a_page_holds_its_tables_and_cannot_be_broken_out_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["restore", "bench", "health", "--prior", "a b"])
    table = Table(("cell", "ratio"), [("<script>alert(1)</script>", "1.5")], "Costs")
    page = measured_page("T", "how", [table], findings=["it & that"])
    assert "<script>alert" not in page and "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "it &amp; that" in page
    assert "restore bench health --prior &#39;a b&#39;" in page


def test_a_chart_has_a_line_for_each_name() -> None:
    chart = line_chart({"one": ([0, 1], [1, 2]), "two": ([0, 1], [2, 1])}, "Both", across="t", logarithmic=True)
    assert chart.source.startswith("data:image/svg+xml;base64,") and chart.caption == "Both"
