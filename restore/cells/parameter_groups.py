"""Optimiser parameter groups: the entries of skew matrices learn more slowly than the rest."""

from __future__ import annotations

from typing import Any

from torch import nn
from torch.nn.utils import parametrize

from restore.cells.cayley import ScaledCayley

__all__ = ["parameter_groups"]


def parameter_groups(module: nn.Module, rate: float, *, skew: float = 0.1, phases: float = 1.0) -> list[dict[str, Any]]:
    """Return groups for a torch optimiser with the learning rates that the Cayley maps in `module` need.

    The groups are named "free" (everything else, at `rate`), "skew" (the entries of every A, at `skew * rate`) and
    "phases" (every theta, at `phases * rate`); empty ones are left out. A tenth is the rule of arXiv:1707.09520.

    >>> from restore.cells import make_cell
    >>> groups = parameter_groups(make_cell("scurnn", 8), rate=1e-3)
    >>> [(group["name"], f"{group['lr']:g}") for group in groups]
    [('free', '0.001'), ('skew', '0.0001'), ('phases', '0.001')]
    """
    entries: list[nn.Parameter] = []
    angles: list[nn.Parameter] = []
    for part in module.modules():
        if isinstance(part, parametrize.ParametrizationList) and isinstance(part[0], ScaledCayley):
            vectors = list(part.parameters(recurse=False))
            entries += vectors[: part[0].skew_count]
            angles += vectors[part[0].skew_count :]
    special = {id(parameter) for parameter in entries + angles}
    free = [parameter for parameter in module.parameters() if id(parameter) not in special]
    groups = [
        {"name": "free", "params": free, "lr": rate},
        {"name": "skew", "params": entries, "lr": skew * rate},
        {"name": "phases", "params": angles, "lr": phases * rate},
    ]
    return [group for group in groups if group["params"]]
