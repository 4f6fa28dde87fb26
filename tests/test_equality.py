"""`==` and `!=` compare the elements of values, as in NumPy, Keras and PyTorch."""

from __future__ import annotations

import operator

import numpy as np
import pytest

from chainrule import Variable, ops
from chainrule.errors import GraphError, ShapeError
from chainrule.graph import Value, among, placeholder, same
from chainrule.layers import Dense, Input, Layer
from chainrule.models import Model, Sequential
from chainrule.optimizers import LBFGS, SGD
from chainrule.utils import set_random_seed
from peers import peer

A = np.array([[1.0, 2.0, np.nan], [0.0, -0.0, np.inf]], np.float32)
B = np.array([[1.0, 0.0, np.nan], [-0.0, 1.0, np.inf]], np.float32)
BOTH = pytest.mark.parametrize("compare", [operator.eq, operator.ne])


@BOTH
@pytest.mark.parametrize("kind", [ops.as_value, Variable])
def test_elements_are_compared_as_in_numpy_and_torch(compare, kind):
    torch = peer("torch")
    x, others = kind(A), [ops.as_value(B), Variable(B), B, B[0], B.tolist(), 1, 1.0, np.float32(1)]
    for y in others:
        expected = compare(A, np.asarray(y, np.float32))
        for found in (compare(x, y), compare(y, x)):
            assert isinstance(found, Value) and found.dtype == "bool"
            np.testing.assert_array_equal(found.numpy(), expected)
    theirs = compare(torch.tensor(A), torch.tensor(B)).numpy()
    np.testing.assert_array_equal(compare(x, B).numpy(), theirs)
    np.testing.assert_array_equal(compare(x, x).numpy(), compare(A, A))  # a NaN is not itself


@pytest.mark.parametrize("other", [None, "1", object(), {}, ...])
def test_what_is_no_array_is_not_equal(other):
    for x in (ops.as_value(1.0), Variable(1.0), Input((3,))):
        if isinstance(x, Value | Variable) or other is None or other == "1":
            assert (x == other) is False and (x != other) is True


def test_shapes_that_do_not_fit_are_an_error():
    with pytest.raises(ShapeError, match="fit together"):
        assert ops.as_value([1.0, 2.0]) == [1.0, 2.0, 3.0]


def test_truth_is_that_of_the_element():
    assert Variable(2.0) and not Variable(0.0) and not Variable(np.int64(0))
    optimizer = SGD(0.1)
    assert optimizer.iterations == 0 and optimizer.iterations % 10 == 0
    assert not bool(optimizer.iterations != 0)
    with pytest.raises(ValueError, match="size 1"):
        bool(Variable([1.0, 2.0]))
    with pytest.raises(GraphError):
        bool(placeholder((), "float32", "x") == 1)


def test_values_stay_keys_and_members():
    x, y = ops.as_value([1.0]), ops.as_value([1.0])
    assert {x: 1, y: 2}[x] == 1 and len({x, y, x}) == 2 and y not in {x}
    assert same([x, y], (x, y)) and not same([x], [y]) and not same([x], [x, y])
    assert among(x, [y, x]) and not among(x, [y])


def weighted(y, p):
    """Ten times the loss where the target is 1."""
    return ops.mean(ops.where(y == 1, 10.0, 1.0) * (y - p) ** 2, axis=-1)


def hits(y, p):
    return ops.cast(ops.round(p) == y, "float32")


def misses(y, p):
    return ops.cast(ops.round(p) != y, "float32")


def network(**options):
    set_random_seed(0)
    model = Sequential([Input((3,)), Dense(1)])
    model.compile("sgd", **options)
    return model


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_losses_and_metrics_of_ones_own_are_those_of_keras():
    keras = peer("keras")

    random = np.random.default_rng(0)
    x = random.standard_normal((64, 3)).astype("float32")
    y = random.integers(-1, 2, (64, 1)).astype("float32")
    model = network(loss=weighted, metrics=[hits, misses])
    other = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    where, cast, round_ = keras.ops.where, keras.ops.cast, keras.ops.round
    other.compile(
        "sgd",
        loss=lambda y, p: keras.ops.mean(where(y == 1, 10.0, 1.0) * (y - p) ** 2, axis=-1),
        metrics=[
            keras.metrics.MeanMetricWrapper(lambda y, p: cast(round_(p) == y, "float32"), "hits"),
            keras.metrics.MeanMetricWrapper(lambda y, p: cast(round_(p) != y, "float32"), "misses"),
        ],
    )
    other.set_weights(model.get_weights())
    ours = model.fit(x, y, batch_size=16, epochs=2, shuffle=False, verbose=0).history
    found = other.fit(x, y, batch_size=16, epochs=2, shuffle=False, verbose=0).history
    assert 0.0 < ours["hits"][0] < 1.0
    for name in ("loss", "hits", "misses"):
        np.testing.assert_allclose(ours[name], found[name], rtol=1e-5)
    for a, b in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def test_networks_that_are_graphs_compare_too():
    inputs = Input((3,))
    model = Model(inputs, [ops.cast(inputs == 1.0, "float32"), ops.cast(inputs != 2.0, "float32")])
    equal, other = model.predict(np.array([[1.0, 2.0, 3.0]]), verbose=0)
    assert equal.tolist() == [[1.0, 0.0, 0.0]] and other.tolist() == [[1.0, 0.0, 1.0]]


class Held(Layer):
    """Weights in a list, one of which is exchanged between steps."""

    def build(self, input_shape):
        self.parts = [self.add_weight((3,), name=name) for name in "ab"]

    def call(self, x):
        return x * self.parts[0] + self.parts[1]


def test_weights_held_in_lists_are_not_compared_by_their_elements():
    layer, x = Held(), np.ones((2, 3), "float32")
    layer(x)
    first = layer.trainable_variables
    layer.parts[1] = Variable(np.ones(3, np.float32), name="c")
    assert same(layer.trainable_variables, [*first, layer.parts[1]])


@pytest.mark.parametrize("make", [LBFGS, lambda: SGD(0.01)])
def test_an_optimizer_goes_on_with_other_weights(make):
    optimizer = make()
    for size in (2, 2, 3):
        model = network(loss="mse")
        model.compile(optimizer, "mse")
        x = np.linspace(-1, 1, 12).reshape(4, 3).astype("float32")
        model.fit(x, x[:, :1] * size, batch_size=4, epochs=2, verbose=0)
    assert np.isfinite(model.evaluate(x, x[:, :1], verbose=0))
