"""A loss of distances between samples."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule import ops
from chainrule.errors import ShapeError
from chainrule.graph import Value
from chainrule.losses.base import Loss
from chainrule.losses.shapes import above_zero, at_least_zero, floats, misfit


def circle(
    y_true: Any,
    y_pred: Any,
    remove_diagonal: bool = True,
    gamma: float = 80.0,
    margin: float = 0.4,
) -> Value:
    """``loss[n] = ln(1 + sum_i exp(g a_n (s_n - m)) * sum_j exp(-g a_p (s_p - 1 + m)))``.

    Shapes
    ------
    y_true : [n] or [n, 1]; y_pred : [n, d], of length 1; returned : [n]

    Raises
    ------
    ShapeError
        Where there is not one class number for each vector.

    Source
    ------
    Sun et al., arXiv 2002.10857, eq. 6, in distances ``1 - s``, as in Keras.
    """
    y_pred, y_true = floats(y_pred), ops.as_value(y_true)
    if y_pred.ndim != 2 or y_true.shape not in ((y_pred.shape[0],), (y_pred.shape[0], 1)):
        raise ShapeError(misfit("circle", y_true, y_pred, "give a class number for each vector"))
    classes = ops.reshape(y_true, (y_pred.shape[0], 1))
    same = ops.equal(classes, ops.transpose(classes))
    far = ops.relu(ops.subtract(1.0, ops.matmul(y_pred, ops.transpose(y_pred))))
    pull = ops.multiply(ops.add(far, margin), ops.subtract(far, margin))
    push = ops.multiply(ops.relu(ops.subtract(1.0 + margin, far)), ops.subtract(1.0 - margin, far))
    alike = ops.logical_and(same, ~np.eye(y_pred.shape[0], dtype=bool)) if remove_diagonal else same
    sums = [_log_sum(alike, pull, gamma), _log_sum(ops.logical_not(same), push, gamma)]
    return ops.softplus(ops.add(*sums))


def _log_sum(chosen: Value, x: Value, gamma: float) -> Value:
    """Return the log of the sum over those chosen; very low, with derivative 0, over none."""
    return ops.logsumexp(ops.where(chosen, ops.multiply(x, gamma), -1e30), axis=1)


class Circle(Loss):
    """``L = mean_n ln(1 + sum_i exp(g a_n (s_n - m)) * sum_j exp(-g a_p (s_p - 1 + m)))``.

    Shapes
    ------
    y_true : [n] or [n, 1]; y_pred : [n, d], of length 1

    Parameters
    ----------
    gamma : float, default 80.0
        Above 0: the scale.
    margin : float, default 0.4
        From 0 to 1: how far classes should stand apart.
    remove_diagonal : bool, default True
        Whether a vector is left out of its own class.
    reduction, name, dtype
        As in `Loss`.

    Raises
    ------
    ArgumentError
        For an argument out of range.
    ShapeError
        When called, where there is not one class number for each vector.

    Examples
    --------
    >>> from chainrule.losses import Circle
    >>> round(Circle()([0, 1], [[1.0, 0.0], [0.0, 1.0]]).item(), 4)
    0.0
    """

    def __init__(
        self,
        gamma: float = 80.0,
        margin: float = 0.4,
        remove_diagonal: bool = True,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "circle",
        dtype: str | None = None,
    ) -> None:
        super().__init__(reduction, name, dtype)
        self.gamma = above_zero("gamma", gamma)
        self.margin = at_least_zero("margin", margin)
        self.remove_diagonal = remove_diagonal

    def call(self, y_true: Any, y_pred: Any) -> Value:
        """Return the loss of each sample."""
        return circle(y_true, y_pred, self.remove_diagonal, self.gamma, self.margin)

    def _counted(self, y_true: Value, losses: Value) -> Value:
        return ops.greater(losses, 0.0)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments as plain data."""
        return {
            **super().get_config(),
            "gamma": self.gamma,
            "margin": self.margin,
            "remove_diagonal": self.remove_diagonal,
        }
