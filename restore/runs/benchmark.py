"""A benchmark is an ablation whose variants are methods: fits with settings of their own, and peers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from restore.errors import UsageError, unknown_name
from restore.peers import PEERS, missing_packages
from restore.runs.ablation import Ablation
from restore.runs.config import ablation_of
from restore.runs.document import Document, parse_value
from restore.runs.inputs import find_inputs

__all__ = ["OWN", "benchmark", "standard_methods"]

Kind = Literal["denoise", "inpaint"]

OWN: Mapping[str, Mapping[str, Any]] = {
    "restore": {},
    "restore-fast": {"preset": "fast"},
    "restore-best": {"preset": "best"},
    "dip-paper": {"preset": "paper", "prior": "dip"},
    "decoder-paper": {"preset": "paper", "prior": "decoder"},
    "dip": {"prior": "dip", "objective": "fit"},
    "decoder": {"prior": "decoder"},
}
"""Our own methods by name. `dip-paper` and `decoder-paper` are the published settings, run to their end."""


ASKED_FOR = ("bm3d-effective", "bm3d-unclipped", "deepinv")
"""Peers that a benchmark takes only by name: they are slow, or a variant of another."""


def standard_methods(kind: Kind) -> tuple[list[str], list[str]]:
    """Return the methods of a benchmark that names none, ours and the quick peers, and those peers not installed.

    The published fits take hours on a CPU, so they are only run when they are named; so is deepinv's.
    """
    quick = [name for name, peer in PEERS.items() if kind in peer.kinds and name not in ASKED_FOR]
    absent = [name for name in quick if missing_packages(PEERS[name])]
    return ["restore", *(name for name in quick if name not in absent)], absent


def benchmark(
    kind: Kind,
    images: Sequence[str | Path],
    amounts: Sequence[float],
    methods: Sequence[str],
    *,
    seeds: int = 1,
    crop: int | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Ablation:
    """Return the ablation that measures `methods` on `images`.

    Args:
        kind: what is measured.
        images: pictures, and folders of them.
        amounts: of the noise (0 to 255 scale), or shares of missing pixels.
        methods: names in `OWN` or `PEERS`; behind an own one settings may follow, `restore:norm=none:seed=1`.
        seeds: number of seeds of each method; the damage is the same for all.
        crop: side of the square in the middle that is used; None for all of the picture.
        settings: of all own methods, and device and iterations of the peers.

    Raises RestoreError for what cannot be run.
    """
    if not amounts or not methods:
        raise UsageError("a benchmark needs at least one amount of damage and one method.")
    if len(set(methods)) < len(methods):
        raise UsageError(f"a method stands twice in {', '.join(methods)}.")
    own: dict[str, Any] = {}
    peers: list[str] = []
    for method in methods:
        if method in PEERS:
            peers.append(method)
        else:
            own[method] = _own(method)
    value: dict[str, Any] = {
        "name": f"{kind} benchmark",
        "images": [{"path": str(wanted.image.absolute())} for wanted in find_inputs([str(path) for path in images])],
        "degradations": [{"noise" if kind == "denoise" else "missing": float(amount)} for amount in amounts],
        "seeds": list(range(seeds)),
        "settings": dict(settings or {}),
        "peers": peers,
        **({} if crop is None else {"crop": crop}),
        **({"variants": own} if own else {}),
    }
    document = Document(Path(f"bench {kind}"), value)
    for part, option in {"images": "--images", "degradations": "amounts", "peers": "--methods"}.items():
        document.origins[(part,)] = option
    document.origins[("variants",)] = "--methods"
    return ablation_of(document, at_least=1)


def _own(method: str) -> dict[str, Any]:
    """Return the settings of one of our methods, with those that its name brings along."""
    name, *changes = method.split(":")
    if name not in OWN:
        raise unknown_name("method", name, (*OWN, *PEERS))
    found = dict(OWN[name])
    for change in changes:
        key, equals, text = change.partition("=")
        if not equals:
            raise UsageError(f"the method {method!r} takes settings as KEY=VALUE, not {change!r}.")
        found[key] = parse_value(text)
    return found
