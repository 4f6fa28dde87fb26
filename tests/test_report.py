"""The report of a run: words, charts and pages, for all kinds of runs, in both languages."""

from __future__ import annotations

import json
import os
import re
import string
import sys
from html.parser import HTMLParser

import numpy as np
import pytest

from browser import browser, tab
from chainrule.callbacks import EarlyStopping, RunRecorder
from chainrule.errors import ArgumentError, FileError, MissingDependencyError, ShapeError
from chainrule.insight import RunRecord, charts, charts_of_ends, style, write_report
from chainrule.insight.png import as_picture, as_pixels, filters, png
from chainrule.insight.record_file import RecordWriter
from chainrule.insight.report import as_script
from chainrule.insight.report_parts import tiles
from chainrule.insight.verdict import best_of, verdict_of
from chainrule.insight.words import COMMON, Words
from chainrule.insight.words_of_findings import KINDS
from chainrule.insight.words_of_reports import REPORT
from chainrule.layers import Dense, Input
from chainrule.models import Sequential
from commands import call, refused_in_one_line
from sample_runs import make_run

go = pytest.importorskip("plotly.graph_objects")
EN, ZH = Words("en"), Words("zh")
TASKS = ("images", "sounds", "texts", "table", "regression")
VOID = {"meta", "img", "br", "hr", "input", "link"}


class Checked(HTMLParser):
    """Elements of a page, which must be closed in order; text of the page; what it refers to."""

    def __init__(self, text):
        super().__init__()
        self.open, self.links, self.words, self.ids = [], [], [], []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes):
        if tag not in VOID:
            self.open.append(tag)
        for name, value in attributes:
            self.links += [value] if name in ("src", "href", "action", "data") else []
            self.ids += [value] if name == "id" else []

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not {"script", "style"} & {*self.open}:
            self.words.append(data)


def report(folder, language="en"):
    """Return a report: its elements, and the figures of its charts."""
    text = write_report(folder, language=language).read_text(encoding="utf-8")
    page = Checked(text)
    found = re.search(r'<script type="application/json" id="figures">(.*?)</script>', text, re.S)
    return page, json.loads(found[1])


@pytest.fixture
def light(monkeypatch):
    """Pages without Plotly's five megabytes, which take a second to look through."""
    monkeypatch.setattr("chainrule.insight.report.plotly_script", lambda: "/* Plotly */")


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("task", TASKS)
def test_report_of_every_task(light, tmp_path, task, language):
    page, figures = report(make_run(tmp_path / "run", task), language)
    words = " ".join(page.words)
    for key in ("verdict", "learning", "gradients", "units", "answers", "network", "repeat"):
        assert key in page.ids and Words(language)(key) in words, key
    assert all(link.startswith(("data:", "#")) for link in page.links)
    for figure in figures:
        go.Figure(figure)  # refuses what Plotly does not know
        assert figure["layout"]["height"] > 100
    kinds = [trace["type"] for figure in figures for trace in figure["data"]]
    assert {"scatter", "heatmap", "bar"} == {*kinds}
    pictures = sum(link.startswith("data:image/png") for link in page.links)
    assert pictures == (9 if task in ("images", "sounds") else 1)


@pytest.mark.parametrize("state", ["interrupted", "failed", "running", "paused"])
@pytest.mark.parametrize("language", ["en", "zh"])
def test_report_of_a_run_without_end_or_statistics(light, tmp_path, state, language):
    folder = make_run(tmp_path, statistics=False, state=state, epochs=3)
    page, figures = report(folder, language)
    words = " ".join(page.words)
    assert Words(language)(state) in words and Words(language)("no_looks") in words
    assert "answers" not in page.ids and "costs" not in page.ids and len(figures) == 3


def test_report_of_a_run_that_has_just_begun(light, tmp_path):
    writer = RecordWriter(tmp_path)
    writer.about({"name": "new"})
    page, figures = report(tmp_path)
    assert EN("nothing_yet") in page.words and figures == []


def test_report_of_a_run_in_its_first_epoch_shows_the_way(tmp_path):
    make_run(tmp_path, epochs=1, statistics=False, state="running")
    lines = (tmp_path / "events.jsonl").read_text().splitlines()
    events = [line for line in lines if json.loads(line)["event"] != "epoch"]
    (tmp_path / "events.jsonl").write_text("".join(f"{line}\n" for line in events))
    figure = charts.learning_curves(RunRecord(tmp_path), "loss", EN)
    assert figure["data"][0]["x"] == pytest.approx([0.2, 0.4, 0.6, 0.8])


def test_report_of_a_real_run(light, tmp_path):
    x = np.random.default_rng(0).normal(size=(80, 4)).astype("float32")
    model = Sequential([Input((4,)), Dense(6, "relu", name="hidden"), Dense(3, "softmax")])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    recorder = RunRecorder(tmp_path, statistics=1, about={"classes": ["a", "b", "c"]})
    y = x[:, :3].argmax(axis=1)
    model.fit(x, y, 8, 3, 0, callbacks=recorder, validation_split=0.2)
    model.save(tmp_path / "model.chainrule")
    page, figures = report(tmp_path)
    words = " ".join(page.words)
    for said in (
        "Confusion matrix",
        "Dead units",
        "Time for a batch",
        "hidden",
        "Adam",
    ):
        assert said in words, said
    for figure in figures:
        go.Figure(figure)


def test_what_the_user_named_is_text_and_no_markup(light, tmp_path):
    evil = "</script><script>alert(1)</script><img src=x onerror=alert(2)>"
    make_run(tmp_path / "run", "texts", findings=True)
    for name in ("run.json", "final.json"):
        text = (tmp_path / "run" / name).read_text()
        given = json.dumps(evil)[1:-1]
        text = text.replace("hidden", given).replace("negative", given).replace("sgd", given)
        (tmp_path / "run" / name).write_text(text.replace("<svg", f"<svg onload='alert(3)'{given}"))
    text = write_report(tmp_path / "run").read_text()
    assert "alert(1)</script>" not in text and "<img src=x" not in text
    page = Checked(text)
    assert any("alert(1)" in said for said in page.words)
    assert "not <b>bad</b> at all" in " ".join(page.words)  # a text, not bold type
    assert as_script(["</script>\u2028"]) == '["\\u003c/script>\\u2028"]'


def test_page_fetches_nothing(tmp_path):
    text = write_report(make_run(tmp_path)).read_text()
    assert "default-src 'none'" in text.split("</head>")[0]
    assert 'name="viewport"' in text and '<html lang="en">' in text
    assert "plotly.js v" in text  # the library itself, with its licence


def test_report_goes_where_it_is_asked_for(light, tmp_path):
    folder = make_run(tmp_path / "run", statistics=False)
    assert write_report(str(folder)) == folder / "report.html"
    assert write_report(RunRecord(folder), tmp_path / "a.html") == tmp_path / "a.html"
    with pytest.raises(ArgumentError, match=r"unknown language 'de'\n  known: en, zh"):
        write_report(folder, language="de")
    with pytest.raises(FileError, match="no record of a run"):
        write_report(tmp_path)
    with pytest.raises(FileError, match="cannot write"):
        write_report(folder, tmp_path / "none" / "a.html")
    with pytest.raises(ArgumentError, match="run is 5; expected a path"):
        write_report(5)
    with pytest.raises(ArgumentError, match="path is 5; expected a path"):
        write_report(folder, 5)


def test_missing_plotly_is_told(tmp_path, monkeypatch):
    make_run(tmp_path, statistics=False)
    monkeypatch.setitem(sys.modules, "plotly.offline", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'chainrule\[insight\]'"):
        write_report(tmp_path)


def test_command_reports_the_newest_run(light, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "there is no run in runs/" in refused_in_one_line("report")
    make_run(tmp_path / "runs" / "a", statistics=False)
    assert call("report").startswith("runs/a/report.html (")
    assert "zh.html" in call("report", "runs/a", "--language", "zh", "-o", "zh.html")
    assert '<html lang="zh-CN">' in (tmp_path / "zh.html").read_text(encoding="utf-8")
    assert "no record of a run" in call("report", "nowhere", code=2)


@pytest.mark.parametrize(
    ("of", "language", "tile"),
    [
        ({}, "en", "<dt>test accuracy</dt>"),
        ({"of": 6000}, "en", "<dt>test accuracy, 2,000 of 6,000 samples</dt>"),
        ({"of": 6000}, "zh", "6,000 个样本中的 2,000 个"),
        ({"of": None}, "en", "<dt>test accuracy, 2,000 samples</dt>"),
        ({"of": None}, "zh", "2,000 个样本"),
    ],
)
def test_tile_says_of_how_many_samples(tmp_path, of, language, tile):
    writer = RecordWriter(tmp_path)
    writer.about({})
    writer.final({"evaluation": {"part": "test", "accuracy": 0.5, "samples": 2000, **of}}, {})
    assert tile in tiles(RunRecord(tmp_path), Words(language))


def test_training_command_leaves_a_record(light, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = np.random.default_rng(0).normal(size=(120, 3))
    lines = [f"{a:.3f},{b:.3f},{'yes' if a > b else 'no'}" for a, b, _ in rows]
    (tmp_path / "t.csv").write_text("\n".join(["a,b,answer", *lines]) + "\n")
    said = call("train", "t.csv", "--target", "answer", "--epochs", 3, "--output", "out")
    assert "to see how it went: chainrule report out" in said
    record = RunRecord(tmp_path / "out")
    assert record.state == "finished" and len(record.epochs) == 3 and len(record.looks) > 3
    found = record.final["evaluation"]
    assert found["classes"] == ["no", "yes"] and found["part"] == "validation"
    assert record.about["settings"]["target"] == "answer"
    page, _ = report(tmp_path / "out")
    assert "Right and wrong" in " ".join(page.words)


def verdict(tmp_path, history, language="en", findings=(), state="finished", first=0, **final):
    writer = RecordWriter(tmp_path)
    epochs = max(map(len, history.values()), default=0)
    writer.about({"training": {"epochs": first + epochs, "initial_epoch": first}})
    for i in range(epochs):
        logs = {name: values[i] for name, values in history.items() if values[i] is not None}
        writer.event("epoch", i, epoch=first + i, step=i, logs=logs)
    if findings:
        writer.event("findings", 9.0, findings=findings)
    writer.write()
    writer.final({"message": "no room", **final}, {})
    writer.status({"state": state})
    return verdict_of(RunRecord(tmp_path), Words(language))


FALLING = [2.0 * 0.5**n + 0.1 for n in range(12)]
CASES = {
    "healthy": ({"loss": FALLING}, "good", "Learnt, and levelled off."),
    "overfits": (
        {"loss": FALLING, "val_loss": [1.5, 1.0, 0.8, 0.7, *(0.75 + 0.1 * n for n in range(8))]},
        "fair",
        "Overfitting from epoch 4 on.",
    ),
    "noise of a level validation": (
        {"loss": FALLING, "val_loss": [*FALLING[:8], 0.115, 0.13, 0.12, 0.125]},
        "good",
        "Learnt, and levelled off.",
    ),
    "still falling": ({"loss": [2.0 - 0.1 * n for n in range(12)]}, "fair", "Still learning when"),
    "flat": ({"loss": [2.0 + 0.01 * (n % 2) for n in range(9)]}, "bad", "The loss hardly fell."),
    "not finite": ({"loss": [2.0, float("nan"), 1.0]}, "bad", "no finite number from epoch 2 on"),
    "short": ({"loss": [2.0, 1.0]}, "open", "The loss fell; there are too few epochs"),
    "one epoch": ({"loss": [2.0]}, "open", "Too few epochs"),
    "none": ({}, "open", "No epoch has ended yet."),
    "negative loss": ({"loss": [-1.0 - 0.5 * n for n in range(8)]}, "fair", "Still learning"),
}


@pytest.mark.parametrize("name", CASES)
def test_verdict_by_the_curves(tmp_path, name):
    history, tone, headline = CASES[name]
    said = verdict(tmp_path / "en", history)
    assert (said.tone, headline in said.headline) == (tone, True), said
    chinese = verdict(tmp_path / "zh", history, "zh")
    assert chinese.tone == tone and re.search("[\u4e00-\u9fff]", chinese.headline)


def test_verdict_by_the_doctor_and_the_end(tmp_path):
    found = [{"kind": "dead_relu"}, {"kind": "overfitting"}]
    said = verdict(tmp_path / "a", {"loss": FALLING}, findings=found)
    assert said.headline == "The doctor found 2 problems." and said.tone == "bad"
    said = verdict(tmp_path / "b", {"loss": FALLING}, findings=found[:1], language="zh")
    assert said.headline == "诊断发现 1 个问题。"
    said = verdict(tmp_path / "c", {"loss": FALLING}, state="failed")
    assert said.headline == "The run ended with an error: no room" and said.tone == "bad"
    said = verdict(tmp_path / "d", {"loss": FALLING}, state="interrupted")
    assert said.sentences[-1] == "The run was interrupted."


RISING = [1.5, 1.0, 0.8, 0.7, *(0.75 + 0.1 * n for n in range(8))]


def test_verdict_counts_epochs_that_are_not_validated(tmp_path):
    held = [value for kept in RISING[2:10] for value in (None, None, kept)]
    loss = [2.0 * 0.8**n + 0.1 for n in range(24)]
    said = verdict(tmp_path, {"loss": loss, "val_loss": held})
    assert said.headline == "Overfitting from epoch 6 on."
    assert said.sentences[-1] == "Best validation loss: 0.7, in epoch 6 of 24."
    # In the epochs from the best of the validation on, training got worse: no overfitting.
    worse = [*loss[:12], *(loss[0] - 0.01 * n for n in range(12))]
    said = verdict(tmp_path / "worse", {"loss": worse, "val_loss": held})
    assert "Overfitting" not in said.headline


def test_verdict_counts_from_the_first_epoch_of_the_model(tmp_path):
    said = verdict(tmp_path, {"loss": FALLING, "val_loss": RISING}, first=50)
    assert said.headline == "Overfitting from epoch 54 on."
    assert said.sentences[-1] == "Best validation loss: 0.7, in epoch 54 of 62."
    assert f"<dt>{EN('epochs')}</dt><dd>12</dd>" in tiles(RunRecord(tmp_path), EN)
    lost = verdict(tmp_path / "lost", {"loss": [1.0, float("nan")]}, first=50)
    assert "no finite number from epoch 52 on" in lost.headline


@pytest.mark.parametrize("state", ["running", "paused"])
def test_verdict_of_a_run_that_goes_on_does_not_say_that_it_ended(tmp_path, state):
    history = {"loss": [2.0 - 0.1 * n for n in range(12)]}
    said = verdict(tmp_path / "en", history, state=state)
    assert said.headline == "Still learning." and "more of them" not in said.sentences[0]
    assert verdict(tmp_path / "zh", history, "zh", state=state).headline == "仍在进步。"


def test_verdict_of_a_run_that_went_back_to_its_best_weights(tmp_path):
    history = {"loss": FALLING, "val_loss": RISING}
    said = verdict(tmp_path / "en", history, restored=3)
    assert said.tone == "good" and "Stop there" not in " ".join(said.sentences)
    assert said.headline == "It has the weights of epoch 4, from before it overfitted."
    assert "第 4 轮的权重" in verdict(tmp_path / "zh", history, "zh", restored=3).headline
    late = verdict(tmp_path / "late", history, restored=9)  # best by another number
    assert late.headline == "Overfitting from epoch 4 on."


@pytest.mark.parametrize("restores", [True, False])
def test_record_says_which_weights_were_restored(tmp_path, restores):
    x = np.random.default_rng(0).normal(size=(24, 3)).astype("float32")
    model = Sequential([Input((3,)), Dense(1)])
    model.compile("sgd", "mse")
    stop = EarlyStopping("loss", patience=2, min_delta=10, restore_best_weights=restores)
    model.fit(x, x[:, 0], 8, 50, 0, callbacks=[RunRecorder(tmp_path), stop])
    record = RunRecord(tmp_path)
    assert len(record.epochs) == 3
    assert record.final.get("restored") == (stop.best_epoch if restores else None)


def test_best_epoch_goes_by_the_metric_of_the_validation(tmp_path):
    history = {"loss": [3, 2, 1], "accuracy": [1, 2, 3], "val_loss": [1, 2, 3]}
    verdict(tmp_path / "a", {**history, "val_accuracy": [0.5, 0.9, 0.8]})
    assert best_of(RunRecord(tmp_path / "a")) == ("val_accuracy", 1, 0.9)
    verdict(tmp_path / "b", history)
    assert best_of(RunRecord(tmp_path / "b")) == ("val_loss", 0, 1.0)


def gaps(text):
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


@pytest.mark.parametrize("table", [COMMON, REPORT], ids=["common", "report"])
def test_words_are_there_in_both_languages(table):
    for key, (english, chinese) in table.items():
        assert english and chinese and gaps(english) == gaps(chinese), key
        if re.search("[a-z]{4} ", re.sub("{.*?}", "", english)):
            assert re.search("[\u4e00-\u9fff]", chinese), key


def test_every_kind_of_finding_has_words():
    from chainrule.insight.finding import KINDS as FINDINGS

    assert {*KINDS} == {*FINDINGS}
    for kind, (titles, meanings) in KINDS.items():
        assert all(titles) and all(meanings), kind
    assert ZH.kind("dead_relu") == "ReLU 死亡" and EN.kind("a_new_kind") == "a new kind"


def test_words_of_metrics():
    assert EN.metric("val_loss") == "validation loss" and ZH.metric("val_loss") == "验证损失"
    assert EN.metric("my_metric") == "my_metric" and EN.noun("sound") == "sounds"


def test_charts_of_many_layers_become_maps(tmp_path):
    looks = RunRecord(make_run(tmp_path)).looks
    few = charts.update_ratios(looks, EN)
    assert [t["type"] for t in few["data"]] == ["scatter"] * 3
    wide = type(looks)(
        looks.layers * 4,
        looks.weights * 4,
        *(getattr(looks, n) for n in ("steps", "epochs", "loss")),
        *(
            np.concatenate([getattr(looks, n)] * 4, axis=1)
            for n in ("activation", "error", "weight", "gradient", "update", "ratio", "dead", "snr")
        ),
    )
    many = charts.update_ratios(wide, EN)
    assert many["data"][0]["type"] == "heatmap" and len(set(many["data"][0]["y"])) == 12
    assert charts.gradient_by_depth(wide, EN) is not None
    go.Figure(many)


def test_curves_differ_without_colours():
    looks = [(style.line(i)["line"]["dash"], style.line(i)["marker"]["symbol"]) for i in range(6)]
    assert len({*looks}) == 6 and len({dash for dash, _ in looks}) == 6
    shades = [int(color[1:3], 16) * 0.3 + int(color[3:5], 16) * 0.59 for _, color in style.SCALE]
    assert shades == sorted(shades, reverse=True)


def test_charts_of_nothing_are_none(tmp_path):
    record = RunRecord(make_run(tmp_path, statistics=False, epochs=1))
    assert charts.learning_curves(record, "recall", EN) is None
    assert charts_of_ends.confusion({}, EN) is None and charts_of_ends.regression({}, EN) is None
    assert charts_of_ends.time_by_layer([], EN) is None
    assert charts_of_ends.final_histograms({}, EN) is None


def test_compared_curves_name_the_runs(tmp_path):
    names = ["lr0.1/seed0", "lr0.01/seed0"]
    runs = [(name, RunRecord(make_run(tmp_path / name, statistics=False))) for name in names]
    figure = charts.compared_curves(runs, "loss", ZH)
    drawn, keys = figure["data"][:4], figure["data"][4:]
    assert [key["name"] for key in keys] == names
    assert [trace["legendgroup"] for trace in drawn] == [
        keys[i]["legendgroup"] for i in (0, 0, 1, 1)
    ]
    assert ["训练" in trace["hovertemplate"] for trace in drawn] == [True, False] * 2
    assert [trace["line"]["dash"] for trace in drawn] == ["solid", "dash"] * 2
    go.Figure(figure)


def test_twelve_long_runs_differ_without_colours_too(tmp_path):
    record = RunRecord(make_run(tmp_path, statistics=False, epochs=70))
    figure = charts.compared_curves([(f"run{i}", record) for i in range(12)], "loss", EN)
    assert figure["layout"]["height"] >= 2 * 12 * 19 + 40  # half of it for names, one a line
    for dash in ("solid", "dash"):
        traces = [t for t in figure["data"] if t["line"]["dash"] == dash and len(t["x"]) > 1]
        assert len({t["marker"]["symbol"] for t in traces}) == 12
        seen = [{i for i, size in enumerate(t["marker"]["size"]) if size} for t in traces]
        assert all(8 <= len(places) <= 10 for places in seen)
        assert len({frozenset(places) for places in seen}) > 5  # they do not hide each other


def test_names_of_classes_are_whole():
    for classes in (["yes", "yes/no"], ["TCP/IP", "HTTP/2"], [0, 1]):
        figure = charts_of_ends.confusion({"matrix": [[3, 1], [0, 4]], "classes": classes}, EN)
        assert figure["data"][0]["x"] == [str(name) for name in classes]


def test_png_is_read_by_others():
    image = pytest.importorskip("PIL.Image")
    import io

    for shape in ((5, 7), (5, 7, 1), (5, 7, 3), (5, 7, 4)):
        picture = np.random.default_rng(0).integers(0, 256, shape).astype("uint8")
        back = np.asarray(image.open(io.BytesIO(png(picture))))
        assert (back.reshape(shape) == picture).all()
    with pytest.raises(ShapeError, match="a picture is"):
        png(np.zeros((2, 2, 5)))


def test_pictures_of_samples():
    assert as_picture(np.zeros(784)) is None and as_picture(np.zeros((4, 4))) is None
    assert (
        as_picture(np.zeros((28, 28, 2))) is None and as_picture(np.array([["a"] * 9] * 9)) is None
    )
    assert as_picture(np.ones((300, 200, 3)), 100).shape == (100, 67, 3)
    assert as_pixels(np.array([0.0, 0.5, 1.0])).tolist() == [0, 128, 255]
    assert as_pixels(np.array([-1.0, 0.0, 1.0])).tolist() == [0, 128, 255]
    assert as_pixels(np.array([0.0, 51.0, 255.0])).tolist() == [0, 51, 255]
    assert as_pixels(np.array([np.nan, np.inf]))[0] == 0


def test_filters_of_first_layers():
    assert filters(np.ones((3, 3, 1, 4))).shape[2] == 1
    assert filters(np.ones((3, 3, 3, 4))).shape[2] == 3
    assert filters(np.ones((5, 8, 16))) is not None  # over time
    assert filters(np.ones((784, 10)), (28, 28)).ndim == 3
    assert filters(np.ones((20, 10))) is not None and filters(np.ones(5)) is None


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    runs = {task: make_run(folder / task, task, findings=True) for task in ("images", "regression")}
    return {
        (task, language): write_report(run, folder / f"{task}-{language}.html", language)
        for task, run in runs.items()
        for language in ("en", "zh")
    }


SEEN = [("images", "en", 1400), ("regression", "zh", 400)]
if os.environ.get("CHAINRULE_TEST_PAGES") == "all":  # a minute
    SEEN = [(t, n, w) for t in ("images", "regression") for n in ("en", "zh") for w in (1400, 400)]


def test_pages_in_a_browser(pages):
    with browser() as found:
        for task, language, width in SEEN:
            with tab(found, width, language, has_touch=width < 600) as page:
                look_through(page, pages[task, language])


def look_through(page, path):
    """Click and scroll through a report; no chart is empty, nothing is wider than the page."""
    fetched = []
    page.on("request", lambda r: fetched.append(r.url) if r.url.startswith("http") else None)
    page.goto(path.as_uri())
    for link in page.locator("nav a").all():
        link.click()
        section = page.locator(link.get_attribute("href"))
        assert section.bounding_box()["height"] > 60
    charts_drawn = page.locator(".chart")
    for i in range(charts_drawn.count()):
        charts_drawn.nth(i).scroll_into_view_if_needed()
        charts_drawn.nth(i).locator(".main-svg").first.wait_for()
    sizes = "[document.documentElement.scrollWidth, document.documentElement.clientWidth]"
    inside, outside = page.evaluate(sizes)
    assert inside <= outside
    choose_another(page)
    assert fetched == []


def choose_another(page):
    """Choose another weight in the menu of a chart of histograms: another trace is shown."""
    chart = page.locator(".chart:has(.updatemenu-header)").first
    shown = "e => e.data.findIndex(trace => trace.visible)"
    before = chart.evaluate(shown)
    chart.locator(".updatemenu-header").click()
    chart.locator(".updatemenu-dropdown-button").nth(1).click()
    assert before == 0 and chart.evaluate(shown) == 1
