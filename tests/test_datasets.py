"""The shipped data sets: shapes, balance, and that a damaged file is refused."""

import numpy as np
import pytest

from chainrule.datasets import _shipped, digits
from chainrule.errors import DataError


def test_shapes_and_dtypes():
    (x_train, y_train), (x_test, y_test) = digits.load_data()
    assert (x_train.shape, x_test.shape) == ((4000, 28, 28), (1000, 28, 28))
    assert (y_train.shape, y_test.shape) == ((4000,), (1000,))
    assert x_train.dtype == x_test.dtype == np.uint8
    assert y_train.dtype == y_test.dtype == np.int64
    assert x_train.min() == 0 and x_train.max() == 255


def test_split_is_stratified_at_every_cut():
    (_, y_train), (_, y_test) = digits.load_data()
    assert np.bincount(y_train).tolist() == [400] * 10
    assert np.bincount(y_test).tolist() == [100] * 10
    assert np.bincount(y_train[-800:]).tolist() == [80] * 10
    assert np.any(np.diff(y_train[:10]) != np.diff(y_train[10:20]))


def test_no_picture_is_in_both_parts():
    (x_train, _), (x_test, _) = digits.load_data()
    pictures = np.concatenate([x_train, x_test]).reshape(5000, 784)
    assert len(np.unique(pictures, axis=0)) == 5000


def test_labels_belong_to_the_pictures():
    """The nearest class mean is right for four in five; mixed-up labels would give one in ten."""
    (x_train, y_train), (x_test, y_test) = digits.load_data()
    means = np.stack([x_train[y_train == k].mean(axis=0) for k in range(10)]).reshape(10, 784)
    pictures = x_test.reshape(1000, 784).astype(float)
    nearest = (means**2).sum(axis=1) - 2 * pictures @ means.T
    assert (nearest.argmin(axis=1) == y_test).mean() > 0.75


def test_every_call_returns_fresh_writable_arrays():
    (first, first_labels), _ = digits.load_data()
    first[:] = 1
    first_labels[:] = 1
    (second, second_labels), (test, _) = digits.load_data()
    assert second.max() == 255 and second_labels.max() == 9
    assert second.base is None and test.base is None and test.flags.writeable


def test_a_damaged_file_is_refused(monkeypatch):
    monkeypatch.setattr(digits, "_SHA256", "0" * 64)
    with pytest.raises(DataError, match=r"'digits\.npz' of the chainrule package is damaged"):
        digits.load_data()


def test_sources_names_the_checksum_and_the_licence():
    text = (_shipped.files("chainrule.datasets") / "SOURCES.md").read_text(encoding="utf-8")
    assert digits._SHA256 in text and "CC BY-SA 3.0" in text
