"""Hessians by products against dense ones in float64, by hand and of PyTorch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import layers, losses, ops, regularizers
from chainrule.errors import ArgumentError, DataError, ShapeError
from chainrule.insight import Eigenvalues, hessian_eigenvalues, hessian_vector_product
from chainrule.insight.lanczos import lanczos
from chainrule.insight.objective import Objective
from chainrule.insight.posed import given
from chainrule.layers import Dense, Input
from chainrule.models import Sequential
from peers import peer

RNG = np.random.default_rng(3)
X = RNG.normal(size=(20, 5))
LABELS = RNG.integers(0, 3, 20)


def compiled(stack: list[Any], loss: Any = "sparse_categorical_crossentropy") -> Sequential:
    cr.utils.set_random_seed(7)
    model = Sequential(stack)
    model.compile("adam", loss)
    return model


def classifier() -> Sequential:
    hidden = Dense(4, activation="tanh", kernel_regularizer=regularizers.L2(0.05))
    return compiled([Input((5,)), hidden, Dense(3, activation="softmax")])


def objective(model: Sequential, x: Any, y: Any, weights: Any = None, **how: Any) -> Objective:
    trainer, batches = given("a test", model, x, y, weights)
    return Objective(trainer, batches, **{"batch_size": 256, **how})


def dense(of: Objective) -> np.ndarray:
    return np.stack([of.product(of.weights, e) for e in np.eye(of.size)])


def test_of_a_linear_model_it_is_that_of_the_normal_equations() -> None:
    weights = RNG.uniform(0.5, 2.0, 20)
    model = compiled([Input((5,)), Dense(2, use_bias=False)], "mse")
    of = objective(model, X, RNG.normal(size=(20, 2)), weights)
    # The mean over 2 outputs of 2 (x w - y) x, over 20 samples; rows of the kernel are inputs.
    block = (X.T * weights) @ X / 20
    np.testing.assert_allclose(dense(of), np.kron(block, np.eye(2)), rtol=1e-9)


def test_it_is_that_of_pytorch() -> None:
    torch = peer("torch")
    model = classifier()
    of = objective(model, X, LABELS)
    shapes = [v.shape for v in of.variables]
    x = torch.tensor(X)
    y = torch.tensor(LABELS)

    def loss(flat: Any) -> Any:
        parts = torch.split(flat, [int(np.prod(s)) for s in shapes])
        w1, b1, w2, b2 = (p.reshape(s) for p, s in zip(parts, shapes, strict=True))
        logits = torch.tanh(x @ w1 + b1) @ w2 + b2
        return torch.nn.functional.cross_entropy(logits, y) + 0.05 * (w1**2).sum()

    at = torch.tensor(of.weights)
    expected = torch.autograd.functional.hessian(loss, at).numpy()
    np.testing.assert_allclose(dense(of), expected, atol=1e-8)
    assert of.loss(of.weights) == pytest.approx(float(loss(at)), rel=1e-7)
    found = hessian_eigenvalues(model, X, LABELS, k=3, tolerance=1e-9)
    values = np.linalg.eigvalsh(expected)
    np.testing.assert_allclose(found.smallest, values[:3], atol=1e-7)
    np.testing.assert_allclose(found.largest, values[:-4:-1], atol=1e-7)
    assert found.loss == pytest.approx(float(loss(at)))


def networks() -> list[tuple[str, Sequential, Any, Any]]:
    images, steps = RNG.normal(size=(6, 6, 6, 2)), RNG.normal(size=(6, 4, 3))
    words, y = RNG.integers(0, 7, (6, 4)), LABELS[:6]
    convolutional = [
        layers.Conv2D(3, 3, activation="gelu"),
        layers.BatchNormalization(),
        layers.AveragePooling2D(),
        layers.Dropout(0.3),
        layers.Flatten(),
    ]
    recurrent = [layers.LSTM(3, return_sequences=True), layers.GRU(3)]
    masked = [layers.Embedding(7, 3, mask_zero=True), layers.SimpleRNN(3)]
    return [
        (
            "convolutional",
            compiled([Input((6, 6, 2)), *convolutional, Dense(3, "softmax")]),
            images,
            y,
        ),
        ("recurrent", compiled([Input((4, 3)), *recurrent, Dense(3, "softmax")]), steps, y),
        ("masked", compiled([Input((4,)), *masked, Dense(3, "softmax")]), words, y),
    ]


@pytest.mark.parametrize("number", range(3))
def test_products_are_what_differences_of_the_gradient_give(number: int) -> None:
    _, model, x, y = networks()[number]
    of = objective(model, x, y)
    way, other = RNG.normal(size=(2, of.size))
    found = of.product(of.weights, way)
    measured = of._measured(of.weights, way)
    np.testing.assert_allclose(found, measured, atol=1e-6 * np.abs(found).max())
    assert other @ found == pytest.approx(way @ of.product(of.weights, other), rel=1e-9)


def test_a_loss_that_cannot_be_differentiated_twice_is_measured() -> None:
    model = compiled([Input((6, 3)), layers.Dense(5)], losses.CTC())
    x, y = RNG.normal(size=(3, 6, 3)), RNG.integers(1, 5, (3, 2))
    of = objective(model, x, y)
    hessian = dense(of)
    assert not of._twice
    np.testing.assert_allclose(hessian, hessian.T, atol=1e-5 * np.abs(hessian).max())
    found = hessian_eigenvalues(model, x, y, k=1)
    np.testing.assert_allclose(found.largest[0], np.linalg.eigvalsh(hessian)[-1], rtol=1e-3)


def test_batches_are_averaged() -> None:
    """Without what depends on the batch, it does not matter how many samples are taken at once."""
    model = classifier()
    way = RNG.normal(size=objective(model, X, LABELS).size)
    whole, parts = objective(model, X, LABELS), objective(model, X, LABELS, batch_size=7)
    np.testing.assert_allclose(
        whole.product(whole.weights, way), parts.product(parts.weights, way), atol=1e-12
    )
    assert whole.loss(whole.weights) == pytest.approx(parts.loss(parts.weights), rel=1e-12)
    assert whole.loss(whole.weights) == pytest.approx(
        model.evaluate(X, LABELS, verbose=0), rel=1e-6
    )


def test_in_training_dropout_draws_what_the_next_step_draws() -> None:
    model = compiled(
        [Input((5,)), layers.Dropout(0.5), layers.GaussianNoise(0.5), Dense(3, "softmax")]
    )
    of = objective(model, X, LABELS)
    drawn = of.loss(of.weights)
    assert drawn == pytest.approx(model.train_on_batch(X, LABELS), rel=1e-6)
    after = objective(model, X, LABELS)
    assert abs(after.loss(of.weights) - drawn) > 1e-3  # the step after draws other numbers


def test_in_evaluation_layers_do_what_they_do_there() -> None:
    stack = [Input((5,)), Dense(4, "relu"), layers.BatchNormalization(), layers.Dropout(0.5)]
    model = compiled([*stack, Dense(3, "softmax")])
    model.fit(X, LABELS, epochs=2, verbose=0)
    of = objective(model, X, LABELS, training=False)
    assert of.loss(of.weights) == pytest.approx(model.evaluate(X, LABELS, verbose=0), rel=1e-5)
    way = RNG.normal(size=of.size)
    measured = of._measured(of.weights, way)
    np.testing.assert_allclose(of.product(of.weights, way), measured, atol=1e-5)
    before = model.get_weights()
    hessian_vector_product(model, X, LABELS, of.split(way))
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_vectors_come_in_the_shapes_of_the_weights() -> None:
    model = classifier()
    found = hessian_eigenvalues(model, X, LABELS, k=2, tolerance=1e-8)
    for values, vectors in (
        (found.largest, found.largest_vectors),
        (found.smallest, found.smallest_vectors),
    ):
        for value, vector in zip(values, vectors, strict=True):
            assert [a.shape for a in vector] == [v.shape for v in model.trainable_variables]
            assert sum((a**2).sum() for a in vector) == pytest.approx(1.0)
            turned = hessian_vector_product(model, X, LABELS, vector)
            for a, b in zip(turned, vector, strict=True):
                np.testing.assert_allclose(a, value * b, atol=1e-7)


def test_frozen_weights_do_not_count() -> None:
    model = classifier()
    model.layers[0].trainable = False
    assert objective(model, X, LABELS).size == 15
    assert hessian_eigenvalues(model, X, LABELS).smallest[0] > -1e-9  # convex in the last layer


@pytest.mark.parametrize("values", [[3.0, 3.0, 3.0, -1.0, -1.0, 0.0], [0.0] * 4, [2.0], [1e-9, 5]])
def test_equal_eigenvalues_are_found_as_often_as_they_are_there(values: list[float]) -> None:
    turn = np.linalg.qr(RNG.normal(size=(len(values), len(values))))[0]
    matrix = turn @ np.diag(values) @ turn.T
    found = lanczos(lambda v: matrix @ v, len(values), 1, 80, 1e-10)
    np.testing.assert_allclose(found.values[[0, -1]], [min(values), max(values)], atol=1e-12)
    if found.steps == len(values):
        np.testing.assert_allclose(found.values, sorted(values), atol=1e-12)


def test_long_runs_keep_their_vectors_orthogonal() -> None:
    """A spectrum with far ends, where vectors that are not cleared come back as ghosts."""
    values = np.concatenate([np.linspace(0, 1, 195), [10, 50, 100, 500, -20]])
    turn = np.linalg.qr(RNG.normal(size=(200, 200)))[0]
    matrix = turn @ np.diag(values) @ turn.T
    found = lanczos(lambda v: matrix @ v, 200, 3, 200, 1e-14)
    np.testing.assert_allclose(found.values[-4:], [10, 50, 100, 500], rtol=1e-9)
    assert found.values[0] == pytest.approx(-20) and found.steps < 200
    np.testing.assert_allclose(found.vectors @ found.vectors.T, np.eye(6), atol=1e-10)
    kept = found.values[[0, 1, 2, -3, -2, -1]]
    turned = found.vectors @ matrix  # the smallest three, and the largest
    np.testing.assert_allclose(turned, kept[:, None] * found.vectors, atol=1e-6)
    early = lanczos(lambda v: matrix @ v, 200, 1, 5, 1e-14)
    assert early.steps == 5 and early.residuals[-1] > 1e-6
    gap = np.linalg.norm(matrix @ early.vectors[-1] - early.values[-1] * early.vectors[-1])
    assert early.residuals[-1] == pytest.approx(gap)


@pytest.mark.parametrize("size", [1, 2, 3])
def test_ends_may_meet(size: int) -> None:
    turn = np.linalg.qr(RNG.normal(size=(size, size)))[0]
    matrix = turn @ np.diag(np.arange(1.0, size + 1)) @ turn.T
    found = lanczos(lambda v: matrix @ v, size, size, 80, 1e-10)
    np.testing.assert_allclose(found.values, np.arange(1.0, size + 1))
    for some in (found.vectors[:size], found.vectors[-size:]):
        np.testing.assert_allclose(some @ matrix, found.values[:, None] * some, atol=1e-10)


def test_of_a_network_that_has_diverged_nothing_is_said() -> None:
    model = compiled([Input((5,)), Dense(1)], "mse")
    model.layers[0].set_weights([np.full((5, 1), np.nan), np.zeros(1)])
    with pytest.raises(DataError, match="the loss is not finite at these weights"):
        hessian_eigenvalues(model, X, X[:, 0])
    steep = compiled([Input((5,)), Dense(1, activation="exponential")], "mse")
    steep.layers[0].set_weights([np.full((5, 1), 1e4), np.zeros(1)])
    with pytest.raises(DataError, match="not finite"):
        hessian_eigenvalues(steep, X, X[:, 0])


def test_a_curvature_that_is_not_finite_is_told() -> None:
    """At 0 the power 1.5 has a slope, and no second derivative."""
    root = layers.Lambda(lambda x: ops.power(x, 1.5))
    model = compiled([Input((5,)), Dense(2, kernel_initializer="zeros"), root, Dense(1)], "mse")
    with pytest.raises(DataError, match="the curvature of the loss is not finite"):
        hessian_eigenvalues(model, X, X[:, 0])


def test_what_it_says() -> None:
    model = compiled([Input((5,)), Dense(4, "tanh"), Dense(1)], "mse")
    found = hessian_eigenvalues(model, X, X[:, 0] * 5)
    assert isinstance(found, Eigenvalues) and found.converged
    assert "this is no minimum" in str(found) and found.smallest[0] < 0
    assert found.stable_rate == pytest.approx(2 / found.largest[0])
    short = hessian_eigenvalues(model, X, X[:, 0], steps=2, tolerance=1e-12)
    assert not short.converged and "not settled after 2 steps" in str(short)


def test_mistakes() -> None:
    model = classifier()
    with pytest.raises(ShapeError, match=r"\[5, 4\], \[4\], \[4, 3\], \[3\]; not \[2\]"):
        hessian_vector_product(model, X, LABELS, [np.zeros(2)])
    with pytest.raises(ArgumentError, match="k is 40, but there are 39 weights"):
        hessian_eigenvalues(model, X, LABELS, k=40)
    with pytest.raises(ArgumentError, match="tolerance"):
        hessian_eigenvalues(model, X, LABELS, tolerance=0)
    with pytest.raises(DataError, match="label 3"):
        hessian_eigenvalues(model, X, LABELS + 1)
