"""Sounds on the command line: folders as they are found, what is decided, what files become."""

import csv
import json
import pathlib

import numpy as np
import pytest

from chainrule.cli import runs, sound_folders, sound_networks
from chainrule.cli.settings import Settings
from chainrule.data import SoundForm
from chainrule.data.decoding import gathered
from chainrule.data.listing import IMAGES, SOUNDS
from chainrule.errors import ArgumentError
from chainrule.layers import Dense, Input
from chainrule.models import Sequential, load_model
from chainrule.utils import load_audio, save_audio
from commands import accuracy, call, refused

QUICK = ["--recipe", "fast", "--epochs", "4", "--batch-size", "8"]


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def tone(kind, random, seconds=0.3, rate=8000):
    """Return a tone that rises or falls, with some noise."""
    n = int(seconds * rate * random.uniform(0.8, 1.2))
    low, high = (300, 1200) if kind == "rising" else (1200, 300)
    turns = np.cumsum(np.linspace(low, high, n)) * random.uniform(0.8, 1.2) / rate
    return 0.3 * np.sin(2 * np.pi * turns) + random.normal(0, 0.01, n)


def write_folder(root, count=14, kinds=("falling", "rising"), seconds=0.3, rate=8000):
    random = np.random.default_rng(0)
    for kind in kinds:
        (root / kind).mkdir(parents=True)
        for i in range(count):
            length = seconds * (4 if seconds > 0.3 and i % 7 == 0 else 1)
            sound = tone(kind, random, length, rate)
            save_audio(root / kind / f"{i:02}.{'wav' if i % 2 else 'flac'}", sound, rate)
    return root


def add_trouble(root):
    """Add what is found in folders: a cut file, a text, silence, two channels, an empty class."""
    whole = (root / "rising" / "01.wav").read_bytes()
    (root / "rising" / "cut.wav").write_bytes(whole[: len(whole) // 2])
    (root / "falling" / "text.ogg").write_text("this is no sound")
    (root / "falling" / "notes.txt").write_text("notes")
    save_audio(root / "rising" / "silent.wav", np.zeros(2000), 8000)
    twice = tone("falling", np.random.default_rng(1), rate=44100)
    save_audio(root / "falling" / "stereo.wav", np.stack([twice, twice], 1), 44100)
    (root / "nothing").mkdir()


@pytest.fixture(scope="module")
def tones(tmp_path_factory):
    """Return the folder that holds sounds with all sorts of trouble, and a run on them."""
    folder = tmp_path_factory.mktemp("tones")
    add_trouble(write_folder(folder / "sounds"))
    output = call("train", folder / "sounds", "--output", folder / "run", *QUICK)
    return folder, output


def test_a_folder_with_all_sorts_of_trouble_trains(tones):
    folder, output = tones
    for words in (
        "Found 32 files belonging to 3 classes",
        "no sounds by their names: 'notes.txt'",
        "frames of 40 log-mel energies",
        "8,000 samples a second",
        "no sounds in the folder 'nothing'",
        "2 of 32 sounds cannot be decoded, and are left out",
        "text.ogg' is not a sound",
        "cut.wav' cannot be decoded: it is cut",
        "network: convolutions, since lengths are alike",
        "augmentation: none (otherwise: --augment both)",
        "classification, 3 classes (falling, nothing, rising)",
        "24 to train on, 6 held out",
        "network: convolutions of 16-32",
    ):
        assert words in output, words
    assert accuracy(output, "Validation") > 0.6
    found = {path.name for path in (folder / "run").iterdir()}
    assert {runs.MODEL, runs.REPORT, runs.CONFUSION, runs.CONFIG, runs.HISTORY} <= found
    report = json.loads((folder / "run" / runs.REPORT).read_text())
    assert report["sounds"] == 6 and len(report["left out"]) == 2


def test_files_are_predicted_and_broken_ones_named(tones, tmp_path):
    folder, _ = tones
    other = tone("rising", np.random.default_rng(9), rate=22050)
    save_audio("new.ogg", other, 22050)
    save_audio("silent.wav", np.zeros(100), 8000)
    output = call("predict", folder / "run", "new.ogg", "silent.wav", folder / "sounds" / "rising",
                  folder / "sounds" / "falling" / "text.ogg", "none.wav", code=2)  # fmt: skip
    told = [line for line in output.splitlines() if not line.startswith("error: ")]
    lines = list(csv.reader(told))
    assert lines[0] == ["file", "predicted class", "probability"]
    assert lines[1][0] == "new.ogg" and lines[2][0] == "silent.wav"
    by_file = {line[0]: line[1] for line in lines[1:18]}
    right = [by_file[name] == "rising" for name in by_file if "silent" not in name]
    assert np.mean(right) > 0.8
    assert "error: " in output and "text.ogg' is not a sound" in output
    assert "there is no file 'none.wav'" in output
    call("predict", folder / "run", "new.ogg", "--output", "a.csv")
    header, row = csv.reader(pathlib.Path("a.csv").read_text().splitlines())
    assert header[2:] == [f"probability of {k}" for k in ("falling", "nothing", "rising")]
    assert sum(map(float, row[2:])) == pytest.approx(1, abs=1e-4)


def test_the_model_remembers_what_sounds_become(tones):
    folder, _ = tones
    model = load_model(folder / "run" / runs.MODEL)
    form = SoundForm.from_config(model.metadata["sounds"])
    assert form.sample_rate == 8000 and model.input_shape == (None, *form.shape)
    path = folder / "sounds" / "rising" / "03.wav"
    x = gathered([path], form)
    samples, rate = load_audio(path)
    frames = form.features(samples[: form.length], rate)
    np.testing.assert_array_equal(x[0, : len(frames)], frames)
    assert not x[0, len(frames) :].any() and abs(frames.mean()) < 1
    line = call("predict", folder / "run", path).splitlines()[1].split(",")
    probabilities = model.predict(x, verbose=0)[0]
    assert model.label_names[probabilities.argmax()] == line[1]
    assert float(line[2]) == pytest.approx(probabilities.max(), abs=1e-4)
    summary = call("summary", folder / "run")
    assert "sounds: " in summary and "log-mel energies" in summary


def test_a_folder_is_measured_and_a_run_repeated(tones):
    folder, first = tones
    held = write_folder(pathlib.Path("held"), 6)
    output = call("evaluate", folder / "run", held)
    assert "the sounds in 'held'" in output and accuracy(output, "Test") > 0.6
    again = call("train", "--config", folder / "run" / runs.CONFIG, "--output", "again")
    assert accuracy(again, "Validation") == accuracy(first, "Validation")
    before, after = (load_model(p / runs.MODEL) for p in (folder / "run", pathlib.Path("again")))
    for a, b in zip(before.get_weights(), after.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_sounds_of_very_different_lengths_are_read_frame_by_frame():
    write_folder(pathlib.Path("words"), 14, seconds=0.4)
    output = call("train", "words", *QUICK, "--output", "run")
    assert "network: recurrent, since lengths are very different" in output
    assert "network: 64 gated recurrent units," in output
    model = load_model(pathlib.Path("run") / runs.MODEL)
    assert [type(layer).__name__ for layer in model.layers] == [
        "Masking",
        "GRU",
        "Dropout",
        "Dense",
    ]
    lines = call("predict", "run", "words/rising/01.wav", "words/rising/00.flac").splitlines()
    assert len(lines) == 3


def test_training_and_test_folders_and_options():
    write_folder(pathlib.Path("all/train"), 10)
    write_folder(pathlib.Path("all/test"), 4, rate=16000)
    options = ["--features", "mfcc", "--augment", "masks", "--network", "recurrent"]
    output = call("train", "all", *QUICK, *options, "--output", "run")
    assert "frames of 13 MFCCs" in output and "8 to test" in output
    assert "augmentation: masks in time and frequency" in output
    assert accuracy(output, "Test") >= 0
    model = load_model(pathlib.Path("run") / runs.MODEL)
    names = [type(layer).__name__ for layer in model.layers]
    assert names[:3] == ["Masking", "TimeMasking", "FrequencyMasking"]
    output = call("train", "all", "--epochs", 2, "--hidden", "8", "--features", "pitch")
    assert "44 log-mel energies and pitch" in output and "network: " not in output
    accurate = call("train", "all", "--epochs", 1, "--batch-size", 8)
    assert "augmentation: shifts in time, masks in time and frequency" in accurate


def test_mistakes_of_the_user(tones):
    folder, _ = tones
    sounds = folder / "sounds"
    pictures = Sequential([Input((2,)), Dense(2)])
    pictures.save("plain.chainrule")
    for arguments, words in (
        (["train", sounds, "--target", "x"], "leave out --target and --task"),
        (["train", sounds, "--image-size", 8], "--image-size is for images"),
        (["train", sounds, "--augment", "flip"], "unknown augmentation of sounds 'flip'"),
        (["train", "digits", "--features", "mfcc"], "--features is for folders of sounds"),
        (["train", "digits", "--network", "recurrent"], "--network is for folders of sounds"),
        (["train", "digits", "--augment", "masks"], "unknown augmentation 'masks'"),
        (["predict", folder / "run", "a.jpg"], "the model takes sound files, not image files"),
        (["predict", "plain.chainrule", "a.wav"], "takes arrays (.npz), not sound files"),
        (["predict", folder / "run", "digits"], "takes samples of shape"),
    ):
        assert words in refused(*arguments), arguments
    (few := pathlib.Path("few/a")).mkdir(parents=True)
    save_audio(few / "1.wav", np.ones(9), 8000)
    assert "1 sounds in 'few' are too few" in refused("train", "few")
    write_folder(pathlib.Path("one"), 12, ("rising",))
    assert "all sounds in 'one' are of the class 'rising'" in refused("train", "one")


def test_what_a_folder_is_of(tmp_path):
    assert sound_folders.kind_of(tmp_path) is IMAGES
    for i, name in enumerate(("a.wav", "b.png", "c.flac", ".hidden.png", "d.txt")):
        (tmp_path / f"{i}").mkdir()
        (tmp_path / f"{i}" / name).touch()
    assert sound_folders.kind_of(tmp_path) is SOUNDS
    (tmp_path / "e.png").touch()
    assert sound_folders.kind_of(tmp_path) is IMAGES


def test_rates_and_lengths_are_those_of_nearly_all(tmp_path):
    settings = Settings(str(tmp_path))
    paths = []
    for i in range(40):
        rate, seconds = (44100, 1.0) if i else (8000, 9.0)
        paths.append(tmp_path / f"{i}.wav")
        save_audio(paths[-1], np.zeros(int(rate * seconds)), rate)
    form, full = sound_folders.choose_form(paths, settings, notes := [])
    assert notes == ["1 of 40 sounds are longer than that, and are cut"]
    assert form.sample_rate == 16000 and form.length == 24000 and 0.6 < full < 0.7
    assert form.features.num_mel_bins == 40
    low = tmp_path / "low.wav"
    save_audio(low, np.ones(3000), 4000)
    form, _ = sound_folders.choose_form([low], settings, [])
    assert form.features.num_mel_bins == 23 and np.isfinite(form.read(low)).all()
    form, _ = sound_folders.choose_form([tmp_path / "none.wav"], settings, [])
    assert form.shape == (100, 40)


def test_wrong_names_in_settings():
    for settings, words in (
        (Settings("x", features="mel"), "unknown features"),
        (Settings("x", network="deep"), "unknown network"),
    ):
        with pytest.raises(ArgumentError, match=words):
            sound_folders.choose_network(settings, 1.0)
            sound_folders.choose_form([], settings, [])
    with pytest.raises(ArgumentError, match="unknown recipe"):
        sound_networks.recipe_of(Settings("x", recipe="slow"))
