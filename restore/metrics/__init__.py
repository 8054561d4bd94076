"""How good an image is: pure functions on tensors (..., C, H, W) that give one number an image."""

from __future__ import annotations

from restore.metrics.fidelity import mse, psnr
from restore.metrics.lpips import LpipsUnavailable, fetch_weights, lpips_distance, trunk_weights
from restore.metrics.risk import mc_divergence, sure
from restore.metrics.similarity import SSIM_VARIANT, ssim

__all__ = [
    "SSIM_VARIANT",
    "LpipsUnavailable",
    "fetch_weights",
    "lpips_distance",
    "mc_divergence",
    "mse",
    "psnr",
    "ssim",
    "sure",
    "trunk_weights",
]
