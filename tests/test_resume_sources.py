"""Runs over data larger than memory that are killed and go on to the same bits."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from chainrule import callbacks as cb
from chainrule import data
from chainrule.errors import FileError
from chainrule.layers import BatchNormalization, Dense, Dropout, Input
from chainrule.models import Sequential
from chainrule.optimizers import Adam, schedules
from chainrule.utils import set_random_seed

# How many times processes are killed, for all kinds of data together: CHAINRULE_KILLS=100 by hand.
KILLS = int(os.environ.get("CHAINRULE_KILLS", "6"))
KINDS = ["arrays", "map", "generator", "parquet", "npz"]

RANDOM = np.random.default_rng(4)
X = RANDOM.standard_normal((150, 5)).astype("float32")
Y = RANDOM.integers(0, 3, 150)
TINY = 0.001  # megabytes of a window: some 20 rows


class Killed(BaseException):
    """Ends a run as abruptly as can be within a process."""


def killer(batch):
    left = [batch]

    def count(*_):
        left[0] -= 1
        if left[0] < 0:
            raise Killed

    return cb.LambdaCallback(on_train_batch_end=count)


def network(seed=1):
    set_random_seed(seed)
    layers = [Input((5,)), Dense(6), BatchNormalization(), Dropout(0.3)]
    model = Sequential([*layers, Dense(3, activation="softmax")])
    rule = Adam(schedules.CosineDecay(0.02, 60), use_ema=True, gradient_accumulation_steps=3)
    model.compile(rule, "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def state(model):
    trainer = model._trainer
    return [v.numpy() for v in trainer.state()] + [np.array([trainer.seed, trainer.epoch])]


def same(a, b):
    return all(np.array_equal(x, y, equal_nan=True) for x, y in zip(a, b, strict=True))


def batches(seed, size=8):
    """Yield batches without end; what comes depends on all that was drawn before."""
    draw = np.random.default_rng(seed)
    while True:
        rows = draw.integers(0, len(X), size + draw.integers(0, 3))
        yield X[rows], Y[rows]


class Stateful:
    """An iterable whose every pass differs, by how often it was begun."""

    def __init__(self):
        self.draw = np.random.default_rng(3)

    def __iter__(self):
        for _ in range(9):
            rows = self.draw.integers(0, len(X), 8)
            yield X[rows], Y[rows]


class ByEpoch:
    """An iterable that is told which epoch it is."""

    def __init__(self):
        self.epoch, self.asked = 0, []

    def set_epoch(self, epoch):
        self.epoch = epoch

    def __iter__(self):
        draw = np.random.default_rng(self.epoch)
        for i in range(9):
            self.asked.append((self.epoch, i))
            rows = draw.integers(0, len(X), 8)
            yield X[rows], Y[rows]


class Sequence:
    """Batches by number, which change when an epoch ends."""

    def __init__(self):
        self.order = np.random.default_rng(2).permutation(len(X))

    def __len__(self):
        return 9

    def __getitem__(self, i):
        rows = self.order[16 * i : 16 * i + 16]
        return X[rows], Y[rows]

    def on_epoch_end(self):
        self.order = np.roll(self.order, 7)


def sources(folder):
    """Return what makes the arguments of `fit` for each kind of data."""
    np.save(folder / "x.npy", X)
    np.savez(folder / "a.npz", x=X[:70], y=Y[:70])
    np.savez_compressed(folder / "b.npz", x=X[70:], y=Y[70:])
    mapped = lambda: np.load(folder / "x.npy", mmap_mode="r")  # noqa: E731
    found = {
        "arrays": lambda: {"x": X, "y": Y, "batch_size": 16},
        "map": lambda: {"x": data.Windowed(mapped(), Y, window_mb=TINY)},
        "steps": lambda: {
            "x": data.Windowed(mapped(), Y, window_mb=TINY), "steps_per_epoch": 7},
        "npz": lambda: {"x": data.open(folder / "?.npz", window_mb=TINY), "validation_split": 0.2},
        "generator": lambda: {"x": batches(5), "steps_per_epoch": 9},
        "validated": lambda: {
            "x": batches(5), "steps_per_epoch": 9,
            "validation_data": batches(6), "validation_steps": 3},
        "stateful": lambda: {"x": Stateful()},
        "by epoch": lambda: {"x": ByEpoch()},
        "sequence": lambda: {"x": Sequence()},
        "sequence in steps": lambda: {"x": Sequence(), "steps_per_epoch": 4},
    }  # fmt: skip
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        return found
    columns = {f"x{i}": X[:, i] for i in range(5)} | {"label": Y}
    pq.write_table(pa.table(columns), folder / "t.parquet", row_group_size=40)
    found["parquet"] = lambda: {
        "x": data.open(folder / "t.parquet", target="label", window_mb=TINY)}  # fmt: skip
    return found


@pytest.mark.parametrize("freq", [3, "epoch"])
@pytest.mark.parametrize("kind", [*KINDS, "steps", "validated", "stateful", "by epoch",
                                  "sequence", "sequence in steps"])  # fmt: skip
def test_killed_runs_end_with_the_same_bits(tmp_path, kind, freq):
    kinds = sources(tmp_path)
    if kind not in kinds:
        pytest.skip("pyarrow is not installed")

    def fit(model, *callbacks):
        return model.fit(
            **kinds[kind](), epochs=4, verbose=0,
            callbacks=[cb.EarlyStopping("loss", patience=2), *callbacks],
        )  # fmt: skip

    alone = network()
    history = fit(alone)
    folder = tmp_path / "backup"
    for kill in (5, 9, 2, 12, 10**9):
        model = network(seed=1 if not list(folder.glob("*.chainrule")) else kill)
        try:
            again = fit(model, cb.BackupAndRestore(folder, freq), killer(kill))
            break
        except Killed:
            continue
    assert same(state(alone), state(model)) and history.history == again.history


def test_an_iterable_that_is_told_the_epoch_draws_no_epoch_before(tmp_path):
    folder, first = tmp_path / "backup", ByEpoch()
    with pytest.raises(Killed):
        callbacks = [cb.BackupAndRestore(folder, 1), killer(22)]
        network().fit(first, epochs=4, verbose=0, callbacks=callbacks)
    again = ByEpoch()
    network(seed=9).fit(again, epochs=4, verbose=0, callbacks=cb.BackupAndRestore(folder, 1))
    assert {epoch for epoch, _ in again.asked} == {0, 2, 3}  # 0: the batch it is planned by


def test_other_files_batches_and_windows_are_refused(tmp_path):
    folder = tmp_path / "shards"
    folder.mkdir()
    sources(folder)
    backup = tmp_path / "backup"

    def fit(x, *callbacks, **options):
        saved = cb.BackupAndRestore(backup, 2)
        network().fit(x, epochs=3, verbose=0, callbacks=[saved, *callbacks], **options)

    given = data.open(folder / "*.npz", window_mb=TINY)
    with pytest.raises(Killed):
        fit(given, killer(7))
    with pytest.raises(FileError, match="bytes of a window"):
        fit(data.open(folder / "*.npz", window_mb=2 * TINY))
    np.savez(folder / "c.npz", x=X[:20], y=Y[:20])
    with pytest.raises(FileError, match=r"number of samples[\s\S]*files"):
        fit(data.open(folder / "*.npz", window_mb=TINY))
    (folder / "c.npz").unlink()
    np.savez(folder / "a.npz", x=2 * X[:70], y=Y[:70])
    with pytest.raises(FileError, match="content of the samples"):
        fit(data.open(folder / "*.npz", window_mb=TINY))


WORKER = """
import json, os, sys
import numpy as np
from chainrule import callbacks as cb, data
from chainrule.layers import BatchNormalization, Dense, Dropout, Input
from chainrule.models import Sequential
from chainrule.optimizers import Adam, schedules
from chainrule.utils import set_random_seed

kind, folder, backup, out = sys.argv[1:]
x = np.load(f"{folder}/x.npy", mmap_mode="r")
y = np.load(f"{folder}/y.npy")


def batches():
    draw = np.random.default_rng(5)
    while True:
        rows = draw.integers(0, len(x), 32)
        yield x[rows], y[rows]


tiny = 0.3
given = {
    "arrays": lambda: {"x": np.array(x), "y": y},
    "map": lambda: {"x": data.Windowed(x, y, window_mb=tiny)},
    "generator": lambda: {"x": batches(), "steps_per_epoch": 120},
    "parquet": lambda: {"x": data.open(f"{folder}/t.parquet", target="y", window_mb=tiny)},
    "npz": lambda: {"x": data.open(f"{folder}/shards", window_mb=tiny)},
}[kind]()
set_random_seed(9)
stack = [Input((20,)), Dense(160, activation="relu"), BatchNormalization(), Dropout(0.3)]
m = Sequential([*stack, Dense(160, activation="relu"), Dense(3, activation="softmax")])
rate = schedules.CosineDecay(0.002, 600)
rule = Adam(rate, use_ema=True, gradient_accumulation_steps=4)
m.compile(rule, "sparse_categorical_crossentropy", metrics=["accuracy"])
stop = cb.EarlyStopping("loss", patience=3, restore_best_weights=True)
h = m.fit(**given, epochs=5, verbose=0, callbacks=[stop, cb.BackupAndRestore(backup, save_freq=9)])
np.savez(f"{out}.part.npz", *m.get_weights(), history=json.dumps(h.history))
os.replace(f"{out}.part.npz", out)  # it may be killed while it writes this too
"""


def shared(folder):
    """Write the same numbers in each kind of file."""
    draw = np.random.default_rng(1)
    x = draw.standard_normal((4000, 20)).astype("float32")
    y = draw.integers(0, 3, 4000)
    np.save(folder / "x.npy", x)
    np.save(folder / "y.npy", y)
    (folder / "shards").mkdir()
    for i in range(0, 4000, 700):
        np.savez(folder / "shards" / f"{i:04}.npz", x=x[i : i + 700], y=y[i : i + 700])
    (folder / "worker.py").write_text(WORKER)
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        return
    columns = {f"x{i}": x[:, i] for i in range(20)} | {"y": y}
    pq.write_table(pa.table(columns), folder / "t.parquet", row_group_size=500)


@pytest.mark.parametrize("kind", KINDS)
def test_sigkill_at_random_moments(tmp_path, kind):
    shared(tmp_path)
    if kind == "parquet" and not (tmp_path / "t.parquet").exists():
        pytest.skip("pyarrow is not installed")

    def start(backup, out):
        command = [tmp_path / "worker.py", kind, tmp_path, tmp_path / backup, tmp_path / out]
        return subprocess.Popen([sys.executable, *command], start_new_session=True)

    began = time.monotonic()
    assert start("a", "a.npz").wait() == 0
    whole = time.monotonic() - began
    choose = random.Random(f"{kind} {KILLS}")
    kills = 0
    while kills < (KILLS + KINDS.index(kind)) // len(KINDS):
        process = start("b", "b.npz")
        folder, before = tmp_path / "b", newest(tmp_path / "b")
        while process.poll() is None and newest(folder) == before:
            time.sleep(0.001)
        # It has gone on. From now at any time, half of them while a backup is being written.
        deadline = time.monotonic() + choose.uniform(0, 0.15) * whole
        writing = choose.random() < 0.5
        while process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.0002)
        until = time.monotonic() + 2
        while writing and process.poll() is None and time.monotonic() < until:
            if writes(folder):
                break
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            kills += 1
        process.wait()
        if (tmp_path / "b.npz").exists():  # it came to its end; once more
            break_even(tmp_path)
    if not (tmp_path / "b.npz").exists():
        assert start("b", "b.npz").wait() == 0
    compare(tmp_path)


def newest(folder):
    """Return what tells one backup from another."""
    try:
        found = (folder / "backup.chainrule").stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns


def writes(folder):
    """Return whether a backup is being written; at its end a run takes the folder away."""
    try:
        return any(name.startswith(".backup.chainrule.") for name in os.listdir(folder))
    except FileNotFoundError:
        return False


def compare(folder):
    a, b = np.load(folder / "a.npz"), np.load(folder / "b.npz")
    assert a.files == b.files and all(np.array_equal(a[k], b[k]) for k in a.files)
    assert len(json.loads(str(a["history"]))["loss"]) > 1


def break_even(folder):
    compare(folder)
    (folder / "b.npz").unlink()
