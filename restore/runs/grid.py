"""The settings of an ablation: named variants, a Cartesian sweep, or both multiplied."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from typing import Any

from restore.errors import RestoreError, unknown_name
from restore.runs.ablation import VARIANT, label_of
from restore.runs.document import Document, Place
from restore.settings import FitSettings

__all__ = ["Variant", "flatten", "variants_of"]

NAMES = tuple(field.name for field in fields(FitSettings))
MAPPINGS = tuple(field.name for field in fields(FitSettings) if field.default_factory is not MISSING)
"""Settings that hold options by name, whose parts dotted keys set: `network.channels`."""


@dataclass(frozen=True)
class Variant:
    """One combination of what an ablation varies.

    Attributes:
        label: for tables.
        factors: the value of each key of the sweep, and under `variant` the name of a named variant.
        settings: of its fits, seed apart.
    """

    label: str
    factors: Mapping[str, Any]
    settings: FitSettings


def variants_of(
    document: Document,
    base: Mapping[str, Any],
    sweep: Mapping[str, Sequence[Any]],
    named: Mapping[str, Mapping[str, Any]],
    controls: Mapping[str, Mapping[str, Any]],
) -> list[Variant]:
    """Return the controls, then every combination of a named variant and the sweep's values, in the order of the file.

    Args:
        document: where it all stands, for messages.
        base: settings of all variants, which those of a variant replace.
        sweep: values by dotted key.
        named: settings by the name of the variant.
        controls: settings by the name of a variant that is not multiplied with the sweep.

    Raises UsageError for settings that do not exist or that contradict each other, and for two equal variants.
    """
    flat_base = flatten(document, base, ("settings",))
    flat_named = {name: flatten(document, settings, ("variants", name)) for name, settings in named.items()}
    for key in sweep:
        _check_key(document, key, ("sweep", key))
    for name, own in flat_named.items():
        for key in own:
            clash = next((swept for swept in sweep if _overlap(key, swept)), None)
            if clash is not None:
                raise document.error(
                    ("variants", name, key),
                    f"variant {name!r} sets {key!r}, which the sweep varies ({clash!r}): only one of them may.",
                )
    for one, other in itertools.combinations(sweep, 2):
        if _overlap(one, other):
            raise document.error(("sweep", other), f"the sweep varies both {one!r} and {other!r}, a part of it.")
    found = []
    for name, extra in controls.items():
        chosen = _replaced(flat_base, flatten(document, extra, ("controls", name)))
        found.append(Variant(name, {}, _settings(document, chosen, name, {})))
    for name in flat_named or {"": {}}:
        for values in itertools.product(*sweep.values()):
            swept = dict(zip(sweep, values, strict=True))
            factors = {**({VARIANT: name} if name else {}), **swept}
            chosen = _replaced(_replaced(flat_base, flat_named.get(name, {})), swept)
            settings = _settings(document, chosen, name, swept)
            label = ", ".join([*([name] if name else []), *(label_of(*one) for one in swept.items())])
            found.append(Variant(label, factors, settings))
    _check_different(document, found)
    return found


def flatten(document: Document, settings: Mapping[str, Any], place: Place) -> dict[str, Any]:
    """Return settings by dotted key, those inside `network` and the like one by one.

    Raises UsageError for a setting that does not exist or is given twice.
    """
    found: dict[str, Any] = {}
    for key, value in settings.items():
        _check_key(document, key, (*place, key))
        parts = {key: value}
        if isinstance(value, Mapping) and value:  # an empty one takes out the options that others set
            parts = {f"{key}.{part}": inner for part, inner in value.items()}
        for name, inner in parts.items():
            if any(_overlap(name, other) for other in found):
                raise document.error((*place, key), f"{name!r} is set twice.")
            found[name] = inner
    return found


def _check_key(document: Document, key: str, place: Place) -> None:
    head, dot, part = key.partition(".")
    if head == "seed":
        raise document.error(place, "the seeds stand under 'seeds', not among the settings.")
    if head not in NAMES:
        raise document.error(place, str(unknown_name("setting", head, NAMES)))
    if dot and (head not in MAPPINGS or not part):
        raise document.error(place, f"{head!r} has no parts, so {key!r} means nothing; {' and '.join(MAPPINGS)} have.")


def _overlap(one: str, other: str) -> bool:
    return one == other or one.startswith(f"{other}.") or other.startswith(f"{one}.")


def _replaced(base: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in base.items() if not any(key.startswith(f"{new}.") for new in more)}
    return {**kept, **more}


def _settings(document: Document, flat: Mapping[str, Any], name: str, swept: Mapping[str, Any]) -> FitSettings:
    values: dict[str, Any] = {}
    for key, value in flat.items():
        head, dot, part = key.partition(".")
        if dot:
            values.setdefault(head, {})[part] = value
        elif head in MAPPINGS and not isinstance(value, Mapping):
            raise document.error(
                _place_of(document, key, name, swept), f"{head!r} maps names of options to values, not {value!r}."
            )
        else:
            values[head] = dict(value) if isinstance(value, Mapping) else value
    try:
        return FitSettings.from_mapping(values)
    except RestoreError as error:
        guilty = next((key for key in flat if re.match(rf"(unknown )?{key.partition('.')[0]}\b", str(error))), "")
        place = _place_of(document, guilty, name, swept)
        if place[0] == "sweep":
            place = (*place, _sweep_index(document, guilty, swept[guilty]))
        raise document.error(place, str(error)) from error


def _sweep_index(document: Document, key: str, value: Any) -> int:
    return list(document.value["sweep"][key]).index(value)


def _place_of(document: Document, key: str, name: str, swept: Mapping[str, Any]) -> Place:
    """Return where a dotted key is set; of several places the one that counts."""
    head, _, part = key.partition(".")
    if key in swept:
        return ("sweep", key)
    for start in (("variants", name), ("controls", name), ("settings",)):
        for rest in ((key,), (head, part), (head,)):
            if (*start, *rest) in document.origins:
                return (*start, *rest)
    return ("settings",)


def _check_different(document: Document, variants: Sequence[Variant]) -> None:
    for one, other in itertools.combinations(variants, 2):
        if one.label == other.label or one.settings == other.settings:
            place: Place = ("sweep",)
            if not one.factors:
                place = ("controls", one.label)
            elif VARIANT in other.factors:
                place = ("variants", other.factors[VARIANT])
            raise document.error(
                place, f"the variants {one.label!r} and {other.label!r} are the same settings: take one of them out."
            )
