"""What the machine can do, measured where the table is: arithmetic and streaming from cache."""

import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .rows import Row

_SIZE = 2048
_FLOATS = 64 * 1024  # three arrays of 256 KiB: in the second-level cache, not in the first


@dataclass(frozen=True)
class Peak:
    """Floating-point operations and bytes a second, all cores together."""

    operations: float
    bytes: float

    def floor(self, row: Row) -> float:
        """Seconds below which a step of ``row`` cannot come: its arithmetic or its traffic."""
        arithmetic = row.network.operations(row.batch) / self.operations
        return max(arithmetic, row.network.traffic() / self.bytes)


def measure() -> Peak:
    """Take a few seconds to find both."""
    return Peak(_operations(), _bytes())


def _best(work: Callable[[], object], rounds: int) -> float:
    """The shortest of several runs, in seconds."""
    times = []
    for _ in range(rounds):
        begin = time.perf_counter()
        work()
        times.append(time.perf_counter() - begin)
    return min(times)


def _operations() -> float:
    """A large product of float32 matrices in NumPy's BLAS: some 85 % of what the cores can."""
    a = np.random.default_rng(0).standard_normal((_SIZE, _SIZE), dtype=np.float32)
    out = np.empty_like(a)
    return float(2 * _SIZE**3 / _best(lambda: np.matmul(a, a, out=out), 12))


def _bytes() -> float:
    """Additions of cached arrays, a thread for each core (NumPy leaves the interpreter's lock)."""
    cores = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    repeats = 2000

    def stream() -> None:
        a, b, c = np.zeros((3, _FLOATS), np.float32)
        for _ in range(repeats):
            np.add(a, b, out=c)

    def everyone() -> None:
        threads = [threading.Thread(target=stream) for _ in range(cores)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    return cores * repeats * 3 * 4 * _FLOATS / _best(everyone, 5)
