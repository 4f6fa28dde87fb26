"""How many edits lead from one string to another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule.dtypes import Array
from chainrule.graph import Spec, primitive

_CELL = 150.0  # operations that a pair of places counts for


def _work(specs: Sequence[Spec], outputs: Sequence[Spec]) -> float:
    n, a = specs[0].shape
    return _CELL * n * (a + 1) * (specs[2].shape[1] + 1)


@primitive("n a:int, n:int, n b:int, n:int -> n:int64", flops=_work)
def edit_distance(x: Array, x_length: Array, y: Array, y_length: Array) -> Any:
    """The least number of elements put in, taken out or replaced that makes the first `x_length[n]`
    of ``x[n]`` the first `y_length[n]` of ``y[n]``; lengths beyond the arrays are cut.

    ``d[i, j] = min(d[i - 1, j] + 1, d[i, j - 1] + 1, d[i - 1, j - 1] + (x[i] != y[j]))`` (Wagner
    and Fischer, "The String-to-String Correction Problem", Journal of the ACM 21, 1974).
    """
    n, size = y.shape
    columns = np.arange(size + 1)
    d = np.tile(columns, (n, 1))
    for i in range(x.shape[1]):
        replaced = d[:, :-1] + (x[:, i : i + 1] != y)
        best = np.concatenate([d[:, :1] + 1, np.minimum(d[:, 1:] + 1, replaced)], axis=1)
        # What is put in adds 1 a column: less its column's number, it is a running minimum.
        row = np.minimum.accumulate(best - columns, axis=1) + columns
        d = np.where((i < x_length)[:, None], row, d)
    return d[np.arange(n), np.clip(y_length, 0, size)]


@edit_distance.tiling
def _(specs: Sequence[Spec], outputs: Sequence[Spec]) -> Any:
    return True, True, True, True
