"""The shipped recordings of digits: what they are, how they are split, that damage is refused."""

import hashlib

import numpy as np
import pytest

from chainrule import datasets
from chainrule.datasets import _shipped, spoken_digits
from chainrule.errors import DataError


def test_recordings_are_lists_of_frames_of_13_numbers():
    (x_train, y_train), (x_test, y_test) = datasets.spoken_digits.load_data()
    assert (len(x_train), len(x_test)) == (2400, 600) == (len(y_train), len(y_test))
    lengths = [len(one) for one in x_train + x_test]
    assert (min(lengths), max(lengths), sum(lengths)) == (6, 92, 53999)
    assert all(one.dtype == np.float32 and one.shape[1:] == (13,) for one in x_train + x_test)
    assert y_train.dtype == y_test.dtype == np.int64


def test_the_split_is_stratified_at_every_cut():
    (_, y_train), (_, y_test) = spoken_digits.load_data()
    assert np.bincount(y_train).tolist() == [240] * 10 and np.bincount(y_test).tolist() == [60] * 10
    assert np.bincount(y_train[-480:]).tolist() == [48] * 10


def test_no_recording_is_in_both_parts_and_their_numbers_are_those_of_the_source():
    (x_train, _), (x_test, _) = spoken_digits.load_data()
    assert len({one.tobytes() for one in x_train + x_test}) == 3000
    text = (_shipped.files("chainrule.datasets") / "SOURCES.md").read_text(encoding="utf-8")
    assert hashlib.sha256(np.concatenate(x_train + x_test).tobytes()).hexdigest() in text
    assert spoken_digits._SHA256 in text and "CC BY-SA 4.0" in text


def test_labels_belong_to_the_recordings():
    """Means and deviations over time, linearly told apart: mixed-up labels would give a tenth."""
    (x_train, y_train), (x_test, y_test) = spoken_digits.load_data()
    of = [np.array([[1, *s.mean(0), *s.std(0)] for s in part]) for part in (x_train, x_test)]
    weights = np.linalg.lstsq(of[0], np.eye(10)[y_train], rcond=None)[0]
    assert np.mean((of[1] @ weights).argmax(1) == y_test) > 0.6


def test_every_call_returns_fresh_writable_arrays():
    (first, labels), _ = spoken_digits.load_data()
    first[0][:], labels[:] = 7, 7
    (second, fresh), _ = spoken_digits.load_data()
    assert not np.any(second[0] == 7) and fresh[0] != 7 and second[0].base is None


def test_a_damaged_file_is_refused(monkeypatch):
    monkeypatch.setattr(spoken_digits, "_SHA256", "0" * 64)
    with pytest.raises(DataError, match=r"'spoken_digits\.npz' of the chainrule package is dama"):
        spoken_digits.load_data()
