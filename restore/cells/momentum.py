"""The momentum family of recurrent cells: vanilla, LSTM and orthogonal recurrence behind one of five input filters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from restore.cells.base import Cell
from restore.cells.cayley import ScaledCayley, orthogonal_recurrence, rotation_blocks, signs
from restore.cells.controls import lstm_update
from restore.cells.draws import normal, orthogonal
from restore.cells.modrelu import ModReLU
from restore.cells.momentum_filter import InputFilter, Memory

__all__ = ["Filtered", "FilteredLSTM", "MomentumLSTM", "MomentumOrthogonal", "MomentumRNN"]


class Filtered(NamedTuple):
    """The state of a `MomentumRNN` or a `MomentumOrthogonal`.

    Attributes:
        hidden: h (..., n).
        velocity, square, time: see `Memory`; (..., n).
    """

    hidden: Tensor
    velocity: Tensor
    square: Tensor | None
    time: int


class FilteredLSTM(NamedTuple):
    """The state of a `MomentumLSTM`.

    Attributes:
        hidden: h (..., n).
        memory: c (..., n).
        velocity, square, time: see `Memory`; (..., 4n).
    """

    hidden: Tensor
    memory: Tensor
    velocity: Tensor
    square: Tensor | None
    time: int


class _MomentumCell(Cell):
    """What the three share: the filter, and that a constant drive makes no sense.

    Attributes:
        needs_varying_drive: under a constant drive every rule degenerates to a gain (see `momentum_filter`).
        filter: the rule between the drive and the recurrence.
    """

    needs_varying_drive = True
    filter: InputFilter

    def initial(self, shape: Sequence[int] = ()) -> Filtered:
        """Return h = v = m = 0, (*shape, n) each."""
        return Filtered(self.zeros(shape), *self.filter.start(self.zeros(shape)))

    def readout(self, state: Filtered | FilteredLSTM) -> Tensor:
        """Return h (..., n)."""
        return state.hidden


class MomentumRNN(_MomentumCell):
    """Vanilla recurrent cell behind an optimiser's rule (MomentumRNN and its kin, arXiv:2006.06919).

        h_t = tanh(U h_{t-1} + b + signal_t)

    with the signal that `momentum_filter` makes of the drives W x_t + b_x. Drive and readout are (..., n), the state is
    a `Filtered`. U starts as the identity, b at 0, the input map orthogonal with a bias of 0. The released code has
    vanilla cells only as the equations' illustration; they follow the paper here.

    Args:
        size: n.
        rule: "momentum", "adam", "rmsprop", "nesterov" or "restart".
        momentum: mu, of momentum and adam.
        step_size: s.
        decay: beta, of adam and rmsprop.
        period: F, of restart.
        generator: unused, since nothing here starts at random; every cell has it.
        device: where the parameters lie.
        dtype: torch.float32 or torch.float64.

    Raises UsageError as `InputFilter` does.
    """

    input_bias = True

    def __init__(
        self,
        size: int,
        *,
        rule: str = "momentum",
        momentum: float | None = None,
        step_size: float | None = None,
        decay: float | None = None,
        period: int | None = None,
        generator: torch.Generator | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(size, dtype=dtype)
        self.filter = InputFilter(rule, momentum=momentum, step_size=step_size, decay=decay, period=period)
        self.U = nn.Parameter(torch.eye(size))
        self.bias = nn.Parameter(torch.zeros(size))
        self.to(device=device, dtype=dtype or torch.float32)

    def step(self, drive: Tensor, state: Filtered) -> Filtered:
        """Return the next state from the drive (..., n)."""
        memory = self.filter.advance(drive, Memory(*state[1:]))
        recurrent = nn.functional.linear(state.hidden, self.U, self.bias)
        return Filtered(torch.tanh(recurrent + self.filter.signal(memory)), *memory)

    def reset_input_(self, layer: nn.Linear | nn.Conv2d, generator: torch.Generator | None = None) -> None:
        """Draw the input map orthogonal, bias zero."""
        _reset_orthogonal_(layer, generator)

    def matrices(self) -> dict[str, Tensor]:
        """Return {"U": U}."""
        return {"U": self.U}


class MomentumLSTM(_MomentumCell):
    """LSTM behind an optimiser's rule (MomentumLSTM and its kin, arXiv:2006.06919).

        [i|f|g|o] = U h + b + signal_t
        c' = sigmoid(f) * c + sigmoid(i) * tanh(g)
        h' = sigmoid(o) * tanh(c')

    One filter, 4n wide, feeds all gates. The drive has the width 4n, in the order of `nn.LSTMCell`, the readout is h
    (..., n), the state a `FilteredLSTM`. With rule "momentum", mu = 0 and s = 1 this is `nn.LSTMCell`.

    Every gate's U starts as the identity, biases at 0 but the forget gate's at 1, here and again in the input map,
    which starts orthogonal. Where the released code differs: it fills the whole (4n, n) matrix by one identity, which
    leaves every gate's U but the input gate's at zero; and for nesterov one of its two files has another rule, y_t = U
    h - s W x with gates y_t + mu_t (y_t - y_{t-1}).

    Args:
        size: n.
        rule: "momentum", "adam", "rmsprop", "nesterov" or "restart".
        momentum: mu, of momentum and adam.
        step_size: s.
        decay: beta, of adam and rmsprop.
        period: F, of restart.
        generator: unused, since nothing here starts at random; every cell has it.
        device: where the parameters lie.
        dtype: torch.float32 or torch.float64.

    Raises UsageError as `InputFilter` does.
    """

    input_bias = True

    def __init__(
        self,
        size: int,
        *,
        rule: str = "momentum",
        momentum: float | None = None,
        step_size: float | None = None,
        decay: float | None = None,
        period: int | None = None,
        generator: torch.Generator | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(size, drive_size=4 * size, dtype=dtype)
        self.filter = InputFilter(rule, momentum=momentum, step_size=step_size, decay=decay, period=period)
        self.U = nn.Parameter(torch.eye(size).repeat(4, 1))
        self.bias = nn.Parameter(_forget_ones(size))
        self.to(device=device, dtype=dtype or torch.float32)

    def initial(self, shape: Sequence[int] = ()) -> FilteredLSTM:  # type: ignore[override]
        """Return h = c = 0, (*shape, n), and v = m = 0, (*shape, 4n)."""
        memory = self.filter.start(self.zeros(shape, self.drive_size))
        return FilteredLSTM(self.zeros(shape), self.zeros(shape), *memory)

    def step(self, drive: Tensor, state: FilteredLSTM) -> FilteredLSTM:
        """Return the next state from the drive (..., 4n)."""
        memory = self.filter.advance(drive, Memory(*state[2:]))
        recurrent = nn.functional.linear(state.hidden, self.U, self.bias)
        hidden, cell_memory = lstm_update(recurrent + self.filter.signal(memory), state.memory)
        return FilteredLSTM(hidden, cell_memory, *memory)

    @torch.no_grad()
    def reset_input_(self, layer: nn.Linear | nn.Conv2d, generator: torch.Generator | None = None) -> None:
        """Draw the input map orthogonal, bias zero but 1 for the forget gate."""
        _reset_orthogonal_(layer, generator)
        if layer.bias is not None:
            layer.bias.copy_(_forget_ones(self.size))

    def matrices(self) -> dict[str, Tensor]:
        """Return the U of every gate."""
        return dict(zip(("U_i", "U_f", "U_g", "U_o"), self.U.chunk(4), strict=True))


class MomentumOrthogonal(_MomentumCell):
    """Orthogonal recurrent cell behind an optimiser's rule (MomentumDTRIV and its kin, arXiv:2006.06919).

        h_t = modReLU(B h_{t-1} + signal_t; b),    B real orthogonal

    Drive and readout are (..., n), the state is a `Filtered`. The bias starts from U(-0.01, 0.01), the input map from
    N(0, 2 / fan_in) without a bias. The paper parametrises B by dynamic trivialisation, an exponential map whose base
    moves along; here it is the scaled Cayley map of `ScoRNN`, started as there, which reaches the same matrices.

    Args:
        size: n; may be odd.
        rule: "momentum", "adam", "rmsprop", "nesterov" or "restart".
        momentum: mu, of momentum and adam.
        step_size: s.
        decay: beta, of adam and rmsprop.
        period: F, of restart.
        negatives: number of -1 on the diagonal of the Cayley map; n // 2 unless given.
        generator: source of all random numbers.
        device: where the parameters lie.
        dtype: torch.float32 or torch.float64.

    Raises UsageError as `InputFilter` does, and where `negatives` is outside 0..n.
    """

    orthogonal = ("B",)

    def __init__(
        self,
        size: int,
        *,
        rule: str = "momentum",
        momentum: float | None = None,
        step_size: float | None = None,
        decay: float | None = None,
        period: int | None = None,
        negatives: int | None = None,
        generator: torch.Generator | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(size, dtype=dtype)
        self.filter = InputFilter(rule, momentum=momentum, step_size=step_size, decay=decay, period=period)
        diagonal = signs(size, size // 2 if negatives is None else negatives)
        self.B = orthogonal_recurrence(rotation_blocks(size, generator), ScaledCayley(diagonal))
        self.modrelu = ModReLU(size, spread=0.01, generator=generator)
        self.to(device=device, dtype=dtype or torch.float32)

    def step(self, drive: Tensor, state: Filtered) -> Filtered:
        """Return the next state from the drive (..., n)."""
        memory = self.filter.advance(drive, Memory(*state[1:]))
        return Filtered(self.modrelu(self.B(state.hidden) + self.filter.signal(memory)), *memory)

    @torch.no_grad()
    def reset_input_(self, layer: nn.Linear | nn.Conv2d, generator: torch.Generator | None = None) -> None:
        """Draw the input map's weights from N(0, 2 / fan_in), bias zero."""
        layer.weight.copy_(normal(layer.weight.shape, (2 / layer.weight[0].numel()) ** 0.5, generator))
        if layer.bias is not None:
            layer.bias.zero_()

    def matrices(self) -> dict[str, Tensor]:
        """Return {"B": B}."""
        return {"B": self.B.weight}


@torch.no_grad()
def _reset_orthogonal_(layer: nn.Linear | nn.Conv2d, generator: torch.Generator | None) -> None:
    weight = layer.weight
    weight.copy_(orthogonal(weight.shape[0], weight[0].numel(), generator).reshape(weight.shape))
    if layer.bias is not None:
        layer.bias.zero_()


def _forget_ones(size: int) -> Tensor:
    return torch.tensor([0.0, 1.0, 0.0, 0.0]).repeat_interleave(size)
