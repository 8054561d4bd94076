"""A trial in which a peer takes the place of the fit, and its figures."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from restore.errors import FitError, UsageError, unknown_name
from restore.figures import against_reference
from restore.fitting.memory import peak_mb
from restore.fitting.precision import resolve_device
from restore.images import Picture, encode
from restore.peers import PEERS, Peer, Task, missing_packages
from restore.runs.trial import Source, Trial

__all__ = ["check_peer", "measure_peer"]

Array = np.ndarray[Any, Any]


def check_peer(name: str, sources: Sequence[Source]) -> None:
    """Raise UsageError for a peer that does not exist, is not installed, or cannot do what `sources` ask for."""
    if name not in PEERS:
        raise unknown_name("peer", name, PEERS)
    peer = PEERS[name]
    absent = missing_packages(peer)
    if absent:
        raise UsageError(f"the peer {name!r} needs {', '.join(absent)}: pip install 'restore[peers]', or leave it out.")
    for source in sources:
        kind = _kind(source)
        if kind not in peer.kinds:
            able = ", ".join(sorted(one for one, each in PEERS.items() if kind in each.kinds))
            raise UsageError(f"the peer {name!r} does not {kind}; these do: {able}.")
        if peer.told != "nothing" and source.damage is None:
            raise UsageError(f"the peer {name!r} is told the noise, so it needs degradations by noise.")


def measure_peer(
    trial: Trial, damaged: Array, hole: Array | None, true: Array | None
) -> tuple[dict[str, Any], bytes | None]:
    """Let a peer restore one trial; return those figures that it has, and the picture (PNG, 8 bits).

    Args:
        damaged, hole, true: as `restore.runs.execute.prepare` gives them.

    Raises UsageError as `check_peer`, FitError for a result that is no picture.
    """
    assert trial.peer is not None
    check_peer(trial.peer, [trial.source])
    peer = PEERS[trial.peer]
    device = str(resolve_device(trial.settings.device)) if "deepinv" in peer.packages else "cpu"
    before = _unit(damaged)
    pixels = np.moveaxis(before, 0, -1).astype(np.float64)
    task = Task(
        damaged=pixels[..., 0] if len(before) == 1 else pixels,
        hole=hole,
        sigma=_told(peer, trial.source, before, true),
        seed=trial.settings.seed,
        device=device,
        iterations=trial.settings.iterations,
    )
    began = time.perf_counter()
    restored = peer.run(task)
    seconds = time.perf_counter() - began
    if restored.shape != task.damaged.shape or not np.isfinite(restored).all():
        raise FitError(f"the peer {trial.peer!r} gave no picture of the shape {task.damaged.shape} without NaN.")
    if hole is not None:
        where = hole if restored.ndim == 2 else hole[..., None]
        restored = np.where(where, restored, task.damaged)
    written = Picture.from_array(np.rint(255 * np.clip(restored, 0, 1)).astype(np.uint8))
    scores = against_reference(before, written.quantised(), None if true is None else _unit(true), hole)
    del scores["null_reasons"]
    figures = {
        **scores,
        "iterations": trial.settings.iterations if "deepinv" in peer.packages else None,
        "sigma": None if task.sigma is None else 255 * task.sigma,
        "device": device,
        "seconds": round(seconds, 3),
        "peak_memory_mb": peak_mb(device),
    }
    return figures, encode(written, "PNG")


def _kind(source: Source) -> str:
    holed = source.mask is not None or (source.damage is not None and source.damage.kind != "noise")
    return "inpaint" if holed else "denoise"


def _told(peer: Peer, source: Source, damaged: Array, true: Array | None) -> float | None:
    if peer.told == "nothing" or source.damage is None:
        return None
    if peer.told == "effective":
        assert true is not None  # there is a degradation
        return float((damaged - _unit(true)).std())
    return float(source.damage.amount) / 255


def _unit(pixels: Array) -> Array:
    """Return (C, H, W), float32 in [0, 1]."""
    return Picture.from_array(pixels).pixels
