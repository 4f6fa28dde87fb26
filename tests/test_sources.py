"""Data larger than memory: windows, files, iterables; the same numbers as from memory."""

from __future__ import annotations

import contextlib
import gc
import itertools
import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import chainrule
from chainrule import callbacks as cb
from chainrule import data
from chainrule.data.batches import Batches, permutation
from chainrule.data.blocks import Blocks, Part
from chainrule.data.mapped import Mapped, Pages
from chainrule.data.order import Visit, rows_from, window_rows
from chainrule.data.prefetch import Ahead
from chainrule.data.source import Arrays, Endless, First
from chainrule.errors import ArgumentError, ChainruleError, DataError, FileError
from chainrule.layers import Dense, Dropout, Input
from chainrule.models import Model, Sequential
from chainrule.utils import set_random_seed
from peers import peer

RANDOM = np.random.default_rng(8)
N = 203
X = RANDOM.standard_normal((N, 5)).astype("float32")
Y = RANDOM.integers(0, 3, N)
W = RANDOM.random(N).astype("float32")
TINY = 0.002  # megabytes of a window: some 40 rows of X and Y


def network(seed=1, **options):
    set_random_seed(seed)
    layers = [Input((5,)), Dense(7, activation="relu"), Dropout(0.2)]
    model = Sequential([*layers, Dense(3, activation="softmax")])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"], **options)
    return model


def trained(*given, epochs=3, **options):
    model = network()
    history = model.fit(*given, epochs=epochs, verbose=0, **options)
    return [*model.get_weights(), history.history["loss"], history.history["accuracy"]]


def same(a, b):
    return len(a) == len(b) and all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


def mapped(folder, name, array):
    np.save(folder / name, array)
    return np.load(folder / name, mmap_mode="r")


def shards(folder, cuts=(0, 50, 51, 130, N), compressed=False, weights=True, **more):
    folder.mkdir(exist_ok=True)
    save = np.savez_compressed if compressed else np.savez
    for i, (a, z) in enumerate(itertools.pairwise(cuts)):
        arrays = {"x": X[a:z], "y": Y[a:z]} | ({"sample_weight": W[a:z]} if weights else {})
        save(folder / f"part{i}.npz", **arrays, **more)
    return folder


def arrow_table(pa, x=X, y=Y):
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(x.ravel()), x.shape[1])
    return pa.table({"features": vectors, "label": y, "weight": W[: len(x)]})


def parquet(path, rows=30, table=None):
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    pq.write_table(arrow_table(pa) if table is None else table, path, row_group_size=rows)
    return path


def arrow(path, rows=30):
    pa = pytest.importorskip("pyarrow")
    import pyarrow.ipc

    table = arrow_table(pa)
    with pyarrow.ipc.new_file(path, table.schema) as file:
        file.write_table(table, max_chunksize=rows)
    return path


# The order of windows


def rows_of(source, epoch, size, skip=0, shuffle=True, seed=5):
    """Return the first feature of each row that an epoch visits, by batch."""
    found = []
    for window in source.windows(seed, epoch, size, skip, shuffle):
        x = window.batches.x if window.order is None else window.batches.x[window.order]
        for at in range(0, len(window), window.size):
            found.append(np.array(x[at : at + window.size, 0]))
    return found


def numbered(n):
    return Batches(np.arange(n, dtype=np.float64)[:, None].repeat(3, 1))


class Numbers:
    """A reader of rows that say which they are, in blocks of these sizes."""

    def __init__(self, sizes, part=7):
        self.sizes, self.part = np.array(sizes), part
        self.opened = 0

    def rows(self, block, begin):
        self.opened += 1
        start = int(self.sizes[:block].sum())
        for at in range(begin, int(self.sizes[block]), self.part):
            end = min(at + self.part, int(self.sizes[block]))
            yield {"x": np.arange(start + at, start + end, dtype=float)[:, None].repeat(3, 1)}

    def place(self, row):
        return f"place {row}"

    def where(self, block):
        return f"block {block}"

    def about(self):
        return {}


def blocks(sizes, window, part=7):
    made = lambda rows: Batches(rows["x"])  # noqa: E731
    return Blocks(Numbers(sizes, part), numbered(4), made, window)


def small_map(tmp_path, n, window, monkeypatch):
    monkeypatch.setattr("chainrule.data.mapped._BLOCK_BYTES", 24 * 9)
    x = mapped(tmp_path, f"n{n}.npy", numbered(n).x)
    return Mapped(Batches(x), window)


def both(tmp_path, monkeypatch, window=2000):
    n = 333
    yield small_map(tmp_path, n, window, monkeypatch)
    for sizes in ([100, 1, 0, 200, 32], [333], [3] * 111):
        for part in (7, 1000):
            yield blocks(sizes, window, part)


@pytest.mark.parametrize("most", [1, 5, 100, 333, 400])
@pytest.mark.parametrize("part", [7, 1000])
def test_rows_are_drawn_from_all_blocks(part, most):
    for sizes in ([100, 1, 0, 200, 32], [333], [3] * 111):
        source = blocks(sizes, 2000, part)
        assert np.array_equal(source.spread(most).x[:, 0], rows_from(333, most))
        some = Blocks(Part(Numbers(sizes, part), 40, 290), source.sample, source._made, 2000)
        assert np.array_equal(some.spread(most).x[:, 0], 40 + rows_from(250, most))


def test_blocks_without_rows_that_are_asked_for_are_not_read():
    source = blocks([3] * 111, 2000)
    source.spread(5)
    assert source._reader.opened == 5


@pytest.mark.parametrize("size", [1, 8, 50, 333])
def test_each_row_is_visited_once_an_epoch(tmp_path, monkeypatch, size):
    for source in both(tmp_path, monkeypatch):
        found = rows_of(source, 2, size)
        assert sorted(np.concatenate(found)) == list(range(333))
        assert [len(batch) for batch in found[:-1]] == [size] * (len(found) - 1)
        assert len(found) == source.steps(size)
        assert np.array_equal(np.concatenate(rows_of(source, 2, size, 0, False)), np.arange(333))


def test_orders_repeat_and_differ_between_epochs_and_seeds(tmp_path, monkeypatch):
    for source in both(tmp_path, monkeypatch):
        again = [np.concatenate(rows_of(source, 4, 8)) for _ in range(2)]
        assert np.array_equal(*again)
        assert not np.array_equal(again[0], np.concatenate(rows_of(source, 5, 8)))
        assert not np.array_equal(again[0], np.concatenate(rows_of(source, 4, 8, seed=6)))


@pytest.mark.parametrize("skip", [1, 5, 6, 11, 41, 42])
def test_to_skip_is_to_drop(tmp_path, monkeypatch, skip):
    for source in both(tmp_path, monkeypatch):
        for shuffle in (True, False):
            whole = rows_of(source, 1, 8, 0, shuffle)
            rest = rows_of(source, 1, 8, skip, shuffle)
            assert same(whole[skip:], rest)


def test_a_window_is_shuffled_exactly(tmp_path, monkeypatch):
    # Each order of the rows of a window is as likely as another: the first row is anywhere.
    source = blocks([40] * 10, 40 * 48)
    first = [rows_of(source, epoch, 1)[0][0] % 40 for epoch in range(400)]
    assert len(set(first)) == 40
    for epoch in range(20):
        rows = np.concatenate(rows_of(source, epoch, 40))
        for begin in range(0, 400, 40):
            window = rows[begin : begin + 40]
            assert len(set(window // 40)) == 1, "here a window is a block"
            assert not np.array_equal(window, np.sort(window))
        assert len({tuple(rows[i : i + 40] % 40) for i in range(0, 400, 40)}) == 10


def test_the_order_is_the_same_as_that_of_memory_where_all_fits_a_window(tmp_path, monkeypatch):
    for source in both(tmp_path, monkeypatch, window=1 << 20):
        expected = permutation(5, 3, 333)
        assert np.array_equal(np.concatenate(rows_of(source, 3, 16)), expected)


def test_a_window_is_of_whole_batches():
    assert window_rows(100, 1 << 20, 32) % 32 == 0
    assert window_rows(1 << 20, 1 << 10, 32) == 32
    # Narrow rows: their order counts too.
    assert window_rows(1, 1 << 20, 1) * 24 <= 1 << 20


def test_pieces_follow_each_other():
    visit = Visit(np.array([5, 1, 9, 4]), 6, 1, 1, True)
    pieces = [p for begin, end in visit.windows() for p in visit.pieces(begin, end)]
    assert sorted(visit.rows_of(pieces)) == list(range(19))
    assert all(begin < end for _, begin, end in pieces)


def test_blocks_that_windows_divide_are_read_on():
    source = blocks([300], 2000)
    assert len(list(source.windows(0, 0, 8, 0, True))) > 5
    assert source._reader.opened == 1


def test_epochs_of_a_number_of_steps_go_on():
    source = Endless(Arrays(numbered(10)), 3, 4)
    seen = []
    for epoch in range(4):
        seen += [*rows_of(source, 10 + epoch, 4)]
        source.passes += 1
    passes = [permutation(5, 10 + i, 10) for i in range(4)]
    assert same(seen, [p[i : i + 4] for p in passes for i in (0, 4, 8)])
    source = Endless(Arrays(numbered(10)), 2, 4)
    source.passes = 1
    assert same(rows_of(source, 11, 4), [passes[0][8:], passes[1][:4]])
    assert same(rows_of(source, 11, 4, skip=1), [passes[1][:4]])


# The reader's thread


def threads():
    return [t for t in threading.enumerate() if t.name == "chainrule-reader"]


def test_no_more_is_drawn_than_there_are_slots():
    drawn = []

    def items():
        for i in range(9):
            drawn.append(i)
            yield i

    with Ahead(items(), slots=2) as ahead:
        for i, item in enumerate(ahead):
            time.sleep(0.003)
            assert item == i and len(drawn) <= i + 2
    assert not threads()


def test_errors_of_the_reader_reach_the_user():
    def items():
        yield 1
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"), Ahead(items()) as ahead:
        list(ahead)
    assert not threads()


def test_the_end_of_the_block_closes_what_is_drawn_from():
    closed = []

    def items():
        try:
            yield from range(100)
        finally:
            closed.append(threading.current_thread().name)

    with Ahead(items()) as ahead:
        next(ahead)
    assert closed == ["chainrule-reader"] and not threads()


def test_a_reader_that_hangs_does_not_hold_up_the_end(monkeypatch):
    monkeypatch.setattr("chainrule.data.prefetch._PATIENCE", 0.05)
    released = threading.Event()

    def items():
        yield 1
        released.wait(20)

    began = time.monotonic()
    with Ahead(items()) as ahead:
        next(ahead)
    assert time.monotonic() - began < 5
    released.set()


@pytest.mark.parametrize("kind", ["stop", "error", "interrupt"])
def test_no_thread_is_left_behind(kind):
    def act(*_):
        if kind == "stop":
            model.stop_training = True
        else:
            raise RuntimeError if kind == "error" else KeyboardInterrupt

    def batches():
        while True:
            yield X[:8], Y[:8]

    model = network()
    call = lambda: model.fit(  # noqa: E731
        batches(), steps_per_epoch=50, epochs=2, verbose=0,
        callbacks=cb.LambdaCallback(on_train_batch_end=act),
    )  # fmt: skip
    if kind == "stop":
        call()
    else:
        with pytest.raises((RuntimeError, KeyboardInterrupt)):
            call()
    assert not threads()


# Every kind of data gives what memory gives


def as_files(tmp_path, kind):
    if kind == "npz":
        return shards(tmp_path / "s")
    if kind == "compressed":
        return shards(tmp_path / "s", compressed=True)
    path = tmp_path / "t"
    if kind == "parquet":
        return parquet(path.with_suffix(".parquet"))
    return arrow(path.with_suffix(".arrow"))


def opened(tmp_path, kind, **options):
    path = as_files(tmp_path, kind)
    if path.suffix:
        options |= {"target": "label", "features": "features", "sample_weight": "weight"}
    return data.open(path, **options)


@pytest.mark.parametrize("kind", ["npz", "compressed", "parquet", "arrow"])
def test_files_that_fit_a_window_train_as_memory_does(tmp_path, kind):
    expected = trained(X, Y, sample_weight=W, validation_split=0.2)
    assert same(expected, trained(opened(tmp_path, kind), validation_split=0.2))


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("kind", ["npz", "compressed", "parquet", "arrow", "map"])
def test_windows_train_as_their_batches_do_from_memory(tmp_path, kind, shuffle):
    if kind == "map":
        given = data.Windowed(mapped(tmp_path, "x.npy", X), Y, W, window_mb=TINY)
        source = Mapped(Batches(given.given[0], Y, W), given.window_bytes)
    else:
        given = opened(tmp_path, kind, window_mb=TINY)
        made = lambda rows: Batches(*given.formed(rows))  # noqa: E731
        source = Blocks(given, Batches(X[:9], Y[:9], W[:9]), made, given.window_bytes)
    model, epochs = network(), []
    for epoch in range(2):
        for window in source.windows(model._trainer.seed, epoch, 16, 0, shuffle):
            order = slice(None) if window.order is None else window.order
            part = window.batches
            epochs.append([np.array(a[order]) for a in (part.x, part.y, part.weights)])
    counts = [len(x) for x, _, _ in epochs]
    assert sum(counts) == 2 * N and len(counts) > 6
    for x, y, w in epochs:
        model.fit(x, y, 16, 1, 0, sample_weight=w, shuffle=False)
    windowed = trained(given, batch_size=16, epochs=2, shuffle=shuffle)[:4]
    assert same(model.get_weights(), windowed)
    if not shuffle:
        plain = trained(X, Y, batch_size=16, epochs=2, shuffle=False, sample_weight=W)[:4]
        assert same(plain, windowed)


@pytest.mark.parametrize("kind", ["npz", "parquet", "map"])
def test_the_number_of_threads_and_their_timing_change_nothing(tmp_path, kind, monkeypatch):
    def once(threads_, slots, pause):
        if kind == "map":
            given = data.Windowed(mapped(tmp_path, "x.npy", X), Y, window_mb=TINY)
            fetch = Pages.fetch
            slow = lambda *a: time.sleep(pause) or fetch(*a)  # noqa: E731
            monkeypatch.setattr(Pages, "fetch", slow)
            monkeypatch.setattr(Mapped, "slots", slots)
        else:
            given = opened(tmp_path, kind, window_mb=TINY)
            rows = given.rows
            given.rows = lambda *a: (time.sleep(pause), rows(*a))[1]
            monkeypatch.setattr(Blocks, "slots", slots)
        before = chainrule.executors.num_threads()
        chainrule.executors.set_num_threads(threads_)
        try:
            slow = cb.LambdaCallback(on_train_batch_end=lambda *_: time.sleep(0.001 - pause))
            return trained(given, epochs=2, callbacks=slow)
        finally:
            chainrule.executors.set_num_threads(before)
            monkeypatch.undo()

    results = [once(1, 1, 0.0), once(2, 2, 0.001), once(3, 2, 0.0)]
    assert same(results[0], results[1]) and same(results[0], results[2])


def test_evaluate_and_predict_take_all_kinds(tmp_path):
    model = network()
    expected = model.evaluate(X, Y, 32, 0, W)
    outputs = model.predict(X, verbose=0)
    for kind in ("npz", "parquet", "arrow"):
        for window in (TINY, 100):
            given = opened(tmp_path, kind, window_mb=window)
            assert np.allclose(model.evaluate(given, batch_size=32, verbose=0), expected, 1e-6)
            assert np.array_equal(model.predict(given, verbose=0), outputs)
    given = data.Windowed(mapped(tmp_path, "x.npy", X), Y, W, TINY)
    assert np.allclose(model.evaluate(given, verbose=0), expected, 1e-6)
    assert np.array_equal(model.predict(given, batch_size=16, verbose=0), outputs)
    batches = lambda: ((X[i : i + 20], Y[i : i + 20], W[i : i + 20])  # noqa: E731
                       for i in range(0, N, 20))  # fmt: skip
    assert np.allclose(model.evaluate(batches, verbose=0), expected, 1e-6)
    assert np.allclose(model.predict(batches(), verbose=0), outputs, 1e-6)
    assert np.array_equal(model.predict(X, 50, verbose=0, steps=2), outputs[:100])
    assert model.predict(batches(), verbose=0, steps=3).shape == (60, 3)
    assert model.evaluate(X, Y, 50, 0, W, steps=2) == model.evaluate(
        X[:100], Y[:100], 50, 0, W[:100]
    )


# Memory maps


def test_a_slice_and_other_dtypes_of_maps(tmp_path):
    x = mapped(tmp_path, "x.npy", np.concatenate([X, X]))
    for part in (x[N:], x[: 2 * N : 2], np.asarray(x)[3 : 3 + N]):
        given = data.Windowed(part, Y, window_mb=TINY)
        memory = trained(np.array(part), Y, shuffle=False)
        assert same(memory, trained(given, shuffle=False))
        trained(given)
    for dtype in ("float16", ">f4", ">i2", "uint16"):
        odd = mapped(tmp_path, f"{dtype[-2:]}.npy", (X * 9).astype(dtype))
        given = data.Windowed(odd, Y, window_mb=TINY)
        assert same(trained(np.array(odd), Y, shuffle=False), trained(given, shuffle=False))


def test_a_map_of_more_than_a_window_is_windowed_without_asking(tmp_path, monkeypatch):
    x = mapped(tmp_path, "x.npy", X)
    whole = trained(X, Y)
    assert same(whole, trained(x, Y))
    monkeypatch.setattr("chainrule.models.feeding.WINDOW_MB", TINY)
    windowed = trained(x, Y)
    assert not same(whole, windowed)
    assert same(windowed, trained(data.Windowed(x, Y, window_mb=TINY)))
    assert same(whole, trained(X, Y)), "arrays in memory are shuffled as a whole"
    np.save(tmp_path / "y.npy", Y)
    assert same(windowed, trained(str(tmp_path / "x.npy"), tmp_path / "y.npy"))


def test_maps_in_copy_on_write_mode_keep_what_was_written(tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((N, 5), "float32"))
    x = np.load(tmp_path / "x.npy", mmap_mode="c")
    x[:] = X
    trained(data.Windowed(x, Y, window_mb=TINY))
    assert np.array_equal(x, X)


def test_maps_with_validation_split_weights_and_classes(tmp_path):
    x = mapped(tmp_path, "x.npy", X)
    options = {"validation_split": 0.3, "class_weight": {1: 3.0}, "shuffle": False}
    expected = trained(X, Y, sample_weight=W, **options)
    assert same(expected, trained(data.Windowed(x, Y, W, window_mb=TINY), **options))
    given = opened(tmp_path, "npz", window_mb=TINY)
    assert same(expected, trained(given, **options))


@pytest.mark.parametrize("kind", ["arrays", "windows", "npz", "parquet"])
def test_class_weights_are_not_of_the_share_held_out(tmp_path, kind):
    if kind == "arrays":
        given = X, Y, W
    elif kind == "windows":
        given = (data.Windowed(mapped(tmp_path, "x.npy", X), Y, W, window_mb=TINY),)
    else:
        given = (opened(tmp_path, kind, window_mb=TINY),)
    names = ("x", "y", "sample_weight")
    options = {"validation_split": 0.3, "class_weight": {0: 9.0, 1: 3.0}, "verbose": 0}
    model = network()
    found = model.fit(**dict(zip(names, given, strict=False)), **options).history["val_loss"]
    cut = int(N * 0.7)
    expected = model.evaluate(X[cut:], Y[cut:], sample_weight=W[cut:], verbose=0)[0]
    assert np.isclose(found[0], expected, rtol=1e-5)


def test_several_inputs_and_outputs(tmp_path):
    def model():
        set_random_seed(3)
        a, b = Input((3,), name="a"), Input((2,), name="b")
        from chainrule.layers import Concatenate

        both = Concatenate()([a, b])
        outs = [Dense(3, activation="softmax", name="kind")(both), Dense(1, name="size")(both)]
        made = Model([a, b], outs)
        made.compile("sgd", {"kind": "sparse_categorical_crossentropy", "size": "mse"})
        return made

    x, y = {"a": X[:, :3], "b": X[:, 3:]}, {"kind": Y, "size": W}
    memory = model()
    memory.fit(x, y, epochs=2, verbose=0, shuffle=False)
    maps = {name: mapped(tmp_path, f"{name}.npy", np.ascontiguousarray(v)) for name, v in x.items()}
    windowed = model()
    windowed.fit(data.Windowed(maps, y, window_mb=TINY), epochs=2, verbose=0, shuffle=False)
    assert same(memory.get_weights(), windowed.get_weights())
    pa = pytest.importorskip("pyarrow")
    columns = {f"x{i}": X[:, i] for i in range(5)} | {"kind": Y, "size": W}
    path = parquet(tmp_path / "t.parquet", table=pa.table(columns))
    table = data.open(
        path, target={"kind": "kind", "size": "size"},
        features={"a": ["x0", "x1", "x2"], "b": ["x3", "x4"]}, window_mb=TINY,
    )  # fmt: skip
    filed = model()
    filed.fit(table, epochs=2, verbose=0, shuffle=False)
    assert same(memory.get_weights(), filed.get_weights())


# Parquet, Arrow and shards as people have them


def test_the_columns_of_a_table(tmp_path):
    pa = pytest.importorskip("pyarrow")
    columns = {f"x{i}": X[:, i] for i in range(5)} | {"label": Y}
    path = parquet(tmp_path / "t.parquet", table=pa.table(columns))
    assert same(trained(X, Y), trained(path, "label"))
    assert same(trained(X, Y), trained(str(path), "label"))
    mixed = {
        "label": Y,
        "b": X[:, 1] > 0,
        "i": (9 * X[:, 2]).astype("int8"),
        "d": X[:, 3].astype(float),
    }
    mixed |= {"v": pa.array([*X[:, :2]])}
    path = parquet(tmp_path / "m.parquet", table=pa.table(mixed))
    x = np.column_stack([mixed["b"], mixed["i"], mixed["d"], X[:, :2]])
    assert x.dtype == float
    assert same(trained(x, Y), trained(path, "label"))
    several = [parquet(tmp_path / f"{i}.parquet", table=pa.table(columns)) for i in range(2)]
    twice = trained(np.concatenate([X, X]), np.concatenate([Y, Y]))
    assert same(twice, trained(several, "label"))
    assert same(twice, trained(str(tmp_path / "[01].parquet"), "label"))


def test_a_table_without_its_target_can_be_predicted(tmp_path):
    pa = pytest.importorskip("pyarrow")
    path = parquet(tmp_path / "t.parquet", table=pa.table({f"x{i}": X[:, i] for i in range(5)}))
    model = network()
    assert np.array_equal(model.predict(path, verbose=0), model.predict(X, verbose=0))


def bad_tables(pa):
    columns = {"x": X[:, 0], "label": Y}
    gap = pa.array([1, 2, None], pa.int64())
    return {
        "column 'city' .* is string.*\n.*choose columns": (columns | {"city": ["a"] * N}, "label"),
        "no column 'lable'; it has 'x', 'label'": (columns, "lable"),
        "no columns beside 'label'": ({"label": Y}, "label"),
        "column 'x' has no value in row 2": ({"x": gap, "label": [0, 1, 2]}, "label"),
        "lists of different lengths: 1 numbers in row 0 .*, 2 in row 2": (
            {"x": [[1.0], [2.0], [3.0, 4.0]], "label": [0, 1, 2]}, "label"),
        "column 'when' .* is timestamp": (
            {"when": pa.array([0, 1], pa.timestamp("s")), "label": [0, 1]}, "label"),
    }  # fmt: skip


@pytest.mark.parametrize("i", range(6))
def test_tables_that_cannot_be_trained_on(tmp_path, i):
    pa = pytest.importorskip("pyarrow")
    words, (columns, target) = list(bad_tables(pa).items())[i]
    path = parquet(tmp_path / "t.parquet", table=pa.table(columns))
    with pytest.raises(DataError, match=words):
        network().fit(path, target, verbose=0)


@pytest.mark.parametrize("window", [TINY, 100])
def test_a_value_that_is_not_finite_is_named_with_its_file(tmp_path, window):
    x = X.copy()
    x[140, 3] = np.nan
    for name, a, z in (("a", 0, 100), ("b", 100, N)):
        np.savez(tmp_path / f"{name}.npz", x=x[a:z], y=Y[a:z])
    with pytest.raises(DataError, match=r"x is nan in row 40 of '.*b\.npz', column 3"):
        network().fit(data.open(tmp_path, window_mb=window), verbose=0)
    np.savez(tmp_path / "b.npz", x=X[100:], y=np.where(np.arange(100, N) == 177, 9, Y[100:]))
    with pytest.raises(DataError, match=r"label 9 in row 77 of '.*b\.npz'"):
        network().fit(data.open(tmp_path, window_mb=window), verbose=0)


def test_shards_that_are_not_alike(tmp_path):
    np.savez(tmp_path / "a.npz", x=X[:100], y=Y[:100])
    np.savez(tmp_path / "b.npz", x=X[:100].astype(float), y=Y[:100])
    with pytest.raises(DataError, match=r"x/ is not alike everywhere: float64.*b\.npz"):
        network().fit(tmp_path, verbose=0)
    np.savez(tmp_path / "b.npz", x=X[:100, :3], y=Y[:100])
    with pytest.raises(DataError, match=r"shape \[3\].*b\.npz"):
        network().fit(tmp_path, verbose=0)
    np.savez(tmp_path / "b.npz", x=X[:100], y=Y[:90])
    with pytest.raises(DataError, match=r"b\.npz' needs a row for each sample"):
        network().fit(tmp_path, verbose=0)
    np.savez(tmp_path / "b.npz", x=X[:100], label=Y[:100])
    with pytest.raises(DataError, match=r"b\.npz' has no array 'y'; it has x, label"):
        network().fit(tmp_path, verbose=0)


@pytest.mark.parametrize("compressed", [False, True])
def test_damaged_and_cut_files_are_errors(tmp_path, compressed):
    folder = shards(tmp_path / "s", compressed=compressed)
    path = sorted(folder.iterdir())[2]
    content = path.read_bytes()
    flipped = bytearray(content)
    flipped[700] ^= 4
    for changed in (content[: len(content) // 2], bytes(flipped), b"", b"PK"):
        path.write_bytes(changed)
        with pytest.raises(FileError, match=r"part2\.npz"):
            network().fit(data.open(folder, window_mb=TINY), verbose=0)
    pytest.importorskip("pyarrow")
    for made, name in ((parquet, "t.parquet"), (arrow, "t.arrow")):
        path = made(tmp_path / name)
        path.write_bytes(path.read_bytes()[:-60])
        with pytest.raises(FileError, match=name):
            network().fit(path, "label", verbose=0)


def test_paths_that_hold_no_data(tmp_path):
    (tmp_path / "t.csv").write_text("a,b\n1,2\n")
    cases = {
        "there is no file 'nowhere.parquet'": "nowhere.parquet",
        "there is no file like": str(tmp_path / "*.npz"),
        "holds no file of a kind": tmp_path,
        "csv' is not of a kind.*\n.*to_parquet": tmp_path / "t.csv",
    }
    for words, path in cases.items():
        with pytest.raises(FileError, match=words):
            network().fit(path, verbose=0)
    np.savez(tmp_path / "a.npz", x=X)
    (tmp_path / "b.parquet").write_bytes(b"")
    with pytest.raises(FileError, match="of several kinds"):
        data.open(tmp_path)
    with pytest.raises(DataError, match="needs targets"):
        network().fit(tmp_path / "a.npz", verbose=0)
    for window in (0, -1, "8", float("nan")):
        with pytest.raises(ArgumentError, match="window_mb"):
            data.open(tmp_path / "a.npz", window_mb=window)


# Generators, iterables, sequences, loaders


def cut(size=16, x=X, y=Y):
    return [(x[i : i + size], y[i : i + size]) for i in range(0, len(x), size)]


class Sequence:
    def __init__(self, batches):
        self.batches, self.ends = batches, 0

    def __len__(self):
        return len(self.batches)

    def __getitem__(self, i):
        return self.batches[i]

    def on_epoch_end(self):
        self.ends += 1


class Again:
    def __init__(self, batches):
        self.batches, self.begun = batches, 0

    def __iter__(self):
        self.begun += 1
        return iter(self.batches)


def forever(batches):
    while True:
        yield from batches


def test_iterables_train_as_memory_does():
    options = {"batch_size": 16, "shuffle": False}
    expected = trained(X, Y, **options)
    again = Again(cut())
    assert same(expected, trained(again)) and again.begun == 3
    assert same(expected, trained(lambda: iter(cut())))
    assert same(expected, trained(forever(cut()), steps_per_epoch=13))
    assert same(expected, trained(Sequence(cut()), shuffle=False))
    assert same(expected, trained(Again([list(batch) for batch in cut()])))
    weighted = [(*batch, W[: len(batch[1])]) for batch in cut()]
    assert not same(expected, trained(Again(weighted)))


def test_a_buffer_that_is_written_again_and_again():
    def one_buffer():
        x, y = np.empty((16, 5), "float32"), np.empty(16, "int64")
        for a, b in cut():
            x[: len(a)], y[: len(b)] = a, b
            yield x[: len(a)], y[: len(b)]
            x[:], y[:] = np.nan, -1

    assert same(trained(X, Y, batch_size=16, shuffle=False), trained(one_buffer))


def test_a_sequence_is_visited_in_another_order_each_epoch():
    seen, batches = [], cut()

    class Seen(Sequence):
        def __getitem__(self, i):
            seen.append(i)
            return super().__getitem__(i)

    given = Seen(batches)
    trained(given)
    epochs = [seen[1 + 13 * i : 14 + 13 * i] for i in range(3)]
    assert given.ends == 3 and all(sorted(e) == list(range(13)) for e in epochs)
    assert epochs[0] != epochs[1] != epochs[2]


def test_batches_of_any_size():
    sizes = [1, 7, 30, 7, 2]
    ends = np.cumsum(sizes)
    batches = [(X[e - n : e], Y[e - n : e]) for n, e in zip(sizes, ends, strict=True)]
    model = network()
    for batch in batches:
        model.train_on_batch(*batch)
    assert same(model.get_weights(), trained(Again(batches), epochs=1)[:4])


def test_steps_per_epoch_as_keras():
    def counted(given, **options):
        seen = []
        count = cb.LambdaCallback(on_train_batch_end=lambda batch, logs: seen.append(batch))
        network().fit(
            given, Y if given is X else None, epochs=2, verbose=0, callbacks=count, **options
        )
        return seen

    assert counted(X, batch_size=50, steps_per_epoch=2) == [0, 1, 0, 1]
    assert counted(Again(cut()), steps_per_epoch=20) == [*range(20)] * 2
    assert counted(Sequence(cut()), steps_per_epoch=5) == [*range(5)] * 2
    drawn = []
    source = (drawn.append(i) or batch for i, batch in enumerate(forever(cut())))
    assert counted(source, steps_per_epoch=4) == [0, 1, 2, 3] * 2
    assert len(drawn) == 8, "no batch is lost to whoever draws on"


def test_validation_data_of_every_kind(tmp_path):
    def losses(given, **options):
        model = network()
        model.fit(X, Y, epochs=2, verbose=0, validation_data=given, **options)
        return model.history.history["val_loss"]

    expected = losses((X, Y))
    folder = shards(tmp_path / "v", weights=False)
    for given in (Again(cut()), Sequence(cut()), folder, data.open(folder, window_mb=TINY)):
        assert np.allclose(losses(given), expected, 1e-6)
    assert np.allclose(losses(forever(cut()), validation_steps=13), expected, 1e-6)
    part = losses((X[:64], Y[:64]))
    for given in ((X, Y), Again(cut(32)), Sequence(cut(32)), lambda: forever(cut(32))):
        assert np.allclose(losses(given, validation_steps=2), part, 1e-6)
    path = parquet(tmp_path / "v.parquet", table=None)
    table = data.open(path, target="label", features="features")
    model = network()
    model.fit(table, epochs=1, verbose=0, validation_data=table)
    assert "val_accuracy" in model.history.history


def test_a_data_loader_of_pytorch():
    torch = pytest.importorskip("torch")
    pairs = torch.utils.data.TensorDataset(torch.from_numpy(X), torch.from_numpy(Y))
    loader = torch.utils.data.DataLoader(pairs, batch_size=16)
    assert same(trained(X, Y, batch_size=16, shuffle=False), trained(loader))
    torch.manual_seed(4)
    shuffled = torch.utils.data.DataLoader(pairs, batch_size=16, shuffle=True)
    model = network()
    torch.manual_seed(4)
    batches = [[t.numpy() for t in batch] for _ in range(3) for batch in shuffled]
    for batch in batches:
        model.train_on_batch(*batch)
    torch.manual_seed(4)
    assert same(model.get_weights(), trained(shuffled)[:4])
    with pytest.raises(ArgumentError, match="samples, not batches"):
        network().fit(pairs)


def test_a_py_dataset_of_keras():
    code = """
import numpy as np, keras
from chainrule.layers import Dense, Input
from chainrule.models import Sequential
class Data(keras.utils.PyDataset):
    def __len__(self): return 4
    def __getitem__(self, i): return np.ones((8, 2)) * i, np.ones(8)
model = Sequential([Input((2,)), Dense(1)])
model.compile("sgd", "mse")
print(len(model.fit(Data(), epochs=2, verbose=0).epoch))
"""
    pytest.importorskip("jax")
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True,
        env=os.environ | {"KERAS_BACKEND": "jax"},
    )  # fmt: skip
    if "No module named" in run.stderr:
        pytest.skip("Keras is not installed")
    assert run.stdout.strip() == "2", run.stderr


def told(kind, batches):
    """A class that gives batches as Keras's `PyDataset`, and an object of it with its notes."""

    class Data(kind):
        def __init__(self):
            super().__init__()
            self.notes = []

        @property
        def num_batches(self):
            return batches

        def __getitem__(self, i):
            self.notes.append(i)
            return X[:8] * self.notes.count("begin"), Y[:8]

        def on_epoch_begin(self):
            self.notes.append("begin")

        def on_epoch_end(self):
            self.notes.append("end")

    return Data()


@pytest.mark.parametrize(("batches", "steps"), [(3, None), (None, 2)])
def test_datasets_are_told_of_epochs_as_by_keras(batches, steps):
    keras = peer("keras")
    options = {"epochs": 3, "steps_per_epoch": steps, "shuffle": False, "verbose": 0}
    theirs = keras.Sequential([keras.Input((5,)), keras.layers.Dense(3)])
    theirs.compile("sgd", "sparse_categorical_crossentropy")
    expected = told(keras.utils.PyDataset, batches)
    theirs.fit(expected, **options)
    found = told(keras.utils.PyDataset, batches)
    network().fit(found, **options)
    assert expected.notes[:3] == ["begin", 0, "end"], "a look at the first, to build for it"
    if batches:
        assert found.notes.pop(1) == 0, "a look too, but the epoch has begun"
    assert found.notes == expected.notes[3:]


def test_a_share_of_a_dataset_is_told_of_epochs():
    held = told(object, 3)
    network().fit(X, Y, validation_data=held, validation_steps=2, epochs=2, verbose=0)
    assert held.notes == ["begin", 0, 0, 1, "end", "begin", 0, 1]


def test_a_dataset_that_changes_with_epochs_goes_on_where_it_was(tmp_path):
    alone = network()
    alone.fit(told(object, 3), epochs=4, verbose=0)
    for batches in (4, 3, None):

        def stop(batch, logs, left=[batches]):  # noqa: B006
            left[0] = None if left[0] is None else left[0] - 1
            if left[0] == 0:
                raise KeyboardInterrupt

        model = network()
        hooks = [cb.LambdaCallback(on_train_batch_end=stop), cb.BackupAndRestore(tmp_path, 1)]
        with contextlib.suppress(KeyboardInterrupt):
            model.fit(told(object, 3), epochs=4, verbose=0, callbacks=hooks)
    assert same(alone.get_weights(), model.get_weights())


def broken(at):
    for i, batch in enumerate(forever(cut())):
        if i == at:
            raise OSError("the disk is gone")
        yield batch


def test_errors_of_the_users_code_say_where():
    with pytest.raises(OSError, match="the disk is gone") as error:
        network().fit(broken(7), steps_per_epoch=5, epochs=3, verbose=0)
    assert "batch 2 of pass 1" in error.value.__notes__[0]
    bad = [*cut()[:3], (np.full((4, 5), np.nan, "float32"), np.zeros(4, int))]
    with pytest.raises(DataError, match=r"x is nan in row 0 of batch 3, column 0"):
        network().fit(Again(bad), verbose=0)
    with pytest.raises(ChainruleError, match="5"):
        network().fit(Again([(X[:8, :4], Y[:8])]), verbose=0)


def refused():
    more = [(X[:4], Y[:4], W[:4], W[:4])]
    return [
        ("but once", lambda m: m.fit(iter(cut()), epochs=2)),
        ("y must not be given beside a generator", lambda m: m.fit(forever(cut()), Y)),
        ("y must not be given beside a Files", lambda m: m.fit(data.open("s"), "y")),
        ("sample_weight must not", lambda m: m.fit(Sequence(cut()), sample_weight=W)),
        ("batch_size is given, but", lambda m: m.fit(Sequence(cut()), batch_size=8)),
        ("batch_size is given, but", lambda m: m.predict(Sequence(cut()), 8)),
        ("validation_split is for data", lambda m: m.fit(Again(cut()), validation_split=0.1)),
        ("validation_split is 1", lambda m: m.fit("s", validation_split=1.0)),
        ("validation_batch_size is given", lambda m: m.fit(
            X, Y, validation_data=Again(cut()), validation_batch_size=8)),
        ("3 parts|4 parts", lambda m: m.fit(Again(more))),
        ("yields no batches", lambda m: m.fit(Again([]))),
        ("yields no batches", lambda m: m.fit(lambda: 7)),
        ("has no batches", lambda m: m.fit(Sequence([]))),
        ("needs targets", lambda m: m.fit(Again([X[:8]]))),
        ("steps_per_epoch is 0", lambda m: m.fit(X, Y, steps_per_epoch=0)),
        ("20 steps are asked for, but the data has 7", lambda m: m.evaluate(X, Y, steps=20)),
        ("ran out of batches: 30 for each", lambda m: m.fit(iter(cut()), steps_per_epoch=30)),
        ("ran out of batches: 9 for each", lambda m: m.fit(
            iter(cut()), steps_per_epoch=9, epochs=2)),
        ("ran out of batches: 20 for each", lambda m: m.evaluate(Again(cut()), steps=20)),
        ("L-BFGS needs all samples", lambda m: (m.compile("lbfgs", "mse"), m.fit(Again(cut())))),
        ("ran out of batches: more", lambda m: m.fit(
            X, Y, epochs=2, validation_data=iter(cut()))),
    ]  # fmt: skip


@pytest.mark.parametrize("i", range(len(refused())))
def test_what_cannot_be_is_refused(tmp_path, monkeypatch, i):
    monkeypatch.chdir(tmp_path)
    shards(tmp_path / "s")
    words, call = refused()[i]
    model = network()
    with pytest.raises((ArgumentError, DataError), match=words):
        call(model)
    assert not threads()


def test_arrays_of_hdf5_are_read_by_windows(tmp_path):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "d.h5", "w") as file:
        file["x"], file["y"] = X, Y
    with h5py.File(tmp_path / "d.h5") as file:
        assert same(trained(X, Y), trained(file["x"], file["y"]))
        windowed = data.Windowed(file["x"], file["y"], window_mb=TINY)
        assert same(trained(X, Y, shuffle=False), trained(windowed, shuffle=False))


def test_the_first_steps_of_batches_of_any_size():
    source = First(Arrays(numbered(10)), 2, 4)
    assert source.samples == 8 and len(np.concatenate(rows_of(source, 0, 4))) == 8


def test_progress_without_a_known_length(capsys):
    network().fit(lambda: iter(cut()), epochs=2, verbose=2)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 and all("13/13 batches" in line for line in lines)


def test_files_are_closed(tmp_path):
    if not os.path.isdir("/proc/self/fd"):
        pytest.skip("no list of open files")
    given = opened(tmp_path, "npz", window_mb=TINY)
    before = len(os.listdir("/proc/self/fd"))
    trained(given)
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) <= before + 1
