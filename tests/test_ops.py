"""Every operation: its type rule, the two executors, its derivatives against differences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from chainrule import ops
from chainrule.errors import DTypeError, ShapeError
from chainrule.executors import native, run, set_num_threads
from chainrule.graph import Value, Variable, constant, gradient, registry
from chainrule.graph.primitive import run_body
from op_cases import CASES, Case


def arguments(case: Case, dtype: str) -> list[np.ndarray]:
    return [np.asarray(a) for a in case.make(np.random.default_rng(7), dtype)]


def applied(case: Case, values: Sequence[Value]) -> tuple[Value, ...]:
    result = registry()[case.name].apply(values, dict(case.attributes))
    return result if isinstance(result, tuple) else (result,)


def variables(arrays: Sequence[np.ndarray]) -> list[Value]:
    """Arrays that no pass can fold away."""
    return [Variable(a, dtype=a.dtype.name).leaf for a in arrays]


def dtypes_of(case: Case) -> list[str]:
    given = case.attributes.get("dtype", "")
    if case.name.startswith("random"):
        return [given]
    return ["float64"] if given == "float64" else ["float32", "float64"]


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c}-{c.attributes}"[:70])
def test_native_is_the_reference(case: Case) -> None:
    for dtype in dtypes_of(case):
        arrays = arguments(case, dtype)
        outputs = applied(case, variables(arrays))
        expected = run_body(registry()[case.name], arrays, dict(case.attributes))
        bits = []
        for threads in (1, 2, 3):
            set_num_threads(threads)
            found = run(outputs)
            bits.append([f.tobytes() for f in found])
            for y, e, f in zip(outputs, expected, found, strict=True):
                assert y.shape == e.shape == f.shape
                assert y.dtype == f.dtype.name
                tolerance = case.tolerance if dtype == "float32" else 1e-11
                np.testing.assert_allclose(f, e, rtol=tolerance, atol=tolerance)
        assert bits[0] == bits[1] == bits[2]


def scalar(case: Case, values: Sequence[Value], seed: int) -> Value:
    """A random combination of the outputs' elements: one number that depends on them all."""
    rng = np.random.default_rng(seed)
    total = constant(np.float64(0))
    for y in applied(case, values):
        if y.dtype == "float64":
            total = ops.add(total, ops.sum(ops.multiply(y, rng.standard_normal(y.shape))))
    return total


def evaluate(value: Value) -> float:
    return float(run([value], "reference")[0])


def direction(values: Sequence[Value], rng: np.random.Generator) -> list[np.ndarray | None]:
    return [rng.standard_normal(v.shape) if v.dtype == "float64" else None for v in values]


def along(case: Case, leaves: Sequence[Value], way: Sequence[Any], order: int) -> Value:
    """The derivative of that order along `way`, as a value; order 0 is the number itself."""
    value = scalar(case, leaves, 3)
    for _ in range(order):
        floats = [v for v in leaves if v.dtype == "float64"]
        slopes = gradient(value, floats)
        moves = [w for w in way if w is not None]
        value = constant(np.float64(0))
        for slope, move in zip(slopes, moves, strict=True):
            value = ops.add(value, ops.sum(ops.multiply(slope, move)))
    return value


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize(
    "case", [c for c in CASES if c.smooth], ids=lambda c: f"{c}-{c.attributes}"[:70]
)
def test_derivatives_match_differences(case: Case, order: int) -> None:
    arrays = arguments(case, "float64")
    leaves = variables(arrays)
    way = direction(leaves, np.random.default_rng(5))
    exact = evaluate(along(case, leaves, way, order))
    step = 1e-5
    ends = []
    for sign in (1, -1):
        moved = [a if w is None else a + sign * step * w for a, w in zip(arrays, way, strict=True)]
        ends.append(evaluate(along(case, variables(moved), way, order - 1)))
    measured = (ends[0] - ends[1]) / (2 * step)
    scale = max(1.0, abs(exact), *(abs(e) for e in ends))
    assert abs(exact - measured) < 2e-6 * scale


def test_every_operation_has_cases() -> None:
    assert {c.name for c in CASES} == set(registry())
    assert {c.name for c in CASES} - {"stop_gradient"} == set(native.operations())


@pytest.mark.parametrize("dtype", ["int32", "int64"])
@pytest.mark.parametrize("name", ["add", "subtract", "multiply", "maximum", "minimum", "less"])
def test_integers(name: str, dtype: str) -> None:
    rng = np.random.default_rng(0)
    x, y = (rng.integers(-9, 9, 37).astype(dtype) for _ in range(2))
    op = registry()[name]
    found = run([op.apply(variables([x, y]), {})])[0]
    np.testing.assert_array_equal(found, op.body(x, y))


@pytest.mark.parametrize("name", ["relu", "maximum", "reduce_max", "tanh", "softmax"])
def test_nan_stays_nan(name: str) -> None:
    x = np.array([[1.0, np.nan, -2.0]], "float32")
    op = registry()[name]
    count = len(op.argument_names)
    attributes = {"axes": (1,)} if name == "reduce_max" else {}
    found = run([op.apply(variables([x] * count), attributes)])[0]
    assert np.isnan(found).any()


def test_a_gradient_needs_no_path() -> None:
    x, other = Variable([1.0, 2.0]), Variable([3.0])
    slopes = gradient(ops.sum(ops.square(x)), [x, other])
    assert run(slopes)[0].tolist() == [2.0, 4.0]
    assert run(slopes)[1].tolist() == [0.0]


def test_a_gradient_of_a_deep_graph() -> None:
    x = Variable(np.float64(1.0))
    y = x.leaf
    for _ in range(3000):
        y = ops.add(y, ops.multiply(x, 1e-4))
    assert evaluate(gradient(y, [x])[0]) == pytest.approx(1.3)


def test_shape_mistakes_say_what_was_expected() -> None:
    with pytest.raises(ShapeError, match=r"shapes \[2\] and \[3\] do not fit together"):
        ops.add([1.0, 2.0], [1.0, 2.0, 3.0])
    with pytest.raises(ShapeError, match="axis `k` is 3 in x but 4 in w"):
        ops.matmul(np.ones((2, 3)), np.ones((4, 5)))
    with pytest.raises(DTypeError, match="primitives do not convert"):
        registry()["add"](constant(np.ones(2, "float32")), constant(np.ones(2, "float64")))


def test_friendly_functions_broadcast_cast_and_index() -> None:
    x = np.arange(6, dtype="float32").reshape(2, 3)
    v = constant(x)
    pairs = [
        (ops.add(v, [1.0, 2.0, 3.0]), x + np.float32([1, 2, 3])),
        (2 - v, 2 - x),
        (1 / (v + 1), 1 / (x + 1)),
        (v[1], x[1]),
        (v[:, ::2], x[:, ::2]),
        (v[..., None], x[..., None]),
        (ops.mean(v, axis=0), x.mean(0)),
        (ops.var(v), x.var()),
        (ops.max(v, axis=-1, keepdims=True), x.max(-1, keepdims=True)),
        (ops.logsumexp(v, axis=1), np.log(np.exp(x).sum(1))),
        (ops.transpose(v), x.T),
        (ops.take(v, [2, 0], axis=1), x[:, [2, 0]]),
        (ops.stack([v, v], axis=1), np.stack([x, x], 1)),
        (ops.split(v, 3, axis=1)[2], x[:, 2:]),
        (ops.clip(v, 1, 3), x.clip(1, 3)),
        (v @ x.T, x @ x.T),
        (ops.sort(-v), np.sort(-x)),
        (ops.where(v > 2, v, 0.0), np.where(x > 2, x, 0)),
        (ops.one_hot([0, 2], 3), np.eye(3)[[0, 2]]),
        (ops.matmul(np.ones((2, 4, 2, 3)), x.T), np.ones((2, 4, 2, 3)) @ x.T),
    ]
    for found, expected in pairs:
        np.testing.assert_allclose(np.asarray(found), expected, rtol=1e-6)
        assert found.shape == np.shape(expected)


def test_against_pytorch() -> None:
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    x, labels = rng.standard_normal((20, 7)), rng.integers(0, 7, 20)
    z = torch.tensor(x, requires_grad=True)
    loss = torch.nn.functional.cross_entropy(z, torch.tensor(labels))
    loss.backward()
    v = Variable(x)
    ours = ops.mean(registry()["sparse_softmax_cross_entropy"](v.leaf, constant(labels)))
    np.testing.assert_allclose(run([ours])[0], loss.item(), rtol=1e-12)
    np.testing.assert_allclose(run(gradient(ours, [v]))[0], z.grad.numpy(), rtol=1e-10, atol=1e-14)
    for name in ("softmax", "log_softmax"):
        theirs = getattr(torch, name)(torch.tensor(x), -1).numpy()
        np.testing.assert_allclose(run([registry()[name](v.leaf)])[0], theirs, rtol=1e-10)
