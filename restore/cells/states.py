"""A state is a tensor or a NamedTuple of tensors and integers: the same done to every tensor in it."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from restore.cells.base import State

__all__ = ["map_state", "state_tensors", "watch"]


def map_state(state: State, function: Callable[[Tensor], Tensor]) -> State:
    """Apply `function` to the tensor, or to every differentiable tensor of the NamedTuple, that a state is."""
    if isinstance(state, Tensor):
        return function(state)
    return type(state)(*(function(part) if _differentiable(part) else part for part in state))


def state_tensors(state: State) -> list[Tensor]:
    """Return the tensor, or every differentiable tensor of the NamedTuple, that a state is."""
    return [state] if isinstance(state, Tensor) else [part for part in state if _differentiable(part)]


def watch(states: list[list[Tensor]] | None, state: State) -> None:
    """Append the tensors of `state` to `states`, if that is a list, and have their gradients retained.

    Where nothing is differentiated there are none.
    """
    if states is None or not torch.is_grad_enabled():
        return
    tensors = [tensor for tensor in state_tensors(state) if tensor.requires_grad]
    for tensor in tensors:
        tensor.retain_grad()
    states.append(tensors)


def _differentiable(part: object) -> bool:
    return isinstance(part, Tensor) and (part.is_floating_point() or part.is_complex())
