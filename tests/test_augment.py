"""Augmentation: the maps against SciPy and Keras, the draws, and the same numbers every time."""

import json
import warnings
from itertools import product

import numpy as np
import pytest

import chainrule
from chainrule import executors, layers, ops
from chainrule.callbacks import BackupAndRestore, LambdaCallback
from chainrule.data.batches import Batches
from chainrule.errors import ArgumentError, ChainruleError, GraphError, ShapeError
from chainrule.graph import Variable, constant, gradient, ordered, scope
from chainrule.layers import deserialize, serialize
from chainrule.models import Sequential, load_model
from chainrule.ops.warp import FILL_MODES, INTERPOLATIONS, warp
from chainrule.optimizers import SGD
from chainrule.training.step import layout_of
from chainrule.training.trace import trace
from chainrule.utils import set_random_seed, to_categorical
from peers import peer

RANDOM = np.random.default_rng(0)
X = RANDOM.uniform(0, 1, (40, 9, 8, 3)).astype("float32")
Y = RANDOM.integers(0, 3, 40)

LAYERS = {
    "flip": lambda **o: layers.RandomFlip(**o),
    "rotation": lambda **o: layers.RandomRotation(0.2, **o),
    "translation": lambda **o: layers.RandomTranslation(0.2, (-0.1, 0.3), **o),
    "zoom": lambda **o: layers.RandomZoom(0.3, **o),
    "stretch": lambda **o: layers.RandomZoom(0.3, (-0.2, 0.1), **o),
    "shear": lambda **o: layers.RandomShear(0.3, 0.2, **o),
    "crop": lambda **o: layers.RandomCrop(5, 6, **o),
    "contrast": lambda **o: layers.RandomContrast(0.5, **o),
    "brightness": lambda **o: layers.RandomBrightness(0.2, (0, 1), **o),
    "erasing": lambda **o: layers.RandomErasing(value_range=(0, 1), **o),
    "saturation": lambda **o: layers.RandomSaturation(0.9, (0, 1), **o),
    "hue": lambda **o: layers.RandomHue(0.9, (0, 1), **o),
    "jitter": lambda **o: layers.RandomColorJitter((0, 1), 0.1, 0.2, 0.9, 0.5, **o),
    "gray": lambda **o: layers.RandomGrayscale(**o),
    "solarization": lambda **o: layers.Solarization(0.2, 0.5, (0, 1), **o),
    "invert": lambda **o: layers.RandomInvert((0.5, 0.5), (0, 1), **o),
    "bits": lambda **o: layers.RandomPosterization((1, 5), (0, 1), **o),
    "blur": lambda **o: layers.RandomGaussianBlur(1.0, 3, 1.0, (0, 1), **o),
}
EACH = pytest.mark.parametrize("name", LAYERS)


def at(seed, step, call):
    """Return what `call` draws in a step of training with this key."""
    with scope.tracing(constant(np.array([seed, step], np.int64)), True):
        return np.asarray(call())


def maps(seed=0, n=3, reach=0.5):
    rng = np.random.default_rng(seed)
    m = np.eye(2, 3) + rng.uniform(-reach, reach, (n, 2, 3))
    m[:, :, 2] *= 8
    return m


@pytest.mark.parametrize(("how", "mode"), list(product(INTERPOLATIONS, FILL_MODES)))
def test_a_warp_is_that_of_scipy(how, mode):
    ndimage = peer("scipy.ndimage")
    m = maps()
    found = warp(
        ops.as_value(X[:3].astype("f8")), ops.as_value(m),
        size=(12, 7), interpolation=how, fill_mode=mode, fill_value=0.3,
    ).numpy()  # fmt: skip
    # The pixels beyond the edge, each by itself: at wrap and constant SciPy's plain modes differ.
    theirs = {"wrap": "grid-wrap", "constant": "grid-constant"}.get(mode, mode)
    grid = np.stack([*np.indices((12, 7)), np.ones((12, 7))])
    for n, c in product(range(3), range(2)):
        places = np.tensordot(m[n], grid, 1)
        order = int(how == "bilinear")
        image = X[n, :, :, c].astype("f8")
        want = ndimage.map_coordinates(image, places, order=order, mode=theirs, cval=0.3)
        np.testing.assert_allclose(found[n, :, :, c], want, atol=1e-12)


@pytest.mark.parametrize(("how", "mode"), list(product(INTERPOLATIONS, FILL_MODES)))
def test_a_warp_is_that_of_keras(how, mode):
    keras = peer("keras")
    m = maps(1).astype("float32")
    rows = [m[:, 1, 1], m[:, 1, 0], m[:, 1, 2], m[:, 0, 1], m[:, 0, 0], m[:, 0, 2]]
    transform = np.stack([*rows, *np.zeros((2, 3), "f4")], 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = keras.ops.image.affine_transform(X[:3], transform, how, mode, fill_value=0.3)
    form = {"interpolation": how, "fill_mode": mode, "fill_value": 0.3}
    ours = warp(ops.as_value(X[:3]), ops.as_value(m), size=(9, 8), **form)
    np.testing.assert_allclose(ours.numpy(), np.asarray(theirs), atol=2e-5)


PINNED = {
    "RandomRotation": [((0.07, 0.07),), ((-0.2, -0.2), "constant")],
    "RandomTranslation": [((0.1, 0.1), (-0.3, -0.3)), ((-0.5, -0.5), (0, 0), "wrap")],
    "RandomZoom": [((0.3, 0.3),), ((-0.4, -0.4), (0.2, 0.2), "nearest")],
    "RandomBrightness": [((0.3, 0.3), (0, 1)), ((-0.2, -0.2), (-1, 1))],
    "RandomSaturation": [((0.2, 0.2), (0, 1)), ((0.8, 0.8), (0, 1))],
    "RandomGrayscale": [(1.0,)],
    "Solarization": [(0.0, 0.0, (0, 1))],
    "RandomInvert": [((1.0, 1.0), (0, 1)), ((0.0, 0.0), (0, 1))],
    "RandomPosterization": [((3, 3), (0, 1)), ((8, 8), (0, 1)), ((1, 1), (0, 1))],
    "AutoContrast": [((0, 1),), ((-1, 3),)],
    "RandomGaussianBlur": [((1, 1), (3, 5), (0.7, 0.7), (0, 1))],
}


@pytest.mark.parametrize("name", PINNED)
def test_with_the_draws_pinned_they_are_keras_layers(name):
    keras = peer("keras")
    for arguments in PINNED[name]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            theirs = np.asarray(getattr(keras.layers, name)(*arguments)(X))
        ours = getattr(layers, name)(*arguments)(X).numpy()
        np.testing.assert_allclose(ours, theirs, atol=2e-5)


@pytest.mark.parametrize("amount", [0.0, 0.3, 0.7, 1.0])
def test_hues_are_those_of_keras_to_either_side(amount):
    keras = peer("keras")
    x = X.copy()
    x[0, :3] = [[[0, 0, 0], [1, 1, 1], [0.5, 0.5, 0.5], [1, 0, 0]] * 2] * 3
    ours = layers.RandomHue((amount, amount), (0, 1), seed=1)(x).numpy()
    errors = []
    for sign in (1, -1):
        turns = np.full(40, sign * amount / 2, "float32")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            layer = keras.layers.RandomHue(0.1, (0, 1))
            theirs = np.asarray(layer.transform_images(x, {"factor": turns}))
        errors.append(np.abs(ours - theirs).max(axis=(1, 2, 3)))
    assert (np.minimum(*errors) < 1e-5).all()
    assert amount in (0, 1) or 8 < (errors[0] < 1e-5).sum() < 32


def test_solarization_leaves_what_is_dark():
    y = layers.Solarization((0.1, 0.1), (0.5, 0.5), (-1, 1))(X - 0.5).numpy()
    z = np.clip(X.astype("f8") - 0.5 + 0.2, -1, 1)
    np.testing.assert_allclose(y, np.where(z < 0, z, -z), atol=1e-6)


def test_a_jitter_is_its_layers_one_after_another():
    jitter = layers.RandomColorJitter((0, 1), (0.1, 0.1), None, (0.6, 0.6), (0.0, 0.0))
    one = layers.RandomBrightness((0.1, 0.1), (0, 1))(X)
    both = layers.RandomSaturation((0.6, 0.6), (0, 1))(one)
    np.testing.assert_allclose(jitter(X).numpy(), both.numpy(), atol=1e-6)


def test_auto_contrast_acts_always():
    x = X.copy()
    x[1, :, :, 0] = 0.25
    y = layers.AutoContrast((0, 1))(x, training=False).numpy()
    assert (y[1, :, :, 0] == 0.25).all()
    np.testing.assert_allclose([y[0].min((0, 1)), y[0].max((0, 1))], [[0] * 3, [1] * 3], atol=1e-6)
    model = Sequential([layers.Input((9, 8, 3)), layers.AutoContrast((0, 1))])
    np.testing.assert_array_equal(model.predict(x, verbose=0), y)


def test_a_shear_is_that_of_keras_or_its_opposite():
    keras = peer("keras")
    ours = layers.RandomShear((0.2, 0.2), (0.1, 0.1))(X).numpy()
    theirs = []
    for sign in (1, -1):
        transform = np.array([[1, 0.2 * sign, 0, 0.1 * sign, 1, 0, 0, 0]] * 40, "f4")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image = keras.ops.image
            theirs.append(np.asarray(image.affine_transform(X, transform, "bilinear", "reflect")))
    errors = [np.abs(ours - t).max(axis=(1, 2, 3)) for t in theirs]
    assert (np.minimum(*errors) < 1e-5).all()
    assert 5 < (errors[0] < 1e-5).sum() < 35


@EACH
def test_shapes_and_kinds(name):
    make = LAYERS[name]
    h, w = (5, 6) if name == "crop" else (9, 8)
    assert make()(X).shape == (40, h, w, 3) and make()(X).dtype == "float32"
    assert make()(X[0]).shape == (h, w, 3)
    assert make()((X * 255).astype("uint8")).dtype == "float32"
    assert make().compute_output_shape((None, 9, 8, 3)) == (None, h, w, 3)
    first = make(data_format="channels_first", seed=3)
    swapped = first(X.transpose(0, 3, 1, 2)).numpy()
    assert swapped.shape == (40, 3, h, w)
    assert first.compute_output_shape((None, 3, 9, 8)) == (None, 3, h, w)
    np.testing.assert_array_equal(swapped.transpose(0, 2, 3, 1), make(seed=3)(X).numpy())
    with pytest.raises(ShapeError, match="images"):
        make()(np.ones((3, 4)))


@EACH
def test_nothing_is_drawn_outside_of_training(name):
    layer = LAYERS[name]()
    if name == "crop":
        np.testing.assert_array_equal(layers.RandomCrop(9, 8)(X, training=False).numpy(), X)
    else:
        np.testing.assert_array_equal(layer(X, training=False).numpy(), X)
    model = Sequential([layers.Input((9, 8, 3)), layer, layers.Flatten(), layers.Dense(2)])
    shown = [model.predict(X, verbose=0), model(X).numpy(), model(X, training=False).numpy()]
    assert np.array_equal(shown[0], shown[1]) and np.array_equal(shown[1], shown[2])
    assert not np.array_equal(model(X, training=True).numpy(), shown[0])


def test_a_sequential_of_such_layers_acts_on_arrays_as_they_do():
    stack = [layers.RandomFlip("horizontal", seed=1), layers.RandomRotation(0.1, seed=2)]
    both = Sequential([layers.Input((9, 8, 3)), *stack])
    first, second = both(X).numpy(), both(X).numpy()
    assert not np.array_equal(first, second)
    again = [layers.RandomFlip("horizontal", seed=1), layers.RandomRotation(0.1, seed=2)]
    assert np.array_equal(again[1](again[0](X)).numpy(), first)
    assert np.array_equal(both(X, training=False).numpy(), X)
    assert np.array_equal(both.predict(X, verbose=0), X)
    inside = Sequential([both, layers.Flatten(), layers.Dense(2)])
    assert np.array_equal(inside(X).numpy(), inside.predict(X, verbose=0))
    inside.compile("sgd", "mse")
    inside.fit(X, np.ones((40, 2)), verbose=0)


def test_files_of_keras(tmp_path):
    keras = peer("keras")
    kinds = [
        ("RandomBrightness", {"factor": 0.1, "value_range": (0, 1)}),
        ("RandomSaturation", {"factor": 0.6}),
        ("RandomPosterization", {"factor": (2, 5)}),
        ("Solarization", {"addition_factor": 0.1, "threshold_factor": (0.1, 0.2)}),
        ("MixUp", {"alpha": 0.3}),
    ]

    def network(of):
        stack = [getattr(of.layers, kind)(**options) for kind, options in kinds]
        return of.Sequential([of.layers.Input((9, 8, 3)), *stack])

    names = [kind for kind, _ in kinds]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        network(keras).save(tmp_path / "theirs.keras")
        network(chainrule).save(tmp_path / "ours.keras")
        theirs = keras.models.load_model(tmp_path / "ours.keras")
    assert [type(layer).__name__ for layer in theirs.layers] == names
    ours = load_model(tmp_path / "theirs.keras")
    assert [type(layer).__name__ for layer in ours.layers] == names
    assert ours.layers[0].range == (-0.1, 0.1) and ours.layers[1].range == (0.0, 0.6)
    assert ours.layers[2].factor == [2, 5] and ours.layers[3].addition_range == (0.0, 0.1)


@EACH
def test_numbers_follow_from_the_key_or_the_seed(name):
    layer, own = LAYERS[name](), LAYERS[name](seed=5)
    first = at(1, 0, lambda: layer(X))
    assert np.array_equal(first, at(1, 0, lambda: layer(X)))
    assert not np.array_equal(first, at(1, 1, lambda: layer(X)))
    assert not np.array_equal(first, at(2, 0, lambda: layer(X)))
    assert np.array_equal(at(1, 4, lambda: own(X)), at(2, 4, lambda: own(X)))
    assert not np.array_equal(at(1, 4, lambda: own(X)), at(1, 5, lambda: own(X)))
    # Samples are not all changed alike.
    same = at(3, 0, lambda: layer(np.repeat(X[:1], 40, axis=0)))
    assert len(np.unique(same.reshape(40, -1), axis=0)) > 1


@EACH
def test_calls_on_arrays_go_on_and_are_the_same_for_the_same_seed(name):
    a, b, free = LAYERS[name](seed=5), LAYERS[name](seed=5), LAYERS[name]()
    left, right = ([layer(X).numpy() for _ in range(3)] for layer in (a, b))
    for one, other in zip(left, right, strict=True):
        assert np.array_equal(one, other)
    assert not np.array_equal(left[0], left[1]) and not np.array_equal(left[1], left[2])
    assert not np.array_equal(free(X).numpy(), free(X).numpy())


@EACH
def test_configuration(name):
    layer = LAYERS[name](seed=7, data_format="channels_last")
    again = deserialize(serialize(layer))
    assert again.get_config() == layer.get_config()
    assert np.array_equal(at(0, 0, lambda: again(X)), at(0, 0, lambda: layer(X)))
    keras = peer("keras")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = getattr(keras.layers, type(layer).__name__)
        config = {k: v for k, v in layer.get_config().items() if v is not None}
        theirs.from_config(config)


def numbers(make, x, n=4000):
    """Return the coefficients that a layer draws for n images."""
    layer = make()
    return at(0, 0, lambda: layer.drawn(ops.as_value(np.zeros((n, *x), "float32"))))


def uniform(values, low, high):
    stats = peer("scipy.stats")
    assert low <= values.min() and values.max() <= high
    return stats.kstest(values, stats.uniform(low, high - low).cdf).pvalue > 1e-3


def test_ranges():
    turn = numbers(lambda: layers.RandomRotation((-0.1, 0.2)), (9, 9, 1))
    assert uniform(np.arctan2(turn[:, 0, 1], turn[:, 0, 0]) / (2 * np.pi), -0.1 - 1e-6, 0.2 + 1e-6)
    move = numbers(lambda: layers.RandomTranslation(0.2, (0.1, 0.3)), (10, 20, 1))
    assert uniform(-move[:, 0, 2] / 10, -0.2 - 1e-6, 0.2 + 1e-6)
    assert uniform(-move[:, 1, 2] / 20, 0.1 - 1e-6, 0.3 + 1e-6)
    assert abs(np.corrcoef(move[:, 0, 2], move[:, 1, 2])[0, 1]) < 0.05
    zoom = numbers(lambda: layers.RandomZoom(0.25), (10, 20, 1))
    assert uniform(zoom[:, 0, 0], 0.75 - 1e-6, 1.25 + 1e-6)
    assert np.array_equal(zoom[:, 0, 0], zoom[:, 1, 1])
    shear = numbers(lambda: layers.RandomShear(0.3, (0.1, 0.2)), (10, 20, 1))
    assert uniform(np.abs(shear[:, 1, 0]), -1e-6, 0.3 + 1e-6)
    assert uniform(np.abs(shear[:, 0, 1]), 0.1 - 1e-6, 0.2 + 1e-6)
    assert 0.45 < (shear[:, 0, 1] < 0).mean() < 0.55
    contrast = numbers(lambda: layers.RandomContrast((0.2, 0.4)), (2, 2, 1))
    assert uniform(contrast.ravel(), 0.8 - 1e-6, 1.4 + 1e-6)
    bright = numbers(lambda: layers.RandomBrightness(0.2), (2, 2, 1))
    assert uniform(bright.ravel(), -51 - 1e-3, 51 + 1e-3)


def test_flips_half_the_time_and_copies():
    x = np.repeat(RANDOM.standard_normal((1, 5, 4, 3)).astype("float32"), 1000, axis=0)
    x[:, 0, 0, 0] = np.nan
    for mode, ways in (("horizontal", ["h"]), ("vertical", ["v"]), (None, ["h", "v", "hv"])):
        layer = layers.RandomFlip(*([mode] if mode else []), seed=1)
        y = layer(x).numpy()
        turned = {"": x[0], "h": x[0, :, ::-1], "v": x[0, ::-1], "hv": x[0, ::-1, ::-1]}
        shares = {
            way: np.mean([np.array_equal(image, turned[way], equal_nan=True) for image in y])
            for way in ["", *ways]
        }
        assert sum(shares.values()) == 1
        for share in shares.values():
            assert abs(share - 1 / len(shares)) < 0.06


def test_crops_are_parts_of_the_image():
    x = np.arange(6 * 7, dtype="float32").reshape(1, 6, 7, 1).repeat(600, 0)
    y = layers.RandomCrop(4, 6, seed=0)(x).numpy()
    corners = y[:, 0, 0, 0].astype(int)
    assert set(corners) == {0, 1, 7, 8, 14, 15}
    for image, corner in zip(y, corners, strict=True):
        i, j = divmod(corner, 7)
        np.testing.assert_array_equal(image, x[0, i : i + 4, j : j + 6])
    assert min(np.bincount(corners)[[0, 1, 7, 8, 14, 15]]) > 60


@pytest.mark.parametrize("size", [(8, 8), (4, 3), (20, 11), (9, 8)])
def test_crops_in_prediction_are_the_middle_resized(size):
    keras = peer("keras")
    h, w = size
    found = layers.RandomCrop(h, w)(X, training=False).numpy()
    part_h, part_w = min(9, int(8 * h / w)), min(8, int(9 * w / h))
    top, left = (9 - part_h) // 2, (8 - part_w) // 2
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        part = X[:, top : top + part_h, left : left + part_w]
        want = np.asarray(keras.ops.image.resize(part, size, antialias=False))
    np.testing.assert_allclose(found, want, atol=1e-5)


def test_contrast_and_brightness_are_their_formulas():
    layer = layers.RandomContrast(0.5, (0, 1))
    x = X.astype("float64")
    mean = x.mean(axis=(1, 2), keepdims=True)
    factor = at(3, 0, lambda: layer.drawn(ops.as_value(X)))
    want = np.clip((x - mean) * factor + mean, 0, 1)
    np.testing.assert_allclose(at(3, 0, lambda: layer(X)), want, atol=1e-6)
    y = layers.RandomBrightness((1.0, 1.0), (-1, 1))(X).numpy()
    assert (y == 1).all()


def test_erasing_fills_rectangles():
    x = np.full((400, 20, 30, 1), 0.5, "float32")
    y = layers.RandomErasing((1, 1), (0.1, 0.4), 0.25, (0, 1), seed=1)(x).numpy()[..., 0]
    changed = y == 0.25
    assert ((y == 0.5) | changed).all()
    heights = changed.any(2).sum(1)
    widths = changed.any(1).sum(1)
    np.testing.assert_array_equal(changed.sum((1, 2)), heights * widths)
    assert heights.min() >= round(20 * np.sqrt(0.1)) and heights.max() <= round(20 * np.sqrt(0.4))
    assert widths.min() >= 9 and widths.max() <= 19
    assert changed.any(0).mean() > 0.98  # any pixel may be struck
    assert 0.45 < changed[:, :, :15].sum() / changed.sum() < 0.55
    part = layers.RandomErasing((0.3, 0.3), fill_value=[0, 0.25], value_range=(0, 1), seed=1)
    two = part(np.full((1000, 8, 8, 2), 0.5, "float32")).numpy()
    assert 0.2 < (two != 0.5).any(axis=(1, 2, 3)).mean() < 0.4
    assert set(np.unique(two[..., 0])) == {0, 0.5} and set(np.unique(two[..., 1])) == {0.25, 0.5}
    noise = layers.RandomErasing((1, 1), (1, 1), value_range=(0, 1), seed=1)(x).numpy()
    assert noise.min() == 0 and noise.max() == 1 and 0.4 < (noise == 0).mean() < 0.6


def network(first, loss="sparse_categorical_crossentropy", **options):
    set_random_seed(4)
    more = [layers.Flatten(), layers.Dense(8, activation="tanh"), layers.Dropout(0.2)]
    model = Sequential(
        [layers.Input((9, 8, 3)), *first, *more, layers.Dense(3, activation="softmax")]
    )
    model.compile(options.pop("optimizer", SGD(0.1)), loss, **options)
    return model


def everything():
    kinds = [make() for name, make in LAYERS.items() if name != "crop"]
    return [*kinds, layers.CutMix(), layers.RandomCrop(8, 7)]


def test_same_bits_at_any_number_of_threads():
    x = RANDOM.uniform(0, 1, (260, 9, 8, 3)).astype("float32")
    y = RANDOM.integers(0, 3, 260)
    found, before = [], executors.num_threads()
    try:
        for threads in (1, 2, 3):
            executors.set_num_threads(threads)
            model = network(everything())
            model.fit(x, y, batch_size=130, epochs=2, verbose=0)
            found.append(model.get_weights())
    finally:
        executors.set_num_threads(before)
    for other in found[1:]:
        assert all(np.array_equal(a, b) for a, b in zip(found[0], other, strict=True))


def test_a_run_that_is_resumed_ends_with_the_same_bits(tmp_path):
    whole = network(everything())
    whole.fit(X, Y, batch_size=16, epochs=3, verbose=0)
    broken, resumed = network(everything()), network(everything())
    counter = iter(range(100))

    def stop(batch, logs):
        if next(counter) == 4:
            raise KeyboardInterrupt

    for model, more in ((broken, [LambdaCallback(on_train_batch_end=stop)]), (resumed, [])):
        backup = BackupAndRestore(str(tmp_path / "backup"), save_freq=1)
        try:
            model.fit(X, Y, batch_size=16, epochs=3, verbose=0, callbacks=[backup, *more])
        except KeyboardInterrupt:
            assert model is broken
    for a, b in zip(whole.get_weights(), resumed.get_weights(), strict=True):
        assert np.array_equal(a, b)


def test_evaluation_and_files_do_not_augment(tmp_path):
    model, plain = network(everything()[:-1], metrics=["accuracy"]), network([])
    plain.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    plain.set_weights(model.get_weights())
    assert model.evaluate(X, Y, verbose=0) == plain.evaluate(X, Y, verbose=0)
    model.save(tmp_path / "m.chainrule")
    loaded = load_model(tmp_path / "m.chainrule")
    assert np.array_equal(loaded.predict(X, verbose=0), plain.predict(X, verbose=0))


def test_no_gradient_of_the_images_is_computed():
    model = network([layers.RandomRotation(0.1), layers.RandomZoom(0.1)])
    model.fit(X, Y, verbose=0)
    traced = trace(model._trainer, layout_of("train", 8, Batches(X, Y)))
    names = {node.op.name for node in ordered([v for _, v in traced.assigns])}
    assert "warp" in names and "warp_gradient" not in names


def test_the_gradient_of_a_warp_is_its_transpose():
    m = ops.as_value(maps(5))
    x, g = RANDOM.standard_normal((3, 6, 7, 2)), RANDOM.standard_normal((3, 4, 9, 2))
    leaf = Variable(x, dtype="float64")
    for how, mode in product(INTERPOLATIONS, FILL_MODES):
        y = warp(leaf.leaf, m, size=(4, 9), interpolation=how, fill_mode=mode, fill_value=0.0)
        back = gradient(ops.sum(ops.multiply(y, g)), [leaf])[0].numpy()
        assert np.isclose((back * x).sum(), (y.numpy() * g).sum(), rtol=1e-10)


def test_dicts():
    masks = (X[..., :1] > 0.5).astype("uint8")
    given = {"images": X, "labels": Y, "segmentation_masks": masks}
    out = layers.RandomRotation(0.2, interpolation="nearest", seed=1)(given)
    assert np.array_equal(out["labels"], Y)
    turned = out["images"].numpy()[..., :1] > 0.5
    np.testing.assert_array_equal(turned, out["segmentation_masks"].numpy() > 0.5)
    kept = layers.RandomFlip()(given, training=False)
    assert np.array_equal(kept["images"].numpy(), X) and kept["segmentation_masks"] is masks
    out = layers.RandomContrast(0.2)({"images": X, "labels": Y})
    assert out["images"].shape == X.shape and out["labels"] is Y
    with pytest.raises(ArgumentError, match="bounding_boxes"):
        layers.RandomFlip()({"images": X, "bounding_boxes": Y})


# CutMix.


def cut(x, y, **options):
    out = layers.CutMix(**options)({"images": x, "labels": y})
    return out["images"].numpy(), out["labels"].numpy()


def test_cutmix_takes_rectangles_and_mixes_labels_by_area():
    n = 300
    x = (np.arange(n, dtype="float32")[:, None, None, None] + 1) * np.ones((1, 12, 10, 1), "f4")
    images, labels = cut(x, np.eye(n, dtype="float32"), seed=2)
    assert images.shape == x.shape
    swapped = 0
    for i, (image, label) in enumerate(zip(images[..., 0], labels, strict=True)):
        own = image == i + 1
        others = set(image[~own])
        assert len(others) <= 1 and own.mean() >= 0.5
        assert np.isclose(label[i], own.mean(), atol=1e-6) and np.isclose(label.sum(), 1)
        if not others:
            continue
        assert np.isclose(label[int(others.pop()) - 1], 1 - own.mean(), atol=1e-6)
        box = own if own.sum() != own.any(1).sum() * own.any(0).sum() else ~own
        swapped += bool(own.sum() == own.any(1).sum() * own.any(0).sum())
        assert (~box).sum() == (~box).any(1).sum() * (~box).any(0).sum()
    assert swapped > 20
    assert (np.abs(labels - np.eye(n)).sum(1) > 1e-6).mean() > 0.4


def test_cutmix_shares_are_beta_distributed():
    stats = peer("scipy.stats")
    n = 4000
    layer = layers.CutMix((1.0, 1.0))
    with scope.tracing(constant(np.array([1, 0], np.int64)), True):
        _, mixing = layer._drawn(ops.as_value(np.zeros((n, 1, 1, 1), "f4")), (200, 200))
    share, partner = executors.run([mixing.share, mixing.partner])
    assert sorted(partner) == list(range(n))
    # Beta(1, 1) with those below 1/2 exchanged: uniform in [1/2, 1], to the size of a pixel.
    assert stats.kstest(share, stats.uniform(0.5, 0.5).cdf).statistic < 0.03


@pytest.mark.parametrize("sparse", [False, True])
def test_cutmix_in_fit_mixes_targets(sparse):
    name = "sparse_categorical_crossentropy" if sparse else "categorical_crossentropy"
    model = Sequential(
        [layers.CutMix(input_shape=(9, 8, 3)), layers.Flatten(), layers.Dense(3, "softmax")]
    )
    model.compile(SGD(0.0), name)
    loss = model.train_on_batch(X, Y if sparse else to_categorical(Y, 3))
    layer = model.layers[0]
    with scope.tracing(constant(np.array([model._trainer.seed, 0], np.int64)), True):
        (images,), mixing = layer.mixed([ops.as_value(X)])
    mixed, share, partner = executors.run([images, mixing.share, mixing.partner])
    one_hot = to_categorical(Y, 3).astype("float64")
    targets = share[:, None] * one_hot + (1 - share[:, None]) * one_hot[partner]
    p = mixed
    for behind in model.layers[1:]:
        p = behind(p).numpy()
    assert np.isclose(loss, -(targets * np.log(p)).sum(1).mean(), rtol=1e-5)
    assert (share < 1).any() and (share >= 0.5).all()


def test_arguments_may_be_numbers_of_numpy():
    n, share = np.int64(3), np.float32(0.5)
    for layer in (
        layers.RandomCrop(n, n), layers.RandomRotation(share, fill_value=share),
        layers.RandomGrayscale(share), layers.MixUp(share), layers.RandomBrightness(share),
    ):  # fmt: skip
        again = type(layer).from_config(json.loads(json.dumps(layer.get_config())))
        assert again.get_config() == layer.get_config()


def refused(call, kind, match):
    with pytest.raises(kind, match=match) as caught:
        call()
    assert isinstance(caught.value, ChainruleError)


def test_mistakes():
    refused(lambda: layers.RandomFlip("sideways"), ArgumentError, "mode")
    refused(lambda: layers.RandomRotation(1.5), ArgumentError, "factor is 1.5")
    refused(lambda: layers.RandomRotation((0.1, 0.2, 0.3)), ArgumentError, "or two")
    refused(lambda: layers.RandomRotation("x"), ArgumentError, "factor")
    refused(lambda: layers.RandomRotation(0.1, "mirror"), ArgumentError, "fill_mode")
    refused(lambda: layers.RandomRotation(0.1, interpolation="cubic"), ArgumentError, "interpol")
    refused(lambda: layers.RandomRotation(0.1, fill_value="x"), ArgumentError, "fill_value")
    refused(lambda: layers.RandomRotation(0.1, seed="x"), ArgumentError, "seed")
    refused(lambda: layers.RandomZoom(-1.0), ArgumentError, "height_factor")
    refused(lambda: layers.RandomShear(-0.1), ArgumentError, "x_factor")
    refused(lambda: layers.RandomTranslation(0.1, 2), ArgumentError, "width_factor")
    refused(lambda: layers.RandomCrop(0, 3), ArgumentError, "height is 0")
    refused(lambda: layers.RandomContrast(-0.1), ArgumentError, "factor")
    refused(lambda: layers.RandomBrightness(0.1, (1, 1)), ArgumentError, "value_range")
    refused(lambda: layers.RandomErasing(fill_value="x"), ArgumentError, "fill_value")
    refused(lambda: layers.RandomErasing(fill_value=[1, 2])(X), ShapeError, "2 channels")
    refused(lambda: layers.RandomPosterization(9), ArgumentError, "bits from 1 to 8")
    refused(lambda: layers.RandomPosterization(2.5), ArgumentError, "factor is 2.5")
    refused(lambda: layers.RandomGaussianBlur(kernel_size=4), ArgumentError, "kernel_size")
    refused(lambda: layers.RandomGrayscale(1.5), ArgumentError, "factor")
    refused(lambda: layers.RandomHue(0.5)(X[..., :1]), ShapeError, "3 channels")
    refused(lambda: layers.RandomFlip(data_format="nhwc"), ArgumentError, "data_format")
    refused(lambda: layers.CutMix(2.0), ArgumentError, "factor")
    refused(lambda: layers.CutMix()({"images": X, "labels": Y}), ArgumentError, "one-hot")
    refused(lambda: layers.CutMix()(X, training=True), GraphError, "with a loop")
    flat = Sequential([layers.CutMix(input_shape=(4,)), layers.Dense(2)])
    flat.compile("sgd", "mse")
    refused(lambda: flat.fit(np.ones((8, 4)), np.ones((8, 2)), verbose=0), ShapeError, "images")
    twice = network([layers.CutMix(), layers.MixUp()])
    refused(lambda: twice.fit(X, Y, verbose=0), GraphError, "mixed already")
