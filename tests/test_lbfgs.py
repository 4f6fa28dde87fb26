"""L-BFGS: PyTorch's numbers, SciPy's minimum, the conditions of its search, and `fit` with it."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from chainrule import layers, num_threads, ops, set_num_threads, utils
from chainrule.errors import ArgumentError, DataError, GraphError, NotBuiltError
from chainrule.graph import Variable
from chainrule.models import Sequential, load_model
from chainrule.optimizers import LBFGS
from chainrule.optimizers.line_search import Point, Search, lowest
from peers import peer

STEPS = 100


def data(n=40, dtype="float64"):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((n, 5)).astype(dtype)
    return x, np.stack([np.sin(x.sum(1)), x[:, 0] * x[:, 1]], axis=1).astype(dtype)


def starts():
    rng = np.random.default_rng(1)
    return [0.5 * rng.standard_normal((5, 8)), np.zeros(8), 0.5 * rng.standard_normal((8, 2))]


def by_hand(optimizer, weights, loss_of, steps):
    """Yield the loss of each step, and how often it was evaluated so far."""
    count = itertools.count(1)
    told = [0]

    def closure():
        told[0] = next(count)
        optimizer.zero_grad()
        loss = loss_of(*weights)
        loss.backward()
        return loss

    optimizer.build(weights)
    for _ in range(steps):
        yield float(optimizer.step(closure)), told[0]


def network(x, y):
    def loss(kernel, bias, out):
        hidden = ops.tanh(ops.matmul(x, kernel) + bias)
        decay = sum(ops.sum(ops.square(w)) for w in (kernel, out))
        return ops.mean(ops.square(ops.matmul(hidden, out) - y)) + 0.05 * decay

    return loss


def pytorchs(options, steps):
    torch = peer("torch")
    x, y = map(torch.tensor, data())
    kernel, bias, out = weights = [torch.tensor(w, requires_grad=True) for w in starts()]
    optimizer = torch.optim.LBFGS(weights, **options)

    def closure():
        optimizer.zero_grad()
        hidden = torch.tanh(x @ kernel + bias)
        loss = ((hidden @ out - y) ** 2).mean() + 0.05 * ((kernel**2).sum() + (out**2).sum())
        loss.backward()
        return loss

    for _ in range(steps):
        loss = optimizer.step(closure).item()
        yield loss, [w.detach().numpy() for w in weights]


CASES = [
    ({"max_iter": 1, "lr": 0.1}, None),
    ({"max_iter": 4, "lr": 0.1, "history_size": 3}, None),
    ({"max_iter": 1, "max_eval": 26}, "strong_wolfe"),
    ({"max_iter": 5, "history_size": 5}, "strong_wolfe"),
    ({"max_iter": 20, "lr": 0.7, "tolerance_grad": 1e-4}, "strong_wolfe"),
]


@pytest.mark.parametrize(("options", "search"), CASES)
def test_100_steps_are_pytorchs(options, search):
    # Of steps without a search that see little of the past, a difference in rounding grows tenfold
    # every few iterations: there 100 of those are compared.
    steps = STEPS if search or options["max_iter"] == 1 else STEPS // options["max_iter"]
    theirs = pytorchs({"history_size": 10} | options | {"line_search_fn": search}, steps)
    options = {"learning_rate": options.get("lr", 1.0)} | options
    options.pop("lr", None)
    weights = [Variable(w, dtype="float64") for w in starts()]
    optimizer = LBFGS(line_search_fn=search, **options)
    ours = by_hand(optimizer, weights, network(*data()), steps)
    for step, (found, expected) in enumerate(zip(ours, theirs, strict=True)):
        close = 1e-13 if step < 5 else 1e-7
        np.testing.assert_allclose(found[0], expected[0], rtol=close)
        for w, theirs_w in zip(weights, expected[1], strict=True):
            np.testing.assert_allclose(w.numpy(), theirs_w, atol=1000 * close)
    assert found[0] < 0.5


def rosenbrock(w):
    a, b = w[1:], w[:-1]
    return ops.sum(100.0 * ops.square(a - ops.square(b)) + ops.square(1.0 - b))


@pytest.mark.parametrize("n", [2, 10])
def test_rosenbrock_ends_where_scipy_does(n):
    optimize = peer("scipy.optimize")
    start = np.tile([-1.2, 1.0], n // 2)
    found = optimize.minimize(
        optimize.rosen, start, jac=optimize.rosen_der, method="L-BFGS-B", options={"gtol": 1e-9}
    )
    w = Variable(start, dtype="float64")
    optimizer = LBFGS(max_iter=200, max_eval=400, tolerance_change=0.0)
    ((loss, evaluated),) = by_hand(optimizer, [w], rosenbrock, 1)
    np.testing.assert_allclose(loss, optimize.rosen(start))
    np.testing.assert_allclose(w.numpy(), found.x, atol=1e-4)
    np.testing.assert_allclose(w.numpy(), np.ones(n), atol=1e-6)
    assert evaluated < 1.5 * found.nfev + 10


LINES = {
    "quartic": (lambda t: (t - 2) ** 4 - t, lambda t: 4 * (t - 2) ** 3 - 1),
    "far": (lambda t: (t / 50 - 1) ** 2, lambda t: 2 * (t / 50 - 1) / 50),
    "near": (lambda t: (100 * t - 1) ** 2, lambda t: 200 * (100 * t - 1)),
    "bumps": (lambda t: np.sin(5 * t) - t + 0.1 * t * t, lambda t: 5 * np.cos(5 * t) - 1 + 0.2 * t),
    "edge": (
        lambda t: -np.sqrt(0.3 - t) if t < 0.3 else np.nan,
        lambda t: 1 if t < 0 else -3 + t * 20 if t < 0.3 else np.nan,
    ),
}


@pytest.mark.parametrize("name", [name for name in LINES if name not in ("bumps", "edge")])
@pytest.mark.parametrize("first", [1e-3, 1.0, 30.0])
def test_a_search_fulfils_the_strong_wolfe_conditions(name, first):
    value, slope = LINES[name]
    search = Search(
        lambda t: Point(t, value(t), slope(t), np.zeros(1)),
        Point(0.0, value(0.0), slope(0.0), np.zeros(1)),
        25,
    )
    found = search.run(first, 1e-12)
    assert found.loss <= value(0.0) + 1e-4 * found.at * slope(0.0)
    assert abs(found.slope) <= 0.9 * abs(slope(0.0))
    assert search.evaluations <= 26


def test_a_search_turns_back_from_where_there_is_no_number():
    def point(t):
        return Point(t, (t - 0.5) ** 2 if t < 1 else np.nan, 2 * (t - 0.5), np.zeros(1))

    assert 0 < Search(point, point(0.0), 25).run(1000.0, 1e-12).at < 1


def test_the_lowest_point_of_a_cubic():
    f, g = (lambda t: t**3 - 3 * t), (lambda t: 3 * t * t - 3)
    a, b = (Point(t, f(t), g(t), np.zeros(1)) for t in (0.0, 3.0))
    assert lowest(a, b) == pytest.approx(1.0) == lowest(b, a)
    assert lowest(a, b, (1.5, 2.0)) == 1.5
    straight = [Point(t, -t, -1.0, np.zeros(1)) for t in (0.0, 1.0)]
    assert 0 <= lowest(*straight) <= 1


def model(optimizer, *, dropout=0.0, seed=3):
    utils.set_random_seed(seed)
    parts = [layers.Dense(8, activation="tanh"), layers.BatchNormalization()]
    parts += [layers.Dropout(dropout)] if dropout else []
    made = Sequential([layers.Input((5,)), *parts, layers.Dense(2)])
    made.compile(optimizer, "mse", metrics=["mae"])
    return made


def fit(network, epochs=3, **options):
    x, y = data(dtype="float32")
    return network.fit(x, y, batch_size=len(x), epochs=epochs, verbose=0, **options)


def test_fit_reports_what_each_step_began_with():
    network = model(LBFGS(max_iter=5))
    history = fit(network, 4, shuffle=False).history
    assert history["loss"][3] < 0.5 * history["loss"][0]
    assert int(network.optimizer.iterations) == 4
    first = model("sgd")
    assert fit(first, 1, shuffle=False).history["loss"][0] == history["loss"][0]


def test_running_means_and_random_numbers_advance_once_a_step():
    quick, slow = model(LBFGS(max_iter=5), dropout=0.2), model("sgd", dropout=0.2)
    slow.optimizer.learning_rate = 0.0
    fit(quick, 1, shuffle=False), fit(slow, 1, shuffle=False)
    means = [w for w in quick.variables if not w.trainable]
    assert len(means) >= 2
    for mine, other in zip(means, [w for w in slow.variables if not w.trainable], strict=True):
        np.testing.assert_array_equal(mine.numpy(), other.numpy())


def test_fit_is_a_loop_by_hand():
    x, y = data(dtype="float32")
    whole, loop = model(LBFGS(max_iter=3)), model(LBFGS(max_iter=3))
    fit(whole, 3, shuffle=False)
    optimizer = loop.optimizer
    optimizer.build(loop.trainable_variables)

    def closure():
        optimizer.zero_grad()
        loss = ops.mean(ops.square(loop(x, training=True) - y))
        loss.backward()
        return loss

    for _ in range(3):
        optimizer.step(closure)
    for a, b in zip(whole.trainable_variables, loop.trainable_variables, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=2e-3, atol=1e-4)


def test_a_saved_model_goes_on_to_the_same_bits(tmp_path):
    whole, half = (model(LBFGS(max_iter=4, history_size=3), dropout=0.1) for _ in range(2))
    fit(whole, 5, shuffle=False), fit(half, 2, shuffle=False)
    half.save(tmp_path / "half.safetensors")
    again = load_model(tmp_path / "half.safetensors")
    assert again.optimizer.get_config() == half.optimizer.get_config()
    fit(half, 3, shuffle=False), fit(again, 3, shuffle=False)
    for a, b, c in zip(whole.weights, half.weights, again.weights, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())
        np.testing.assert_array_equal(a.numpy(), c.numpy())


def test_same_bits_for_any_number_of_threads():
    def run(count):
        before = num_threads()
        set_num_threads(count)
        try:
            network = model(LBFGS(max_iter=4))
            fit(network)
            return network.get_weights()
        finally:
            set_num_threads(before)

    for a, b in zip(run(1), run(3), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_batch_must_be_all_samples():
    network = model(LBFGS())
    before = network.get_weights()
    x, y = data(dtype="float32")
    for options in ({}, {"shuffle": False}, {"validation_split": 0.5}):
        with pytest.raises(ArgumentError, match=r"pass batch_size=len\(x\)"):
            network.fit(x, y, batch_size=16, verbose=0, **options)
    for a, b in zip(before, network.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_step_that_fails_leaves_the_weights():
    weights = [Variable(w, dtype="float64") for w in starts()]
    optimizer, loss_of, count = LBFGS(), network(*data()), itertools.count()
    optimizer.build(weights)

    def closure():
        if next(count) == 6:
            raise KeyboardInterrupt
        optimizer.zero_grad()
        loss = loss_of(*weights)
        loss.backward()
        return loss

    with pytest.raises(KeyboardInterrupt):
        optimizer.step(closure)
    for w, start in zip(weights, starts(), strict=True):
        np.testing.assert_array_equal(w.numpy(), start)
    before = float(loss_of(*weights))
    optimizer.step(closure)
    assert float(loss_of(*weights)) < before


def test_a_loss_without_a_number_moves_nothing():
    w = Variable([-1.0], dtype="float64")
    list(by_hand(LBFGS(), [w], lambda w: ops.sum(ops.log(w)), 2))
    assert w.numpy() == -1.0
    w.assign([3.0])  # from here the first trials may lie where the logarithm is none
    list(by_hand(LBFGS(20.0), [w], lambda w: ops.sum(w - ops.log(w)), 3))
    np.testing.assert_allclose(w.numpy(), 1.0, atol=1e-5)


def test_weights_of_two_dtypes_and_one_without_gradient():
    a, b, c = Variable([2.0], dtype="float32"), Variable([2.0], dtype="float64"), Variable([7.0])
    optimizer = LBFGS()

    def loss(a, b, c):
        return ops.sum(ops.square(ops.cast(a, "float64") - 1.0) + ops.square(b + 1.0))

    list(by_hand(optimizer, [a, b, c], loss, 2))
    np.testing.assert_allclose([a.numpy()[0], b.numpy()[0], c.numpy()[0]], [1, -1, 7], atol=1e-6)


def test_nan_in_the_data_is_told():
    network = model(LBFGS())
    x, y = data(dtype="float32")
    x[3, 2] = np.nan
    with pytest.raises(DataError, match="row 3"):
        network.fit(x, y, batch_size=len(x), verbose=0, shuffle=False)


@pytest.mark.parametrize(
    "make",
    [
        lambda: LBFGS(max_iter=0),
        lambda: LBFGS(history_size=2.5),
        lambda: LBFGS(max_eval=True),
        lambda: LBFGS(tolerance_grad=-1.0),
        lambda: LBFGS(line_search_fn="wolfe"),
        lambda: LBFGS(clipnorm=1.0),
        lambda: LBFGS(weight_decay=0.1),
        lambda: LBFGS().step(),
    ],
)
def test_arguments_are_checked(make):
    with pytest.raises(ArgumentError):
        make()


def test_what_a_step_cannot_heed_is_refused():
    w = Variable([1.0])
    with pytest.raises(NotBuiltError):
        LBFGS().step(lambda: ops.sum(w))
    with pytest.raises(GraphError, match="closure"):
        LBFGS().apply_gradients([(ops.as_value([1.0]), w)])
    w.rate_multiplier = 0.5
    with pytest.raises(ArgumentError, match="rate of its own"):
        LBFGS().build([w])
