"""Every operation: its type rule, the two executors, its derivatives against differences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from chainrule import ops
from chainrule.errors import DataError, DTypeError, ShapeError
from chainrule.executors import Fault, native, run, set_num_threads
from chainrule.graph import Value, Variable, constant, gradient, registry
from chainrule.graph.primitive import run_body
from chainrule.ops.random import philox
from chainrule.plan import make_plan
from op_cases import CASES, LARGE, Case


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


@pytest.mark.parametrize("case", LARGE, ids=str)
def test_shared_work_has_the_same_bits(case: Case) -> None:
    arrays = arguments(case, "float32")
    outputs = applied(case, variables(arrays))
    assert native.load(make_plan(outputs))._program.threads_for(3) > 1
    expected = run_body(registry()[case.name], arrays, dict(case.attributes))
    bits = []
    for threads in (1, 2, 3):
        set_num_threads(threads)
        found = run(outputs)
        bits.append([f.tobytes() for f in found])
    assert bits[0] == bits[1] == bits[2]
    for e, f in zip(expected, found, strict=True):
        np.testing.assert_allclose(f, e, rtol=case.tolerance, atol=case.tolerance)


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


COUNTED = ("int32", "int64")
STORED = (*COUNTED, "uint8", "bool")
COUNTING: dict[str, dict[str, Any]] = {
    "negative": {}, "absolute": {}, "sign": {}, "square": {}, "add": {}, "subtract": {},
    "multiply": {}, "maximum": {}, "minimum": {}, "scale": {"factor": -3}, "offset": {"amount": 7},
    "reduce_sum": {"axes": (0,)}, "reduce_max": {"axes": (1,)}, "argmax": {"axis": 1},
    "cumulative_sum": {"axis": 1, "reverse": True}, "sort": {}, "argsort": {},
    "require_range": {"low": -9.0, "high": 9.0, "code": 0},
}  # fmt: skip
MOVING: dict[str, dict[str, Any]] = {
    "equal": {}, "less": {}, "less_equal": {}, "reshape": {"shape": (20,)},
    "transpose": {"axes": (1, 0)}, "broadcast": {"shape": (4, 3, 5), "axes": (0, 2)},
    "concatenate": {"axis": 1}, "reverse": {"axes": (0,)}, "stop_gradient": {},
    "slice": {"start": (1, 0), "stop": (4, 5), "step": (2, 3)},
    "pad": {"low": (1, 0), "high": (0, 2), "value": 1.0},
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "dtype"),
    [(n, d) for n in COUNTING for d in COUNTED] + [(n, d) for n in MOVING for d in STORED],
)
def test_other_dtypes(name: str, dtype: str) -> None:
    op, attributes = registry()[name], {**COUNTING, **MOVING}[name]
    low, high = (-9, 9) if dtype in COUNTED else (0, 2)
    count = 2 if op.signature.variadic else len(op.argument_names)
    rng = np.random.default_rng(0)
    arrays = [rng.integers(low, high, (4, 5)).astype(dtype) for _ in range(count)]
    value = op.apply(variables(arrays), dict(attributes))
    expected = run_body(op, arrays, {**op.defaults, **attributes})[0]
    found = run([value])[0]
    assert value.dtype == found.dtype.name == expected.dtype.name
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("dtype", STORED)
def test_chosen_and_taken_in_other_dtypes(dtype: str) -> None:
    rng = np.random.default_rng(0)
    x, y = (rng.integers(0, 2, (4, 5)).astype(dtype) for _ in range(2))
    condition, index = rng.integers(0, 2, (4, 5)).astype(bool), np.array([3, 0], "int32")
    for name, arrays in (("where", [condition, x, y]), ("take", [x, index])):
        op = registry()[name]
        found = run([op.apply(variables(arrays), {})])[0]
        np.testing.assert_array_equal(found, op.body(*arrays), strict=True)


@pytest.mark.parametrize("target", ["float32", "float64", *STORED])
@pytest.mark.parametrize("source", ["float32", "float64", *STORED])
def test_casts(source: str, target: str) -> None:
    x = np.array([0.0, 1.0, 2.75, 100.5]).astype(source)
    found = run([registry()["cast"].apply(variables([x]), {"dtype": target})])[0]
    np.testing.assert_array_equal(found, x.astype(target), strict=True)


UNUSUAL = [
    np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -1.0, 1e-30, -1e-30, 1e-8, -1e-8, 0.5, -0.5, 2.5,
    -2.5, 3.0, -3.0, 20.0, -20.0, 88.8, -88.8, 104.0, -104.0, 709.9, -745.2, 1e10, -1e10, 3e38,
]  # fmt: skip
ON_FLOATS = sorted(
    {c.name for c in CASES if registry()[c.name].elementwise}
    - {"cast", "logical_and", "logical_or", "logical_not", "where", "stop_gradient"}
    - {"require_finite", "require_range"}
)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ON_FLOATS)
def test_unusual_numbers(name: str, dtype: str) -> None:
    op = registry()[name]
    attributes = {"scale": {"factor": -1.5}, "offset": {"amount": 0.25}}.get(name, {})
    grid = np.meshgrid(*[np.array(UNUSUAL, dtype)] * len(op.argument_names))
    arrays = [np.ascontiguousarray(a.ravel()) for a in grid]
    found = run([op.apply(variables(arrays), dict(attributes))])[0]
    expected = run_body(op, arrays, dict(attributes))[0]
    tolerance = 1e-5 if dtype == "float32" else 1e-11
    small = np.finfo(dtype).tiny
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=small)


def test_excluded_classes_and_labels_outside() -> None:
    """A class of logit -inf has probability 0; a label that is no class makes the loss NaN."""
    z = np.array([[0.0, -np.inf, 1.0], [3.0, 2.0, 1.0], [0.0, 0.0, 0.0]])
    labels = np.array([0, 1, 3])
    op = registry()["sparse_softmax_cross_entropy"]
    losses = [run([op.apply(variables([z, labels]), {})])[0], run_body(op, [z, labels], {})[0]]
    for loss in losses:
        first = np.log(1 + np.e)
        np.testing.assert_allclose(loss, [first, 1 + np.log(1 + np.e**-1 + np.e**-2), np.nan])


def test_rows_that_are_not_there() -> None:
    table, index = variables([np.ones((3, 2)), np.array([0, 3])])
    rows = registry()["take"](table, index)
    with pytest.raises(Fault, match="row 1"):
        run([rows])
    with pytest.raises(DataError, match="no row 3 in an array of 3 rows"):
        run([rows], "reference")
    left_out = registry()["scatter_add"](index, table[:2], rows=3)
    for executor in ("native", "reference"):
        assert run([left_out], executor)[0].tolist() == [[1, 1], [0, 0], [0, 0]]


def test_philox_gives_the_published_words() -> None:
    """Known answers of Random123's philox4x32-10."""
    most = 0xFFFFFFFF
    pi = (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344)
    known = [
        ((0, 0, 0, 0), (0, 0), "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
        ((most,) * 4, (most, most), "408f276d 41c83b0e a20bc7c6 6d5451fd"),
        (pi, (0xA4093822, 0x299F31D0), "d16cfe09 94fdcceb 5001e420 24126ea1"),
    ]
    for counter, key, words in known:
        found = philox([np.array([c]) for c in counter], key)
        assert " ".join(f"{int(w[0]):08x}" for w in found) == words


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("key", [(0, 0), (-1, 1), (2**62, 2**33 + 5), (12345, 2**40)])
def test_random_numbers_of_large_keys(key: tuple[int, int], dtype: str) -> None:
    for stream in (0, 7, 2**31 - 1):
        attributes = {"shape": (5, 3), "stream": stream, "dtype": dtype}
        op = registry()["random_uniform"]
        found = run([op.apply(variables([np.array(key)]), attributes)])[0]
        np.testing.assert_array_equal(found, op.body(np.array(key), **attributes), strict=True)


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


ON_NUMBERS = (
    *("exp", "expm1", "tanh", "sigmoid", "softplus", "erf", "relu", "sin", "cos", "square"),
    "absolute",
)
PEERS = (
    *(*ON_NUMBERS, "softmax", "log_softmax", "maximum", "power", "sort"),
    *("sparse_softmax_cross_entropy", "softmax_cross_entropy", "sigmoid_cross_entropy"),
)


def _peers() -> dict[str, Any]:
    """Our operation, theirs, and the arrays: those with a derivative first, then the targets."""
    torch = pytest.importorskip("torch")
    f = torch.nn.functional
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((20, 7)), rng.standard_normal((20, 7))
    shares = rng.dirichlet(np.ones(7), 20)
    labels = rng.integers(0, 7, 20)
    elementwise = {
        n: (f.softplus if n == "softplus" else getattr(torch, n), [x]) for n in ON_NUMBERS
    }
    return {
        **elementwise,
        "softmax": (lambda z: torch.softmax(z, -1), [x]),
        "log_softmax": (lambda z: torch.log_softmax(z, -1), [x]),
        "maximum": (torch.maximum, [x, y]),
        "power": (torch.pow, [np.abs(x), y]),
        "sort": (lambda z: torch.sort(z, -1).values, [x]),
        "sparse_softmax_cross_entropy": (
            lambda z, t: f.cross_entropy(z, t, reduction="none"),
            [x, labels],
        ),
        "softmax_cross_entropy": (
            lambda z, t: f.cross_entropy(z, t, reduction="none"),
            [x, shares],
        ),
        "sigmoid_cross_entropy": (
            lambda z, t: f.binary_cross_entropy_with_logits(z, t, reduction="none"),
            [x, shares],
        ),
    }


@pytest.mark.parametrize("name", PEERS)
def test_against_pytorch(name: str) -> None:
    torch = pytest.importorskip("torch")
    function, arrays = _peers()[name]
    theirs = [torch.tensor(a, requires_grad=a.dtype == np.float64) for a in arrays]
    result = function(*theirs)
    weights = np.random.default_rng(1).standard_normal(tuple(result.shape))
    result.backward(torch.tensor(weights))
    leaves = variables(arrays)
    ours = registry()[name](*leaves)
    floats = [v for v in leaves if v.dtype == "float64"]
    slopes = gradient(ops.sum(ops.multiply(ours, weights)), floats)
    np.testing.assert_allclose(run([ours])[0], result.detach().numpy(), rtol=1e-10, atol=1e-13)
    for slope, tensor in zip(run(slopes), theirs, strict=False):
        np.testing.assert_allclose(slope, tensor.grad.numpy(), rtol=1e-9, atol=1e-13)


@pytest.mark.parametrize("offset", [0.0, 100.0, 1000.0, 10000.0])
@pytest.mark.parametrize(
    "name", ["sparse_softmax_cross_entropy", "softmax_cross_entropy", "log_softmax"]
)
def test_large_logits_lose_nothing(name: str, offset: float) -> None:
    rng = np.random.default_rng(0)
    z = (rng.standard_normal((40, 10)) + offset).astype("float32")
    other = {
        "sparse_softmax_cross_entropy": [rng.integers(0, 10, 40)],
        "softmax_cross_entropy": [rng.dirichlet(np.ones(10), 40).astype("float32")],
        "log_softmax": [],
    }[name]
    found = run([registry()[name].apply(variables([z, *other]), {})])[0]
    wide = [a.astype("float64") if a.dtype == np.float32 else a for a in (z, *other)]
    np.testing.assert_allclose(found, registry()[name].body(*wide), rtol=2e-6, atol=2e-6)


def test_sigmoid_cross_entropy_keeps_small_losses() -> None:
    z, t = np.array([20.0, -20.0, 50.0], "float32"), np.array([1.0, 0.0, 0.0], "float32")
    found = run([registry()["sigmoid_cross_entropy"].apply(variables([z, t]), {})])[0]
    np.testing.assert_allclose(found, [np.log1p(np.exp(-20.0))] * 2 + [50.0], rtol=1e-6)
