"""The peers by name, what each of them can do, and what it needs."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from restore.peers import classical, deepinv_prior

__all__ = ["PEERS", "Peer", "Task", "missing_packages"]

Pixels: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True)
class Task:
    """What a peer is given.

    Attributes:
        damaged: float64 (H, W) or (H, W, C) in [0, 1]; 0 where pixels are missing.
        hole: bool (H, W), True where they are; None for denoising.
        sigma: what the peer is told of the noise, in the units of `damaged`; None unless it must be told.
        seed: of what it draws.
        device: where a peer of networks runs.
        iterations: steps of a peer that takes them; None takes its own number.
    """

    damaged: Pixels
    hole: NDArray[np.bool_] | None = None
    sigma: float | None = None
    seed: int = 0
    device: str = "cpu"
    iterations: int | None = None


@dataclass(frozen=True)
class Peer:
    """One method.

    Attributes:
        title: its name for a reader, and where it comes from.
        kinds: problems that it can do, of `denoise` and `inpaint`.
        packages: modules that must be installed beside those that `restore` needs.
        told: what it is told of the noise: `nominal` (the sigma that was added), `effective` (the standard deviation
            of what clipping left of it, which nobody without the true picture knows), or `nothing`.
        run: restores a task; returns (H, W) or (H, W, C), clipped to [0, 1] or not.
    """

    title: str
    kinds: tuple[Literal["denoise", "inpaint"], ...]
    packages: tuple[str, ...]
    told: Literal["nominal", "effective", "nothing"]
    run: Callable[[Task], NDArray[Any]]


def missing_packages(peer: Peer) -> list[str]:
    """Return what has to be installed before `peer` can run."""
    return [name for name in peer.packages if importlib.util.find_spec(name) is None]


PEERS: Mapping[str, Peer] = {
    "nlm": Peer("non-local means, scikit-image, told sigma", ("denoise",), (), "nominal", classical.nlm),
    "tv": Peer("total variation, scikit-image, calibrated by J-invariance", ("denoise",), (), "nothing", classical.tv),
    "wavelet": Peer(
        "wavelets, BayesShrink with cycle spinning, scikit-image, told sigma",
        ("denoise",),
        ("pywt",),
        "nominal",
        classical.wavelet,
    ),
    "bm3d": Peer("BM3D, CBM3D in colour, told sigma", ("denoise",), ("bm3d",), "nominal", classical.bm3d),
    "bm3d-effective": Peer(
        "BM3D, CBM3D in colour, told what clipping left of sigma",
        ("denoise",),
        ("bm3d",),
        "effective",
        classical.bm3d,
    ),
    "bm3d-unclipped": Peer(
        "BM3D, CBM3D in colour, told sigma, its clipping undone as in ours",
        ("denoise",),
        ("bm3d",),
        "nominal",
        classical.bm3d_unclipped,
    ),
    "biharmonic": Peer("biharmonic equation, scikit-image", ("inpaint",), (), "nothing", classical.biharmonic),
    "deepinv": Peer(
        "deep image prior with ConvDecoder, deepinv, last step",
        ("denoise", "inpaint"),
        ("deepinv",),
        "nothing",
        deepinv_prior.deep_image_prior,
    ),
}
