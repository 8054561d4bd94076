"""How far gradients travel through a cell: adjoint norms, the end-to-end Jacobian, and its recurrent matrices.

Everything is measured in float64, on a copy of the cell, whatever precision it trains in.
"""

from __future__ import annotations

import copy
import itertools

import torch
from torch import Tensor
from torch.nn.utils import parametrize

from restore.cells.base import Cell, State, unroll
from restore.cells.states import map_state, state_tensors

__all__ = ["gradient_norms", "orthogonality_error", "singular_values", "spectral_radius", "state_norms"]


def gradient_norms(cell: Cell, drives: Tensor, functional: Tensor, state: State = None) -> Tensor:
    """Return |dL/dh_t| for t = 0..T, float64 (T + 1,), where L = <functional, readout(h_T)>.

    `drives` is (T, ..., drive_size), `functional` (..., readout_size). The norm is over all of the state and of the
    batch; a complex unit counts as its two real parts.
    """
    cell = _in_double(cell)
    states = [_leaf(cell.initial(drives.shape[1:-1]) if state is None else state)]
    with torch.enable_grad(), parametrize.cached():
        for drive in drives.double():
            states.append(cell(drive, states[-1]))
        loss = (functional.double() * cell.readout(states[-1])).sum()
    parts = [[part for part in state_tensors(state) if part.requires_grad] for state in states]
    gradients = iter(torch.autograd.grad(loss, list(itertools.chain(*parts)), materialize_grads=True))
    return torch.stack([_norm([next(gradients) for _ in state]) if state else loss.new_zeros(()) for state in parts])


def singular_values(cell: Cell, drives: Tensor, state: State = None) -> Tensor:
    """Return the singular values of dh_T/dh_0 over one sequence, float64, largest first.

    `drives` is (T, drive_size). The Jacobian is that of the whole state, a complex unit as its two real parts. It is
    multiplied up backwards in time from the exact Jacobians of the steps, its scale kept apart so that nothing over- or
    underflows on the way. Values below about 1e-15 of the largest are rounding; all are NaN if the Jacobian is not
    finite.
    """
    cell = _in_double(cell)
    state = cell.initial() if state is None else map_state(state, _double)
    width = sum(_real(tensor).numel() for tensor in state_tensors(state))
    product = torch.eye(width, dtype=torch.float64, device=drives.device)
    log_scale = torch.zeros((), dtype=torch.float64, device=drives.device)
    with parametrize.cached():
        with torch.no_grad():
            states = [state, *unroll(cell, drives.double()[:-1], state)]
        for drive, state in zip(drives.double().flip(0), reversed(states), strict=True):
            product = _times_step_jacobian(product, cell, drive, state)
            scale = product.abs().max()
            if scale == 0:
                break
            product, log_scale = product / scale, log_scale + scale.log()
    if not product.isfinite().all():
        return torch.full((width,), torch.nan, dtype=torch.float64, device=product.device)
    values: Tensor = torch.linalg.svdvals(product) * log_scale.exp()
    return values


def state_norms(cell: Cell, drives: Tensor, state: State = None) -> Tensor:
    """Return |readout(h_t)| for t = 1..T under `drives` (T, ..., drive_size), float64 (T,)."""
    cell = _in_double(cell)
    with torch.no_grad():
        states = unroll(cell, drives.double(), None if state is None else map_state(state, _double))
        return torch.stack([cell.readout(state).norm() for state in states])


def orthogonality_error(matrix: Tensor) -> float:
    """Return the Frobenius norm of W^H W - I, measured in float64.

    >>> orthogonality_error(torch.eye(3))
    0.0
    """
    wide = _double(matrix.detach())
    identity = torch.eye(wide.shape[-1], dtype=wide.dtype, device=wide.device)
    return float(torch.linalg.matrix_norm(wide.mH @ wide - identity))


def spectral_radius(matrix: Tensor) -> float:
    """Return the largest modulus of an eigenvalue, measured in float64.

    >>> spectral_radius(torch.tensor([[0.5, 9.0], [0.0, -2.0]]))
    2.0
    """
    return float(torch.linalg.eigvals(_double(matrix.detach())).abs().max())


def _times_step_jacobian(product: Tensor, cell: Cell, drive: Tensor, state: State) -> Tensor:
    """Return M dh_t/dh_{t-1} for a matrix M = `product` (width, width): backpropagation of all of its rows at once."""
    width = len(product)
    # Row i is carried back through copy i of the state, so that the matrix of the step is never formed.
    copies = _leaf(map_state(state, lambda tensor: tensor.expand(width, *tensor.shape)))
    with torch.enable_grad():
        following = cell(drive.expand(width, *drive.shape), copies)
        components = torch.cat([_real(part).reshape(width, -1) for part in state_tensors(following)], dim=-1)
        gradients = torch.autograd.grad((product * components).sum(), state_tensors(copies), materialize_grads=True)
    return torch.cat([_real(gradient).reshape(width, -1) for gradient in gradients], dim=-1)


def _in_double(cell: Cell) -> Cell:
    return copy.deepcopy(cell).double().requires_grad_(False)


def _norm(tensors: list[Tensor]) -> Tensor:
    """Return the norm of all tensors together, also where its square would under- or overflow."""
    values = torch.cat([_real(tensor).flatten() for tensor in tensors])
    peak = values.abs().max()
    return peak * (values / peak).norm() if peak > 0 and peak.isfinite() else peak


def _leaf(state: State) -> State:
    return map_state(state, lambda tensor: _double(tensor).detach().clone().requires_grad_())


def _double(tensor: Tensor) -> Tensor:
    return tensor.to(torch.complex128 if tensor.is_complex() else torch.float64)


def _real(tensor: Tensor) -> Tensor:
    return torch.view_as_real(tensor) if tensor.is_complex() else tensor
