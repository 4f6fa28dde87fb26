"""Callbacks: each against Keras's where that has it, else against what its words say."""

from __future__ import annotations

import math
import struct
from types import SimpleNamespace

import numpy as np
import pytest

from chainrule import callbacks as cb
from chainrule.errors import ArgumentError, FileError
from chainrule.layers import Dense, Dropout, Input, Lambda
from chainrule.models import Sequential, load_model
from chainrule.optimizers import SGD, Rprop
from chainrule.training.step import Step
from chainrule.utils import set_random_seed
from peers import peer

RANDOM = np.random.default_rng(8)
X = RANDOM.standard_normal((50, 4)).astype("float32")
Y = RANDOM.integers(0, 3, 50)


def network(optimizer="sgd"):
    set_random_seed(1)
    model = Sequential([Input((4,)), Dense(6, activation="relu"), Dropout(0.2), Dense(3)])
    model.compile(optimizer, "mse", metrics=["mae"])
    return model


def fit(model, *callbacks, epochs=3, **options):
    options = {"batch_size": 10, "verbose": 0} | options
    return model.fit(X, np.eye(3)[Y], epochs=epochs, callbacks=list(callbacks), **options)


def drive(callback, series, rate=0.1, monitor="val_loss"):
    """Show a callback a series of numbers; return what it did to rate and run after each."""
    weights = [0]
    optimizer = SimpleNamespace(learning_rate=rate)
    model = SimpleNamespace(
        optimizer=optimizer,
        stop_training=False,
        metrics=[],
        get_weights=lambda: list(weights),
        set_weights=lambda w: weights.__setitem__(0, w[0]),
    )
    if not type(callback).__module__.startswith("chainrule"):
        callback._model = model
    else:
        model = network(SGD(rate))
        optimizer = model.optimizer
        model.get_weights = lambda: list(weights)
        model.set_weights = lambda w: weights.__setitem__(0, w[0])
        callback.set_model(model)
        model.stop_training = False
    callback.on_train_begin()
    seen = []
    for epoch, number in enumerate(series):
        weights[0] = epoch
        callback.on_epoch_end(epoch, {monitor: float(number)})
        seen.append((round(float(optimizer.learning_rate), 9), model.stop_training))
        if model.stop_training:
            break
    callback.on_train_end()
    return seen, weights[0]


def options(random):
    return {
        "patience": int(random.integers(0, 5)),
        "min_delta": float(random.choice([0, 0.013, 0.21])),
        "mode": str(random.choice(["min", "max"])),
    }


@pytest.mark.parametrize("seed", range(60))
def test_early_stopping_stops_where_keras_does(seed):
    keras = peer("keras")
    random = np.random.default_rng(seed)
    given = options(random) | {
        "baseline": None if seed % 3 else 0.5,
        "restore_best_weights": bool(seed % 2),
        "start_from_epoch": int(random.integers(0, 3)),
    }
    series = np.round(random.random(25), 1)
    ours, theirs = cb.EarlyStopping(**given), keras.callbacks.EarlyStopping(**given)
    assert drive(ours, series) == drive(theirs, series)
    assert (ours.stopped_epoch, ours.wait) == (theirs.stopped_epoch, theirs.wait)
    assert ours.best_epoch == theirs.best_epoch


@pytest.mark.parametrize("seed", range(60))
def test_the_rate_is_reduced_where_keras_does(seed):
    keras = peer("keras")
    random = np.random.default_rng(seed)
    given = options(random) | {
        "factor": 0.5,
        "cooldown": int(random.integers(0, 4)),
        "min_lr": float(random.choice([0.0, 0.01])),
    }
    series = np.round(random.random(30), 1)
    ours = drive(cb.ReduceLROnPlateau(**given), series)
    assert ours == drive(keras.callbacks.ReduceLROnPlateau(**given), series)


def test_a_number_that_is_nan_is_no_improvement():
    stop = cb.EarlyStopping(patience=2)
    seen, _ = drive(stop, [math.nan, math.nan, 0.5, math.nan, math.nan])
    assert len(seen) == 2 and stop.best == math.inf


@pytest.mark.parametrize(
    ("name", "mode"),
    [("val_loss", "min"), ("val_accuracy", "max"), ("acc", "max"), ("hinge_loss", "min"),
     ("val_auc", "max"), ("mean_absolute_error", "min"), ("f1_score", "max"), ("mae", "min")],
)  # fmt: skip
def test_the_direction_of_a_number(name, mode):
    assert cb.EarlyStopping(name).mode == cb.Goal(name, 1).mode == mode


@pytest.mark.parametrize(
    "make", [cb.EarlyStopping, lambda: cb.Goal("val_loss", 1),
             lambda: cb.ModelCheckpoint("x.chainrule", save_best_only=True)]
)  # fmt: skip
def test_a_number_that_is_not_measured_is_an_error(make):
    with pytest.raises(ArgumentError, match="fix: pass validation_data"):
        fit(network(), make())


def test_a_misspelt_number_names_the_nearest():
    with pytest.raises(ArgumentError, match="did you mean 'loss'"):
        fit(network(), cb.Goal("los", 1))


def test_epochs_that_are_not_validated_do_not_count():
    stop = cb.EarlyStopping(patience=1, min_delta=100.0)
    history = fit(network(), stop, cb.ReduceLROnPlateau(), epochs=9,
                  validation_split=0.2, validation_freq=2)  # fmt: skip
    assert history.epoch == [0, 1, 2, 3] and len(history.history["val_loss"]) == 2


def test_reduce_without_its_number_warns_once():
    with pytest.warns(UserWarning, match="does nothing") as told:
        history = fit(network(), cb.ReduceLROnPlateau())
    assert len(told) == 1 and history.history["learning_rate"] == [0.01] * 3


@pytest.mark.parametrize(
    "callback", [cb.ReduceLROnPlateau("loss"), cb.LearningRateScheduler(lambda epoch: 0.1)]
)
def test_a_rate_that_follows_a_schedule_cannot_be_set(callback):
    with pytest.raises(ArgumentError, match="follows a schedule"):
        fit(network(SGD(lambda step: 0.1)), callback)


def test_reduce_in_a_run():
    reduce = cb.ReduceLROnPlateau("loss", factor=0.5, patience=1, min_delta=1e9, min_lr=0.03)
    model = network(SGD(0.1))
    history = fit(model, reduce, epochs=5)
    assert history.history["learning_rate"] == [0.1, 0.1, 0.05, 0.03, 0.03]
    assert float(model.optimizer.learning_rate) == 0.03


def test_scheduler_with_one_argument_or_two():
    history = fit(network(), cb.LearningRateScheduler(lambda epoch: 0.1 / (epoch + 1)))
    assert history.history["learning_rate"] == [0.1, 0.05, 0.1 / 3]
    history = fit(network(), cb.LearningRateScheduler(lambda epoch, rate: rate * 0.5))
    assert history.history["learning_rate"] == [0.005, 0.0025, 0.00125]
    assert list(history.history) == ["loss", "mae", "learning_rate"]
    with pytest.raises(ArgumentError, match="learning_rate is -1"):
        fit(network(), cb.LearningRateScheduler(lambda epoch: -1))


@pytest.mark.parametrize(
    "make",
    [
        lambda: cb.ReduceLROnPlateau(factor=1.0),
        lambda: cb.ReduceLROnPlateau(patience=-1),
        lambda: cb.ReduceLROnPlateau(mode="up"),
        lambda: cb.ModelCheckpoint("x", save_freq=0),
        lambda: cb.ModelCheckpoint("x", save_freq="batch"),
        lambda: cb.BackupAndRestore("x", save_freq=True),
        lambda: cb.CSVLogger("x", separator=", "),
        lambda: cb.Timer(0),
        lambda: cb.TensorBoard(histogram_freq=-1),
        lambda: cb.TensorBoard(update_freq="step"),
        lambda: cb.Timer("1"),
        lambda: cb.LambdaCallback(on_epoch=print),
        lambda: cb.EarlyStopping(patience="a"),
        lambda: cb.EarlyStopping(patience=2.5),
        lambda: cb.EarlyStopping(patience=None),
        lambda: cb.EarlyStopping(min_delta="a"),
        lambda: cb.EarlyStopping(baseline="0.5"),
        lambda: cb.EarlyStopping(start_from_epoch=-1),
        lambda: cb.ReduceLROnPlateau(factor="a"),
        lambda: cb.ReduceLROnPlateau(cooldown=0.5),
        lambda: cb.ReduceLROnPlateau(min_lr=-1),
        lambda: cb.ModelCheckpoint("x", initial_value_threshold="a"),
        lambda: cb.Goal("loss", "a"),
    ],
)
def test_arguments_out_of_range(make):
    with pytest.raises(ArgumentError):
        make()


def test_arguments_that_are_numbers_of_another_kind():
    stopping = cb.EarlyStopping(
        "loss", patience=math.inf, baseline=np.float32(9), min_delta=np.array(0.1), mode="max"
    )
    assert len(fit(network(), stopping).epoch) == 3
    assert cb.EarlyStopping(patience=np.int64(2), start_from_epoch=3.0).patience == 2


@pytest.mark.parametrize(
    "make",
    [lambda: cb.LearningRateScheduler(lambda epoch: 0.1), lambda: cb.ReduceLROnPlateau("loss")],
)
def test_a_rate_that_would_change_nothing_cannot_be_set(make):
    with pytest.raises(ArgumentError, match="Rprop"):
        fit(network(Rprop(0.1)), make())


def test_checkpoints_have_names_from_epoch_and_logs(tmp_path):
    path = tmp_path / "new" / "{epoch:02d}-{val_loss:.2f}.chainrule"
    history = fit(network(), cb.ModelCheckpoint(path), validation_split=0.2)
    names = [f"{i + 1:02d}-{v:.2f}.chainrule" for i, v in enumerate(history.history["val_loss"])]
    assert sorted(p.name for p in path.parent.iterdir()) == names
    with pytest.raises(ArgumentError, match=r"'val_los'[\s\S]*known: epoch, loss, mae"):
        fit(network(), cb.ModelCheckpoint(tmp_path / "{val_los}"))


def test_the_best_model_is_kept(tmp_path):
    path = tmp_path / "best.chainrule"
    model = network(SGD(0.9))
    history = fit(model, cb.ModelCheckpoint(path, save_best_only=True), epochs=6,
                  validation_split=0.2)  # fmt: skip
    x, y = X[40:], np.eye(3)[Y][40:]
    best = load_model(path).evaluate(x, y, verbose=0)[0]
    assert best == pytest.approx(min(history.history["val_loss"]), rel=1e-6)
    assert best < model.evaluate(x, y, verbose=0)[0]


def test_a_threshold_and_the_other_direction(tmp_path):
    path = tmp_path / "best.chainrule"
    fit(network(), cb.ModelCheckpoint(path, "loss", save_best_only=True,
                                      initial_value_threshold=1e-9))  # fmt: skip
    assert not path.exists()
    checkpoint = cb.ModelCheckpoint(path, "loss", save_best_only=True, mode="max")
    history = fit(network(), checkpoint)
    assert checkpoint.best == max(history.history["loss"])


@pytest.mark.parametrize(
    ("freq", "batches"), [(2, [2, 4, 1, 3, 5, 2, 4]), (5, [5, 5, 5]), (7, [2, 4])]
)
def test_checkpoints_by_batches(tmp_path, freq, batches):
    paths = cb.ModelCheckpoint(tmp_path / "{epoch}-{batch}", save_freq=freq, save_weights_only=True)
    fit(network(), paths)
    found = sorted(tuple(map(int, p.name.split("-"))) for p in tmp_path.iterdir())
    assert [batch for _, batch in found] == batches


def test_checkpoints_change_nothing_about_the_run(tmp_path):
    alone, watched = network(), network()
    fit(alone)
    fit(watched, cb.ModelCheckpoint(tmp_path / "m", save_freq=3), cb.CSVLogger(tmp_path / "l"),
        cb.TerminateOnNaN(), cb.Timer(1e6), cb.BackupAndRestore(tmp_path / "b", 2))  # fmt: skip
    for a, b in zip(alone.get_weights(), watched.get_weights(), strict=True):
        assert np.array_equal(a, b)


def test_a_checkpoint_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(FileError, match="folder"):
        fit(network(), cb.ModelCheckpoint(tmp_path / "file" / "m.chainrule"))


def unwritable(folder, name):
    (folder / "file").write_text("")
    return folder / "file" / name


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda d: cb.EarlyStopping("val_accuray"), "val_accuray"),
        (lambda d: cb.EarlyStopping(), "pass validation_data"),
        (lambda d: cb.Goal("acc", 0.9), "loss, mae"),
        (lambda d: cb.ModelCheckpoint(d / "m", save_best_only=True), "val_loss"),
        (lambda d: cb.ModelCheckpoint(d / "{epoch}-{val_acc:.2f}"), "val_acc"),
        (lambda d: cb.ModelCheckpoint(unwritable(d, "m")), "folder"),
        (lambda d: cb.ModelCheckpoint(unwritable(d, "a") / "{epoch}" / "m"), "folder"),
        (lambda d: cb.CSVLogger(unwritable(d, "l.csv")), "cannot write"),
    ],
)
def test_a_mistake_is_told_before_the_first_epoch(make, words, tmp_path):
    begun = []
    notes = cb.LambdaCallback(on_epoch_begin=lambda epoch, logs: begun.append(epoch))
    with pytest.raises((ArgumentError, FileError), match=words):
        fit(network(), make(tmp_path), notes)
    assert not begun


@pytest.mark.parametrize("name", ["m.chainrule", "m.keras"])
def test_a_model_that_no_file_can_hold_is_told_before_the_first_epoch(tmp_path, name):
    model = Sequential([Input((4,)), Lambda(lambda x: x), Dense(3)])
    model.compile("sgd", "mse")
    begun = []
    notes = cb.LambdaCallback(on_epoch_begin=lambda epoch, logs: begun.append(epoch))
    with pytest.raises(FileError, match="lambda"):
        fit(model, notes, cb.ModelCheckpoint(tmp_path / name))
    assert not begun
    fit(model, cb.ModelCheckpoint(tmp_path / "m.chainrule", save_weights_only=True))
    model.save = lambda path: begun.append(path.name)
    fit(model, cb.ModelCheckpoint(tmp_path / name), epochs=1)
    assert begun == [name], "a way of the user's own to write it"


def test_names_that_the_users_code_puts_into_the_logs_are_known_when_they_come(tmp_path):
    class Scored(cb.EarlyStopping):
        def on_epoch_end(self, epoch, logs=None):
            logs["val_f1"] = 1.0
            super().on_epoch_end(epoch, logs)

    def add(kind):
        def score(*given):
            given[-1][kind] = 0.5

        return score

    def watch(name):
        return cb.EarlyStopping(name, patience=9, mode="max")

    share = {"validation_split": 0.2}
    after_epochs = cb.LambdaCallback(on_epoch_end=add("val_f1"))
    after_tests = cb.LambdaCallback(on_test_end=add("f1"))
    fit(network(), after_epochs, watch("val_f1"), **share)
    fit(network(), watch("val_f1"), after_tests, **share)
    fit(network(), Scored("val_f1", patience=9, mode="max"), **share)
    fit(network(), after_epochs, cb.ModelCheckpoint(tmp_path / "{val_f1:.1f}.chainrule"))
    assert (tmp_path / "0.5.chainrule").exists()
    with pytest.raises(ArgumentError, match="val_f1"):
        fit(network(), watch("val_f1"), after_epochs)
    halve = cb.LearningRateScheduler(lambda epoch: 0.1 / 2**epoch)
    fit(network(), halve, cb.Goal("learning_rate", 0.05, mode="min"))
    fit(network(), cb.EarlyStopping("nothing"), epochs=0)


def test_what_was_learnt_in_an_epoch_survives_a_callback_that_fails_at_its_end():
    def fail(epoch, logs):
        raise RuntimeError(epoch)

    expected, model = network(), network()
    fit(expected, epochs=1)
    with pytest.raises(RuntimeError):
        fit(model, cb.LambdaCallback(on_epoch_end=fail))
    for a, b in zip(expected.get_weights(), model.get_weights(), strict=True):
        assert np.array_equal(a, b)


def test_a_log_has_a_line_of_names_and_one_for_each_epoch(tmp_path):
    path = tmp_path / "log.csv"
    history = fit(network(), cb.CSVLogger(path), validation_split=0.2, validation_freq=2)
    lines = [line.split(",") for line in path.read_text().splitlines()]
    assert lines[0] == ["epoch", "loss", "mae", "val_loss", "val_mae"]
    assert [line[0] for line in lines[1:]] == ["0", "1", "2"]
    assert [float(line[1]) for line in lines[1:]] == history.history["loss"]
    assert lines[1][3] == lines[3][3] == "NA"
    assert float(lines[2][3]) == history.history["val_loss"][0]


def test_a_log_is_replaced_or_added_to(tmp_path):
    path = tmp_path / "log.csv"
    fit(network(), cb.CSVLogger(path, separator=";"))
    fit(network(), cb.CSVLogger(path, separator=";"))
    assert len(path.read_text().splitlines()) == 4
    fit(network(), cb.CSVLogger(path, separator=";", append=True), initial_epoch=3, epochs=5)
    lines = path.read_text().splitlines()
    assert [line.split(";")[0] for line in lines] == ["epoch", "0", "1", "2", "3", "4"]
    with pytest.raises(ArgumentError, match="no column for val_loss"):
        fit(network(), cb.CSVLogger(path, ";", append=True), validation_split=0.2)
    with pytest.raises(FileError, match="cannot write"):
        fit(network(), cb.CSVLogger(tmp_path / "none" / "log.csv"))


def test_each_line_is_on_disk_before_the_next_epoch(tmp_path):
    path = tmp_path / "log.csv"
    counted = []
    look = cb.LambdaCallback(
        on_epoch_begin=lambda epoch, logs: counted.append(
            len(path.read_text().splitlines()) if path.exists() else 0
        )
    )
    fit(network(), look, cb.CSVLogger(path))
    assert counted == [0, 2, 3]


def test_a_loss_that_is_not_finite_ends_the_run(capsys):
    model = network(SGD(1e30))
    history = fit(model, cb.TerminateOnNaN(), epochs=5)
    assert history.epoch == [0] and not math.isfinite(history.history["loss"][0])
    assert "epoch 1, batch 5: the loss is" in capsys.readouterr().out
    assert fit(network(), cb.TerminateOnNaN()).epoch == [0, 1, 2]


def test_a_loss_that_is_not_finite_ends_it_within_the_epoch(capsys):
    fit(network(SGD(1e30)), cb.TerminateOnNaN(), batch_size=1)
    assert "epoch 1, batch 16: the loss is" in capsys.readouterr().out


def test_a_run_within_a_budget_of_time():
    timer = cb.Timer(0.15)
    history = fit(network(), timer, epochs=100_000)
    assert 0 < len(history.epoch) < 100_000
    assert 0.15 <= timer.elapsed < 5
    before = timer.elapsed
    assert timer.elapsed == before


def test_a_goal():
    first = fit(network(), epochs=6).history["loss"]
    goal = first[3]
    assert fit(network(), cb.Goal("loss", goal), epochs=6).history["loss"] == first[:4]
    assert len(fit(network(), cb.Goal("loss", first[0], "max"), epochs=6).epoch) == 1
    assert len(fit(network(), cb.Goal("loss", -1.0), epochs=6).epoch) == 6


def test_a_hook_for_batches_can_end_the_run_within_an_epoch():
    model, seen = network(), []

    def stop(batch, logs):
        seen.append(batch)
        model.stop_training = len(seen) == 7

    history = fit(model, cb.LambdaCallback(on_train_batch_end=stop))
    assert seen == [0, 1, 2, 3, 4, 0, 1] and history.epoch == [0, 1]
    assert int(model.optimizer.iterations) == 7


class Seldom(cb.Callback):
    def __init__(self, interval):
        self.asked, self.told = interval, []

    def interval(self):
        return self.asked

    def on_train_batch_end(self, batch, logs=None):
        self.told.append(batch)


@pytest.mark.parametrize(
    ("interval", "told"),
    [(1, [0, 1, 2, 3, 4]), (2, [1, 3, 4]), (3, [2, 4]), (9, [4]), (math.inf, [])],
)
def test_a_callback_says_how_often_it_looks(interval, told):
    callback = Seldom(interval)
    fit(network(), callback, epochs=1)
    assert callback.told == told
    callback.told.clear()
    fit(network(), callback, cb.LambdaCallback(on_train_batch_begin=lambda b, logs: None), epochs=1)
    assert callback.told == [0, 1, 2, 3, 4]


def test_a_subclass_with_a_hook_of_its_own_is_told_of_each_batch(tmp_path):
    class Own(cb.ModelCheckpoint):
        told = 0

        def on_train_batch_end(self, batch, logs=None):
            self.told += 1

    own = Own(tmp_path / "m.chainrule")
    fit(network(), own)
    assert own.told == 15 and (tmp_path / "m.chainrule").exists()


@pytest.mark.parametrize(
    ("make", "runs"),
    [
        (lambda path: [], 1),
        (lambda path: [cb.CSVLogger(path), cb.Goal("loss", -1), cb.EarlyStopping("loss")], 1),
        (lambda path: [cb.ModelCheckpoint(path / "m"), cb.BackupAndRestore(path / "b")], 1),
        (lambda path: [cb.TerminateOnNaN()], 1),
        (lambda path: [cb.BackupAndRestore(path / "b", save_freq=3)], 2),
        (lambda path: [Seldom(1)], 5),
    ],
)
def test_batches_run_at_a_stretch_unless_someone_looks(tmp_path, monkeypatch, make, runs):
    counted, run = [], Step.run
    monkeypatch.setattr(Step, "run", lambda self, *a, **k: counted.append(1) or run(self, *a, **k))
    fit(network(), *make(tmp_path / "x"), epochs=1)
    assert len(counted) == runs


def test_those_that_are_last_are_called_last():
    order = []
    late = cb.LambdaCallback(on_train_end=lambda logs: order.append("late"))
    late.last = True
    fit(network(), late, cb.LambdaCallback(on_train_end=lambda logs: order.append("early")))
    assert order == ["early", "late"]


@pytest.mark.parametrize(
    "make",
    [
        lambda: cb.EarlyStopping("loss", restore_best_weights=True),
        lambda: cb.ReduceLROnPlateau("loss", patience=1),
        lambda: cb.ModelCheckpoint("x.chainrule", "loss", save_best_only=True),
        lambda: cb.CSVLogger("x.csv"),
        lambda: cb.TerminateOnNaN(),
        lambda: cb.History(),
        lambda: cb.TensorBoard("logs"),
    ],
)
def test_states_come_back(make, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    used, fresh = make(), make()
    fit(network(), used)
    assert repr(fresh.get_state()) != repr(used.get_state())
    fresh.set_state(used.get_state())
    assert repr(fresh.get_state()) == repr(used.get_state())


def fields(content):
    """Yield number and value of each field of a protocol buffer: a reader of its own."""

    def varint(at):
        n = shift = 0
        while True:
            byte = content[at]
            n |= (byte & 127) << shift
            at, shift = at + 1, shift + 7
            if byte < 128:
                return n, at

    at = 0
    while at < len(content):
        head, at = varint(at)
        kind = head & 7
        if kind == 0:
            value, at = varint(at)
        elif kind == 2:
            size, at = varint(at)
            value, at = content[at : at + size], at + size
        else:
            width = {1: 8, 5: 4}[kind]
            (value,), at = (
                struct.unpack("<d" if kind == 1 else "<f", content[at : at + width]),
                (at + width),
            )
        yield head >> 3, value


def events(folder):
    """Return ``{tag: {step: number or histogram}}`` of the one file in a folder."""
    (path,) = folder.iterdir()
    content, found = path.read_bytes(), {}
    while content:
        (size,) = struct.unpack("<Q", content[:8])
        event, content = dict(fields(content[12 : 12 + size])), content[16 + size :]
        for _, value in fields(event.get(5, b"")):
            parts = dict(fields(value))
            number = parts[2] if 2 in parts else dict(fields(parts[5]))
            found.setdefault(parts[1].decode(), {})[event[2]] = number
    return found


def test_curves_for_tensorboard(tmp_path):
    board = cb.TensorBoard(tmp_path, update_freq=3)
    history = fit(network(), board, validation_split=0.2)
    train, validation = events(tmp_path / "train"), events(tmp_path / "validation")
    assert list(train) == ["batch_loss", "batch_mae", "epoch_loss", "epoch_mae"]
    assert [*train["batch_loss"]] == [3, 6, 9, 12]
    for found, start in ((train, ""), (validation, "val_")):
        for name in ("loss", "mae"):
            curve = np.array([*found[f"epoch_{name}"].values()])
            assert np.allclose(curve, history.history[start + name], rtol=1e-6)


def test_histograms_for_tensorboard(tmp_path):
    alone, model = network(), network()
    fit(alone)
    fit(model, cb.TensorBoard(tmp_path, histogram_freq=2))
    for a, b in zip(alone.get_weights(), model.get_weights(), strict=True):
        assert np.array_equal(a, b)
    assert np.array_equal(alone._trainer.key.value, model._trainer.key.value)
    found = events(tmp_path / "train")
    kernel = model.variables[0]
    name = kernel.name.replace(".", "/")
    assert [*found[f"{name}/histogram"]] == [*found[f"{name}/gradient"]] == [0, 2]
    last = found[f"{name}/histogram"][2]
    assert (last[1], last[2], last[3]) == (kernel.value.min(), kernel.value.max(), kernel.size)
    counts = np.frombuffer(last[7], "<f8")
    assert counts.sum() == kernel.size and len(last[6]) == len(last[7]) == 30 * 8


def test_gradients_are_those_of_the_first_batch():
    from chainrule.training.gradients import Gradients

    model, seen = network(), []
    model.layers[-2].rate = 0.0  # dropout: so that the difference is a function
    x, y, step = X[:10], np.eye(3)[Y[:10]], 1e-3

    def look(epoch, logs):
        bias = model.variables[-1]
        (gradient,) = [g for n, g in Gradients(look.callback.run).now().items() if n == bias.name]
        for sign in (1, -1):
            bias.value[0] += sign * step
            seen.append(float(np.mean((model.predict(x, verbose=0) - y) ** 2)))
            bias.value[0] -= sign * step
        seen.append(float(gradient[0]))

    look.callback = cb.LambdaCallback(on_epoch_end=look)
    fit(model, look.callback, epochs=1, shuffle=False)
    assert (seen[0] - seen[1]) / (2 * step) == pytest.approx(seen[2], rel=1e-2)


def test_checksums_and_odd_numbers():
    from chainrule.callbacks import events as made

    # The check value of CRC-32C, turned and offset as records have it.
    crc = 0xE3069283
    turned = ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
    assert made._masked(b"123456789") == struct.pack("<I", turned)
    assert dict(fields(made.scalar("a", 1e300)))[2] == math.inf
    for array in (np.zeros(0), np.full(3, np.nan), np.ones(4), np.array(2.0)):
        (text,) = [v for n, v in fields(made.histogram("a", array)) if n == 5]
        assert dict(fields(text))[3] == np.isfinite(array).sum()


def test_the_state_of_a_timer():
    timer = cb.Timer(5)
    timer.set_state({"elapsed": 4.0})
    assert 4.0 <= timer.elapsed < 4.9


@pytest.mark.parametrize(
    "kind", [cb.BackupAndRestore, cb.CSVLogger, cb.ModelCheckpoint, cb.TensorBoard]
)
def test_paths_that_are_none_are_refused(kind):
    with pytest.raises(ArgumentError, match="is 5; expected a path"):
        kind(5)
