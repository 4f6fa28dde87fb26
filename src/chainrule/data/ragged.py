"""Sequences of different lengths one behind the other, and the lengths to group them by."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.data.arrays import as_numbers
from chainrule.data.batches import Order
from chainrule.dtypes import Array
from chainrule.errors import ArgumentError, DataError, ShapeError

_MOST_BUCKETS = 6
_GOOD_SHARE = 0.05  # of padding: with more buckets there is little to gain
_LENGTHS = 256  # different lengths among which boundaries are looked for


@dataclass(frozen=True)
class Ragged:
    """`flat` holds the steps of all sequences; each begins at one of `starts` and has a length."""

    flat: Array
    starts: Order
    lengths: Order

    @classmethod
    def of(cls, given: Any, name: str) -> Ragged:
        """Return sequences of steps that are numbers or arrays of one shape.

        Raises
        ------
        DataError
            Where there are none, or they hold something else.
        """
        if not hasattr(given, "__len__") or isinstance(given, str | bytes):
            raise DataError(f"{name} are a list of sequences, not {type(given).__name__}")
        if not len(given):
            raise DataError(f"there are no {name}")
        parts = [_part(part, i, name) for i, part in enumerate(given)]
        full = [part for part in parts if len(part)]
        shapes = {part.shape[1:] for part in full}
        if len(shapes) > 1:
            raise ShapeError(f"the steps of {name} have different shapes: {sorted(shapes)[:3]}")
        empty = np.zeros((0, *(shapes.pop() if shapes else ())), np.int64)
        flat = np.ascontiguousarray(np.concatenate(full) if full else empty)
        lengths = np.fromiter(map(len, parts), np.int64, len(parts))
        return cls(flat, np.cumsum(lengths) - lengths, lengths)

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def step_bytes(self) -> int:
        """The bytes of a step."""
        return self.flat[:1].nbytes

    def cut(self, longest: int | None, front: bool) -> Ragged:
        """Return the sequences with what is longer cut, in front or behind."""
        if longest is None:
            return self
        kept = np.minimum(self.lengths, longest)
        return Ragged(self.flat, self.starts + (self.lengths - kept) * front, kept)

    def take(self, rows: Order) -> Ragged:
        """Return these sequences."""
        return Ragged(self.flat, self.starts[rows], self.lengths[rows])

    def padded(self, rows: Order, width: int, value: float, front: bool) -> Array:
        """Return sequences of at most this width as one array."""
        starts, lengths = self.starts[rows, None], self.lengths[rows, None]
        step = np.arange(width) - (width - lengths) * front
        there = (step >= 0) & (step < lengths)
        out = np.full((len(rows), width, *self.flat.shape[1:]), value, self.flat.dtype)
        out[there] = self.flat[(starts + step)[there]]
        return out


def _part(given: Any, number: int, name: str) -> Array:
    """Return one sequence as an array of a dtype that the engine has."""
    if not is_sequence(given):
        raise DataError(f"{name} are sequences of numbers, but number {number} is {given!r}")
    if len(given) == 0:
        return np.zeros(0, np.int64)
    return as_numbers(given, f"{name}[{number}]")


def is_sequence(given: Any) -> bool:
    """Return whether this has steps."""
    if isinstance(given, str | bytes | bytearray) or not hasattr(given, "__len__"):
        return False
    return not hasattr(given, "shape") or len(given.shape) > 0


def best_boundaries(lengths: Order, asked: Sequence[int] | int | None) -> list[int]:
    """Return the longest length in each bucket: those asked for, or those with least padding.

    Raises
    ------
    ArgumentError
        For boundaries that do not rise from 1 on.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.data.ragged import best_boundaries
    >>> best_boundaries(np.array([1, 1, 2, 9, 10]), 2)
    [2, 10]
    """
    longest = max(int(lengths.max(initial=1)), 1)
    if asked is None or isinstance(asked, int | np.integer):
        if isinstance(asked, bool) or (asked is not None and asked < 1):
            raise ArgumentError(f"boundaries is {asked!r}; expected at least one bucket")
        return _fewest(lengths, asked)
    bounds = list(asked)
    rising = all(isinstance(b, int | np.integer) and b >= 1 for b in bounds)
    if not rising or any(a >= b for a, b in itertools.pairwise(bounds)):
        raise ArgumentError(f"boundaries are lengths that rise, each at least 1, not {asked!r}")
    used = [int(b) for b in bounds if b < longest]
    return [*used, next((int(b) for b in bounds if b >= longest), longest)]


def _fewest(lengths: Order, count: int | None) -> list[int]:
    """Return boundaries for so many buckets, or as few as leave little padding."""
    values, counts = np.unique(np.maximum(lengths, 1), return_counts=True)
    if len(values) > _LENGTHS:
        at = np.unique(np.linspace(0, len(values) - 1, _LENGTHS).round().astype(int))
        # Lengths between are counted with the next that is looked at.
        counts = np.add.reduceat(counts, np.concatenate([[0], at[:-1] + 1]))
        values = values[at]
    total = float(counts @ values)
    plans = _plans(values, counts, min(count or _MOST_BUCKETS, len(values)))
    for waste, bounds in plans:
        if count is None and waste <= _GOOD_SHARE * (waste + total):
            return bounds
    return plans[-1][1]


def _plans(values: Order, counts: Order, most: int) -> list[tuple[float, list[int]]]:
    """Return for 1 to `most` buckets the least number of padded steps, and its boundaries.

    ``waste[k][j]``: lengths up to number j in k buckets; each begins where the one before ends.
    """
    n = len(values)
    total = np.concatenate([[0], np.cumsum(counts)])
    steps = np.concatenate([[0], np.cumsum(counts * values)])
    i, j = np.arange(n)[:, None], np.arange(n)[None]
    cost = values[None] * (total[j + 1] - total[i]) - (steps[j + 1] - steps[i])
    cost = np.where(i <= j, cost.astype(np.float64), np.inf)
    waste, begins = cost[0], [np.zeros(n, np.int64)]
    plans = [(float(waste[-1]), [int(values[-1])])]
    for _ in range(1, most):
        before = np.concatenate([[np.inf], waste[:-1]])[:, None] + cost
        begins.append(before.argmin(axis=0))
        waste = before.min(axis=0)
        plans.append((float(waste[-1]), _traced(values, begins)))
    return plans


def _traced(values: Order, begins: list[Order]) -> list[int]:
    """Return the boundaries that the begins of the buckets make, from the last on."""
    bounds, end = [], len(values) - 1
    for begin in reversed(begins):
        bounds.append(int(values[end]))
        end = int(begin[end]) - 1
        if end < 0:
            break
    return bounds[::-1]
