"""`--report` of the commands on cells: one page that stands alone, and never over another file."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

HOPF = "omega: [2.0]\nlog_mu: [0.0]\nlog_rho: [0.0]\n"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def _stands_alone(page: str) -> bool:
    return not re.search(r"""(src|href)=["'](?!data:|#)|@import|url\(["']?http""", page)


def test_a_probe_has_its_curves_and_its_verdicts_on_a_page(cells: Callable[..., Any], tmp_path: Path) -> None:
    outcome = cells("probe", "scornn", "--size", 6, "--steps", 20, "--report")
    page = (tmp_path / "scornn-probe.html").read_text()
    assert outcome.status == 0 and "wrote scornn-probe.html" in outcome.stderr
    assert _stands_alone(page)
    assert page.count("<img") == 3
    said = [line for line in outcome.stdout.splitlines() if line.startswith(("scornn: ", "rnn: ", "gru: "))]
    assert len(said) == 3 and all(line in page for line in said)
    assert "restore cells probe scornn --size 6 --steps 20 --report" in page


def test_dynamics_has_its_phase_plane_and_its_tables_on_a_page(cells: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "hopf.yaml").write_text(HOPF)
    outcome = cells("dynamics", "limitcycle", "--parameters", "hopf.yaml", "--report", "--json")
    assert outcome.report["limit_cycles"]
    page = (tmp_path / "hopf-dynamics.html").read_text()
    assert _stands_alone(page)
    assert "1 stable limit cycle" in page and "data:image/png" in page and "Lyapunov exponents" in page


def test_a_page_that_is_there_is_kept(cells: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "mine.html").write_text("mine")
    refused = cells("probe", "gru", "--size", 4, "--steps", 3, "--report", "mine.html")
    assert "exists already: name another file with --report FILE.html" in refused.complaint
    assert (tmp_path / "mine.html").read_text() == "mine"


def test_without_the_option_nothing_is_written(cells: Callable[..., Any], tmp_path: Path) -> None:
    assert cells("probe", "gru", "--size", 4, "--steps", 3).status == 0
    assert list(tmp_path.iterdir()) == []
