"""A network of stable limit cycles: gradients that neither explode nor vanish along the phase."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from restore.cells.base import Cell, uniform
from restore.cells.integration import euler_step
from restore.errors import UsageError, unknown_name

__all__ = ["LimitCycle", "rotations"]

FORMS = ("hopf", "tanh")
ANGLES = (math.pi / 21, math.pi / 3.8)
GAIN = 1.5


class LimitCycle(Cell):
    """Stable limit-cycle network (Sokol, Jordan, Kadile, Park; doi:10.1109/IEEECONF44664.2019.9049080).

    On a hyperbolic stable cycle one Floquet multiplier is 1, along the flow, and all others are inside the unit circle.
    The adjoint lambda' = -(df/dh)^T lambda, integrated backwards, has the same multipliers: it converges to a periodic
    solution, the phase response curve, and can neither explode nor vanish. k uncoupled oscillators keep k such
    directions; coupled ones at least one, as long as a cycle exists.

    form "hopf": n/2 uncoupled oscillators in normal form, each a pair (x, y) of radius r,

        r' = mu r (1 - (r / rho)^2),    angle' = omega,

    which a step solves exactly before the drive is added: with E = exp(-2 mu dt),

        h <- s Rot(omega dt) h + dt drive,    s = (E + (r / rho)^2 (1 - E))^{-1/2}

    Without a drive the multipliers of a step are exactly 1 (phase) and E (radius). omega, log mu and log rho are
    trainable and start from U(pi/21, pi/3.8), 0 and 0.

    form "tanh": h' = tanh(W h + drive) - h by Euler's method,

        h <- (1 - dt) h + dt tanh(W h + drive)

    W starts as blocks S Rot(theta), S = 1.5, theta from U(pi/21, pi/3.8): between a saddle-node bifurcation on the
    cycle, at pi/21.25, and a Hopf bifurcation, at arccos(1/S), each block has a stable cycle. Training may leave that
    range. At a large dt and rational angles the map can lock onto periodic points, and gradients vanish: keep dt at
    most 0.1.

    Drive and readout are (..., n). Pairs are neighbours on the last axis. The state starts at a fixed h_0 from U(-1,
    1), for 0 is a fixed point. The normal form and its exact flow are ours; the paper's systems are the tanh network
    and the GRU, whose cycles `CTGRU` has. The discrete-time code by a co-author means to flip signs of blocks at
    random, and never does.

    Args:
        size: n, even.
        form: "hopf" or "tanh".
        dt: length of a step, above 0.
        generator: source of all random numbers.
        device: where the parameters lie.
        dtype: torch.float32 or torch.float64.

    Raises UsageError for an odd size, an unknown form and a step that is not above 0.
    """

    h_0: Tensor

    def __init__(
        self,
        size: int,
        *,
        form: str = "hopf",
        dt: float = 0.1,
        generator: torch.Generator | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(size, dtype=dtype)
        if size % 2:
            raise UsageError(f"limitcycle pairs its units, so it needs an even size; got {size}, take {size + 1}.")
        if form not in FORMS:
            raise unknown_name("limitcycle option form", form, FORMS)
        if not dt > 0:
            raise UsageError(f"limitcycle needs a step dt above 0, got {dt}.")
        self.form = form
        self.dt = dt
        self.input_bias = form == "tanh"
        angles = uniform((size // 2,), *ANGLES, generator)
        if form == "hopf":
            self.omega = nn.Parameter(angles)
            self.log_mu = nn.Parameter(torch.zeros(size // 2))
            self.log_rho = nn.Parameter(torch.zeros(size // 2))
        else:
            self.W = nn.Parameter(GAIN * rotations(angles))
        self.register_buffer("h_0", uniform((size,), -1, 1, generator))
        self.to(device=device, dtype=dtype or torch.float32)

    def initial(self, shape: Sequence[int] = ()) -> Tensor:
        """Return h_0 (*shape, n)."""
        return self.h_0.expand(*shape, self.size)

    def step(self, drive: Tensor, state: Tensor) -> Tensor:
        """Return the state (..., n) after `dt`."""
        if self.form == "hopf":
            return self.flow(state) + self.dt * drive
        return euler_step(lambda h: self.field(drive, h), state, self.dt)

    def field(self, drive: Tensor, state: Tensor) -> Tensor:
        """Return dh/dt (..., n) at h (..., n) under the drive (..., n)."""
        if self.form == "tanh":
            return torch.tanh(nn.functional.linear(state, self.W) + drive) - state
        x, y = _pairs(state)
        growth = self.log_mu.exp() * (1 - (x.square() + y.square()) / (2 * self.log_rho).exp())
        return _join(growth * x - self.omega * y, growth * y + self.omega * x) + drive

    def flow(self, state: Tensor) -> Tensor:
        """Return where the undriven normal form carries h (..., n) within `dt`, exactly; of form "hopf" alone."""
        x, y = _pairs(state)
        decay = torch.exp(-2 * self.log_mu.exp() * self.dt)
        radius = (x.square() + y.square()) / (2 * self.log_rho).exp()
        scale = torch.rsqrt(decay + radius * (1 - decay))
        cosine, sine = torch.cos(self.omega * self.dt), torch.sin(self.omega * self.dt)
        return _join(scale * (cosine * x - sine * y), scale * (sine * x + cosine * y))

    def matrices(self) -> dict[str, Tensor]:
        """Return {"W": W} of form "tanh"; "hopf" has none."""
        return {"W": self.W} if self.form == "tanh" else {}


def rotations(angles: Tensor) -> Tensor:
    """Return the block-diagonal matrix (2k, 2k) of the plane rotations by k angles, anticlockwise.

    >>> rotations(torch.tensor([math.pi / 2])).round()
    tensor([[-0., -1.],
            [ 1., -0.]])
    """
    first = torch.arange(0, 2 * angles.numel(), 2)
    second = first + 1
    matrix = angles.new_zeros(2 * angles.numel(), 2 * angles.numel())
    matrix[first, first] = matrix[second, second] = torch.cos(angles)
    matrix[second, first] = torch.sin(angles)
    matrix[first, second] = -torch.sin(angles)
    return matrix


def _pairs(state: Tensor) -> tuple[Tensor, Tensor]:
    return state[..., 0::2], state[..., 1::2]


def _join(x: Tensor, y: Tensor) -> Tensor:
    return torch.stack((x, y), dim=-1).flatten(-2)
