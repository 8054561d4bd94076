"""Cells by name."""

from __future__ import annotations

import pytest
import torch

from restore.cells import CELLS, Cell, make_cell
from restore.cells.parameter_groups import parameter_groups
from restore.errors import UsageError


def test_every_name_makes_a_cell() -> None:
    for name in CELLS:
        assert isinstance(make_cell(name, 8, generator=torch.Generator().manual_seed(0)), Cell)


def test_unknown_name_offers_the_nearest() -> None:
    with pytest.raises(UsageError, match="unknown cell 'scorn': did you mean 'scornn'"):
        make_cell("scorn", 8)


def test_option_of_another_cell() -> None:
    with pytest.raises(UsageError, match=r"unknown option of cell 'scurnn' 'negatives'\. Known: published\."):
        make_cell("scurnn", 8, negatives=3)


def test_option_of_a_cell_without_options() -> None:
    with pytest.raises(UsageError, match="cell 'rnn' has no options of its own, got 'negatives'"):
        make_cell("rnn", 8, negatives=3)


def test_the_name_fixes_the_rule() -> None:
    with pytest.raises(UsageError, match="unknown option of cell 'adam-rnn' 'rule'"):
        make_cell("adam-rnn", 8, rule="momentum")


def test_options_reach_the_constructor() -> None:
    cell = make_cell("enrnn", 8, short=3, dtype=torch.float64)
    assert (cell.initial().short.shape, cell.dtype) == ((3,), torch.float64)


@pytest.mark.parametrize(
    ("name", "skew", "phases"), [("scornn", 28, 0), ("scurnn", 64, 8), ("enrnn", 15, 0), ("ncgru", 28, 0)]
)
def test_parameter_groups(name: str, skew: int, phases: int) -> None:
    model = torch.nn.Sequential(torch.nn.Linear(4, 4), make_cell(name, 8))
    groups = {group["name"]: group for group in parameter_groups(model, 1e-2, phases=0.5)}
    counts = {name: sum(parameter.numel() for parameter in group["params"]) for name, group in groups.items()}
    assert counts["skew"] == skew
    assert counts.get("phases", 0) == phases
    assert sum(counts.values()) == sum(parameter.numel() for parameter in model.parameters())
    rates = {name: group["lr"] for name, group in groups.items()}
    expected = {"free": 1e-2, "skew": 1e-3, "phases": 5e-3}
    assert rates == pytest.approx({name: expected[name] for name in rates})
    assert parameter_groups(model, 1e-2, skew=1.0)[1]["lr"] == 1e-2
    torch.optim.Adam(parameter_groups(model, 1e-2))
