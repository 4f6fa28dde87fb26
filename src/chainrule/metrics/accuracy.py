"""How often predictions are right."""

from __future__ import annotations

import math
from typing import Any

from chainrule import ops
from chainrule.dtypes import is_float
from chainrule.errors import ArgumentError, ShapeError
from chainrule.graph import Value
from chainrule.losses.logits import logits_of_sigmoid, logits_of_softmax
from chainrule.losses.shapes import misfit, same_rank
from chainrule.metrics.base import MeanOfValues


def accuracy(y_true: Any, y_pred: Any) -> Value:
    """``hit[n] = y_true[n] == y_pred[n]``, as 0 and 1.

    Shapes
    ------
    y_true, y_pred : [n, *s]; returned : [n, *s]

    Raises
    ------
    ShapeError
        For shapes that differ by more than a trailing axis of 1.
    """
    y_true, y_pred = _matched("accuracy", y_true, y_pred)
    return _hits(ops.cast(y_true, y_pred.dtype) if is_float(y_pred.dtype) else y_true, y_pred)


def binary_accuracy(y_true: Any, y_pred: Any, threshold: float = 0.5) -> Value:
    """``hit[n] = y_true[n] == (y_pred[n] > threshold)``, as 0 and 1.

    Shapes
    ------
    y_true, y_pred : [n, *s]; returned : [n, *s]

    Parameters
    ----------
    y_true : array_like
        0 or 1.
    y_pred : array_like
        Probabilities.
    threshold : float, default 0.5
        Above it a prediction counts as 1.

    Raises
    ------
    ShapeError
        For shapes that differ by more than a trailing axis of 1.
    """
    y_pred = ops.as_value(y_pred)
    logits = logits_of_sigmoid(y_pred) if 0.0 < threshold < 1.0 else None
    if logits is not None:
        # The logits serve the loss already, and the sigmoid keeps their order.
        y_pred, threshold = logits, math.log(threshold / (1.0 - threshold))
    y_true, y_pred = _matched("binary_accuracy", y_true, y_pred)
    return _hits(y_true, ops.cast(ops.greater(y_pred, threshold), y_true.dtype))


def categorical_accuracy(y_true: Any, y_pred: Any) -> Value:
    """``hit[n] = argmax_m y_true[n, m] == argmax_m y_pred[n, m]``, as 0 and 1.

    Shapes
    ------
    y_true, y_pred : [n, *s, m]; returned : [n, *s]

    Raises
    ------
    ShapeError
        For shapes that differ.
    """
    y_true, y_pred = ops.as_value(y_true), ops.as_value(y_pred)
    if y_true.shape != y_pred.shape or not y_true.shape:
        raise ShapeError(misfit("categorical_accuracy", y_true, y_pred))
    return _hits(ops.argmax(y_true, axis=-1), _winner(y_pred))


def sparse_categorical_accuracy(y_true: Any, y_pred: Any) -> Value:
    """``hit[n] = y_true[n] == argmax_m y_pred[n, m]``, as 0 and 1.

    Shapes
    ------
    y_true : [n, *s] or [n, *s, 1]; y_pred : [n, *s, m]; returned : [n, *s]

    Raises
    ------
    ShapeError
        Where there is not one class number for each prediction.
    """
    y_true, y_pred = ops.as_value(y_true), ops.as_value(y_pred)
    if y_true.ndim == y_pred.ndim and y_true.shape[-1:] == (1,):
        y_true = ops.squeeze(y_true, -1)
    if y_true.shape != y_pred.shape[:-1] or not y_pred.shape:
        raise ShapeError(misfit("sparse_categorical_accuracy", y_true, y_pred))
    return _hits(y_true, _winner(y_pred))


def _matched(name: str, y_true: Any, y_pred: Any) -> tuple[Value, Value]:
    y_true, y_pred = same_rank(ops.as_value(y_true), ops.as_value(y_pred))
    if y_true.shape != y_pred.shape:
        raise ShapeError(misfit(name, y_true, y_pred))
    return y_true, y_pred


def _hits(x: Value, y: Value) -> Value:
    return ops.cast(ops.equal(x, y), "float64")


def _winner(y_pred: Value) -> Value:
    """Return the class of the largest prediction; the softmax keeps the order of its logits."""
    logits = logits_of_softmax(y_pred)
    return ops.argmax(y_pred if logits is None else logits, axis=-1)


class Accuracy(MeanOfValues):
    """``mean_n (y_true[n] == y_pred[n])``.

    Shapes
    ------
    y_true, y_pred : [n, *s]

    Parameters
    ----------
    name, dtype
        As in `Metric`.

    Raises
    ------
    ShapeError
        When updated, for shapes that differ by more than a trailing axis of 1.

    Examples
    --------
    >>> from chainrule.metrics import Accuracy
    >>> Accuracy()([1, 2, 3, 4], [0, 2, 3, 4])
    0.75
    """

    direction = "max"

    def __init__(self, name: str | None = "accuracy", dtype: str | None = None) -> None:
        super().__init__(name, dtype)

    def values(self, y_true: Value, y_pred: Value) -> Value:
        """Return the hits, as 0 and 1."""
        return accuracy(y_true, y_pred)


class BinaryAccuracy(MeanOfValues):
    """``mean_n mean_d (y_true[n, d] == (y_pred[n, d] > threshold))``.

    Shapes
    ------
    y_true, y_pred : [n, *s]

    Parameters
    ----------
    name, dtype
        As in `Metric`.
    threshold : float, default 0.5
        Above it a prediction counts as 1; 0 for logits.

    Raises
    ------
    ArgumentError
        For a threshold that is not a number.
    ShapeError
        When updated, for shapes that differ by more than a trailing axis of 1.

    Examples
    --------
    >>> from chainrule.metrics import BinaryAccuracy
    >>> BinaryAccuracy()([1, 1, 0, 0], [0.98, 1.0, 0.0, 0.6])
    0.75
    """

    direction = "max"

    def __init__(
        self,
        name: str | None = "binary_accuracy",
        dtype: str | None = None,
        threshold: float = 0.5,
    ) -> None:
        if not isinstance(threshold, int | float) or not math.isfinite(threshold):
            raise ArgumentError(f"threshold is {threshold!r}; expected a number")
        super().__init__(name, dtype)
        self.threshold = float(threshold)

    def values(self, y_true: Value, y_pred: Value) -> Value:
        """Return the hits, as 0 and 1."""
        return binary_accuracy(y_true, y_pred, self.threshold)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments as plain data."""
        return {**super().get_config(), "threshold": self.threshold}


class CategoricalAccuracy(MeanOfValues):
    """``mean_n (argmax_m y_true[n, m] == argmax_m y_pred[n, m])``.

    Shapes
    ------
    y_true, y_pred : [n, *s, m]

    Parameters
    ----------
    name, dtype
        As in `Metric`.

    Raises
    ------
    ShapeError
        When updated, for shapes that differ.

    Examples
    --------
    >>> from chainrule.metrics import CategoricalAccuracy
    >>> CategoricalAccuracy()([[0, 1], [1, 0]], [[0.2, 0.8], [0.4, 0.6]])
    0.5
    """

    direction = "max"

    def __init__(self, name: str | None = "categorical_accuracy", dtype: str | None = None) -> None:
        super().__init__(name, dtype)

    def values(self, y_true: Value, y_pred: Value) -> Value:
        """Return the hits, as 0 and 1."""
        return categorical_accuracy(y_true, y_pred)


class SparseCategoricalAccuracy(MeanOfValues):
    """``mean_n (y_true[n] == argmax_m y_pred[n, m])``.

    Shapes
    ------
    y_true : [n, *s] or [n, *s, 1]; y_pred : [n, *s, m]

    Parameters
    ----------
    name, dtype
        As in `Metric`.

    Raises
    ------
    ShapeError
        When updated, where there is not one class number for each prediction.

    Examples
    --------
    >>> from chainrule.metrics import SparseCategoricalAccuracy
    >>> SparseCategoricalAccuracy()([1, 0], [[0.2, 0.8], [0.4, 0.6]])
    0.5
    """

    direction = "max"

    def __init__(
        self, name: str | None = "sparse_categorical_accuracy", dtype: str | None = None
    ) -> None:
        super().__init__(name, dtype)

    def values(self, y_true: Value, y_pred: Value) -> Value:
        """Return the hits, as 0 and 1."""
        return sparse_categorical_accuracy(y_true, y_pred)
