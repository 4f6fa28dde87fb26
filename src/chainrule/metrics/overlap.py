"""The overlap of regions: of pixels predicted and pixels that are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule import ops
from chainrule.errors import ArgumentError
from chainrule.graph import Value
from chainrule.losses.shapes import floats
from chainrule.metrics.base import Metric
from chainrule.metrics.matrix import ConfusionMatrix
from chainrule.metrics.thresholds import Floats, ratio


class IoU(ConfusionMatrix):
    """``mean_k TP_k / (TP_k + FP_k + FN_k)`` over the target classes that occur.

    Shapes
    ------
    y_true, y_pred : [n, *s], or [n, *s, m] where not numbers; sample_weight : [n] or [n, *t]

    Parameters
    ----------
    num_classes : int
        From 2.
    target_class_ids : sequence of int
        The classes whose overlap is averaged.
    ignore_class : int, optional
        A target that is left out, e.g. -1 or 255.
    sparse_y_true, sparse_y_pred : bool, default True
        Whether classes are given as numbers; otherwise the largest along `axis` counts.
    axis : int, default -1
        The axis of the classes where they are not numbers.
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
    >>> from chainrule.metrics import IoU
    >>> round(IoU(2, [0])([0, 0, 1, 1], [0, 1, 0, 1]), 4)
    0.3333
    """

    direction = "max"

    def __init__(
        self,
        num_classes: int,
        target_class_ids: Sequence[int],
        name: str | None = None,
        dtype: str | None = None,
        ignore_class: int | None = None,
        sparse_y_true: bool = True,
        sparse_y_pred: bool = True,
        axis: int = -1,
    ) -> None:
        super().__init__(num_classes, name, dtype, ignore_class, sparse_y_true, sparse_y_pred, axis)
        self.target_class_ids = [int(i) for i in target_class_ids]
        if not all(0 <= i < self.num_classes for i in self.target_class_ids):
            raise ArgumentError(
                f"target_class_ids is {self.target_class_ids}; expected classes from 0 to "
                f"{self.num_classes - 1}"
            )

    def result(self) -> float:
        """Return the mean overlap; 0 before any of the classes was seen."""
        matrix: Floats = np.asarray(self.matrix.value, np.float64)
        hits = np.diag(matrix)
        joint = (matrix.sum(axis=0) + matrix.sum(axis=1) - hits)[self.target_class_ids]
        shares = ratio(hits[self.target_class_ids], joint)
        return float(ratio(shares.sum(), np.count_nonzero(joint)))

    logged = Metric.logged  # a number, where a matrix is no entry of the history

    def get_config(self) -> dict[str, Any]:
        """Return the arguments as plain data."""
        config = {**super().get_config(), "target_class_ids": self.target_class_ids}
        return {k: v for k, v in config.items() if k not in self._fixed}

    _fixed: tuple[str, ...] = ()  # arguments that a subclass decides


class BinaryIoU(IoU):
    """``mean_k TP_k / (TP_k + FP_k + FN_k)`` of the classes 0 and 1 at a threshold.

    Shapes
    ------
    y_true, y_pred : [n, *s]; sample_weight : [n] or [n, *t]

    Parameters
    ----------
    target_class_ids : sequence of int, default (0, 1)
        The classes whose overlap is averaged.
    threshold : float, default 0.5
        A prediction from here on is class 1.
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
    >>> from chainrule.metrics import BinaryIoU
    >>> round(BinaryIoU()([0, 1, 0, 1], [0.1, 0.2, 0.4, 0.7]), 4)
    0.5833
    """

    _fixed: tuple[str, ...] = (
        "num_classes",
        "ignore_class",
        "sparse_y_true",
        "sparse_y_pred",
        "axis",
    )

    def __init__(
        self,
        target_class_ids: Sequence[int] = (0, 1),
        threshold: float = 0.5,
        name: str | None = None,
        dtype: str | None = None,
    ) -> None:
        super().__init__(2, target_class_ids, name, dtype)
        self.threshold = float(threshold)

    def update(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> list[Value]:
        """Return the new matrix."""
        chosen = ops.greater_equal(floats(y_pred), self.threshold)
        return super().update(y_true, chosen, sample_weight)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments as plain data."""
        return {**super().get_config(), "threshold": self.threshold}


class MeanIoU(IoU):
    """``mean_k TP_k / (TP_k + FP_k + FN_k)`` over all classes that occur.

    Shapes
    ------
    y_true, y_pred : [n, *s], or [n, *s, m] where not numbers; sample_weight : [n] or [n, *t]

    Parameters
    ----------
    num_classes : int
        From 2.
    ignore_class : int, optional
        A target that is left out, e.g. -1 or 255.
    sparse_y_true, sparse_y_pred : bool, default True
        Whether classes are given as numbers; otherwise the largest along `axis` counts.
    axis : int, default -1
        The axis of the classes where they are not numbers.
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
    >>> from chainrule.metrics import MeanIoU
    >>> round(MeanIoU(2)([0, 0, 1, 1], [0, 1, 0, 1]), 4)
    0.3333
    """

    _fixed: tuple[str, ...] = ("target_class_ids",)

    def __init__(
        self,
        num_classes: int,
        name: str | None = None,
        dtype: str | None = None,
        ignore_class: int | None = None,
        sparse_y_true: bool = True,
        sparse_y_pred: bool = True,
        axis: int = -1,
    ) -> None:
        super().__init__(
            num_classes,
            range(num_classes),
            name,
            dtype,
            ignore_class,
            sparse_y_true,
            sparse_y_pred,
            axis,
        )


class OneHotIoU(IoU):
    """``mean_k TP_k / (TP_k + FP_k + FN_k)`` of one-hot targets, over the target classes.

    Shapes
    ------
    y_true, y_pred : [n, *s], or [n, *s, m] where not numbers; sample_weight : [n] or [n, *t]

    Parameters
    ----------
    num_classes : int
        From 2.
    target_class_ids : sequence of int
        The classes whose overlap is averaged.
    ignore_class : int, optional
        A target that is left out, e.g. -1 or 255.
    sparse_y_pred : bool, default False
        Whether predictions are class numbers.
    axis : int, default -1
        The axis of the classes.
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
    >>> from chainrule.metrics import OneHotIoU
    >>> round(OneHotIoU(2, [1])([[0, 1], [1, 0]], [[0.1, 0.9], [0.3, 0.7]]), 4)
    0.5
    """

    _fixed: tuple[str, ...] = ("sparse_y_true",)

    def __init__(
        self,
        num_classes: int,
        target_class_ids: Sequence[int],
        name: str | None = None,
        dtype: str | None = None,
        ignore_class: int | None = None,
        sparse_y_pred: bool = False,
        axis: int = -1,
    ) -> None:
        super().__init__(
            num_classes, target_class_ids, name, dtype, ignore_class, False, sparse_y_pred, axis
        )


class OneHotMeanIoU(MeanIoU):
    """``mean_k TP_k / (TP_k + FP_k + FN_k)`` of one-hot targets, over all classes.

    Shapes
    ------
    y_true, y_pred : [n, *s], or [n, *s, m] where not numbers; sample_weight : [n] or [n, *t]

    Parameters
    ----------
    num_classes : int
        From 2.
    ignore_class : int, optional
        A target that is left out, e.g. -1 or 255.
    sparse_y_pred : bool, default False
        Whether predictions are class numbers.
    axis : int, default -1
        The axis of the classes.
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
    >>> from chainrule.metrics import OneHotMeanIoU
    >>> round(OneHotMeanIoU(2)([[0, 1], [1, 0]], [[0.1, 0.9], [0.3, 0.7]]), 4)
    0.25
    """

    _fixed: tuple[str, ...] = ("target_class_ids", "sparse_y_true")

    def __init__(
        self,
        num_classes: int,
        name: str | None = None,
        dtype: str | None = None,
        ignore_class: int | None = None,
        sparse_y_pred: bool = False,
        axis: int = -1,
    ) -> None:
        super().__init__(num_classes, name, dtype, ignore_class, False, sparse_y_pred, axis)
