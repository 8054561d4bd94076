"""Claims of the literature that can be measured again: what they say, what was found, and the verdict on them."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from restore.errors import unknown_name
from restore.studies.reproductions import MODULES

__all__ = ["Claim", "Conditions", "Curve", "Outcome", "Result", "Verdict", "all_claims", "choose", "reproduce"]


class Verdict(StrEnum):
    """What a measurement says of a claim.

    met: what is claimed was seen.
    refuted: it was not seen, and the outcome says why it does not follow from the paper's own equations.
    not_reproduced: it was not seen.
    """

    met = "met"
    refuted = "refuted"
    not_reproduced = "not reproduced"


@dataclass(frozen=True)
class Curve:
    """A line of the figure: `x` and `y` of equal length, its name, and whether it is drawn dashed, as a limit."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    dashed: bool = False


@dataclass(frozen=True)
class Outcome:
    """What a measurement found.

    Attributes:
        measured: the figures, by name.
        threshold: what they had to be, in words.
        verdict: on the claim.
        curves: of the figure.
        axes: labels of the figure's x and y.
        scales: `linear` or `log`, of x and y.
        note: why, where the verdict needs a reason; the derivation of a refutation.
    """

    measured: Mapping[str, Any]
    threshold: str
    verdict: Verdict
    curves: Sequence[Curve] = ()
    axes: tuple[str, str] = ("", "")
    scales: tuple[str, str] = ("linear", "linear")
    note: str = ""


@dataclass(frozen=True)
class Conditions:
    """How a claim is to be measured.

    Attributes:
        quick: whether a small form will do.
        seed: of every random draw.
        cells: cells to measure, where the claim lets one choose; none of them means the claim's own.
        folder: where a long measurement keeps its state, to go on from when it is started again; None keeps nothing.
        cap: seconds that one training may take.
        say: told of progress, a line at a time.
    """

    quick: bool = False
    seed: int = 0
    cells: tuple[str, ...] = ()
    folder: Path | None = None
    cap: float = 900.0
    say: Callable[[str], None] = field(default=lambda line: None, compare=False)


@dataclass(frozen=True)
class Claim:
    """A claim of the literature.

    Attributes:
        name: by which it is asked for.
        text: what is claimed, in a sentence.
        source: the paper, with its DOI or arXiv number.
        published: the published figure, or None where none is known.
        expected: the verdict that a measurement has given before; another one now is a failure.
        measure: what measures it.
        takes_cells: whether one may choose the cells.
    """

    name: str
    text: str
    source: str
    published: str | None
    expected: Verdict
    measure: Callable[[Conditions], Outcome]
    takes_cells: bool = False


@dataclass(frozen=True)
class Result:
    """A claim that was measured, in `seconds`."""

    claim: Claim
    outcome: Outcome
    seconds: float

    @property
    def failed(self) -> bool:
        """Whether the claim was not reproduced, or the verdict is another one than was found before."""
        return self.outcome.verdict is Verdict.not_reproduced or self.outcome.verdict is not self.claim.expected

    def row(self) -> dict[str, Any]:
        """Return the result for JSON."""
        return {
            "name": self.claim.name,
            "claim": self.claim.text,
            "source": self.claim.source,
            "published": self.claim.published,
            "measured": dict(self.outcome.measured),
            "threshold": self.outcome.threshold,
            "verdict": str(self.outcome.verdict),
            "note": self.outcome.note,
            "seconds": round(self.seconds, 1),
        }


def all_claims() -> list[Claim]:
    """Return every claim, in the order of `restore.studies.reproductions.MODULES`."""
    found: list[Claim] = []
    for name in MODULES:
        found += importlib.import_module(f"restore.studies.reproductions.{name}").CLAIMS
    return found


def choose(names: Sequence[str]) -> list[Claim]:
    """Return the claims of these names, all of them for `all`.

    Raises UsageError for a name that no claim has, offering the nearest one.
    """
    known = {claim.name: claim for claim in all_claims()}
    if "all" in names:
        return list(known.values())
    for name in names:
        if name not in known:
            raise unknown_name("claim", name, [*known, "all"])
    return [known[name] for name in names]


def reproduce(claim: Claim, conditions: Conditions) -> Result:
    """Measure a claim."""
    began = time.perf_counter()
    outcome = claim.measure(conditions)
    return Result(claim, outcome, time.perf_counter() - began)
