"""Optimizers: the first steps are the paper's formula, and those of PyTorch and Keras."""

from __future__ import annotations

import json
from collections.abc import Iterator

import numpy as np
import pytest

from chainrule import ops, optimizers
from chainrule.errors import ArgumentError, GraphError, ShapeError
from chainrule.graph import Variable, gradient, ordered
from chainrule.optimizers import SGD, Adam
from peers import peer

RANDOM = np.random.default_rng(7)
START = RANDOM.standard_normal((4, 3))
GRADIENTS = [RANDOM.standard_normal((4, 3)) * 2.0**-i for i in range(6)]
GRADIENTS[3][0] = 0.0


def sgd(w, rate, momentum=0.0, nesterov=False) -> Iterator[np.ndarray]:
    v = np.zeros_like(w)
    for g in GRADIENTS:
        v = momentum * v - rate * g
        w = w + (momentum * v - rate * g if nesterov and momentum else v)
        yield w


def adam(w, rate, beta_1=0.9, beta_2=0.999, epsilon=1e-7) -> Iterator[np.ndarray]:
    m, v = np.zeros_like(w), np.zeros_like(w)
    for t, g in enumerate(GRADIENTS, 1):
        m = beta_1 * m + (1 - beta_1) * g
        v = beta_2 * v + (1 - beta_2) * g**2
        rate_t = rate * np.sqrt(1 - beta_2**t) / (1 - beta_1**t)
        w = w - rate_t * m / (np.sqrt(v) + epsilon)
        yield w


# class, arguments, the formula
CASES = [
    ("SGD", {"learning_rate": 0.1}, sgd),
    ("SGD", {"learning_rate": 0.1, "nesterov": True}, sgd),
    ("SGD", {"learning_rate": 0.1, "momentum": 0.9}, sgd),
    ("SGD", {"learning_rate": 0.1, "momentum": 0.9, "nesterov": True}, sgd),
    ("Adam", {"learning_rate": 0.001}, adam),
    ("Adam", {"learning_rate": 0.1, "beta_1": 0.5, "beta_2": 0.9, "epsilon": 1e-3}, adam),
    ("Adam", {"learning_rate": 0.1, "beta_1": 0.0, "beta_2": 0.0}, adam),
]
IDS = [f"{name}-{i}" for i, (name, *_) in enumerate(CASES)]


def steps(optimizer, dtype="float64") -> Iterator[np.ndarray]:
    w = Variable(START, dtype=dtype, name="w")
    for g in GRADIENTS:
        optimizer.apply_gradients([(g.astype(dtype), w)])
        yield w.numpy()


@pytest.mark.parametrize("case", CASES, ids=IDS)
@pytest.mark.parametrize(("dtype", "error"), [("float64", 1e-13), ("float32", 5e-6)])
def test_first_steps_are_the_formula(case, dtype, error):
    name, arguments, formula = case
    rate = {"rate": arguments["learning_rate"]}
    rest = {k: v for k, v in arguments.items() if k != "learning_rate"}
    mine = steps(getattr(optimizers, name)(**arguments), dtype)
    for a, b in zip(mine, formula(START, **rate, **rest), strict=True):
        np.testing.assert_allclose(a, b, rtol=error, atol=error)


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_steps_are_those_of_keras(case):
    name, arguments, _ = case
    keras = peer("keras")
    theirs = getattr(keras.optimizers, name)(**arguments)
    w = keras.Variable(START.astype("float32"))
    for g, mine in zip(GRADIENTS, steps(getattr(optimizers, name)(**arguments)), strict=True):
        theirs.apply_gradients([(g.astype("float32"), w)])
        np.testing.assert_allclose(np.asarray(w), mine, rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize("nesterov", [False, True])
def test_momentum_is_that_of_torch(nesterov):
    torch = peer("torch")
    w = torch.nn.Parameter(torch.from_numpy(START.copy()))
    theirs = torch.optim.SGD([w], lr=0.05, momentum=0.8, nesterov=nesterov)
    for g, mine in zip(GRADIENTS, steps(SGD(0.05, 0.8, nesterov)), strict=True):
        w.grad = torch.from_numpy(g.copy())
        theirs.step()
        np.testing.assert_allclose(w.detach().numpy(), mine, rtol=1e-13)


def test_adam_is_that_of_torch_where_epsilon_does_not_matter():
    torch = peer("torch")
    w = torch.nn.Parameter(torch.from_numpy(START.copy()))
    theirs = torch.optim.Adam([w], lr=0.05, eps=1e-30)
    for g, mine in zip(GRADIENTS, steps(Adam(0.05, epsilon=1e-30)), strict=True):
        w.grad = torch.from_numpy(g.copy())
        theirs.step()
        np.testing.assert_allclose(w.detach().numpy(), mine, rtol=1e-12)


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_gradients_are_not_modified(case):
    name, arguments, _ = case
    optimizer = getattr(optimizers, name)(**arguments)
    w, held = Variable(START, name="w"), Variable(GRADIENTS[0], name="g")
    given = GRADIENTS[0].copy()
    optimizer.apply_gradients([(held.leaf, w)])
    optimizer.apply_gradients([(given, w)])
    np.testing.assert_array_equal(held.numpy(), GRADIENTS[0])
    np.testing.assert_array_equal(given, GRADIENTS[0])


def test_a_step_reads_everything_before_it_writes():
    a, b = Variable([1.0], name="a", dtype="float64"), Variable([2.0], name="b", dtype="float64")
    loss = ops.sum(a * b)
    SGD(1.0).apply_gradients(zip(gradient(loss, [a, b]), [a, b], strict=True))
    assert (a.numpy(), b.numpy()) == ([-1.0], [1.0])


def test_updates_are_values_and_change_nothing():
    optimizer, w = Adam(), Variable(START, name="w")
    assigns = optimizer.updates([w.leaf], [w])
    assert [v for v, _ in assigns] == [w, *optimizer.variables[2:], optimizer.iterations]
    assert all((v.shape, v.dtype) == (new.shape, new.dtype) for v, new in assigns)
    assert "adam_update" in {node.op.name for node in ordered([new for _, new in assigns])}
    assert int(optimizer.iterations) == 0
    np.testing.assert_array_equal(w.numpy(), START)


def test_iterations_count():
    optimizer = SGD()
    list(steps(optimizer))
    assert int(optimizer.iterations) == len(GRADIENTS)
    assert optimizer.iterations.dtype == "int64"


def test_the_rate_can_be_set_between_steps():
    optimizer, w = SGD(1.0), Variable([0.0], dtype="float64")
    optimizer.apply_gradients([(np.array([1.0]), w)])
    optimizer.learning_rate = 0.25
    optimizer.apply_gradients([(np.array([1.0]), w)])
    optimizer.learning_rate.assign(0.5)
    optimizer.apply_gradients([(np.array([1.0]), w)])
    assert w.numpy() == [-1.75]
    assert optimizer.get_config()["learning_rate"] == 0.5
    for wrong in (-1.0, float("nan"), float("inf"), "fast", None, lambda step: step):
        with pytest.raises(ArgumentError):
            optimizer.learning_rate = wrong


def test_a_function_of_the_step_is_a_schedule():
    optimizer, w = SGD(lambda step: 1.0 / (step + 1)), Variable([0.0], dtype="float64")
    for _ in range(3):
        optimizer.apply_gradients([(np.array([1.0]), w)])
    np.testing.assert_allclose(w.numpy(), -(1 + 1 / 2 + 1 / 3))
    with pytest.raises(ArgumentError, match="schedule"):
        optimizer.learning_rate = 0.1
    assert [v.name for v in optimizer.variables] == ["iterations"]


def test_slots_stay_when_other_variables_come():
    a, b = Variable(START, name="a"), Variable(START.astype("float32"), name="b")
    optimizer = Adam()
    optimizer.apply_gradients([(GRADIENTS[0], a)])
    kept = [v.numpy() for v in optimizer.variables]
    optimizer.build([b, a])
    optimizer.build([a])
    names = [v.name for v in optimizer.variables]
    assert names == ["iterations", "learning_rate", "a/m", "a/v", "b/m", "b/v"]
    assert optimizer.variables[-1].dtype == "float32"
    for variable, value in zip(optimizer.variables, kept, strict=False):
        np.testing.assert_array_equal(variable.numpy(), value)
    optimizer.apply_gradients([(GRADIENTS[1], a), (GRADIENTS[1].astype("float32"), b)])


def test_a_variable_without_gradient_stays():
    a, b = Variable(START, name="a"), Variable(START, name="b")
    Adam().apply_gradients([(None, a), (GRADIENTS[0], b)])
    np.testing.assert_array_equal(a.numpy(), START)
    assert (b.numpy() != START).any()


def test_gradients_must_fit():
    w = Variable(START, name="w")
    with pytest.raises(ShapeError, match=r"(?s)'w'.*gradient : \[3\].*variable : \[4, 3\]"):
        SGD().apply_gradients([(np.zeros(3), w)])
    with pytest.raises(GraphError, match="1 gradients for 2 variables"):
        SGD().updates([w.leaf], [w, w])


@pytest.mark.parametrize(
    "make",
    [
        lambda: SGD(-0.1),
        lambda: SGD("0.1 or so"),
        lambda: SGD(momentum=-0.1),
        lambda: SGD(momentum=1.0),
        lambda: Adam(float("nan")),
        lambda: Adam(beta_1=1.0),
        lambda: Adam(beta_2=-0.5),
        lambda: Adam(beta_2="0.9"),
        lambda: Adam(epsilon=-1e-7),
        lambda: optimizers.get(3),
        lambda: optimizers.get({"class_name": "Adamm", "config": {}}),
    ],
)
def test_arguments_are_checked(make):
    with pytest.raises(ArgumentError):
        make()


def test_get():
    for name in ("adam", "Adam", "ADAM"):
        assert isinstance(optimizers.get(name), Adam)
    assert isinstance(optimizers.get(SGD), SGD)
    optimizer = SGD()
    assert optimizers.get(optimizer) is optimizer
    with pytest.raises(ArgumentError, match="unknown optimizer 'adamm'; did you mean 'adam'"):
        optimizers.get("adamm")


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_configuration_makes_the_same_optimizer(case):
    name, arguments, _ = case
    optimizer = getattr(optimizers, name)(name="mine", **arguments)
    again = optimizers.get(json.loads(json.dumps(optimizers.serialize(optimizer))))
    assert type(again) is type(optimizer)
    assert again.get_config() == optimizer.get_config()
    assert {**arguments, "name": "mine"}.items() <= again.get_config().items()
