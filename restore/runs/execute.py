"""One trial, from its files to its figures: what an executor runs."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np

from restore import api
from restore.errors import InputError, OutputError
from restore.fitting import Observer
from restore.fitting.memory import forget_peak
from restore.images import Picture, encode, read, read_mask
from restore.problems.degrade import add_gaussian_noise, apply_mask, random_mask, scratch_mask, text_mask
from restore.restoration import Restoration
from restore.runs.claims import Holder
from restore.runs.peer_work import measure_peer
from restore.runs.store import Record, Store
from restore.runs.trial import Damage, Source, Trial, content_hash
from restore.session import Announce
from restore.settings import FitSettings

__all__ = ["FIGURES", "carry_out", "measure", "open_store", "prepare"]

Array = np.ndarray[Any, Any]

FIGURES = (
    *("psnr_input", "psnr", "psnr_hole", "psnr_peak", "psnr_final", "psnr_network", "ssim", "lpips"),
    *("psnr_estimate", "psnr_estimate_error", "loss", "iterations", "iteration_best", "stop_reason"),
    *("sigma", "parameters", "device", "precision", "threads"),
    *("seconds", "seconds_per_iteration", "peak_memory_mb"),
)
"""What a record keeps of a trial's report, and the last loss of its trace."""


def carry_out(folder: str, trial: Trial, again: bool = False) -> Record | None:
    """Run one trial and put its result into the store at `folder`; return its record.

    None says that there was nothing to do here: it has ended, or another process runs it. What goes wrong in the trial
    itself becomes a record of the status `failed`.

    Args:
        again: whether a trial that failed may be run once more.

    Raises OutputError where the store cannot be written, KeyboardInterrupt for Ctrl-C.
    """
    store = open_store(folder)
    claim = store.claim(trial.id, again=again)
    if claim is None:
        return None
    with claim:
        curves: dict[str, Array] = {}
        picture: bytes | None = None
        try:
            forget_peak()
            if trial.peer is None:
                result = measure(trial)
                found, curves, picture = _figures(result), result.curves(), _picture(result)
                figures = {"status": "done", "error": None, **found, "warnings": result.report["warnings"]}
            else:
                found, picture = measure_peer(trial, *prepare(trial.source))
                figures = {"status": "done", "error": None, **dict.fromkeys(FIGURES), **found, "warnings": []}
        except OutputError:
            raise
        except Exception as error:  # whatever befalls one trial must not end the others
            reason = str(error).strip() or type(error).__name__
            figures = {"status": "failed", "error": reason, **dict.fromkeys(FIGURES), "warnings": []}
        holder = Holder.this()
        ended = datetime.now(UTC).isoformat(timespec="seconds")
        record = {**trial.columns(), **figures, "ended": ended, "host": holder.host, "process": holder.process}
        store.keep(record, curves, picture)
    return record


def measure(trial: Trial, observers: Sequence[Observer] = (), announce: Announce | None = None) -> Restoration:
    """Fit one trial.

    Args:
        observers, announce: as for `restore.denoise`.

    Raises InputError where a file is not what the plan was made from, KeyboardInterrupt for Ctrl-C in a fit, and as
    `restore.denoise` and `restore.inpaint`.
    """
    source = trial.source
    for role, path in (("image", source.image), ("mask", source.mask), ("reference", source.reference)):
        if path is not None and content_hash(path) != source.content[role]:
            raise InputError(f"{path!r} has changed since the plan was made: run the plan again.")
    damaged, mask, reference = prepare(source)
    settings = {name: getattr(trial.settings, name) for name in FitSettings.__dataclass_fields__}
    shared: dict[str, Any] = {"reference": reference, "observers": observers, "announce": announce, **settings}
    if mask is None:
        result = api.denoise(damaged, sigma=source.sigma, **shared)
    else:
        sigma = 0.0 if source.sigma == "auto" else source.sigma
        result = api.inpaint(damaged, mask, sigma=sigma, **shared)
    if result.fitted.stop_reason == "interrupted":
        raise KeyboardInterrupt
    return result


def prepare(source: Source) -> tuple[Array, Array | None, Array | None]:
    """Return the damaged picture, the hole (bool, (H, W); None for denoising) and the true picture or None, as arrays.

    Raises InputError for files that are no pictures, or a crop that is not inside them.
    """
    picture = read(source.image)
    if source.damage is not None:
        unit = np.moveaxis(picture.quantised(), 0, -1)
        true = _crop(unit[..., 0] if picture.channels == 1 else unit, source)
        damaged, mask = _damage(true, source.damage)
        return damaged, mask, true
    damaged = _crop(picture.to_array(), source)
    mask = None
    if source.mask is not None:
        mask = _crop(read_mask(source.mask, picture.size, invert=source.mask_invert), source)
    reference = None if source.reference is None else _crop(read(source.reference).to_array(), source)
    return damaged, mask, reference


@functools.lru_cache(maxsize=8)
def open_store(folder: str) -> Store:
    """Return the store, which remembers what it has read, from trial to trial of one process."""
    return Store(folder)


def _damage(true: Array, damage: Damage) -> tuple[Array, Array | None]:
    size = (true.shape[0], true.shape[1])
    if damage.kind == "noise":
        return add_gaussian_noise(true, float(damage.amount), damage.seed), None
    if damage.kind == "missing":
        mask = random_mask(size, float(damage.amount), damage.seed)
    elif damage.kind == "scratches":
        mask = scratch_mask(size, int(damage.amount), damage.seed)
    else:
        mask = text_mask(size, str(damage.amount))
    return apply_mask(true, mask), mask


def _crop(array: Array, source: Source) -> Array:
    if source.crop is None:
        return array
    top, left, height, width = source.crop
    if top + height > array.shape[0] or left + width > array.shape[1]:
        raise InputError(
            f"the crop {list(source.crop)} (top, left, height, width) is not inside {source.image!r}, "
            f"{array.shape[1]}x{array.shape[0]}."
        )
    return array[top : top + height, left : left + width]


def _figures(result: Restoration) -> dict[str, Any]:
    loss = result.trace.loss[-1] if result.trace.loss else None
    found = {**result.report, "loss": loss if loss is not None and math.isfinite(loss) else None}
    return {name: found[name] for name in FIGURES}


def _picture(result: Restoration) -> bytes:
    """Return the restored picture as a PNG of 8 bits."""
    pixels = np.moveaxis(np.rint(255 * result.picture.pixels.clip(0, 1)).astype(np.uint8), 0, -1)
    return encode(Picture.from_array(pixels), "PNG")
