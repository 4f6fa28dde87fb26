"""Which classes are taken for which."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule import ops
from chainrule.errors import ArgumentError, ShapeError
from chainrule.graph import Value
from chainrule.losses.shapes import misfit, same_rank, spread_weight
from chainrule.metrics.base import Metric


class ConfusionMatrix(Metric):
    """``matrix[i, j] = sum_n weight[n] * (true class is i and predicted class is j)``.

    Shapes
    ------
    y_true, y_pred : [n, *s], or [n, *s, m] where not numbers; sample_weight : [n] or [n, *t]

    Parameters
    ----------
    num_classes : int
        From 2.
    ignore_class : int, optional
        A target that is left out, e.g. -1 or 255.
    sparse_y_true, sparse_y_pred : bool, default True and False
        Whether classes are given as numbers; otherwise the largest along `axis` counts.
    axis : int, default -1
        The axis of the classes where they are not numbers.
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
    >>> from chainrule.metrics import ConfusionMatrix
    >>> ConfusionMatrix(2)([0, 1, 1], [[0.9, 0.1], [0.2, 0.8], [0.7, 0.3]]).tolist()
    [[1.0, 0.0], [1.0, 1.0]]

    Notes
    -----
    A matrix is no entry of the history: ask for `result` after `evaluate` or `fit`.
    """

    def __init__(
        self,
        num_classes: int,
        name: str | None = None,
        dtype: str | None = None,
        ignore_class: int | None = None,
        sparse_y_true: bool = True,
        sparse_y_pred: bool = False,
        axis: int = -1,
    ) -> None:
        if int(num_classes) != num_classes or num_classes < 2:
            raise ArgumentError(f"num_classes is {num_classes!r}; expected 2 or more")
        super().__init__(name, dtype)
        self.num_classes, self.ignore_class, self.axis = int(num_classes), ignore_class, axis
        self.sparse_y_true, self.sparse_y_pred = bool(sparse_y_true), bool(sparse_y_pred)
        self.matrix = self.add_variable((self.num_classes, self.num_classes), name="matrix")

    def update(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> list[Value]:
        """Return the new matrix; pairs with a number that is no class are left out."""
        y_true, y_pred = ops.as_value(y_true), ops.as_value(y_pred)
        y_true = y_true if self.sparse_y_true else ops.argmax(y_true, axis=self.axis)
        y_pred = y_pred if self.sparse_y_pred else ops.argmax(y_pred, axis=self.axis)
        t, p = same_rank(ops.cast(y_true, "int64"), ops.cast(y_pred, "int64"))
        if t.shape != p.shape:
            raise ShapeError(misfit(self.name, t, p))
        given = ops.cast(1.0 if sample_weight is None else sample_weight, "float64")
        weight = ops.broadcast_to(spread_weight(given, p) if p.ndim else given, p.shape)
        kept = ops.logical_and(self._is_class(t), self._is_class(p))
        if self.ignore_class is not None:
            kept = ops.logical_and(kept, ops.not_equal(t, self.ignore_class))
        cell = ops.add(ops.multiply(t, self.num_classes), p)
        cell = ops.where(kept, cell, self.num_classes**2)
        flat = [ops.reshape(v, (v.size,)) for v in (cell, weight)]
        sums = ops.scatter_add(flat[0], flat[1], self.num_classes**2)
        return [ops.add(self.matrix.leaf, ops.reshape(sums, self.matrix.shape))]

    def _is_class(self, y: Value) -> Value:
        return ops.logical_and(ops.greater_equal(y, 0), ops.less(y, self.num_classes))

    def result(self) -> Any:
        """Return the matrix."""
        return np.array(self.matrix.value, np.float64)

    def logged(self, name: str) -> dict[str, float]:
        """Return nothing: a matrix is no entry of the history."""
        return {}

    def get_config(self) -> dict[str, Any]:
        """Return the arguments as plain data."""
        return {
            **super().get_config(),
            "num_classes": self.num_classes,
            "ignore_class": self.ignore_class,
            "sparse_y_true": self.sparse_y_true,
            "sparse_y_pred": self.sparse_y_pred,
            "axis": self.axis,
        }
