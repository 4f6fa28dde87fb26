"""Whole networks: with the same weights and data, the losses and weights of PyTorch and Keras."""

from __future__ import annotations

import math

import numpy as np
import pytest

from chainrule import layers, losses, optimizers
from chainrule.models import Sequential
from peers import peer

# Keras's variables do not know NumPy's argument `copy`.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

BATCH, STEPS, FEATURES, HIDDEN, OUTPUTS = 16, 20, 5, 8, 3
RANDOM = np.random.default_rng(11)
X = RANDOM.standard_normal((STEPS * BATCH, FEATURES)).astype("float32")
LABELS = RANDOM.integers(0, OUTPUTS, len(X))
ONE_HOT = np.eye(OUTPUTS, dtype="float32")[LABELS]
BITS = RANDOM.integers(0, 2, (len(X), OUTPUTS)).astype("float32")
NUMBERS = RANDOM.standard_normal((len(X), OUTPUTS)).astype("float32")
WEIGHTS = [
    (RANDOM.standard_normal(shape) * 0.5).astype("float32")
    for shape in ((FEATURES, HIDDEN), (HIDDEN,), (HIDDEN, OUTPUTS), (OUTPUTS,))
]

SGD = ("SGD", {"learning_rate": 0.1})
SPARSE = ("SparseCategoricalCrossentropy", {})

# hidden activation, output activation, loss with its arguments, optimizer with its arguments
CASES = [
    ("tanh", "softmax", SPARSE, SGD),
    ("relu", "softmax", ("CategoricalCrossentropy", {}), SGD),
    ("relu", "softmax", ("CategoricalCrossentropy", {"label_smoothing": 0.1}), SGD),
    ("relu", None, ("SparseCategoricalCrossentropy", {"from_logits": True}), SGD),
    ("sigmoid", None, ("CategoricalCrossentropy", {"from_logits": True}), SGD),
    ("relu", "sigmoid", ("BinaryCrossentropy", {}), SGD),
    ("tanh", None, ("BinaryCrossentropy", {"from_logits": True}), SGD),
    ("tanh", None, ("MeanSquaredError", {}), SGD),
    ("tanh", None, ("MeanAbsoluteError", {}), SGD),
    ("tanh", None, ("Huber", {"delta": 0.5}), SGD),
    ("tanh", None, ("LogCosh", {}), SGD),
    ("tanh", "softmax", SPARSE, ("SGD", {"learning_rate": 0.05, "momentum": 0.9})),
    (
        "tanh",
        "softmax",
        SPARSE,
        ("SGD", {"learning_rate": 0.05, "momentum": 0.9, "nesterov": True}),
    ),
    ("tanh", "softmax", SPARSE, ("Adam", {"learning_rate": 0.01})),
    ("relu", None, ("MeanSquaredError", {}), ("Adam", {"learning_rate": 0.01, "epsilon": 1e-3})),
    ("elu", "softmax", SPARSE, SGD),
    ("gelu", "softmax", SPARSE, SGD),
    ("selu", "softmax", SPARSE, SGD),
    ("silu", "softmax", SPARSE, SGD),
    ("softplus", "softmax", SPARSE, SGD),
    ("softsign", "softmax", SPARSE, SGD),
    ("leaky_relu", "softmax", SPARSE, SGD),
]
IDS = [f"{a}-{b}-{loss[0]}-{rule[0]}-{i}" for i, (a, b, loss, rule) in enumerate(CASES)]


def targets(loss: str) -> np.ndarray:
    if loss.startswith("Sparse"):
        return LABELS
    return {"CategoricalCrossentropy": ONE_HOT, "BinaryCrossentropy": BITS}.get(loss, NUMBERS)


def batches(y: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    return [(X[i : i + BATCH], y[i : i + BATCH]) for i in range(0, len(X), BATCH)]


def build(case) -> Sequential:
    hidden, output, (loss, with_loss), (rule, with_rule) = case
    model = Sequential(
        [
            layers.Input((FEATURES,)),
            layers.Dense(HIDDEN, activation=hidden),
            layers.Dense(OUTPUTS, activation=output),
        ]
    )
    model.set_weights(WEIGHTS)
    model.compile(
        optimizer=getattr(optimizers, rule)(**with_rule), loss=getattr(losses, loss)(**with_loss)
    )
    return model


def build_in_keras(case):
    keras = peer("keras")
    hidden, output, (loss, with_loss), (rule, with_rule) = case
    model = keras.Sequential(
        [
            keras.layers.Input((FEATURES,)),
            keras.layers.Dense(HIDDEN, activation=hidden),
            keras.layers.Dense(OUTPUTS, activation=output),
        ]
    )
    model.set_weights(WEIGHTS)
    model.compile(
        optimizer=getattr(keras.optimizers, rule)(**with_rule),
        loss=getattr(keras.losses, loss)(**with_loss),
    )
    return model


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_training_is_that_of_keras(case):
    # The loss of a model is compared on one batch: Keras reports means over all batches so far.
    mine, theirs = build(case), build_in_keras(case)
    rows = batches(targets(case[2][0]))
    found, expected = [mine.test_on_batch(*rows[0])], [theirs.test_on_batch(*rows[0])]
    for x, y in rows:
        mine.train_on_batch(x, y)
        theirs.train_on_batch(x, y)
    theirs.reset_metrics()
    found.append(mine.test_on_batch(*rows[0]))
    expected.append(theirs.test_on_batch(*rows[0]))
    np.testing.assert_allclose(found, [float(loss) for loss in expected], rtol=1e-4)
    for a, b in zip(mine.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=2e-5)


TORCH_ACTIVATIONS = {
    "tanh": "tanh",
    "relu": "relu",
    "sigmoid": "sigmoid",
    "elu": "elu",
    "gelu": "gelu",
    "selu": "selu",
    "silu": "silu",
    "softplus": "softplus",
    "softsign": "softsign",
}


def torch_loss(functions, loss: str, arguments, z, y):
    """Return the loss from what the last layer puts out before its activation."""
    smoothing = arguments.get("label_smoothing", 0.0)
    if loss.endswith("CategoricalCrossentropy"):
        return functions.cross_entropy(z, y, label_smoothing=smoothing)
    if loss == "BinaryCrossentropy":
        return functions.binary_cross_entropy_with_logits(z, y)
    if loss == "Huber":
        return functions.huber_loss(z, y, delta=arguments["delta"])
    if loss == "LogCosh":
        return (functions.softplus(-2 * (z - y)) + (z - y) - math.log(2)).mean()
    kinds = {"MeanSquaredError": functions.mse_loss, "MeanAbsoluteError": functions.l1_loss}
    return kinds[loss](z, y)


def torch_rule(torch, rule: str, arguments, parameters):
    rate = arguments["learning_rate"]
    if rule == "SGD":
        rest = {k: v for k, v in arguments.items() if k != "learning_rate"}
        return torch.optim.SGD(parameters, lr=rate, **rest)
    return torch.optim.Adam(parameters, lr=rate, eps=arguments.get("epsilon", 1e-7))


# PyTorch's Adam adds epsilon elsewhere, which shows where epsilon is large.
IN_TORCH = [
    i for i, c in enumerate(CASES) if c[0] in TORCH_ACTIVATIONS and "epsilon" not in c[3][1]
]


@pytest.mark.parametrize("case", [CASES[i] for i in IN_TORCH], ids=[IDS[i] for i in IN_TORCH])
def test_training_is_that_of_torch(case):
    torch = peer("torch")
    functions = torch.nn.functional
    hidden, _, (loss, with_loss), (rule, with_rule) = case
    activation = getattr(functions, TORCH_ACTIVATIONS[hidden])
    w1, b1, w2, b2 = parameters = [
        torch.nn.Parameter(torch.from_numpy(w.astype("float64"))) for w in WEIGHTS
    ]
    theirs = torch_rule(torch, rule, with_rule, parameters)
    expected = []
    for x, y in batches(targets(loss)):
        y = torch.from_numpy(y.astype("float64") if y.dtype.kind == "f" else y)
        z = activation(torch.from_numpy(x.astype("float64")) @ w1 + b1) @ w2 + b2
        theirs.zero_grad()
        value = torch_loss(functions, loss, with_loss, z, y)
        value.backward()
        theirs.step()
        expected.append(value.item())
    mine = build(case)
    found = [mine.train_on_batch(x, y) for x, y in batches(targets(loss))]
    np.testing.assert_allclose(found, expected, rtol=2e-5)
    for a, b in zip(mine.get_weights(), parameters, strict=True):
        np.testing.assert_allclose(a, b.detach().numpy(), rtol=1e-3, atol=1e-5)


def test_fit_is_that_of_keras_with_weights_and_metrics():
    case = ("tanh", "softmax", SPARSE, ("Adam", {"learning_rate": 0.01}))
    mine, theirs = build(case), build_in_keras(case)
    optimizer = peer("keras").optimizers.Adam(0.01)
    asked = {"metrics": ["accuracy"], "weighted_metrics": ["acc"]}
    mine.compile(optimizers.Adam(0.01), "sparse_categorical_crossentropy", **asked)
    theirs.compile(optimizer, "sparse_categorical_crossentropy", **asked)
    weight = RANDOM.uniform(0, 2, len(X)).astype("float32")
    arguments = {"sample_weight": weight, "shuffle": False, "verbose": 0}
    arguments |= {"batch_size": 32, "epochs": 3, "validation_split": 0.25}
    found = mine.fit(X, LABELS, **arguments).history
    expected = theirs.fit(X, LABELS, **arguments).history
    assert set(found) == set(expected)
    for key in expected:
        np.testing.assert_allclose(found[key], expected[key], rtol=1e-4, err_msg=key)
    for a, b in zip(mine.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=2e-5)
