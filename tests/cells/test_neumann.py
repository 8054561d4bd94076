"""The Neumann series for the inverse inside the Cayley map."""

from __future__ import annotations

import pytest
import torch

from restore.cells import make_cell
from restore.cells.cayley import ScaledCayley, signs
from restore.cells.jacobian import orthogonality_error
from restore.cells.neumann import NeumannCayley
from restore.cells.parameter_groups import parameter_groups
from restore.errors import UsageError


def _vectors(kind: str, size: int, generator: torch.Generator) -> list[torch.Tensor]:
    count = size * (size - 1) // 2
    sizes = [count] if kind == "real" else [count, count + size, size]
    return [torch.randn(length, generator=generator, dtype=torch.float64) for length in sizes]


def _pair(kind: str, size: int, order: int, reset: int = 100) -> tuple[ScaledCayley, NeumannCayley]:
    options = {"complex": kind != "real", "phases": kind != "real"}
    scaling = signs(size, 2)
    return ScaledCayley(scaling, **options), NeumannCayley(scaling, order=order, reset=reset, **options)


@pytest.mark.parametrize("kind", ["real", "complex"])
@pytest.mark.parametrize("order", [1, 2, 3])
def test_error_falls_with_the_power_order_plus_one(kind: str, order: int) -> None:
    generator = torch.Generator().manual_seed(order)
    start, direction = _vectors(kind, 8, generator), _vectors(kind, 8, generator)
    errors = []
    for length in (1e-2, 5e-3):
        exact, series = _pair(kind, 8, order)
        series(*start)
        moved = [vector + length * way for vector, way in zip(start, direction, strict=True)]
        errors.append((series(*moved) - exact(*moved)).norm())
    slope = torch.log2(errors[0] / errors[1]).item()
    assert slope == pytest.approx(order + 1, abs=0.15)


@pytest.mark.parametrize("kind", ["real", "complex"])
def test_gradient_is_the_published_rule_with_the_carried_inverse(kind: str) -> None:
    generator = torch.Generator().manual_seed(0)
    exact, series = _pair(kind, 6, order=2)
    vectors = [vector.requires_grad_() for vector in _vectors(kind, 6, generator)]
    upstream = torch.randn(6, 6, generator=generator, dtype=series(*vectors).dtype)
    gradients = [torch.autograd.grad(cayley(*vectors), vectors, upstream) for cayley in (exact, series)]
    for found, expected in zip(*gradients, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)


def test_exact_again_after_every_reset_and_unmoved_by_reading() -> None:
    generator = torch.Generator().manual_seed(1)
    exact, series = _pair("real", 8, order=1, reset=5)
    (lower,) = _vectors("real", 8, generator)
    errors = []
    for _ in range(11):
        lower = lower + 1e-2 * torch.randn(lower.shape, generator=generator, dtype=torch.float64)
        weight = series(lower)
        assert torch.equal(series(lower), weight)
        errors.append((weight - exact(lower)).norm().item())
    assert [error < 1e-12 for error in errors] == [change % 5 == 0 for change in range(11)]


def test_resumes_where_it_stood() -> None:
    generator = torch.Generator().manual_seed(2)
    cell = make_cell("ncgru", 8, neumann=1, neumann_reset=7, generator=generator)
    _step_(cell, 4, generator)
    resumed = make_cell("ncgru", 8, neumann=1, neumann_reset=7)
    resumed.load_state_dict(cell.state_dict())
    for module in (cell, resumed):
        _step_(module, 5, torch.Generator().manual_seed(3))
    assert torch.equal(cell.U_c.weight, resumed.U_c.weight)


def test_trains_on_after_a_look_in_inference_mode() -> None:
    exact, series = _pair("real", 6, order=2)
    (lower,) = _vectors("real", 6, torch.Generator().manual_seed(5))
    series(lower)
    moved = (1.001 * lower).requires_grad_()
    with torch.inference_mode():
        series(moved)
    gradients = [torch.autograd.grad(cayley(moved)[0].sum(), moved)[0] for cayley in (exact, series)]
    torch.testing.assert_close(*gradients, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("orthogonal", ["candidate", "candidate-reset"])
def test_stays_orthogonal_between_resets_under_adam(orthogonal: str) -> None:
    generator = torch.Generator().manual_seed(4)
    cell = make_cell("ncgru", 32, orthogonal=orthogonal, neumann=2, neumann_reset=100, generator=generator)
    worst = 0.0
    for _ in range(150):
        _step_(cell, 1, generator)
        worst = max(worst, *(orthogonality_error(cell.matrices()[symbol]) for symbol in cell.orthogonal))
    assert worst <= 1e-3 / 4


def test_impossible_settings() -> None:
    with pytest.raises(UsageError, match="order 1, 2 or 3, got 4"):
        NeumannCayley(signs(4, 0), order=4)
    with pytest.raises(UsageError, match="at least 1; got 0"):
        NeumannCayley(signs(4, 0), reset=0)


def _step_(cell: torch.nn.Module, steps: int, generator: torch.Generator) -> None:
    """Take fresh Adam steps on random gradients, the skew entries at 1e-4."""
    optimiser = torch.optim.Adam(parameter_groups(cell, 1e-3))
    for _ in range(steps):
        optimiser.zero_grad()
        for symbol in cell.orthogonal:
            weight = cell.matrices()[symbol]
            weight.backward(torch.randn(weight.shape, generator=generator))
        optimiser.step()
        for symbol in cell.orthogonal:
            cell.matrices()[symbol]
