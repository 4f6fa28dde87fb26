"""What users write around layers, models and metrics of their own, beyond Keras's guides."""

from __future__ import annotations

import numpy as np
import pytest

import chainrule as cr
from chainrule import activations, layers, losses, metrics, ops, optimizers, regularizers, saving
from chainrule.errors import ArgumentError, FileError, GraphError, MissingMethodError
from chainrule.layers import Add, Dense, Input
from chainrule.models import Model, Sequential, clone_model, load_model, plot_model

RANDOM = np.random.default_rng(3)
X, Z = RANDOM.normal(size=(32, 4)).astype("float32"), RANDOM.normal(size=(32, 3)).astype("float32")
Y = RANDOM.normal(size=(32, 1)).astype("float32")


class Mixed(layers.Layer):
    """Two inputs, a factor, and a count of the calls in training."""

    def __init__(self, units=2, **options):
        super().__init__(**options)
        self.units = units
        self.left, self.right = Dense(units), Dense(units)
        self.traced = []

    def build(self, x_shape, y_shape):
        self.shapes = (x_shape, y_shape)
        self.count = self.add_weight(initializer="zeros", trainable=False, name="count")

    def call(self, x, y, factor=1.0, training=False):
        self.traced.append(factor)
        if training:
            self.count.assign_add(1.0)
        return self.left(x) + factor * self.right(y)


def test_arguments_in_any_way_are_the_same():
    layer = Mixed()
    first = layer(X, Z, factor=2.0).numpy()
    assert layer.shapes == ((None, 4), (None, 3))
    for found in (layer(X, y=Z, factor=2.0), layer(x=X, y=Z, factor=2.0), layer(X, Z, 2.0, False)):
        np.testing.assert_array_equal(found.numpy(), first)
    wrong = "missing a required argument: 'y'.*its call takes"
    with pytest.raises(ArgumentError, match=wrong):
        layer(X, factor=3.0)
    with pytest.raises(ArgumentError, match="unexpected keyword argument 'z'"):
        layer(X, Z, z=Z)


def test_a_loop_by_hand_traces_a_form_of_arguments_once():
    layer = Mixed()
    optimizer = optimizers.SGD(0.1)
    for _ in range(4):
        with cr.GradientTape() as tape:
            loss = ops.mean(ops.square(layer(X, Z, factor=0.5, training=True)))
        moved = layer.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(loss, moved), moved, strict=True))
    assert len(layer.traced) <= 2  # once more after what the first call made
    assert layer.count.numpy() == 4.0
    layer(X, Z, factor=0.25).numpy()
    assert layer.traced[-1] == 0.25


def test_a_graph_of_several_arguments_is_kept_in_files(tmp_path):
    a, b = Input((4,)), Input((3,))
    model = Model([a, b], Dense(1)(Mixed(3)(a, y=b, factor=0.5)))
    model.compile("sgd", "mse")
    model.fit([X, Z], Y, batch_size=8, verbose=0)
    assert model.layers[2].count.numpy() == 4.0
    model.save(tmp_path / "m.chainrule")
    again = load_model(tmp_path / "m.chainrule", custom_objects={"Mixed": Mixed})
    np.testing.assert_array_equal(again.predict([X, Z]), model.predict([X, Z]))


def test_training_is_handed_down():
    class Inner(layers.Layer):
        def call(self, x, training=False):
            return 0.0 * x if training else x

    class Outer(layers.Layer):
        def __init__(self):
            super().__init__()
            self.inner = Inner()

        def call(self, x, y):
            return self.inner(x) + y

    assert Outer()(X, X, training=True).numpy() == pytest.approx(X)
    assert Outer()(X, X).numpy() == pytest.approx(2 * X)
    with cr.GradientTape():  # not at hand: an operation came between
        assert Outer()(ops.negative(ops.negative(X)), X, training=True).numpy() == pytest.approx(X)


def test_arguments_of_a_class_are_its_configuration():
    class Plain(layers.Layer):
        def __init__(self, units, scale=(1.0, 2.0)):
            super().__init__()
            self.units = units

        def call(self, x):
            return x

    class Open(Plain):
        def __init__(self, function, **options):
            super().__init__(2, **options)

    assert Plain(3).get_config() == {"units": 3}
    assert Plain.from_config(Plain(3, scale=[1.0]).get_config()).units == 3
    with pytest.raises(MissingMethodError, match="write its get_config"):
        Open(lambda x: x).get_config()
    with pytest.raises(NotImplementedError):
        layers.Layer()(X)


def test_a_forgotten_super_is_told():
    class Forgetful(layers.Layer):
        def __init__(self):
            self.units = 3

    with pytest.raises(GraphError, match=r"Forgetful.__init__ must call super\(\).__init__\(\)"):
        Forgetful()


def test_frozen_layers_freeze_what_is_inside():
    model = Sequential([Input((4,)), Sequential([Dense(2), Dense(1)])])
    model.trainable = False
    assert not model.trainable_variables
    assert not model.layers[0].layers[1].trainable
    model.layers[0].layers[1].trainable = True
    model.trainable = True
    assert len(model.trainable_variables) == 4


def test_symbols_of_layers_in_graphs_and_stacks():
    model = Sequential([Input((4,)), Dense(3), Dense(2)])
    deep = Model(model.inputs, [layer.output for layer in model.layers])
    assert deep.output_shape == [(None, 3), (None, 2)]
    np.testing.assert_array_equal(deep.predict(X)[1], model.predict(X))
    model.pop()
    model.add(Dense(5))
    assert Model(model.input, model.output).output_shape == (None, 5)
    assert model.layers[-1].output.shape == (None, 5)
    shared, a, b = Dense(2), Input((4,)), Input((4,))
    assert Model([a, b], Add()([shared(a), shared(b)])).input[0] is a
    with pytest.raises(GraphError, match="no output of its own: it was called with symbols 2 tim"):
        _ = shared.output
    with pytest.raises(GraphError, match="called with symbols never"):
        _ = Dense(2).input


def test_a_clone_has_weights_of_its_own():
    a = Input((4,))
    shared = Dense(4, activation="tanh")
    inner = Sequential([Input((4,)), Dense(3)])
    model = Model(a, inner(shared(shared(a))), name="whole")
    made = clone_model(model)
    assert [v.shape for v in made.variables] == [v.shape for v in model.variables]
    assert not {*map(id, made.variables)} & {*map(id, model.variables)}
    made.set_weights(model.get_weights())
    np.testing.assert_array_equal(made.predict(X), model.predict(X))
    wide = clone_model(model, input_tensors=Input((4,), name="other"))
    assert wide.input_names == ["other"]
    linear = clone_model(
        Sequential([Input((4,)), shared]),
        clone_function=lambda layer: Dense(layer.units, name=layer.name),
    )
    assert activations.serialize(linear.layers[0].activation) == "linear"


class Counted(Model):
    """A class that is a graph."""

    def __init__(self, units):
        a = Input((4,))
        super().__init__(inputs=a, outputs=Dense(units)(a), name="counted")
        self.units = units


def test_a_class_made_as_a_graph():
    model = Counted(2)
    assert isinstance(model, Counted) and model.units == 2 and model.output_shape == (None, 2)
    assert type(clone_model(model)) is type(model)
    model.compile("sgd", "mse")
    model.fit(X, X[:, :2], verbose=0)
    with pytest.raises(FileError, match="Counted is a class of its own"):
        model.save("counted.chainrule")


def test_summaries():
    inner = Sequential([Input((4,)), Dense(3, name="deep")], name="inner")
    inner.layers[0].trainable = False
    a = Input((4,), name="a")
    model = Model(a, Dense(2, name="last")(inner(a)))
    lines = []
    model.summary(line_length=100, print_fn=lines.append, expand_nested=True, show_trainable=True)
    rows = {line.split()[1]: line for line in lines[0].splitlines() if len(line.split()) > 3}
    assert "deep" in rows["\u2514"] and " N " in rows["\u2514"] and " Y " in rows["last"]
    assert max(map(len, lines[0].splitlines())) == 100
    model.summary(print_fn=lines.append, layer_range=["inner", "last"])
    assert "a (InputLayer)" not in lines[1] and "inner" in lines[1]
    with pytest.raises(ArgumentError, match=r"no layer of model .* is called 'nothing'"):
        model.summary(layer_range=("nothing", "last"))


def test_pictures_of_nested_models(tmp_path):
    inner = Sequential([Input((4,)), Dense(3, activation="relu", name="deep")], name="inner")
    inner.layers[0].trainable = False
    a = Input((4,))
    model = Model(a, Dense(2)(inner(a)))
    for expand in (False, True):
        plot_model(
            model,
            tmp_path / "m.svg",
            show_dtype=True,
            expand_nested=expand,
            show_layer_activations=True,
            show_trainable=True,
        )
        text = (tmp_path / "m.svg").read_text(encoding="utf-8")
        assert ("inner/deep" in text) is expand
        assert ("float32, relu, not trainable" in text) is expand


def test_registered_classes_and_functions_are_found(tmp_path):
    @saving.register_keras_serializable("mine")
    class Twice(layers.Layer):
        def call(self, x):
            return 2.0 * x

    @saving.register_keras_serializable("mine")
    class Cubic(losses.Loss):
        def call(self, y_true, y_pred):
            return ops.mean(ops.abs(ops.power(y_true - y_pred, 3.0)), axis=-1)

    @saving.register_keras_serializable("mine")
    class Small(regularizers.Regularizer):
        def __call__(self, w):
            return 0.1 * ops.sum(ops.square(w))

        def get_config(self):
            return {}

    @saving.register_keras_serializable("mine", "bend")
    def bent(x):
        return ops.square(x)

    model = Sequential([Input((4,)), Twice(), Dense(1, bent, kernel_regularizer=Small())])
    model.compile(optimizers.Adam(), Cubic(), metrics=["mae"])
    model.fit(X, Y, verbose=0)
    model.save(tmp_path / "m.chainrule")
    again = load_model(tmp_path / "m.chainrule")
    assert again.evaluate(X, Y, verbose=0) == model.evaluate(X, Y, verbose=0)
    assert activations.serialize(bent) == "mine>bend"
    assert saving.get_registered_object("mine>Twice") is Twice
    with saving.custom_object_scope({"Cube": Cubic, "bend": bent}):
        assert isinstance(losses.get("Cube"), Cubic)
        assert activations.get("bend") is bent
    with pytest.raises(ArgumentError, match="unknown loss 'Cube'"):
        losses.get("Cube")
    with pytest.raises(ArgumentError, match="has no get_config"):
        saving.register_keras_serializable()(type("Bare", (), {}))


class Both(metrics.Metric):
    """Two numbers, as Keras's users write them."""

    def __init__(self, name="both", **options):
        super().__init__(name=name, **options)
        self.most = self.add_variable(shape=(), initializer="ones", name="most")
        self.rows = self.add_weight(shape=(), name="rows")

    def update_state(self, y_true, y_pred, sample_weight=None):
        error = ops.abs(y_true - y_pred)
        self.most.assign(ops.maximum(self.most, ops.max(error)))
        self.rows.assign_add(ops.shape(error)[0])

    def result(self):
        return {"most": self.most, "rows": self.rows.value}


def test_a_metric_in_the_style_of_keras():
    metric = Both()
    assert metric(np.zeros(3), [0.5, 4.0, 1.0])["rows"] == 3.0
    metric.update_state(np.zeros(2), [0.5, 1.0])
    assert (metric.most.numpy(), metric.rows.numpy()) == (4.0, 5.0)
    metric.reset_state()
    assert (metric.most.numpy(), metric.rows.numpy()) == (1.0, 0.0)
    model = Sequential([Input((4,)), Dense(1)])
    model.compile("sgd", "mse", metrics=[Both()])
    logs = model.fit(X, 100 * Y, batch_size=8, epochs=2, verbose=0).history
    assert logs["rows"] == [32.0, 32.0]
    largest = np.abs(100 * Y - model.predict(X, verbose=0)).max()
    found = model.evaluate(X, 100 * Y, verbose=0, return_dict=True)["most"]
    assert found == pytest.approx(largest, rel=1e-5)

    class Nothing(metrics.Metric):
        pass

    with pytest.raises(MissingMethodError, match="must define update or update_state"):
        Nothing().update_state([1.0], [1.0])


def test_a_weight_of_the_only_loss(tmp_path):
    ends = []
    for given in (0.25, [0.25], {"out": 0.25}):
        a = Input((4,))
        model = Model(a, Dense(1, kernel_initializer="ones", name="out")(a))
        model.compile(optimizers.SGD(0.4), "mse", loss_weights=given)
        ends.append(model.fit(X, Y, shuffle=False, batch_size=8, verbose=0).history["loss"])
        ends.append(model.get_weights()[0].tolist())
    plain = Sequential([Input((4,)), Dense(1, kernel_initializer="ones")])
    plain.compile(optimizers.SGD(0.1), "mse")
    plain.fit(X, Y, shuffle=False, batch_size=8, verbose=0)
    assert ends[:2] == ends[2:4] == ends[4:]
    np.testing.assert_allclose(ends[1], plain.get_weights()[0], rtol=1e-4, atol=1e-6)
    model.save(tmp_path / "m.chainrule")
    again = load_model(tmp_path / "m.chainrule")
    assert again.evaluate(X, Y, verbose=0) == model.evaluate(X, Y, verbose=0)
    with pytest.raises(ArgumentError, match="loss_weights"):
        model.compile("sgd", "mse", loss_weights=[1.0, 2.0])
    with pytest.raises(ArgumentError, match="a loss weight is a number"):
        model.compile("sgd", "mse", loss_weights="much")


def test_shapes_of_outputs():
    assert Dense(3).compute_output_shape((None, 4)) == (None, 3)
    assert Add().compute_output_shape([(None, 4), (None, 4)]) == (None, 4)
