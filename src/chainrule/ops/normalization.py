"""Normalization: statistics of columns (over a batch) and of rows (within a sample).

Arrays have two axes here; layers bring theirs into that form, which for the last axis costs
nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from chainrule.graph import Spec, Value, fused
from chainrule.ops import elementwise as e
from chainrule.ops.reduce import reduce_sum
from chainrule.ops.shape import broadcast, fill

Specs = Sequence[Spec]

_UNIT = 16  # columns that are read together: a line of the cache


def _down(row: Any, like: Any) -> Any:
    """Return one number a column, repeated in each row."""
    return broadcast(row, shape=tuple(like.shape), axes=(1,))


def _across(column: Any, like: Any) -> Any:
    """Return one number a row, repeated in each column."""
    return broadcast(column, shape=tuple(like.shape), axes=(0,))


def _share(n: int) -> float:
    return 1.0 / max(n, 1)


def _inverse(variance: Any, epsilon: float) -> Any:
    return e.reciprocal(e.sqrt(e.offset(variance, amount=epsilon)))


@fused("n c -> c, c", cost=3, unit=_UNIT, reduces=True)
def column_moments(x: Any) -> Any:
    """Mean and variance of each column, ``v_c = 1/n sum_n (x[n, c] - m_c)^2``; 0 for no rows."""
    share = _share(x.shape[0])
    mean = e.scale(reduce_sum(x, axes=(0,)), factor=share)
    squares = e.square(e.subtract(x, _down(mean, x)))
    return mean, e.scale(reduce_sum(squares, axes=(0,)), factor=share)


@column_moments.tiling
def _(specs: Specs, outputs: Specs) -> Any:
    return (False,)


@column_moments.vjp
def _(g: Any, y: Any, x: Value) -> Any:
    share, total = _share(x.shape[0]), None
    if g[0] is not None:
        total = _down(e.scale(g[0], factor=share), x)
    if g[1] is not None:
        slope = _down(e.scale(g[1], factor=2 * share), x)
        part = e.multiply(slope, e.subtract(x, _down(y[0], x)))
        total = part if total is None else e.add(total, part)
    return (total,)


@fused("n c, c, c, c, c -> n c", cost=2)
def normalize_columns(
    x: Any, mean: Any, variance: Any, gamma: Any, beta: Any, *, epsilon: float
) -> Any:
    """``y[n, c] = gamma_c (x[n, c] - mean_c) / sqrt(variance_c + epsilon) + beta_c``."""
    factor = e.multiply(gamma, _inverse(variance, epsilon))
    centered = e.subtract(x, _down(mean, x))
    return e.add(e.multiply(centered, _down(factor, x)), _down(beta, x))


@fused("n c, c, c, c, c -> n c", cost=2)
def batch_normalize(
    x: Any, mean: Any, variance: Any, gamma: Any, beta: Any, *, epsilon: float
) -> Any:
    """`normalize_columns` by the moments of x itself.

    `mean` and `variance` must be ``column_moments(x)``: they are given so as not to be computed
    again, and the derivative takes them for what they are, functions of x.
    """
    return normalize_columns(x, *column_moments(x), gamma, beta, epsilon=epsilon)


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
) -> Any:
    total, product = column_products(g, x, mean)
    slope = batch_normalize_gradient(g, x, mean, variance, gamma, total, product, epsilon=epsilon)
    return slope, None, None, e.multiply(product, _inverse(variance, epsilon)), total


@fused("n c, n c, c -> c, c", cost=2, unit=_UNIT, reduces=True)
def column_products(g: Any, x: Any, mean: Any) -> Any:
    """``sum_n g[n, c]`` and ``sum_n g[n, c] (x[n, c] - mean_c)``."""
    product = e.multiply(g, e.subtract(x, _down(mean, x)))
    return reduce_sum(g, axes=(0,)), reduce_sum(product, axes=(0,))


@column_products.tiling
def _(specs: Specs, outputs: Specs) -> Any:
    return False, False, True


@fused("n c, n c, c, c, c, c, c -> n c", cost=3)
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
    share, inverse = _share(x.shape[0]), _inverse(variance, epsilon)
    pull = e.scale(e.multiply(e.square(inverse), product), factor=share)
    rest = e.subtract(g, _down(e.scale(total, factor=share), x))
    rest = e.subtract(rest, e.multiply(e.subtract(x, _down(mean, x)), _down(pull, x)))
    return e.multiply(rest, _down(e.multiply(gamma, inverse), x))


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
    one, zero = (fill(shape=gamma.shape, value=c, dtype=gamma.dtype) for c in (1.0, 0.0))
    plain = normalize_rows(x, one, zero, epsilon=epsilon, center=center)
    return slope, reduce_sum(e.multiply(g, plain), axes=(0,)), reduce_sum(g, axes=(0,))


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
