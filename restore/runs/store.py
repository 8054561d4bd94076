"""The store of a plan's results: a folder that is right after every moment at which a process may be killed.

plan.json            what the trials are; a store belongs to one plan
manifest/runs.jsonl  one line a trial that ended, appended; a line torn by a crash is passed over
manifest/claims/     which process runs which trial
curves/<id>.npz      the curves of a trial, written before its line
"""

from __future__ import annotations

import contextlib
import io
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from restore.errors import OutputError
from restore.images.atomic import atomic_write_bytes
from restore.runs.claims import Claim, locked, take
from restore.runs.trial import TrialPlan

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Record", "Store"]

Record = dict[str, Any]
"""What a trial ended with; `id` and `status` (`done` or `failed`) are always there."""


class Store:
    """The results of one plan.

    Attributes:
        folder: where it is.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._manifest = self.folder / "manifest"
        self._records = self._manifest / "runs.jsonl"
        self._lock = self._manifest / "lock"

    @classmethod
    def open(cls, folder: str | Path, plan: TrialPlan) -> Store:
        """Return the store of `plan` at `folder`, which is made if it is not there.

        Raises OutputError for a folder that cannot be made, that holds the results of another plan, or other files.
        """
        store = cls(folder)
        with _writing(store.folder):
            others = store.folder.is_dir() and not store._manifest.is_dir() and any(store.folder.iterdir())
            if others:
                raise OutputError(f"the folder {str(folder)!r} holds other files: choose another one with -o.")
            for part in ("manifest/claims", "curves"):
                (store.folder / part).mkdir(parents=True, exist_ok=True)
            with locked(store._lock):
                store._adopt(plan)
        return store

    def records(self) -> dict[str, Record]:
        """Return how each trial ended, by its id; of several endings a `done` one counts, else the last."""
        try:
            lines = self._records.read_bytes().split(b"\n")
        except FileNotFoundError:
            return {}
        found: dict[str, Record] = {}
        for line in lines:
            record = _parse(line)
            if record is not None and found.get(record["id"], {}).get("status") != "done":
                found[record["id"]] = record
        return found

    def claim(self, trial: str, *, again: bool = False) -> Claim | None:
        """Return the claim on a trial, or None if it has ended or another process runs it.

        Args:
            trial: its id.
            again: whether one that failed may be run once more.
        """
        with _writing(self.folder), locked(self._lock) as now:
            record = self.records().get(trial)
            if record is not None and not (again and record["status"] == "failed"):
                return None
            return take(self._manifest / "claims" / f"{trial}.json", now)

    def keep(self, record: Mapping[str, Any], curves: Mapping[str, np.ndarray[Any, Any]] | None = None) -> None:
        """Write the curves of a trial and append its line, which is on the disk when this returns.

        Raises OutputError when the disk does not take it; the trial then counts as not run.
        """
        if curves:
            import numpy as np

            buffer = io.BytesIO()
            np.savez(buffer, **curves)  # type: ignore[arg-type]
            atomic_write_bytes(self.curves_path(record["id"]), buffer.getvalue(), existing="overwrite")
        line = json.dumps(record, allow_nan=False).encode() + b"\n"
        with _writing(self.folder), locked(self._lock):
            file = os.open(self._records, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o666)
            try:
                if self._torn(file):
                    line = b"\n" + line
                while line:
                    line = line[os.write(file, line) :]
                os.fsync(file)
            finally:
                os.close(file)

    def curves_path(self, trial: str) -> Path:
        """Return where the curves of a trial are."""
        return self.folder / "curves" / f"{trial}.npz"

    def _adopt(self, plan: TrialPlan) -> None:
        """Make the store the plan's, or make sure that it is."""
        path = self.folder / "plan.json"
        if not path.exists():
            text = json.dumps(plan.summary(), indent=1, allow_nan=False) + "\n"
            atomic_write_bytes(path, text.encode())
            return
        kept = json.loads(path.read_text())
        if kept["id"] == plan.id:
            return
        ours, theirs = ({trial["id"] for trial in trials} for trials in (plan.summary()["trials"], kept["trials"]))
        raise OutputError(
            f"the folder {str(self.folder)!r} holds the results of another plan, {kept['name']!r}, which lacks "
            f"{len(ours - theirs)} of the {len(ours)} trials of this one and has {len(theirs - ours)} others: choose "
            "another folder with -o, or the settings that it was begun with."
        )

    @staticmethod
    def _torn(file: int) -> bool:
        """Whether the last line lacks its end, because a process was killed or the disk was full."""
        size = os.fstat(file).st_size
        return size > 0 and os.pread(file, 1, size - 1) != b"\n"


def _parse(line: bytes) -> Record | None:
    try:
        record = json.loads(line)
    except ValueError:
        return None
    return record if isinstance(record, dict) and {"id", "status"} <= set(record) else None


@contextlib.contextmanager
def _writing(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OutputError(f"cannot write in the folder {str(folder)!r}: {error.strerror or error}.") from error
