"""Folders of images: what is found in them and said of it, and that they train as arrays do."""

from __future__ import annotations

import os
import threading
import warnings

import numpy as np
import pytest

import chainrule
from chainrule import callbacks as cb
from chainrule.data import folder_source
from chainrule.data.folders import ImageFolder, Options
from chainrule.data.images import Form, decode
from chainrule.data.listing import flat, listed
from chainrule.errors import (
    ArgumentError,
    DataError,
    DataWarning,
    FileError,
    ImageError,
    MissingDependencyError,
)
from chainrule.layers import Dense, Dropout, Flatten, Input
from chainrule.models import Sequential
from chainrule.utils import image_dataset_from_directory, set_random_seed

Image = pytest.importorskip("PIL.Image")

RANDOM = np.random.default_rng(5)
SIZE = (6, 5)


def save(path, shape=(9, 8), **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(RANDOM.integers(0, 256, (*shape, 3)).astype("uint8")).save(path, **options)
    return path


def pictures(folder, counts=(14, 9, 11)):
    for name, count in zip("abc", counts, strict=False):
        for i in range(count):
            save(folder / name / f"{i:02}.{'png' if i % 3 else 'jpg'}", (7 + i, 12 - i % 5))
    return folder


def awkward(folder):
    """Return a folder with all that is found in folders: what the issue asks to train."""
    pictures(folder, (14, 9))
    packed = save(folder / "a" / "whole.jpg", (40, 40)).read_bytes()
    (folder / "a" / "cut.jpg").write_bytes(packed[: len(packed) // 2])
    (folder / "b" / "text.png").write_text("this is not an image")
    Image.new("RGB", (1, 1), "red").save(folder / "b" / "tiny.png")
    Image.new("CMYK", (5, 5), (0, 255, 255, 0)).save(folder / "b" / "cmyk.jpg")
    (folder / "c").mkdir()
    (folder / "a" / ".DS_Store").write_bytes(b"x")
    (folder / "a" / "Thumbs.db").write_bytes(b"x")
    (folder / "a" / "._00.png").write_bytes(b"x")
    (folder / ".hidden").mkdir()
    save(folder / ".hidden" / "x.png")
    (folder / "b" / "notes.txt").write_text("x")
    save(folder / "stray.png")
    save(folder / "a" / "more" / "deep.PNG")
    return folder


def dataset(folder, **options):
    given = {"image_size": SIZE, "batch_size": 7, "verbose": False, **options}
    return image_dataset_from_directory(folder, **given)


def quiet(call, *given, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        return call(*given, **options)


def network(classes=3, seed=1):
    set_random_seed(seed)
    layers = [Input((*SIZE, 3)), Flatten(), Dense(7, activation="relu"), Dropout(0.2)]
    model = Sequential([*layers, Dense(classes, activation="softmax")])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def trained(*given, epochs=3, **options):
    model = network()
    history = model.fit(*given, epochs=epochs, verbose=0, **options)
    return [*model.get_weights(), *history.history.values()]


def same(a, b):
    return len(a) == len(b) and all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


# What is found


def test_the_order_is_that_of_classes_and_names(tmp_path):
    found = listed(pictures(tmp_path))
    assert found.class_names == ["a", "b", "c"] and found.counts == [14, 9, 11]
    assert found.files == sorted(found.files)
    assert [found.class_names[k] for k in found.labels] == [p.parent.name for p in found.files]
    found = listed(tmp_path, ["c", "a"])
    assert found.class_names == ["c", "a"] and found.counts == [11, 14]
    assert len(flat(tmp_path).files) == 34 and flat(tmp_path).class_names == []


def test_what_is_passed_over_is_said(tmp_path, capsys):
    folder = awkward(tmp_path)
    with pytest.warns(DataWarning) as told:
        found = image_dataset_from_directory(folder, image_size=SIZE)
    assert [str(one.message).partition(str(folder))[0] for one in told] == [
        "no images in the folder 'c' of '",
        "1 image directly in '",
    ]
    assert "'stray.png'" in str(told[1].message) and told[0].filename == __file__
    assert capsys.readouterr().out == (
        "Found 29 files belonging to 3 classes; passed over, since no images by their names: "
        "'notes.txt'.\n"
    )
    names = [os.path.basename(path) for path in found.file_paths]
    assert not {".DS_Store", "Thumbs.db", "._00.png", "x.png", "notes.txt"} & set(names)
    assert "deep.PNG" in names and found.class_names == ["a", "b", "c"]


def test_the_folder_of_the_issue_gives_clear_words_and_trains(tmp_path):
    folder = quiet(dataset, awkward(tmp_path))
    model = network()
    with pytest.warns(DataWarning) as told:
        history = model.fit(folder, epochs=2, verbose=0)
    (words,) = (str(one.message) for one in told)
    first, cut, text = words.splitlines()
    assert first == "2 of 29 images cannot be decoded, and are left out:"
    assert cut.startswith(f"  {str(tmp_path / 'a' / 'cut.jpg')!r} cannot be decoded: ")
    assert "runcated" in cut
    assert text.endswith("is not an image (BMP, GIF, JPEG, PNG, PPM, TIFF, WEBP): it begins with "
                         "b'this is not '")  # fmt: skip
    assert np.isfinite(history.history["loss"]).all()
    assert folder.samples == 27 and len(folder) == 4
    assert [os.path.basename(path) for path in folder.broken] == ["cut.jpg", "text.png"]
    assert model.predict(folder, verbose=0).shape == (27, 3)
    images, labels = folder.arrays()
    paths = [path for path in folder.file_paths if path not in folder.broken]
    at = {os.path.basename(path): i for i, path in enumerate(paths)}
    assert (images[at["tiny.png"]] == [255, 0, 0]).all() and labels[at["tiny.png"]] == 1
    assert np.abs(images[at["cmyk.jpg"]].astype(int) - [255, 0, 0]).max() < 12


def test_broken_ones_are_refused_where_asked(tmp_path):
    folder = quiet(dataset, awkward(tmp_path), on_error="raise")
    for memory in (1024, 0):
        folder = quiet(dataset, tmp_path, on_error="raise", memory_mb=memory)
        model = network()
        before = model.get_weights()
        # From memory it is the first by name, else the first that is met.
        with pytest.raises(ImageError, match=r"(cut|text)\.(jpg|png)'" if not memory else "cut"):
            model.fit(folder, verbose=0)
        assert same(before, model.get_weights())


def test_a_class_that_is_all_broken_and_a_folder_that_is(tmp_path):
    pictures(tmp_path, (3, 2))
    for path in (tmp_path / "b").iterdir():
        path.write_bytes(b"?")
    with pytest.warns(DataWarning) as told:
        assert dataset(tmp_path).samples == 3
    assert "not one image of the class 'b' can be decoded" in str(told[1].message)
    for path in (tmp_path / "a").iterdir():
        path.write_bytes(b"")
    with pytest.raises(DataError, match=r"none of the 5 images can be decoded:\n  .*is empty"):
        network().fit(dataset(tmp_path), verbose=0)


def test_many_broken_ones_are_summed_up(tmp_path):
    pictures(tmp_path, (20,))
    for i, path in enumerate(sorted((tmp_path / "a").iterdir())):
        if i:
            path.write_bytes(b"?")
    folder = dataset(tmp_path)
    with pytest.warns(DataWarning, match="19 of 20 .*(?s:.*)and 9 more, in the attribute `broken`"):
        folder.arrays()
    assert len(folder.broken) == 19


def test_folders_without_images(tmp_path):
    with pytest.raises(FileError, match=r"there is no folder '.*none'"):
        dataset(tmp_path / "none")
    path = save(tmp_path / "x.png")
    with pytest.raises(FileError, match="is a file; expected a folder"):
        dataset(path)
    with pytest.raises(DataError, match=r"(?s)there are no classes .*one subfolder a class.*/cat/"
                       r"1\.jpg.*found : 1 images directly in it \('x.png'\)"):  # fmt: skip
        dataset(tmp_path)
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x.doc").write_text("x")
    with pytest.raises(DataError, match=r"(?s)no images in the 1 subfolders.*end in \.bmp, .*"):
        dataset(tmp_path)
    with pytest.raises(DataError, match="there are no images in"):
        dataset(tmp_path / "a", labels=None)
    assert dataset(tmp_path, labels=None).file_paths == [str(path)]


def test_links(tmp_path):
    pictures(tmp_path / "real", (3, 2))
    (tmp_path / "all").mkdir()
    for name in "ab":
        (tmp_path / "all" / name).symlink_to(tmp_path / "real" / name)
    assert len(listed(tmp_path / "all").files) == 5
    (tmp_path / "real" / "a" / "self").symlink_to(tmp_path / "real" / "a")
    (tmp_path / "real" / "a" / "other").symlink_to(tmp_path / "real" / "b")
    assert len(listed(tmp_path / "real").files) == 5
    assert len(listed(tmp_path / "real", follow_links=True).files) == 7


def test_what_cannot_be_listed(tmp_path, monkeypatch):
    pictures(tmp_path / "ok", (2,))
    inner = tmp_path / "ok" / "a" / "inner"
    inner.mkdir()
    scan, refused = os.scandir, []

    def denied(path):
        if str(path) in refused:
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", denied)
    for folder in (inner, tmp_path / "ok" / "a"):
        refused[:] = [str(folder)]
        with pytest.raises(FileError, match=r"cannot read the folder .*: Permission denied"):
            dataset(tmp_path / "ok")


def test_odd_files(tmp_path):
    pictures(tmp_path, (2,))
    name = os.fsdecode(b"\xff\xfe.png")
    save(tmp_path / "a" / name)
    os.mkfifo(tmp_path / "a" / "pipe.png")
    (tmp_path / "a" / "zero.png").symlink_to("/dev/zero")
    (tmp_path / "a" / "gone.png").symlink_to(tmp_path / "none")
    folder = dataset(tmp_path)
    with pytest.warns(DataWarning) as told:
        assert folder.samples == 3
    words = str(told[0].message)
    assert words.count("it is no ordinary file") == 2 and "there is no file" in words
    network().fit(folder, verbose=0)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"labels": "guess"}, "unknown labels 'guess'"),
        ({"labels": [0, 1]}, r"a class number from 0 on for each of the 34 images"),
        ({"labels": [-1] * 34}, "a class number"),
        ({"labels": [0] * 34, "class_names": ["a"]}, "class_names is for labels='inferred'"),
        ({"label_mode": "onehot"}, "unknown label_mode"),
        ({"label_mode": "binary"}, r"for 2 classes; there are 3: \['a', 'b', 'c'\]"),
        ({"class_names": ["a", "d"]}, r"class_names has 'd', .*there are: a, b, c"),
        ({"class_names": ["a", "a"]}, "a name twice"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"image_size": (0, 5)}, "size of images"),
        ({"color_mode": "cmyk"}, "unknown color_mode"),
        ({"interpolation": "gaussian"}, "unknown interpolation"),
        ({"crop_to_aspect_ratio": True, "pad_to_aspect_ratio": True}, "only one of"),
        ({"data_format": "channels_first"}, "'channels_last' here"),
        ({"on_error": "ignore"}, "unknown on_error"),
        ({"memory_mb": -1}, "memory_mb is -1"),
        ({"validation_split": 0.2}, "give both or neither"),
        ({"subset": "training"}, "give both or neither"),
        ({"validation_split": 0.2, "subset": "test"}, "unknown subset"),
        ({"validation_split": 1.0, "subset": "both"}, "expected 0 < split < 1"),
        ({"validation_split": 1e-9, "subset": "both"}, "34 to train on and 0 to validate"),
    ],
)
def test_wrong_arguments(tmp_path, options, words):
    pictures(tmp_path)
    with pytest.raises(ArgumentError, match=f"(?s){words}"):
        dataset(tmp_path, **options)


def test_without_pillow(tmp_path, monkeypatch):
    pictures(tmp_path, (2,))
    monkeypatch.setitem(__import__("sys").modules, "PIL", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'chainrule\[images\]'"):
        dataset(tmp_path)


# What is made of it


def test_labels_and_batches(tmp_path):
    pictures(tmp_path)
    labels = listed(tmp_path).labels
    kinds = {
        "int": (labels, "int32"),
        "categorical": (np.eye(3)[labels], "float32"),
    }
    for mode, (expected, kind) in kinds.items():
        images, found = dataset(tmp_path, label_mode=mode).arrays()
        assert images.shape == (34, *SIZE, 3) and images.dtype == np.uint8
        assert np.array_equal(found, expected) and found.dtype == kind
    found = dataset(tmp_path, label_mode="binary", class_names=["b", "c"]).arrays()[1]
    assert found.tolist() == [[0.0]] * 9 + [[1.0]] * 11 and found.dtype == np.float32
    for options in ({"label_mode": None}, {"labels": None}):
        assert dataset(tmp_path, **options).arrays()[1] is None
    own = dataset(tmp_path, labels=[i % 2 for i in range(34)])
    assert own.class_names == ["0", "1"] and own.arrays()[1].tolist() == [0, 1] * 17
    gray = dataset(tmp_path, color_mode="grayscale", crop_to_aspect_ratio=True)
    paths = gray.file_paths
    expected = decode(paths, SIZE, "grayscale", aspect="crop")
    assert np.array_equal(gray.arrays()[0], expected)


def test_a_look_at_the_first_batches(tmp_path):
    folder = dataset(pictures(tmp_path), shuffle=False, batch_size=np.int64(7))
    assert [len(x) for x, _ in folder.take(2)] == [7, 7]
    assert len(list(folder.take(9))) == len(list(folder)) and not list(folder.take(0))
    with pytest.raises(ArgumentError, match="count is -1"):
        folder.take(-1)


@pytest.mark.parametrize("memory", [1024, 0])
def test_it_is_gone_through_by_batches(tmp_path, memory):
    folder = dataset(pictures(tmp_path), memory_mb=memory)
    all_images, all_labels = folder.arrays()
    epochs = [list(folder) for _ in range(2)]
    for batches in epochs:
        assert [len(x) for x, _ in batches] == [7, 7, 7, 7, 6] and len(folder) == 5
        x, y = (np.concatenate(part) for part in zip(*batches, strict=True))
        assert x.dtype == np.float32
        order = [int(np.flatnonzero((all_images == one).all((1, 2, 3)))[0]) for one in x]
        assert sorted(order) == list(range(34)) and np.array_equal(all_labels[order], y)
    assert not np.array_equal(epochs[0][0][0], epochs[1][0][0])
    plain = dataset(tmp_path, shuffle=False, memory_mb=memory)
    assert np.array_equal(np.concatenate([x for x, _ in plain]), all_images)
    single, label = next(iter(dataset(tmp_path, batch_size=None, memory_mb=memory)))
    assert single.shape == (*SIZE, 3) and label.shape == ()
    assert next(iter(dataset(tmp_path, labels=None, memory_mb=memory))).shape == (7, *SIZE, 3)


def test_each_class_gives_its_share(tmp_path, capsys):
    pictures(tmp_path, (20, 10, 5))
    options = {"validation_split": 0.2, "verbose": True}
    training, held = dataset(tmp_path, subset="both", **options)
    assert capsys.readouterr().out.splitlines() == [
        "Found 35 files belonging to 3 classes.",
        "Using 28 files for training and 7 for validation.",
    ]
    assert np.bincount(held.labels).tolist() == [4, 2, 1]
    assert not set(training.file_paths) & set(held.file_paths)
    assert len(training.file_paths) == 28
    for name, part in (("training", training), ("validation", held)):
        alone = dataset(tmp_path, subset=name, **options)
        assert alone.file_paths == part.file_paths and alone.class_names == ["a", "b", "c"]
        assert f"Using {len(alone.file_paths)} files for {name}." in capsys.readouterr().out
    assert dataset(tmp_path, subset="validation", seed=4, **options).file_paths != held.file_paths


# Training


def in_memory(folder):
    """Return the images as arrays, as they would be passed by hand."""
    return folder.arrays()


@pytest.mark.parametrize("shuffle", [True, False])
def test_it_trains_as_arrays_do_whatever_is_kept_and_at_any_number_of_threads(tmp_path, shuffle):
    pictures(tmp_path)
    x, y = dataset(tmp_path).arrays()
    expected = trained(x, y, batch_size=7, shuffle=shuffle)
    try:
        for threads in (1, 2, 3):
            chainrule.set_num_threads(threads)
            for memory in (1024, 0):
                folder = dataset(tmp_path, memory_mb=memory)
                assert same(trained(folder, shuffle=shuffle), expected), (threads, memory)
                folder = dataset(tmp_path, memory_mb=memory, shuffle=shuffle)
                assert same(trained(folder), expected)
    finally:
        chainrule.set_num_threads(2)


@pytest.mark.parametrize("memory", [1024, 0])
def test_windows_of_few_images(tmp_path, memory, monkeypatch):
    pictures(tmp_path)
    x, y = dataset(tmp_path).arrays()
    monkeypatch.setattr(folder_source, "_WINDOW_BYTES", 1)
    folder = dataset(tmp_path, memory_mb=memory)
    assert same(trained(folder), trained(x, y, batch_size=7))
    assert same(trained(folder, batch_size=5), trained(x, y, batch_size=5))
    model = network()
    model.fit(x, y, verbose=0)
    for size in (None, 4):
        assert np.array_equal(model.predict(folder, size, 0), model.predict(x, 7, 0))
        found, expected = model.evaluate(folder, batch_size=size, verbose=0), model.evaluate(
            x, y, verbose=0
        )  # fmt: skip
        assert np.allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize("memory", [1024, 0])
def test_steps_validation_and_weights(tmp_path, memory):
    folder = dataset(pictures(tmp_path), memory_mb=memory)
    x, y = folder.arrays()
    weight = {0: 1.0, 1: 3.0, 2: 0.5}
    options = {"validation_steps": 2, "steps_per_epoch": 3, "class_weight": weight}
    found = trained(folder, validation_data=folder, validation_batch_size=7, **options)
    plain = (x, y)
    expected = trained(*plain, validation_data=plain, validation_batch_size=7, batch_size=7,
                       **options)  # fmt: skip
    assert same(found, expected)
    # A share that is held out is one of each class.
    training, held = folder.split(0.25)
    expected = trained(training, validation_data=held)
    assert same(trained(folder, validation_split=0.25), expected)
    expected = trained(training, validation_data=held, class_weight=weight)
    assert same(trained(folder, validation_split=0.25, class_weight=weight), expected)


def test_seed_of_the_folder(tmp_path):
    pictures(tmp_path)
    one, other = (trained(dataset(tmp_path, seed=seed)) for seed in (3, 4))
    assert not same(one, other) and same(one, trained(dataset(tmp_path, seed=3, memory_mb=0)))


def test_targets_beside_it_and_lack_of_them(tmp_path):
    folder = dataset(pictures(tmp_path))
    with pytest.raises(ArgumentError, match="y must not be given beside a ImageFolder"):
        network().fit(folder, np.zeros(34), verbose=0)
    with pytest.raises(DataError, match="fit needs targets"):
        network().fit(dataset(tmp_path, labels=None), verbose=0)


def test_values_that_cannot_be_trained_on_name_the_file(tmp_path):
    folder = dataset(pictures(tmp_path), label_mode="int")
    model = network(classes=2)
    with pytest.raises(DataError, match=rf"{tmp_path}/c/\d\d\.(png|jpg)"):
        model.fit(folder, verbose=0)


def test_a_file_that_breaks_later_is_named(tmp_path):
    folder = dataset(pictures(tmp_path), memory_mb=0)
    assert folder.samples == 34
    (tmp_path / "b" / "03.jpg").write_bytes(b"now broken")
    with pytest.raises(ImageError, match=r"b/03\.jpg' is not an image"):
        network().fit(folder, verbose=0)
    assert not [t for t in threading.enumerate() if t.name.startswith("chainrule-decoder")]


class Killed(BaseException):
    """Ends a run as abruptly as can be within a process."""


def killer(batch):
    left = [batch]

    def end(*_):
        left[0] -= 1
        if left[0] < 0:
            raise Killed

    return cb.LambdaCallback(on_train_batch_end=end)


@pytest.mark.parametrize("memory", [1024, 0])
@pytest.mark.parametrize("batch", [2, 7, 11])
def test_a_resumed_run_ends_with_the_same_bits(tmp_path, memory, batch):
    pictures(tmp_path / "images")
    expected = trained(dataset(tmp_path / "images"))
    backup = cb.BackupAndRestore(tmp_path / "backup", save_freq=2)
    with pytest.raises(Killed):
        trained(dataset(tmp_path / "images"), callbacks=[backup, killer(batch)])
    set_random_seed(99)
    # Whether images are kept in memory does not matter to a run that goes on.
    again = cb.BackupAndRestore(tmp_path / "backup", save_freq=2)
    found = trained(dataset(tmp_path / "images", memory_mb=memory), callbacks=[again])
    assert same(found, expected)


def test_a_backup_of_other_files_is_refused(tmp_path):
    pictures(tmp_path / "images")
    backup = cb.BackupAndRestore(tmp_path / "backup", save_freq=2)
    with pytest.raises(Killed):
        trained(dataset(tmp_path / "images"), callbacks=[backup, killer(7)])
    save(tmp_path / "images" / "a" / "more.png")
    with pytest.raises(FileError, match=r"of another run(?s:.*)files: 34, .* now 35,"):
        trained(dataset(tmp_path / "images"), callbacks=[cb.BackupAndRestore(tmp_path / "backup")])


def test_a_folder_made_by_hand(tmp_path):
    paths = [save(tmp_path / f"{i}.png") for i in range(6)]
    folder = ImageFolder(paths, np.arange(6) % 2, ["even", "odd"], Form((4, 4)))
    assert folder.arrays()[1].tolist() == [0, 1] * 3 and folder.options == Options()
