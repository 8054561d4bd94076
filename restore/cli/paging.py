"""`--report [FILE.html]`: an option whose value may be left out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from typer.core import TyperCommand

__all__ = ["WithReport", "report_path"]

OPTION = "--report"


class WithReport(TyperCommand):
    """A command in which `--report` may stand without a file; the next word is its value only if it ends in .html."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put an empty value behind a `--report` that has none."""
        filled: list[str] = []
        for place, word in enumerate(args):
            if word == OPTION and not (place + 1 < len(args) and args[place + 1].endswith(".html")):
                filled.append(f"{OPTION}=")
            else:
                filled.append(word)
        return super().parse_args(ctx, filled)


def report_path(wanted: str | None, output: str | Path) -> Path | None:
    """Return where the page goes: None unless asked for, `<output>.html` unless a file was named."""
    if wanted is None:
        return None
    return Path(wanted) if wanted else Path(f"{output}.html")
