"""What a core's units can do: fused multiply-adds in registers, by a few lines of C."""

import ctypes
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

_SOURCE = r"""
#if defined(__AVX512F__)
enum { WIDTH = 64, COUNT = 12 };
#elif defined(__AVX__)
enum { WIDTH = 32, COUNT = 12 };
#else
enum { WIDTH = 16, COUNT = 12 };
#endif
typedef float vec __attribute__((vector_size(WIDTH)));

/* Returns the operations done; COUNT sums at once, so that none waits for the one before. */
double multiply_add(long rounds, float *out) {
  vec sums[COUNT], x, y;
  for (int i = 0; i < WIDTH / 4; ++i) { x[i] = 0.999f; y[i] = 0.001f; }
  for (int j = 0; j < COUNT; ++j) sums[j] = x * (float)j;
  for (long r = 0; r < rounds; ++r)
    for (int j = 0; j < COUNT; ++j) sums[j] = sums[j] * x + y;
  for (int j = 1; j < COUNT; ++j) sums[0] += sums[j];
  *out = sums[0][0];
  return 2.0 * rounds * COUNT * (WIDTH / 4);
}
"""
_FLAGS = ["-O3", "-march=native", "-ffp-contract=fast", "-shared", "-fPIC"]
_ROUNDS = 1_000_000

Work = Callable[[], float]


def operations(
    threads: int = 1, bursts: int = 5, clock: Callable[[], float] = time.perf_counter
) -> float | None:
    """The operations a second of so many threads, the best of some bursts; None where there is no
    C compiler."""
    work = _work()
    return max(_rate(work, threads, clock) for _ in range(bursts)) if work else None


@cache
def _work() -> Work | None:
    """The compiled loop; ctypes leaves the interpreter's lock while it runs."""
    with tempfile.TemporaryDirectory() as folder:
        source, library = Path(folder, "units.c"), Path(folder, "units.so")
        source.write_text(_SOURCE, encoding="utf-8")
        command = ["cc", *_FLAGS, str(source), "-o", str(library)]
        try:
            subprocess.run(command, check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            return None
        loop = ctypes.CDLL(str(library)).multiply_add
    loop.restype, loop.argtypes = ctypes.c_double, [ctypes.c_long, ctypes.c_void_p]

    def work() -> float:
        return float(loop(_ROUNDS, ctypes.byref(ctypes.c_float())))

    return work


def _rate(work: Work, threads: int, clock: Callable[[], float]) -> float:
    done: list[float] = []
    others = [threading.Thread(target=lambda: done.append(work())) for _ in range(threads - 1)]
    begin = clock()
    for other in others:
        other.start()
    done.append(work())
    for other in others:
        other.join()
    return sum(done) / (clock() - begin)
