"""`--report [FILE.html]`: an option whose value may be left out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import typer
from typer.core import TyperCommand

from restore.errors import OutputError

__all__ = [
    "ReportOption",
    "WithReport",
    "check_folder_page",
    "prepare_page",
    "report_path",
    "write_folder_page",
    "write_page",
]

OPTION = "--report"

ReportOption: TypeAlias = Annotated[
    str | None,
    typer.Option(OPTION, metavar="[FILE.html]", help="Write a page of the measurement, with curves."),
]


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


def prepare_page(wanted: str | None, output: str) -> Path | None:
    """Return where the page of a measurement goes, as `report_path`, having made sure that it can be made and written.

    Raises OutputError where a file is there or cannot be written, UsageError where matplotlib is not installed.
    """
    target = report_path(wanted, output)
    if target is not None:
        from restore.images.atomic import check_target
        from restore.report.phase import require_matplotlib

        if target.exists():
            raise OutputError(f"{str(target)!r} exists already: name another file with --report FILE.html.")
        check_target(target, existing="error")
        require_matplotlib()
    return target


def write_page(target: Path | None, page: Callable[[], str]) -> None:
    """Write a page that `prepare_page` has prepared; nothing unless it was asked for."""
    if target is not None:
        from restore.images.atomic import atomic_write_bytes

        atomic_write_bytes(target, page().encode())
        typer.echo(f"wrote {target}", err=True)


def check_folder_page(wanted: str | None, folder: Path) -> None:
    """Raise OutputError where the page of a folder cannot be written; its own `report.html` may be written over."""
    from restore.images.atomic import check_target

    if wanted:
        check_target(Path(wanted), existing="error")
    elif wanted is not None and folder.is_dir():
        check_target(folder / "report.html", existing="overwrite")


def write_folder_page(wanted: str | None, folder: Path, page: Callable[[Path], str]) -> None:
    """Write the page of a folder of results, `report.html` in it unless a file was named; nothing unless asked for."""
    from restore.images.atomic import atomic_write_bytes

    if wanted is None:
        return
    target = Path(wanted) if wanted else folder / "report.html"
    atomic_write_bytes(target, page(folder).encode(), existing="error" if wanted else "overwrite")
