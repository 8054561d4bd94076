"""A trial: one fit of a plan, named by the hash of all that decides its result."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from restore.errors import InputError
from restore.settings import FitSettings

__all__ = ["Damage", "Product", "Source", "Trial", "TrialPlan", "content_hash"]

SCHEMA_VERSION = 4
"""Part of every name: raised when the same settings come to mean something else."""


@dataclass(frozen=True)
class Damage:
    """How a true picture is damaged for a test, by `restore.problems.degrade`.

    Attributes:
        kind: `noise`, `missing`, `text` or `scratches`.
        amount: the noise's sigma (0 to 255 scale), the share of missing pixels, the text, or the number of scratches.
        seed: of the damage alone.
    """

    kind: str
    amount: float | str
    seed: int = 0

    @property
    def name(self) -> str:
        """A short name: `noise25`, `missing50`, `text`, `scratches12`; another seed than 0 is named too.

        >>> Damage("missing", 0.5).name, Damage("noise", 25, seed=3).name
        ('missing50', 'noise25-seed3')
        """
        amount = 100 * self.amount if self.kind == "missing" and isinstance(self.amount, float | int) else self.amount
        plain = self.kind if isinstance(amount, str) else f"{self.kind}{amount:g}"
        return plain if self.seed == 0 else f"{plain}-seed{self.seed}"


@dataclass(frozen=True)
class Source:
    """Where the problem of a trial comes from.

    Attributes:
        image: path of the picture; the true one where there is a `damage`, otherwise the damaged one.
        content: SHA-256 of each file that is read, by role: `image`, `mask`, `reference`.
        crop: top, left, height and width of the part that is used; None for all of it.
        damage: what is done to the picture first; None for a picture that is damaged already.
        mask: path of an inpainting mask, white is the hole; None for denoising.
        mask_invert: whether black is the hole.
        reference: path of the true picture of a damaged one; None where there is none.
        sigma: of the noise, 0 to 255 scale, or `auto`, which estimates it.
    """

    image: str
    content: Mapping[str, str]
    crop: tuple[int, int, int, int] | None = None
    damage: Damage | None = None
    mask: str | None = None
    mask_invert: bool = False
    reference: str | None = None
    sigma: float | Literal["auto"] = "auto"

    @property
    def identity(self) -> dict[str, Any]:
        """All that decides the problem: what is in the files, not what they are called."""
        damage = None if self.damage is None else dataclasses.asdict(self.damage)
        content = dict(self.content)
        return {
            **{"content": content, "crop": self.crop, "damage": damage},
            **{"mask_invert": self.mask_invert, "sigma": self.sigma},
        }


@dataclass(frozen=True)
class Product:
    """The file that a trial of a batch leaves behind.

    Attributes:
        command: `denoise` or `inpaint`.
        output: path of the restored picture, relative to the folder of the batch.
        health, baseline, curves: as the options of `restore denoise`.
    """

    command: str
    output: str
    health: bool = False
    baseline: str | None = None
    curves: bool = False


@dataclass(frozen=True)
class Trial:
    """One fit of a plan, or of a batch the fits of all pages of one file.

    Attributes:
        source: where its problem comes from.
        settings: of its fit; the seed is one of them.
        variant: what the plan calls these settings, seed apart.
        picture: what the plan calls the picture.
        factors: the settings that the plan varies, by their dotted names.
        product: what it leaves behind, in a batch; None otherwise.
        peer: the method in `restore.peers` that takes the place of the fit; None for a fit.
    """

    source: Source
    settings: FitSettings
    variant: str = ""
    picture: str = ""
    factors: Mapping[str, Any] = field(default_factory=dict)
    product: Product | None = None
    peer: str | None = None

    @functools.cached_property
    def id(self) -> str:
        """The first 16 hexadecimal digits of the SHA-256 of the settings, the problem, the product and the peer."""
        product = {} if self.product is None else {"product": dataclasses.asdict(self.product)}
        peer = {} if self.peer is None else {"peer": self.peer}
        return _hash(
            {
                "schema": SCHEMA_VERSION,
                "settings": dataclasses.asdict(self.settings),
                "source": self.source.identity,
                **product,
                **peer,
            }
        )

    @property
    def damage(self) -> str:
        """Name of the damage; `given` for a picture that came damaged."""
        return "given" if self.source.damage is None else self.source.damage.name

    @property
    def title(self) -> str:
        """What a person calls it."""
        return f"{self.variant} | {self.picture} | {self.damage} | seed {self.settings.seed}"

    def columns(self) -> dict[str, Any]:
        """Return what names it in a table: id, variant, the varied settings, picture, damage and seed."""
        named = {"id": self.id, "variant": self.variant, **self.factors}
        if self.peer is not None:  # one of many controls, of which each is told by its name
            named["variant"] = self.variant
        return {**named, "picture": self.picture, "damage": self.damage, "seed": self.settings.seed}


@dataclass(frozen=True)
class TrialPlan:
    """Trials in the order in which they are run and reported.

    Attributes:
        name: for titles.
        trials: no two with one id.
        terms: what all trials of a plan that may grow have in common, and that alone tells it from others; None for
            a plan that is its trials.
    """

    name: str
    trials: tuple[Trial, ...]
    terms: Mapping[str, Any] | None = None

    @functools.cached_property
    def id(self) -> str:
        """The hash of the trials' ids and of what the plan calls them; of the terms of a plan that may grow."""
        if self.terms is not None:
            return _hash(self.terms)
        return _hash([[trial.id, trial.variant, trial.picture] for trial in self.trials])

    def summary(self) -> dict[str, Any]:
        """Return what a store keeps of the plan: its name and hash, and its terms or what each trial is."""
        if self.terms is not None:
            return {"schema_version": SCHEMA_VERSION, "name": self.name, "id": self.id, "terms": dict(self.terms)}
        trials = [
            {**trial.columns(), "settings": dataclasses.asdict(trial.settings), "source": trial.source.identity}
            for trial in self.trials
        ]
        return {"schema_version": SCHEMA_VERSION, "name": self.name, "id": self.id, "trials": trials}


def content_hash(path: str | Path) -> str:
    """Return the SHA-256 of a file in hexadecimal.

    Raises InputError for a file that cannot be read.
    """
    try:
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()
    except FileNotFoundError:
        raise InputError(f"no such file: {str(path)!r}.") from None
    except OSError as error:
        raise InputError(f"cannot read {str(path)!r}: {error.strerror or error}.") from error


def _hash(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
