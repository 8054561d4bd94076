"""Restored files that are there already: what they were made from, and whether they may stand for a new one."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from restore.errors import OutputError
from restore.restoration import sidecar_path
from restore.runs.store import differences
from restore.runs.trial import Trial
from restore.strict import strict

__all__ = ["already_made", "misfit", "provenance", "terms_of"]

REMEDY = "choose another output, or write over it with --existing overwrite."


def terms_of(trial: Trial) -> dict[str, Any]:
    """Return all that decides a restored file but the contents of the files that go in."""
    product, source = trial.product, trial.source
    assert product is not None
    own = {name: value for name, value in dataclasses.asdict(product).items() if name != "output"}
    return {**own, "sigma": source.sigma, "mask_invert": source.mask_invert, **dataclasses.asdict(trial.settings)}


def provenance(trial: Trial) -> dict[str, Any]:
    """Return what a report tells of where its picture came from.

    `trial` is its name; `content` the SHA-256 of each file that went in, by role; `terms` everything else.
    """
    told: dict[str, Any] = strict({"content": dict(trial.source.content), "terms": terms_of(trial)})
    return {"trial": trial.id, **told}


def already_made(path: Path, origin: Mapping[str, Any]) -> bool:
    """Return whether the picture at `path` is what a run of this origin would make; False where nothing is there.

    Raises OutputError where something else is there: another input, other settings, or a file of unknown origin.
    """
    if not os.path.lexists(path):
        return False
    reason = misfit(path, origin)
    if reason is None:
        return True
    raise OutputError(f"{str(path)!r} exists already and {reason}: {REMEDY}")


def misfit(path: Path, origin: Mapping[str, Any]) -> str | None:
    """Return why the picture at `path` is not what a run of this origin would make, in words; None if it is."""
    try:
        theirs = json.loads(sidecar_path(path).read_text(encoding="utf-8"))
        name, content, terms = theirs["trial"], theirs["content"], theirs["terms"]
    except (OSError, ValueError, KeyError, TypeError):
        return "no report beside it says that it was made here"
    if name == origin["trial"]:
        return None
    changed = {**content, **origin["content"]}
    roles = [role for role in changed if content.get(role) != origin["content"].get(role)]
    told = [f"the {role} was {_short(content, role)} and is now {_short(origin['content'], role)}" for role in roles]
    if terms != origin["terms"]:
        told.append(differences(terms, origin["terms"]))
    return f"was made from something else ({', '.join(told) or 'under another name'})"


def _short(content: Mapping[str, str], role: str) -> str:
    return f"SHA-256 {content[role][:8]}..." if role in content else "none"
