"""How far predicted numbers are from their targets."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import numpy.typing as npt

from chainrule import losses, ops
from chainrule.dtypes import Array
from chainrule.errors import ArgumentError, ShapeError, unknown_name
from chainrule.graph import Value
from chainrule.losses.shapes import matched, spread_weight
from chainrule.metrics.base import MeanOfValues, Metric

_AGGREGATIONS = ("uniform_average", "variance_weighted_average")


class MeanSquaredError(MeanOfValues):
    """``mean_n mean_d (y_pred[n, d] - y_true[n, d])^2``.

    Shapes
    ------
    y_true, y_pred : [n, *s, d] or [n]

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
    >>> from chainrule.metrics import MeanSquaredError
    >>> MeanSquaredError()([1.0, 2.0], [1.0, 4.0])
    2.0
    """

    direction = "min"

    def values(self, y_true: Value, y_pred: Value) -> Value:
        """Return the error of each sample."""
        return losses.mean_squared_error(y_true, y_pred)


class MeanAbsoluteError(MeanOfValues):
    """``mean_n mean_d |y_pred[n, d] - y_true[n, d]|``.

    Shapes
    ------
    y_true, y_pred : [n, *s, d] or [n]

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
    >>> from chainrule.metrics import MeanAbsoluteError
    >>> MeanAbsoluteError()([1.0, 2.0], [1.0, 4.0])
    1.0
    """

    direction = "min"

    def values(self, y_true: Value, y_pred: Value) -> Value:
        """Return the error of each sample."""
        return losses.mean_absolute_error(y_true, y_pred)


class RootMeanSquaredError(MeanSquaredError):
    """``sqrt(mean_n mean_d (y_pred[n, d] - y_true[n, d])^2)``: the root over all batches.

    Shapes
    ------
    y_true, y_pred : [n, *s, d] or [n]

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
    >>> from chainrule.metrics import RootMeanSquaredError
    >>> RootMeanSquaredError()([1.0, 1.0], [4.0, -2.0])
    3.0
    """

    def result(self) -> float:
        """Return the root of the mean."""
        return math.sqrt(super().result())


class R2Score(Metric):
    """``1 - sum_n (y_true - y_pred)^2 / sum_n (y_true - mean(y_true))^2``, for each output.

    1 is perfect, 0 as good as the mean of the targets, below 0 is worse.

    Shapes
    ------
    y_true, y_pred : [n, d] or [n]; sample_weight : [n] or [n, d]

    Parameters
    ----------
    class_aggregation : str or None, default "uniform_average"
        What becomes of the d scores: ``"uniform_average"`` their mean,
        ``"variance_weighted_average"`` their mean by the variance of each output, ``None`` an
        array of them.
    num_regressors : int, default 0
        Above 0: the adjusted score of a regression with so many inputs.
    name : str, default "r2_score"
        The key in the history.
    dtype : str, optional
        Accepted for Keras's sake.

    Raises
    ------
    ArgumentError
        For an unknown aggregation or a negative number of regressors.
    ShapeError
        When updated, for shapes that differ or have more than two axes.

    Examples
    --------
    >>> from chainrule.metrics import R2Score
    >>> round(R2Score()([1.0, 4.0, 3.0], [2.0, 4.0, 4.0]), 4)
    0.5714

    Source
    ------
    As in Keras; an output whose targets are all equal scores 0 unless it is predicted exactly,
    which scores 1 (Keras: NaN).
    """

    direction = "max"

    def __init__(
        self,
        class_aggregation: str | None = "uniform_average",
        num_regressors: int = 0,
        name: str | None = "r2_score",
        dtype: str | None = None,
    ) -> None:
        if class_aggregation is not None and class_aggregation not in _AGGREGATIONS:
            raise unknown_name("class_aggregation", class_aggregation, _AGGREGATIONS)
        if num_regressors < 0:
            raise ArgumentError(f"num_regressors is {num_regressors}; expected 0 or more")
        super().__init__(name, dtype)
        self.class_aggregation = class_aggregation
        self.num_regressors = num_regressors
        self.samples = self.add_variable((), name="samples")

    def update(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> list[Value]:
        """Return the new sums."""
        y_true, y_pred = (self._columns(ops.cast(y, "float64")) for y in (y_true, y_pred))
        y_true, y_pred = matched("r2_score", y_true, y_pred)
        self._build(y_true.shape[1])
        given = ops.cast(1.0 if sample_weight is None else sample_weight, "float64")
        weight = ops.broadcast_to(spread_weight(given, y_true), y_true.shape)
        weighted = ops.multiply(y_true, weight)
        residual = ops.multiply(ops.square(ops.subtract(y_true, y_pred)), weight)
        parts = [weight, weighted, ops.multiply(y_true, weighted), residual]
        samples = ops.add(self.samples.leaf, float(y_true.size))
        sums = [ops.sum(part, axis=0) for part in parts]
        return [samples, *map(ops.add, (v.leaf for v in self._state[1:]), sums)]

    def _columns(self, y: Value) -> Value:
        if y.ndim not in (1, 2):
            raise ShapeError(f"r2_score takes [n, d] or [n], not the shape {list(y.shape)}")
        return ops.expand_dims(y, -1) if y.ndim == 1 else y

    def _build(self, width: int) -> None:
        if len(self._state) == 1:
            for name in ("weight", "sum", "squared_sum", "residual"):
                self.add_variable((width,), name=name)
        elif self._state[1].shape != (width,):
            raise ShapeError(f"{self.name} was made for {self._state[1].size} outputs, not {width}")

    def result(self) -> Any:
        """Return the score, or the scores; 0 before anything was seen."""
        if len(self._state) == 1 or not self._state[1].value.any():
            return 0.0
        weight, total, squares, residual = (np.array(v.value, np.float64) for v in self._state[1:])
        spread = squares - total * (total / weight)
        # Equal targets leave rounding errors here, not zeros.
        spread[spread <= 4 * np.finfo(np.float64).eps * squares] = 0
        scores = self._adjusted(_scores(residual, spread))
        if self.class_aggregation is None:
            return scores
        if self.class_aggregation == "uniform_average" or not spread.any():
            return float(scores.mean())
        return float((spread * scores).sum() / spread.sum())

    def _adjusted(self, scores: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return the scores made smaller by what so many regressors gain by chance."""
        free = float(self.samples.value) - self.num_regressors - 1
        if not self.num_regressors:
            return scores
        if free <= 0:
            warnings.warn(
                f"{self.name}: {self.num_regressors} regressors need more samples than "
                f"{int(self.samples.value)}; the score is not adjusted",
                stacklevel=3,
            )
            return scores
        return 1.0 - (1.0 - scores) * (float(self.samples.value) - 1.0) / free

    def get_config(self) -> dict[str, Any]:
        """Return the arguments as plain data."""
        return {
            **super().get_config(),
            "class_aggregation": self.class_aggregation,
            "num_regressors": self.num_regressors,
        }


def _scores(residual: Array, spread: Array) -> npt.NDArray[np.float64]:
    """Return ``1 - residual / spread``; where there is no spread, 1 for no residual, else 0."""
    flat = np.asarray(spread, np.float64) == 0
    rest = np.asarray(residual, np.float64)
    scores: npt.NDArray[np.float64] = 1.0 - rest / np.where(flat, 1.0, spread)
    return np.where(flat, np.where(rest == 0, 1.0, 0.0), scores)
