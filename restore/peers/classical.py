"""Peers that fit no network. Each takes a `Task` and returns the restored picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from restore.problems.clipping import undo_clipping

if TYPE_CHECKING:
    from restore.peers.registry import Task

__all__ = ["biharmonic", "bm3d", "bm3d_unclipped", "nlm", "tv", "wavelet"]

WEIGHTS = (0.02, 0.04, 0.06, 0.08, 0.12, 0.16, 0.24)
"""Weights of the total variation that are tried."""


def nlm(task: Task) -> NDArray[Any]:
    """Non-local means of 5x5 patches within 13x13, h = 0.8 sigma (Buades et al., doi:10.1109/CVPR.2005.38).

    The settings are those of scikit-image's example gallery for its fast algorithm, which takes the noise's expected
    share off the patches' distances.
    """
    from skimage.restoration import denoise_nl_means

    sigma = _told(task)
    restored: NDArray[Any] = denoise_nl_means(
        task.damaged, patch_size=5, patch_distance=6, h=0.8 * sigma, sigma=sigma, fast_mode=True, **_channels(task)
    )
    return restored


def tv(task: Task) -> NDArray[Any]:
    """Total variation (Chambolle, doi:10.1023/B:JMIV.0000011325.36760.1e), weight by self-supervision.

    Of `WEIGHTS` the one is taken whose blind-spot error is least (Batson and Royer, arXiv:1901.11365), so it is told
    nothing.
    """
    from skimage.restoration import calibrate_denoiser, denoise_tv_chambolle

    tried = {"weight": WEIGHTS, **{name: [value] for name, value in _channels(task).items()}}
    calibrate: Any = calibrate_denoiser
    best = calibrate(task.damaged, denoise_tv_chambolle, denoise_parameters=tried, stride=3)
    restored: NDArray[Any] = best(task.damaged)
    return restored


def wavelet(task: Task) -> NDArray[Any]:
    """BayesShrink (Chang et al., doi:10.1109/83.862633) in YCbCr, averaged over 4x4 shifts."""
    from skimage.restoration import cycle_spin, denoise_wavelet

    options = {
        "sigma": _told(task),
        "method": "BayesShrink",
        "mode": "soft",
        "rescale_sigma": True,
        "convert2ycbcr": task.damaged.shape[2:] == (3,),
        **_channels(task),
    }
    restored: NDArray[Any] = cycle_spin(
        task.damaged,
        max_shifts=3,
        func=denoise_wavelet,
        func_kw=options,
        workers=1,
        **_channels(task),
    )
    return restored


def bm3d(task: Task) -> NDArray[Any]:
    """BM3D (Dabov et al., doi:10.1109/TIP.2007.901238), of three channels CBM3D (doi:10.1109/ICIP.2007.4378954).

    The package `bm3d` (Makinen et al., doi:10.1109/TIP.2020.3014721) with its standard profile; its licence excludes
    commercial use.
    """
    import bm3d as package

    sigma = _told(task)
    if task.damaged.shape[2:] == (3,):
        return np.asarray(package.bm3d_rgb(task.damaged, sigma))
    return np.asarray(package.bm3d(task.damaged, sigma)).reshape(task.damaged.shape)


def bm3d_unclipped(task: Task) -> NDArray[Any]:
    """BM3D as above, whose white and black are then put back where clipping to [0, 1] took them from.

    The mean of clipped noise is undone as in our own results (Foi, doi:10.1016/j.sigpro.2009.04.035).
    """
    return undo_clipping(bm3d(task), _told(task))


def biharmonic(task: Task) -> NDArray[Any]:
    """Fill of the biharmonic equation (Damelin and Hoang, doi:10.1155/2018/3950312)."""
    from skimage.restoration import inpaint_biharmonic

    assert task.hole is not None  # the registry gives it inpainting alone
    # The whole of a scattered hole would be one linear system: by regions of the picture it is the same fill, sooner.
    restored: NDArray[Any] = inpaint_biharmonic(task.damaged, task.hole, split_into_regions=True, **_channels(task))
    return restored


def _channels(task: Task) -> dict[str, Any]:
    return {"channel_axis": -1 if task.damaged.ndim == 3 else None}


def _told(task: Task) -> float:
    assert task.sigma is not None  # the registry says that it is told
    return task.sigma
