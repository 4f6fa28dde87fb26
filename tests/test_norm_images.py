"""Normalization of images: against PyTorch, in parts, with what follows, and where it lies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from chainrule import layers, ops
from chainrule.errors import ArgumentError, ShapeError
from chainrule.executors import run, set_num_threads
from chainrule.graph import Value, Variable, gradient, registry, scope
from chainrule.ops import normalization as norm
from chainrule.ops.reduce import reduce_sum
from chainrule.plan import make_plan
from peers import peer

SHAPES = [(4, 5, 7, 6), (1, 9, 3, 6), (3, 1, 1, 6), (8, 33, 19, 6), (2, 41, 37, 12)]
LARGE = (8, 33, 19, 8)  # is summed by samples
FEW = (2, 41, 37, 12)  # is summed by other parts of the rows


def sample(shape: tuple[int, ...], seed: int = 3) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape) * 2 + 1


def calls(outputs: Sequence[Value]) -> list[str]:
    return [c.name for phase in make_plan(outputs).phases for loop in phase for c in loop.calls]


def first(x: np.ndarray) -> np.ndarray:
    """Channels first, as PyTorch wants them."""
    return np.moveaxis(x, -1, 1)


def theirs(kind: str, channels: int, training: bool) -> Any:
    torch = peer("torch")
    if kind == "batch":
        return torch.nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01).train(training)
    groups = {"instance": channels, "groups": 2}[kind]
    return torch.nn.GroupNorm(groups, channels, eps=1e-3)


def ours(kind: str, channels: int, **options: Any) -> Any:
    if kind == "batch":
        return layers.BatchNormalization(**options)
    return layers.GroupNormalization({"instance": -1, "groups": 2}[kind], **options)


@pytest.mark.parametrize("last", [True, False])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("kind", ["batch", "groups", "instance"])
def test_value_and_gradients_are_those_of_torch(
    kind: str, shape: tuple[int, ...], training: bool, last: bool
) -> None:
    torch = peer("torch")
    channels, axis = shape[-1], -1 if last else 1
    weights = np.random.default_rng(5).uniform(0.5, 2, (4, channels))
    x, slope = sample(shape), sample(shape, 9)
    other = theirs(kind, channels, training).double()
    mine = ours(kind, channels, axis=axis, dtype="float64")
    mine.build_for((None, *(shape if last else first(x).shape)[1:]))
    mine.set_weights(list(weights[: len(mine.variables)]))
    names = ["weight", "bias", "running_mean", "running_var"][: len(mine.variables)]
    other.load_state_dict(
        {k: torch.tensor(w) for k, w in zip(names, weights, strict=False)}, strict=False
    )
    given = torch.tensor(first(x).copy(), requires_grad=True)
    expected = other(given)
    (expected * torch.tensor(first(slope).copy())).sum().backward()
    leaf = Variable(x if last else first(x))
    with scope.tracing(None, training):
        y = mine(leaf.leaf, training=training)
        moved = [value for _, value in scope.recorded()]
    total = ops.sum(ops.multiply(y, slope if last else first(slope)))
    found = run([y, *gradient(total, [leaf, mine.gamma, mine.beta]), *moved[:1]])
    wanted = [expected, given.grad, other.weight.grad, other.bias.grad, *other.buffers()]
    for i, (a, b) in enumerate(zip(found, wanted, strict=False)):
        a = first(a) if last and i < 2 else a
        np.testing.assert_allclose(a, b.detach().numpy(), rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_others_are_those_of_torch(shape: tuple[int, ...]) -> None:
    torch = peer("torch")
    functions, x = torch.nn.functional, sample(shape)
    given, inner = torch.tensor(x), shape[1:]
    options = {"epsilon": 1e-5, "dtype": "float64"}
    rows = layers.LayerNormalization(**options), layers.RMSNormalization(**options)
    whole = [type(one)(axis=(1, 2, 3), **options) for one in rows]
    pairs = [
        (rows[0], functions.layer_norm(given, shape[-1:], eps=1e-5)),
        (rows[1], functions.rms_norm(given, shape[-1:], eps=1e-5)),
        (whole[0], functions.layer_norm(given, inner, eps=1e-5)),
        (whole[1], functions.rms_norm(given, inner, eps=1e-5)),
        (layers.UnitNormalization(dtype="float64"), functions.normalize(given, dim=-1)),
        (layers.UnitNormalization(axis=1, dtype="float64"), functions.normalize(given, dim=1)),
    ]
    for layer, expected in pairs:
        np.testing.assert_allclose(layer(x).numpy(), expected.numpy(), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("shape", [LARGE, FEW, (8192, 6)], ids=str)
@pytest.mark.parametrize("far", [0.0, 1e4])
def test_a_large_mean_leaves_the_variance_its_digits(shape: tuple[int, ...], far: float) -> None:
    x = (sample(shape) * 1e-2 + far).astype("float32")
    outputs = norm.column_moments(Variable(x).leaf)
    assert calls(outputs) == ["partial_moments", "joined_moments"]
    mean, variance = run(outputs)
    exact = x.astype("float64").reshape(-1, shape[-1])
    np.testing.assert_allclose(mean, exact.mean(axis=0), rtol=1e-6 if far == 0 else 1e-7)
    np.testing.assert_allclose(variance, exact.var(axis=0), rtol=1e-6)


def test_rows_far_from_all_others_leave_the_variance_its_digits() -> None:
    x = sample((16, 40, 40, 3)).astype("float32") * 1e-3
    x[:, ::7, ::5] += 1e3  # many blocks of rows begin with one
    variance = run(norm.column_moments(Variable(x).leaf))[1]
    np.testing.assert_allclose(variance, x.astype("float64").var(axis=(0, 1, 2)), rtol=2e-6)


def step(layer: Any, x: np.ndarray, activate: bool = True) -> list[Value]:
    """A layer, then relu: its value, its gradients and what it records."""
    leaf = Variable(x)
    with scope.tracing(None, True):
        y = layer(leaf.leaf, training=True)
        recorded = [value for _, value in scope.recorded()]
    y = ops.relu(y) if activate else y
    slopes = gradient(ops.sum(ops.multiply(y, sample(x.shape, 9))), [leaf, layer.gamma, layer.beta])
    return [y, *slopes, *recorded]


@pytest.mark.parametrize("shape", [LARGE, FEW, (2, 3, 3, 4)], ids=str)
@pytest.mark.parametrize("kind", ["batch", "groups"])
def test_native_is_the_reference_with_the_same_bits_at_any_number_of_threads(
    kind: str, shape: tuple[int, ...]
) -> None:
    values = step(ours(kind, shape[-1], dtype="float64"), sample(shape))
    results = []
    for threads in (1, 2, 3):
        set_num_threads(threads)
        results.append(run(values))
    for one in results[1:]:
        assert [a.tobytes() for a in one] == [a.tobytes() for a in results[0]]
    for a, b in zip(results[0], run(values, "reference"), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9)


def test_a_step_runs_in_three_loops_of_samples() -> None:
    x = Variable(sample(LARGE).astype("float32"))
    layer = layers.BatchNormalization()
    y = ops.relu(layer(ops.tanh(x), training=True))
    assert calls([y]) == ["tanh", "partial_moments", "joined_moments", "batch_normalize"]
    plan = make_plan(gradient(ops.sum(ops.multiply(y, y)), [x]))
    loops = [" ".join(c.name for c in loop.calls) for phase in plan.phases for loop in phase]
    assert "tanh partial_moments" in loops
    backward = next(names for names in loops if "partial_column_products" in names)
    assert backward.endswith("relu_gradient partial_column_products")
    assert "batch_normalize" in backward
    assert "batch_normalize_gradient tanh_gradient" in loops


def test_relu_stays_where_others_read_what_it_reads() -> None:
    x = Variable(sample((2, 3, 3, 4)).astype("float32")).leaf
    y = layers.BatchNormalization()(x)
    assert calls([ops.relu(y), y]) == ["normalize_columns", "relu"]
    assert calls([ops.relu(y)]) == ["normalize_columns"]
    assert calls([ops.relu(ops.relu(y))]) == ["normalize_columns", "relu"]


@pytest.mark.parametrize("name", ["batch_normalize", "normalize_columns"])
def test_the_derivative_with_relu_is_that_of_both(name: str) -> None:
    x = Variable(sample((3, 4, 5, 6)))
    rows = [Variable(a) for a in np.random.default_rng(1).uniform(0.5, 2, (2, 6))]
    moments = norm.column_moments(x.leaf)
    results = []
    for activation in ("linear", "relu"):
        attributes = {"epsilon": 1e-3, "activation": activation}
        y = registry()[name].apply((x.leaf, *moments, *(r.leaf for r in rows)), attributes)
        y = ops.relu(y) if activation == "linear" else y
        slope = gradient(ops.sum(ops.multiply(y, sample(x.shape, 7))), [x, *rows])
        results.append(run([y, *slope]))
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(("axis", "shape"), [(-1, (4, 5, 7, 6)), (1, (4, 6, 5, 7))])
def test_groups_are_normalized_where_they_lie(axis: int, shape: tuple[int, ...]) -> None:
    layer = layers.GroupNormalization(3, axis=axis)
    x = Variable(sample(shape).astype("float32"))
    y = layer(x.leaf)
    slopes = gradient(ops.sum(ops.multiply(y, y)), [x, layer.gamma, layer.beta])
    assert "transpose" not in calls([y, *slopes])


@pytest.mark.parametrize("shape", [(9, 33, 31, 7), (3, 65, 33, 16), (8, 9, 9, 5, 16)], ids=str)
def test_sums_over_all_axes_but_the_last_are_cut_by_samples(shape: tuple[int, ...]) -> None:
    x = sample(shape).astype("float32")
    axes = tuple(range(len(shape) - 1))
    y = reduce_sum(Variable(x).leaf, axes=axes)
    assert calls([y]) == ["reduce_sum", "reduce_sum"]
    results = []
    for threads in (1, 2, 3):
        set_num_threads(threads)
        results.append(run([y])[0])
    assert len({a.tobytes() for a in results}) == 1
    np.testing.assert_allclose(results[0], x.astype("float64").sum(axis=axes), rtol=2e-7)


def test_a_small_batch_is_not_cut() -> None:
    x = Variable(sample((32, 64)).astype("float32")).leaf
    assert calls(norm.column_moments(x)) == ["column_moments"]
    image = Variable(sample((4, 5, 6, 7)).astype("float32")).leaf
    assert calls([reduce_sum(image, axes=(0, 1, 2))]) == ["reduce_sum"]


def test_whether_statistics_are_synchronized_says_nothing() -> None:
    x = sample((4, 3, 3, 2)).astype("float32")
    one, two = (layers.BatchNormalization(synchronized=s) for s in (False, True))
    np.testing.assert_array_equal(one(x, training=True).numpy(), two(x, training=True).numpy())
    again = layers.deserialize(layers.serialize(two))
    assert again.synchronized is True and again.get_config() == two.get_config()


def test_what_does_not_fit_is_refused() -> None:
    x = Variable(sample((2, 3, 4))).leaf
    row = Variable(np.ones(4)).leaf
    with pytest.raises(ShapeError, match="6 rows do not form 4 parts"):
        norm.partial_moments(x, parts=4)
    with pytest.raises(ShapeError, match="6 rows do not form 0 parts"):
        norm.partial_column_products(x, x, row, parts=0)
    with pytest.raises(ShapeError, match="4 columns do not form 3 groups"):
        norm.normalize_groups(x, row, row, groups=3, epsilon=1e-3)
    with pytest.raises(ArgumentError, match="applies linear or relu, not 'tanh'"):
        run([norm.normalize_columns(x, *[row] * 4, epsilon=1.0, activation="tanh")], "reference")
