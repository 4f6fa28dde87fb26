"""The command line with texts: tables with a column of them, sentences, the shipped reviews."""

import csv
import io
import sys

import numpy as np
import pytest

from chainrule.cli.problem import make_problem
from chainrule.cli.settings import Settings
from chainrule.cli.sources import open_source
from chainrule.cli.text_networks import by_length, recipe_of
from chainrule.cli.text_problem import are_texts, text_hint
from chainrule.datasets import movie_reviews
from chainrule.errors import ArgumentError
from chainrule.layers import Dense, TextVectorization
from chainrule.models import Sequential, load_model
from commands import call
from commands import refused_in_one_line as refused

QUICK = ["--recipe", "fast", "--patience", "40"]


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def write_csv(path, header, rows):
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
    return str(path)


def reviews(count=120):
    draw = np.random.default_rng(0)
    for i in range(count):
        good = i % 2
        kind = ["warm", "funny", "moving"] if good else ["dull", "flat", "lifeless"]
        filler = " ".join(draw.choice(["a", "the", "film", "and", "story"], 5))
        text = f"{filler} {draw.choice(kind)} {draw.choice(kind)}"
        yield [i, "" if i == 40 else text, "" if i == 41 else ["no", "yes"][good], 2.0 * good - 1]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run on a small table, and what it printed."""
    folder = tmp_path_factory.mktemp("texts")
    table = write_csv(folder / "reviews.csv", ["id", "review", "good", "score"], reviews())
    run = str(folder / "run")
    printed = call("train", table, "--text", "review", "--target", "good", "--output", run, *QUICK)
    return folder, run, printed


def test_what_is_decided_is_said(trained):
    _, _, printed = trained
    for part in (
        "reviews: 120 rows",
        "left out 1 rows whose 'good' is missing",
        "left out 1 rows whose 'review' is empty",
        "split into words (otherwise: --tokens characters)",
        "vocabulary: 11 words; texts of 7 words at most",
        "their mean",
        "recipe fast: at most 100 epochs in batches of 16",
        "Validation accuracy: 1.0000",
        "model.chainrule",
    ):
        assert part in printed, part


def test_rows_of_texts_are_those_of_the_table(tmp_path):
    given = list(reviews())
    table = write_csv(tmp_path / "reviews.csv", ["id", "review", "good", "score"], given)
    settings = Settings(data=table, text="review", target="good")
    problem = make_problem(open_source(table), settings)
    for part in (problem.training, problem.validation):
        assert [given[row][1] for row in part.rows] == part.raw.tolist()


def test_sentences_as_arguments_lines_and_tables(trained):
    folder, run, _ = trained
    printed = call("predict", run, "a warm , funny film", "dull", "")
    rows = list(csv.reader(io.StringIO(printed)))
    assert rows[0] == ["text", "predicted good", "probability"]
    assert [row[:2] for row in rows[1:3]] == [["a warm , funny film", "yes"], ["dull", "no"]]
    assert float(rows[1][2]) > 0.8 and rows[3][0] == ""
    for given in ((run,), (run, "-")):
        lines = call("predict", *given, given="a warm , funny film\r\ndull\n\n")
        assert lines == printed
    call("predict", run, "dull", "--output", "o.csv")
    with open("o.csv", encoding="utf-8") as file:
        assert next(csv.reader(file)) == [
            "text",
            "predicted good",
            "probability of no",
            "probability of yes",
        ]
    table = call("predict", run, str(folder / "reviews.csv")).splitlines()
    assert len(table) == 121 and table[0].startswith("predicted good,probability of no")
    measured = call("evaluate", run, str(folder / "reviews.csv"))
    assert float(measured.split("Test accuracy: ")[1][:6]) > 0.99  # the empty review may be wrong
    assert "texts: in the column 'review'" in call("summary", run)


def test_a_saved_run_takes_sentences_in_python(trained):
    _, run, _ = trained
    model = load_model(f"{run}/model.chainrule")
    found = model.predict(["warm and funny", "a flat story"], verbose=0)
    assert found.argmax(axis=1).tolist() == [1, 0] and model.metadata["text"] == "review"
    configured = call("train", "--config", f"{run}/run.toml", "--output", "again")
    assert "Validation accuracy: 1.0000" in configured


def test_numbers_from_characters_by_both_directions():
    rows = [["好好" if i % 2 else "坏坏", (i % 2) * 4.5 + 0.25 * (i % 3)] for i in range(60)]
    table = write_csv("t.csv", ["评论", "分数"], [[f"{word}的电影", score] for word, score in rows])
    options = ["--text", "评论", "--target", "分数", "--epochs", "6", "--output", "r"]
    printed = call("train", table, *options)
    assert "split into characters, since there are few spaces" in printed
    assert "LSTMs of 64 units in both directions" in printed and "Validation R2" in printed
    assert call("predict", "r", "好电影").splitlines()[0] == "text,predicted 分数"


def test_the_shipped_reviews(monkeypatch):
    (text, y), (others, labels) = movie_reviews.load_data()
    few = (text[:300], y[:300]), (others[:50], labels[:50])
    monkeypatch.setattr(movie_reviews, "load_data", lambda: few)
    printed = call("train", "movie-reviews", *QUICK[:2], "--epochs", "2", "--output", "r")
    assert "2 classes (negative, positive)" in printed and "50 to test" in printed
    assert "the test set of movie-reviews" in call("evaluate", "r", "movie-reviews")


def test_many_texts_are_learnt_in_batches_of_similar_length():
    draw = np.random.default_rng(0)
    lengths = draw.integers(0, 30, 1000)
    x = np.where(np.arange(30) < lengths[:, None], draw.integers(1, 9, (1000, 30)), 0)
    data = by_length(x, np.arange(1000))
    assert len(data.boundaries) > 2 and np.array_equal(data.x.lengths, lengths)
    for rows, numbers in data:
        assert np.array_equal(rows, x[numbers][:, : rows.shape[1]])
    assert len(by_length(x[:100], np.arange(100)).boundaries) == 1


def test_a_model_of_texts_from_python():
    layer = TextVectorization(output_mode="count")
    layer.adapt(["good", "bad"])
    model = Sequential([layer, Dense(1)])
    model.compile("sgd", "mse")
    model.fit(["good", "bad"], [1.0, 0.0], verbose=0)
    model.save("m.chainrule")
    assert call("predict", "m.chainrule", "good").startswith("text,predicted y\ngood,")


def test_mistakes(trained):
    folder, run, _ = trained
    table = str(folder / "reviews.csv")
    for arguments, message in (
        (["train", table, "--text", "reviw", "--target", "good"], "did you mean 'review'"),
        (["train", table, "--text", "good", "--target", "good"], "are the same column"),
        (["train", table, "--text", "review"], "--target COLUMN"),
        (["train", "digits", "--text", "x"], "a column of a table"),
        (["train", table, "--target", "good", "--tokens", "words"], "--tokens is for texts"),
        (["train", table, "--target", "good", "--recipe", "fast"], "images and texts"),
        (["predict", run, "nowhere.csv"], "there is no file"),
        (["evaluate", run, "digits"], "the model takes texts"),
    ):
        assert message in refused(*arguments), arguments
    assert "there is no text" in refused("predict", run, given="")
    other = write_csv("other.csv", ["sentence"], [["a film"]])
    assert "no column 'review'" in refused("predict", run, other)
    with pytest.raises(ArgumentError, match="recipe"):
        recipe_of(Settings("x", recipe="best"))


def test_a_model_of_something_else_wants_data():
    model = Sequential([Dense(1, input_shape=(2,))])
    model.compile("sgd", "mse")
    model.save("m.chainrule")
    assert "say what to predict" in refused("predict", "m.chainrule")


def test_who_forgets_the_option_is_told():
    table = write_csv("t.csv", ["review", "good"], [row[1:3] for row in reviews()])
    assert "'review' looks like texts; --text 'review' learns from them" in refused(
        "train", table, "--target", "good"
    )
    assert text_hint({"a": np.array(["one", "two"], object)}, ["a"]) == ""
    assert text_hint({}, []) == ""
    assert are_texts(np.array(["a"])) and not are_texts(np.zeros(3))


def test_a_terminal_is_told_how_to_end(trained, monkeypatch):
    from chainrule.cli import text_use

    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr(sys, "stdin", Terminal("one\ntwo\n"))
    assert text_use.sentences([]).tolist() == ["one", "two"]
