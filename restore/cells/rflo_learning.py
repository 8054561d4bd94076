"""Random-feedback local online learning: the readout with fixed random feedback, and the rule in O(1) memory in T."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from restore.cells.base import uniform
from restore.cells.draws import normal
from restore.cells.rflo import RFLO

__all__ = ["FeedbackLinear", "RFLONetwork", "Traces"]


class _Feedback(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, state: Tensor, weight: Tensor, feedback: Tensor) -> Tensor:
        context.save_for_backward(state, feedback)
        return nn.functional.linear(state, weight)

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None]:
        (gradient,) = gradients
        state, feedback = context.saved_tensors
        gradient = gradient.to(state.dtype)  # autocast makes the readout bfloat16, and leaves the state as it is
        to_weight = gradient.flatten(end_dim=-2).mT @ state.flatten(end_dim=-2)
        return nn.functional.linear(gradient, feedback), to_weight, None


class FeedbackLinear(nn.Module):
    """Readout y = W_out h whose gradient returns to h through a fixed random matrix B in the place of W_out^T.

    dL/dW_out is exact; dL/dh = B dL/dy. Learning W_out turns it towards B^T (see `alignment`), and the feedback becomes
    useful (doi:10.1038/ncomms13276, doi:10.7554/eLife.43299). W_out starts from U(-0.1, 0.1) / sqrt(n), B (n, outputs)
    from N(0, 1 / outputs).

    >>> readout = FeedbackLinear(3, 2)
    >>> state = torch.zeros(3, requires_grad=True)
    >>> readout(state).sum().backward()
    >>> bool((state.grad == readout.B.sum(dim=1)).all())
    True
    """

    B: Tensor

    def __init__(
        self,
        size: int,
        outputs: int,
        *,
        generator: torch.Generator | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        bound = 0.1 * size**-0.5
        self.weight = nn.Parameter(uniform((outputs, size), -bound, bound, generator))
        self.register_buffer("B", normal((size, outputs), outputs**-0.5, generator))
        self.to(device=device, dtype=dtype or torch.float32)

    def forward(self, state: Tensor) -> Tensor:
        """Return y (..., outputs) from h (..., n)."""
        flat = state.reshape(-1, state.shape[-1])
        readout: Tensor = _Feedback.apply(flat, self.weight, self.B)
        return readout.view(*state.shape[:-1], -1)

    def alignment(self) -> float:
        """Return the cosine between W_out and B^T as vectors: near 0 at first, 1 for exact feedback."""
        return float(nn.functional.cosine_similarity(self.weight.detach().flatten(), self.B.mT.flatten(), dim=0))


class Traces(NamedTuple):
    """What the online rule carries from step to step, for a batch of shape (...).

    Attributes:
        state: h (..., n).
        recurrent: p (..., n, n), the eligibility of W.
        input: q (..., n, inputs), the eligibility of W_in.
    """

    state: Tensor
    recurrent: Tensor
    input: Tensor


class RFLONetwork(nn.Module):
    """An `RFLO` cell between an input map and a `FeedbackLinear`: inputs (..., i) to outputs (..., o) at every step.

    Two ways to the same gradients: `forward` with an autograd backward pass, and `learn`, which needs no graph and no
    memory of the past beyond its traces. Both are for the loss sum_t 1/2 |y*_t - y_t|^2, times whatever `scale` is.

    Args:
        cell: the cell; built with learning_rule "rflo", `forward` and `learn` agree.
        inputs: i.
        outputs: o.
        generator: source of all random numbers.
    """

    def __init__(self, cell: RFLO, inputs: int, outputs: int, *, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.cell = cell
        self.input = nn.Linear(inputs, cell.drive_size, False, cell.device, cell.dtype)
        cell.reset_input_(self.input, generator)
        self.readout = FeedbackLinear(cell.size, outputs, generator=generator, device=cell.device, dtype=cell.dtype)

    def forward(self, inputs: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return the outputs (T, ..., o) and the last state for inputs (T, ..., i)."""
        state = self.cell.initial(inputs.shape[1:-1]) if state is None else state
        outputs = []
        for drive in self.input(inputs):
            state = self.cell(drive, state)
            outputs.append(self.readout(state))
        return torch.stack(outputs), state

    def start(self, inputs: Tensor, state: Tensor | None = None) -> Traces:
        """Return the traces before the first step, for inputs (..., i) of one time."""
        state = self.cell.initial(inputs.shape[:-1]) if state is None else state
        size = self.cell.size
        return Traces(
            state,
            state.new_zeros(*state.shape[:-1], size, size),
            state.new_zeros(*state.shape[:-1], size, inputs.shape[-1]),
        )

    @torch.no_grad()
    def learn(self, inputs: Tensor, target: Tensor, traces: Traces, scale: float = 1.0) -> tuple[Tensor, Traces]:
        """Take one step, add its share of the gradients to `.grad`, and return the output (..., o) and the new traces.

        With eps = y* - y, the shares are -scale times eps h^T for W_out, [B eps]_a p_ab for W and [B eps]_a q_ab for
        W_in, summed over the batch.
        """
        leak = 1 - 1 / self.cell.tau
        state = traces.state
        activation = torch.tanh(nn.functional.linear(state, self.cell.W) + self.input(inputs))
        slope = (1 - activation.square()).unsqueeze(-1) / self.cell.tau
        following = leak * state + activation / self.cell.tau
        recurrent = leak * traces.recurrent + slope * state.unsqueeze(-2)
        input = leak * traces.input + slope * inputs.unsqueeze(-2)

        output: Tensor = self.readout(following)
        error = scale * (target - output)
        fed_back = nn.functional.linear(error, self.readout.B).unsqueeze(-1)
        _accumulate(self.readout.weight, error.unsqueeze(-1) * following.unsqueeze(-2))
        _accumulate(self.cell.W, fed_back * recurrent)
        _accumulate(self.input.weight, fed_back * input)
        return output, Traces(following, recurrent, input)


def _accumulate(parameter: Tensor, descent: Tensor) -> None:
    gradient = -descent.reshape(-1, *parameter.shape).sum(dim=0)
    parameter.grad = gradient if parameter.grad is None else parameter.grad + gradient
