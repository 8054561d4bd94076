"""The deep image prior of deepinv, as its documentation calls it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from restore.peers.registry import Task

__all__ = ["deep_image_prior"]

CHANNELS = 64
CODE = (2, 2)
ITERATIONS = 2500
"""deepinv's own number of steps; it has no stopping rule, and gives back the last one."""


def deep_image_prior(task: Task) -> NDArray[Any]:
    """`DeepImagePrior` on a `ConvDecoder` (arXiv:2007.02471) of 64 channels and a code of 2x2, Adam at 0.01.

    Denoising is `Denoising`, inpainting `Inpainting` of its physics; both are scored by the squared misfit.
    """
    import deepinv
    import torch

    picture = task.damaged if task.damaged.ndim == 3 else task.damaged[..., None]
    device = torch.device(task.device)
    measured = torch.from_numpy(np.moveaxis(picture, -1, 0).astype(np.float32))[None].to(device)
    shape = tuple(measured.shape[1:])
    if task.hole is None:
        physics = deepinv.physics.Denoising(deepinv.physics.GaussianNoise(0.0))
    else:
        known = torch.from_numpy(~task.hole).float().expand(shape).to(device)
        physics = deepinv.physics.Inpainting(img_size=shape, mask=known, device=device)
    # It draws its weights and its code from the global generator.
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(task.seed)
        network = deepinv.models.ConvDecoder(img_size=shape, in_size=CODE, channels=CHANNELS).to(device)
        prior = deepinv.models.DeepImagePrior(
            network, img_size=(CHANNELS, *CODE), iterations=task.iterations or ITERATIONS, learning_rate=0.01
        )
        restored = prior(measured, physics)
    pixels: NDArray[Any] = np.moveaxis(restored[0].detach().cpu().numpy(), 0, -1)
    return pixels.reshape(task.damaged.shape)
