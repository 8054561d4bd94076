"""What every recurrent cell is, how it is unrolled, and the smallest model around one.

A cell owns its recurrence and nothing else. The input map belongs to the caller, who hands the cell a *drive* (`U x_t`,
and the map's bias if it has one): the same cell then works behind a linear layer on a sequence and behind a convolution
on an image. State and drive lie on the last axis; all axes before it are batch.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from restore.errors import UsageError

__all__ = [
    "Cell",
    "Recurrence",
    "SequenceModel",
    "State",
    "advance",
    "driven",
    "full_precision",
    "glorot_bound",
    "project_",
    "reset_layer_",
    "uniform",
    "unroll",
    "widen",
]

State: TypeAlias = Any
"""A tensor (..., n), or a NamedTuple of such tensors and integers; each cell's signatures say which."""


class Cell(nn.Module):
    """A recurrent cell: `cell(drive, state) -> state` on the last axis.

    A subclass implements `step`, and overrides the other methods where the defaults (one tensor of state that starts at
    zero and is its own readout) do not fit. Parameters and buffers are real, also those of complex cells, so that
    `cell.double()` means what it says. Randomness comes from the constructor's `generator`.

    Raises UsageError for a size below 1, for a dtype other than float32 and float64, and for a drive of another width.

    Attributes:
        size: n, the number of state units (complex ones count once).
        drive_size: width of the real drive: n for most cells, 2n ([Re|Im]) for complex ones, n a gate for gated ones.
        readout_size: width of the real readout.
        is_complex: whether the state is complex.
        input_bias: whether the input map should have a bias of its own.
        orthogonal: symbols of those `matrices` that are orthogonal or unitary by construction.
        needs_varying_drive: whether a drive that is the same in every step makes the cell pointless.
    """

    is_complex: bool = False
    input_bias: bool = False
    orthogonal: tuple[str, ...] = ()
    needs_varying_drive: bool = False

    def __init__(
        self,
        size: int,
        *,
        drive_size: int | None = None,
        readout_size: int | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        if size < 1:
            raise UsageError(f"a cell needs a size of at least 1, got {size}.")
        if dtype not in (None, torch.float32, torch.float64):
            raise UsageError(f"a cell's parameters are torch.float32 or torch.float64, got {dtype}.")
        width = 2 * size if self.is_complex else size
        self.size = size
        self.drive_size = width if drive_size is None else drive_size
        self.readout_size = width if readout_size is None else readout_size

    def step(self, drive: Tensor, state: State) -> State:
        """Return the next state; called outside autocast, with a drive (..., drive_size) of the cell's dtype."""
        raise NotImplementedError

    def forward(self, drive: Tensor, state: State) -> State:
        """Return the state after one step under `drive` (..., drive_size), which may come in half precision.

        The step runs in the parameters' own precision whatever autocast says: bfloat16 breaks orthogonality.
        """
        if drive.shape[-1] != self.drive_size:
            raise UsageError(
                f"{type(self).__name__} of size {self.size} takes a drive of width {self.drive_size}, "
                f"got {drive.shape[-1]}; size the input map by cell.drive_size."
            )
        with full_precision(drive.device):
            return self.step(drive.to(self.dtype), state)

    def initial(self, shape: Sequence[int] = ()) -> State:
        """Return the state to start from, (*shape, n), for a batch of `shape`."""
        return self.zeros(shape)

    def zeros(self, shape: Sequence[int] = (), width: int | None = None) -> Tensor:
        """Return zeros (*shape, width) of the state's dtype and device; `width` is n unless given."""
        dtype = self.dtype.to_complex() if self.is_complex else self.dtype
        return torch.zeros(*shape, self.size if width is None else width, dtype=dtype, device=self.device)

    def readout(self, state: State) -> Tensor:
        """Return the real readout (..., readout_size) of a state; of a complex one, [Re|Im]."""
        return torch.cat((state.real, state.imag), dim=-1) if self.is_complex else state

    def reset_input_(self, layer: nn.Linear | nn.Conv2d, generator: torch.Generator | None = None) -> None:
        """Draw the input map's weights as the cell's source does, here U(-fan_in^{-1/2}, fan_in^{-1/2}); bias zero."""
        reset_layer_(layer, layer.weight[0].numel() ** -0.5, generator)

    def project_(self) -> None:
        """Put the parameters back into their admissible set; to be called after every optimiser step."""

    def matrices(self) -> dict[str, Tensor]:
        """Return the square matrices that multiply the state, by their symbol in the cell's equations."""
        return {}

    @property
    def dtype(self) -> torch.dtype:
        """The real dtype of the parameters."""
        return self._anchor.dtype

    @property
    def device(self) -> torch.device:
        """The device of the parameters."""
        return self._anchor.device

    @property
    def _anchor(self) -> Tensor:
        tensors = itertools.chain(self.parameters(), self.buffers())
        return next(tensor for tensor in tensors if tensor.is_floating_point())


class Recurrence(nn.Module):
    """The linear map h -> W h on the last axis, without a bias; `weight` (n, n) may be real or complex."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight)

    def forward(self, state: Tensor) -> Tensor:
        """Return W h for every h in `state` (..., n)."""
        return nn.functional.linear(state, self.weight)


def driven(weight: Tensor, state: Tensor, drive: Tensor) -> Tensor:
    """Return W h + drive, (..., m), for `weight` (m, n), `state` (..., n) and `drive` (..., m).

    Where a state stands for each place of an image, adding in the product saves a pass over memory.
    """
    if state.shape[:-1] != drive.shape[:-1] or state.dim() < 2:
        return nn.functional.linear(state, weight) + drive
    flat = torch.addmm(drive.flatten(end_dim=-2), state.flatten(end_dim=-2), weight.mT)
    return flat.view(drive.shape)


def unroll(cell: Cell, drives: Tensor | Sequence[Tensor], state: State = None) -> list[State]:
    """Return the T states that `cell` passes through under the T `drives`, each (..., drive_size).

    Starts from `state`, or from the cell's initial one. A parametrised matrix is built once, not T times.

    >>> from restore.cells import make_cell
    >>> cell = make_cell("scornn", 8)
    >>> states = unroll(cell, torch.zeros(5, 2, 3, 8))
    >>> len(states), states[-1].shape
    (5, torch.Size([2, 3, 8]))
    """
    states = []
    with parametrize.cached():
        state = cell.initial(drives[0].shape[:-1]) if state is None else state
        for drive in drives:
            state = cell(drive, state)
            states.append(state)
    return states


def advance(cell: Cell, drives: Tensor | Sequence[Tensor], state: State = None) -> State:
    """Return only the last of the states of `unroll`, and keep no other alive."""
    with parametrize.cached():
        state = cell.initial(drives[0].shape[:-1]) if state is None else state
        for drive in drives:
            state = cell(drive, state)
    return state


class SequenceModel(nn.Module):
    """A cell between two linear maps: (B, T, inputs) to (B, T, outputs).

    The input map starts as the cell's source has it, the output map Glorot uniform with a bias of zero.
    """

    def __init__(self, cell: Cell, inputs: int, outputs: int, *, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.cell = cell
        self.input = nn.Linear(inputs, cell.drive_size, cell.input_bias, cell.device, cell.dtype)
        self.output = nn.Linear(cell.readout_size, outputs, True, cell.device, cell.dtype)
        cell.reset_input_(self.input, generator)
        reset_layer_(self.output, glorot_bound(cell.readout_size, outputs), generator)

    def forward(self, inputs: Tensor, state: State = None) -> Tensor:
        """Return the outputs at every time, from `state` or the cell's initial one."""
        drives = self.input(inputs).transpose(0, 1)
        readouts = torch.stack([self.cell.readout(state) for state in unroll(self.cell, drives, state)], dim=1)
        outputs: Tensor = self.output(readouts)
        return outputs


def project_(module: nn.Module) -> None:
    """Call `project_` of every cell in `module`; belongs after every optimiser step."""
    for part in module.modules():
        if isinstance(part, Cell):
            part.project_()


def uniform(
    shape: Sequence[int],
    low: float,
    high: float,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Draw float64 numbers from U(low, high), on the CPU: one seed gives one cell, whatever its dtype and device."""
    device = torch.device("cpu") if generator is None else generator.device
    drawn = torch.rand(*shape, generator=generator, dtype=torch.float64, device=device)
    return (low + (high - low) * drawn).cpu()


@torch.no_grad()
def reset_layer_(layer: nn.Linear | nn.Conv2d, bound: float, generator: torch.Generator | None = None) -> None:
    """Draw the layer's weights from U(-bound, bound) and set its bias, if any, to zero."""
    layer.weight.copy_(uniform(layer.weight.shape, -bound, bound, generator))
    if layer.bias is not None:
        layer.bias.zero_()


def glorot_bound(fan_in: int, fan_out: int) -> float:
    """Return the bound of Glorot's uniform rule, sqrt(6 / (fan_in + fan_out))."""
    return math.sqrt(6 / (fan_in + fan_out))


def full_precision(device: torch.device) -> torch.autocast:
    """Return a context in which autocast is off on `device`."""
    return torch.autocast(device.type, enabled=False)


def widen(matrix: Tensor) -> Tensor:
    """Return `matrix` in float64 or complex128; on MPS, which has neither, as it is."""
    if matrix.device.type == "mps":
        return matrix
    return matrix.to(torch.complex128 if matrix.is_complex() else torch.float64)
