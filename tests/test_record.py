"""The record of a run: what is written while it goes on, and read by others meanwhile."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
import warnings

import numpy as np
import pytest

from chainrule.callbacks import BackupAndRestore, Callback, LambdaCallback, RunRecorder
from chainrule.errors import ArgumentError, ChainruleWarning, DataError, FileError
from chainrule.insight import RunRecord, find_runs
from chainrule.insight.collection import Runs
from chainrule.insight.control import Control, send
from chainrule.insight.costs import layer_sizes, layer_times
from chainrule.insight.evaluation import evaluated
from chainrule.insight.looking import LookWriter
from chainrule.insight.record import is_alive, process
from chainrule.insight.record_file import FIELDS, RecordWriter, packed, plain, text_of, unpacked
from chainrule.layers import Conv2D, Dense, Flatten, Input
from chainrule.losses import BinaryCrossentropy
from chainrule.models import Model, Sequential
from chainrule.optimizers import SGD
from chainrule.optimizers.schedules import LinearDecay
from chainrule.utils import set_random_seed
from sample_runs import LAYERS, make_run, statistics_of


def small(optimizer="sgd", loss="mse"):
    set_random_seed(0)
    model = Sequential([Input((4,)), Dense(8, "relu", name="hidden"), Dense(1, name="out")])
    model.compile(optimizer, loss, metrics=["mae"])
    return model


def data(n=64):
    x = np.random.default_rng(0).normal(size=(n, 4)).astype("float32")
    return x, x.sum(axis=1)


def fit(model, folder, *more, epochs=3, **named):
    recorder = RunRecorder(folder, **named)
    x, y = data()
    history = model.fit(
        x, y, 8, epochs, 0, callbacks=[*more, recorder], validation_data=(x[:16], y[:16])
    )
    return history.history, recorder


def test_record_holds_what_fit_measured(tmp_path):
    history, _ = fit(small(), tmp_path / "run")
    record = RunRecord(tmp_path / "run")
    assert record.history == history
    assert [e["epoch"] for e in record.epochs] == [0, 1, 2]
    assert [e["step"] for e in record.epochs] == [8, 16, 24]
    assert record.state == "finished" and record.final["state"] == "finished"
    assert record.about["training"]["optimizer"]["class"] == "SGD"
    assert record.about["training"]["steps"] == 8 and record.about["training"]["batch_size"] == 8
    layers = record.about["model"]["layers"]
    assert [(one["name"], one["parameters"]) for one in layers] == [("hidden", 40), ("out", 9)]
    assert record.about["model"]["svg"].startswith("<svg")
    assert record.about["data"]["validation"]["samples"] == 16
    assert record.name == "run" and not record.refresh()


def test_looks_are_the_statistics_of_the_run(tmp_path):
    seen = {}

    def remember(logs=None):
        s = recorder.run.statistics
        seen.update(
            {name: getattr(s, name).copy() for name in ("steps", "loss", "ratio", "weight")}
        )

    recorder = RunRecorder(tmp_path, statistics=1)
    x, y = data()
    last = LambdaCallback(on_train_end=remember)
    small().fit(x, y, 8, 2, 0, callbacks=[recorder, last])
    looks = RunRecord(tmp_path).looks
    assert looks.steps.tolist() == seen["steps"].tolist() == [*range(16)]
    np.testing.assert_allclose(looks.loss, seen["loss"])
    np.testing.assert_allclose(looks.ratio, seen["ratio"], rtol=1e-6)
    for name in (*FIELDS, "histogram"):
        np.testing.assert_allclose(looks.weight[name], seen["weight"][name], rtol=1e-6)
    assert [layer.name for layer in looks.layers] == ["hidden", "out"]
    assert looks.weights[0].name == "hidden.kernel" and looks.weights[0].shape == (4, 8)


def test_without_statistics_there_are_no_looks(tmp_path):
    fit(small(), tmp_path, statistics=None)
    record = RunRecord(tmp_path)
    assert record.looks is None and len(record.epochs) == 3


def test_recording_changes_no_bit_of_the_result(tmp_path):
    plain_model, recorded = small(), small()
    x, y = data()
    plain_model.fit(x, y, 8, 3, 0)
    recorded.fit(x, y, 8, 3, 0, callbacks=RunRecorder(tmp_path))
    for a, b in zip(plain_model.get_weights(), recorded.get_weights(), strict=True):
        assert a.tobytes() == b.tobytes()


def test_record_is_read_while_it_is_written(tmp_path):
    counts = []

    class Reader(Callback):
        last = True

        def on_epoch_end(self, epoch, logs=None):
            recorder._next_status = 0.0  # as if half a second had passed
            counts.append(None if not (tmp_path / "run.json").exists() else epoch)
            if epoch:
                record.append(RunRecord(tmp_path))
                assert record[0].refresh() or epoch == 1
                assert record[0].state == "running"
                counts[-1] = len(record[0].epochs)

    record = []
    recorder = RunRecorder(tmp_path)
    x, y = data()
    small().fit(x, y, 8, 4, 0, callbacks=[recorder, Reader()])
    assert counts[1:] == sorted(counts[1:]) and counts[-1] >= 3
    assert record[0].refresh() and record[0].state == "finished" and len(record[0].epochs) == 4


def test_status_between_epochs_is_that_of_the_end_of_one(tmp_path):
    class Look(Callback):
        def on_epoch_end(self, epoch, logs=None):
            recorder._next_status = 0.0  # as if a long validation was over

        def on_epoch_begin(self, epoch, logs=None):
            if epoch:
                status = RunRecord(tmp_path).status
                found.append([status[name] for name in ("epoch", "batch", "steps", "step")])

    found, recorder = [], RunRecorder(tmp_path)
    x, y = data()
    small().fit(x, y, 8, 3, 0, callbacks=[Look(), recorder])
    assert found == [[0, 8, 8, 8], [1, 8, 8, 16]]


def test_half_written_last_line_is_read_when_it_is_whole(tmp_path):
    make_run(tmp_path, epochs=2, statistics=False)
    path = tmp_path / "events.jsonl"
    whole = path.read_bytes()
    line = text_of({"event": "epoch", "time": 1, "epoch": 2, "step": 150, "logs": {"loss": 0.5}})
    path.write_bytes(whole + line.encode()[:30])
    record = RunRecord(tmp_path)
    assert len(record.epochs) == 2 and not record.refresh()
    path.write_bytes(whole + line.encode() + b"\n")
    assert record.refresh() and record.history["loss"][-1] == 0.5


def test_damaged_lines_and_unknown_events_are_passed_over(tmp_path):
    make_run(tmp_path, epochs=2, statistics=False)
    with open(tmp_path / "events.jsonl", "ab") as file:
        file.write(b'{"event":"epo\x00\n[1]\n{"event":"new kind","time":1}\n\n')
        file.write(b'{"event":"look","step":1}\n{"event":"layout","layers":[{"shape":3}]}\n')
        file.write(b'{"event":"epoch","epoch":"x","logs":{"loss":"much"}}\n7\n"text"\n')
    record = RunRecord(tmp_path)
    assert len(record.epochs) == 2 and record.looks is None


def test_missing_parts_are_empty(tmp_path):
    make_run(tmp_path, epochs=2)
    for name in ("events.jsonl", "status.json", "final.json", "final.safetensors"):
        (tmp_path / name).unlink()
    record = RunRecord(tmp_path)
    assert record.epochs == [] and record.history == {} and record.looks is None
    assert record.final is None and record.arrays == {} and record.state == "interrupted"


def test_folder_without_a_record_is_told(tmp_path):
    with pytest.raises(FileError, match=r"no record of a run.*\n  fix: give the folder of a run"):
        RunRecord(tmp_path)
    (tmp_path / "file.csv").write_text("a,b")
    with pytest.raises(FileError, match="no record of a run"):
        RunRecord(tmp_path / "file.csv")
    (tmp_path / "run.json").write_text('{"format": "chainrule run", "version": 99}')
    with pytest.raises(FileError, match="version 99"):
        RunRecord(tmp_path)


def test_new_run_in_a_folder_takes_the_place_of_the_old(tmp_path):
    make_run(tmp_path, epochs=6)
    record = RunRecord(tmp_path)
    fit(small(), tmp_path, epochs=2)
    assert record.refresh() and len(record.epochs) == 2
    assert "confusion" not in str(record.final) and record.about["model"]["kind"] == "Sequential"


def test_numbers_that_are_not_finite_are_strict_json(tmp_path):
    assert text_of({"a": float("nan"), "b": [float("inf"), -np.inf]}) == (
        '{"a":"NaN","b":["Infinity","-Infinity"]}'
    )
    model = small(SGD(1e30))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit(model, tmp_path)
    for line in (tmp_path / "events.jsonl").read_text().splitlines():
        json.loads(line, parse_constant=pytest.fail)
    assert not np.isfinite(RunRecord(tmp_path).history["loss"][-1])


def test_plain_data_of_all_kinds():
    value = {"n": np.float32(0.5), "a": np.arange(2), 3: (True, None), "o": object()}
    assert plain(value) == {"n": 0.5, "a": [0, 1], "3": [True, None], "o": "object"}


def test_statistics_come_back_as_they_were():
    table = statistics_of(30, 10, np.random.default_rng(0)).weight[3]
    back = unpacked(packed(table), len(table))
    for name in FIELDS:
        np.testing.assert_allclose(back[name], table[name].astype("float32"))
    assert (back["histogram"] == table["histogram"]).all()
    assert base64.b64decode(packed(table)[0])[:4] == np.float32(table["mean"][0]).tobytes()


def test_looks_are_thinned_and_the_last_is_kept(tmp_path):
    statistics = statistics_of(30_000, 300, np.random.default_rng(0))
    writer = RecordWriter(tmp_path)
    writer.about({})
    looks = LookWriter(writer)
    looks.take(statistics, 1.0)
    looks.take(statistics, 2.0, ending=True)
    looks.take(statistics, 3.0, ending=True)
    writer.write()
    steps = RunRecord(tmp_path).looks.steps
    assert steps[:5].tolist() == [0, 3, 6, 9, 12] and steps[-1] == statistics.steps[-1]
    assert len(steps) < 400 and (np.diff(steps) > 0).all()
    assert (np.diff(steps) <= 0.03 * steps[1:] + 3).all()


def test_looks_are_asked_for_only_where_one_can_be_due(tmp_path):
    statistics = statistics_of(3000, 300, np.random.default_rng(0))
    after, asked = statistics.after, []
    statistics.after = lambda step: asked.append(step) or after(step)
    writer = RecordWriter(tmp_path)
    writer.about({})
    looks = LookWriter(writer)
    looks.take(statistics, 1.0)
    assert asked == [-1] and looks.next > 3000
    for statistics.step in range(3000, looks.next + 2):
        looks.take(statistics, 2.0)
    assert asked == [-1, looks.last]
    looks.take(statistics, 3.0, ending=True)
    assert len(asked) == 3


def test_looks_after_a_step_are_had_without_all_others(tmp_path):
    class Ask(Callback):
        statistics = 1

        def on_epoch_end(self, epoch, logs=None):
            s = self.run.statistics
            found.append(s.after(8 * epoch + 2))
            held.append(len(s._held))

        def on_train_end(self, logs=None):
            s = self.run.statistics
            for tables in found:
                steps = tables["steps"]
                for name in ("steps", "epochs", "loss", "error", "weight", "ratio", "dead", "snr"):
                    np.testing.assert_array_equal(tables[name], getattr(s, name)[steps])
            assert s.after(s.step) == {}

    found, held = [], []
    x, y = data()
    small().fit(x, y, 8, 3, 0, callbacks=Ask())
    assert [t["steps"].tolist() for t in found] == [
        [*range(first, first + 5)] for first in (3, 11, 19)
    ]
    assert held == [1, 2, 3]


def test_interrupted_run_says_so(tmp_path):
    class Stop(Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 1:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(small(), tmp_path, Stop(), epochs=5)
    record = RunRecord(tmp_path)
    assert record.state == "interrupted" and len(record.epochs) == 1
    assert record.final["state"] == "interrupted" and "filters/hidden" in record.arrays


@pytest.mark.parametrize("bad", ["x", "y"])
def test_run_over_bad_data_says_why(tmp_path, bad):
    """The first step is looked at, and the error comes before anything was measured."""
    x, y = data()
    {"x": x, "y": y}[bad][:] = np.nan
    with pytest.raises(DataError, match="is nan in row") as told:
        small().fit(x, y, 8, 2, 0, callbacks=RunRecorder(tmp_path))
    record = RunRecord(tmp_path)
    assert record.state == "failed" and record.final["message"] == str(told.value)


def test_error_of_the_recorder_does_not_hide_what_ended_the_run(tmp_path, monkeypatch):
    class Fail(Callback):
        def on_epoch_end(self, epoch, logs=None):
            raise OSError("no room")

    def broken(*arguments):
        raise ValueError("broken")

    monkeypatch.setattr(LookWriter, "take", broken)
    lacking = pytest.warns(ChainruleWarning, match="lacks something: ValueError: broken")
    with lacking, pytest.raises(OSError, match="no room"):
        fit(small(), tmp_path, Fail())
    assert RunRecord(tmp_path).state == "failed"


@pytest.mark.parametrize("what", ["about_model", "answers", "described"])
def test_what_cannot_be_said_of_a_run_leaves_the_rest(tmp_path, monkeypatch, what):
    def broken(*arguments):
        raise IndexError("out of range")

    monkeypatch.setattr(f"chainrule.callbacks.run_recorder.{what}", broken)
    with pytest.warns(ChainruleWarning, match="lacks something: IndexError: out of range"):
        fit(small(), tmp_path)
    record = RunRecord(tmp_path)
    assert record.state == "finished" and len(record.epochs) == 3
    assert ("layers" in record.final) == (what != "about_model")
    assert ("evaluation" in record.final) == (what != "answers")
    assert ("model" in record.about) == (what != "described")


def test_names_that_are_no_characters_are_written(tmp_path):
    fit(small(), tmp_path, about={"command": "caf\udce9.csv", "\udce9": "é"})
    about = RunRecord(tmp_path).about
    assert about["command"] == "caf\\udce9.csv" and about["\\udce9"] == "é"


def test_failed_run_says_why(tmp_path):
    class Fail(Callback):
        def on_epoch_end(self, epoch, logs=None):
            raise OSError("no room")

    with pytest.raises(OSError, match="no room"):
        fit(small(), tmp_path, Fail())
    record = RunRecord(tmp_path)
    assert record.state == "failed" and record.final["message"] == "no room"


KILLED = """
    import os, signal, sys
    import numpy as np
    from chainrule.callbacks import BackupAndRestore, LambdaCallback, RunRecorder
    from chainrule.layers import Dense, Input
    from chainrule.models import Sequential
    from chainrule.utils import set_random_seed

    folder, kill = sys.argv[1], int(sys.argv[2])
    set_random_seed(0)
    model = Sequential([Input((4,)), Dense(8, "relu", name="hidden"), Dense(1, name="out")])
    model.compile("sgd", "mse")
    x = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")

    def end(epoch, logs):
        recorder._next_status = 0.0
        if epoch == kill:
            recorder._pass()
            os.kill(os.getpid(), signal.SIGKILL)

    recorder = RunRecorder(folder + "/run")
    backup = BackupAndRestore(folder + "/backup", save_freq=11)
    killer = LambdaCallback(on_epoch_end=end)
    killer.last = True
    history = model.fit(x, x.sum(axis=1), 8, 6, 0, callbacks=[recorder, backup, killer])
    print(history.history["loss"][-1].hex())
"""


def _run(script, *arguments):
    command = [sys.executable, "-c", textwrap.dedent(script), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def test_killed_and_resumed_run_has_one_record(tmp_path):
    assert _run(KILLED, tmp_path, 3).returncode == -signal.SIGKILL
    record = RunRecord(tmp_path / "run")
    assert record.state == "interrupted" and len(record.epochs) >= 3
    done = _run(KILLED, tmp_path, -1)
    assert done.returncode == 0, done.stderr
    record.refresh()
    assert record.state == "finished" and [e["epoch"] for e in record.epochs] == [*range(6)]
    assert record.history["loss"][-1].hex() == done.stdout.strip()
    assert len(record.begins) == 2
    steps = [e["step"] for e in record.epochs]
    assert steps == [8 * n for n in range(1, 7)]
    lines = (tmp_path / "run" / "events.jsonl").read_text().splitlines()
    kinds = [json.loads(line)["event"] for line in lines]
    assert kinds.count("epoch") == 6  # what was written after the backup is not there twice
    steps = record.looks.steps
    assert steps[0] == 0 and steps[-1] >= 32 and (np.diff(steps) > 0).all()


KILLED_AT_AN_EPOCH = """
    import os, sys
    import numpy as np
    from chainrule.callbacks import BackupAndRestore, LambdaCallback, RunRecorder
    from chainrule.layers import Dense, Input
    from chainrule.models import Sequential

    folder, backup_first, kill = sys.argv[1], sys.argv[2] == "True", int(sys.argv[3])
    model = Sequential([Input((4,)), Dense(1)])
    model.compile("sgd", "mse")
    x = np.ones((16, 4), "float32")

    def begin(epoch, logs):
        if epoch == kill:
            os._exit(7)

    def end(logs):
        if kill == 4:
            os._exit(7)

    last = [BackupAndRestore(folder + "/backup"), RunRecorder(folder + "/run")]
    if not backup_first:
        last.reverse()
    killer = LambdaCallback(on_epoch_begin=begin, on_train_end=end)
    model.fit(x, x[:, 0], 8, 4, 0, callbacks=[killer, *last])
"""


@pytest.mark.parametrize(("backup_first", "kill"), [(True, 2), (False, 2), (False, 4)])
def test_record_of_a_resumed_run_has_the_epochs_before(tmp_path, backup_first, kill):
    """However the two callbacks are given, and of epochs too short to have been written yet."""
    assert _run(KILLED_AT_AN_EPOCH, tmp_path, backup_first, kill).returncode == 7
    done = _run(KILLED_AT_AN_EPOCH, tmp_path, backup_first, -1)
    assert done.returncode == 0, done.stderr
    record = RunRecord(tmp_path / "run")
    assert [(e["epoch"], e["step"]) for e in record.epochs] == [(0, 2), (1, 4), (2, 6), (3, 8)]
    assert record.state == "finished" and len(record.begins) == 2
    place = [record.status[name] for name in ("epoch", "batch", "step")]
    assert place == [3, 2, 8]


def test_state_of_a_process_that_is_gone():
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    mine = process()
    status = {**mine, "pid": child.pid, "begun": "", "state": "running"}
    assert is_alive(mine) and is_alive({**status, "host": "elsewhere"})
    if sys.platform == "linux":
        assert not is_alive(status)  # of another beginning: the number came again
    child.communicate()
    assert not is_alive(status)


def test_run_that_lost_its_disk_goes_on(tmp_path):
    class Lose(Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 1:
                recorder.writer.folder = tmp_path / "gone"

    recorder = RunRecorder(tmp_path / "run")
    x, y = data()
    with pytest.warns(ChainruleWarning, match="no longer into its record"):
        history = small().fit(x, y, 8, 3, 0, callbacks=[Lose(), recorder])
    assert len(history.epoch) == 3


def test_folder_that_cannot_be_made_is_told_before_training(tmp_path):
    (tmp_path / "file").write_text("")
    model = small()
    before = model.get_weights()
    with pytest.raises(FileError, match="file"):
        fit(model, tmp_path / "file" / "run")
    for a, b in zip(before, model.get_weights(), strict=True):
        assert (a == b).all()


@pytest.mark.parametrize("statistics", [0, -1, True, "often", 1.5])
def test_statistics_that_are_none_are_refused(tmp_path, statistics):
    with pytest.raises(ArgumentError, match="statistics is"):
        RunRecorder(tmp_path, statistics=statistics)


@pytest.mark.parametrize("read", [RunRecorder, RunRecord, find_runs, Control, Runs])
@pytest.mark.parametrize("given", [5, None, b"runs"])
def test_folders_that_are_none_are_refused(read, given):
    with pytest.raises(ArgumentError, match=r"folder is .*; expected a path"):
        read(given)


def test_findings_of_a_doctor_are_recorded(tmp_path):
    class Doctor(Callback):
        findings = ()

        def on_epoch_end(self, epoch, logs=None):
            if epoch == 1:
                self.findings = [found]

    class Found:
        kind, layer, step, evidence = "dead_relu", "hidden", 9, "half of it"
        cause, remedy, change, numbers = "", "a lower rate", {"x": 1}, {"dead": np.float64(0.5)}

    found = Found()
    fit(small(), tmp_path, Doctor())
    (read,) = RunRecord(tmp_path).findings
    assert read["kind"] == "dead_relu" and read["step"] == 9 and read["numbers"] == {"dead": 0.5}


def test_learning_rate_of_a_schedule_is_recorded(tmp_path):
    model = small(SGD(LinearDecay(0.1, 100)))
    fit(model, tmp_path)
    rates = RunRecord(tmp_path).final["rates"]
    assert rates["steps"] == [*range(24)]
    np.testing.assert_allclose(rates["learning_rate"], 0.1 * (1 - np.arange(24) / 100))
    fit(model, tmp_path)  # goes on where it was
    rates = RunRecord(tmp_path).final["rates"]["learning_rate"]
    np.testing.assert_allclose(rates, 0.1 * (1 - np.arange(24, 48) / 100))


def test_learning_rate_that_is_a_number_is_recorded(tmp_path):
    lower = LambdaCallback(
        on_epoch_end=lambda epoch, logs: setattr(
            model.optimizer, "learning_rate", 0.1 / (epoch + 1)
        )
    )
    model = small(SGD(0.1))
    fit(model, tmp_path, lower)
    assert [e["learning_rate"] for e in RunRecord(tmp_path).epochs] == [0.1, 0.05, 0.1 / 3]
    assert "rates" not in RunRecord(tmp_path).final


def test_stop_asked_for_from_outside(tmp_path):
    class Ask(Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 2:
                send(tmp_path, "stop")
                time.sleep(0.15)  # a run looks ten times a second

    history, _ = fit(small(), tmp_path, Ask(), epochs=50)
    record = RunRecord(tmp_path)
    assert len(history["loss"]) < 50 and record.state == "finished"
    assert [c["command"] for c in record.commands] == ["stop"]


def test_more_is_added_at_the_end(tmp_path):
    _, recorder = fit(small(), tmp_path)
    recorder.conclude({"evaluation": {"part": "test"}}, {"picture/0": np.zeros((8, 8), "uint8")})
    record = RunRecord(tmp_path)
    assert record.final["evaluation"] == {"part": "test"}
    assert record.arrays["picture/0"].shape == (8, 8) and "filters/hidden" in record.arrays


def test_classification_with_images_leaves_confusion_and_pictures(tmp_path):
    random = np.random.default_rng(0)
    x, y = random.random((40, 8, 8, 1), "float32"), random.integers(0, 3, 40)
    model = Sequential([Input((8, 8, 1)), Conv2D(4, 3), Flatten(), Dense(3, "softmax")])
    model.compile("adam", "sparse_categorical_crossentropy")
    recorder = RunRecorder(tmp_path, about={"classes": ["a", "b", "c"]})
    model.fit(x, y, 8, 1, 0, callbacks=recorder, validation_split=0.5)
    record = RunRecord(tmp_path)
    found = record.final["evaluation"]
    outputs = model.predict(x[20:], verbose=0)
    assert found["accuracy"] == pytest.approx((outputs.argmax(1) == y[20:]).mean())
    assert np.sum(found["matrix"]) == 20 and found["classes"] == ["a", "b", "c"]
    worst = found["worst"][0]
    wrong = outputs.argmax(1) != y[20:]
    assert worst["confidence"] == pytest.approx(outputs[wrong].max(), abs=1e-4)
    assert record.arrays[worst["picture"]].shape == (8, 8, 1)
    assert record.final["filter_shape"] == [8, 8, 1]
    assert {one["name"] for one in record.final["layers"]} == {one.name for one in model.layers}
    assert record.final["memory"]["buffers"] > 0


def answered(folder, x, y, units=3, loss="sparse_categorical_crossentropy", **named):
    model = Sequential([Input((4,)), Dense(units)])
    model.compile("sgd", loss)
    about = named.pop("about", None)
    model.fit(x[:16], y[:16], 8, 1, 0, callbacks=RunRecorder(folder, about=about), **named)
    return model, RunRecord(folder).final["evaluation"]


def test_too_few_names_of_classes_are_numbers(tmp_path):
    x, _ = data()
    y = np.arange(len(x)) % 3
    _, found = answered(tmp_path, x, y, about={"classes": ["a", "b"]}, validation_data=(x, y))
    assert found["classes"] == ["0", "1", "2"] and found["samples"] == len(x)
    assert "of" not in found


def test_rows_of_a_sorted_validation_are_of_all_its_classes(tmp_path):
    x = np.random.default_rng(0).normal(size=(6000, 4)).astype("float32")
    y = np.sort(np.arange(6000) % 3)
    model, found = answered(tmp_path, x, y, validation_data=(x, y))
    assert np.sum(found["matrix"], axis=1).min() > 600
    assert (found["samples"], found["of"]) == (2000, 6000)
    assert found["accuracy"] == pytest.approx(
        (model.predict(x, verbose=0).argmax(axis=1) == y).mean(), abs=0.04
    )
    outputs = model.predict(x, verbose=0)
    for error in found["worst"]:
        row = error["row"]
        assert [error["true"], error["predicted"]] == [str(y[row]), str(outputs[row].argmax())]


def test_rows_held_out_are_told_by_their_number_in_the_data(tmp_path):
    x, _ = data()
    y = np.arange(len(x)) % 3
    model = Sequential([Input((4,)), Dense(3)])
    model.compile("sgd", "sparse_categorical_crossentropy")
    model.fit(x, y, 8, 1, 0, callbacks=RunRecorder(tmp_path), validation_split=0.25)
    worst = RunRecord(tmp_path).final["evaluation"]["worst"]
    rows = [error["row"] for error in worst]
    assert min(rows) >= 48 and [error["true"] for error in worst] == [str(y[row]) for row in rows]


def test_answers_to_batches_of_the_users_own_are_counted(tmp_path):
    x, _ = data()
    y = np.arange(len(x)) % 3

    class Own:
        def __iter__(self):
            return iter([(x[:8], y[:8]), (x[8:16], y[8:16])])

    _, found = answered(tmp_path, x, y, validation_data=Own())
    assert (found["samples"], found["of"]) == (8, None)
    assert "row" not in found["worst"][0] and found["worst"][0]["file"].endswith("of batch 0")


@pytest.mark.parametrize(("kernel", "bias"), [(2.0, 0.0), (0.0, 0.3)])
def test_one_logit_is_two_classes(tmp_path, kernel, bias):
    """Also where all logits lie between 0 and 1, as chances do."""
    x, _ = data()
    y = (x[:, 0] > 0).astype("int64")
    model = Sequential([Input((4,)), Dense(1)])
    model.set_weights([np.full((4, 1), kernel, "float32"), np.full(1, bias, "float32")])
    model.compile(SGD(1e-6), BinaryCrossentropy(from_logits=True))
    model.fit(x, y, 8, 1, 0, callbacks=RunRecorder(tmp_path), validation_data=(x, y))
    found = RunRecord(tmp_path).final["evaluation"]
    logits = model.predict(x, verbose=0)[:, 0]
    assert found["task"] == "classification" and found["classes"] == ["0", "1"]
    assert found["accuracy"] == pytest.approx(((logits > 0) == y).mean())


def test_model_of_the_users_own_class_is_recorded(tmp_path):
    class Own(Model):
        def __init__(self):
            super().__init__()
            self.dense = Dense(1)

        def call(self, x):
            return self.dense(x)

    model = Own()
    model.compile("sgd", "mse")
    x, y = data()
    model.fit(x, y, 8, 2, 0, callbacks=RunRecorder(tmp_path))
    record = RunRecord(tmp_path)
    assert record.state == "finished" and record.about["model"]["kind"] == "Own"


def test_evaluated_tells_classes_from_numbers():
    y = np.array([0, 1, 1, 0])
    two, _ = evaluated(y, np.array([[0.2], [0.9], [0.4], [0.1]], "float32"))
    assert two["task"] == "classification" and two["matrix"] == [[2, 0], [1, 1]]
    assert two["worst"][0]["row"] == 2 and two["worst"][0]["confidence"] == pytest.approx(0.6)
    logits, _ = evaluated(y, np.array([[2.0, -2], [-1, 1], [3, 0], [0, -5]], "float32"))
    assert logits["accuracy"] == 0.75 and 0.9 < logits["worst"][0]["confidence"] < 1
    hot, _ = evaluated(np.eye(2, dtype="float32")[y], np.eye(2, dtype="float32")[y])
    assert hot["accuracy"] == 1 and hot["worst"] == []
    numbers, arrays = evaluated(np.array([1.0, 2, 4]), np.array([[1.0], [2], [3]], "float32"))
    assert numbers["task"] == "regression" and numbers["worst"][0]["row"] == 2
    assert numbers["mae"] == pytest.approx(1 / 3) and numbers["rmse"] == pytest.approx(3**-0.5)
    assert numbers["r2"] == pytest.approx(1 - 1 / np.sum((np.array([1, 2, 4]) - 7 / 3) ** 2))
    assert arrays["regression/true"].tolist() == [1, 2, 4]
    assert evaluated(y, np.zeros((4, 3, 2), "float32")) is None
    assert evaluated(np.zeros(0), np.zeros((0, 2), "float32")) is None


def test_evaluated_leaves_out_what_has_no_class():
    outputs = np.array([[0.9, 0.1], [0.1, 0.9], [np.nan, np.nan]], "float32")
    found, _ = evaluated(np.array([0, -1, 1]), outputs)
    assert found["samples"] == 2 and found["matrix"] == [[1, 0], [1, 0]]


def test_evaluated_shows_texts_and_files():
    texts = ["fine", "x" * 500]
    found, _ = evaluated(
        np.array([0, 0]),
        np.array([[0.1, 0.9], [0.2, 0.8]]),
        shown=texts.__getitem__,
        files=["a.txt", "b.txt"],
        noun="text",
    )
    assert [e["file"] for e in found["worst"]] == ["a.txt", "b.txt"]
    assert found["worst"][0]["text"] == "fine" and len(found["worst"][1]["text"]) == 301


def test_costs_by_layer():
    model = Sequential([Input((4,)), Dense(8, name="a"), Dense(2, name="b")])
    sizes = layer_sizes(model, 16)
    assert [(s["weights"], s["activations"]) for s in sizes] == [(160, 512), (72, 128)]
    times = layer_times(model, 16)
    assert [*times] == ["a", "b"] and all(t["forward"] > 0 for t in times.values())
    assert layer_times(model, 16, seconds=0.0) == {}


def test_runs_are_found_newest_first(tmp_path):
    for age, name in enumerate(("a", "b/deep", "c")):
        folder = make_run(tmp_path / name, epochs=1, statistics=False)
        clock = time.time() - 100 * (3 - age)
        os.utime(folder / "run.json", (clock, clock))
    (tmp_path / "empty").mkdir()
    found = find_runs(tmp_path)
    assert [path.relative_to(tmp_path).as_posix() for path in found] == ["c", "b/deep", "a"]
    assert find_runs(tmp_path / "c") == [tmp_path / "c"]


@pytest.mark.parametrize("state", ["finished", "interrupted", "failed", "running", "paused"])
def test_sample_runs_have_their_state(tmp_path, state):
    record = RunRecord(make_run(tmp_path, state=state))
    assert record.state == state and len(record.looks.layers) == len(LAYERS)


def test_recording_costs_less_than_a_hundredth_of_the_processor(tmp_path):
    """By time of the processor within the hooks, a training of about a second long."""
    set_random_seed(0)
    model = Sequential([Input((256,)), Dense(512, "relu"), Dense(512, "relu"), Dense(10)])
    model.compile("adam", "mse")
    random = np.random.default_rng(0)
    x, y = random.random((4096, 256), "float32"), random.random((4096, 10), "float32")
    recorder = RunRecorder(tmp_path, statistics=None)
    spent = _timed(recorder, "on_train_batch_end", "on_epoch_end")
    began = time.process_time()
    model.fit(x, y, 32, 3, 0, callbacks=recorder)
    assert spent() < 0.02 * (time.process_time() - began)


def _timed(recorder, *hooks):
    """Count the time of the processor that hooks of a callback take."""
    total = [0.0]

    def wrapped(hook):
        def call(*arguments):
            began = time.thread_time()
            hook(*arguments)
            total[0] += time.thread_time() - began

        return call

    class Timed(RunRecorder):
        def interval(self):
            return None

    for name in hooks:
        hook = getattr(RunRecorder, name)
        setattr(Timed, name, wrapped(hook))
    recorder.__class__ = Timed
    return lambda: total[0]


def test_backup_of_a_recorded_run_ends_with_the_same_bits(tmp_path):
    x, y = data()
    plain_model, recorded = small(), small()
    plain_model.fit(x, y, 8, 3, 0)
    backup = BackupAndRestore(tmp_path / "backup")
    recorded.fit(x, y, 8, 3, 0, callbacks=[RunRecorder(tmp_path / "run"), backup])
    for a, b in zip(plain_model.get_weights(), recorded.get_weights(), strict=True):
        assert a.tobytes() == b.tobytes()
