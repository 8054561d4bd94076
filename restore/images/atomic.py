"""Files that appear whole or not at all, and never in the place of another one unasked."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from restore.errors import OutputError, unknown_name

__all__ = ["EXISTING", "atomic_write_bytes", "check_target"]

EXISTING = ("error", "overwrite")
"""What to do about an output file that is already there."""


def check_target(path: str | Path, *, existing: str = "error", source: str | Path | None = None) -> None:
    """Raise unless a file may be written at `path`; made to be asked before the work as well as after it.

    existing: one of `EXISTING`
    source: a file that must not be written over, whatever `existing` says

    Raises:
        OutputError: no such folder, one that cannot be written to, `path` is no regular file, is the same file as
            `source`, or exists while `existing` is "error".
        UsageError: an unknown `existing`.
    """
    path = Path(path)
    if existing not in EXISTING:
        raise unknown_name("way to treat an existing output", existing, EXISTING)
    try:
        folder_is_there, exists, regular = path.parent.is_dir(), os.path.lexists(path), path.is_file()
        same = source is not None and Path(source).exists() and path.exists() and path.samefile(source)
    except (OSError, ValueError) as error:
        raise OutputError(f"cannot write {str(path)!r}: {getattr(error, 'strerror', None) or error}.") from error
    if not folder_is_there:
        raise OutputError(f"cannot write {str(path)!r}: there is no folder {str(path.parent)!r}; create it first.")
    if same:
        raise OutputError(f"cannot write {str(path)!r}: it is an input of this run; choose another name.")
    if exists and existing == "error":
        raise _exists(path)
    if exists and not regular and not path.is_symlink():
        raise OutputError(f"cannot write {str(path)!r}: it exists and is not a regular file; choose another name.")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise OutputError(f"cannot write {str(path)!r}: no permission to write in {str(path.parent)!r}.")


def atomic_write_bytes(path: str | Path, data: bytes, *, existing: str = "error") -> Path:
    """Write a file so that `path` never holds a part of it, and return `path`.

    The bytes go to a temporary file in the same folder, which then takes the name. With `existing` "error" it takes the
    name only if nothing has it by then.

    Raises:
        OutputError: as `check_target`, or the disk does not take the bytes; nothing is left behind.
    """
    path = Path(path)
    check_target(path, existing=existing)
    temporary = path.parent / f".{secrets.token_hex(8)}.tmp"
    try:
        with temporary.open("xb") as file:
            file.write(data)
        if existing == "overwrite":
            temporary.replace(path)
        else:
            _take_free_name(temporary, path)
    except FileExistsError:
        raise _exists(path) from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise OutputError(f"cannot write {str(path)!r}: {getattr(error, 'strerror', None) or error}.") from error
    finally:
        temporary.unlink(missing_ok=True)
    return path


def _take_free_name(temporary: Path, path: Path) -> None:
    """Unlike a renaming, a hard link fails if the name is taken; file systems without links reserve the name first."""
    try:
        path.hardlink_to(temporary)
    except FileExistsError:
        raise
    except OSError:
        path.touch(exist_ok=False)
        try:
            temporary.replace(path)
        except BaseException:
            path.unlink()
            raise


def _exists(path: Path) -> OutputError:
    return OutputError(f"{str(path)!r} exists already: choose another name, or overwrite it with --existing overwrite.")
