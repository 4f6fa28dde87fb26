"""How often the right class is among the best."""

from __future__ import annotations

from typing import Any

from chainrule import ops
from chainrule.errors import ArgumentError, ShapeError
from chainrule.graph import Value
from chainrule.losses.shapes import misfit
from chainrule.metrics.base import MeanOfValues


def top_k_categorical_accuracy(y_true: Any, y_pred: Any, k: int = 5) -> Value:
    """``hit[n]``: whether the class of the one-hot target is among the k largest, as 0 and 1.

    Shapes
    ------
    y_true, y_pred : [n, *s, m]; returned : [n, *s]

    Raises
    ------
    ArgumentError
        Where k is below 1.
    ShapeError
        For shapes that differ.
    """
    y_true, y_pred = ops.as_value(y_true), ops.as_value(y_pred)
    if y_true.shape != y_pred.shape or not y_pred.shape:
        raise ShapeError(misfit("top_k_categorical_accuracy", y_true, y_pred))
    return sparse_top_k_categorical_accuracy(ops.argmax(y_true, axis=-1), y_pred, k)


def sparse_top_k_categorical_accuracy(
    y_true: Any, y_pred: Any, k: int = 5, from_sorted_ids: bool = False
) -> Value:
    """``hit[n]``: whether fewer than k classes are predicted above ``y_true[n]``, as 0 and 1.

    Shapes
    ------
    y_true : [n, *s] or [n, *s, 1]; y_pred : [n, *s, m]; returned : [n, *s]

    Parameters
    ----------
    y_true : array_like
        Class numbers.
    y_pred : array_like
        A number for each class, or with `from_sorted_ids` class numbers, the likeliest first.
    k : int, default 5
        From 1.
    from_sorted_ids : bool, default False
        Whether `y_pred` are class numbers.

    Raises
    ------
    ArgumentError
        Where k is below 1.
    ShapeError
        Where there is not one class number for each prediction.
    """
    k = _checked_k(k)
    y_true, y_pred = ops.as_value(y_true), ops.as_value(y_pred)
    if y_true.ndim == y_pred.ndim and y_true.shape[-1:] == (1,):
        y_true = ops.squeeze(y_true, -1)
    if y_true.shape != y_pred.shape[:-1] or not y_pred.shape:
        raise ShapeError(misfit("sparse_top_k_categorical_accuracy", y_true, y_pred))
    if from_sorted_ids:
        same = ops.equal(ops.expand_dims(y_true, -1), y_pred[..., :k])
        return ops.cast(ops.any(same, axis=-1), "float64")
    hot = ops.one_hot(y_true, y_pred.shape[-1])
    mine = ops.sum(ops.where(hot, y_pred, 0.0), axis=-1, keepdims=True)
    above = ops.sum(ops.cast(ops.greater(y_pred, mine), "int64"), axis=-1)
    known = ops.logical_and(ops.any(hot, axis=-1), ops.isfinite(ops.squeeze(mine, -1)))
    return ops.cast(ops.logical_and(known, ops.less(above, k)), "float64")


def _checked_k(k: int) -> int:
    if int(k) != k or k < 1:
        raise ArgumentError(f"k is {k!r}; expected a whole number from 1")
    return int(k)


class TopKCategoricalAccuracy(MeanOfValues):
    """``mean_n`` of whether the class of the one-hot target is among the k largest.

    Shapes
    ------
    y_true, y_pred : [n, *s, m]

    Parameters
    ----------
    k : int, default 5
        From 1.
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
    >>> from chainrule.metrics import TopKCategoricalAccuracy
    >>> TopKCategoricalAccuracy(k=2)([[0, 0, 1]], [[0.5, 0.1, 0.4]])
    1.0
    """

    direction = "max"

    def __init__(
        self,
        k: int = 5,
        name: str | None = "top_k_categorical_accuracy",
        dtype: str | None = None,
    ) -> None:
        super().__init__(name, dtype)
        self.k = _checked_k(k)

    def values(self, y_true: Value, y_pred: Value) -> Value:
        """Return the hits, as 0 and 1."""
        return top_k_categorical_accuracy(y_true, y_pred, self.k)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments as plain data."""
        return {**super().get_config(), "k": self.k}


class SparseTopKCategoricalAccuracy(MeanOfValues):
    """``mean_n`` of whether class ``y_true[n]`` is among the k largest.

    Shapes
    ------
    y_true : [n, *s] or [n, *s, 1]; y_pred : [n, *s, m]

    Parameters
    ----------
    k : int, default 5
        From 1.
    from_sorted_ids : bool, default False
        Whether predictions are class numbers, the likeliest first.
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
    >>> from chainrule.metrics import SparseTopKCategoricalAccuracy
    >>> SparseTopKCategoricalAccuracy(k=2)([2], [[0.5, 0.1, 0.4]])
    1.0
    """

    direction = "max"

    def __init__(
        self,
        k: int = 5,
        name: str | None = "sparse_top_k_categorical_accuracy",
        dtype: str | None = None,
        from_sorted_ids: bool = False,
    ) -> None:
        super().__init__(name, dtype)
        self.k = _checked_k(k)
        self.from_sorted_ids = bool(from_sorted_ids)

    def values(self, y_true: Value, y_pred: Value) -> Value:
        """Return the hits, as 0 and 1."""
        return sparse_top_k_categorical_accuracy(y_true, y_pred, self.k, self.from_sorted_ids)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments as plain data."""
        return {**super().get_config(), "k": self.k, "from_sorted_ids": self.from_sorted_ids}
