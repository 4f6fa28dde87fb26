"""Texts as numbers: what users pass, tokens, vocabularies, hashes, subwords."""

import numpy as np
import pytest
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer

from chainrule import saving
from chainrule.datasets import movie_reviews
from chainrule.errors import (
    ArgumentError,
    DataError,
    FileError,
    GraphError,
    MissingDependencyError,
    NotBuiltError,
    ShapeError,
)
from chainrule.layers import Dense, Hashing, Input, TextVectorization, Tokenizer, text_tokenizer
from chainrule.models import Sequential, load_model

TEXTS = ["foo bar", "bar baz", "baz bada boom"]
GIVEN = [["foo qux bar"], ["qux baz"]]


def adapted(texts=TEXTS, **options):
    layer = TextVectorization(**options)
    layer.adapt(texts)
    return layer


# What Keras 3.15.1 with TensorFlow 2.21 gives for TEXTS and GIVEN.
KERAS = [
    (
        {"max_tokens": 5000, "output_sequence_length": 4},
        "|[UNK]|baz|bar|foo|boom|bada",
        [[4, 1, 3, 0], [1, 2, 0, 0]],
    ),
    ({}, "|[UNK]|baz|bar|foo|boom|bada", [[4, 1, 3], [1, 2, 0]]),
    (
        {"ngrams": 2},
        "|[UNK]|baz|bar|foo bar|foo|boom|baz bada|bar baz|bada boom|bada",
        [[5, 1, 3, 1, 1], [1, 2, 1, 0, 0]],
    ),
    (
        {"ngrams": (2, 1)},
        "|[UNK]|baz|bar|foo bar|foo|boom|baz bada|bar baz|bada boom|bada",
        [[1, 1, 5, 1, 3], [1, 1, 2, 0, 0]],
    ),
    ({"ngrams": (2,)}, "|[UNK]|foo bar|baz bada|bar baz|bada boom", [[1, 1], [1, 0]]),
    (
        {"split": "character"},
        "|[UNK]|b|a|o| |z|r|m|f|d",
        [[9, 4, 4, 5, 1, 1, 1, 5, 2, 3, 7], [1, 1, 1, 5, 2, 3, 6, 0, 0, 0, 0]],
    ),
    (
        {"output_mode": "multi_hot"},
        "[UNK]|baz|bar|foo|boom|bada",
        [[1, 0, 1, 1, 0, 0], [1, 1, 0, 0, 0, 0]],
    ),
    (
        {"output_mode": "tf_idf"},
        "[UNK]|baz|bar|foo|boom|bada",
        [[0.82703334, 0, 0.6931472, 0.91629076, 0, 0], [0.82703334, 0.6931472, 0, 0, 0, 0]],
    ),
    (
        {"output_mode": "tf_idf", "max_tokens": 4},
        "[UNK]|baz|bar|foo",
        [[0.76752836, 0, 0.6931472, 0.91629076], [0.76752836, 0.6931472, 0, 0]],
    ),
    (
        {"output_mode": "count", "max_tokens": 8, "pad_to_max_tokens": True},
        "[UNK]|baz|bar|foo|boom|bada",
        [[1, 0, 1, 1, 0, 0, 0, 0], [1, 1, 0, 0, 0, 0, 0, 0]],
    ),
    ({"max_tokens": 4}, "|[UNK]|baz|bar", [[1, 1, 3], [1, 2, 0]]),
    ({"split": None}, "|[UNK]|foo bar|baz bada boom|bar baz", [[1], [1]]),
]


@pytest.mark.parametrize(("options", "vocabulary", "expected"), KERAS, ids=lambda x: str(x)[:40])
def test_as_keras(options, vocabulary, expected):
    layer = adapted(**options)
    assert layer.get_vocabulary() == vocabulary.split("|")
    assert layer.vocabulary_size() == len(vocabulary.split("|"))
    found = layer(GIVEN)
    assert found.dtype == (np.int64 if layer.output_mode == "int" else np.float32)
    assert np.allclose(found, expected, rtol=1e-6)
    again = TextVectorization.from_config(layer.get_config())
    assert np.array_equal(again(GIVEN), found) and again.get_config() == layer.get_config()


@pytest.mark.parametrize(
    ("standardize", "expected"),
    [
        (None, "''|.|C|D|a|b|c|d|e-mail|it's|x|ÄHNLICH|Ähnlich|你好，世界！"),  # noqa: RUF001
        ("lower", "''|.|a|b|c|d|e-mail|it's|x|ähnlich|你好，世界！"),  # noqa: RUF001
        ("strip_punctuation", "C|D|a|b|c|d|email|its|x|ÄHNLICH|Ähnlich|你好，世界！"),  # noqa: RUF001
        ("lower_and_strip_punctuation", "a|b|c|d|email|its|x|ähnlich|你好，世界！"),  # noqa: RUF001
    ],
)
def test_cleaning(standardize, expected):
    """Capitals and spaces outside ASCII are such, as they are not in TensorFlow."""
    given = "Ähnlich ÄHNLICH a\u00a0b c\u3000d it's e-mail '' 你好，世界！ C\tD\nx ."  # noqa: RUF001
    layer = adapted([given], standardize=standardize)
    assert sorted(layer.get_vocabulary(include_special_tokens=False)) == expected.split("|")


def test_chinese_by_characters_and_pairs_of_them():
    layer = adapted(["你好世界", "你好"], split="character", ngrams=(2,), output_mode="count")
    assert layer.get_vocabulary() == ["[UNK]", "你 好", "好 世", "世 界"]
    assert layer(["你好 你好"]).tolist() == [[2.0, 2.0, 0.0, 0.0]]


def test_counts_as_scikit_learn():
    """The words of the reviews, counted by another program."""
    (texts, _), (others, _) = movie_reviews.load_data()
    texts, others = texts[:800], others[:200]

    def analyzer(text):
        return "".join(
            c for c in text.lower() if c.isalnum() or not c.isascii() or c == " "
        ).split()

    theirs = CountVectorizer(analyzer=analyzer).fit(texts)
    ours = adapted(texts, output_mode="count")
    words = ours.get_vocabulary(include_special_tokens=False)
    assert sorted(words) == theirs.get_feature_names_out().tolist()
    columns = [theirs.vocabulary_[word] for word in words]
    assert np.array_equal(ours(others)[:, 1:], theirs.transform(others).toarray()[:, columns])
    totals = theirs.transform(texts).toarray().sum(axis=0)[columns]
    assert np.array_equal(totals, np.sort(totals)[::-1])  # the most frequent first

    pairs = CountVectorizer(analyzer="word", token_pattern=r"\S+", ngram_range=(1, 2)).fit(texts)
    found = adapted(texts, standardize="lower", ngrams=2)
    assert sorted(found.get_vocabulary(False)) == pairs.get_feature_names_out().tolist()


def test_tf_idf_as_its_formula():
    """``count * log(1 + n / (1 + n_with))``, with the counts of scikit-learn."""
    texts = ["a a b", "b c", "b d d d"]
    theirs = TfidfVectorizer(token_pattern=r"\S+", use_idf=False, norm=None).fit(texts)
    counts = theirs.transform(texts).toarray()
    expected = counts * np.log(1 + 3 / (1 + (counts > 0).sum(axis=0)))
    ours = adapted(texts, output_mode="tf_idf")
    columns = [theirs.vocabulary_[word] for word in ours.get_vocabulary(False)]
    assert np.allclose(ours(texts)[:, 1:], expected[:, columns], rtol=1e-6)


def test_texts_of_all_kinds():
    layer = adapted()
    expected = layer(["foo bar", "baz"])
    for given in (
        np.array(["foo bar", "baz"]),
        np.array(["foo bar", "baz"], object),
        [["foo bar"], ["baz"]],
        (b"foo bar", b"baz"),
        np.array([b"foo bar", b"baz"]),
        [np.str_("foo bar"), "baz"],
        np.array(["foo bar", "baz"], np.dtypes.StringDType()),
    ):
        assert np.array_equal(layer(given), expected)
    assert layer("foo bar").tolist() == expected[0].tolist()
    assert TextVectorization(vocabulary=["é"], encoding="latin-1")([b"\xe9"]).tolist() == [[2]]
    assert layer([[["foo bar"]], [["baz"]]]).shape == (2, 1, 2)


def test_edges():
    layer = adapted()
    assert layer([]).shape == (0, 1)
    assert layer(["", "  . "]).tolist() == [[0], [0]]
    assert layer(["", "nothing known here"]).tolist() == [[0, 0, 0], [1, 1, 1]]
    assert adapted(["[UNK] [UNK] a"], standardize=None).get_vocabulary() == ["", "[UNK]", "a"]
    counted = adapted(output_mode="count")
    assert counted([""]).tolist() == [[0.0] * 6] and counted([]).shape == (0, 6)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["a", None], r"text 1 is None.*\n  fix: leave out what is missing"),
        (["a", float("nan")], r"text 1 is nan.*\n  fix"),
        ([1, 2], "text 0 is 1, of type int, no string"),
        ([b"ok", b"\xff"], "text 1 is not utf-8"),
        ([["a"], ["b", "c"]], "rows of texts have different shapes"),
        (object(), "expected texts in a list or an array"),
    ],
)
def test_what_is_no_text(given, message):
    with pytest.raises(DataError, match=message):
        adapted()(given)


def test_several_texts_a_row_are_refused_unless_they_are_tokens():
    with pytest.raises(ShapeError, match=r"\[n\] or \[n, 1\], not \[1, 2\].*\n  fix: .*split=None"):
        adapted()([["foo", "bar"]])
    layer = adapted([["foo", "bar"], ["bar"]], split=None)
    assert layer([["foo"], ["bar", "x"]]).tolist() == [[3, 0], [2, 1]]
    assert layer(np.array([["foo", "bar"]])).tolist() == [[3, 2]]


def test_functions_clean_and_split():
    layer = adapted(standardize=lambda text: text.replace("ba", ""), split=lambda t: t.split("o"))
    assert layer.get_vocabulary() == ["", "[UNK]", "z da b", "r z", "m", "f", " r"]
    assert layer(["foo", "ba"]).tolist() == [[5, 0, 0], [0, 0, 0]]  # empty tokens are padding
    upper = adapted(standardize=np.char.upper)  # of Keras's style: arrays of strings
    assert upper.get_vocabulary()[2] == "BAZ"
    with pytest.raises(DataError, match="standardize returned int"):
        adapted(standardize=len)
    with pytest.raises(DataError, match="split returned str"):
        adapted(split=str.upper)


def test_functions_in_files(tmp_path):
    def loud(text):
        return text.upper()

    model = Sequential([adapted(standardize=loud, output_mode="count"), Dense(1)])
    model.compile("sgd", "mse")
    model.fit(TEXTS, [0.0, 1.0, 2.0], verbose=0)
    with pytest.raises(FileError, match="code of your own, 'loud'"):
        model.save(tmp_path / "m.chainrule")
    saving.register_keras_serializable("test")(loud)
    model.save(tmp_path / "m.chainrule")
    again = load_model(tmp_path / "m.chainrule")
    assert np.array_equal(again.predict(TEXTS, verbose=0), model.predict(TEXTS, verbose=0))


def test_adapting_on_batches():
    whole = adapted(TEXTS, output_mode="tf_idf")
    for batches in (
        iter([TEXTS[:2], TEXTS[2:]]),
        ((np.array(TEXTS[i : i + 1]), [0]) for i in range(3)),
        iter(TEXTS),
    ):
        assert (
            adapted(batches, output_mode="tf_idf").get_config()["idf_weights"]
            == (whole.get_config()["idf_weights"])
        )
    layer = TextVectorization()
    layer.adapt(iter(TEXTS * 9), steps=2, batch_size=1)
    assert layer.get_vocabulary() == ["", "[UNK]", "bar", "foo", "baz"]
    with pytest.raises(ArgumentError, match="steps are for iterables"):
        layer.adapt(TEXTS, steps=2)


def test_adapting_on_nothing():
    for nothing in ([], [""], [" . "], iter([])):
        with pytest.raises(DataError, match="there is not one token"):
            adapted(nothing)
    layer = adapted()
    with pytest.raises(DataError):
        layer.adapt([])
    assert layer.vocabulary_size() == 7  # as it was


def test_vocabularies_that_are_given(tmp_path):
    layer = TextVectorization(vocabulary=["", "[UNK]", "a", "b"])
    assert layer.get_vocabulary() == ["", "[UNK]", "a", "b"]
    path = tmp_path / "words.txt"
    path.write_text("a\nb\n", encoding="utf-8")
    assert TextVectorization(vocabulary=path)(["b a c"]).tolist() == [[3, 2, 1]]
    weighted = TextVectorization(
        vocabulary=["a", "b"], output_mode="tf_idf", idf_weights=[0.5, 1.5]
    )
    assert weighted(["a a z", "b"]).tolist() == [[1.0, 1.0, 0.0], [0.0, 0.0, 1.5]]
    weighted.set_vocabulary(["[UNK]", "a"], [0.25, 3.0])
    assert weighted(["a z"]).tolist() == [[0.25, 3.0]]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: TextVectorization(vocabulary=["a", "a"]), "holds 'a' twice"),
        (lambda: TextVectorization(vocabulary=["a", "", "b"]), "the empty token at 1"),
        (lambda: TextVectorization(vocabulary=[]), "is empty"),
        (lambda: TextVectorization(vocabulary=list("abc"), max_tokens=3), "max_tokens is 3"),
        (lambda: TextVectorization(max_tokens=2), "max_tokens is 2"),
        (lambda: TextVectorization(standardize="upper"), "unknown standardize"),
        (lambda: TextVectorization(split=" "), "unknown split"),
        (lambda: TextVectorization(ngrams=0), "ngrams is 0"),
        (lambda: TextVectorization(ngrams=(1, 0)), "ngrams is"),
        (lambda: TextVectorization(output_mode="ints"), "unknown output_mode"),
        (lambda: TextVectorization(output_sequence_length=0), "output_sequence_length is 0"),
        (lambda: TextVectorization(output_mode="count", ragged=True), "for output_mode='int'"),
        (lambda: TextVectorization(pad_to_max_tokens=True), "needs max_tokens"),
        (lambda: TextVectorization(idf_weights=[1.0]), "give both"),
        (
            lambda: TextVectorization(vocabulary=["a"], output_mode="tf_idf"),
            "idf_weights are given",
        ),
        (lambda: TextVectorization(vocabulary=["a"], idf_weights=[1.0]), "only then"),
        (
            lambda: TextVectorization(
                vocabulary=["a"], output_mode="tf_idf", idf_weights=[1.0, 2.0]
            ),
            r"shape \[2\]",
        ),
    ],
)
def test_arguments_out_of_range(make, message):
    with pytest.raises(ArgumentError, match=message):
        make()


def test_other_mistakes(tmp_path):
    with pytest.raises(NotBuiltError, match=r"call adapt\(texts\)"):
        TextVectorization()(["a"])
    with pytest.raises(FileError, match="there is no file"):
        TextVectorization(vocabulary=tmp_path / "none.txt")
    with pytest.raises(GraphError, match="put it first in a Sequential"):
        adapted()(Input((1,), dtype="string"))
    config = adapted().get_config() | {"vocabulary": "/etc/passwd"}
    with pytest.raises(FileError, match="must hold the vocabulary"):
        TextVectorization.from_config(config)


def test_ragged():
    layer = adapted(ragged=True)
    rows = layer(["foo bar", "", "baz"])
    assert [row.tolist() for row in rows] == [[4, 3], [], [2]] and layer([]) == []
    model = Sequential([layer, Dense(1)])
    model.compile("sgd", "mse")
    with pytest.raises(ArgumentError, match=r"leave out ragged; or .*bucket_by_length"):
        model.fit(TEXTS, [1.0, 2.0, 3.0], verbose=0)


@pytest.mark.parametrize("mode", ["multi_hot", "count", "tf_idf"])
def test_a_model_of_texts_is_saved_with_its_vocabulary(mode, tmp_path):
    model = Sequential([Input((1,), dtype="string"), adapted(output_mode=mode), Dense(1)])
    model.compile("adam", "mse")
    assert model.output_shape == (None, 1)
    texts = [[text] for text in TEXTS] * 5
    model.fit(texts, list(range(15)), epochs=2, validation_split=0.2, verbose=0)
    model.save(tmp_path / "m.chainrule")
    loaded = load_model(tmp_path / "m.chainrule")
    for given in (texts, np.array(TEXTS, object), [""]):
        assert np.array_equal(loaded.predict(given, verbose=0), model.predict(given, verbose=0))
    with pytest.raises(DataError, match="text 1 is None"):
        model.predict(["a", None], verbose=0)


def test_a_trained_model_behind_a_vectorization():
    """The model that Keras's guides export."""
    layer = adapted(output_mode="count")
    inner = Sequential([Dense(2, activation="softmax")])
    inner.compile("adam", "sparse_categorical_crossentropy")
    inner.fit(layer(TEXTS), [0, 1, 0], verbose=0)
    whole = Sequential([Input(shape=(1,), dtype="string"), layer, inner])
    found = whole.predict(np.array([[text] for text in TEXTS], object), verbose=0)
    assert np.allclose(found, inner.predict(layer(TEXTS), verbose=0))
    assert np.allclose(np.asarray(whole(TEXTS)), found, atol=1e-6)


# What Keras 3.15.1 with TensorFlow 2.21 gives for "a" * n, by FarmHash and SipHash.
LENGTHS = [*range(20), 31, 32, 33, 63, 64, 65, 127, 128, 129, 200, 1000]
FARM = [377723, 291400, 579386, 557646, 689292, 789326, 488739, 110607, 628338, 82898, 627046,
        876570, 320339, 690155, 868443, 177385, 522207, 216284, 515643, 528074, 686327, 951431,
        20243, 551195, 745537, 177372, 352575, 169092, 2666, 365703, 359854]  # fmt: skip
SIP = [593145, 314492, 906195, 836328, 494365, 83815, 13522, 196286, 291730, 483449, 721308, 98629,
       987504, 690262, 520653, 905525, 306436, 158606, 456554, 546191, 806294, 315931, 185445,
       377240, 5694, 132180, 526545, 931316, 574997, 749176, 613247]  # fmt: skip


def test_hashes_as_keras():
    words = ["a" * n for n in LENGTHS]
    assert Hashing(1000003)(words).tolist() == FARM
    assert Hashing(1000003, salt=[7, 9])(words).tolist() == SIP
    assert Hashing(1000003)([1, -5, 12345678901]).tolist() == [361198, 537901, 502847]
    assert Hashing(3, mask_value="")(["A", "B", "", "C", "D"]).tolist() == [1, 1, 0, 2, 2]
    assert Hashing(3, salt=133)(["A", "B", "C", "D", "E"]).tolist() == [0, 0, 2, 1, 0]
    counts = Hashing(10, output_mode="count")([[1, 2, 1], [3, 3, 3]])
    assert counts[0, 9] == 3 and counts[1, 1] == 3 and counts.sum() == 6
    assert Hashing(4, output_mode="one_hot")([[1], [3]]).tolist() == [[0, 1, 0, 0]] * 2
    assert Hashing(4, output_mode="one_hot")([[1, 2], [3, 4]]).shape == (2, 2, 4)
    assert Hashing(4, output_mode="multi_hot")([1, 3]).tolist() == [0, 1, 0, 0]


def test_hashing_in_a_model(tmp_path):
    model = Sequential([Hashing(8, output_mode="multi_hot"), Dense(1)])
    model.compile("sgd", "mse")
    words = np.array([["a", "b"], ["c", "d"]])
    model.fit(words, [0.0, 1.0], verbose=0)
    model.save(tmp_path / "m.chainrule")
    again = load_model(tmp_path / "m.chainrule").predict(words, verbose=0)
    assert np.array_equal(again, model.predict(words, verbose=0))
    assert Hashing(8, output_mode="multi_hot").compute_output_shape((None, 2)) == (None, 8)
    for make in (
        lambda: Hashing(0),
        lambda: Hashing(2, salt=[1]),
        lambda: Hashing(2, output_mode="x"),
    ):
        with pytest.raises(ArgumentError):
            make()
    for wrong in ([0.5], [None], [True]):
        with pytest.raises(DataError, match="strings and whole numbers"):
            Hashing(3)(np.array(wrong, object))


def test_subwords(tmp_path):
    texts = ["a warm , funny film", "a warmer , funnier film", "unfunny"] * 5
    layer = Tokenizer.train(texts, vocab_size=60, output_sequence_length=8)
    assert layer.get_vocabulary()[:2] == ["[PAD]", "[UNK]"]
    assert layer.vocabulary_size() == len(layer.get_vocabulary()) <= 60
    found = layer(["a warm film", ""])
    assert found.shape == (2, 8) and found.dtype == np.int64 and not found[1].any()
    assert layer.decode(found) == ["a warm film", ""]
    assert layer("a warm film").tolist() == found[0].tolist()
    assert [len(row) for row in Tokenizer(layer.tokenizer, ragged=True)(["a", ""])] == [1, 0]
    path = tmp_path / "tokenizer.json"
    layer.tokenizer.save(str(path))
    for source in (path, str(path), layer.tokenizer, layer.tokenizer.to_str()):
        assert np.array_equal(Tokenizer(source, 8)(texts), layer(texts))
    again = Tokenizer.train(iter([texts]), vocab_size=60, output_sequence_length=8)
    assert again.get_vocabulary() == layer.get_vocabulary()


def test_subwords_in_a_model(tmp_path):
    texts = ["good film", "bad film"] * 4
    model = Sequential([Tokenizer.train(texts, 30, output_sequence_length=4), Dense(1)])
    model.compile("sgd", "mse")
    model.fit(texts, [1.0, 0.0] * 4, verbose=0)
    model.save(tmp_path / "m.chainrule")
    again = load_model(tmp_path / "m.chainrule")
    assert np.array_equal(again.predict(texts, verbose=0), model.predict(texts, verbose=0))


def test_a_tokenizer_without_padding_is_shifted():
    from tokenizers import Tokenizer as Plain
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace

    plain = Plain(WordLevel({"a": 0, "b": 1, "[UNK]": 2}, "[UNK]"))
    plain.pre_tokenizer = Whitespace()
    with pytest.raises(ArgumentError, match="no token for padding"):
        Tokenizer(plain)
    layer = Tokenizer(plain, shift=True)
    assert layer(["a b c", "b"]).tolist() == [[1, 2, 3], [2, 0, 0]]
    assert layer.get_vocabulary() == ["", "a", "b", "[UNK]"]
    assert layer.decode(layer(["a b"])) == ["a b"]


def test_tokenizers_that_are_none(tmp_path, monkeypatch):
    (tmp_path / "t.json").write_text("[]")
    for given, kind, message in (
        (tmp_path / "none.json", FileError, "there is no file"),
        (tmp_path / "t.json", FileError, "is no tokenizer"),
        ("{}", FileError, "the JSON is no tokenizer"),
        (3, ArgumentError, "not int"),
    ):
        with pytest.raises(kind, match=message):
            Tokenizer(given)
    with pytest.raises(DataError, match="there is no text"):
        Tokenizer.train([])
    with pytest.raises(FileError, match="must hold the tokenizer"):
        Tokenizer.from_config({"tokenizer": "/etc/passwd"})
    monkeypatch.setitem(__import__("sys").modules, "tokenizers", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'chainrule\[text\]'"):
        text_tokenizer._package()
