"""What is measured within the steps: against plain NumPy and PyTorch, and that nothing changes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from chainrule.callbacks import BackupAndRestore, Callback, LayerStatistics
from chainrule.errors import ArgumentError
from chainrule.executors import run, set_num_threads
from chainrule.graph import Value, Variable, registry
from chainrule.graph.primitive import run_body
from chainrule.layers import (
    GRU,
    LSTM,
    BatchNormalization,
    Bidirectional,
    Conv2D,
    Dense,
    Dropout,
    Embedding,
    Flatten,
    Input,
    MaxPooling2D,
    ReLU,
)
from chainrule.models import Model, Sequential
from chainrule.ops.survey import MEASURES
from chainrule.optimizers import LBFGS, SGD
from chainrule.training.statistics import DEAD_WINDOW, SNR_WINDOW, Statistics
from chainrule.utils import bucket_by_length, set_random_seed


def networks() -> dict[str, tuple[list[Any], tuple[int, ...]]]:
    last = Dense(5, activation="softmax", name="out")
    return {
        "dense": ([Dense(40, "relu"), Dense(16, "tanh"), last], (30,)),
        "normalized": (
            [Dense(24, use_bias=False), BatchNormalization(), ReLU(), Dropout(0.2), last],
            (12,),
        ),
        "convolutional": (
            [Conv2D(32, 3, activation="relu"), MaxPooling2D(), Conv2D(8, 3), Flatten(), last],
            (14, 14, 1),
        ),
        "recurrent": (
            [Bidirectional(LSTM(12, return_sequences=True)), GRU(9, dropout=0.1), last],
            (11, 6),
        ),
    }


def made(kind: str, optimizer: str = "adam") -> tuple[Sequential, np.ndarray, np.ndarray]:
    set_random_seed(3)
    layers, shape = networks()[kind]
    model = Sequential([Input(shape), *layers])
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    rng = np.random.default_rng(0)
    x = rng.standard_normal((150, *shape)).astype("float32")
    return model, x, rng.integers(0, 5, 150)


def bits(model: Model) -> bytes:
    return b"".join(v.numpy().tobytes() for v in model.variables)


@pytest.mark.parametrize("kind", networks())
@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_measuring_changes_no_bit(kind: str, optimizer: str) -> None:
    found = []
    for threads, every in ((1, None), (1, 1), (2, "auto"), (2, 3)):
        set_num_threads(threads)
        model, x, y = made(kind, optimizer)
        callbacks = [] if every is None else [LayerStatistics(every)]
        model.fit(x, y, batch_size=32, epochs=2, verbose=0, callbacks=callbacks)
        found.append(bits(model))
    assert len(set(found)) == 1


def fields(array: np.ndarray) -> dict[str, float]:
    a = array.astype(np.float64)
    return {
        "mean": a.mean(),
        "std": a.std(),
        "norm": float(np.sqrt(np.square(a).sum())),
        "min": a.min(),
        "max": a.max(),
        "zeros": float((a == 0).mean()),
        "nonfinite": 0.0,
    }


def measured_part(weight: np.ndarray) -> np.ndarray:
    """What is measured of a large weight: every eighth group of eight rows."""
    if weight.size <= 32768:
        return weight
    rows = np.arange(len(weight))
    picked = weight[rows // 8 % 8 == 0]
    whole = np.sqrt(weight.size / picked.size)
    assert abs(np.linalg.norm(picked) * whole / np.linalg.norm(weight) - 1) < 0.1
    return picked


def agrees(row: np.void, array: np.ndarray, share: float = 1.0) -> None:
    rounding = max(1e-4 * abs(float(array.mean())), 2e-7)  # squares are summed in the array's dtype
    for name, expected in fields(array).items():
        whole = np.sqrt(share) if name == "norm" else 1.0
        assert row[name] == pytest.approx(whole * expected, rel=2e-4, abs=rounding), name


def test_numbers_are_those_of_pytorch() -> None:
    torch = pytest.importorskip("torch")
    set_random_seed(1)
    layers = [Dense(160, "relu", name="a"), Dense(16, "tanh", name="b"), Dense(5, name="c")]
    model = Sequential([Input((300,)), *layers])
    model.compile(SGD(0.5), "mse")
    rng = np.random.default_rng(2)
    x = rng.standard_normal((64, 300)).astype("float32")
    y = rng.standard_normal((64, 5)).astype("float32")
    before = [v.numpy() for v in model.trainable_variables]
    measured = LayerStatistics(every=1)
    model.fit(x, y, batch_size=64, shuffle=False, verbose=0, callbacks=[measured])
    after = [v.numpy() for v in model.trainable_variables]
    weights = [torch.tensor(w, requires_grad=True) for w in before]
    h = torch.tensor(x)
    outputs = []
    for i, function in enumerate((torch.relu, torch.tanh, lambda v: v)):
        h = function(h @ weights[2 * i] + weights[2 * i + 1])
        h.retain_grad()
        outputs.append(h)
    loss = ((h - torch.tensor(y)) ** 2).mean()
    loss.backward()
    data = measured.data
    assert [layer.name for layer in data.layers] == ["a", "b", "c"]
    assert [layer.activation for layer in data.layers] == ["relu", "tanh", ""]
    assert data.loss[0] == pytest.approx(loss.item(), rel=1e-5)
    for i, out in enumerate(outputs):
        agrees(data.activation[0, i], out.detach().numpy())
        agrees(data.error[0, i], out.grad.numpy())
    for i, w in enumerate(weights):
        slope = measured_part(w.grad.numpy())
        agrees(data.gradient[0, i], slope, w.grad.numpy().size / slope.size)
        part = measured_part(after[i])
        agrees(data.weight[0, i], part, after[i].size / part.size)
        agrees(data.update[0, i], measured_part(after[i] - before[i]), after[i].size / part.size)
    saturated = float((np.abs(outputs[1].detach().numpy()) >= 0.99).mean())
    assert data.activation["saturated"][0, 1] == pytest.approx(saturated, abs=1e-6)
    dead = float((outputs[0].detach().numpy().max(axis=0) == 0).mean())
    assert data.dead[0, 0] == pytest.approx(dead)
    assert np.isnan(data.dead[0, 1:]).all()


@pytest.mark.parametrize("filters", [6, 32])
@pytest.mark.parametrize("apart", [False, True])
def test_what_stands_for_a_pooled_layer(filters: int, apart: bool) -> None:
    """Whatever of a convolution, its relu and its pooling is fused: a row has the numbers of the
    layer that it names, or of the pooling behind that."""
    set_random_seed(1)
    names = ["conv", "pool", *(["relu"] if apart else []), "flat", "out"]
    bend = [ReLU(name="relu")] if apart else []
    conv = Conv2D(filters, 3, activation=None if apart else "relu", name="conv")
    layers = [conv, MaxPooling2D(name="pool"), *bend, Flatten(name="flat"), Dense(3, name="out")]
    model = Sequential([Input((12, 12, 1)), *layers])
    model.compile("adam", "mse")
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((32, 12, 12, 1)).astype("float32"), rng.standard_normal((32, 3))
    truth = {}
    for i, name in enumerate(names):
        truth[name] = Sequential([Input((12, 12, 1)), *layers[: i + 1]]).predict(x, verbose=0)
    measured = LayerStatistics(every=1)
    model.fit(x, y, batch_size=32, shuffle=False, verbose=0, callbacks=[measured])
    found = [layer.name for layer in measured.data.layers]
    assert {"out"} | ({"relu"} if apart else {"conv"}) <= set(found)
    for i, layer in enumerate(measured.data.layers):
        row = measured.data.activation[0, i]
        ways = [truth[layer.name], *([truth["pool"]] if layer.name == "conv" else [])]
        assert any(row["mean"] == pytest.approx(w.mean(), rel=1e-4) for w in ways), layer.name
        assert layer.activation != "relu" or row["min"] >= 0


@pytest.mark.parametrize("kind", networks())
def test_tables_are_whole(kind: str) -> None:
    model, x, y = made(kind)
    measured = LayerStatistics(every=1)
    history = model.fit(x, y, batch_size=50, epochs=2, verbose=0, callbacks=[measured])
    data = measured.data
    assert data.steps.tolist() == [0, 1, 2, 3, 4, 5]
    assert data.epochs.tolist() == [0, 0, 0, 1, 1, 1]
    assert data.loss[3:].mean() == pytest.approx(history.history["loss"][1], rel=1e-5)
    trained = model.trainable_variables
    assert [w.shape for w in data.weights] == [v.shape for v in trained]
    assert all(w.layer and w.name.startswith(w.layer.rpartition("/")[2]) for w in data.weights)
    for i, v in enumerate(trained):
        agrees(data.weight[-1, i], v.numpy())
        counts = data.weight["histogram"][-1, i]
        assert counts.sum() <= 600
        assert counts.sum() > 0 or not v.numpy().any()
    for table in (data.activation, data.error, data.gradient, data.update):
        assert np.isfinite(table["norm"]).all()
        assert (table["std"] >= 0).all()
        assert (table["min"] <= table["max"]).all()
    np.testing.assert_allclose(data.ratio, data.update["norm"] / data.weight["norm"])


@pytest.mark.parametrize(
    ("shape", "group", "every"),
    [((200, 33), 8, 3), ((50,), 16, 2), ((7, 9), 2, 8), ((40, 9), 3, 1), ((70, 31), 8, 1)],
)
def test_groups_that_are_measured(shape: tuple[int, ...], group: int, every: int) -> None:
    def apply(name: str, *values: Value, **attributes: Any) -> tuple[Value, ...]:
        found = registry()[name].apply(values, attributes)
        return found if isinstance(found, tuple) else (found,)

    rng = np.random.default_rng(3)
    x, y = (rng.standard_normal(shape).astype("float32") for _ in range(2))
    before, after = (Variable(a, dtype="float32").leaf for a in (x, y))
    where = {"group": group, "every": every}
    kept = apply("survey_keep", before, **where)[0]
    rows = apply("survey_change", kept, after, stride=1, probes=0, **where)
    size = x[0].size
    (found,) = run(apply("survey_total", *rows, size=size, **where))
    part = (y - x)[np.arange(len(x)) // group % every == 0].astype(np.float64)
    expected = [part.size, part.sum(), np.square(part).sum(), part.min(), part.max(), 0, 0, 0]
    np.testing.assert_allclose(found[0, :MEASURES], expected, rtol=1e-5)
    assert found[0, MEASURES:].sum() == part.size
    how = {"low": -0.5, "high": 0.75, "stride": 3, "probes": 2, **where}
    starts = np.arange(len(x)) % (group * every) == 0
    odd = np.where(rng.random(shape) < 0.1, rng.choice([0.0, np.nan, np.inf], shape), x)
    for given in (x, odd.astype("float32")):
        expected = run_body(registry()["survey"], [given], how)
        found = run(apply("survey", Variable(given, dtype="float32").leaf, **how))
        for a, b in zip(found, expected, strict=True):
            np.testing.assert_allclose(a[starts], b[starts], rtol=1e-4, atol=1e-5)


def test_histogram_counts_sizes() -> None:
    set_random_seed(0)
    model = Sequential([Input((4,)), Dense(3, name="d", kernel_initializer="ones")])
    model.compile(SGD(0.0), "mse")
    measured = LayerStatistics(every=1)
    model.fit(np.ones((8, 4)), np.ones((8, 3)), batch_size=8, verbose=0, callbacks=[measured])
    counts = measured.data.weight["histogram"][0]
    assert counts[0].nonzero()[0].tolist() == [18]  # 4**0 <= 1 < 4**1
    assert counts[0].sum() == 12
    assert counts[1].sum() == 0  # zeros are left out
    assert measured.data.update["zeros"][0].tolist() == [1.0, 1.0]


def test_looks_are_dense_at_first() -> None:
    model, x, y = made("dense")
    measured = LayerStatistics()
    model.fit(x, y, batch_size=5, epochs=4, verbose=0, callbacks=[measured])
    steps = measured.data.steps
    assert steps[:5].tolist() == [0, 1, 2, 4, 8]
    assert 6 <= len(steps) < 20
    every = LayerStatistics(7)
    model.fit(x, y, batch_size=32, epochs=4, verbose=0, callbacks=[measured, every])
    # The fifth batch of each epoch is smaller, and a look that falls on it is left out.
    assert every.data is measured.data
    assert every.data.steps.tolist() == [0, 7]


def test_dead_units_and_noise_over_windows() -> None:
    set_random_seed(0)
    hidden = Dense(20, "relu", name="h")
    model = Sequential([Input((6,)), hidden, Dense(1, name="out")])
    model.compile(SGD(0.01), "mse")
    bias = np.where(np.arange(20) < 5, -100.0, 1.0)
    hidden.set_weights([hidden.get_weights()[0], bias.astype("float32")])
    rng = np.random.default_rng(0)
    x = rng.standard_normal((640, 6)).astype("float32")
    measured = LayerStatistics(every=1)
    model.fit(x, x[:, :1], batch_size=8, verbose=0, callbacks=[measured])
    assert measured.data.dead[DEAD_WINDOW:, 0] == pytest.approx(0.25, abs=0.051)
    assert np.isnan(measured.data.snr[: SNR_WINDOW - 1]).all()
    assert (measured.data.snr[SNR_WINDOW - 1 :] > 0).all()
    # The same gradient every time: all signal; of random targets nothing is.
    model.fit(np.tile(x[:8], (40, 1)), np.ones(320), batch_size=8, verbose=0, callbacks=[measured])
    steady = float(np.median(measured.data.snr[SNR_WINDOW]))
    model.fit(x, rng.standard_normal(640), batch_size=8, verbose=0, callbacks=[measured])
    assert steady > 5 * float(np.median(measured.data.snr[SNR_WINDOW]))


def test_what_is_not_finite_is_counted() -> None:
    set_random_seed(0)
    model = Sequential([Input((4,)), Dense(8, "relu", name="h"), Dense(1, name="out")])
    model.compile(SGD(1e30), "mse")
    measured = LayerStatistics(every=1)
    x = np.random.default_rng(0).standard_normal((96, 4)).astype("float32")
    model.fit(x, x[:, 0], batch_size=32, verbose=0, callbacks=[measured])
    assert measured.data.activation["nonfinite"][0].tolist() == [0, 0]
    assert measured.data.activation["nonfinite"][-1, 1] == 1


def test_embeddings_and_several_inputs() -> None:
    set_random_seed(0)
    model = Sequential(
        [Input((7,), dtype="int64"), Embedding(50, 6), Flatten(), Dense(2, "softmax")]
    )
    model.compile("adam", "sparse_categorical_crossentropy")
    measured = LayerStatistics(every=1)
    x = np.random.default_rng(0).integers(0, 50, (64, 7))
    model.fit(x, x[:, 0] % 2, batch_size=32, verbose=0, callbacks=[measured])
    table = measured.data.gradient
    assert np.isfinite(measured.data.update["norm"]).all()
    assert table["norm"].shape == (2, 3)


def test_batches_of_several_lengths() -> None:
    set_random_seed(0)
    model = Sequential([Embedding(30, 8, mask_zero=True), LSTM(6), Dense(2, "softmax")])
    model.compile("adam", "sparse_categorical_crossentropy")
    rng = np.random.default_rng(0)
    texts = [rng.integers(1, 30, n) for n in rng.integers(3, 40, 200)]
    measured = LayerStatistics(every=2)
    source = bucket_by_length(texts, rng.integers(0, 2, 200), batch_size=16)
    model.fit(source, epochs=2, verbose=0, callbacks=[measured])
    data = measured.data
    assert len(data) >= 8
    assert (np.diff(data.steps) > 0).all()
    assert np.isfinite(data.gradient["norm"]).all()
    assert np.isfinite(data.snr[-1]).all()


class _Own(Sequential):
    def train_step(self, data: Any) -> dict[str, float]:
        return {"loss": 0.0}


def test_steps_that_cannot_be_measured() -> None:
    x = np.ones((8, 4), "float32")
    for model, optimizer in (
        (_Own([Input((4,)), Dense(1)]), "sgd"),
        (Sequential([Input((4,)), Dense(1)]), LBFGS()),
    ):
        model.compile(optimizer, "mse")
        measured = LayerStatistics()
        model.fit(x, x[:, 0], batch_size=8, verbose=0, callbacks=[measured])
        assert len(measured.data) == 0
        assert measured.data.activation.shape == (0, 0)


@pytest.mark.parametrize("every", [0, -1, 1.5, "often"])
def test_bad_rates_are_told(every: Any) -> None:
    with pytest.raises(ArgumentError, match="every is"):
        LayerStatistics(every)


def test_many_looks_are_thinned(monkeypatch: pytest.MonkeyPatch) -> None:
    from chainrule.training import looks, statistics

    monkeypatch.setattr(looks, "MOST_LOOKS", 64)
    monkeypatch.setattr(statistics, "_STRETCH", 1 << 16)
    model, x, y = made("dense")
    measured = LayerStatistics(every=1)
    for _ in range(4):
        model.fit(x, y, batch_size=5, epochs=2, verbose=0, callbacks=[measured])
    assert len(measured.data) <= 64
    steps = measured.data.steps
    assert steps[0] == 0
    assert steps[-1] == 59
    assert (np.diff(steps) > 0).all()


def test_looks_are_the_same_whenever_they_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    from chainrule.training import looks, statistics

    class Read(Callback):
        def __init__(self, epochs: Sequence[int]) -> None:
            self.epochs = epochs

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            if epoch in self.epochs:
                assert self.run is not None and self.run.statistics is not None
                self.run.statistics.after(self.run.statistics.step - 3)
                if epoch % 3 == 0:
                    assert len(self.run.statistics.weight) > 0

    monkeypatch.setattr(looks, "MOST_LOOKS", 64)
    monkeypatch.setattr(statistics, "_STRETCH", 1 << 15)
    found = []
    for epochs in ((), range(60), (5, 6, 20)):
        model, x, y = made("dense")
        measured = LayerStatistics(every=1)
        model.fit(x, y, batch_size=5, epochs=60, verbose=0, callbacks=[measured, Read(epochs)])
        found.append(measured.data)
    for other in found[1:]:
        assert len(other) <= 64
        _, here, there = np.intersect1d(found[0].steps, other.steps, return_indices=True)
        assert len(here) > 30  # more are left out where somebody reads before the end
        for name in ("epochs", "loss", "activation", "update", "ratio", "dead", "snr"):
            mine, others = getattr(found[0], name)[here], getattr(other, name)[there]
            np.testing.assert_array_equal(mine, others)


class _Stop(Callback):
    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if self.model.optimizer.iterations.numpy() == 40:
            raise KeyboardInterrupt


def test_a_resumed_run_goes_on_looking(tmp_path: Any) -> None:
    def run(*more: Callback) -> tuple[bytes, Statistics]:
        model, x, y = made("dense")
        measured = LayerStatistics()
        backup = BackupAndRestore(tmp_path / "backup", save_freq=8)
        callbacks = [measured, backup, *more] if more is not None else [measured]
        model.fit(x, y, batch_size=5, epochs=3, verbose=0, callbacks=callbacks)
        return bits(model), measured.data

    with pytest.raises(KeyboardInterrupt):
        run(_Stop())
    resumed, seen = run()
    model, x, y = made("dense")
    measured = LayerStatistics()
    model.fit(x, y, batch_size=5, epochs=3, verbose=0, callbacks=[measured])
    whole = measured.data
    assert resumed == bits(model)
    assert seen.steps.tolist() == whole.steps.tolist()
    for name in ("activation", "error", "weight", "gradient", "update"):
        assert getattr(seen, name).tobytes() == getattr(whole, name).tobytes()
    np.testing.assert_array_equal(seen.dead, whole.dead)
    np.testing.assert_array_equal(seen.snr, whole.snr)
