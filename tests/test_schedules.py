"""Schedules: their formula in float64, the numbers of Keras and PyTorch, inside the native loop."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from chainrule import ops, optimizers
from chainrule.errors import ArgumentError, GraphError
from chainrule.graph import Variable
from chainrule.layers import Dense, Input
from chainrule.models import Sequential, load_model
from chainrule.optimizers import SGD, schedules
from peers import peer

STEPS = 300


def exponential(t, r, n, q, staircase=False):
    return r * q ** (t // n if staircase else t / n)


def inverse(t, r, n, q, staircase=False):
    return r / (1 + q * (t // n if staircase else t / n))


def polynomial(t, r, n, end=1e-4, power=1.0, cycle=False):
    n = n * max(1, -(-t // n)) if cycle else n
    return (r - end) * (1 - min(t, n) / n) ** power + end


def pieces(t, boundaries, values):
    return values[sum(t > b for b in boundaries)]


def cosine(t, r, n, alpha=0.0, target=None, warmup=0):
    if target is not None:
        if t < warmup:
            return r + (target - r) * t / warmup
        r, t = target, t - warmup
    return r * ((1 - alpha) * (1 + math.cos(math.pi * min(t, n) / n)) / 2 + alpha)


def restarts(t, r, n, t_mul=2.0, m_mul=1.0, alpha=0.0):
    length, top = float(n), 1.0
    while t >= length - 1e-9:
        t, length, top = t - length, length * t_mul, top * m_mul
    return r * ((1 - alpha) * top * (1 + math.cos(math.pi * t / length)) / 2 + alpha)


def ways(first, last, passed, linear):
    share = passed if linear else (1 - math.cos(math.pi * passed)) / 2
    return first + (last - first) * share


def one_cycle(t, top, n, pct=0.3, anneal="cos", div=25.0, final=1e4, three=False):
    up, first = pct * n - 1, top / div
    phases = [(up, first, top), (n - 1, top, first / final)]
    if three:
        phases = [(up, first, top), (2 * up, top, first), (n - 1, first, first / final)]
    begin = 0.0
    for until, a, b in phases:
        if t <= until or until == n - 1:
            return ways(a, b, min((t - begin) / (until - begin), 1.0), anneal == "linear")
        begin = until
    return None


# class, positional arguments, keyword arguments, the formula with its arguments
CASES = [
    ("Constant", (0.1,), {}, lambda t: 0.1),
    ("ExponentialDecay", (0.1, 40, 0.7), {}, lambda t: exponential(t, 0.1, 40, 0.7)),
    (
        "ExponentialDecay",
        (0.1, 49, 0.7),
        {"staircase": True},
        lambda t: exponential(t, 0.1, 49, 0.7, True),
    ),
    ("InverseTimeDecay", (0.1, 30, 0.5), {}, lambda t: inverse(t, 0.1, 30, 0.5)),
    (
        "InverseTimeDecay",
        (0.1, 49, 0.5),
        {"staircase": True},
        lambda t: inverse(t, 0.1, 49, 0.5, True),
    ),
    ("PolynomialDecay", (0.1, 120), {}, lambda t: polynomial(t, 0.1, 120)),
    (
        "PolynomialDecay",
        (0.1, 120, 0.01, 2.5),
        {},
        lambda t: polynomial(t, 0.1, 120, 0.01, 2.5),
    ),
    (
        "PolynomialDecay",
        (0.1, 70, 0.01, 0.5),
        {"cycle": True},
        lambda t: polynomial(t, 0.1, 70, 0.01, 0.5, True),
    ),
    ("LinearDecay", (0.1, 120), {}, lambda t: polynomial(t, 0.1, 120, 0.0)),
    ("LinearDecay", (0.01, 120, 0.2), {}, lambda t: polynomial(t, 0.01, 120, 0.2)),
    (
        "PiecewiseConstantDecay",
        ([10, 150, 200], [0.3, 0.2, 0.1, 0.05]),
        {},
        lambda t: pieces(t, [10, 150, 200], [0.3, 0.2, 0.1, 0.05]),
    ),
    ("StepDecay", (0.1, 49), {}, lambda t: exponential(t, 0.1, 49, 0.1, True)),
    ("StepDecay", (0.1, 30, 0.9), {}, lambda t: exponential(t, 0.1, 30, 0.9, True)),
    ("CosineDecay", (0.1, 200), {}, lambda t: cosine(t, 0.1, 200)),
    ("CosineDecay", (0.1, 200, 0.25), {}, lambda t: cosine(t, 0.1, 200, 0.25)),
    (
        "CosineDecay",
        (0.01, 200),
        {"alpha": 0.1, "warmup_target": 0.2, "warmup_steps": 30},
        lambda t: cosine(t, 0.01, 200, 0.1, 0.2, 30),
    ),
    ("CosineDecayRestarts", (0.1, 20), {}, lambda t: restarts(t, 0.1, 20)),
    (
        "CosineDecayRestarts",
        (0.1, 30, 1.0, 0.8, 0.1),
        {},
        lambda t: restarts(t, 0.1, 30, 1.0, 0.8, 0.1),
    ),
    (
        "CosineDecayRestarts",
        (0.1, 17, 1.5, 0.7, 0.2),
        {},
        lambda t: restarts(t, 0.1, 17, 1.5, 0.7, 0.2),
    ),
]
IDS = [f"{name}-{i}" for i, (name, *_) in enumerate(CASES)]
CYCLES = [
    {},
    {"anneal_strategy": "linear"},
    {"pct_start": 0.45, "three_phase": True},
    {"pct_start": 0.25, "three_phase": True, "anneal_strategy": "linear"},
    {"pct_start": 0.0},
    {"pct_start": 1.0},
    {"pct_start": 0.1, "div_factor": 5.0, "final_div_factor": 100.0},
]


def numbers(schedule, steps=STEPS):
    return schedule(np.arange(steps))


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_numbers_are_the_formula(case):
    name, arguments, options, formula = case
    schedule = getattr(schedules, name)(*arguments, **options)
    expected = [formula(t) for t in range(STEPS)]
    np.testing.assert_allclose(numbers(schedule), expected, rtol=1e-12, atol=1e-16)


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_numbers_are_those_of_keras(case):
    name, arguments, options, _ = case
    kind = getattr(peer("keras").optimizers.schedules, name, None)
    if kind is None:
        pytest.skip("Keras has no such schedule")
    theirs, steps = kind(*arguments, **options), np.arange(STEPS)
    if "warmup_steps" in options:  # Keras's takes no arrays, and is slow
        steps = np.array([0, 1, 15, 29, 30, 31, 100, 229, 230, 231, 299])
        there = np.array([float(theirs(t)) for t in steps])
    else:
        there = np.asarray(theirs(steps))
    mine = getattr(schedules, name)(*arguments, **options)(steps)
    # In float32 Keras places the border of a period by rounding: it may be off by a step.
    far = ~np.isclose(mine, there, rtol=3e-5, atol=1e-6)
    assert far.sum() <= (4 if name == "CosineDecayRestarts" else 0)


@pytest.mark.parametrize("options", CYCLES, ids=str)
def test_one_cycle_is_that_of_torch(options):
    torch = peer("torch")
    weight = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([weight], lr=0.1)
    theirs = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, STEPS, **options)
    expected = []
    for _ in range(STEPS):
        expected.append(theirs.get_last_lr()[0])
        optimizer.step()
        if len(expected) < STEPS:
            theirs.step()
    mine = numbers(schedules.OneCycle(0.1, STEPS, **options))
    np.testing.assert_allclose(mine, expected, rtol=1e-9, atol=1e-15)


def test_one_cycle_is_its_formula_and_stays_at_its_end():
    schedule = schedules.OneCycle(0.1, 100, 0.25, "linear", 4.0, 10.0, True)
    expected = [one_cycle(t, 0.1, 100, 0.25, "linear", 4.0, 10.0, True) for t in range(100)]
    np.testing.assert_allclose(numbers(schedule, 100), expected, rtol=1e-12)
    assert schedule(1000) == pytest.approx(expected[-1], rel=1e-12)
    # The rise takes a single step: PyTorch divides by zero.
    assert schedules.OneCycle(0.1, 10, pct_start=0.1)(0) == 0.1 / 25


def test_step_decay_is_that_of_torch():
    torch = peer("torch")
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.3)
    theirs = torch.optim.lr_scheduler.StepLR(optimizer, 49, gamma=0.5)
    expected = []
    for _ in range(STEPS):
        expected.append(theirs.get_last_lr()[0])
        optimizer.step()
        theirs.step()
    np.testing.assert_allclose(numbers(schedules.StepDecay(0.3, 49, 0.5)), expected, rtol=1e-12)


@pytest.mark.parametrize(
    "case",
    [*CASES, ("user", (), {}, lambda t: 0.5 / (1 + t))],
    ids=lambda case: f"{case[0]}{case[1]}",
)
def test_any_schedule_can_be_warmed_up(case):
    name, arguments, options, formula = case
    after = lambda t: 0.5 / (t + 1.0)  # noqa: E731
    if name != "user":
        after = getattr(schedules, name)(*arguments, **options)
    found = numbers(schedules.Warmup(after, 25, start=0.01))
    rise = [0.01 + (formula(0) - 0.01) * t / 25 for t in range(25)]
    expected = rise + [formula(t - 25) for t in range(25, STEPS)]
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-16)


@pytest.mark.filterwarnings("ignore::UserWarning")  # PyTorch's own use of its scheduler
def test_a_warm_up_is_that_of_torch():
    torch = peer("torch")
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.4)
    kinds = torch.optim.lr_scheduler
    warm = kinds.LinearLR(optimizer, start_factor=0.25, total_iters=20)
    rest = kinds.CosineAnnealingLR(optimizer, 200)
    theirs = kinds.SequentialLR(optimizer, [warm, rest], [20])
    mine = numbers(schedules.LinearWarmup(schedules.CosineDecay(0.4, 200), 20, start=0.1), 220)
    for rate in mine:
        assert rate == pytest.approx(theirs.get_last_lr()[0], rel=1e-9, abs=1e-12)
        optimizer.step()
        theirs.step()


def test_numbers_arrays_and_values():
    schedule = schedules.PolynomialDecay(0.5, 8, 0.0)
    assert schedule(2) == 0.375 and type(schedule(2)) is float
    assert type(schedule(np.int64(2))) is float
    assert schedule(np.array([[0, 2], [4, 100]])).tolist() == [[0.5, 0.375], [0.25, 0.0]]
    step = Variable(np.int64(2), name="step")
    value = schedule(step)
    assert value.dtype == "float64" and value.shape == () and float(value) == 0.375


def test_extreme_steps():
    for name, arguments, options, _ in CASES:
        schedule = getattr(schedules, name)(*arguments, **options)
        far = schedule(np.array([0, 1, 10**6, 10**9, 2**53]))
        assert np.isfinite(far).all() and (far >= 0).all(), name
    # Whole periods begin where they should, far from the start too.
    starts = 10 * (2 ** np.arange(1, 25) - 1)
    schedule = schedules.CosineDecayRestarts(0.5, 10)
    np.testing.assert_allclose(schedule(starts), 0.5, rtol=1e-9)
    assert (schedule(starts[:12] - 1) < 0.02).all()


def network(optimizer, seed=3):
    rng = np.random.default_rng(seed)
    model = Sequential([Input((4,)), Dense(5, "tanh"), Dense(1)])
    model.set_weights([0.5 * rng.standard_normal(w.shape) for w in model.get_weights()])
    model.compile(optimizer, loss="mse")
    return model


X = np.random.default_rng(0).standard_normal((60, 4)).astype("float32")
Y = np.random.default_rng(1).standard_normal((60, 1)).astype("float32")


def test_rates_inside_the_native_loop_are_those_outside():
    schedule = schedules.Warmup(schedules.CosineDecay(0.2, 20), 5, start=0.01)
    inside, outside = network(SGD(schedule)), network(SGD(0.1))
    inside.fit(X, Y, batch_size=4, epochs=2, shuffle=False, verbose=0)
    for step in range(30):
        outside.optimizer.learning_rate = schedule(step)
        rows = slice(step % 15 * 4, step % 15 * 4 + 4)
        outside.train_on_batch(X[rows], Y[rows])
    for a, b in zip(inside.get_weights(), outside.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_scaled_schedule_is_a_multiple_of_it():
    whole = schedules.CosineDecayRestarts(0.1, 7)
    np.testing.assert_allclose(numbers(schedules.Scaled(whole, 0.25)), 0.25 * numbers(whole))
    assert schedules.Scaled(0.5, 0.5)(3) == 0.25


def test_training_is_that_of_keras():
    keras = peer("keras")
    arguments = (0.05, 10, 0.5)
    mine = network(optimizers.Adam(schedules.ExponentialDecay(*arguments)))
    rate = keras.optimizers.schedules.ExponentialDecay(*arguments)
    theirs = [keras.Variable(w) for w in mine.get_weights()]
    rule = keras.optimizers.Adam(rate)
    rng = np.random.default_rng(5)
    weights = mine.trainable_variables
    for _ in range(25):
        gradients = [rng.standard_normal(w.shape).astype("float32") for w in theirs]
        rule.apply_gradients(zip(gradients, theirs, strict=True))
        mine.optimizer.apply_gradients(zip(gradients, weights, strict=True))
    for a, b in zip(mine.get_weights(), theirs, strict=True):
        np.testing.assert_allclose(a, np.asarray(b), rtol=1e-4, atol=2e-5)


EVERY = [getattr(schedules, n)(*a, **o) for n, a, o, _ in CASES] + [
    schedules.OneCycle(0.1, 50, three_phase=True),
    schedules.Warmup(schedules.CosineDecayRestarts(0.1, 7), 5, 0.01),
    schedules.Warmup(0.3, 5),
    schedules.Scaled(schedules.CosineDecayRestarts(0.1, 7), 0.25),
]


@pytest.mark.parametrize("schedule", EVERY, ids=repr)
def test_configuration_makes_the_same_schedule(schedule):
    plain = json.loads(json.dumps(schedules.serialize(schedule)))
    again = schedules.deserialize(plain)
    assert type(again) is type(schedule) and again.get_config() == schedule.get_config()
    np.testing.assert_array_equal(numbers(again), numbers(schedule))


@pytest.mark.parametrize("schedule", EVERY[-3:], ids=repr)
def test_a_saved_model_goes_on_with_its_schedule(tmp_path, schedule):
    one = network(SGD(schedule, momentum=0.5))
    one.fit(X, Y, batch_size=10, epochs=1, shuffle=False, verbose=0)
    one.save(tmp_path / "model")
    other = load_model(tmp_path / "model")
    assert type(other.optimizer.learning_rate) is type(schedule)
    for model in (one, other):
        model.fit(X, Y, batch_size=10, epochs=1, shuffle=False, verbose=0)
    for a, b in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


class Root(schedules.LearningRateSchedule):
    """A user's own, written as for Keras."""

    def __call__(self, step):
        return 0.1 / ops.sqrt(ops.cast(step, "float32") + 1.0)


def test_a_schedule_of_ones_own():
    w = Variable([0.0, 0.0], dtype="float64")
    optimizer = SGD(Root())
    for _ in range(3):
        optimizer.apply_gradients([(np.ones(2), w)])
    np.testing.assert_allclose(w.numpy(), -0.1 * sum(1 / math.sqrt(t) for t in (1, 2, 3)), 1e-6)
    described = {"class_name": "Root", "config": {}}
    assert isinstance(schedules.deserialize(described, {"Root": Root}), Root)
    with pytest.raises(NotImplementedError, match=r"define rate\(step\)"):
        schedules.LearningRateSchedule()(1)


class Stepwise(schedules.LearningRateSchedule):
    def rate(self, step):
        return 0.01 if step < 3 else 0.0


@pytest.mark.parametrize(
    "schedule",
    [
        lambda step: 0.01 if step < 3 else 0.0,
        lambda step: 0.1 * math.exp(-float(step)),
        lambda step: min(0.01, step * 0.001),
        lambda step: 0.1 / (1 + int(step)),
        Stepwise(),
    ],
)
@pytest.mark.parametrize("options", [{}, {"gradient_accumulation_steps": 2}])
def test_a_schedule_that_would_be_frozen_at_its_first_rate_is_refused(schedule, options):
    model = network(SGD(schedule, **options))
    before = model.get_weights()
    with pytest.raises(GraphError, match=r"ops\.where"):
        model.fit(X, Y, verbose=0)
    with pytest.raises(GraphError, match="LearningRateScheduler"):
        w = Variable([0.0], dtype="float64")
        SGD(schedule, **options).apply_gradients([(np.ones(1), w)])
    for a, b in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_choice_in_ops_follows_the_step():
    w = Variable([0.0], dtype="float64")
    optimizer = SGD(lambda step: ops.where(step < 3, 0.01, 0.0))
    for _ in range(5):
        optimizer.apply_gradients([(np.ones(1), w)])
    np.testing.assert_allclose(w.numpy(), -0.03, 1e-6)


@pytest.mark.parametrize(
    "make",
    [
        lambda: schedules.Constant(-0.1),
        lambda: schedules.Constant("0.1"),
        lambda: schedules.Constant(float("nan")),
        lambda: schedules.ExponentialDecay(0.1, 0, 0.5),
        lambda: schedules.ExponentialDecay(0.1, 10, 0.0),
        lambda: schedules.ExponentialDecay(0.1, 1.5, 0.5),
        lambda: schedules.InverseTimeDecay(0.1, 10, -1.0),
        lambda: schedules.PolynomialDecay(0.1, 10, power=0.0),
        lambda: schedules.PiecewiseConstantDecay([1, 2], [0.1, 0.2]),
        lambda: schedules.PiecewiseConstantDecay([2, 1], [0.1, 0.2, 0.3]),
        lambda: schedules.CosineDecay(0.1, 10, alpha=1.5),
        lambda: schedules.CosineDecay(0.1, 10, warmup_target=0.2, warmup_steps=-1),
        lambda: schedules.CosineDecayRestarts(0.1, 10, t_mul=0.5),
        lambda: schedules.OneCycle(0.1, 1),
        lambda: schedules.OneCycle(0.1, 10, anneal_strategy="cosine"),
        lambda: schedules.OneCycle(0.1, 10, pct_start=0.6, three_phase=True),
        lambda: schedules.Scaled(0.1, -1.0),
        lambda: schedules.Warmup(0.1, 0),
        lambda: schedules.deserialize({"class_name": "CosineDecy", "config": {}}),
        lambda: schedules.deserialize(3),
    ],
)
def test_arguments_are_checked(make):
    with pytest.raises(ArgumentError):
        make()
