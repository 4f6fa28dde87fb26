"""Training from disk beside training from memory: rate and resident memory.

    python -m benchmarks.large_table --gigabytes 20
    python -m benchmarks.large_table --kind parquet --gigabytes 2

A table of 784 float32 numbers and a label a row is written (and removed again). Two networks go
through it, from the files, which are read before so that the page cache holds them, and at the same
time through a part of it as arrays, round and round: two processes, of which one or the other is
stopped, in turns of a second, since a machine has slow stretches and fast ones. Told are the median
of the rates and the median of the shares of neighbouring turns, with its interval of 95 %.
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

FEATURES, CLASSES = 784, 10
NETWORKS = {"784-128-10": (128,), "784-512-512-10": (512, 512)}
_ROWS = 16384
_PART_BYTES = 1 << 30  # of the table that is also trained on from memory
_TURN, _WARM = 1.0, 0.1  # seconds of a turn, and those of its beginning that do not count
_MEGABYTE = 1 << 20


def chunks(rows: int):
    """Yield the rows of the table, some thousand at a time."""
    draw = np.random.default_rng(0)
    for first in range(0, rows, _ROWS):
        n = min(_ROWS, rows - first)
        x = draw.random((n, FEATURES), np.float32)
        yield x, (x[:, :CLASSES].argmax(1)).astype(np.int64)


def write_npy(folder: Path, rows: int) -> None:
    """Write the table as two files of NumPy."""
    with open(folder / "x.npy", "wb") as x, open(folder / "y.npy", "wb") as y:
        for file, kind, shape in ((x, "<f4", (rows, FEATURES)), (y, "<i8", (rows,))):
            header = {"descr": kind, "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(file, header)
        for a, b in chunks(rows):
            x.write(a.tobytes())
            y.write(b.tobytes())


def write_parquet(folder: Path, rows: int) -> None:
    """Write the table as a Parquet file, its features as one column of vectors."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    vector = pa.list_(pa.float32(), FEATURES)
    schema = pa.schema([("features", vector), ("label", pa.int64())])
    with pq.ParquetWriter(
        folder / "t.parquet", schema, compression="none", use_dictionary=False
    ) as file:
        for x, y in chunks(rows):
            vectors = pa.FixedSizeListArray.from_arrays(pa.array(x.reshape(-1)), FEATURES)
            file.write_table(pa.table([vectors, pa.array(y)], schema=schema))


def status() -> dict[str, int]:
    """Return the lines of the process's memory, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    pairs = (line.split() for line in lines if line.startswith(("Vm", "Rss")))
    return {words[0].rstrip(":"): int(words[1]) * 1024 for words in pairs}


class Watch(threading.Thread):
    """Looks a hundred times a second at the resident memory, of which it keeps the most, and at the
    number of steps, which it writes to a file with the time."""

    def __init__(self, model, log: Path) -> None:
        super().__init__(daemon=True)
        self.peak: dict[str, int] = {}
        self.over = threading.Event()
        self._iterations = model.optimizer.iterations
        self._log = log

    def run(self) -> None:
        with open(self._log, "wb", buffering=0) as log:
            while not self.over.wait(0.01):
                log.write(np.array([time.monotonic(), self._iterations.numpy()]).tobytes())
                now = status()
                for name in ("VmRSS", "RssAnon", "RssFile"):
                    self.peak[name] = max(self.peak.get(name, 0), now[name])


def given(where: str, kind: str, folder: Path, rows: int):
    """Return x and y of `fit`: the files, or the first rows as arrays."""
    from chainrule import data

    if kind == "parquet" and where == "disk":
        return data.open(folder / "t.parquet", target="label", features="features"), None
    if where == "disk":
        return np.load(folder / "x.npy", mmap_mode="r"), np.load(folder / "y.npy", mmap_mode="r")
    parts = list(chunks(rows))
    return np.concatenate([x for x, _ in parts]), np.concatenate([y for _, y in parts])


def network(units):
    """Return a compiled perceptron with hidden layers of so many units."""
    from chainrule.layers import Dense, Input
    from chainrule.models import Sequential

    hidden = [Dense(n, activation="relu") for n in units]
    model = Sequential([Input((FEATURES,)), *hidden, Dense(CLASSES, activation="softmax")])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def work(asked: dict) -> dict:
    """Train on the files once, or on arrays until somebody ends this; return the memory."""
    model = network(NETWORKS[asked["network"]])
    folder, where = Path(asked["folder"]), asked["where"]
    x, y = given(where, asked["kind"], folder, asked["part"])
    model.fit(np.zeros((512, FEATURES), np.float32), np.zeros(512, np.int64), 128, 1, 0)
    before, watch = status()["VmRSS"], Watch(model, folder / f"{where}.steps")
    print("ready", flush=True)
    watch.start()
    model.fit(x, y, 128, 1 if where == "disk" else 1_000_000, 0)
    watch.over.set()
    watch.join()
    plan = model.memory(128).total
    peak = {name: n / _MEGABYTE for name, n in watch.peak.items()}
    beyond = (status()["VmHWM"] - before - plan) / _MEGABYTE
    return {"beyond": beyond, "before": before / _MEGABYTE, "plan": plan / _MEGABYTE, **peak}


class Worker:
    """A process that trains in turns: it is stopped meanwhile."""

    def __init__(self, where: str, **asked) -> None:
        asked["where"] = where
        command = [sys.executable, "-m", "benchmarks.large_table", "--work", json.dumps(asked)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self._log = Path(asked["folder"]) / f"{where}.steps"
        self._turns: list[tuple[float, float]] = []
        while (line := self._process.stdout.readline().strip()) != "ready":
            if not line and self._process.poll() is not None:
                raise SystemExit(f"the process that trains from {where} has failed")
        self._process.send_signal(signal.SIGSTOP)

    def turn(self) -> bool:
        """Let it go on for a turn; return whether it was not at its end."""
        begin = time.monotonic()
        self._process.send_signal(signal.SIGCONT)
        try:
            self._process.wait(_TURN)
        except subprocess.TimeoutExpired:
            self._process.send_signal(signal.SIGSTOP)
            self._turns.append((begin + _WARM, time.monotonic()))
            return True
        return False

    def rates(self) -> np.ndarray:
        """Return the rows a second of each turn."""
        seen = np.fromfile(self._log)
        times, steps = seen[: len(seen) // 2 * 2].reshape(-1, 2).T
        begin, end = np.array(self._turns).T
        # The last line within a turn is some milliseconds before its end.
        last = times[np.searchsorted(times, end) - 1]
        done = np.interp(last, times, steps) - np.interp(begin, times, steps)
        return 128 * done / (last - begin)

    def answer(self) -> dict:
        """Return what the process has said at its end."""
        return json.loads(self._process.stdout.read().splitlines()[-1])

    def end(self) -> None:
        """End the process, whatever it does."""
        self._process.kill()
        self._process.wait()


def side_by_side(asked: dict) -> tuple[np.ndarray, np.ndarray, dict]:
    """Return the rates of the turns from memory and from disk, and the memory of the latter."""
    memory, disk = (Worker(where, **asked) for where in ("memory", "disk"))
    try:
        while memory.turn() and disk.turn():
            pass
        disk_rates = disk.rates()
        return memory.rates()[: len(disk_rates)], disk_rates, disk.answer()
    finally:
        memory.end()
        disk.end()


def interval(values: np.ndarray) -> tuple[float, float]:
    """Return the bounds of the median, at 95 %: order statistics of a sign test."""
    n = len(values)
    reach = int(0.98 * np.sqrt(n)) + 1
    ordered = np.sort(values)
    return float(ordered[max(n // 2 - reach, 0)]), float(ordered[min(n // 2 + reach, n - 1)])


def read(folder: Path) -> None:
    """Read the files once: from then on the page cache holds them, if it is large enough."""
    buffer = bytearray(1 << 24)
    for path in folder.iterdir():
        with open(path, "rb", buffering=0) as file:
            while file.readinto(buffer):
                pass


def table(folder: Path, kind: str, rows: int, turns: int) -> None:
    """Print three lines for each network, and whether the demands are met."""
    part = min(rows, _PART_BYTES // (4 * FEATURES))
    for name in NETWORKS:
        asked = {"kind": kind, "folder": str(folder), "network": name, "part": part}
        found: list[tuple[np.ndarray, np.ndarray]] = []
        most: dict[str, float] = {}
        while sum(len(memory) for memory, _ in found) < turns:
            read(folder)
            memory, disk, answer = side_by_side(asked)
            found.append((memory, disk))
            most.update({k: max(v, most.get(k, 0.0)) for k, v in answer.items()})
        memory, disk = (np.concatenate(rates) for rates in zip(*found, strict=True))
        shares = disk / memory
        share, (low, high) = float(np.median(shares)), interval(shares)
        print(f"{name:<16} from memory {np.median(memory):>9,.0f}, from {kind} "
              f"{np.median(disk):>9,.0f} rows/s: {share:6.1%} in {len(shares)} turns "
              f"({low:.1%} to {high:.1%})"
              f"{'' if share >= 0.9 else '   (below 90 %)'}")  # fmt: skip
        each = ", ".join(f"{np.median(b / a):.1%}" for a, b in found)
        print(f"{'':<16} in each run {each}")
        print(f"{'':<16} memory before {most['before']:.0f} MB, plan {most['plan']:.0f} MB, peak "
              f"{most['VmRSS']:.0f} MB (anonymous {most['RssAnon']:.0f}, of files "
              f"{most['RssFile']:.0f}): {most['beyond']:.0f} MB beyond the plan"
              f"{'' if most['beyond'] <= 512 else '   (above 512 MB)'}", flush=True)  # fmt: skip


def main() -> None:
    """Write the table, measure, remove it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gigabytes", type=float, default=2.0)
    parser.add_argument("--kind", choices=["npy", "parquet"], default="npy")
    parser.add_argument("--turns", type=int, default=100, help="goes through it for so many turns")
    parser.add_argument("--folder", type=Path, help="where to write; by default a temporary folder")
    parser.add_argument("--work", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        print(json.dumps(work(json.loads(options.work))))
        return
    rows = int(options.gigabytes * 1e9 / (4 * FEATURES + 8))
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        write = write_npy if options.kind == "npy" else write_parquet
        print(f"{rows:,} rows, {options.gigabytes:g} GB as {options.kind}", flush=True)
        write(Path(folder), rows)
        table(Path(folder), options.kind, rows, options.turns)


if __name__ == "__main__":
    main()
