"""Precision and recall as one number."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from chainrule import ops
from chainrule.errors import ArgumentError, ShapeError, unknown_name
from chainrule.graph import Value
from chainrule.losses.shapes import matched, spread_weight
from chainrule.metrics.base import Metric
from chainrule.metrics.thresholds import ratio

_AVERAGES = ("micro", "macro", "weighted")


class FBetaScore(Metric):
    """``(1 + b^2) precision * recall / (b^2 precision + recall)`` of each class; 0 without any.

    Shapes
    ------
    y_true, y_pred : [n, d]; sample_weight : [n]

    Parameters
    ----------
    average : {None, "micro", "macro", "weighted"}, default None
        What becomes of the scores of d classes: an array, the score of all counts together, the
        mean, or the mean by the number of positives.
    beta : float, default 1.0
        Above 0: recall counts so many times as much as precision.
    threshold : float, optional
        Above 0 and up to 1: larger predictions are positive; by default the largest of each sample.
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
    >>> from chainrule.metrics import FBetaScore
    >>> round(FBetaScore(average="macro", beta=2.0)([[1, 0], [1, 0]], [[0.9, 0.1], [0.2, 0.8]]), 4)
    0.2778
    """

    direction = "max"

    def __init__(
        self,
        average: str | None = None,
        beta: float = 1.0,
        threshold: float | None = None,
        name: str | None = "fbeta_score",
        dtype: str | None = None,
    ) -> None:
        if average is not None and average not in _AVERAGES:
            raise unknown_name("average", average, _AVERAGES)
        if not 0.0 < beta < math.inf:
            raise ArgumentError(f"beta is {beta!r}; expected a number above 0")
        if threshold is not None and not 0.0 < threshold <= 1.0:
            raise ArgumentError(f"threshold is {threshold!r}; expected above 0 and up to 1")
        super().__init__(name, dtype)
        self.average, self.beta, self.threshold = average, float(beta), threshold

    def update(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> list[Value]:
        """Return the new weights of hits, false positives and misses, by class."""
        y_true, y_pred = matched(self.name, y_true, y_pred)
        if y_pred.ndim != 2:
            raise ShapeError(f"{self.name} takes [n, d], not the shape {list(y_pred.shape)}")
        self._build(y_pred.shape[1])
        given = ops.cast(1.0 if sample_weight is None else sample_weight, "float64")
        weight = ops.broadcast_to(spread_weight(given, y_pred), y_pred.shape)
        true = ops.multiply(ops.cast(y_true, "float64"), weight)
        false = ops.subtract(weight, true)
        chosen = self._positive(y_pred)
        parts = [(chosen, true), (chosen, false), (ops.logical_not(chosen), true)]
        sums = [ops.sum(ops.where(c, part, 0.0), axis=0) for c, part in parts]
        return [ops.add(v.leaf, s) for v, s in zip(self._state, sums, strict=True)]

    def _positive(self, y_pred: Value) -> Value:
        if self.threshold is not None:
            return ops.greater(y_pred, self.threshold)
        best = ops.equal(y_pred, ops.max(y_pred, axis=-1, keepdims=True))
        return ops.logical_and(best, ops.greater(ops.abs(y_pred), 1e-9))

    def _build(self, width: int) -> None:
        if not self._state:
            for name in ("true_positives", "false_positives", "false_negatives"):
                self.add_variable((width,), name=name)
        elif self._state[0].shape != (width,):
            raise ShapeError(f"{self.name} was made for {self._state[0].size} classes, not {width}")

    def result(self) -> Any:
        """Return the score, or the scores; 0 before anything was seen."""
        if not self._state:
            return 0.0
        hits, false, missed = (np.asarray(v.value, np.float64) for v in self._state)
        square = self.beta**2
        if self.average == "micro":
            hits, false, missed = hits.sum(), false.sum(), missed.sum()
        scores = ratio((1 + square) * hits, (1 + square) * hits + square * missed + false)
        if self.average is None:
            return scores
        if self.average == "weighted":
            return float(ratio((scores * (hits + missed)).sum(), (hits + missed).sum()))
        return float(scores.mean())

    def get_config(self) -> dict[str, Any]:
        """Return the arguments as plain data."""
        return {
            **super().get_config(),
            "average": self.average,
            "beta": self.beta,
            "threshold": self.threshold,
        }


class F1Score(FBetaScore):
    """``2 precision * recall / (precision + recall)`` of each class; 0 without any.

    Shapes
    ------
    y_true, y_pred : [n, d]; sample_weight : [n]

    Parameters
    ----------
    average : {None, "micro", "macro", "weighted"}, default None
        What becomes of the scores of d classes: an array, the score of all counts together, the
        mean, or the mean by the number of positives.
    threshold : float, optional
        Above 0 and up to 1: larger predictions are positive; by default the largest of each sample.
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
    >>> from chainrule.metrics import F1Score
    >>> F1Score()([[1, 0], [1, 0]], [[0.9, 0.1], [0.2, 0.8]]).round(4).tolist()
    [0.6667, 0.0]
    """

    def __init__(
        self,
        average: str | None = None,
        threshold: float | None = None,
        name: str | None = "f1_score",
        dtype: str | None = None,
    ) -> None:
        super().__init__(average, 1.0, threshold, name, dtype)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments as plain data."""
        config = super().get_config()
        del config["beta"]
        return config
