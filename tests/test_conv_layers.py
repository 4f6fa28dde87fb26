"""Convolution layers: Keras's values, gradients, files and arguments, PyTorch's weights, errors."""

from __future__ import annotations

import inspect
import json
from typing import Any

import numpy as np
import pytest

from chainrule import initializers, layers, ops
from chainrule.errors import ArgumentError, ShapeError
from chainrule.executors import run
from chainrule.graph import Variable, gradient
from chainrule.interop.torch import load_state_dict, to_state_dict
from chainrule.models import Model, Sequential, load_model
from chainrule.ops.symbolic import FUNCTIONS
from chainrule.optimizers import SGD
from chainrule.utils import set_random_seed
from peers import both, peer

# Keras's variables do not know NumPy's argument `copy`.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

# class, arguments, shape of a batch
ROWS: list[tuple[str, dict[str, Any], tuple[int, ...]]] = [
    ("Conv1D", {"filters": 3, "kernel_size": 4}, (2, 9, 5)),
    ("Conv1D", {"filters": 4, "kernel_size": 3, "padding": "causal", "dilation_rate": 2},
     (2, 7, 3)),
    ("Conv1D", {"filters": 4, "kernel_size": 3, "padding": "CAUSAL", "strides": 2}, (1, 8, 3)),
    (
        "Conv1D",
        {"filters": 4, "kernel_size": 2, "padding": "causal", "data_format": "channels_first"},
        (2, 3, 6),
    ),
    ("Conv2D", {"filters": 6, "kernel_size": 3, "activation": "relu"}, (2, 7, 6, 3)),
    ("Conv2D", {"filters": 2, "kernel_size": (2, 4), "strides": (3, 2), "padding": "same"},
     (2, 8, 9, 4)),
    ("Conv2D", {"filters": 6, "kernel_size": 3, "groups": 3, "use_bias": False}, (2, 5, 6, 9)),
    ("Conv2D", {"filters": 4, "kernel_size": 2, "dilation_rate": (2, 3), "padding": "same",
     "activation": "tanh"}, (1, 6, 5, 2)),
    ("Conv2D", {"filters": 3, "kernel_size": 3, "strides": 2, "padding": "same",
     "data_format": "channels_first", "activation": "softmax"}, (2, 4, 5, 7)),
    ("Conv2D", {"filters": 5, "kernel_size": 1}, (2, 4, 3, 6)),
    ("Conv3D", {"filters": 3, "kernel_size": (1, 2, 3), "strides": (1, 2, 1), "padding": "same"},
     (1, 3, 5, 4, 2)),
    ("Conv1DTranspose", {"filters": 3, "kernel_size": 3, "strides": 2}, (2, 4, 5)),
    ("Conv1DTranspose", {"filters": 2, "kernel_size": 2, "strides": 4, "padding": "same"},
     (1, 3, 2)),
    ("Conv2DTranspose", {"filters": 3, "kernel_size": 3, "strides": 2, "padding": "same"},
     (2, 4, 3, 5)),
    ("Conv2DTranspose", {"filters": 3, "kernel_size": (3, 2), "strides": (2, 3),
     "padding": "same", "output_padding": (1, 2), "activation": "relu"}, (2, 3, 4, 2)),
    ("Conv2DTranspose", {"filters": 2, "kernel_size": 3, "output_padding": 0, "dilation_rate": 2,
     "use_bias": False}, (1, 3, 4, 2)),
    ("Conv2DTranspose", {"filters": 2, "kernel_size": 4, "strides": 2, "output_padding": 1,
     "data_format": "channels_first"}, (2, 3, 4, 3)),
    ("Conv3DTranspose", {"filters": 2, "kernel_size": 2, "strides": (1, 2, 2),
     "padding": "same"}, (1, 2, 3, 2, 3)),
    ("DepthwiseConv1D", {"kernel_size": 3, "depth_multiplier": 2}, (2, 6, 3)),
    ("DepthwiseConv2D", {"kernel_size": 3, "padding": "same", "activation": "sigmoid"},
     (2, 5, 6, 4)),
    ("DepthwiseConv2D", {"kernel_size": (3, 2), "strides": 2, "depth_multiplier": 3,
     "data_format": "channels_first"}, (2, 2, 7, 6)),
    ("DepthwiseConv2D", {"kernel_size": 2, "dilation_rate": 2, "use_bias": False}, (1, 6, 5, 3)),
    ("SeparableConv1D", {"filters": 4, "kernel_size": 3, "strides": 2}, (2, 8, 3)),
    ("SeparableConv2D", {"filters": 5, "kernel_size": 3, "padding": "same",
     "depth_multiplier": 2, "activation": "elu"}, (2, 5, 4, 3)),
    ("SeparableConv2D", {"filters": 2, "kernel_size": 2, "data_format": "channels_first"},
     (1, 3, 5, 4)),
]  # fmt: skip
ALL = pytest.mark.parametrize(
    ("name", "arguments", "shape"), ROWS, ids=[f"{r[0]}-{i}" for i, r in enumerate(ROWS)]
)
CLASSES = sorted({row[0] for row in ROWS})


def sample(shape: tuple[int, ...], seed: int = 3) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype("float32")


def weights_for(layer: Any) -> list[np.ndarray]:
    return [sample(w.shape, i) for i, w in enumerate(layer.get_weights())]


@ALL
def test_values_and_gradients_are_those_of_keras(
    name: str, arguments: dict[str, Any], shape: tuple[int, ...]
) -> None:
    jax, keras = peer("jax"), peer("keras")
    mine, theirs = both(name, arguments, shape, weights_for)
    x = sample(shape)
    leaf = Variable(x)
    y = mine(leaf.leaf)
    slope = sample(y.shape, 9)

    def total(weights: Any, x: Any) -> Any:
        y, _ = theirs.stateless_call(weights, [], x)
        return (y * slope).sum(), y

    slopes = jax.jit(jax.value_and_grad(total, (0, 1), has_aux=True))
    weights = [v.value for v in theirs.trainable_variables]
    (_, expected), (dw, dx) = slopes(weights, keras.ops.convert_to_tensor(x))
    assert mine.compute_output_shape((None, *shape[1:])) == (None, *expected.shape[1:])
    found = gradient(ops.sum(y * slope), [leaf, *mine.trainable_variables])
    y, *found = run([y, *found])
    np.testing.assert_allclose(y, expected, rtol=2e-5, atol=2e-5)
    for mine_one, theirs_one in zip(found, [dx, *dw], strict=True):
        np.testing.assert_allclose(mine_one, theirs_one, rtol=2e-4, atol=1e-4)


@ALL
def test_configuration(name: str, arguments: dict[str, Any], shape: tuple[int, ...]) -> None:
    layer = getattr(layers, name)(**arguments, name="kept")
    y = layer(sample(shape)).numpy()
    again = layers.deserialize(layers.serialize(layer))
    again.build_for((None, *shape[1:]))
    again.set_weights(layer.get_weights())
    np.testing.assert_array_equal(again(sample(shape)).numpy(), y)
    assert again.get_config() == layer.get_config()
    theirs = getattr(peer("keras").layers, name)(**arguments, name="kept").get_config()
    mine = layer.get_config()
    ours_alone = {"input_shape", "dtype"}
    assert set(mine) - ours_alone <= set(theirs)
    for key in ("filters", "kernel_size", "strides", "padding", "dilation_rate", "data_format"):
        given = mine.get(key)
        assert (tuple(given) if isinstance(given, list) else given) == theirs.get(key)


@pytest.mark.parametrize("name", CLASSES)
def test_arguments_are_those_of_keras(name: str) -> None:
    theirs = inspect.signature(getattr(peer("keras").layers, name).__init__).parameters
    mine = inspect.signature(getattr(layers, name).__init__).parameters
    if name == "Conv3DTranspose":  # whose further arguments are those of the others
        assert list(mine)[1:7] == list(theirs)[1:7]
        return
    assert list(mine)[:-1] == list(theirs)[:-1]
    for key in list(mine)[1:-1]:
        default = theirs[key].default
        many = isinstance(default, tuple)
        assert mine[key].default == (default[0] if many else default)


@pytest.mark.parametrize("name", ["conv", "conv_transpose", "depthwise_conv", "separable_conv"])
def test_functions_have_the_arguments_of_keras(name: str) -> None:
    theirs = inspect.signature(getattr(peer("keras").ops, name)).parameters
    mine = inspect.signature(FUNCTIONS[name]).parameters
    assert [(k, p.default) for k, p in mine.items()] == [(k, p.default) for k, p in theirs.items()]


def test_functions_take_both_strides_and_dilation() -> None:
    torch = peer("torch")
    x, w = sample((2, 11, 12, 3)), sample((3, 2, 3, 4), 1)
    y = ops.conv(x, w, strides=(2, 3), dilation_rate=(2, 1)).numpy()
    given = torch.tensor(x).permute(0, 3, 1, 2), torch.tensor(w).permute(3, 2, 0, 1)
    expected = torch.nn.functional.conv2d(*given, stride=(2, 3), dilation=(2, 1))
    np.testing.assert_allclose(y, expected.permute(0, 2, 3, 1), rtol=1e-5, atol=1e-5)


def test_functions_take_symbols_and_both_dtypes() -> None:
    x = layers.Input((6, 6, 2))
    y = ops.conv(x, np.ones((3, 3, 2, 4), "float32"), padding="same")
    assert y.shape == (None, 6, 6, 4)
    assert Model(x, y).predict(np.ones((1, 6, 6, 2)), verbose=0)[0, 2, 2, 0] == 18.0
    assert ops.conv(np.ones((1, 4, 1)), np.ones((2, 1, 1), "float32")).dtype == "float64"
    assert ops.conv(np.ones((1, 4, 1), "uint8"), np.ones((2, 1, 1), "float32")).dtype == "float32"


def test_aliases() -> None:
    for name in ("1D", "2D", "3D", "1DTranspose", "2DTranspose", "3DTranspose"):
        kind = getattr(layers, f"Convolution{name}")
        assert kind is getattr(layers, f"Conv{name}") and kind.__name__ == f"Conv{name}"
    assert layers.SeparableConvolution2D is layers.SeparableConv2D
    assert layers.SeparableConvolution1D is layers.SeparableConv1D


def test_names_are_those_of_keras() -> None:
    with layers.base.fresh_names():
        assert layers.Conv2D(1, 1).name == "conv2d"
        assert layers.Conv2D(1, 1).name == "conv2d_1"
        assert layers.Conv1DTranspose(1, 1).name == "conv1d_transpose"
        assert layers.SeparableConv2D(1, 1).name == "separable_conv2d"
        assert layers.DepthwiseConv1D(1).name == "depthwise_conv1d"


def test_sizes_that_are_not_known() -> None:
    shape = (None, None, 9, 3)
    assert layers.Conv2D(4, 3).compute_output_shape(shape) == (None, None, 7, 4)
    first = layers.Conv2D(4, 3, data_format="channels_first", strides=2)
    assert first.compute_output_shape((8, 3, None, 9)) == (8, 4, None, 4)
    up = layers.Conv2DTranspose(4, 3, strides=2)
    assert up.compute_output_shape(shape) == (None, None, 19, 4)


def test_a_layer_takes_images_of_any_size() -> None:
    layer = layers.Conv2D(2, 3)
    layer(sample((1, 5, 5, 1)))
    assert layer(sample((3, 9, 4, 1))).shape == (3, 7, 2, 2)


@pytest.mark.parametrize(("kind", "mode"), [("fan_in", 9 * 20), ("fan_out", 9 * 50)])
def test_kernels_begin_with_a_variance_of_their_reach(kind: str, mode: int) -> None:
    rule = initializers.VarianceScaling(2.0, kind, seed=1)
    layer = layers.Conv2D(50, 3, kernel_initializer=rule)
    layer.build_for((None, 8, 8, 20))
    assert layer.kernel.numpy().var() == pytest.approx(2.0 / mode, rel=0.05)
    theirs = peer("keras").src.initializers.random_initializers.compute_fans
    for shape in ((3, 3, 20, 50), (5, 4, 3), (2, 3, 4, 5, 6), (4, 4, 8, 1)):
        assert initializers.fans(shape) == tuple(theirs(shape))


def network(kind: Any) -> list[Any]:
    """A small network of layers of our kind or Keras's."""
    return [
        kind.Conv2D(4, 3, padding="same", activation="relu", kernel_regularizer="l2"),
        kind.DepthwiseConv2D(3, strides=2, use_bias=False),
        kind.BatchNormalization(momentum=0.8),
        kind.SeparableConv2D(5, 2, activation="tanh"),
        kind.Conv2DTranspose(3, 3, strides=2, padding="same", activation="relu"),
        kind.Flatten(),
        kind.Dense(3, activation="softmax"),
    ]


X, Y = sample((48, 9, 8, 2)), np.arange(48) % 3
STEP = {"batch_size": 16, "shuffle": False, "verbose": 0}


def trained(epochs: int = 1) -> Sequential:
    set_random_seed(3)
    model = Sequential([layers.Input((9, 8, 2)), *network(layers)])
    model.compile(SGD(0.05), "sparse_categorical_crossentropy")
    model.fit(X, Y, epochs=epochs, **STEP)
    return model


def test_training_is_that_of_keras() -> None:
    keras = peer("keras")
    mine = trained(epochs=1)
    theirs = keras.Sequential([keras.layers.Input((9, 8, 2)), *network(keras.layers)])
    theirs.set_weights(mine.get_weights())
    theirs.compile(keras.optimizers.SGD(0.05), "sparse_categorical_crossentropy")
    found = mine.fit(X, Y, epochs=2, **STEP).history["loss"]
    expected = theirs.fit(X, Y, epochs=2, **STEP).history["loss"]
    np.testing.assert_allclose(found, expected, rtol=2e-4)
    for a, b in zip(mine.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4)


def test_saves_and_goes_on(tmp_path: Any) -> None:
    model = trained()
    model.save(tmp_path / "m.chainrule")
    again = load_model(tmp_path / "m.chainrule")
    np.testing.assert_array_equal(again.predict(X, verbose=0), model.predict(X, verbose=0))
    for one in (model, again):
        one.fit(X, Y, **STEP)
    for a, b in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("ending", [".keras", ".h5", ".weights.h5"])
def test_files_of_keras(ending: str, tmp_path: Any) -> None:
    keras = peer("keras")
    theirs = keras.Sequential([keras.layers.Input((9, 8, 2)), *network(keras.layers)])
    fresh = Sequential([layers.Input((9, 8, 2)), *network(layers)])
    path, back = str(tmp_path / f"theirs{ending}"), str(tmp_path / f"mine{ending}")
    if ending == ".weights.h5":
        theirs.save_weights(path)
        fresh.load_weights(path)
        fresh.save_weights(back)
        again = keras.models.clone_model(theirs)
        again.load_weights(back)
    else:
        theirs.save(path)
        fresh = load_model(path)
        fresh.save(back)
        again = keras.models.load_model(back)
    wanted = theirs.predict(X, verbose=0)
    np.testing.assert_allclose(fresh.predict(X, verbose=0), wanted, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(again.predict(X, verbose=0), wanted, rtol=1e-6)


def torch_network(torch: Any) -> Any:
    return torch.nn.Sequential(
        torch.nn.Conv2d(2, 6, 3, groups=2),
        torch.nn.BatchNorm2d(6, eps=1e-3),
        torch.nn.Conv2d(6, 12, (2, 3), stride=2, groups=6, bias=False),
        torch.nn.ConvTranspose2d(12, 5, 3, stride=3),
        torch.nn.Flatten(),
        torch.nn.Linear(9 * 6 * 5, 4),
    ).eval()


def test_weights_of_torch() -> None:
    torch = peer("torch")
    module = torch_network(torch)
    mine = Sequential(
        [
            layers.Input((9, 8, 2)),
            layers.Conv2D(6, 3, groups=2),
            layers.BatchNormalization(),
            layers.DepthwiseConv2D((2, 3), strides=2, depth_multiplier=2, use_bias=False),
            layers.Conv2DTranspose(5, 3, strides=3),
            layers.Permute((3, 1, 2)),
            layers.Flatten(),
            layers.Dense(4),
        ]
    )
    module[1].running_mean += 0.5
    module[1].running_var *= 2.0
    load_state_dict(mine, module.state_dict())
    expected = module(torch.tensor(X).permute(0, 3, 1, 2)).detach().numpy()
    np.testing.assert_allclose(mine.predict(X, verbose=0), expected, rtol=1e-4, atol=1e-5)
    held = [layer.name for layer in mine.layers if layer.variables]
    names = dict(zip("01235", held, strict=True))
    state = to_state_dict(mine, names)
    assert {k: v.shape for k, v in state.items()} == {
        k: tuple(v.shape) for k, v in module.state_dict().items()
    }
    for key, value in module.state_dict().items():
        if not key.endswith("num_batches_tracked"):
            np.testing.assert_array_equal(state[key], value)
            assert state[key].flags.c_contiguous


@pytest.mark.parametrize("rank", [1, 3])
def test_weights_of_torch_in_other_ranks(rank: int) -> None:
    nn, torch = peer("torch").nn, peer("torch")
    module = nn.Sequential(
        getattr(nn, f"Conv{rank}d")(2, 4, 2), getattr(nn, f"ConvTranspose{rank}d")(4, 3, 2)
    )
    mine = Sequential(
        [
            layers.Input((*[4] * rank, 2)),
            getattr(layers, f"Conv{rank}D")(4, 2),
            getattr(layers, f"Conv{rank}DTranspose")(3, 2),
        ]
    )
    load_state_dict(mine, module.state_dict())
    x = sample((2, *[4] * rank, 2))
    expected = np.moveaxis(module(torch.tensor(np.moveaxis(x, -1, 1))).detach().numpy(), 1, -1)
    np.testing.assert_allclose(mine.predict(x, verbose=0), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: layers.Conv2D(0, 3), "filters is 0; expected an integer of at least 1"),
        (lambda: layers.Conv2D(2.5, 3), "filters is 2.5"),
        (lambda: layers.Conv2D(4, 0), "kernel_size is 0; expected a whole number of at least 1, or "
         "2 of them"),
        (lambda: layers.Conv2D(4, (3, 3, 3)), r"kernel_size is \(3, 3, 3\)"),
        (lambda: layers.Conv1D(4, 2.0), "is 2.0; expected a whole number of at least 1$"),
        (lambda: layers.Conv2D(4, 3, strides=0), "strides is 0"),
        (lambda: layers.Conv2D(4, 3, 2, dilation_rate=2), "only one of them may be above 1"),
        (lambda: layers.Conv2D(4, 3, padding="full"), "unknown padding 'full'"),
        (lambda: layers.Conv2D(4, 3, padding="causal"), "unknown padding 'causal'"),
        (lambda: layers.Conv2D(4, 3, data_format="NHWC"), "unknown data_format 'NHWC'"),
        (lambda: layers.Conv2D(4, 3, groups=3), "4 filters do not form 3 groups"),
        (lambda: layers.Conv2D(4, 3, groups=0), "groups is 0"),
        (lambda: layers.Conv2D(4, 3, activation="rulu"), "did you mean 'relu'"),
        (lambda: layers.Conv2DTranspose(4, 3, 2, output_padding=2), "must be below them"),
        (lambda: layers.Conv2DTranspose(4, 3, 2, output_padding=-1), "output_padding is -1"),
        (lambda: layers.DepthwiseConv2D(3, depth_multiplier=0), "depth_multiplier is 0"),
        (lambda: ops.conv(np.ones((1, 4, 1)), np.ones((2, 1, 1)), strides=-1), "strides is -1"),
    ],
)  # fmt: skip
def test_bad_arguments(make: Any, words: str) -> None:
    with pytest.raises(ArgumentError, match=words):
        make()


def message(layer: Any, *shapes: tuple[int, ...]) -> list[str]:
    with pytest.raises(ShapeError) as raised:
        for shape in shapes:
            layer(np.zeros(shape))
    return str(raised.value).splitlines()


def test_a_kernel_larger_than_the_image_says_both_sizes() -> None:
    layer = layers.Conv2D(8, 5, name="first")
    assert message(layer, (10, 4, 7, 3)) == [
        "in layer 'first' (Conv2D, 8 filters of 5 x 5): "
        "the kernel spans 5 x 5 places, but x has 4 x 7",
        '  fix: padding="same", a smaller kernel, or larger inputs',
    ]
    assert not layer.built and not layer.variables
    layer(np.zeros((1, 8, 8, 3)))
    assert "x has 3 x 9" in message(layer, (1, 3, 9, 3))[0]
    dilated = layers.Conv1D(1, 3, dilation_rate=4, name="second")
    assert "spans 9 places (3, dilated), but x has 8" in message(dilated, (1, 8, 1))[0]


def test_images_without_an_axis_of_channels() -> None:
    layer = layers.Conv2D(8, 3, name="first")
    assert message(layer, (10, 28, 28)) == [
        "in layer 'first' (Conv2D, 8 filters of 3 x 3): "
        "a sample has shape [28, 28]; expected [h, w, c]",
        "  fix: give the data an axis for their one channel: x[..., None], and Input((28, 28, 1))",
    ]
    first = layers.Conv2D(8, 3, data_format="channels_first", name="first")
    assert message(first, (10, 28, 28))[1].endswith("x[:, None], and Input((1, 28, 28))")
    assert message(layer, (10, 2, 2, 2, 1))[0].endswith("[2, 2, 2, 1]; expected [h, w, c]")


def test_one_image_alone() -> None:
    layer = layers.Conv2D(8, 3, name="first")
    assert message(layer, (10, 28, 28, 3), (28, 28, 3)) == [
        "in layer 'first' (Conv2D, 8 filters of 3 x 3): "
        "a sample has shape [28, 3]; expected [h, w, c]",
        "  fix: give one sample alone the axis of a batch: x[None]",
    ]
    layer = layers.Conv2D(8, 3, data_format="channels_first", name="first")
    assert message(layer, (10, 1, 28, 28), (1, 28, 28))[1].endswith("the axis of a batch: x[None]")
    layer = layers.Conv2D(8, 3, name="first")
    assert message(layer, (10, 28, 28, 1), (10, 28, 28))[1].endswith("and Input((28, 28, 1))")


def test_other_channels_than_the_layer_was_built_for() -> None:
    layer = layers.Conv2D(8, 3, groups=2, name="hidden")
    assert message(layer, (10, 9, 9, 4), (10, 9, 9, 8)) == [
        "in layer 'hidden' (Conv2D, 8 filters of 3 x 3): x has 8 channels, but the layer was built "
        "for 4.",
        "  x      : [n=10, h=9, w=9, c=8]",
        "  kernel : [3, 3, 2, 8]   'hidden.kernel'",
        "  fix    : pass x with 4 channels, or build the model with Input((9, 9, 8))",
    ]


def test_channels_on_the_other_side() -> None:
    layer = layers.Conv2D(8, 3, name="hidden")
    expected = "  fix    : the channels of x stand first, not last: np.moveaxis(x, 1, -1)"
    assert message(layer, (10, 9, 9, 3), (10, 3, 9, 9))[-1] == expected
    layer = layers.Conv2D(8, 3, data_format="channels_first", name="hidden")
    expected = "  fix    : the channels of x stand last, not first: np.moveaxis(x, -1, 1)"
    assert message(layer, (10, 3, 9, 9), (10, 9, 9, 3))[-1] == expected


def test_sizes_may_be_numbers_of_numpy() -> None:
    n = np.arange(5)
    layer = layers.Conv2D(n[4], n[3], strides=n[1], groups=n[2])
    assert layer(np.zeros((1, 5, 5, 2))).shape == (1, 3, 3, 4)
    assert (
        json.loads(json.dumps(layer.get_config()))
        == layers.Conv2D(4, 3, groups=2, name=layer.name).get_config()
    )
    assert layers.DepthwiseConv2D(3, depth_multiplier=n[2])(np.zeros((1, 5, 5, 2))).shape[-1] == 4
    with pytest.raises(ArgumentError, match="filters is True"):
        layers.Conv2D(True, 3)


def test_groups_that_do_not_come_out() -> None:
    layer = layers.Conv2D(8, 3, groups=4, name="hidden")
    assert message(layer, (1, 9, 9, 6)) == [
        "in layer 'hidden' (Conv2D, 8 filters of 3 x 3): 6 channels do not form 4 groups",
        "  fix: groups must divide both 6 and the 8 filters",
    ]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: ops.conv(np.ones((1, 4)), np.ones((2, 1))), "one to three axes of space"),
        (lambda: ops.conv(np.ones((1, 4, 3)), np.ones((2, 2, 1))), "have 3 channels, which the 2"),
        (lambda: ops.conv(np.ones((1, 4, 1)), np.ones((0, 1, 1))), "has no places"),
        (lambda: ops.depthwise_conv(np.ones((1, 4, 3)), np.ones((2, 2, 1))), "the kernel is for 2"),
        (lambda: ops.conv_transpose(np.ones((1, 4, 3)), np.ones((2, 3, 1))), "the kernel is for 1"),
        (
            lambda: ops.separable_conv(np.ones((1, 4, 3)), np.ones((2, 3, 1)), np.ones((2, 3, 1))),
            "expected .1, channels, outputs",
        ),
        (
            lambda: ops.separable_conv(np.ones((1, 4, 3)), np.ones((2, 3, 1)), np.ones((1, 4, 1))),
            "3 channels come out of the first kernel",
        ),
    ],
)
def test_shapes_that_do_not_fit(call: Any, words: str) -> None:
    with pytest.raises(ShapeError, match=words):
        call()


@pytest.mark.parametrize("name", CLASSES)
def test_regularizers_and_constraints_reach_their_weights(name: str) -> None:
    _, arguments, shape = next(row for row in ROWS if row[0] == name)
    rule = "depthwise" if name.startswith(("Depthwise", "Separable")) else "kernel"
    more = {
        f"{rule}_regularizer": "l2",
        f"{rule}_constraint": "non_neg",
        "bias_constraint": "non_neg",
    }
    layer = getattr(layers, name)(**arguments, **more)
    layer(sample(shape))
    kernel, bias = layer.variables[0], layer.variables[-1]
    assert kernel.regularizer is not None and kernel.constraint is not None
    assert bias.regularizer is None and bias.constraint is not None
    assert len(layer.losses) == 1
