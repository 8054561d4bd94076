"""`I/N`: which part of a plan a job of several has, given in words or by the array of a SLURM job."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from typing import TypeVar

from restore.errors import UsageError

__all__ = ["parse_shard", "part_of"]

T = TypeVar("T")


def parse_shard(text: str, environment: Mapping[str, str] | None = None) -> tuple[int, int]:
    """Return the part, from 1, and the number of parts.

    Args:
        text: `I/N`, or `slurm` for what SLURM_ARRAY_TASK_ID, _MIN, _STEP and _COUNT say.
        environment: where to look for these; None takes this process's.

    Raises UsageError for a text that is neither, and for `slurm` outside a job array.

    >>> parse_shard("2/3")
    (2, 3)
    >>> array = {"SLURM_ARRAY_TASK_ID": "12", "SLURM_ARRAY_TASK_MIN": "10", "SLURM_ARRAY_TASK_COUNT": "4"}
    >>> parse_shard("slurm", array)
    (3, 4)
    """
    if text == "slurm":
        return _slurm(os.environ if environment is None else environment)
    match = re.fullmatch(r"(\d+)/(\d+)", text)
    if match is None or not 1 <= int(match[1]) <= int(match[2]):
        raise UsageError(f"--shard takes I/N, part I of N from 1/N to N/N, or slurm, not {text!r}.")
    return int(match[1]), int(match[2])


def part_of(things: Sequence[T], shard: str | None) -> Sequence[T]:
    """Return the part of a shard: every N-th thing, so that all parts cost about the same; all of them without one.

    Raises UsageError as `parse_shard`.
    """
    if shard is None:
        return things
    index, count = parse_shard(shard)
    return things[index - 1 :: count]


def _slurm(environment: Mapping[str, str]) -> tuple[int, int]:
    try:
        number, count = int(environment["SLURM_ARRAY_TASK_ID"]), int(environment["SLURM_ARRAY_TASK_COUNT"])
        first, step = int(environment.get("SLURM_ARRAY_TASK_MIN", 0)), int(environment.get("SLURM_ARRAY_TASK_STEP", 1))
    except (KeyError, ValueError) as error:
        raise UsageError(
            "--shard slurm reads SLURM_ARRAY_TASK_ID and SLURM_ARRAY_TASK_COUNT, which are not set: use it in a job "
            "array (sbatch --array), or give I/N."
        ) from error
    index = (number - first) // step + 1
    if not 1 <= index <= count:
        raise UsageError(f"SLURM's array says part {index} of {count}, which is none: give I/N.")
    return index, count
