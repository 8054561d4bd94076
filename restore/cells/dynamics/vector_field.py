"""Vector fields: those of cells, their Jacobians, and their solutions in time.

A field is a function h -> dh/dt from (..., n) to (..., n). This package works in float64 and without a graph.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from restore.cells.base import Cell
from restore.cells.ctgru import CTGRU
from restore.cells.integration import Field, rk4_step
from restore.cells.limitcycle import LimitCycle
from restore.errors import UsageError, unknown_name

__all__ = ["autonomous", "flow", "jacobians", "rk4_map", "set_parameters_", "step_map", "trajectory"]


def autonomous(cell: CTGRU | LimitCycle, drive: Tensor | None = None) -> Field:
    """Return the field of the cell under a constant `drive` (drive_size,), 0 unless given.

    >>> autonomous(LimitCycle(2))(torch.zeros(2))
    tensor([0., 0.], dtype=torch.float64)
    """
    wide = copy.deepcopy(cell).double().requires_grad_(False)
    held = wide.zeros(width=wide.drive_size) if drive is None else drive.double()
    return lambda state: wide.field(held, state.double())


def step_map(cell: Cell, drive: Tensor | None = None) -> Callable[[Tensor], Tensor]:
    """Return the map h_{t-1} -> h_t of a cell whose state is one real tensor; the constant drive is 0 unless given."""
    wide = copy.deepcopy(cell).double().requires_grad_(False)
    held = wide.zeros(width=wide.drive_size) if drive is None else drive.double()
    return lambda state: wide(held.expand(*state.shape[:-1], -1), state.double())


def set_parameters_(cell: Cell, values: Mapping[str, Any]) -> None:
    """Set the cell's parameters by name from numbers or nested lists, and all others to zero.

    >>> cell = CTGRU(2)
    >>> set_parameters_(cell, {"U_h": [[0.0, -3.0], [3.0, 0.0]]})
    >>> cell.U_h.tolist(), cell.b_z.tolist()
    ([[0.0, -3.0], [3.0, 0.0]], [0.0, 0.0])

    Raises UsageError for an unknown name, a value that is not a table of finite numbers, and one of another shape.
    """
    known = dict(cell.named_parameters())
    for name in values:
        if name not in known:
            raise unknown_name("parameter", name, known)
    read = {name: _read(name, value) for name, value in values.items()}
    for name, tensor in read.items():
        if tensor.shape != known[name].shape:
            expected = tuple(known[name].shape)
            raise UsageError(f"parameter {name!r} has the shape {expected} here, got {tuple(tensor.shape)}.")
    with torch.no_grad():
        for name, parameter in known.items():
            parameter.copy_(read[name]) if name in read else parameter.zero_()


def _read(name: str, value: Any) -> Tensor:
    try:
        tensor = torch.as_tensor(value, dtype=torch.float64)
    except (TypeError, ValueError) as error:
        raise UsageError(f"parameter {name!r} must be a table of numbers; {error}.") from error
    if not tensor.isfinite().all():
        raise UsageError(f"parameter {name!r} must be finite, got {value}.")
    return tensor


def jacobians(function: Callable[[Tensor], Tensor], points: Tensor) -> Tensor:
    """Return the Jacobian (..., n, n) of a field or a map at every point (..., n).

    >>> jacobians(torch.square, torch.tensor([1.0, 2.0]))
    tensor([[2., 0.],
            [0., 4.]], dtype=torch.float64)
    """
    flat = points.double().reshape(-1, points.shape[-1])
    if not len(flat):  # vmap cannot map over nothing
        return flat.new_zeros(*points.shape, points.shape[-1])
    every: Tensor = torch.func.vmap(torch.func.jacrev(function))(flat)
    return every.reshape(*points.shape, points.shape[-1]).detach()


def rk4_map(field: Field, dt: float) -> Callable[[Tensor], Tensor]:
    """Return the map of one Runge-Kutta step."""
    return lambda state: rk4_step(field, state, dt)


@torch.no_grad()
def flow(field: Field, start: Tensor, time: float, steps: int) -> Tensor:
    """Return where the field carries `start` (..., n) within `time`, in `steps` Runge-Kutta steps."""
    state = start.double()
    for _ in range(steps):
        state = rk4_step(field, state, time / steps)
    return state


@torch.no_grad()
def trajectory(field: Field, start: Tensor, time: float, steps: int) -> Tensor:
    """Return the states (steps + 1, ..., n) along the way of `flow`, `start` included."""
    states = [start.double()]
    for _ in range(steps):
        states.append(rk4_step(field, states[-1], time / steps))
    return torch.stack(states)
