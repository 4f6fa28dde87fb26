"""The search for a step along a direction that fulfils the strong Wolfe conditions."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from chainrule.dtypes import Array

# Of the two conditions: how much of the promised decrease is asked for, and how flat the end is.
_DECREASE = 1e-4
_FLATNESS = 0.9


class Point(NamedTuple):
    """A place on the line: how far out, the loss there, its slope along the line, its gradient."""

    at: float
    loss: float
    slope: float
    gradient: Array

    def order(self) -> float:
        """Return the loss, and infinity where it is no number: to be turned away from."""
        return math.inf if math.isnan(self.loss) else self.loss


Line = Callable[[float], Point]


class Search:
    """One search: it brackets a point that fulfils the conditions, then closes in on it.

    ``loss(t) <= loss(0) + 1e-4 * t * slope(0)`` and ``|slope(t)| <= 0.9 * |slope(0)|``.

    Parameters
    ----------
    line : callable
        Returns the point at a distance.
    start : Point
        That at 0; its slope is below 0.
    most : int
        Points to look at before the best so far is taken.

    Source
    ------
    Nocedal and Wright, "Numerical Optimization", second edition, 2006, algorithms 3.5 and 3.6 with
    the cubic interpolation 3.59, as in PyTorch: which keeps away from the ends of the bracket, and
    asks for a decrease against the point before from the third point on.
    """

    def __init__(self, line: Line, start: Point, most: int) -> None:
        self.line = line
        self.start = start
        self.left = most
        self.evaluations = 0

    def run(self, first: float, least: float) -> Point:
        """Return the point found, from the distance to begin with; `least` is how narrow a bracket
        may become."""
        low, high, found = self._bracketed(first)
        return low if found else self._closed_in(low, high, least)

    def _look(self, at: float) -> Point:
        self.evaluations += 1
        return self.line(at)

    def _rises(self, point: Point) -> bool:
        """Return whether the loss there is above what the slope at the start promises."""
        promised = self.start.loss + _DECREASE * point.at * self.start.slope
        return not point.loss <= promised

    def _flat(self, point: Point) -> bool:
        return abs(point.slope) <= -_FLATNESS * self.start.slope

    def _bracketed(self, at: float) -> tuple[Point, Point, bool]:
        """Return the better and the worse end of a bracket, and whether the better one will do."""
        before, point = self.start, self._look(at)
        for turn in range(self.left):
            if self._rises(point) or (turn > 1 and point.loss >= before.loss):
                return *_sorted(before, point), False
            if self._flat(point):
                return point, point, True
            if point.slope >= 0:
                return *_sorted(before, point), False
            ends = point.at + 0.01 * (point.at - before.at), 10.0 * point.at
            before, point = point, self._look(lowest(before, point, ends))
            self.left -= 1
        return *_sorted(self.start, point), False

    def _closed_in(self, low: Point, high: Point, least: float) -> Point:
        """Return the best point within a bracket, whose better end comes first."""
        slow = False
        while self.left > 0 and not abs(high.at - low.at) < least:
            # The order of the ends is that in which they were found, as the formula has them.
            at, slow = _kept_inside(lowest(low, high), low.at, high.at, slow)
            point = self._look(at)
            self.left -= 1
            if self._rises(point) or point.loss >= low.loss:
                low, high = _sorted(low, point)
            elif self._flat(point):
                return point
            else:
                low, high = point, low if point.slope * (high.at - low.at) >= 0 else high
        return low


def _sorted(a: Point, b: Point) -> tuple[Point, Point]:
    return (a, b) if a.order() <= b.order() else (b, a)


def _kept_inside(at: float, one: float, other: float, slow: bool) -> tuple[float, bool]:
    """Return the distance, moved off the ends of the bracket where it stays near them, and whether
    it is near one."""
    left, right = min(one, other), max(one, other)
    tenth = 0.1 * (right - left)
    if not min(right - at, at - left) < tenth:
        return at, False
    if slow or at >= right or at <= left:
        return (right - tenth if abs(at - right) < abs(at - left) else left + tenth), False
    return at, True


def lowest(a: Point, b: Point, ends: tuple[float, float] | None = None) -> float:
    """Return where the cubic through two points, with their slopes, is lowest.

    Parameters
    ----------
    a, b : Point
        Two points at different distances.
    ends : tuple of float, optional
        From where to where; by default between the points.

    Returns
    -------
    float
        The middle where the cubic has no minimum, or a number is not finite.

    Source
    ------
    Nocedal and Wright, "Numerical Optimization", second edition, 2006, equation 3.59.
    """
    if a.at > b.at:
        a, b = b, a
    least, most = ends or (a.at, b.at)
    x, f, g = (np.array(pair, np.float64) for pair in zip(a[:3], b[:3], strict=True))
    with np.errstate(all="ignore"):
        first = g[0] + g[1] - 3 * (f[0] - f[1]) / (x[0] - x[1])
        second = np.sqrt(first**2 - g[0] * g[1])
        at = float(x[1] - (x[1] - x[0]) * ((g[1] + second - first) / (g[1] - g[0] + 2 * second)))
    if math.isnan(at):
        return (least + most) / 2
    return min(max(at, least), most)
