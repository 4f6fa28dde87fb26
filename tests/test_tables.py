"""Tables: reading files as people have them, and what columns and targets are taken for."""

import io
import math

import numpy as np
import pytest

from chainrule.data import columns, table_files, tables, targets
from chainrule.data.columns import CategoryColumn, NumberColumn, choose_features
from chainrule.data.preprocessing import TablePreprocessing, as_records
from chainrule.data.table_files import parse_csv, read_table
from chainrule.data.tables import as_table, parse_number, to_numbers, to_text
from chainrule.data.targets import Target, choose_target, split_rows
from chainrule.errors import ChainruleError, DataError, FileError, MissingDependencyError
from chainrule.layers import Dense
from chainrule.models import Sequential, load_model


def read(text, encoding="utf-8"):
    return parse_csv(text.encode(encoding), "t.csv")


def column(*values):
    return np.fromiter(values, object, len(values))


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
def test_csv_in_every_delimiter_and_encoding(delimiter, encoding):
    text = "\r\n".join(delimiter.join(r) for r in [["城市", "年龄"], ["北京", "31"], ["上海", "5"]])
    table = read(text + "\r\n", encoding).table
    assert list(table) == ["城市", "年龄"]
    assert table["城市"].tolist() == ["北京", "上海"]
    assert table["年龄"].tolist() == ["31", "5"]


def test_csv_quotes_blank_lines_and_line_breaks_inside_fields():
    table = read('a,b\n"x, ""y""",1\n\n"two\nlines",2\n').table
    assert table["a"].tolist() == ['x, "y"', "two\nlines"]
    assert table["b"].tolist() == ["1", "2"]


def test_csv_names_are_unique_and_never_empty():
    assert list(read("a,a,\n1,2,3\n").table) == ["a", "a.1", "column_3"]


def test_csv_without_header():
    file = read("5.1,3.5,0\n4.9,3.0,1\n")
    assert list(file.table) == ["column_1", "column_2", "column_3"]
    assert len(file.table["column_1"]) == 2 and "without header" in file.how
    assert list(read("0,1,2\n4.9,3.0,1\n").table) == ["0", "1", "2"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "'t.csv' is empty"),
        ("\n\n", "'t.csv' is empty"),
        ("a,b\n", "'t.csv' has no rows"),
        ("a,b\n1,2\n3\n", "line 3: 1 fields, but the header has 2"),
    ],
)
def test_csv_that_is_no_table(text, words):
    with pytest.raises(DataError, match=words) as caught:
        read(text)
    assert "\n" not in str(caught.value)


def test_bytes_that_are_no_text():
    with pytest.raises(DataError, match="is not text"):
        parse_csv(b"a,b\n\x81\x00\xff,\x8d\n", "t.csv")


def test_missing_file(tmp_path):
    with pytest.raises(FileError, match="there is no file"):
        read_table(tmp_path / "none.csv")


def test_parquet(tmp_path):
    pa = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    data = {"n": [1, None, 3], "t": ["a", None, "b"], "b": [True, False, None], "l": [[1], [2], []]}
    parquet.write_table(pa.table(data), tmp_path / "t.parquet")
    table = read_table(tmp_path / "t.parquet").table
    assert list(table) == ["n", "t", "b"]
    assert to_numbers(table["n"])[[0, 2]].tolist() == [1, 3] and math.isnan(table["n"][1])
    assert table["t"].tolist() == ["a", None, "b"]
    assert table["b"].tolist() == [True, False, None]
    (tmp_path / "bad.parquet").write_bytes(b"nothing of the kind")
    with pytest.raises(FileError, match="is not a Parquet file"):
        read_table(tmp_path / "bad.parquet")


def test_parquet_without_pyarrow(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pyarrow.parquet", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'chainrule\[parquet\]'"):
        read_table(tmp_path / "t.parquet")


@pytest.mark.parametrize(
    ("text", "decimal", "number"),
    [
        (" 3.5 ", ".", 3.5),
        ("-1e3", ".", -1000),
        ("1,234,567.5", ".", 1234567.5),
        ("1.234,5", ",", 1234.5),
        ("0,25", ",", 0.25),
        ("\uff11\uff12", ".", 12),
        ("1_000", ".", None),
        ("12 kg", ".", None),
        ("1,2", ".", None),
    ],
)
def test_numbers_in_text(text, decimal, number):
    assert parse_number(text, decimal) == number


@pytest.mark.parametrize("value", ["", " ", "NA", "NaN", "null", "?", "N/A", "inf", None, math.nan])
def test_missing_numbers(value):
    assert math.isnan(parse_number(value))


def test_decimal_comma_is_found_for_a_whole_column():
    assert tables.decimal_mark(["1,5", "2,25", ""]) == ","
    assert tables.decimal_mark(["1,500", "2,250"]) == "."
    assert tables.decimal_mark(["a,b", "1,5"]) == "."
    (found,) = choose_features({"x": column("1,5", "2,5")}, ["x"]).columns
    assert found == NumberColumn("x", 2.0, 0.5, decimal=",")


def test_category_names_do_not_depend_on_how_numbers_are_stored():
    assert [to_text(v) for v in (3, 3.0, np.float64(3), "3", " 3")] == ["3"] * 5
    assert to_text(float("nan")) is None and to_text(True) == "True"


def test_tables_of_many_kinds():
    rows = [{"a": 1, "b": "x"}, {"a": 2, "b": None}]
    records = np.array([(1, "x"), (2, "y")], [("a", int), ("b", object)])
    for data in (rows, records, {"a": [1, 2], "b": ["x", None]}):
        table = as_table(data)
        assert list(table) == ["a", "b"] and table["a"].tolist() == [1, 2]
        assert table["b"].dtype == object
    times = as_table({"t": np.array(["1970-01-02", "NaT"], "datetime64[D]")})["t"]
    assert times[0] == 86400 and math.isnan(times[1])


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (3, "expected a table"),
        ([], "expected a table"),
        ({"a": [1], "b": [1, 2]}, "differ in length"),
        ({"a": np.zeros((2, 2))}, "one axis"),
    ],
)
def test_what_is_no_table(data, words):
    with pytest.raises(DataError, match=words):
        as_table(data)


def test_features_of_each_kind():
    table = {
        "number": column("1", "3", "", "?"),
        "year": np.array([1990.0, 2000, 2010, np.nan]),
        "colour": column("red", "blue", "red", None),
        "flag": np.array([True, False, True, True]),
    }
    number, year, colour, flag = choose_features(table, table).columns
    assert number == NumberColumn("number", 2.0, 1.0, indicator=True)
    assert year.indicator and year.mean == 2000
    assert colour == CategoryColumn("colour", ("red",), other=True)
    assert flag.kind == "number" and not flag.indicator
    assert number.encode(table["number"]).tolist() == [[-1, 0], [1, 0], [0, 1], [0, 1]]
    assert colour.encode(table["colour"]).tolist() == [[1, 0], [0, 1], [1, 0], [0, 1]]


def test_columns_that_are_left_out():
    rows = 60
    table = {
        "id": np.arange(rows),
        "constant": column(*["same"] * rows),
        "empty": column(*[""] * rows),
        "zero": np.zeros(rows),
        "name": column(*[f"person {i}" for i in range(rows)]),
        "x": np.arange(rows) % 7,
    }
    found = choose_features(table, table)
    assert [c.name for c in found.columns] == ["x"]
    assert set(found.left_out) == set(table) - {"x"}
    assert "numbers the rows" in found.left_out["id"]
    assert "60 different values" in found.left_out["name"]
    del table["x"]
    with pytest.raises(DataError, match="no column to learn from") as caught:
        choose_features(table, table)
    assert "\n" not in str(caught.value)


def test_a_running_number_of_another_name_is_kept():
    (x,) = choose_features({"time": np.arange(50)}, ["time"]).columns
    assert x.kind == "number"


def test_a_slip_in_a_column_of_numbers_counts_as_missing():
    values = column(*map(str, range(99)), "unknown")
    (x,) = choose_features({"x": values}, ["x"]).columns
    assert x.kind == "number" and x.indicator
    assert x.encode(values)[-1].tolist() == [0, 1]


def test_rare_categories_and_unknown_ones_share_a_column():
    values = column("a", "a", "b", "b", "c")
    (x,) = choose_features({"x": values}, ["x"]).columns
    assert x.vocabulary == ("a", "b") and x.width == 3
    assert x.encode(column("c", "new", None)).tolist() == [[0, 0, 1]] * 3


def test_large_vocabularies_keep_the_most_frequent():
    texts = [f"t{i}" for i in range(150) for _ in range(2 + i % 3)]
    (x,) = choose_features({"x": column(*texts)}, ["x"]).columns
    assert len(x.vocabulary) == columns.LARGEST_VOCABULARY and x.other


def test_configurations_come_back():
    for found in (NumberColumn("a", 1.5, 2.0, True, ","), CategoryColumn("b", ("x", "y"), False)):
        assert columns.column_from_config(columns.column_config(found)) == found
    for config in ({}, {"kind": "number", "size": 3}):
        with pytest.raises(ChainruleError):
            columns.column_from_config(config)


def task_of(values, task="auto"):
    return choose_target("y", as_table({"y": values})["y"], task)


def test_targets_that_are_classes():
    assert task_of(["b", "a", "b"]).labels == ("a", "b")
    assert task_of([10, 9, 2] * 25).labels == ("2", "9", "10")
    assert task_of([0, 1, 2] * 5).task == "classification"
    assert task_of([True, False]).labels == ("False", "True")
    assert task_of(np.array([0.0, 1.0] * 3)).labels == ("0", "1")
    assert task_of(["1.5", "2.5"], "classification").labels == ("1.5", "2.5")


def test_targets_that_are_numbers():
    assert task_of(np.arange(40)).task == "regression"
    assert task_of([10, 20, 35] * 5).task == "regression"
    assert task_of([0.5, 1.5] * 50).task == "regression"
    target = task_of(["1,5", "2,5"] * 10)
    assert (target.task, target.mean, target.scale) == ("regression", 2.0, 0.5)
    assert target.encode(column("3,5")).tolist() == [3.5]
    assert task_of([0, 1] * 20, "regression").task == "regression"


@pytest.mark.parametrize(
    ("values", "task", "words"),
    [
        ([f"text {i}" for i in range(1000)], "auto", "1000 classes in 1000 rows"),
        ([f"text {i % 1000}" for i in range(9000)], "auto", "1000 classes in 9000 rows"),
        (["a"] * 5, "auto", "'a' in every row"),
        (["a", "b"], "regression", "no number"),
        ([1, 2], "sorting", "expected one of auto"),
    ],
)
def test_targets_that_cannot_be_learnt(values, task, words):
    with pytest.raises(ChainruleError, match=words) as caught:
        task_of(values, task)
    assert "\n" not in str(caught.value)


def test_many_classes_if_asked_for():
    assert len(task_of([f"t{i % 200}" for i in range(900)], "classification").labels) == 200


def test_target_comes_back_and_marks_unknown_labels():
    target = task_of(["a", "b"])
    again = Target.from_config(target.get_config())
    assert again == target
    assert again.encode(column("b", "c", "a")).tolist() == [1, -1, 0]
    with pytest.raises(DataError, match="damaged"):
        Target.from_config({"name": "y"})


def test_rows_without_target():
    values = column("1", "", "NA", "2", "inf")
    assert targets.has_target(values).tolist() == [True, False, False, True, False]


def test_split_is_stratified_and_repeatable():
    labels = np.repeat([0, 1, 2], [50, 20, 1])
    fit, held_out = split_rows(labels, 71, 0.2, seed=3)
    assert np.bincount(labels[held_out], minlength=3).tolist() == [10, 4, 0]
    assert sorted([*fit, *held_out]) == list(range(71))
    again = split_rows(labels, 71, 0.2, seed=3)
    assert np.array_equal(fit, again[0]) and np.array_equal(held_out, again[1])
    fit, held_out = split_rows(None, 11, 0.2, seed=3)
    assert (len(fit), len(held_out)) == (9, 2)
    assert len(split_rows(None, 11, 0.0, seed=3)[1]) == 0


def test_every_delimiter_sniffed_in_prose():
    text = "text;label\n" + "one, two, three;a\nfour;b\n" * 3
    assert list(read(text).table) == ["text", "label"]
    assert list(read("only\n1\n2\n").table) == ["only"]
    assert isinstance(table_files.read_table.__doc__, str)


def test_npz_content_is_no_csv(tmp_path):
    buffer = io.BytesIO()
    np.savez(buffer, x=np.zeros((300, 3)))
    with pytest.raises(DataError):
        parse_csv(buffer.getvalue(), "t.csv")


def test_a_saved_model_predicts_from_a_table_of_names(tmp_path):

    raw = {"age": [20, 40, 20, 40], "city": ["Bern", "Bern", "Oslo", "Oslo"]}
    table = as_table(raw)
    model = Sequential([TablePreprocessing(choose_features(table, table).columns), Dense(1)])
    model.compile("sgd", "mse")
    model.fit(raw, [0.0, 1.0, 0.0, 1.0], epochs=2, verbose=0)
    model.save(tmp_path / "m.chainrule")
    again = load_model(tmp_path / "m.chainrule")
    expected = model.predict(raw, verbose=0)
    assert expected.shape == (4, 1)
    assert (again.predict(raw, verbose=0) == expected).all()
    assert (again.predict(as_records(table), verbose=0) == expected).all()
