"""The doctor on runs as they are in practice: losses in units of their own, second fits, rates that
callbacks set, weights that were spoilt before, runs that are interrupted."""

import gc
import tracemalloc
import weakref

import numpy as np
import pytest

import chainrule
from chainrule import losses, ops
from chainrule.callbacks import (
    BackupAndRestore,
    GradientDoctor,
    LambdaCallback,
    LayerStatistics,
    LearningRateScheduler,
)
from chainrule.errors import ArgumentError
from chainrule.insight.curve_rules import underfitting
from chainrule.insight.data_checks import leaking_feature
from chainrule.insight.standing import chance_of, standing
from chainrule.layers import Dense, Dropout, Embedding, Flatten, Input, Rescaling
from chainrule.models import Model, Sequential
from chainrule.optimizers import SGD
from chainrule.utils import set_random_seed
from doctor_cases import BINARY, SPARSE, before, by_kind, case_of, classes, rows, table

X = rows(600, 8)
WAVE = np.tanh(X[:, 0]) + X[:, 1]
NOISY = WAVE + rows(600, 1, 7)[:, 0]
TWO = (X[:, 0] + X[:, 1] > 0).astype(int)


def network(optimizer="adam", loss="mse", *first, **options):
    set_random_seed(0)
    regularizer = options.pop("kernel_regularizer", None)
    hidden = Dense(32, "relu", kernel_regularizer=regularizer, name="h")
    model = Sequential([Input((8,)), hidden, *first, Dense(1, name="out")])
    model.compile(optimizer, loss, **options)
    return model


def found(model, x=X, y=WAVE, epochs=8, callbacks=(), **options):
    doctor = GradientDoctor()
    model.fit(x, y, epochs=epochs, verbose=0, callbacks=[*callbacks, doctor], **options)
    return by_kind(doctor.findings)


# -- units of the loss -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("compiled", "fitted"),
    [({"loss_weights": 4.0}, {}), ({}, {"sample_weight": np.full(600, 4.0)})],
    ids=["of the loss", "of samples"],
)
def test_a_usual_dropout_is_healthy_whatever_the_loss_weighs(compiled, fitted):
    model = network("adam", "mse", Dropout(0.6), **compiled)
    assert found(model, epochs=30, **fitted) == {}


def test_a_strong_dropout_is_named_whatever_the_classes_weigh():
    set_random_seed(0)
    model = Sequential([Input((8,)), Dense(32, "relu"), Dropout(0.97), Dense(2, "softmax")])
    model.compile("adam", SPARSE)
    weights = {0: 3.0, 1: 20.0}
    assert "dropout_too_strong" in found(model, X, TWO, class_weight=weights)


@pytest.mark.parametrize("weight", [0.01, 20.0])
def test_progress_is_in_the_units_of_the_loss(weight):
    assert set(found(network(SGD(1e-6), loss_weights=weight))) == {"learning_rate_too_low"}
    assert found(network(loss_weights=weight), y=NOISY, epochs=16) == {}


def test_what_a_constant_answer_costs_by_hand():
    weights = np.linspace(0.5, 3, 600)

    def costs(layers, loss, y):
        case = case_of(layers, loss, X, y, weights=weights)
        return case, chance_of(case), standing(case)

    case, chance, now = costs([Input((8,)), Dense(1)], "mse", WAVE)
    mean = np.average(WAVE, weights=weights)
    assert chance == pytest.approx((weights * (WAVE - mean) ** 2).mean(), rel=1e-5)
    reached = (weights * (case.predicted()[:, 0] - WAVE) ** 2).mean()
    assert now.loss == pytest.approx(reached, rel=1e-5) and now.chance == pytest.approx(chance)
    case, chance, _ = costs(table(8, 2), SPARSE, TWO)
    p = np.average(TWO, weights=weights)
    entropy = -(weights * np.log(np.where(TWO, p, 1 - p))).mean()
    assert chance == pytest.approx(entropy, rel=1e-5)
    # Simple learners know of no weights: that they are right more often says nothing.
    assert underfitting(case.after({"loss": [3.0] * 6})) == []
    case = case_of([Input((8,)), Dense(1)], losses.Huber(reduction="sum"), X, WAVE)
    assert chance_of(case) is None and standing(case) is None


class Logits(Model):
    """Its loss is not the one that it is compiled with."""

    def __init__(self):
        super().__init__()
        self.hidden, self.out = Dense(32, "relu"), Dense(1)

    def call(self, x):
        return self.out(self.hidden(x))

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        loss = losses.BinaryCrossentropy(from_logits=True)
        return loss(ops.expand_dims(y, -1) if y.ndim == 1 else y, y_pred)


def test_a_loss_of_ones_own_is_not_held_against_the_compiled_one():
    model = Logits()
    model.compile("adam", BINARY)
    assert found(model, X, TWO) == {}


# -- second fits -----------------------------------------------------------------------------------


def doubled(y, p):
    """A loss of which nobody knows what a constant answer costs."""
    return ops.mean(ops.square(ops.subtract(ops.concatenate([p, p], -1), y)), axis=-1)


AGAIN = {
    "huber": lambda: (network("adam", "huber"), NOISY),
    "penalty": lambda: (network("adam", "mse", kernel_regularizer="l2"), NOISY),
    "loss of one's own": lambda: (network("adam", doubled), np.stack([NOISY, NOISY], 1)),
}


@pytest.mark.parametrize("name", AGAIN)
def test_a_network_that_has_learnt_is_healthy_when_it_goes_on(name):
    model, y = AGAIN[name]()
    model.fit(X, y, epochs=40, verbose=0)
    assert found(model, y=y) == {}


def test_a_loss_that_nobody_knows_is_compared_with_the_first():
    stuck = found(network(SGD(1e-6), doubled), y=np.stack([WAVE, WAVE], 1))
    assert "the first loss was" in stuck["learning_rate_too_low"].evidence
    stuck = found(network(SGD(1e-6)))
    assert "knowing nothing would cost" in stuck["learning_rate_too_low"].evidence


# -- targets and losses ----------------------------------------------------------------------------


def nearest(y, p):
    """Class numbers beside an embedding."""
    return ops.mean(ops.square(p), axis=-1)


@pytest.mark.parametrize(
    ("loss", "y"),
    [(nearest, classes(200, 5)), (losses.CosineSimilarity(), 5 * rows(200, 16))],
    ids=["of one's own", "without scale"],
)
def test_losses_that_take_no_difference_allow_any_targets(loss, y):
    layers = [Input((8,)), Dense(16, "tanh")]
    assert before(layers, loss, rows(200, 8), y) == {}
    assert set(before(layers, "mse", rows(200, 8), 5 * rows(200, 16))) == {"labels_out_of_range"}


def test_a_class_that_the_loss_ignores_is_not_missing():
    y = 1 + classes(300, 2)
    y[::5] = 0
    ignoring = losses.SparseCategoricalCrossentropy(ignore_class=0)
    assert before(table(8, 3), ignoring, rows(300, 8), y) == {}
    missing = before(table(8, 6), ignoring, rows(300, 8), y)["labels_out_of_range"]
    assert "3 never occur" in missing.evidence and "3 units" in missing.remedy


# -- learning rates --------------------------------------------------------------------------------


def test_rates_that_callbacks_set_are_those_that_are_judged():
    at = {rate: LearningRateScheduler(lambda epoch, _, rate=rate: rate) for rate in (0.01, 1e-7)}
    assert found(network(SGD(0.0)), y=NOISY, callbacks=[at[0.01]]) == {}
    low = found(network(SGD(0.01)), callbacks=[at[1e-7]])
    assert set(low) == {"learning_rate_too_low"}
    assert low["learning_rate_too_low"].numbers["learning_rate"] == pytest.approx(1e-7)
    never = found(network(SGD(0.0)))["learning_rate_too_low"]
    assert "the learning rate is 0" in never.evidence


def test_a_rate_that_cannot_be_told_is_none(tmp_path):
    def rate(step):
        return ops.where(ops.less(step, 30.0), 0.01, 0.02)

    callbacks = [BackupAndRestore(tmp_path)]
    assert found(network(SGD(rate)), y=NOISY, callbacks=callbacks) == {}


def test_updates_between_which_gradients_are_summed_up_have_no_size():
    for statistics in ("auto", 1):
        model, doctor = (
            network(SGD(1e-6, gradient_accumulation_steps=4)),
            GradientDoctor(statistics),
        )
        model.fit(X, WAVE, epochs=4, verbose=0, callbacks=doctor)
        (low,) = doctor.findings
        assert low.kind == "learning_rate_too_low" and "by 0.0e+00" not in low.cause
        assert (low.numbers["ratio"] > 0) == (statistics == 1)


# -- numbers that are not finite -------------------------------------------------------------------


def test_weights_that_were_spoilt_before_are_named():
    model = network(SGD(1e4))
    model.fit(X, WAVE, epochs=2, verbose=0)
    model.compile(SGD(1e-3), "mse")
    spoilt = found(model, epochs=1)
    assert set(spoilt) == {"non_finite"} and spoilt["non_finite"].layer == "h"
    assert "before the first step" in spoilt["non_finite"].evidence
    assert "rate" not in spoilt["non_finite"].remedy
    assert by_kind(chainrule.diagnose(model, X, WAVE).findings) == spoilt


class Own(Sequential):
    """Steps that are lost at once."""

    def train_step(self, data):
        return {"loss": float("nan")}


def drawn():
    while True:
        yield X[:32], WAVE[:32]


def test_what_cannot_be_run_again_says_why():
    lost = found(network(SGD(1e9)), drawn(), None, 2, steps_per_epoch=5)["non_finite"]
    assert "batches of a generator cannot be drawn again" in lost.cause
    model = Own([Input((8,)), Dense(1)])
    model.compile("sgd", "mse")
    assert "steps of one's own" in found(model, epochs=1)["non_finite"].cause


# -- what a run leaves behind ----------------------------------------------------------------------


@pytest.mark.parametrize("end", [ValueError, KeyboardInterrupt])
def test_an_interrupted_run_is_let_go(end):
    def stop(epoch, logs):
        if epoch:
            raise end

    given, doctor = X.copy(), GradientDoctor()
    kept = weakref.ref(given)
    with pytest.raises(end):
        callbacks = [doctor, LambdaCallback(on_epoch_end=stop)]
        network().fit(given, WAVE, epochs=4, verbose=0, callbacks=callbacks)
    del given
    gc.collect()
    assert kept() is None


def test_a_diagnosis_leaves_the_metrics():
    model = network(metrics=["mae"])
    model.fit(X, WAVE, verbose=0)
    before_it = [metric.result() for metric in model.metrics]
    chainrule.diagnose(model, X, WAVE)
    assert [metric.result() for metric in model.metrics] == before_it and before_it[0] > 0


def test_pictures_are_not_copied_as_a_whole():
    x = np.random.default_rng(0).integers(0, 255, (400, 60, 60, 1), dtype=np.uint8)
    layers = [Input((60, 60, 1)), Rescaling(1 / 255), Flatten(), Dense(2, "softmax")]
    case = case_of(layers, SPARSE, x, classes(400, 2))
    assert case.traced.outputs
    tracemalloc.start()
    assert leaking_feature(case) == []
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 4 * x.nbytes  # as float64 it takes 8 times as much


@pytest.mark.parametrize("quantity", [False, True])
def test_a_leak_among_many_columns_is_found(quantity):
    x, y = rows(300, 700), classes(300, 2)
    x[:, 650] = rows(300, 1, 7)[:, 0] if quantity else y
    layers = [Input((700,)), Dense(1)] if quantity else table(700, 2)
    given = (layers, "mse", x, np.exp(x[:, 650])) if quantity else (layers, SPARSE, x, y)
    assert before(*given)["leaking_feature"].change["columns"] == [650]
    tokens = [Embedding(9, 4), Flatten(), Dense(2, "softmax")]
    assert leaking_feature(case_of(tokens, SPARSE, classes((60, 5), 9), classes(60, 2))) == []


def test_statistics_of_an_earlier_run_do_not_stay():
    measured = LayerStatistics(every=np.int64(1))
    network().fit(X, WAVE, verbose=0, callbacks=measured)
    assert len(measured.data) > 0
    model = Own([Input((8,)), Dense(1)])
    model.compile("sgd", "mse")
    model.fit(X, WAVE, verbose=0, callbacks=measured)
    assert len(measured.data) == 0
    for made, name in ((LayerStatistics, "every"), (GradientDoctor, "statistics")):
        assert made(np.int64(3)).statistics == 3
        for wrong in (0, True, 2.0, "often", None, np.arange(3)):
            with pytest.raises(ArgumentError, match=f"^{name} is"):
                made(wrong)
