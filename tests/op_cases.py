"""What exercises each operation: one row with its arguments for a few sizes, and its attributes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

Rng = np.random.Generator
Make = Callable[[Rng, str], Sequence[np.ndarray]]


@dataclass(frozen=True)
class Case:
    """Arguments for an operation; `smooth` says that differences can measure its derivative."""

    name: str
    make: Make
    attributes: dict[str, Any] = field(default_factory=dict)
    smooth: bool = True
    tolerance: float = 1e-5

    def __str__(self) -> str:
        return self.name


SHAPES = ((), (1,), (0,), (7,), (33, 5), (3, 0), (2, 3, 4), (70, 65))
FAR = (0.3, 2.0)  # clear of kinks, poles and branch points


def normal(*shapes: tuple[int, ...]) -> Make:
    return lambda rng, dtype: [rng.standard_normal(s).astype(dtype) for s in shapes]


def positive(*shapes: tuple[int, ...]) -> Make:
    return lambda rng, dtype: [rng.uniform(*FAR, s).astype(dtype) for s in shapes]


def signed(*shapes: tuple[int, ...]) -> Make:
    """Numbers of either sign, away from 0."""

    def make(rng: Rng, dtype: str) -> list[np.ndarray]:
        return [(rng.uniform(*FAR, s) * rng.choice([-1, 1], s)).astype(dtype) for s in shapes]

    return make


def above(*shapes: tuple[int, ...]) -> Make:
    """Numbers above the squares of those of `positive` and `signed`."""
    return lambda rng, dtype: [rng.uniform(5.0, 6.0, s).astype(dtype) for s in shapes]


def apart(*shapes: tuple[int, ...]) -> Make:
    """Distinct numbers, so that no two are equal or nearly so."""

    def make(rng: Rng, dtype: str) -> list[np.ndarray]:
        size = int(sum(np.prod(s) for s in shapes))
        numbers = (rng.permutation(size) - size / 2 + 0.25) / 4
        parts = np.split(numbers, np.cumsum([int(np.prod(s)) for s in shapes])[:-1])
        return [p.reshape(s).astype(dtype) for p, s in zip(parts, shapes, strict=True)]

    return make


def booleans(*shapes: tuple[int, ...]) -> Make:
    return lambda rng, dtype: [rng.integers(0, 2, s).astype(bool) for s in shapes]


def joined(*makes: Make) -> Make:
    return lambda rng, dtype: [a for make in makes for a in make(rng, dtype)]


def integers(shape: tuple[int, ...], high: int, dtype: str = "int64") -> Make:
    return lambda rng, _: [rng.integers(0, high, shape).astype(dtype)]


def _elementwise() -> list[Case]:
    rows: list[Case] = []
    everywhere = [
        "negative",
        "square",
        "exp",
        "expm1",
        "tanh",
        "sigmoid",
        "softplus",
        "erf",
        "sin",
        "cos",
    ]
    for shape in SHAPES:
        rows += [Case(n, normal(shape)) for n in everywhere]
        rows += [Case(n, positive(shape)) for n in ("sqrt", "log", "log1p")]
        rows += [Case(n, signed(shape)) for n in ("absolute", "reciprocal", "relu")]
        rows += [Case(n, signed(shape), smooth=False) for n in ("sign", "floor", "is_finite")]
        rows += [Case(n, normal(shape, shape)) for n in ("add", "subtract", "multiply")]
        rows += [Case("divide", signed(shape, shape)), Case("power", positive(shape, shape))]
        rows += [Case(n, apart(shape, shape)) for n in ("maximum", "minimum")]
        rows += [
            Case(n, integers_pair(shape), smooth=False) for n in ("equal", "less", "less_equal")
        ]
        rows += [
            Case("scale", normal(shape), {"factor": -1.5}),
            Case("offset", normal(shape), {"amount": 0.25}),
            Case("logical_not", booleans(shape), smooth=False),
            Case("logical_and", booleans(shape, shape), smooth=False),
            Case("logical_or", booleans(shape, shape), smooth=False),
            Case("where", joined(booleans(shape), normal(shape, shape))),
            Case("relu_gradient", joined(normal(shape), signed(shape)), smooth=False),
            Case("tanh_gradient", normal(shape, shape)),
            Case("sigmoid_gradient", normal(shape, shape)),
            Case("sigmoid_cross_entropy", signed(shape, shape)),
            Case("require_finite", normal(shape), {"code": 1}),
            Case("require_range", whole(shape), {"low": 0.0, "high": 5.0, "code": 1}, False),
            Case("stop_gradient", normal(shape), smooth=False),
        ]
        rows += [
            Case("cast", signed(shape), {"dtype": d}, smooth=False)
            for d in ("float32", "float64", "int32", "int64", "bool")
        ]
    return rows


def integers_pair(shape: tuple[int, ...]) -> Make:
    return lambda rng, dtype: [rng.integers(0, 3, shape).astype(dtype) for _ in range(2)]


def whole(shape: tuple[int, ...]) -> Make:
    return lambda rng, dtype: [rng.integers(0, 5, shape).astype(dtype)]


def _reductions() -> list[Case]:
    rows: list[Case] = []
    for shape, axes in (
        ((), ()), ((5,), (0,)), ((0,), (0,)), ((33, 5), (0,)), ((33, 5), (1,)), ((33, 5), (0, 1)),
        ((4, 3, 2), (1,)), ((4, 3, 2), (0, 2)), ((2, 3, 4, 5), (1, 3)), ((1, 1000), (1,)),
        ((300, 70), (0,)), ((3, 0, 2), (1,)), ((0, 3), (1,)),
    ):  # fmt: skip
        rows += [Case("reduce_sum", normal(shape), {"axes": axes})]
        rows += [Case("reduce_squares", normal(shape), {"axes": axes})]
        rows += [Case("reduce_max", apart(shape), {"axes": axes}, smooth=0 not in shape)]
    for shape, axis in (((7,), 0), ((33, 10), 1), ((33, 10), 0), ((2, 3, 4), 1)):
        rows += [
            Case("argmax", apart(shape), {"axis": axis}, smooth=False),
            Case("cumulative_sum", normal(shape), {"axis": axis, "reverse": False}),
            Case("cumulative_sum", normal(shape), {"axis": axis, "reverse": True}),
        ]
    for shape in ((1, 1), (1, 17), (5, 9), (2, 3, 4)):
        rows += [Case("sort", apart(shape)), Case("argsort", apart(shape), smooth=False)]
    return rows


def _shapes() -> list[Case]:
    return [
        Case("reshape", normal((6, 4)), {"shape": (3, 8)}),
        Case("reshape", normal((1,)), {"shape": ()}),
        Case("transpose", normal((5, 7)), {"axes": (1, 0)}),
        Case("transpose", normal((40, 37)), {"axes": (1, 0)}),
        Case("transpose", normal((2, 3, 4, 5)), {"axes": (0, 3, 1, 2)}),
        Case("transpose", normal((2, 3, 4)), {"axes": (2, 0, 1)}),
        Case("broadcast", normal(()), {"shape": (3, 4), "axes": ()}),
        Case("broadcast", normal((4,)), {"shape": (3, 4), "axes": (1,)}),
        Case("broadcast", normal((3,)), {"shape": (3, 4), "axes": (0,)}),
        Case("broadcast", normal((2, 4)), {"shape": (2, 3, 4, 5), "axes": (0, 2)}),
        Case("concatenate", normal((2, 3), (4, 3)), {"axis": 0}),
        Case("concatenate", normal((5, 3), (5, 1), (5, 0)), {"axis": 1}),
        Case("concatenate", normal((2, 3, 4), (2, 2, 4)), {"axis": 1}),
        Case("slice", normal((9,)), {"start": (1,), "stop": (8,), "step": (3,)}),
        Case("slice", normal((6, 5)), {"start": (0, 1), "stop": (6, 4), "step": (1, 2)}),
        Case("slice", normal((6, 5)), {"start": (2, 0), "stop": (5, 5), "step": (2, 1)}),
        Case("pad", normal((3,)), {"low": (1,), "high": (2,), "value": 0.5}),
        Case("pad", normal((3, 4)), {"low": (0, 1), "high": (0, 2), "value": 0.0}),
        Case("pad", normal((2, 3, 4)), {"low": (1, 0, 2), "high": (0, 1, 1), "value": -1.0}),
        Case("reverse", normal((5,)), {"axes": (0,)}),
        Case("reverse", normal((3, 4, 2)), {"axes": (0, 2)}),
        Case("reverse", normal((3, 4, 2)), {"axes": (1,)}),
        Case("fill", normal(), {"shape": (3, 4), "value": 2.5, "dtype": "float32"}, smooth=False),
        Case("fill", normal(), {"shape": (), "value": 3.0, "dtype": "int64"}, smooth=False),
        Case("iota", normal(), {"shape": (3, 4), "axis": 1, "dtype": "int64"}, smooth=False),
        Case("iota", normal(), {"shape": (5,), "axis": 0, "dtype": "float32"}, smooth=False),
    ]


def _products() -> list[Case]:
    rows = []
    for n, k, m in ((1, 1, 1), (1, 784, 128), (7, 5, 3), (33, 17, 50), (16, 0, 4), (0, 3, 2)):
        for flip_x in (False, True):
            for flip_w in (False, True):
                x, w = ((k, n) if flip_x else (n, k)), ((m, k) if flip_w else (k, m))
                flips = {"transpose_x": flip_x, "transpose_w": flip_w}
                rows += [Case("matmul", normal(x, w), flips, tolerance=2e-4)]
                rows += [Case("batch_matmul", normal((3, *x), (3, *w)), flips, tolerance=2e-4)]
        rows += [Case("partial_products", normal((n, 3 * k), (3, k, m)), tolerance=2e-4)]
        for activation in ("linear", "relu", "tanh", "sigmoid"):
            attributes = {"activation": activation}
            smooth = activation != "relu"
            rows += [Case("dense", normal((n, k), (k, m), (m,)), attributes, smooth, 2e-4)]
            rows += [Case("dense_of_parts", normal((k, n, m), (m,)), attributes, smooth, 2e-4)]
    return rows


def _indices() -> list[Case]:
    key = integers((2,), 2**31)
    rows = [
        Case("take", joined(normal((9, 4)), integers((5,), 9))),
        Case("take", joined(normal((9,)), integers((2, 3), 9, "int32"))),
        Case("take", joined(normal((9, 2, 3)), integers((0,), 9))),
        Case("take", joined(normal((9, 4)), integers((), 9))),
        Case("scatter_add", joined(integers((6,), 4), normal((6, 3))), {"rows": 4}),
        Case("scatter_add", joined(integers((2, 5), 7), normal((2, 5))), {"rows": 7}),
        Case("one_hot", integers((6,), 7), {"depth": 5, "dtype": "float32"}, smooth=False),
        Case("one_hot", integers((), 3), {"depth": 3, "dtype": "float64"}, smooth=False),
    ]
    for shape in ((), (1,), (5,), (33, 7), (4, 1000)):
        for name in ("random_uniform", "random_normal"):
            for dtype in ("float32", "float64"):
                attributes = {"shape": shape, "stream": 3, "dtype": dtype}
                rows += [Case(name, key, attributes, smooth=False)]
    return rows


def _classes() -> list[Case]:
    rows = []
    for n, m in ((1, 1), (5, 3), (33, 10), (4, 1000), (0, 4)):
        labels = integers((n,), m)
        rows += [
            Case("softmax", normal((n, m))),
            Case("log_softmax", normal((n, m))),
            Case("softmax_cross_entropy", joined(normal((n, m)), positive((n, m)))),
            Case("softmax_cross_entropy_gradient", normal((n,), (n, m), (n, m))),
            Case("sparse_softmax_cross_entropy", joined(normal((n, m)), labels)),
            Case("sparse_softmax_cross_entropy_gradient", joined(normal((n,), (n, m)), labels)),
        ]
    return [*rows, Case("softmax", normal((2, 3, 4))), Case("log_softmax", normal((1, 6)))]


def columns(n: int, c: int, *more: str) -> Make:
    """x [n, c], its mean and variance, then gamma and beta, or what `more` names."""

    def make(rng: Rng, dtype: str) -> list[np.ndarray]:
        x = rng.standard_normal((n, c)) + 3.0
        mean = x.mean(axis=0) if n else np.zeros(c)
        parts = {"x": x, "mean": mean, "variance": x.var(axis=0) if n else np.zeros(c)}
        parts |= {"g": rng.standard_normal((n, c)), "gamma": rng.uniform(*FAR, c)}
        parts |= {k: rng.standard_normal(c) for k in ("beta", "total", "product")}
        return [parts[k].astype(dtype) for k in more]

    return make


def _norms() -> list[Case]:
    rows: list[Case] = []
    with_epsilon = {"epsilon": 0.1}
    affine = ("x", "mean", "variance", "gamma", "beta")
    slope = ("g", "x", "mean", "variance", "gamma", "total", "product")
    for n, c in ((1, 1), (2, 3), (33, 5), (7, 70), (40, 33), (0, 4), (5, 0)):
        rows += [
            Case("column_moments", columns(n, c, "x")),
            Case("column_products", columns(n, c, "g", "x", "mean")),
            Case("normalize_columns", columns(n, c, *affine), with_epsilon),
            Case("batch_normalize", columns(n, c, *affine), with_epsilon, tolerance=2e-5),
            Case("batch_normalize_gradient", columns(n, c, *slope), with_epsilon, tolerance=1e-4),
        ]
        for center in (True, False):
            attributes = {"epsilon": 1e-2, "center": center}
            rows += [
                Case("normalize_rows", columns(n, c, "x", "gamma", "beta"), attributes),
                Case(
                    "normalize_rows_gradient",
                    columns(n, c, "g", "x", "gamma"),
                    attributes,
                    tolerance=1e-4,
                ),
            ]
    return rows


def _updates() -> list[Case]:
    rows = []
    for shape in ((), (1,), (0,), (33, 5)):
        w, positives, rate = normal(shape, shape), positive(shape), positive(())
        one, two = joined(w, normal(shape), rate), joined(w, normal(shape), positives, rate)
        far = signed(shape, shape, shape)  # signs do not change with a difference
        betas = {"beta_1": 0.9, "beta_2": 0.999}
        moments = {**betas, "epsilon": 1e-7}
        rms = {"rho": 0.9, "epsilon": 1e-7}
        with_momentum = {**rms, "momentum": 0.8}
        spread, mean = joined(w, positives), signed(shape)
        # A spread that stays above the square of the mean.
        centered = joined(normal(shape), signed(shape), above(shape))
        sizes = {"shrink": 0.5, "grow": 1.2, "least": 0.5, "most": 2.0}
        rules = [
            Case("sgd_update", joined(w, rate)),
            Case("momentum_update", one, {"momentum": 0.9, "nesterov": False}),
            Case("momentum_update", one, {"momentum": 0.9, "nesterov": True}),
            Case("adam_update", two, moments),
            Case("amsgrad_update", joined(w, mean, positive(shape, shape, ())), moments),
            Case("adamax_update", joined(signed(shape, shape), mean, positives, rate), moments),
            Case("nadam_update", joined(w, mean, positive(shape, (), (), ())), betas),
            Case("lion_update", joined(far, rate), {"beta_1": 0.9, "beta_2": 0.99}, False),
            Case("rmsprop_update", joined(spread, rate), rms),
            Case("rmsprop_momentum_update", joined(spread, mean, rate), with_momentum),
            Case("centered_rmsprop_update", joined(centered, mean, rate), rms),
            Case(
                "centered_rmsprop_momentum_update",
                joined(centered, normal(shape), mean, rate),
                with_momentum,
            ),
            Case("adagrad_update", joined(spread, rate), {"epsilon": 1e-7}),
            Case("adadelta_update", joined(w, positive(shape, shape, ())), {**rms}),
            Case("rprop_update", joined(far, positives), sizes, smooth=False),
        ]
        factors = positive((), ())  # of the weight and the gradient
        rows += [replace(case, make=joined(case.make, factors)) for case in rules]
        rows += [
            Case("adam_direction", joined(w, positive(shape, (), ())), moments),
            Case("average_update", joined(w, positive((), ()))),
        ]
    return rows


CASES = [
    *_elementwise(), *_reductions(), *_shapes(), *_products(), *_indices(), *_classes(),
    *_norms(),
    *_updates(),
]  # fmt: skip

# Enough work for several threads; the matrices' sizes are no multiples of a tile.
LARGE = [
    Case("exp", normal((3000, 301))),
    Case("multiply", normal((2001, 701), (2001, 701))),
    Case("reduce_sum", normal((3001, 701)), {"axes": (1,)}, tolerance=1e-3),
    Case("reduce_sum", normal((3001, 701)), {"axes": (0,)}, tolerance=1e-3),
    Case("reduce_max", normal((40, 2001, 31)), {"axes": (0, 2)}),
    Case("cumulative_sum", normal((3001, 301)), {"axis": 1, "reverse": False}, tolerance=1e-3),
    Case("sort", normal((2001, 101))),
    Case("transpose", normal((1501, 1003)), {"axes": (1, 0)}),
    Case(
        "matmul",
        normal((1001, 257), (257, 303)),
        {"transpose_x": False, "transpose_w": False},
        tolerance=1e-3,
    ),
    Case(
        "matmul",
        normal((1001, 257), (1001, 303)),
        {"transpose_x": True, "transpose_w": False},
        tolerance=1e-3,
    ),
    Case(
        "batch_matmul",
        normal((65, 60, 70), (65, 70, 50)),
        {"transpose_x": False, "transpose_w": False},
        tolerance=1e-3,
    ),
    Case("dense", normal((1001, 257), (257, 303), (303,)), {"activation": "tanh"}, tolerance=1e-3),
    Case("partial_products", normal((33, 800), (8, 100, 303)), tolerance=1e-3),
    Case("dense_of_parts", normal((6, 1001, 303), (303,)), {"activation": "relu"}),
    Case("softmax", normal((3001, 301))),
    Case("column_moments", columns(3001, 301, "x")),
    Case("column_products", columns(3001, 301, "g", "x", "mean"), tolerance=1e-3),
    Case(
        "normalize_columns",
        columns(3001, 301, "x", "mean", "variance", "gamma", "beta"),
        {"epsilon": 1e-3},
    ),
    Case(
        "normalize_rows",
        columns(3001, 301, "x", "gamma", "beta"),
        {"epsilon": 1e-3, "center": True},
    ),
    Case("sparse_softmax_cross_entropy", joined(normal((3001, 301)), integers((3001,), 301))),
    Case("take", joined(normal((501, 301)), integers((4001,), 501))),
    Case(
        "scatter_add",
        joined(integers((4001,), 501), normal((4001, 301))),
        {"rows": 501},
        tolerance=1e-4,
    ),
    Case(
        "random_normal",
        integers((2,), 2**31),
        {"shape": (1001, 301), "stream": 1, "dtype": "float32"},
    ),
    Case(
        "adam_update",
        joined(normal((1001, 301), (1001, 301), (1001, 301)), positive((1001, 301), (), (), ())),
        {"beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7},
    ),
    Case(
        "rprop_update",
        joined(signed((1001, 301), (1001, 301), (1001, 301)), positive((1001, 301), (), ())),
        {"shrink": 0.5, "grow": 1.2, "least": 0.5, "most": 2.0},
    ),
]
