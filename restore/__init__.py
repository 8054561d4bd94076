"""Repair one damaged image from that image alone: no training set, no pretrained weights.

    import restore
    restore.denoise("img.png").save("clean.png")

Importing the package is cheap: torch comes with the first name that needs it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from restore.api import denoise as denoise
    from restore.api import inpaint as inpaint
    from restore.errors import RestoreError as RestoreError
    from restore.fitting import fit as fit
    from restore.images import Picture as Picture
    from restore.images import read as read
    from restore.restoration import Restoration as Restoration
    from restore.settings import FitSettings as FitSettings

__all__ = ["FitSettings", "Picture", "Restoration", "RestoreError", "denoise", "fit", "inpaint", "read"]

_HOMES = {
    "FitSettings": "restore.settings",
    "Picture": "restore.images",
    "Restoration": "restore.restoration",
    "RestoreError": "restore.errors",
    "denoise": "restore.api",
    "fit": "restore.fitting",
    "inpaint": "restore.api",
    "read": "restore.images",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'restore' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
