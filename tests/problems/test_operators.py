"""Forward operators and their adjoints, ours and those of others."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from restore.errors import InputError
from restore.problems.operators import ForwardOperator, Identity, Mask


class Blur:
    """An operator as deepinv's physics objects are: of no class of ours, with `A` and `A_adjoint`; a mean of 3 rows."""

    def A(self, x: Tensor, **kwargs: object) -> Tensor:
        return (x[:, :, :-2] + x[:, :, 1:-1] + x[:, :, 2:]) / 3

    def A_adjoint(self, y: Tensor, **kwargs: object) -> Tensor:
        pad = torch.nn.functional.pad
        return (pad(y, (0, 0, 0, 2)) + pad(y, (0, 0, 1, 1)) + pad(y, (0, 0, 2, 0))) / 3


def _normal(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _known(*shape: int) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(5)) < 0.5


OPERATORS = {
    "identity": Identity(),
    "mask (H, W)": Mask(_known(7, 9)),
    "mask (1, 1, H, W)": Mask(_known(1, 1, 7, 9)),
    "mask (1, C, H, W)": Mask(_known(1, 3, 7, 9)),
    "a foreign blur": Blur(),
}
every_operator = pytest.mark.parametrize("name", list(OPERATORS))


@every_operator
def test_adjoint_identity(name: str) -> None:
    operator = OPERATORS[name]
    x = _normal(2, 3, 7, 9, seed=0)
    measured = operator.A(x)
    y = _normal(*measured.shape, seed=1)
    assert operator.A_adjoint(y).shape == x.shape
    left, right = (measured * y).sum(), (x * operator.A_adjoint(y)).sum()
    torch.testing.assert_close(left, right, rtol=1e-12, atol=1e-12)


@every_operator
def test_linear_and_differentiated_by_the_adjoint(name: str) -> None:
    operator = OPERATORS[name]
    x, z = _normal(1, 3, 7, 9, seed=0).requires_grad_(), _normal(1, 3, 7, 9, seed=2)
    torch.testing.assert_close(operator.A(2 * x - 3 * z), 2 * operator.A(x) - 3 * operator.A(z))
    y = _normal(*operator.A(x).shape, seed=1)
    (gradient,) = torch.autograd.grad((operator.A(x) * y).sum(), x)
    torch.testing.assert_close(gradient, operator.A_adjoint(y))


@every_operator
def test_satisfies_the_protocol(name: str) -> None:
    assert isinstance(OPERATORS[name], ForwardOperator)


def test_half_an_operator_does_not_satisfy_the_protocol() -> None:
    class OnlyForward:
        def A(self, x: Tensor) -> Tensor:
            return x

    assert not isinstance(OnlyForward(), ForwardOperator)


def test_identity_copies_nothing() -> None:
    x = _normal(1, 3, 4, 4, seed=0)
    assert Identity().A(x) is x


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_mask_zeroes_the_unknown_and_keeps_the_rest_exactly(dtype: torch.dtype) -> None:
    known, x = _known(7, 9), _normal(2, 3, 7, 9, seed=0).to(dtype)
    y = Mask(known).A(x)
    assert y.dtype == dtype
    assert torch.equal(y[..., known], x[..., known])
    assert not y[..., ~known].any()
    assert torch.equal(Mask(known).A(y), y)


def test_a_mask_that_hides_everything_is_refused() -> None:
    with pytest.raises(InputError, match="hides every pixel"):
        Mask(torch.zeros(4, 4, dtype=torch.bool))
