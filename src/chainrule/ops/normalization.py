"""Normalization: statistics of columns (over a batch), of rows and of groups (within a sample).

Columns are what the last axis counts: all other axes are joined to rows, of which a sample has as
many as it has places. Operations on rows take arrays of two axes; layers bring theirs into that
form, which for the last axis costs nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from chainrule.errors import ArgumentError, ShapeError
from chainrule.graph import Spec, Value, fused
from chainrule.ops import elementwise as e
from chainrule.ops.fused import relu_gradient
from chainrule.ops.reduce import reduce_sum
from chainrule.ops.shape import broadcast, fill, reshape

Specs = Sequence[Spec]

_UNIT = 16  # columns that are read together: a line of the cache


def _down(row: Any, like: Any) -> Any:
    """Return one number a column, repeated in each row."""
    return broadcast(row, shape=tuple(like.shape), axes=(like.ndim - 1,))


def _across(column: Any, like: Any) -> Any:
    """Return one number a row, repeated in each column."""
    return broadcast(column, shape=tuple(like.shape), axes=(0,))


def _over_rows(x: Any) -> Any:
    """Return the sums of the columns."""
    return reduce_sum(x, axes=tuple(range(x.ndim - 1)))


def _share(n: int) -> float:
    return 1.0 / max(n, 1)


def _share_of_row(x: Any) -> float:
    return _share(math.prod(x.shape[:-1]))


def _inverse(variance: Any, epsilon: float) -> Any:
    return e.reciprocal(e.sqrt(e.offset(variance, amount=epsilon)))


@fused("n *s c -> c, c", cost=3, unit=_UNIT, reduces=True)
def column_moments(x: Any) -> Any:
    """Mean and variance of each column, ``v_c = 1/n sum_n (x[n, c] - m_c)^2``; 0 for no rows."""
    share = _share_of_row(x)
    mean = e.scale(_over_rows(x), factor=share)
    squares = e.square(e.subtract(x, _down(mean, x)))
    return mean, e.scale(_over_rows(squares), factor=share)


@column_moments.tiling
def _(specs: Specs, outputs: Specs) -> Any:
    return (False,)


@column_moments.vjp
def _(g: Any, y: Any, x: Value) -> Any:
    share, total = _share_of_row(x), None
    if g[0] is not None:
        total = _down(e.scale(g[0], factor=share), x)
    if g[1] is not None:
        slope = _down(e.scale(g[1], factor=2 * share), x)
        part = e.multiply(slope, e.subtract(x, _down(y[0], x)))
        total = part if total is None else e.add(total, part)
    return (total,)


@fused("n *s c, c, c, c, c -> n *s c", cost=1.5)
def normalize_columns(
    x: Any,
    mean: Any,
    variance: Any,
    gamma: Any,
    beta: Any,
    *,
    epsilon: float,
    activation: str = "linear",
) -> Any:
    """``y[n, c] = f(gamma_c (x[n, c] - mean_c) / sqrt(variance_c + epsilon) + beta_c)``."""
    if activation not in ("linear", "relu"):
        raise ArgumentError(f"a normalization applies linear or relu, not {activation!r}")
    factor = e.multiply(gamma, _inverse(variance, epsilon))
    centered = e.subtract(x, _down(mean, x))
    y = e.add(e.multiply(centered, _down(factor, x)), _down(beta, x))
    return e.relu(y) if activation == "relu" else y


@fused("n *s c, c, c, c, c -> n *s c", cost=1.5)
def batch_normalize(
    x: Any,
    mean: Any,
    variance: Any,
    gamma: Any,
    beta: Any,
    *,
    epsilon: float,
    activation: str = "linear",
) -> Any:
    """`normalize_columns` by the moments of x itself.

    `mean` and `variance` must be ``column_moments(x)``: they are given so as not to be computed
    again, and the derivative takes them for what they are, functions of x.
    """
    moments = column_moments(x)
    return normalize_columns(x, *moments, gamma, beta, epsilon=epsilon, activation=activation)


@batch_normalize.vjp
def _(
    g: Value,
    y: Value,
    x: Value,
    mean: Value,
    variance: Value,
    gamma: Value,
    beta: Value,
    *,
    epsilon: float,
    activation: str,
) -> Any:
    if activation == "relu":
        g = relu_gradient(g, y)
    total, product = column_products(g, x, mean)
    slope = batch_normalize_gradient(g, x, mean, variance, gamma, total, product, epsilon=epsilon)
    return slope, None, None, e.multiply(product, _inverse(variance, epsilon)), total


@fused("n *s c, n *s c, c -> c, c", cost=2, unit=_UNIT, reduces=True)
def column_products(g: Any, x: Any, mean: Any) -> Any:
    """``sum_n g[n, c]`` and ``sum_n g[n, c] (x[n, c] - mean_c)``."""
    product = e.multiply(g, e.subtract(x, _down(mean, x)))
    return _over_rows(g), _over_rows(product)


@column_products.tiling
def _(specs: Specs, outputs: Specs) -> Any:
    return False, False, True


@fused("n *s c, n *s c, c, c, c, c, c -> n *s c", cost=2)
def batch_normalize_gradient(
    g: Any,
    x: Any,
    mean: Any,
    variance: Any,
    gamma: Any,
    total: Any,
    product: Any,
    *,
    epsilon: float,
) -> Any:
    """``gamma r (g - total / n - (x - mean) r^2 product / n)``, ``r = 1 / sqrt(variance + eps)``:
    the derivative of `batch_normalize` by x, from the sums of `column_products`."""
    share, inverse = _share_of_row(x), _inverse(variance, epsilon)
    pull = e.scale(e.multiply(e.square(inverse), product), factor=share)
    rest = e.subtract(g, _down(e.scale(total, factor=share), x))
    rest = e.subtract(rest, e.multiply(e.subtract(x, _down(mean, x)), _down(pull, x)))
    return e.multiply(rest, _down(e.multiply(gamma, inverse), x))


def _in_parts(x: Any, parts: int) -> Any:
    """Return the rows of x in parts: [parts, rows of a part, c]."""
    rows = math.prod(x.shape[:-1])
    return reshape(x, shape=(parts, rows // parts, x.shape[-1]))


def _parts_of(name: str, x: Spec, parts: int) -> Spec:
    """Return the type of one number for each part and column."""
    rows = math.prod(x.shape[:-1])
    if parts < 1 or rows % parts:
        raise ShapeError(f"{name}: {rows} rows do not form {parts} parts of equal size")
    return Spec((parts, x.shape[-1]), x.dtype)


def _by_sample(specs: Specs, outputs: Specs, **_: Any) -> bool:
    """Return whether each sample is a part of its own."""
    return specs[0].shape[0] == outputs[0].shape[0]


@fused("n *s c -> ?", cost=1.5, reduces=True)
def partial_moments(x: Any, *, parts: int) -> Any:
    """Mean, mean of ``x - mean`` and mean of ``(x - mean)^2`` of each column of each part of the
    rows. The second is what rounding took from the first, and 0 without rounding."""
    cut = _in_parts(x, parts)
    share = _share(cut.shape[1])
    mean = e.scale(reduce_sum(cut, axes=(1,)), factor=share)
    d = e.subtract(cut, broadcast(mean, shape=tuple(cut.shape), axes=(0, 2)))
    return mean, *(e.scale(reduce_sum(a, axes=(1,)), factor=share) for a in (d, e.square(d)))


@partial_moments.shape_rule
def _(x: Spec, *, parts: int) -> Any:
    return (_parts_of("partial_moments", x, parts),) * 3


@partial_moments.tiling
def _(specs: Specs, outputs: Specs, *, parts: int) -> Any:
    return (_by_sample(specs, outputs),)


@fused("p c, p c, p c -> c, c", unit=_UNIT, reduces=True)
def joined_moments(mean: Any, rest: Any, spread: Any) -> Any:
    """Mean and variance of columns, from what `partial_moments` gives of parts of equal size:
    ``m = 1/p sum_p (mean_p + rest_p)``, ``v = 1/p sum_p (spread_p + 2 d rest_p + d^2)``,
    ``d = mean_p - m``."""
    share = _share(mean.shape[0])
    middle = e.scale(_over_rows(e.add(mean, rest)), factor=share)
    d = e.subtract(mean, _down(middle, mean))
    around = e.add(spread, e.multiply(d, e.add(d, e.scale(rest, factor=2.0))))
    return middle, e.scale(_over_rows(around), factor=share)


@joined_moments.tiling
def _(specs: Specs, outputs: Specs) -> Any:
    return False, False, False


@fused("n *s c, n *s c, c -> ?", cost=1.5, reduces=True)
def partial_column_products(g: Any, x: Any, mean: Any, *, parts: int) -> Any:
    """The sums of `column_products` over each part of the rows; their sums are those over all."""
    product = e.multiply(g, e.subtract(x, _down(mean, x)))
    total, dot = (reduce_sum(_in_parts(a, parts), axes=(1,)) for a in (g, product))
    return total, dot


@partial_column_products.shape_rule
def _(g: Spec, x: Spec, mean: Spec, *, parts: int) -> Any:
    return (_parts_of("partial_column_products", x, parts),) * 2


@partial_column_products.tiling
def _(specs: Specs, outputs: Specs, *, parts: int) -> Any:
    alone = _by_sample(specs, outputs)
    return alone, alone, False


def _moments_of_rows(x: Any, center: bool, epsilon: float) -> tuple[Any, Any]:
    """Return x, less the mean of each row where `center`, and 1 / its root mean square."""
    share = _share(x.shape[1])
    if center:
        x = e.subtract(x, _across(e.scale(reduce_sum(x, axes=(1,)), factor=share), x))
    variance = e.scale(reduce_sum(e.square(x), axes=(1,)), factor=share)
    return x, _inverse(variance, epsilon)


@fused("n m, m, m -> n m", cost=6)
def normalize_rows(x: Any, gamma: Any, beta: Any, *, epsilon: float, center: bool = True) -> Any:
    """``y[n, m] = gamma_m (x[n, m] - a_n) / sqrt(v_n + epsilon) + beta_m``: a_n is the mean of the
    row, or 0 without `center`, and v_n the mean square of what is left."""
    x, inverse = _moments_of_rows(x, center, epsilon)
    y = e.multiply(e.multiply(x, _across(inverse, x)), _down(gamma, x))
    return e.add(y, _down(beta, x))


@normalize_rows.vjp
def _(
    g: Value, y: Value, x: Value, gamma: Value, beta: Value, *, epsilon: float, center: bool
) -> Any:
    slope = normalize_rows_gradient(g, x, gamma, epsilon=epsilon, center=center)
    plain = normalize_rows(x, *_one_and_zero(gamma), epsilon=epsilon, center=center)
    return slope, _over_rows(e.multiply(g, plain)), _over_rows(g)


def _one_and_zero(like: Value) -> list[Value]:
    """Return what gamma and beta are where they change nothing."""
    return [fill(shape=like.shape, value=c, dtype=like.dtype) for c in (1.0, 0.0)]


@fused("n m, n m, m -> n m", cost=9)
def normalize_rows_gradient(
    g: Any, x: Any, gamma: Any, *, epsilon: float, center: bool = True
) -> Any:
    """``r (h - mean(h) - z mean(h z))``, ``h = g gamma``, ``z = r (x - a)``: the derivative of
    `normalize_rows` by x; without `center` mean(h) is left out."""
    x, inverse = _moments_of_rows(x, center, epsilon)
    share = _share(x.shape[1])
    h, z = e.multiply(g, _down(gamma, x)), e.multiply(x, _across(inverse, x))
    product = e.scale(reduce_sum(e.multiply(h, z), axes=(1,)), factor=share)
    rest = e.subtract(h, e.multiply(z, _across(product, x)))
    if center:
        rest = e.subtract(rest, _across(e.scale(reduce_sum(h, axes=(1,)), factor=share), x))
    return e.multiply(rest, _across(inverse, x))


def _grouped(x: Any, groups: int) -> Any:
    """Return x as [n, places, groups, columns of a group]."""
    n, c = x.shape[0], x.shape[-1]
    return reshape(x, shape=(n, math.prod(x.shape[1:-1]), groups, c // groups))


def _mean_of_groups(x: Any) -> Any:
    """Return the means over the places and columns of each group, repeated in each of them."""
    mean = e.scale(reduce_sum(x, axes=(1, 3)), factor=_share(x.shape[1] * x.shape[3]))
    return broadcast(mean, shape=tuple(x.shape), axes=(0, 2))


def _standard_groups(x: Any, epsilon: float) -> tuple[Any, Any]:
    """Return x [n, places, groups, columns] with mean 0 and variance 1, and what it was multiplied
    by for that."""
    centered = e.subtract(x, _mean_of_groups(x))
    inverse = _inverse(_mean_of_groups(e.square(centered)), epsilon)
    return e.multiply(centered, inverse), inverse


def _check_groups(name: str, x: Spec, groups: int) -> Spec:
    if groups < 1 or x.shape[-1] % groups:
        raise ShapeError(f"{name}: {x.shape[-1]} columns do not form {groups} groups of equal size")
    return x


@fused("n *s c, c, c -> n *s c", cost=4)
def normalize_groups(x: Any, gamma: Any, beta: Any, *, groups: int, epsilon: float) -> Any:
    """``y = gamma_c (x - a) / sqrt(v + epsilon) + beta_c``: a and v are mean and variance of each
    sample over its places and one of `groups` groups of neighbouring columns."""
    z = reshape(_standard_groups(_grouped(x, groups), epsilon)[0], shape=tuple(x.shape))
    return e.add(e.multiply(z, _down(gamma, x)), _down(beta, x))


@normalize_groups.shape_rule
def _(x: Spec, gamma: Spec, beta: Spec, *, groups: int, epsilon: float) -> Spec:
    return _check_groups("normalize_groups", x, groups)


@normalize_groups.vjp
def _(
    g: Value, y: Value, x: Value, gamma: Value, beta: Value, *, groups: int, epsilon: float
) -> Any:
    slope = normalize_groups_gradient(g, x, gamma, groups=groups, epsilon=epsilon)
    plain = normalize_groups(x, *_one_and_zero(gamma), groups=groups, epsilon=epsilon)
    return slope, _over_rows(e.multiply(g, plain)), _over_rows(g)


@fused("n *s c, n *s c, c -> n *s c", cost=6)
def normalize_groups_gradient(g: Any, x: Any, gamma: Any, *, groups: int, epsilon: float) -> Any:
    """``r (h - mean(h) - z mean(h z))``, ``h = g gamma``, ``z = r (x - a)``, means over groups: the
    derivative of `normalize_groups` by x."""
    z, inverse = _standard_groups(_grouped(x, groups), epsilon)
    h = _grouped(e.multiply(g, _down(gamma, x)), groups)
    pull = e.multiply(z, _mean_of_groups(e.multiply(h, z)))
    rest = e.subtract(e.subtract(h, _mean_of_groups(h)), pull)
    return reshape(e.multiply(rest, inverse), shape=tuple(x.shape))


@normalize_groups_gradient.shape_rule
def _(g: Spec, x: Spec, gamma: Spec, *, groups: int, epsilon: float) -> Spec:
    return _check_groups("normalize_groups_gradient", x, groups)
