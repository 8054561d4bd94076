"""How the commands on cells print: strict JSON and aligned tables."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any

import typer

from restore.strict import strict

__all__ = ["number", "print_json", "print_table", "shows"]


def print_json(value: Any) -> None:
    """Print one line of strict JSON on stdout."""
    typer.echo(json.dumps(strict(value), allow_nan=False))


def number(value: float | complex | None) -> str:
    """Return a number with four significant digits; "-" for None.

    >>> number(1234.5678), number(1e-15), number(0.5 - 2j), number(None)
    ('1235', '1e-15', '0.5-2j', '-')
    """
    if value is None:
        return "-"
    if isinstance(value, complex):
        return f"{value.real:.4g}{value.imag:+.4g}j" if value.imag else f"{value.real:.4g}"
    return f"{value:.4g}"


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]], *, indent: str = "") -> None:
    """Print rows of text under a header, columns aligned."""
    lines = [list(header), *map(list, rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        typer.echo((indent + "  ".join(cells)).rstrip())


def shows(characters: str) -> bool:
    """Return whether stdout's encoding has these characters."""
    try:
        characters.encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
