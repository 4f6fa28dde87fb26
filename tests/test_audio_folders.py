"""Folders of sounds: what is found in them and said of it, and that they train as arrays do."""

from __future__ import annotations

import sys
import warnings

import numpy as np
import pytest

import chainrule
from chainrule import callbacks as cb
from chainrule.data import AudioFolder, SoundFeatures, SoundForm
from chainrule.data.audio_features import frame_count
from chainrule.data.folders import Options
from chainrule.errors import (
    ArgumentError,
    AudioError,
    DataError,
    DataWarning,
    MissingDependencyError,
)
from chainrule.layers import GRU, Dense, Flatten, Input, Masking
from chainrule.models import Sequential
from chainrule.preprocessing.audio import cmvn, deltas, log_mel, mfcc, pitch, resample
from chainrule.utils import (
    audio_dataset_from_directory,
    bucket_by_length,
    load_audio,
    save_audio,
    set_random_seed,
)

RANDOM = np.random.default_rng(5)


def tone(name, i, rate=8000):
    """A tone whose class is its height, of a length of its own."""
    t = np.arange(600 + 70 * i) * 8000 / rate
    step = {"low": 0.2, "mid": 0.7, "top": 1.6}[name] * (1 + 0.02 * (i % 5))
    return 0.4 * np.sin(step * t) + RANDOM.normal(0, 0.01, len(t))


def sounds(folder, counts=(9, 7, 8), rate=8000):
    for name, count in zip(("low", "mid", "top"), counts, strict=False):
        (folder / name).mkdir(parents=True)
        for i in range(count):
            end = ("wav", "flac", "ogg")[i % 3]
            save_audio(folder / name / f"{i:02}.{end}", tone(name, i), rate)
    return folder


def dataset(folder, **options):
    return audio_dataset_from_directory(folder, **{"batch_size": 5, "verbose": False, **options})


def quiet(call, *given, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        return call(*given, **options)


def trained(*given, epochs=3, shape, **options):
    set_random_seed(1)
    layers = [Input(shape), Flatten(), Dense(5, activation="relu"), Dense(3, activation="softmax")]
    model = Sequential(layers)
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    history = model.fit(*given, epochs=epochs, verbose=0, **options)
    return [*model.get_weights(), *history.history.values()]


def same(a, b):
    return len(a) == len(b) and all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


def test_samples_are_those_of_the_files_up_to_the_longest(tmp_path, capsys):
    folder = audio_dataset_from_directory(sounds(tmp_path), shuffle=False)
    assert capsys.readouterr().out == "Found 24 files belonging to 3 classes.\n"
    assert folder.class_names == ["low", "mid", "top"] and folder.samples == 24
    assert folder.form == SoundForm(8000, 600 + 70 * 8) and len(folder) == 1
    x, y = folder.arrays()
    assert x.shape == (24, 1160, 1) and x.dtype == np.float32
    np.testing.assert_array_equal(y, np.repeat([0, 1, 2], (9, 7, 8)))
    for path, one in zip(folder.file_paths, x, strict=True):
        alone, _ = load_audio(path)
        np.testing.assert_array_equal(one[: len(alone), 0], alone)
        assert not one[len(alone) :].any()


def test_rate_and_length_as_asked(tmp_path):
    folder = dataset(sounds(tmp_path), sampling_rate=16000, output_sequence_length=1500)
    assert folder.form.shape == (1500, 1)
    x, _ = folder.arrays()
    want = resample(load_audio(folder.file_paths[0])[0], 8000, 16000)
    np.testing.assert_array_equal(x[0, : len(want), 0], want[:1500])
    assert dataset(tmp_path, sampling_rate=4000).form == SoundForm(4000, 580)
    save_audio(tmp_path / "low" / "odd.wav", np.zeros(441), 44100)
    mixed = dataset(tmp_path)
    with pytest.raises(DataError, match=r"8000 \(24 files\), 44100 \(1 files\)\n.*sampling_rate=8"):
        mixed.arrays()
    assert dataset(tmp_path, sampling_rate=8000).arrays()[0].shape == (25, 1160, 1)


@pytest.mark.parametrize(("features", "make"), [
    ("log_mel", lambda x: cmvn(log_mel(x, 8000))),
    ({"kind": "mfcc", "deltas": 2}, lambda x: cmvn(deltas(mfcc(x, 8000, 13, 40)))),
    (
        SoundFeatures("log_mel", num_mel_bins=20, pitch=True, normalize=None, min_freq=50.0),
        lambda x: np.concatenate([log_mel(x, 8000, 20, min_freq=50.0), pitch(x, 8000)], axis=1),
    ),
    ({"kind": "mfcc", "normalize": "mean"}, lambda x: cmvn(mfcc(x, 8000, 13, 40), False)),
])  # fmt: skip
def test_features_are_those_of_each_sound_alone(tmp_path, features, make):
    folder = dataset(sounds(tmp_path, (4, 3, 2)), features=features)
    x, _ = folder.arrays()
    assert x.shape == (9, frame_count(810, 8000), folder.form.features.width)
    for path, one in zip(folder.file_paths, x, strict=True):
        want = make(load_audio(path)[0])
        np.testing.assert_array_equal(one[: len(want)], want)
        assert not one[len(want) :].any()


def awkward(folder):
    """Return a folder with all that is found in folders."""
    sounds(folder, (5, 4))
    whole = (folder / "low" / "00.wav").read_bytes()
    (folder / "low" / "cut.wav").write_bytes(whole[: len(whole) // 2])
    (folder / "low" / "empty.flac").touch()
    (folder / "mid" / "text.ogg").write_text("this is not a sound")
    (folder / "mid" / "notes.txt").write_text("x")
    (folder / "mid" / "none.wav").write_bytes(whole[:40] + b"\0\0\0\0")
    save_audio(folder / "mid" / "silent.wav", np.zeros(700), 8000)
    save_audio(folder / "low" / "one.wav", [0.5], 8000)
    (folder / "top").mkdir()
    (folder / "low" / ".hidden.wav").write_bytes(b"x")
    save_audio(folder / "stray.wav", np.zeros(9), 8000)
    return folder


def test_broken_ones_are_named_and_left_out(tmp_path, capsys):
    with pytest.warns(DataWarning) as caught:
        folder = audio_dataset_from_directory(awkward(tmp_path), features="log_mel")
        folder.arrays()
    told = "\n".join(str(one.message) for one in caught)
    assert "no sounds in the folder 'top'" in told and "1 sound directly in" in told
    assert "4 of 15 sounds cannot be decoded, and are left out:" in told
    for name in ("cut.wav", "empty.flac", "text.ogg", "none.wav"):
        assert name in told and any(path.endswith(name) for path in folder.broken)
    assert "passed over, since no sounds by their names: 'stray.wav'" not in capsys.readouterr().out
    x, y = folder.arrays()
    assert x.shape == (11, frame_count(880, 8000), 40) and len(y) == 11
    assert np.isfinite(x).all()
    silent = next(i for i, n in enumerate(folder.good) if "silent" in folder.file_paths[n])
    one = next(i for i, n in enumerate(folder.good) if "one.wav" in folder.file_paths[n])
    assert not x[silent].any() and not x[one].any()


def test_a_silent_recording_trains_and_is_predicted(tmp_path):
    folder = quiet(dataset, awkward(tmp_path), features="log_mel")
    quiet(folder.arrays)
    model = Sequential([Input(folder.form.shape), Masking(), GRU(6), Dense(3, "softmax")])
    model.compile("adam", "sparse_categorical_crossentropy")
    history = model.fit(folder, epochs=2, verbose=0)
    assert np.isfinite(history.history["loss"]).all()
    assert np.isfinite(model.predict(folder, verbose=0)).all()


def test_broken_ones_are_refused_where_asked(tmp_path):
    folder = quiet(dataset, awkward(tmp_path), on_error="raise")
    with pytest.raises(AudioError, match=r"cut\.wav' cannot be decoded: it is cut: \d+ of 1200"):
        folder.arrays()
    for path in tmp_path.rglob("*.*"):
        if path.is_file():
            path.write_text("no sound")
    with pytest.raises(DataError, match="none of the 15 sounds can be decoded"):
        quiet(dataset, tmp_path).arrays()


def test_one_recording_much_longer_is_told(tmp_path):
    save_audio(sounds(tmp_path) / "low" / "long.wav", np.zeros(40000), 8000)
    with pytest.warns(
        DataWarning, match="the longest sound lasts 5 s, half of them 0.11 s or less"
    ):
        assert dataset(tmp_path).form.length == 40000
    assert dataset(tmp_path, output_sequence_length=1000).arrays()[0].shape == (25, 1000, 1)


@pytest.mark.parametrize("features", [None, "mfcc"])
def test_it_trains_as_arrays_do_whatever_is_kept_and_at_any_number_of_threads(tmp_path, features):
    sounds(tmp_path)
    folder = dataset(tmp_path, features=features, seed=3)
    x, y = folder.arrays()
    shape = x.shape[1:]
    want = None
    for memory in (1024, 0):
        for threads in (1, 3):
            before = chainrule.executors.num_threads()
            chainrule.executors.set_num_threads(threads)
            try:
                some = dataset(tmp_path, features=features, seed=3, memory_mb=memory)
                found = trained(some, shape=shape)
            finally:
                chainrule.executors.set_num_threads(before)
            want = want or found
            assert same(found, want)
    plain = dataset(tmp_path, features=features, shuffle=False)
    assert same(
        trained(plain, shape=shape), trained(x, y, shape=shape, batch_size=5, shuffle=False)
    )


@pytest.mark.parametrize("memory", [1024, 0])
def test_a_killed_run_ends_with_the_same_bits(tmp_path, memory):
    sounds(tmp_path / "sounds")
    shape = (116, 1)

    def some():
        options = {"sampling_rate": 800, "output_sequence_length": 116}
        return dataset(tmp_path / "sounds", memory_mb=memory, **options)

    want = trained(some(), shape=shape, epochs=4)

    class StopError(Exception):
        pass

    def stop(batch, logs):
        stop.count += 1
        if stop.count == 8:
            raise StopError

    stop.count = 0
    backup = cb.BackupAndRestore(tmp_path / "backup", save_freq=2)
    killer = cb.LambdaCallback(on_train_batch_end=stop)
    with pytest.raises(StopError):
        trained(some(), shape=shape, epochs=4, callbacks=[backup, killer])
    again = cb.BackupAndRestore(tmp_path / "backup", save_freq=2)
    found = trained(some(), shape=shape, epochs=4, callbacks=[again])
    assert same(found[:4], want[:4])


def test_each_class_gives_its_share(tmp_path, capsys):
    sounds(tmp_path, (10, 5, 5))
    both = {"validation_split": 0.2, "subset": "both"}
    training, held = audio_dataset_from_directory(tmp_path, **both)
    assert "Using 16 files for training and 4 for validation." in capsys.readouterr().out
    assert np.bincount(held.labels).tolist() == [2, 1, 1]
    assert training.form == held.form and training.form.length == 600 + 70 * 9
    assert not set(training.file_paths) & set(held.file_paths)
    shape = training.form.shape
    result = trained(training, shape=shape, validation_data=held)
    assert len(result) == 4 + 4


def test_labels_and_batches(tmp_path):
    sounds(tmp_path, (3, 2, 2))
    folder = dataset(tmp_path, label_mode="categorical", shuffle=False)
    x, y = next(iter(folder))
    assert x.shape == (5, 740, 1) and y.tolist()[3] == [0, 1, 0] and len(folder) == 2
    x, y = next(iter(dataset(tmp_path, batch_size=None, shuffle=False)))
    assert x.shape == (740, 1) and y == 0
    x = next(iter(dataset(tmp_path, labels=None)))
    assert x.shape == (5, 740, 1)
    _, y = next(iter(dataset(tmp_path, labels=[1, 0, 2, 0, 1, 0, 1], shuffle=False)))
    assert y.tolist() == [1, 0, 2, 0, 1]
    two = dataset(tmp_path, class_names=["top", "low"], label_mode="binary", shuffle=False)
    assert next(iter(two))[1].tolist() == [[0], [0], [1], [1], [1]]
    first, second = (np.concatenate([y for _, y in folder]) for folder in [dataset(tmp_path)] * 2)
    assert not np.array_equal(first, second)


def test_ragged_sounds_keep_their_lengths(tmp_path):
    sounds(tmp_path, (4, 3, 3))
    folder = dataset(tmp_path, ragged=True, features="log_mel", shuffle=False)
    batches = list(folder)
    assert [len(x) for x, _ in batches] == [5, 5]
    lengths = [len(one) for x, _ in batches for one in x]
    assert lengths[:4] == [frame_count(600 + 70 * i, 8000) for i in range(4)]
    x, y = folder.sequences()
    assert [len(one) for one in x] == lengths and y.shape == (10,)
    np.testing.assert_array_equal(x[2], cmvn(log_mel(load_audio(folder.file_paths[2])[0], 8000)))
    model = Sequential([Masking(), GRU(4), Dense(3, activation="softmax")])
    model.compile("adam", "sparse_categorical_crossentropy")
    with pytest.raises(ArgumentError, match="bucket_by_length"):
        model.fit(folder, verbose=0)
    data = bucket_by_length(x, y, batch_size=4)
    assert np.isfinite(model.fit(data, epochs=2, verbose=0).history["loss"]).all()
    half, rest = folder.split(0.3)
    assert half.ragged and rest.ragged
    one, label = next(iter(dataset(tmp_path, ragged=True, batch_size=None, shuffle=False)))
    assert one.shape == (600, 1) and label == 0


@pytest.mark.parametrize(("options", "words"), [
    ({"sampling_rate": 0}, "sampling_rate is 0"),
    ({"sampling_rate": 8000.0}, "sampling_rate is 8000.0"),
    ({"output_sequence_length": 0}, "output_sequence_length is 0"),
    ({"features": "mel"}, "unknown features 'mel'"),
    ({"features": {"kind": "mfcc", "bins": 3}}, "unknown argument of features 'bins'"),
    ({"features": 3}, "a dict of arguments or SoundFeatures"),
    ({"features": {"normalize": "all"}}, "unknown normalize"),
    ({"features": {"deltas": -1}}, "deltas is -1"),
    ({"label_mode": "many"}, "label_mode"),
    ({"label_mode": "binary"}, "for 2 classes; there are 3"),
    ({"labels": [0]}, "for each of the 6 sounds"),
    ({"validation_split": 0.2}, "give both or neither"),
    ({"on_error": "ignore"}, "on_error"),
])  # fmt: skip
def test_wrong_arguments(tmp_path, options, words):
    with pytest.raises(ArgumentError, match=words):
        dataset(sounds(tmp_path, (2, 2, 2)), **options)


def test_folders_without_sounds(tmp_path):
    with pytest.raises(DataError, match=r"it has no subfolders\n.*sounds of that class.*\n.*yes/1"):
        dataset(tmp_path)
    (tmp_path / "yes").mkdir()
    (tmp_path / "yes" / "a.png").touch()
    with pytest.raises(DataError, match=r"no sounds in the 1 subfolders.*\n.*\.flac, \.mp3"):
        dataset(tmp_path)


@pytest.mark.parametrize("package", ["soundfile", "kaldi_native_fbank"])
def test_without_a_package(tmp_path, package, monkeypatch):
    sounds(tmp_path, (2, 2))
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'chainrule\[audio\]'"):
        dataset(tmp_path, features="mfcc")


def test_a_folder_made_by_hand(tmp_path):
    sounds(tmp_path, (3, 3))
    paths = sorted(str(path) for path in tmp_path.rglob("*.*") if path.is_file())
    form = SoundForm(4000, 500, SoundFeatures("mfcc"))
    folder = AudioFolder(paths, None, [], form, Options(None, 2, False))
    assert folder.arrays()[0].shape == (6, 13, 13) and folder.arrays()[1] is None
    assert SoundForm.from_config(form.get_config()) == form
    assert SoundFeatures(**form.features.get_config()) == form.features
