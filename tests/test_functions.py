"""The friendly functions: NumPy's broadcasting, dtypes and indexing, and what mistakes say."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule.graph.scope as scope
from chainrule import ops
from chainrule.errors import ArgumentError, ChainruleError, DTypeError, ShapeError
from chainrule.executors import run
from chainrule.graph import Value, Variable, constant, gradient

X = np.arange(6, dtype="float32").reshape(2, 3)
CUBE = np.arange(24, dtype="float32").reshape(2, 3, 4)


def held(array: Any) -> Value:
    """The array as a value that no pass can fold away."""
    array = np.asarray(array)
    return Variable(array, dtype=array.dtype.name).leaf


V, C = held(X), held(CUBE)
ROWS = [[0, 1], [2, 0]]

PAIRS: dict[str, tuple[Any, Any]] = {
    "broadcast": (V + np.float32([1, 2, 3]), X + np.float32([1, 2, 3])),
    "column": (V * held(np.float32([[2], [3]])), X * np.float32([[2], [3]])),
    "number first": (2 - V, 2 - X),
    "array first": (X + V, X + X),
    "reciprocal": (1 / (V + 1), 1 / (X + 1)),
    "cube": (V**3, X**3),
    "power of a number": (2.0**V, 2.0**X),
    "zeroth power": (V**0, X**0),
    "negative": (-V, -X),
    "compare": (V >= 2, X >= 2),
    "row": (V[1], X[1]),
    "from the end": (V[-1, -2], X[-1, -2]),
    "step": (V[:, ::2], X[:, ::2]),
    "ellipsis": (C[..., 1], CUBE[..., 1]),
    "new axis": (V[None, :, None], X[None, :, None]),
    "nothing": (V[2:1], X[2:1]),
    "rows by number": (V[[1, -1, 0]], X[[1, -1, 0]]),
    "sum": (ops.sum(C), CUBE.sum()),
    "sum of axes": (ops.sum(C, axis=(0, -1)), CUBE.sum((0, -1))),
    "mean": (ops.mean(V, axis=0), X.mean(0)),
    "var": (ops.var(V), X.var()),
    "std": (ops.std(V, axis=1, keepdims=True), X.std(1, keepdims=True)),
    "max": (ops.max(V, axis=-1, keepdims=True), X.max(-1, keepdims=True)),
    "min": (ops.min(V, axis=0), X.min(0)),
    "argmax": (ops.argmax(V), X.argmax()),
    "argmin": (ops.argmin(V, axis=1), X.argmin(1)),
    "any": (ops.any(V > 4, axis=1), (X > 4).any(1)),
    "all": (ops.all(V > -1), (X > -1).all()),
    "cumsum": (ops.cumsum(C, axis=1), CUBE.cumsum(1)),
    "sort": (ops.sort(-C, axis=1), np.sort(-CUBE, 1)),
    "sort of a vector": (ops.sort(held(-X[0])), np.sort(-X[0])),
    "argsort": (ops.argsort(-C, axis=0), np.argsort(-CUBE, 0)),
    "logsumexp": (ops.logsumexp(V, axis=1), np.log(np.exp(X).sum(1))),
    "logsumexp of nothing": (ops.logsumexp(held(np.float32([-np.inf] * 2))), -np.inf),
    "transpose": (ops.transpose(C), CUBE.T),
    "swapaxes": (ops.swapaxes(C, 0, -1), CUBE.swapaxes(0, -1)),
    "squeeze": (ops.squeeze(V[:1]), X[0]),
    "reshape": (ops.reshape(C, (4, -1)), CUBE.reshape(4, -1)),
    "flip": (ops.flip(V, axis=1), np.flip(X, 1)),
    "pad": (ops.pad(V, ((1, 0), (0, 2)), 7.0), np.pad(X, ((1, 0), (0, 2)), constant_values=7)),
    "stack": (ops.stack([V, V], axis=1), np.stack([X, X], 1)),
    "concatenate": (ops.concatenate([V, held(np.int32([[9]] * 2))]), np.c_[X, [9, 9]]),
    "split": (ops.split(V, 3, axis=1)[2], X[:, 2:]),
    "split at": (ops.split(C, [1, 3], axis=2)[1], CUBE[..., 1:3]),
    "take": (ops.take(V, [2, 0], axis=1), X[:, [2, 0]]),
    "take many": (ops.take(C, ROWS, axis=1), np.take(CUBE, ROWS, 1)),
    "take from the end": (ops.take(C, [-1], axis=2), np.take(CUBE, [-1], 2)),
    "take from all": (ops.take(V, [5, 0], axis=None), np.take(X, [5, 0])),
    "clip": (ops.clip(V, 1, 3), X.clip(1, 3)),
    "where": (ops.where(V > 2, V, 0.0), np.where(X > 2, X, 0)),
    "one_hot": (ops.one_hot([0, 2], 3), np.eye(3)[[0, 2]]),
    "one_hot in front": (ops.one_hot([0, 2], 3, axis=0), np.eye(3)[[0, 2]].T),
    "arange": (ops.arange(2, 9, 3), np.arange(2, 9, 3)),
    "matrices": (V @ X.T, X @ X.T),
    "vectors": (ops.dot(V[0], V[1]), X[0] @ X[1]),
    "matrix and vector": (V @ X[0], X @ X[0]),
    "vector and matrix": (X[:, 0] @ V, X[:, 0] @ X),
    "vector and stack": (ops.matmul(X[0], C), X[0] @ CUBE),
    "stack and matrix": (ops.matmul(C, np.ones((4, 5), "f")), CUBE @ np.ones((4, 5))),
    "stacks": (ops.matmul(C[:, None], C.numpy().mT), CUBE[:, None] @ CUBE.mT),
    "nothing contracted": (ops.matmul(C[:, :, :0], np.ones((0, 5), "f")), np.zeros((2, 3, 5))),
    "integers": (ops.matmul(held(np.int32(ROWS)), held(np.int32(ROWS))), np.dot(ROWS, ROWS)),
}


@pytest.mark.parametrize("case", PAIRS)
def test_as_numpy(case: str) -> None:
    value, expected = PAIRS[case]
    for executor in ("native", "reference"):
        found = run([value], executor)[0]
        assert found.shape == value.shape == np.shape(expected)
        assert found.dtype.kind == np.asarray(expected).dtype.kind
        np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize("dtype", ["uint8", "bool"])
def test_small_integers_are_counted_in_int64(dtype: str) -> None:
    x = np.array([[1, 0, 1], [1, 1, 0]]).astype(dtype) * np.array(1 if dtype == "bool" else 200)
    x = x.astype(dtype)
    v, wide = held(x), x.astype("int64")
    pairs = [
        (v + v, wide + wide), (v - v, wide - wide), (v * v, wide * wide), (1 - v, 1 - wide),
        (-v, -wide), (ops.abs(v), wide), (ops.maximum(v, 1), np.maximum(wide, 1)),
        (ops.max(v, axis=0), wide.max(0)), (ops.min(v), wide.min()), (ops.sum(v), wide.sum()),
        (ops.argmax(v, axis=1), wide.argmax(1)), (ops.cumsum(v), wide.cumsum(-1)),
        (ops.sort(v), np.sort(wide)), (ops.matmul(v, x.T), wide @ wide.T),
    ]  # fmt: skip
    for found, expected in pairs:
        np.testing.assert_array_equal(run([found])[0], expected, strict=True)
    np.testing.assert_allclose(run([v / 2])[0], wide / 2)


@pytest.mark.parametrize(
    ("left", "right", "result"),
    [
        ("int32", "int64", "int64"), ("int64", "float32", "float32"), ("bool", "int32", "int32"),
        ("float32", "float64", "float64"), ("uint8", "float32", "float32"),
    ],
)  # fmt: skip
def test_common_dtypes(left: str, right: str, result: str) -> None:
    for value in (held(np.ones(2, left)) + held(np.ones(2, right)),):
        assert value.dtype == run([value])[0].dtype.name == result


def test_numbers_take_the_dtype_beside_them() -> None:
    for dtype in ("float32", "float64", "int32", "int64"):
        v = held(np.ones(2, dtype))
        assert {(v + 1).dtype, (2 * v).dtype, (1 - v).dtype, ops.maximum(v, 0).dtype} == {dtype}
    assert (held(np.ones(2, "int32")) * 0.5).dtype == "float32"


def test_numbers_are_part_of_the_operation() -> None:
    made = {"scale": V * 2, "offset": V + 1, "square": V**2, "reciprocal": 1 / V, "sqrt": V**0.5}
    made |= {"negative": -V}
    for name, value in made.items():
        assert value.node is not None and value.node.op.name == name
        assert value.node.arguments == (V,)
    assert (V / 4).node.attributes == {"factor": 0.25}


def test_a_value_is_a_sequence_of_rows() -> None:
    assert [run([row])[0].tolist() for row in V] == X.tolist()
    with pytest.raises(ShapeError, match="no length"):
        list(constant(1.0))


MISTAKES: dict[str, tuple[Callable[[], Any], type[ChainruleError], str]] = {
    "add": (lambda: V + np.ones(2), ShapeError, r"shapes \[2, 3\] and \[2\] do not fit together"),
    "matmul": (lambda: V @ V, ShapeError, "axis `k` is 3 in x but 2 in w"),
    "scalar": (lambda: V @ 2.0, ShapeError, "use multiply"),
    "dot": (lambda: ops.dot(V, C), ShapeError, "use matmul"),
    "reshape": (lambda: ops.reshape(V, (4, -1)), ShapeError, r"6 elements .* \[4, -1\]"),
    "two": (lambda: ops.reshape(V, (-1, -1)), ShapeError, r"do not fit \[-1, -1\]"),
    "axis": (lambda: ops.sum(V, axis=2), ShapeError, "axis 2 is not one of the 2 axes"),
    "line": (lambda: ops.softmax(held(X[0]), axis=1), ShapeError, "axis 1 is not one of the 1"),
    "squeeze": (lambda: ops.squeeze(V, 0), ShapeError, "axis 0 has size 2, not 1"),
    "split": (lambda: ops.split(V, 2, axis=1), ShapeError, "size 3 does not make 2 equal parts"),
    "no arrays": (lambda: ops.stack([]), ShapeError, "no arrays"),
    "rank": (lambda: ops.concatenate([V, V[0]], 1), ShapeError, r"\[2, 3\] and \[3\] differ"),
    "pad": (lambda: ops.pad(V, [(1, 2, 3)]), ShapeError, "pair .* for each of the 2 axes"),
    "mean": (lambda: ops.mean(V[:0], 0), ShapeError, "the mean over no elements"),
    "argmax": (lambda: ops.argmax(V[:0], 0), ShapeError, "axis 0 of shape .* is empty"),
    "outside": (lambda: V[2], ArgumentError, "index 2 is outside of axis 0, which has size 2"),
    "no row": (lambda: ops.take(V, [0, 5]), ArgumentError, "no row 5 in an axis of size 2"),
    "too many": (lambda: V[0, 0, 0], ShapeError, r"3 indices for an array of shape \[2, 3\]"),
    "dots": (lambda: V[..., ...], ShapeError, "more than one"),
    "backwards": (lambda: V[::-1], ShapeError, "use flip"),
    "float": (lambda: V[1.5], DTypeError, "an index is an integer"),
    "mask": (lambda: V[X[:, 0] > 0], DTypeError, "not by a mask"),
    "text": (lambda: V + "one", DTypeError, "cannot make an array of numbers from str"),
    "scatter": (
        lambda: ops.scatter_add([0, 1, 2], V, 4), ShapeError, r"do not begin with .* \[3\]"
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", MISTAKES)
def test_mistakes_say_what_was_expected(case: str) -> None:
    make, error, words = MISTAKES[case]
    with pytest.raises(error, match=words):
        make()


def slope(value: Value, x: Variable) -> list[float]:
    found: list[float] = run(gradient(ops.sum(value), [x]))[0].tolist()
    return found


def test_what_is_not_chosen_has_no_gradient() -> None:
    """Also where the cotangent there is infinite or NaN."""
    x = Variable(np.array([0.0, 1.0, -2.0]), dtype="float64")
    chosen = np.array([False, True, True])
    assert slope(1 / ops.where(chosen, x, 0.0), x) == [0.0, -1.0, -0.25]
    factors = np.array([np.inf, 1.0, 1.0])
    assert slope(ops.maximum(x, 0.5) * factors, x) == [0.0, 1.0, 0.0]


def test_ties_share_the_gradient() -> None:
    x = Variable(np.array([2.0, 2.0, 1.0, 2.0]), dtype="float64")
    assert slope(ops.max(x), x) == [1 / 3, 1 / 3, 0.0, 1 / 3]
    assert slope(ops.maximum(x, 2.0), x) == [0.5, 0.5, 0.0, 0.5]
    assert slope(ops.abs(x - 2.0), x) == [0.0, 0.0, -1.0, 0.0]


def test_powers_at_zero() -> None:
    x = Variable(np.array([0.0, 0.0, 0.0]), dtype="float64")
    exponents = Variable(np.array([0.0, 1.0, 2.0]), dtype="float64")
    assert slope(ops.power(x, exponents), x) == [0.0, 1.0, 0.0]
    assert slope(ops.power(x, exponents), exponents) == [0.0, 0.0, 0.0]


def test_stop_gradient() -> None:
    x = Variable(np.array([3.0]), dtype="float64")
    assert slope(x * ops.stop_gradient(x), x) == [3.0]


def test_random_numbers_follow_the_key() -> None:
    draws = []
    for seed in (1, 1, 2):
        with scope.tracing(constant(np.array([seed, 0])), training=True):
            values = [ops.random.uniform((400,), -1, 3), ops.random.normal((400,), 5, 2)]
            draws.append(run([*values, ops.random.bernoulli((400,), 0.25)]))
    for first, second, other in zip(*draws, strict=True):
        np.testing.assert_array_equal(first, second)
        assert (first != other).any()
    uniform, normal, bernoulli = draws[0]
    assert -1 <= uniform.min() < -0.9 and 2.9 < uniform.max() < 3
    assert abs(normal.mean() - 5) < 0.4 and abs(normal.std() - 2) < 0.3
    assert set(bernoulli.tolist()) == {0.0, 1.0} and abs(bernoulli.mean() - 0.25) < 0.1
