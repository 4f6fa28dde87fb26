"""The loss along lines and over planes, against the loss of a model moved there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import layers
from chainrule.errors import ArgumentError, ShapeError
from chainrule.insight import hessian_eigenvalues, loss_along_line, loss_plane
from chainrule.insight.directions import filter_normalized, owners_of
from chainrule.layers import Dense, Input
from chainrule.models import Sequential

RNG = np.random.default_rng(9)
X = RNG.normal(size=(20, 6, 6, 2)).astype("float32")
LABELS = RNG.integers(0, 3, 20)


def network() -> Sequential:
    cr.utils.set_random_seed(5)
    stack = [
        layers.Conv2D(4, 3, use_bias=False, name="conv"),
        layers.BatchNormalization(epsilon=1e-9),
        layers.Activation("relu"),
        layers.Dropout(0.3),
        layers.Flatten(),
        Dense(3, activation="softmax", kernel_regularizer="l2"),
    ]
    model = Sequential([Input((6, 6, 2)), *stack])
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(X, LABELS, epochs=2, verbose=0)
    return model


def moved(model: Sequential, by: list[np.ndarray]) -> float:
    """The loss of a model whose weights are moved, as `evaluate` measures it."""
    before = model.get_weights()
    for v, d in zip(model.trainable_variables, by, strict=True):
        v.assign(v.numpy() + d)
    loss = float(np.ravel(model.evaluate(X, LABELS, verbose=0))[0])
    model.set_weights(before)
    return loss


def test_a_line_is_what_evaluate_measures_there() -> None:
    model = network()
    before = model.get_weights()
    line = loss_along_line(model, X, LABELS, points=5, span=(-0.5, 1.5))
    np.testing.assert_array_equal(line.steps, [-0.5, 0.0, 0.5, 1.0, 1.5])
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    for t, loss in zip(line.steps, line.losses, strict=True):
        assert loss == pytest.approx(moved(model, [t * d for d in line.direction]), rel=1e-5)


def test_a_plane_is_what_evaluate_measures_there() -> None:
    model = network()
    plane = loss_plane(model, X, LABELS, points=3, directions=("random", "gradient"))
    assert plane.losses.shape == (3, 3)
    for i, j in ((0, 2), (2, 0), (1, 1)):
        a, b = plane.steps[i], plane.steps[j]
        way = [a * d + b * e for d, e in zip(plane.first, plane.second, strict=True)]
        assert plane.losses[i, j] == pytest.approx(moved(model, way), rel=1e-5)
    two = loss_plane(model, X, LABELS, points=2)
    flat = [np.concatenate([d.ravel() for d in way]) for way in (two.first, two.second)]
    lengths = [np.linalg.norm(d) for d in flat]
    assert abs(flat[0] @ flat[1]) < 0.3 * lengths[0] * lengths[1]


def test_filters_have_the_norms_of_the_weights_filters() -> None:
    model = network()
    line = loss_along_line(model, X, LABELS, points=2)
    conv, gamma, beta, kernel, bias = line.direction
    weights = [v.numpy().astype("float64") for v in model.trainable_variables]
    for way, w, axes in ((conv, weights[0], (0, 1, 2)), (kernel, weights[3], (0,))):
        norms = [np.sqrt((a**2).sum(axis=axes)) for a in (way, w)]
        np.testing.assert_allclose(*norms, rtol=1e-12)
    assert not gamma.any() and not beta.any() and not bias.any()


def test_the_scale_of_normalized_filters_does_not_show() -> None:
    """Batch normalization takes the scale of a filter out, and the direction has it."""
    model = network()
    line = loss_along_line(model, X, LABELS, points=7, training=True, batch_size=20)
    conv = model.get_layer("conv")
    conv.set_weights([conv.get_weights()[0] * np.array([0.1, 1.0, 10.0, 100.0])])
    again = loss_along_line(model, X, LABELS, points=7, training=True, batch_size=20)
    np.testing.assert_allclose(again.losses, line.losses, rtol=1e-6)


@pytest.mark.parametrize(
    ("layer", "shape", "axes"),
    [
        (layers.Conv2DTranspose(4, 3), (5, 5, 2), [(0, 1, 3)]),
        (layers.DepthwiseConv2D(3, depth_multiplier=2), (5, 5, 2), [(0, 1)]),
        (layers.SeparableConv2D(4, 3), (5, 5, 2), [(0, 1), (0, 1, 2)]),
        (layers.Embedding(7, 3), (4,), [(1,)]),
        (layers.GRU(3), (4, 2), [(0,), (0,), None]),
        (layers.Bidirectional(layers.LSTM(2)), (4, 2), [(0,), (0,), None] * 2),
    ],
)
def test_filters_by_layer(layer: Any, shape: tuple[int, ...], axes: list[Any]) -> None:
    layer.build_for((None, *shape))
    held = layer.trainable_variables
    ways = [RNG.standard_normal(v.shape) for v in held]
    found = filter_normalized(ways, held, owners_of(layer))
    for way, v, rest in zip(found, held, [*axes, None], strict=False):
        if rest is None:
            assert not way.any()
        else:
            norms = [np.sqrt((a.astype("float64") ** 2).sum(axis=rest)) for a in (way, v.numpy())]
            np.testing.assert_allclose(*norms, rtol=1e-6)


def test_along_an_eigenvector_the_loss_bends_as_its_eigenvalue_says() -> None:
    model = Sequential([Input((4,)), Dense(3, "tanh"), Dense(1)])
    model.compile("sgd", "mse")
    x = RNG.normal(size=(16, 4))
    found = hessian_eigenvalues(model, x, x[:, 0], tolerance=1e-8)
    for value, vector in (
        (found.largest[0], found.largest_vectors[0]),
        (found.smallest[0], found.smallest_vectors[0]),
    ):
        line = loss_along_line(model, x, x[:, 0], direction=vector, span=1e-3, points=3)
        bend = (line.losses[0] - 2 * line.losses[1] + line.losses[2]) / 1e-6
        assert bend == pytest.approx(value, rel=1e-4, abs=1e-6)


def test_down_the_gradient_the_loss_falls() -> None:
    model = network()
    line = loss_along_line(model, X, LABELS, direction="gradient", span=(0, 1e-4), points=2)
    assert line.losses[1] < line.losses[0]
    weights = np.sqrt(sum((v.numpy() ** 2).sum() for v in model.trainable_variables))
    length = np.sqrt(sum((d**2).sum() for d in line.direction))
    assert length == pytest.approx(weights, rel=1e-5)


def test_drawn(tmp_path: Path) -> None:
    model = Sequential([Input((1,)), Dense(1, kernel_initializer="zeros")])
    model.compile("sgd", "mse")
    line = loss_along_line(model, [[1.0]], [2.0], direction=[[[1.0]], [1.0]], points=5)
    assert str(line).splitlines()[0] == "█▅▃▁▁"
    assert "loss 4 at 0, lowest 0 at 1" in str(line)
    plane = loss_plane(model, [[1.0]], [2.0], points=3)
    assert len(str(plane).splitlines()) == 4
    wild = loss_along_line(model, [[1.0]], [2.0], direction=[[[1e200]], [0.0]], points=3)
    assert str(wild).startswith("?▁?") and not np.isfinite(wild.losses[0])
    pytest.importorskip("matplotlib")
    line.plot(tmp_path / "line.png")
    plane.plot(tmp_path / "plane.svg")
    assert {p.name for p in tmp_path.iterdir()} == {"line.png", "plane.svg"}


def test_mistakes() -> None:
    model = network()
    for span in (0.0, (1, -1), (1, 2, 3), float("nan")):
        with pytest.raises(ArgumentError, match="span is"):
            loss_along_line(model, X, LABELS, span=span)
    with pytest.raises(ArgumentError, match="points"):
        loss_plane(model, X, LABELS, points=1)
    with pytest.raises(ArgumentError, match="direction is 'up'"):
        loss_along_line(model, X, LABELS, direction="up")
    with pytest.raises(ArgumentError, match="directions must be two"):
        loss_plane(model, X, LABELS, directions="random")
    with pytest.raises(ShapeError, match="a direction must have the shapes"):
        loss_plane(model, X, LABELS, directions=([np.zeros(3)], "random"))
