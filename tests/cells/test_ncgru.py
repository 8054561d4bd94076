"""NC-GRU against its equations and against torch's GRU."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from restore.cells import unroll
from restore.cells.jacobian import orthogonality_error
from restore.cells.ncgru import NCGRU
from restore.errors import UsageError


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.float64, 1e-12)])
@pytest.mark.parametrize("size", [1, 8, 33])
def test_control_form_is_the_gru_of_torch(dtype: torch.dtype, tolerance: float, size: int) -> None:
    generator = torch.Generator().manual_seed(size)
    options = {"orthogonal": "none", "activation": "tanh", "gate": "after"}
    cell = NCGRU(size, generator=generator, dtype=dtype, **options)
    control = nn.GRUCell(5, size, dtype=dtype)
    with torch.no_grad():
        control.bias_hh[2 * size :] = 0
        for weight, rows in zip((cell.U_r, cell.U_u, cell.U_c), control.weight_hh.chunk(3), strict=True):
            weight.weight.copy_(rows)
        cell.bias.copy_(control.bias_ih + control.bias_hh)
    inputs = torch.randn(20, 4, 5, generator=generator, dtype=dtype)
    states = unroll(cell, inputs @ control.weight_ih.T)
    expected = torch.zeros(4, size, dtype=dtype)
    for step, found in zip(inputs, states, strict=True):
        expected = control(step, expected)
        assert (found - expected).abs().max() <= tolerance


@pytest.mark.parametrize("gate", ["before", "after"])
def test_step_is_the_equation(gate: str) -> None:
    generator = torch.Generator().manual_seed(0)
    cell = NCGRU(6, gate=gate, orthogonal="candidate-reset", generator=generator, dtype=torch.float64)
    nn.init.uniform_(cell.bias, -0.3, 0.3, generator=generator)
    drive = torch.randn(18, generator=generator, dtype=torch.float64)
    h = torch.randn(6, generator=generator, dtype=torch.float64)
    b_r, b_u, b_c = cell.bias.split(6)
    r = 1 / (1 + torch.exp(-(drive[:6] + cell.U_r.weight @ h + b_r)))
    u = 1 / (1 + torch.exp(-(drive[6:12] + cell.U_u.weight @ h + b_u)))
    z = drive[12:] + (cell.U_c.weight @ (r * h) if gate == "before" else r * (cell.U_c.weight @ h))
    c = torch.sign(z) * torch.clamp(z.abs() + b_c, min=0)
    torch.testing.assert_close(cell(drive, h), u * h + (1 - u) * c, rtol=0, atol=1e-14)


def test_the_two_places_of_the_reset_gate_differ() -> None:
    cells = [NCGRU(8, gate=gate, generator=torch.Generator().manual_seed(1)) for gate in ("before", "after")]
    drive = torch.randn(24, generator=torch.Generator().manual_seed(2))
    before, after = (cell(drive, torch.ones(8)) for cell in cells)
    assert (before - after).abs().max() > 0.01


def test_closed_update_gate_keeps_the_state() -> None:
    cell = NCGRU(8, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        cell.bias[8:16] = 100
    state = torch.randn(8, generator=torch.Generator().manual_seed(4))
    assert torch.equal(cell(torch.zeros(24), state), state)


@pytest.mark.parametrize(
    ("orthogonal", "expected"),
    [("none", set()), ("candidate", {"U_c"}), ("candidate-reset", {"U_c", "U_r"})],
)
def test_which_matrices_are_orthogonal(orthogonal: str, expected: set[str]) -> None:
    cell = NCGRU(9, orthogonal=orthogonal, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    found = {symbol for symbol, matrix in cell.matrices().items() if orthogonality_error(matrix) < 1e-12}
    assert found == expected == set(cell.orthogonal)


def test_two_orthogonal_matrices_learn_from_their_own_gradients() -> None:
    cell = NCGRU(6, orthogonal="candidate-reset", generator=torch.Generator().manual_seed(6))
    assert not torch.equal(cell.U_c.weight, cell.U_r.weight)
    cell.U_c.weight.square().mul(torch.arange(6.0)).sum().backward()
    assert all(parameter.grad is not None for parameter in cell.U_c.parameters())
    assert all(parameter.grad is None for parameter in cell.U_r.parameters())


def test_neumann_series_follows_the_exact_cell() -> None:
    exact, series = (NCGRU(16, neumann=order, generator=torch.Generator().manual_seed(7)) for order in (0, 3))
    drives = torch.randn(10, 48, generator=torch.Generator().manual_seed(8))
    optimisers = [torch.optim.SGD(cell.parameters(), lr=1e-3) for cell in (exact, series)]
    for _ in range(20):
        for cell, optimiser in zip((exact, series), optimisers, strict=True):
            optimiser.zero_grad()
            unroll(cell, drives)[-1].square().sum().backward()
            optimiser.step()
    torch.testing.assert_close(series.U_c.weight, exact.U_c.weight, rtol=0, atol=1e-5)


def test_input_map_starts_as_published() -> None:
    cell = NCGRU(64)
    for layer in (nn.Linear(5, 192), nn.Conv2d(5, 192, 3)):
        cell.reset_input_(layer, torch.Generator().manual_seed(9))
        assert 0.12 < layer.weight[:128].abs().max() <= 0.125
        assert 0.009 < layer.weight[128:].abs().max() <= 0.01
        assert not layer.bias.any()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"orthogonal": "canditate"}, "unknown ncgru option orthogonal 'canditate': did you mean 'candidate'"),
        ({"activation": "relu"}, "unknown ncgru option activation 'relu'"),
        ({"gate": "during"}, "unknown ncgru option gate 'during'"),
        ({"neumann": 4}, "order 1, 2 or 3, got 4"),
        ({"neumann": 2, "neumann_reset": 0}, "at least 1; got 0"),
        ({"negatives": 9}, "so 0 to 8; got 9"),
    ],
)
def test_impossible_settings(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        NCGRU(8, **options)
