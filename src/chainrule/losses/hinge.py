"""Losses of margins: what is right by a margin of 1 costs nothing."""

from __future__ import annotations

from typing import Any

from chainrule import ops
from chainrule.graph import Value
from chainrule.losses.base import Loss
from chainrule.losses.shapes import matched, mean_last


def hinge(y_true: Any, y_pred: Any) -> Value:
    """``loss[n] = mean_d max(0, 1 - t * y_pred[n, d])``, t = -1 or 1.

    Shapes
    ------
    y_true, y_pred : [n, *s, d] or [n]; returned : [n, *s]

    Raises
    ------
    ShapeError
        Where the shapes differ by more than a trailing axis of 1.

    Notes
    -----
    Targets that are all 0 or 1 count as -1 and 1, as in Keras.
    """
    y_true, y_pred = matched("hinge", y_true, y_pred)
    return mean_last(_shortfall(y_true, y_pred))


def squared_hinge(y_true: Any, y_pred: Any) -> Value:
    """``loss[n] = mean_d max(0, 1 - t * y_pred[n, d])^2``, t = -1 or 1.

    Shapes
    ------
    y_true, y_pred : [n, *s, d] or [n]; returned : [n, *s]

    Raises
    ------
    ShapeError
        Where the shapes differ by more than a trailing axis of 1.

    Notes
    -----
    Targets that are all 0 or 1 count as -1 and 1, as in Keras.
    """
    y_true, y_pred = matched("squared_hinge", y_true, y_pred)
    return mean_last(ops.square(_shortfall(y_true, y_pred)))


def categorical_hinge(y_true: Any, y_pred: Any) -> Value:
    """``loss[n] = max(0, 1 + max_m (1 - t) y_pred - sum_m t * y_pred)`` of one-hot targets t.

    Shapes
    ------
    y_true, y_pred : [n, *s, m]; returned : [n, *s]

    Raises
    ------
    ShapeError
        Where the shapes differ by more than a trailing axis of 1.
    """
    y_true, y_pred = matched("categorical_hinge", y_true, y_pred)
    right = ops.sum(ops.multiply(y_true, y_pred), axis=-1)
    wrong = ops.max(ops.multiply(ops.subtract(1.0, y_true), y_pred), axis=-1)
    return ops.relu(ops.add(ops.subtract(wrong, right), 1.0))


def _shortfall(t: Value, y: Value) -> Value:
    """Return by how much each product misses the margin."""
    binary = ops.all(ops.logical_or(ops.equal(t, 0.0), ops.equal(t, 1.0)))
    signs = ops.where(binary, ops.subtract(ops.multiply(t, 2.0), 1.0), t)
    return ops.relu(ops.subtract(1.0, ops.multiply(signs, y)))


class Hinge(Loss):
    """``L = mean_n mean_d max(0, 1 - t * y_pred[n, d])``, t = -1 or 1.

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
    >>> from chainrule.losses import Hinge
    >>> round(Hinge()([[0.0, 1.0]], [[0.5, 0.5]]).item(), 4)
    1.0
    """

    def call(self, y_true: Any, y_pred: Any) -> Value:
        """Return the loss of each sample."""
        return hinge(y_true, y_pred)


class SquaredHinge(Loss):
    """``L = mean_n mean_d max(0, 1 - t * y_pred[n, d])^2``, t = -1 or 1.

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
    >>> from chainrule.losses import SquaredHinge
    >>> round(SquaredHinge()([[0.0, 1.0]], [[0.5, 0.5]]).item(), 4)
    1.25
    """

    def call(self, y_true: Any, y_pred: Any) -> Value:
        """Return the loss of each sample."""
        return squared_hinge(y_true, y_pred)


class CategoricalHinge(Loss):
    """``L = mean_n max(0, 1 + max_m (1 - t) y_pred - sum_m t * y_pred)`` of one-hot targets t.

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
    >>> from chainrule.losses import CategoricalHinge
    >>> round(CategoricalHinge()([[0.0, 1.0]], [[0.5, 0.25]]).item(), 4)
    1.25
    """

    def call(self, y_true: Any, y_pred: Any) -> Value:
        """Return the loss of each sample."""
        return categorical_hinge(y_true, y_pred)
