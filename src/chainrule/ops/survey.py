"""What `fit` measures of arrays while they are in the cache: rows by rows, then joined.

These are measurements of a step for those who watch it; nothing is differentiated through them.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from chainrule.dtypes import Array
from chainrule.graph import Spec, primitive

# Finite elements, their sum and that of their squares, the smallest, the largest; zeros, saturated
# and non-finite elements.
MEASURES = 8
BINS = 32  # of sizes: bin i counts 4 ** (i - ZERO_BIN) <= |x| < 4 ** (i + 1 - ZERO_BIN)
ZERO_BIN = 18
MOST = 255  # that a row counts in a bin


@primitive("n *s:float -> ?", cost=3)
def survey(
    x: Array,
    *,
    low: float,
    high: float,
    stride: int,
    probes: int,
    group: int = 1,
    every: int = 1,
) -> Any:
    """The measures of each `group` of rows, `probes` elements of it, and how many of every
    `stride`-th element of x in it have which size; all in the group's first row.

    Saturated are those of at most `low` and at least `high`. Of the groups only `every` so many are
    measured. What stands in other rows is not defined. Where a tile begins or ends within a group,
    each part of it is a group.
    """
    size = math.prod(x.shape[1:])
    rows = x.reshape(len(x), size)
    measures = np.zeros((len(x), MEASURES + probes), x.dtype)
    counts = np.zeros((len(x), BINS), np.uint8)
    for r in range(0, len(x), group * every):
        part = rows[r : r + group].reshape(-1)
        measures[r, :MEASURES] = _measured(part, low, high)
        if part.size:
            measures[r, MEASURES:] = part[[_place(r, i, part.size) for i in range(probes)]]
        counts[r] = _sizes(part[-(r * size) % stride :: stride])
    return measures, counts


@survey.shape_rule
def _(x: Spec, *, probes: int, **attributes: Any) -> tuple[Spec, Spec]:
    n = x.shape[0]
    return Spec((n, MEASURES + probes), x.dtype), Spec((n, BINS), "uint8")


@survey.tiling
def _(specs: Any, outputs: Any, **attributes: Any) -> tuple[bool, ...]:
    return (True,)


@primitive("n *s:float, n *s -> ?", cost=3)
def survey_change(
    x: Array, y: Array, *, stride: int, probes: int = 0, group: int = 1, every: int = 1
) -> Any:
    """The `survey` of ``y - x``."""
    ends = {"low": -np.inf, "high": np.inf}
    return survey(y - x, **ends, stride=stride, probes=probes, group=group, every=every)


@survey_change.shape_rule
def _(x: Spec, y: Spec, *, probes: int, **attributes: Any) -> tuple[Spec, Spec]:
    n = x.shape[0]
    return Spec((n, MEASURES + probes), x.dtype), Spec((n, BINS), "uint8")


@survey_change.tiling
def _(specs: Any, outputs: Any, **attributes: Any) -> tuple[bool, ...]:
    return True, True


@primitive("n *s:float -> n *s", cost=0.2)
def survey_keep(x: Array, *, group: int = 1, every: int = 1) -> Any:
    """A copy of the groups of rows that `survey` measures, for `survey_change` once x has changed.

    What stands in the rows of other groups is not defined.
    """
    kept = np.arange(len(x)) // group % every == 0
    return np.where(kept.reshape(-1, *[1] * (x.ndim - 1)), x, 0).astype(x.dtype)


@survey_keep.tiling
def _(specs: Any, outputs: Any, **attributes: Any) -> tuple[bool, ...]:
    return (True,)


def _place(row: int, i: int, size: int) -> int:
    """Return the place of a probe within its group, anywhere and always the same."""
    return ((64 * row + i) * 2654435761 & 0xFFFFFFFF) * size >> 32


def _measured(part: Array, low: float, high: float) -> list[float]:
    """Return the measures of a group."""
    kept = part[np.isfinite(part)].astype(np.float64)
    lost = part.size - kept.size
    ends = (np.inf, -np.inf) if kept.size == 0 else (kept.min(), kept.max())
    flat = np.count_nonzero((kept <= low) | (kept >= high))
    zeros = np.count_nonzero(kept == 0)
    return [kept.size, kept.sum(), np.square(kept).sum(), *ends, zeros, flat, lost]


def _sizes(sample: Array) -> Array:
    """Return how many elements of a sample, zeros and what is not finite left out, have which
    size."""
    kept = sample[np.isfinite(sample) & (sample != 0)]
    exponent = np.frexp(kept)[1] - 1
    smallest = -1022 if sample.dtype == np.float64 else -126
    exponent = np.maximum(exponent, smallest - 1)  # the kernel reads the bits of subnormal numbers
    bins = np.clip((exponent + 2 * ZERO_BIN) >> 1, 0, BINS - 1)
    return np.minimum(np.bincount(bins, minlength=BINS), MOST).astype(np.uint8)


@primitive("n k:float, n b:any -> ?", reduces=True, cost=0.1)
def survey_total(
    measures: Array, counts: Array, *, size: int, group: int = 1, every: int = 1
) -> Any:
    """The measures of a whole array, whose rows have `size` elements, from those that `survey` made
    of its groups, and its counts: one row, summed in float64."""
    starts = []
    for first in range(0, len(measures) if size else 0, group * every):
        row = first
        while row < min(first + group, len(measures)):
            starts.append(row)
            n = float(measures[row, 0]) + float(measures[row, 7])
            row += max(round(n / size), 1)  # a tile may have cut the group
    m = measures[starts].astype(np.float64)
    low, high = (m[:, 3].min(), m[:, 4].max()) if len(m) else (np.inf, -np.inf)
    joined = [*m[:, :3].sum(axis=0), low, high, *m[:, 5:8].sum(axis=0)]
    sizes = counts[starts].sum(axis=0, dtype=np.int64)
    return np.array([[*joined, *sizes]], measures.dtype)


@survey_total.shape_rule
def _(measures: Spec, counts: Spec, **attributes: Any) -> Spec:
    return Spec((1, MEASURES + BINS), measures.dtype)


@survey_total.tiling
def _(specs: Any, outputs: Any, **attributes: Any) -> tuple[bool, ...]:
    return False, False
