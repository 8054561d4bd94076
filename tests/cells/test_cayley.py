"""The scaled Cayley map: orthogonality, gradients, inverse."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from restore.cells import make_cell
from restore.cells.cayley import ScaledCayley, cayley, orthogonal_recurrence, rotation_blocks, signs
from restore.cells.jacobian import orthogonality_error
from restore.cells.parameter_groups import parameter_groups
from restore.errors import UsageError

KINDS = ["signs", "complex signs", "phases"]


def _map(kind: str, size: int, generator: torch.Generator) -> tuple[ScaledCayley, list[Tensor]]:
    """Return a map with random parameter vectors that require gradients, float64."""
    count = size * (size - 1) // 2
    vectors = [torch.randn(count, generator=generator, dtype=torch.float64)]
    if kind != "signs":
        vectors.append(torch.randn(count + size, generator=generator, dtype=torch.float64))
    scaling = signs(size, size // 3)
    if kind == "phases":
        scaling = 2 * math.pi * torch.rand(size, generator=generator, dtype=torch.float64)
        vectors.append(scaling.clone())
    parametrisation = ScaledCayley(scaling, complex=kind != "signs", phases=kind == "phases")
    return parametrisation, [vector.requires_grad_() for vector in vectors]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [1, 2, 7, 32])
def test_unitary(kind: str, size: int) -> None:
    parametrisation, vectors = _map(kind, size, torch.Generator().manual_seed(size))
    assert orthogonality_error(parametrisation(*vectors)) < 1e-13
    assert orthogonality_error(parametrisation.float()(*(vector.float() for vector in vectors))) < 1e-6


@pytest.mark.parametrize("size", [2, 5, 8])
def test_skew_is_skew_hermitian_and_has_every_degree_of_freedom(size: int) -> None:
    generator = torch.Generator().manual_seed(0)
    for kind in ("signs", "phases"):
        parametrisation, vectors = _map(kind, size, generator)
        skew = parametrisation.skew(*vectors[: parametrisation.skew_count])
        assert torch.equal(skew.mH, -skew)
    assert sum(vector.numel() for vector in vectors[:2]) == size**2  # the dimension of U(n)


@pytest.mark.parametrize("negatives", [0, 1, 2, 3, 6])
def test_determinant_is_the_parity_of_the_negative_signs(negatives: int) -> None:
    generator = torch.Generator().manual_seed(1)
    parametrisation = ScaledCayley(signs(6, negatives))
    weight = parametrisation(torch.randn(15, generator=generator, dtype=torch.float64))
    assert torch.linalg.det(weight).item() == pytest.approx((-1) ** negatives, abs=1e-12)


@pytest.mark.parametrize("size", [2, 5, 12])
def test_published_gradient_real(size: int) -> None:
    generator = torch.Generator().manual_seed(size)
    parametrisation, (lower,) = _map("signs", size, generator)
    weight = parametrisation(lower)
    gradient = torch.randn(size, size, generator=generator, dtype=torch.float64)
    weight.backward(gradient)
    with torch.no_grad():
        identity = torch.eye(size, dtype=torch.float64)
        inverse = torch.linalg.inv(identity + parametrisation.skew(lower))
        v = inverse.T @ gradient @ (torch.diag(parametrisation.scaling) + weight.T)
        rows, columns = torch.tril_indices(size, size, -1)
        published = (v.T - v)[rows, columns]
    assert (lower.grad - published).norm() <= 1e-10 * published.norm()


@pytest.mark.parametrize("size", [2, 5, 12])
def test_published_gradient_complex_with_phases(size: int) -> None:
    generator = torch.Generator().manual_seed(size)
    parametrisation, (real, imaginary, theta) = _map("phases", size, generator)
    weight = parametrisation(real, imaginary, theta)
    upstream = torch.randn(size, size, generator=generator, dtype=torch.complex128)
    weight.backward(upstream)  # torch hands back dL/dRe + i dL/dIm
    with torch.no_grad():
        wirtinger = upstream.conj() / 2
        skew = parametrisation.skew(real, imaginary)
        inverse = torch.linalg.inv(torch.eye(size) + skew)
        diagonal = torch.polar(torch.ones_like(theta), theta)
        v = inverse.T @ wirtinger @ (torch.diag(diagonal) + weight.T)
        of_skew = v.T - v.conj()
        unscaled = inverse @ (torch.eye(size) - skew)
        of_theta = 2 * (1j * torch.diagonal(wirtinger.T @ unscaled) * diagonal).real
        rows, columns = torch.tril_indices(size, size, -1)
        # An entry below the diagonal stands twice in A, one on it once.
        of_imaginary = (2 * of_skew.imag - torch.diag(of_skew.imag.diagonal()))[tuple(torch.tril_indices(size, size))]
    for found, published in (
        (real.grad, 2 * of_skew.real[rows, columns]),
        (imaginary.grad, of_imaginary),
        (theta.grad, of_theta),
    ):
        assert (found - published).norm() <= 1e-10 * published.norm()


@pytest.mark.parametrize("kind", KINDS)
def test_gradient_by_finite_differences(kind: str) -> None:
    parametrisation, vectors = _map(kind, 4, torch.Generator().manual_seed(3))
    assert torch.autograd.gradcheck(parametrisation, vectors)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_right_inverse(kind: str, dtype: torch.dtype) -> None:
    parametrisation, vectors = _map(kind, 9, torch.Generator().manual_seed(4))
    parametrisation.to(dtype)
    vectors = [vector.detach().to(dtype) for vector in vectors]
    recovered = parametrisation.right_inverse(parametrisation(*vectors))
    for found, given in zip(recovered, vectors, strict=True):
        assert found.dtype == dtype
        torch.testing.assert_close(found, given, rtol=1e-4 if dtype == torch.float32 else 1e-10, atol=1e-5)


def test_right_inverse_refuses_what_it_cannot_reach() -> None:
    with pytest.raises(UsageError, match=r"only reaches unitary matrices; \|\|W\^H W - I\|\| is 5.2"):
        ScaledCayley(signs(3, 0)).right_inverse(2 * torch.eye(3))
    with pytest.raises(UsageError, match="eigenvalue -1"):
        ScaledCayley(signs(3, 0)).right_inverse(torch.diag(torch.tensor([1.0, 1.0, -1.0])))


def test_assignment_through_the_parametrisation() -> None:
    generator = torch.Generator().manual_seed(5)
    cell = make_cell("scornn", 6, negatives=2, generator=generator, dtype=torch.float64)
    parametrisation = ScaledCayley(signs(6, 2))
    weight = parametrisation(0.3 * torch.randn(15, generator=generator, dtype=torch.float64))
    cell.W.weight = weight
    torch.testing.assert_close(cell.W.weight, weight, rtol=0, atol=1e-14)


@pytest.mark.parametrize("size", [2, 7, 16])
def test_rotation_blocks_have_the_drawn_angles(size: int) -> None:
    skew = rotation_blocks(size, torch.Generator().manual_seed(6))
    drawn = torch.rand(size // 2, generator=torch.Generator().manual_seed(6), dtype=torch.float64) * math.pi / 2
    angles = torch.linalg.eigvals(cayley(skew)).angle()
    expected = torch.cat((drawn, -drawn, torch.zeros(size % 2, dtype=torch.float64)))
    torch.testing.assert_close(angles.sort().values, expected.sort().values, rtol=0, atol=1e-12)
    assert size % 2 == 0 or not skew[-1].any()


def test_recurrence_starts_at_the_given_skew_matrix() -> None:
    skew = rotation_blocks(8, torch.Generator().manual_seed(7))
    parametrisation = ScaledCayley(signs(8, 3))
    recurrence = orthogonal_recurrence(skew, parametrisation)
    (lower,) = recurrence.parameters()
    assert (parametrisation.skew(lower) - skew).abs().max() < 1e-15


def test_impossible_settings() -> None:
    with pytest.raises(UsageError, match="phases need a complex matrix"):
        ScaledCayley(torch.zeros(4), phases=True)
    with pytest.raises(UsageError, match="so 0 to 4; got 5"):
        signs(4, 5)


@pytest.mark.parametrize(
    ("name", "size", "options"),
    [
        ("scornn", 128, {}),
        ("scurnn", 128, {}),
        ("enrnn", 136, {"short": 8}),
        ("enrnn", 40, {"short": 8, "unitary": True}),
    ],
)
def test_unitary_after_a_thousand_adam_steps_in_float32(name: str, size: int, options: dict[str, Any]) -> None:
    generator = torch.Generator().manual_seed(8)
    cell = make_cell(name, size, generator=generator, **options)
    (symbol,) = cell.orthogonal
    before = cell.matrices()[symbol].detach()
    optimiser = torch.optim.Adam(parameter_groups(cell, 1e-2))
    for _ in range(1000):
        optimiser.zero_grad()
        weight = cell.matrices()[symbol]
        weight.backward(torch.randn(weight.shape, dtype=weight.dtype, generator=generator))
        optimiser.step()
    after = cell.matrices()[symbol]
    assert (after - before).norm() > 1
    assert orthogonality_error(after) <= 2e-6
