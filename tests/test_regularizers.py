"""Penalties, constraints and the dropout family, beside Keras's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from chainrule import constraints, layers, ops, regularizers
from chainrule.errors import ArgumentError, ShapeError
from chainrule.executors import num_threads, run, set_num_threads
from chainrule.graph import Variable, constant, gradient, scope
from chainrule.losses import MeanSquaredError
from chainrule.models import Sequential, load_model
from chainrule.optimizers import SGD, Adam
from chainrule.utils import set_random_seed
from peers import peer

# Keras's variables do not know NumPy's argument `copy`.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

W = np.random.default_rng(2).standard_normal((4, 3)).astype("float32")
X = np.random.default_rng(3).standard_normal((40, 4)).astype("float32")
Y = X[:, :1] * X[:, 1:2]

PENALTIES: list[tuple[str, dict[str, Any]]] = [
    ("L1", {}),
    ("L1", {"l1": 0.3}),
    ("L2", {}),
    ("L2", {"l2": 0.3}),
    ("L1L2", {}),
    ("L1L2", {"l1": 0.2, "l2": 0.1}),
    ("OrthogonalRegularizer", {}),
    ("OrthogonalRegularizer", {"factor": 0.7, "mode": "columns"}),
]
LIMITS: list[tuple[str, dict[str, Any]]] = [
    ("MaxNorm", {}),
    ("MaxNorm", {"max_value": 0.5, "axis": 1}),
    ("NonNeg", {}),
    ("UnitNorm", {}),
    ("UnitNorm", {"axis": (0, 1)}),
    ("MinMaxNorm", {"min_value": 0.5, "max_value": 0.9}),
    ("MinMaxNorm", {"min_value": 1.0, "max_value": 2.0, "rate": 0.4, "axis": 1}),
]


@pytest.mark.parametrize(("name", "arguments"), PENALTIES)
def test_penalties_and_their_gradients_are_those_of_keras(name: str, arguments: Any) -> None:
    jax, keras = peer("jax"), peer("keras")
    theirs = getattr(keras.regularizers, name)(**arguments)
    mine = getattr(regularizers, name)(**arguments)
    for w in (W, W * 1e3, np.abs(W)):
        leaf = Variable(w)
        penalty = mine(leaf.leaf)
        found, slope = run([penalty, *gradient(penalty, [leaf])])
        expected, wanted = jax.value_and_grad(lambda w: theirs(w) + 0.0)(jax.numpy.asarray(w))
        assert found.shape == ()
        np.testing.assert_allclose(found, expected, rtol=1e-5)
        np.testing.assert_allclose(slope, wanted, rtol=1e-4, atol=1e-7)
    again = regularizers.get(regularizers.serialize(mine))
    assert type(again) is type(mine) and again.get_config() == mine.get_config()


def test_penalties_by_their_formulas() -> None:
    w = W.astype("float64")
    assert float(regularizers.L1(0.3)(w)) == pytest.approx(0.3 * np.abs(w).sum(), rel=1e-13)
    assert float(regularizers.L2(0.3)(w)) == pytest.approx(0.3 * (w**2).sum(), rel=1e-13)
    rows = w / np.linalg.norm(w, axis=1, keepdims=True)
    pairs = [abs(rows[i] @ rows[j]) for i in range(4) for j in range(i)]
    found = float(regularizers.OrthogonalRegularizer(2.0)(w))
    assert found == pytest.approx(2.0 * np.mean(pairs), rel=1e-12)
    assert float(regularizers.OrthogonalRegularizer()(np.ones((1, 3)))) == 0.0
    zero = Variable(np.zeros((2, 3)))
    slope = gradient(regularizers.OrthogonalRegularizer()(zero.leaf), [zero])[0]
    assert np.isfinite(slope.numpy()).all()


@pytest.mark.parametrize(("name", "arguments"), LIMITS)
def test_constraints_are_those_of_keras(name: str, arguments: Any) -> None:
    theirs = getattr(peer("keras").constraints, name)(**arguments)
    mine = getattr(constraints, name)(**arguments)
    for w in (W, W * 1e3, np.zeros_like(W)):
        np.testing.assert_allclose(mine(w).numpy(), theirs(w), rtol=1e-6, atol=1e-7)
    again = constraints.get(constraints.serialize(mine))
    assert type(again) is type(mine) and again.get_config() == mine.get_config()


def network(kind: Any) -> list[Any]:
    """Layers of our kind or Keras's with a penalty and a constraint everywhere."""
    return [
        kind.Dense(
            6,
            activation="tanh",
            bias_initializer="ones",  # at 0 JAX's |x| has the slope 1; here, as in PyTorch, 0
            kernel_regularizer="l2",
            bias_regularizer="l1",
            activity_regularizer="l2",
            kernel_constraint="max_norm",
        ),
        kind.ActivityRegularization(l1=0.02, l2=0.01),
        kind.Dense(5, use_bias=False, kernel_regularizer="L1L2", kernel_constraint="unit_norm"),
        kind.BatchNormalization(gamma_regularizer="l2", beta_constraint="non_neg"),
        kind.Dense(1, kernel_constraint="min_max_norm", bias_constraint="non_neg"),
    ]


@pytest.mark.parametrize("rule", ["SGD", "Adam"])
def test_training_is_that_of_keras(rule: str) -> None:
    keras = peer("keras")
    set_random_seed(3)
    mine = Sequential([layers.Input((4,)), *network(layers)])
    theirs = keras.Sequential([keras.layers.Input((4,)), *network(keras.layers)])
    theirs.set_weights(mine.get_weights())
    mine.compile({"SGD": SGD, "Adam": Adam}[rule](0.02), "mse")
    theirs.compile(getattr(keras.optimizers, rule)(0.02), "mse")
    options = {"epochs": 1, "batch_size": 10, "shuffle": False, "verbose": 0}
    options["validation_data"] = (X[:7], Y[:7])
    for _ in range(3):
        found, expected = mine.fit(X, Y, **options).history, theirs.fit(X, Y, **options).history
        for key in expected:
            np.testing.assert_allclose(found[key], expected[key], rtol=1e-4, err_msg=key)
    for a, b in zip(mine.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5)


def test_the_weights_keep_to_their_constraints() -> None:
    model = Sequential([layers.Input((4,)), *network(layers)])
    model.compile(SGD(0.5), "mse")
    for _ in range(5):
        model.train_on_batch(X, Y)
        first, second, last = (model.layers[i].kernel.numpy() for i in (0, 2, 4))
        assert (np.linalg.norm(first, axis=0) <= 2 + 1e-5).all()
        np.testing.assert_allclose(np.linalg.norm(second, axis=0), 1, rtol=1e-5)
        assert (np.linalg.norm(last, axis=0) <= 1 + 1e-5).all()
        assert (model.layers[4].bias.numpy() >= 0).all()


def test_a_loop_by_hand_is_fit() -> None:
    def made() -> Sequential:
        set_random_seed(3)
        return Sequential([layers.Input((4,)), *network(layers)])

    model, by_hand, optimizer = made(), made(), SGD(0.05)
    model.compile(SGD(0.05), "mse")
    optimizer.build(by_hand.trainable_variables)
    for _ in range(3):
        model.train_on_batch(X, Y)
        loss = MeanSquaredError()(Y, by_hand(X, training=True))
        for penalty in by_hand.losses:
            loss = loss + penalty
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    for a, b in zip(model.get_weights(), by_hand.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_saves_and_goes_on(tmp_path: Any) -> None:
    model = Sequential([layers.Input((4,)), *network(layers)])
    model.compile(SGD(0.05), "mse")
    model.fit(X, Y, verbose=0)
    model.save(tmp_path / "m.chainrule")
    again = load_model(tmp_path / "m.chainrule")
    for one in (model, again):
        one.fit(X, Y, shuffle=False, verbose=0)
    assert again.evaluate(X, Y, verbose=0) == model.evaluate(X, Y, verbose=0)
    for a, b in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_same_bits_at_any_number_of_threads() -> None:
    before, bits = num_threads(), []
    for threads in (1, 2, 3):
        set_num_threads(threads)
        set_random_seed(3)
        noise = [layers.AlphaDropout(0.2), layers.GaussianDropout(0.2)]
        wide = layers.Dense(300, kernel_regularizer="l2", kernel_constraint="max_norm")
        model = Sequential([layers.Input((4,)), wide, *noise, *network(layers)])
        model.compile(SGD(0.05), "mse")
        model.fit(X, Y, epochs=2, verbose=0)
        bits.append([w.tobytes() for w in model.get_weights()])
    set_num_threads(before)
    assert bits[0] == bits[1] == bits[2]


def test_frozen_weights_are_not_penalized() -> None:
    layer = layers.Dense(3, kernel_regularizer="l2", trainable=False)
    layer(X)
    assert layer.regularization() == []
    layer.trainable = True
    assert len(layer.regularization()) == 1


def test_penalties_of_an_own_layer() -> None:
    class Own(layers.Layer):
        def build(self, input_shape: Any) -> None:
            self.w = self.add_weight((4,), "ones", name="w", regularizer=lambda w: 2.0 * ops.sum(w))

        def call(self, x: Any) -> Any:
            self.add_loss(ops.ones((3,)))
            return x * self.w

    model = Sequential([layers.Input((4,)), Own()])
    model.compile("sgd", "mse")
    assert model.test_on_batch(X, X) == pytest.approx(2.0 * 4 + 3)
    with pytest.raises(ArgumentError, match="cannot be saved"):
        regularizers.serialize(lambda w: w)


def test_activity_is_divided_by_the_batch() -> None:
    layer = layers.ActivityRegularization(l2=0.5)
    x = np.full((8, 2), 3.0)
    with scope.tracing(None, True):
        layer(ops.as_value(x))
        (penalty,) = scope.penalties()
    assert float(penalty) == pytest.approx(0.5 * 9 * 2)


def drawn(layer: Any, x: np.ndarray, step: int = 0) -> np.ndarray:
    with scope.tracing(constant(np.array([1, step])), True):
        return np.asarray(layer(constant(x)))


NOISY: list[Any] = [
    lambda **o: layers.Dropout(0.3, **o),
    lambda **o: layers.AlphaDropout(0.3, **o),
    lambda **o: layers.GaussianDropout(0.3, **o),
    lambda **o: layers.GaussianNoise(0.3, **o),
    lambda **o: layers.SpatialDropout1D(0.3, **o),
]


@pytest.mark.parametrize("make", NOISY)
def test_noise_is_for_training_and_follows_the_seed(make: Any) -> None:
    x = np.random.default_rng(1).standard_normal((50, 3, 20)).astype("float32")
    layer = make()
    np.testing.assert_array_equal(layer(x).numpy(), x)
    assert (drawn(layer, x) != x).any()
    np.testing.assert_array_equal(drawn(layer, x), drawn(layer, x))
    assert (drawn(layer, x) != drawn(layer, x, step=1)).any()
    own = make(seed=5)
    np.testing.assert_array_equal(drawn(own, x), drawn(make(seed=5), x))
    assert (drawn(own, x) != drawn(make(seed=6), x)).any()
    again = layers.deserialize(layers.serialize(own))
    np.testing.assert_array_equal(drawn(again, x), drawn(own, x))


def test_alpha_dropout_keeps_mean_and_variance() -> None:
    x = np.random.default_rng(1).standard_normal((400, 500)).astype("float32")
    for rate in (0.1, 0.5):
        y = drawn(layers.AlphaDropout(rate), x)
        assert y.mean() == pytest.approx(0, abs=0.02)
        assert y.std() == pytest.approx(1, abs=0.02)
        lowest = -1.6732632423543772 * 1.0507009873554805
        a = ((1 - rate) * (1 + rate * lowest**2)) ** -0.5
        low = a * lowest * (1 - rate)
        dropped = np.isclose(y, low, atol=1e-6)
        assert dropped.mean() == pytest.approx(rate, abs=0.01)
        np.testing.assert_allclose(y[~dropped], a * x[~dropped] - a * lowest * rate, atol=1e-5)


def test_gaussian_dropout_has_the_variance_of_its_rate() -> None:
    y = drawn(layers.GaussianDropout(0.2), np.ones((500, 400), "float32"))
    assert y.mean() == pytest.approx(1, abs=0.01)
    assert y.var() == pytest.approx(0.2 / 0.8, rel=0.03)


def test_noise_shapes() -> None:
    x = np.ones((30, 4, 50), "float32")
    for shape, axis in (((None, 1, None), 1), ((30, 4, 1), 2), ((1, None, None), 0)):
        y = drawn(layers.Dropout(0.5, noise_shape=shape), x)
        assert (y == y.take([0], axis=axis)).all()
        assert 0.2 < (y == 0).mean() < 0.8
    y = drawn(layers.AlphaDropout(0.5, (None, 1, None)), x)
    assert (y == y[:, :1]).all()
    with pytest.raises(ShapeError, match=r"noise of shape \[2, 1, None\] does not fit x"):
        drawn(layers.Dropout(0.5, noise_shape=(2, 1, None)), x)


@pytest.mark.parametrize(
    ("layer", "shape", "together"),
    [
        (layers.SpatialDropout1D(0.5), (20, 3, 30), (1,)),
        (layers.SpatialDropout2D(0.5), (20, 3, 2, 30), (1, 2)),
        (layers.SpatialDropout2D(0.5, data_format="channels_first"), (20, 30, 3, 2), (2, 3)),
        (layers.SpatialDropout3D(0.5), (20, 3, 2, 2, 30), (1, 2, 3)),
        (layers.SpatialDropout3D(0.5, "channels_first"), (20, 30, 3, 2, 2), (2, 3, 4)),
    ],
    ids=str,
)
def test_spatial_dropout(layer: Any, shape: Any, together: Any) -> None:
    y = drawn(layer, np.ones(shape, "float32"))
    assert set(np.unique(y)) == {0.0, 2.0}
    assert (y.min(axis=together) == y.max(axis=together)).all()
    assert (y == 0).mean() == pytest.approx(0.5, abs=0.1)
    assert layers.deserialize(layers.serialize(layer)).get_config() == layer.get_config()
    with pytest.raises(ShapeError, match="axes"):
        drawn(layer, np.ones((2, 3), "float32"))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: regularizers.L1(-1), "l1 is -1; expected a number of at least 0"),
        (lambda: regularizers.L2(float("nan")), "l2 is nan"),
        (lambda: regularizers.L1L2(l2="x"), "l2 is 'x'"),
        (lambda: regularizers.OrthogonalRegularizer(mode="row"), "did you mean 'rows'"),
        (lambda: regularizers.get("l3"), "unknown regularizer 'l3'"),
        (lambda: regularizers.get({"class_name": "L3"}), "unknown regularizer 'L3'"),
        (lambda: regularizers.get(3), "a regularizer is a name or a function"),
        (lambda: constraints.MaxNorm(-1), "max_value is -1"),
        (lambda: constraints.MaxNorm(axis=0.5), "axis is 0.5"),
        (lambda: constraints.MinMaxNorm(2, 1), "min_value 2 is above max_value 1"),
        (lambda: constraints.MinMaxNorm(rate=2), "rate is 2; .* at most 1"),
        (lambda: constraints.get("maxnorm"), "unknown constraint 'maxnorm'; did you mean"),
        (lambda: constraints.get(3), "a constraint is a name or a function"),
        (lambda: layers.Dense(3, kernel_regularizer="l"), "unknown regularizer 'l'"),
        (lambda: layers.Dropout(True), "rate is True"),
        (lambda: layers.Dropout(0.5, noise_shape="x"), "noise_shape is 'x'"),
        (lambda: layers.Dropout(0.5, noise_shape=(0, 1)), "a size is at least 1, or None"),
        (lambda: layers.Dropout(0.5, seed=0.5), "seed is 0.5"),
        (lambda: layers.GaussianDropout(1.0), "rate is 1.0"),
        (lambda: layers.SpatialDropout2D(0.5, "last"), "unknown data_format 'last'"),
        (lambda: layers.ActivityRegularization(l1=-1), "l1 is -1"),
    ],
)
def test_bad_arguments(make: Any, words: str) -> None:
    with pytest.raises(ArgumentError, match=words):
        make()


def test_names() -> None:
    for name in ("l1", "l2", "l1_l2", "L1L2", "orthogonal", "orthogonal_regularizer"):
        assert isinstance(regularizers.get(name), regularizers.Regularizer)
    for name in ("max_norm", "non_neg", "unit_norm", "min_max_norm", "MaxNorm"):
        assert isinstance(constraints.get(name), constraints.Constraint)
    assert regularizers.get(None) is None and constraints.get(None) is None
    assert isinstance(regularizers.get(regularizers.L2), regularizers.L2)
    with pytest.raises(ShapeError, match="two axes"):
        regularizers.OrthogonalRegularizer()(np.ones(3))
