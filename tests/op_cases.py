"""What exercises each operation: one row with its arguments for a few sizes, and its attributes."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from chainrule.ops.conv import out_space

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


def _with_losses(*shape: int) -> Make:
    """Numbers of all sizes, with zeros, NaN and infinities between them."""

    def make(rng: Rng, dtype: str) -> list[np.ndarray]:
        x = rng.standard_normal(shape) * 4.0 ** rng.integers(-22, 8, shape)
        odd = rng.choice([0.0, np.nan, np.inf, -np.inf], shape)
        return [np.where(rng.random(shape) < 0.1, odd, x).astype(dtype)]

    return make


def _surveys() -> list[Case]:
    rows: list[Case] = []
    shapes = ((1,), (0,), (7,), (33, 5), (3, 0), (2, 3, 4), (70, 65), (5, 7, 300), (1, 2600))
    for i, shape in enumerate(shapes):
        low, high = (-0.5, 0.75) if i % 2 else (-np.inf, np.inf)
        attributes = {"low": low, "high": high, "stride": 1 + 6 * i, "probes": i % 4}
        if shape[-1] > 255:
            attributes["stride"] = 13
        rows.append(Case("survey", normal(shape), attributes, smooth=False, tolerance=1e-4))
    for shape in ((40, 9), (6, 129)):
        attributes = {"low": -1.0, "high": 1.0, "stride": 1, "probes": 1}
        rows.append(Case("survey", _with_losses(*shape), attributes, False, tolerance=1e-4))
    for shape in ((1,), (0,), (33, 5), (2, 3, 4), (1, 2600), (24, 130)):
        attributes = {"stride": 13 if shape[-1] > 255 else 3, "probes": 2}
        make = normal(shape, shape)
        rows.append(Case("survey_change", make, attributes, smooth=False, tolerance=1e-4))
    for shape in ((9,), (33, 5), (0, 3)):
        rows.append(Case("survey_keep", normal(shape), {"group": 8}, smooth=False))
    for i, (n, k) in enumerate(((0, 8), (1, 8), (9, 8), (700, 11))):
        attributes = {"size": k, "group": 1 + i, "every": 1 + i % 3}
        make = joined(normal((n, k)), lambda rng, _, n=n: [rng.integers(0, 256, (n, 32), np.uint8)])
        rows.append(Case("survey_total", make, attributes, smooth=False, tolerance=1e-4))
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
        rows += [Case("transposed_matmul", normal((n, k), (k, m)), tolerance=2e-4)]
        rows += [Case("turned", normal((n, k)))]
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


def columns(n: int | tuple[int, ...], c: int, *more: str) -> Make:
    """x [n, c], its mean and variance, then gamma and beta, or what `more` names."""
    shape = (n, c) if isinstance(n, int) else (*n, c)
    axes = tuple(range(len(shape) - 1))

    def make(rng: Rng, dtype: str) -> list[np.ndarray]:
        x = rng.standard_normal(shape) + 3.0
        full = 0 not in shape[:-1]
        mean = x.mean(axis=axes) if full else np.zeros(c)
        parts = {"x": x, "mean": mean, "variance": x.var(axis=axes) if full else np.zeros(c)}
        parts |= {"g": rng.standard_normal(shape), "gamma": rng.uniform(*FAR, c)}
        parts |= {k: rng.standard_normal(c) for k in ("beta", "total", "product")}
        return [parts[k].astype(dtype) for k in more]

    return make


COLUMNS = ((1, 1), (2, 3), (33, 5), (7, 70), (40, 33), (0, 4), (5, 0))
IMAGES = (((2, 3, 4), 5), ((3, 70), 6), ((1, 1, 1), 3), ((2, 0), 3))


def _norms() -> list[Case]:
    rows: list[Case] = []
    affine = ("x", "mean", "variance", "gamma", "beta")
    slope = ("g", "x", "mean", "variance", "gamma", "total", "product")
    for n, c in (*COLUMNS, *IMAGES):
        rows += [
            Case("column_moments", columns(n, c, "x")),
            Case("column_products", columns(n, c, "g", "x", "mean")),
            Case("batch_normalize_gradient", columns(n, c, *slope), {"epsilon": 0.1}, True, 1e-4),
        ]
        for activation in ("linear", "relu"):
            attributes = {"epsilon": 0.1, "activation": activation}
            smooth = activation == "linear"
            rows += [
                Case("normalize_columns", columns(n, c, *affine), attributes, smooth),
                Case("batch_normalize", columns(n, c, *affine), attributes, smooth, 2e-5),
            ]
    for n, c in COLUMNS:
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
    return [*rows, *_norm_parts(), *_norm_groups()]


def _norm_parts() -> list[Case]:
    rows: list[Case] = []
    shapes: list[tuple[Any, int, int]] = [
        (6, 5, 2), (1, 1, 1), (0, 3, 2), (4, 0, 4), ((3, 4, 5), 6, 3), ((3, 4, 5), 16, 4),
        ((2, 3, 7), 33, 1), ((2, 9, 17), 3, 2), ((2, 8, 16), 70, 2), ((1, 3, 3), 2, 9),
    ]  # fmt: skip
    for n, c, parts in shapes:
        attributes = {"parts": parts}
        rows += [
            Case("partial_moments", columns(n, c, "x"), attributes),
            Case(
                "partial_column_products", columns(n, c, "g", "x", "mean"), attributes, True, 1e-4
            ),
        ]
    for p, c in ((1, 1), (3, 5), (8, 70), (0, 3), (4, 0)):
        rows += [Case("joined_moments", joined(normal((p, c), (p, c)), positive((p, c))))]
    return rows


def _norm_groups() -> list[Case]:
    rows: list[Case] = []
    shapes: list[tuple[Any, int, int]] = [
        (3, 6, 2), (1, 4, 4), (0, 4, 2), ((2, 3, 5), 6, 3), ((2, 9, 9), 6, 6), ((3, 70), 34, 1),
        ((1, 1, 2), 8, 2), ((2, 0), 4, 2), ((2, 5, 5), 33, 3), ((2, 3), 0, 1),
    ]  # fmt: skip
    for n, c, groups in shapes:
        attributes = {"groups": groups, "epsilon": 1e-2}
        rows += [
            Case("normalize_groups", columns(n, c, "x", "gamma", "beta"), attributes, True, 2e-5),
            Case(
                "normalize_groups_gradient",
                columns(n, c, "g", "x", "gamma"),
                attributes,
                tolerance=1e-4,
            ),
        ]
    return rows


# samples, size, channels, kernel, channels out, strides, low and high padding, dilation, groups
CONVOLUTIONS = [
    (1, (1,), 1, (1,), 1, (1,), (0, 0), (1,), 1),
    (2, (11,), 3, (4,), 5, (2,), (3, 1), (2,), 1),
    (3, (9,), 4, (3,), 4, (1,), (2, 0), (1,), 4),
    (1, (1, 1), 1, (3, 3), 2, (1, 1), (1, 1, 1, 1), (1, 1), 1),
    (2, (6, 5), 3, (1, 1), 4, (1, 1), (0, 0, 0, 0), (1, 1), 1),
    (2, (6, 5), 1, (3, 3), 17, (1, 1), (0, 0, 0, 0), (1, 1), 1),
    (2, (5, 8), 2, (3, 3), 1, (1, 1), (1, 1, 1, 1), (1, 1), 1),
    (1, (6, 7), 3, (3, 2), 6, (1, 2), (2, 1, 0, 1), (1, 1), 1),
    (2, (4, 5), 3, (2, 3), 33, (1, 2), (0, 1, 1, 1), (1, 1), 1),
    (2, (7, 6), 16, (3, 3), 8, (1, 1), (1, 1, 1, 1), (1, 1), 1),
    (2, (6, 5), 32, (3, 3), 32, (1, 1), (1, 1, 1, 1), (1, 1), 1),
    (1, (5, 8), 48, (3, 3), 32, (1, 1), (0, 2, 1, 0), (1, 1), 1),
    (2, (7, 8), 3, (2, 3), 6, (2, 2), (0, 1, 1, 2), (1, 1), 3),
    (1, (8, 7), 6, (3, 2), 4, (3, 2), (2, 0, 1, 3), (2, 3), 2),
    (2, (5, 6), 5, (3, 3), 10, (1, 1), (1, 1, 1, 1), (1, 1), 5),
    (1, (2, 2), 2, (5, 5), 3, (1, 1), (2, 2, 2, 2), (1, 1), 1),
    (1, (9, 9), 2, (1, 1), 3, (4, 4), (0, 0, 0, 0), (1, 1), 1),
    (1, (3, 3), 2, (5, 5), 3, (1, 1), (0, 0, 0, 0), (1, 1), 1),
    (0, (4, 4), 2, (3, 3), 3, (1, 1), (1, 1, 1, 1), (1, 1), 1),
    (1, (0, 4), 2, (3, 3), 3, (1, 1), (2, 2, 1, 1), (1, 1), 1),
    (2, (4, 4), 0, (3, 3), 3, (1, 1), (0, 0, 0, 0), (1, 1), 1),
    (2, (4, 4), 2, (3, 3), 0, (1, 1), (0, 0, 0, 0), (1, 1), 1),
    (1, (4, 5, 3), 2, (2, 3, 1), 3, (1, 2, 1), (1, 0, 2, 1, 0, 0), (1, 1, 1), 1),
    (1, (4, 3, 4), 4, (2, 2, 2), 6, (1, 1, 2), (0, 1, 0, 1, 0, 1), (2, 1, 1), 2),
]


def convolutions(n: int, size: Any, c: int, kernel: Any, m: int, *form: Any) -> list[Case]:
    """A convolution and the two operations that are linear with it."""
    attributes = dict(zip(("strides", "padding", "dilation", "groups"), form, strict=True))
    strides, padding, dilation, groups = form
    out = out_space(size, kernel, strides, padding, dilation)
    x, y = (n, *size, c), (n, *out, m)
    kernels = (*kernel, c // groups, m), (*kernel, m // groups, c)
    inputs = {"conv": normal(x, kernels[0]), "conv_transpose": normal(y, kernels[1])}
    more = {"conv_transpose": {"size": size}, "conv_kernel_gradient": {"kernel": kernel}}
    inputs["conv_kernel_gradient"] = normal(x, y)
    return [
        Case(name, make, {**attributes, **more.get(name, {})}, tolerance=2e-4)
        for name, make in inputs.items()
    ]


def _convolutions() -> list[Case]:
    rows = [case for row in CONVOLUTIONS for case in convolutions(*row)]
    activations = itertools.cycle(("linear", "relu", "tanh", "sigmoid"))
    for i, (row, activation) in enumerate(zip(CONVOLUTIONS, activations, strict=False)):
        rows += with_bias(*row, activation)
        if row[0]:  # parts of one sample, of several and of none
            rows += [kernel_gradients(*row, (row[0], 1, row[0] + 1)[i % 3])]
    return rows + [scattered(*row) for row in SCATTERS] + _conv_pools()


def with_bias(n: int, size: Any, c: int, kernel: Any, m: int, *form: Any) -> list[Case]:
    """A convolution with a bias and an activation, the last of `form`."""
    words = ("strides", "padding", "dilation", "groups", "activation")
    attributes = dict(zip(words, form, strict=True))
    make = normal((n, *size, c), (*kernel, c // form[3], m), (m,))
    return [Case("conv_bias", make, attributes, attributes["activation"] != "relu", 2e-4)]


def kernel_gradients(n: int, size: Any, c: int, kernel: Any, m: int, *form: Any) -> Case:
    """The gradient of a kernel in as many parts as the last of `form` says."""
    words = ("strides", "padding", "dilation", "groups", "parts")
    out = out_space(size, kernel, *form[:3])
    attributes = {"kernel": kernel, **dict(zip(words, form, strict=True))}
    make = normal((n, *size, c), (n, *out, m))
    return Case("partial_kernel_gradients", make, attributes, tolerance=2e-4)


# samples, size, channels, kernel, channels out, strides, low and high padding, dilation
SCATTERS = [
    (1, (1,), 1, (1,), 1, (1,), (0, 0), (1,)),
    (2, (9,), 2, (4,), 5, (2,), (3, 1), (1,)),
    (2, (6, 5), 1, (3, 3), 17, (1, 1), (1, 1, 1, 1), (1, 1)),
    (2, (7, 8), 3, (3, 3), 33, (1, 1), (0, 0, 0, 0), (1, 1)),
    (1, (9, 8), 3, (3, 2), 6, (3, 2), (2, 0, 1, 3), (2, 1)),
    (2, (10, 9), 1, (2, 3), 1, (4, 5), (0, 0, 0, 0), (3, 1)),
    (1, (1, 1), 2, (5, 5), 16, (1, 1), (2, 2, 2, 2), (1, 1)),
    (0, (4, 4), 3, (3, 3), 4, (1, 1), (1, 1, 1, 1), (1, 1)),
    (1, (4, 5, 3), 2, (2, 3, 2), 3, (1, 2, 1), (1, 0, 2, 1, 0, 1), (2, 1, 1)),
]


def scattered(n: int, size: Any, c: int, kernel: Any, m: int, *form: Any) -> Case:
    """The derivative of a convolution by its input, with rows of the kernel together."""
    attributes = dict(zip(("strides", "padding", "dilation"), form, strict=True))
    out = out_space(size, kernel, *form)
    make = normal((n, *out, m), (*kernel[:-1], m, kernel[-1] * c))
    return Case(
        "conv_scatter", make, {**attributes, "size": size, "width": kernel[-1]}, tolerance=2e-4
    )


# as in CONVOLUTIONS, then window, strides and padding of the pooling
CONV_POOLS = [
    (1, (1, 1), 1, (1, 1), 1, (1, 1), (0, 0, 0, 0), (1, 1), 1, (1, 1), (1, 1), (0, 0, 0, 0)),
    (2, (8, 7), 2, (3, 3), 6, (1, 1), (1, 1, 1, 1), (1, 1), 1, (2, 2), (2, 2), (0, 0, 0, 0)),
    (2, (7, 9), 1, (2, 3), 17, (2, 1), (0, 1, 1, 0), (1, 2), 1, (3, 2), (2, 1), (1, 1, 0, 1)),
    (2, (6, 5), 4, (3, 3), 4, (1, 1), (1, 1, 1, 1), (1, 1), 4, (2, 2), (2, 2), (0, 0, 0, 0)),
    (3, (6, 7), 4, (2, 2), 6, (1, 1), (0, 0, 0, 0), (1, 1), 2, (2, 2), (3, 3), (0, 0, 0, 0)),
    (2, (8, 7), 32, (3, 3), 48, (1, 1), (1, 1, 1, 1), (1, 1), 1, (2, 2), (2, 2), (0, 0, 0, 0)),
    (2, (13,), 3, (3,), 33, (2,), (2, 0), (1,), 1, (2,), (2,), (0, 1)),
    (1, (4, 5, 4), 2, (2, 2, 2), 3, (1, 1, 1), (1, 0, 0, 1, 0, 0), (1, 1, 1), 1, (2, 2, 2),
     (2, 2, 2), (0, 0, 0, 0, 0, 0)),
    (1, (18, 17), 1, (1, 1), 2, (1, 1), (0, 0, 0, 0), (1, 1), 1, (17, 16), (1, 1), (0, 0, 0, 0)),
    (2, (2, 2), 2, (1, 1), 3, (1, 1), (0, 0, 0, 0), (1, 1), 1, (3, 3), (3, 3), (0, 0, 0, 0)),
    (1, (3, 3), 2, (5, 5), 3, (1, 1), (0, 0, 0, 0), (1, 1), 1, (2, 2), (2, 2), (0, 0, 0, 0)),
    (2, (4, 4), 0, (3, 3), 5, (1, 1), (1, 1, 1, 1), (1, 1), 1, (2, 2), (2, 2), (0, 0, 0, 0)),
    (2, (4, 4), 2, (3, 3), 0, (1, 1), (1, 1, 1, 1), (1, 1), 1, (2, 2), (2, 2), (0, 0, 0, 0)),
    (0, (4, 4), 2, (3, 3), 3, (1, 1), (1, 1, 1, 1), (1, 1), 1, (2, 2), (2, 2), (0, 0, 0, 0)),
]  # fmt: skip


def conv_pools(n: int, size: Any, c: int, kernel: Any, m: int, *form: Any) -> list[Case]:
    """A convolution with its pooling, and the two derivatives through both."""
    words = ("strides", "padding", "dilation", "groups", "window", "pool_strides", "pool_padding")
    attributes = dict(zip(words, form, strict=True))
    *_, groups, window, pool_strides, pool_padding = form
    space = out_space(size, kernel, *form[:3])
    out = out_space(space, window, pool_strides, pool_padding, (1,) * len(space))
    x, y, back = (n, *size, c), (n, *out, m), {**attributes, "space": space}
    spread = joined(normal(y), places(y, window))
    forward = normal(x, (*kernel, c // groups, m), (m,))
    rows = [
        Case("conv_pool", forward, {**attributes, "activation": f}, f != "relu", 2e-4)
        for f in ("linear" if c > 8 or len(size) == 1 else "tanh", "relu")
    ]
    rows += [
        Case("conv_pool", forward, {**attributes, "rectified": True}, smooth=False, tolerance=2e-4),
        Case("pooled_bias_gradient", spread, {"window": window}, tolerance=2e-4),
    ]
    if n:
        more = {"kernel": kernel, "parts": min(n, 2)}
        make = joined(normal(x), spread)
        rows += [
            Case("unpooled_kernel_gradients", make, {**back, **more, "bias": bias}, tolerance=2e-4)
            for bias in (False, True)
        ]
    make = joined(spread, normal((*kernel, m // groups, c)))
    return [*rows, Case("unpooled_conv_transpose", make, {**back, "size": size}, tolerance=2e-4)]


def _conv_pools() -> list[Case]:
    return [case for row in CONV_POOLS for case in conv_pools(*row)]


# samples, size, channels, window, strides, low and high padding
POOLS = [
    (1, (1,), 1, (1,), (1,), (0, 0)),
    (2, (9,), 3, (2,), (2,), (0, 0)),
    (3, (7,), 1, (3,), (1,), (1, 1)),
    (2, (5,), 40, (4,), (3,), (2, 1)),
    (2, (4, 6), 6, (2, 2), (2, 2), (0, 0, 0, 0)),
    (2, (5, 7), 16, (2, 2), (2, 2), (0, 0, 0, 0)),
    (2, (5, 7), 1, (2, 2), (2, 2), (0, 0, 0, 0)),
    (1, (5, 3), 20, (2, 2), (2, 2), (0, 1, 0, 1)),
    (2, (7, 6), 17, (3, 3), (2, 2), (1, 1, 1, 1)),
    (2, (5, 6), 2, (3, 2), (1, 1), (1, 1, 0, 1)),
    (2, (6, 5), 33, (1, 2), (3, 3), (0, 0, 0, 0)),
    (1, (1, 1), 3, (2, 2), (2, 2), (0, 1, 0, 1)),
    (2, (1, 1), 3, (2, 2), (2, 2), (0, 0, 0, 0)),
    (1, (20, 19), 2, (17, 16), (3, 2), (4, 4, 0, 0)),
    (1, (4, 4, 5), 2, (2, 2, 2), (2, 2, 2), (0, 0, 0, 0, 0, 1)),
    (2, (3, 4, 3), 9, (2, 3, 2), (1, 2, 1), (1, 0, 1, 1, 0, 0)),
    (0, (4, 4), 3, (2, 2), (2, 2), (0, 0, 0, 0)),
    (2, (4, 4), 0, (2, 2), (2, 2), (0, 0, 0, 0)),
    (2, (0, 4), 3, (2, 2), (2, 2), (0, 0, 0, 0)),
]


def places(shape: tuple[int, ...], window: tuple[int, ...]) -> Make:
    """Numbers of places, some of them outside of the image, some of none in the window."""
    count = int(np.prod(window))
    return integers(shape, count + 1, "uint8" if count < 256 else "int32")


def pools(n: int, size: Any, c: int, *form: Any) -> list[Case]:
    """Pooling by maximum and by sum, and the maps back."""
    attributes = dict(zip(("window", "strides", "padding"), form, strict=True))
    back = {**attributes, "size": size}
    out = out_space(size, *form, (1,) * len(size))
    x, y = (n, *size, c), (n, *out, c)
    where = places(y, form[0])
    return [
        Case("max_pool", apart(x), attributes),
        Case("max_pool_gradient", joined(normal(y), where), back),
        Case("max_pool_take", joined(normal(x), where), attributes),
        Case("sum_pool", normal(x), attributes, tolerance=1e-4),
        Case("sum_pool_gradient", normal(y), back, tolerance=1e-4),
    ]


def _pools() -> list[Case]:
    return [case for row in POOLS for case in pools(*row)]


def images(n: int, size: tuple[int, int], c: int, wide: bool = False) -> Make:
    """Images and maps that turn, shear and move them, some pixels beyond their edges."""

    def make(rng: Rng, dtype: str) -> list[np.ndarray]:
        m = np.tile(np.eye(2, 3), (n, 1, 1)) + rng.uniform(-0.4, 0.4, (n, 2, 3))
        m[:, :, 2] *= 5
        return [rng.standard_normal((n, *size, c)).astype(dtype), m.astype(dtype if wide else "f4")]

    return make


def _warps() -> list[Case]:
    rows: list[Case] = []
    for mode in ("constant", "nearest", "reflect", "wrap"):
        for how in ("bilinear", "nearest"):
            form = {"interpolation": how, "fill_mode": mode}
            for n, size, c, out in (
                (2, (6, 5), 1, (7, 6)), (1, (1, 3), 3, (4, 4)), (3, (4, 6), 2, (3, 5)),
                (0, (3, 3), 1, (2, 2)), (2, (3, 3), 0, (2, 2)), (1, (2, 2), 1, (0, 3)),
            ):  # fmt: skip
                more = {"fill_value": 0.5}
                rows += [
                    Case("warp", images(n, size, c), {"size": out, **form, **more}),
                    Case("warp_gradient", images(n, out, c), {"size": size, **form}),
                ]
            case = Case("warp", images(2, (9, 8), 3, True), {"size": (7, 200), **form}, False)
            rows += [case, replace(case, name="warp_gradient")]
    return rows


def strings(n: int, t: int, m: int, size: int, blank: int, kind: str = "int64") -> Make:
    """Logits, labels of which some are repeated, the frames that are used and the lengths: strings
    of none, some without a path, one with a label that is no class."""

    def make(rng: Rng, dtype: str) -> list[np.ndarray]:
        labels = (blank + 1 + rng.integers(0, max(min(3, m - 1), 1), (n, size))) % m
        if size and n > 8:
            labels[8] = m
        used = (np.arange(t) < rng.integers(t // 2, t + 1, (n, 1))) & (rng.random((n, t)) < 0.95)
        z = rng.standard_normal((n, t, m)).astype(dtype)
        lengths = rng.integers(0, size + 1, n)
        return [z, labels.astype(kind), used, lengths.astype(kind)]

    return make


# samples, frames, classes, labels, the blank
STRINGS = (
    (1, 1, 1, 0, 0), (5, 7, 4, 3, 1), (9, 12, 5, 8, 4), (3, 40, 19, 17, 0), (4, 0, 3, 2, 0),
    (0, 5, 3, 2, 1), (2, 6, 2, 0, 0), (6, 30, 9, 9, 1), (2, 3, 70, 2, 1),
)  # fmt: skip


def _strings() -> list[Case]:
    rows: list[Case] = []
    for n, t, m, size, blank in STRINGS:
        kind = "int32" if n % 2 else "int64"
        make, form = strings(n, t, m, size, blank, kind), {"blank": blank}
        search = {**form, "width": 1 + 3 * n, "paths": 1 + n}
        both = joined(make, strings(n, 1, m + 1, t, blank, "int32"))
        rows += [
            Case("ctc_loss", make, form, smooth=False),
            Case("ctc_loss_gradient", joined(normal((n,)), make), form, smooth=False),
            Case("ctc_beam_search", part(make, 0, 2), search, smooth=False),
            Case("edit_distance", part(both, 1, 3, 5, 7), smooth=False),
        ]
    return rows


def part(make: Make, *kept: int) -> Make:
    """Some of the arrays."""

    def some(rng: Rng, dtype: str) -> list[np.ndarray]:
        arrays = make(rng, dtype)
        return [arrays[i] for i in kept]

    return some


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
    for n, k, m in ((3, 5, 7), (0, 9, 16), (5, 21, 48), (12, 8, 17)):
        arrays = joined(normal((k, m), (n, k), (n, m), (k, m)), positive((k, m), (), (), ()))
        rows.append(Case("product_adam_update", arrays, {**betas, "epsilon": 1e-7}))
    return rows


# Samples, steps and units of a recurrent layer; a mask, kept parts of the state, time reversed.
RECURRENT = (
    (3, 4, 5, False, False, False), (2, 3, 17, True, True, True), (9, 2, 16, True, False, False),
    (1, 1, 1, False, True, True), (0, 3, 2, True, True, False), (3, 0, 2, True, False, True),
    (35, 3, 3, True, True, False),
)  # fmt: skip


def recurrent(name: str, n: int, t: int, m: int, *has: bool, **attributes: Any) -> list[Case]:
    """The operation over whole sequences and its derivative."""
    masked, kept, reverse = has
    ends = joined(booleans((n, t if masked else 0)), normal((n, m if kept else 0)))
    states, state = (n, t + 1, m), (n, m)
    forms = {
        "rnn": (1, [state], [states, states]),
        "lstm": (4, [state, state], [states, states, states, (n, t, 4 * m)]),
        "gru": (3, [(3 * m,), state], [states, states, (n, t, 4 * m)]),
    }
    gates, first, seen = forms[name]
    u = (m, gates * m)
    attributes |= {"reverse": reverse, "activation": attributes.get("activation", "tanh")}
    if name != "rnn":
        attributes["recurrent_activation"] = attributes.get("recurrent_activation", "sigmoid")
    smooth = "relu" not in attributes.values()
    rows = [
        Case(name, joined(normal((n, t, gates * m), u, *first), ends), attributes, smooth, 2e-5),
        Case(f"{name}_gradient", joined(normal(*seen, u), ends), attributes, smooth, 5e-4),
    ]
    inputs = normal((n, t, 7), (7, gates * m), (gates * m,), u, *first)
    # Passes make these after the chain rule: `test_fused` compares their derivatives.
    rows.append(Case(f"{name}_layer", joined(inputs, ends), attributes, False, 2e-5))
    back = joined(normal(*seen, u), ends, normal((7, gates * m)))
    rows.append(Case(f"{name}_layer_gradient", back, attributes, False, 5e-4))
    if name == "lstm":  # without cotangents of the cells
        seen[1] = (n, 0, m)
        rows.append(replace(rows[1], make=joined(normal(*seen, u), ends)))
    return rows


def _recurrent() -> list[Case]:
    rows = [
        case for name in ("rnn", "lstm", "gru") for r in RECURRENT for case in recurrent(name, *r)
    ]
    for row in RECURRENT[:3]:
        rows += recurrent("gru", *row, reset_after=False)
    other = RECURRENT[1]
    rows += recurrent("rnn", *other, activation="relu")
    rows += recurrent("rnn", *other, activation="linear")
    for name in ("lstm", "gru"):
        rows += recurrent(name, *other, activation="relu", recurrent_activation="tanh")
        rows += recurrent(name, *other, activation="sigmoid", recurrent_activation="linear")
    return rows


CASES = [
    *_elementwise(), *_reductions(), *_shapes(), *_products(), *_indices(), *_classes(),
    *_surveys(),
    *_norms(),
    *_convolutions(),
    *_pools(),
    *_recurrent(),
    *_strings(),
    *_warps(),
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
    Case("transposed_matmul", normal((1003, 257), (257, 101)), tolerance=1e-3),
    Case("turned", normal((2001, 803))),
    Case("dense_of_parts", normal((6, 1001, 303), (303,)), {"activation": "relu"}),
    *(
        replace(case, tolerance=1e-3)
        for row in (
            (7, (33, 31), 19, (3, 3), 37, (1, 1), (1, 1, 1, 1), (1, 1), 1),
            (9, (17, 18), 32, (3, 3), 48, (1, 1), (1, 1, 1, 1), (1, 1), 1),
            (9, (63, 61), 3, (5, 5), 18, (2, 2), (2, 1, 2, 1), (1, 1), 1),
            (5, (61, 63), 40, (3, 3), 40, (1, 1), (1, 1, 1, 1), (1, 1), 40),
        )
        for case in (*convolutions(*row), *with_bias(*row, "relu"), kernel_gradients(*row, 3))
    ),
    replace(scattered(9, (60, 59), 3, (3, 3), 37, (2, 2), (1, 1, 1, 1), (1, 1)), tolerance=1e-3),
    *(
        replace(case, tolerance=1e-3)
        for case in conv_pools(
            *(9, (63, 61), 3, (5, 5), 18, (1, 1), (2, 1, 2, 1), (1, 1), 1),
            *((2, 2), (2, 2), (0, 0, 0, 0)),
        )
        if "tanh" not in case.attributes.values()  # float32 has many equal maxima there
        and case.name != "pooled_bias_gradient"  # too little work
    ),
    Case(
        "pooled_bias_gradient",
        joined(normal((33, 30, 29, 16)), places((33, 30, 29, 16), (2, 2))),
        {"window": (2, 2)},
        tolerance=1e-4,
    ),
    *(
        case
        for row in (
            (33, (60, 58), 6, (2, 2), (2, 2), (0, 0, 0, 0)),
            (17, (61, 63), 16, (3, 3), (2, 2), (1, 1, 1, 1)),
        )
        for case in pools(*row)
    ),
    Case("softmax", normal((3001, 301))),
    Case("column_moments", columns(3001, 301, "x")),
    Case("column_products", columns(3001, 301, "g", "x", "mean"), tolerance=1e-3),
    Case(
        "normalize_columns",
        columns(3001, 301, "x", "mean", "variance", "gamma", "beta"),
        {"epsilon": 1e-3},
    ),
    Case("partial_moments", columns((19, 40, 41), 37, "x"), {"parts": 19}),
    Case("partial_moments", columns((2, 100, 100), 37, "x"), {"parts": 50}),
    Case(
        "partial_column_products",
        columns((19, 40, 41), 37, "g", "x", "mean"),
        {"parts": 19},
        tolerance=1e-3,
    ),
    Case("joined_moments", joined(normal((900, 1001), (900, 1001)), positive((900, 1001)))),
    Case(
        "normalize_groups",
        columns((19, 40, 41), 36, "x", "gamma", "beta"),
        {"groups": 4, "epsilon": 1e-3},
        tolerance=2e-5,
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
    Case("ctc_loss", strings(33, 50, 31, 20, 0), {"blank": 0}),
    Case("ctc_loss_gradient", joined(normal((33,)), strings(33, 50, 31, 20, 0)), {"blank": 0}),
    Case(
        "ctc_beam_search",
        part(strings(9, 20, 7, 2, 1), 0, 2),
        {"blank": 1, "width": 20, "paths": 2},
    ),
    Case("edit_distance", part(joined(*[strings(300, 1, 5, 60, 0)] * 2), 1, 3, 5, 7)),
    Case("warp", images(200, (40, 50), 3), {"size": (33, 35), "fill_mode": "reflect"}),
    Case("warp_gradient", images(200, (40, 50), 1), {"size": (33, 35), "fill_mode": "wrap"}),
    Case(
        "rprop_update",
        joined(signed((1001, 301), (1001, 301), (1001, 301)), positive((1001, 301), (), ())),
        {"shrink": 0.5, "grow": 1.2, "least": 0.5, "most": 2.0},
    ),
]
