"""The friendly functions: NumPy's broadcasting, dtypes and indexing, and what mistakes say."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule.graph.scope as scope
from chainrule import ops
from chainrule.errors import ArgumentError, ChainruleError, DTypeError, ShapeError
from chainrule.executors import run
from chainrule.graph import Value, Variable, constant, gradient
from chainrule.layers import Input, Lambda
from chainrule.models import Sequential
from peers import peer

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
    "backwards": (C[::-1, 2:0:-1, ::-2], CUBE[::-1, 2:0:-1, ::-2]),
    "backwards to nothing": (V[0:2:-1], X[0:2:-1]),
    "columns by number": (V[:, [2, -1]], X[:, [2, -1]]),
    "numbers among slices": (C[1:, None, [2, 0], ::2], CUBE[1:, None, [2, 0], ::2]),
    "pairs": (V[[0, 1], [2, -3]], X[[0, 1], [2, -3]]),
    "pairs, then a slice": (C[held(np.int64([1, -1])), 0, 1:], CUBE[[1, -1], 0, 1:]),
    "pairs that broadcast": (C[[[0], [1]], [0, 2]], CUBE[[[0], [1]], [0, 2]]),
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
    "pad": (
        ops.pad(V, ((1, 0), (0, 2)), constant_values=7.0),
        np.pad(X, ((1, 0), (0, 2)), constant_values=7),
    ),
    "stack": (ops.stack([V, V], axis=1), np.stack([X, X], 1)),
    "concatenate": (ops.concatenate([V, held(np.int32([[9]] * 2))], -1), np.c_[X, [9, 9]]),
    "concatenate rows": (ops.concatenate([V, held(np.int32([[9] * 3]))]), np.r_[X, [[9] * 3]]),
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

Q = held(np.float32([[0.5, -1.5, 2.5], [-0.5, 3.2, -2.7]]))
N = held(np.float32([[1, np.nan, np.inf], [-np.inf, 0, 2]]))
I = held(np.int32([[7, -7, 0], [3, -2, 5]]))  # noqa: E741
ROW, SIGNS = held(np.float32([3, -1, 2])), held(np.int32([2, -2, 3]))


def by_numpy(name: str, *args: Any, **kwargs: Any) -> tuple[Any, Any]:
    """What ours returns, and what NumPy's function of the same name does."""
    arrays = [a.numpy() if isinstance(a, Value) else a for a in args]
    with np.errstate(all="ignore"):
        expected = getattr(np, name)(*arrays, **kwargs)
    return getattr(ops, name)(*args, **kwargs), expected


AS_NUMPY: dict[str, tuple[Any, Any]] = {
    f"{name} {i}": by_numpy(name, *arguments)
    for name, cases in {
        "round": [(Q,), (Q, 0)], "trunc": [(Q,)], "ceil": [(Q,)], "tan": [(Q,)], "exp2": [(Q,)],
        "log2": [(V,)], "log10": [(V,)], "isinf": [(N,)], "isnan": [(N,)], "logaddexp": [(N, Q)],
        "nan_to_num": [(N,)], "mod": [(Q, 2), (I, SIGNS), (I, 0), (Q, ROW)],
        "floor_divide": [(Q, 2), (I, SIGNS), (I, 0)], "logical_xor": [(V, I)],
        "isclose": [(N, N), (Q, Q + 1e-6)], "power": [(I, 4), (I, 0), (I, 5), (ROW, SIGNS)],
        "divide": [(V, 1e-40), (V, 3e38), (0, Q), (5, Q), (V, np.inf)],
        "prod": [(Q,), (I, 0), (C[:, :, :0], 2), (Q, 1), (C, (0, 2))], "count_nonzero": [(N, 1)],
        "median": [(Q,), (C, (0, 2)), (N, 1)], "average": [(Q, 0)], "diff": [(Q,), (I, 2)],
        "cumsum": [(Q,)], "cumprod": [(Q,), (I, 1), (C, 0)], "ravel": [(C,)],
        "moveaxis": [(C, 0, -1), (C, (0, 1), (-1, 0))], "expand_dims": [(V, (0, -1))],
        "roll": [(C, 5), (C, 1, 1), (V, (1, -1), (0, 1))], "tile": [(V, 2), (V, (2, 1, 3))],
        "repeat": [(V, 2), (V, 2, 0), (V, [2, 0, 1], 1)], "hstack": [((V, V),), ((ROW, ROW),)],
        "vstack": [((V, V),), ((ROW, ROW),)], "tril": [(C,), (C, 1), (C, -1)],
        "triu": [(C,), (C, 1), (C, -1)], "diagonal": [(C,), (C, 1, 2, 1), (V, -1)],
        "diag": [(ROW,), (ROW, 2), (ROW, -1), (V,), (V, 1)], "trace": [(C,), (V, 1)],
        "outer": [(V, ROW)], "vdot": [(V, Q)], "inner": [(C, C[0, 0]), (V, Q)],
        "tensordot": [(C, C, 3), (V, Q, ([1], [1])), (V, Q, 0), (C, C, ((0, 2), (0, 2)))],
        "take_along_axis": [(V, np.array([[0], [-1]]), 1)], "linspace": [(0, 1, 4), (2, -1, 1)],
        "identity": [(3,)], "eye": [(2, 3, -1)], "tri": [(2, 3)],
        "clip": [(Q, -1, 2), (I, 3, 1)], "argmin": [(I,), (Q, 1)], "min": [(I, 1), (N,)],
        "quantile": [(Q, 0.3), (C, [0.1, 0.75, 1], 1), (N, 0.5, 1)],
        "pad": [(V, ((1, 2), (0, 2)), mode) for mode in ("edge", "reflect", "symmetric", "wrap")],
    }.items()
    for i, arguments in enumerate(cases)
}  # fmt: skip
for letters, arrays in {
    "nk,km->nm": (V, C[0, :, :2]), "bij,bjk->bik": (C, ops.swapaxes(C, 1, 2)), "ij->ji": (V,),
    "ij,ij->": (V, Q), "ij->j": (V,), "ii->i": (V[:, :2],), "i,j": (ROW, V[0]),
    "iij->j": (C[:, :2],),
    "...ij,j->i...": (C, C[0, 0]), "ij,jk,kl->il": (V, C[0], ops.transpose(C[1])), "ba": (V,),
    "...,...->...": (C, C[1]), "bi,bi,b->b": (V, Q, V[:, 0]), "ij,kj->ik": (V, V[:1]),
}.items():  # fmt: skip
    AS_NUMPY[f"einsum {letters}"] = (
        ops.einsum(letters, *arrays),
        np.einsum(letters, *(a.numpy() for a in arrays)),
    )
LINALG = {
    f"norm {i}": (ops.norm(x, *args), np.linalg.norm(x.numpy(), *args))
    for i, (x, args) in enumerate(
        [
            (C, ()), (ROW, ()), (V, (2, 1, True)), (V, (1, 0)), (V, (3, -1)), (V, (0, 1)),
            (V, (np.inf, 1)), (V, (-np.inf, 1)), (V, ("fro",)), (V, (1,)), (V, (np.inf,)),
            (Q, (-1,)), (Q, (-np.inf,)), (C, (1, (2, 0))), (C, (np.inf, (2, 0))), (N[0, 1:], ()),
        ]
    )
}  # fmt: skip
PAIRS |= AS_NUMPY | LINALG | {
    "unstack": (ops.unstack(C, axis=1)[2], CUBE[:, 2]),
    "moments": (ops.moments(C, (0, 2))[1], CUBE.var((0, 2))),
    "average of columns": (ops.average(V, 1, weights=[1, 0, 3]), np.average(X, 1, [1, 0, 3])),
    "select": (ops.select([V > 3, V > 1], [V, -V], 9), np.select([X > 3, X > 1], [X, -X], 9)),
    "segment_sum": (ops.segment_sum(V, [1, 1], 3), [[0.0] * 3, [3, 5, 7], [0, 0, 0]]),
    "top_k": (ops.top_k(Q, 2)[0], np.sort(-Q.numpy())[:, :2] * -1),
    "top_k of equals": (ops.top_k([5, 7, 7, 1], 3)[1], [1, 2, 0]),
    "multi_hot": (ops.multi_hot([[0, 2], [1, 7]], 3), [[1.0, 0, 1], [0, 1, 0]]),
    "divide_no_nan": (ops.divide_no_nan([1, 0, 3], [0, 0, 2]), [0, 0, 1.5]),
    "full of a row": (ops.full((2, 3), ROW), np.full((2, 3), ROW.numpy())),
    "linspace of values": (ops.linspace(ROW, 1.0, 3), np.linspace(ROW.numpy(), 1.0, 3)),
    "max, at least": (ops.max(V, axis=0, initial=4), X.max(0, initial=4)),
    "decimals": (ops.round(Q * 1.37, 1), np.round(Q.numpy() * np.float32(1.37), 1)),
    "tens": (ops.round([14, 25], -1), np.round([14, 25], -1) * 1.0),
    "meshgrid": (ops.meshgrid(ROW, V[0])[1], np.meshgrid(ROW.numpy(), X[0])[1]),
    "lowest integers": (ops.min(held(np.int32([-(2**31), 3]))), np.int32(-(2**31))),
    "a wide number": (held(np.int32([1])) + 2**40, np.array([2**40 + 1])),
    "beyond a byte": (held(np.uint8([44, 7])) < 300, np.array([True, True])),
    "a byte or less": (ops.where([True, False], held(np.uint8([44, 7])), -1), np.array([44, -1])),
}  # fmt: skip


@pytest.mark.parametrize("case", PAIRS)
def test_as_numpy(case: str) -> None:
    value, expected = PAIRS[case]
    for executor in ("native", "reference"):
        found = run([value], executor)[0]
        assert found.shape == value.shape == np.shape(expected)
        assert found.dtype.kind == np.asarray(expected).dtype.kind
        np.testing.assert_allclose(found, expected, rtol=2e-6, atol=1e-6)


@pytest.mark.parametrize("dtype", ["uint8", "bool"])
def test_small_integers_are_counted_in_int64(dtype: str) -> None:
    x = np.array([[1, 0, 1], [1, 1, 0]]).astype(dtype) * np.array(1 if dtype == "bool" else 200)
    x = x.astype(dtype)
    v, wide = held(x), x.astype("int64")
    pairs = [
        (v + v, wide + wide), (v - v, wide - wide), (v * v, wide * wide), (1 - v, 1 - wide),
        (-v, -wide), (ops.abs(v), wide), (ops.maximum(v, 1), np.maximum(wide, 1)),
        (ops.max(v, axis=0), wide.max(0)), (ops.min(v), wide.min()), (ops.sum(v), wide.sum()),
        (ops.argmax(v, axis=1), wide.argmax(1)), (ops.cumsum(v, axis=-1), wide.cumsum(-1)),
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
    "no row": (lambda: ops.take(V, [0, 5], axis=0), ArgumentError, "no row 5 in an axis of size 2"),
    "too many": (lambda: V[0, 0, 0], ShapeError, r"3 indices for an array of shape \[2, 3\]"),
    "dots": (lambda: V[..., ...], ShapeError, "more than one"),
    "no step": (lambda: V[::0], ShapeError, "its step not 0"),
    "apart": (lambda: C[[0], :, [1]], ShapeError, "name the first axes"),
    "float axis": (lambda: ops.sum(V, axis=1.0), ShapeError, "axis 1.0 is not one of the 2 axes"),
    "axis twice": (lambda: ops.sum(V, axis=(0, -2)), ShapeError, "name one axis twice"),
    "argmin": (lambda: ops.argmin(V[:0], 0), ShapeError, "argmin: axis 0 of shape .* is empty"),
    "stack": (lambda: ops.stack([V, V[0]]), ShapeError, r"stack: shapes \[2, 3\] and \[3\] differ"),
    "unstack": (lambda: ops.unstack(V, 3), ShapeError, "axis 0 has size 2, not 3"),
    "moveaxis": (lambda: ops.moveaxis(C, (0, 0), (1, 2)), ShapeError, "one by one"),
    "roll": (lambda: ops.roll(V, (1, 2), (0,)), ShapeError, "2 shifts for 1 axes"),
    "repeat": (lambda: ops.repeat(V, [1, 2], 1), ShapeError, "2 repeats for an axis of size 3"),
    "pad mode": (lambda: ops.pad(V, 1, "mirror"), ArgumentError, "unknown mode of pad 'mirror'"),
    "pad value": (lambda: ops.pad(V, 1, "edge", 1.0), ArgumentError, "takes no constant_values"),
    "shape": (lambda: ops.zeros((2, -1)), ShapeError, r"at least 0, not \[2, -1\]"),
    "step": (lambda: ops.arange(0, 3, 0), ArgumentError, "the step is 0"),
    "classes": (lambda: ops.one_hot([0], -1), ArgumentError, "num_classes is at least 0, not -1"),
    "big": (lambda: held(np.int32([1])) + 2**70, ArgumentError, "does not fit 64 bits"),
    "activation": (
        lambda: ops.dense(V, V, V[0], "sigmoyd"), ArgumentError, "did you mean 'sigmoid'"
    ),
    "triangle": (lambda: ops.tril(V[0]), ShapeError, "tril needs two axes at least"),
    "diag": (lambda: ops.diag(C), ShapeError, "a vector or a matrix"),
    "same axis": (lambda: ops.diagonal(V, 0, 1, -1), ShapeError, "are the same"),
    "top": (lambda: ops.top_k(V, 4), ArgumentError, "k is from 0 to 3, the size of the axis"),
    "along": (lambda: ops.take_along_axis(V, [[0]], 1), ShapeError, r"\[1\], but x is \[2\]"),
    "contract": (lambda: ops.tensordot(V, V, 1), ShapeError, "differ in number or size"),
    "groups": (lambda: ops.einsum("ij,jk", V), ShapeError, "is for 2 arrays, not 1"),
    "letters": (lambda: ops.einsum("i->i", V), ShapeError, r"does not name the axes of .*\[2, 3\]"),
    "sizes": (lambda: ops.einsum("ij,jk", V, V), ShapeError, "axis 'j' is 3 and 2"),
    "result": (lambda: ops.einsum("ij->ik", V), ShapeError, "repeats a letter or has a new one"),
    "ord": (lambda: ops.norm(C, ord=3), ArgumentError, "ord 3 is no norm over 3 axes"),
    "quantile": (lambda: ops.quantile(V, 1.5), ArgumentError, "q is from 0 to 1, not 1.5"),
    "method": (lambda: ops.quantile(V, 0.5, method="mid"), ArgumentError, "method is one of"),
    "window": (
        lambda: ops.slice(V, (0, 2), (2, 2)), ShapeError, r"\[2, 2\] at \[0, 2\] is not within"
    ),
    "update": (lambda: ops.slice_update(V, (0,), [1]), ShapeError, r"is not within \[2, 3\]"),
    "select": (lambda: ops.select([V > 1], []), ArgumentError, "1 conditions for 0 choices"),
    "range": (lambda: ops.random.randint((2,), 3, 3), ArgumentError, r"is in \[3, 3\)"),
    "chance": (lambda: ops.random.bernoulli((2,), 1.5), ArgumentError, "from 0 to 1, not 1.5"),
    "draw": (lambda: ops.random.normal((2,), dtype="int32"), DTypeError, "use randint or cast"),
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


# Functions of one number, with points at which they are smooth.
SMOOTH: dict[str, tuple[Callable[[Any], Any], list[float]]] = {
    name: (getattr(ops, name), [-2.2, -0.7, 0.4, 1.9])
    for name in (
        "exp2", "tan", "relu6", "leaky_relu", "elu", "selu", "silu", "gelu", "log_sigmoid",
        "softsign", "hard_sigmoid", "hard_silu", "hard_tanh", "mish", "cumsum", "cumprod", "prod",
        "norm", "normalize", "median", "var", "std", "logsumexp", "softmax", "diag", "ravel",
    )
}  # fmt: skip
SMOOTH |= {
    name: (getattr(ops, name), [-2.2, -0.7, 0.4, 1.9])
    for name in (
        "celu", "glu", "squareplus", "soft_shrink", "hard_shrink", "tanh_shrink", "sparse_plus",
        "sparse_sigmoid", "sparsemax",
    )
}  # fmt: skip
SMOOTH |= {
    "slice_update": (lambda x: ops.slice_update(x * x, (1,), x[:2]), [1.2, 3.3, -4.0]),
    "slice": (lambda x: ops.slice(x * x, (1,), (-1,)), [1.2, 3.3, -4.0]),
    "threshold": (lambda x: ops.threshold(x, 0.5, 3.0) ** 2, [1.2, 0.3, -4.0]),
    "log2": (ops.log2, [0.3, 2.0]),
    "log10": (ops.log10, [0.3, 2.0]),
    "erf gelu": (lambda x: ops.gelu(x, approximate=False), [-1.2, 0.3]),
    "norm of order 3": (lambda x: ops.norm(x, 3), [-1.2, 0.3]),
    "logaddexp": (lambda x: ops.logaddexp(x, 0.5), [-1.2, 0.5, 3.0]),
    "sinh": (ops.sinh, [-2.2, 0.0, 1.9]),
    "cosh": (ops.cosh, [-2.2, 0.0, 1.9]),
    "ptp": (lambda x: ops.ptp(x * x), [1.2, 3.3, -4.0]),
    "nanmean": (lambda x: ops.nanmean(ops.log(x * x) * x), [1.2, 3.3, -4.0]),
    "nanmax": (lambda x: ops.nanmax(x * x) + ops.nanmin(x * x), [1.2, 3.3, -4.0]),
    "cross": (lambda x: ops.cross(x, x[::-1]), [1.2, 3.3, -4.0]),
    "cond": (lambda x: ops.cond(x[0] > 1.0, lambda: x * x, lambda: -x), [1.2, 3.3]),
    "binary crossentropy": (
        lambda x: (
            ops.binary_crossentropy([0.2, 1.0], x)
            + ops.binary_crossentropy([0.2, 1.0], 2.0 * x, from_logits=True)
        ),
        [0.2, 0.7],
    ),
    "categorical crossentropy": (
        lambda x: (
            ops.categorical_crossentropy([0.2, 0.8], x)
            + ops.sparse_categorical_crossentropy(1, 2.0 * x, from_logits=True)
        ),
        [0.2, 0.7],
    ),
    "mod": (lambda x: ops.mod(x, 0.7) * ops.mod(5.0, x), [1.2, 3.3]),
    "divide_no_nan": (lambda x: ops.divide_no_nan(x, x * x + 1), [1.2, 3.3]),
    "quantile": (lambda x: ops.quantile(x, [0.2, 0.9]), [1.2, 3.3, -4.0]),
    "average": (lambda x: ops.average(x * x, weights=x), [1.2, 3.3]),
    "moments": (lambda x: ops.add(*ops.moments(x, 0)), [1.2, 3.3]),
    "top_k": (lambda x: ops.top_k(x, 2)[0] ** 2, [1.2, 3.3, -4.0]),
    "diff": (lambda x: ops.diff(x * x, 2), [1.2, 3.3, -4.0, 0.3]),
    "pad": (lambda x: ops.pad(x, (1, 2), "reflect") ** 2, [1.2, 3.3, -4.0]),
    "tile": (lambda x: ops.tile(x, 2) * ops.arange(6), [1.2, 3.3, -4.0]),
    "repeat": (lambda x: ops.repeat(x, [0, 2, 1]) * ops.arange(3), [1.2, 3.3, -4.0]),
    "roll": (lambda x: ops.roll(x, 1) * x, [1.2, 3.3, -4.0]),
    "outer": (lambda x: ops.tril(ops.outer(x, x)), [1.2, 3.3, -4.0]),
    "trace": (lambda x: ops.trace(ops.outer(x, x * x), 1), [1.2, 3.3, -4.0]),
    "einsum": (lambda x: ops.einsum("i,j,ij->i", x, x, ops.outer(x, x)), [1.2, 3.3, -4.0]),
    "tensordot": (lambda x: ops.tensordot(ops.outer(x, x), x, 1), [1.2, 3.3, -4.0]),
    "along": (lambda x: ops.take_along_axis(x, [2, 0, -1, 2]) ** 2, [1.2, 3.3, -4.0]),
    "linspace": (lambda x: ops.linspace(x, x * x, 4), [1.2, 3.3]),
    "pairs": (lambda x: ops.outer(x, x)[[0, 1], [1, 1]], [1.2, 3.3]),
    "backwards": (lambda x: x[::-2] * x[:2], [1.2, 3.3, -4.0]),
}


@pytest.mark.parametrize("case", SMOOTH)
def test_derivatives(case: str) -> None:
    function, points = SMOOTH[case]
    x = Variable(np.array(points), dtype="float64")
    y = function(x)
    weights = np.cos(np.arange(y.size)).reshape(y.shape)
    found = run(gradient(ops.sum(y * weights), [x]))[0]
    step = 1e-6
    for i in range(len(points)):
        ends = []
        for to in (step, -step):
            moved = np.array(points)
            moved[i] += to
            ends.append(np.sum(run([function(held(moved))])[0] * weights))
        np.testing.assert_allclose(found[i], (ends[0] - ends[1]) / (2 * step), rtol=1e-6, atol=1e-8)


def test_derivatives_at_special_points() -> None:
    x = Variable(np.array([0.0, 6.0, -3.0]), dtype="float64")
    assert slope(ops.relu6(x), x) == [0.0, 0.5, 0.0]
    assert slope(ops.leaky_relu(x), x) == [0.2, 1.0, 0.2]
    assert slope(ops.clip(x, 0, 6), x) == [0.5, 0.5, 0.0]
    assert slope(ops.round(x) + ops.trunc(x) + ops.floor_divide(x, 2), x) == [0.0, 0.0, 0.0]
    assert slope(ops.norm(x * 0.0), x) == [0.0, 0.0, 0.0]
    assert slope(ops.prod(x), x) == [-18.0, 0.0, 0.0]
    assert slope(ops.cumprod(x), x) == [1.0 + 6.0 - 18.0, 0.0, 0.0]
    assert slope(ops.divide_no_nan(1.0, x), x)[0] == 0.0
    assert slope(ops.nan_to_num(x + np.array([np.nan, 0.0, 0.0])), x) == [0.0, 1.0, 1.0]


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("relu6", ()), ("leaky_relu", ()), ("elu", (0.7,)), ("selu", ()), ("silu", ()),
        ("gelu", ()), ("gelu", (False,)), ("log_sigmoid", ()), ("softsign", ()),
        ("hard_sigmoid", ()), ("hard_silu", ()), ("hard_tanh", ()), ("normalize", ()),
        ("normalize", (0, 1)), ("logsumexp", (1,)), ("moments", (0,)), ("median", (1,)),
        ("in_top_k", ()), ("multi_hot", (4,)), ("top_k", (2,)), ("cumprod", (1,)),
        ("divide_no_nan", (np.float32([0, 2, 0]),)), ("unstack", (3, 1)),
        ("celu", (0.6,)), ("glu", (0,)), ("squareplus", ()), ("soft_shrink", ()),
        ("hard_shrink", ()), ("tanh_shrink", ()), ("threshold", (1.0, -2.0)), ("sparse_plus", ()),
        ("sparse_sigmoid", ()), ("slice", ((0, 1), (2, -1))),
        ("slice_update", ((1, 0), np.float32([[9, 8]]))),
    ],
)  # fmt: skip
def test_as_keras(name: str, arguments: tuple[Any, ...]) -> None:
    keras = peer("keras")
    x = np.float32([[0.5, -4.5, 7.0], [-0.5, 3.2, 3.2]])
    given: tuple[Any, ...] = (x, *arguments)
    if name == "in_top_k":
        given = (np.array([2, 1]), x, 1)
    if name == "multi_hot":
        given = (np.array([[0, 3], [1, 1]]), *arguments)
    found, expected = getattr(ops, name)(*given), getattr(keras.ops, name)(*given)
    if not isinstance(expected, tuple | list):
        found, expected = [found], [expected]
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.shape == tuple(theirs.shape)
        np.testing.assert_allclose(ours.numpy(), np.asarray(theirs), rtol=1e-5, atol=1e-6)


SHARES = np.float32([[0.5, 0.2, 0.3], [0.1, 0.0, 0.9]])
HOLED = np.float32([[0.5, np.nan, 7.0], [np.nan, np.nan, 3.2], [-1.0, 2.0, 0.0]])
WIDE = np.float32([[1e-4, -20.0, 5.0], [-1e-4, 0.0, 200.0]])


@pytest.mark.parametrize(
    ("name", "arguments", "options"),
    [
        ("sinh", (WIDE,), {}), ("cosh", (WIDE,), {}), ("ptp", (WIDE, 1), {}),
        ("ptp", (WIDE,), {"axis": 0, "keepdims": True}), ("nansum", (HOLED, 1), {}),
        ("nanmean", (HOLED,), {}), ("nanmean", (HOLED, 0, True), {}), ("nanmax", (HOLED, 1), {}),
        ("nanmin", (HOLED, 0), {}), ("nansum", (np.int32([1, 2]),), {}),
        ("nanmax", (np.int32([1, 2]),), {}),
        ("cross", (WIDE, SHARES), {}), ("cross", (SHARES.T, WIDE.T), {"axis": 0}),
        ("binary_crossentropy", (SHARES > 0.4, SHARES), {}),
        ("binary_crossentropy", (SHARES, WIDE), {"from_logits": True}),
        ("categorical_crossentropy", (np.eye(3, dtype="f")[:2], SHARES), {}),
        ("categorical_crossentropy", (SHARES, WIDE), {"from_logits": True}),
        ("categorical_crossentropy", (SHARES.T, WIDE.T), {"from_logits": True, "axis": 0}),
        ("sparse_categorical_crossentropy", (np.int32([0, 1]), SHARES), {}),
        ("sparse_categorical_crossentropy", (np.int32([[2], [1]]), WIDE), {"from_logits": True}),
    ],
)  # fmt: skip
def test_compositions_as_keras(
    name: str, arguments: tuple[Any, ...], options: dict[str, Any]
) -> None:
    keras = peer("keras")
    found = getattr(ops, name)(*arguments, **options)
    expected = np.asarray(getattr(keras.ops, name)(*arguments, **options))
    assert found.shape == expected.shape
    assert found.numpy().dtype.kind == expected.dtype.kind
    np.testing.assert_allclose(found.numpy(), expected, rtol=2e-5, atol=1e-6)


def test_functions_that_are_chosen_between() -> None:
    x = Variable(np.array([2.0, 3.0]), dtype="float64")
    for above in (1.0, 5.0):
        found = ops.cond(x[0] > above, lambda: (x, {"a": x * 2}), lambda: (-x, {"a": x / 2}))
        factor = 2.0 if above == 1.0 else 0.5
        assert found[1]["a"].numpy().tolist() == [2 * factor, 3 * factor]
    assert ops.cond(False, lambda: 1 / 0, lambda: 7) == 7
    with pytest.raises(ArgumentError, match="true_fn returns 2 values and false_fn 1"):
        ops.cond(x[0] > 0, lambda: (x, x), lambda: x)
    with pytest.raises(ShapeError, match="expected one truth"):
        ops.cond(x > 0, lambda: x, lambda: x)
    with pytest.raises(ShapeError, match="expected 3"):
        ops.cross(x, x)
    with pytest.raises(ShapeError, match="do not fit the output"):
        ops.categorical_crossentropy([1, 0], [[0.5, 0.5], [0.5, 0.5]])
    size = Lambda(lambda v: ops.cond(ops.sum(v) > 0, lambda: v, lambda: -v))
    model = Sequential([Input((2,)), size])
    assert model.predict(-np.ones((2, 2)), verbose=0).tolist() == [[1.0, 1.0]] * 2


def test_rows_that_a_step_computes_are_checked() -> None:
    for index in ([3], [-4]):
        column = held(np.int64(index))
        for value in (ops.take_along_axis(V[0], column), V[held(np.int64([0])), column]):
            with pytest.raises(Exception, match="check 65535"):
                run([value])


def test_random_integers_and_classes() -> None:
    drawn = run([ops.random.randint((5000,), -2, 3)])[0]
    assert drawn.dtype == "int32"
    assert np.bincount(drawn + 2).min() > 850
    classes = run([ops.random.categorical(np.log([[0.1, 0.0 + 1e-30, 0.9]] * 2), 4000)])[0]
    assert classes.shape == (2, 4000)
    assert abs((classes == 2).mean() - 0.9) < 0.02 and not (classes == 1).any()


def test_every_function_is_documented_in_full() -> None:
    for name in ops.__all__:
        function = getattr(ops, name)
        if not inspect.isfunction(function):
            continue
        text = inspect.getdoc(function) or ""
        assert "``" in text.split("\n\n")[0], name
        assert "Parameters\n-" in text and "Examples\n-" in text, name


NAN, INF = np.nan, np.inf


def test_special_values_are_as_documented() -> None:
    cases: list[tuple[Any, list[Any]]] = [
        (ops.exp(held(np.float32([88.7, 88.8]))) < INF, [True, False]),
        (ops.silu([-INF]), [NAN]), (ops.softsign([INF]), [NAN]), (ops.sqrt([-1.0]), [NAN]),
        (ops.log([0.0, -1.0]), [-INF, NAN]), (ops.log1p([-1.0, -2.0]), [-INF, NAN]),
        (ops.relu([NAN]), [NAN]), (ops.sign([NAN]), [NAN]), (ops.clip([NAN], 0, 1), [NAN]),
        (ops.sin([INF]), [NAN]), (ops.rsqrt([0.0, -1.0]), [INF, NAN]),
        (ops.power([0.0, -8.0], [0.0, 1 / 3]), [1.0, NAN]), (ops.maximum([NAN], 1), [NAN]),
        (ops.cast([NAN, 0.0], "bool"), [True, False]), (ops.sort([NAN, 2.0, 1.0]), [1, 2, NAN]),
        (ops.softmax([INF, 0.0]), [NAN, NAN]), (ops.softmax([-INF, -INF]), [NAN, NAN]),
        (ops.top_k(held(np.float32([NAN, 1, 2])), 2)[1], [2, 1]), (ops.log_sigmoid([-1e4]), [-1e4]),
        (ops.in_top_k([0, 1], [[1.0, NAN], [1.0, NAN]], 1), [False, False]),
        (ops.in_top_k([0, 1], [[1.0, 1.0], [1.0, 1.0]], 1), [True, True]),
        (ops.average([[1.0, 2.0]], axis=1, weights=[1, -1]), [-INF]),
        (ops.max(ops.zeros((0, 1)), 0), [-INF]), (ops.min(ops.zeros((0, 1)), 0), [INF]),
        (ops.sum(ops.zeros((0, 1)), 0), [0.0]), (ops.prod(ops.zeros((0, 1)), 0), [1.0]),
        (ops.all(ops.zeros((0, 1)), 0), [True]), (ops.any(ops.zeros((0, 1)), 0), [False]),
        (ops.equal([NAN], [NAN]), [False]), (ops.not_equal([NAN], [NAN]), [True]),
        (ops.isclose([NAN, INF], [NAN, INF], equal_nan=True), [True, True]),
        (ops.isclose([INF, 1.0], [-INF, INF]), [False, False]),
        (ops.logaddexp([INF, -INF], [INF, -INF]), [INF, -INF]),
        (ops.nan_to_num([INF, -INF]), [np.finfo("f").max, np.finfo("f").min]),
        (ops.round([-0.5, 2.5, 0.49999997]), [-0.0, 2.0, 0.0]), (ops.argmax([1.0, NAN]), 1),
        (ops.argmin([1.0, NAN, 0.0]), 1), (ops.clip([2.0], 3, 1), [1.0]),
        (ops.normalize([0.0, 0.0]), [0.0, 0.0]), (ops.one_hot([-1, 2], 2), [[0, 0], [0, 0]]),
        (ops.scatter_add([5, 0], [1.0, 2.0], 1), [2.0]), (ops.reciprocal([0]), [INF]),
        (ops.sparsemax([-1.0, 3.0, 3.0]), [0.0, 0.5, 0.5]),
    ]  # fmt: skip
    for value, expected in cases:
        for executor in ("native", "reference"):
            np.testing.assert_array_equal(run([value], executor)[0], expected)


def test_gradients_as_documented() -> None:
    x = Variable(np.array([2.0, 2.0]), dtype="float64")
    assert np.isnan(slope(ops.std(x), x)).all()
    assert slope(ops.sort(x) * np.array([1.0, 5.0]), x) == [1.0, 5.0]
    assert slope(ops.take(x, [0, 0, 1]), x) == [2.0, 1.0]
    assert slope(ops.hard_tanh(x - 1.0), x) == [0.5, 0.5]
    assert slope(ops.cast(ops.cast(x, "float32"), "float64") * 3, x) == [3.0, 3.0]
    assert slope(ops.sqrt(x - 2.0), x) == [INF, INF]
    assert slope(ops.elu(x - 2.0, 0.3), x) == [0.3, 0.3]
