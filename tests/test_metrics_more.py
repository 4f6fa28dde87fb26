"""The other metrics: Keras's and scikit-learn's numbers over batches with weights and edges."""

from __future__ import annotations

import json

import numpy as np
import pytest

from chainrule import metrics, ops
from chainrule.errors import ArgumentError, ShapeError
from chainrule.layers import Dense, Input
from chainrule.models import Sequential, load_model
from peers import peer

# Keras asks jax for int64 here and there.
pytestmark = [
    pytest.mark.filterwarnings("ignore:Explicitly requested dtype"),
    pytest.mark.filterwarnings("ignore:You are passing weight as"),
]
N, M = 6, 3
# class, arguments, kind of targets, kind of predictions
CASES = [
    ("TruePositives", {}, "bits", "shares"),
    ("FalsePositives", {"thresholds": [0.75, 0.25]}, "bits", "shares"),
    ("TrueNegatives", {"thresholds": 0.5}, "bits", "shares"),
    ("FalseNegatives", {}, "bits", "shares"),
    ("Precision", {}, "bits", "shares"),
    ("Precision", {"top_k": 2}, "bits", "apart"),
    ("Precision", {"class_id": 1, "thresholds": [0.0, 0.5, 1.0]}, "bits", "shares"),
    ("Recall", {}, "bits", "shares"),
    ("Recall", {"top_k": 1, "class_id": 2}, "bits", "apart"),
    ("AUC", {"num_thresholds": 9}, "bits", "shares"),
    ("AUC", {"num_thresholds": 9, "curve": "PR"}, "bits", "shares"),
    ("AUC", {"curve": "PR", "summation_method": "minoring"}, "bits", "apart"),
    ("AUC", {"summation_method": "majoring", "thresholds": [0.2, 0.7]}, "bits", "shares"),
    ("AUC", {"multi_label": True, "label_weights": [1.0, 2.0, 0.5]}, "bits", "apart"),
    ("PrecisionAtRecall", {"recall": 0.5, "num_thresholds": 9}, "bits", "shares"),
    ("RecallAtPrecision", {"precision": 0.6, "num_thresholds": 9}, "bits", "shares"),
    ("SensitivityAtSpecificity", {"specificity": 0.5, "num_thresholds": 9}, "bits", "shares"),
    ("SpecificityAtSensitivity", {"sensitivity": 0.5, "num_thresholds": 9}, "bits", "shares"),
    ("F1Score", {}, "hot", "shares"),
    ("F1Score", {"average": "weighted"}, "hot", "apart"),
    ("FBetaScore", {"average": "macro", "beta": 2.0}, "hot", "apart"),
    ("FBetaScore", {"average": "micro", "beta": 0.5, "threshold": 0.5}, "bits", "shares"),
    ("IoU", {"num_classes": M, "target_class_ids": [0, 2]}, "classes", "classes"),
    ("MeanIoU", {"num_classes": M, "ignore_class": 1}, "classes", "classes"),
    ("OneHotIoU", {"num_classes": M, "target_class_ids": [1]}, "hot", "apart"),
    ("OneHotMeanIoU", {"num_classes": M}, "hot", "shares"),
    ("TopKCategoricalAccuracy", {"k": 2}, "hot", "shares"),
    ("SparseTopKCategoricalAccuracy", {"k": 1}, "classes", "apart"),
    ("BinaryCrossentropy", {"label_smoothing": 0.1}, "bits", "apart"),
    ("CategoricalCrossentropy", {"from_logits": True}, "hot", "apart"),
    ("SparseCategoricalCrossentropy", {}, "classes", "apart"),
    ("Hinge", {}, "bits", "apart"),
    ("SquaredHinge", {}, "bits", "apart"),
    ("CategoricalHinge", {}, "hot", "apart"),
    ("KLDivergence", {}, "apart", "apart"),
    ("Poisson", {}, "bits", "apart"),
    ("LogCoshError", {}, "apart", "apart"),
    ("MeanSquaredLogarithmicError", {}, "bits", "shares"),
    ("MeanAbsolutePercentageError", {}, "apart", "apart"),
    ("CosineSimilarity", {}, "apart", "apart"),
    ("PearsonCorrelation", {}, "apart", "apart"),
    ("ConcordanceCorrelation", {}, "apart", "apart"),
]
IDS = [f"{name}-{i}" for i, (name, *_) in enumerate(CASES)]


def drawn(kind, random, edge=0):
    if kind == "classes":
        return np.full(N, 1) if edge == 1 else random.integers(0, M, N)
    if kind == "hot":
        return np.eye(M, dtype="float32")[drawn("classes", random, edge)]
    if kind == "bits":
        x = random.integers(0, 2, (N, M)).astype("float32")
        return x if edge < 1 else np.full_like(x, edge - 1)
    if kind == "apart":
        return random.uniform(0.02, 0.98, (N, M)).astype("float32")
    return (random.integers(0, 9, (N, M)) / 8).astype("float32")  # ties, 0 and 1


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_same_as_keras_on_random_cases(case):
    name, arguments, true, pred = case
    random = np.random.default_rng(len(name))
    mine = getattr(metrics, name)(**arguments)
    theirs = getattr(peer("keras").metrics, name)(**arguments)
    for i in range(200):
        if i % 4 == 0:
            mine.reset_state()
            theirs.reset_state()
        edge = i % 8 // 4 * (i % 3)  # in every second run some batches hold one class only
        t, y = drawn(true, random, edge), drawn(pred, random)
        weight = random.integers(0, 3, N).astype("float32") if i % 8 > 2 else None
        mine.update_state(t, y, weight)
        theirs.update_state(t, y, weight)
        if i % 2:
            expected = np.asarray(theirs.result())
            np.testing.assert_allclose(mine.result(), expected, rtol=2e-5, atol=1e-5, err_msg=i)


def batches(count=40, seed=1, classes=2):
    random = np.random.default_rng(seed)
    for _ in range(count):
        yield random.integers(0, classes, N), random.uniform(0, 1, N), random.uniform(0.1, 2, N)


def test_same_as_scikit_learn():
    sklearn = peer("sklearn.metrics")
    area = metrics.AUC(thresholds=[i / 20 + 0.025 for i in range(20)])
    scores = metrics.FBetaScore(average="macro", beta=2.0)
    matrix = metrics.ConfusionMatrix(M, sparse_y_pred=True)
    seen = [[], [], []]
    random = np.random.default_rng(2)
    for y, p, w in batches():
        p = np.round(p * 20) / 20
        area.update_state(y, p, w)
        hot, guess = np.eye(M)[random.integers(0, M, N)], random.integers(0, M, N)
        scores.update_state(hot, np.eye(M)[guess] + 0.1, w)
        matrix.update_state(hot.argmax(1), guess, w)
        for kept, part in zip(seen, ((y, hot.argmax(1)), (p, guess), (w, w)), strict=True):
            kept.append(np.stack(part))
    (y, c), (p, g), (w, _) = (np.concatenate(part, axis=1) for part in seen)
    expected = sklearn.roc_auc_score(y, p, sample_weight=w)
    assert area.result() == pytest.approx(expected, rel=1e-12)
    expected = sklearn.fbeta_score(c, g, beta=2.0, average="macro", sample_weight=w)
    assert scores.result() == pytest.approx(expected, rel=1e-12)
    expected = sklearn.confusion_matrix(c, g, sample_weight=w)
    np.testing.assert_allclose(matrix.result(), expected, rtol=1e-12)


def test_calibration_error_is_that_of_the_paper():
    random = np.random.default_rng(3)
    metric = metrics.CalibrationError(10)
    parts = []
    for _ in range(20):
        p, y, w = random.dirichlet(np.ones(M), N), random.integers(0, M, N), random.uniform(0, 2, N)
        metric.update_state(y, p, w)
        parts.append((p.max(1), p.argmax(1) == y, w))
    p, hit, w = (np.concatenate(part) for part in zip(*parts, strict=True))
    error = 0.0
    for b in range(10):
        inside = (p > b / 10) & (p <= (b + 1) / 10)
        error += abs((w * hit)[inside].sum() - (w * p)[inside].sum()) / w.sum()
    assert metric.result() == pytest.approx(error, rel=1e-12)
    assert metrics.CalibrationError(5)([[1.0], [0.0]], [[1.0], [0.0]]) == 0.0
    assert metrics.CalibrationError(5)([[0, 1]], [[0.0, 1.0]]) == 0.0


def test_binary_iou_sum_and_relative_error():
    for weight in (None, np.array([1.0, 0.0, 2.0, 1.0])):
        mine, theirs = metrics.BinaryIoU(), peer("keras").metrics.BinaryIoU()
        for metric in (mine, theirs):
            metric.update_state(
                np.array([0, 1, 0, 1], np.int32), np.array([0.5, 0.2, 0.4, 0.7]), weight
            )
        np.testing.assert_allclose(mine.result(), np.asarray(theirs.result()), rtol=1e-5)
    assert metrics.Sum()([[1.0, 2.0], [3.0, 4.0]], [1.0, 0.0]) == 3.0
    assert metrics.MeanRelativeError([2.0, 0.0])([1.0, 1.0], [2.0, 5.0]) == 0.25
    assert metrics.MeanMetricWrapper(lambda t, y: y - t)([1.0], [3.0]) == 2.0


def test_ignored_labels_are_left_out_of_the_mean():
    p, weight = np.array([[0.5, 0.5], [0.25, 0.75], [0.9, 0.1]]), [1.0, 2.0, 5.0]
    metric = metrics.SparseCategoricalCrossentropy(ignore_class=-1)
    assert metric([0, 1, -1], p) == pytest.approx(-np.log([0.5, 0.75]).mean())
    metric.reset_state()
    expected = -(np.log(0.5) + 2 * np.log(0.75)) / 3
    assert metric([0, 1, -1], p, weight) == pytest.approx(expected)


def test_infinities():
    assert metrics.SparseTopKCategoricalAccuracy(k=2)([0], [[np.inf, 1.0, 2.0]]) == 0.0
    assert metrics.TopKCategoricalAccuracy(k=2)([[0, 1, 0]], [[-np.inf, 1.0, np.inf]]) == 1.0
    assert metrics.AUC(9)([0, 1], [-np.inf, np.inf]) == 1.0
    assert metrics.Precision()([0, 1], [-np.inf, np.inf]) == 1.0


class Hits(metrics.Metric):
    """A metric of the user's own."""

    def __init__(self):
        super().__init__("hits")
        self.total = self.add_variable((), name="total")

    def update(self, y_true, y_pred, sample_weight=None):
        return [self.total.leaf + ops.sum(ops.cast(ops.abs(y_true - y_pred), "float64"))]

    def result(self):
        return float(self.total.value)


def compiled(wanted):
    model = Sequential([Input((4,)), Dense(M, activation="softmax", kernel_initializer="ones")])
    model.compile("sgd", "categorical_crossentropy", metrics=wanted, weighted_metrics=["auc"])
    return model


def test_in_training_saved_and_loaded(tmp_path):
    random = np.random.default_rng(4)
    x, y = random.standard_normal((50, 4)).astype("float32"), np.eye(M)[random.integers(0, M, 50)]
    weight = random.uniform(0, 2, 50)
    matrix = metrics.ConfusionMatrix(M, sparse_y_true=False)
    wanted = [matrix, metrics.F1Score(), "precision", metrics.CalibrationError(5), Hits()]
    model = compiled(wanted)
    logs = model.fit(x, y, sample_weight=weight, batch_size=16, epochs=2, verbose=0).history
    names = ["loss", "f1_score_0", "f1_score_1", "f1_score_2", "precision", "calibration_error"]
    assert list(logs) == [*names, "hits", "auc"]
    assert matrix.result().sum() == 50
    model.compile("sgd", "mse", metrics=[metrics.Recall(top_k=1), metrics.OneHotMeanIoU(M), "auc"])
    model.fit(x, y, verbose=0)
    model.save(tmp_path / "model.chainrule")
    again = load_model(tmp_path / "model.chainrule")
    assert again.evaluate(x, y, verbose=0) == model.evaluate(x, y, verbose=0)
    prediction = model.predict(x, verbose=0)
    alone = metrics.AUC()(y, prediction)
    assert model.evaluate(x, y, verbose=0)[-1] == pytest.approx(alone, rel=1e-12)


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_names_and_configurations(case):
    name, arguments, *_ = case
    metric = getattr(metrics, name)(name="mine", **arguments)
    again = metrics.get(json.loads(json.dumps(metrics.serialize(metric))))
    assert (type(again), again.get_config()) == (type(metric), metric.get_config())


def test_names_are_keras_names():
    keras = peer("keras").metrics
    theirs = {n for n in dir(keras) if n[0].isupper()}
    assert theirs <= set(dir(metrics))
    for name in ("auc", "AUC", "precision", "f1_score", "kld", "logcosh", "binary_io_u", "msle"):
        assert isinstance(metrics.get(name), metrics.Metric)
    with pytest.raises(ArgumentError, match=r"needs num_classes: pass metrics.MeanIoU\(num_cla"):
        metrics.get("mean_io_u")


def test_bad_arguments():
    for make in (
        lambda: metrics.Precision(thresholds=1.5),
        lambda: metrics.Recall(top_k=0),
        lambda: metrics.Precision(class_id=-1),
        lambda: metrics.AUC(1),
        lambda: metrics.AUC(curve="ROCK"),
        lambda: metrics.AUC(summation_method="mean"),
        lambda: metrics.AUC(num_labels=2),
        lambda: metrics.PrecisionAtRecall(1.5),
        lambda: metrics.F1Score(average="mean"),
        lambda: metrics.FBetaScore(beta=0.0),
        lambda: metrics.IoU(2, [2]),
        lambda: metrics.ConfusionMatrix(1),
        lambda: metrics.CalibrationError(0),
        lambda: metrics.TopKCategoricalAccuracy(0)([[1]], [[1]]),
        lambda: metrics.MeanRelativeError("x"),
    ):
        with pytest.raises(ArgumentError):
            make()
    for name in ("Precision", "AUC", "F1Score", "CalibrationError", "TopKCategoricalAccuracy"):
        with pytest.raises(ShapeError, match=r"(?s)\[3\].*\[2, 4\]"):
            getattr(metrics, name)().update_state(np.zeros(3), np.zeros((2, 4)))
    metric = metrics.F1Score()
    metric.update_state(np.zeros((2, 3)), np.zeros((2, 3)))
    with pytest.raises(ShapeError, match="made for 3 classes, not 4"):
        metric.update_state(np.zeros((2, 4)), np.zeros((2, 4)))
