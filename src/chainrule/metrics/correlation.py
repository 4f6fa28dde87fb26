"""How much predictions move with their targets."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule import losses, ops
from chainrule.dtypes import Array
from chainrule.errors import ArgumentError
from chainrule.graph import Value
from chainrule.losses.shapes import EPSILON, matched
from chainrule.metrics.base import MeanOfValues


def pearson_correlation(y_true: Any, y_pred: Any, axis: int = -1) -> Value:
    """``r[n] = cov(t, y) / (std(t) std(y))`` along `axis`; 0 where either is constant.

    Shapes
    ------
    y_true, y_pred : [n, *s, d]; returned : [n, *s]

    Raises
    ------
    ShapeError
        For shapes that differ by more than a trailing axis of 1.
    """
    y_true, y_pred = matched("pearson_correlation", y_true, y_pred)
    t, y = (ops.subtract(v, ops.mean(v, axis=axis, keepdims=True)) for v in (y_true, y_pred))
    spread = ops.multiply(_length(t, axis), _length(y, axis))
    flat = ops.equal(spread, 0.0)
    joint = ops.sum(ops.multiply(t, y), axis=axis)
    return ops.where(flat, 0.0, ops.divide(joint, ops.where(flat, 1.0, spread)))


def _length(x: Value, axis: int) -> Value:
    return ops.sqrt(ops.sum(ops.square(x), axis=axis))


def concordance_correlation(y_true: Any, y_pred: Any, axis: int = -1) -> Value:
    """``c[n] = 2 cov(t, y) / (var(t) + var(y) + (mean(t) - mean(y))^2 + 1e-7)`` along `axis`.

    Shapes
    ------
    y_true, y_pred : [n, *s, d]; returned : [n, *s]

    Raises
    ------
    ShapeError
        For shapes that differ by more than a trailing axis of 1.

    Source
    ------
    Lin, "A Concordance Correlation Coefficient to Evaluate Reproducibility", 1989.
    """
    y_true, y_pred = matched("concordance_correlation", y_true, y_pred)
    means = [ops.mean(v, axis=axis, keepdims=True) for v in (y_true, y_pred)]
    t, y = ops.subtract(y_true, means[0]), ops.subtract(y_pred, means[1])
    joint = ops.mean(ops.multiply(t, y), axis=axis)
    apart = ops.square(ops.subtract(*means))
    parts = ops.mean(ops.add(ops.add(ops.square(t), ops.square(y)), apart), axis=axis)
    return ops.divide(ops.multiply(joint, 2.0), ops.add(parts, EPSILON))


class PearsonCorrelation(MeanOfValues):
    """``mean_n cov(t, y) / (std(t) std(y))`` along `axis`; 0 where either is constant.

    Shapes
    ------
    y_true, y_pred : [n, *s, d] or [n]

    Parameters
    ----------
    axis : int, default -1
        The axis of the vectors.
    name, dtype
        As in `Metric`.

    Raises
    ------
    ArgumentError
        For an argument out of range.
    ShapeError
        When updated, for shapes that do not fit.

    Examples
    --------
    >>> from chainrule.metrics import PearsonCorrelation
    >>> round(PearsonCorrelation()([[0.0, 1.0, 2.0]], [[0.0, 2.0, 4.0]]), 4)
    1.0
    """

    direction = "max"

    def __init__(
        self,
        name: str | None = "pearson_correlation",
        dtype: str | None = None,
        axis: int = -1,
    ) -> None:
        super().__init__(name, dtype)
        self.axis = axis

    def values(self, y_true: Value, y_pred: Value) -> Value:
        """Return the loss of each sample."""
        return pearson_correlation(y_true, y_pred, axis=self.axis)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments as plain data."""
        return {**super().get_config(), "axis": self.axis}


class ConcordanceCorrelation(MeanOfValues):
    """``mean_n 2 cov(t, y) / (var(t) + var(y) + (mean(t) - mean(y))^2)`` along `axis`.

    Shapes
    ------
    y_true, y_pred : [n, *s, d] or [n]

    Parameters
    ----------
    axis : int, default -1
        The axis of the vectors.
    name, dtype
        As in `Metric`.

    Raises
    ------
    ArgumentError
        For an argument out of range.
    ShapeError
        When updated, for shapes that do not fit.

    Examples
    --------
    >>> from chainrule.metrics import ConcordanceCorrelation
    >>> round(ConcordanceCorrelation()([[0.0, 1.0, 2.0]], [[0.0, 2.0, 4.0]]), 4)
    0.6154
    """

    direction = "max"

    def __init__(
        self,
        name: str | None = "concordance_correlation",
        dtype: str | None = None,
        axis: int = -1,
    ) -> None:
        super().__init__(name, dtype)
        self.axis = axis

    def values(self, y_true: Value, y_pred: Value) -> Value:
        """Return the loss of each sample."""
        return concordance_correlation(y_true, y_pred, axis=self.axis)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments as plain data."""
        return {**super().get_config(), "axis": self.axis}


class CosineSimilarity(MeanOfValues):
    """``mean_n sum_d t y / (|t| |y|)``: 1 for one direction, -1 for opposite ones.

    Shapes
    ------
    y_true, y_pred : [n, *s, d] or [n]

    Parameters
    ----------
    axis : int, default -1
        The axis of the vectors.
    name, dtype
        As in `Metric`.

    Raises
    ------
    ArgumentError
        For an argument out of range.
    ShapeError
        When updated, for shapes that do not fit.

    Examples
    --------
    >>> from chainrule.metrics import CosineSimilarity
    >>> round(CosineSimilarity()([[0.0, 1.0]], [[0.0, 2.0]]), 4)
    1.0
    """

    direction = "max"

    def __init__(
        self,
        name: str | None = "cosine_similarity",
        dtype: str | None = None,
        axis: int = -1,
    ) -> None:
        super().__init__(name, dtype)
        self.axis = axis

    def values(self, y_true: Value, y_pred: Value) -> Value:
        """Return the loss of each sample."""
        return _cosine(y_true, y_pred, axis=self.axis)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments as plain data."""
        return {**super().get_config(), "axis": self.axis}


def _cosine(y_true: Value, y_pred: Value, axis: int) -> Value:
    return ops.negative(losses.cosine_similarity(y_true, y_pred, axis))


class MeanRelativeError(MeanOfValues):
    """``mean_n mean_d |y_true - y_pred| / normalizer``; 0 where the normalizer is 0.

    Shapes
    ------
    y_true, y_pred : [n, *s, d] or [n]; normalizer : what broadcasts with them

    Parameters
    ----------
    normalizer : array_like
        What an error is counted in.
    name, dtype
        As in `Metric`.

    Raises
    ------
    ArgumentError
        For a normalizer that is not numbers.
    ShapeError
        When updated, for shapes that do not fit.

    Examples
    --------
    >>> from chainrule.metrics import MeanRelativeError
    >>> MeanRelativeError([1, 3, 2, 3])([1, 3, 2, 3], [2, 4, 6, 8])
    1.25
    """

    direction = "min"

    def __init__(
        self,
        normalizer: Any,
        name: str | None = "mean_relative_error",
        dtype: str | None = None,
    ) -> None:
        super().__init__(name, dtype)
        try:
            self.normalizer: Array = np.asarray(normalizer, np.float64)
        except (TypeError, ValueError):
            raise ArgumentError(f"normalizer is {normalizer!r}; expected numbers") from None

    def values(self, y_true: Value, y_pred: Value) -> Value:
        """Return the relative errors."""
        y_true, y_pred = matched(self.name, y_true, y_pred)
        known = self.normalizer != 0
        share = np.where(known, 1.0 / np.where(known, self.normalizer, 1.0), 0.0)
        error = ops.cast(ops.abs(ops.subtract(y_true, y_pred)), "float64")
        return ops.multiply(error, share)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments as plain data."""
        return {**super().get_config(), "normalizer": self.normalizer.tolist()}
