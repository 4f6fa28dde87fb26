"""Counts of hits and misses at thresholds, from which precision, recall and areas are made."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from chainrule import ops
from chainrule.errors import ArgumentError, ShapeError
from chainrule.graph import Value, room
from chainrule.losses.shapes import matched, spread_weight
from chainrule.metrics.base import Metric

Floats = npt.NDArray[np.float64]


class Thresholded(Metric):
    """Gathers the weights of positives and negatives by the number of thresholds below each.

    One pass over a batch adds each prediction to one bin, however many thresholds there are; the
    counts at each threshold are sums over bins, taken when the result is asked for.
    """

    def __init__(
        self,
        thresholds: Sequence[float],
        name: str | None = None,
        dtype: str | None = None,
        even: bool = False,
        top_k: int | None = None,
        class_id: int | None = None,
    ) -> None:
        super().__init__(name, dtype)
        self._order = np.argsort(np.asarray(thresholds, np.float64), kind="stable")
        self._sorted = np.asarray(thresholds, np.float64)[self._order]
        self._even = even
        self.top_k = _checked_whole("top_k", top_k, 1)
        self.class_id = _checked_whole("class_id", class_id, 0)
        self._labels = 0

    def update(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> list[Value]:
        """Return the new weights of positives and negatives in each bin."""
        y_true, y_pred = matched(self.name, y_true, y_pred)
        y_true, y_pred = self._chosen(y_true, y_pred)
        self._build(self._labels_in(y_pred))
        given = ops.cast(1.0 if sample_weight is None else sample_weight, "float64")
        weight = ops.broadcast_to(spread_weight(given, y_pred), y_pred.shape)
        weight = self._weighed(weight)
        bins = self._bins(y_pred)
        rows = self._state[0].size
        at = ops.reshape(bins, (bins.size,))
        positive = ops.cast(y_true, "bool")
        parts = [ops.where(positive, weight, 0.0), ops.where(positive, 0.0, weight)]
        sums = [ops.scatter_add(at, ops.reshape(p, (p.size,)), rows) for p in parts]
        return [
            ops.add(v.leaf, ops.reshape(s, v.shape)) for v, s in zip(self._state, sums, strict=True)
        ]

    def _labels_in(self, y_pred: Value) -> int:
        return 1

    def _weighed(self, weight: Value) -> Value:
        return weight

    def _build(self, labels: int) -> None:
        if not self._state:
            self._labels = labels
            for name in ("positives", "negatives"):
                self.add_variable((labels, len(self._sorted) + 1), name=name)
        elif labels != self._labels:
            raise ShapeError(f"{self.name} was made for {self._labels} labels, not {labels}")

    def _chosen(self, y_true: Value, y_pred: Value) -> tuple[Value, Value]:
        """Return the class that counts; predictions that are not among the best become -1e10."""
        if self.top_k is not None:
            place = ops.argsort(ops.argsort(ops.negative(y_pred), axis=-1), axis=-1)
            y_pred = ops.where(ops.less(place, self.top_k), y_pred, -1e10)
        if self.class_id is None:
            return y_true, y_pred
        if y_pred.ndim < 2 or self.class_id >= y_pred.shape[-1]:
            raise ShapeError(
                f"{self.name}: class_id is {self.class_id}, but the predictions have the shape "
                f"{list(y_pred.shape)}"
            )
        return y_true[..., self.class_id], y_pred[..., self.class_id]

    def _bins(self, y_pred: Value) -> Value:
        """Return how many thresholds are below each prediction, behind those of other labels."""
        count = len(self._sorted)
        if self._even:
            # With the outermost thresholds outside of 0 to 1, every prediction is between them.
            outside = float(self._sorted[0] < 0.0)
            least, most = outside, count - outside
            place = ops.ceil(ops.multiply(y_pred, float(count - 1)))
            place = ops.where(ops.greater(place, least), place, least)
            bins = ops.cast(ops.minimum(place, most), "int64")
        else:
            limits = self._sorted.astype(y_pred.dtype)
            above = ops.greater(ops.expand_dims(y_pred, -1), limits)
            bins = ops.sum(ops.cast(above, "int64"), axis=-1)
        if self._labels == 1:
            return bins
        return ops.add(bins, np.arange(self._labels, dtype=np.int64) * (count + 1))

    def counts(self) -> tuple[Floats, Floats, Floats, Floats]:
        """Return true and false positives, true and false negatives, [labels, thresholds]."""
        self._build(self._labels or 1)
        places = np.argsort(self._order, kind="stable")
        held = [np.asarray(v.value, np.float64) for v in self._state]
        above = [np.cumsum(h[:, :0:-1], axis=1)[:, ::-1][:, places] for h in held]
        below = [np.cumsum(h, axis=1)[:, :-1][:, places] for h in held]
        return above[0], above[1], below[1], below[0]


def ratio(part: Any, whole: Any) -> Floats:
    """Return ``part / whole``, 0 where the whole is 0."""
    whole = np.asarray(whole, np.float64)
    result: Floats = np.where(whole == 0, 0.0, part / np.where(whole == 0, 1.0, whole))
    return result


def one_or_many(values: Floats) -> Any:
    """Return a float for one threshold, else the array."""
    return float(values[0]) if len(values) == 1 else values


def even_thresholds(count: int) -> list[float]:
    """Return `count` thresholds from 0 to 1."""
    room.take(32 * count)
    return [i / (count - 1) for i in range(count)]


def checked_thresholds(thresholds: Any, default: float) -> list[float]:
    """Return the thresholds as a list."""
    if thresholds is None:
        return [default]
    given = [float(t) for t in np.atleast_1d(np.asarray(thresholds, np.float64))]
    if not given or not all(0.0 <= t <= 1.0 for t in given):
        raise ArgumentError(f"thresholds is {thresholds!r}; expected numbers from 0 to 1")
    return given


def checked_share(name: str, value: float) -> float:
    """Return a number from 0 to 1."""
    if not 0.0 <= value <= 1.0:
        raise ArgumentError(f"{name} is {value!r}; expected a number from 0 to 1")
    return float(value)


def _checked_whole(name: str, value: int | None, least: int) -> int | None:
    if value is not None and (int(value) != value or value < least):
        raise ArgumentError(f"{name} is {value!r}; expected a whole number from {least}")
    return value if value is None else int(value)
