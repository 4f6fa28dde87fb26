"""Models of the user's in files, and with several inputs after they were called."""

import numpy as np
import pytest

import chainrule as cr
from chainrule import layers, optimizers, saving
from chainrule.callbacks import LearningRateScheduler, ModelCheckpoint
from chainrule.errors import ArgumentError, FileError
from own_models import Two

X = np.arange(48, dtype="float32").reshape(8, 6) / 40
Y = np.arange(8) % 3


class Net(cr.Model):
    """Is made again of its arguments."""

    def __init__(self, units=4, **options):
        super().__init__(**options)
        self.hidden, self.drop = layers.Dense(units, activation="relu"), layers.Dropout(0.2)
        self.out = layers.Dense(3, activation="softmax")

    def call(self, inputs, training=False):
        return self.out(self.drop(self.hidden(inputs), training=training))


class Around(cr.Model):
    """Is made with a layer, and does not say how to describe it."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def call(self, inputs):
        return self.inner(inputs)


@saving.register_keras_serializable("tests")
class Registered(Net):
    """Is known by name."""


def _trained(model):
    rate = optimizers.schedules.CosineDecay(1e-2, 30)
    model.compile(optimizers.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(X, Y, epochs=2, verbose=0)
    return model


def test_a_model_of_the_users_goes_on_from_its_file_to_the_same_bits(tmp_path):
    model = _trained(Net(5, name="net"))
    model.save(tmp_path / "m.chainrule")
    again = cr.load_model(tmp_path / "m.chainrule", custom_objects={"Net": Net})
    assert isinstance(again, Net) and again.name == "net"
    for one in (model, again):
        one.fit(X, Y, epochs=4, initial_epoch=2, verbose=0)
    for a, b in zip(model.get_weights(), again.get_weights(), strict=True):
        assert np.array_equal(a, b)


def test_a_registered_model_is_found_by_its_name(tmp_path):
    model = _trained(Registered(units=3))
    model.save(tmp_path / "m.chainrule")
    assert isinstance(cr.load_model(tmp_path / "m.chainrule"), Registered)


@pytest.mark.parametrize("given", [[X, X[:, :3]], {"a": X, "b": X[:, :3]}])
def test_a_model_called_with_several_inputs_predicts_trains_and_is_saved(given, tmp_path):
    model = Two()
    expected = model(given).numpy()
    np.testing.assert_allclose(model.predict(given, verbose=0), expected, rtol=1e-5)
    model.save(tmp_path / "m.chainrule")
    again = cr.load_model(tmp_path / "m.chainrule", custom_objects={"Two": Two})
    np.testing.assert_allclose(again.predict(given, verbose=0), expected, rtol=1e-5)
    again.compile("sgd", "mse")
    again.fit(given, X[:, :2], verbose=0)


def test_what_a_file_cannot_hold_is_told(tmp_path):
    _trained(Net()).save(tmp_path / "m.chainrule")
    with pytest.raises(FileError, match=r"custom_objects={'Net': Net}"):
        cr.load_model(tmp_path / "m.chainrule")
    with pytest.raises(FileError, match="no weights yet"):
        Net().save(tmp_path / "n.chainrule")
    with pytest.raises(FileError, match="write its get_config"):
        _trained(Around(layers.Dense(3, activation="softmax"))).save(tmp_path / "n.chainrule")
    with pytest.raises(FileError, match=r"use save_weights\(path\)"):
        _trained(Net()).save(tmp_path / "n.keras")
    assert [p.name for p in tmp_path.iterdir()] == ["m.chainrule"]


def test_a_compile_of_ones_own_is_called_again_by_the_user(tmp_path):
    class Own(Net):
        def compile(self, rate):
            super().compile(optimizers.Adam(rate), "sparse_categorical_crossentropy")

    model = Own()
    model.compile(0.1)
    checkpoint = ModelCheckpoint(tmp_path / "m.chainrule")
    model.fit(X, Y, epochs=2, verbose=0, callbacks=[checkpoint])
    again = cr.load_model(tmp_path / "m.chainrule", custom_objects={"Own": Own})
    again.compile(0.1)
    for one in (model, again):
        one.fit(X, Y, epochs=4, initial_epoch=2, verbose=0)
    for a, b in zip(model.get_weights(), again.get_weights(), strict=True):
        assert np.array_equal(a, b)


def test_inputs_of_float64_are_not_rounded():
    x = np.random.default_rng(0).normal(size=(4, 6))
    first = cr.Input((6,), dtype="float64")
    for model in (
        cr.Sequential([cr.Input((6,)), layers.Dense(3, dtype="float64")]),
        cr.Model(first, layers.Dense(3, dtype="float64")(first)),
    ):
        kernel, _ = model.get_weights()
        for y in (model.predict(x, verbose=0), model(x).numpy()):
            np.testing.assert_allclose(y, x @ kernel, rtol=1e-12)


def test_a_schedule_is_a_function():
    with pytest.raises(ArgumentError, match=r"function of the epoch, not 0\.1"):
        LearningRateScheduler(0.1)


class Stack(cr.Model):
    """Calls what stands in a list."""

    def __init__(self, *stack):
        super().__init__()
        self.stack = [*stack]

    def call(self, inputs):
        for layer in self.stack:
            inputs = layer(inputs)
        return inputs


def test_layers_that_come_and_go_between_two_runs():
    target = X[:, :2]
    model = Stack(layers.Dense(2))
    model.compile("sgd", "mse")
    assert model.fit(X, target, verbose=0) and len(model.variables) == 2
    added = layers.Dense(2, kernel_initializer="zeros")
    model.stack.append(added)
    model.fit(X, target, verbose=0)
    assert len(model.variables) == 4 and added.bias.numpy().any()
    model.stack.remove(added)
    before = [w.numpy() for w in added.variables]
    model.fit(X, target, verbose=0)
    assert all(np.array_equal(w.numpy(), b) for w, b in zip(added.variables, before, strict=True))
    model.stack.append(layers.Activation("softmax"))  # without weights
    model.fit(X, target, verbose=0)
    np.testing.assert_allclose(model.predict(X, verbose=0).sum(axis=1), 1, rtol=1e-5)
