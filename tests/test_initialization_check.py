"""The check before the first step: planted faults are named, networks that learn are left alone."""

import itertools
import os
import warnings

import numpy as np
import pytest

import chainrule
from chainrule import Input, Model, check_initialization
from chainrule import initializers as init
from chainrule.datasets import digits
from chainrule.errors import ArgumentError, ChainruleWarning, DataError, InitializationWarning
from chainrule.layers import (
    Activation,
    Add,
    BatchNormalization,
    Dense,
    Dropout,
    Flatten,
    LayerNormalization,
)
from chainrule.models import Sequential
from chainrule.optimizers import SGD
from chainrule.training.initialization import activation_of, inspect, rows_of, spread
from chainrule.training.screening import is_plain
from chainrule.utils import set_random_seed

(IMAGES, LABELS), _ = digits.load_data()
SCALED = (IMAGES / 255.0).astype("float32")
# How many seeds the sweep over healthy networks takes.
SEEDS = int(os.environ.get("CHAINRULE_CHECK_SEEDS", "1"))
RANDOM = np.random.default_rng(0)
X = RANDOM.standard_normal((300, 8)).astype("float32")
Y = X[:, :1] * 2


def network(hidden, out="glorot_uniform", optimizer="sgd"):
    set_random_seed(0)
    last = Dense(10, activation="softmax", kernel_initializer=out, name="out")
    model = Sequential([Flatten(input_shape=(28, 28)), *hidden, last])
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def relu(units, **options):
    return Dense(units, activation="relu", **options)


FAULTS = {
    "vanishing_gradient": lambda: network(
        [Dense(32, activation="sigmoid", name=f"s{i}") for i in range(10)]
    ),
    "exploding_gradient": lambda: network(
        [relu(64, kernel_initializer=init.VarianceScaling(60.0)) for _ in range(6)]
    ),
    "dead_relu": lambda: network([relu(64, bias_initializer=init.Constant(-30.0))]),
    "symmetric_initialization": lambda: network(
        [Dense(64, activation="tanh", kernel_initializer="zeros")], out="zeros"
    ),
    "saturated_activation": lambda: network(
        [Dense(64, activation="tanh", kernel_initializer=init.RandomNormal(stddev=5.0))]
    ),
    "not_finite": lambda: network([relu(8, kernel_initializer=init.Constant(1e38)), Dense(8)]),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_planted_faults_are_named_by_the_check_and_by_fit(fault):
    model = FAULTS[fault]()
    result = check_initialization(model, SCALED, LABELS)
    finding = next(f for f in result.findings if f.kind == fault)
    assert finding.layer == model.layers[1].name or fault == "not_finite"
    assert finding.evidence and finding.remedy and not result.healthy
    assert fault.replace("_", " ") in str(result) and fault in repr(result)
    with pytest.warns(InitializationWarning, match=fault.replace("_", " ")) as told:
        model.fit(SCALED, LABELS, verbose=0)
    assert told[0].filename == __file__
    assert issubclass(InitializationWarning, ChainruleWarning)


def test_fit_warns_once_and_can_be_told_not_to():
    model = FAULTS["dead_relu"]()
    with pytest.warns(InitializationWarning):
        model.fit(SCALED, LABELS, verbose=0)
    model.fit(SCALED, LABELS, verbose=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InitializationWarning)
        FAULTS["dead_relu"]().fit(SCALED, LABELS, verbose=0)


def test_a_warning_made_an_error_leaves_the_model():
    model = FAULTS["saturated_activation"]()
    before = model.get_weights()
    with pytest.raises(InitializationWarning):
        model.fit(SCALED, LABELS, verbose=0)
    assert all(map(np.array_equal, before, model.get_weights()))
    assert int(model.optimizer.iterations) == 0


def test_equal_weights_that_are_not_zero():
    hidden = Dense(4, activation="tanh", kernel_initializer=init.Constant(0.05), name="equal")
    result = check_initialization(network([hidden], out="ones"), SCALED, LABELS)
    assert result.findings[0].kind == "symmetric_initialization"
    assert result.findings[0].layer == "equal"


HEALTHY = {
    "zeros at the end": lambda: network([relu(32), relu(32)], out="zeros"),
    "zeros, then random": lambda: network(
        [Dense(32, activation="tanh", kernel_initializer="zeros"), Dense(32, activation="tanh")]
    ),
    "wide and narrow": lambda: network([relu(512), relu(2), relu(64)]),
    "dropout": lambda: network([Dropout(0.5), relu(64), Dropout(0.9), relu(64)]),
    "one unit": lambda: network([Dense(1)]),
    "no hidden layer": lambda: network([]),
    "batch normalization": lambda: network(
        [p for _ in range(6) for p in (Dense(32), BatchNormalization(), Activation("sigmoid"))]
    ),
}


@pytest.mark.parametrize("name", HEALTHY)
def test_networks_that_learn_are_left_alone(name):
    model = HEALTHY[name]()
    result = check_initialization(model, SCALED, LABELS)
    assert result.healthy, result
    assert "starts healthy" in str(result) and "healthy" in repr(result)
    model.fit(SCALED, LABELS, verbose=0)  # a warning would be an error here


def stack(depth, activation, initializer, normalized, x):
    """Return a model of so many layers of changing width."""
    hidden = []
    for k in range(depth):
        units = (64, 32, 48, 64)[k % 4]
        if normalized:
            hidden += [Dense(units, kernel_initializer=initializer), normalized()]
            hidden += [Activation(activation)]
        else:
            hidden += [Dense(units, activation, kernel_initializer=initializer)]
    model = Sequential([Input(x.shape[1:]), *hidden, Dense(1, kernel_initializer=initializer)])
    model.compile("sgd", "mse")
    return model


# Initializers with the activations they are made for, and the default with all that have a slope.
MORE = SEEDS > 1
SUITED = [
    *itertools.product(
        ("he_normal", "he_uniform")[: 1 + MORE], ("relu", "leaky_relu", "elu"), (2, 20)
    ),
    *itertools.product(
        ("glorot_uniform", "lecun_normal", "orthogonal", "glorot_normal", "lecun_uniform")[
            : 3 + 2 * MORE
        ],
        ("tanh", "selu", "linear")[: 2 + MORE],
        (2, 20),
    ),
    *itertools.product(
        ("glorot_uniform", "he_normal")[: 1 + MORE],
        ("relu", "gelu", "silu", "softplus", "softsign", "elu", "leaky_relu"),
        (1, 5),
    ),
    *itertools.product(("glorot_uniform", "he_normal"), ("sigmoid",), (1, 4)),
]


@pytest.mark.parametrize(("initializer", "activation", "depth"), SUITED)
def test_usual_initializers_pass(initializer, activation, depth):
    for seed in range(SEEDS):
        set_random_seed(seed)
        model = stack(depth, activation, initializer, None, X)
        result = check_initialization(model, X, Y)
        assert result.healthy, result


@pytest.mark.parametrize("normalized", [BatchNormalization, LayerNormalization])
@pytest.mark.parametrize("activation", ["relu", "tanh", "sigmoid"])
@pytest.mark.parametrize("initializer", ["glorot_uniform", "random_normal"])
def test_normalized_networks_pass_with_any_initializer(initializer, activation, normalized):
    # LayerNormalization keeps apart units, but not samples, which sigmoids make alike.
    fades = normalized is LayerNormalization and activation == "sigmoid"
    for seed, depth in itertools.product(range(SEEDS), (3,) if fades else (12,)):
        set_random_seed(seed)
        result = check_initialization(stack(depth, activation, initializer, normalized, X), X, Y)
        assert result.healthy, result


def test_what_the_weights_alone_let_pass_is_healthy():
    """The cheap look of fit must not overlook what the whole check would find."""
    scales = (0.1, 0.5, 1.0, 2.0, 10.0, *((0.01, 100.0) if MORE else ()))
    activations = ("relu", "tanh", "sigmoid", "gelu", *(("linear", "softplus") if MORE else ()))
    let_pass = 0
    for scale, activation, depth in itertools.product(scales, activations, (1, 6, 12)):
        set_random_seed(depth)
        model = stack(depth, activation, init.VarianceScaling(scale), None, X)
        rows = rows_of(len(X))
        if is_plain(model, X[rows]):
            let_pass += 1
            batches = model._collect_targets("fit", X, Y)
            result = inspect(model._trainer, batches, rows)
            assert result.healthy, (scale, activation, depth, str(result))
    assert let_pass > 12


def test_the_default_network_is_not_looked_at_twice(monkeypatch):
    def never(*_):
        raise AssertionError("the whole check ran")

    monkeypatch.setattr("chainrule.training.initialization.inspect", never)
    for hidden in ([relu(128)], [relu(64), relu(64)], [Dense(64, activation="tanh")]):
        network(hidden).fit(SCALED, LABELS, verbose=0)


def test_the_numbers_by_hand():
    set_random_seed(3)
    hidden, out = Dense(5, activation="tanh", name="hidden"), Dense(2, name="out")
    model = Sequential([Input((8,)), hidden, out])
    model.compile(SGD(0.1), "mse")
    w1, b1, w2, b2 = (v.astype("float64") for v in model.get_weights())
    t = np.concatenate([Y, -Y], axis=1)
    result = check_initialization(model, X, t, samples=100)
    rows = rows_of(300, 100)
    assert len(rows) == 100 and rows[0] == 0 and rows[-1] == 299
    x = X[rows].astype("float64")
    h = np.tanh(x @ w1 + b1)
    y = h @ w2 + b2
    error = 2 * (y - t[rows]) / y.size
    first, last = result.rows
    assert (first.layer, last.layer) == ("hidden", "out")
    assert np.isclose(first.activation, np.sqrt(h.var(0).mean()), rtol=1e-5)
    assert np.isclose(first.ratio, first.activation / np.sqrt(x.var(0).mean()), rtol=1e-5)
    assert np.isclose(last.ratio, last.activation / first.activation, rtol=1e-5)
    norms = np.linalg.norm(error @ w2.T), np.linalg.norm(error)
    assert np.isclose(first.error, norms[0] / norms[1], rtol=1e-5) and last.error == 1.0
    assert np.isclose(spread(h), np.sqrt(h.var(0).mean()))


def test_nothing_is_changed():
    model = network([relu(16), BatchNormalization(), Dropout(0.5)], optimizer="adam")
    other = network([relu(16), BatchNormalization(), Dropout(0.5)], optimizer="adam")
    check_initialization(model, SCALED, LABELS)
    assert len(model.optimizer.variables) == len(other.optimizer.variables)
    histories = [m.fit(SCALED, LABELS, verbose=0).history for m in (model, other)]
    assert histories[0] == histories[1]


def test_graphs_nested_models_and_penalties():
    a = Input((8,), name="a")
    inner = Sequential([Dense(16, "relu", name="first"), Dense(16, name="second")], name="inner")
    hidden = inner(a)
    both = Add(name="sum")([hidden, Dense(16, activity_regularizer="l2", name="side")(a)])
    model = Model(a, [Dense(3, "softmax", name="kind")(both), Dense(1, name="size")(both)])
    model.compile("adam", ["sparse_categorical_crossentropy", "mse"])
    result = check_initialization(model, X, [RANDOM.integers(0, 3, 300), Y])
    names = [row.layer for row in result.rows]
    assert "inner/first" in names and "side" in names and names[-1] in ("kind", "size")
    assert result.healthy


def test_classes_of_ones_own():
    class Scaled(chainrule.layers.Layer):
        def build(self, input_shape):
            self.factor = self.add_weight((input_shape[-1],), "ones")

        def call(self, x, training=False):
            return x * self.factor

    class Own(Model):
        def __init__(self):
            super().__init__()
            self.one, self.scaled, self.two = Dense(4, "relu", name="one"), Scaled(), Dense(1)

        def call(self, x):
            return self.two(self.scaled(self.one(x)))

    model = Own()
    model.compile("sgd", "mse")
    result = check_initialization(model, X, Y)
    assert result.rows[0].layer == "one" and len(result.rows) == 3


def test_few_samples_and_unscaled_data():
    model = FAULTS["saturated_activation"]()
    model.fit(SCALED[:4], LABELS[:4], verbose=0)  # too few to tell
    for raw in (IMAGES.astype("float32"), IMAGES.astype("uint8")):
        tanh = network([Dense(32, activation="tanh", name="t")])
        result = check_initialization(tanh, raw, LABELS)
        assert result.findings[0].kind == "saturated_activation"
        assert "scale the data" in result.findings[0].remedy
        with pytest.warns(InitializationWarning, match="scale the data"):
            tanh.fit(raw, LABELS, verbose=0)


def test_mistakes():
    model = network([relu(8)])
    with pytest.raises(ArgumentError):
        check_initialization(model, SCALED, LABELS, samples=1)
    bad = SCALED.copy()
    bad[0, 0, 0] = np.nan
    with pytest.raises(DataError, match="row 0"):
        check_initialization(model, bad, LABELS)
    with pytest.raises(DataError, match="row 0"):
        FAULTS["dead_relu"]().fit(bad, LABELS, verbose=0)  # the error, not a warning


def test_a_few_samples_that_overflow_are_not_the_networks_fault():
    x = X.copy()
    x[[3, 33]] = 3e38
    model = Sequential([Input((8,)), Dense(4, "relu"), Dense(1)])
    model.compile(SGD(0.1, skip_nonfinite=True), "mse")
    assert check_initialization(model, x[:50], Y[:50]).healthy
    model.fit(x[:50], Y[:50] * 1e20, verbose=0)


def test_names_of_activations():
    from chainrule import ops
    from chainrule.graph import placeholder

    x = placeholder((4, 6), "float32", "x")
    assert activation_of(ops.reshape(ops.tanh(x), (4, 2, 3))) == "tanh"
    assert activation_of(x) == ""
