"""`ImageDataGenerator`: formulas against SciPy and Keras, repeatable batches, folders, tables."""

import warnings

import numpy as np
import pytest

from chainrule import executors
from chainrule.callbacks import BackupAndRestore, LambdaCallback
from chainrule.errors import (
    ArgumentError,
    ChainruleError,
    DataError,
    DataWarning,
    ImageError,
    NotBuiltError,
    ShapeError,
)
from chainrule.layers import Dense, Flatten, Input
from chainrule.models import Sequential
from chainrule.optimizers import SGD
from chainrule.preprocessing.image import ImageDataGenerator, save_img
from chainrule.preprocessing.transforms import numbers
from chainrule.utils import set_random_seed
from peers import peer

RANDOM = np.random.default_rng(0)
X = RANDOM.uniform(0, 255, (30, 8, 8, 3)).astype("float32")
Y = RANDOM.integers(0, 3, 30)
ALL = {
    "rotation_range": 20, "width_shift_range": 0.2, "height_shift_range": 2,
    "brightness_range": (0.5, 1.5), "shear_range": 10.0, "zoom_range": 0.2,
    "channel_shift_range": 20.0, "horizontal_flip": True, "vertical_flip": True,
}  # fmt: skip


def theirs():
    """Keras's generator, which newer versions keep for old programs."""
    peer("keras")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("keras.src.legacy.preprocessing.image")


PARAMETERS = [
    {"theta": 30.0},
    {"tx": 2.0, "ty": -1.0},
    {"theta": -17.0, "tx": 1.5, "ty": 0.25, "shear": 20.0, "zx": 0.8, "zy": 1.3},
    {"shear": -35.0, "flip_horizontal": True},
    {"zx": 1.5, "zy": 1.5, "flip_vertical": True, "channel_shift_intensity": 30.0},
    {"flip_horizontal": True, "flip_vertical": True},
]


@pytest.mark.parametrize("parameters", PARAMETERS)
@pytest.mark.parametrize("mode", ["nearest", "reflect"])
def test_images_are_changed_as_in_keras(parameters, mode):
    keras = theirs()
    ndimage = peer("scipy.ndimage")
    # A square image; what Keras takes for down and across is exchanged.
    swapped = {"tx": parameters.get("ty", 0), "ty": parameters.get("tx", 0)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if not hasattr(keras.scipy.ndimage, "interpolation"):
            keras.scipy.ndimage.interpolation = ndimage
        want = keras.ImageDataGenerator(fill_mode=mode).apply_transform(
            X[0], {**parameters, **swapped}
        )
    ours = ImageDataGenerator(fill_mode=mode).apply_transform(X[0], parameters)
    np.testing.assert_allclose(ours, want, rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize("order", [0, 1])
def test_images_that_are_not_square(order):
    ndimage = peer("scipy.ndimage")
    x = RANDOM.uniform(0, 1, (7, 12, 1))
    generator = ImageDataGenerator(interpolation_order=order, dtype="float64", fill_mode="reflect")
    found = generator.apply_transform(x, {"theta": 25.0, "tx": 1.0, "zx": 1.2})
    t = np.deg2rad(25)
    turn = np.array([[np.cos(t), np.sin(t)], [-np.sin(t), np.cos(t)]])
    linear = turn @ np.diag([1, 1.2])
    middle = np.array([3, 5.5])
    offset = middle + turn @ [1, 0] - linear @ middle
    want = ndimage.affine_transform(x[..., 0], linear, offset, order=order, mode="reflect")
    np.testing.assert_allclose(found[..., 0], want, atol=1e-12)
    first = ImageDataGenerator(
        interpolation_order=order, dtype="float64", fill_mode="reflect",
        data_format="channels_first",
    )  # fmt: skip
    again = first.apply_transform(x.transpose(2, 0, 1), {"theta": 25.0, "tx": 1.0, "zx": 1.2})
    np.testing.assert_array_equal(again.transpose(1, 2, 0), found)


def test_brightness():
    def lit(x, factor):
        return ImageDataGenerator().apply_transform(x, {"brightness": factor})

    np.testing.assert_allclose(lit(X[0], 0.5), X[0] * 0.5, rtol=1e-6)
    np.testing.assert_allclose(lit(X[0], 1.7), np.minimum(X[0] * 1.7, 255), rtol=1e-6)
    x = X[0] - 100
    low, high = x.min(), x.max()
    scaled = np.clip((x - low) / (high - low) * 1.2, 0, 1) * (high - low) + low
    np.testing.assert_allclose(lit(x, 1.2), scaled, rtol=1e-5, atol=1e-3)
    assert np.isfinite(lit(np.full((2, 2, 1), 300.0), 0.5)).all()


STANDARDS = [
    {"rescale": 1 / 255},
    {"samplewise_center": True},
    {"samplewise_std_normalization": True, "rescale": 0.1},
    {"featurewise_center": True},
    {"featurewise_std_normalization": True, "rescale": 1 / 255},
    {"zca_whitening": True, "zca_epsilon": 1e-2},
    {"preprocessing_function": lambda image: image / 2 - 1},
]


@pytest.mark.parametrize("options", STANDARDS)
@pytest.mark.parametrize("first", [False, True])
def test_standardization_is_that_of_keras(options, first):
    keras = theirs()
    x = X.transpose(0, 3, 1, 2).copy() if first else X
    options = {**options, "data_format": "channels_first" if first else None}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        reference = keras.ImageDataGenerator(**options)
        reference.fit(x)
        want = [reference.standardize(x[i].copy()) for i in range(3)]
    ours = ImageDataGenerator(**options)
    before = x.copy()
    ours.fit(x)
    for i in range(3):
        np.testing.assert_allclose(ours.standardize(x[i]), want[i], rtol=2e-3, atol=2e-3)
    np.testing.assert_allclose(ours.standardize(x)[:3], want, rtol=2e-3, atol=2e-3)
    assert np.array_equal(x, before)


def test_whitening_makes_components_independent():
    x = RANDOM.standard_normal((400, 3, 3, 1)) @ np.diag([2.0])
    x[:, 1] += x[:, 0]
    generator = ImageDataGenerator(zca_whitening=True, dtype="float64")
    generator.fit(x)
    white = generator.standardize(x).reshape(400, -1)
    np.testing.assert_allclose(white.T @ white / 400, np.eye(9), atol=1e-6)


def test_numbers_are_uniform_and_a_function_of_seed_epoch_and_sample():
    u = numbers(3, 1, np.arange(20000))
    assert u.shape == (20000, 12) and u.min() >= 0 and u.max() < 1
    np.testing.assert_allclose(u.mean(0), 0.5, atol=0.01)
    np.testing.assert_allclose(np.corrcoef(u.T), np.eye(12), atol=0.03)
    assert np.array_equal(numbers(3, 1, np.array([7, 3])), u[[7, 3]])
    assert not np.array_equal(numbers(3, 2, np.arange(9)), u[:9])
    assert not np.array_equal(numbers(4, 1, np.arange(9)), u[:9])


def drawn(shape=(10, 20, 3), n=400, **options):
    generator = ImageDataGenerator(**options)
    rows = [generator.get_random_transform(shape, seed=i) for i in range(n)]
    return {k: np.array([row[k] for row in rows]) for k in rows[0]}


def test_ranges():
    p = drawn(
        rotation_range=15, width_shift_range=0.25, height_shift_range=3, shear_range=5.0,
        zoom_range=(0.5, 0.9), channel_shift_range=7.0, brightness_range=(0.2, 0.4),
        horizontal_flip=True,
    )  # fmt: skip
    for name, low, high in (("theta", -15, 15), ("ty", -5, 5), ("shear", -5, 5), ("zx", 0.5, 0.9),
                            ("zy", 0.5, 0.9), ("channel_shift_intensity", -7, 7),
                            ("brightness", 0.2, 0.4)):  # fmt: skip
        span = high - low
        assert low <= p[name].min() < low + 0.05 * span
        assert high - 0.05 * span < p[name].max() <= high
    assert set(p["tx"]) == {-2, -1, 0, 1, 2}
    assert 0.4 < p["flip_horizontal"].mean() < 0.6 and not p["flip_vertical"].any()
    assert set(drawn(width_shift_range=[0.1, 0.3])["ty"].round(9)) == {-6, -2, 2, 6}
    assert set(drawn(height_shift_range=[4, 7])["tx"]) == {-7, -4, 4, 7}
    wide = drawn(width_shift_range=3.5)["ty"]
    assert wide.min() >= -3.5 and wide.max() <= 3.5 and len(set(wide)) > 300
    still = drawn(n=3)
    assert not still["theta"].any() and (still["zx"] == 1).all()
    assert still["brightness"][0] is None and still["channel_shift_intensity"][0] is None
    assert np.array_equal(ImageDataGenerator().random_transform(X[0]), X[0])


def test_width_moves_across():
    x = np.zeros((1, 5, 9, 1))
    x[0, 2, 4] = 1
    seen = set()
    flow = ImageDataGenerator(width_shift_range=[2.0]).flow(x, batch_size=1, seed=0)
    for _ in range(20):
        seen |= {tuple(place[1:3].tolist()) for place in np.argwhere(next(flow) == 1)}
    assert seen == {(2, 2), (2, 6)}


def everything(**options):
    return ImageDataGenerator(**ALL, rescale=1 / 255, **options)


def test_batches():
    weights = RANDOM.uniform(0, 1, 30)
    flow = everything().flow(X, Y, batch_size=8, sample_weight=weights, seed=4)
    assert len(flow) == 4 and flow.n == flow.samples == 30
    parts = [next(flow) for _ in range(4)]
    assert [len(x) for x, _, _ in parts] == [8, 8, 8, 6]
    assert parts[0][0].dtype == "float32" and parts[0][0].shape == (8, 8, 8, 3)
    assert sorted(np.concatenate([w for _, _, w in parts])) == sorted(weights)
    second = [next(flow) for _ in range(4)]
    assert not np.array_equal(parts[0][1], second[0][1])
    # By number, and one after the other, the same; again from the beginning as well.
    again = everything().flow(X, Y, batch_size=8, sample_weight=weights, seed=4)
    for number in (3, 0, 2, 1):
        for a, b in zip(again[number], parts[number], strict=True):
            assert np.array_equal(a, b)
    again.on_epoch_end()
    assert np.array_equal(again[1][0], second[1][0])
    flow = everything().flow(X, Y, batch_size=8, shuffle=False, seed=4)
    first = next(flow)
    flow.reset()
    assert np.array_equal(next(flow)[0], first[0]) and np.array_equal(first[1], Y[:8])
    flow.on_epoch_end()
    assert not any(np.array_equal(a, b) for a, b in zip(flow[0][0], first[0], strict=True))
    # A sample is changed alike whatever batch it is in.
    alone = everything().flow(X, Y, batch_size=1, shuffle=False, seed=4)
    np.testing.assert_allclose(alone[3][0][0], first[0][3], atol=1e-6)
    with pytest.raises(IndexError):
        flow[4]
    assert everything().flow(X, batch_size=8)[0].shape == (8, 8, 8, 3)
    images, more = everything().flow((X, [np.arange(30)]), batch_size=8, shuffle=False)[1]
    assert images.shape == (8, 8, 8, 3) and np.array_equal(more, np.arange(8, 16))


def test_seeds():
    def first(seed=None):
        return everything().flow(X, Y, seed=seed)[0][0]

    assert np.array_equal(first(1), first(1)) and not np.array_equal(first(1), first(2))
    set_random_seed(3)
    a = first()
    b = first()
    set_random_seed(3)
    assert np.array_equal(first(), a) and not np.array_equal(a, b)
    generator = everything()
    assert np.array_equal(generator.random_transform(X[0], 5), generator.random_transform(X[0], 5))


def test_subsets():
    generator = everything(validation_split=0.2)
    parts = [generator.flow(X, Y, subset=s, shuffle=False) for s in ("training", "validation")]
    assert [p.n for p in parts] == [24, 6]
    assert np.array_equal(parts[1].y, Y[:6]) and np.array_equal(parts[0].y, Y[6:])
    order = np.sort(Y)
    with pytest.raises(DataError, match="shuffle x and y"):
        generator.flow(X, order, subset="training")
    assert generator.flow(X, order, subset="training", ignore_class_split=True).n == 24


def network():
    set_random_seed(1)
    model = Sequential([Input((8, 8, 3)), Flatten(), Dense(3, activation="softmax")])
    model.compile(SGD(0.01), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def test_same_bits_at_any_number_of_threads():
    found, before = [], executors.num_threads()
    try:
        for threads in (1, 2, 3):
            executors.set_num_threads(threads)
            model = network()
            model.fit(everything().flow(X, Y, batch_size=8, seed=2), epochs=2, verbose=0)
            found.append(model.get_weights())
    finally:
        executors.set_num_threads(before)
    for other in found[1:]:
        assert all(np.array_equal(a, b) for a, b in zip(found[0], other, strict=True))


@pytest.mark.parametrize("stop_at", [3, 4, 6])
def test_a_run_that_is_resumed_ends_with_the_same_bits(tmp_path, stop_at):
    def flow():
        return everything().flow(X, Y, batch_size=8, seed=2)

    whole = network()
    whole.fit(flow(), epochs=3, verbose=0)
    counter = iter(range(100))

    def stop(batch, logs):
        if next(counter) == stop_at:
            raise KeyboardInterrupt

    broken, resumed = network(), network()
    for model, more in ((broken, [LambdaCallback(on_train_batch_end=stop)]), (resumed, [])):
        backup = BackupAndRestore(str(tmp_path / "backup"), save_freq=1)
        try:
            model.fit(flow(), epochs=3, verbose=0, callbacks=[backup, *more])
        except KeyboardInterrupt:
            assert model is broken
    for a, b in zip(whole.get_weights(), resumed.get_weights(), strict=True):
        assert np.array_equal(a, b)


def test_fit_evaluate_and_predict():
    plain = ImageDataGenerator(rescale=1 / 255).flow(X, Y, shuffle=False)
    model = network()
    history = model.fit(
        everything().flow(X, Y, batch_size=8), epochs=2, steps_per_epoch=3,
        validation_data=plain, verbose=0,
    )  # fmt: skip
    assert len(history.history["val_loss"]) == 2
    direct = model.evaluate(X / 255, Y, verbose=0)
    np.testing.assert_allclose(model.evaluate(plain, verbose=0), direct, rtol=1e-5)
    np.testing.assert_allclose(
        model.predict(plain, verbose=0), model.predict(X / 255, verbose=0), rtol=1e-5
    )


def test_pictures_are_saved(tmp_path):
    peer("PIL")
    flow = everything().flow(X, batch_size=4, shuffle=False, save_to_dir=tmp_path, save_prefix="a")
    next(flow)
    assert sorted(p.name for p in tmp_path.iterdir()) == [f"a_{i}_0.png" for i in range(4)]


@pytest.fixture
def folder(tmp_path):
    peer("PIL")
    for k, name in enumerate(("dog", "ant", "cat")):
        (tmp_path / name).mkdir()
        for i in range(5):
            pixels = np.full((6, 7, 3), 40 * k + i)
            save_img(tmp_path / name / f"{i}.png", pixels, scale=False)
    return tmp_path


def test_folders(folder, capsys):
    generator = ImageDataGenerator(validation_split=0.4)
    flow = generator.flow_from_directory(folder, (4, 5), batch_size=4, shuffle=False)
    assert "Found 15 images belonging to 3 classes." in capsys.readouterr().out
    assert flow.class_indices == {"ant": 0, "cat": 1, "dog": 2} and flow.num_classes == 3
    assert flow.classes.tolist() == [0] * 5 + [1] * 5 + [2] * 5
    assert flow.filenames[6] == "cat/1.png" and flow.samples == 15 and len(flow) == 4
    assert flow.image_shape == (4, 5, 3)
    x, y = flow[1]
    assert x[:, 0, 0, 0].tolist() == [44, 80, 81, 82]
    assert np.array_equal(y, np.eye(3)[[0, 1, 1, 1]]) and y.dtype == "float32"
    parts = [
        generator.flow_from_directory(folder, (4, 5), subset=s, class_mode="sparse", shuffle=False)
        for s in ("training", "validation")
    ]
    assert [p.samples for p in parts] == [9, 6]
    assert set(parts[0].filenames).isdisjoint(parts[1].filenames)
    assert parts[1].filenames[:2] == ["ant/0.png", "ant/1.png"]
    assert parts[1][0][1].tolist() == [0, 0, 1, 1, 2, 2]
    some = generator.flow_from_directory(
        folder, (4, 5), "grayscale", classes=["dog", "ant"], class_mode="binary", seed=1
    )
    x, y = next(some)
    assert x.shape == (10, 4, 5, 1) and sorted(y) == [0] * 5 + [1] * 5
    assert some.class_indices == {"dog": 0, "ant": 1}
    x, y = generator.flow_from_directory(folder, (4, 5), class_mode="input")[0]
    assert np.array_equal(x, y) and x is not y
    first = ImageDataGenerator(data_format="channels_first", rotation_range=10)
    assert first.flow_from_directory(folder, (4, 5), class_mode=None)[0].shape == (15, 3, 4, 5)


def test_folders_train(folder, capsys):
    generator = ImageDataGenerator(rescale=1 / 255, horizontal_flip=True)
    flow = generator.flow_from_directory(folder, (8, 8), class_mode="sparse", batch_size=4, seed=1)
    model = network()
    model.fit(flow, epochs=3, verbose=0)
    other = network()
    again = generator.flow_from_directory(folder, (8, 8), class_mode="sparse", batch_size=4, seed=1)
    other.fit(again, epochs=3, verbose=0)
    for a, b in zip(model.get_weights(), other.get_weights(), strict=True):
        assert np.array_equal(a, b)


def test_broken_files_are_named(folder, capsys):
    (folder / "ant" / "broken.png").write_bytes(b"no image")
    flow = ImageDataGenerator().flow_from_directory(folder, (4, 4))
    with pytest.raises(ImageError, match=r"broken\.png") as caught:
        next(flow)
    assert "image_dataset_from_directory" in caught.value.__notes__[0]


def test_tables(folder, capsys):
    table = {
        "filename": ["dog/0.png", "ant/1.png", "none.png", "cat/2.png"],
        "class": ["dog", "ant", "dog", "cat"],
        "kinds": [["a"], ["a", "b"], ["b"], ["b"]],
        "size": [1.0, 2.0, 3.0, 4.0],
        "w": [1.0, 0.5, 1.0, 1.0],
    }
    options = {"directory": folder, "target_size": (4, 4), "shuffle": False}
    generator = ImageDataGenerator()
    with pytest.warns(DataWarning, match=r"none\.png"):
        flow = generator.flow_from_dataframe(table, weight_col="w", **options)
    assert flow.class_indices == {"ant": 0, "cat": 1, "dog": 2}
    x, y, w = flow[0]
    assert x[:, 0, 0, 0].tolist() == [0, 41, 82] and w.tolist() == [1, 0.5, 1]
    assert np.array_equal(y, np.eye(3)[[2, 0, 1]])
    table = {name: [v for i, v in enumerate(column) if i != 2] for name, column in table.items()}
    _, y = generator.flow_from_dataframe(table, y_col="kinds", **options)[0]
    assert y.tolist() == [[1, 0], [1, 1], [0, 1]]
    _, y = generator.flow_from_dataframe(table, class_mode="sparse", classes=["cat", "dog"],
                                         **options)[0]  # fmt: skip
    assert y.tolist() == [1, 0]
    _, y = generator.flow_from_dataframe(table, y_col="size", class_mode="raw", **options)[0]
    assert y.tolist() == [1, 2, 4]
    _, y = generator.flow_from_dataframe(
        table, y_col=["size", "w"], class_mode="multi_output", **options
    )[0]
    assert [part.tolist() for part in y] == [[1, 2, 4], [1, 0.5, 1]]
    _, y = generator.flow_from_dataframe(table, y_col=["size", "w"], class_mode="raw", **options)[0]
    assert y.tolist() == [[1, 1], [2, 0.5], [4, 1]]
    with pytest.raises(ArgumentError, match="no column 'klass'"):
        generator.flow_from_dataframe(table, y_col="klass", **options)
    with pytest.raises(DataError, match="not one row"):
        generator.flow_from_dataframe(table, classes=["emu"], **options)
    numbers = {**table, "class": [10, 2, 9]}
    flow = generator.flow_from_dataframe(numbers, class_mode="sparse", **options)
    assert flow.class_indices == {"2": 0, "9": 1, "10": 2} and flow[0][1].tolist() == [2, 0, 1]
    flow = generator.flow_from_dataframe(numbers, class_mode="sparse", classes=[9, 10], **options)
    assert flow.class_indices == {"9": 0, "10": 1} and flow[0][1].tolist() == [1, 0]
    for nothing in (None, float("nan")):
        with pytest.raises(DataError, match="row 1 of the table has no class: it is"):
            generator.flow_from_dataframe({**table, "class": ["dog", nothing, "cat"]}, **options)
    for y_col, mode, words in [
        ("size", "multi_output", "takes a list of columns"),
        (["class", "w"], "categorical", "takes the name of one column"),
        ("class", "binary", "needs 2 classes, not 3"),
    ]:
        with pytest.raises(ArgumentError, match=words):
            generator.flow_from_dataframe(table, y_col=y_col, class_mode=mode, **options)


def refused(call, kind, match):
    with pytest.raises(kind, match=match) as caught:
        call()
    assert isinstance(caught.value, ChainruleError)


def test_batch_sizes_of_numpy():
    assert ImageDataGenerator().flow(X, batch_size=np.int64(4))[0].shape == (4, 8, 8, 3)
    with pytest.raises(ArgumentError, match="batch_size is True"):
        ImageDataGenerator().flow(X, batch_size=True)
    with pytest.raises(ArgumentError, match="seed is 'a'; expected a whole number"):
        ImageDataGenerator().flow(X, seed="a")


def test_mistakes(tmp_path):
    refused(lambda: ImageDataGenerator(fill_mode="mirror"), ArgumentError, "fill_mode")
    refused(lambda: ImageDataGenerator(data_format="nhwc"), ArgumentError, "data_format")
    refused(lambda: ImageDataGenerator(validation_split=1.0), ArgumentError, "validation_split")
    refused(lambda: ImageDataGenerator(zoom_range=(1, 2, 3)), ArgumentError, "zoom_range")
    for name in (
        "rotation_range", "width_shift_range", "height_shift_range", "shear_range", "zoom_range",
        "channel_shift_range", "rescale", "brightness_range",
    ):  # fmt: skip
        refused(lambda: ImageDataGenerator(**{name: ("a", "b")}), ArgumentError, name)  # noqa: B023
        refused(lambda: ImageDataGenerator(**{name: "x"}), ArgumentError, name)  # noqa: B023
    cut = ImageDataGenerator(preprocessing_function=lambda image: image[:2])
    refused(lambda: cut.flow(X)[0], ShapeError, r"made \[2, 8, 3\] of an image")
    refused(lambda: ImageDataGenerator(brightness_range=0.5), ArgumentError, "brightness_range")
    refused(lambda: ImageDataGenerator(interpolation_order=3), ArgumentError, "interpolation_order")
    refused(lambda: ImageDataGenerator(dtype="int32"), ArgumentError, "dtype")
    generator = ImageDataGenerator(featurewise_center=True)
    refused(lambda: generator.flow(X)[0], NotBuiltError, r"call generator\.fit")
    refused(lambda: generator.fit(X[0]), ShapeError, "4 axes")
    refused(lambda: generator.flow(X[0]), ShapeError, "4 axes")
    refused(lambda: generator.flow(X, Y[:5]), DataError, "5 rows")
    refused(lambda: generator.flow(X, batch_size=0), ArgumentError, "batch_size")
    refused(lambda: generator.flow(X, subset="training"), ArgumentError, "validation_split")
    split = ImageDataGenerator(validation_split=0.5)
    refused(lambda: split.flow(X, subset="test"), ArgumentError, "subset")
    refused(lambda: split.apply_transform(X, {}), ShapeError, "one image")
    refused(lambda: split.flow_from_directory(tmp_path / "no"), ChainruleError, "no folder")
    refused(
        lambda: split.flow_from_directory(tmp_path, class_mode="x"), ArgumentError, "class_mode"
    )
