"""Metrics: the same numbers as Keras over several batches, with and without weights."""

from __future__ import annotations

import json

import numpy as np
import pytest

from chainrule import losses, metrics, ops
from chainrule.errors import ArgumentError, ShapeError
from chainrule.graph import Variable, constant, ordered
from peers import peer

RANDOM = np.random.default_rng(6)
N, M = 6, 4


def uniform(*shape):
    return RANDOM.uniform(0, 1, (3, *shape)).astype("float32")


def bits(*shape):
    return RANDOM.integers(0, 2, (3, *shape)).astype("float32")


def classes(*shape):
    return RANDOM.integers(0, M, (3, *shape))


def one_hot(*shape):
    return np.eye(M, dtype="float32")[classes(*shape)]


# class, arguments, targets and predictions of three batches
CASES = [
    ("Accuracy", {}, classes(N), classes(N)),
    ("Accuracy", {}, bits(N, 3), bits(N, 3)),
    ("BinaryAccuracy", {}, bits(N), uniform(N)),
    ("BinaryAccuracy", {"threshold": 0.8}, bits(N, 3), uniform(N, 3)),
    ("BinaryAccuracy", {}, bits(N), uniform(N, 1)),
    ("CategoricalAccuracy", {}, one_hot(N), uniform(N, M)),
    ("CategoricalAccuracy", {}, one_hot(N, 3), uniform(N, 3, M)),
    ("SparseCategoricalAccuracy", {}, classes(N), uniform(N, M)),
    ("SparseCategoricalAccuracy", {}, classes(N, 1), uniform(N, M)),
    ("SparseCategoricalAccuracy", {}, classes(N, 3), uniform(N, 3, M)),
    ("MeanSquaredError", {}, uniform(N, M), uniform(N, M)),
    ("MeanSquaredError", {}, uniform(N), uniform(N, 1)),
    ("MeanAbsoluteError", {}, uniform(N, 3, M), uniform(N, 3, M)),
    ("RootMeanSquaredError", {}, uniform(N, 2), uniform(N, 2)),
    ("R2Score", {}, uniform(N, 1), uniform(N, 1)),
    ("R2Score", {}, uniform(N, 3), uniform(N, 3)),
    ("R2Score", {"class_aggregation": None}, uniform(N, 3), uniform(N, 3)),
    ("R2Score", {"class_aggregation": "variance_weighted_average"}, uniform(N, 3), uniform(N, 3)),
    ("R2Score", {"num_regressors": 2}, uniform(N, 1), uniform(N, 1)),
]
IDS = [f"{name}-{i}" for i, (name, *_) in enumerate(CASES)]


def held(a):
    """Return a value that is not known before the run, so that the engine computes with it."""
    return Variable(a, name="held").leaf


@pytest.mark.parametrize("case", CASES, ids=IDS)
@pytest.mark.parametrize("weighted", [False, True])
def test_same_as_keras(case, weighted):
    name, arguments, y_true, y_pred = case
    mine = getattr(metrics, name)(**arguments)
    theirs = getattr(peer("keras").metrics, name)(**arguments)
    for t, p in zip(y_true, y_pred, strict=True):
        weight = RANDOM.uniform(0, 2, N).astype("float32") if weighted else None
        mine.update_state(held(t), held(p), None if weight is None else held(weight))
        theirs.update_state(t, p, weight)
    np.testing.assert_allclose(mine.result(), np.asarray(theirs.result()), rtol=1e-5)


def test_mean_is_that_of_keras():
    values = uniform(N, 3, 2)[0]
    for weight in (None, uniform(N)[0], uniform(N, 3)[0], uniform(N, 3, 2)[0]):
        mine, theirs = metrics.Mean(), peer("keras").metrics.Mean()
        mine.update_state(values, weight)
        theirs.update_state(values, weight)
        np.testing.assert_allclose(mine.result(), np.asarray(theirs.result()), rtol=1e-5)
    assert metrics.Mean()(5.0) == 5.0
    assert metrics.Mean()(5.0, 0.0) == 0.0


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_update_gives_the_new_state_and_reset_forgets(case):
    name, arguments, y_true, y_pred = case
    metric = getattr(metrics, name)(**arguments)
    new = metric.update(y_true[0], y_pred[0])
    assert [(v.shape, "float64") for v in metric.state()] == [(v.shape, v.dtype) for v in new]
    assert not any(v.numpy().any() for v in metric.variables)
    assert np.all(np.equal(metric.result(), 0.0))
    metric.update_state(y_true[0], y_pred[0])
    first = metric.result()
    metric.update_state(y_true[1], y_pred[1])
    metric.reset_state()
    assert np.all(np.equal(metric.result(), 0.0))
    np.testing.assert_array_equal(metric(y_true[0], y_pred[0]), first)


def test_counts_are_exact_beyond_float32():
    metric = metrics.Mean()
    metric.count.assign(2.0**24)
    metric.update_state([1.0])
    assert float(metric.count) == 2**24 + 1


def names_of(values):
    return {node.op.name for node in ordered(values)}


def test_softmax_and_sigmoid_are_not_needed_for_the_winner():
    z = Variable(RANDOM.standard_normal((5, 4)), name="z")
    labels = z.numpy().argmax(1)
    metric = metrics.SparseCategoricalAccuracy()
    assert "softmax" not in names_of(metric.update(labels, ops.softmax(z)))
    assert metric(labels, ops.softmax(z)) == 1.0
    z = constant(RANDOM.standard_normal((40, 1)))
    for threshold in (0.5, 0.2):
        positive = 1 / (1 + np.exp(-z.numpy())) > threshold
        metric = metrics.BinaryAccuracy(threshold=threshold)
        for y in (ops.sigmoid(z), ops.dense(z, np.ones((1, 1)), np.zeros(1), "sigmoid")):
            assert "sigmoid" not in names_of(metric.update(positive, y))
            assert metric(positive, y) == 1.0
            metric.reset()


def test_r2_of_equal_targets():
    score = metrics.R2Score()
    assert score([0.1] * 7, [0.1] * 7) == 1.0
    score.reset()
    assert score([0.1] * 7, [0.2] * 7) == 0.0
    with pytest.raises(ShapeError, match="made for 1 outputs, not 2"):
        score.update_state(np.zeros((3, 2)), np.zeros((3, 2)))
    with pytest.raises(ShapeError, match=r"\[3, 2, 2\]"):
        metrics.R2Score().update_state(np.zeros((3, 2, 2)), np.zeros((3, 2, 2)))
    few = metrics.R2Score(num_regressors=3)
    few.update_state([1.0, 2.0], [1.0, 2.5])
    with pytest.warns(UserWarning, match="not adjusted"):
        assert few.result() == 0.5


def test_shapes_that_differ_are_refused():
    for name in ("Accuracy", "BinaryAccuracy", "CategoricalAccuracy", "MeanSquaredError"):
        with pytest.raises(ShapeError, match=r"(?s)\[3\].*\[3, 4\]"):
            getattr(metrics, name)().update_state(np.zeros(3), np.zeros((3, 4)))
    with pytest.raises(ShapeError, match=r"(?s)\[2\].*\[3, 4\]"):
        metrics.SparseCategoricalAccuracy().update_state(np.zeros(2), np.zeros((3, 4)))
    with pytest.raises(ShapeError, match="sample_weight"):
        metrics.Accuracy().update_state(np.zeros(3), np.zeros(3), np.ones(2))


def test_get():
    assert metrics.get("mse").name == "mse"
    assert isinstance(metrics.get("MeanSquaredError"), metrics.MeanSquaredError)
    assert isinstance(metrics.get(metrics.R2Score), metrics.R2Score)
    metric = metrics.Accuracy()
    assert metrics.get(metric) is metric
    assert metrics.get("log_cosh")([0.0], [0.0]) == pytest.approx(0.0, abs=1e-7)
    assert metrics.get(losses.Huber(2.0))([0.0], [2.0]) == 2.0
    assert metrics.get(lambda y_true, y_pred: y_pred - y_true)([1.0], [3.0]) == 2.0
    with pytest.raises(ArgumentError, match="unknown metric 'acuracy'; did you mean 'accuracy'"):
        metrics.get("acuracy")
    with pytest.raises(ArgumentError, match="not 3"):
        metrics.get(3)


@pytest.mark.parametrize(
    ("loss", "width", "expected"),
    [
        ("binary_crossentropy", 1, metrics.BinaryAccuracy),
        ("sparse_categorical_crossentropy", 10, metrics.SparseCategoricalAccuracy),
        (losses.SparseCategoricalCrossentropy(True), 3, metrics.SparseCategoricalAccuracy),
        ("categorical_crossentropy", 10, metrics.CategoricalAccuracy),
        ("mse", 10, metrics.CategoricalAccuracy),
        ("mse", 1, metrics.BinaryAccuracy),
    ],
)
@pytest.mark.parametrize("name", ["accuracy", "acc"])
def test_accuracy_fits_loss_and_output(name, loss, width, expected):
    metric = metrics.get(name, loss=loss, output_shape=(None, width))
    assert type(metric) is expected
    assert metric.name == name


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_configuration_makes_the_same_metric(case):
    name, arguments, *_ = case
    metric = getattr(metrics, name)(name="mine", **arguments)
    again = metrics.get(json.loads(json.dumps(metrics.serialize(metric))))
    assert type(again) is type(metric)
    assert again.get_config() == metric.get_config()
    assert {**arguments, "name": "mine"}.items() <= again.get_config().items()


def test_arguments_are_checked():
    for make in (
        lambda: metrics.R2Score(class_aggregation="mean"),
        lambda: metrics.R2Score(num_regressors=-1),
        lambda: metrics.BinaryAccuracy(threshold=float("nan")),
        lambda: metrics.deserialize({"class_name": "Metric"}),
    ):
        with pytest.raises(ArgumentError):
            make()
    for missing in (metrics.Metric().update, metrics.Metric().result):
        with pytest.raises(NotImplementedError):
            missing()
