"""Losses of counts, shares, directions and quantities of any size."""

from __future__ import annotations

from typing import Any

from chainrule import ops
from chainrule.graph import Value
from chainrule.losses.shapes import EPSILON, inside, matched, mean_last


def mean_absolute_percentage_error(y_true: Any, y_pred: Any) -> Value:
    """``loss[n] = 100 mean_d |y_true - y_pred| / max(|y_true|, 1e-7)``.

    Shapes
    ------
    y_true, y_pred : [n, *s, d] or [n]; returned : [n, *s]

    Raises
    ------
    ShapeError
        Where the shapes differ by more than a trailing axis of 1.
    """
    y_true, y_pred = matched("mean_absolute_percentage_error", y_true, y_pred)
    size = ops.maximum(ops.abs(y_true), EPSILON)
    return ops.multiply(mean_last(ops.abs(ops.divide(ops.subtract(y_true, y_pred), size))), 100.0)


def mean_squared_logarithmic_error(y_true: Any, y_pred: Any) -> Value:
    """``loss[n] = mean_d (ln(1 + y_pred) - ln(1 + y_true))^2``, both kept at 1e-7 or more.

    Shapes
    ------
    y_true, y_pred : [n, *s, d] or [n]; returned : [n, *s]

    Raises
    ------
    ShapeError
        Where the shapes differ by more than a trailing axis of 1.
    """
    y_true, y_pred = matched("mean_squared_logarithmic_error", y_true, y_pred)
    logs = [ops.log1p(ops.maximum(y, EPSILON)) for y in (y_pred, y_true)]
    return mean_last(ops.square(ops.subtract(*logs)))


def poisson(y_true: Any, y_pred: Any) -> Value:
    """``loss[n] = mean_d (y_pred - y_true * ln(y_pred + 1e-7))`` of counts and predicted rates.

    Shapes
    ------
    y_true, y_pred : [n, *s, d] or [n]; returned : [n, *s]

    Raises
    ------
    ShapeError
        Where the shapes differ by more than a trailing axis of 1.
    """
    y_true, y_pred = matched("poisson", y_true, y_pred)
    return mean_last(ops.subtract(y_pred, ops.multiply(y_true, ops.log(ops.add(y_pred, EPSILON)))))


def kl_divergence(y_true: Any, y_pred: Any) -> Value:
    """``loss[n] = sum_m t ln(t / p)`` of target shares t and predicted shares p, within [1e-7, 1].

    Shapes
    ------
    y_true, y_pred : [n, *s, m]; returned : [n, *s]

    Raises
    ------
    ShapeError
        Where the shapes differ by more than a trailing axis of 1.
    """
    y_true, y_pred = matched("kl_divergence", y_true, y_pred)
    t, p = (ops.clip(y, EPSILON, 1.0) for y in (y_true, y_pred))
    return ops.sum(ops.multiply(t, ops.log(ops.divide(t, p))), axis=-1)


def cosine_similarity(y_true: Any, y_pred: Any, axis: int = -1) -> Value:
    """``loss[n] = -sum_d t y / (|t| |y|)``: -1 for one direction, 1 for opposite ones.

    Shapes
    ------
    y_true, y_pred : [n, *s, d] or [n]; returned : [n, *s]

    Raises
    ------
    ShapeError
        Where the shapes differ by more than a trailing axis of 1.

    Notes
    -----
    Lengths below 1e-7 count as 1e-7, so a vector of zeros has similarity 0.
    """
    y_true, y_pred = matched("cosine_similarity", y_true, y_pred)
    return ops.negative(ops.sum(ops.multiply(unit(y_true, axis), unit(y_pred, axis)), axis=axis))


def unit(x: Value, axis: int) -> Value:
    """Return x by its length along `axis`."""
    squares = ops.sum(ops.square(x), axis=axis, keepdims=True)
    return ops.divide(x, ops.sqrt(ops.maximum(squares, EPSILON**2)))


def quantile(y_true: Any, y_pred: Any, q: float = 0.5) -> Value:
    """``loss[n] = mean_d max(q * e, (q - 1) * e)``, ``e = y_true - y_pred``.

    Shapes
    ------
    y_true, y_pred : [n, *s, d] or [n]; returned : [n, *s]

    Raises
    ------
    ShapeError
        Where the shapes differ by more than a trailing axis of 1.
    ArgumentError
        For an argument out of range.

    Source
    ------
    Koenker and Bassett, "Regression Quantiles", 1978. Written as ``|e| / 2 + (q - 1/2) e``.
    """
    q = inside("q", q)
    y_true, y_pred = matched("quantile", y_true, y_pred)
    error = ops.subtract(y_true, y_pred)
    size = ops.multiply(ops.abs(error), 0.5)
    return mean_last(ops.add(size, ops.multiply(error, q - 0.5)))
