"""Values as strict JSON can hold them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

__all__ = ["strict"]


def strict(value: Any) -> Any:
    """Return the value as JSON can hold it: what is not finite is None, a complex number is [real, imaginary].

    Takes numbers, text, None, tensors, arrays, and lists and mappings of these.

    >>> strict({"ratio": float("inf"), "eigenvalues": [1 + 2j]})
    {'ratio': None, 'eigenvalues': [[1.0, 2.0]]}
    """
    if isinstance(value, Mapping):
        return {key: strict(item) for key, item in value.items()}
    if hasattr(value, "tolist"):
        return strict(value.tolist())
    if isinstance(value, list | tuple):
        return [strict(item) for item in value]
    if isinstance(value, complex):
        return strict([value.real, value.imag])
    return None if isinstance(value, float) and not math.isfinite(value) else value
