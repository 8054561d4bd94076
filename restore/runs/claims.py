"""Claims: which process runs which trial, so that several can work through one plan.

A claim is a small file that holds the host, the process and its start. The claim of a local process that is gone is
free at once; that of another machine when its heartbeat, the file's time of change, has stopped.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sys
import threading
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

__all__ = ["STALE_AFTER", "Claim", "Holder", "locked", "take"]

HEARTBEAT = 15.0
"""Seconds between two signs of life."""

STALE_AFTER = 300.0
"""Seconds without one after which the claim of another machine is free."""


@dataclass(frozen=True)
class Holder:
    """A process, told apart from all others.

    Attributes:
        host: name of the machine, for people.
        machine: the machine since its start and the name space of its processes, as far as the system tells.
        process: number of the process.
        started: when it started, in the system's ticks; numbers of processes are used again. None if not told.
    """

    host: str
    machine: str
    process: int
    started: int | None

    @classmethod
    def this(cls) -> Holder:
        """Return this process."""
        return cls(socket.gethostname(), _machine(), os.getpid(), _started(os.getpid()))

    @property
    def is_here(self) -> bool:
        """Whether it is a process of this machine, which can be asked after."""
        return self.machine == _machine() and sys.platform != "win32"  # there, asking would end the process

    @property
    def is_told_of(self) -> bool:
        """Whether the system tells this process from a later one of its number."""
        return self.is_here and self.started is not None

    @property
    def gone(self) -> bool:
        """Whether it certainly runs no more; False for a process of another machine."""
        if not self.is_here:
            return False
        try:
            os.kill(self.process, 0)
        except ProcessLookupError:
            return True
        except PermissionError:
            pass
        return _started(self.process) != self.started


class Claim:
    """A trial that this process runs; a context, at whose end the trial is free again."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)

    def __enter__(self) -> Claim:
        self._thread.start()
        return self

    def __exit__(self, *reason: object) -> None:
        self._over.set()
        self._thread.join()
        if self._ours:
            self._path.unlink(missing_ok=True)

    @property
    def _ours(self) -> bool:
        """Whether nobody took this over while the process was suspended."""
        return _read(self._path)[0] == Holder.this()

    def _beat(self) -> None:
        while not self._over.wait(HEARTBEAT):
            with contextlib.suppress(OSError):  # the run itself finds out that its folder is gone
                if self._ours:
                    os.utime(self._path)


def take(path: Path, now: float) -> Claim | None:
    """Return the claim of which `path` is the file, or None if another process holds it. Call it under `locked`.

    Args:
        now: the time by the clock of the file system.
    """
    holder, beat = _read(path)
    if holder is not None and not holder.gone and (holder.is_told_of or now - beat < STALE_AFTER):
        return None
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(asdict(Holder.this())))
    temporary.replace(path)
    return Claim(path)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[float]:
    """Hold the lock of which `path` is the file; yields the time by the clock of its file system.

    The system frees it when the process ends, however that comes about.
    """
    with path.open("ab") as file:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(file.fileno(), msvcrt.LK_LOCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX)
        os.utime(path)
        yield path.stat().st_mtime


def _read(path: Path) -> tuple[Holder | None, float]:
    """Return who holds a claim and when it last gave a sign of life; None for a free one or one that says nothing."""
    try:
        return Holder(**json.loads(path.read_text())), path.stat().st_mtime
    except (OSError, ValueError, TypeError):
        return None, 0.0


def _machine() -> str:
    parts = [socket.gethostname()]
    with contextlib.suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text().strip())
    with contextlib.suppress(OSError):
        parts.append(str(Path("/proc/self/ns/pid").readlink()))  # containers may share a host's name
    return " ".join(parts)


def _started(process: int) -> int | None:
    """Return when a process started, in ticks; None where the system does not tell, -1 for a zombie."""
    try:
        state, *fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return -1 if state in "ZX" else int(fields[18])
