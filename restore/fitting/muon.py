"""Muon: convolutions take steps whose singular values are all alike, everything else goes by Adam."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

__all__ = ["LEAST_SIDE", "Muon", "orthogonalised"]

LEAST_SIDE = 8
"""Kernels with fewer output channels are Adam's: a matrix of one to four rows has no spectrum worth levelling."""

OTHERS = 0.15
"""Rate of Adam for all else, as a multiple of Muon's."""

MOMENTUM = 0.9
COEFFICIENTS = (3.4445, -4.7750, 2.0315)
ITERATIONS = 5


class Muon(torch.optim.Adam):
    """For a kernel W (out, in, k, k) with gradient G, read as a matrix of `out` rows:

        M <- b M + (1 - b) G,    W <- W - rate max(1, out / (in k k))^(1/2) polar(b M + (1 - b) G),    b = 0.9

    polar(X) = U V^T of X = U S V^T, nearly (`orthogonalised`). All directions that the gradient has are learned at one
    speed, the weak ones too, which is what a fit with few steps lacks; under a channel normalisation the size of W does
    not matter. Source: Jordan et al., Muon, 2024 (kellerjordan.github.io/posts/muon); Liu et al., arXiv:2502.16982.

    Kernels with a leading dimension (N, out, in, k, k) are those of N networks in a stack, each by itself. Parameters
    of fewer than four dimensions, and kernels with less than `LEAST_SIDE` rows or columns, go by Adam at `OTHERS`
    times the rate.

    Args:
        groups: parameters, or groups of them, each with a rate `lr` for its kernels.
        lr: rate of kernels, where a group names none.
        beta2: of Adam.
        fused: as for `torch.optim.Adam`.
    """

    def __init__(self, groups: Iterable[Any], lr: float, *, beta2: float = 0.999, fused: bool | None = None) -> None:
        split: list[dict[str, Any]] = []
        given = list(groups)
        named_groups: list[dict[str, Any]] = given if given and isinstance(given[0], dict) else [{"params": given}]
        for named in named_groups:
            rate = named.get("lr", lr)
            kernels = [parameter for parameter in named["params"] if _is_kernel(parameter)]
            others = [parameter for parameter in named["params"] if not _is_kernel(parameter)]
            split += [{**named, "params": kernels, "lr": rate, "orthogonal": True}] if kernels else []
            split += [{**named, "params": others, "lr": OTHERS * rate, "orthogonal": False}] if others else []
        super().__init__(split, lr=lr, betas=(MOMENTUM, beta2), fused=fused)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]
        """Take one step; a closure is not called."""
        every = self.param_groups
        try:
            self.param_groups = [group for group in every if not group["orthogonal"]]
            super().step()
        finally:
            self.param_groups = every
        for group in every:
            if group["orthogonal"]:
                self._step_kernels(group["params"], group["lr"])

    def _step_kernels(self, kernels: list[Tensor], rate: float) -> None:
        alike: defaultdict[tuple[int, int], list[tuple[Tensor, Tensor]]] = defaultdict(list)
        for kernel in kernels:
            if kernel.grad is None:
                continue
            state = self.state[kernel]
            if not state:
                state |= {"step": torch.tensor(0.0), "momentum": torch.zeros_like(kernel)}
            state["step"] += 1  # nobody needs it here, but Adam's states are taken to have it
            state["momentum"].lerp_(kernel.grad, 1 - MOMENTUM)
            ahead = kernel.grad.lerp(state["momentum"], MOMENTUM)
            matrices = ahead.reshape(-1, kernel.shape[-4], kernel.shape[-3:].numel())
            alike[matrices.shape[1], matrices.shape[2]].append((kernel, matrices))
        for (rows, columns), found in alike.items():  # one product of many small matrices, not many of one
            steps = orthogonalised(torch.cat([matrices for _, matrices in found]))
            parts = torch.split(steps, [len(matrices) for _, matrices in found])
            for (kernel, _), part in zip(found, parts, strict=True):
                kernel.sub_(part.reshape(kernel.shape), alpha=rate * max(1.0, rows / columns) ** 0.5)


def orthogonalised(matrices: Tensor) -> Tensor:
    """Return nearly U V^T of each matrix U S V^T: its singular values become 0.7 to 1.2, but for those next to 0.

    Five rounds of X <- a X + (b X X^T + c (X X^T)^2) X from X / ||X||, with the coefficients that raise small singular
    values fastest (Jordan et al., 2024; the iteration is Newton's and Schulz's).

    Args:
        matrices: (N, rows, columns).

    >>> values = torch.linalg.svdvals(orthogonalised(torch.randn(2, 8, 30, generator=torch.Generator().manual_seed(0))))
    >>> bool(((values > 0.6) & (values < 1.3)).all())
    True
    """
    a, b, c = COEFFICIENTS
    tall = matrices.shape[1] > matrices.shape[2]
    x: Tensor = matrices.mT if tall else matrices
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-12)
    for _ in range(ITERATIONS):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.mT if tall else x


def _is_kernel(parameter: Tensor) -> bool:
    if parameter.dim() < 4:
        return False
    rows, columns = parameter.shape[-4], parameter.shape[-3:].numel()
    return min(rows, columns) >= LEAST_SIDE
