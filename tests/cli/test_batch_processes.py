"""Batches as processes: killed at any moment, several on one folder, workers that die, a Dask cluster."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

Array = np.ndarray[Any, Any]

STEPS = 40
PICTURES = 5
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory, noisy: Array) -> Path:
    """A folder of small pictures, no two alike."""
    folder = tmp_path_factory.mktemp("batch") / "scans"
    folder.mkdir()
    for number in range(PICTURES):
        Image.fromarray(noisy[number:, number:]).save(folder / f"p{number}.png")
    return folder


def start(scans: Path, clean: Path, *words: object, workers: int = 1) -> subprocess.Popen[bytes]:
    fixed = ("--iterations", STEPS, "--networks", 1, "--device", "cpu", "--threads", 1, "--workers", workers, "-q")
    arguments = [sys.executable, "-m", "restore", "denoise", scans, "-o", clean, *fixed, *words]
    return subprocess.Popen(list(map(str, arguments)), env=ENVIRONMENT, stderr=subprocess.PIPE)


def finish(process: subprocess.Popen[bytes]) -> str:
    _, said = process.communicate(timeout=600)
    assert process.returncode == 0, said.decode()
    return said.decode()


def pictures(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("*.png")}


def endings(folder: Path) -> Counter[str]:
    path = folder / ".restore/manifest/runs.jsonl"
    return Counter(json.loads(line)["image"] for line in path.read_text().splitlines()) if path.exists() else Counter()


@pytest.fixture(scope="module")
def whole(scans: Path) -> dict[str, bytes]:
    """The results of a batch that nothing disturbs."""
    finish(start(scans, scans.parent / "whole"))
    made = pictures(scans.parent / "whole")
    assert len(made) == PICTURES
    return made


def test_kill_9_at_ten_random_moments(scans: Path, tmp_path: Path, whole: dict[str, bytes]) -> None:
    clean, draw = tmp_path / "clean", random.Random(0)
    for attempt in range(10):
        process = start(scans, clean, workers=1 + attempt % 2)
        time.sleep(draw.uniform(0.5, 4))
        before = endings(clean)
        process.kill()
        process.communicate(timeout=300)
        assert before <= endings(clean)
    finish(start(scans, clean, workers=2))
    assert pictures(clean) == whole
    assert set(endings(clean).values()) == {1} and len(endings(clean)) == PICTURES
    assert not list((clean / ".restore/manifest/claims").iterdir())
    for name in whole:
        assert json.loads((clean / f"{name}.json").read_text())["iterations"] == STEPS


def test_two_batches_on_one_folder_share_the_work(scans: Path, tmp_path: Path, whole: dict[str, bytes]) -> None:
    both = [start(scans, tmp_path / "clean") for _ in range(2)]
    for process in both:
        finish(process)
    assert pictures(tmp_path / "clean") == whole
    assert set(endings(tmp_path / "clean").values()) == {1}


def children(process: int) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                words = (entry / "stat").read_text().rpartition(")")[2].split()
                command = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if int(words[1]) == process and b"spawn_main" in command:
                found.append(int(entry.name))
    return found


def until(holds: Callable[[], Any], seconds: float = 60) -> Any:
    end = time.monotonic() + seconds
    while not (value := holds()):
        assert time.monotonic() < end, "it never came about"
        time.sleep(0.05)
    return value


def test_a_worker_that_dies_is_replaced(scans: Path, tmp_path: Path, whole: dict[str, bytes]) -> None:
    clean = tmp_path / "clean"
    process = start(scans, clean, workers=2)
    until(lambda: list((clean / ".restore/manifest/claims").glob("*.json")) if clean.exists() else None)
    os.kill(until(lambda: children(process.pid))[0], signal.SIGKILL)
    finish(process)
    assert pictures(clean) == whole


@pytest.fixture
def scheduler() -> Iterator[str]:
    """The address of a Dask scheduler on this machine."""
    code = """
import asyncio, sys
from distributed import Scheduler
async def run():
    async with Scheduler(host="127.0.0.1", port=0, dashboard=False) as scheduler:
        print(scheduler.address, flush=True)
        await scheduler.finished()
asyncio.run(run())
"""
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert process.stdout is not None
    yield process.stdout.readline().decode().strip()
    process.kill()
    process.communicate(timeout=300)


@pytest.fixture
def worker(scheduler: str, tmp_path: Path) -> Iterator[Callable[[], subprocess.Popen[bytes]]]:
    """Start a worker process of the cluster."""
    code = """
import asyncio, sys
from distributed import Worker
async def run():
    async with Worker(sys.argv[1], nthreads=1, dashboard=False, local_directory=sys.argv[2]) as worker:
        await worker.finished()
asyncio.run(run())
"""
    running: list[subprocess.Popen[bytes]] = []

    def begin() -> subprocess.Popen[bytes]:
        words = [sys.executable, "-c", code, scheduler, str(tmp_path / "dask")]
        running.append(subprocess.Popen(words, env=ENVIRONMENT, stderr=subprocess.DEVNULL))
        return running[-1]

    yield begin
    for process in running:
        process.kill()
        process.wait()


def test_a_cluster_whose_workers_come_and_go(
    scans: Path,
    tmp_path: Path,
    whole: dict[str, bytes],
    scheduler: str,
    worker: Callable[[], subprocess.Popen[bytes]],
) -> None:
    clean = tmp_path / "clean"
    first, _ = worker(), worker()
    driver = start(scans, clean, "--scheduler", scheduler)
    until(lambda: sum(endings(clean).values()) >= 1)
    first.kill()
    worker()  # one that joins later
    until(lambda: sum(endings(clean).values()) >= 2)
    driver.kill()
    driver.communicate(timeout=300)
    finish(start(scans, clean, "--scheduler", scheduler))
    assert pictures(clean) == whole
    assert len(endings(clean)) == PICTURES
