"""An ablation from a YAML file: the one place where what a person wrote is checked.

images: [camera.png, {path: astronaut.png, crop: 96}]   # from the file's own folder
degradations: [{noise: 25}, {missing: 0.5, seed: 1}]
seeds: [0, 1]
settings: {preset: fast, stop: none}                    # of all trials
sweep: {norm: [channel, none], network.tail: [1, 3]}    # every combination
variants: {adam: {}, sgd: {optimizer: sgd, learning_rate: 0.1}}
controls: {dip: {prior: dip}}                           # as they stand, not multiplied
peers: [nlm, bm3d]                                      # other methods (restore.peers), told what they need
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from restore.errors import RestoreError, UsageError, unknown_name
from restore.images import read
from restore.runs.ablation import CONTROL, VARIANT, Ablation, label_of
from restore.runs.document import Document, Place, parse_value, read_document
from restore.runs.grid import NAMES, Variant, variants_of
from restore.runs.peer_work import check_peer
from restore.runs.schema import KINDS, Config, DegradationEntry, ImageEntry, checked
from restore.runs.trial import Damage, Source, Trial, TrialPlan, content_hash
from restore.settings import FitSettings

__all__ = ["ablation_of", "read_ablation"]


def read_ablation(path: str | Path, changes: Sequence[str] = ()) -> Ablation:
    """Return the ablation that a YAML file describes.

    Args:
        changes: `key=value` each, the value in YAML: a key of the file (`seeds`, `settings.norm`, `sweep.norm`) or,
            for short, a setting.

    Raises InputError for a file that cannot be read, UsageError for all else; the message names file and line.
    """
    document = read_document(path)
    if not isinstance(document.value, dict):
        raise document.error((), "it must map keys to values, images and what to vary among them.")
    document.value = _spread(document.value)
    for change in changes:
        _change(document, change)
    return ablation_of(document)


def ablation_of(document: Document, at_least: int = 2) -> Ablation:
    """Return the ablation that a document describes.

    Args:
        at_least: number of variants without which there is nothing to do.

    Raises UsageError, whose message names the document.
    """
    config = checked(document)
    variants = _variants(document, config)
    sources = _sources(document, config)
    if len(set(config.seeds)) < len(config.seeds):
        raise document.error(("seeds",), f"a seed stands twice in {config.seeds}.")
    peers = _peers(document, config, variants, [source for _, source in sources])
    variants += peers
    if len(variants) < at_least:
        raise document.error((), "there is nothing to compare: it has one variant only.")
    factors = _factors(variants)
    trials = []
    for variant, (name, source), seed in itertools.product(variants, sources, config.seeds):
        try:
            settings = replace(variant.settings, seed=seed)
        except RestoreError as error:
            raise document.error(("seeds", config.seeds.index(seed)), str(error)) from error
        of_trial = {factor: variant.factors.get(factor, CONTROL) for factor in factors}
        peer = variant.label if variant in peers else None
        trials.append(Trial(source, settings, variant.label, name, of_trial, peer=peer))
    baseline = _baseline(document, config.baseline, variants)
    return Ablation(
        TrialPlan(config.name or document.path.stem, tuple(trials)),
        tuple(variant.label for variant in variants),
        factors,
        baseline.label,
        baseline.factors or next((variant.factors for variant in variants if variant.factors), {}),
        config.metric,
    )


def _spread(value: dict[str, Any]) -> dict[str, Any]:
    """Give images that are only a path the form of the others; nothing else changes its place."""
    images = value.get("images")
    if not isinstance(images, list):
        return value
    return {**value, "images": [{"path": image} if isinstance(image, str) else image for image in images]}


def _change(document: Document, change: str) -> None:
    """Apply one `key=value` of the command line."""
    key, equals, text = change.partition("=")
    head, dot, rest = key.partition(".")
    known = list(Config.model_fields)
    if not equals or not head:
        raise UsageError(
            f"--set takes key=value, such as iterations=100 or sweep.norm='[channel, none]', not {change!r}."
        )
    value = parse_value(text)
    place: Place
    if head in ("settings", "sweep") and dot:
        place = (head, rest)
    elif head in ("variants", "controls") and dot:
        name, inner, setting = rest.partition(".")
        place = (head, name, setting) if inner else (head, name)
    elif head in known and not dot:
        place = (head,)
    elif head in NAMES:
        place = ("settings", key)
        if key in (document.value.get("sweep") or {}):
            raise UsageError(f"--set {change}: the sweep varies {key!r}; use --set 'sweep.{key}=[{text}]'.")
    else:
        raise UsageError(f"--set {change}: {unknown_name('key', key, (*known, *NAMES))}")
    inside = document.value
    for part in place[:-1]:
        if not isinstance(inside.setdefault(part, {}), dict):
            inside[part] = {}
        inside = inside[part]
    if place[0] == "settings" and len(place) == 2:
        _forget(inside, str(place[1]))
    inside[place[-1]] = _spread({"images": value})["images"] if place == ("images",) else value
    for known_place in [one for one in document.origins if one[: len(place)] == place]:
        del document.origins[known_place]
    document.origins[place] = f"--set {change}"


def _forget(settings: dict[str, Any], key: str) -> None:
    """Take out what the file says of a setting in another spelling: `network: {tail: 1}` for `network.tail`."""
    head, dot, part = key.partition(".")
    if dot and isinstance(settings.get(head), dict):
        settings[head] = {name: value for name, value in settings[head].items() if name != part}
    for name in [name for name in settings if not dot and name.startswith(f"{head}.")]:
        del settings[name]


def _variants(document: Document, config: Config) -> list[Variant]:
    for key, found in (("sweep", config.sweep), ("variants", config.variants)):
        if found is not None and not found:
            raise document.error((key,), f"{key!r} is empty: there is nothing to compare.")
    for key, values in (config.sweep or {}).items():
        if not values:
            raise document.error(("sweep", key), f"the sweep of {key!r} is empty: give it values, or take it out.")
    if not (config.sweep or config.variants):
        if config.peers and not config.controls:
            return []
        raise document.error((), "there is nothing to compare: give 'sweep' or 'variants'.")
    return variants_of(document, config.settings, config.sweep or {}, config.variants or {}, config.controls)


def _peers(document: Document, config: Config, variants: Sequence[Variant], sources: Sequence[Source]) -> list[Variant]:
    """Return a variant for each peer; of the settings only `device` and `iterations` concern one."""
    found: list[Variant] = []
    taken = {variant.label for variant in variants}
    own: dict[str, Any] = {key: config.settings[key] for key in ("device", "iterations") if key in config.settings}
    for index, name in enumerate(config.peers):
        place: Place = ("peers", index)
        if name in taken:
            raise document.error(place, f"the name {name!r} is taken already.")
        taken.add(name)
        try:
            check_peer(name, sources)
            found.append(Variant(name, {}, FitSettings.from_mapping(own)))
        except RestoreError as error:
            raise document.error(place, str(error)) from error
    return found


def _factors(variants: Sequence[Variant]) -> dict[str, tuple[Any, ...]]:
    found: dict[str, list[Any]] = {}
    for variant in variants:
        for name, value in variant.factors.items():
            if value not in found.setdefault(name, []):
                found[name].append(value)
    return {name: tuple(values) for name, values in found.items()}


def _baseline(document: Document, wanted: Any, variants: Sequence[Variant]) -> Variant:
    """Return the variant that `baseline` names, by its label, its name or some of its factors; the first if none."""
    if wanted is None:
        return variants[0]
    first = next((variant.factors for variant in variants if variant.factors), {})
    chosen = {**first, **(wanted if isinstance(wanted, dict) else {VARIANT: wanted})}
    for variant in variants:
        if wanted == variant.label or dict(variant.factors) == chosen:
            return variant
    labels = [variant.label for variant in variants]
    name = wanted if isinstance(wanted, str) else ", ".join(label_of(*one) for one in chosen.items())
    raise document.error(("baseline",), str(unknown_name("baseline", name, labels)))


def _sources(document: Document, config: Config) -> list[tuple[str, Source]]:
    """Return the name of each picture and the problem made from it, one for each degradation."""
    found: dict[str, list[Source]] = {}
    for index, entry in enumerate(config.images):
        place: Place = ("images", index)
        name = entry.name or Path(entry.path).stem
        if name in found:
            raise document.error(place, f"two images are called {name!r}: give one of them a 'name'.")
        source = _source(document, config, entry, place)
        if config.degradations is None:
            found[name] = [source]
            continue
        if entry.mask or entry.reference or entry.sigma != "auto":
            raise document.error(
                place, f"{entry.path!r} is degraded here, so it takes no mask, reference or sigma of its own."
            )
        damages = [_damage(document, one, position) for position, one in enumerate(config.degradations)]
        found[name] = [replace(source, damage=damage, sigma=sigma) for damage, sigma in damages]
    pairs = [(name, source) for name, sources in found.items() for source in sources]
    for (one, first), (other, second) in itertools.combinations(pairs, 2):
        if first.identity == second.identity:
            place = ("degradations",) if one == other else ("images", list(found).index(other))
            raise document.error(place, f"the problem of {other!r} stands twice.")
    return pairs


def _source(document: Document, config: Config, entry: ImageEntry, place: Place) -> Source:
    folder = document.path.parent
    paths = {"image": entry.path, "mask": entry.mask, "reference": entry.reference}
    files = {role: str(folder / path) for role, path in paths.items() if path is not None}
    try:
        content = {role: content_hash(path) for role, path in files.items()}
        size = read(files["image"]).size
    except RestoreError as error:
        raise document.error(place, str(error)) from error
    own = entry.crop is not None
    crop = _box(document, entry.crop if own else config.crop, size, (*place, "crop") if own else ("crop",), entry.path)
    return Source(
        files["image"], content, crop, None, files.get("mask"), entry.mask_invert, files.get("reference"), entry.sigma
    )


def _box(
    document: Document, crop: Any, size: tuple[int, int], place: Place, path: str
) -> tuple[int, int, int, int] | None:
    """Return top, left, height and width: of a square in the middle for one number."""
    if crop is None:
        return None
    numbers = crop if isinstance(crop, list) else [crop]
    whole = all(isinstance(number, int) and not isinstance(number, bool) for number in numbers)
    if not whole or len(numbers) not in (1, 4):
        raise document.error(place, f"a crop is a size or [top, left, height, width], not {crop!r}.")
    height, width = numbers[-2:] if len(numbers) == 4 else numbers * 2
    top, left = numbers[:2] if len(numbers) == 4 else ((size[0] - height) // 2, (size[1] - width) // 2)
    if min(top, left) < 0 or min(height, width) < 1 or top + height > size[0] or left + width > size[1]:
        raise document.error(place, f"the crop {crop!r} is not inside {path!r}, which is {size[1]}x{size[0]}.")
    return top, left, height, width


def _damage(document: Document, entry: DegradationEntry, index: int) -> tuple[Damage, float | Literal["auto"]]:
    given = {kind: getattr(entry, kind) for kind in KINDS if getattr(entry, kind) is not None}
    if len(given) != 1:
        raise document.error(
            ("degradations", index), f"a degradation takes one of {', '.join(KINDS)}, not {len(given)}."
        )
    ((kind, amount),) = given.items()
    if kind != "noise" and entry.sigma != "auto":
        raise document.error(("degradations", index), "sigma belongs to a degradation by noise.")
    return Damage(kind, amount, entry.seed), entry.sigma
