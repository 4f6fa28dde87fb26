"""Layers: shapes, a batch as its rows one by one, configuration, training, messages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from chainrule import layers
from chainrule.errors import ArgumentError, NotBuiltError, ShapeError
from chainrule.graph import constant, scope
from chainrule.models import Sequential

Make = Callable[[], layers.Layer]
ROWS: list[tuple[Make, tuple[int, ...], tuple[int, ...]]] = [
    (lambda: layers.Dense(3), (4,), (3,)),
    (lambda: layers.Dense(3, activation="relu", use_bias=False), (4,), (3,)),
    (lambda: layers.Dense(3, activation="gelu"), (4,), (3,)),
    (lambda: layers.Dense(3, activation="softmax"), (4,), (3,)),
    (lambda: layers.Dense(2, activation="tanh"), (5, 4), (5, 2)),
    (lambda: layers.Activation("elu"), (4,), (4,)),
    (lambda: layers.ReLU(6, 0.1), (4, 3), (4, 3)),
    (lambda: layers.ReLU(threshold=0.5), (4,), (4,)),
    (lambda: layers.LeakyReLU(), (4,), (4,)),
    (lambda: layers.PReLU("ones"), (4, 3), (4, 3)),
    (lambda: layers.PReLU("he_normal", "l2", "non_neg", [1, 2]), (4, 5, 3), (4, 5, 3)),
    (lambda: layers.ELU(0.5), (4,), (4,)),
    (lambda: layers.Identity(), (4, 3), (4, 3)),
    (lambda: layers.Flatten(), (2, 3, 4), (24,)),
    (lambda: layers.Flatten(), (), (1,)),
    (lambda: layers.Reshape((3, -1)), (2, 6), (3, 4)),
    (lambda: layers.Permute((2, 3, 1)), (2, 6, 5), (6, 5, 2)),
    (lambda: layers.Conv1D(3, 2, padding="causal"), (5, 2), (5, 3)),
    (lambda: layers.Conv2D(4, 3, activation="relu"), (6, 5, 3), (4, 3, 4)),
    (lambda: layers.Conv2D(4, 3, groups=2, padding="same"), (5, 6, 2), (5, 6, 4)),
    (lambda: layers.Conv3D(2, 2, strides=2), (4, 5, 4, 1), (2, 2, 2, 2)),
    (lambda: layers.Conv1DTranspose(3, 3, strides=2), (4, 2), (9, 3)),
    (lambda: layers.Conv2DTranspose(2, 3, 2, "same"), (3, 4, 3), (6, 8, 2)),
    (lambda: layers.Conv3DTranspose(1, 2), (2, 3, 2, 2), (3, 4, 3, 1)),
    (lambda: layers.DepthwiseConv1D(3, depth_multiplier=2), (5, 3), (3, 6)),
    (lambda: layers.DepthwiseConv2D(3, strides=2), (7, 6, 3), (3, 2, 3)),
    (lambda: layers.SeparableConv1D(4, 2), (5, 3), (4, 4)),
    (lambda: layers.SeparableConv2D(4, 3, activation="tanh"), (5, 6, 3), (3, 4, 4)),
    (lambda: layers.Dropout(0.5), (4,), (4,)),
    (lambda: layers.GaussianNoise(0.5), (4,), (4,)),
    (lambda: layers.Rescaling(0.5, 1.0), (4,), (4,)),
    (lambda: layers.Rescaling([1.0, 2.0], [0.0, 1.0]), (2,), (2,)),
    (lambda: layers.Normalization(mean=[1.0, 2.0], variance=[4.0, 9.0]), (2,), (2,)),
    (lambda: layers.Normalization(axis=None, mean=1.0, variance=4.0), (3, 2), (3, 2)),
    (lambda: layers.MaxPooling1D(), (5, 2), (2, 2)),
    (lambda: layers.MaxPooling2D(3, 2, "same"), (5, 4, 2), (3, 2, 2)),
    (lambda: layers.MaxPooling3D((1, 2, 2)), (3, 4, 4, 2), (3, 2, 2, 2)),
    (lambda: layers.AveragePooling1D(2, padding="same"), (5, 2), (3, 2)),
    (lambda: layers.AveragePooling2D(data_format="channels_first"), (2, 5, 4), (2, 2, 2)),
    (lambda: layers.AveragePooling3D(), (3, 4, 4, 2), (1, 2, 2, 2)),
    (lambda: layers.GlobalMaxPooling1D(), (5, 2), (2,)),
    (lambda: layers.GlobalMaxPooling2D("channels_first"), (2, 5, 4), (2,)),
    (lambda: layers.GlobalMaxPooling3D(keepdims=True), (3, 4, 4, 2), (1, 1, 1, 2)),
    (lambda: layers.GlobalAveragePooling1D(keepdims=True), (5, 2), (1, 2)),
    (lambda: layers.GlobalAveragePooling2D(), (5, 4, 2), (2,)),
    (lambda: layers.GlobalAveragePooling3D(), (3, 4, 4, 2), (2,)),
    (lambda: layers.AdaptiveMaxPooling1D(3), (7, 2), (3, 2)),
    (lambda: layers.AdaptiveMaxPooling2D((2, 3)), (5, 6, 2), (2, 3, 2)),
    (lambda: layers.AdaptiveMaxPooling3D(2, "channels_first"), (2, 3, 5, 4), (2, 2, 2, 2)),
    (lambda: layers.AdaptiveAveragePooling1D(3), (7, 2), (3, 2)),
    (lambda: layers.AdaptiveAveragePooling2D((2, 3), "channels_first"), (2, 5, 7), (2, 2, 3)),
    (lambda: layers.AdaptiveAveragePooling3D((1, 2, 2)), (3, 5, 4, 2), (1, 2, 2, 2)),
    (lambda: layers.ZeroPadding1D((2, 0)), (5, 2), (7, 2)),
    (lambda: layers.ZeroPadding2D(((1, 0), (0, 2)), "channels_first"), (2, 5, 4), (2, 6, 6)),
    (lambda: layers.ZeroPadding3D((0, 1, 2)), (3, 4, 4, 2), (3, 6, 8, 2)),
    (lambda: layers.Cropping1D(), (5, 2), (3, 2)),
    (lambda: layers.Cropping2D((1, 0)), (5, 4, 2), (3, 4, 2)),
    (lambda: layers.Cropping3D(), (3, 4, 4, 2), (1, 2, 2, 2)),
    (lambda: layers.UpSampling1D(3), (5, 2), (15, 2)),
    (lambda: layers.UpSampling2D((1, 3), interpolation="bilinear"), (5, 4, 2), (5, 12, 2)),
    (lambda: layers.UpSampling3D(2, "channels_first"), (2, 3, 2, 2), (2, 6, 4, 4)),
    (lambda: layers.Resizing(3, 8, "bicubic", antialias=True), (5, 4, 2), (3, 8, 2)),
    (lambda: layers.CenterCrop(3, 8), (5, 4, 2), (3, 8, 2)),
    (lambda: layers.RandomRotation(0.0), (4, 5, 2), (4, 5, 2)),
    (lambda: layers.RandomTranslation(0.0, 0.0, "constant"), (4, 5, 1), (4, 5, 1)),
    (lambda: layers.RandomZoom(0.0, 0.0, "wrap", "nearest"), (4, 5, 2), (4, 5, 2)),
    (lambda: layers.RandomShear(), (4, 5, 3), (4, 5, 3)),
    (lambda: layers.RandomCrop(4, 5), (4, 5, 3), (4, 5, 3)),
    (lambda: layers.RandomCrop(8, 6), (4, 5, 3), (8, 6, 3)),
    (lambda: layers.RandomContrast(0.0, (-9, 9)), (4, 5, 2), (4, 5, 2)),
    (lambda: layers.RandomBrightness(0.0, (-9, 9)), (4, 5, 2), (4, 5, 2)),
    (lambda: layers.RandomErasing(0.0), (4, 5, 2), (4, 5, 2)),
    (lambda: layers.CutMix(), (4, 5, 2), (4, 5, 2)),
    (lambda: layers.SimpleRNN(4, return_sequences=True), (5, 3), (5, 4)),
    (lambda: layers.GRU(4, dropout=0.2, recurrent_dropout=0.2), (5, 3), (4,)),
    (lambda: layers.LSTM(4, go_backwards=True, return_sequences=True), (5, 3), (5, 4)),
    (lambda: layers.LSTM(4, "softplus", "hard_sigmoid"), (3, 2), (4,)),
    (lambda: layers.RNN([layers.GRUCell(4), layers.LSTMCell(2)]), (3, 2), (2,)),
    (lambda: layers.Bidirectional(layers.GRU(4, reset_after=False)), (5, 3), (8,)),
    (lambda: layers.TimeDistributed(layers.Conv1D(4, 2)), (5, 3, 2), (5, 2, 4)),
    (lambda: layers.RepeatVector(3), (4,), (3, 4)),
    (lambda: layers.Softmax((1, 2)), (3, 4), (3, 4)),
    (lambda: layers.EinsumDense("abc,cde->abde", (None, 2, 3), bias_axes="de"), (4, 5), (4, 2, 3)),
]


@pytest.mark.parametrize(("make", "shape", "out"), ROWS)
def test_shapes_rows_and_configuration(make: Make, shape: Any, out: Any) -> None:
    layer = make()
    assert layer.compute_output_shape((None, *shape)) == (None, *out)
    x = np.random.default_rng(0).standard_normal((5, *shape)).astype("float32")
    y = layer(x).numpy()
    assert y.shape == (5, *out)
    for i in range(5):
        np.testing.assert_allclose(layer(x[i : i + 1]).numpy()[0], y[i], rtol=2e-6, atol=1e-6)
    again = layers.deserialize(layers.serialize(layer))
    again.build_for((None, *shape))
    again.set_weights(layer.get_weights())
    np.testing.assert_array_equal(again(x).numpy(), y)


@pytest.mark.parametrize(("make", "shape", "out"), [r for r in ROWS if r[1]])
def test_trains_a_step_and_saves(make: Make, shape: Any, out: Any, tmp_path: Any) -> None:
    model = Sequential([layers.Input(shape), make(), layers.Flatten(), layers.Dense(2)])
    model.compile("sgd", "mse")
    x = np.random.default_rng(0).standard_normal((8, *shape)).astype("float32")
    before = model.get_weights()
    model.fit(x, np.ones((8, 2), "float32"), verbose=0)
    assert any((a != b).any() for a, b in zip(before, model.get_weights(), strict=True))
    from chainrule.models import load_model

    model.save(tmp_path / "m.chainrule")
    np.testing.assert_array_equal(
        load_model(tmp_path / "m.chainrule").predict(x, verbose=0), model.predict(x, verbose=0)
    )


def test_wrong_width_says_what_was_expected() -> None:
    layer = layers.Dense(8, name="hidden")
    layer(np.zeros((10, 4)))
    with pytest.raises(ShapeError) as raised:
        layer(np.zeros((10, 5)))
    assert str(raised.value).splitlines() == [
        "in layer 'hidden' (Dense, 8 units): axis `k` is 5 in x but 4 in the kernel.",
        "  x      : [n=10, k=5]",
        "  kernel : [k=4, m=8]   'hidden.kernel'",
        "  fix    : the layer was built for inputs of 4 features; pass x with shape (n, 4), "
        "or build the model with Input((5,))",
    ]


def test_dropout_keeps_the_mean_and_follows_the_key() -> None:
    x = constant(np.ones((200, 100), "float32"))
    layer = layers.Dropout(0.3)

    def drawn(seed: int, step: int) -> np.ndarray:
        with scope.tracing(constant(np.array([seed, step])), True):
            return np.asarray(layer(x))

    y = drawn(1, 0)
    assert set(np.unique(y)) == {np.float32(0), np.float32(1 / 0.7)}
    assert (y == 0).mean() == pytest.approx(0.3, abs=0.01)
    assert (drawn(1, 0) == y).all()
    assert (drawn(1, 1) != y).any() and (drawn(2, 0) != y).any()
    own = layers.Dropout(0.3, seed=5)
    with scope.tracing(constant(np.array([1, 0])), True):
        a = np.asarray(own(x))
    with scope.tracing(constant(np.array([9, 0])), True):
        assert (np.asarray(own(x)) == a).all()


def test_gaussian_noise() -> None:
    with scope.tracing(constant(np.array([1, 0])), True):
        y = np.asarray(layers.GaussianNoise(2.0)(constant(np.zeros((300, 100), "float32"))))
    assert y.std() == pytest.approx(2.0, rel=0.02) and y.mean() == pytest.approx(0, abs=0.05)


def test_normalization_adapts() -> None:
    x = np.random.default_rng(0).normal(3, 2, (500, 4, 3))
    for axis, kept in ((-1, (0, 1)), (1, (0, 2)), ((1, 2), (0,)), (None, (0, 1, 2))):
        layer = layers.Normalization(axis=axis)
        layer.adapt(x)
        y = layer(x).numpy()
        np.testing.assert_allclose(y.mean(axis=kept), 0, atol=1e-5)
        np.testing.assert_allclose(y.std(axis=kept), 1, atol=1e-5)
    with pytest.raises(NotBuiltError, match="adapt"):
        layers.Normalization()(x)
    constant_feature = layers.Normalization()
    constant_feature.adapt(np.ones((5, 1)))
    assert constant_feature(np.ones((5, 1))).numpy().tolist() == [[0.0]] * 5


def test_category_encoding() -> None:
    x = np.array([[0, 2], [2, 2]])
    hot = layers.CategoryEncoding(4)(x).numpy()
    assert hot.tolist() == [[1, 0, 1, 0], [0, 0, 1, 0]]
    assert layers.CategoryEncoding(4, "count")(x).numpy()[1].tolist() == [0, 0, 2, 0]
    assert layers.CategoryEncoding(3, "one_hot")(np.array([[2], [0]])).shape == (2, 3)


def test_string_lookup() -> None:
    layer = layers.StringLookup()
    layer.adapt(["b", "a", "b", "c"])
    assert layer.get_vocabulary() == ["[UNK]", "b", "c", "a"]
    assert layer([["a", "z"]]).tolist() == [[3, 0]]
    back = layers.StringLookup(vocabulary=layer.get_vocabulary(), invert=True)
    assert back([[3, 0, 1]]).tolist() == [["a", "[UNK]", "b"]]
    masked = layers.StringLookup(vocabulary=["a"], mask_token="")
    assert masked(["", "a", "?"]).tolist() == [0, 2, 1]
    hot = layers.StringLookup(vocabulary=["a", "b"], output_mode="multi_hot")
    assert hot([["b", "b"]]).tolist() == [[0, 0, 1]]
    with pytest.raises(ArgumentError, match="twice"):
        layers.StringLookup(vocabulary=["a", "a"])
    with pytest.raises(ArgumentError, match="does not know 'z'"):
        layers.StringLookup(vocabulary=["a"], num_oov_indices=0)(["z"])


def test_integer_lookup() -> None:
    layer = layers.IntegerLookup(vocabulary=[12, 36])
    assert layer([[36, 7]]).tolist() == [[2, 0]]
    again = layers.deserialize(layers.serialize(layer))
    assert again([[12]]).tolist() == [[1]]


def test_own_layer_without_training_argument() -> None:
    class Double(layers.Layer):
        def call(self, x: Any) -> Any:
            return x * 2.0

    assert Double()([[1.0]]).numpy().tolist() == [[2.0]]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: layers.Dense(0), "units is 0"),
        (lambda: layers.Dense(2.5), "units is 2.5"),
        (lambda: layers.Dropout(1.0), r"rate is 1.0; expected a number in \[0, 1\)"),
        (lambda: layers.GaussianNoise(-1), "stddev is -1"),
        (lambda: layers.Input((0,)), "sizes of at least 1"),
        (lambda: layers.Reshape((-1, -1)), "at most one -1"),
        (lambda: layers.Permute((0, 1)), "dims is .0, 1.; expected the axes 1, 2"),
        (lambda: layers.Normalization(mean=1.0), "both mean and variance"),
        (lambda: layers.CategoryEncoding(0), "num_tokens is 0"),
        (lambda: layers.StringLookup(output_mode="x"), "output_mode"),
    ],
)
def test_bad_arguments(make: Make, words: str) -> None:
    with pytest.raises(ArgumentError, match=words):
        make()
