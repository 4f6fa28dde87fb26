"""Pooling and changes of size: PyTorch's and Keras's values and gradients, edges, messages.

There are 2,000 random cases of each where CHAINRULE_RANDOM_CASES is 2000.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pytest

from chainrule import layers, ops
from chainrule.errors import ArgumentError, DTypeError, ShapeError
from chainrule.executors import run
from chainrule.graph import Variable, gradient
from chainrule.models import Model, load_model
from chainrule.ops import pool
from peers import peer

pytestmark = pytest.mark.filterwarnings("ignore:Explicitly requested dtype")
COUNT = int(os.environ.get("CHAINRULE_RANDOM_CASES", "24"))
FEW = min(COUNT // 6, 200)  # jax compiles each case


def values_and_slopes(function: Any, x: np.ndarray, weights: np.ndarray) -> list[np.ndarray]:
    """The value of ours at x, and the gradient of its product with weights."""
    leaf = Variable(x, dtype=x.dtype.name)
    y = function(leaf.leaf)
    return run([y, *gradient(ops.sum(ops.multiply(y, weights)), [leaf])])


def torch_values_and_slopes(function: Any, x: np.ndarray, rng: Any) -> tuple[Any, Any, Any]:
    """PyTorch's for the same x with its channels behind the samples, and the weights drawn."""
    torch = peer("torch")
    leaf = torch.tensor(np.moveaxis(x, -1, 1).copy(), requires_grad=True)
    y = function(leaf)
    weights = rng.standard_normal(tuple(y.shape))
    y.backward(torch.tensor(weights))
    return tuple(np.moveaxis(a, 1, -1) for a in (y.detach().numpy(), leaf.grad.numpy(), weights))


def distinct(rng: Any, shape: tuple[int, ...]) -> np.ndarray:
    return rng.permutation(float(np.prod(shape)) - np.arange(np.prod(shape))).reshape(shape)


def random_form(rng: Any) -> tuple[tuple[int, ...], dict[str, Any]]:
    """The shape of an image, and a pooling that has places for it."""
    while True:
        rank = int(rng.integers(1, 4))
        most = {1: 40, 2: 14, 3: 7}[rank]
        size = tuple(int(n) for n in rng.integers(1, most, rank))
        window = tuple(int(k) for k in rng.integers(1, 5, rank))
        strides = window if rng.random() < 0.3 else tuple(int(s) for s in rng.integers(1, 5, rank))
        padding = tuple(int(rng.integers(0, k)) for k in window for _ in range(2))
        padding = padding if rng.random() < 0.7 else (0,) * (2 * rank)
        out = pool.out_space(size, window, strides, padding, (1,) * rank)
        last = [(o - 1) * s - a for o, s, a in zip(out, strides, padding[::2], strict=True)]
        if all(out) and all(i < n for i, n in zip(last, size, strict=True)):
            shape = (int(rng.integers(1, 4)), *size, int(rng.choice([1, 2, 3, 6, 8, 17, 32])))
            return shape, {"window": window, "strides": strides, "padding": padding}


def theirs(form: dict[str, Any], how: str) -> Any:
    """PyTorch's pooling; its own padding is the same on both sides, so that it is put on before."""
    functions = peer("torch").nn.functional
    rank = len(form["window"])
    pairs = list(zip(form["padding"][::2], form["padding"][1::2], strict=True))
    around = [n for pair in reversed(pairs) for n in pair]
    value = {"max": -np.inf, "avg": 0.0}[how]
    apply = getattr(functions, f"{how}_pool{rank}d")
    return lambda x: apply(
        functions.pad(x, around, value=value), form["window"], stride=form["strides"]
    )


def test_greatest_are_those_of_pytorch() -> None:
    rng = np.random.default_rng(0)
    for i in range(COUNT):
        shape, form = random_form(rng)
        x = distinct(rng, shape)
        y, dx, weights = torch_values_and_slopes(theirs(form, "max"), x, rng)
        found = values_and_slopes(lambda v, form=form: pool.max_pool(v, **form)[0], x, weights)
        np.testing.assert_array_equal(found[0], y, err_msg=f"case {i}: {shape} {form}")
        np.testing.assert_allclose(
            found[1], dx, rtol=1e-12, atol=1e-12, err_msg=f"case {i}: {shape} {form}"
        )


def test_sums_are_those_of_pytorch() -> None:
    rng = np.random.default_rng(1)
    for i in range(COUNT):
        shape, form = random_form(rng)
        x = rng.standard_normal(shape)
        y, dx, weights = torch_values_and_slopes(theirs(form, "avg"), x, rng)
        count = np.prod(form["window"])
        found = values_and_slopes(lambda v, form=form: pool.sum_pool(v, **form), x, weights)
        for a, b in zip(found, (y, dx), strict=True):
            np.testing.assert_allclose(
                a, b * count, rtol=1e-12, atol=1e-12, err_msg=f"case {i}: {shape} {form}"
            )


@pytest.mark.parametrize("how", ["average", "max"])
def test_adaptive_pooling_is_that_of_pytorch(how: str) -> None:
    rng = np.random.default_rng(2)
    mine = {"average": ops.adaptive_average_pool, "max": ops.adaptive_max_pool}[how]
    for i in range(COUNT):
        rank = int(rng.integers(1, 4))
        size, parts = (tuple(int(n) for n in rng.integers(1, 9, rank)) for _ in range(2))
        x = distinct(rng, (2, *size, int(rng.integers(1, 5))))
        short = {"average": "avg", "max": "max"}[how]
        apply = getattr(peer("torch").nn.functional, f"adaptive_{short}_pool{rank}d")
        y, dx, weights = torch_values_and_slopes(lambda v, p=parts, f=apply: f(v, p), x, rng)
        found = values_and_slopes(lambda v, p=parts: mine(v, p), x, weights)
        for a, b in zip(found, (y, dx), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9, err_msg=f"{i}: {size} {parts}")


def keras_values_and_slopes(function: Any, x: np.ndarray, rng: Any) -> tuple[Any, Any, Any]:
    jax = peer("jax")
    y, back = jax.vjp(function, jax.numpy.asarray(x))
    weights = rng.standard_normal(y.shape).astype("float32")
    return np.asarray(y), np.asarray(back(jax.numpy.asarray(weights))[0]), weights


@pytest.mark.parametrize("name", ["max_pool", "average_pool"])
def test_padding_and_formats_are_those_of_keras(name: str) -> None:
    keras, rng = peer("keras"), np.random.default_rng(3)
    mine = getattr(ops, name)
    for i in range(FEW):
        rank = i % 3 + 1
        size = tuple(int(n) for n in rng.integers(1, 8, rank))
        window = tuple(int(k) for k in rng.integers(1, 4, rank))
        first = i % 5 == 0
        options: dict[str, Any] = {
            "padding": "same" if i % 4 or any(np.less(size, window)) else "valid",
            "strides": window if i % 2 else tuple(int(s) for s in rng.integers(1, 4, rank)),
            "data_format": "channels_first" if first else "channels_last",
        }
        x = distinct(rng, (2, 3, *size) if first else (2, *size, 3)).astype("float32")
        function = getattr(keras.ops, name)
        y, dx, weights = keras_values_and_slopes(
            lambda v, f=function, k=window, o=options: f(v, k, **o), x, rng
        )
        found = values_and_slopes(lambda v, k=window, o=options: mine(v, k, **o), x, weights)
        case = f"case {i}: {size} {window} {options}"
        for a, b in zip(found, (y, dx), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5, err_msg=case)


INTERPOLATIONS = ("bilinear", "nearest", "bicubic", "lanczos3", "lanczos5")


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
def test_resized_images_are_those_of_keras(interpolation: str) -> None:
    keras, rng = peer("keras"), np.random.default_rng(4)
    for i in range(FEW):
        size, out = (tuple(int(n) for n in rng.integers(1, 12, 2)) for _ in range(2))
        options: dict[str, Any] = {
            "interpolation": interpolation,
            "antialias": i % 2 == 1,
            "crop_to_aspect_ratio": i % 3 == 1,
            "pad_to_aspect_ratio": i % 3 == 2,
            "fill_value": 0.5,
            "data_format": "channels_first" if i % 5 == 4 else "channels_last",
        }
        shape = (2, 3, *size) if i % 5 == 4 else (2, *size, 3)
        x = rng.standard_normal(shape[i % 4 == 3 :]).astype("float32")
        y, dx, weights = keras_values_and_slopes(
            lambda v, n=out, o=options: keras.ops.image.resize(v, n, **o), x, rng
        )
        found = values_and_slopes(
            lambda v, n=out, o=options: ops.image.resize(v, n, **o), x, weights
        )
        for a, b in zip(found, (y, dx), strict=True):
            np.testing.assert_allclose(
                a, b, rtol=1e-4, atol=1e-4, err_msg=f"{size} {out} {options}"
            )


def test_whole_numbers_stay_so_for_the_nearest_pixel() -> None:
    x = np.array([[[1], [250]]], "uint8")
    y = ops.image.resize(x, (2, 4), "nearest").numpy()
    assert y.dtype == np.uint8 and y[0, :, 0].tolist() == [1, 1, 250, 250]
    assert ops.image.resize(x, (2, 4)).dtype == "float32"


FIRST = {"data_format": "channels_first"}
LAYERS: list[tuple[str, dict[str, Any], tuple[int, ...]]] = [
    ("MaxPooling1D", {}, (7, 3)),
    ("MaxPooling1D", {"pool_size": 3, "strides": 1, "padding": "same"}, (7, 3)),
    ("MaxPooling2D", {}, (5, 6, 3)),
    ("MaxPooling2D", {"pool_size": (3, 2), "strides": (2, 1), "padding": "same"}, (5, 6, 3)),
    ("MaxPooling2D", {**FIRST}, (3, 5, 6)),
    ("MaxPooling3D", {"pool_size": 2, "strides": 1}, (3, 4, 3, 2)),
    ("AveragePooling1D", {"pool_size": 2, "padding": "same"}, (7, 3)),
    ("AveragePooling2D", {"pool_size": 2}, (5, 6, 3)),
    ("AveragePooling2D", {"pool_size": 3, "padding": "same", **FIRST}, (3, 5, 6)),
    ("AveragePooling3D", {"pool_size": (1, 2, 2)}, (3, 4, 3, 2)),
    ("GlobalMaxPooling1D", {}, (7, 3)),
    ("GlobalMaxPooling2D", {"keepdims": True}, (5, 6, 3)),
    ("GlobalMaxPooling3D", {**FIRST}, (2, 3, 4, 3)),
    ("GlobalAveragePooling1D", {**FIRST}, (7, 3)),
    ("GlobalAveragePooling2D", {}, (5, 6, 3)),
    ("GlobalAveragePooling3D", {"keepdims": True, **FIRST}, (2, 3, 4, 3)),
    ("AdaptiveMaxPooling1D", {"output_size": 3}, (7, 3)),
    ("AdaptiveAveragePooling1D", {"output_size": 3, **FIRST}, (3, 7)),
    ("ZeroPadding1D", {"padding": (2, 1)}, (4, 3)),
    ("ZeroPadding2D", {}, (4, 3, 2)),
    ("ZeroPadding2D", {"padding": ((1, 0), (0, 2)), **FIRST}, (2, 4, 3)),
    ("ZeroPadding3D", {"padding": (0, 1, 2)}, (2, 3, 2, 2)),
    ("Cropping1D", {}, (4, 3)),
    ("Cropping2D", {"cropping": ((1, 0), (0, 2))}, (4, 5, 2)),
    ("Cropping2D", {"cropping": 1, **FIRST}, (2, 4, 5)),
    ("Cropping3D", {}, (3, 4, 5, 2)),
    ("UpSampling1D", {"size": 3}, (4, 3)),
    ("UpSampling2D", {}, (4, 3, 2)),
    ("UpSampling2D", {"size": (1, 3), **FIRST}, (2, 4, 3)),
    *[("UpSampling2D", {"size": (3, 2), "interpolation": i}, (4, 3, 2)) for i in INTERPOLATIONS],
    ("UpSampling3D", {"size": (1, 2, 3)}, (2, 2, 3, 2)),
    ("Resizing", {"height": 3, "width": 8}, (5, 4, 2)),
    ("Resizing", {"height": 3, "width": 8, "crop_to_aspect_ratio": True}, (5, 4, 2)),
    ("Resizing", {"height": 3, "width": 2, "antialias": True, **FIRST}, (2, 7, 9)),
    ("Resizing", {"height": 4, "width": 4, "pad_to_aspect_ratio": True, "fill_value": 2.0,
                  "interpolation": "bicubic"}, (9, 4, 2)),
    ("CenterCrop", {"height": 2, "width": 3}, (5, 6, 2)),
    ("CenterCrop", {"height": 2, "width": 9, **FIRST}, (2, 5, 6)),
]  # fmt: skip


@pytest.mark.parametrize(("name", "options", "shape"), LAYERS)
def test_layers_are_those_of_keras(
    name: str, options: dict[str, Any], shape: tuple[int, ...]
) -> None:
    keras, rng = peer("keras"), np.random.default_rng(5)
    layer, other = getattr(layers, name)(**options), getattr(keras.layers, name)(**options)
    x = distinct(rng, (2, *shape)).astype("float32") / 10
    y, dx, weights = keras_values_and_slopes(lambda v: other(v), x, rng)
    assert layer.compute_output_shape((None, *shape)) == (None, *y.shape[1:])
    for made in (layer, layers.deserialize(layers.serialize(layer))):
        found = values_and_slopes(made, x, weights)
        for a, b in zip(found, (y, dx), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)
    assert made.get_config() == layer.get_config()


def test_short_names_are_the_same_classes() -> None:
    for rank in (1, 2, 3):
        for kind in ("Max", "GlobalMax", "GlobalAverage", "Average"):
            short = kind.replace("Average", "Avg")
            found = getattr(layers, f"{short}Pool{rank}D")
            assert found is getattr(layers, f"{kind}Pooling{rank}D")


def test_places_are_bytes_and_the_first_of_equals_wins() -> None:
    x = np.zeros((1, 4, 4, 1), "float32")
    form: dict[str, Any] = {"window": (2, 2), "strides": (2, 2), "padding": (0, 0, 0, 0)}
    _, place = pool.max_pool(Variable(x).leaf, **form)
    assert place.dtype == "uint8" and not run([place])[0].any()
    wide = {"window": (17, 17), "strides": (1, 1), "padding": (0, 0, 0, 0)}
    assert pool.max_pool(Variable(np.zeros((1, 17, 17, 1))).leaf, **wide)[1].dtype == "int32"


@pytest.mark.parametrize("width", [1, 3, 40])
def test_what_is_not_a_number_stays_and_padding_is_never_chosen(width: int) -> None:
    x = np.full((1, 4, 4, width), -np.inf, "float32")
    x[:, 2, 3], x[:, 3, 2] = np.nan, 5.0
    y = ops.max_pool(Variable(x).leaf, 2).numpy()
    assert np.isneginf(y[0, :, 0]).all() and np.isnan(y[0, 1, 1]).all()
    form: dict[str, Any] = {"window": (2, 2), "strides": (2, 2), "padding": (1, 1, 1, 1)}
    for executor in ("native", "reference"):
        _, place = run(pool.max_pool(Variable(x).leaf, **form), executor)
        assert place[0, :, :, 0].tolist() == [[3, 2, 2], [1, 0, 2], [1, 1, 0]]
        slope = pool.max_pool_gradient(
            Variable(np.ones((1, 3, 3, width), "float32")).leaf,
            Variable(place, dtype="uint8").leaf,
            size=(4, 4),
            **form,
        )
        assert run([slope], executor)[0].sum() == 9 * width


@pytest.mark.parametrize("name", ["max_pool", "average_pool"])
def test_no_samples_and_no_channels(name: str) -> None:
    for shape, out in (((0, 4, 4, 3), (0, 2, 2, 3)), ((2, 4, 4, 0), (2, 2, 2, 0))):
        x = Variable(np.zeros(shape, "float32"))
        y = getattr(ops, name)(x.leaf, 2)
        slope = gradient(ops.sum(y), [x])[0]
        assert [a.shape for a in run([y, slope])] == [out, shape]


def test_a_single_pixel() -> None:
    x = Variable(np.full((1, 1, 1, 2), 3.0, "float32"))
    for name in ("max_pool", "average_pool"):
        y = getattr(ops, name)(x.leaf, 3, 2, "same")
        assert [a.tolist() for a in run([y, gradient(ops.sum(y), [x])[0]])] == [
            [[[[3.0, 3.0]]]],
            [[[[1.0, 1.0]]]],
        ]
        with pytest.raises(ShapeError, match="window is 2 x 2, but x has 1 x 1\n  fix: padding="):
            getattr(ops, name)(x.leaf, 2)


def test_a_model_of_symbols_trains_and_is_saved(tmp_path: Any) -> None:
    x = layers.Input((8, 8, 2))
    y = layers.MaxPooling2D()(x)
    y = ops.image.resize(ops.average_pool(y, 3, 1, "same"), (3, 5))
    model = Model(x, layers.Dense(2)(layers.Flatten()(y)))
    model.compile("sgd", "mse")
    data = np.random.default_rng(0).standard_normal((16, 8, 8, 2)).astype("float32")
    model.fit(data, data[:, 0, 0], verbose=0)
    model.save(tmp_path / "m.chainrule")
    again = load_model(tmp_path / "m.chainrule")
    np.testing.assert_array_equal(again.predict(data, verbose=0), model.predict(data, verbose=0))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: layers.MaxPooling2D(0), "pool_size is 0"),
        (lambda: layers.MaxPooling2D((2, 2, 2)), "pool_size is .* 2 of them"),
        (lambda: layers.AveragePooling1D(2, strides=0), "strides is 0"),
        (lambda: layers.MaxPooling2D(padding="full"), "unknown padding 'full'"),
        (lambda: layers.GlobalMaxPooling2D("last"), "unknown data_format 'last'"),
        (lambda: layers.AdaptiveMaxPooling2D(-1), "output_size is -1"),
        (lambda: layers.ZeroPadding2D((1, 2, 3)), "padding is .*2 numbers or pairs"),
        (lambda: layers.Cropping1D(-1), "cropping is -1"),
        (lambda: layers.UpSampling2D(2, interpolation="linear"), "unknown interpolation 'linear'"),
        (lambda: layers.Resizing(0, 3), "height is 0"),
        (lambda: layers.Resizing(3, 3, fill_mode="nearest"), "unknown fill_mode"),
        (
            lambda: layers.Resizing(3, 3, crop_to_aspect_ratio=True, pad_to_aspect_ratio=True),
            "not both",
        ),
        (lambda: ops.image.resize(np.ones((2, 2, 1)), (1, 2, 3)), "size is"),
    ],
)
def test_bad_arguments(make: Any, words: str) -> None:
    with pytest.raises(ArgumentError, match=words):
        make()


@pytest.mark.parametrize(
    ("make", "shape", "words"),
    [
        (lambda: layers.MaxPooling2D(3), (2, 5, 1), r"MaxPooling2D, 3 x 3\): the pooling window"),
        (lambda: layers.MaxPooling2D(), (5, 5), r"expected \[h, w, c\]\n  fix: .*x\[..., None\]"),
        (lambda: layers.MaxPooling2D(**FIRST), (5, 5), r"expected \[c, h, w\]"),
        (lambda: layers.MaxPooling1D(), (5, 5, 1), r"expected \[t, c\]"),
        (lambda: layers.Cropping2D(2), (4, 9, 1), "leaves nothing"),
        (lambda: layers.Resizing(2, 2), (4,), "expected images"),
    ],
)
def test_shapes_that_do_not_fit(make: Any, shape: tuple[int, ...], words: str) -> None:
    with pytest.raises(ShapeError, match=words):
        make()(np.zeros((2, *shape)))


def test_nothing_to_pool() -> None:
    nothing = np.zeros((1, 0, 3, 2))
    for make in (layers.GlobalMaxPooling2D, layers.GlobalAveragePooling2D):
        with pytest.raises(ShapeError, match="no places to pool"):
            make()(nothing)
    with pytest.raises(ShapeError, match="no cells"):
        ops.adaptive_max_pool(nothing, 2)
    with pytest.raises(ShapeError, match="no pixels"):
        ops.image.resize(nothing, (2, 2))


def test_primitives_refuse_windows_without_a_cell() -> None:
    x = Variable(np.zeros((1, 3, 1))).leaf
    form: dict[str, Any] = {"window": (2,), "strides": (1,)}
    for padding in ((2, 0), (0, 2)):
        with pytest.raises(ShapeError, match="lies outside of the 3 cells of axis 1"):
            pool.max_pool(x, padding=padding, **form)
    with pytest.raises(ShapeError, match="lies outside of the 0 cells"):
        pool.max_pool(Variable(np.zeros((1, 0, 1))).leaf, padding=(1, 1), **form)
    with pytest.raises(ArgumentError, match="window is"):
        pool.sum_pool(x, window=(2, 2), strides=(1,), padding=(0, 0))
    with pytest.raises(ShapeError, match=r"gives \[2\], but g has \[3\]"):
        pool.sum_pool_gradient(x, size=(3,), padding=(0, 0), **form)
    with pytest.raises(DTypeError, match="are uint8, not int32"):
        place = Variable(np.zeros((1, 2, 1), "int32"), dtype="int32").leaf
        pool.max_pool_take(x, place, padding=(0, 0), **form)
