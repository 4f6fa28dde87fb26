"""Means of losses, as metrics."""

from __future__ import annotations

from typing import Any

from chainrule import losses, ops
from chainrule.graph import Value
from chainrule.losses.shapes import spread_weight
from chainrule.metrics.base import MeanOfValues


class BinaryCrossentropy(MeanOfValues):
    """``mean_n mean_d -(t ln p + (1 - t) ln(1 - p))`` of targets t and probabilities p.

    Shapes
    ------
    y_true, y_pred : [n, *s, d] or [n]

    Parameters
    ----------
    from_logits : bool, default False
        Whether predictions are logits.
    label_smoothing : float, default 0.0
        From 0 to 1; moves targets to equal shares by this part.
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
    >>> from chainrule.metrics import BinaryCrossentropy
    >>> round(BinaryCrossentropy()([1.0], [0.5]), 4)
    0.6931
    """

    direction = "min"

    def __init__(
        self,
        name: str | None = "binary_crossentropy",
        dtype: str | None = None,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(name, dtype)
        self.from_logits = from_logits
        self.label_smoothing = label_smoothing

    def values(self, y_true: Value, y_pred: Value) -> Value:
        """Return the loss of each sample."""
        return losses.binary_crossentropy(
            y_true, y_pred, from_logits=self.from_logits, label_smoothing=self.label_smoothing
        )

    def get_config(self) -> dict[str, Any]:
        """Return the arguments as plain data."""
        return {
            **super().get_config(),
            "from_logits": self.from_logits,
            "label_smoothing": self.label_smoothing,
        }


class CategoricalCrossentropy(MeanOfValues):
    """``mean_n -sum_m t ln p`` of one-hot targets t and probabilities p.

    Shapes
    ------
    y_true, y_pred : [n, *s, d] or [n]

    Parameters
    ----------
    from_logits : bool, default False
        Whether predictions are logits.
    label_smoothing : float, default 0.0
        From 0 to 1; moves targets to equal shares by this part.
    axis : int, default -1
        The axis of the classes.
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
    >>> from chainrule.metrics import CategoricalCrossentropy
    >>> round(CategoricalCrossentropy()([[0.0, 1.0]], [[0.5, 0.5]]), 4)
    0.6931
    """

    direction = "min"

    def __init__(
        self,
        name: str | None = "categorical_crossentropy",
        dtype: str | None = None,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
    ) -> None:
        super().__init__(name, dtype)
        self.from_logits = from_logits
        self.label_smoothing = label_smoothing
        self.axis = axis

    def values(self, y_true: Value, y_pred: Value) -> Value:
        """Return the loss of each sample."""
        return losses.categorical_crossentropy(
            y_true,
            y_pred,
            from_logits=self.from_logits,
            label_smoothing=self.label_smoothing,
            axis=self.axis,
        )

    def get_config(self) -> dict[str, Any]:
        """Return the arguments as plain data."""
        return {
            **super().get_config(),
            "from_logits": self.from_logits,
            "label_smoothing": self.label_smoothing,
            "axis": self.axis,
        }


class SparseCategoricalCrossentropy(MeanOfValues):
    """``mean_n -ln p[n, y_true[n]]`` of class numbers and probabilities p.

    Shapes
    ------
    y_true : [n, *s] or [n, *s, 1]; y_pred : [n, *s, m]

    Parameters
    ----------
    from_logits : bool, default False
        Whether predictions are logits.
    ignore_class : int | None, default None
        A label that is left out of the mean (Keras counts it as a loss of 0).
    axis : int, default -1
        The axis of the classes.
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
    >>> from chainrule.metrics import SparseCategoricalCrossentropy
    >>> round(SparseCategoricalCrossentropy()([1], [[0.5, 0.5]]), 4)
    0.6931
    """

    direction = "min"

    def __init__(
        self,
        name: str | None = "sparse_categorical_crossentropy",
        dtype: str | None = None,
        from_logits: bool = False,
        ignore_class: int | None = None,
        axis: int = -1,
    ) -> None:
        super().__init__(name, dtype)
        self.from_logits = from_logits
        self.ignore_class = ignore_class
        self.axis = axis

    def values(self, y_true: Value, y_pred: Value) -> Value:
        """Return the loss of each sample."""
        return losses.sparse_categorical_crossentropy(
            y_true,
            y_pred,
            from_logits=self.from_logits,
            ignore_class=self.ignore_class,
            axis=self.axis,
        )

    def get_config(self) -> dict[str, Any]:
        """Return the arguments as plain data."""
        return {
            **super().get_config(),
            "from_logits": self.from_logits,
            "ignore_class": self.ignore_class,
            "axis": self.axis,
        }

    def update(  # type: ignore[override]
        self, y_true: Any, y_pred: Any, sample_weight: Any = None
    ) -> list[Value]:
        """Return the new total and count, both without what is ignored."""
        if self.ignore_class is None:
            return super().update(y_true, y_pred, sample_weight)
        y_true, y_pred = ops.as_value(y_true), ops.as_value(y_pred)
        axis = self.axis % y_pred.ndim
        shape = (*y_pred.shape[:axis], *y_pred.shape[axis + 1 :])
        kept = ops.reshape(ops.cast(ops.not_equal(y_true, self.ignore_class), "float64"), shape)
        if sample_weight is not None:
            weight = spread_weight(ops.cast(sample_weight, "float64"), kept)
            kept = ops.multiply(kept, weight)
        return super().update(y_true, y_pred, kept)
