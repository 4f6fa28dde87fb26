"""Runs that are killed and go on: the same bits, or an error, never something else."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import struct
import subprocess
import sys
import time
import tracemalloc
import warnings

import numpy as np
import pytest

import fuzz_mutations
from chainrule import callbacks as cb
from chainrule.errors import ArgumentError, FileError
from chainrule.layers import BatchNormalization, Dense, Dropout, Flatten, Input
from chainrule.losses import SparseCategoricalCrossentropy
from chainrule.models import Sequential, container, load_model
from chainrule.optimizers import SGD, Adam, schedules
from chainrule.utils import set_random_seed

RANDOM = np.random.default_rng(4)
X = RANDOM.standard_normal((71, 5)).astype("float32")
Y = RANDOM.integers(0, 3, 71)


def network(optimizer="adam", units=6, seed=1, dropout=0.3):
    set_random_seed(seed)
    layers = [Input((5,)), Dense(units, activation="relu"), Dropout(dropout)]
    model = Sequential([*layers, Dense(3, activation="softmax")])
    rule = {"adam": lambda: Adam(0.02), "momentum": lambda: SGD(0.1, momentum=0.9)}[optimizer]()
    model.compile(rule, "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def fit(model, *callbacks, **options):
    options = {"batch_size": 8, "epochs": 6, "verbose": 0} | options
    return model.fit(X, Y, callbacks=list(callbacks), **options)


class Killed(BaseException):
    """Ends a run as abruptly as can be within a process."""


def killer(batch):
    """Kill after so many batches."""
    left = [batch]

    def count(*_):
        left[0] -= 1
        if left[0] < 0:
            raise Killed

    return cb.LambdaCallback(on_train_batch_end=count)


def state(model):
    trainer = model._trainer
    return [v.numpy() for v in trainer.state()] + [np.array([trainer.seed, trainer.epoch])]


def same(a, b):
    return all(np.array_equal(x, y, equal_nan=True) for x, y in zip(a, b, strict=True))


def resumed(folder, make, kills, callbacks=lambda: (), freq=3, **options):
    """Return the model and the history of a run killed after these numbers of batches."""
    for kill in [*kills, 10**9]:
        # Once there is a backup, what this process would begin with must not matter.
        model = make(seed=kill if list(folder.glob("*.chainrule")) else 0)
        backup = cb.BackupAndRestore(folder, freq)
        try:
            history = fit(model, backup, *callbacks(), killer(kill), **options)
        except Killed:
            continue
        assert kill == 10**9, "it ended before it was killed for the last time"
    return model, history


@pytest.mark.parametrize("optimizer", ["adam", "momentum"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"shuffle": False},
        {"validation_split": 0.2, "validation_freq": 2},
        {"sample_weight": np.linspace(0, 2, 71)},
        {"batch_size": 9, "epochs": 9},
    ],
)
def test_a_run_that_was_killed_ends_with_the_same_bits(tmp_path, optimizer, options):
    def make(seed):
        return network(optimizer, seed=seed)

    alone = make(0)
    history = fit(alone, **options)
    model, again = resumed(tmp_path / "b", make, [3, 10, 1, 2, 4, 9, 5], **options)
    assert same(state(alone), state(model))
    assert history.history == again.history and history.epoch == again.epoch
    assert not (tmp_path / "b").exists()


@pytest.mark.parametrize("freq", [1, 4])
@pytest.mark.parametrize("options", [{"use_ema": True, "ema_overwrite_frequency": 7},
                                     {"use_ema": True, "gradient_accumulation_steps": 3},
                                     {"skip_nonfinite": True, "clipnorm": 0.1}])  # fmt: skip
def test_averages_accumulation_and_schedules_go_on(tmp_path, options, freq):
    def make(seed):
        set_random_seed(seed)
        rate = schedules.CosineDecay(0.02, 40)
        model = Sequential([Input((5,)), Dense(6), BatchNormalization(), Dropout(0.2), Dense(3)])
        model.compile(Adam(rate, **options), SparseCategoricalCrossentropy(from_logits=True))
        return model

    alone = make(0)
    history = fit(alone, validation_split=0.1)
    model, again = resumed(tmp_path / "b", make, [5, 7, 4, 9], freq=freq, validation_split=0.1)
    assert same(state(alone), state(model)) and history.history == again.history


def everything(folder):
    return [
        cb.CSVLogger(folder / "log.csv"),
        cb.LearningRateScheduler(lambda epoch, rate: rate * 0.9),
        cb.ReduceLROnPlateau("loss", factor=0.5, patience=1, min_delta=0.05, cooldown=1),
        cb.EarlyStopping("val_loss", patience=8, restore_best_weights=True),
        cb.ModelCheckpoint(folder / "{epoch}-{batch}", "loss", save_best_only=True, save_freq=7),
        cb.TerminateOnNaN(),
        cb.Timer(1e6),
        cb.TensorBoard(folder.with_suffix(".board"), histogram_freq=3, update_freq=2),
    ]


@pytest.mark.parametrize("freq", [1, 4, 20, "epoch"])
def test_what_callbacks_remember_goes_on(tmp_path, freq):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    options = {"validation_split": 0.2, "epochs": 20}
    alone = network(seed=0)
    history = fit(alone, *everything(tmp_path / "a"), **options)
    kills = [5, 22, 12, 9, 8]
    callbacks = lambda: everything(tmp_path / "b")  # noqa: E731
    model, again = resumed(
        tmp_path / "backup", lambda seed: network(seed=seed), kills, callbacks, freq, **options
    )
    assert 6 < len(history.epoch) < 20, "early stopping is part of this"
    assert same(state(alone), state(model)) and history.history == again.history
    files = sorted(p.name for p in (tmp_path / "a").iterdir())
    assert files == sorted(p.name for p in (tmp_path / "b").iterdir()) and len(files) > 3
    assert (tmp_path / "a/log.csv").read_bytes() == (tmp_path / "b/log.csv").read_bytes()
    # Events hold the time and the names of layers, so it is their number that must be the same:
    # none twice, none missing.
    # A run that was killed before its first backup has left a file that no one goes on with.
    a, b = (
        max(number_of_events(path) for path in (tmp_path / f"{name}.board/train").iterdir())
        for name in "ab"
    )
    assert a == b


def number_of_events(path):
    content, count = path.read_bytes(), 0
    while content:
        (size,) = struct.unpack("<Q", content[:8])
        content, count = content[16 + size :], count + 1
    return count


class Unstated(cb.Callback):
    """What a user writes who never heard of states."""

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch
        self.model.optimizer.learning_rate = float(self.model.optimizer.learning_rate) * 0.9

    def on_epoch_end(self, epoch, logs=None):
        assert self.epoch == epoch


class Drawn(cb.Callback):
    """Remembers a generator, and arrays of all kinds."""

    def __init__(self, more=None):
        self.random, self.more = np.random.RandomState(3), more
        self.arrays = [np.arange(3).astype(k) for k in ("uint32", "float16", "int8", ">i4", "u8")]

    def get_state(self):
        return {"random": self.random.get_state(), "arrays": self.arrays, "more": self.more}

    def set_state(self, state):
        self.random.set_state(state["random"])
        self.arrays = state["arrays"]

    def on_epoch_begin(self, epoch, logs=None):
        self.model.optimizer.learning_rate = self.random.uniform(0.001, 0.1)


def test_states_may_hold_arrays_of_all_kinds_of_numbers(tmp_path):
    alone = network(seed=0)
    fit(alone, Drawn())
    drawn = Drawn()
    model, _ = resumed(tmp_path, lambda seed: network(seed=seed), [13, 4], lambda: [drawn], 4)
    assert same(alone.get_weights(), model.get_weights())
    assert [a.dtype.name for a in drawn.arrays] == ["uint32", "float16", "int8", "int32", "uint64"]
    assert all(a.tolist() == [0, 1, 2] for a in drawn.arrays)


@pytest.mark.parametrize(
    ("held", "words"),
    [
        ({1, 2}, "get_state of Drawn returns a set"),
        ([{"a": 1j}], "get_state of Drawn returns a complex"),
        (np.ones(2, complex), r"Drawn' is of complex128"),
        (np.array(["a"]), r"Drawn' is of <U1"),
    ],
)
def test_states_that_no_file_can_hold_say_whose_they_are(tmp_path, held, words):
    with pytest.raises((ArgumentError, FileError), match=words):
        fit(network(), Drawn(held), cb.BackupAndRestore(tmp_path))


def test_what_users_do_at_the_beginning_of_an_epoch_is_done_once(tmp_path):
    alone = network(seed=0)
    fit(alone, Unstated())
    model, _ = resumed(
        tmp_path, lambda seed: network(seed=seed), [13, 4, 5], lambda: [Unstated()], 4
    )
    assert same(state(alone), state(model))


@pytest.mark.parametrize("stop", [lambda: cb.TerminateOnNaN(), lambda: cb.Goal("loss", 9.0)])
def test_a_run_killed_after_it_was_told_to_end(tmp_path, stop):
    def make(seed):
        model = network("momentum", seed=seed)
        if isinstance(stop(), cb.TerminateOnNaN):
            model.optimizer.learning_rate = 1e30
        return model

    def dying(*_):
        raise Killed

    options = {"epochs": 4, "batch_size": 2}
    alone = make(0)
    history = fit(alone, stop(), **options)
    hook = "on_epoch_end" if isinstance(stop(), cb.TerminateOnNaN) else "on_train_end"
    with pytest.raises(Killed):
        freq = 16 if hook == "on_epoch_end" else "epoch"
        backup = cb.BackupAndRestore(tmp_path, freq)
        fit(make(0), stop(), backup, cb.LambdaCallback(**{hook: dying}), **options)
    again = fit(model := make(5), stop(), cb.BackupAndRestore(tmp_path, freq), **options)
    assert repr(history.history) == repr(again.history) and history.epoch == again.epoch == [0]
    assert same(state(alone), state(model))


@pytest.mark.parametrize("freq", [1, 2, 7, 20, 1000, "epoch"])
def test_how_often_a_backup_is_written_changes_nothing(tmp_path, freq):
    alone, model = network(), network()
    history = fit(alone)
    backup = cb.BackupAndRestore(tmp_path, freq, delete_checkpoint=False)
    assert fit(model, backup).history == history.history
    assert same(state(alone), state(model))


def test_a_run_that_is_over_returns_at_once(tmp_path):
    model = network()
    history = fit(model, cb.BackupAndRestore(tmp_path, delete_checkpoint=False))
    again = network(seed=8)
    seen = []
    look = cb.LambdaCallback(on_epoch_begin=lambda epoch, logs: seen.append(epoch))
    resumed = fit(again, look, cb.BackupAndRestore(tmp_path, delete_checkpoint=False))
    assert not seen and resumed.history == history.history
    assert same(state(model), state(again))
    fit(again, look, cb.BackupAndRestore(tmp_path), epochs=8)
    assert seen == [6, 7]


def half_way(folder, freq=3, batches=14):
    """Leave the backups of a run that was killed."""
    with pytest.raises(Killed):
        fit(network(), cb.BackupAndRestore(folder, freq), killer(batches))
    return sorted(folder.glob("*.chainrule"))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda: (network(units=7), {}), "architecture"),
        (lambda: (network(dropout=0.4), {}), "architecture"),
        (lambda: (network("momentum"), {}), "optimizer"),
        (lambda: (network(), {"batch_size": 9}), "batch_size: 8 in it, now 9"),
        (lambda: (network(), {"shuffle": False}), "shuffle"),
        (lambda: (network(), {"validation_split": 0.5}), "number of samples: 71 in it, now 35"),
        (lambda: (network(), {"sample_weight": np.ones(71)}), "samples"),
        (lambda: (network(), {"callbacks": [cb.EarlyStopping("loss")]}), "other callbacks"),
    ],
)
def test_a_backup_of_another_run_is_refused(tmp_path, change, words):
    half_way(tmp_path)
    model, options = change()
    before = state(model)[:4]
    extra = options.pop("callbacks", [])
    with pytest.raises(FileError, match=words):
        fit(model, *extra, cb.BackupAndRestore(tmp_path), **options)
    assert same(before, state(model)[:4])


def test_other_numbers_in_the_data_are_refused(tmp_path):
    half_way(tmp_path)
    with pytest.raises(FileError, match="content of the samples"):
        network().fit(2 * X, Y, 8, 6, 0, cb.BackupAndRestore(tmp_path))


def test_the_names_of_layers_do_not_matter(tmp_path):
    half_way(tmp_path)
    for _ in range(3):
        model = network()
    fit(model, cb.BackupAndRestore(tmp_path))
    alone = network()
    fit(alone)
    assert same(state(alone), state(model))


def mutations(content, count, seed):
    """Yield damaged contents of a file."""
    choose = random.Random(seed)
    for _ in range(count):
        yield fuzz_mutations.of_bytes(content, choose)


def test_a_damaged_backup_gives_way_to_the_one_before(tmp_path):
    current, previous = half_way(tmp_path)
    assert (current.name, previous.name) == ("backup.chainrule", "backup.previous.chainrule")
    good, before = current.read_bytes(), previous.read_bytes()
    alone = network()
    history = fit(alone)
    for content in mutations(good, 60, seed=1):
        tmp_path.mkdir(exist_ok=True)
        current.write_bytes(content)
        previous.write_bytes(before)
        model = network(seed=50)
        with pytest.warns(UserWarning, match="goes on from the backup before it"):
            again = fit(model, cb.BackupAndRestore(tmp_path))
        assert same(state(alone), state(model)) and again.history == history.history


def test_two_damaged_backups_are_an_error(tmp_path):
    current, previous = half_way(tmp_path)
    good, before = current.read_bytes(), previous.read_bytes()
    model = network(seed=50)
    pairs = zip(mutations(good, 200, seed=2), mutations(before, 200, seed=3), strict=False)
    for a, b in pairs:
        current.write_bytes(a)
        previous.write_bytes(b)
        with pytest.raises(FileError, match=r"no backup is good[\s\S]*begin anew"):
            fit(model, cb.BackupAndRestore(tmp_path))
        previous.unlink()
        with pytest.raises(FileError, match="no backup is good"):
            fit(model, cb.BackupAndRestore(tmp_path))


def test_a_damaged_backup_never_takes_the_place_of_the_good_one(tmp_path):
    current, previous = half_way(tmp_path)
    before = previous.read_bytes()
    current.write_bytes(b"damaged")
    with pytest.raises(Killed), pytest.warns(UserWarning, match="goes on"):
        fit(network(), cb.BackupAndRestore(tmp_path, 3), killer(4))
    assert previous.read_bytes() == before
    container.read(current)


def test_a_kill_between_the_two_renamings(tmp_path):
    current, previous = half_way(tmp_path)
    current.replace(previous)
    (tmp_path / f".{current.name}.xyz").write_bytes(b"half")
    alone, model = network(), network(seed=50)
    fit(alone)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit(model, cb.BackupAndRestore(tmp_path))
    assert same(state(alone), state(model))


def test_a_full_disk_leaves_the_backups(tmp_path, monkeypatch):
    files = half_way(tmp_path)
    contents = [path.read_bytes() for path in files]

    def full(_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(FileError, match=r"No space left[\s\S]*still there"):
            fit(network(), cb.BackupAndRestore(tmp_path, 3))
    assert [path.read_bytes() for path in files] == contents
    assert sorted(tmp_path.iterdir()) == files
    alone, model = network(), network(seed=50)
    fit(alone)
    fit(model, cb.BackupAndRestore(tmp_path))
    assert same(state(alone), state(model))


def test_a_folder_that_cannot_be_used(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(FileError, match="cannot use the folder"):
        fit(network(), cb.BackupAndRestore(tmp_path / "file" / "b"))
    with pytest.raises(ArgumentError, match="within fit"):
        cb.BackupAndRestore(tmp_path).on_train_begin()


def test_files_of_others_stay(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    fit(network(), cb.BackupAndRestore(tmp_path))
    assert os.listdir(tmp_path) == ["notes.txt"]


WORKER = """
import sys, numpy as np
from chainrule import callbacks as cb
from chainrule.datasets import digits
from chainrule.layers import BatchNormalization, Dense, Dropout, Flatten
from chainrule.models import Sequential
from chainrule.utils import set_random_seed
set_random_seed(9)
(x, y), _ = digits.load_data()
m = Sequential([Flatten(input_shape=(28, 28)), Dense(64, activation="relu"), Dropout(0.3),
                Dense(10, activation="softmax")])
m.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
stop = cb.EarlyStopping("loss", patience=3, restore_best_weights=True)
h = m.fit(x / 255.0, y, 32, 8, 0, [stop, cb.CSVLogger(sys.argv[3]),
                                   cb.BackupAndRestore(sys.argv[1], save_freq=5)])
np.savez(sys.argv[2], *m.get_weights(), loss=h.history["loss"], accuracy=h.history["accuracy"])
"""


def test_killed_at_random_moments(tmp_path):
    (tmp_path / "worker.py").write_text(WORKER)

    def start(name):
        paths = [tmp_path / f"{name}{end}" for end in ("", ".npz", ".csv")]
        return subprocess.Popen([sys.executable, tmp_path / "worker.py", *paths])

    def newest():
        path = tmp_path / "b" / "backup.chainrule"
        try:
            return path.stat().st_mtime_ns
        except OSError:
            return 0  # between two renamings, or before the first

    assert start("a").wait() == 0
    began, choose, kills = time.monotonic(), random.Random(4), 0
    while kills < 10 and time.monotonic() - began < 12:
        process, before = start("b"), newest()
        while process.poll() is None and newest() in (0, before):
            time.sleep(0.002)
        time.sleep(choose.uniform(0, 0.1))
        if process.poll() is not None:
            break
        process.send_signal(signal.SIGKILL)
        process.wait()
        kills += 1
    if process.returncode:
        assert start("b").wait() == 0
    a, b = np.load(tmp_path / "a.npz"), np.load(tmp_path / "b.npz")
    assert all(np.array_equal(a[name], b[name]) for name in a.files)
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()
    assert kills and not (tmp_path / "b").exists()


def model_file(folder):
    """Write a model with a vocabulary of kinds of values; return the file's path."""
    model = Sequential([Input((2, 3)), Flatten(), Dense(5, name="hidden"), Dropout(0.1), Dense(2)])
    model.compile(Adam(0.01), "mse", metrics=["mae"])
    model.fit(np.ones((4, 2, 3)), np.ones((4, 2)), verbose=0)
    model.save(folder / "m.chainrule")
    return folder / "m.chainrule"


def signed(header, arrays):
    """Return a file whose checksum fits, whatever it says."""
    begin = b'{"__metadata__":{"sha256":"'
    text = begin + b"0" * 64 + header[len(begin) + 64 :] + arrays
    content = len(header).to_bytes(8, "little") + text
    return content.replace(b"0" * 64, hashlib.sha256(content).hexdigest().encode(), 1)


@pytest.mark.parametrize("units", [10**7, 2**33, 2**40, 10**400])
def test_a_file_cannot_ask_for_more_memory_than_it_has_weights(tmp_path, units):
    path = model_file(tmp_path)
    content = path.read_bytes()
    size = int.from_bytes(content[:8], "little")
    header = content[8 : 8 + size].replace(b'\\"units\\": 5', b'\\"units\\": %d' % units)
    assert len(header) > size
    path.write_bytes(signed(header, content[8 + size :]))
    tracemalloc.start()
    with pytest.raises(FileError):
        load_model(path)
    assert tracemalloc.get_traced_memory()[1] < 1e6
    tracemalloc.stop()


@pytest.mark.parametrize(
    "header",
    [
        b"[" * 100_000,
        b'"w":' + b"1" * 5000 + b"}",
        b'"w":{"dtype":"F32","shape":[' + b"1," * 40 + b'1],"data_offsets":[0,4]}}',
        b'"w":{"dtype":"F32","shape":[1000000],"data_offsets":[0,4000000]}}',
        b'"__metadata__":{"format":1}}',
        b'"__metadata__":[]}',
    ],
)
def test_headers_that_lie(tmp_path, header):
    path = tmp_path / "m.chainrule"
    begin = b'{"__metadata__":{"sha256":"' + b"0" * 64 + b'"},'
    path.write_bytes(signed(begin + header, bytes(4)))
    with pytest.raises(FileError):
        load_model(path)
