"""What one step of a fit takes, counted and not timed: operations, bytes kept for the way back, bytes alive at once."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from restore.fitting import Training

__all__ = ["StepCost", "peak_bytes", "step_cost"]

OPTIMISER_PASSES = 8
"""Adam writes a gradient and reads it, the weight and both moments, and writes these three: in float32."""


@dataclass(frozen=True)
class StepCost:
    """The cost of a step.

    Attributes:
        flops: of all convolutions and matrix products, forward and backward; a multiplication and an addition are two.
        kept_bytes: of all tensors that the forward pass keeps for the backward pass, each once, without the weights.
        weight_bytes: of the weights.
    """

    flops: int
    kept_bytes: int
    weight_bytes: int

    @property
    def traffic_bytes(self) -> int:
        """Bytes that must go through memory even if nothing does twice.

        What is kept is written and read once, and so is its gradient, of the same size; then the optimiser. Less
        than what any implementation moves that runs layer by layer and is larger than the cache.
        """
        return 4 * self.kept_bytes + OPTIMISER_PASSES * self.weight_bytes


def step_cost(training: Training, iteration: int) -> StepCost:
    """Return the cost of a step of `training`, which goes one step on: `iteration` is the number of that step."""
    weights = {weight.untyped_storage().data_ptr(): weight.nbytes for weight in training.prior.parameters()}
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    counter = FlopCounterMode(display=False)
    with counter, torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        training.step(iteration)
    return StepCost(counter.get_total_flops(), sum(kept.values()), sum(weights.values()))


def peak_bytes(work: Callable[[], object], device: torch.device) -> int:
    """Return the largest number of bytes that `work` holds at once, beyond those held before.

    On CUDA by the allocator's own count. Elsewhere of all tensors that are alive between two operations; what one
    operation takes and gives back within itself is not seen.
    """
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        work()
        return int(torch.cuda.max_memory_allocated(device)) - before
    alive = _Alive()
    with alive:
        work()
    return alive.peak


class _Alive(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the bytes of the tensors that were made since it began and are still there."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._known: set[int] = set()
        self._bytes = self.peak = 0

    def __torch_dispatch__(
        self, operation: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        # Views and results in place have the storage of an argument, and are nothing new.
        before = {each.untyped_storage()._cdata for each in _tensors((args, kwargs))}
        results = operation(*args, **(kwargs or {}))
        for tensor in _tensors(results):
            storage = tensor.untyped_storage()
            if storage._cdata not in before | self._known:
                self._known.add(storage._cdata)
                self._bytes += storage.nbytes()
                weakref.finalize(storage, self._forget, storage._cdata, storage.nbytes())
        self.peak = max(self.peak, self._bytes)
        return results

    def _forget(self, key: int, size: int) -> None:
        self._known.discard(key)
        self._bytes -= size


def _tensors(values: Any) -> list[Tensor]:
    return [each for each in tree_leaves(values) if isinstance(each, Tensor)]
