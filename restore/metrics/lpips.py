"""The learned perceptual distance LPIPS, where its packages and the weights of its trunk are at hand.

The trunk is a network trained on ImageNet whose weights the `lpips` package does not bring along. They are read from a
file and never fetched unasked; whatever is missing gives an `LpipsUnavailable` with the remedy, not an exception.
Neither torchvision nor lpips is imported before a distance is asked for.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib
import pickle
import sys
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from restore.errors import InputError, unknown_name
from restore.metrics.checks import check_same_shape

__all__ = ["TRUNKS", "LpipsUnavailable", "Trunk", "fetch_weights", "lpips_distance", "trunk_weights"]


@dataclass(frozen=True)
class LpipsUnavailable:
    """Why there is no LPIPS (`reason`), and what would bring it (`hint`)."""

    reason: str
    hint: str


@dataclass(frozen=True)
class Trunk:
    """A network whose features LPIPS compares: its torchvision weights and the smallest image side that survives it."""

    title: str
    torchvision_weights: str
    least_side: int


TRUNKS = {
    "alex": Trunk("AlexNet", "AlexNet_Weights", 31),
    "vgg": Trunk("VGG-16", "VGG16_Weights", 16),
    "squeeze": Trunk("SqueezeNet 1.1", "SqueezeNet1_1_Weights", 17),
}

_FETCH_HINT = "restore doctor --fetch-lpips downloads the weights"


def lpips_distance(
    estimate: Tensor, reference: Tensor, *, trunk: str = "alex", weights: Path | str | None = None
) -> Tensor | LpipsUnavailable:
    """Return the perceptual distance of each image, 0 if equal, or why there is none.

    LPIPS version 0.1: the squared differences of the trunk's unit-length features, weighted by learned factors,
    averaged over positions and summed over layers (Zhang, Isola, Efros, Shechtman and Wang, arXiv 1801.03924).

    Args:
        estimate: (..., C, H, W) in [0, 1], C being 1 (repeated three times) or 3.
        reference: of the same shape.
        trunk: a name in `TRUNKS`.
        weights: the trunk's state dict; without it, the file torchvision would use in TORCH_HOME/hub/checkpoints.

    Returns (...): a scalar tensor for one image.

    Raises InputError for shapes that differ, UsageError for an unknown trunk.
    """
    check_same_shape(estimate, reference)
    spec = _trunk(trunk)
    channels, *size = estimate.shape[-3:]
    if channels not in (1, 3):
        return LpipsUnavailable(f"LPIPS compares grey or RGB images, not {channels} channels.", "convert to RGB first")
    if min(size) < spec.least_side:
        return LpipsUnavailable(
            f"LPIPS with {spec.title} needs images of at least {spec.least_side} pixels a side, not {min(size)}.",
            "compare larger images",
        )
    path = trunk_weights(trunk, weights)
    if isinstance(path, LpipsUnavailable):
        return path
    network = _load(trunk, path, path.stat().st_mtime_ns)
    if isinstance(network, LpipsUnavailable):
        return network
    network = network.to(estimate.device)
    pair = (image.float().reshape(-1, channels, *size).expand(-1, 3, -1, -1) for image in (estimate, reference))
    with torch.no_grad():
        distance: Tensor = network(*pair, normalize=True)
    return distance.reshape(estimate.shape[:-3])


def trunk_weights(trunk: str = "alex", weights: Path | str | None = None) -> Path | LpipsUnavailable:
    """Return the file that holds the weights of `trunk`, or why LPIPS cannot work here; the file is not read.

    Raises UsageError for an unknown trunk.
    """
    spec = _trunk(trunk)
    url = _weights_url(spec)
    if isinstance(url, LpipsUnavailable):
        return url
    path = _cached(url) if weights is None else Path(weights)
    if path.is_file():
        return path
    return LpipsUnavailable(
        f"the {spec.title} weights that LPIPS needs are not at {path}.",
        _FETCH_HINT if weights is None else "name the file with the trunk's state dict",
    )


def fetch_weights(trunk: str = "alex") -> Path:
    """Download the weights of `trunk` to TORCH_HOME/hub/checkpoints, unless they are there whole; return their file.

    Raises UsageError for an unknown trunk; InputError where torchvision or lpips cannot be imported, and for a download
    that fails or does not match the checksum in its name.
    """
    spec = _trunk(trunk)
    url = _weights_url(spec)
    if isinstance(url, LpipsUnavailable):
        raise InputError(f"{url.reason} Remedy: {url.hint}.")
    path = _cached(url)
    checksum = path.stem.rsplit("-", 1)[-1]
    if path.is_file() and _sha256(path).startswith(checksum):
        return path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(url, str(path), hash_prefix=checksum)
    except (OSError, RuntimeError) as error:
        raise InputError(
            f"the {spec.title} weights could not be fetched ({_first_line(error)}): check the connection, or put {url} "
            f"at {path}."
        ) from error
    return path


def _trunk(name: str) -> Trunk:
    if name not in TRUNKS:
        raise unknown_name("LPIPS trunk", name, TRUNKS)
    return TRUNKS[name]


def _weights_url(spec: Trunk) -> str | LpipsUnavailable:
    """Return where torchvision gets the trunk's weights, or why LPIPS cannot be computed whatever file there is."""
    try:
        models, _ = _import("torchvision.models"), _import("lpips")
    # torchvision built for another torch raises RuntimeError: operator torchvision::nms does not exist.
    except (ImportError, RuntimeError, OSError, AttributeError) as error:
        return LpipsUnavailable(
            f"LPIPS needs torchvision and lpips, which cannot be imported here ({_first_line(error)}).",
            "install torchvision and lpips in the versions that belong to the installed torch",
        )
    return str(getattr(models, spec.torchvision_weights).IMAGENET1K_V1.url)


def _cached(url: str) -> Path:
    return Path(torch.hub.get_dir(), "checkpoints", Path(url).name)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _import(name: str) -> Any:
    with _quiet():
        return importlib.import_module(name)


@functools.lru_cache(maxsize=2)
def _load(trunk: str, path: Path, modified: int) -> torch.nn.Module | LpipsUnavailable:
    """Return the distance network with the trunk's weights from `path`; `modified` tells versions of a file apart."""
    try:
        source = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, ValueError, pickle.UnpicklingError, zipfile.BadZipFile) as error:
        return _unusable(trunk, path, _first_line(error))
    if not isinstance(source, Mapping):
        return _unusable(trunk, path, f"it holds a {type(source).__name__} instead of a state dict")
    # The random weights it starts from must not advance the global generator.
    with _quiet(), torch.random.fork_rng(devices=[]):
        network: torch.nn.Module = _import("lpips").LPIPS(net=trunk, pnet_rand=True, verbose=False)
    features = network.get_submodule("net")
    loaded: dict[str, Tensor] = {}
    for key, parameter in features.state_dict().items():
        # lpips splits torchvision's `features` into slices whose layers keep their number.
        name = "features." + key.split(".", 1)[1]
        value = source.get(name)
        if not isinstance(value, Tensor):
            return _unusable(trunk, path, f"it has no tensor {name!r}")
        if value.shape != parameter.shape:
            return _unusable(trunk, path, f"{name!r} has shape {tuple(value.shape)}, not {tuple(parameter.shape)}")
        loaded[key] = value
    features.load_state_dict(loaded)
    return network.requires_grad_(False).eval()


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep lpips and torchvision from writing to stdout and from warning of the calls they make to each other."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(sys.stderr):
        warnings.simplefilter("ignore")
        yield


def _unusable(trunk: str, path: Path, what: str) -> LpipsUnavailable:
    return LpipsUnavailable(f"{path} does not hold the weights of {TRUNKS[trunk].title}: {what}.", _FETCH_HINT)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
