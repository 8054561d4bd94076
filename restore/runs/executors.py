"""Where trials run: processes of this machine, each with its share of it, or a Dask cluster.

This module must not import PyTorch: a worker imports it before it knows which GPU and how many threads are its own.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import queue
import signal
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

from restore.errors import UsageError

__all__ = ["Lost", "Workers", "cluster"]


class Lost(Exception):
    """The process that ran a piece of work died; the work may be given to another one."""


class Workers(Executor):
    """Processes of this machine, one piece of work in each at a time.

    A process that dies takes its own piece of work with it, as `Lost`, and is replaced. When this process dies, they
    end themselves.

    Args:
        environments: one for each process: variables of its environment, set before it imports anything heavy.
    """

    def __init__(self, environments: Sequence[Mapping[str, str]]) -> None:
        self._free: queue.SimpleQueue[_Slot] = queue.SimpleQueue()
        self._slots = [_Slot(dict(environment)) for environment in environments]
        for slot in self._slots:
            self._free.put(slot)

    @classmethod
    def sharing(cls, count: int, threads: int, devices: Sequence[str] = ()) -> Workers:
        """Return so many processes, each with its threads, and each with a GPU of its own if there are `devices`."""
        common = {"OMP_NUM_THREADS": str(threads)}
        pinned = [{"CUDA_VISIBLE_DEVICES": device} for device in devices]
        return cls([{**common, **(pinned[at % len(pinned)] if pinned else {})} for at in range(count)])

    @property
    def count(self) -> int:
        """Number of processes."""
        return len(self._slots)

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Run `fn` in the next free process; waits for one, so hand over no more work than there are processes."""
        slot = self._free.get()
        outer: Future[Any] = Future()
        outer.set_running_or_notify_cancel()

        def ended(inner: Future[Any]) -> None:
            error = inner.exception()
            if isinstance(error, BrokenProcessPool):
                slot.renew()
                error = Lost("the process that ran it died")
            self._free.put(slot)
            if error is None:
                outer.set_result(inner.result())
            else:
                outer.set_exception(error)

        slot.submit(fn, args, kwargs).add_done_callback(ended)
        return outer

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the processes; without `wait` at once, whatever they do."""
        for slot in self._slots:
            slot.end(wait)


class _Slot:
    """One process, started when it is first needed."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._environment = environment
        self._pool = self._new()

    def _new(self) -> ProcessPoolExecutor:
        context = multiprocessing.get_context("spawn")  # a fork would inherit the threads of PyTorch, half alive
        return ProcessPoolExecutor(1, context, initializer=_prepare, initargs=(self._environment,))

    def submit(self, fn: Callable[..., Any], args: Any, kwargs: Any) -> Future[Any]:
        try:
            return self._pool.submit(fn, *args, **kwargs)
        except BrokenProcessPool:  # it died between two pieces of work
            self.renew()
            return self._pool.submit(fn, *args, **kwargs)

    def renew(self) -> None:
        self._pool.shutdown(wait=False)
        self._pool = self._new()

    def end(self, wait: bool) -> None:
        if not wait:
            for process in list((self._pool._processes or {}).values()):
                with contextlib.suppress(OSError):
                    process.kill()
        self._pool.shutdown(wait=wait, cancel_futures=True)


def _prepare(environment: Mapping[str, str]) -> None:
    """Make a fresh process a worker: its environment, no Ctrl-C of its own, and no life without its parent."""
    os.environ.update(environment)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_follow, args=(parent,), daemon=True).start()


def _follow(parent: Any) -> None:
    parent.join()
    os._exit(1)


def cluster(scheduler: str) -> tuple[Executor, Callable[[], int]]:
    """Return an executor on an existing Dask cluster, and a function that tells how much it can do at a time.

    Args:
        scheduler: its address, such as tcp://host:8786, or the path of a scheduler file.

    Raises UsageError where Dask is not installed or the cluster cannot be reached.
    """
    try:
        from dask.distributed import Client
    except ImportError as error:
        raise UsageError("a scheduler needs Dask, which is not there: pip install 'restore[cluster]'.") from error
    where = {"address": scheduler} if "://" in scheduler else {"scheduler_file": scheduler}
    if "scheduler_file" in where and not Path(scheduler).is_file():
        raise UsageError(f"{scheduler!r} is neither an address such as tcp://host:8786 nor a scheduler file.")
    try:
        client = Client(**where, timeout=20, set_as_default=False)
    except (OSError, ValueError, TimeoutError) as error:
        raise UsageError(f"the Dask scheduler {scheduler!r} cannot be reached: {error}.") from error
    return _Cluster(client), lambda: max(1, sum(client.ncores().values()))


class _Cluster(Executor):
    """A Dask client as an executor: what `Client.get_executor` gives, and a worker's death told as `Lost`."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._executor = client.get_executor(pure=False, retries=0)

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        outer: Future[Any] = Future()
        outer.set_running_or_notify_cancel()

        def ended(inner: Future[Any]) -> None:
            error = None if inner.cancelled() else inner.exception()
            if inner.cancelled() or type(error).__name__ in ("KilledWorker", "CancelledError", "FutureCancelledError"):
                outer.set_exception(Lost("the worker that ran it died"))
            elif error is not None:
                outer.set_exception(error)
            else:
                outer.set_result(inner.result())

        self._executor.submit(fn, *args, **kwargs).add_done_callback(ended)
        return outer

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        self._executor.shutdown(wait=wait)
        self._client.close()
