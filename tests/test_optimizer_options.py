"""What all optimizers take: clipping, decay, accumulation, averages, steps left out, rates."""

from __future__ import annotations

import json

import numpy as np
import pytest

from chainrule import ops, optimizers
from chainrule.errors import ArgumentError
from chainrule.executors.threads import num_threads, set_num_threads
from chainrule.graph import Variable, placeholder
from chainrule.layers import BatchNormalization, Dense, Input
from chainrule.models import Model, Sequential, load_model
from chainrule.optimizers import SGD, Adam
from chainrule.plan import make_plan
from chainrule.utils import set_random_seed
from peers import peer

SHAPES = [(4, 3), (3,), (3, 2)]
RANDOM = np.random.default_rng(17)
STARTS = [RANDOM.standard_normal(s) for s in SHAPES]
STARTS[1][:] = 0.0
STEPS = 24
GRADIENTS = [[RANDOM.standard_normal(s) * 3.0 for s in SHAPES] for _ in range(STEPS)]
NAMES = ["one.kernel", "one.bias", "two.kernel"]


def weights(dtype="float64"):
    pairs = zip(STARTS, NAMES, strict=True)
    return [Variable(w, name=name, dtype=dtype) for w, name in pairs]


def run(optimizer, gradients=GRADIENTS, dtype="float64"):
    """Return the weights after each step."""
    held, found = weights(dtype), []
    for step in gradients:
        optimizer.apply_gradients(zip([g.astype(dtype) for g in step], held, strict=True))
        found.append([w.numpy() for w in held])
    return found


def close(found, expected, **tolerance):
    for ours, theirs in zip(found, expected, strict=True):
        for a, b in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(a, b, **tolerance)


def same(found, expected):
    for ours, theirs in zip(found, expected, strict=True):
        for a, b in zip(ours, theirs, strict=True):
            np.testing.assert_array_equal(a, b)


KERAS_CASES = [
    {"weight_decay": 0.05},
    {"clipnorm": 2.0},
    {"clipvalue": 0.5},
    {"global_clipnorm": 1.5},
    {"global_clipnorm": 1e6},
    {"use_ema": True, "ema_momentum": 0.8},
    {"use_ema": True, "ema_momentum": 0.8, "ema_overwrite_frequency": 5},
    {"use_ema": True, "ema_overwrite_frequency": 1},
    {"gradient_accumulation_steps": 3},
    {"loss_scale_factor": 8.0},
    {"loss_scale_factor": 0.3, "clipnorm": 1.0},
    {"gradient_accumulation_steps": 4, "clipnorm": 1.0, "weight_decay": 0.1},
    {"global_clipnorm": 1.0, "weight_decay": 0.1, "use_ema": True},
]
RULES = [("SGD", {"learning_rate": 0.1, "momentum": 0.9}), ("Adam", {"learning_rate": 0.01})]


@pytest.mark.parametrize("rule", RULES, ids=["SGD", "Adam"])
@pytest.mark.parametrize("options", KERAS_CASES, ids=str)
def test_options_are_those_of_keras(rule, options):
    keras = peer("keras")
    name, arguments = rule
    theirs = getattr(keras.optimizers, name)(**arguments, **options)
    held = [keras.Variable(w.astype("float32")) for w in STARTS]
    expected = []
    for step in GRADIENTS:
        theirs.apply_gradients(zip([g.astype("float32") for g in step], held, strict=True))
        expected.append([np.array(w.value) for w in held])
    mine = getattr(optimizers, name)(**arguments, **options)
    close(run(mine, dtype="float32"), expected, rtol=2e-4, atol=2e-5)
    if "use_ema" in options:
        held_here = mine.built_variables()
        theirs.finalize_variable_values(held)
        mine.finalize_variable_values(held_here)
        close([held_here], [[np.array(w.value) for w in held]], rtol=2e-4, atol=2e-5)


def test_a_scaled_loss_saves_small_gradients():
    x, y = np.full((8, 3), 1e-24, "float32"), np.ones((8, 1), "float32")
    moved = []
    for options in ({}, {"loss_scale_factor": 2.0**40}):
        model = Sequential([Input((3,)), Dense(1, kernel_initializer="zeros", use_bias=False)])
        model.compile(SGD(1e30, **options), loss=lambda y, p: 1e-24 * ops.square(y - p))
        model.fit(x, y, epochs=1, batch_size=8, verbose=0)
        moved.append(float(np.abs(model.get_weights()[0]).max()))
    assert moved[0] == 0.0
    assert moved[1] == pytest.approx(2e-18, rel=1e-4)


def test_a_schedule_counts_batches_as_in_keras():
    keras = peer("keras")
    arguments = (0.1, 3, 0.5)
    rate = keras.optimizers.schedules.ExponentialDecay(*arguments)
    theirs = keras.optimizers.Adam(rate, gradient_accumulation_steps=4)
    held = [keras.Variable(w.astype("float32")) for w in STARTS]
    for step in GRADIENTS:
        theirs.apply_gradients(zip([g.astype("float32") for g in step], held, strict=True))
    schedule = optimizers.schedules.ExponentialDecay(*arguments)
    mine = Adam(schedule, gradient_accumulation_steps=4)
    found = run(mine, dtype="float32")[-1]
    close([found], [[np.array(w.value) for w in held]], rtol=2e-4, atol=2e-5)
    assert int(mine.iterations) == STEPS // 4 == int(theirs.iterations)


# The formulas in float64, over SGD with rate 0.1.


def sgd(change, decay=0.0):
    held, found = [w.copy() for w in STARTS], []
    for step in GRADIENTS:
        step = change([g.copy() for g in step], held)
        held = [w - 0.1 * decay * w - 0.1 * g for w, g in zip(held, step, strict=True)]
        found.append(held)
    return found


def unit(x):
    return np.sqrt((x**2).sum(axis=0, keepdims=True) if x.ndim > 1 else (x**2).sum())


def adaptive(step, held, most=0.3):
    lengths = [most * np.maximum(unit(w), 1e-3) for w in held]
    return [np.where(unit(g) > n, g * n / unit(g), g) for g, n in zip(step, lengths, strict=True)]


FORMULAS = [
    ({}, lambda step, held: step),
    ({"clipvalue": 1.0}, lambda step, held: [np.clip(g, -1, 1) for g in step]),
    (
        {"clipnorm": 2.0},
        lambda step, held: [g * min(1, 2 / np.sqrt((g**2).sum())) for g in step],
    ),
    (
        {"global_clipnorm": 2.0},
        lambda step, held: [g * min(1, 2 / np.sqrt(sum((h**2).sum() for h in step))) for g in step],
    ),
    ({"adaptive_clip": 0.3}, adaptive),
]


@pytest.mark.parametrize(("options", "change"), FORMULAS, ids=[str(o) for o, _ in FORMULAS])
@pytest.mark.parametrize("decay", [None, 0.2])
def test_options_are_their_formula(options, change, decay):
    close(run(SGD(0.1, weight_decay=decay, **options)), sgd(change, decay or 0.0), rtol=1e-12)


def test_adaptive_clipping_goes_by_units_of_any_kernel():
    w = Variable(RANDOM.standard_normal((3, 3, 2, 4)), name="w")
    g = RANDOM.standard_normal(w.shape)
    axes = (0, 1, 2)
    length = np.sqrt((g**2).sum(axes)), np.sqrt((w.numpy() ** 2).sum(axes))
    expected = w.numpy() - g * np.minimum(1.0, 0.05 * length[1] / length[0])
    SGD(1.0, adaptive_clip=0.05).apply_gradients([(g, w)])
    np.testing.assert_allclose(w.numpy(), expected, rtol=1e-12)


@pytest.mark.parametrize("option", ["clipnorm", "global_clipnorm", "adaptive_clip"])
def test_a_gradient_of_zero_or_short_enough_stays(option):
    w = Variable([3.0, 4.0], name="w", dtype="float64")
    optimizer = SGD(1.0, **{option: 1.0})
    optimizer.apply_gradients([(np.zeros(2), w)])
    assert w.numpy().tolist() == [3.0, 4.0]
    optimizer.apply_gradients([(np.array([0.6, 0.7]), w)])
    assert w.numpy().tolist() == [3.0 - 0.6, 4.0 - 0.7]


def test_decay_spares_what_is_excluded():
    zero = [[np.zeros(s) for s in SHAPES]]
    optimizer = SGD(0.5, weight_decay=0.5)
    optimizer.exclude_from_weight_decay(var_names=["bias", "^two"])
    found = run(optimizer, zero)[0]
    np.testing.assert_allclose(found[0], STARTS[0] * 0.75, rtol=1e-15)
    np.testing.assert_array_equal(found[2], STARTS[2])
    held = weights()
    optimizer = Adam(0.5, weight_decay=0.5)
    optimizer.exclude_from_weight_decay([held[0]])
    again = optimizers.get(json.loads(json.dumps(optimizers.serialize(optimizer))))
    for each in (optimizer, again):
        assert [each._decays(w) for w in held] == [False, True, True]
    with pytest.raises(ArgumentError, match="no regular expression"):
        optimizer.exclude_from_weight_decay(var_names=["("])


# Accumulation.


@pytest.mark.parametrize("make", [lambda **o: SGD(0.1, 0.9, **o), lambda **o: Adam(0.01, **o)])
@pytest.mark.parametrize("options", [{}, {"use_ema": True}, {"clipnorm": 1.0}], ids=str)
def test_accumulated_batches_are_one_of_their_mean(make, options):
    n = 4
    found = run(make(gradient_accumulation_steps=n, **options))
    means = []
    for i in range(0, STEPS, n):
        totals = [np.zeros(s) for s in SHAPES]
        for step in GRADIENTS[i : i + n]:
            totals = [a + b for a, b in zip(totals, step, strict=True)]
        means.append([t * (1 / n) for t in totals])
    same(found[n - 1 :: n], run(make(**options), means))
    for i in range(STEPS):
        if (i + 1) % n:
            same([found[i]], [found[i - 1] if i else STARTS])


def test_one_batch_is_no_accumulation():
    optimizer = SGD(0.1, gradient_accumulation_steps=1)
    same(run(optimizer), run(SGD(0.1)))
    assert len(optimizer.variables) == 2


# Batches left out.


def spoilt(bad, where=(1, 5, 6, 23)):
    steps = [[g.copy() for g in step] for step in GRADIENTS]
    for i in where:
        steps[i][i % 3].flat[-1] = bad
    return steps, [step for i, step in enumerate(steps) if i not in where]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(
    "make",
    [
        lambda **o: SGD(0.1, 0.9, **o),
        lambda **o: Adam(0.01, weight_decay=0.1, **o),
        lambda **o: Adam(0.01, gradient_accumulation_steps=3, **o),
        lambda **o: SGD(0.1, use_ema=True, ema_overwrite_frequency=2, **o),
        lambda **o: SGD(0.1, global_clipnorm=1.0, **o),
        lambda **o: SGD(optimizers.schedules.ExponentialDecay(0.1, 2, 0.5), **o),
    ],
)
def test_a_batch_left_out_is_as_if_it_had_not_been_there(make, bad):
    steps, good = spoilt(bad)
    one, other = make(skip_nonfinite=True), make()
    found, expected = run(one, steps), run(other, good)
    same([found[-1]], [expected[-1]])
    same([found[1]], [found[0]])
    assert one.skipped == 4 and other.skipped == 0
    ours = [v.numpy() for v in one.variables if v is not one._skipped]
    same([ours], [[v.numpy() for v in other.variables]])


def test_without_the_option_a_nan_spoils_the_weights():
    assert np.isnan(run(SGD(0.1), spoilt(np.nan)[0])[-1][0]).any()


def test_large_gradients_are_finite():
    w = Variable(np.zeros(100), name="w", dtype="float32")
    optimizer = SGD(2e-38, skip_nonfinite=True)
    optimizer.apply_gradients([(np.full(100, 3e38, "float32"), w)])
    assert optimizer.skipped == 0 and (w.numpy() < -5.9).all()


# In models.


X = np.random.default_rng(0).standard_normal((60, 4)).astype("float32")
Y = np.random.default_rng(1).standard_normal((60, 1)).astype("float32")


def network(optimizer, **of_second):
    rng = np.random.default_rng(3)
    model = Sequential([Input((4,)), Dense(5, "tanh"), Dense(1, **of_second)])
    model.set_weights([0.5 * rng.standard_normal(w.shape) for w in model.get_weights()])
    model.compile(optimizer, loss="mse")
    return model


def fit(model, epochs=2):
    history = model.fit(X, Y, batch_size=10, epochs=epochs, shuffle=False, verbose=0)
    return history.history


EVERY = {
    "weight_decay": 0.01,
    "global_clipnorm": 1.0,
    "use_ema": True,
    "ema_momentum": 0.9,
    "ema_overwrite_frequency": 4,
    "gradient_accumulation_steps": 2,
    "skip_nonfinite": True,
}


def large(rule):
    rng = np.random.default_rng(4)
    x = rng.standard_normal((512, 128)).astype("float32")
    model = Sequential([Input((128,)), Dense(512, "relu"), Dense(256, "relu"), Dense(4)])
    model.set_weights([0.1 * rng.standard_normal(w.shape) for w in model.get_weights()])
    model.compile(rule, loss="mse")
    model.fit(x, x[:, :4], batch_size=64, epochs=1, shuffle=False, verbose=0)
    return [*model.get_weights(), *(v.numpy() for v in model.optimizer.variables)]


@pytest.mark.parametrize("options", [EVERY, {"adaptive_clip": 0.01}, {"clipnorm": 0.1}], ids=str)
def test_same_bits_for_any_number_of_threads(options):
    found, usual = [], num_threads()
    schedule = optimizers.schedules.Warmup(optimizers.schedules.CosineDecay(0.01, 10), 3)
    for threads in (1, 3):
        set_num_threads(threads)
        try:
            found.append(large(Adam(schedule, **options)))
        finally:
            set_num_threads(usual)
    same([found[0]], [found[1]])


def test_fit_is_a_loop_by_hand():
    one, other = network(Adam(0.01, **EVERY)), network(Adam(0.01, **EVERY))
    fit(one, 1)
    for i in range(0, 60, 10):
        other.train_on_batch(X[i : i + 10], Y[i : i + 10])
    other.optimizer.finalize_variable_values(other.trainable_variables)
    same([one.get_weights()], [other.get_weights()])


def test_a_saved_model_goes_on_with_its_options(tmp_path):
    one = network(Adam(0.01, **EVERY))
    one.optimizer.exclude_from_weight_decay(var_names=["bias"])
    for i in range(0, 50, 10):  # in the middle of an accumulation
        one.train_on_batch(X[i : i + 10], Y[i : i + 10])
    one.save(tmp_path / "model")
    other = load_model(tmp_path / "model")
    assert other.optimizer.get_config() == one.optimizer.get_config()
    fit(one), fit(other)
    same([one.get_weights()], [other.get_weights()])
    ours, theirs = one.optimizer.variables, other.optimizer.variables
    same([[v.numpy() for v in ours]], [[v.numpy() for v in theirs]])


def test_fit_ends_with_the_averages():
    model = network(SGD(0.1, use_ema=True, ema_momentum=0.9))
    fit(model)
    averages = [model.optimizer._held(w)[0].numpy() for w in model.trainable_variables]
    same([model.get_weights()], [averages])


def test_skipped_batches_are_reported():
    model = network(SGD(0.1, skip_nonfinite=True))
    x = X.copy()
    x[[3, 33]] = 3e38
    history = model.fit(x, Y * 1e20, batch_size=10, epochs=1, shuffle=False, verbose=0).history
    assert history["skipped"][0] == model.optimizer.skipped >= 2
    assert all(np.isfinite(w).all() for w in model.get_weights())
    assert "skipped" not in fit(network(SGD(0.1)), 1)


def exponential(outputs, seed=2, **options):
    """A model that a sample can overflow, with running means, metrics and moments."""
    set_random_seed(seed)
    inputs = Input((3,))
    h = BatchNormalization()(Dense(4, activation="exponential")(inputs))
    model = Model(inputs, [Dense(1, name=f"out_{i}")(h) for i in range(outputs)])
    optimizer = Adam(0.01, skip_nonfinite=True, **options)
    measured = [["mae", "r2_score"]] * outputs
    model.compile(optimizer, ["mse"] * outputs, metrics=measured, weighted_metrics=measured)
    return model


@pytest.mark.parametrize("options", [{}, {"gradient_accumulation_steps": 2}])
@pytest.mark.parametrize("outputs", [1, 2])
def test_running_means_and_metrics_do_not_see_a_batch_left_out(outputs, options):
    random = np.random.default_rng(0)
    x, y = random.standard_normal((40, 3)).astype("float32"), random.standard_normal((40, 1))
    with_it, without = (exponential(outputs, **options) for _ in range(2))
    bad = x.copy()
    bad[13] = 1000 * np.sign(with_it.get_weights()[0][:, 0])
    rest = np.r_[0:8, 16:40]
    given = {"batch_size": 8, "shuffle": False, "verbose": 0, "epochs": 2}
    found = with_it.fit(bad, [y] * outputs, **given).history
    assert found.pop("skipped") == [1, 2]
    expected = without.fit(x[rest], [y[rest]] * outputs, **given).history
    assert {**found, "skipped": [0, 0]} == expected and np.isfinite(found["loss"]).all()
    same([with_it.get_weights()], [without.get_weights()])
    ours, theirs = ([v.numpy() for v in m.optimizer.variables] for m in (with_it, without))
    counts = len(with_it.optimizer.step_counts)
    same([ours[counts:]], [theirs[counts:]])


@pytest.mark.filterwarnings("ignore:not finite")
def test_an_epoch_of_which_nothing_is_left_has_no_numbers():
    model = exponential(1)
    x = np.full((16, 3), 1000.0) * np.sign(model.get_weights()[0][:, 0])
    history = model.fit(x, np.ones((16, 1)), batch_size=8, epochs=2, verbose=0).history
    assert history.pop("skipped") == [2, 4]
    assert len(history) == 5 and all(np.isnan(values).all() for values in history.values())
    assert all(np.isfinite(w).all() for w in model.get_weights())


def test_layers_have_rates_of_their_own():
    one = network(SGD(0.1, weight_decay=0.5), learning_rate_multiplier=0.25)
    whole, slow = network(SGD(0.1, weight_decay=0.5)), network(SGD(0.025, weight_decay=0.5))
    for model in (one, whole, slow):
        model.train_on_batch(X[:10], Y[:10])
    close([one.get_weights()[:2]], [whole.get_weights()[:2]], rtol=1e-6)
    close([one.get_weights()[2:]], [slow.get_weights()[2:]], rtol=1e-6)
    later = network("sgd")
    later.layers[-1].learning_rate_multiplier = 0.25
    later.compile(SGD(0.1, weight_decay=0.5), loss="mse")
    later.train_on_batch(X[:10], Y[:10])
    same([later.get_weights()], [one.get_weights()])


def test_a_rate_of_its_own_is_saved_and_may_be_nothing(tmp_path):
    model = network(Adam(0.1), learning_rate_multiplier=0.0)
    before = model.get_weights()
    model.save(tmp_path / "model")
    again = load_model(tmp_path / "model")
    again.train_on_batch(X[:10], Y[:10])
    same([again.get_weights()[2:]], [before[2:]])
    assert (again.get_weights()[0] != before[0]).any()
    model.learning_rate_multiplier = 0.5
    assert [w.rate_multiplier for w in model.trainable_variables] == [0.5] * 4
    with pytest.raises(ArgumentError, match="learning_rate_multiplier"):
        model.layers[-1].learning_rate_multiplier = -1.0


def test_options_that_are_not_set_cost_nothing():
    held = weights("float32")
    gradients = [placeholder(w.shape, "float32", "g") for w in held]
    optimizer = SGD(0.1)
    plan = make_plan([], optimizer.updates(gradients, held))
    calls = [c.name for phase in plan.phases for loop in phase for c in loop.calls]
    assert sorted(calls) == ["cast", "offset", *["sgd_update"] * len(held)]
    assert optimizer.variables == [optimizer.iterations, optimizer.learning_rate]


def test_a_failed_fit_begins_slots_again():
    w = Variable([2.0, 3.0], name="w", dtype="float64")
    optimizer = Adam(0.1, use_ema=True, gradient_accumulation_steps=2)
    known = {id(v) for v in optimizer.variables}
    optimizer.apply_gradients([(np.ones(2), w)])
    optimizer.restart(known)
    held = dict(zip([v.name for v in optimizer.variables], optimizer.variables, strict=True))
    assert held["w/average"].numpy().tolist() == [2.0, 3.0]
    assert not held["w/accumulated_gradient"].numpy().any()


CONFIGURED = [
    {"weight_decay": 0.1, "clipvalue": 0.5, "skip_nonfinite": True},
    {"adaptive_clip": 0.01, "gradient_accumulation_steps": 7},
    {"use_ema": True, "ema_momentum": 0.5, "ema_overwrite_frequency": 10},
]


RULES_WITH_OPTIONS = sorted(optimizers.NAMES.keys() - {"lbfgs"})


@pytest.mark.parametrize("options", CONFIGURED, ids=str)
@pytest.mark.parametrize("name", RULES_WITH_OPTIONS)
def test_every_optimizer_takes_and_keeps_them(name, options):
    optimizer = optimizers.NAMES[name](**options)
    assert options.items() <= optimizer.get_config().items()
    again = optimizers.get(json.loads(json.dumps(optimizers.serialize(optimizer))))
    assert again.get_config() == optimizer.get_config()


@pytest.mark.parametrize("name", RULES_WITH_OPTIONS)
def test_every_optimizer_runs_with_them(name):
    found = run(optimizers.NAMES[name](weight_decay=0.01, clipnorm=1.0, skip_nonfinite=True))
    assert all(np.isfinite(w).all() for w in found[-1])
    assert any((a != b).any() for a, b in zip(found[-1], STARTS, strict=True))


@pytest.mark.parametrize(
    "options",
    [
        {"weight_decay": -0.1},
        {"weight_decay": "0.1"},
        {"clipnorm": 0.0},
        {"clipvalue": -1.0},
        {"global_clipnorm": float("nan")},
        {"adaptive_clip": 0},
        {"clipnorm": 1.0, "clipvalue": 1.0},
        {"global_clipnorm": 1.0, "adaptive_clip": 0.1},
        {"ema_momentum": 1.5},
        {"ema_overwrite_frequency": 0},
        {"gradient_accumulation_steps": 0},
        {"gradient_accumulation_steps": 2.5},
        {"weight_decai": 0.1},
    ],
    ids=str,
)
def test_arguments_are_checked(options):
    with pytest.raises(ArgumentError):
        SGD(0.1, **options)


def test_an_unknown_option_names_the_nearest():
    with pytest.raises(ArgumentError, match="did you mean 'clipnorm'"):
        SGD(0.1, clip_norm=1.0)


def test_constraints_hold_after_the_step():
    w = Variable([1.0, -1.0], name="w", dtype="float64")
    w.constraint = lambda v: ops.maximum(v, 0.0)
    SGD(0.1, skip_nonfinite=True).apply_gradients([(np.zeros(2), w)])
    assert w.numpy().tolist() == [1.0, 0.0]
