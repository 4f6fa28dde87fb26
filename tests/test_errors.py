"""The texts of errors: what, where, and what would be right; and the model survives each."""

import numpy as np
import pytest

from chainrule.data.arrays import as_numbers
from chainrule.errors import ArgumentError, ChainruleError, DataError, NotBuiltError, ShapeError
from chainrule.layers import Dense, Input
from chainrule.models import Sequential

X, Y = np.zeros((10, 4), "float32"), np.arange(10) % 3


def network(loss="sparse_categorical_crossentropy", units=3):
    layers = [Input((4,)), Dense(8, activation="relu", name="hidden"), Dense(units, name="out")]
    model = Sequential(layers)
    model.compile(optimizer="sgd", loss=loss, metrics=["mae"] if loss == "mse" else None)
    return model


def holed(row, value=np.nan, dtype="float32"):
    x = X.astype(dtype)
    x[row, 2] = value
    return x


def with_label(value, dtype=int):
    y = Y.astype(dtype)
    y[6] = value
    return y


TEXTS = {
    "lengths": (
        lambda m: m.fit(X[:9], Y),
        DataError,
        "fit needs one row a sample in each array, but x has 9, y has 10.\n"
        "  x      : [9, 4]\n"
        "  y      : [10]",
    ),
    "length of weights": (
        lambda m: m.fit(X, Y, sample_weight=np.ones(3)),
        DataError,
        "fit needs one row a sample in each array, "
        "but x has 10, y has 10, sample_weight has 3.\n"
        "  x      : [10, 4]\n"
        "  y      : [10]\n"
        "  sample_weight: [3]",
    ),
    "empty": (
        lambda m: m.fit(X[:0], Y[:0]),
        DataError,
        "x is empty: fit needs at least one sample.",
    ),
    "object": (
        lambda m: m.fit(np.array([["a"] * 4] * 10, object), Y),
        DataError,
        "x has dtype object; expected numbers.\n"
        "  x  : [10, 4], its first element is 'a'\n"
        "  fix: encode text first, e.g. with TextVectorization or StringLookup as first layer",
    ),
    "text": (
        lambda m: m.predict([["a", "b"]]),
        DataError,
        "x has dtype <U1; expected numbers.\n"
        "  x  : [1, 2], its first element is np.str_('a')\n"
        "  fix: encode text first, e.g. with TextVectorization or StringLookup as first layer",
    ),
    "complex": (
        lambda m: m.predict(X.astype(complex)),
        DataError,
        "x has dtype complex128; expected numbers.\n"
        "  x  : [10, 4], its first element is np.complex128(0j)",
    ),
    "number": (
        lambda m: m.predict(3.0),
        DataError,
        "x is a single number; expected an array with a row for each sample.",
    ),
    "nan": (
        lambda m: m.fit(holed(7), Y, batch_size=3),
        DataError,
        "x is nan in row 7, column 2.\n"
        "  x  : [10, 4]   the data given to fit\n"
        "  fix: remove such rows, or fill in what is missing, before training",
    ),
    "infinite": (
        lambda m: m.evaluate(holed(9, -np.inf), Y),
        DataError,
        "x is -inf in row 9, column 2.\n"
        "  x  : [10, 4]   the data given to evaluate\n"
        "  fix: remove such rows, or fill in what is missing, before training",
    ),
    "overflow": (
        lambda m: m.fit(holed(1, 1e300, "float64"), Y),
        DataError,
        "x is 1e+300, which does not fit float32, in row 1, column 2.\n"
        "  x  : [10, 4]   the data given to fit\n"
        "  fix: remove such rows, or fill in what is missing, before training",
    ),
    "nan in the validation part": (
        lambda m: m.fit(holed(8), Y, validation_split=0.3),
        DataError,
        "x is nan in row 8, column 2.\n"
        "  x  : [10, 4]   the data given to fit\n"
        "  fix: remove such rows, or fill in what is missing, before training",
    ),
    "nan in the weights": (
        lambda m: m.fit(X, Y, sample_weight=np.where(Y == 2, np.nan, 1), shuffle=False),
        DataError,
        "sample_weight is nan in row 2.\n"
        "  sample_weight: [10]   the data given to fit\n"
        "  fix: remove such rows, or fill in what is missing, before training",
    ),
    "label": (
        lambda m: m.fit(X, with_label(3), batch_size=4),
        DataError,
        "label 3 in row 6 of y is not one of the classes.\n"
        "  expected: whole numbers from 0 to 2\n"
        "  because : the model's last layer has 3 outputs, one a class\n"
        "  fix     : give the last layer 4 units, or number the labels from 0",
    ),
    "negative label": (
        lambda m: m.fit(X, with_label(-1)),
        DataError,
        "label -1 in row 6 of y is not one of the classes.\n"
        "  expected: whole numbers from 0 to 2\n"
        "  because : the model's last layer has 3 outputs, one a class",
    ),
    "label between": (
        lambda m: m.train_on_batch(X, with_label(1.5, float)),
        DataError,
        "label 1.5 in row 6 of y is not one of the classes.\n"
        "  expected: whole numbers from 0 to 2\n"
        "  because : the model's last layer has 3 outputs, one a class",
    ),
    "width": (
        lambda m: m.fit(np.zeros((10, 5), "float32"), Y),
        ShapeError,
        None,
    ),
    "one-hot for a sparse loss": (
        lambda m: m.fit(X, np.eye(3)[Y]),
        ShapeError,
        "the targets do not fit what the model puts out, "
        "for the loss 'sparse_categorical_crossentropy'.\n"
        "  y      : [n, 3] float64\n"
        "  output : [n, 3] float32\n"
        "  fix    : y is one-hot: use the loss 'categorical_crossentropy'",
    ),
    "no targets": (lambda m: m.fit(X), DataError, "fit needs targets: pass y"),
    "batch_size": (
        lambda m: m.fit(X, Y, batch_size=0),
        ArgumentError,
        "batch_size is 0; expected an integer of at least 1",
    ),
    "batch_size as float": (
        lambda m: m.fit(X, Y, batch_size=2.5),
        ArgumentError,
        "batch_size is 2.5; expected an integer of at least 1",
    ),
    "epochs": (
        lambda m: m.fit(X, Y, epochs=-1),
        ArgumentError,
        "epochs is -1; expected an integer of at least 0",
    ),
    "validation_split": (
        lambda m: m.fit(X, Y, validation_split=1.5),
        ArgumentError,
        "validation_split is 1.5; expected 0 <= split < 1",
    ),
    "validation_data": (
        lambda m: m.fit(X, Y, validation_data=X),
        ArgumentError,
        "validation_data must be (x, y) or (x, y, sample_weight), not ndarray",
    ),
    "class_weight": (
        lambda m: m.fit(X, Y, class_weight={"a": 1}),
        ArgumentError,
        "class_weight must map class numbers (0, 1, ...) to weights of at least 0, "
        "e.g. {0: 1.0, 1: 5.0}; it is {'a': 1}",
    ),
}


@pytest.mark.parametrize("name", TEXTS)
def test_texts(name):
    call, kind, text = TEXTS[name]
    model = network()
    before = model.get_weights()
    with pytest.raises(kind) as caught:
        call(model)
    assert isinstance(caught.value, ChainruleError)
    if text is not None:
        assert str(caught.value) == text
    for a, b in zip(before, model.get_weights(), strict=True):
        assert np.array_equal(a, b)
    model.fit(X, Y, verbose=0)


def test_width_says_layer_axis_and_where_the_data_came_from():
    with pytest.raises(ShapeError) as caught:
        network().fit(np.zeros((10, 5), "float32"), Y, verbose=0)
    lines = str(caught.value).splitlines()
    assert lines[0] == (
        "in layer 'hidden' (Dense, 8 units): axis `k` is 5 in x but 4 in the kernel."
    )
    assert lines[1].split() == ["x", ":", "[n=10,", "k=5]", "the", "data", "given", "to", "fit"]
    assert lines[2].strip().startswith("kernel : [k=4, m=8]")


def test_class_numbers_for_a_loss_of_vectors():
    with pytest.raises(ShapeError, match="'sparse_categorical_crossentropy'"):
        network("categorical_crossentropy").fit(X, Y, verbose=0)
    with pytest.raises(ShapeError, match="give the last layer 2 units"):
        network("mse").fit(X, np.zeros((10, 2)), verbose=0)


def test_nan_in_targets():
    with pytest.raises(DataError, match=r"^y is nan in row 3\."):
        network("mse", 1).fit(X, np.where(np.arange(10) == 3, np.nan, 0.0), verbose=0)


def test_nan_in_an_image():
    model = Sequential([Input((2, 2)), Dense(1)])
    model.compile("sgd", "mse")
    x = np.zeros((5, 2, 2))
    x[4, 1, 0] = np.nan
    with pytest.raises(DataError, match=r"^x is nan in row 4, at \[1, 0\]\."):
        model.fit(x, np.zeros((5, 2, 1)), verbose=0)


@pytest.mark.parametrize("batch_size", [1, 3, 10])
@pytest.mark.parametrize("row", [0, 5, 9])
def test_the_row_is_the_users_also_when_shuffled(row, batch_size):
    with pytest.raises(DataError, match=f"row {row},"):
        network().fit(holed(row), Y, batch_size=batch_size, verbose=0)


def test_names_that_do_not_exist():
    with pytest.raises(ArgumentError, match=r"'adamm'; did you mean 'adam'\?"):
        network().compile(optimizer="adamm", loss="mse")
    with pytest.raises(ArgumentError, match=r"'softmaxx'; did you mean 'softmax'\?"):
        Dense(3, activation="softmaxx")
    with pytest.raises(ArgumentError, match=r"'msee'; did you mean 'mse'\?"):
        network().compile(loss="msee")


def test_a_refused_compile_leaves_the_old_one():
    model = network()
    optimizer = model.optimizer
    with pytest.raises(ArgumentError):
        model.compile(optimizer="sgd", loss="msee")
    assert model.optimizer is optimizer
    with pytest.raises(ArgumentError, match=r"'acuracy'; did you mean 'accuracy'\?"):
        model.compile(optimizer="adam", loss="mse", metrics=["acuracy"])
    assert model.optimizer is optimizer


def test_before_compile():
    model = Sequential([Input((4,)), Dense(3)])
    for call in (model.fit, model.evaluate, model.train_on_batch, model.test_on_batch):
        with pytest.raises(NotBuiltError, match="compile"):
            call(X, Y)


def test_a_nan_is_predicted_in_its_own_row_only():
    predicted = network().predict(holed(3), verbose=0)
    assert np.isnan(predicted[3]).all() and np.isfinite(np.delete(predicted, 3, 0)).all()


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ([[1, 2], [3]], "could not be made an array"),
        ((i for i in range(3)), "dtype object"),
        ([None, 1.0], "dtype object"),
        (np.array(["2020-01-01"], "datetime64[D]"), r"dtype datetime64\[D\]"),
        (np.array([2**63], "uint64"), "int64"),
    ],
)
def test_what_is_no_array_of_numbers(data, text):
    with pytest.raises(DataError, match=text):
        as_numbers(data)
