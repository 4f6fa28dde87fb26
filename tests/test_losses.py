"""Losses: the same numbers as Keras and PyTorch, exact derivatives, no silent broadcasting."""

from __future__ import annotations

import json

import numpy as np
import pytest

from chainrule import losses, ops
from chainrule.errors import ArgumentError, DataError, ShapeError
from chainrule.graph import Value, Variable, constant, gradient, ordered
from peers import peer

RANDOM = np.random.default_rng(5)
N, M = 7, 4


def numbers(*shape: int) -> np.ndarray:
    return RANDOM.standard_normal(shape) * 2


def probabilities(*shape: int) -> np.ndarray:
    p = RANDOM.uniform(0.05, 1.0, shape)
    return p / p.sum(-1, keepdims=True) if shape[-1] > 1 else p


def bits(*shape: int) -> np.ndarray:
    return RANDOM.integers(0, 2, shape).astype(float)


def one_hot(*shape: int) -> np.ndarray:
    return np.eye(M)[RANDOM.integers(0, M, shape)]


def classes(*shape: int) -> np.ndarray:
    return RANDOM.integers(0, M, shape)


# class, arguments, targets, predictions
CASES = [
    ("MeanSquaredError", {}, numbers(N, M), numbers(N, M)),
    ("MeanSquaredError", {}, numbers(N, 3, M), numbers(N, 3, M)),
    ("MeanSquaredError", {}, numbers(N, 1), numbers(N, 1)),
    ("MeanAbsoluteError", {}, numbers(N, M), numbers(N, M)),
    ("Huber", {}, numbers(N, M), numbers(N, M)),
    ("Huber", {"delta": 0.3}, numbers(N, M), numbers(N, M)),
    ("LogCosh", {}, numbers(N, M), 20 * numbers(N, M)),
    ("BinaryCrossentropy", {}, bits(N, M), RANDOM.uniform(0, 1, (N, M))),
    ("BinaryCrossentropy", {"from_logits": True}, bits(N, M), numbers(N, M)),
    ("BinaryCrossentropy", {"label_smoothing": 0.2}, bits(N, 1), RANDOM.uniform(0, 1, (N, 1))),
    ("BinaryCrossentropy", {"from_logits": True, "axis": 1}, bits(N, 3, M), numbers(N, 3, M)),
    ("CategoricalCrossentropy", {}, one_hot(N), probabilities(N, M)),
    ("CategoricalCrossentropy", {}, one_hot(N), RANDOM.uniform(0.1, 3, (N, M))),
    ("CategoricalCrossentropy", {"from_logits": True}, one_hot(N), numbers(N, M)),
    ("CategoricalCrossentropy", {"from_logits": True}, probabilities(N, 3, M), numbers(N, 3, M)),
    ("CategoricalCrossentropy", {"label_smoothing": 0.1}, one_hot(N), probabilities(N, M)),
    (
        "CategoricalCrossentropy",
        {"axis": 1, "from_logits": True},
        numbers(N, M, 3),
        numbers(N, M, 3),
    ),
    ("SparseCategoricalCrossentropy", {}, classes(N), probabilities(N, M)),
    ("SparseCategoricalCrossentropy", {}, classes(N, 1), probabilities(N, M)),
    ("SparseCategoricalCrossentropy", {"from_logits": True}, classes(N), numbers(N, M)),
    ("SparseCategoricalCrossentropy", {"from_logits": True}, classes(N, 3), numbers(N, 3, M)),
]
IDS = [f"{name}-{i}" for i, (name, *_) in enumerate(CASES)]


def held(a: np.ndarray) -> Value:
    """Return a value that is not known before the run, so that the engine computes with it."""
    return Variable(a, name="held").leaf


def narrow(a: np.ndarray) -> np.ndarray:
    return a.astype("float32") if a.dtype.kind == "f" else a


@pytest.mark.parametrize("case", CASES, ids=IDS)
@pytest.mark.parametrize("reduction", ["sum_over_batch_size", "sum", "mean_with_sample_weight"])
@pytest.mark.parametrize("weighted", [False, True])
def test_same_as_keras(case, reduction, weighted):
    name, arguments, y_true, y_pred = case
    y_true, y_pred = narrow(y_true), narrow(y_pred)
    weight = narrow(RANDOM.uniform(0, 2, N)) if weighted else None
    theirs = getattr(peer("keras").losses, name)(reduction=reduction, **arguments)
    if weighted and y_pred.ndim == 3:
        weight = weight[:, None]  # Keras takes weights of the rank of the losses
    expected = np.asarray(theirs(y_true, y_pred, weight))
    mine = getattr(losses, name)(reduction=reduction, **arguments)
    loss = mine(held(y_true), held(y_pred), None if weight is None else held(weight))
    np.testing.assert_allclose(loss, expected, rtol=2e-5)


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_each_sample_same_as_keras(case):
    name, arguments, y_true, y_pred = case
    y_true, y_pred = narrow(y_true), narrow(y_pred)
    theirs = getattr(peer("keras").losses, name)(reduction="none", **arguments)
    mine = getattr(losses, name)(reduction=None, **arguments)
    loss = mine(held(y_true), held(y_pred))
    np.testing.assert_allclose(loss, np.asarray(theirs(y_true, y_pred)), rtol=2e-5, atol=1e-6)


def test_same_as_torch():
    torch = peer("torch")
    functions = torch.nn.functional
    x, t = numbers(N, M), numbers(N, M)
    z, k, b = numbers(N, M), classes(N), bits(N, M)
    tensor = torch.from_numpy
    pairs = [
        (losses.MeanSquaredError()(t, x), functions.mse_loss(tensor(x), tensor(t))),
        (losses.MeanAbsoluteError()(t, x), functions.l1_loss(tensor(x), tensor(t))),
        (losses.Huber(0.7)(t, x), functions.huber_loss(tensor(x), tensor(t), delta=0.7)),
        (
            losses.SparseCategoricalCrossentropy(True)(k, z),
            functions.cross_entropy(tensor(z), tensor(k)),
        ),
        (
            losses.CategoricalCrossentropy(True, 0.1)(np.eye(M)[k], z),
            functions.cross_entropy(tensor(z), tensor(k), label_smoothing=0.1),
        ),
        (
            losses.BinaryCrossentropy(True)(b, z),
            functions.binary_cross_entropy_with_logits(tensor(z), tensor(b)),
        ),
    ]
    for mine, theirs in pairs:
        assert mine.dtype == "float64"
        np.testing.assert_allclose(mine.item(), theirs.item(), rtol=1e-12)


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_derivative_is_that_of_differences(case):
    name, arguments, y_true, y_pred = case
    loss = getattr(losses, name)(**arguments)
    x = Variable(y_pred, name="x")
    along = RANDOM.standard_normal(y_pred.shape)
    slope = float((gradient(loss(y_true, x.leaf), [x])[0].numpy() * along).sum())
    h = 1e-6
    rise = loss(y_true, y_pred + h * along).item() - loss(y_true, y_pred - h * along).item()
    np.testing.assert_allclose(slope, rise / (2 * h), rtol=1e-5, atol=1e-8)


def names_of(value):
    return {node.op.name for node in ordered([value])}


def test_probabilities_of_a_softmax_are_taken_from_its_logits():
    z = Variable(np.array([[1000.0, -1000.0], [0.0, 3.0]]), name="z")
    loss = losses.SparseCategoricalCrossentropy()([1, 1], ops.softmax(z))
    assert "softmax" not in names_of(loss)
    np.testing.assert_allclose(loss.item(), (2000 + np.log1p(np.exp(-3.0))) / 2)
    (slope,) = gradient(loss, [z])
    np.testing.assert_allclose(slope.numpy()[0], [0.5, -0.5])
    hot = losses.CategoricalCrossentropy()(np.eye(2)[[1, 1]], ops.softmax(z))
    np.testing.assert_allclose(hot.item(), loss.item())


def test_probabilities_of_a_sigmoid_are_taken_from_its_logits():
    z = np.array([[1000.0], [-1000.0], [0.5]])
    t = np.array([[0.0], [0.0], [1.0]])
    expected = losses.BinaryCrossentropy(from_logits=True)(t, z).item()
    np.testing.assert_allclose(expected, (1000 + np.log1p(np.exp(-0.5))) / 3)
    y = ops.sigmoid(constant(z))
    np.testing.assert_allclose(losses.BinaryCrossentropy()(t, y).item(), expected)
    y = ops.dense(constant(z), np.ones((1, 1)), np.zeros(1), activation="sigmoid")
    loss = losses.BinaryCrossentropy()(t, y)
    assert "sigmoid_cross_entropy" in names_of(loss)
    np.testing.assert_allclose(loss.item(), expected)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_certain_probabilities_are_finite(dtype):
    p = np.array([[0.0, 1.0], [1.0, 0.0]], dtype)
    t = np.array([[1.0, 0.0], [1.0, 0.0]], dtype)
    for name in ("BinaryCrossentropy", "CategoricalCrossentropy"):
        theirs = np.asarray(getattr(peer("keras").losses, name)()(t, p))
        np.testing.assert_allclose(getattr(losses, name)()(held(t), held(p)), theirs, rtol=1e-2)


def test_nan_stays_nan():
    for name, arguments, y_true, y_pred in CASES:
        spoilt = y_pred.copy()
        spoilt[0] = np.nan
        assert np.isnan(getattr(losses, name)(**arguments)(y_true, held(spoilt)).item())


def test_a_column_is_matched_with_a_line():
    column, line = np.array([[1.0], [2.0], [3.0]]), np.array([1.0, 1.0, 1.0])
    for name in ("MeanSquaredError", "MeanAbsoluteError", "Huber", "LogCosh"):
        loss = getattr(losses, name)()
        same = loss(line, column[:, 0]).item()
        for t, y in ((line, column), (line[:, None], column), (line[:, None], column[:, 0])):
            assert loss(t, y).item() == pytest.approx(same, rel=1e-12)
    assert losses.MeanSquaredError()(line, column).item() == pytest.approx(5 / 3)
    weighted = losses.MeanSquaredError()(line, column, [[0.0], [0.0], [3.0]])
    assert weighted.item() == pytest.approx(4.0)
    assert losses.MeanSquaredError()(line, column[:, 0], [0.0, 0.0, 3.0]).item() == 4.0
    assert losses.MeanSquaredError(reduction=None)(line, column, line).shape == (3,)


def test_shapes_that_differ_are_refused():
    for name in ("MeanSquaredError", "Huber", "BinaryCrossentropy", "CategoricalCrossentropy"):
        with pytest.raises(ShapeError, match=r"(?s)y_true : \[3\].*y_pred : \[3, 4\]"):
            getattr(losses, name)()(np.zeros(3), np.zeros((3, 4)))
    with pytest.raises(ShapeError, match=r"\[3, 1\]"):
        losses.MeanSquaredError()(np.zeros((3, 1)), np.zeros((3, 4)))
    with pytest.raises(ShapeError, match="use sparse_categorical_crossentropy"):
        losses.CategoricalCrossentropy()(np.zeros(3, int), np.zeros((3, 4)))
    with pytest.raises(ShapeError, match="use categorical_crossentropy"):
        losses.SparseCategoricalCrossentropy()(np.zeros((3, 4)), np.zeros((3, 4)))
    with pytest.raises(ShapeError, match="use binary_crossentropy"):
        losses.CategoricalCrossentropy()(np.ones((3, 1)), np.ones((3, 1)))
    with pytest.raises(ShapeError, match=r"(?s)sample_weight : \[4\].*values *: \[3\]"):
        losses.MeanSquaredError()(np.zeros((3, 2)), np.zeros((3, 2)), np.ones(4))


def test_labels_out_of_range_are_refused():
    loss = losses.SparseCategoricalCrossentropy(from_logits=True)
    for wrong in (4, -1, 1.5, np.nan):
        with pytest.raises(DataError, match=f"label {wrong}"):
            loss(np.array([0, wrong]), np.zeros((2, 4)))
    assert loss(np.array([0.0, 3.0]), np.zeros((2, 4))).item() == pytest.approx(np.log(4))
    assert loss(np.array([0, 3], np.uint8), np.zeros((2, 4))).item() == pytest.approx(np.log(4))


def test_a_batch_without_samples_has_loss_zero():
    assert losses.MeanSquaredError()(np.zeros((0, 3)), np.zeros((0, 3))).item() == 0.0


def test_get():
    for name in ("mse", "MSE", "mean_squared_error", "MeanSquaredError"):
        assert isinstance(losses.get(name), losses.MeanSquaredError)
    assert isinstance(losses.get(losses.huber), losses.Huber)
    assert isinstance(losses.get(losses.LogCosh), losses.LogCosh)
    loss = losses.Huber(2.0)
    assert losses.get(loss) is loss
    with pytest.raises(ArgumentError, match="unknown loss 'mean_squard_error'; did you mean"):
        losses.get("mean_squard_error")
    with pytest.raises(ArgumentError, match="not 3"):
        losses.get(3)


def test_a_function_is_a_loss():
    def largest(y_true, y_pred):
        return ops.max(ops.abs(y_pred - y_true), axis=-1)

    loss = losses.get(largest)
    assert loss.name == "largest"
    assert loss([[0.0, 0.0], [0.0, 0.0]], [[1.0, -3.0], [1.0, 0.0]], [1.0, 0.5]).item() == 1.75
    scalar = losses.get(lambda y_true, y_pred: ops.sum(y_pred))
    assert scalar([1.0, 1.0], [1.0, 2.0]).item() == 3.0


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_configuration_makes_the_same_loss(case):
    name, arguments, *_ = case
    loss = getattr(losses, name)(name="mine", reduction="sum", **arguments)
    again = losses.get(json.loads(json.dumps(losses.serialize(loss))))
    assert type(again) is type(loss)
    assert again.get_config() == loss.get_config()
    assert {**arguments, "name": "mine", "reduction": "sum"}.items() <= again.get_config().items()


def test_arguments_are_checked():
    for make in (
        lambda: losses.Huber(0.0),
        lambda: losses.Huber(float("nan")),
        lambda: losses.BinaryCrossentropy(label_smoothing=1.5),
        lambda: losses.CategoricalCrossentropy(label_smoothing=-0.1),
        lambda: losses.MeanSquaredError(reduction="meann"),
        lambda: losses.deserialize({"class_name": "Loss"}),
    ):
        with pytest.raises(ArgumentError):
            make()
    with pytest.raises(NotImplementedError):
        losses.Loss()([1.0], [1.0])


def test_dtype_of_the_loss():
    assert (
        losses.MeanSquaredError()(np.ones(2, "float32"), np.ones(2, "float32")).dtype == "float32"
    )
    assert losses.MeanSquaredError()(np.ones(2, "float32"), np.ones(2)).dtype == "float64"
    loss = losses.MeanSquaredError(dtype="float64")
    assert loss(np.ones(2, "float32"), np.ones(2, "float32")).dtype == "float64"
    assert losses.mean_squared_error([0, 1], [2, 1]).dtype == "float32"
