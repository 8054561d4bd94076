"""One module for each paper's claim, or for a few that share a measurement; each lists them as `CLAIMS`."""

from __future__ import annotations

__all__ = ["MODULES"]

MODULES: tuple[str, ...] = (
    "channel_norm_linear",
    "channel_norm_gradients",
    "channel_norm_generators",
    "channel_norm_priors",
    "long_memory",
    "digits",
    "orthogonality",
    "modrelu_gradient",
    "neumann_order",
    "spectral_normalisation",
    "momentum_vanishing",
    "sbo_stability",
    "limit_cycle_adjoint",
    "gru_dynamics",
    "rflo_learning",
    "rflo_sequence",
)
"""Modules that hold claims, in the order in which they are listed."""
