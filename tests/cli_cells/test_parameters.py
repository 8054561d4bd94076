"""Files of parameters: what is read, and how what cannot be is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from restore.cells.ctgru import CTGRU
from restore.cells.limitcycle import LimitCycle
from restore.cli.cells.parameters import read_cell
from restore.errors import InputError, UsageError


def _write(folder: Path, content: str | bytes, suffix: str = ".yaml") -> Path:
    path = folder / f"parameters{suffix}"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_ctgru(tmp_path: Path) -> None:
    path = _write(tmp_path, "U_h: [[0, -3], [3, 1e-3]]\nb_r: [1, -2.5E+1]\ndt: 0.25\nmethod: rk4\ngate: after\n")
    cell = read_cell("ctgru", path)
    assert isinstance(cell, CTGRU)
    assert (cell.size, cell.dt, cell.method, cell.gate) == (2, 0.25, "rk4", "after")
    assert cell.U_h.tolist() == [[0, -3], [3, 1e-3]]
    assert cell.b_r.tolist() == [1, -25]
    assert all(not tensor.any() for tensor in (cell.U_r, cell.U_z, cell.b_z, cell.b_h))
    assert cell.dtype == torch.float64


def test_limitcycle_forms(tmp_path: Path) -> None:
    hopf = read_cell("limitcycle", _write(tmp_path, json.dumps({"omega": [0.3, 0.4]}), ".json"))
    assert isinstance(hopf, LimitCycle)
    assert (hopf.size, hopf.form, hopf.omega.tolist(), hopf.log_mu.tolist()) == (4, "hopf", [0.3, 0.4], [0, 0])
    tanh = read_cell("limitcycle", _write(tmp_path, "W: [[1.2, -0.9], [0.9, 1.2]]"))
    assert isinstance(tanh, LimitCycle)
    assert (tanh.size, tanh.form) == (2, "tanh")


@pytest.mark.parametrize(("suffix", "name"), [(".yaml", "hopf"), (".yaml", "bistable")])
def test_examples(suffix: str, name: str) -> None:
    path = Path(__file__).parents[2] / "configs" / "cells" / f"{name}{suffix}"
    assert read_cell("ctgru", path).size == 2


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "must map names of parameters"),
        ("[1, 2]", "must map names of parameters"),
        ("1: [2]", "must map names of parameters"),
        ("{}", "it sets no parameter of ctgru"),
        ("dt: 0.1", "it sets no parameter of ctgru"),
        ("U_h: [[1, 2]", "as YAML or JSON: .* in line 1"),
        ("a: b: c", "as YAML or JSON: mapping values are not allowed here in line 1"),
        ("U_h: [[1]]\nU_h: [[2]]", "the key 'U_h' stands twice"),
        ("? [a]\n: 1", "as YAML or JSON"),
        (b"\xff\xfe\x00", "as YAML or JSON"),
        ("U_h: *anchor", "as YAML or JSON"),
        ("U_h: &a [*a]", "'U_h' must hold finite numbers"),
        ("U_h: 3", "must be a list, one number or row for each unit"),
        ("U_h: []", "size of at least 1, got 0"),
        ("U_h: [[1, 2], [3]]", "U_h"),
        ("U_h: [[1, 2]]", r"parameter 'U_h' has the shape \(1, 1\) here, got \(1, 2\)"),
        ("U_h: [[1]]\nb_h: [1, 2]", r"parameter 'b_h' has the shape \(1,\) here, got \(2,\)"),
        ("U_h: [[one]]", "'U_h' must hold finite numbers, got 'one'"),
        ("U_h: [[yes]]", "'U_h' must hold finite numbers, got True"),
        ("U_h: [[.nan]]", "'U_h' must hold finite numbers, got nan"),
        (f"U_h: [[1{'0' * 400}]]", "'U_h' must hold finite numbers"),
        ("U_h: [[{a: 1}]]", "'U_h' must hold finite numbers"),
        ("U_q: [[1]]", "unknown parameter 'U_q': did you mean 'U_"),
        ("U_h: [[1]]\ndt: 0", "dt above 0, got 0"),
        ("U_h: [[1]]\ndt: fast", "'dt' must hold finite numbers, got 'fast'"),
        ("U_h: [[1]]\nmethod: [euler]", "unknown ctgru option method"),
        ("U_h: [[1]]\nmethod: euler2", "did you mean 'euler'"),
    ],
)
def test_malformed(tmp_path: Path, content: str | bytes, message: str) -> None:
    with pytest.raises(InputError, match=message) as raised:
        read_cell("ctgru", _write(tmp_path, content))
    assert "\n" not in str(raised.value)
    assert "parameters.yaml" in str(raised.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "as YAML or JSON"),
        ('{"U_h": [[1]], "U_h": [[2]]}', "the key 'U_h' stands twice"),
        ('{"U_h": [[NaN]]}', "must hold finite numbers"),
        ("[" * 100_000, "as YAML or JSON"),
    ],
)
def test_malformed_json(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_cell("ctgru", _write(tmp_path, content, ".json"))


def test_limitcycle_of_both_forms(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="unknown parameter 'omega'"):
        read_cell("limitcycle", _write(tmp_path, "W: [[1, 0], [0, 1]]\nomega: [1]"))


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        read_cell("ctgru", tmp_path / "nothing.yaml")


def test_other_cell(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="'lstm' is not one"):
        read_cell("lstm", tmp_path / "nothing.yaml")
