"""Normalization layers: Keras's and PyTorch's values, gradients, moving statistics, files."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from chainrule import layers, ops
from chainrule.errors import ArgumentError, ShapeError
from chainrule.executors import run, set_num_threads
from chainrule.graph import Variable, gradient, scope
from chainrule.losses import MeanSquaredError
from chainrule.models import Sequential, load_model
from chainrule.ops import normalization as norm
from chainrule.optimizers import SGD
from chainrule.utils import set_random_seed
from peers import both, peer

# Keras's variables do not know NumPy's argument `copy`; it warns of what it calls rms_scaling.
pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:You passed `rms_scaling=True`"),
]

LAYERS: list[tuple[str, dict[str, Any], tuple[int, ...]]] = [
    ("BatchNormalization", {}, (6, 5)),
    ("BatchNormalization", {}, (4, 3, 2, 5)),
    ("BatchNormalization", {"axis": 1, "momentum": 0.7, "epsilon": 0.1}, (4, 3, 2, 5)),
    ("BatchNormalization", {"axis": 2, "scale": False}, (4, 3, 5)),
    ("BatchNormalization", {"center": False, "scale": False}, (7, 1)),
    ("BatchNormalization", {}, (1, 4)),
    ("LayerNormalization", {}, (6, 5)),
    ("LayerNormalization", {"axis": 1}, (4, 3, 5)),
    ("LayerNormalization", {"axis": (1, 2), "epsilon": 0.1}, (4, 3, 5)),
    ("LayerNormalization", {"axis": (1, 3)}, (2, 3, 4, 5)),
    ("LayerNormalization", {"axis": [1, 2, 3]}, (2, 3, 4, 5)),
    ("LayerNormalization", {"center": False}, (6, 5)),
    ("LayerNormalization", {"scale": False}, (6, 33)),
    ("LayerNormalization", {"rms_scaling": True}, (6, 5)),
    ("GroupNormalization", {"groups": 2}, (4, 6)),
    ("GroupNormalization", {"groups": 3}, (4, 5, 6)),
    ("GroupNormalization", {"groups": 2, "axis": 1}, (3, 6, 2, 5)),
    ("GroupNormalization", {"groups": -1, "center": False}, (3, 4, 2)),
    ("GroupNormalization", {"groups": 1, "scale": False}, (3, 2, 4)),
    ("RMSNormalization", {}, (6, 5)),
    ("RMSNormalization", {"axis": (1, 2), "epsilon": 0.1}, (4, 3, 5)),
    ("UnitNormalization", {}, (6, 5)),
    ("UnitNormalization", {"axis": (1, 2)}, (4, 3, 5)),
    # Images: odd sizes, one pixel, one sample, channels first, enough to be summed in parts.
    ("BatchNormalization", {}, (1, 7, 5, 3)),
    ("BatchNormalization", {"synchronized": False}, (3, 1, 1, 4)),
    ("BatchNormalization", {"axis": 1}, (9, 3, 37, 35)),
    ("LayerNormalization", {"axis": (1, 2, 3)}, (1, 5, 7, 3)),
    ("GroupNormalization", {"groups": 2}, (2, 5, 7, 6)),
    ("GroupNormalization", {"groups": 2, "axis": 2}, (2, 5, 6, 3)),
    ("RMSNormalization", {"axis": (1, 2, 3)}, (1, 5, 1, 3)),
    ("UnitNormalization", {"axis": (1, 2, 3)}, (1, 3, 3, 2)),
]
IDS = [f"{name}-{arguments}-{shape}" for name, arguments, shape in LAYERS]
ALL = pytest.mark.parametrize(("name", "arguments", "shape"), LAYERS, ids=IDS)


def sample(shape: tuple[int, ...], seed: int = 3) -> np.ndarray:
    return (np.random.default_rng(seed).standard_normal(shape) * 2 + 1).astype("float32")


def weights_for(layer: Any, seed: int = 5) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.uniform(0.5, 2, w.shape).astype("float32") for w in layer.get_weights()]


@pytest.mark.parametrize(
    ("name", "arguments", "shape", "training"),
    [(*row, t) for row in LAYERS for t in (False, True) if not t or row[0].startswith("Batch")],
    ids=str,
)
def test_values_gradients_and_statistics_are_those_of_keras(
    name: str, arguments: dict[str, Any], shape: tuple[int, ...], training: bool
) -> None:
    jax, keras = peer("jax"), peer("keras")
    mine, theirs = both(name, arguments, shape, weights_for)
    x, slope = sample(shape), sample(shape, 9)
    takes = {"training": training} if name == "BatchNormalization" else {}
    trained, fixed = theirs.trainable_variables, theirs.non_trainable_variables

    def total(tv: Any, x: Any) -> Any:
        y, new = theirs.stateless_call(tv, [v.value for v in fixed], x, **takes)
        return (y * slope).sum(), (y, new)

    (_, (expected, moved)), (dw, dx) = jax.value_and_grad(total, (0, 1), has_aux=True)(
        [v.value for v in trained], keras.ops.convert_to_tensor(x)
    )
    leaf = Variable(x)
    with scope.tracing(None, training):
        y = mine(leaf.leaf, training=training)
        recorded = [value for _, value in scope.recorded()]
    found = gradient(ops.sum(y * slope), [leaf, *mine.trainable_variables])
    y, *found = run([y, *found, *recorded])
    np.testing.assert_allclose(y, expected, rtol=2e-5, atol=2e-5)
    for mine_one, theirs_one in zip(found, [dx, *dw, *(moved if training else [])], strict=True):
        np.testing.assert_allclose(mine_one, theirs_one, rtol=2e-4, atol=1e-4)


@pytest.mark.parametrize("training", [False, True])
def test_batch_normalization_is_that_of_torch(training: bool) -> None:
    torch = peer("torch")
    theirs = torch.nn.BatchNorm2d(3, eps=1e-3, momentum=0.01).double().train(training)
    mine = layers.BatchNormalization(axis=1, dtype="float64")
    x = sample((4, 3, 5, 2)).astype("float64")
    given = torch.tensor(x, requires_grad=True)
    expected = theirs(given)
    (expected**3).sum().backward()
    leaf = Variable(x)
    mine.build_for((None, 3, 5, 2))
    y = mine(leaf.leaf, training=training)
    found = run([y, *gradient(ops.sum(ops.power(y, 3)), [leaf, mine.gamma, mine.beta])])
    wanted = [expected, given.grad, theirs.weight.grad, theirs.bias.grad]
    for a, b in zip(found, wanted, strict=True):
        np.testing.assert_allclose(a, b.detach().numpy(), rtol=1e-9, atol=1e-9)


def test_layer_and_group_normalization_are_those_of_torch() -> None:
    functions = peer("torch").nn.functional
    torch = peer("torch")
    x = sample((4, 6, 5)).astype("float64")
    mine = layers.LayerNormalization(axis=(1, 2), epsilon=1e-5, dtype="float64")(x).numpy()
    expected = functions.layer_norm(torch.tensor(x), (6, 5)).numpy()
    np.testing.assert_allclose(mine, expected, rtol=1e-9, atol=1e-9)
    mine = layers.GroupNormalization(3, axis=1, epsilon=1e-5, dtype="float64")(x).numpy()
    expected = functions.group_norm(torch.tensor(x), 3).numpy()
    np.testing.assert_allclose(mine, expected, rtol=1e-9, atol=1e-9)
    mine = layers.RMSNormalization(epsilon=1e-5, dtype="float64")(x).numpy()
    expected = functions.rms_norm(torch.tensor(x), (5,), eps=1e-5).numpy()
    np.testing.assert_allclose(mine, expected, rtol=1e-9, atol=1e-9)


def test_rms_normalization_of_a_middle_axis() -> None:
    x = sample((4, 3, 5)).astype("float64")  # Keras's own fails for an axis that is not the last
    wanted = x / np.sqrt((x**2).mean(axis=1, keepdims=True) + 1e-6)
    layer = layers.RMSNormalization(axis=1, dtype="float64")
    np.testing.assert_allclose(layer(x).numpy(), wanted, rtol=1e-12)
    layer.set_weights([np.array([1.0, 2.0, 3.0])])
    scaled = wanted * np.array([1.0, 2.0, 3.0])[:, None]
    np.testing.assert_allclose(layer(x).numpy(), scaled, rtol=1e-12)


def network(kind: Any, dtype: str = "float32") -> Any:
    """A small network of layers of our kind or Keras's."""
    return [
        kind.Dense(8, activation="tanh", dtype=dtype),
        kind.BatchNormalization(momentum=0.8, dtype=dtype),
        kind.Dense(6, activation="tanh", dtype=dtype),
        kind.LayerNormalization(dtype=dtype),
        kind.Dense(2, dtype=dtype),
    ]


X = sample((96, 5))
Y = np.stack([X[:, 0] * X[:, 1], X[:, 2]], axis=1)


def trained(threads: int = 1, batch: int = 16, epochs: int = 2) -> Sequential:
    set_num_threads(threads)
    set_random_seed(3)
    model = Sequential([layers.Input((5,)), *network(layers)])
    model.compile(SGD(0.1), "mse")
    model.fit(X, Y, batch_size=batch, epochs=epochs, shuffle=False, verbose=0)
    return model


def test_training_is_that_of_keras() -> None:
    keras = peer("keras")
    set_random_seed(3)
    mine = Sequential([layers.Input((5,)), *network(layers)])
    theirs = keras.Sequential([keras.layers.Input((5,)), *network(keras.layers)])
    theirs.set_weights(mine.get_weights())
    mine.compile(SGD(0.02), "mse")
    theirs.compile(keras.optimizers.SGD(0.02), "mse")
    options = {"batch_size": 16, "epochs": 3, "shuffle": False, "verbose": 0}
    options["validation_data"] = (X[:40], Y[:40])
    found = mine.fit(X, Y, **options).history
    expected = theirs.fit(X, Y, **options).history
    for key in expected:
        np.testing.assert_allclose(found[key], expected[key], rtol=1e-4, err_msg=key)
    for a, b in zip(mine.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(
        mine.predict(X, verbose=0), theirs.predict(X, verbose=0), rtol=1e-3, atol=1e-4
    )


def test_the_same_bits_at_any_number_of_threads() -> None:
    first, *others = ([w.tobytes() for w in trained(n).get_weights()] for n in (1, 2, 3))
    assert all(bits == first for bits in others)


def test_saves_and_goes_on(tmp_path: Any) -> None:
    model = trained()
    model.save(tmp_path / "m.chainrule")
    again = load_model(tmp_path / "m.chainrule")
    np.testing.assert_array_equal(again.predict(X, verbose=0), model.predict(X, verbose=0))
    for one in (model, again):
        one.fit(X, Y, batch_size=16, shuffle=False, verbose=0)
    for a, b in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@ALL
def test_configuration(name: str, arguments: dict[str, Any], shape: tuple[int, ...]) -> None:
    layer = getattr(layers, name)(**arguments)
    x = sample(shape)
    y = layer(x).numpy()
    assert layer.compute_output_shape((None, *shape[1:])) == (None, *shape[1:])
    again = layers.deserialize(layers.serialize(layer))
    np.testing.assert_array_equal(again(x).numpy(), y)
    assert again.get_config() == layer.get_config()


def test_a_loop_by_hand_is_fit() -> None:
    model = trained(epochs=2)
    set_random_seed(3)
    by_hand = Sequential([layers.Input((5,)), *network(layers)])
    optimizer = SGD(0.1)
    optimizer.build(by_hand.trainable_variables)
    for _ in range(2):
        for i in range(0, len(X), 16):
            loss = MeanSquaredError()(Y[i : i + 16], by_hand(X[i : i + 16], training=True))
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
    for a, b in zip(model.get_weights(), by_hand.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_a_frozen_layer_uses_and_keeps_its_statistics() -> None:
    layer = layers.BatchNormalization(trainable=False)
    model = Sequential([layers.Input((5,)), layer, layers.Dense(2)])
    model.compile("sgd", "mse")
    layer.set_weights(weights_for(layer))
    before, x = layer.get_weights(), X[:8]
    model.fit(X, Y, verbose=0)
    for a, b in zip(before, layer.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(layer(x, training=True).numpy(), layer(x).numpy())


def test_a_layer_used_twice_moves_its_means_twice() -> None:
    layer = layers.BatchNormalization(momentum=0.75, dtype="float64")
    a, b = np.array([[2.0], [2.0]]), np.array([[10.0], [10.0]])
    layer.build_for((None, 1))
    with scope.tracing(None, True):
        layer(ops.as_value(a), training=True)
        layer(ops.as_value(b), training=True)
        recorded = dict(scope.recorded())
    assert run([recorded[layer.moving_mean]])[0].tolist() == [(0.25 * 2.0) * 0.75 + 0.25 * 10.0]


@pytest.mark.parametrize("far", [1e3, 1e4])
def test_a_large_mean_does_not_swallow_the_variance(far: float) -> None:
    x = (np.random.default_rng(0).standard_normal((5000, 3)) + far).astype("float32")
    leaf = Variable(x).leaf
    mean, variance = run(norm.column_moments(leaf))
    exact = x.astype("float64")
    np.testing.assert_allclose(mean, exact.mean(axis=0), rtol=1e-7)
    np.testing.assert_allclose(variance, exact.var(axis=0), rtol=1e-6)
    rows = layers.LayerNormalization(epsilon=1e-9, scale=False, center=False)
    y = rows(x.T[:, :4000]).numpy()
    exact = x.T[:, :4000].astype("float64")
    wanted = (exact - exact.mean(1, keepdims=True)) / exact.std(1, keepdims=True)
    # x - mean is exact but for the rounding of the mean itself.
    np.testing.assert_allclose(y, wanted, atol=far * 1e-7)


def test_nan_stays_in_its_column() -> None:
    x = sample((6, 3))
    x[2, 1] = np.nan
    y = layers.BatchNormalization()(x, training=True).numpy()
    assert np.isnan(y).any(axis=0).tolist() == [False, True, False]
    y = layers.LayerNormalization()(x).numpy()
    assert np.isnan(y).any(axis=1).tolist() == [False, False, True, False, False, False]


def test_no_rows() -> None:
    for name in ("BatchNormalization", "LayerNormalization", "UnitNormalization"):
        assert getattr(layers, name)()(np.zeros((0, 3))).numpy().shape == (0, 3)


def test_the_normalized_network_of_a_tutorial_learns() -> None:
    from chainrule.datasets import digits

    set_random_seed(1)
    (x, y), (x_test, y_test) = digits.load_data()
    model = Sequential(
        [
            layers.Flatten(input_shape=(28, 28)),
            layers.Dense(256, activation="relu"),
            layers.BatchNormalization(),
            layers.Dropout(0.3),
            layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(x / 255.0, y, batch_size=32, epochs=6, verbose=0)
    assert model.evaluate(x_test / 255.0, y_test, verbose=0)[1] > 0.92


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: layers.BatchNormalization(axis=(1, 2)), "axis is"),
        (lambda: layers.BatchNormalization(momentum=1.5), r"momentum is 1.5; .* \[0, 1\]"),
        (lambda: layers.BatchNormalization(epsilon=0), "epsilon is 0; expected a number above 0"),
        (lambda: layers.LayerNormalization(axis="x"), "axis is 'x'"),
        (lambda: layers.GroupNormalization(0), "groups is 0"),
        (lambda: layers.BatchNormalization(gamma_initializer="no"), "unknown initializer 'no'"),
    ],
)
def test_bad_arguments(make: Any, words: str) -> None:
    with pytest.raises(ArgumentError, match=words):
        make()


def test_arguments_may_be_numbers_of_numpy() -> None:
    n, share = np.arange(-1, 3), np.float32(0.5)
    for mine, plain in [
        (layers.BatchNormalization(n[0], share, share), layers.BatchNormalization(-1, 0.5, 0.5)),
        (layers.LayerNormalization(n[:1].tolist()), layers.LayerNormalization([-1])),
        (layers.LayerNormalization((n[2], n[3])), layers.LayerNormalization((1, 2))),
        (layers.GroupNormalization(n[3], n[2], share), layers.GroupNormalization(2, 1, 0.5)),
    ]:
        config = {**mine.get_config(), "name": plain.name}
        assert json.loads(json.dumps(config)) == plain.get_config()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: layers.BatchNormalization(axis=0), "axis 0 does not name axes of a sample"),
        (lambda: layers.LayerNormalization(axis=(1, 2)), r"axis \(1, 2\) does not name"),
        (lambda: layers.LayerNormalization(axis=(1, -1)), "does not name"),
        (lambda: layers.GroupNormalization(2), "3 channels do not form 2 groups"),
    ],
)
def test_axes_that_are_not_there(make: Any, words: str) -> None:
    with pytest.raises(ShapeError, match=words):
        make()(np.zeros((2, 3)))


def test_another_width() -> None:
    for name in ("BatchNormalization", "LayerNormalization", "RMSNormalization"):
        layer = getattr(layers, name)()
        layer(np.zeros((2, 3)))
        with pytest.raises(ShapeError, match=r"built for \[3\] along axis 1"):
            layer(np.zeros((2, 4)))
