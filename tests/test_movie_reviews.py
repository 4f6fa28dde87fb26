"""The film reviews that are shipped: what they are, how they are split, that damage is refused."""

import numpy as np
import pytest

from chainrule.datasets import _shipped, movie_reviews
from chainrule.errors import DataError


def test_shapes_and_dtypes():
    (text_train, y_train), (text_test, y_test) = movie_reviews.load_data()
    assert text_train.shape == y_train.shape == (8455,)
    assert text_test.shape == y_test.shape == (2113,)
    assert y_train.dtype == y_test.dtype == np.int64 and set(y_train) == {0, 1}
    assert all(type(text) is str and text.strip() for text in [*text_train, *text_test])
    assert len(movie_reviews.CLASS_NAMES) == 2


def test_split_is_stratified_at_every_cut():
    (_, y_train), (_, y_test) = movie_reviews.load_data()
    assert np.bincount(y_train).tolist() == [4261, 4194]
    assert np.bincount(y_test).tolist() == [1065, 1048]
    for part in (y_train[-845:], y_train[:200], y_test[:100]):
        assert abs(part.mean() - 0.496) < 0.02


def test_no_sentence_is_in_both_parts():
    (text_train, _), (text_test, _) = movie_reviews.load_data()
    assert not set(text_train) & set(text_test)


def test_letters_outside_ascii_and_nothing_else_is_strange():
    (text_train, _), (text_test, _) = movie_reviews.load_data()
    letters = set("".join([*text_train, *text_test]))
    assert {"é", "ó", "–"} <= letters  # noqa: RUF001
    assert not letters & {"\ufffd", "\r", "\n", "\t", "Ã"}


def test_scores_have_the_sign_of_the_labels():
    (text, y), (_, y_test) = movie_reviews.load_data()
    (same, scores), (_, scores_test) = movie_reviews.load_data(scores=True)
    assert np.array_equal(text, same) and scores.dtype == np.float32
    assert np.array_equal(scores > 0, y == 1) and np.array_equal(scores_test > 0, y_test == 1)
    assert np.abs(scores).max() < 4 and not (scores == 0).any()


def test_labels_belong_to_the_sentences():
    """Words tell them apart: two in three that hold one of these are of its kind."""
    (text, y), _ = movie_reviews.load_data()
    for words, label in ((["dull", "bad", "worst", "boring"], 0), (["best", "moving", "fun"], 1)):
        held = np.array([any(w in t.lower().split() for w in words) for t in text])
        assert held.sum() > 200 and (y[held] == label).mean() > 0.66


def test_every_call_returns_fresh_arrays():
    (text, y), _ = movie_reviews.load_data()
    text[:], y[:] = "", 7
    (again, labels), (_, test) = movie_reviews.load_data()
    assert again[0] and labels.max() == 1 and test.base is None


def test_a_damaged_file_is_refused(monkeypatch):
    monkeypatch.setattr(movie_reviews, "_SHA256", "0" * 64)
    with pytest.raises(DataError, match=r"'movie_reviews\.npz'.* is damaged"):
        movie_reviews.load_data()


def test_sources_names_the_checksum_and_the_licence():
    text = (_shipped.files("chainrule.datasets") / "SOURCES.md").read_text(encoding="utf-8")
    part = text[text.index("`movie_reviews.npz`") : text.index("`spoken_digits.npz`")]
    assert movie_reviews._SHA256 in part and "MIT" in part and "vaderSentiment` 3.3.2" in part
