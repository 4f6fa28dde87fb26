"""Commands for a run from another process: pause, go on, stop, a lower learning rate."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time

import numpy as np
import pytest

from chainrule.callbacks import BackupAndRestore, Callback
from chainrule.errors import ArgumentError, FileError
from chainrule.insight import control
from chainrule.insight.control import Control, checked, rate_now, send
from chainrule.layers import Dense, Dropout, Input
from chainrule.models import Sequential, load_model
from chainrule.optimizers import SGD, Adam, schedules
from chainrule.utils import set_random_seed

X = np.random.default_rng(0).standard_normal((64, 6)).astype("float32")
Y = (X[:, 0] > 0).astype("int64")


class Listener(Callback):
    """Listens as a recorder does; `at` are commands sent after a batch, by its number."""

    def __init__(self, folder, at=(), pace=None):
        self.told = []
        self.folder = folder
        self.control = Control(folder, lambda command, **facts: self.told.append((command, facts)))
        self.at, self.pace, self.done = dict(at), pace, 0

    def interval(self):
        return self.pace

    def on_train_begin(self, logs=None):
        self.control.begin()

    def on_train_batch_end(self, batch, logs=None):
        for command in self.at.get(self.done, ()):
            send(self.folder, **command)
        self.done += 1
        self.control._looked = -1.0  # a look at each batch
        self.control.look(self.model)

    def on_train_end(self, logs=None):
        self.control.end()

    def get_state(self):
        return self.control.get_state()

    def set_state(self, state):
        self.control.set_state(state, self.model)


def network(optimizer=None):
    set_random_seed(3)
    model = Sequential(
        [Input((6,)), Dense(8, activation="tanh"), Dropout(0.2), Dense(2, activation="softmax")]
    )
    model.compile(optimizer or Adam(0.01), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def fit(model, *callbacks, epochs=4, **more):
    options = {"batch_size": 8, "epochs": epochs, "verbose": 0, "callbacks": list(callbacks)}
    return model.fit(X, Y, **{**options, **more})


def same(one, other):
    for a, b in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def once_paused(listener, act):
    """Act in another thread a moment after the run was paused."""

    def wait():
        while not listener.control.paused:
            time.sleep(0.01)
        time.sleep(0.3)
        act()

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


def test_a_run_that_was_paused_ends_with_the_same_bits(tmp_path):
    plain, paused = network(), network()
    listener = Listener(tmp_path, {5: [{"command": "pause"}]}, pace=1)
    other = once_paused(listener, lambda: send(tmp_path, "resume"))
    history = fit(paused, listener)
    other.join()
    assert [command for command, _ in listener.told] == ["pause", "resume"]
    assert listener.told[1][1]["seconds"] >= 0.1
    assert fit(plain).history == history.history
    same(plain, paused)


def test_listening_changes_no_bit(tmp_path):
    plain, listening = network(), network()
    assert fit(plain).history == fit(listening, Listener(tmp_path)).history
    same(plain, listening)


def test_a_run_is_stopped_between_two_batches(tmp_path):
    listener = Listener(tmp_path, {9: [{"command": "stop"}]}, pace=1)
    history = fit(network(), listener, validation_data=(X, Y))
    assert history.epoch == [0, 1] and listener.done == 10
    assert "val_loss" in history.history
    assert listener.told == [("stop", {})]


def test_a_paused_run_can_be_stopped(tmp_path):
    listener = Listener(tmp_path, {3: [{"command": "pause"}]}, pace=1)
    other = once_paused(listener, lambda: send(tmp_path, "stop"))
    fit(network(), listener)
    other.join()
    assert [command for command, _ in listener.told] == ["pause", "stop"]
    assert listener.done == 4 and not listener.control.paused


def test_a_paused_run_whose_folder_is_removed_goes_on(tmp_path):
    listener = Listener(tmp_path, {3: [{"command": "pause"}]}, pace=1)
    other = once_paused(listener, (tmp_path / control.FILE).unlink)
    assert fit(network(), listener).epoch == [0, 1, 2, 3]
    other.join()
    assert [command for command, _ in listener.told] == ["pause", "resume"]


def test_repeated_commands_are_told_once(tmp_path):
    pauses = [{"command": "pause"}, {"command": "pause"}, {"command": "resume"}]
    listener = Listener(tmp_path, {2: [*pauses, {"command": "resume"}]}, pace=1)
    fit(network(), listener)
    assert [command for command, _ in listener.told] == ["pause", "resume"]


def test_a_lower_rate_is_that_of_an_assignment(tmp_path):
    class Assigns(Callback):
        done = 0

        def on_train_batch_end(self, batch, logs=None):
            self.done += 1
            if self.done == 11:
                self.model.optimizer.learning_rate = 0.01 * 0.25

    one, other = network(), network()
    lower = [{"command": "learning_rate", "factor": 0.25}]
    listener = Listener(tmp_path, {10: lower}, pace=1)
    fit(one, listener)
    fit(other, Assigns())
    same(one, other)
    ((command, facts),) = listener.told
    assert command == "learning_rate"
    assert facts == {"factor": 0.25, "before": 0.01, "after": 0.0025}


def decay(factor=1.0):
    schedule = schedules.CosineDecay(0.1, 40)
    return SGD(schedule if factor == 1.0 else schedules.Scaled(schedule, factor), momentum=0.5)


def test_a_schedule_is_scaled_from_the_next_epoch_on(tmp_path):
    one, other = network(decay()), network(decay())
    lower = [{"command": "learning_rate", "factor": 0.5}]
    listener = Listener(tmp_path, {10: lower, 20: lower}, pace=1)
    fit(one, listener)
    before = schedules.CosineDecay(0.1, 40)
    assert [facts["before"] for _, facts in listener.told] == pytest.approx(
        [before(11), before(21) / 2]
    )
    assert [facts["after"] for _, facts in listener.told] == pytest.approx(
        [before(11) / 2, before(21) / 4]
    )
    # The same by hand: 16 batches with the schedule, 8 with half of it, 8 with a quarter.
    fit(other, epochs=2)
    for first, factor in ((2, 0.5), (3, 0.25)):
        other._trainer.follow(schedules.Scaled(before, factor))
        fit(other, epochs=first + 1, initial_epoch=first)
    same(one, other)
    assert one.optimizer.learning_rate.get_config()["factor"] == 0.25


def test_a_model_saved_after_that_can_be_loaded(tmp_path):
    model = network(decay())
    fit(model, Listener(tmp_path, {3: [{"command": "learning_rate", "factor": 0.5}]}, pace=1))
    model.save(tmp_path / "model")
    again = load_model(tmp_path / "model").optimizer.learning_rate
    assert again(7) == model.optimizer.learning_rate(7) == schedules.CosineDecay(0.1, 40)(7) / 2


def test_a_resumed_run_keeps_its_scaled_schedule(tmp_path):
    class Killed(Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 2:
                raise KeyboardInterrupt

    lower = {5: [{"command": "learning_rate", "factor": 0.5}]}
    whole, broken, resumed = (network(decay()) for _ in range(3))
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    fit(whole, Listener(tmp_path / "a", lower, pace=1), epochs=5)
    backup = tmp_path / "backup"
    with pytest.raises(KeyboardInterrupt):
        fit(
            broken,
            Listener(tmp_path / "b", lower, pace=1),
            BackupAndRestore(backup),
            Killed(),
            epochs=5,
        )
    listener = Listener(tmp_path / "b", pace=1)
    fit(resumed, listener, BackupAndRestore(backup), epochs=5)
    assert listener.control.factor == 0.5
    same(whole, resumed)


def test_the_rate_of_the_next_step():
    assert rate_now(network(SGD(0.25))) == 0.25
    assert rate_now(Sequential([Input((2,)), Dense(1)])) is None
    model = network(SGD(schedules.LinearDecay(1.0, 16)))
    fit(model, epochs=1)
    assert rate_now(model) == 0.5
    model = network(SGD(schedules.LinearDecay(1.0, 16), gradient_accumulation_steps=3))
    fit(model, epochs=1)
    assert rate_now(model) == 0.5


@pytest.mark.parametrize(
    "command",
    [
        None,
        [],
        "pause",
        {},
        {"command": "quit"},
        {"command": ["pause"]},
        {"command": "learning_rate"},
        {"command": "learning_rate", "factor": 1.0},
        {"command": "learning_rate", "factor": 0},
        {"command": "learning_rate", "factor": -0.5},
        {"command": "learning_rate", "factor": float("nan")},
        {"command": "learning_rate", "factor": True},
        {"command": "learning_rate", "factor": "0.5"},
    ],
    ids=repr,
)
def test_what_is_no_command_is_refused(command):
    with pytest.raises(ArgumentError):
        checked(command)


def test_nothing_is_sent_where_no_run_listens(tmp_path):
    with pytest.raises(FileError, match="no run listens"):
        send(tmp_path, "pause")
    with pytest.raises(FileError, match="no run listens"):
        send(tmp_path / "missing", "pause")
    Control(tmp_path).begin()
    send(tmp_path, "pause")
    listens = Control(tmp_path)
    listens.begin()
    assert listens.commands() == []  # what was sent to an earlier run
    listens.end()
    assert not list(tmp_path.iterdir())
    with pytest.raises(FileError, match="has it ended"):
        send(tmp_path, "resume")


def test_nothing_is_written_outside_of_the_folder(tmp_path):
    run, outside = tmp_path / "run", tmp_path / "outside"
    run.mkdir()
    outside.write_text("mine")
    (run / control.FILE).symlink_to(outside)
    with pytest.raises(FileError):
        send(run, "stop")
    assert outside.read_text() == "mine"
    (run / control.FILE).unlink()
    os.mkfifo(run / control.FILE)
    with pytest.raises(FileError):  # and it does not wait for a reader
        send(run, "stop")
    (run / control.FILE).unlink()
    (run / control.FILE).write_bytes(b"\n" * ((1 << 20) + 1))
    with pytest.raises(FileError, match="full"):
        send(run, "stop")


def test_a_link_in_the_place_of_the_file_is_replaced(tmp_path):
    run, outside = tmp_path / "run", tmp_path / "outside"
    run.mkdir()
    outside.write_text("mine")
    (run / control.FILE).symlink_to(outside)
    Control(run).begin()
    send(run, "stop")
    assert outside.read_text() == "mine" and not (run / control.FILE).is_symlink()


def test_half_lines_and_noise_are_passed_over(tmp_path):
    listens = Control(tmp_path)
    listens.begin()
    path = tmp_path / control.FILE
    with open(path, "ab") as file:
        file.write(b'\xff\xfe\n{"command": "quit"}\n[[[\n{"command": "pau')
    assert listens.commands() == []
    with open(path, "ab") as file:
        file.write(b'se"}\n' + b"[" * 10_000 + b"\n")
    assert listens.commands() == [{"command": "pause"}]
    with open(path, "ab") as file:
        file.write(b'{"command": "st')  # its writer died
    send(tmp_path, "resume")
    assert listens.commands() == [{"command": "resume"}]
    path.write_bytes(b"")  # somebody emptied it
    assert listens.commands() == []
    send(tmp_path, "stop")
    assert listens.commands() == [{"command": "stop"}]


def test_it_looks_ten_times_a_second_at_most(tmp_path, monkeypatch):
    listens = Control(tmp_path)
    listens.begin()
    looks = []
    stat = os.stat
    monkeypatch.setattr(control.os, "stat", lambda path: looks.append(path) or stat(path))
    now = iter(np.arange(0.0, 10.0, 0.01).tolist())
    monkeypatch.setattr(control.time, "monotonic", lambda: next(now))
    model = network()
    for _ in range(200):
        listens.look(model)
    assert 15 <= len(looks) <= 21


def test_a_folder_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(FileError, match="cannot write"):
        Control(tmp_path / "file").begin()
    Control(tmp_path / "file").end()


PAUSED = """
    import sys, numpy as np
    sys.path.insert(0, {tests!r})
    import test_control as t
    listener = t.Listener(sys.argv[1], {{3: [{{"command": "pause"}}]}}, pace=1)
    listener.control.tell = lambda command, **facts: print(command, flush=True)
    model = t.network()
    try:
        t.fit(model, listener)
    except KeyboardInterrupt:
        print("interrupted after", listener.done)
"""


def test_a_paused_run_ends_by_ctrl_c(tmp_path):
    code = textwrap.dedent(PAUSED.format(tests=os.path.dirname(__file__)))
    run = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    with run:
        assert run.stdout.readline() == "pause\n"
        time.sleep(0.15)
        run.send_signal(signal.SIGINT)
        assert run.communicate(timeout=60)[0] == "interrupted after 4\n"
    assert run.returncode == 0


def test_lines_of_several_senders_do_not_mix(tmp_path):
    listens = Control(tmp_path)
    listens.begin()
    senders = [
        threading.Thread(target=lambda: [send(tmp_path, "pause") for _ in range(50)])
        for _ in range(4)
    ]
    for thread in senders:
        thread.start()
    for thread in senders:
        thread.join()
    assert len(listens.commands()) == 200
    lines = (tmp_path / control.FILE).read_text().split("\n")
    assert all(not line or json.loads(line) == {"command": "pause"} for line in lines)
