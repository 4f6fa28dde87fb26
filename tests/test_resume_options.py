"""Backups of runs with code of the user's own, of weights thawed on the way, of other runs."""

from __future__ import annotations

import json

import numpy as np
import pytest

import chainrule as cr
from chainrule import callbacks as cb
from chainrule import initializers, layers, losses, metrics, ops
from chainrule.errors import FileError
from chainrule.models import Model, Sequential, container
from chainrule.optimizers import SGD, Adam
from chainrule.utils import set_random_seed
from test_resume import Killed, killer, same, state

RANDOM = np.random.default_rng(5)
X = RANDOM.standard_normal((48, 4)).astype("float32")
Y = RANDOM.standard_normal((48, 4)).astype("float32")


def fit(model, *callbacks, **options):
    given = {"x": X, "y": Y, "batch_size": 8, "epochs": 3, "verbose": 0} | options
    return model.fit(**given, callbacks=list(callbacks))


def half_way(model, folder, batches=7, freq=1, **options):
    """Leave the backups of a run that was killed after so many of 6 batches an epoch."""
    with pytest.raises(Killed):
        fit(model, cb.BackupAndRestore(folder, freq), killer(batches), **options)


class Own(Model):
    """Draws, tracks a mean and has metrics, all in a step of its own."""

    def __init__(self):
        super().__init__()
        self.hidden, self.drop = layers.Dense(6, activation="relu"), layers.Dropout(0.3)
        self.out, self.mean = layers.Dense(4), metrics.Mean(name="kept")

    def call(self, x, training=False):
        return self.out(self.drop(self.hidden(x), training=training))

    @property
    def metrics(self):
        return [self.mean]

    def train_step(self, data):
        x, y = data
        noisy = x + np.float32(0.1) * initializers.RandomNormal()(x.shape)
        with cr.GradientTape() as tape:
            y_pred = self(noisy, training=True)
            loss = ops.mean(ops.square(y_pred - y))
        variables = self.trainable_variables
        self.optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        self.mean.update_state(loss)
        told = self.compute_metrics(x, y, y_pred)
        return {"kept": self.mean.result(), "last": loss, **told}


class Pair(Own):
    """Has an optimizer of its own for a part of the weights."""

    def __init__(self):
        super().__init__()
        self.second = Adam(0.01)

    def train_step(self, data):
        told = super().train_step(data)
        with cr.GradientTape() as tape:
            loss = ops.mean(ops.square(self(data[0], training=True)))
        variables = self.out.trainable_variables
        self.second.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        return told


def own(kind, seed):
    set_random_seed(seed)
    model = kind()
    model.compile(Adam(0.01), "mse", metrics=["mae"])
    return model


@pytest.mark.parametrize("kind", [Own, Pair])
@pytest.mark.parametrize("batches", [6, 8])
def test_steps_of_ones_own_go_on_with_the_same_bits(tmp_path, kind, batches):
    alone = own(kind, 0)
    history = fit(alone)
    half_way(own(kind, 0), tmp_path, batches)
    again = fit(model := own(kind, 9), cb.BackupAndRestore(tmp_path))
    assert history.history == again.history and {"kept", "last"} < {*history.history}
    assert same(state(alone), state(model))


def test_steps_of_ones_own_draw_by_seed_and_batch():
    one = fit(own(Own, 0)).history
    model = own(Own, 0)
    model.build((None, 4))
    initializers.RandomNormal()((3,))  # what else is drawn does not matter
    assert fit(model).history == one
    assert fit(own(Own, 1)).history != one


def plain(parts=(), optimizer=None, loss="mse", **options):
    set_random_seed(3)
    model = Sequential([layers.Input((4,)), *parts, layers.Dense(4, name="out")])
    model.compile(optimizer or Adam(0.01), loss, **options)
    return model


@pytest.mark.parametrize(
    "part",
    [
        lambda: layers.Lambda(lambda x: 2 * x),
        lambda: layers.Dense(4, activation=lambda x: 2 * x),
        lambda: layers.Dense(4, kernel_initializer=lambda shape, dtype=None: np.ones(shape, dtype)),
        lambda: layers.Dense(4, kernel_regularizer=lambda w: ops.sum(w * w)),
        lambda: Sequential([layers.Lambda(lambda x: 2 * x)]),
    ],
)
def test_code_in_layers_is_no_hindrance(tmp_path, part):
    fit(alone := plain([part()]))
    half_way(plain([part()]), tmp_path)
    fit(model := plain([part()]), cb.BackupAndRestore(tmp_path))
    assert same(state(alone), state(model))


def test_beside_code_in_layers_all_else_is_compared(tmp_path):
    def part(rate):
        return layers.Dense(4, activation=lambda x: 2 * x, learning_rate_multiplier=rate)

    half_way(plain([part(1.0)]), tmp_path)
    with pytest.raises(FileError, match="architecture"):
        fit(plain([part(0.1)]), cb.BackupAndRestore(tmp_path))


def test_slots_are_those_of_their_weights(tmp_path):
    def thawed(frozen):
        model = plain([layers.Dense(4, name="a")])
        model.layers[0].trainable = not frozen
        fit(model, epochs=1)
        model.layers[0].trainable = True
        return model

    # One process has trained `out` first, which the other need not have done.
    half_way(first := thawed(True), tmp_path)
    names = [v.name for v in first.optimizer.variables if v.name.endswith("/momentum")]
    fit(model := thawed(False), cb.BackupAndRestore(tmp_path))
    fit(first := thawed(True))
    slots = [{v.name: v.numpy() for v in m.optimizer.variables} for m in (first, model)]
    assert [*slots[0]] != [*slots[1]] and all(names)
    assert all(np.array_equal(slots[1][name], slot) for name, slot in slots[0].items())


def graph(skip):
    set_random_seed(3)
    x = layers.Input((4,))
    a = layers.Dense(4, name="a")(x)
    b = layers.Dense(4, name="b")(a)
    model = Model(x, layers.Add()([b, a if skip else x]))
    model.compile(Adam(0.01), "mse")
    return model


HELD_OUT = {"validation_data": (X[:8], Y[:8])}
OTHERS = {"validation_data": (X[8:16], Y[8:16])}


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ((plain, {}), (lambda: plain(loss_weights=10.0), {}), "loss_weights: 1.0 in it, now 10.0"),
        (
            (lambda: plain(loss=losses.Huber(1.0)), {}),
            (lambda: plain(loss=losses.Huber(0.1)), {}),
            "loss: .*Huber",
        ),
        (
            (lambda: plain(metrics=[metrics.MeanMetric(ops.subtract, "m")]), {}),
            (lambda: plain(metrics=[metrics.MeanMetric(ops.add, "m")]), {}),
            "metrics: .*subtract.*add",
        ),
        ((plain, HELD_OUT), (plain, OTHERS), "validation, content of the samples"),
        ((plain, HELD_OUT), (plain, {}), "validation, number of samples: 8 in it, now none"),
        ((plain, {}), (plain, HELD_OUT), "validation, number of samples: none in it, now 8"),
        ((plain, HELD_OUT), (plain, HELD_OUT | {"validation_freq": 2}), "1 in it, now 2"),
        ((plain, {"steps_per_epoch": 6}), (plain, {}), "batches an epoch: 6 in it, now none"),
        ((lambda: graph(True), {}), (lambda: graph(False), {}), "connections of the layers"),
        ((plain, {}), (lambda: plain(optimizer=Adam(0.1)), {}), "0.01 in it, now 0.1"),
    ],
)
def test_other_options_are_refused(tmp_path, before, after, words):
    (make, options), (other, changed) = before, after
    half_way(make(), tmp_path, **options)
    with pytest.raises(FileError, match=words):
        fit(other(), cb.BackupAndRestore(tmp_path), **changed)
    fit(model := make(), cb.BackupAndRestore(tmp_path), **options)
    fit(alone := make(), **options)
    assert same(state(alone), state(model))


def test_a_rate_that_was_changed_on_purpose_is_told_what_to_do(tmp_path):
    half_way(plain(), tmp_path)
    model = plain()
    model.optimizer.learning_rate = 0.5
    with pytest.raises(
        FileError, match=r"fix: go on[\s\S]*begin as before and set model\.optimizer.learning_rate"
    ):
        fit(model, cb.BackupAndRestore(tmp_path))


def scheduled():
    return cb.LearningRateScheduler(lambda epoch, rate: 0.5 * rate)


def test_a_rate_that_was_moved_on_the_way_is_no_other(tmp_path):
    fit(alone := plain(), scheduled())
    model = plain()
    for batches in (8, 6):  # both times the same model, whose rate is another each time
        with pytest.raises(Killed):
            fit(model, scheduled(), cb.BackupAndRestore(tmp_path), killer(batches))
    fit(model, scheduled(), cb.BackupAndRestore(tmp_path, delete_checkpoint=False))
    assert same(state(alone), state(model))
    assert fit(model, scheduled(), cb.BackupAndRestore(tmp_path)).epoch == [0, 1, 2]
    # That run is over: from here on its last rate is where others begin.
    half_way(model, tmp_path)
    with pytest.raises(FileError, match="learning rate at the beginning"):
        fit(plain(), cb.BackupAndRestore(tmp_path))


def test_backups_of_the_first_version_are_read(tmp_path):
    half_way(plain(), tmp_path)
    for path in tmp_path.iterdir():
        arrays, about = container.read(path)
        told, words = json.loads(about["fingerprint"]), json.loads(about["run"])
        since = ("connections", "loss_", "metrics", "learning", "other", "validation")
        told = {k: v for k, v in told.items() if not k.startswith(since) and k != "loss"}
        for name in ("said", "shapes", "slots"):
            del words[name]
        more = {"version": "1", "fingerprint": json.dumps(told), "run": json.dumps(words)}
        container.write(path, arrays, about | more)
    with pytest.raises(FileError, match="optimizer"):
        fit(plain(optimizer=SGD(0.01)), cb.BackupAndRestore(tmp_path))
    fit(model := plain(), cb.BackupAndRestore(tmp_path))
    fit(alone := plain())
    assert same(state(alone), state(model))
