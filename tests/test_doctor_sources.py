"""The doctor on data that is read batch by batch: it looks all over it, or says nothing."""

import numpy as np
import pytest

from chainrule import data, ops
from chainrule.callbacks import Callback, GradientDoctor
from chainrule.data import blocks
from chainrule.data.order import rows_from
from chainrule.insight import diagnose, doctor
from chainrule.insight.case import MOST, Case
from chainrule.layers import GRU, Concatenate, Dense, Input, Layer
from chainrule.models import Model
from chainrule.optimizers import SGD, Adam
from chainrule.utils import bucket_by_length, set_random_seed
from doctor_cases import SPARSE, by_kind, compiled, rows, table

pytestmark = pytest.mark.filterwarnings("ignore::chainrule.errors.InitializationWarning")


class Log(Layer):
    """Takes the logarithm."""

    def call(self, inputs):
        return ops.log(inputs)


class Cases(Callback):
    """Keeps the case of a run."""

    def on_train_begin(self, logs=None):
        """Take it in."""
        self.case = Case.of_run(self.run)


def examined(model, *given, **options):
    """Return what the doctor says of a run, by kind."""
    callback = GradientDoctor()
    model.fit(*given, verbose=0, callbacks=callback, **options)
    return by_kind(callback.findings)


def shards(folder, x, y, each=200):
    """Return the samples as files that are read window by window."""
    for i in range(0, len(x), each):
        np.savez(folder / f"{i:05}.npz", x=x[i : i + each], y=y[i : i + each])
    return data.open(sorted(folder.glob("*.npz")), "y", window_mb=0.02)


def case_of(given, layers):
    """Return the case of a run over this data."""
    kept = Cases()
    compiled(layers, SPARSE).fit(given, epochs=1, verbose=0, callbacks=kept)
    return kept.case


@pytest.fixture
def from_the_first_batch(monkeypatch):
    """Have a replay begin with the epoch, however long the steps take."""
    monkeypatch.setattr(doctor, "_SHARE", 1e-12)


@pytest.mark.usefixtures("from_the_first_batch")
@pytest.mark.parametrize("steps", [None, 30])
def test_the_sample_of_a_file_that_spoils_a_run_is_named(tmp_path, steps):
    x = np.random.default_rng(0).random((3000, 4)).astype("float32") + 1
    x[2345, 2] = -1.0
    model = compiled([Input((4,)), Log(name="log"), Dense(1)], "mse", "sgd")
    given = shards(tmp_path, x, x.sum(axis=1))
    (found,) = examined(model, given, epochs=4, steps_per_epoch=steps).values()
    assert (found.kind, found.layer) == ("non_finite", "log")
    assert f"row {2345 % 200} of " in found.evidence and "02200.npz" in found.evidence


@pytest.mark.usefixtures("from_the_first_batch")
def test_the_sequence_that_spoils_a_run_is_named():
    rng = np.random.default_rng(0)
    x = [1 + rng.random((n, 2)).astype("float32") for n in rng.integers(2, 30, 400)]
    x[123][1, 0] = -1.0
    model = compiled([Input((None, 2)), Log(name="log"), GRU(4), Dense(1)], "mse", "sgd")
    given = bucket_by_length(x, rng.random(400), boundaries=[10, 20, 30], value=1.0)
    found = examined(model, given, epochs=2)["non_finite"]
    assert found.layer == "log" and "sequence 123" in found.evidence


def by_class(n, k):
    """Return samples of `k` classes, sorted by them, that are easy to tell apart."""
    y = np.arange(n) * k // n
    return rows(n, 8) + 2 * np.eye(8, dtype="float32")[y], y


def test_files_may_be_sorted_by_class(tmp_path):
    x, y = by_class(2400, 3)
    assert examined(compiled(table(8), SPARSE), shards(tmp_path, x, y), epochs=2) == {}


def test_rows_are_drawn_from_all_files(tmp_path):
    x, y = by_class(3 * MOST, 3)
    case = case_of(shards(tmp_path, x, y, 500), table(8))
    drawn = rows_from(3 * MOST, MOST)
    assert case.representative and np.array_equal(case.sample.x, x[drawn])
    assert np.array_equal(case.y, y[drawn]) and np.array_equal(case.targets, y[drawn])


def test_faults_in_files_are_found_beyond_their_beginning(tmp_path):
    x, y = rows(3000, 8), (np.arange(3000) >= 2850).astype(int)
    x[:, 3] = 1.0
    found = examined(compiled(table(8, 2), SPARSE), shards(tmp_path, x, y), epochs=1)
    assert {"labels_imbalanced", "constant_feature"} <= set(found)
    assert found["constant_feature"].change["columns"] == [3]


def test_nothing_is_said_of_files_too_large_to_be_gone_through(tmp_path, monkeypatch):
    monkeypatch.setattr(blocks, "_READ", 0)
    x, y = by_class(1200, 3)
    x[:400, 3] = 1.0
    given = shards(tmp_path, x, y)
    assert not case_of(given, table(8)).representative
    assert examined(compiled(table(8), SPARSE), given, epochs=2) == {}


def test_the_length_of_a_sequence_may_go_with_its_class():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 300)
    lengths = np.where(y, rng.integers(12, 40, 300), rng.integers(4, 12, 300))
    x = [rng.standard_normal((n, 2)).astype("float32") + k for n, k in zip(lengths, y, strict=True)]
    layers = [Input((None, 2)), GRU(8), Dense(2, "softmax")]
    given = bucket_by_length(x, y)
    case = case_of(given, layers)
    assert len(case.sample) == 300 and np.array_equal(case.y, y)
    assert np.array_equal(case.x[5, : lengths[5]], x[5]) and not case.x[5, lengths[5] :].any()
    assert examined(compiled(layers, SPARSE, Adam(0.02)), given, epochs=4) == {}


def test_a_batch_of_a_generator_is_not_all_the_data():
    x, y = by_class(2400, 3)

    def batches():
        for i in np.random.default_rng(0).permutation(24):
            yield x[i * 100 : (i + 1) * 100], y[i * 100 : (i + 1) * 100]

    assert examined(compiled(table(8), SPARSE), batches, epochs=2) == {}


def test_the_steps_of_a_generator_are_known_after_an_epoch():
    x, passes = 1 + np.abs(rows(800, 8)), iter(range(-1, 9))  # one pass is for its first batch

    def batches():
        spoilt = next(passes) == 2
        for i in range(8):
            part = x[i * 100 : (i + 1) * 100].copy()
            part[0, 0] = -1.0 if spoilt and i == 5 else 1.0
            yield part, part.sum(axis=1)

    def begun(kernel):
        return compiled([Input((8,)), Log(), Dense(4, "tanh", kernel_initializer=kernel, name="h"),
                         Dense(1, kernel_initializer=kernel)], "mse", "sgd")  # fmt: skip

    found = examined(begun("ones"), batches, epochs=2)["symmetric_initialization"]
    assert "after 16 steps" in found.evidence
    passes = iter(range(9))
    found = examined(begun("glorot_uniform"), batches, epochs=4)["non_finite"]
    assert found.step == 2 * 8 + 5


@pytest.mark.parametrize("constant", [0, 1])
def test_one_of_several_inputs_may_be_constant(constant):
    set_random_seed(0)
    a, b = Input((8,)), Input((8,))
    model = Model([a, b], Dense(1)(Concatenate()([Dense(16, "relu")(a), Dense(16, "relu")(b)])))
    model.compile(SGD(1e-7), "mse")
    x = [rows(600, 8), rows(600, 8)]
    y = x[1 - constant][:, 0]
    x[constant] = np.zeros_like(x[constant])
    assert set(examined(model, x, y, epochs=4)) == {"learning_rate_too_low"}
    empty = [np.zeros((600, 8), "float32")] * 2
    assert "constant_feature" in examined(model, empty, y, epochs=1)


def test_a_diagnosis_looks_at_all_the_data():
    x = rows(20_000, 8)
    x[:, 7] = 0.0
    x[np.random.default_rng(0).choice(20_000, 10, replace=False), 7] = 1.0
    assert diagnose(compiled(table(8), SPARSE), x, x[:, :3].argmax(axis=1)).healthy
    x[:, 7] = 0.0
    (found,) = diagnose(compiled(table(8), SPARSE), x, x[:, :3].argmax(axis=1)).findings
    assert found.kind == "constant_feature" and "all 20,000 samples" in found.evidence


@pytest.mark.parametrize("batch_size", [1, 32])
def test_a_diagnosis_counts_classes_in_all_the_data(batch_size):
    x = rows(2000, 8)
    y = (x[:, 0] > 1.9).astype(int)
    found = diagnose(compiled(table(8, 2), SPARSE), x, y, batch_size=batch_size).findings
    assert {one.kind for one in found} == {"labels_imbalanced"}
