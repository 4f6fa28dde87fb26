"""Which way a number is better: as the metric says, or its name; and overlaps in the history."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

from chainrule import callbacks as cb
from chainrule import metrics, ops
from chainrule.errors import ArgumentError
from chainrule.layers import Dense, Input
from chainrule.models import Model, Sequential
from chainrule.utils import set_random_seed
from peers import peer

RANDOM = np.random.default_rng(3)
X = RANDOM.standard_normal((40, 4)).astype("float32")
Y = RANDOM.integers(0, 3, 40)
EYE = np.eye(3, dtype="float32")


def psnr(y_true, y_pred):
    return -ops.log(ops.mean(ops.square(y_true - y_pred), axis=-1))


class Score(metrics.MeanMetric):
    direction = "max"

    def __init__(self, name="score", **options):
        super().__init__(psnr, name, **options)


def network(*measured, units=3):
    set_random_seed(1)
    model = Sequential([Input((4,)), Dense(units, activation="softmax")])
    model.compile("sgd", "categorical_crossentropy", metrics=list(measured))
    return model


def fit(model, *callbacks, epochs=2):
    return model.fit(X, EYE[Y], batch_size=16, epochs=epochs, verbose=0, callbacks=list(callbacks))


OVERLAPS = [
    ("OneHotIoU", {"num_classes": 3, "target_class_ids": [0, 2]}),
    ("OneHotMeanIoU", {"num_classes": 3}),
    ("IoU", {"num_classes": 3, "target_class_ids": [1], "sparse_y_true": False,
             "sparse_y_pred": False}),
    ("MeanIoU", {"num_classes": 3, "sparse_y_true": False, "sparse_y_pred": False}),
    ("BinaryIoU", {}),
]  # fmt: skip


@pytest.mark.filterwarnings("ignore:Explicitly requested dtype:UserWarning")
@pytest.mark.parametrize(("kind", "given"), OVERLAPS)
def test_an_overlap_is_reported_and_its_best_is_the_largest(kind, given):
    keras = peer("keras")
    theirs = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, activation="softmax")])
    metric = getattr(keras.metrics, kind)(**given)
    theirs.compile("sgd", "categorical_crossentropy", metrics=[metric])
    model = network(getattr(metrics, kind)(**given))
    theirs.set_weights(model.get_weights())
    measured = theirs.evaluate(X, EYE[Y], return_dict=True, verbose=0)
    found = model.evaluate(X, EYE[Y], return_dict=True, verbose=0)
    assert list(found) == ["loss", metric.name]
    assert found == pytest.approx(measured, rel=1e-5)
    stop = cb.EarlyStopping(metric.name, patience=9)
    history = fit(model, stop).history
    assert stop.mode == "max" and stop.best == max(history[metric.name])


def test_a_matrix_is_no_entry_of_the_history():
    matrix = metrics.ConfusionMatrix(3, sparse_y_true=False)
    assert list(fit(network(matrix)).history) == ["loss"]


def test_directions_are_those_of_keras():
    keras, seen = peer("keras"), 0
    given = {"num_classes": 3, "target_class_ids": [0], "precision": 0.5, "recall": 0.5,
             "sensitivity": 0.5, "specificity": 0.5, "mean": [1.0]}  # fmt: skip
    for name in metrics.__all__:
        kind, theirs = getattr(metrics, name), getattr(keras.metrics, name, None)
        if not (inspect.isclass(kind) and inspect.isclass(theirs)) or name == "MeanMetricWrapper":
            continue
        needed = inspect.signature(theirs).parameters
        told = getattr(
            theirs(**{k: v for k, v in given.items() if k in needed}), "_direction", None
        )
        if told is not None:
            assert kind.direction == {"up": "max", "down": "min"}[told], name
            seen += 1
    assert seen > 30


@pytest.mark.parametrize(
    ("name", "mode"),
    [("error_type_accuracy", "max"), ("val_error_type_accuracy", "max"), ("loss_kind_auc", "max"),
     ("accuracy_error", "min"), ("val_io_u", "max"), ("mean_io_u", "max"), ("head_loss", "min"),
     ("true_positives", "max"), ("true_negatives", "max"), ("false_positives", "min"),
     ("out_mae", "min"), ("precision_loss", "min"), ("sensitivity_at_specificity", "max"),
     ("learning_rate", "min")],
)  # fmt: skip
def test_the_last_word_of_a_name_decides(name, mode):
    assert cb.EarlyStopping(name).mode == mode


@pytest.mark.parametrize(
    "callback",
    [
        lambda name: cb.EarlyStopping(name),
        lambda name: cb.Goal(name, 100.0),
        lambda name: cb.ReduceLROnPlateau(name),
        lambda name: cb.ModelCheckpoint("never-written.chainrule", name, save_best_only=True),
    ],
)
@pytest.mark.parametrize("name", ["psnr", "val_psnr"])
def test_a_direction_that_no_one_knows_is_refused(callback, name):
    model = network(psnr)
    before = model.get_weights()
    with pytest.raises(ArgumentError, match="pass mode='max'"):
        model.fit(X, EYE[Y], validation_split=0.2, verbose=0, callbacks=callback(name))
    for a, b in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(a, b)
    fit(network(psnr), cb.EarlyStopping("psnr", mode="max"))


def test_a_metric_says_what_its_name_does_not(tmp_path):
    stop = cb.EarlyStopping("score", patience=9, restore_best_weights=True)
    keep = cb.ModelCheckpoint(tmp_path / "m.chainrule", "score", save_best_only=True)
    history = fit(network(Score()), stop, keep, epochs=4).history
    assert stop.best == keep.best == max(history["score"]) > min(history["score"])


def test_a_metric_says_other_than_its_name(tmp_path):
    rising = cb.ModelCheckpoint(tmp_path / "m.chainrule", "error", save_best_only=True)
    history = fit(network(Score(name="error")), rising, epochs=4).history
    assert rising.best == max(history["error"])


def test_the_loss_as_a_metric_falls():
    stop = cb.EarlyStopping("dice", patience=9)
    model = network("dice")
    assert stop.best == -np.inf
    history = fit(model, stop).history
    assert stop.best == min(history["dice"])


def test_several_outputs_by_their_metrics():
    set_random_seed(1)
    inputs = Input((4,))
    outputs = [Dense(3, activation="softmax", name=n)(inputs) for n in ("error_type", "loss_kind")]
    model = Model(inputs, outputs)
    model.compile("sgd", ["categorical_crossentropy"] * 2, metrics=[["accuracy"], [Score()]])
    watched = ["error_type_accuracy", "loss_kind_score", "loss_kind_loss"]
    stops = [cb.EarlyStopping(name, patience=9) for name in watched]
    history = model.fit(X, [EYE[Y]] * 2, epochs=3, verbose=0, callbacks=stops).history
    for stop, best in zip(stops, (max, max, min), strict=True):
        assert stop.best == best(history[stop.monitor])
