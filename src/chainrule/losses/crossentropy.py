"""Losses of predicted probabilities."""

from __future__ import annotations

from typing import Any

from chainrule import ops
from chainrule.graph import Value
from chainrule.losses import functions
from chainrule.losses.base import Loss
from chainrule.losses.shapes import check_known


class _Crossentropy(Loss):
    """The arguments that cross-entropies with smoothed targets share."""

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: str | None = None,
    ) -> None:
        super().__init__(reduction, name, dtype)
        self.from_logits = bool(from_logits)
        self.label_smoothing = functions.checked_smoothing(label_smoothing)
        self.axis = axis

    def get_config(self) -> dict[str, Any]:
        """Return the arguments as plain data."""
        return {
            **super().get_config(),
            "from_logits": self.from_logits,
            "label_smoothing": self.label_smoothing,
            "axis": self.axis,
        }


class BinaryCrossentropy(_Crossentropy):
    """``L = mean_n mean_d -(t ln p + (1 - t) ln(1 - p))`` of targets t and probabilities p.

    Shapes
    ------
    y_true, y_pred : [n, *s, d] or [n]

    Parameters
    ----------
    from_logits : bool, default False
        Whether predictions are logits, ``p = sigmoid(y_pred)``. From a layer with the activation
        sigmoid the logits are taken in any case.
    label_smoothing : float, default 0
        From 0 to 1; moves targets to 0.5 by this share.
    axis : int, default -1
        The axis that the inner mean is taken over.
    reduction, name, dtype
        As in `Loss`.

    Raises
    ------
    ArgumentError
        Where `label_smoothing` is not from 0 to 1.
    ShapeError
        When called, for shapes that differ by more than a trailing axis of 1.

    Examples
    --------
    >>> from chainrule.losses import BinaryCrossentropy
    >>> round(BinaryCrossentropy(from_logits=True)([1.0], [0.0]).item(), 4)
    0.6931
    """

    def call(self, y_true: Any, y_pred: Any) -> Value:
        """Return the loss of each sample."""
        return functions.binary_crossentropy(
            y_true, y_pred, self.from_logits, self.label_smoothing, self.axis
        )


class CategoricalCrossentropy(_Crossentropy):
    """``L = mean_n -sum_m y_true[n, m] * ln p[n, m]`` of one-hot targets and probabilities p.

    Shapes
    ------
    y_true, y_pred : [n, *s, m]

    Parameters
    ----------
    from_logits : bool, default False
        Whether predictions are logits, ``p = softmax(y_pred)``. From a layer with the activation
        softmax the logits are taken in any case.
    label_smoothing : float, default 0
        From 0 to 1; moves targets to ``1 / m`` by this share.
    axis : int, default -1
        The axis of the classes.
    reduction, name, dtype
        As in `Loss`.

    Raises
    ------
    ArgumentError
        Where `label_smoothing` is not from 0 to 1.
    ShapeError
        When called, for shapes that differ, or a single class.

    Examples
    --------
    >>> from chainrule.losses import CategoricalCrossentropy
    >>> round(CategoricalCrossentropy(from_logits=True)([[0.0, 1.0]], [[0.0, 0.0]]).item(), 4)
    0.6931
    """

    def call(self, y_true: Any, y_pred: Any) -> Value:
        """Return the loss of each sample."""
        return functions.categorical_crossentropy(
            y_true, y_pred, self.from_logits, self.label_smoothing, self.axis
        )


class SparseCategoricalCrossentropy(Loss):
    """``L = mean_n -ln p[n, y_true[n]]`` of class numbers and probabilities p.

    Shapes
    ------
    y_true : [n, *s] or [n, *s, 1]; y_pred : [n, *s, m]

    Parameters
    ----------
    from_logits : bool, default False
        Whether predictions are logits, ``p = softmax(y_pred)``. From a layer with the activation
        softmax the logits are taken in any case.
    ignore_class : int, optional
        A label that costs nothing and is left out of the mean, e.g. -1 or 255.
    reduction, name, dtype
        As in `Loss`.
    axis : int, default -1
        The axis of the classes in the predictions.

    Raises
    ------
    ShapeError
        When called, for shapes that do not fit, or a single class.
    DataError
        When called, for a class number out of range.

    Examples
    --------
    >>> from chainrule.losses import SparseCategoricalCrossentropy
    >>> round(SparseCategoricalCrossentropy(from_logits=True)([1], [[0.0, 0.0]]).item(), 4)
    0.6931
    """

    def __init__(
        self,
        from_logits: bool = False,
        ignore_class: int | None = None,
        reduction: str | None = "sum_over_batch_size",
        axis: int = -1,
        name: str | None = None,
        dtype: str | None = None,
    ) -> None:
        super().__init__(reduction, name, dtype)
        self.from_logits = bool(from_logits)
        self.ignore_class = ignore_class
        self.axis = axis

    def _check(self, y_true: Value, y_pred: Value) -> None:
        """Raise where a label that is known already is no class."""
        if y_true.constant is None or self.ignore_class is not None:
            return
        if -y_pred.ndim <= self.axis < y_pred.ndim:
            check_known("sparse_categorical_crossentropy", y_true, y_pred, self.axis)

    def call(self, y_true: Any, y_pred: Any) -> Value:
        """Return the loss of each sample."""
        return functions.sparse_categorical_crossentropy(
            y_true, y_pred, self.from_logits, self.ignore_class, self.axis
        )

    def _counted(self, y_true: Value, losses: Value) -> Value | None:
        if self.ignore_class is None:
            return None
        return ops.reshape(ops.not_equal(y_true, self.ignore_class), losses.shape)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments as plain data."""
        config = {**super().get_config(), "from_logits": self.from_logits, "axis": self.axis}
        return (
            config if self.ignore_class is None else {**config, "ignore_class": self.ignore_class}
        )
