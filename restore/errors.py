"""Every error that `restore` raises on purpose.

A message is one sentence or two that say what is wrong, the value received, and the remedy. The command line prints it
without a traceback and exits with `exit_status`.

    RestoreError
    |-- UsageError      an option, a setting or a combination of them       (exit 2)
    |-- InputError      a picture, mask or file that cannot be used         (exit 2)
    |-- OutputError     a result that cannot be written                     (exit 2)
    |-- DeviceError     a device or precision that is not there             (exit 2)
    `-- FitError        a fit that could not produce an image               (exit 1)
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = ["DeviceError", "FitError", "InputError", "OutputError", "RestoreError", "UsageError", "unknown_name"]


class RestoreError(Exception):
    """Base class of all errors that a caller may want to catch."""

    exit_status = 2


class UsageError(RestoreError):
    """A setting, or a combination of settings, that makes no sense."""


class InputError(RestoreError):
    """A file or array that cannot be used as a picture or a mask."""


class OutputError(RestoreError):
    """A result that cannot be written where it was asked for."""


class DeviceError(RestoreError):
    """A device or a precision that this machine does not have."""


class FitError(RestoreError):
    """A fit that ended without an image worth writing."""

    exit_status = 1


def unknown_name(kind: str, name: str, known: Iterable[str]) -> UsageError:
    """Return the error for a name that no registry holds, offering the nearest one.

    >>> str(unknown_name("prior", "dipp", ["dip", "decoder"]))
    "unknown prior 'dipp': did you mean 'dip'? Known: decoder, dip."
    """
    options = sorted(known)
    close = difflib.get_close_matches(name, options, n=1)
    hint = f": did you mean {close[0]!r}?" if close else "."
    return UsageError(f"unknown {kind} {name!r}{hint} Known: {', '.join(options)}.")
