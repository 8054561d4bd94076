"""What every registered cell has to keep of the protocol."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from restore.cells import CELLS, Cell, SequenceModel, advance, make_cell, project_, unroll
from restore.errors import UsageError

every_cell = pytest.mark.parametrize("name", sorted(CELLS))
orthogonal_cell = pytest.mark.parametrize("name", ["scornn", "scurnn", "enrnn", "ncgru"])


def _drives(cell: Cell, *shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    drawn = torch.randn(*shape, cell.drive_size, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return drawn.to(dtype)


def _seeded(name: str, seed: int = 0, **options: Any) -> Cell:
    return make_cell(name, 8, generator=torch.Generator().manual_seed(seed), **options)


@every_cell
@pytest.mark.parametrize("shape", [(), (3,), (2, 4, 5)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_shapes_and_dtypes(name: str, shape: tuple[int, ...], dtype: torch.dtype) -> None:
    cell = _seeded(name, dtype=dtype)
    states = unroll(cell, _drives(cell, 3, *shape, dtype=dtype))
    readout = cell.readout(states[-1])
    assert len(states) == 3
    assert readout.shape == (*shape, cell.readout_size)
    assert readout.dtype == cell.dtype == dtype
    assert cell.readout(cell.initial(shape)).shape == (*shape, cell.readout_size)
    assert readout.isfinite().all()


@every_cell
def test_batch_elements_do_not_meet(name: str) -> None:
    cell = _seeded(name, dtype=torch.float64)
    drives = _drives(cell, 6, 4, dtype=torch.float64)
    together = cell.readout(unroll(cell, drives)[-1])
    alone = torch.stack([cell.readout(unroll(cell, drives[:, i])[-1]) for i in range(4)])
    torch.testing.assert_close(together, alone, rtol=1e-12, atol=1e-12)


@every_cell
def test_every_parameter_is_real_and_learns(name: str) -> None:
    cell = _seeded(name)
    states = unroll(cell, _drives(cell, 6, 3))
    cell.readout(states[-1]).square().sum().backward()
    for key, parameter in cell.named_parameters():
        assert not parameter.is_complex(), key
        assert parameter.grad is not None, key
        assert parameter.grad.isfinite().all(), key


@every_cell
def test_randomness_comes_from_the_generator_alone(name: str) -> None:
    before = torch.get_rng_state()
    first, second = _seeded(name), _seeded(name)
    assert torch.equal(torch.get_rng_state(), before)
    for key, tensor in first.state_dict().items():
        assert torch.equal(second.state_dict()[key], tensor), key


@orthogonal_cell
def test_another_seed_gives_another_cell(name: str) -> None:
    for symbol, matrix in _seeded(name).matrices().items():
        assert (_seeded(name, seed=1).matrices()[symbol] - matrix).norm() > 0.1


@every_cell
def test_one_seed_gives_one_cell_in_either_precision(name: str) -> None:
    single, double = _seeded(name), _seeded(name, dtype=torch.float64)
    for key, tensor in double.state_dict().items():
        torch.testing.assert_close(single.state_dict()[key], tensor.to(single.state_dict()[key].dtype), msg=key)


@every_cell
def test_double_computes_in_double(name: str) -> None:
    cell = _seeded(name).double()
    drives = _drives(cell, 4, 2, dtype=torch.float64)
    assert cell.readout(unroll(cell, drives)[-1]).dtype == torch.float64


@every_cell
def test_state_dict_round_trip(name: str) -> None:
    cell, other = _seeded(name), _seeded(name, seed=1)
    other.load_state_dict(cell.state_dict())
    drives = _drives(cell, 5, 2)
    assert torch.equal(other.readout(unroll(other, drives)[-1]), cell.readout(unroll(cell, drives)[-1]))


@every_cell
def test_autocast_does_not_reach_the_cell(name: str) -> None:
    cell = _seeded(name)
    drives = _drives(cell, 5, 2).bfloat16()
    expected = cell.readout(unroll(cell, drives.float())[-1])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = cell.readout(unroll(cell, drives)[-1])
    assert found.dtype == torch.float32
    assert torch.equal(found, expected)


@every_cell
def test_advance_is_the_last_of_unroll(name: str) -> None:
    cell = _seeded(name)
    drives = _drives(cell, 5, 2)
    states = unroll(cell, drives[:3])
    assert torch.equal(cell.readout(advance(cell, drives)), cell.readout(advance(cell, drives[3:], states[-1])))
    assert torch.equal(cell.readout(advance(cell, drives)), cell.readout(unroll(cell, drives)[-1]))


@every_cell
def test_drive_of_the_wrong_width(name: str) -> None:
    cell = _seeded(name)
    with pytest.raises(UsageError, match=f"takes a drive of width {cell.drive_size}, got {cell.drive_size + 1}"):
        cell(torch.zeros(cell.drive_size + 1), cell.initial())


@every_cell
def test_sequence_model(name: str) -> None:
    generator = torch.Generator().manual_seed(2)
    model = SequenceModel(_seeded(name), 3, 2, generator=generator)
    inputs = torch.randn(4, 6, 3, generator=generator)
    outputs = model(inputs)
    assert outputs.shape == (4, 6, 2)
    changed = inputs.clone()
    changed[:, 4:] += 1
    torch.testing.assert_close(model(changed)[:, :4], outputs[:, :4])  # no output sees a later input


@every_cell
def test_input_maps(name: str) -> None:
    cell = _seeded(name)
    for layer in (nn.Linear(3, cell.drive_size), nn.Conv2d(3, cell.drive_size, 3, bias=False)):
        cell.reset_input_(layer, torch.Generator().manual_seed(3))
        first = layer.weight.detach().clone()
        cell.reset_input_(layer, torch.Generator().manual_seed(3))
        assert torch.equal(layer.weight, first)
        assert 0 < first.abs().max() < 2


@orthogonal_cell
def test_matrices_are_built_once_a_loop(name: str) -> None:
    cell = _seeded(name)
    built = []
    maps = [module for module in cell.modules() if isinstance(module, parametrize.ParametrizationList)]
    for module in maps:
        module.register_forward_hook(lambda *_: built.append(1))
    unroll(cell, _drives(cell, 20))
    assert len(built) == len(maps) > 0


def test_projection_reaches_cells_inside_a_model() -> None:
    model = nn.Sequential(SequenceModel(_seeded("scurnn"), 2, 2))
    bias = model[0].cell.modrelu.bias
    with torch.no_grad():
        bias.fill_(1)
    project_(model)
    assert (bias == 0).all()


def test_impossible_cells() -> None:
    with pytest.raises(UsageError, match="size of at least 1, got 0"):
        make_cell("scornn", 0)
    with pytest.raises(UsageError, match=r"torch.float32 or torch.float64, got torch.bfloat16"):
        make_cell("scornn", 4, dtype=torch.bfloat16)


@pytest.mark.parametrize("name", ["scornn", "scurnn", "enrnn"])
def test_learns_to_recall_its_first_input(name: str) -> None:
    generator = torch.Generator().manual_seed(4)
    cell = make_cell(name, 16, generator=generator)
    model = SequenceModel(cell, 2, 1, generator=generator)
    optimiser = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(120):
        inputs = torch.zeros(32, 20, 2)
        inputs[:, 0, 0] = torch.randn(32, generator=generator)
        inputs[:, -1, 1] = 1
        loss = (model(inputs)[:, -1, 0] - inputs[:, 0, 0]).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        project_(model)
    assert loss.item() < 0.05  # the variance of what is to be recalled is 1
