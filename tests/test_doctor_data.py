"""What the doctor finds in data and last layers before the first step; and what it leaves alone."""

import numpy as np
import pytest

from chainrule import losses
from chainrule.data.order import rows_from
from chainrule.datasets import digits, movie_reviews, spoken_digits
from chainrule.insight.case import MOST, Case
from chainrule.insight.entries import entries_of
from chainrule.insight.outside import before_training
from chainrule.layers import (
    GRU,
    LSTM,
    Activation,
    BatchNormalization,
    Conv2D,
    Dense,
    Embedding,
    Flatten,
    GlobalAveragePooling1D,
    Input,
    MaxPooling2D,
    Normalization,
    Rescaling,
    Softmax,
    TextVectorization,
)
from chainrule.models import Model
from chainrule.utils import pad_sequences
from doctor_cases import BINARY, SPARSE, before, case_of, classes, pictures, rows, table

(IMAGES, LABELS), _ = digits.load_data()
X, Y = (IMAGES[:1500] / 255.0).astype("float32"), LABELS[:1500]
HOT = np.eye(10, dtype="float32")[Y]
TWO = (Y > 4).astype("float32")
FLAT = X.reshape(len(X), -1)


def spoken(normalized=True):
    (recordings, y), _ = spoken_digits.load_data()
    frames = np.concatenate(recordings)
    mean, deviation = (frames.mean(0), frames.std(0)) if normalized else (0.0, 1.0)
    kept = [(r - mean) / deviation for r in recordings[:600]]
    return pad_sequences(kept, maxlen=40, dtype="float32", padding="post"), y[:600]


def reviews(**options):
    (texts, y), _ = movie_reviews.load_data()
    layer = TextVectorization(max_tokens=1500, **options)
    layer.adapt(texts[:1500])
    return np.asarray(layer(texts[:1500])), y[:1500]


def conv(*first):
    layers = [Conv2D(4, 3, activation="relu"), MaxPooling2D(2), Flatten(), Dense(10, "softmax")]
    return [Input((28, 28, 1)), *first, *layers]


# Data that are as they should be, some of them with what looks like a fault.
HEALTHY = {
    "digits": lambda: (pictures(), SPARSE, X, Y),
    "few digits": lambda: (pictures(), SPARSE, X[:150], Y[:150]),
    "flat": lambda: (table(784, 10), SPARSE, FLAT, Y),
    "flat, standardized": lambda: (
        table(784, 10),
        SPARSE,
        (FLAT - FLAT.mean(0)) / np.where(FLAT.std(0) > 0, FLAT.std(0), 1),
        Y,
    ),
    "white paper": lambda: (pictures(), SPARSE, 1 - X, Y),
    "bytes, rescaled inside": lambda: (
        [Input((28, 28)), Rescaling(1 / 255), Flatten(), Dense(10, "softmax")],
        SPARSE,
        IMAGES[:500],
        LABELS[:500],
    ),
    "bytes as they are, normalized by batch": lambda: (
        conv(BatchNormalization()),
        SPARSE,
        IMAGES[:500, ..., None],
        LABELS[:500],
    ),
    "bytes, normalized by batch": lambda: (
        conv(Rescaling(1 / 255), BatchNormalization()),
        SPARSE,
        IMAGES[:500, ..., None],
        LABELS[:500],
    ),
    "rows as steps": lambda: ([Input((28, 28)), GRU(8), Dense(10, "softmax")], SPARSE, X, Y),
    "two of the digits": lambda: (pictures(2), SPARSE, X[Y < 2], Y[Y < 2]),
    "autoencoder": lambda: (
        [Input((784,)), Dense(8, "relu"), Dense(784, "sigmoid")],
        "mse",
        FLAT,
        FLAT,
    ),
    "speech": lambda: ([Input((40, 13)), LSTM(8), Dense(10, "softmax")], SPARSE, *spoken()),
    "speech, flat": lambda: (
        table(520, 10),
        SPARSE,
        spoken()[0].reshape(600, -1),
        spoken()[1],
    ),
    "sentences": lambda: (
        [Embedding(1500, 4, mask_zero=True), GlobalAveragePooling1D(), Dense(1, "sigmoid")],
        BINARY,
        *reviews(output_sequence_length=30),
    ),
    "bags of words": lambda: (
        [Input((1500,)), Dense(1, "sigmoid")],
        BINARY,
        *reviews(output_mode="multi_hot"),
    ),
    "table": lambda: (table(8), SPARSE, rows(400, 8), classes(400)),
    "one deciding column": lambda: (
        table(6, 2),
        SPARSE,
        rows(800, 6),
        (rows(800, 6)[:, 0] > 0).astype(int),
    ),
    "a rare category": lambda: (
        table(15),
        SPARSE,
        np.c_[np.eye(12)[classes(500, 11)], rows(500, 3)],
        classes(500),
    ),
    "a column of zeros and ones": lambda: (
        table(4),
        SPARSE,
        np.c_[rows(400, 3), classes(400, 2, 3)],
        classes(400),
    ),
    "a normalizing layer": lambda: (
        [Input((4,)), _adapted(rows(300, 4) * 900), Dense(3, "softmax")],
        SPARSE,
        rows(300, 4) * 900,
        classes(300),
    ),
    "regression": lambda: (
        [Input((6,)), Dense(8, "relu"), Dense(1)],
        "mse",
        rows(500, 6),
        rows(500, 6) @ np.ones(6),
    ),
    "next characters": lambda: (
        [Embedding(40, 4), GRU(4, return_sequences=True), Dense(40, "softmax")],
        SPARSE,
        classes((200, 12), 40),
        classes((200, 12), 40, 2),
    ),
    "one token decides": lambda: (
        [Embedding(8, 4), GRU(4), Dense(8, "softmax")],
        SPARSE,
        classes((400, 6), 8),
        classes((400, 6), 8)[:, 2],
    ),
    "a long tail": lambda: (
        table(6, 11),
        SPARSE,
        rows(900, 6),
        np.random.default_rng(2).binomial(10, 0.5, 900),
    ),
    "one in nine": lambda: (
        table(6, 2),
        SPARSE,
        rows(540, 6),
        (np.arange(540) % 9 == 0).astype(int),
    ),
    "one in five": lambda: (
        table(6, 2),
        SPARSE,
        rows(500, 6),
        (np.arange(500) % 5 == 0).astype(int),
    ),
}


def _adapted(x):
    layer = Normalization()
    layer.adapt(x)
    return layer


@pytest.mark.parametrize("name", HEALTHY)
def test_data_as_they_should_be_are_left_alone(name):
    assert before(*HEALTHY[name]()) == {}


def scaled(factor, offset=0.0):
    return (pictures(), SPARSE, X * np.float32(factor) + np.float32(offset), Y)


def column(j, values, n=600, d=8):
    x = rows(n, d)
    x[:, j] = values
    return x


def silenced():
    x = spoken()[0].copy()
    x[..., 4] = 0.0
    return x


LEAK = classes(600)
# Each with the change that is advised, if a program can make it.
PLANTED = {
    "bytes": ("input_not_normalized", scaled(255), {"x": "divide by 255"}),
    "bytes for convolutions": (
        "input_not_normalized",
        (conv(), SPARSE, IMAGES[:300, ..., None], LABELS[:300]),
        {"x": "divide by 255"},
    ),
    "divided twice": ("input_not_normalized", scaled(1 / 255), {"x": "standardize"}),
    "far from 0": ("input_not_normalized", scaled(0.01, 5.0), {"x": "standardize"}),
    "a column of years": (
        "input_not_normalized",
        (table(8), SPARSE, column(2, 2000 + classes(600, 20)), classes(600)),
        {"x": "standardize"},
    ),
    "speech as it is": (
        "input_not_normalized",
        ([Input((40, 13)), LSTM(8), Dense(10, "softmax")], SPARSE, *spoken(False)),
        {"x": "standardize"},
    ),
    "constant": (
        "constant_feature",
        (table(8), SPARSE, column(3, 4.0), classes(600)),
        {"x": "remove columns", "columns": [3]},
    ),
    "constant 0": (
        "constant_feature",
        (table(8), SPARSE, column([0, 7], 0.0), classes(600)),
        {"x": "remove columns", "columns": [0, 7]},
    ),
    "a constant channel": (
        "constant_feature",
        (
            [Input((10, 4)), GRU(4), Dense(3, "softmax")],
            SPARSE,
            np.concatenate([rows(200, 30).reshape(200, 10, 3), np.ones((200, 10, 1))], -1),
            classes(200),
        ),
        {"x": "remove columns", "columns": [3]},
    ),
    "a channel of speech": (
        "constant_feature",
        ([Input((40, 13)), LSTM(8), Dense(10, "softmax")], SPARSE, silenced(), spoken()[1]),
        {"x": "remove columns", "columns": [4]},
    ),
    "empty": (
        "constant_feature",
        ([Input((10, 4)), GRU(4), Dense(3, "softmax")], SPARSE, np.zeros((200, 10, 4)),
         classes(200)),
        None,
    ),
    "one sentence": (
        "constant_feature",
        ([Embedding(9, 4), GlobalAveragePooling1D(), Dense(3, "softmax")], SPARSE,
         np.tile(np.arange(9), (60, 1)), classes(60)),
        None,
    ),
    "leaking": (
        "leaking_feature",
        (table(8), SPARSE, column(5, LEAK + 0.05 * rows(600, 1, 3)[:, 0]), LEAK),
        {"x": "remove columns", "columns": [5]},
    ),
    "leaking quantity": (
        "leaking_feature",
        ([Input((8,)), Dense(8, "relu"), Dense(1)], "mse", column(1, np.arange(600) / 200),
         np.exp(np.arange(600) / 300)),
        {"x": "remove columns", "columns": [1]},
    ),
    "a leaking pixel": (
        "leaking_feature",
        (table(784, 10), SPARSE, np.c_[Y / 9, FLAT[:, 1:]], Y),
        {"x": "remove columns", "columns": [0]},
    ),
    "one in twenty": (
        "labels_imbalanced",
        (table(8, 2), SPARSE, rows(600, 8), (np.arange(600) % 20 == 0).astype(int)),
        {"class_weight": {0: 0.5263, 1: 10.0}},
    ),
    "one class rare": (
        "labels_imbalanced",
        (table(8, 3), SPARSE, rows(610, 8), np.repeat([0, 1, 2], [300, 300, 10])),
        {"class_weight": {0: 0.6778, 1: 0.6778, 2: 20.3333}},
    ),
    "one-hot, imbalanced": (
        "labels_imbalanced",
        (table(8, 2), "categorical_crossentropy", rows(600, 8),
         np.eye(2)[(np.arange(600) % 20 == 0).astype(int)]),
        {"class_weight": {0: 0.5263, 1: 10.0}},
    ),
    "counted from 1": ("labels_out_of_range", (pictures(11), SPARSE, X, Y + 1), None),
    "one class": ("labels_out_of_range", (pictures(), SPARSE, X[Y == 3], Y[Y == 3]), None),
    "minus one": (
        "labels_out_of_range",
        ([Flatten(input_shape=(28, 28)), Dense(1, "sigmoid")], BINARY, X, 2 * TWO - 1),
        {"y": "scale"},
    ),
    "prices for a sigmoid": (
        "labels_out_of_range",
        ([Input((8,)), Dense(1, "sigmoid", name="out")], "mse", rows(200, 8), 5 * rows(200, 1)),
        {"layer": "out", "activation": "linear"},
    ),
    "negative for a relu": (
        "labels_out_of_range",
        ([Input((8,)), Dense(1, "relu", name="out")], "mae", rows(200, 8), rows(200, 1, 5)),
        {"layer": "out", "activation": "linear"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PLANTED)
def test_faults_in_data_are_named(name):
    kind, given, change = PLANTED[name]
    found = before(*given)
    assert set(found) == {kind}
    finding = found[kind]
    assert finding.layer is None and finding.change == change
    assert any(c.isdigit() for c in finding.evidence) and finding.remedy and finding.cause


def last(units, activation=None):
    return [Flatten(input_shape=(28, 28)), Dense(8, "relu"), Dense(units, activation, name="out")]


def logits(name):
    return getattr(losses, name)(from_logits=True)


FITTING = {
    "softmax": (last(10, "softmax"), SPARSE, Y),
    "softmax layer": ([*last(10), Softmax()], SPARSE, Y),
    "softmax activation": ([*last(10), Activation("softmax")], SPARSE, Y),
    "logits": (last(10), logits("SparseCategoricalCrossentropy"), Y),
    "one-hot": (last(10, "softmax"), "categorical_crossentropy", HOT),
    "log of softmax as logits": (
        last(10, "log_softmax"),
        logits("SparseCategoricalCrossentropy"),
        Y,
    ),
    "sigmoid": (last(1, "sigmoid"), BINARY, TWO),
    "binary logits": (last(1), logits("BinaryCrossentropy"), TWO),
    "several truths": (last(10, "sigmoid"), BINARY, HOT),
    "squares of sigmoids": (last(10, "sigmoid"), "mse", HOT),
    "hinge of tanh": (last(1, "tanh"), "hinge", TWO),
    "counts": (last(1, "exponential"), "poisson", Y),
    "numbers": (last(1), "mse", Y / 3),
    "hidden softmax": (
        [*last(10, "softmax")[:-1], Dense(8, "softmax"), Dense(10, "softmax")],
        SPARSE,
        Y,
    ),
}
MISFITS = {
    "linear": ("loss_mismatch", last(10), SPARSE, Y, {"activation": "softmax"}),
    "tanh": ("loss_mismatch", last(10, "tanh"), SPARSE, Y, {"activation": "softmax"}),
    "sigmoids": ("loss_mismatch", last(10, "sigmoid"), SPARSE, Y, {"activation": "softmax"}),
    "relu as logits": (
        "loss_mismatch",
        last(10, "relu"),
        logits("SparseCategoricalCrossentropy"),
        Y,
        {"activation": "linear"},
    ),
    "one-hot, linear": (
        "loss_mismatch",
        last(10),
        "categorical_crossentropy",
        HOT,
        {"activation": "softmax"},
    ),
    "binary, linear": ("loss_mismatch", last(1), BINARY, TWO, {"activation": "sigmoid"}),
    "binary, softmax": ("loss_mismatch", last(10, "softmax"), BINARY, HOT, None),
    "single softmax": ("loss_mismatch", last(1, "softmax"), BINARY, TWO, {"activation": "sigmoid"}),
    "squares of softmax": ("loss_mismatch", last(10, "softmax"), "mse", HOT, None),
    "hinge of sigmoid": ("loss_mismatch", last(1, "sigmoid"), "hinge", TWO, None),
    "divergence of sums": ("loss_mismatch", last(10), "kl_divergence", HOT, None),
    "logarithm of sums": ("loss_mismatch", last(1), "poisson", Y, {"activation": "exponential"}),
    "softmax as logits": (
        "softmax_with_logits",
        last(10, "softmax"),
        logits("SparseCategoricalCrossentropy"),
        Y,
        None,
    ),
    "sigmoid as logits": (
        "softmax_with_logits",
        last(1, "sigmoid"),
        logits("BinaryCrossentropy"),
        TWO,
        None,
    ),
    "twice": (
        "softmax_twice",
        [*last(10, "softmax")[:-1], Dense(10, "softmax"), Softmax(name="out")],
        SPARSE,
        Y,
        {"activation": "linear"},
    ),
}


@pytest.mark.parametrize("name", FITTING)
def test_losses_that_fit_the_last_layer_are_left_alone(name):
    layers, loss, y = FITTING[name]
    assert before(layers, loss, X, y) == {}


@pytest.mark.parametrize("name", MISFITS)
def test_losses_that_do_not_fit_are_named_with_the_layer(name):
    kind, layers, loss, y, change = MISFITS[name]
    found = before(layers, loss, X, y)
    assert set(found) == {kind}
    assert found[kind].layer == "out"
    assert change is None or found[kind].change == {"layer": "out", **change}


def test_a_convolution_can_be_the_last_layer():
    layers = [Input((28, 28, 1)), Conv2D(10, 28, name="out"), Flatten()]
    assert before(layers, SPARSE, X[..., None], Y)["loss_mismatch"].layer == "out"
    layers = [Input((28, 28, 1)), Conv2D(10, 28), Flatten(), Softmax()]
    assert before(layers, SPARSE, X[..., None], Y) == {}


def test_the_bound_of_two_softmaxes_is_reached_by_the_best_inputs():
    case = case_of([*last(10, "softmax")[:-1], Dense(10, "softmax"), Softmax()], SPARSE, X, Y)
    found = before([*last(10, "softmax"), Softmax(name="again")], SPARSE, X, Y)
    best = Softmax()(np.eye(10)[:1].astype("float32")).numpy().max()
    assert found["softmax_twice"].numbers["most"] == pytest.approx(best)
    assert case.simple


def test_small_batches_count_where_they_are_normalized_by():
    normalized = [Input((8,)), Dense(8), BatchNormalization(name="norm"), Dense(3, "softmax")]
    for size, ill in ((1, True), (2, True), (7, True), (8, False), (32, False)):
        found = before(normalized, SPARSE, rows(200, 8), classes(200), batch_size=size)
        assert set(found) == ({"batch_too_small"} if ill else set())
        assert not ill or found["batch_too_small"].layer == "norm"
    assert before(table(8), SPARSE, rows(200, 8), classes(200), batch_size=1) == {}
    frozen = [Input((8,)), BatchNormalization(trainable=False), Dense(3, "softmax")]
    assert before(frozen, SPARSE, rows(200, 8), classes(200), batch_size=2) == {}


def test_weights_of_samples_are_a_remedy_for_rare_classes():
    y = (np.arange(600) % 20 == 0).astype(int)
    weights = np.where(y, 20.0, 1.0)
    assert before(table(8, 2), SPARSE, rows(600, 8), y, weights=weights) == {}


def test_a_column_that_is_constant_in_the_sample_only_is_none():
    x = column(3, 1.0, n=4 * MOST)
    drawn = rows_from(4 * MOST, MOST)
    x[np.setdiff1d(np.arange(4 * MOST), drawn)[0], 3] = 0.0
    assert before(table(8), SPARSE, x, classes(4 * MOST)) == {}


def test_samples_are_drawn_from_labels_in_turns():
    drawn = rows_from(100_000, MOST)
    assert len(drawn) == MOST and len(np.unique(drawn)) == MOST
    assert np.bincount(drawn % 50).min() > 10
    assert np.array_equal(drawn, rows_from(100_000, MOST))


def test_what_reaches_the_weights_is_found_behind_layers_without_any():
    case = case_of(conv(Rescaling(1 / 255)), SPARSE, IMAGES[:100, ..., None], LABELS[:100])
    (entry,) = entries_of(case)
    (values,) = case.values([entry.value])
    assert entry.layer is not None and entry.layer.startswith("conv2d")
    assert values.max() == pytest.approx(1.0)
    tokens = [Embedding(9, 4), GlobalAveragePooling1D(), Dense(3, "softmax")]
    assert entries_of(case_of(tokens, SPARSE, classes((60, 5), 9), classes(60))) == []


def test_batch_normalization_of_the_samples_counts_where_it_is_trained():
    frozen = conv(BatchNormalization(trainable=False))
    found = before(frozen, SPARSE, IMAGES[:500, ..., None], LABELS[:500])
    assert list(found) == ["input_not_normalized"]
    layers = [Input((8,)), BatchNormalization(), *last(3, "softmax")]
    found = before(layers, SPARSE, column(2, np.full(600, 3.0)), classes(600))
    assert list(found) == ["constant_feature"]


def test_a_single_column_that_is_too_large_is_named():
    x = column(3, 20_000 + 5_000 * np.arange(600) / 600)
    found = before(table(8), SPARSE, x, classes(600))["input_not_normalized"]
    assert "feature 3 has a quadratic mean of" in found.evidence and found.numbers["column"] == 3
    found = before(table(8), SPARSE, 50 * rows(600, 8), classes(600))["input_not_normalized"]
    assert "feature" not in found.evidence


def test_looking_changes_nothing():
    layers = [Input((8,)), Dense(8), BatchNormalization(), Dense(3, "softmax")]
    case = case_of(layers, SPARSE, rows(200, 8), classes(200))
    held = [w.copy() for w in case.model.get_weights()]
    before(layers, SPARSE, rows(200, 8), classes(200))
    case.predicted()
    assert all(np.array_equal(a, b) for a, b in zip(held, case.model.get_weights(), strict=True))


class Own(Model):
    """A model with a step of its own."""

    def __init__(self):
        super().__init__()
        self.out = Dense(1)

    def call(self, inputs):
        return self.out(inputs)

    def train_step(self, data):
        return super().train_step(data)


def test_models_that_cannot_be_looked_into_get_no_findings():
    model = Own()
    model.compile("sgd", "mse")
    batches = model._collect_targets("fit", 300 * rows(60, 4), rows(60, 1))
    model._build_for(batches.x)
    case = Case.of_batches(model._trainer, batches)
    assert case.traced.outputs == [] and not case.simple
    assert before_training(case) == []


def test_models_with_several_outputs_are_left_alone():
    a, b = Input((4,)), Input((4,))
    model = Model([a, b], [Dense(2, name="p")(a), Dense(1, name="q")(b)])
    model.compile("sgd", {"p": SPARSE, "q": "mse"})
    targets = {"p": classes(60, 2), "q": rows(60, 1)}
    batches = model._collect_targets("fit", [rows(60, 4), rows(60, 4)], targets)
    case = Case.of_batches(model._trainer, batches)
    assert not case.simple and before_training(case) == []
