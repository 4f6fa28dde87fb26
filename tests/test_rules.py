"""The optimizers' rules: 100 steps are the paper's formula in float64, and those of PyTorch and
Keras; where these two differ from each other stands beside the case."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from chainrule import layers, ops, optimizers
from chainrule.errors import ArgumentError, ShapeError
from chainrule.graph import Variable
from chainrule.models import Sequential, load_model
from chainrule.ops import update
from chainrule.optimizers import Optimizer
from peers import peer

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

STEPS = 100
SHAPE = (4, 3)
Gradient = Callable[[np.ndarray, int], np.ndarray]
Steps = Iterator[np.ndarray]


def problem(shape: tuple[int, ...]) -> tuple[np.ndarray, Gradient]:
    """Return where the weights begin, and the gradient of a noisy quadratic at step t from 1."""
    rng = np.random.default_rng(5)
    start, target = rng.standard_normal(shape), rng.standard_normal(shape)
    curvature, noise = rng.uniform(0.2, 2.0, shape), rng.standard_normal((STEPS, *shape))
    return start, lambda w, t: curvature * (w - target) + 0.3 * noise[t - 1]


# The formulas of the papers, one step a turn.


def sgd(w, gradient, learning_rate, momentum=0.0, nesterov=False) -> Steps:
    v = np.zeros_like(w)
    for t in range(1, STEPS + 1):
        g = gradient(w, t)
        v = momentum * v - learning_rate * g
        w = w + (momentum * v - learning_rate * g if nesterov and momentum else v)
        yield w


def adam(
    w, gradient, learning_rate, beta_1=0.9, beta_2=0.999, epsilon=1e-7, amsgrad=False,
    weight_decay=0.0,
) -> Steps:  # fmt: skip
    m, v, largest = np.zeros_like(w), np.zeros_like(w), np.zeros_like(w)
    for t in range(1, STEPS + 1):
        g = gradient(w, t)
        m = beta_1 * m + (1 - beta_1) * g
        v = beta_2 * v + (1 - beta_2) * g**2
        largest = np.maximum(largest, v)
        rate = learning_rate * np.sqrt(1 - beta_2**t) / (1 - beta_1**t)
        w = w - learning_rate * weight_decay * w
        w = w - rate * m / (np.sqrt(largest if amsgrad else v) + epsilon)
        yield w


def adamax(w, gradient, learning_rate, beta_1=0.9, beta_2=0.999, epsilon=1e-7) -> Steps:
    m, u = np.zeros_like(w), np.zeros_like(w)
    for t in range(1, STEPS + 1):
        g = gradient(w, t)
        m = beta_1 * m + (1 - beta_1) * g
        u = np.maximum(beta_2 * u, np.abs(g))
        w = w - learning_rate / (1 - beta_1**t) * m / (u + epsilon)
        yield w


def nadam(w, gradient, learning_rate, beta_1=0.9, beta_2=0.999, epsilon=1e-7) -> Steps:
    m, v = np.zeros_like(w), np.zeros_like(w)
    mu = [beta_1 * (1 - 0.5 * 0.96**t) for t in range(STEPS + 2)]
    for t in range(1, STEPS + 1):
        g = gradient(w, t)
        m = beta_1 * m + (1 - beta_1) * g
        v = beta_2 * v + (1 - beta_2) * g**2
        to_now, to_next = np.prod(mu[1 : t + 1]), np.prod(mu[1 : t + 2])
        ahead = mu[t + 1] * m / (1 - to_next) + (1 - mu[t]) * g / (1 - to_now)
        w = w - learning_rate * ahead / (np.sqrt(v / (1 - beta_2**t)) + epsilon)
        yield w


def lion(w, gradient, learning_rate, beta_1=0.9, beta_2=0.99, weight_decay=0.0) -> Steps:
    m = np.zeros_like(w)
    for t in range(1, STEPS + 1):
        g = gradient(w, t)
        w = w - learning_rate * weight_decay * w
        w = w - learning_rate * np.sign(beta_1 * m + (1 - beta_1) * g)
        m = beta_2 * m + (1 - beta_2) * g
        yield w


def rmsprop(
    w, gradient, learning_rate, rho=0.9, momentum=0.0, epsilon=1e-7, centered=False
) -> Steps:
    v, mean, moved = np.zeros_like(w), np.zeros_like(w), np.zeros_like(w)
    for t in range(1, STEPS + 1):
        g = gradient(w, t)
        v = rho * v + (1 - rho) * g**2
        mean = rho * mean + (1 - rho) * g
        spread = v - mean**2 if centered else v
        moved = momentum * moved + learning_rate * g / np.sqrt(spread + epsilon)
        w = w - moved
        yield w


def adagrad(w, gradient, learning_rate, initial_accumulator_value=0.1, epsilon=1e-7) -> Steps:
    total = np.full_like(w, initial_accumulator_value)
    for t in range(1, STEPS + 1):
        g = gradient(w, t)
        total = total + g**2
        w = w - learning_rate * g / np.sqrt(total + epsilon)
        yield w


def adadelta(w, gradient, learning_rate, rho=0.95, epsilon=1e-7) -> Steps:
    v, x = np.zeros_like(w), np.zeros_like(w)
    for t in range(1, STEPS + 1):
        g = gradient(w, t)
        v = rho * v + (1 - rho) * g**2
        step = -np.sqrt(x + epsilon) / np.sqrt(v + epsilon) * g
        x = rho * x + (1 - rho) * step**2
        w = w + learning_rate * step
        yield w


def rprop(w, gradient, learning_rate=0.01, etas=(0.5, 1.2), step_sizes=(1e-6, 50)) -> Steps:
    before, size = np.zeros_like(w), np.full_like(w, learning_rate)
    for t in range(1, STEPS + 1):
        g = gradient(w, t)
        agreement = np.sign(g * before)
        factor = np.choose((agreement + 1).astype(int), [etas[0], 1.0, etas[1]])
        size = np.clip(size * factor, *step_sizes)
        before = np.where(agreement < 0, 0.0, g)
        w = w - np.sign(before) * size
        yield w


def lamb(w, gradient, learning_rate, beta_1=0.9, beta_2=0.999, epsilon=1e-7) -> Steps:
    m, v = np.zeros_like(w), np.zeros_like(w)
    for t in range(1, STEPS + 1):
        g = gradient(w, t)
        m = beta_1 * m + (1 - beta_1) * g
        v = beta_2 * v + (1 - beta_2) * g**2
        d = m / (1 - beta_1**t) / (np.sqrt(v / (1 - beta_2**t)) + epsilon)
        of_w, of_d = np.linalg.norm(w), np.linalg.norm(d)
        w = w - learning_rate * (of_w / of_d if of_w > 0 and of_d > 0 else 1.0) * d
        yield w


def adafactor(
    w, gradient, learning_rate, beta_2_decay=-0.8, epsilon_1=1e-30, epsilon_2=1e-3,
    clip_threshold=1.0, relative_step=True,
) -> Steps:  # fmt: skip
    def rms(x):
        return np.sqrt(np.mean(x**2))

    r = c = v = 0.0
    for t in range(1, STEPS + 1):
        g = gradient(w, t)
        rate = min(learning_rate, 1 / np.sqrt(t)) if relative_step else learning_rate
        beta = 1 - t**beta_2_decay
        if w.ndim < 2:
            v = beta * v + (1 - beta) * (g**2 + epsilon_1)
        else:
            r = beta * r + (1 - beta) * np.mean(g**2 + epsilon_1, axis=-1)
            c = beta * c + (1 - beta) * np.mean(g**2 + epsilon_1, axis=-2)
            v = (r / np.mean(r, axis=-1, keepdims=True))[..., None] * c[..., None, :]
        u = g / np.sqrt(v)
        u = u / max(1.0, rms(u) / clip_threshold)
        w = w - max(epsilon_2, rms(w)) * rate * u
        yield w


@dataclass(frozen=True)
class Case:
    """A rule with arguments; its formula; the name and arguments under which PyTorch has it."""

    name: str
    arguments: dict[str, Any]
    formula: Callable[..., Steps]
    torch: tuple[str, dict[str, Any]] | None = None
    keras: bool = True
    shape: tuple[int, ...] = SHAPE
    operation: str = ""

    def __str__(self) -> str:
        marks = [k for k, v in self.arguments.items() if v is True or k == "momentum"]
        return "-".join([self.name, *marks, "x".join(map(str, self.shape))])

    def make(self, **options: Any) -> Optimizer:
        made: Optimizer = getattr(optimizers, self.name)(**self.arguments, **options)
        return made


# An epsilon that does not matter: PyTorch adds it to the root, Keras and the paper under it (or,
# for Adam and Adamax, before the correction of the bias).
NONE = {"epsilon": 1e-30}
MOMENTA = {"beta_1": 0.8, "beta_2": 0.95}
BETAS = {"betas": (0.8, 0.95), "eps": 1e-30}

CASES = [
    Case("SGD", {"learning_rate": 0.1}, sgd, ("SGD", {}), operation="sgd"),
    Case(
        "SGD",
        {"learning_rate": 0.05, "momentum": 0.9},
        sgd,
        ("SGD", {"momentum": 0.9}),
        operation="momentum",
    ),
    Case(
        "SGD",
        {"learning_rate": 0.05, "momentum": 0.9, "nesterov": True},
        sgd,
        ("SGD", {"momentum": 0.9, "nesterov": True}),
        operation="momentum",
    ),
    Case("SGD", {"learning_rate": 0.1, "nesterov": True}, sgd, operation="sgd"),
    Case("Adam", {"learning_rate": 0.05}, adam, operation="adam"),
    Case("Adam", {"learning_rate": 0.05, "beta_1": 0.5, "beta_2": 0.9, "epsilon": 1e-3}, adam),
    Case("Adam", {"learning_rate": 0.01, "beta_1": 0.0, "beta_2": 0.0}, adam),
    Case("Adam", {"learning_rate": 0.05, **MOMENTA, **NONE}, adam, ("Adam", BETAS)),
    Case("Adam", {"learning_rate": 0.05, "amsgrad": True}, adam, operation="amsgrad"),
    Case(
        "Adam",
        {"learning_rate": 0.05, "amsgrad": True, **MOMENTA, **NONE},
        adam,
        ("Adam", {"amsgrad": True, **BETAS}),
    ),
    Case(
        "AdamW",
        {"learning_rate": 0.05, "weight_decay": 0.1, **MOMENTA, **NONE},
        adam,
        ("AdamW", {"weight_decay": 0.1, **BETAS}),
        operation="adam",
    ),
    Case("Adamax", {"learning_rate": 0.05}, adamax, operation="adamax"),
    Case("Adamax", {"learning_rate": 0.05, **MOMENTA, **NONE}, adamax, ("Adamax", BETAS)),
    # The momentum of Keras falls by 0.96^t, that of PyTorch by 0.96^(0.004 t) unless asked.
    Case(
        "Nadam",
        {"learning_rate": 0.05, **MOMENTA},
        nadam,
        ("NAdam", {"betas": (0.8, 0.95), "eps": 1e-7, "momentum_decay": 1.0}),
        operation="nadam",
    ),
    Case("Lion", {"learning_rate": 0.01}, lion, operation="lion"),
    Case("Lion", {"learning_rate": 0.01, "weight_decay": 0.1, **MOMENTA}, lion),
    Case("RMSprop", {"learning_rate": 0.01}, rmsprop, operation="rmsprop"),
    Case(
        "RMSprop",
        {"learning_rate": 0.01, "rho": 0.8, **NONE},
        rmsprop,
        ("RMSprop", {"alpha": 0.8, "eps": 1e-30}),
    ),
    Case(
        "RMSprop",
        {"learning_rate": 0.01, "momentum": 0.9, **NONE},
        rmsprop,
        ("RMSprop", {"alpha": 0.9, "momentum": 0.9, "eps": 1e-30}),
        operation="rmsprop_momentum",
    ),
    Case(
        "RMSprop",
        {"learning_rate": 0.01, "centered": True, **NONE},
        rmsprop,
        ("RMSprop", {"alpha": 0.9, "centered": True, "eps": 1e-30}),
        operation="centered_rmsprop",
    ),
    Case(
        "RMSprop",
        {"learning_rate": 0.01, "momentum": 0.5, "centered": True, "epsilon": 1e-3},
        rmsprop,
        operation="centered_rmsprop_momentum",
    ),
    Case("Adagrad", {"learning_rate": 0.1}, adagrad, operation="adagrad"),
    Case(
        "Adagrad",
        {"learning_rate": 0.1, "initial_accumulator_value": 0.5, **NONE},
        adagrad,
        ("Adagrad", {"initial_accumulator_value": 0.5, "eps": 1e-30}),
    ),
    Case(
        "Adadelta",
        {"learning_rate": 1.0, "rho": 0.9, "epsilon": 1e-6},
        adadelta,
        ("Adadelta", {"rho": 0.9, "eps": 1e-6}),
        operation="adadelta",
    ),
    Case("Rprop", {}, rprop, ("Rprop", {}), keras=False, operation="rprop"),
    Case(
        "Rprop",
        {"learning_rate": 0.1, "etas": (0.4, 1.5), "step_sizes": (1e-2, 0.2)},
        rprop,
        ("Rprop", {"etas": (0.4, 1.5), "step_sizes": (1e-2, 0.2)}),
        keras=False,
    ),
    Case("Lamb", {"learning_rate": 0.05}, lamb, operation="sgd"),
    Case("Lamb", {"learning_rate": 0.05, **MOMENTA}, lamb, shape=(3,)),
    Case("Adafactor", {"learning_rate": 0.05}, adafactor, ("Adafactor", {}), operation="sgd"),
    Case("Adafactor", {"learning_rate": 0.5}, adafactor, ("Adafactor", {}), shape=(3,)),
    Case("Adafactor", {"learning_rate": 0.05, "clip_threshold": 0.5}, adafactor, shape=(2, 3, 4)),
    Case("Adafactor", {"learning_rate": 0.05}, adafactor, shape=()),
    # Keras bounds the rate by 1 / sqrt(t) all the same.
    Case("Adafactor", {"learning_rate": 0.5, "relative_step": False}, adafactor, keras=False),
]
IDS = [f"{case}-{i}" for i, case in enumerate(CASES)]
every_case = pytest.mark.parametrize("case", CASES, ids=IDS)


def steps(case: Case, dtype: str = "float64") -> Steps:
    start, gradient = problem(case.shape)
    optimizer, w = case.make(), Variable(start, dtype=dtype, name="w")
    for t in range(1, STEPS + 1):
        g = gradient(w.numpy().astype("float64"), t)
        optimizer.apply_gradients([(g.astype(dtype), w)])
        yield w.numpy()


@every_case
def test_100_steps_are_the_formula(case):
    formula = case.formula(*problem(case.shape), **case.arguments)
    for mine, expected in zip(steps(case), formula, strict=True):
        np.testing.assert_allclose(mine, expected, rtol=1e-9, atol=1e-10)


# Without a mean of squares Adam's step is the sign of the gradient, which rounding can turn.
ROUNDABLE = [c for c in CASES if c.arguments.get("beta_2") != 0.0]


@pytest.mark.parametrize("case", ROUNDABLE, ids=str)
def test_steps_in_float32_are_the_formula_within_rounding(case):
    expected = case.formula(*problem(case.shape), **case.arguments)
    for mine, wanted in zip(steps(case, "float32"), expected, strict=True):
        assert mine.dtype == "float32"
        np.testing.assert_allclose(mine, wanted, rtol=2e-4, atol=2e-4)


@pytest.mark.parametrize("case", [c for c in CASES if c.torch], ids=str)
def test_100_steps_are_those_of_torch(case):
    torch = peer("torch")
    start, gradient = problem(case.shape)
    w = torch.nn.Parameter(torch.from_numpy(np.array(start)))
    name, arguments = case.torch
    rate = case.arguments.get("learning_rate", 0.01)
    theirs = getattr(torch.optim, name)([w], lr=rate, **arguments)
    for t, mine in enumerate(steps(case), 1):
        w.grad = torch.from_numpy(gradient(w.detach().numpy(), t))
        theirs.step()
        error = 1e-6 if name == "NAdam" else 1e-8  # which keeps its product in float32
        np.testing.assert_allclose(w.detach().numpy(), mine, rtol=error, atol=error)


@pytest.mark.parametrize("case", [c for c in ROUNDABLE if c.keras], ids=str)
def test_100_steps_are_those_of_keras(case):
    keras = peer("keras")
    start, gradient = problem(case.shape)
    theirs = getattr(keras.optimizers, case.name)(**case.arguments)
    w = keras.Variable(start.astype("float32"))
    for t, mine in enumerate(steps(case, "float32"), 1):
        g = gradient(np.asarray(w).astype("float64"), t)
        theirs.apply_gradients([(g.astype("float32"), w)])
        np.testing.assert_allclose(np.asarray(w), mine, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("case", [c for c in CASES if c.operation], ids=str)
def test_a_step_is_one_pass_over_the_weights(case):
    w = Variable(np.ones(SHAPE), name="w")
    assigns = case.make().updates([Variable(np.ones(SHAPE)).leaf], [w])
    written = {variable.name: value.node.op.name for variable, value in assigns}
    assert written["w"] == f"{case.operation}_update"
    if case.operation != "sgd":
        arrays = {v.name for v, value in assigns if value.shape == SHAPE}
        assert {written[name] for name in arrays} == {written["w"]}


# A small network, trained by the compiled loop.

RANDOM = np.random.default_rng(3)
X = RANDOM.standard_normal((STEPS * 8, 5)).astype("float32")
Y = RANDOM.standard_normal((len(X), 2)).astype("float32")
WEIGHTS = [
    (RANDOM.standard_normal(shape) * 0.5).astype("float32")
    for shape in ((5, 6), (6,), (6, 2), (2,))
]


def network(optimizer: Optimizer) -> Sequential:
    model = Sequential([layers.Input((5,)), layers.Dense(6, activation="tanh"), layers.Dense(2)])
    model.set_weights(WEIGHTS)
    model.compile(optimizer, "mse")
    return model


def torch_weights(case: Case) -> list[np.ndarray]:
    torch = peer("torch")
    w1, b1, w2, b2 = weights = [
        torch.nn.Parameter(torch.from_numpy(w.astype("float64"))) for w in WEIGHTS
    ]
    name, arguments = case.torch
    rate = case.arguments.get("learning_rate", 0.01)
    theirs = getattr(torch.optim, name)(weights, lr=rate, **arguments)
    for i in range(0, len(X), 8):
        x, y = (torch.from_numpy(a[i : i + 8].astype("float64")) for a in (X, Y))
        theirs.zero_grad()
        ((torch.tanh(x @ w1 + b1) @ w2 + b2 - y) ** 2).mean().backward()
        theirs.step()
    return [w.detach().numpy() for w in weights]


# Rprop's signs flip where a gradient is a rounding error away from 0.
IN_TORCH = [c for c in CASES if c.torch and c.name != "Rprop" and c.shape == SHAPE]


@pytest.mark.parametrize("case", IN_TORCH, ids=str)
def test_100_steps_of_a_network_are_those_of_torch(case):
    model = network(case.make())
    model.fit(X, Y, batch_size=8, shuffle=False, verbose=0)
    for mine, theirs in zip(model.get_weights(), torch_weights(case), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=2e-3, atol=5e-4)


def test_100_steps_of_a_network_with_lamb_are_those_of_keras():
    keras = peer("keras")
    theirs = keras.Sequential(
        [keras.layers.Input((5,)), keras.layers.Dense(6, "tanh"), keras.layers.Dense(2)]
    )
    theirs.set_weights(WEIGHTS)
    theirs.compile(keras.optimizers.Lamb(0.01), "mse")
    mine = network(optimizers.Lamb(0.01))
    for model in (mine, theirs):
        model.fit(X, Y, batch_size=8, shuffle=False, verbose=0)
    for a, b in zip(mine.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-3)


def test_rprop_needs_few_full_batches():
    model = network(optimizers.Rprop())
    first = model.evaluate(X, Y, verbose=0)
    model.fit(X[:64], Y[:64], batch_size=64, epochs=100, verbose=0)
    assert model.evaluate(X[:64], Y[:64], verbose=0) < 0.6 * first


@every_case
def test_save_and_load_keep_the_state(case, tmp_path):
    model = network(case.make())
    model.fit(X[:64], Y[:64], batch_size=8, verbose=0)
    model.save(tmp_path / "model.chainrule")
    again = load_model(tmp_path / "model.chainrule")
    mine, theirs = model.optimizer, again.optimizer
    assert type(theirs) is type(mine)
    assert theirs.get_config() == mine.get_config()
    assert [v.name for v in theirs.variables] == [v.name for v in mine.variables]
    for a, b in zip(mine.variables, theirs.variables, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())
    for m in (model, again):
        m.fit(X[64:128], Y[64:128], batch_size=8, shuffle=False, verbose=0)
    for a, b in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@every_case
def test_configuration_makes_the_same_optimizer(case):
    optimizer = case.make(name="mine")
    again = optimizers.get(json.loads(json.dumps(optimizers.serialize(optimizer))))
    assert type(again) is type(optimizer)
    assert again.get_config() == optimizer.get_config()
    given = {k: list(v) if isinstance(v, tuple) else v for k, v in case.arguments.items()}
    assert {**given, "name": "mine"}.items() <= again.get_config().items()


@pytest.mark.parametrize("name", sorted({c.name for c in CASES} - {"Rprop"}))
def test_arguments_and_defaults_are_those_of_keras(name):
    keras = peer("keras")
    kind = getattr(optimizers, name)
    mine, theirs = kind().get_config(), getattr(keras.optimizers, name)().get_config()
    own = {k: v for k, v in mine.items() if k not in ("name", "learning_rate")}
    for key, value in own.items():
        if key in theirs:
            assert theirs[key] == value, key
    assert mine["learning_rate"] == pytest.approx(theirs["learning_rate"])
    rule = set(theirs) & {
        *("beta_1", "beta_2", "epsilon", "amsgrad", "rho", "momentum", "centered", "nesterov"),
        *("initial_accumulator_value", "beta_2_decay", "epsilon_1", "epsilon_2"),
        *("clip_threshold", "relative_step"),
    }
    assert rule <= set(own)
    assert optimizers.get(name.lower()).name == name.lower()


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("Adam", {"epsilon": -1e-7}),
        ("Adam", {"epsilon": float("nan")}),
        ("Adam", {"beta_1": 1.0}),
        ("AdamW", {"weight_decay": None}),
        ("AdamW", {"weight_decay": -0.1}),
        ("AdamW", {"beta_2": 1.5}),
        ("Adamax", {"beta_2": "0.9"}),
        ("Adamax", {"epsilon": None}),
        ("Nadam", {"beta_1": -0.1}),
        ("Nadam", {"beta_2": 1.0}),
        ("Nadam", {"epsilon": float("inf")}),
        ("Lion", {"beta_1": 1.0}),
        ("Lion", {"beta_2": -1}),
        ("RMSprop", {"rho": 1.0}),
        ("RMSprop", {"momentum": 1.0}),
        ("RMSprop", {"epsilon": -1}),
        ("Adagrad", {"initial_accumulator_value": -0.1}),
        ("Adagrad", {"epsilon": "small"}),
        ("Adadelta", {"rho": -0.5}),
        ("Adadelta", {"epsilon": -1e-9}),
        ("Lamb", {"beta_1": 2}),
        ("Lamb", {"epsilon": -1}),
        ("Adafactor", {"beta_2_decay": 0.8}),
        ("Adafactor", {"epsilon_1": -1}),
        ("Adafactor", {"epsilon_2": float("nan")}),
        ("Adafactor", {"clip_threshold": 0}),
        ("Rprop", {"etas": (1.5, 1.2)}),
        ("Rprop", {"etas": (0.5, 0.9)}),
        ("Rprop", {"etas": 0.5}),
        ("Rprop", {"etas": (0.5, 1.2, 2.0)}),
        ("Rprop", {"step_sizes": (1.0, 0.5)}),
        ("Rprop", {"step_sizes": (-1.0, 0.5)}),
        ("Rprop", {"learning_rate": lambda step: 0.1}),
        ("Rprop", {"learning_rate": -1.0}),
        ("Lion", {"learning_rate": "fast"}),
    ],
)
def test_arguments_are_checked(name, arguments):
    with pytest.raises(ArgumentError, match=next(iter(arguments))):
        getattr(optimizers, name)(**arguments)


@every_case
def test_a_gradient_of_zero_from_the_first_step_moves_nothing(case):
    w = Variable(np.ones(case.shape), name="w", dtype="float32")
    optimizer = case.make()
    for _ in range(3):
        optimizer.apply_gradients([(np.zeros(case.shape, "float32"), w)])
    if "weight_decay" in case.arguments:
        assert (w.numpy() < 1).all()
        assert (w.numpy() > 0.9).all()
    else:
        np.testing.assert_array_equal(w.numpy(), np.ones(case.shape))


@every_case
def test_a_nan_stays_one(case):
    w = Variable(np.ones(SHAPE), name="w")
    g = np.ones(SHAPE)
    g[1, 2] = np.nan
    optimizer = case.make()
    for gradient in (g, np.ones(SHAPE)):
        optimizer.apply_gradients([(gradient, w)])
    assert np.isnan(w.numpy()[1, 2])


@every_case
def test_accumulated_gradients_make_the_same_steps(case):
    start, gradient = problem(case.shape)
    plain, several = case.make(), case.make(gradient_accumulation_steps=2)
    a, b = (Variable(start, name="w") for _ in range(2))
    for t in range(1, 6):
        g = gradient(start, t)
        plain.apply_gradients([(g, a)])
        several.apply_gradients([(1.5 * g, b)])
        several.apply_gradients([(0.5 * g, b)])
        np.testing.assert_allclose(b.numpy(), a.numpy(), rtol=1e-12)


def test_slots_that_are_no_zeros():
    w = Variable(np.ones((2, 3)), name="w", dtype="float32")
    made = {
        name: getattr(optimizers, name)() for name in ("Adagrad", "Rprop", "Nadam", "Adafactor")
    }
    for optimizer in made.values():
        optimizer.build([w])
    slots = {
        name: {v.name: v.numpy() for v in o.variables if "/" in v.name} for name, o in made.items()
    }
    np.testing.assert_array_equal(slots["Adagrad"]["w/accumulator"], np.full((2, 3), 0.1, "f4"))
    np.testing.assert_array_equal(slots["Rprop"]["w/step_size"], np.full((2, 3), 0.01, "f4"))
    assert slots["Nadam"]["w/momentum_product"] == 1.0
    assert [s.shape for s in slots["Adafactor"].values()] == [(2,), (3,)]
    scalar = Variable(1.0, name="s")
    made["Adafactor"].build([scalar])
    assert made["Adafactor"].variables[-1].name == "s/v"


class Signs(Optimizer):
    """A rule of a user's own: the sign of a mean that begins with ones."""

    slot_names = ("mean",)

    def __init__(self, learning_rate=0.01, memory=0.9, name="signs", **options):
        super().__init__(learning_rate, name, **options)
        self.memory = memory

    def new_slots(self, variable):
        return {"mean": np.ones(variable.shape, variable.dtype)}

    def rule(self, w, g, rate, *slots):
        mean = slots[0] * self.memory + g * (1 - self.memory)
        return [w - ops.sign(mean) * rate, mean]

    def get_config(self):
        return {**super().get_config(), "memory": self.memory}


def test_a_rule_of_ones_own():
    start, gradient = problem(SHAPE)
    w, optimizer = Variable(start, name="w"), Signs(0.05)
    expected, mean = start, np.ones(SHAPE)
    for t in range(1, 20):
        g = gradient(expected, t)
        mean = 0.9 * mean + 0.1 * g
        expected = expected - 0.05 * np.sign(mean)
        optimizer.apply_gradients([(gradient(w.numpy(), t), w)])
        np.testing.assert_allclose(w.numpy(), expected, rtol=1e-12)
    assert Signs.from_config(optimizer.get_config()).memory == 0.9
    model = network(Signs(0.01, weight_decay=0.01, clipnorm=1.0))
    history = model.fit(X, Y, batch_size=8, epochs=3, verbose=0)
    assert history.history["loss"][-1] < history.history["loss"][0]


def test_a_rule_of_ones_own_must_say_what_it_gives():
    class Nothing(Optimizer):
        pass

    w = Variable(np.ones(3), name="w")
    with pytest.raises(NotImplementedError, match="Nothing must define rule"):
        Nothing().apply_gradients([(np.ones(3), w)])


def test_operations_check_their_arguments():
    w, rate = Variable(np.ones(3)).leaf, Variable(1.0).leaf
    other = Variable(np.ones(4)).leaf
    with pytest.raises(ShapeError):
        update.lion_update(w, other, w, rate, rate, rate, beta_1=0.9, beta_2=0.99)
    with pytest.raises(ShapeError):
        update.adagrad_update(w, w, w, w, rate, rate, epsilon=1e-7)
