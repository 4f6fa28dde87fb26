"""What layers take as arguments: numbers of NumPy as Python's, and no names that do not exist."""

from __future__ import annotations

import json

import numpy as np
import pytest

from chainrule import dtypes, layers
from chainrule.errors import ArgumentError
from chainrule.models import Sequential

THREE, HALF = np.int64(3), np.float32(0.5)

MADE = [
    lambda: layers.Dense(THREE, input_shape=(THREE,)),
    lambda: layers.Embedding(THREE, np.int32(4)),
    lambda: layers.LSTM(THREE, dropout=HALF),
    lambda: layers.Bidirectional(layers.GRU(THREE)),
    lambda: layers.InputLayer((THREE, None)),
    lambda: layers.RepeatVector(THREE),
    lambda: layers.Dropout(HALF, seed=THREE),
    lambda: layers.SpatialDropout2D(HALF),
    lambda: layers.GaussianNoise(HALF),
    lambda: layers.Concatenate(axis=np.int64(-1)),
    lambda: layers.Conv2D(THREE, (THREE, THREE)),
    lambda: layers.Reshape((THREE, THREE)),
    lambda: layers.MultiHeadAttention(THREE, THREE),
    lambda: layers.LeakyReLU(HALF),
    lambda: layers.RandomFlip(seed=THREE),
]


@pytest.mark.parametrize("make", MADE)
def test_numbers_of_numpy(make):
    layer = make()
    config = json.loads(json.dumps(layer.get_config()))
    assert type(layer).from_config(config).get_config() == config


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: layers.Conv2D(2, 3, stride=2), "of Conv2D 'stride'; did you mean 'strides'"),
        (lambda: layers.Dense(3, unit=4), "of Dense 'unit'; did you mean 'units'"),
        (lambda: layers.LSTM(3, return_sequence=True), "did you mean 'return_sequences'"),
        (lambda: Sequential([], nme="a"), "of Sequential 'nme'; did you mean 'name'"),
    ],
)
def test_arguments_that_do_not_exist(make, words):
    with pytest.raises(ArgumentError, match=words):
        make()


def test_mistakes_inside_a_layer_show_as_they_are():
    class Own(layers.Dense):
        def __init__(self, units):
            super().__init__(units)
            int("3", bas=10)

    with pytest.raises(TypeError, match="bas"):
        Own(3)


@pytest.mark.parametrize("name", ["0loat32", "2i", "f4,f4", "(2,)f4", "", "complex64", "nothing"])
def test_dtypes_that_are_none_are_refused_unread(name, monkeypatch):
    monkeypatch.setattr("ast.literal_eval", lambda *_: pytest.fail("it was evaluated"))
    with pytest.raises(TypeError, match="is not one of float32"):
        dtypes.name_of(name)


@pytest.mark.parametrize("dtype", ["f4", "<f4", "float", "int8", np.float16, float, "single"])
def test_dtypes_of_numpy(dtype):
    assert dtypes.name_of(dtype) in ("float32", "float64", "int32")
