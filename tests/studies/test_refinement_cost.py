"""The cost study measures what it says, and counts the parameters of the refinement."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from dataclasses import replace

from restore.settings import FitSettings
from restore.studies.refinement_cost import refinement_costs

BARE = FitSettings(device="cpu", network={"channels": (8, 8), "tail": 0})


def _with(cell: str) -> FitSettings:
    return replace(BARE, cell=cell, refine="features", refine_steps=2, refine_channels=4)


def test_costs_are_those_of_the_cells_beside_none() -> None:
    none, rnn, gru = refinement_costs(BARE, [_with("rnn"), _with("gru")], size=(32, 32), rounds=3)
    assert (none.cell, none.ratio, none.parameters) == ("none", 1.0, 0)
    assert [(cost.cell, cost.refine, cost.refine_steps, cost.refine_channels) for cost in (rnn, gru)] == [
        ("rnn", "features", 2, 4),
        ("gru", "features", 2, 4),
    ]
    around = 8 * 16 * 4 + 4 + 4 * 32 + 1  # K and its bias, P, alpha
    assert rnn.parameters == around + 4 * 4 + 4
    assert gru.parameters == around + 8 * 16 * 8 + 8 + 3 * (4 * 4 + 4)
    assert all(cost.milliseconds > 0 and cost.ratio > 0 for cost in (none, rnn, gru))


def test_the_command_prints_one_json_list(run: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    done = run("bench", "refinement", "rnn", "--size", 64, "--rounds", 1, "--json")
    assert done.returncode == 0, done.stderr
    assert [cost["cell"] for cost in json.loads(done.stdout)] == ["none", "rnn"]
