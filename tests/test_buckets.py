"""Sequences of different lengths: padded, cut, batched by length; vectors of words from files."""

import gzip
import os
import random

import numpy as np
import pytest

from chainrule import callbacks, ops
from chainrule.data.ragged import best_boundaries
from chainrule.errors import ArgumentError, DataError, FileError, ShapeError
from chainrule.layers import Dense, Layer, TextVectorization
from chainrule.models import Sequential
from chainrule.preprocessing.sequence import pad_sequences as older
from chainrule.utils import bucket_by_length, load_vectors, pad_sequences, set_random_seed
from peers import peer

CASES = int(os.environ.get("CHAINRULE_CASES", "60"))


def test_padding_as_keras():
    draw = random.Random(0)
    numbers = np.random.default_rng(0)
    keras = peer("keras")
    for _ in range(CASES):
        shape = draw.choice([(), (), (2,), (2, 3)])
        sizes = [draw.randint(0, 7) for _ in range(draw.randint(1, 6))]
        given = [9 * numbers.random((size, *shape)) for size in sizes]
        given = [s.tolist() for s in given] if draw.random() < 0.5 else given
        options = {
            "maxlen": draw.choice([None, None, 1, 3, 9]),
            "dtype": draw.choice(["int32", "float32", "int64", object]),
            "padding": draw.choice(["pre", "post"]),
            "truncating": draw.choice(["pre", "post"]),
            "value": draw.choice([0.0, -1, 7]),
        }
        expected = keras.utils.pad_sequences(given, **options)
        found = pad_sequences(given, **options)
        assert found.dtype == expected.dtype and np.array_equal(found, expected), options


def test_padding_of_words_and_of_nothing():
    words = pad_sequences([["a", "bc"], ["d"]], dtype=object, value="-")
    assert words.tolist() == [["a", "bc"], ["-", "d"]]
    assert pad_sequences([[1, 2], [3]], maxlen=0).shape == (2, 0)
    assert pad_sequences([[], []], maxlen=2).tolist() == [[0, 0], [0, 0]]
    assert pad_sequences([], maxlen=2).shape == (0, 2)
    assert older is pad_sequences


@pytest.mark.parametrize(
    ("given", "options", "kind", "message"),
    [
        ([[1]], {"padding": "front"}, ArgumentError, "padding is 'pre' or 'post'"),
        ([[1]], {"truncating": "x"}, ArgumentError, "truncating is 'pre' or 'post'"),
        ([[1]], {"maxlen": -1}, ArgumentError, "maxlen is -1"),
        ([[1]], {"value": "x"}, ArgumentError, "give dtype=object"),
        ([], {}, DataError, "give maxlen"),
        ([1, 2], {}, DataError, "sequence 0 is 1, which is no sequence"),
        ("text", {}, DataError, "a list or an array, not str"),
        ([["a"]], {}, DataError, "sequence 0 cannot be made int32"),
        ([[[1, 2]], [[1, 2, 3]]], {}, ShapeError, "sequence 1 have shape"),
    ],
)
def test_padding_of_what_is_wrong(given, options, kind, message):
    with pytest.raises(kind, match=message):
        pad_sequences(given, **options)


class Total(Layer):
    """The sum over time, which padding with zeros does not change."""

    def call(self, x):
        return ops.sum(x, axis=1)


def some(count=203, seed=0):
    draw = np.random.default_rng(seed)
    lengths = draw.integers(0, 60, count)
    x = [draw.normal(size=(n, 3)).astype("float32") for n in lengths]
    return x, np.array([s.sum() for s in x], "float32")


def model_of(loss="mse"):
    set_random_seed(3)
    model = Sequential([Total(), Dense(1)])
    model.compile("adam", loss)
    return model


def test_each_sequence_is_visited_once_in_each_epoch_in_few_widths():
    x, _ = some()
    data = bucket_by_length(x, np.arange(203), batch_size=16)
    assert len(data.boundaries) <= 6 and data.padding_share < 0.15
    for key in (None, (1, 0), (1, 1)):
        batches = data.batches(16, key)
        assert len(batches) == -(-203 // 16)
        assert [len(batch.rows) for batch in batches] == [16] * 12 + [11]
        assert sorted(np.concatenate([b.rows for b in batches])) == list(range(203))
        for batch in batches:
            assert max(data.x.lengths[batch.rows]) <= batch.width
    keys = [data.key(1, epoch, True) for epoch in (0, 1)]
    orders = [np.concatenate([b.rows for b in data.batches(16, key)]) for key in keys]
    assert not np.array_equal(*orders)
    assert (
        data.key(1, 2, False) is None and bucket_by_length(x, shuffle=False).key(1, 2, True) is None
    )
    assert bucket_by_length(x, seed=9).key(1, 2, True) == (9, 2)


def test_fit_evaluate_and_predict_as_padded_arrays():
    x, y = some()
    padded = pad_sequences(x, dtype="float32")
    data = bucket_by_length(x, y, batch_size=16)
    model = model_of()
    model.fit(data, epochs=2, validation_split=0.2, verbose=0)
    assert np.allclose(model.evaluate(data, verbose=0), model.evaluate(padded, y, verbose=0))
    expected = model.predict(padded, verbose=0)
    assert np.allclose(model.predict(data, verbose=0), expected, atol=1e-4)
    assert np.allclose(model.predict(bucket_by_length(x), verbose=0), expected, atol=1e-4)


def test_a_gradient_step_over_all_is_that_of_padded_arrays():
    x, y = some(40)
    one = model_of()
    one.fit(bucket_by_length(x, y, boundaries=1), batch_size=40, verbose=0)
    other = model_of()
    other.fit(pad_sequences(x, dtype="float32", padding="post"), y, batch_size=40, verbose=0)
    for a, b in zip(one.get_weights(), other.get_weights(), strict=True):
        assert np.allclose(a, b, atol=1e-6)


def test_steps_of_epochs_and_of_validation():
    x, y = some(100)
    data = bucket_by_length(x, y, batch_size=10)
    model = model_of()
    history = model.fit(
        data, epochs=3, steps_per_epoch=7, validation_data=data, validation_steps=2, verbose=0
    ).history
    assert len(history["val_loss"]) == 3
    one_hot = bucket_by_length([[1], [2, 3]], [[0, 1], [1, 0]])
    assert sorted(map(tuple, next(iter(one_hot))[1].tolist())) == [(0, 1), (1, 0)]


def test_sample_weights_and_classes():
    x, y = some(64)
    weights = np.linspace(0, 1, 64)
    data = bucket_by_length(x, y, 16, sample_weight=weights)
    model = model_of()
    padded = pad_sequences(x, dtype="float32")
    expected = model.evaluate(padded, y, sample_weight=weights, verbose=0)
    assert np.allclose(model.evaluate(data, verbose=0), expected, rtol=1e-5)
    whole, factors = bucket_by_length(x, (y > 0) * 1, 16), {0: 1.0, 1: 3.0}
    model.fit(whole, class_weight=factors, verbose=0)
    held = whole.split(0.25)[1]
    told = model.fit(whole, class_weight=factors, validation_split=0.25, verbose=0).history
    assert np.isclose(told["val_loss"][0], model.evaluate(held, verbose=0), rtol=1e-5)


def test_answers_for_each_step_come_in_order():
    x, _ = some()

    class Same(Layer):
        def call(self, x):
            return 2.0 * x

    found = Sequential([Same()]).predict(bucket_by_length(x, batch_size=16), verbose=0)
    assert found.shape == (203, max(map(len, x)), 3)
    for row, given in zip(found, x, strict=True):
        assert np.array_equal(row[: len(given)], 2 * given) and not row[len(given) :].any()


def test_targets_for_each_step_are_padded_alike():
    x, _ = some(20)
    data = bucket_by_length(x, [s[:, :1] for s in x], batch_size=5, maxlen=30)
    for inputs, targets in data:
        assert np.array_equal(inputs[..., :1], targets)
    model = Sequential([Dense(1)])
    model.compile("sgd", "mse")
    model.fit(data, verbose=0)


class Ends(callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        if batch == 5 and self.epochs:
            raise KeyboardInterrupt

    def on_epoch_end(self, epoch, logs=None):
        self.epochs += 1

    epochs = 0


def test_a_run_that_is_resumed_ends_with_the_same_bits(tmp_path):
    x, y = some()

    def data():
        return bucket_by_length(x, y, batch_size=16)

    whole = model_of()
    whole.fit(data(), epochs=3, verbose=0)
    backup = callbacks.BackupAndRestore(tmp_path / "backup", save_freq=2)
    with pytest.raises(KeyboardInterrupt):
        model_of().fit(data(), epochs=3, verbose=0, callbacks=[backup, Ends()])
    resumed = model_of()
    backup = callbacks.BackupAndRestore(tmp_path / "backup", save_freq=2)
    resumed.fit(data(), epochs=3, verbose=0, callbacks=[backup])
    for a, b in zip(whole.get_weights(), resumed.get_weights(), strict=True):
        assert np.array_equal(a, b)


def test_texts_by_length():
    layer = TextVectorization(ragged=True)
    texts = ["a b c d", "", "a", "b b"]
    layer.adapt(texts)
    data = bucket_by_length(layer(texts), [0, 1, 2, 3], boundaries=[1, 4], batch_size=2)
    found = [(x.tolist(), y.tolist()) for x, y in data]
    assert found[0] == ([[0], layer(["a"])[0].tolist()], [1, 2]) and len(found[1][0][0]) == 4
    front = bucket_by_length([[1, 2, 3], [4]], maxlen=2, padding="pre", truncating="pre", value=9)
    assert sorted(next(iter(front)).tolist()) == [[2, 3], [9, 4]]


@pytest.mark.parametrize(
    ("make", "kind", "message"),
    [
        (lambda: bucket_by_length([]), DataError, "there are no sequences"),
        (lambda: bucket_by_length(["abc"]), DataError, "number 0 is 'abc'"),
        (lambda: bucket_by_length([1, 2]), DataError, "number 0 is 1"),
        (lambda: bucket_by_length([["a"]]), DataError, "expected numbers"),
        (lambda: bucket_by_length([[[1, 2]], [[1]]]), ShapeError, "different shapes"),
        (lambda: bucket_by_length([[1], [2]], [1]), DataError, "2 sequences, but 1 targets"),
        (lambda: bucket_by_length([[[1], [2, 3]]]), DataError, r"sequences\[0\] is of type list"),
        (lambda: bucket_by_length([[1], [2]], [[1, 2], [1]]), DataError, "of other lengths"),
        (lambda: bucket_by_length([np.array(1)]), DataError, "number 0 is array"),
        (lambda: bucket_by_length([[1]], [1], 0), ArgumentError, "batch_size is 0"),
        (lambda: bucket_by_length([[1]], boundaries=[2, 2]), ArgumentError, "that rise"),
        (lambda: bucket_by_length([[1]], boundaries=0), ArgumentError, "boundaries is 0"),
        (lambda: bucket_by_length([[1]], padding="x"), ArgumentError, "padding is"),
        (lambda: bucket_by_length([[1]], sample_weight=[1, 2]), DataError, "for each of the 1"),
    ],
)
def test_buckets_of_what_is_wrong(make, kind, message):
    with pytest.raises(kind, match=message):
        make()


def test_calls_that_do_not_fit_buckets():
    x, y = some(20)
    model = model_of()
    data = bucket_by_length(x, y, batch_size=4)
    with pytest.raises(ArgumentError, match=r"batch_size is 8 here, but 4 in bucket_by_length"):
        model.fit(data, batch_size=8, verbose=0)
    with pytest.raises(ArgumentError, match="y must not be given beside a Buckets"):
        model.fit(data, y, verbose=0)
    with pytest.raises(ArgumentError, match="leave out steps"):
        model.predict(data, steps=1, verbose=0)
    with pytest.raises(DataError, match="pass y"):
        model.fit(bucket_by_length(x), verbose=0)
    long = int(np.argmax([len(s) for s in x]))
    x[long][2] = np.nan
    with pytest.raises(DataError, match=f"sequence {long}"):
        model.fit(bucket_by_length(x, y, shuffle=False), verbose=0)


def test_boundaries_are_the_best():
    draw = np.random.default_rng(1)
    lengths = draw.integers(1, 12, 30)

    def waste(bounds):
        return sum(min(b for b in bounds if b >= n) - n for n in lengths)

    top = int(lengths.max())
    values = sorted(set(lengths.tolist()))[:-1]
    best = min(waste([a, b, top]) for a in values for b in values if a < b)
    assert waste(best_boundaries(lengths, 3)) == best
    assert best_boundaries(lengths, [3, 5, 99]) == [3, 5, 99]
    assert best_boundaries(lengths, [3, 5]) == [3, 5, top]
    assert best_boundaries(np.full(5, 7), None) == [7]
    many = draw.integers(1, 5000, 20000)
    assert len(best_boundaries(many, None)) == 6 and best_boundaries(many, None)[-1] == many.max()


VECTORS = "film 0.5 0 1\ngood 1 2 3 \nnew york 4 5 6\ngood 9 9 9\n"


@pytest.mark.parametrize("header", ["", "4 3\n"])
@pytest.mark.parametrize("packed", [False, True])
def test_vectors_in_all_formats(header, packed, tmp_path):
    path = tmp_path / ("v.vec.gz" if packed else "v.txt")
    content = (header + VECTORS).encode()
    path.write_bytes(gzip.compress(content) if packed else content)
    words = ["", "[UNK]", "good", "bad", "new york", "film"]
    matrix, found = load_vectors(path, words)
    assert matrix.dtype == np.float32 and found.tolist() == [False, False, True, False, True, True]
    assert matrix.tolist()[2:] == [[1, 2, 3], [0, 0, 0], [4, 5, 6], [0.5, 0, 1]]
    layer = TextVectorization(vocabulary=words[2:])
    assert np.array_equal(load_vectors(path, layer, dimensions=3)[0], matrix)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a 1 2\nb 1\n", "line 2: it has not 2 numbers behind a word\n  line : 'b 1'"),
        ("a 1 2\nb 1 x\n", "line 2: it holds what is no number"),
        ("a 1 2\nb 1 nan\n", "line 2: it holds what is no finite number"),
        ("a 1 2\n\nb 1 2\n", "line 2: it is empty"),
        ("3 2\na 1 2\nb 1 2\n", "ends after 2 vectors, but its first line says 3: it is cut off"),
        ("", "line 1: vectors are of 0 numbers"),
        ("2 2\na \0\x01\x02\n", "it looks binary"),
        ("a 1 2\n", "vectors are of 2 numbers, but dimensions=3"),
    ],
)
def test_vectors_that_are_malformed(content, message, tmp_path):
    path = tmp_path / "v.txt"
    path.write_text(content)
    with pytest.raises(FileError, match=message):
        load_vectors(path, ["b", "c"], 3 if "dimensions" in message else None)


def test_files_of_vectors_that_cannot_be_read(tmp_path):
    with pytest.raises(FileError, match="there is no file"):
        load_vectors(tmp_path / "none.txt", ["a"])
    path = tmp_path / "v.gz"
    path.write_bytes(gzip.compress(VECTORS.encode() * 99)[:-20])
    with pytest.raises(FileError, match="cannot read"):
        load_vectors(path, ["zzz"])
    for wrong in ("text", [], [1], 3):
        with pytest.raises(ArgumentError, match="vocabulary is a sequence of words"):
            load_vectors(path, wrong)
