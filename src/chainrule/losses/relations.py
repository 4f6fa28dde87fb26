"""Losses of counts, shares, directions and quantities, as classes."""

from __future__ import annotations

from typing import Any

from chainrule.graph import Value
from chainrule.losses.base import Loss
from chainrule.losses.relative import (
    cosine_similarity,
    kl_divergence,
    mean_absolute_percentage_error,
    mean_squared_logarithmic_error,
    poisson,
    quantile,
)
from chainrule.losses.shapes import inside


class MeanAbsolutePercentageError(Loss):
    """``L = 100 mean_n mean_d |y_true - y_pred| / max(|y_true|, 1e-7)``.

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
    >>> from chainrule.losses import MeanAbsolutePercentageError
    >>> round(MeanAbsolutePercentageError()([[2.0, 4.0]], [[1.0, 4.0]]).item(), 4)
    25.0
    """

    def call(self, y_true: Any, y_pred: Any) -> Value:
        """Return the loss of each sample."""
        return mean_absolute_percentage_error(y_true, y_pred)


class MeanSquaredLogarithmicError(Loss):
    """``L = mean_n mean_d (ln(1 + y_pred) - ln(1 + y_true))^2``.

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
    >>> from chainrule.losses import MeanSquaredLogarithmicError
    >>> round(MeanSquaredLogarithmicError()([[0.0]], [[1.0]]).item(), 4)
    0.4805
    """

    def call(self, y_true: Any, y_pred: Any) -> Value:
        """Return the loss of each sample."""
        return mean_squared_logarithmic_error(y_true, y_pred)


class Poisson(Loss):
    """``L = mean_n mean_d (y_pred - y_true * ln(y_pred + 1e-7))`` of counts and rates.

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
    >>> from chainrule.losses import Poisson
    >>> round(Poisson()([[2.0]], [[1.0]]).item(), 4)
    1.0
    """

    def call(self, y_true: Any, y_pred: Any) -> Value:
        """Return the loss of each sample."""
        return poisson(y_true, y_pred)


class KLDivergence(Loss):
    """``L = mean_n sum_m t ln(t / p)`` of target shares t and predicted shares p.

    Shapes
    ------
    y_true, y_pred : [n, *s, m]

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
    >>> from chainrule.losses import KLDivergence
    >>> round(KLDivergence()([[0.5, 0.5]], [[0.25, 0.75]]).item(), 4)
    0.1438
    """

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "kl_divergence",
        dtype: str | None = None,
    ) -> None:
        super().__init__(reduction, name, dtype)

    def call(self, y_true: Any, y_pred: Any) -> Value:
        """Return the loss of each sample."""
        return kl_divergence(y_true, y_pred)


class CosineSimilarity(Loss):
    """``L = mean_n -sum_d t y / (|t| |y|)``: -1 for one direction, 1 for opposite ones.

    Shapes
    ------
    y_true, y_pred : [n, *s, d] or [n]

    Parameters
    ----------
    axis : int, default -1
        The axis of the vectors.
    reduction, name, dtype
        As in `Loss`.

    Raises
    ------
    ShapeError
        When called, for shapes that differ by more than a trailing axis of 1.

    Examples
    --------
    >>> from chainrule.losses import CosineSimilarity
    >>> round(CosineSimilarity()([[0.0, 2.0]], [[0.0, 5.0]]).item(), 4)
    -1.0
    """

    def __init__(
        self,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "cosine_similarity",
        dtype: str | None = None,
    ) -> None:
        super().__init__(reduction, name, dtype)
        self.axis = axis

    def call(self, y_true: Any, y_pred: Any) -> Value:
        """Return the loss of each sample."""
        return cosine_similarity(y_true, y_pred, self.axis)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments as plain data."""
        return {**super().get_config(), "axis": self.axis}


class QuantileLoss(Loss):
    """``L = mean_n mean_d max(q * e, (q - 1) * e)``, ``e = y_true - y_pred``: the pinball loss.

    Shapes
    ------
    y_true, y_pred : [n, *s, d] or [n]

    Parameters
    ----------
    q : float, default 0.5
        Between 0 and 1: the share of targets that should lie below the prediction.
    reduction, name, dtype
        As in `Loss`.

    Raises
    ------
    ArgumentError
        For an argument out of range.
    ShapeError
        When called, for shapes that differ by more than a trailing axis of 1.

    Examples
    --------
    >>> from chainrule.losses import QuantileLoss
    >>> round(QuantileLoss(0.9)([[1.0]], [[0.0]]).item(), 4)
    0.9
    """

    def __init__(
        self,
        q: float = 0.5,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "quantile",
        dtype: str | None = None,
    ) -> None:
        super().__init__(reduction, name, dtype)
        self.q = inside("q", q)

    def call(self, y_true: Any, y_pred: Any) -> Value:
        """Return the loss of each sample."""
        return quantile(y_true, y_pred, self.q)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments as plain data."""
        return {**super().get_config(), "q": self.q}
