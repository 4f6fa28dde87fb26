"""Hits and misses at thresholds, precision and recall."""

from __future__ import annotations

from typing import Any

from chainrule.metrics.thresholds import Thresholded, checked_thresholds, one_or_many, ratio


class _Counted(Thresholded):
    """One of the four counts."""

    _which = 0

    def __init__(
        self, thresholds: Any = None, name: str | None = None, dtype: str | None = None
    ) -> None:
        self.thresholds = checked_thresholds(thresholds, 0.5)
        super().__init__(self.thresholds, name, dtype)

    def result(self) -> Any:
        """Return the sum of weights at each threshold."""
        return one_or_many(self.counts()[self._which][0])

    def get_config(self) -> dict[str, Any]:
        """Return the arguments as plain data."""
        return {**super().get_config(), "thresholds": self.thresholds}


class TruePositives(_Counted):
    """``sum_n weight[n] * (y_true[n] and y_pred[n] > threshold)``.

    Shapes
    ------
    y_true, y_pred : [n, *s]; sample_weight : [n] or [n, *t]

    Parameters
    ----------
    thresholds : float or sequence of float, optional
        From 0 to 1, 0.5 by default; with several the result is an array.
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
    >>> from chainrule.metrics import TruePositives
    >>> TruePositives()([1, 1, 1, 0], [0.9, 0.8, 0.1, 0.7])
    2.0
    """

    direction = "max"
    _which = 0


class FalsePositives(_Counted):
    """``sum_n weight[n] * (not y_true[n] and y_pred[n] > threshold)``.

    Shapes
    ------
    y_true, y_pred : [n, *s]; sample_weight : [n] or [n, *t]

    Parameters
    ----------
    thresholds : float or sequence of float, optional
        From 0 to 1, 0.5 by default; with several the result is an array.
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
    >>> from chainrule.metrics import FalsePositives
    >>> FalsePositives()([1, 1, 1, 0], [0.9, 0.8, 0.1, 0.7])
    1.0
    """

    direction = "min"
    _which = 1


class TrueNegatives(_Counted):
    """``sum_n weight[n] * (not y_true[n] and y_pred[n] <= threshold)``.

    Shapes
    ------
    y_true, y_pred : [n, *s]; sample_weight : [n] or [n, *t]

    Parameters
    ----------
    thresholds : float or sequence of float, optional
        From 0 to 1, 0.5 by default; with several the result is an array.
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
    >>> from chainrule.metrics import TrueNegatives
    >>> TrueNegatives()([1, 1, 1, 0], [0.9, 0.8, 0.1, 0.7])
    0.0
    """

    direction = "max"
    _which = 2


class FalseNegatives(_Counted):
    """``sum_n weight[n] * (y_true[n] and y_pred[n] <= threshold)``.

    Shapes
    ------
    y_true, y_pred : [n, *s]; sample_weight : [n] or [n, *t]

    Parameters
    ----------
    thresholds : float or sequence of float, optional
        From 0 to 1, 0.5 by default; with several the result is an array.
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
    >>> from chainrule.metrics import FalseNegatives
    >>> FalseNegatives()([1, 1, 1, 0], [0.9, 0.8, 0.1, 0.7])
    1.0
    """

    direction = "min"
    _which = 3


class _Share(Thresholded):
    """What precision and recall share."""

    direction = "max"

    def __init__(
        self,
        thresholds: Any = None,
        top_k: int | None = None,
        class_id: int | None = None,
        name: str | None = None,
        dtype: str | None = None,
    ) -> None:
        self.thresholds = checked_thresholds(thresholds, 0.5 if top_k is None else -1e10)
        self._asked = None if thresholds is None else self.thresholds
        super().__init__(self.thresholds, name, dtype, top_k=top_k, class_id=class_id)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments as plain data."""
        return {
            **super().get_config(),
            "thresholds": self._asked,
            "top_k": self.top_k,
            "class_id": self.class_id,
        }


class Precision(_Share):
    """``true positives / (true positives + false positives)``; 0 without any.

    Shapes
    ------
    y_true, y_pred : [n, *s]; sample_weight : [n] or [n, *t]

    Parameters
    ----------
    thresholds : float or sequence of float, optional
        From 0 to 1, 0.5 by default; with several the result is an array.
    top_k : int, optional
        From 1: only the k largest predictions of each sample count as positive.
    class_id : int, optional
        From 0: only this class counts; all by default.
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
    >>> from chainrule.metrics import Precision
    >>> round(Precision()([1, 1, 1, 0], [0.9, 0.8, 0.1, 0.7]), 4)
    0.6667
    """

    def result(self) -> Any:
        """Return the share at each threshold."""
        positives, false, _, _ = self.counts()
        return one_or_many(ratio(positives[0], positives[0] + false[0]))


class Recall(_Share):
    """``true positives / (true positives + false negatives)``; 0 without any.

    Shapes
    ------
    y_true, y_pred : [n, *s]; sample_weight : [n] or [n, *t]

    Parameters
    ----------
    thresholds : float or sequence of float, optional
        From 0 to 1, 0.5 by default; with several the result is an array.
    top_k : int, optional
        From 1: only the k largest predictions of each sample count as positive.
    class_id : int, optional
        From 0: only this class counts; all by default.
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
    >>> from chainrule.metrics import Recall
    >>> round(Recall()([1, 1, 1, 0], [0.9, 0.8, 0.1, 0.7]), 4)
    0.6667
    """

    def result(self) -> Any:
        """Return the share at each threshold."""
        positives, _, _, false = self.counts()
        return one_or_many(ratio(positives[0], positives[0] + false[0]))
