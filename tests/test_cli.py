"""The command line: from files to run folders and back, and one clear line for each mistake."""

import csv
import subprocess
import sys

import click
import numpy as np
import pytest
from click.testing import CliRunner

from chainrule.cli import runs
from chainrule.cli.app import app
from chainrule.cli.settings import Settings, config_defaults, config_text
from chainrule.insight import RunRecord
from chainrule.layers import Dense, Input
from chainrule.models import Sequential, load_model
from commands import accuracy, call
from commands import refused_in_one_line as refused

QUICK = ["--epochs", "40", "--patience", "10"]


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def write_csv(path, header, rows, encoding="utf-8", delimiter=","):
    with open(path, "w", newline="", encoding=encoding) as file:
        csv.writer(file, delimiter=delimiter).writerows([header, *rows])
    return path


def chinese_table(rows=400):
    """Rows with gaps, categories, a constant, a number for each row and text that is an id."""
    random = np.random.default_rng(0)
    for row in range(rows):
        age, city = int(random.integers(18, 80)), str(random.choice(["北京", "上海", "广州"]))
        bought = "是" if age + 20 * (city == "北京") > 55 else "否"
        shown_age = "" if row % 17 == 0 else str(age)
        yield [row + 1, shown_age, "NA" if row % 31 == 0 else city, "中国", f"客户{row}", bought]


CHINESE_HEADER = ["编号", "年龄", "城市", "国家", "姓名", "是否购买"]


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """Return the folder of a run on the table in Chinese, and what the run printed."""
    folder = tmp_path_factory.mktemp("shop")
    table = write_csv(folder / "购物.csv", CHINESE_HEADER, chinese_table(), "gb18030", ";")
    arguments = ["train", str(table), "--target", "是否购买", "--output", str(folder / "run")]
    return folder, call(*arguments)


def test_a_table_with_everything_in_it(shop):
    folder, output = shop
    assert "400 rows, CSV separated by ';', gb18030" in output
    assert "numbers: 年龄" in output and "categories: 城市 (3)" in output
    assert "left out: '编号', it numbers the rows" in output
    assert "left out: '国家', it is '中国' in every row" in output
    assert "left out: '姓名'" in output
    assert "classification, 2 classes (否, 是), its values are text" in output
    assert accuracy(output, "Validation") > 0.85
    for name in (runs.MODEL, runs.HISTORY, runs.CONFIG):
        assert (folder / "run" / name).exists()


def test_evaluate_and_predict_take_the_raw_table(shop):
    folder, _ = shop
    table = str(folder / "购物.csv")
    output = call("evaluate", str(folder / "run"), table)
    assert accuracy(output, "Test") > 0.85 and "always answering" in output
    rows = list(csv.reader(call("predict", str(folder / "run"), table).splitlines()))
    assert rows[0] == ["predicted 是否购买", "probability of 否", "probability of 是"]
    assert len(rows) == 401 and {row[0] for row in rows[1:]} == {"是", "否"}
    wrote = call("predict", str(folder / "run"), table, "--output", "out.csv")
    assert "400 predictions" in wrote
    with open("out.csv", encoding="utf-8", newline="") as file:
        assert list(csv.reader(file)) == rows


def test_predict_needs_neither_the_target_nor_known_categories(shop):
    folder, _ = shop
    write_csv("new.csv", ["年龄", "城市", "more"], [["70", "巴黎", "x"], ["", "", "y"]])
    rows = call("predict", str(folder / "run" / runs.MODEL), "new.csv").splitlines()
    assert len(rows) == 3 and rows[1].startswith("是")


def test_the_saved_model_takes_records_in_a_new_process(shop):
    folder, _ = shop
    code = f"""if True:
        import numpy as np
        from chainrule.models import load_model
        model = load_model({str(folder / "run" / runs.MODEL)!r})
        rows = np.array([(70.0, "北京"), (20.0, "上海")], [("年龄", float), ("城市", object)])
        print(*[model.label_names[k] for k in model.predict(rows, verbose=0).argmax(axis=1)])
    """
    found = subprocess.run(
        [sys.executable, "-X", "utf8", "-c", code], capture_output=True, text=True, encoding="utf-8"
    )
    assert found.stdout.split() == ["是", "否"], found.stderr


def test_summary_names_columns_and_classes(shop):
    folder, _ = shop
    output = call("summary", str(folder / "run"))
    assert "TablePreprocessing" in output and "城市: one of 上海, 北京, 广州" in output
    assert "classes: 否, 是" in output


def test_regression_answers_in_the_units_of_the_target():
    random = np.random.default_rng(1)
    x = random.normal(size=(300, 2))
    y = 5000 + 800 * x[:, 0] - 300 * x[:, 1]
    write_csv("line.csv", ["a", "b", "price"], np.column_stack([x, y]).round(4).tolist())
    output = call("train", "line.csv", "--target", "price", "--output", "run", *QUICK)
    assert "regression, its values are numbers with fractions" in output
    r2 = float(output.split("Validation R2: ")[1].split(",")[0])
    assert r2 > 0.9
    predicted = [float(line) for line in call("predict", "run", "line.csv").splitlines()[1:]]
    assert np.corrcoef(predicted, y)[0, 1] > 0.95 and abs(np.mean(predicted) - 5000) < 200
    assert "Test R2: " in call("evaluate", "run", "line.csv")


def test_a_configuration_repeats_the_run():
    first = call("train", "digits", "--epochs", "2", "--hidden", "16", "--output", "a")
    again = call("train", "--config", "a/run.toml", "--threads", "1", "--output", "b")
    assert accuracy(first, "Test") == accuracy(again, "Test")
    assert runs.Path("a/history.csv").read_text() == runs.Path("b/history.csv").read_text()
    weights = [load_model(f"{folder}/model.chainrule").get_weights() for folder in "ab"]
    assert all(np.array_equal(a, b) for a, b in zip(*weights, strict=True))
    other = call("train", "--config", "a/run.toml", "--epochs", "1", "--output", "c")
    assert "after 1 epochs" in other


def test_digits_are_measured_on_their_test_set():
    output = call("train", "digits", "--recipe", "fast", "--epochs", "3")
    assert accuracy(output, "Test") > 0.9
    (folder,) = (path for path in runs.Path("runs").iterdir())
    assert folder.name.startswith("digits-") and f"saved in {folder}" in output
    lines = (folder / runs.HISTORY).read_text().splitlines()
    assert lines[0].split(",")[:2] == ["epoch", "loss"] and len(lines) == 4
    assert accuracy(call("evaluate", str(folder), "digits"), "Test") == accuracy(output, "Test")


@pytest.mark.parametrize("shape", [(5,), (3, 4)])
def test_arrays(shape):
    random = np.random.default_rng(2)
    x = random.normal(3, 10, size=(300, *shape)).astype("float32")
    y = (x.reshape(300, -1).sum(axis=1) > 3 * x[0].size).astype(int)
    np.savez("data.npz", x_train=x[:200], y_train=y[:200], x_test=x[200:], y_test=y[200:])
    output = call("train", "data.npz", "--output", "run", *QUICK)
    assert "100 to test" in output and accuracy(output, "Test") > 0.8
    assert len(call("predict", "run", "data.npz").splitlines()) == 201


def test_one_hot_targets_are_classes():
    x = np.random.default_rng(3).normal(size=(90, 2))
    np.savez("data.npz", x=x, y=np.eye(3)[np.arange(90) % 3])
    assert "3 classes (0, 1, 2)" in call("train", "data.npz", "--epochs", "1")


def test_parquet():
    pa = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    a = np.arange(200) % 20
    kinds = ["high" if value > 9 else "low" for value in a]
    parquet.write_table(pa.table({"a": a, "kind": kinds}), "t.parquet")
    output = call("train", "t.parquet", "--target", "kind", "--output", "run")
    assert accuracy(output, "Validation") > 0.9
    assert accuracy(call("evaluate", "run", "t.parquet"), "Test") > 0.9


def test_a_model_made_in_python_is_used_like_any_other():
    model = Sequential([Input((4,)), Dense(3, activation="softmax")])
    model.label_names = ["red", "green", "blue"]
    model.save("model.chainrule")
    np.savez("data.npz", x=np.zeros((20, 4)), y=np.arange(20) % 3)
    assert call("predict", "model.chainrule", "data.npz").startswith("predicted y,probability of r")
    assert "no row's 'y' is one of" in refused("evaluate", "model.chainrule", "data.npz")


def test_rows_without_target_are_counted():
    rows = [[i % 9, "ab"[i % 2] if i % 5 else ""] for i in range(100)]
    write_csv("t.csv", ["x", "kind"], rows)
    output = call("train", "t.csv", "--target", "kind", "--epochs", "2")
    assert "left out 20 rows whose 'kind' is missing" in output
    assert "64 to train on, 16 held out" in output


def test_worst_errors_are_told_by_their_rows_in_the_data():
    """Of a table with gaps in its target, and of arrays; the parts are drawn at random."""
    y = np.random.default_rng(5).normal(size=100)
    rows = [[i % 9, "" if i % 5 == 0 else f"{y[i]:.6f}"] for i in range(100)]
    write_csv("t.csv", ["x", "y"], rows)
    np.savez("a.npz", x=np.arange(200).reshape(100, 2) % 9, y=y)
    for data, *target in (("t.csv", "--target", "y"), ("a.npz",)):
        call("train", data, *target, "--epochs", "1", "--output", data[0])
        worst = RunRecord(data[0]).final["evaluation"]["worst"]
        assert len(worst) == 12
        assert [e["true"] for e in worst] == pytest.approx([y[e["row"]] for e in worst], abs=1e-5)


def test_without_validation_and_without_hidden_layers():
    write_csv("t.csv", ["x", "y"], [[i, i % 2] for i in range(40)])
    arguments = ["--validation", "0", "--hidden", "", "--epochs", "3", "--optimizer", "sgd"]
    output = call("train", "t.csv", "--target", "y", "--learning-rate", "0.1", *arguments)
    assert "nothing was held out" in output and "saved in" in output


def test_mistakes_give_one_line():
    table = [[i, i % 2, f"text {i}"] for i in range(1000)]
    write_csv("t.csv", ["size", "kind", "name"], table)
    write_csv("header.csv", ["size", "kind"], [])
    write_csv("short.csv", ["size", "kind"], [[1, 2]] * 3 + [[2, 1]])
    runs.Path("empty.csv").touch()
    runs.Path("notes.docx").touch()
    runs.Path("bad.npz").write_bytes(b"no archive")
    np.savez("z.npz", a=np.zeros(3))
    for arguments, words in [
        ([], ["say what to train on"]),
        (["missing.csv"], ["no file and no data set 'missing.csv'"]),
        (["digit"], ["did you mean 'digits'"]),
        (["t.csv"], ["--target COLUMN", "size, kind, name"]),
        (["t.csv", "--target", "kinds"], ["'kinds'", "did you mean 'kind'", "size, kind, name"]),
        (["t.csv", "--target", "name"], ["1000 classes in 1000 rows"]),
        (["t.csv", "--target", "name", "--task", "regression"], ["no number"]),
        (["t.csv", "--target", "kind", "--hidden", "8,x"], ["--hidden", "128,64"]),
        (["header.csv", "--target", "kind"], ["has no rows"]),
        (["empty.csv", "--target", "kind"], ["is empty"]),
        (["short.csv", "--target", "kind"], ["4 rows", "at least 10"]),
        (["notes.docx"], ["must end in one of"]),
        (["bad.npz"], ["not an .npz file"]),
        (["z.npz"], ["no array x", "its arrays: a"]),
        (["digits", "--target", "x"], ["leave out --target"]),
        (["--config", "none.toml"], ["no file 'none.toml'"]),
        (["t.csv", "--target", "kind", "--output", "empty.csv/x"], ["cannot make the folder"]),
    ]:
        line = refused("train", *arguments)
        assert all(word in line for word in words), line
    assert not runs.Path("runs").exists()


def test_mistakes_with_trained_models(shop):
    folder, _ = shop
    write_csv("t.csv", ["年齢", "城市"], [["3", "北京"]])
    for arguments, words in [
        (["predict", "none", "digits"], ["no model 'none'"]),
        (["predict", "t.csv", "digits"], ["not a chainrule file"]),
        (["predict", str(folder / "run"), "t.csv"], ["lacks the column '年龄'"]),
        (["evaluate", str(folder / "run"), "t.csv"], ["no column '是否购买'"]),
        (["evaluate", str(folder / "run"), "digits"], ["takes a table"]),
    ]:
        line = refused(*arguments)
        assert all(word in line for word in words), line


def test_a_bad_configuration_names_what_is_wrong():
    runs.Path("run.toml").write_text('data = "digits"\nepoch = 3\n')
    result = CliRunner().invoke(app, ["train", "--config", "run.toml"])
    assert result.exit_code == 2 and "did you mean 'epochs'" in result.stderr
    runs.Path("run.toml").write_text("data = digits")
    assert "not a readable TOML file" in refused("train", "--config", "run.toml")


def test_configuration_comes_back():
    settings = Settings('a "b"\\数据.csv', target="目标", hidden=(3, 4), learning_rate=0.01, seed=5)
    runs.Path("run.toml").write_text(config_text(settings), encoding="utf-8")
    assert Settings.of_options(config_defaults("run.toml")) == settings


def test_ctrl_c_keeps_the_best_weights(monkeypatch):
    fit = Sequential.fit

    def interrupted(self, *arguments, **options):
        fit(self, *arguments, **{**options, "epochs": 2})
        raise KeyboardInterrupt

    monkeypatch.setattr(Sequential, "fit", interrupted)
    output = call("train", "digits", "--hidden", "16", "--output", "run", code=130)
    assert "interrupted after 2 epochs" in output and accuracy(output, "Test") > 0.5
    assert load_model("run/model.chainrule").label_names == list("0123456789")


def test_curves_are_drawn_or_said_to_be_missing(monkeypatch):
    history = {"loss": [2.0, 1.0], "val_loss": [3.0, 2.5]}
    with monkeypatch.context() as without:
        without.setitem(sys.modules, "matplotlib.figure", None)
        (note,) = runs.write_record(runs.Path("."), Settings("digits"), history)
    assert "pip install 'chainrule[plot]'" in note and not runs.Path("curves.svg").exists()
    pytest.importorskip("matplotlib")
    assert runs.write_record(runs.Path("."), Settings("digits"), history) == []
    assert "<svg" in runs.Path("curves.svg").read_text()


def test_info_and_version():
    output = call("info")
    for word in ("chainrule", "instruction set", "threads", "numpy"):
        assert word in output
    assert "chainrule, version" in call("--version")


def test_help_is_quick():
    """Nothing heavy is imported for it."""
    code = (
        "import sys; from chainrule.cli.app import app; "
        "app(['train', '--help'], standalone_mode=False); "
        "assert not {'rich', 'chainrule.models', 'chainrule.ops'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    assert isinstance(app, click.Group)
    done = subprocess.run([sys.executable, "-m", "chainrule", "--help"], capture_output=True)
    assert done.returncode == 0 and b"predict" in done.stdout
