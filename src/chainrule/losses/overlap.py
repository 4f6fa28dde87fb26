"""Losses of overlap: for regions, where most of an image is background."""

from __future__ import annotations

from typing import Any

from chainrule import ops
from chainrule.graph import Value
from chainrule.losses.base import Loss
from chainrule.losses.shapes import EPSILON, at_least_zero, matched


def dice(y_true: Any, y_pred: Any, axis: Any = None) -> Value:
    """``loss = 1 - 2 sum(t p) / (sum(t) + sum(p))``, the sums over `axis`, by default over all.

    Shapes
    ------
    y_true, y_pred : [n, *s]; returned : [] or what is left of the axes

    Raises
    ------
    ShapeError
        Where the shapes differ by more than a trailing axis of 1.
    """
    y_true, y_pred = matched("dice", y_true, y_pred)
    both = ops.sum(ops.multiply(y_true, y_pred), axis=axis)
    sizes = ops.add(ops.sum(y_true, axis=axis), ops.sum(y_pred, axis=axis))
    return _remainder(ops.multiply(both, 2.0), sizes)


def tversky(
    y_true: Any, y_pred: Any, alpha: float = 0.5, beta: float = 0.5, axis: Any = None
) -> Value:
    """``loss = 1 - sum(t p) / (sum(t p) + alpha sum(t (1 - p)) + beta sum((1 - t) p))``.

    Shapes
    ------
    y_true, y_pred : [n, *s]; returned : [] or what is left of the axes

    Raises
    ------
    ShapeError
        Where the shapes differ by more than a trailing axis of 1.

    Source
    ------
    Salehi et al., arXiv 1706.05721, eq. 4; `alpha` weighs what is missed, as in Keras.
    """
    y_true, y_pred = matched("tversky", y_true, y_pred)
    both = ops.multiply(y_true, y_pred)
    missed = ops.sum(ops.subtract(y_true, both), axis=axis)
    extra = ops.sum(ops.subtract(y_pred, both), axis=axis)
    both = ops.sum(both, axis=axis)
    whole = ops.add(ops.add(both, ops.multiply(missed, alpha)), ops.multiply(extra, beta))
    return _remainder(both, whole)


def _remainder(part: Value, whole: Value) -> Value:
    return ops.subtract(1.0, ops.divide(part, ops.add(whole, EPSILON)))


class Dice(Loss):
    """``L = 1 - 2 sum(t p) / (sum(t) + sum(p))`` of targets t and probabilities p.

    Shapes
    ------
    y_true, y_pred : [n, *s]

    Parameters
    ----------
    axis : Any, default None
        An axis or several that the sums go over; all by default, for one loss a batch.
    reduction, name, dtype
        As in `Loss`.

    Raises
    ------
    ShapeError
        When called, for shapes that differ by more than a trailing axis of 1.

    Examples
    --------
    >>> from chainrule.losses import Dice
    >>> round(Dice()([[0.0, 1.0]], [[0.5, 0.5]]).item(), 4)
    0.5
    """

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "dice",
        axis: Any = None,
        dtype: str | None = None,
    ) -> None:
        super().__init__(reduction, name, dtype)
        self.axis = axis

    def call(self, y_true: Any, y_pred: Any) -> Value:
        """Return the loss of each sample."""
        return dice(y_true, y_pred, self.axis)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments as plain data."""
        return {**super().get_config(), "axis": self.axis}


class Tversky(Loss):
    """``L = 1 - sum(t p) / (sum(t p) + alpha sum(t (1 - p)) + beta sum((1 - t) p))``.

    Shapes
    ------
    y_true, y_pred : [n, *s]

    Parameters
    ----------
    alpha : float, default 0.5
        From 0: the weight of what is missed.
    beta : float, default 0.5
        From 0: the weight of what is too much.
    axis : Any, default None
        An axis or several that the sums go over; all by default, for one loss a batch.
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
    >>> from chainrule.losses import Tversky
    >>> round(Tversky()([[0.0, 1.0]], [[0.5, 0.5]]).item(), 4)
    0.5
    """

    def __init__(
        self,
        alpha: float = 0.5,
        beta: float = 0.5,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "tversky",
        axis: Any = None,
        dtype: str | None = None,
    ) -> None:
        super().__init__(reduction, name, dtype)
        self.alpha = at_least_zero("alpha", alpha)
        self.beta = at_least_zero("beta", beta)
        self.axis = axis

    def call(self, y_true: Any, y_pred: Any) -> Value:
        """Return the loss of each sample."""
        return tversky(y_true, y_pred, self.alpha, self.beta, self.axis)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments as plain data."""
        return {**super().get_config(), "alpha": self.alpha, "beta": self.beta, "axis": self.axis}
