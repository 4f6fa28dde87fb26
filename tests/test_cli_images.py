"""Images on the command line: folders as they are found, arrays, what is made of mistakes."""

import csv
import dataclasses
import io
import json
import pathlib
import sys
from functools import partial

import numpy as np
import pytest
from click.testing import CliRunner

from chainrule.cli import image_folders, mistakes, networks, pictures, recipes, runs
from chainrule.cli.app import app
from chainrule.cli.settings import Settings
from chainrule.data import write_idx
from chainrule.layers import Dense, Input
from chainrule.models import Sequential, load_model
from commands import accuracy, call, refused

Image = pytest.importorskip("PIL.Image")

QUICK = ["--recipe", "fast", "--epochs", "4", "--batch-size", "8"]
ARTIFACTS = (runs.REPORT, runs.CONFUSION)


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def rows(text):
    return list(csv.reader(text.splitlines()))


def picture(kind, random, size=(16, 16)):
    """Return a bright bar, lying or standing, on a dark ground."""
    pixels = random.integers(0, 80, (*size, 3)).astype("uint8")
    place = int(random.integers(size[0] // 2 - 3, size[0] // 2 + 1))
    pixels[
        (slice(place, place + 4),) if kind == "lying" else (slice(None), slice(place, place + 4))
    ] = random.integers(150, 255, 3)
    return Image.fromarray(pixels)


def write_folder(root, count=14, kinds=("lying", "standing"), size=(16, 16), gray=False):
    random = np.random.default_rng(0)
    for kind in kinds:
        (root / kind).mkdir(parents=True)
        for i in range(count):
            image = picture(kind, random, size)
            image = image.convert("L") if gray else image
            image.save(root / kind / f"{i:02}.{'png' if i % 2 else 'bmp'}")
    return root


def add_trouble(root):
    """Add what is found in folders: a cut file, a text, one pixel, ink colours, an empty class."""
    random, file = np.random.default_rng(1), io.BytesIO()
    picture("lying", random, (60, 60)).save(file, "JPEG")
    (root / "lying" / "cut.jpg").write_bytes(file.getvalue()[: len(file.getvalue()) // 2])
    (root / "standing" / "text.png").write_text("this is no picture")
    Image.new("RGB", (1, 1), "white").save(root / "standing" / "dot.png")
    picture("lying", random).convert("CMYK").save(root / "lying" / "ink.jpg")
    (root / "standing" / "notes.txt").write_text("notes")
    (root / "nothing").mkdir()


@pytest.fixture(scope="module")
def bars(tmp_path_factory):
    """Return the folder that holds images with all sorts of trouble, and a run on them."""
    folder = tmp_path_factory.mktemp("bars")
    add_trouble(write_folder(folder / "images"))
    output = call("train", folder / "images", "--output", folder / "run", *QUICK)
    return folder, output


def test_a_folder_with_all_sorts_of_trouble_trains(bars):
    folder, output = bars
    for words in (
        "Found 32 files belonging to 3 classes",
        "no images by their names: 'notes.txt'",
        "16 x 16 pixels, in colour",
        "1 image is smaller than 4 x 4 pixels, which says little: 'dot.png'",
        "no images in the folder 'nothing'",
        "2 of 32 images cannot be decoded, and are left out",
        "text.png' is not an image",
        "cut.jpg' cannot be decoded: image file is truncated",
        "augmentation: none (otherwise: --augment both)",
        "classification, 3 classes (lying, nothing, standing)",
        "24 to train on, 6 held out",
        "network: convolutions of 16-32 channels",
        "recipe fast: at most 4 epochs in batches of 8",
        "after 4 epochs",
    ):
        assert words in output, words
    assert accuracy(output, "Validation") > 0.4
    assert "Warning" not in output
    for name in (runs.MODEL, runs.HISTORY, runs.CONFIG, *ARTIFACTS):
        assert (folder / "run" / name).exists() and name in output


def test_the_report_tells_what_was_found(bars):
    folder, output = bars
    report = json.loads((folder / "run" / runs.REPORT).read_text(encoding="utf-8"))
    assert report["measured on"] == "validation" and report["images"] == 6
    assert report["accuracy"] == pytest.approx(accuracy(output, "Validation"), abs=1e-4)
    assert [one["name"] for one in report["classes"]] == ["lying", "nothing", "standing"]
    assert report["classes"][1]["recall"] is None
    assert sorted(pathlib.Path(file).name for file in report["left out"]) == ["cut.jpg", "text.png"]
    table = rows((folder / "run" / runs.CONFUSION).read_text(encoding="utf-8"))
    assert table[0] == ["class", "lying", "nothing", "standing"]
    counts = np.array([row[1:] for row in table[1:]], int)
    assert counts.sum() == 6 and np.trace(counts) / 6 == pytest.approx(report["accuracy"])
    wrong = sum(pair["times"] for pair in report["most confused"])
    assert wrong == 6 - np.trace(counts) == len(report["worst errors"])


def test_predict_names_files_and_those_that_are_broken(bars):
    folder, _ = bars
    images = folder / "images"
    files = [images / "lying" / "00.bmp", images / "lying" / "cut.jpg", "none.png"]
    result = CliRunner().invoke(app, ["predict", str(folder / "run"), *map(str, files)])
    assert result.exit_code == 2
    found = rows(result.stdout)
    assert found[0] == ["file", "predicted class", "probability"]
    assert found[1][0] == str(files[0]) and found[1][1] in ("lying", "standing")
    assert 0.3 < float(found[1][2]) <= 1 and len(found) == 2
    told = result.stderr.splitlines()
    assert "cut.jpg' cannot be decoded" in told[0] and "no file 'none.png'" in told[1]
    assert "none of the 1 images can be decoded" in refused("predict", folder / "run", files[1])


def test_predictions_of_a_folder_are_those_of_its_files(bars):
    folder, _ = bars
    images = folder / "images"
    call("predict", folder / "run", images, "--output", "all.csv", code=2)
    table = rows(pathlib.Path("all.csv").read_text(encoding="utf-8"))
    assert table[0][2:] == [f"probability of {name}" for name in ("lying", "nothing", "standing")]
    assert len(table) == 31
    for line in (table[1], table[17], table[30]):
        (_, alone) = rows(call("predict", folder / "run", line[0]))
        assert alone[:2] == line[:2]
        assert float(alone[2]) == pytest.approx(max(map(float, line[2:])), abs=1e-4)
    right = np.mean([pathlib.Path(line[0]).parent.name == line[1] for line in table[1:]])
    output = call("evaluate", folder / "run", images)
    assert accuracy(output, "Test") == pytest.approx(right, abs=1e-4)


def test_the_finished_model_takes_pixels(bars):
    folder, _ = bars
    model = load_model(folder / "run" / runs.MODEL)
    assert model.metadata["images"]["size"] == [16, 16] and model.label_names[0] == "lying"
    file = folder / "images" / "lying" / "00.bmp"
    pixels = np.asarray(Image.open(file))[None]
    (_, told) = rows(call("predict", folder / "run", file))
    assert model.predict(pixels, verbose=0).max() == pytest.approx(float(told[2]), abs=1e-4)
    assert "images: 16 x 16 pixels, in colour" in call("summary", folder / "run")


def test_a_configuration_repeats_a_run_on_images(bars):
    folder, output = bars
    again = call("train", "--config", folder / "run" / runs.CONFIG, "--threads", 1, "--output", "b")
    assert accuracy(again, "Validation") == accuracy(output, "Validation")
    weights = [load_model(f"{where}/{runs.MODEL}").get_weights() for where in (folder / "run", "b")]
    assert all(np.array_equal(a, b) for a, b in zip(*weights, strict=True))


def test_images_that_do_not_fit_in_memory_give_the_same(bars, monkeypatch):
    folder, output = bars
    monkeypatch.setattr(image_folders, "Options", partial(image_folders.Options, memory_mb=0))
    again = call("train", "--config", folder / "run" / runs.CONFIG, "--output", "b")
    assert accuracy(again, "Validation") == accuracy(output, "Validation")
    weights = [load_model(f"{where}/{runs.MODEL}").get_weights() for where in (folder / "run", "b")]
    assert all(np.array_equal(a, b) for a, b in zip(*weights, strict=True))


def test_folders_for_training_and_testing(bars):
    write_folder(pathlib.Path("data/train"), 12, gray=True, size=(12, 10))
    write_folder(pathlib.Path("data/test"), 3, ("standing", "sitting"), gray=True, size=(12, 10))
    write_folder(pathlib.Path("data/val"), 2, gray=True, size=(12, 10))
    output = call("train", "data", "--output", "run", "--augment", "none", *QUICK)
    assert "12 x 10 pixels, gray" in output and "augmentation: none" in output
    assert "20 to train on, 4 held out, 6 to test" in output
    assert "'sitting' in 'data/test' are no classes of the model: 3 images" in output
    measured = call("evaluate", "run", "data")
    assert f"the images in '{pathlib.Path('data/test')}'" in measured
    assert accuracy(measured, "Test") <= 0.5
    assert accuracy(measured, "Test") == accuracy(output, "Test")
    assert "model's classes: lying, standing" in refused("evaluate", "run", bars[0])


@pytest.mark.parametrize("option", [[], ["--hidden", "8"]])
def test_arrays_that_are_images(option):
    random = np.random.default_rng(2)
    x = np.stack([np.asarray(picture(kind, random).convert("L")) for kind in ["lying", "x"] * 20])
    np.savez("bars.npz", x_train=x, y_train=["l", "s"] * 20, x_test=x[:4], y_test=list("lsls"))
    output = call("train", "bars.npz", "--output", "run", *option, *QUICK)
    convolutional = "conv_1" in [layer.name for layer in load_model(f"run/{runs.MODEL}").layers]
    assert convolutional == (not option)
    assert accuracy(call("evaluate", "run", "bars.npz"), "Test") == accuracy(output, "Test")
    Image.fromarray(x[0]).resize((40, 30)).convert("RGB").save("photo.jpg")
    assert rows(call("predict", "run", "photo.jpg"))[1][1] in ("l", "s")
    assert len(rows(call("predict", "run", "bars.npz"))) == 41


def test_images_of_floats_and_a_number_to_predict():
    random = np.random.default_rng(3)
    x = random.normal(5, 3, (60, 9, 9, 3)).astype("float32")
    np.savez("x.npz", x=x, y=x.mean(axis=(1, 2, 3)) + random.random(60))
    output = call("train", "x.npz", "--output", "run", *QUICK)
    assert "Validation R2: " in output and not pathlib.Path("run", runs.REPORT).exists()


def test_a_folder_of_idx_files():
    random = np.random.default_rng(4)
    pathlib.Path("idx").mkdir()
    for part, count in (("train", 40), ("t10k", 6)):
        x = random.integers(0, 255, (count, 9, 9)).astype("uint8")
        write_idx(f"idx/{part}-images-idx3-ubyte.gz", x)
        write_idx(f"idx/{part}-labels-idx1-ubyte", (np.arange(count) % 2).astype("uint8"))
    output = call("train", "idx", "--output", "run", *QUICK)
    assert "32 to train on, 8 held out, 6 to test" in output
    assert len(rows(call("predict", "run", "idx"))) == 41


def test_data_sets_by_name(monkeypatch):
    from chainrule.datasets import fashion_mnist

    random = np.random.default_rng(5)
    x = random.integers(0, 255, (60, 28, 28)).astype("uint8")
    y = (np.arange(60) % 10).astype("uint8")
    monkeypatch.setattr(fashion_mnist, "load_data", lambda: ((x, y), (x[:20], y[:20])))
    output = call("train", "fashion-mnist", "--output", "run", "--epochs", 1)
    assert "10 classes (T-shirt/top, Trouser, Pullover, Dress" in output
    assert "augmentation: left-right mirror images" in output and "20 to test" in output
    assert load_model(f"run/{runs.MODEL}").label_names[9] == "Ankle boot"
    assert "test set of fashion-mnist" in call("evaluate", "run", "fashion_mnist")


def test_mistakes_with_folders_are_told(bars):
    folder, _ = bars
    write_folder(pathlib.Path("few"), 4)
    write_folder(pathlib.Path("one"), 12, ("lying",))
    pathlib.Path("flat").mkdir()
    for i in range(3):
        Image.new("L", (4, 4)).save(f"flat/{i}.png")
    pathlib.Path("t.csv").write_text("a,b\n" + "1,x\n2,y\n" * 10)
    for arguments, words in [
        (["train", "few"], "8 images in 'few' are too few"),
        (["train", "one"], "all images in 'one' are of the class 'lying'"),
        (["train", "flat"], "has no subfolders"),
        (["train", folder / "images", "--target", "x"], "leave out --target"),
        (["train", folder / "images", "--text", "x"], "--text is for texts, but 'images' has none"),
        (["train", folder / "images", "--tokens", "words"], "--tokens is for texts"),
        (["train", "digits", "--tokens", "words"], "--tokens is for texts"),
        (["train", folder / "images", "--validation", "0.01"], "choose a larger --validation"),
        (["train", "fashion-minst"], "did you mean 'fashion-mnist'"),
        (["train", "t.csv", "--target", "b", "--recipe", "fast"], "--recipe is for images"),
        (["train", "t.csv", "--target", "b", "--augment", "flip"], "--augment is for images"),
        (["train", "t.csv", "--target", "b", "--image-size", "9"], "--image-size is for folders"),
        (["evaluate", folder / "run", "t.csv"], "takes arrays"),
        (["predict", folder / "run", "digits"], "takes samples of shape (16, 16, 3)"),
    ]:
        assert words in refused(*arguments), arguments
    assert not pathlib.Path("runs").exists()
    call("train", "t.csv", "--target", "b", "--epochs", 1, "--output", "table")
    assert "takes tables (.csv, .parquet), not image files" in refused("predict", "table", "x.png")
    model = Sequential([Input((4,)), Dense(3, activation="softmax")])
    model.save("m.chainrule")
    assert "takes arrays (.npz), not image files" in refused("predict", "m.chainrule", "flat")


def test_the_size_of_images_is_chosen():
    def chosen(*sizes, asked=None, mode="L"):
        folder = pathlib.Path(f"sizes-{len(list(pathlib.Path().iterdir()))}")
        folder.mkdir()
        for i, size in enumerate(sizes):
            Image.new(mode, size).save(folder / f"{i}.png")
        return image_folders.choose_form(sorted(folder.iterdir()), asked, [])

    assert chosen((20, 30), (20, 30)).size == (30, 20)
    assert chosen((20, 30), (40, 50), (40, 60)).size == (40, 40)
    assert chosen((900, 600), (800, 500)).size == (128, 128)
    assert chosen((3, 3), (4, 4)).size == (8, 8)
    assert chosen((900, 600), asked=224).size == (224, 224)
    assert chosen((9, 9)).color_mode == "grayscale"
    assert chosen((9, 9), mode="P").color_mode == "rgb"


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (8, 8), (28, 28), (32, 48), (64, 64), (300, 65)])
@pytest.mark.parametrize("recipe", ["accurate", "fast"])
def test_networks_fit_every_size(size, recipe):
    layers = networks.convolutions(size, recipes.RECIPES[recipe], "relu", 0.1)
    model = Sequential([Input((*size, 3)), *layers, Dense(2)])
    assert model.output_shape == (None, 2)
    places = np.prod(model.get_layer("places").output.shape[1:])
    assert places <= 100 * recipes.RECIPES[recipe].stages[-1][-1]


def test_a_mirror_is_only_used_where_it_changes_no_class():
    for names in (["0", "1"], ["a", "ß"], ["10", "11"], ["turn left", "stop"], ["左转", "右转"]):
        assert networks.choose_augmentation(names)[0] == "shift", names
    assert networks.choose_augmentation(["cat", "dog"])[0] == "both"


def test_what_is_left_open_is_decided_once():
    first = recipes.decided(Settings("x"), 55_000, convolutional=True)
    assert (first.batch_size, first.epochs) == (64, recipes.RECIPES["accurate"].epochs)
    assert recipes.decided(first, 55_000, convolutional=True) == first
    few = recipes.decided(Settings("x"), 100, convolutional=True)
    assert few.batch_size == 16 and few.epochs == 60
    dense = recipes.decided(Settings("x"), 100, convolutional=False)
    assert (dense.hidden, dense.dropout, dense.epochs) == ((128, 64), 0.2, 200)
    shares = [recipes.held_out_share(Settings("x"), n, True) for n in (100, 20_000, 60_000)]
    assert shares == [0.2, 0.1, pytest.approx(5000 / 60_000)]


def some_mistakes(labels=("a", "b", "c"), count=60, files=None):
    random = np.random.default_rng(6)
    outputs = random.dirichlet(np.ones(len(labels)), count)
    y = random.integers(0, len(labels), count)
    x = random.integers(0, 255, (count, 6, 6, 1)).astype("uint8")
    return mistakes.Mistakes("test", labels, x, y, outputs, files)


def test_the_confusion_matrix_is_that_of_sklearn():
    metrics = pytest.importorskip("sklearn.metrics")
    found = some_mistakes()
    assert np.array_equal(found.matrix, metrics.confusion_matrix(found.y, found.predicted))
    precision, recall, _, count = metrics.precision_recall_fscore_support(found.y, found.predicted)
    told = found.report()["classes"]
    assert [one["precision"] for one in told] == pytest.approx(precision, abs=1e-4)
    assert [one["recall"] for one in told] == pytest.approx(recall, abs=1e-4)
    assert [one["images"] for one in told] == count.tolist()


def test_the_worst_errors_are_the_surest():
    found = some_mistakes()
    worst = found.worst(1000)
    assert len(worst) == np.sum(found.predicted != found.y)
    sure = [error.confidence for error in worst]
    assert sure == sorted(sure, reverse=True)
    assert sure[0] == found.outputs.max(axis=1)[found.predicted != found.y].max()
    pairs = found.pairs(100)
    assert [pair.count for pair in pairs] == sorted((pair.count for pair in pairs), reverse=True)
    assert sum(pair.count for pair in pairs) == len(worst)
    assert found.lines()[1] == f"  {pairs[0]}" and "taken for" in found.lines()[1]


def test_an_error_is_told_by_its_row_in_the_data():
    plain = some_mistakes()
    drawn = dataclasses.replace(plain, rows=np.arange(60)[::-1])
    found, moved = plain.report()["worst errors"], drawn.report()["worst errors"]
    assert [59 - one["row"] for one in found] == [one["row"] for one in moved]
    assert all((plain.image(a) == drawn.image(b)).all() for a, b in zip(
        plain.worst(), drawn.worst(), strict=True))  # fmt: skip


def test_unknown_classes_are_no_mistakes():
    found = mistakes.Mistakes("test", ("a", "b"), np.zeros((2, 4, 4, 1)), np.array([-1, 0]),
                              np.array([[0.1, 0.9], [0.8, 0.2]]))  # fmt: skip
    assert found.matrix.sum() == 1 and not found.worst() and found.lines() == []


def test_pictures_are_drawn_or_said_to_be_missing(monkeypatch):
    found = some_mistakes(("circle", "框", "a name that is longer than a picture is wide"))
    with monkeypatch.context() as without:
        without.setitem(sys.modules, "matplotlib.figure", None)
        (note,) = mistakes.write(pathlib.Path("."), found)
    assert "pip install 'chainrule[plot]'" in note
    pytest.importorskip("matplotlib")
    assert mistakes.write(pathlib.Path("."), found) == []
    for name in (runs.CONFUSION_PICTURE, runs.ERRORS_PICTURE):
        with Image.open(name) as drawn:
            assert min(drawn.size) > 300
    right = mistakes.Mistakes("test", ("a", "b"), found.samples, np.zeros(1, int), np.eye(2)[:1])
    pictures.draw_errors(pathlib.Path(runs.ERRORS_PICTURE), right)
    assert not pathlib.Path(runs.ERRORS_PICTURE).exists()
    pictures.draw_confusion(pathlib.Path("many.png"), some_mistakes(tuple(map(str, range(70)))))
    for shape in ((4, 6, 6), (4, 6, 6, 3), (4, 6, 6, 4)):
        wrong = np.eye(2)[[0, 0, 0, 0]]
        found = mistakes.Mistakes(
            "test", ("a", "b"), np.random.rand(*shape), np.ones(4, int), wrong
        )
        pictures.draw_errors(pathlib.Path("floats.png"), found)
