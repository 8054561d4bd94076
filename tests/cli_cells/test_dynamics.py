"""`restore cells dynamics`: the report, the text, the drawing, and what is refused."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

CONFIGS = Path(__file__).parents[2] / "configs" / "cells"


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """One unit that rests at 0."""
    path = tmp_path / "small.yaml"
    path.write_text("U_h: [[0.5]]\n")
    return path


def test_bistable_example_with_its_drawing(cells: Callable[..., Any], tmp_path: Path) -> None:
    plot = tmp_path / "bistable.png"
    source = CONFIGS / "bistable.yaml"
    done = cells("dynamics", "ctgru", "--parameters", source, "--plot", plot, "--json")
    report = done.report
    assert list(report) == [
        "cell", "size", "parameters", "dt", "fixed_points", "limit_cycles", "lyapunov", "scan", "plot",
    ]  # fmt: skip
    assert (report["cell"], report["size"], report["dt"], report["scan"]) == ("ctgru", 2, 0.1, None)
    kinds = [point["kind"] for point in report["fixed_points"]]
    assert kinds == ["unstable focus", "saddle", "stable node"]
    assert report["fixed_points"][0]["position"] == pytest.approx([0.0545, -0.3948], abs=1e-4)
    assert report["fixed_points"][0]["eigenvalues"][0] == pytest.approx([0.19, 1.92], abs=5e-3)
    (cycle,) = report["limit_cycles"]
    assert cycle["period"] == pytest.approx(4.426, abs=1e-3)
    assert cycle["multipliers"][0] == pytest.approx([1, 0], abs=1e-6)
    exponents = {item["origin"]: item["exponents"] for item in report["lyapunov"]}
    assert exponents["cycle 1"][0] == pytest.approx(0, abs=1e-3)
    assert exponents["stable node 3"][0] < -0.01
    assert report["plot"] == str(plot)
    with Image.open(io.BytesIO(plot.read_bytes())) as image:
        assert image.format == "PNG"
        assert min(image.size) > 500
    assert [path.name for path in tmp_path.iterdir()] == ["bistable.png"]


def test_hopf_example_in_words(cells: Callable[..., Any]) -> None:
    text = cells("dynamics", "ctgru", "--parameters", CONFIGS / "hopf.yaml").stdout
    assert "1 fixed point\n" in text
    assert "unstable focus  (0, 0)" in text
    assert "1 stable limit cycle\n" in text
    assert "(1, 0.005807)" in text


def test_json_file_and_scan(cells: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("restore.studies.dynamics.SCAN_SETTINGS", {"transient": 20.0, "longest": 5.0, "dt": 0.1})
    path = tmp_path / "node.json"
    path.write_text(json.dumps({"U_h": [[0.5]], "dt": 0.5}))
    words = ("dynamics", "ctgru", "--parameters", path, "--scan", "b_h[0]", "0", "-0.5", "--scan-values", 2)
    report = cells(*words, "--json").report
    assert report["scan"]["parameter"] == "b_h[0]"
    assert [entry["value"] for entry in report["scan"]["values"]] == [0.0, -0.5]
    assert [entry["fixed_points"] for entry in report["scan"]["values"]] == [["stable node"], ["stable node"]]
    assert report["scan"]["bifurcations"] == []
    # h' = (tanh(h / 4) - h) / 2 at rest at 0, by Euler's step of 0.5
    assert report["lyapunov"][0]["exponents"] == pytest.approx([math.log(1 - 0.5 * 0.375)], abs=1e-9)
    assert "no bifurcation between these values" in cells(*words).stdout


def test_existing_plot_is_kept_unless_told(cells: Callable[..., Any], tmp_path: Path) -> None:
    path, plot = tmp_path / "rest.yaml", tmp_path / "rest.png"
    path.write_text("U_h: [[0, -0.5], [0.5, 0]]\n")
    plot.write_bytes(b"mine")
    words = ("dynamics", "ctgru", "--parameters", path, "--plot", plot)
    assert "exists already" in cells(*words).complaint
    assert plot.read_bytes() == b"mine"
    done = cells(*words, "--existing", "overwrite")
    assert (done.status, done.stderr) == (0, f"wrote {plot}\n")
    assert plot.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--plot", "x.jpg"), "name it .png"),
        (("--plot", "x.png"), "drawn of two units, and the parameters are of 1: drop --plot"),
        (("--scan", "b_h", 0, 1), "such as b_h[0] or U_h[0,1], not 'b_h'"),
        (("--scan", "b_q[0]", 0, 1), "unknown parameter 'b_q': did you mean 'b_"),
        (("--scan", "b_h[1]", 0, 1), "'b_h' has the shape (1,), counted from 0; 'b_h[1]' is not in it"),
        (("--scan", "U_h[0]", 0, 1), "'U_h' has the shape (1, 1)"),
        (("--scan", "b_h[0]", 1, 1), "two values or more from a range"),
        (("--scan", "b_h[0]", 0, "nan"), "two values or more from a range"),
        (("--scan", "b_h[0]", 0, 1, "--scan-values", 1), "got 1 from 0 to 1"),
    ],
)
def test_bad_options(cells: Callable[..., Any], small: Path, words: tuple[object, ...], message: str) -> None:
    assert message in cells("dynamics", "ctgru", "--parameters", small, *words).complaint


def test_plot_never_replaces_its_source(cells: Callable[..., Any], tmp_path: Path) -> None:
    path = tmp_path / "parameters.png"
    path.write_text("U_h: [[0, -0.5], [0.5, 0]]\n")
    words = ("dynamics", "ctgru", "--parameters", path, "--plot", path, "--existing", "overwrite")
    assert "it is an input of this run" in cells(*words).complaint


@pytest.mark.parametrize(
    ("name", "message"),
    [("gru", "in continuous time, ctgru and limitcycle; 'gru' is not one"), ("ctgr", "did you mean 'ctgru'?")],
)
def test_other_cells(cells: Callable[..., Any], small: Path, name: str, message: str) -> None:
    assert message in cells("dynamics", name, "--parameters", small).complaint
