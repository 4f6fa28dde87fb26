"""Derivatives along a line, by differences: what a gradient is held against."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

STEPS = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2)  # of the size of what is moved, in float64
PLACES = (0.0, 3.1e-3, -2.7e-3, 1.3e-2)  # where the line is looked at, until two agree
_ROUNDING = 4e-15  # of a value: how far rounding may have moved it
_TOLD = 0.1  # of a derivative: with more rounding than that, agreement is chance
_SMOOTH = 0.2  # of what a derivative is off: with less doubt than that, it is wrong

Function = Callable[[float], float]


@dataclass(frozen=True)
class Slope:
    """What the gradient says and what differences say, at one place of a line.

    `off` is their difference as a share of the larger one, 0 where both are 0 but for rounding;
    `verdict` is ``"right"``, ``"wrong"``, or ``"rough"`` where differences say nothing: at a kink,
    or where all is rounding.
    """

    said: float
    measured: float
    off: float
    verdict: str


@dataclass(frozen=True)
class _Difference:
    """A central difference, how far rounding may have moved it, and how far apart the slopes of
    its two sides are."""

    slope: float
    noise: float
    bend: float


def compared(value: Function, slope: Function, tolerance: float) -> Slope:
    """Return whether the derivative is right along a line: at the first place where differences
    can tell, and wrong only where a second place says so too.

    A kink is passed by: there differences mean nothing, and any slope between the two sides' is
    one that descent may use.
    """
    found: list[Slope] = []
    for place in PLACES:
        found.append(at(value, slope, place, tolerance))
        if found[-1].verdict == "right":
            return found[-1]
        wrong = [s for s in found if s.verdict == "wrong"]
        if len(wrong) == 2:
            return wrong[0]
    return replace(found[0], verdict="rough")


def at(value: Function, slope: Function, place: float, tolerance: float) -> Slope:
    """Return the comparison at one place: right where a step agrees that is clear of rounding,
    wrong where two steps agree on another derivative."""
    said, middle = slope(place), value(place)
    found: list[_Difference] = []
    for h in STEPS:
        found.append(_difference(value(place + h), middle, value(place - h), h))
        measured = found[-1].slope
        gap, largest = abs(measured - said), max(abs(measured), abs(said))
        if gap <= tolerance * largest and found[-1].noise <= _TOLD * largest:
            return Slope(said, measured, _share(gap, largest), "right")
    if _nothing(said, middle, found):
        return Slope(said, found[-1].slope, 0.0, "right")
    for before, last in pairwise(found):
        gap = abs(last.slope - said)
        doubt = max(abs(last.slope - before.slope), last.bend, last.noise)
        if doubt < _SMOOTH * gap:  # NaN is not
            return _judged(said, last.slope, "wrong")
    return _judged(said, found[-1].slope, "rough")


def _difference(up: float, middle: float, down: float, h: float) -> _Difference:
    noise = _ROUNDING * max(abs(up), abs(down)) / h
    return _Difference((up - down) / (2 * h), noise, abs((up - middle) - (middle - down)) / h)


def _nothing(said: float, middle: float, found: Sequence[_Difference]) -> bool:
    """Return whether what is moved has no influence: the value stays as it is to the last bit, or
    gradient and differences are both what rounding leaves of 0 (a bias before a batch
    normalization)."""
    if said == 0:
        return all(d.slope == 0 and d.bend == 0 for d in found)
    rounded = all(abs(d.slope - said) <= d.noise for d in found)
    return rounded and abs(said) <= _ROUNDING * abs(middle)


def _judged(said: float, measured: float, verdict: str) -> Slope:
    return Slope(
        said, measured, _share(abs(measured - said), max(abs(measured), abs(said))), verdict
    )


def _share(gap: float, largest: float) -> float:
    return 0.0 if largest == 0 else gap / largest  # NaN stays
