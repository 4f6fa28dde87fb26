"""The other losses: Keras's numbers on random cases with edges, derivatives, in training."""

from __future__ import annotations

import json

import numpy as np
import pytest

from chainrule import losses, ops
from chainrule.errors import ArgumentError, DataError, ShapeError
from chainrule.graph import Variable, gradient
from chainrule.layers import Dense, Input
from chainrule.models import Sequential, load_model
from peers import peer

N, M = 5, 4
ANY, SHARES, BITS, COUNTS, HOT, CLASSES = "any", "shares", "bits", "counts", "hot", "classes"
# class, arguments, kind of the targets, kind of the predictions
CASES = [
    ("Poisson", {}, COUNTS, COUNTS),
    ("KLDivergence", {}, SHARES, SHARES),
    ("CosineSimilarity", {}, ANY, ANY),
    ("CosineSimilarity", {"axis": 0}, ANY, ANY),
    ("Hinge", {}, BITS, ANY),
    ("SquaredHinge", {}, BITS, ANY),
    ("CategoricalHinge", {}, HOT, ANY),
    ("BinaryFocalCrossentropy", {}, BITS, SHARES),
    ("BinaryFocalCrossentropy", {"from_logits": True, "label_smoothing": 0.2}, BITS, ANY),
    ("BinaryFocalCrossentropy", {"apply_class_balancing": True, "alpha": 0.3}, BITS, SHARES),
    ("CategoricalFocalCrossentropy", {}, HOT, SHARES),
    ("CategoricalFocalCrossentropy", {"from_logits": True, "gamma": 1.5}, HOT, ANY),
    ("CategoricalFocalCrossentropy", {"label_smoothing": 0.1, "alpha": 1.0}, HOT, SHARES),
    ("CategoricalGeneralizedCrossEntropy", {"q": 0.7}, CLASSES, SHARES),
    ("Circle", {"gamma": 5.0}, CLASSES, "units"),
    ("Circle", {"remove_diagonal": False, "margin": 0.25, "gamma": 8.0}, CLASSES, "units"),
    ("Dice", {}, BITS, SHARES),
    ("Dice", {"axis": -1}, BITS, SHARES),
    ("Tversky", {"alpha": 0.3, "beta": 0.7}, BITS, SHARES),
    ("MeanAbsolutePercentageError", {}, ANY, ANY),
    ("MeanSquaredLogarithmicError", {}, COUNTS, COUNTS),
    ("SparseCategoricalCrossentropy", {"ignore_class": 2}, CLASSES, SHARES),
    ("SparseCategoricalCrossentropy", {"ignore_class": 0, "from_logits": True}, CLASSES, ANY),
]
IDS = [f"{name}-{i}" for i, (name, *_) in enumerate(CASES)]


def drawn(kind, random, edges=False):
    if kind == CLASSES:
        return random.integers(0, M, N)
    if kind == HOT:
        return np.eye(M)[random.integers(0, M, N)]
    if kind == BITS:
        return random.integers(0, 2, (N, M)).astype(float)
    x = random.standard_normal((N, M)) * 2
    if kind == "units":
        return x / np.linalg.norm(x, axis=1, keepdims=True)
    if kind == COUNTS:
        return np.abs(np.round(x)) if edges else np.abs(x) + 0.1
    if kind == SHARES:
        p = random.dirichlet(np.ones(M), N) * 0.98 + 0.005
        if edges:
            p[random.integers(N)] = np.eye(M)[random.integers(M)]
        return p
    return np.where(random.uniform(size=x.shape) < 0.1, 1.0, x) if edges else x


def held(a):
    return Variable(a, name="held").leaf


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_same_as_keras_on_random_cases(case):
    name, arguments, true, pred = case
    random = np.random.default_rng(len(name))
    kinds = ["sum_over_batch_size", "sum", "none"]
    pairs = [
        [getattr(m, name)(reduction=kind, **arguments) for m in (losses, peer("keras").losses)]
        for kind in kinds
    ]
    for i in range(200):
        t, y = drawn(true, random, name[-4:] != "ropy"), drawn(pred, random, name[:5] != "Categ")
        t = np.zeros_like(t) if i % 10 == 1 else t
        t, y = (a.astype("float32") if a.dtype.kind == "f" else a for a in (t, y))
        weight = random.integers(0, 3, N).astype("float32") if i % 2 else None
        weight = None if arguments.get("axis") == 0 else weight
        mine, theirs = pairs[i % 3]
        expected = np.asarray(theirs(t, y, weight))
        result = mine(t, y, weight).numpy()
        np.testing.assert_allclose(result, expected, rtol=3e-4, atol=3e-6, err_msg=f"case {i}")


@pytest.mark.parametrize("case", [*CASES, ("QuantileLoss", {"q": 0.8}, ANY, ANY)])
def test_derivative_is_that_of_differences(case):
    name, arguments, true, pred = case
    random = np.random.default_rng(3)
    t, y = drawn(true, random), drawn(pred, random)
    loss = getattr(losses, name)(**arguments)
    x = Variable(y, name="x")
    along = random.standard_normal(y.shape)
    slope = float((gradient(loss(t, x.leaf), [x])[0].numpy() * along).sum())
    h = 1e-6
    rise = loss(t, y + h * along).item() - loss(t, y - h * along).item()
    np.testing.assert_allclose(slope, rise / (2 * h), rtol=1e-4, atol=1e-7)


def test_values_and_derivatives_of_torch():
    torch = peer("torch")
    functions = torch.nn.functional
    random = np.random.default_rng(4)
    t, y = np.abs(random.standard_normal((2, N, M))) + 0.5
    p, q = drawn(SHARES, random), drawn(SHARES, random)
    vectors = [lambda a, b: -functions.cosine_similarity(b, a).mean()]
    pairs = [
        (losses.Poisson(), t, y, lambda a, b: functions.poisson_nll_loss(b, a, False, eps=1e-7)),
        (losses.KLDivergence(), p, q, lambda a, b: functions.kl_div(b.log(), a, reduction="none")),
        (losses.CosineSimilarity(), t, y, vectors[0]),
    ]
    for loss, a, b, theirs in pairs:
        x, z = Variable(b, name="x"), torch.tensor(b, requires_grad=True)
        expected = theirs(torch.tensor(a), z)
        expected = expected.sum(-1).mean() if expected.ndim else expected
        expected.backward()
        mine = loss(a, x.leaf)
        np.testing.assert_allclose(mine.item(), expected.item(), rtol=1e-6)
        np.testing.assert_allclose(gradient(mine, [x])[0].numpy(), z.grad.numpy(), rtol=1e-5)


def test_quantile_loss_is_least_at_the_quantile():
    data = np.random.default_rng(5).standard_normal(999)
    loss = losses.QuantileLoss(0.9)
    costs = [loss(data, np.full(999, c)).item() for c in np.sort(data)]
    assert np.sort(data)[np.argmin(costs)] == np.quantile(data, 0.9, method="inverted_cdf")
    theirs = peer("sklearn.metrics").mean_pinball_loss(data, np.zeros(999), alpha=0.9)
    assert loss(data, np.zeros(999)).item() == pytest.approx(theirs, rel=1e-12)


def test_derivatives_stay_finite_at_the_edges():
    zeros, ones = np.zeros((2, 3)), np.ones((2, 3))
    for name, arguments in [
        ("CosineSimilarity", {}),
        ("KLDivergence", {}),
        ("Poisson", {}),
        ("Dice", {}),
        ("Tversky", {}),
        ("MeanAbsolutePercentageError", {}),
        ("BinaryFocalCrossentropy", {"gamma": 0.5}),
        ("CategoricalFocalCrossentropy", {"gamma": 0.5, "from_logits": True}),
    ]:
        for value in (zeros, ones, 1000 * np.eye(3)[[0, 1]]):
            x = Variable(value, name="x")
            (slope,) = gradient(getattr(losses, name)(**arguments)(zeros, x.leaf), [x])
            assert np.isfinite(slope.numpy()).all(), name
    x = Variable(np.eye(3)[[0, 1]], name="x")  # no other sample of its class
    (slope,) = gradient(losses.Circle()([0, 1], x.leaf), [x])
    assert np.isfinite(slope.numpy()).all()


def test_ignored_labels_are_left_out_of_training():
    random = np.random.default_rng(6)
    x, y = random.standard_normal((40, 3)).astype("float32"), random.integers(0, 3, 40)
    y[::4] = -1
    ends = []
    for rows in (slice(None), y >= 0):
        model = Sequential([Input((3,)), Dense(3, kernel_initializer="zeros")])
        loss = losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=-1)
        model.compile("sgd", loss)
        model.fit(x[rows], y[rows], batch_size=40, epochs=3, shuffle=False, verbose=0)
        ends.append(model.get_weights()[0])
    np.testing.assert_allclose(*ends, rtol=1e-5, atol=1e-7)
    wrong = np.where(y < 0, 7, y)
    with pytest.raises(DataError, match="7"):
        model.fit(x, wrong, verbose=0)


def model_of(loss, activation):
    model = Sequential([Input((3,)), Dense(M, activation=activation)])
    model.compile("adam", loss)
    return model


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_trains_saves_and_loads(case, tmp_path):
    name, arguments, true, pred = case
    random = np.random.default_rng(7)
    x = random.standard_normal((N, 3)).astype("float32")
    t = drawn(true, random)
    activation = {SHARES: "softmax", COUNTS: "softplus"}.get(pred)
    model = model_of(getattr(losses, name)(**arguments), activation)
    model.fit(x, t, batch_size=N, epochs=2, verbose=0)
    model.save(tmp_path / "model.chainrule")
    again = load_model(tmp_path / "model.chainrule")
    assert again.evaluate(x, t, verbose=0) == model.evaluate(x, t, verbose=0)
    more = [m.fit(x, t, epochs=1, verbose=0).history["loss"] for m in (model, again)]
    assert more[0] == more[1]


def test_a_loss_of_ones_own():
    class Largest(losses.Loss):
        def call(self, y_true, y_pred):
            return ops.max(ops.abs(y_pred - y_true), axis=-1)

    x = np.random.default_rng(8).standard_normal((8, 3)).astype("float32")
    ends = []
    for loss in (Largest(), lambda t, y: ops.max(ops.abs(y - t), axis=-1)):
        model = Sequential([Input((3,)), Dense(M, kernel_initializer="ones")])
        model.compile("sgd", loss)
        ends.append(model.fit(x, np.zeros((8, M)), shuffle=False, verbose=0).history["loss"])
    assert ends[0] == ends[1]


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_names_and_configurations(case):
    name, arguments, *_ = case
    loss = getattr(losses, name)(name="mine", reduction="sum", **arguments)
    again = losses.get(json.loads(json.dumps(losses.serialize(loss))))
    assert (type(again), again.get_config()) == (type(loss), loss.get_config())
    assert {**arguments, "name": "mine"}.items() <= again.get_config().items()
    assert type(losses.get(name)) is type(loss)


def test_names_are_keras_names():
    for alias in ("mape", "MSLE", "kld", "kl_divergence", "dice", "hinge", "pinball", "bce"):
        assert isinstance(losses.get(alias), losses.Loss)
    keras = peer("keras").losses
    theirs = {n for n in dir(keras) if not n.startswith("_")} - {"CTC", "ctc"}
    assert theirs <= set(dir(losses))


def test_bad_arguments():
    for make in (
        lambda: losses.QuantileLoss(1.0),
        lambda: losses.quantile([1.0], [1.0], 0.0),
        lambda: losses.CategoricalGeneralizedCrossEntropy(q=0.0),
        lambda: losses.BinaryFocalCrossentropy(gamma=-1.0),
        lambda: losses.CategoricalFocalCrossentropy(label_smoothing=2.0),
        lambda: losses.Tversky(alpha=-0.1),
        lambda: losses.Circle(gamma=0.0),
    ):
        with pytest.raises(ArgumentError):
            make()
    for name in ("Poisson", "Hinge", "Dice", "KLDivergence", "BinaryFocalCrossentropy"):
        with pytest.raises(ShapeError, match=r"(?s)y_true : \[3\].*y_pred : \[3, 4\]"):
            getattr(losses, name)()(np.zeros(3), np.zeros((3, 4)))
    with pytest.raises(ShapeError, match="a class number for each vector"):
        losses.Circle()(np.zeros(2), np.zeros((3, 4)))
