"""The control cells against torch's own."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from restore.cells import make_cell

TORCH: dict[str, type[nn.RNNCellBase]] = {"rnn": nn.RNNCell, "gru": nn.GRUCell, "lstm": nn.LSTMCell}
tolerances = pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.float64, 1e-12)])


def _parts(state: Any) -> list[Tensor]:
    return [state] if isinstance(state, Tensor) else list(state)


@pytest.mark.parametrize("name", sorted(TORCH))
@tolerances
def test_equal_to_torch_over_several_steps(name: str, dtype: torch.dtype, tolerance: float) -> None:
    generator = torch.Generator().manual_seed(0)
    cell = make_cell(name, 7, generator=generator, dtype=dtype)
    layer = nn.Linear(5, cell.drive_size, dtype=dtype)
    cell.reset_input_(layer, generator)
    theirs = TORCH[name](5, 7, dtype=dtype)
    theirs.load_state_dict(
        {"weight_ih": layer.weight, "bias_ih": layer.bias, "weight_hh": cell.weight_hh, "bias_hh": cell.bias_hh}
    )
    ours_state, their_state = cell.initial((3,)), None
    for _ in range(6):
        inputs = torch.randn(3, 5, generator=generator, dtype=torch.float64).to(dtype)
        ours_state = cell(layer(inputs), ours_state)
        their_state = theirs(inputs, their_state)
        for ours, other in zip(_parts(ours_state), _parts(their_state), strict=True):
            torch.testing.assert_close(ours, other, rtol=0, atol=tolerance)


@pytest.mark.parametrize(("name", "count"), [("rnn", 1), ("gru", 3), ("lstm", 4)])
def test_initial_weights_and_matrices(name: str, count: int) -> None:
    cell = make_cell(name, 64, generator=torch.Generator().manual_seed(0))
    layer = nn.Linear(500, cell.drive_size)
    cell.reset_input_(layer, torch.Generator().manual_seed(1))
    for tensor in (*cell.parameters(), *layer.parameters()):
        assert 0.11 < tensor.abs().max() <= 1 / 8
    assert [matrix.shape for matrix in cell.matrices().values()] == [(64, 64)] * count
