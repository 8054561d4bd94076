"""Measures of gradient flow against brute force, and what the orthogonal cells promise of it."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from restore.cells import Cell, make_cell, unroll
from restore.cells.base import Recurrence, uniform
from restore.cells.enrnn import LongShort
from restore.cells.jacobian import gradient_norms, orthogonality_error, singular_values, spectral_radius, state_norms

CASES = [("scornn", {}), ("scurnn", {}), ("enrnn", {}), ("enrnn", {"unitary": True}), ("ncgru", {"neumann": 2})]
every_kind = pytest.mark.parametrize(("name", "options"), CASES)


class VanillaRNN(Cell):
    """h_t = tanh(W h_{t-1} + drive), the control that loses its gradient."""

    def __init__(self, size: int, generator: torch.Generator) -> None:
        super().__init__(size)
        self.W = Recurrence(uniform((size, size), -(size**-0.5), size**-0.5, generator).float())

    def step(self, drive: Tensor, state: Tensor) -> Tensor:
        return torch.tanh(self.W(state) + drive)


def _case(name: str, options: dict[str, Any], size: int = 5) -> tuple[Cell, Tensor]:
    generator = torch.Generator().manual_seed(0)
    cell = make_cell(name, size, generator=generator, **options)
    for key, parameter in cell.named_parameters():
        if "bias" in key:
            nn.init.uniform_(parameter, -0.2, 0, generator=generator)
    return cell, torch.randn(6, cell.drive_size, generator=generator)


def _vector_map(cell: Cell) -> tuple[Any, Any]:
    """Return functions from a state to a real vector and back, written out cell by cell."""
    n = cell.size
    if cell.is_complex:
        return (lambda s: torch.cat((s.real, s.imag))), (lambda v: torch.complex(v[:n], v[n:]))
    if isinstance(cell.initial(), LongShort):
        long = cell.initial().long.numel()
        if cell.initial().long.is_complex():
            return (lambda s: cell.readout(s)), (
                lambda v: LongShort(torch.complex(v[:long], v[long : 2 * long]), v[2 * long :])
            )
        return (lambda s: torch.cat(s)), (lambda v: LongShort(v[:long], v[long:]))
    return (lambda s: s), (lambda v: v)


@every_kind
def test_singular_values_against_the_jacobian_of_the_whole_loop(name: str, options: dict[str, Any]) -> None:
    cell, drives = _case(name, options)
    double = copy.deepcopy(cell).double()
    to_vector, to_state = _vector_map(double)

    def end(vector: Tensor) -> Tensor:
        return to_vector(unroll(double, drives.double(), to_state(vector))[-1])

    jacobian = torch.autograd.functional.jacobian(end, to_vector(double.initial()).detach())
    found = singular_values(cell, drives)
    torch.testing.assert_close(found, torch.linalg.svdvals(jacobian), rtol=1e-9, atol=1e-12)


@every_kind
def test_gradient_norms_against_the_jacobian_of_the_rest(name: str, options: dict[str, Any]) -> None:
    cell, drives = _case(name, options)
    functional = torch.randn(cell.readout_size, generator=torch.Generator().manual_seed(1))
    double = copy.deepcopy(cell).double()
    to_vector, to_state = _vector_map(double)
    found = gradient_norms(cell, drives, functional)
    assert found.shape == (7,)
    state = double.initial()
    for t in range(6):

        def loss(vector: Tensor, t: int = t) -> Tensor:
            return functional.double() @ double.readout(unroll(double, drives.double()[t:], to_state(vector))[-1])

        gradient = torch.autograd.functional.jacobian(loss, to_vector(state).detach())
        assert found[t].item() == pytest.approx(gradient.norm().item(), rel=1e-9)
        state = unroll(double, drives.double()[t : t + 1], state)[-1]
    assert found[-1].item() == pytest.approx(functional.double().norm().item())


def test_gradient_norms_of_a_batch() -> None:
    cell, drives = _case("scornn", {})
    functional = torch.randn(5, generator=torch.Generator().manual_seed(1))
    one = gradient_norms(cell, drives, functional)
    four = gradient_norms(cell, drives[:, None].expand(6, 4, 5), functional.expand(4, 5))
    torch.testing.assert_close(four, 2 * one)


def test_state_norms() -> None:
    cell, drives = _case("scurnn", {})
    expected = [state.abs().square().sum().sqrt().item() for state in unroll(cell.double(), drives.double())]
    assert state_norms(cell, drives).tolist() == pytest.approx(expected)


def test_the_cell_is_left_as_it_was() -> None:
    cell, drives = _case("scornn", {})
    before = copy.deepcopy(cell.state_dict())
    singular_values(cell, drives)
    gradient_norms(cell, drives, torch.ones(5))
    assert cell.dtype == torch.float32
    assert all(parameter.requires_grad and parameter.grad is None for parameter in cell.parameters())
    assert all(torch.equal(tensor, before[key]) for key, tensor in cell.state_dict().items())


def test_scale_is_kept_apart() -> None:
    class Scaling(Cell):
        def __init__(self, factor: float) -> None:
            super().__init__(3)
            self.factor = nn.Parameter(torch.tensor(factor))

        def step(self, drive: Tensor, state: Tensor) -> Tensor:
            return self.factor * state + drive

    drives = torch.zeros(100, 3)
    assert (singular_values(Scaling(0.0), drives) == 0).all()
    assert singular_values(Scaling(0.5), drives).tolist() == pytest.approx([0.5**100] * 3)
    assert (singular_values(Scaling(1e6), drives) == torch.inf).all()
    assert singular_values(Scaling(float("nan")), drives).isnan().all()


def test_matrix_measures() -> None:
    matrix = torch.tensor([[0.0, 2.0], [-2.0, 0.0]])
    assert orthogonality_error(matrix) == pytest.approx(3 * 2**0.5)
    assert orthogonality_error(1j * torch.eye(3)) == 0
    assert spectral_radius(matrix) == pytest.approx(2)


@pytest.mark.parametrize("name", ["scornn", "scurnn"])
def test_gradients_cannot_explode_over_a_thousand_steps(name: str) -> None:
    generator = torch.Generator().manual_seed(2)
    cell = make_cell(name, 24, generator=generator)
    assert singular_values(cell, torch.randn(1000, cell.drive_size, generator=generator))[0] <= 1 + 1e-4

    control = VanillaRNN(24, generator)
    largest = singular_values(control, torch.randn(1000, 24, generator=generator))[0]
    assert not 1e-6 <= largest <= 1e6
