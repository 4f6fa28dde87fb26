"""What the doctor makes of learning curves: of networks that learn by heart, or hardly anything."""

import dataclasses

import numpy as np
import pytest

from chainrule import losses, regularizers
from chainrule.callbacks import EarlyStopping
from chainrule.datasets import digits, movie_reviews, spoken_digits
from chainrule.insight import probes
from chainrule.insight.curve_rules import overfitting, underfitting
from chainrule.insight.probes import probe
from chainrule.insight.standing import chance_of, standing
from chainrule.insight.strength_rules import regularization_too_strong
from chainrule.layers import LSTM, Dense, Dropout, Embedding, Flatten, GlobalAveragePooling1D, Input
from chainrule.optimizers import SGD, Adam, AdamW
from chainrule.utils import pad_sequences
from commands import call
from doctor_cases import BINARY, SPARSE, case_of, classes, compiled, pictures, rows, table, trained

(IMAGES, LABELS), _ = digits.load_data()
X, Y = (IMAGES[:1200] / 255.0).astype("float32"), LABELS[:1200]
VX, VY = (IMAGES[3000:3500] / 255.0).astype("float32"), LABELS[3000:3500]
HELD = (VX, VY)
SHUFFLED = np.random.default_rng(3).permutation(Y)


def perceptron(*hidden, first=()):
    out = Dense(10, "softmax", name="out")
    return [Flatten(input_shape=(28, 28)), *first, *(hidden or [Dense(64, "relu", name="h")]), out]


def test_learning_by_heart_is_overfitting():
    found = trained(
        perceptron(Dense(256, "relu")), SPARSE, X[:100], Y[:100], Adam(1e-3), 60,
        validation_data=HELD,
    )  # fmt: skip
    assert set(found) == {"overfitting"}
    numbers = found["overfitting"].numbers
    assert numbers["training"] > 0.99 and numbers["validation"] < 0.9
    assert found["overfitting"].change == {"epochs": int(numbers["best_epoch"])}


def test_a_quantity_can_be_overfitted():
    x = rows(300, 8)
    y = np.sin(x[:, 0]) * x[:, 1] + 0.3 * rows(300, 1, 2)[:, 0]
    layers = [Input((8,)), Dense(256, "relu"), Dense(1)]
    found = trained(
        layers, "mse", x[:60], y[:60], Adam(5e-3), 100, validation_data=(x[60:], y[60:])
    )
    assert set(found) == {"overfitting"}


def test_a_run_that_goes_back_to_its_best_weights_does_not_overfit():
    stop = EarlyStopping(patience=20, restore_best_weights=True)
    given = (perceptron(Dense(256, "relu")), SPARSE, X[:100], Y[:100], Adam(3e-3), 60, [stop])
    assert trained(*given, validation_data=HELD) == {}


def test_a_little_gap_is_no_overfitting():
    assert trained(perceptron(), SPARSE, X, Y, epochs=8, validation_data=HELD) == {}
    case = case_of(pictures(), SPARSE, X[:100], Y[:100])
    curves = {"loss": [2.0, 1.0, 0.1], "val_loss": [2.0, 1.5, 3.0]}
    assert overfitting(case.after(curves)) == []  # nothing held out at hand
    held = dataclasses.replace(case, validation=case.sample).after(curves)
    assert overfitting(held) == []  # as good there as here: chance, or other samples


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_too_few_units_underfit(activation):
    narrow = perceptron(Dense(1, activation, name="narrow"))
    found = trained(narrow, SPARSE, X, Y, Adam(1e-2), 14)
    assert set(found) == {"underfitting"}
    numbers = found["underfitting"].numbers
    assert numbers["skill"] < 0.7 < numbers["simple"]
    assert found["underfitting"].change == {"layers": {"narrow": {"units": 32}}}
    assert "'narrow' with 1" in found["underfitting"].cause


def test_a_network_that_goes_on_learning_does_not_underfit():
    case = case_of(pictures(), SPARSE, X[:400], Y[:400])
    assert underfitting(case.after({"loss": [2.3, 2.0, 1.7, 1.4, 1.1, 0.8]})) == []
    assert underfitting(case.after({"loss": [2.3, 2.3, 2.3, 2.3]})) == []  # too few epochs
    (found,) = underfitting(case.after({"loss": [2.31, 2.3, 2.3, 2.3, 2.3, 2.3]}))
    assert found.kind == "underfitting" and found.change is None


def test_a_curve_is_not_fitted_by_a_line():
    x = rows(400, 2)
    y = np.sin(3 * x[:, 0]) + x[:, 1] ** 2
    line = [Input((2,)), Dense(1)]
    assert set(trained(line, "mse", x, y, Adam(3e-2), 12)) == {"underfitting"}
    bent = [Input((2,)), Dense(48, "tanh"), Dense(48, "tanh"), Dense(1)]
    assert trained(bent, "mse", x, y, Adam(1e-2), 20) == {}


def test_noise_that_nobody_predicts_is_no_underfitting():
    x = rows(600, 5)
    y = (x[:, 0] + 2 * rows(600, 1, 4)[:, 0] > 0).astype(int)
    assert trained(table(5, 2), SPARSE, x, y, Adam(1e-2), 12) == {}


def spoken():
    (recordings, y), _ = spoken_digits.load_data()
    frames = np.concatenate(recordings)
    kept = [(r - frames.mean(0)) / frames.std(0) for r in recordings[:500]]
    return pad_sequences(kept, maxlen=30, dtype="float32", padding="post"), y[:500]


def sentences():
    from chainrule.layers import TextVectorization

    (texts, y), _ = movie_reviews.load_data()
    layer = TextVectorization(max_tokens=1000, output_sequence_length=30)
    layer.adapt(texts[:2000])
    return np.asarray(layer(texts[:2000])), y[:2000]


WORDS = [Embedding(1000, 8, mask_zero=True), GlobalAveragePooling1D(), Dense(1, "sigmoid")]
RELATED = {
    "digits": lambda: (pictures(), SPARSE, X[:500], Y[:500]),
    "speech": lambda: ([Input((30, 13)), Flatten(), Dense(10, "softmax")], SPARSE, *spoken()),
    "sentences": lambda: (WORDS, BINARY, *sentences()),
    "quantities": lambda: (
        [Input((3,)), Dense(1)],
        "mse",
        rows(300, 3),
        np.cos(2 * rows(300, 3)[:, 0]),
    ),
    "rare": lambda: (
        table(4, 2),
        SPARSE,
        rows(900, 4),
        (rows(900, 4)[:, 0] + rows(900, 4)[:, 1] > 2.4).astype(int),
    ),
}


@pytest.mark.parametrize("name", RELATED)
def test_probes_tell_targets_of_the_samples_from_those_of_others(name):
    layers, loss, x, y = RELATED[name]()
    own = probe(case_of(layers, loss, x, y))
    assert own.related and own.certainty > 2 * probes.CERTAIN
    # Below a tenth: of the sample's own class one is missing among the others.
    assert name != "digits" or 0.06 < own.chance < 0.1
    others = np.random.default_rng(0).permutation(y)
    assert not probe(case_of(layers, loss, x, others)).related


def test_permuted_targets_are_taken_for_related_by_chance_only():
    certainties = []
    for seed in range(12):
        x, y = rows(150, 5, seed), classes(150, 2, seed + 50)
        certainties.append(probe(case_of(table(5, 2), SPARSE, x, y)).certainty)
    assert max(certainties) < probes.CERTAIN
    assert abs(np.median(certainties)) < 1.5


def test_probes_agree_with_scikit_learn():
    ridge = pytest.importorskip("sklearn.kernel_ridge")
    near = pytest.importorskip("sklearn.neighbors")
    a = rows(40, 6).astype("float64")
    y = np.c_[a[:, 0] ** 2, rows(40, 1, 3)]
    gram = (a @ a.T).astype("float32")
    kernel = (1 + gram / 6) ** 3
    ours, mean = probes._fit(kernel) @ y, probes._neighbours(gram) @ y
    for i in range(40):
        rest = np.delete(np.arange(40), i)
        fit = ridge.KernelRidge(alpha=probes._PENALTY, kernel="precomputed")
        fit.fit(kernel[np.ix_(rest, rest)], y[rest])
        assert ours[i] == pytest.approx(fit.predict(kernel[i, rest][None])[0], rel=2e-3, abs=2e-3)
        knn = near.KNeighborsRegressor(5).fit(a[rest], y[rest])
        assert mean[i] == pytest.approx(knn.predict(a[i : i + 1])[0], rel=1e-4)


@pytest.mark.parametrize("share", [1.0, 0.98])
def test_shuffled_labels_are_named(share):
    y = np.where(np.random.default_rng(4).uniform(size=len(Y)) < share, SHUFFLED, Y)
    found = trained(perceptron(), SPARSE, X, y, epochs=4, validation_data=(VX, VY[::-1]))
    assert set(found) == {"labels_shuffled"}
    numbers = found["labels_shuffled"].numbers
    assert numbers["certainty"] < 6 and numbers["first"] > 0.97 * numbers["constant"]


def test_shuffled_quantities_are_named_without_a_validation():
    x = rows(500, 4)
    y = np.random.default_rng(0).permutation(x[:, 0] * x[:, 1])
    found = trained([Input((4,)), Dense(32, "tanh"), Dense(1)], "mse", x, y, Adam(1e-2), 6)
    assert set(found) == {"labels_shuffled"}


def test_a_weak_relation_is_one():
    x = rows(1500, 6)
    y = 0.25 * x[:, 0] + rows(1500, 1, 3)[:, 0]
    layers = [Input((6,)), Dense(8, "relu"), Dense(1)]
    assert trained(layers, "mse", x, y, Adam(3e-3), 6, validation_split=0.2) == {}
    tokens = classes((1500, 8), 6)
    reader = [Embedding(6, 6), LSTM(16), Dense(6, "softmax")]
    assert trained(reader, SPARSE, tokens, tokens[:, 2], Adam(1e-2), 8) == {}


def test_an_autoencoder_is_to_be_narrow():
    x = rows(600, 10)
    layers = [Input((10,)), Dense(3, "tanh"), Dense(10)]
    assert trained(layers, "mse", x, x, Adam(1e-2), 12) == {}


def test_labels_are_not_to_blame_for_a_rate_or_a_penalty_or_a_tenth_of_mistakes():
    assert trained(perceptron(), SPARSE, X, SHUFFLED, SGD(1e-6), 3) == {}  # it did not move
    assert trained(perceptron(), SPARSE, X, Y, SGD(1e-6), 3) == {}
    wrong = np.where(np.arange(len(Y)) % 10, Y, SHUFFLED)
    assert trained(perceptron(), SPARSE, X, wrong, epochs=4) == {}


def dropping(rate):
    return perceptron(Dense(64, "relu"), Dropout(rate, name="drop"))


def test_dropout_of_nearly_all_units_is_too_strong():
    found = trained(dropping(0.97), SPARSE, X, Y, epochs=4)
    assert set(found) == {"dropout_too_strong"}
    finding = found["dropout_too_strong"]
    assert finding.layer == "drop" and finding.change == {"layer": "drop", "rate": 0.3}
    inputs = perceptron(first=[Dropout(0.98, name="drop")])
    assert trained(inputs, SPARSE, X, Y, epochs=4)["dropout_too_strong"].layer == "drop"


@pytest.mark.parametrize("rate", [0.3, 0.5, 0.6])
def test_usual_dropout_is_left_alone(rate):
    assert trained(dropping(rate), SPARSE, X, Y, epochs=5) == {}


def penalized(penalty, optimizer="adam", epochs=5, **options):
    layers = perceptron(Dense(64, "relu", kernel_regularizer=penalty, name="h"))
    return trained(layers, SPARSE, X, Y, optimizer, epochs, **options)


@pytest.mark.parametrize("penalty", [regularizers.L2(3.0), regularizers.L1(0.05)])
def test_a_penalty_that_leaves_nothing_is_too_strong(penalty):
    found = penalized(penalty)
    assert set(found) == {"regularization_too_strong"}
    assert found["regularization_too_strong"].layer == "h"
    assert found["regularization_too_strong"].change == {"layer": "h", "kernel_regularizer": None}


def test_a_layer_with_two_penalties_is_told_once():
    twice = {"kernel_regularizer": "l2", "recurrent_regularizer": "l2"}
    layers = [Input((28, 28)), LSTM(4, **twice, name="rec"), Dense(10, "softmax")]
    case = case_of(layers, SPARSE, X[:400], Y[:400])
    (found,) = regularization_too_strong(case.after({"loss": [0.5]}))
    assert found.change == {"layer": "rec", "kernel_regularizer": None}


@pytest.mark.parametrize("penalty", [regularizers.L2(1e-4), regularizers.L1(1e-5), None])
def test_usual_penalties_are_left_alone(penalty):
    assert penalized(penalty, epochs=8) == {}
    assert penalized(penalty, AdamW(1e-3, weight_decay=0.01)) == {}


def test_a_penalty_counts_by_its_share():
    layers = perceptron(Dense(64, "relu", kernel_regularizer=regularizers.L2(1.0), name="h"))
    case = case_of(layers, SPARSE, X[:400], Y[:400])
    share = float(case.model.regularization()[0].item())
    assert regularization_too_strong(case.after({"loss": [20 * share]})) == []
    (found,) = regularization_too_strong(case.after({"loss": [2 * share]}))
    assert found.layer == "h" and found.numbers["share"] == pytest.approx(0.5, rel=1e-4)


def test_a_large_penalty_beside_a_network_that_has_learnt_is_left_alone():
    assert penalized(regularizers.L2(2e-3), Adam(3e-3), epochs=15) == {}


def test_a_weight_decay_can_be_too_strong():
    found = penalized(None, AdamW(1e-3, weight_decay=20.0), epochs=8)
    assert found["regularization_too_strong"].change == {"optimizer.weight_decay": 0.004}


CONSTANT = {
    "classes": (table(4, 3), SPARSE, classes(200)),
    "class logits": (
        [Input((4,)), Dense(3)],
        losses.SparseCategoricalCrossentropy(from_logits=True),
        np.minimum(classes(200, 9), 2),
    ),
    "one-hot": (table(4, 3), "categorical_crossentropy", np.eye(3)[classes(200)]),
    "smoothed": (
        table(4, 3),
        losses.CategoricalCrossentropy(label_smoothing=0.1),
        np.eye(3)[classes(200)],
    ),
    "binary": ([Input((4,)), Dense(1, "sigmoid")], BINARY, classes(200, 2)),
    "binary logits": (
        [Input((4,)), Dense(1)],
        losses.BinaryCrossentropy(from_logits=True),
        classes(200, 2),
    ),
    "squares": ([Input((4,)), Dense(1)], "mse", rows(200, 1, 5)),
    "absolute": ([Input((4,)), Dense(1)], "mae", np.exp(rows(200, 1, 5))),
    "two numbers": ([Input((4,)), Dense(2)], "mse", rows(200, 2, 5)),
}


@pytest.mark.parametrize("name", CONSTANT)
def test_the_best_constant_answer_is_what_the_bias_alone_learns(name):
    layers, loss, y = CONSTANT[name]
    case = case_of(layers, loss, rows(200, 4), y)
    model = compiled(layers, loss, SGD(0.05, momentum=0.9))
    model.fit(np.zeros((200, 4)), y, batch_size=200, epochs=250, verbose=0)
    reached = model.evaluate(np.zeros((200, 4)), y, verbose=0)
    assert chance_of(case) == pytest.approx(reached, rel=0.02)


def test_the_standing_is_that_of_evaluate():
    model = compiled(pictures(), SPARSE)
    model.compile("adam", SPARSE, metrics=["accuracy"])
    model.fit(X, Y, epochs=2, verbose=0)
    case = dataclasses.replace(case_of(pictures(), SPARSE, X, Y), trainer=model._trainer)
    now = standing(case)
    loss, accuracy = model.evaluate(X, Y, verbose=0)
    assert (now.loss, now.skill) == (pytest.approx(loss, rel=1e-4), pytest.approx(accuracy))
    assert now.base == np.bincount(Y).max() / len(Y) and now.rows == len(X)


def test_the_command_calls_the_doctor(tmp_path):
    x, y = rows(300, 4), classes(300, 2)
    x[:, 2] = 5.0
    np.savez(tmp_path / "bad.npz", x=x, y=y)
    call_in = ["train", tmp_path / "bad.npz", "--epochs", "2", "--output", tmp_path / "run"]
    assert "doctor: constant feature: feature 2 is the same" in call(*call_in, "--doctor")
    assert "doctor" not in call(*call_in)
    digits_run = ["train", "digits", "--hidden", "16", "--epochs", "2", "--output", tmp_path / "d"]
    assert "doctor: nothing found" in call(*digits_run, "--doctor")
