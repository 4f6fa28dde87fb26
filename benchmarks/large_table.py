"""Training from disk beside training from memory: rate and resident memory.

    python -m benchmarks.large_table --gigabytes 20
    python -m benchmarks.large_table --kind parquet --gigabytes 2

A table of 784 float32 numbers and a label a row is written (and removed again) and gone through
by two networks: from the file, read before so that the page cache holds it, and, for the rate,
from a part of it as arrays, as often as it takes for as many rows. Of the rates of all seconds the
median and the 90th percentile are told: a virtual machine has slow seconds and fast ones. Each run
is a process of its own, so that its memory is its own.
"""

from __future__ import annotations

import argparse
import json
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
    number of steps, from which it tells the rate of each second."""

    def __init__(self, model) -> None:
        super().__init__(daemon=True)
        self.peak: dict[str, int] = {}
        self.over = threading.Event()
        self._iterations = model.optimizer.iterations
        self._seen: list[tuple[float, int]] = []

    def run(self) -> None:
        while not self.over.wait(0.01):
            self._seen.append((time.perf_counter(), int(self._iterations.numpy())))
            now = status()
            for name in ("VmRSS", "RssAnon", "RssFile"):
                self.peak[name] = max(self.peak.get(name, 0), now[name])

    def rates(self) -> list[float]:
        """Return the steps in each second but the first and the last."""
        times, steps = np.array(self._seen).T
        seconds = np.arange(times[0] + 1, times[-1], 1.0)
        return np.diff(np.interp(seconds, times, steps)).tolist()


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
    """Train on as many rows as the table has; return the rate of each second, and the memory."""
    model = network(NETWORKS[asked["network"]])
    x, y = given(asked["where"], asked["kind"], Path(asked["folder"]), asked["part"])
    model.fit(np.zeros((512, FEATURES), np.float32), np.zeros(512, np.int64), 128, 1, 0)
    before, watch = status()["VmRSS"], Watch(model)
    watch.start()
    model.fit(x, y, 128, asked["epochs"], 0)
    watch.over.set()
    watch.join()
    plan = model.memory(128).total
    peak = {name: n / _MEGABYTE for name, n in watch.peak.items()}
    beyond = (status()["VmHWM"] - before - plan) / _MEGABYTE
    return {"rates": [128 * rate for rate in watch.rates()], "beyond": beyond,
            "before": before / _MEGABYTE, "plan": plan / _MEGABYTE, **peak}  # fmt: skip


def ask(**asked) -> dict:
    """Return the answer of a process of its own."""
    command = [sys.executable, "-m", "benchmarks.large_table", "--work", json.dumps(asked)]
    answer = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return json.loads(answer.splitlines()[-1])


def read(folder: Path) -> None:
    """Read the files once: from then on the page cache holds them, if it is large enough."""
    buffer = bytearray(1 << 24)
    for path in folder.iterdir():
        with open(path, "rb", buffering=0) as file:
            while file.readinto(buffer):
                pass


def table(folder: Path, kind: str, rows: int, rounds: int) -> None:
    """Print a line for each network and way, and whether the demands are met."""
    part = min(rows, _PART_BYTES // (4 * FEATURES))
    for name in NETWORKS:
        asked = {"kind": kind, "folder": str(folder), "network": name, "part": part}
        rates: dict[str, list[float]] = {"memory": [], "disk": []}
        most: dict[str, float] = {}
        for _ in range(rounds):  # in turn: other work on the machine passes by
            for where, found in rates.items():
                if where == "memory":
                    found += ask(**asked, where=where, epochs=-(-rows // part))["rates"]
                    continue
                read(folder)  # the arrays may have driven some of it out
                answer = ask(**asked, where=where, epochs=1)
                found += answer.pop("rates")
                most.update({k: max(v, most.get(k, 0.0)) for k, v in answer.items()})
        told = []
        for percent in (50, 90):
            memory, disk = (float(np.percentile(found, percent)) for found in rates.values())
            low = "" if disk >= 0.9 * memory else " (below 90 %)"
            told.append(f"{memory:>9,.0f} and {disk:>9,.0f} rows/s, {disk / memory:6.1%}{low}")
        print(f"{name:<16} from memory and {kind}: {told[0]}; the fast seconds {told[1]}")
        print(f"{'':<16} memory before {most['before']:.0f} MB, plan {most['plan']:.0f} MB, peak "
              f"{most['VmRSS']:.0f} MB (anonymous {most['RssAnon']:.0f}, of files "
              f"{most['RssFile']:.0f}): {most['beyond']:.0f} MB beyond the plan"
              f"{'' if most['beyond'] <= 512 else '   (above 512 MB)'}", flush=True)  # fmt: skip


def main() -> None:
    """Write the table, measure, remove it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gigabytes", type=float, default=2.0)
    parser.add_argument("--kind", choices=["npy", "parquet"], default="npy")
    parser.add_argument("--rounds", type=int, default=2, help="processes of each way")
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
        table(Path(folder), options.kind, rows, options.rounds)


if __name__ == "__main__":
    main()
