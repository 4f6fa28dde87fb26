"""Whether predicted probabilities are the shares that come true."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule import ops
from chainrule.errors import ArgumentError, ShapeError
from chainrule.graph import Value
from chainrule.losses.shapes import floats, misfit, same_rank, spread_weight
from chainrule.metrics.base import Metric
from chainrule.metrics.thresholds import ratio


class CalibrationError(Metric):
    """``sum_b |B_b| / n * |accuracy(B_b) - confidence(B_b)|``: the expected calibration error.

    Shapes
    ------
    y_true : [n, *s] class numbers, or one-hot as y_pred; y_pred : [n, *s, m] probabilities, or of
    class 1 with y_true of its shape; sample_weight : [n] or [n, *t]

    Parameters
    ----------
    num_bins : int, default 15
        From 1: so many bins of equal width, each without its lower end.
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
    >>> from chainrule.metrics import CalibrationError
    >>> round(CalibrationError(10)([0, 1], [[0.8, 0.2], [0.8, 0.2]]), 4)
    0.3

    Source
    ------
    Guo et al., "On Calibration of Modern Neural Networks", arXiv 1706.04599, eq. 3.
    """

    direction = "min"

    def __init__(
        self, num_bins: int = 15, name: str | None = "calibration_error", dtype: str | None = None
    ) -> None:
        if int(num_bins) != num_bins or num_bins < 1:
            raise ArgumentError(f"num_bins is {num_bins!r}; expected a whole number from 1")
        super().__init__(name, dtype)
        self.num_bins = int(num_bins)
        for part in ("weight", "hits", "confidence"):
            self.add_variable((self.num_bins,), name=part)

    def update(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> list[Value]:
        """Return the new sums of weights, hits and confidences in each bin."""
        hit, confidence = self._judged(ops.as_value(y_true), floats(y_pred))
        given = ops.cast(1.0 if sample_weight is None else sample_weight, "float64")
        weight = ops.broadcast_to(spread_weight(given, confidence), confidence.shape)
        place = ops.floor(ops.negative(ops.multiply(confidence, float(self.num_bins))))
        place = ops.clip(ops.subtract(ops.negative(place), 1.0), 0.0, self.num_bins - 1.0)
        at = ops.reshape(ops.cast(place, "int64"), (place.size,))
        parts = [weight, ops.where(hit, weight, 0.0), ops.multiply(confidence, weight)]
        sums = [ops.scatter_add(at, ops.reshape(p, (p.size,)), self.num_bins) for p in parts]
        return [ops.add(v.leaf, s) for v, s in zip(self._state, sums, strict=True)]

    def _judged(self, y_true: Value, y_pred: Value) -> tuple[Value, Value]:
        """Return whether the likeliest class is right, and how likely it is said to be."""
        same, wide = same_rank(y_true, y_pred)
        if same.shape == wide.shape and (wide.ndim == 1 or wide.shape[-1] == 1):
            chosen = ops.greater(wide, 0.5)
            confidence = ops.maximum(wide, ops.subtract(1.0, wide))
            return ops.equal(ops.cast(same, "bool"), chosen), ops.cast(confidence, "float64")
        if y_true.shape == y_pred.shape:
            y_true = ops.argmax(y_true, axis=-1)
        elif y_true.shape == (*y_pred.shape[:-1], 1):
            y_true = ops.squeeze(y_true, -1)
        if y_true.shape != y_pred.shape[:-1] or not y_pred.shape:
            raise ShapeError(misfit(self.name, y_true, y_pred))
        confidence = ops.cast(ops.max(y_pred, axis=-1), "float64")
        return ops.equal(ops.cast(y_true, "int64"), ops.argmax(y_pred, axis=-1)), confidence

    def result(self) -> float:
        """Return the error; 0 before anything was seen."""
        weight, hits, confidence = (np.asarray(v.value, np.float64) for v in self._state)
        return float(ratio(np.abs(hits - confidence).sum(), weight.sum()))

    def get_config(self) -> dict[str, Any]:
        """Return the arguments as plain data."""
        return {**super().get_config(), "num_bins": self.num_bins}
