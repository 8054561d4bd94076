"""The scaled Cayley map with its inverse carried along by a Neumann series (Neumann-Cayley)."""

from __future__ import annotations

import torch
from torch import Tensor

from restore.cells.cayley import ScaledCayley
from restore.errors import UsageError

__all__ = ["NeumannCayley"]


class NeumannCayley(ScaledCayley):
    """`ScaledCayley` that updates Q = (I + A)^{-1} instead of solving for it (arXiv:2208.06496).

    After a change of A by -delta, with M = Q delta and p = `order`,

        Q <- (I + M + ... + M^p) Q,    W = Q (I - A) D,    error O(|M|^{p+1}) a change,

    and Q is solved for exactly once in every `reset` changes. The gradient is the published rule with the carried Q in
    the place of the inverse. delta is the true increment A_old - A_new. The released code puts the learning rate times
    the gradient there, even where Adam makes the step; its W then leaves the orthogonal group.

    Reading W again without a change of A changes nothing. Q, the A that it belongs to and the count of changes are
    buffers, so that a run resumes where it stood.

    Args:
        scaling: (n,) the diagonal of D, as in `ScaledCayley`.
        complex: whether A and W are complex.
        phases: whether D has trainable phases.
        order: terms of the series beyond the identity, 1 to 3.
        reset: changes of A from one exact inverse to the next.

    Raises UsageError for an order outside 1..3 and for a reset below 1.
    """

    inverse: Tensor
    followed: Tensor
    changes: Tensor

    def __init__(
        self, scaling: Tensor, *, complex: bool = False, phases: bool = False, order: int = 2, reset: int = 100
    ) -> None:
        super().__init__(scaling, complex=complex, phases=phases)
        if order not in (1, 2, 3):
            raise UsageError(f"the Neumann series has order 1, 2 or 3, got {order}; for an exact inverse use 0.")
        if reset < 1:
            raise UsageError(f"reset counts the changes from one exact inverse to the next, at least 1; got {reset}.")
        self.order = order
        self.reset = reset
        identity = torch.eye(scaling.numel(), dtype=scaling.dtype, device=scaling.device)
        # Real storage also for complex matrices: Module.double() and .to(dtype) pass over or spoil complex buffers.
        identity = torch.view_as_real(identity + 0j) if complex else identity
        self.register_buffer("inverse", identity.clone())
        self.register_buffer("followed", torch.zeros_like(identity))
        self.register_buffer("changes", torch.tensor(0))

    def unscaled(self, skew: Tensor) -> Tensor:
        """Return Q (I - A), after Q has followed the change of A since the last call."""
        self._follow(skew.detach())
        inverse, followed = self._matrix(self.inverse), self._matrix(self.followed)
        identity = torch.eye(*skew.shape, dtype=skew.dtype, device=skew.device)
        # The second term is zero; its derivative -Q dA Q is that of the inverse, which Q as a buffer lacks.
        return (inverse + inverse @ (followed - skew) @ inverse) @ (identity - skew)

    # What is carried must serve a later training step also when it was found while a preview was drawn.
    @torch.inference_mode(False)
    @torch.no_grad()
    def _follow(self, skew: Tensor) -> None:
        followed = self._matrix(self.followed)
        if torch.equal(skew, followed):
            return
        if self.changes % self.reset == 0:
            identity = torch.eye(*skew.shape, dtype=skew.dtype, device=skew.device)
            inverse = torch.linalg.inv(identity + skew)
        else:
            carried = self._matrix(self.inverse)
            step = carried @ (followed - skew)
            inverse = carried
            for _ in range(self.order):
                inverse = carried + step @ inverse
        self.inverse = torch.view_as_real(inverse) if self.complex else inverse
        self.followed = torch.view_as_real(skew).clone() if self.complex else skew.clone()
        self.changes = self.changes + 1

    def _matrix(self, stored: Tensor) -> Tensor:
        return torch.view_as_complex(stored) if self.complex else stored
