"""Layers and models of the user's: how they are built, what they hold and are called with."""

import numpy as np
import pytest

import chainrule as cr
from chainrule import layers, ops
from chainrule.errors import ArgumentError, DataError, FileError, ShapeError
from own_models import Two

X = np.arange(12, dtype="float32").reshape(2, 6) / 10


class Block(layers.Layer):
    """Builds what is inside itself, as Keras's guide has it."""

    def __init__(self, units=4, **options):
        super().__init__(**options)
        self.units = units
        self.first, self.norm = layers.Dense(units), layers.BatchNormalization()

    def build(self, input_shape):
        self.first.build(input_shape)
        self.norm.build((*input_shape[:-1], self.units))
        self.scale = self.add_weight(shape=(self.units,), initializer="ones", name="scale")
        super().build(input_shape)

    def call(self, inputs, training=None):
        return self.norm(self.first(inputs) * self.scale, training=training)

    def get_config(self):
        return {**super().get_config(), "units": self.units}


def test_a_layer_built_by_another_is_not_built_again(tmp_path):
    model = cr.Sequential([cr.Input((6,)), Block()])
    assert model.count_params() == 6 * 4 + 4 + 4 * 4 + 4
    assert len(model.trainable_variables) == 5
    model.save(tmp_path / "m.chainrule")
    again = cr.load_model(tmp_path / "m.chainrule", custom_objects={"Block": Block})
    assert np.array_equal(again.predict(X, verbose=0), model.predict(X, verbose=0))


def test_build_makes_the_weights_for_the_call_that_follows():
    layer = layers.Dense(3)
    layer.build((None, 6))
    kernel = layer.kernel
    layer(X)
    assert layer.kernel is kernel and len(layer.weights) == 2


class Held(layers.Layer):
    """Has its variables in attributes."""

    def __init__(self, inner=None, **options):
        super().__init__(**options)
        self.w = cr.Variable(np.full((6, 2), 0.5, "float32"), name="w")
        self.more = [cr.Variable(np.zeros(2, "float32"), name="b")]
        self.count = cr.Variable(np.zeros((), "float32"), name="count", trainable=False)
        self.inner = inner

    def call(self, x):
        return ops.matmul(x, self.w) + self.more[0]


def test_variables_in_attributes_are_weights(tmp_path):
    model = cr.Sequential([cr.Input((6,)), Held(name="held")])
    held = model.layers[0]
    assert [v.name for v in held.weights] == ["w", "b", "count"]
    assert [v.name for v in model.trainable_variables] == ["w", "b"]
    model.compile("sgd", "mse")
    model.fit(X, np.ones((2, 2)), epochs=3, verbose=0)
    assert np.any(held.w.numpy() != 0.5) and np.any(held.more[0].numpy())
    for name in ("m.weights.chainrule", "m.weights.h5"):
        model.save_weights(tmp_path / name)
        other = cr.Sequential([cr.Input((6,)), Held(name="held")])
        other.load_weights(tmp_path / name)
        assert np.array_equal(other.layers[0].w.numpy(), held.w.numpy())


def test_a_weight_of_a_layer_inside_stays_that_layers():
    inner = layers.Dense(6)
    inner.build((None, 6))
    held = Held(inner)
    held.tied = inner.kernel
    assert [v.name for v in held.weights][:3] == ["w", "b", "count"]
    assert len(held.weights) == 5
    state = layers.LSTM(2, stateful=True)
    state(np.zeros((1, 3, 4)))
    assert len(state.weights) == 3 and len(state.carried()) == 2


class Sum(layers.Layer):
    """Takes two inputs, and says which shapes it was built for."""

    def build(self, input_shape):
        self.shapes = input_shape

    def call(self, inputs):
        a, b = inputs
        return a + b


@pytest.mark.parametrize("given", [[X, X[:, :3]], (X, X[:, :3]), {"a": X, "b": X[:, :3]}, [X, X]])
def test_a_model_of_the_users_takes_several_arrays(given):
    model = Two()
    y = model(given).numpy()
    a, b = given.values() if isinstance(given, dict) else given
    expected = a @ model.a.kernel.numpy() + b @ model.b.kernel.numpy()
    np.testing.assert_allclose(y, expected, rtol=1e-5)


def test_a_layer_of_the_users_takes_several_arrays():
    layer = Sum()
    assert np.array_equal(layer([X, X]).numpy(), X + X)
    assert layer.shapes == [(None, 6), (None, 6)]
    assert layer([X, X[:, :1]]).shape == (2, 6)


def test_rows_of_several_sizes_are_told():
    with pytest.raises(ArgumentError, match="rows of several sizes"):
        layers.Dense(2)([X, X[:, :3]])


class Conditional(cr.Model):
    """Its `call` takes two arguments."""

    def __init__(self):
        super().__init__()
        self.a, self.b = layers.Dense(2), layers.Dense(2)

    def call(self, x, context, training=False):
        return self.a(x) + self.b(context)

    def train_step(self, data):
        (x, context), y = data
        with cr.GradientTape() as tape:
            loss = self.compute_loss(y=y, y_pred=self(x, context, training=True))
        variables = self.trainable_variables
        self.optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        return {"loss": loss}


def test_a_model_may_be_called_with_several_arguments():
    model = Conditional()
    assert model(X, X[:, :3]).shape == (2, 2)
    assert len(model.weights) == 4
    assert Conditional()(X, context=X[:, :3]).shape == (2, 2)


def test_a_step_of_ones_own_may_call_with_several_arguments():
    model = Conditional()
    model.compile("sgd", "mse")
    losses = model.fit([X, X[:, :3]], np.ones((2, 2)), epochs=2, verbose=0).history["loss"]
    assert losses[1] < losses[0]


class Lazy(layers.Layer):
    """Says its shape itself, and builds what is inside when called."""

    def __init__(self, **options):
        super().__init__(**options)
        self.inner = layers.Dense(3)

    def call(self, x):
        return self.inner(x)

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], 3)


def test_a_sequential_builds_what_layers_of_the_users_hold(tmp_path):
    model = cr.Sequential([cr.Input((6,)), Lazy()])
    assert model.count_params() == 6 * 3 + 3
    model.save(tmp_path / "m.chainrule")
    again = cr.load_model(tmp_path / "m.chainrule", custom_objects={"Lazy": Lazy})
    assert np.array_equal(again.predict(X, verbose=0), model.predict(X, verbose=0))
    steps = cr.Sequential([cr.Input((4, 6)), layers.TimeDistributed(Lazy())])
    assert steps.count_params() == 6 * 3 + 3


class Forgetful(layers.Layer):
    """Returns nothing."""

    def call(self, x):
        ops.relu(x)


def test_a_call_without_return_is_told():
    for make in (
        lambda: Forgetful(name="f")(X),
        lambda: Forgetful(name="f")(cr.Input((6,))),
        lambda: cr.Sequential([cr.Input((6,)), Forgetful(name="f"), layers.Dense(2)]),
    ):
        with pytest.raises(ArgumentError, match=r"layer 'f' \(Forgetful\) returned nothing"):
            make()


def test_an_unknown_layer_says_how_to_make_it_known(tmp_path):
    cr.Sequential([cr.Input((6,)), Forgetless()]).save(tmp_path / "m.chainrule")
    with pytest.raises(FileError, match=r"custom_objects={'Forgetless': Forgetless}"):
        cr.load_model(tmp_path / "m.chainrule")


class Forgetless(layers.Layer):
    """Returns what it is given."""

    def call(self, x):
        return x


def test_an_input_needs_a_shape():
    assert cr.Input(batch_shape=(None, 3)).shape == (None, 3)
    assert cr.Input(()).shape == (None,)
    for options in ({}, {"shape": (3,), "batch_shape": (None, 3)}):
        with pytest.raises(ArgumentError, match="give one of them"):
            cr.Input(**options)


def test_a_dict_for_a_model_of_one_array_is_told():
    model = cr.Sequential([cr.Input((6,)), layers.Dense(2)])
    with pytest.raises(DataError, match="x is a dict of 'a'; expected one array"):
        model.predict({"a": X})


class Misbuilt(layers.Layer):
    """Takes the batch's axis for that of the features."""

    def build(self, input_shape):
        self.w = self.add_weight(shape=(input_shape[0], 2), name="w")


def test_weights_have_whole_sizes():
    with pytest.raises(ShapeError, match=r"'w' of layer 'm' \(Misbuilt\).*\(None, 2\)"):
        Misbuilt(name="m")(X)
    for shape in ((-1,), (2.5,), "ab"):
        with pytest.raises(ShapeError, match="sizes are whole numbers"):
            layers.Layer().add_weight(shape=shape)
    assert layers.Layer().add_weight(shape=(np.int64(2),)).shape == (2,)


def test_an_initializer_keeps_to_the_shape():
    with pytest.raises(ShapeError, match=r"initializer of 'w' .* \[3\]; expected \[2\]"):
        layers.Layer().add_weight((2,), lambda shape, dtype=None: np.ones(3), name="w")
