"""Losses of predicted numbers."""

from __future__ import annotations

from typing import Any

from chainrule.graph import Value
from chainrule.losses import functions
from chainrule.losses.base import Loss


class MeanSquaredError(Loss):
    """``L = mean_n mean_d (y_pred[n, d] - y_true[n, d])^2``.

    Shapes
    ------
    y_true, y_pred : [n, *s, d] or [n]

    Parameters
    ----------
    reduction, name, dtype
        As in `Loss`.

    Raises
    ------
    ShapeError
        When called, for shapes that differ by more than a trailing axis of 1.

    Examples
    --------
    >>> from chainrule.losses import MeanSquaredError
    >>> MeanSquaredError()([1.0, 2.0], [1.0, 4.0]).item()
    2.0
    """

    def call(self, y_true: Any, y_pred: Any) -> Value:
        """Return the loss of each sample."""
        return functions.mean_squared_error(y_true, y_pred)


class MeanAbsoluteError(Loss):
    """``L = mean_n mean_d |y_pred[n, d] - y_true[n, d]|``.

    Shapes
    ------
    y_true, y_pred : [n, *s, d] or [n]

    Parameters
    ----------
    reduction, name, dtype
        As in `Loss`.

    Raises
    ------
    ShapeError
        When called, for shapes that differ by more than a trailing axis of 1.

    Examples
    --------
    >>> from chainrule.losses import MeanAbsoluteError
    >>> MeanAbsoluteError()([1.0, 2.0], [1.0, 4.0]).item()
    1.0
    """

    def call(self, y_true: Any, y_pred: Any) -> Value:
        """Return the loss of each sample."""
        return functions.mean_absolute_error(y_true, y_pred)


class Huber(Loss):
    """``L = mean (e^2 / 2 if |e| <= delta else delta * |e| - delta^2 / 2)``, e the error.

    Shapes
    ------
    y_true, y_pred : [n, *s, d] or [n]

    Parameters
    ----------
    delta : float, default 1.0
        Above 0, in the unit of the targets: errors beyond it count linearly, so that outliers
        pull less.
    reduction, name, dtype
        As in `Loss`.

    Raises
    ------
    ArgumentError
        Where `delta` is not above 0.
    ShapeError
        When called, for shapes that differ by more than a trailing axis of 1.

    Examples
    --------
    >>> from chainrule.losses import Huber
    >>> Huber(delta=1.0)([0.0, 0.0], [1.0, 3.0]).item()
    1.5
    """

    def __init__(
        self,
        delta: float = 1.0,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "huber_loss",
        dtype: str | None = None,
    ) -> None:
        super().__init__(reduction, name, dtype)
        self.delta = functions.checked_delta(delta)

    def call(self, y_true: Any, y_pred: Any) -> Value:
        """Return the loss of each sample."""
        return functions.huber(y_true, y_pred, self.delta)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments as plain data."""
        return {**super().get_config(), "delta": self.delta}


class LogCosh(Loss):
    """``L = mean_n mean_d ln cosh(y_pred[n, d] - y_true[n, d])``.

    Shapes
    ------
    y_true, y_pred : [n, *s, d] or [n]

    Parameters
    ----------
    reduction, name, dtype
        As in `Loss`.

    Raises
    ------
    ShapeError
        When called, for shapes that differ by more than a trailing axis of 1.

    Examples
    --------
    >>> from chainrule.losses import LogCosh
    >>> round(LogCosh()([0.0], [1.0]).item(), 4)
    0.4338
    """

    def call(self, y_true: Any, y_pred: Any) -> Value:
        """Return the loss of each sample."""
        return functions.log_cosh(y_true, y_pred)
