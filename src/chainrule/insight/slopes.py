"""Derivatives along a line, by differences: what a gradient is held against."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

STEPS = (1e-6, 1e-5, 1e-4)  # of the size of what is moved, in float64
PLACES = (0.0, 3.1e-3, -2.7e-3, 1.3e-2)  # where the line is looked at, until two agree
_ROUNDING = 2e-16

Function = Callable[[float], float]


@dataclass(frozen=True)
class Slope:
    """What the gradient says and what differences say, at one place of a line.

    `off` is their difference as a share of the larger one; `verdict` is ``"right"``, ``"wrong"``,
    or ``"rough"`` where differences say nothing: at a kink, or where all is rounding.
    """

    said: float
    measured: float
    off: float
    verdict: str


def compared(value: Function, slope: Function, tolerance: float) -> Slope:
    """Return whether the derivative is right along a line: at the first place where differences
    can tell, and wrong only where a second place says so too.

    A kink is passed by: there differences mean nothing, and any slope between the two sides' is
    one that descent may use.
    """
    wrong: list[Slope] = []
    first = None
    for place in PLACES:
        found = at(value, slope, place, tolerance)
        first = first or found
        if found.verdict == "right":
            return found
        if found.verdict == "wrong":
            wrong.append(found)
        if len(wrong) == 2:
            return wrong[0]
    return first or Slope(0.0, 0.0, 0.0, "rough")


def at(value: Function, slope: Function, place: float, tolerance: float) -> Slope:
    """Return the comparison at one place."""
    said, middle = slope(place), value(place)
    found: list[float] = []
    sides = (0.0, 0.0)
    rounded = None  # where all that differs may be rounding
    for h in STEPS:
        up, down = value(place + h), value(place - h)
        sides = sides if found else ((up - middle) / h, (middle - down) / h)
        found.append((up - down) / (2 * h))
        noise = 20 * _ROUNDING * max(abs(up), abs(down)) / h
        gap, largest = abs(found[-1] - said), max(abs(found[-1]), abs(said))
        if gap <= tolerance * largest:
            return Slope(said, found[-1], _share(gap, largest), "right")
        if gap <= tolerance * largest + noise:
            rounded = Slope(said, found[-1], _share(gap, largest), "right")
    if rounded is not None:
        return rounded
    measured = sorted(found)[1]
    gap = abs(measured - said)
    uneven = max(max(found) - min(found), abs(sides[0] - sides[1]))
    smooth = uneven < 0.2 * gap  # NaN is not
    off = _share(gap, max(abs(measured), abs(said)))
    return Slope(said, measured, off, "wrong" if smooth else "rough")


def _share(gap: float, largest: float) -> float:
    return gap / largest if largest > 0 else 0.0
