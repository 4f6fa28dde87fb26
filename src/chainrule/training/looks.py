"""Tables of looks at a step: from rows of measures, and of many looks fewer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.dtypes import Array
from chainrule.ops.survey import BINS, MEASURES

if TYPE_CHECKING:
    from chainrule.training.survey import StepSurvey

NUMBERS = ("mean", "std", "norm", "min", "max", "zeros", "nonfinite", "saturated")
SUMMARY = np.dtype([*((name, np.float64) for name in NUMBERS), ("histogram", np.uint16, BINS)])
TABLES = ("activation", "error", "weight", "gradient", "update")

MOST_LOOKS = 2048  # that are kept; beyond, every other of the older ones goes
_MOST_BYTES = 64 * 2**20

Tables = dict[str, Array]  # by name, a row for each look


def summarized(measured: Array, sizes: Array, scales: Array) -> Array:
    """Return the fields from what was measured of some or all of so many elements."""
    table = np.zeros(measured.shape[:2], SUMMARY)
    numbers = measured[..., :MEASURES].transpose(2, 0, 1)
    kept, total, squares, low, high, zeros, flat, lost = np.ascontiguousarray(numbers, np.float64)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        taken = kept + lost
        mean = total / kept
        table["mean"] = mean / scales
        table["std"] = np.sqrt(np.maximum(squares / kept - mean * mean, 0.0)) / scales
        table["norm"] = np.sqrt(squares * (sizes / taken)) / scales
        table["min"], table["max"] = low / scales, high / scales
        table["zeros"], table["saturated"] = zeros / taken, flat / taken
        table["nonfinite"] = lost / taken
    table["histogram"] = measured[..., MEASURES:]
    return table


def joined(x: Array, count: int, join: Any) -> Array:
    """Return each `count` rows that follow each other as one; `join` may take a row twice, unless
    that number is a power of two."""
    span = 1
    while 2 * span <= count:
        x = join(x[:-span], x[span:])
        span *= 2
    rest = count - span
    return x if not rest else np.asarray(join(x[:-rest], x[rest:]))


@dataclass(frozen=True)
class Part:
    """Looks that follow each other. With a `survey` the measures are still `rows`, as steps made
    them, which `summarized` makes tables of: many are left out before anyone asks for them."""

    tables: Tables
    survey: StepSurvey | None = None

    def __len__(self) -> int:
        return len(self.tables["steps"])


def most_looks(layers: int, weights: int) -> int:
    """Return how many looks at so many layers and weights are kept."""
    per_look = SUMMARY.itemsize * (2 * layers + 3 * weights) + 8 * (3 + layers + weights)
    return max(64, min(MOST_LOOKS, _MOST_BYTES // per_look))


def thinned(parts: Sequence[Part], most: int, whole: Callable[[Part], Part]) -> list[Part]:
    """Return the parts without every other look of the older half while they are more than `most`.

    The newer ones, of which nothing is left out, are not copied. `whole` makes the tables of a
    part.
    """
    lengths = [len(part) for part in parts]
    kept = _kept(sum(lengths), most)
    if len(kept) == sum(lengths):
        return [*parts]
    ends = np.searchsorted(kept, np.cumsum(lengths))
    rows = [k - first for k, first in zip(np.split(kept, ends[:-1]), _starts(lengths), strict=True)]
    older = max(i + 1 for i, k in enumerate(rows) if len(k) < lengths[i])
    alike = all(part.survey is parts[0].survey for part in parts[:older])
    old = parts[:older] if alike else [whole(part) for part in parts[:older]]
    left = [{n: a[k] for n, a in part.tables.items()} for part, k in zip(old, rows, strict=False)]
    return [Part(in_one(left), old[0].survey), *parts[older:]]


def in_one(parts: Sequence[Tables]) -> Tables:
    """Return tables one behind the other."""
    if len(parts) == 1:
        return parts[0]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _kept(count: int, most: int) -> Array:
    """Return the numbers of the looks that are left."""
    kept = np.arange(count)
    while len(kept) > most:
        older = len(kept) // 2
        kept = np.concatenate([kept[:older:2], kept[older:]])
    return kept


def _starts(lengths: Sequence[int]) -> Array:
    return np.cumsum([0, *lengths[:-1]])


def as_bytes(array: Array) -> Array:
    """Return a table as bytes, which a checkpoint can hold; other arrays as they are."""
    if array.dtype != SUMMARY:
        return array
    return np.ascontiguousarray(array).view(np.uint8).reshape(*array.shape, SUMMARY.itemsize)


def from_bytes(name: str, array: Any) -> Array:
    """Return the array that `as_bytes` was given."""
    held = np.ascontiguousarray(array)
    return held.view(SUMMARY)[..., 0] if name in TABLES else held


def squared(x: Array) -> Array:
    """Return the sum of the squares of each row."""
    return np.asarray(np.einsum("ij,ij->i", x, x))
