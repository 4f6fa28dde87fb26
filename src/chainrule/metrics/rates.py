"""The best of one rate where another is high enough."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.errors import ArgumentError
from chainrule.metrics.thresholds import Floats, Thresholded, checked_share, even_thresholds, ratio


class _At(Thresholded):
    """The largest of one rate among thresholds where another reaches a value."""

    direction = "max"
    _argument = ""

    def __init__(
        self,
        value: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: str | None = None,
    ) -> None:
        if num_thresholds < 1:
            raise ArgumentError(f"num_thresholds is {num_thresholds}; expected 1 or more")
        self.value = checked_share(self._argument, value)
        self.num_thresholds = int(num_thresholds)
        even = num_thresholds > 1
        self.thresholds = even_thresholds(num_thresholds) if even else [0.5]
        super().__init__(self.thresholds, name, dtype, even=even, class_id=class_id)

    def _rates(self) -> tuple[Floats, Floats]:
        raise NotImplementedError

    def result(self) -> float:
        """Return the largest rate; 0 where no threshold reaches the value."""
        reached, rate = self._rates()
        return float(np.max(np.where(reached >= self.value, rate, 0.0)))

    def get_config(self) -> dict[str, Any]:
        """Return the arguments as plain data."""
        return {
            **super().get_config(),
            self._argument: self.value,
            "num_thresholds": self.num_thresholds,
            "class_id": self.class_id,
        }


class SensitivityAtSpecificity(_At):
    """The largest sensitivity at thresholds that reach this specificity; 0 where none does.

    Shapes
    ------
    y_true, y_pred : [n, *s]; sample_weight : [n] or [n, *t]

    Parameters
    ----------
    specificity : float
        From 0 to 1.
    num_thresholds : int, default 200
        From 1: so many thresholds from 0 to 1 are looked at.
    class_id : int, optional
        From 0: only this class counts.
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
    >>> from chainrule.metrics import SensitivityAtSpecificity
    >>> round(SensitivityAtSpecificity(0.5)([0, 0, 0, 1, 1], [0.0, 0.3, 0.8, 0.3, 0.8]), 4)
    0.5
    """

    _argument = "specificity"

    def __init__(
        self,
        specificity: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: str | None = None,
    ) -> None:
        super().__init__(specificity, num_thresholds, class_id, name, dtype)

    def _rates(self) -> tuple[Floats, Floats]:
        hits, false, passed, missed = self.counts()
        return ratio(passed[0], passed[0] + false[0]), ratio(hits[0], hits[0] + missed[0])


class SpecificityAtSensitivity(_At):
    """The largest specificity at thresholds that reach this sensitivity; 0 where none does.

    Shapes
    ------
    y_true, y_pred : [n, *s]; sample_weight : [n] or [n, *t]

    Parameters
    ----------
    sensitivity : float
        From 0 to 1.
    num_thresholds : int, default 200
        From 1: so many thresholds from 0 to 1 are looked at.
    class_id : int, optional
        From 0: only this class counts.
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
    >>> from chainrule.metrics import SpecificityAtSensitivity
    >>> round(SpecificityAtSensitivity(0.5)([0, 0, 0, 1, 1], [0.0, 0.3, 0.8, 0.3, 0.8]), 4)
    0.6667
    """

    _argument = "sensitivity"

    def __init__(
        self,
        sensitivity: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: str | None = None,
    ) -> None:
        super().__init__(sensitivity, num_thresholds, class_id, name, dtype)

    def _rates(self) -> tuple[Floats, Floats]:
        hits, false, passed, missed = self.counts()
        return ratio(hits[0], hits[0] + missed[0]), ratio(passed[0], passed[0] + false[0])


class PrecisionAtRecall(_At):
    """The largest precision at thresholds that reach this recall; 0 where none does.

    Shapes
    ------
    y_true, y_pred : [n, *s]; sample_weight : [n] or [n, *t]

    Parameters
    ----------
    recall : float
        From 0 to 1.
    num_thresholds : int, default 200
        From 1: so many thresholds from 0 to 1 are looked at.
    class_id : int, optional
        From 0: only this class counts.
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
    >>> from chainrule.metrics import PrecisionAtRecall
    >>> round(PrecisionAtRecall(0.5)([0, 0, 0, 1, 1], [0.0, 0.3, 0.8, 0.3, 0.8]), 4)
    0.5
    """

    _argument = "recall"

    def __init__(
        self,
        recall: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: str | None = None,
    ) -> None:
        super().__init__(recall, num_thresholds, class_id, name, dtype)

    def _rates(self) -> tuple[Floats, Floats]:
        hits, false, _, missed = self.counts()
        return ratio(hits[0], hits[0] + missed[0]), ratio(hits[0], hits[0] + false[0])


class RecallAtPrecision(_At):
    """The largest recall at thresholds that reach this precision; 0 where none does.

    Shapes
    ------
    y_true, y_pred : [n, *s]; sample_weight : [n] or [n, *t]

    Parameters
    ----------
    precision : float
        From 0 to 1.
    num_thresholds : int, default 200
        From 1: so many thresholds from 0 to 1 are looked at.
    class_id : int, optional
        From 0: only this class counts.
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
    >>> from chainrule.metrics import RecallAtPrecision
    >>> round(RecallAtPrecision(0.5)([0, 0, 0, 1, 1], [0.0, 0.3, 0.8, 0.3, 0.8]), 4)
    1.0
    """

    _argument = "precision"

    def __init__(
        self,
        precision: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: str | None = None,
    ) -> None:
        super().__init__(precision, num_thresholds, class_id, name, dtype)

    def _rates(self) -> tuple[Floats, Floats]:
        hits, false, _, missed = self.counts()
        return ratio(hits[0], hits[0] + false[0]), ratio(hits[0], hits[0] + missed[0])
