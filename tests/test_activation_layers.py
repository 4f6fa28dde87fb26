"""Activations as layers: Keras's values and gradients, edge values, training, messages."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import layers, ops
from chainrule.errors import ArgumentError, ShapeError
from chainrule.executors import run
from chainrule.graph import Variable, gradient
from chainrule.models import Model, Sequential
from peers import both, peer

# Keras's variables do not know NumPy's argument `copy`.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

LAYERS: list[tuple[str, dict[str, Any], tuple[int, ...]]] = [
    ("ReLU", {}, (6, 5)),
    ("ReLU", {"max_value": 6}, (6, 5)),
    ("ReLU", {"max_value": 1.5, "negative_slope": 0.25}, (2, 3, 5)),
    ("ReLU", {"threshold": 0.75}, (6, 5)),
    ("ReLU", {"max_value": 2.0, "negative_slope": 0.1, "threshold": 1.0}, (6, 5)),
    ("ReLU", {"max_value": 1.0, "threshold": 2.0}, (6, 5)),
    ("ReLU", {"max_value": 0}, (6, 5)),
    ("LeakyReLU", {}, (6, 5)),
    ("LeakyReLU", {"negative_slope": 0.0}, (6, 5)),
    ("PReLU", {}, (6, 5)),
    ("PReLU", {}, (6,)),
    ("PReLU", {}, (1, 1)),
    ("PReLU", {}, (4, 3, 2, 5)),
    ("PReLU", {"shared_axes": [1, 2]}, (4, 3, 2, 5)),
    ("PReLU", {"shared_axes": 2}, (4, 3, 5)),
    ("PReLU", {"shared_axes": (2, 1)}, (4, 3, 5)),
    ("ELU", {}, (6, 5)),
    ("ELU", {"alpha": 0.5}, (2, 3, 5)),
    ("ELU", {"alpha": 0}, (6, 5)),
    ("Identity", {}, (2, 3, 5)),
]


def sample(shape: tuple[int, ...], seed: int = 3) -> np.ndarray:
    return (np.random.default_rng(seed).standard_normal(shape) * 3).astype("float32")


def slopes(layer: Any) -> list[np.ndarray]:
    return [sample(w.shape, 5) for w in layer.get_weights()]


@pytest.mark.parametrize(("name", "arguments", "shape"), LAYERS, ids=str)
def test_values_and_gradients_are_those_of_keras(
    name: str, arguments: dict[str, Any], shape: tuple[int, ...]
) -> None:
    jax = peer("jax")
    mine, theirs = both(name, arguments, shape, slopes)
    x, slope = sample(shape), sample(shape, 9)

    def total(tv: Any, x: Any) -> Any:
        y, _ = theirs.stateless_call(tv, [], x)
        return (y * slope).sum(), y

    (_, expected), (dw, dx) = jax.value_and_grad(total, (0, 1), has_aux=True)(
        [v.value for v in theirs.trainable_variables], jax.numpy.asarray(x)
    )
    leaf = Variable(x)
    y = mine(leaf.leaf)
    y, *found = run([y, *gradient(ops.sum(y * slope), [leaf, *mine.trainable_variables])])
    np.testing.assert_allclose(y, expected, rtol=1e-6, atol=1e-6)
    for mine_one, theirs_one in zip(found, [dx, *dw], strict=True):
        np.testing.assert_allclose(mine_one, theirs_one, rtol=1e-5, atol=1e-5)


def test_prelu_is_that_of_torch() -> None:
    torch = peer("torch")
    theirs = torch.nn.PReLU(3).double()
    with torch.no_grad():
        theirs.weight.copy_(torch.tensor([0.1, -0.5, 2.0]))
    mine = layers.PReLU(shared_axes=[2], dtype="float64")
    mine.build_for((None, 3, 4))
    mine.set_weights([theirs.weight.detach().numpy().reshape(3, 1)])
    x, slope = sample((5, 3, 4)).astype("float64"), sample((5, 3, 4), 9).astype("float64")
    given = torch.tensor(x, requires_grad=True)
    (theirs(given) * torch.tensor(slope)).sum().backward()
    leaf = Variable(x)
    y = mine(leaf.leaf)
    y, dx, da = run([y, *gradient(ops.sum(y * slope), [leaf, mine.alpha])])
    np.testing.assert_allclose(y, theirs(given).detach().numpy(), rtol=1e-14)
    np.testing.assert_allclose(dx, given.grad.numpy(), rtol=1e-14)
    np.testing.assert_allclose(da.ravel(), theirs.weight.grad.numpy(), rtol=1e-12)


EDGES = np.array([[-np.inf, np.inf, -3e38, 3e38, -1e-30, -0.0, 0.0, 1.0, 2.0]], "float32")


@pytest.mark.parametrize(
    "make",
    [
        lambda of: of.ReLU(),
        lambda of: of.ReLU(6.0),
        lambda of: of.ReLU(2.0, 0.5, 1.0),
        lambda of: of.ReLU(threshold=2.0),
        lambda of: of.ReLU(1.0, 0.0, 1.0),
        lambda of: of.LeakyReLU(0.5),
        lambda of: of.PReLU("ones"),
        lambda of: of.ELU(2.0),
        lambda of: of.Identity(),
    ],
)
def test_edge_values_are_those_of_keras_and_nan_stays(make: Any) -> None:
    keras = peer("keras")
    expected = np.array(make(keras.layers)(EDGES))
    layer = make(layers)
    found = layer(EDGES).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert np.isnan(layer(np.full_like(EDGES, np.nan)).numpy()).all()
    leaf = Variable(EDGES)
    for slope in run(gradient(ops.sum(layer(leaf.leaf)), [leaf, *layer.trainable_variables])):
        finite = slope if slope.ndim == 2 else slope[2:]  # alpha's, of an infinite x, is infinite
        assert np.isfinite(finite).all()
        assert not np.isnan(slope).any()


def test_prelu_learns_what_keras_learns() -> None:
    keras = peer("keras")
    x, y = sample((64, 4, 3)), sample((64, 4, 3), 7)
    found = []
    for of in (cr, keras):
        options = {"alpha_regularizer": "l2", "alpha_constraint": "non_neg", "shared_axes": [1]}
        layer = of.layers.PReLU("ones", **options)
        model = of.Sequential([of.layers.Input((4, 3)), layer])
        model.compile(of.optimizers.SGD(0.05, momentum=0.9), "mse")
        history = model.fit(x, y, batch_size=16, epochs=3, shuffle=False, verbose=0)
        found.append([*history.history["loss"], *np.array(layer.get_weights()).ravel()])
    np.testing.assert_allclose(found[0], found[1], rtol=1e-5, atol=1e-6)
    assert min(found[0][3:]) >= 0 and max(found[0][3:]) < 1


def test_sizes_of_zero_and_steps_of_unknown_number() -> None:
    for kind in (layers.ReLU, layers.LeakyReLU, layers.ELU, layers.Identity, layers.PReLU):
        assert kind()(np.zeros((0, 3))).shape == (0, 3)
        assert kind()(np.zeros((2, 0, 3))).shape == (2, 0, 3)
    model = Sequential([layers.Input((None, 3)), layers.PReLU("ones", shared_axes=1)])
    assert model.output_shape == (None, None, 3)
    for t in (1, 4):
        assert model.predict(-np.ones((2, t, 3)), verbose=0).sum() == -6 * t


def test_identity_passes_several_inputs_on() -> None:
    a, b = layers.Input((2,)), layers.Input((3,))
    model = Model([a, b], layers.Identity()([a, b]))
    x, y = sample((4, 2)), sample((4, 3))
    found = model.predict([x, y], verbose=0)
    np.testing.assert_array_equal(found[0], x)
    np.testing.assert_array_equal(found[1], y)


def test_alpha_is_another_name_of_the_slope() -> None:
    layer = layers.LeakyReLU(alpha=0.1)
    assert layer.get_config()["negative_slope"] == layer.negative_slope == 0.1
    assert layers.LeakyReLU().negative_slope == 0.3
    np.testing.assert_array_equal(layers.LeakyReLU(0)(EDGES).numpy(), np.maximum(EDGES, 0))
    assert layers.ReLU(6, 0.1).detail() == "max 6, slope 0.1" and layers.ReLU().detail() == ""


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: layers.ReLU(-1), "max_value is -1; expected a finite number of at least 0"),
        (lambda: layers.ReLU(negative_slope=None), "negative_slope is None"),
        (lambda: layers.ReLU(threshold=np.nan), "threshold is nan"),
        (lambda: layers.ReLU("6"), "max_value is '6'"),
        (lambda: layers.LeakyReLU(-0.1), "negative_slope is -0.1"),
        (lambda: layers.LeakyReLU(alpha=np.inf), "alpha is inf"),
        (lambda: layers.ELU(True), "alpha is True; expected a finite number$"),
        (lambda: layers.ELU(-np.inf), "alpha is -inf"),
        (lambda: layers.PReLU(shared_axes=[0]), r"shared_axes is \[0\]; expected axes from 1 on"),
        (lambda: layers.PReLU(shared_axes=-1), "shared_axes is -1"),
        (lambda: layers.PReLU(shared_axes="12"), "shared_axes is '12'"),
        (lambda: layers.PReLU("zeross"), "zeros"),
    ],
)
def test_bad_arguments(make: Any, words: str) -> None:
    with pytest.raises(ArgumentError, match=words):
        make()


def test_wrong_shapes_say_what_was_expected() -> None:
    with pytest.raises(ShapeError, match=r"shared_axes is \[1, 3\], but .* \[4, 3\] has 2 axes"):
        layers.PReLU(shared_axes=[3, 1])(np.zeros((2, 4, 3)))
    with pytest.raises(ShapeError, match=r"axis 1 .* no known size(.|\n)*shared_axes=\[1, 2\]"):
        Sequential([layers.Input((None, 4, 3)), layers.PReLU(shared_axes=[2])])
    layer = layers.PReLU(shared_axes=[1], name="bent")
    layer(np.zeros((2, 4, 3)))
    assert layer(np.zeros((2, 7, 3))).shape == (2, 7, 3)
    for shape in ((2, 4, 5), (2, 3), (2, 4, 3, 3)):
        with pytest.raises(ShapeError, match=r"'bent'.*alpha of shape \[1, 3\]"):
            layer(np.zeros(shape))
