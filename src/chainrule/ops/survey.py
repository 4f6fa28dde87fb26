"""What `fit` measures of arrays while they are in the cache: row by row, then joined.

Both are measurements of a step for those who watch it; nothing is differentiated through them.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from chainrule.dtypes import Array
from chainrule.graph import Spec, primitive

MEASURES = 7  # sum, sum of squares, smallest, largest; zeros, saturated and non-finite elements
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
    """The measures of the finite elements of each `group` of rows, in its first row; `probes`
    elements of each row; and how many of every `stride`-th element of x have which size.

    Saturated are those of at most `low` and at least `high`. Of the groups only `every` so many are
    measured. Where a tile begins or ends within a group, each part of it has its own measures.
    """
    size = math.prod(x.shape[1:])
    rows = x.reshape(len(x), size)
    apart = group * every
    groups = [rows[r : r + group] if r % apart == 0 else rows[:0] for r in range(len(x))]
    measures = np.array([_measured(g.reshape(-1), low, high) for g in groups], x.dtype)
    measures = measures.reshape(-1, MEASURES)
    counts = np.zeros((len(x), BINS), np.uint8)
    for r, row in enumerate(rows):
        counts[r] = _sizes(row[-(r * size) % stride :: stride])
    places = [[_place(r, i, size) for i in range(probes)] for r in range(len(x))]
    found = np.zeros((len(x), probes), x.dtype)
    if size and probes:
        found = np.take_along_axis(rows, np.array(places, np.int64).reshape(-1, probes), 1)
    return np.concatenate([measures, found], axis=1), counts


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


def _place(row: int, i: int, size: int) -> int:
    """Return the place of a probe within its row, anywhere and always the same."""
    return ((64 * row + i) * 2654435761 & 0xFFFFFFFF) * size >> 32


def _measured(row: Array, low: float, high: float) -> list[float]:
    """Return the measures of a row."""
    kept = row[np.isfinite(row)].astype(np.float64)
    lost = row.size - kept.size
    ends = (np.inf, -np.inf) if kept.size == 0 else (kept.min(), kept.max())
    flat = np.count_nonzero((kept <= low) | (kept >= high))
    zeros = np.count_nonzero(kept == 0)
    return [kept.sum(), np.square(kept).sum(), *ends, zeros, flat, lost]


def _sizes(sample: Array) -> Array:
    """Return how many elements of a sample, zeros and what is not finite left out, have which
    size."""
    kept = sample[np.isfinite(sample) & (sample != 0)]
    exponent = np.frexp(kept)[1] - 1
    smallest = -1022 if sample.dtype == np.float64 else -126
    exponent = np.maximum(exponent, smallest - 1)  # the kernel reads the bits of subnormal numbers
    bins = np.clip((exponent + 2 * ZERO_BIN) >> 1, 0, BINS - 1)
    return np.minimum(np.bincount(bins, minlength=BINS), MOST).astype(np.uint8)


@primitive("n k:float, n b:any -> ?", reduces=True)
def survey_total(measures: Array, counts: Array) -> Any:
    """The measures of a whole array from those of its rows, and its counts: one row, float64."""
    m = measures.astype(np.float64)
    if not len(m):
        return np.array([[0, 0, np.inf, -np.inf, 0, 0, 0, *[0] * BINS]], np.float64)
    joined = [m[:, 0].sum(), m[:, 1].sum(), m[:, 2].min(), m[:, 3].max(), *m[:, 4:7].sum(axis=0)]
    return np.array([[*joined, *counts.sum(axis=0, dtype=np.int64)]], np.float64)


@survey_total.shape_rule
def _(measures: Spec, counts: Spec) -> Spec:
    return Spec((1, MEASURES + BINS), "float64")


@survey_total.tiling
def _(specs: Any, outputs: Any) -> tuple[bool, ...]:
    return False, False
