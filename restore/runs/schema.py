"""What a file that describes an ablation may hold, checked by pydantic."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from restore.errors import unknown_name
from restore.runs.document import Document

__all__ = ["KINDS", "METRICS", "Config", "DegradationEntry", "ImageEntry", "checked"]

METRICS = ("psnr", "psnr_hole", "psnr_peak", "psnr_final", "psnr_network", "ssim")
"""What variants may be compared by; more is better for all."""

KINDS = ("noise", "missing", "text", "scratches")


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")


class ImageEntry(_Strict):
    """A picture: the true one where there are degradations, otherwise a damaged one and its true one."""

    path: str
    name: str | None = None
    crop: Any = None
    mask: str | None = None
    mask_invert: bool = False
    reference: str | None = None
    sigma: float | Literal["auto"] = "auto"


class DegradationEntry(_Strict):
    """One of the four kinds of damage, and what the fit is told of the noise."""

    noise: float | None = Field(None, gt=0, lt=1000)
    missing: float | None = Field(None, gt=0, lt=1)
    text: str | None = None
    scratches: int | None = Field(None, ge=1)
    seed: int = Field(0, ge=0)
    sigma: float | Literal["auto"] = "auto"


class Config(_Strict):
    """The whole file."""

    name: str | None = None
    images: list[ImageEntry] = Field(min_length=1)
    crop: Any = None
    degradations: list[DegradationEntry] | None = Field(None, min_length=1)
    seeds: list[int] = Field([0], min_length=1)
    settings: dict[str, Any] = {}
    sweep: dict[str, list[Any]] | None = None
    variants: dict[str, dict[str, Any]] | None = None
    controls: dict[str, dict[str, Any]] = {}
    peers: list[str] = []
    baseline: Any = None
    metric: str = "psnr"


def checked(document: Document) -> Config:
    """Return what the document holds.

    Raises UsageError, which names the line, for a key that does not exist or a value of another kind.
    """
    try:
        config = Config.model_validate(document.value)
    except ValidationError as error:
        first = error.errors()[0]
        place = tuple(first["loc"])
        kinds: dict[str, type[BaseModel]] = {"images": ImageEntry, "degradations": DegradationEntry}
        where = ".".join(map(str, place))
        if first["type"] == "extra_forbidden":
            model = Config if len(place) == 1 else kinds[str(place[0])]
            message = str(unknown_name("key", str(place[-1]), model.model_fields))
        elif first["type"] == "missing":
            message = f"the key {place[-1]!r} is missing."
        elif first["type"] == "too_short":
            message = f"{where!r} is empty: there is nothing to run."
        else:
            message = f"{where!r} {first['msg'].removeprefix('Input ')}, not {first['input']!r}."
        raise document.error(place, message) from error
    if config.metric not in METRICS:
        raise document.error(("metric",), str(unknown_name("metric", config.metric, METRICS)))
    return config
