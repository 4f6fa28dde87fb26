"""Choosing rate and batch: what is measured is what fit does, and the model stays as it was."""

import builtins
import math

import numpy as np
import pytest

import chainrule
from chainrule import Input, Model, find_batch_size, find_learning_rate
from chainrule.datasets import digits
from chainrule.errors import (
    ArgumentError,
    DataError,
    MissingDependencyError,
    NotBuiltError,
    ShapeError,
)
from chainrule.layers import BatchNormalization, Dense, Dropout, Flatten
from chainrule.models import Sequential
from chainrule.optimizers import SGD, Adam, schedules
from chainrule.tuning.batch_size import Row, judged
from chainrule.tuning.learning_rate import found, smoothed
from chainrule.tuning.noise import noise_scale
from chainrule.utils import set_random_seed

RANDOM = np.random.default_rng(0)
X = RANDOM.standard_normal((80, 4)).astype("float32")
Y = RANDOM.integers(0, 3, 80)


def network(optimizer="adam", **options):
    set_random_seed(1)
    layers = [Dense(8, input_shape=(4,)), BatchNormalization(), Dropout(0.2)]
    model = Sequential([*layers, Dense(3, activation="softmax")])
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"], **options)
    return model


def state(model):
    trainer = model._trainer
    arrays = [*trainer.state(), trainer.loss_sum, trainer.samples]
    return [v.numpy() for v in arrays], trainer.epoch, float(model.optimizer.learning_rate)


def same(a, b):
    return a[1:] == b[1:] and len(a[0]) == len(b[0]) and all(map(np.array_equal, a[0], b[0]))


SEARCHES = {
    "rate": lambda m: find_learning_rate(m, X, Y, steps=20, verbose=0),
    "diverging": lambda m: find_learning_rate(m, X, Y, end=1e30, steps=40, verbose=0),
    "batch": lambda m: find_batch_size(m, X, Y, batch_sizes=[4, 16], seconds=0.005, verbose=0),
}
OPTIMIZERS = {
    "adam": lambda: "adam",
    "momentum": lambda: SGD(0.1, momentum=0.9),
    "average": lambda: Adam(use_ema=True, gradient_accumulation_steps=3),
    "skipping": lambda: SGD(0.1, skip_nonfinite=True),
}


@pytest.mark.parametrize("trained", [False, True])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("search", SEARCHES)
def test_the_model_stays_as_it_is(search, optimizer, trained):
    model, other = network(OPTIMIZERS[optimizer]()), network(OPTIMIZERS[optimizer]())
    for m in (model, other):
        if trained:
            m.fit(X, Y, batch_size=16, epochs=2, verbose=0)
    before = state(model)
    SEARCHES[search](model)
    assert same(state(model), before)
    # And it goes on as if nothing had happened.
    histories = [m.fit(X, Y, batch_size=16, epochs=2, verbose=0).history for m in (model, other)]
    assert histories[0] == histories[1]
    assert same(state(model), state(other))


def test_a_failed_search_leaves_the_model_too():
    model, bad = network(), X.copy()
    bad[7, 2] = np.nan
    before = state(model)
    with pytest.raises(DataError, match="row 7, column 2"):
        find_learning_rate(model, bad, Y, verbose=0)
    with pytest.raises(DataError, match="row 7, column 2"):
        find_batch_size(model, bad, Y, batch_sizes=[8], verbose=0)
    assert same(state(model), before)
    assert model.optimizer.learning_rate.name == "learning_rate"


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_the_losses_are_those_of_training_at_these_rates(optimizer):
    from chainrule.data.batches import permutation

    options = {"start": 1e-4, "end": 1.0, "steps": 12, "batch_size": 16, "verbose": 0}
    result = find_learning_rate(network(optimizer), X, Y, **options)
    assert np.allclose(result.rates, np.geomspace(1e-4, 1.0, 12), rtol=1e-12)
    by_hand = network(optimizer)
    order = np.concatenate([permutation(by_hand._trainer.seed, e, 80) for e in range(3)])
    for i, rate in enumerate(result.rates):
        by_hand.optimizer.learning_rate = rate
        rows = order[16 * i : 16 * (i + 1)]
        assert np.isclose(by_hand.train_on_batch(X[rows], Y[rows])[0], result.losses[i], rtol=1e-5)


def test_a_schedule_in_force_is_put_aside_and_back():
    model = network(SGD(schedules.Constant(0.5)))
    model.fit(X, Y, verbose=0)
    result = find_learning_rate(model, X, Y, steps=10, start=1e-5, end=1e-2, verbose=0)
    assert np.allclose(result.rates, np.geomspace(1e-5, 1e-2, 10))
    assert isinstance(model.optimizer.learning_rate, schedules.Constant)


@pytest.mark.parametrize(
    ("optimizer", "good"),
    [("sgd", (0.03, 0.6)), (SGD(0.1, momentum=0.9), (0.01, 0.15)), ("adam", (5e-4, 0.02))],
)
def test_the_suggestion_trains_well(optimizer, good):
    (x, y), _ = digits.load_data()
    set_random_seed(1)
    stack = [Flatten(input_shape=(28, 28)), Dense(64, "relu"), Dense(10, "softmax")]
    model = Sequential(stack)
    model.compile(optimizer, "sparse_categorical_crossentropy")
    result = find_learning_rate(model, x / 255.0, y, verbose=0)
    assert good[0] < result.suggestion < good[1]
    assert result.diverged and len(result.rates) < 100
    model.optimizer.learning_rate = result.suggestion
    history = model.fit(x / 255.0, y, epochs=3, verbose=0).history
    assert history["loss"][-1] < 0.35


def test_the_steepest_descent_of_a_known_curve():
    logs = np.linspace(-6, 1, 71)
    losses = 2.0 - 1.5 / (1 + np.exp(-4 * (logs + 2))) + np.where(logs > -0.5, logs + 0.5, 0) * 4
    result = found(10**logs, losses, False)
    assert abs(math.log10(result.suggestion) + 2) < 0.15
    assert "0.01" in str(result) or "0.0" in str(result)
    kernel = np.exp(-0.5 * ((np.arange(71)[:, None] - np.arange(71)) / 2.0) ** 2)
    expected = (kernel * losses).sum(1) / kernel.sum(1)
    assert np.allclose(smoothed(losses, 2.0), expected)


def test_a_loss_that_does_not_fall_gets_no_suggestion():
    x, y = np.zeros((64, 4), "float32"), RANDOM.integers(0, 3, 64)
    model = Sequential([Dense(3, activation="softmax", use_bias=False, input_shape=(4,))])
    model.compile("sgd", "sparse_categorical_crossentropy")
    result = find_learning_rate(model, x, y, verbose=0)
    assert result.suggestion is None and "no learning rate" in str(result)
    assert "none" in repr(result)
    chance = [1 + 0.1 * RANDOM.standard_normal(60) for _ in range(100)]
    told = [found(np.geomspace(1e-6, 1, 60), losses, False).suggestion for losses in chance]
    assert sum(rate is not None for rate in told) <= 2


def test_a_diverging_run_ends_early_and_one_step_is_enough():
    model = network("sgd")
    result = find_learning_rate(model, X, Y, start=1.0, end=1e36, steps=60, verbose=0)
    assert result.diverged and len(result.losses) < 60 and np.isfinite(result.losses).all()
    at_once = find_learning_rate(network("sgd"), X * 1e30, Y, steps=10, verbose=0)
    assert len(at_once.losses) >= 1 and str(at_once)


def test_models_that_are_graphs_and_models_without_weights():
    a = Input((4,), name="a")
    graph = Model(
        a, {"kind": Dense(3, "softmax", name="kind")(a), "size": Dense(1, name="size")(a)}
    )
    graph.compile("adam", {"kind": "sparse_categorical_crossentropy", "size": "mse"}, metrics=None)
    y = {"kind": Y, "size": X[:, :1]}
    weights = graph.get_weights()
    assert find_learning_rate(graph, X, y, verbose=0).suggestion > 0
    assert find_batch_size(graph, X, y, batch_sizes=[8], seconds=0.001, verbose=0).suggestion == 8
    assert all(map(np.array_equal, weights, graph.get_weights()))
    shapeless = Sequential([Dense(3, activation="softmax")])
    shapeless.compile("adam", "sparse_categorical_crossentropy")
    assert len(find_learning_rate(shapeless, X, Y, steps=10, verbose=0).rates) == 10


def test_weights_of_samples_and_classes():
    plain = find_learning_rate(network(), X, Y, steps=10, verbose=0)
    doubled = find_learning_rate(
        network(), X, Y, steps=10, sample_weight=np.full(80, 2.0), verbose=0
    )
    classes = find_learning_rate(
        network(), X, Y, steps=10, class_weight=dict.fromkeys(range(3), 2.0), verbose=0
    )
    assert np.isclose(doubled.losses[0], 2 * plain.losses[0])
    assert np.array_equal(doubled.losses, classes.losses)


def test_a_picture(tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    monkeypatch.setenv("MPLBACKEND", "agg")
    result = find_learning_rate(network(), X, Y, verbose=0)
    result.plot(tmp_path / "rates.png")
    assert (tmp_path / "rates.png").read_bytes()[:4] == b"\x89PNG"
    axes = result.plot(tmp_path / "rates.svg")
    assert axes.get_xscale() == "log" and "suggestion" in (tmp_path / "rates.svg").read_text()
    from matplotlib import pyplot

    assert result.plot().figure.number in pyplot.get_fignums()
    pyplot.close("all")


def test_without_matplotlib(monkeypatch):
    result = found(np.geomspace(1e-3, 1, 10), np.linspace(2, 1, 10), False)
    real = builtins.__import__

    def missing(name, *rest):
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(MissingDependencyError, match=r"chainrule\[plot\]"):
        result.plot()


def test_mistakes():
    model = network()
    for options in (
        {"start": 0.0},
        {"start": 1.0, "end": 0.1},
        {"end": math.inf},
        {"steps": 5},
        {"batch_size": 0},
        {"verbose": 7},
    ):
        with pytest.raises(ArgumentError):
            find_learning_rate(model, X, Y, **{"verbose": 0, **options})
    for options in (
        {"batch_sizes": [0]},
        {"batch_sizes": []},
        {"batch_sizes": [81]},
        {"seconds": 0},
    ):
        with pytest.raises(ArgumentError):
            find_batch_size(model, X, Y, **{"verbose": 0, **options})
    with pytest.raises(ArgumentError, match="memory_limit"):
        find_batch_size(model, X, Y, memory_limit=10, verbose=0)
    for search in (find_learning_rate, find_batch_size):
        with pytest.raises(NotBuiltError, match="compile"):
            search(Sequential([Dense(1)]), X, Y, verbose=0)
        with pytest.raises(DataError):
            search(model, X, None, verbose=0)
        with pytest.raises(ShapeError):
            search(model, X[:, :3], Y, verbose=0)
    full = network("lbfgs")
    for search in (find_learning_rate, find_batch_size):
        with pytest.raises(ArgumentError, match="LBFGS"):
            search(full, X, Y, verbose=0)

    class Own(Sequential):
        def train_step(self, data):
            return {"loss": 0.0}

    own = Own([Dense(3, activation="softmax", input_shape=(4,))])
    own.compile("adam", "sparse_categorical_crossentropy")
    for search in (find_learning_rate, find_batch_size):
        with pytest.raises(ArgumentError, match="train_step"):
            search(own, X, Y, verbose=0)
    assert chainrule.tuning.find_learning_rate is find_learning_rate


def test_the_noise_scale_by_hand():
    """McCandlish et al.: tr(Sigma) / |G|^2 of a linear model, from the gradient of each sample."""
    rng = np.random.default_rng(1)
    x = rng.standard_normal((4096, 6)).astype("float32")
    y = (x @ rng.standard_normal((6, 1)) + 2 * rng.standard_normal((4096, 1))).astype("float32")
    model = Sequential([Dense(1, use_bias=False, kernel_initializer="zeros", input_shape=(6,))])
    model.compile("sgd", "mse")
    each = (-2.0 * y * x).astype("float64")
    exact = each.var(axis=0, ddof=1).sum() / np.square(each.mean(axis=0)).sum()
    result = find_batch_size(model, x, y, batch_sizes=[32], seconds=0.001, verbose=0)
    assert np.isclose(result.noise_scale, exact, rtol=0.25)


def test_the_estimates_of_the_noise_have_no_bias():
    rng = np.random.default_rng(2)
    mean, spread = np.array([0.5, -1.0]), np.array([1.0, 3.0])
    small, big, trials = 8, 64, 20000
    draws = rng.normal(mean, spread, (trials, big, 2))
    of_small = np.square(draws[:, :small].mean(1)).sum(1).mean()
    of_big = np.square(draws.mean(1)).sum(1).mean()
    expected = np.square(spread).sum() / np.square(mean).sum()
    assert np.isclose(noise_scale(small, of_small, big, of_big), expected, rtol=0.05)
    assert noise_scale(1, 1.0, 10, 0.1) == math.inf  # nothing but noise
    assert noise_scale(1, 1.0, 10, 1.0) == 0.0  # no noise at all
    assert noise_scale(1, 0.0, 10, 0.0) == math.inf


def test_the_suggestion_weighs_speed_and_noise():
    rows = [Row(8, 100, 1000.0), Row(64, 200, 5000.0), Row(512, 900, 8000.0)]
    result = judged(rows, 500.0)
    times = np.array([(b.batch_size + 500.0) / b.rate for b in rows])
    assert np.allclose([row.time for row in result.rows], times / times.min())
    assert result.suggestion == rows[times.argmin()].batch_size == 64
    assert judged(rows, 1.0).suggestion == 8
    assert (
        judged(rows, math.inf).suggestion == 512
        and "lost in noise" in judged(rows, math.inf).reason
    )
    assert judged(rows, None).suggestion == 512 and "not known" in judged(rows, None).reason
    level = [Row(8, 100, 7900.0), Row(64, 200, 8000.0)]
    assert judged(level, math.inf).suggestion == 8
    limited = judged([*rows[:2], Row(512, 900)], 1e6, 800)
    assert limited.suggestion == 64 and "limit of 800 bytes is passed" in limited.reason
    table = str(limited).splitlines()
    assert table[0].startswith("batch size 64: ") and "over the limit" in table[4]


def test_sizes_over_the_memory_limit_are_not_run():
    model = network()
    needs = {b: model.memory(b).total for b in (8, 64)}
    result = find_batch_size(
        model, X, Y, batch_sizes=[64, 8], memory_limit=needs[8], seconds=0.001, verbose=0
    )
    assert [row.memory for row in result.rows] == [needs[8], needs[64]]
    assert result.rows[1].rate is None and result.suggestion == 8


def test_too_few_samples_for_the_noise_and_few_sizes():
    result = find_batch_size(network(), X[:3], Y[:3], seconds=0.001, verbose=0)
    assert result.noise_scale is None and [row.batch_size for row in result.rows] == [3]
    for reduction in ("sum", "none"):
        model = Sequential([Dense(1, input_shape=(4,))])
        model.compile("sgd", chainrule.losses.MeanSquaredError(reduction=reduction))
        result = find_batch_size(model, X, X[:, 0], batch_sizes=[8], seconds=0.001, verbose=0)
        assert result.noise_scale is None


def test_progress_is_told(capsys):
    find_learning_rate(network(), X, Y, steps=10)
    find_batch_size(network(), X, Y, batch_sizes=[8], seconds=0.001)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("learning rate  10/10 rates")
    assert lines[1].startswith("batch size  1/1 sizes")
