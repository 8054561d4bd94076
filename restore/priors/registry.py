"""Priors by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any

from restore.errors import UsageError, unknown_name
from restore.priors.base import Prior
from restore.priors.decoder import DeepDecoder
from restore.priors.dip import DIP, DIPOptions
from restore.priors.hourglass import Hourglass, HourglassOptions
from restore.priors.recurrent import RecurrentGenerator

__all__ = ["PRIORS", "make_prior"]


def _dip(in_channels: int, out_channels: int, norm: str, options: Mapping[str, Any]) -> Prior:
    return DIP(in_channels, out_channels, norm, _options(DIPOptions, "dip", options))


def _hourglass(in_channels: int, out_channels: int, norm: str, options: Mapping[str, Any]) -> Prior:
    return Hourglass(in_channels, out_channels, norm, _options(HourglassOptions, "hourglass", options))


def _decoder(in_channels: int, out_channels: int, norm: str, options: Mapping[str, Any]) -> Prior:
    # A code of the decoder has the width of its layers, whatever the objective would have liked to show it.
    known = ("channels", "layers", "upsample")
    for name in options:
        if name not in known:
            raise unknown_name("decoder option", name, known)
    return DeepDecoder(out_channels, norm, **options)


def _recurrent(in_channels: int, out_channels: int, norm: str, options: Mapping[str, Any]) -> Prior:
    known = ("cell", "channels", "steps", "scales", "cell_options", "seed")
    for name in options:
        if name not in known:
            raise unknown_name("recurrent option", name, known)
    return RecurrentGenerator(out_channels, norm, **options)


PRIORS: dict[str, Callable[[int, int, str, Mapping[str, Any]], Prior]] = {
    "dip": _dip,
    "decoder": _decoder,
    "hourglass": _hourglass,
    "recurrent": _recurrent,
}


def make_prior(
    name: str, in_channels: int, out_channels: int, norm: str = "channel", options: Mapping[str, Any] | None = None
) -> Prior:
    """Build the prior `name`; its weights are still to be drawn by `restore.priors.initialise`.

    Args:
        in_channels: channels of the code or of the picture that it is shown; the decoder's are its own width.
        out_channels: channels of the image.
        norm: name of a normalisation.
        options: further options of the prior, by name.

    Raises UsageError for a prior, normalisation or option that does not exist.
    """
    if name not in PRIORS:
        raise unknown_name("prior", name, PRIORS)
    return PRIORS[name](in_channels, out_channels, norm, options or {})


def _options(kind: type, prior: str, values: Mapping[str, Any]) -> Any:
    known = [field.name for field in fields(kind)]
    for name in values:
        if name not in known:
            raise unknown_name(f"{prior} option", name, known)
    # YAML has lists where the frozen options want tuples.
    plain = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
    try:
        return kind(**plain)
    except TypeError as error:
        raise UsageError(f"the options {dict(values)} do not suit the prior {prior!r}: {error}.") from error
