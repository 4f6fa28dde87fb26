"""Every loss and metric on 200 random cases: shapes, weights, edge values; Keras's numbers.

What Keras lacks, or clips, is compared with scikit-learn, or with its formula in float64. There are
200 cases of each where CHAINRULE_RANDOM_CASES is 200.
"""

from __future__ import annotations

import os

import numpy as np
import pytest

from chainrule import losses, metrics
from chainrule.layers import Dense, Input
from chainrule.models import Sequential
from peers import peer

# Keras asks jax for int64 here and there.
pytestmark = [
    pytest.mark.filterwarnings("ignore:Explicitly requested dtype"),
    pytest.mark.filterwarnings("ignore:You are passing weight as"),
]
M = 3
COUNT = int(os.environ.get("CHAINRULE_RANDOM_CASES", "16"))
FIXED = ("apart", "share", "units", "counts", "rows")  # predictions not made of targets
EDGES = ("none", "zeros", "ones", "perfect", "worst", "extreme", "no weight", "single")


def drawn(kind, random, lead, edge="none"):
    """Return targets or predictions of a kind: counts, shares, bits, classes, ..."""
    if kind == "classes":
        return {"zeros": np.zeros, "ones": np.ones}.get(
            edge, lambda s, _: random.integers(0, M, s)
        )(lead, "int64")
    if kind == "hot":
        return np.eye(M)[drawn("classes", random, lead, edge)]
    shape = (*lead, M)
    if kind in ("bit", "share"):  # one number a sample
        shape, kind = lead, {"bit": "bits", "share": "apart"}[kind]
    if edge == "zeros":
        return np.zeros(shape)
    if edge == "ones":
        return np.ones(shape)
    if kind == "bits":
        return random.integers(0, 2, shape).astype(float)
    if kind == "logits":
        return (
            random.choice([-100.0, 100.0], shape)
            if edge == "extreme"
            else random.normal(size=shape)
        )
    if kind == "rows":
        p = random.dirichlet(np.ones(M), lead)
        return np.eye(M)[random.integers(0, M, lead)] if edge == "extreme" else 0.98 * p + 0.006
    if kind == "mild":  # as far as Keras's focal losses do not clip
        return random.choice([-7.0, 7.0], shape) if edge == "extreme" else random.normal(size=shape)
    if kind == "units":
        x = random.normal(size=shape)
        return x / np.linalg.norm(x, axis=-1, keepdims=True)
    if kind == "counts":
        return random.integers(0, 4, shape).astype(float)
    if kind == "grid":  # ties, 0 and 1
        return (
            random.integers(0, 9, shape) / 8
            if edge != "extreme"
            else random.integers(0, 2, shape) * 1.0
        )
    if kind == "apart":
        return random.uniform(0.02, 0.98, shape)
    return random.normal(size=shape) * (100 if edge == "extreme" else 2)


def like(target, true, pred, edge):
    """Return predictions that are all right, or all wrong."""
    hot = np.eye(M)[target] if true == "classes" else target
    if pred == "classes":
        return target if edge == "perfect" else (target + 1) % M
    if true not in ("classes", "hot", "bits"):
        return hot if edge == "perfect" else -hot
    right = hot if edge == "perfect" else 1.0 - hot
    if true != "bits" and edge == "worst":
        right = np.roll(hot, 1, -1)
    return 14.0 * right - 7.0 if pred in ("logits", "mild", "any") else right


def case(i, true, pred, random, deep=False, weights=True):
    """Return targets, predictions and weights of case number i."""
    edge = EDGES[i % len(EDGES)]
    n = 1 if edge == "single" else 6
    lead = (n, 2) if deep and i % 3 == 0 else (n,)
    t = drawn(true, random, lead, edge if edge in ("zeros", "ones") else "none")
    if edge in ("perfect", "worst") and pred not in FIXED:
        y = like(t, true, pred, edge)
    else:
        y = drawn(pred, random, lead, edge if edge == "extreme" else "none")
    weight = None
    if weights and (edge == "no weight" or i % 4 >= 2):
        weight = random.integers(0, 3, lead).astype("float32")
        weight = np.zeros_like(weight) if edge == "no weight" else weight
    return *(a.astype("float32") if a.dtype.kind == "f" else a for a in (t, y)), weight


# class, arguments, kind of targets and of predictions, whether samples may have more axes
LOSSES = [
    ("MeanSquaredError", {}, "any", "any", True),
    ("MeanAbsoluteError", {}, "any", "any", True),
    ("MeanAbsolutePercentageError", {}, "any", "any", True),
    ("MeanSquaredLogarithmicError", {}, "counts", "counts", True),
    ("Huber", {"delta": 0.7}, "any", "any", True),
    ("LogCosh", {}, "any", "any", True),
    ("Poisson", {}, "counts", "counts", True),
    ("KLDivergence", {}, "rows", "rows", True),
    ("CosineSimilarity", {}, "any", "any", True),
    ("Hinge", {}, "bits", "any", True),
    ("SquaredHinge", {}, "bits", "any", True),
    ("CategoricalHinge", {}, "hot", "any", True),
    ("BinaryCrossentropy", {}, "bits", "grid", True),
    ("BinaryCrossentropy", {"from_logits": True, "label_smoothing": 0.1}, "bits", "logits", True),
    ("CategoricalCrossentropy", {}, "hot", "rows", True),
    ("CategoricalCrossentropy", {"from_logits": True}, "hot", "logits", True),
    ("SparseCategoricalCrossentropy", {}, "classes", "rows", True),
    ("SparseCategoricalCrossentropy", {"from_logits": True}, "classes", "logits", True),
    ("SparseCategoricalCrossentropy", {"ignore_class": 1}, "classes", "rows", False),
    ("BinaryFocalCrossentropy", {}, "bits", "grid", True),
    ("BinaryFocalCrossentropy", {"apply_class_balancing": True}, "bits", "apart", True),
    ("BinaryFocalCrossentropy", {"from_logits": True}, "bits", "mild", True),
    ("CategoricalFocalCrossentropy", {"label_smoothing": 0.1}, "hot", "rows", True),
    ("CategoricalFocalCrossentropy", {"from_logits": True}, "hot", "mild", True),
    ("CategoricalGeneralizedCrossEntropy", {"q": 0.7}, "classes", "rows", False),
    ("Circle", {"gamma": 5.0}, "classes", "units", False),
    ("Dice", {}, "bits", "grid", False),
    ("Tversky", {"alpha": 0.3, "beta": 0.7}, "bits", "grid", False),
]
REDUCTIONS = ("sum_over_batch_size", "sum", "none", "mean_with_sample_weight")


def named(cases):
    return [f"{name}-{i}" for i, (name, *_) in enumerate(cases)]


@pytest.mark.parametrize("row", LOSSES, ids=named(LOSSES))
def test_loss_is_that_of_keras(row):
    name, arguments, true, pred, deep = row
    random = np.random.default_rng(len(name))
    keras = peer("keras").losses
    made = [
        [getattr(m, name)(reduction=r, **arguments) for m in (losses, keras)] for r in REDUCTIONS
    ]
    for i in range(COUNT):
        t, y, weight = case(i, true, pred, random, deep, name not in ("Dice", "Tversky"))
        mine, theirs = made[i // 3 % 4]
        expected = np.asarray(theirs(t, y, weight))
        result = mine(t, y, weight).numpy()
        np.testing.assert_allclose(result, expected, rtol=3e-4, atol=1e-5, err_msg=f"case {i}")


METRICS = [
    ("Accuracy", {}, "classes", "classes", True),
    ("BinaryAccuracy", {"threshold": 0.4}, "bits", "apart", True),
    ("CategoricalAccuracy", {}, "hot", "apart", True),
    ("SparseCategoricalAccuracy", {}, "classes", "apart", True),
    ("TopKCategoricalAccuracy", {"k": 2}, "hot", "apart", False),
    ("SparseTopKCategoricalAccuracy", {"k": 1}, "classes", "apart", False),
    ("MeanSquaredError", {}, "any", "any", True),
    ("MeanAbsoluteError", {}, "any", "any", True),
    ("RootMeanSquaredError", {}, "any", "any", True),
    ("MeanAbsolutePercentageError", {}, "any", "any", True),
    ("MeanSquaredLogarithmicError", {}, "counts", "counts", True),
    ("LogCoshError", {}, "any", "any", True),
    ("CosineSimilarity", {}, "any", "any", True),
    ("KLDivergence", {}, "rows", "rows", True),
    ("Poisson", {}, "counts", "counts", True),
    ("Hinge", {}, "bits", "any", True),
    ("SquaredHinge", {}, "bits", "any", True),
    ("CategoricalHinge", {}, "hot", "any", True),
    ("BinaryCrossentropy", {"label_smoothing": 0.1}, "bits", "grid", True),
    ("BinaryCrossentropy", {"from_logits": True}, "bits", "logits", True),
    ("CategoricalCrossentropy", {}, "hot", "rows", True),
    ("CategoricalCrossentropy", {"from_logits": True}, "hot", "logits", True),
    ("SparseCategoricalCrossentropy", {}, "classes", "rows", True),
    ("R2Score", {}, "any", "any", False),
    ("R2Score", {"class_aggregation": "variance_weighted_average"}, "any", "any", False),
    ("PearsonCorrelation", {}, "apart", "apart", False),
    ("ConcordanceCorrelation", {}, "apart", "apart", False),
    ("TruePositives", {}, "bits", "grid", False),
    ("FalsePositives", {"thresholds": [0.75, 0.25]}, "bits", "grid", False),
    ("TrueNegatives", {"thresholds": 0.5}, "bits", "grid", False),
    ("FalseNegatives", {}, "bits", "grid", False),
    ("Precision", {}, "bits", "grid", False),
    ("Precision", {"top_k": 2}, "bits", "apart", False),
    ("Precision", {"class_id": 1, "thresholds": [0.0, 0.5, 1.0]}, "bits", "grid", False),
    ("Recall", {"thresholds": 0.3}, "bits", "grid", False),
    ("Recall", {"top_k": 1, "class_id": 2}, "bits", "apart", False),
    ("F1Score", {}, "hot", "grid", False),
    ("FBetaScore", {"average": "macro", "beta": 2.0}, "hot", "apart", False),
    ("FBetaScore", {"average": "micro", "threshold": 0.5}, "bits", "grid", False),
    ("FBetaScore", {"average": "weighted", "beta": 0.5}, "hot", "apart", False),
    ("IoU", {"num_classes": M, "target_class_ids": [0, 2]}, "classes", "classes", False),
    ("BinaryIoU", {"target_class_ids": [0, 1]}, "bit", "share", False),
    ("BinaryIoU", {"target_class_ids": [1], "threshold": 0.3}, "bit", "share", False),
    ("MeanIoU", {"num_classes": M, "ignore_class": 1}, "classes", "classes", False),
    ("OneHotIoU", {"num_classes": M, "target_class_ids": [1]}, "hot", "apart", False),
    ("OneHotMeanIoU", {"num_classes": M}, "hot", "grid", False),
    ("AUC", {"num_thresholds": 9}, "bits", "grid", False),
    ("AUC", {"num_thresholds": 200}, "bits", "apart", False),
    ("AUC", {"num_thresholds": 9, "curve": "PR"}, "bits", "grid", False),
    ("AUC", {"curve": "PR", "summation_method": "minoring"}, "bits", "apart", False),
    ("AUC", {"num_thresholds": 9, "curve": "PRGAIN"}, "bits", "grid", False),
    ("AUC", {"curve": "PRGAIN", "summation_method": "majoring"}, "bits", "apart", False),
    ("AUC", {"summation_method": "majoring", "thresholds": [0.2, 0.7]}, "bits", "grid", False),
    ("AUC", {"multi_label": True, "label_weights": [1.0, 2.0, 0.5]}, "bits", "apart", False),
    ("AUC", {"from_logits": True}, "bits", "logits", False),
    ("PrecisionAtRecall", {"recall": 0.5, "num_thresholds": 9}, "bits", "grid", False),
    ("RecallAtPrecision", {"precision": 0.6, "num_thresholds": 9}, "bits", "grid", False),
    ("SensitivityAtSpecificity", {"specificity": 0.5, "num_thresholds": 9}, "bits", "grid", False),
    ("SpecificityAtSensitivity", {"sensitivity": 0.5, "num_thresholds": 9}, "bits", "grid", False),
]


@pytest.mark.parametrize("row", METRICS, ids=named(METRICS))
def test_metric_is_that_of_keras(row):
    name, arguments, true, pred, deep = row
    random = np.random.default_rng(len(name))
    mine = getattr(metrics, name)(**arguments)
    theirs = getattr(peer("keras").metrics, name)(**arguments)
    for i in range(COUNT):
        if i % 5 != 2 or np.isnan(np.asarray(theirs.result())).any():  # some are two batches
            mine.reset_state()
            theirs.reset_state()
        t, y, weight = case(i, true, pred, random, deep)
        mine.update_state(t, y, weight)
        theirs.update_state(t, y, weight)
        expected = np.asarray(theirs.result())
        if np.isnan(expected).any():  # 0 / 0, which is 0 here
            assert np.isfinite(mine.result()).all()
            continue
        np.testing.assert_allclose(
            mine.result(), expected, rtol=1e-4, atol=1e-5, err_msg=f"case {i}"
        )


def test_means_and_sums_are_those_of_keras():
    random = np.random.default_rng(1)
    keras = peer("keras").metrics
    for name in ("Mean", "Sum"):
        mine, theirs = getattr(metrics, name)(), getattr(keras, name)()
        for i in range(COUNT):
            if i % 3 == 0:
                mine.reset_state()
                theirs.reset_state()
            shape = ((), (1,), (6,), (4, 2))[i % 4]
            values = random.normal(size=shape).astype("float32")
            weight = None if i % 2 else random.integers(0, 2, shape[:1]).astype("float32")
            mine.update_state(values, weight)
            theirs.update_state(values, weight)
            expected = float(np.asarray(theirs.result()))
            assert mine.result() == pytest.approx(expected, rel=1e-4, abs=1e-5), (name, i)


def test_logits_of_a_hundred_are_not_clipped():
    """Keras's focal losses clip the probabilities of logits at 1e-7; the formula does not."""
    t, y = np.array([[1.0, 0.0, 0.0]]), np.array([[-100.0, 100.0, -100.0]])
    binary = losses.BinaryFocalCrossentropy(from_logits=True)(t, y).item()
    assert binary == pytest.approx((100.0 + 100.0 + 0.0) / 3, rel=1e-6)
    many = losses.CategoricalFocalCrossentropy(from_logits=True)(t, y).item()
    assert many == pytest.approx(0.25 * 200.0, rel=1e-6)


def test_quantile_loss_is_its_formula():
    random = np.random.default_rng(2)
    for i in range(COUNT):
        t, y, weight = case(i, "any", "any", random, deep=True)
        q = random.uniform(0.05, 0.95)
        error = t.astype("float64") - y
        each = np.maximum(q * error, (q - 1) * error).mean(-1)
        weighed = each if weight is None else each * weight
        mine = losses.QuantileLoss(q)(t, y, weight).item()
        assert mine == pytest.approx(weighed.mean(), rel=1e-5, abs=1e-6), i


def test_confusion_matrix_is_that_of_scikit_learn():
    sklearn, random = peer("sklearn.metrics"), np.random.default_rng(3)
    for i in range(COUNT):
        t, y, weight = case(i, "classes", "classes", random)
        mine = metrics.ConfusionMatrix(M, sparse_y_pred=True)(t, y, weight)
        if weight is not None and not weight.any():
            assert not mine.any()
            continue
        theirs = sklearn.confusion_matrix(t, y, labels=range(M), sample_weight=weight)
        np.testing.assert_allclose(mine, theirs, rtol=1e-6)


def test_calibration_error_is_its_formula():
    random = np.random.default_rng(4)
    for i in range(COUNT):
        t, p, weight = case(i, "classes", "rows", random)
        weight = np.ones(len(t)) if weight is None else weight
        sure, right = p.max(-1).astype("float64"), p.argmax(-1) == t
        place = np.ceil(sure * 5).astype(int)
        gaps = [abs((weight * (right - sure))[place == b].sum()) for b in range(6)]
        expected = sum(gaps) / max(weight.sum(), 1e-9)
        mine = metrics.CalibrationError(5)(t, p, weight)
        assert mine == pytest.approx(expected, rel=1e-5, abs=1e-6), i


def test_relative_error_is_its_formula():
    random = np.random.default_rng(5)
    for i in range(COUNT):
        t, y, weight = case(i, "any", "any", random)
        scale = random.choice([0.0, 0.5, 2.0], t.shape)
        error = np.divide(abs(y - t), scale, out=np.zeros(t.shape), where=scale > 0).mean(-1)
        weight = np.ones(len(t)) if weight is None else weight
        expected = (error * weight).sum() / max(weight.sum(), 1e-9)
        mine = metrics.MeanRelativeError(scale)(t, y, weight)
        assert mine == pytest.approx(expected, rel=1e-5, abs=1e-6), i


@pytest.mark.parametrize("thresholds", [200, 21])
def test_area_is_exact_where_scores_lie_between_thresholds(thresholds):
    """Thresholds see scores in bins: scores that share a bin are ties. With one score value a bin
    nothing is lost, and the area is that of scikit-learn."""
    sklearn, random = peer("sklearn.metrics"), np.random.default_rng(6)
    for i in range(COUNT):
        n = random.integers(4, 400)
        y = np.r_[0, 1, random.integers(0, 2, n)]
        p = (random.integers(0, thresholds - 1, n + 2) + 0.5) / (thresholds - 1)
        weight = random.uniform(0.1, 2.0, n + 2) if i % 2 else None
        mine = metrics.AUC(thresholds)(y, p, weight)
        assert mine == pytest.approx(sklearn.roc_auc_score(y, p, sample_weight=weight), rel=1e-12)


def test_class_weights_are_factors_of_the_loss():
    random = np.random.default_rng(7)
    model = Sequential([Input((M,)), Dense(M, activation="softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    for i in range(COUNT):
        x, t = random.normal(size=(6, M)).astype("float32"), random.integers(0, M, 6)
        t = np.full(6, i % M) if i % 4 == 1 else t
        factors = {c: float(random.choice([0.0, 1.0, random.uniform(0, 5)])) for c in range(M)}
        weight = None if i % 2 else random.integers(0, 3, 6).astype("float32")
        p = model.predict(x, verbose=0).astype("float64")
        each = -np.log(p[np.arange(6), t]) * [factors[c] for c in t]
        expected = (each if weight is None else each * weight).mean()
        mine = model.train_on_batch(x, t, sample_weight=weight, class_weight=factors)
        assert mine == pytest.approx(expected, rel=1e-5, abs=1e-6), i
