"""Functions and classes of the user's in files: told by name, given again as custom_objects."""

from __future__ import annotations

import numpy as np
import pytest

from chainrule import layers, losses, metrics, ops, optimizers
from chainrule.errors import ChainruleWarning, FileError
from chainrule.models import Model, Sequential, clone_model, load_model

X = np.random.default_rng(1).standard_normal((32, 3)).astype("float32")
Y = X @ np.ones((3, 2), "float32")


def bent(x):
    return ops.tanh(x) * 1.5


def off(y, p):
    return ops.mean(ops.square(y - p), axis=-1)


def far(y, p):
    return ops.max(ops.abs(y - p))


class Weighed(losses.Loss):
    def __init__(self, factor=2.0, name="weighed"):
        super().__init__(name=name)
        self.factor = factor

    def call(self, y_true, y_pred):
        return self.factor * off(y_true, y_pred)

    def get_config(self):
        return {"factor": self.factor, "name": self.name}


class Slow(optimizers.SGD):
    pass


class Unsaid(Weighed):
    def __init__(self, factor, other):
        super().__init__(factor)
        self.other = other


OWN = {f.__name__: f for f in (bent, off, far, Weighed, Slow)}


def made(loss=off, optimizer="adam", activation=bent):
    inner = [layers.Input((3,)), layers.Dense(4, activation=activation), layers.Dense(2)]
    model = Sequential(inner)
    model.compile(optimizer, loss, metrics=[far, "mae"])
    model.fit(X, Y, verbose=0)
    return model


@pytest.mark.parametrize(("loss", "optimizer"), [(off, "adam"), (Weighed(3.0), Slow(0.01))])
def test_they_are_given_again(tmp_path, loss, optimizer):
    model = made(loss, optimizer)
    model.save(tmp_path / "m.chainrule")
    loaded = load_model(tmp_path / "m.chainrule", custom_objects=OWN)
    for one in (model, loaded):
        one.fit(X, Y, verbose=0)
    assert loaded.evaluate(X, Y, verbose=0) == model.evaluate(X, Y, verbose=0)
    assert type(loaded.optimizer) is type(model.optimizer)


def test_without_them(tmp_path):
    path = tmp_path / "m.chainrule"
    made().save(path)
    with pytest.raises(FileError, match=r"unknown activation 'bent'[\s\S]*custom_objects=\{'bent'"):
        load_model(path)
    model = made(Weighed(), activation="tanh")
    model.save(path)
    with pytest.warns(ChainruleWarning, match=r"with Weighed, far, not known.*\n.*'far': far\}"):
        loaded = load_model(path)
    np.testing.assert_array_equal(loaded.predict(X, verbose=0), model.predict(X, verbose=0))
    assert loaded.optimizer is None and load_model(path, compile=False).optimizer is None


def test_what_no_name_tells(tmp_path):
    path = tmp_path / "m.chainrule"
    made(lambda y, p: off(y, p), activation="tanh").save(path)
    assert load_model(path, OWN).optimizer is None
    made(Unsaid(1.0, 2), activation="tanh").save(path)
    assert load_model(path, OWN).optimizer is None

    def relu(x):
        return bent(x)

    for activation in (relu, lambda x: x):
        with pytest.raises(FileError, match=r"cannot be saved[\s\S]*a name of its own"):
            made(activation=activation).save(path)


@pytest.mark.parametrize("end", ["keras", "h5"])
def test_activations_in_files_of_keras(tmp_path, end):
    pytest.importorskip("h5py")
    model = made()
    model.save(tmp_path / f"m.{end}")
    loaded = load_model(tmp_path / f"m.{end}", custom_objects=OWN)
    np.testing.assert_array_equal(loaded.predict(X, verbose=0), model.predict(X, verbose=0))


def test_clones_and_copies_hold_the_functions():
    x = layers.Input((3,))
    y = layers.Lambda(lambda a: 2 * a)(layers.Dense(4, activation=lambda a: bent(a))(x))
    for model in (Model(x, y), Sequential([x, layers.Dense(4, activation=bent)])):
        copy = clone_model(model)
        copy.set_weights(model.get_weights())
        np.testing.assert_array_equal(copy.predict(X, verbose=0), model.predict(X, verbose=0))
    both = layers.Bidirectional(layers.SimpleRNN(2, activation=bent))
    assert both(np.ones((1, 4, 3), "float32")).shape == (1, 4)
    assert both.backward_layer.get_config()["activation"] == "bent"


def test_metrics_of_ones_own(tmp_path):
    class Count(metrics.Mean):
        def update(self, y_true, y_pred, sample_weight=None):
            return super().update(ops.ones_like(y_true))

    model = Sequential([layers.Input((3,)), layers.Dense(2)])
    model.compile("sgd", "mse", metrics=[Count(name="count")])
    model.fit(X, Y, verbose=0)
    model.save(tmp_path / "m.chainrule")
    loaded = load_model(tmp_path / "m.chainrule", custom_objects={"Count": Count})
    assert loaded.evaluate(X, Y, verbose=0, return_dict=True)["count"] == 1.0
