"""A recorder of gradient health: an observer that looks into the network every K steps, and costs nothing between."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from restore.cells import Cell
from restore.cells.base import widen
from restore.cells.jacobian import orthogonality_error
from restore.fitting import Step, Training
from restore.fitting.rescue import JUMP
from restore.priors import RecurrentGenerator
from restore.refinement import Refined

__all__ = ["EVERY", "HealthRecord", "HealthRecorder"]

EVERY = 25
"""Steps between two looks, so that they take less than a twentieth of the time."""

FLAT = 1e-12
"""Variance over the picture below which a unit says nothing, relative to the square of its mean."""

Array = np.ndarray[Any, np.dtype[np.float64]]


@dataclass
class HealthRecord:
    """What a recorder has seen. The lists have one entry a look; their inner lists one a layer, in the forward order.

    A layer is a convolution or a linear map; its activation is what reaches the next one. Norms are Euclidean.

    Attributes:
        layers: names of the layers.
        iteration: step of the look.
        gradient_norm: |g| of the loss with respect to the layer's weights.
        weight_norm: |w| before the step's update.
        update_ratio: |w' - w| / |w| of the step's update.
        activation_mean, activation_variance: over pixels and channels; the variance is the mean of the channels' own.
        dead_fraction: share of the layer's channels that are constant over the picture.
        global_norm: |g| of all parameters together.
        recurrent_norm: |dL/dh_t|, t = 1..T, where a cell refines; empty otherwise.
        orthogonality_error: largest Frobenius norm of W^H W - I of the cell's orthogonal matrices; empty without any.
        steps: number of steps seen, with or without a look.
        spikes: number of losses so far above the running mean of those before that a fit would be set back: 5 dB, or 10
            where its steps hide shares of the pixels that differ.
        nonfinite: number of losses that were not finite. Steps that were set back are not seen: `Fitted.set_back`.
    """

    layers: list[str] = field(default_factory=list)
    iteration: list[int] = field(default_factory=list)
    gradient_norm: list[list[float]] = field(default_factory=list)
    weight_norm: list[list[float]] = field(default_factory=list)
    update_ratio: list[list[float]] = field(default_factory=list)
    activation_mean: list[list[float]] = field(default_factory=list)
    activation_variance: list[list[float]] = field(default_factory=list)
    dead_fraction: list[list[float]] = field(default_factory=list)
    global_norm: list[float] = field(default_factory=list)
    recurrent_norm: list[list[float]] = field(default_factory=list)
    orthogonality_error: list[float] = field(default_factory=list)
    steps: int = 0
    spikes: int = 0
    nonfinite: int = 0

    @property
    def scaled_norm(self) -> Array:
        """|g| |w| (looks, layers): what a relative change of the weights does to the loss, whatever their scale.

        The gradient of a normalised weight goes as 1 / |w|, so that |g| alone says little.
        """
        return np.asarray(self.gradient_norm, dtype=np.float64) * np.asarray(self.weight_norm, dtype=np.float64)

    def arrays(self) -> dict[str, np.ndarray[Any, Any]]:
        """Return the record as arrays, by the names of the attributes after `health_`; the counts are scalars."""
        named: dict[str, np.ndarray[Any, Any]] = {
            name: np.asarray(getattr(self, name), dtype=np.float64)
            for name in (
                *("iteration", "gradient_norm", "weight_norm", "update_ratio", "activation_mean"),
                *("activation_variance", "dead_fraction", "global_norm", "recurrent_norm", "orthogonality_error"),
            )
        }
        counts = {name: np.asarray(getattr(self, name)) for name in ("steps", "spikes", "nonfinite")}
        named |= {"layers": np.asarray(self.layers), **counts}
        return {f"health_{name}": array for name, array in named.items()}


class HealthRecorder:
    """Records the health of a network in training; an observer with access to the network, which it never changes.

    Before a look it hangs hooks on the layers, and takes them off after it.

    Args:
        every: K, steps between two looks; the first one is at step 1.

    Attributes:
        record: what was seen so far.
    """

    def __init__(self, every: int = EVERY) -> None:
        self.record = HealthRecord()
        self._every = every
        self._network: nn.Module | None = None
        self._hooks: list[torch.utils.hooks.RemovableHandle] = []
        self._layers: dict[str, nn.Module] = {}
        self._flow: _Flow | None = None
        self._before: dict[str, Tensor] = {}
        self._smooth, self._jump = math.inf, JUMP
        self._due = 0

    def attach(self, training: Training) -> None:
        """Look at the network of this training; called by the fit before the first step."""
        self._network, self._jump = training.prior, training.jump
        self._arm(1)

    def __call__(self, step: Step) -> None:
        """Take note of the step, and look into the network every K steps."""
        record = self.record
        record.steps += 1
        if not math.isfinite(step.loss):
            record.nonfinite += 1
        else:
            record.spikes += step.loss > self._jump * self._smooth
            self._smooth = step.loss if math.isinf(self._smooth) else 0.95 * self._smooth + 0.05 * step.loss
        missed = False
        if self._hooks:
            missed = step.iteration != self._due  # the fit was set back: what the hooks saw belongs to no step
            if not missed:
                self._look(step.iteration)
            self._disarm()
        if missed or step.iteration % self._every == 0:
            self._arm(step.iteration + 1)

    def state(self) -> dict[str, Any]:
        """Return what was seen, and whether the next step is to be looked at."""
        due = self._due if self._hooks else None
        return {"record": dict(vars(self.record)), "smooth": self._smooth, "due": due}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take back what `state` returned; the network has its weights of then by now."""
        self._disarm()
        vars(self.record).update(state["record"])
        self._smooth = state["smooth"]
        if state["due"] is not None:
            self._arm(state["due"])

    def _arm(self, due: int) -> None:
        """Hang the hooks for the step `due`."""
        self._due = due
        assert self._network is not None, "attach the recorder to a training first"
        self._flow = _Flow()
        self._layers = {}
        for name, module in _outside_cells(self._network):
            if isinstance(module, nn.Conv2d | nn.Linear):
                self._layers[name] = module
            if not list(module.children()):
                self._hooks.append(module.register_forward_hook(self._flow.hook(name)))
        self._before = {name: _weight(module).detach().clone() for name, module in self._layers.items()}
        self._watch([])

    def _watch(self, states: list[list[Tensor]] | None) -> None:
        if isinstance(self._network, Refined | RecurrentGenerator):
            self._network.states = states

    def _disarm(self) -> None:
        for hook in self._hooks:
            hook.remove()
        self._hooks = []
        self._flow = None
        self._watch(None)

    @torch.no_grad()
    def _look(self, iteration: int) -> None:
        assert self._network is not None and self._flow is not None
        record = self.record
        activations = self._flow.activations(self._layers)
        order = record.layers = record.layers or list(activations)
        weights = _norms(self._before[name] for name in order)
        updates = _norms(_weight(self._layers[name]) - self._before[name] for name in order)
        means, variances, dead = zip(*(activations[name] for name in order), strict=True)
        gradients = [p.grad for p in self._network.parameters() if p.grad is not None]
        record.iteration.append(iteration)
        record.gradient_norm.append(_norms(_gradient(self._layers[name]) for name in order))
        record.weight_norm.append(weights)
        record.update_ratio.append([_over(u, w) for u, w in zip(updates, weights, strict=True)])
        record.activation_mean.append(list(means))
        record.activation_variance.append(list(variances))
        record.dead_fraction.append(list(dead))
        record.global_norm.append(math.hypot(*_norms(gradients)))
        if isinstance(self._network, Refined | RecurrentGenerator):
            self._look_at(self._network.cell, self._network.states or [])

    def _look_at(self, cell: Cell, states: Sequence[Sequence[Tensor]]) -> None:
        gradients = [[tensor.grad for tensor in tensors if tensor.grad is not None] for tensors in states]
        self.record.recurrent_norm.append([math.hypot(*_norms(parts)) for parts in gradients])
        matrices = cell.matrices()
        errors = [orthogonality_error(matrices[symbol]) for symbol in cell.orthogonal if symbol in matrices]
        if errors:
            self.record.orthogonality_error.append(max(errors))


class _Flow:
    """The outputs of a network's modules in one forward pass, in the order of the calls."""

    def __init__(self) -> None:
        self._seen: list[tuple[str, Tensor]] = []

    def hook(self, name: str) -> Callable[[nn.Module, Any, Any], None]:
        """Return a forward hook that keeps the output of the module `name`, channels first."""

        def keep(module: nn.Module, inputs: Any, output: Any) -> None:
            # What a fit looks at and does not learn from is no part of the step.
            if isinstance(output, Tensor) and output.dim() == 4 and torch.is_grad_enabled():
                shown = output.detach()
                self._seen.append((name, shown.movedim(-1, 1) if isinstance(module, nn.Linear) else shown))

        return keep

    def activations(self, layers: Collection[str]) -> dict[str, tuple[float, float, float]]:
        """Return mean, variance and share of dead channels of what each layer hands on, in the forward order.

        That is the last output before the next layer's own. A layer that is called more than once counts once.
        """
        found: dict[str, tuple[float, float, float]] = {}
        current: str | None = None
        last: Tensor | None = None
        for name, output in [*self._seen, ("", torch.empty(0))]:
            if name in layers or not name:
                if current is not None and last is not None and current not in found:
                    found[current] = _figures(last)
                current = name
            last = output
        return found


def _figures(output: Tensor) -> tuple[float, float, float]:
    variance, mean = torch.var_mean(output.float(), dim=(0, 2, 3), correction=0)
    dead = variance <= FLAT * mean.square()
    return mean.mean().item(), variance.mean().item(), dead.float().mean().item()


def _weight(module: nn.Module) -> Tensor:
    weight = module.weight
    assert isinstance(weight, Tensor)
    return weight


def _gradient(module: nn.Module) -> Tensor:
    weight = _weight(module)
    return torch.zeros_like(weight) if weight.grad is None else weight.grad


def _norms(tensors: Iterable[Tensor]) -> list[float]:
    return [float(widen(tensor.detach()).norm()) for tensor in tensors]


def _over(update: float, weight: float) -> float:
    return update / weight if weight > 0 else math.inf if update > 0 else 0.0


def _outside_cells(network: nn.Module, prefix: str = "") -> Iterator[tuple[str, nn.Module]]:
    """Yield all modules but cells and what is inside them, by name: a cell is looked at through its states."""
    for name, child in network.named_children():
        if not isinstance(child, Cell):
            yield f"{prefix}{name}", child
            yield from _outside_cells(child, f"{prefix}{name}.")
