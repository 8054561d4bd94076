"""The store of a plan's results: a folder that is right after every moment at which a process may be killed.

plan.json            what the trials are; a store belongs to one plan
manifest/runs.jsonl  one line a trial that ended, appended; a line torn by a crash is passed over
manifest/claims/     which process runs which trial
curves/<id>.npz      the curves of a trial, written before its line
pictures/<id>.png     its restored picture in 8 bits, to look at
"""

from __future__ import annotations

import contextlib
import io
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from restore.errors import OutputError
from restore.images.atomic import atomic_write_bytes
from restore.runs.claims import Claim, locked, take
from restore.runs.trial import TrialPlan

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Record", "Store", "differences"]

Record = dict[str, Any]
"""What a trial ended with; `id` and `status` are always there: `done`, `failed`, or `withdrawn`, which takes back all
that was said of the trial before."""


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
        self._known: dict[str, Record] = {}
        self._read: tuple[int, int] = (0, 0)  # which file, and how far

    @classmethod
    def open(cls, folder: str | Path, plan: TrialPlan, *, replace: bool = False) -> Store:
        """Return the store of `plan` at `folder`, which is made if it is not there.

        Args:
            replace: whether the plan may take the place of another one that may grow; what that one made stays.

        A plan of listed trials may take the place of one that lists some of them, with more seeds say: it goes on.

        Raises OutputError for a folder that cannot be made, that holds the results of another plan, or other files.
        """
        store = cls(folder)
        with _writing(store.folder):
            others = store.folder.is_dir() and not store._manifest.is_dir() and any(store.folder.iterdir())
            if others:
                raise OutputError(f"the folder {str(folder)!r} holds other files: choose another one with -o.")
            for part in ("manifest/claims", "curves", "pictures"):
                (store.folder / part).mkdir(parents=True, exist_ok=True)
            with locked(store._lock):
                store._adopt(plan, replace)
        return store

    def holds(self, plan: TrialPlan) -> bool:
        """Whether the store is still the plan's: while one runs, another process may have let it grow."""
        try:
            return bool(json.loads((self.folder / "plan.json").read_text())["id"] == plan.id)
        except (OSError, ValueError, KeyError, TypeError):
            return False

    def records(self) -> dict[str, Record]:
        """Return how each trial ended, by its id; of several endings a `done` one counts, else the last."""
        try:
            with self._records.open("rb") as file:
                self._read_on(file)
        except FileNotFoundError:
            return {}
        return dict(self._known)

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

    def keep(
        self,
        record: Mapping[str, Any],
        curves: Mapping[str, np.ndarray[Any, Any]] | None = None,
        picture: bytes | None = None,
    ) -> None:
        """Write the curves and the picture (PNG) of a trial and append its line; all is there when this returns.

        Raises OutputError when the disk does not take it; the trial then counts as not run.
        """
        if curves:
            import numpy as np

            buffer = io.BytesIO()
            np.savez(buffer, **curves)  # type: ignore[arg-type]
            atomic_write_bytes(self.curves_path(record["id"]), buffer.getvalue(), existing="overwrite")
        if picture is not None:
            atomic_write_bytes(self.picture_path(record["id"]), picture, existing="overwrite")
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

    def picture_path(self, trial: str) -> Path:
        """Return where the restored picture of a trial is."""
        return self.folder / "pictures" / f"{trial}.png"

    def _read_on(self, file: BinaryIO) -> None:
        """Take in the whole lines that were appended since the last look; a plan may have ten thousand."""
        status = os.fstat(file.fileno())
        inode, offset = self._read
        if inode != status.st_ino or offset > status.st_size:  # another file took its place
            self._known, offset = {}, 0
        file.seek(offset)
        whole, newline, rest = file.read().rpartition(b"\n")
        self._read = (status.st_ino, offset + len(whole) + len(newline))
        for line in (*whole.split(b"\n"), rest):  # a rest that is whole but for its end counts, and is read again
            record = _parse(line)
            if record is not None and record["status"] == "withdrawn":
                self._known.pop(record["id"], None)
            elif record is not None and self._known.get(record["id"], {}).get("status") != "done":
                self._known[record["id"]] = record

    def takes(self, plan: TrialPlan, *, replace: bool = False) -> bool:
        """Whether the store has another plan, which this one may follow, or none; nothing is written.

        Raises OutputError as `open` for a plan that may not.
        """
        path = self.folder / "plan.json"
        if not path.exists():
            return True
        try:
            kept = json.loads(path.read_text())
            theirs = {trial["id"]: trial for trial in kept["trials"]} if "trials" in kept else None
            same, name, terms = kept["id"] == plan.id, kept["name"], kept.get("terms")
        except (ValueError, KeyError, TypeError) as error:
            raise OutputError(f"{str(path)!r} is no plan of restore's: choose another folder with -o.") from error
        if same:
            return False
        if replace and theirs is None and plan.terms is not None:
            return True
        if theirs is None or plan.terms is not None:
            raise OutputError(
                f"the folder {str(self.folder)!r} holds the results of another plan, {name!r} "
                f"({differences(terms or {}, plan.terms or {})}): choose another folder with -o, or the settings that "
                "it was begun with."
            )
        ours = {trial["id"]: trial for trial in json.loads(_text(plan))["trials"]}
        strange = sum(ours.get(key) != trial for key, trial in theirs.items())
        if not strange:  # more seeds, pictures or methods: it goes on
            return True
        raise OutputError(
            f"the folder {str(self.folder)!r} holds the results of another plan, {name!r}, which has "
            f"{strange} of {len(theirs)} trials that this one lacks or calls otherwise: choose another folder with -o, "
            "or the settings that it was begun with. A plan may grow, but not shrink."
        )

    def _adopt(self, plan: TrialPlan, replace: bool) -> None:
        """Make the store the plan's, or make sure that it is."""
        if self.takes(plan, replace=replace):
            atomic_write_bytes(self.folder / "plan.json", _text(plan).encode(), existing="overwrite")

    @staticmethod
    def _torn(file: int) -> bool:
        """Whether the last line lacks its end, because a process was killed or the disk was full."""
        if os.fstat(file).st_size == 0:
            return False
        os.lseek(file, -1, os.SEEK_END)
        return os.read(file, 1) != b"\n"


def _text(plan: TrialPlan) -> str:
    return json.dumps(plan.summary(), indent=1, allow_nan=False) + "\n"


def differences(theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> str:
    """Return in words how two mappings differ, for a message.

    >>> differences({"norm": "channel", "seed": 0}, {"norm": "none", "seed": 0})
    "norm was 'channel' and is now 'none'"
    """
    told = []
    for name in {**theirs, **ours}:
        was, now = (_told(side, name) for side in (theirs, ours))
        if was != now:
            told.append(f"{name} was {was} and is now {now}")
    return ", ".join(told) or "nothing that is known"


def _told(side: Mapping[str, Any], name: str) -> str:
    value = side.get(name, "")
    if isinstance(value, Mapping):  # in any order it is the same
        value = dict(sorted(value.items()))
    return repr(value) if name in side else "not known"


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
