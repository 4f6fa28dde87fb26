"""The area under curves of rates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule import ops
from chainrule.errors import ArgumentError, ShapeError, unknown_name
from chainrule.graph import Value
from chainrule.metrics.thresholds import Floats, Thresholded, even_thresholds, ratio

_CURVES = ("ROC", "PR", "PRGAIN")
_SUMS: dict[str, Any] = {"interpolation": np.mean, "minoring": np.min, "majoring": np.max}


class AUC(Thresholded):
    """The area under the curve of rates at thresholds; 0.5 (ROC) is chance, 1 is perfect.

    Shapes
    ------
    y_true, y_pred : [n, *s], with `multi_label` [n, d]; sample_weight : [n] or [n, *t]

    Parameters
    ----------
    num_thresholds : int, default 200
        From 2: so many thresholds, which include one below 0 and one above 1.
    curve : {"ROC", "PR", "PRGAIN"}, default "ROC"
        Recall over the share of false positives, precision over recall, or their gains.
    summation_method : {"interpolation", "minoring", "majoring"}, default "interpolation"
        Between thresholds: the mean of both heights (for ``"PR"`` the precision interpolated), the
        lower, or the higher.
    thresholds : sequence of float, optional
        From 0 to 1, in place of `num_thresholds`.
    multi_label : bool, default False
        Whether the area is taken for each label and averaged.
    num_labels : int, optional
        With `multi_label`, the number of labels; otherwise known from the first batch.
    label_weights : sequence of float, optional
        From 0, one a label.
    from_logits : bool, default False
        Whether predictions are logits.
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
    >>> from chainrule.metrics import AUC
    >>> AUC(num_thresholds=3)([0, 0, 1, 1], [0.0, 0.5, 0.3, 0.9])
    0.75

    Source
    ------
    As in Keras: Davis and Goadrich, "The Relationship Between Precision-Recall and ROC Curves",
    2006, for the interpolation of precision; Flach and Kull, 2015, for the gains.
    """

    direction = "max"

    def __init__(
        self,
        num_thresholds: int = 200,
        curve: str = "ROC",
        summation_method: str = "interpolation",
        name: str | None = "auc",
        dtype: str | None = None,
        thresholds: Sequence[float] | None = None,
        multi_label: bool = False,
        num_labels: int | None = None,
        label_weights: Sequence[float] | None = None,
        from_logits: bool = False,
    ) -> None:
        self.curve = _known("curve", str(curve).upper(), _CURVES)
        self.summation_method = _known("summation_method", str(summation_method).lower(), _SUMS)
        if num_labels is not None and not multi_label:
            raise ArgumentError("num_labels is for multi_label=True only")
        self.multi_label, self.num_labels = bool(multi_label), num_labels
        self.from_logits = bool(from_logits)
        self.label_weights = _checked_weights(label_weights)
        self._given = None if thresholds is None else sorted(float(t) for t in thresholds)
        self.thresholds = _limits(num_thresholds, self._given)
        self.num_thresholds = len(self.thresholds)
        super().__init__(self.thresholds, name, dtype, even=thresholds is None)
        if num_labels:
            self._build(num_labels)

    def update(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> list[Value]:
        """Return the new weights of positives and negatives in each bin."""
        y_pred = ops.sigmoid(y_pred) if self.from_logits else y_pred
        return super().update(y_true, y_pred, sample_weight)

    def _labels_in(self, y_pred: Value) -> int:
        if not self.multi_label:
            return 1
        if y_pred.ndim != 2:
            raise ShapeError(f"{self.name}: multi_label takes [n, d], not {list(y_pred.shape)}")
        return y_pred.shape[1]

    def _weighed(self, weight: Value) -> Value:
        if self.multi_label or self.label_weights is None:
            return weight
        return ops.multiply(weight, np.asarray(self.label_weights, np.float64))

    def result(self) -> float:
        """Return the area; 0 before anything was seen."""
        if self.curve == "PR" and self.summation_method == "interpolation":
            areas = _interpolated_precision(*self.counts())
        else:
            x, y = self._curve(*self.counts())
            heights = _SUMS[self.summation_method](np.stack([y[:, :-1], y[:, 1:]]), axis=0)
            areas = ((x[:, :-1] - x[:, 1:]) * heights).sum(axis=1)
        if not self.multi_label or self.label_weights is None:
            return float(areas.mean())
        weights = np.asarray(self.label_weights)
        return float(ratio((areas * weights).sum(), weights.sum()))

    def _curve(self, hits: Floats, false: Floats, passed: Floats, missed: Floats) -> Any:
        recall = ratio(hits, hits + missed)
        if self.curve == "ROC":
            return ratio(false, false + passed), recall
        if self.curve == "PR":
            return recall, ratio(hits, hits + false)
        odds = ratio(hits + missed, passed + false)
        recall_gain = np.where(hits == 0, 0.0, 1.0 - odds * ratio(missed, hits))
        precision_gain = np.where(hits == 0, 1.0, 1.0 - odds * ratio(false, hits))
        return np.maximum(recall_gain, 0.0), precision_gain

    def get_config(self) -> dict[str, Any]:
        """Return the arguments as plain data."""
        config = {
            **super().get_config(),
            "num_thresholds": self.num_thresholds,
            "curve": self.curve,
            "summation_method": self.summation_method,
            "multi_label": self.multi_label,
            "num_labels": self.num_labels,
            "label_weights": self.label_weights,
            "from_logits": self.from_logits,
        }
        return config if self._given is None else {**config, "thresholds": self._given}


def _interpolated_precision(hits: Floats, false: Floats, passed: Floats, missed: Floats) -> Floats:
    """Return the areas under precision over recall, both straight in the counts between bins."""
    chosen = hits + false
    gained = hits[:, :-1] - hits[:, 1:]
    slope = ratio(gained, np.maximum(chosen[:, :-1] - chosen[:, 1:], 0.0))
    start = hits[:, 1:] - slope * chosen[:, 1:]
    both = (chosen[:, :-1] > 0) & (chosen[:, 1:] > 0)
    growth = np.where(both, ratio(chosen[:, :-1], chosen[:, 1:]), 1.0)
    steps = slope * (gained + start * np.log(np.where(growth > 0, growth, 1.0)))
    areas: Floats = ratio(steps, (hits + missed)[:, 1:]).sum(axis=1)
    return areas


def _limits(count: int, given: Sequence[float] | None) -> list[float]:
    if given is None:
        if count < 2:
            raise ArgumentError(f"num_thresholds is {count}; expected 2 or more")
        given = even_thresholds(count)[1:-1]
    if not all(0.0 <= t <= 1.0 for t in given):
        raise ArgumentError(f"thresholds is {given!r}; expected numbers from 0 to 1")
    return [-1e-7, *given, 1.0 + 1e-7]


def _known(name: str, value: str, values: Any) -> str:
    if value not in values:
        raise unknown_name(name, value, list(values))
    return value


def _checked_weights(weights: Sequence[float] | None) -> list[float] | None:
    if weights is None:
        return None
    given = [float(w) for w in weights]
    if not all(0.0 <= w < np.inf for w in given):
        raise ArgumentError(f"label_weights is {weights!r}; expected numbers from 0")
    return given
