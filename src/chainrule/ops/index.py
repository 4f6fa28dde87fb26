"""Operations that read and add rows by number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule.dtypes import Array
from chainrule.errors import DataError, ShapeError
from chainrule.graph import Spec, Value, primitive


# The cost is that of rows that lie anywhere in a table larger than the caches.
@primitive("*s:any, *i:int -> ?", cost=8)
def take(x: Array, index: Array) -> Any:
    """``y[i, ...] = x[index[i], ...]``: rows of x by number; a run stops at one that x lacks."""
    outside = (index < 0) | (index >= x.shape[0])
    if outside.any():
        raise DataError(f"take: no row {index[outside].flat[0]} in an array of {x.shape[0]} rows")
    return x[index]


@take.shape_rule
def _(x: Spec, index: Spec) -> Spec:
    if not x.shape:
        raise ShapeError("take: a scalar has no rows")
    return Spec((*index.shape, *x.shape[1:]), x.dtype)


@take.tiling
def _(specs: Sequence[Spec], outputs: Sequence[Spec]) -> Any:
    return False, bool(specs[1].shape)


@take.vjp
def _(g: Value, y: Value, x: Value, index: Value) -> Any:
    return scatter_add(index, g, rows=x.shape[0]), None


@primitive("*i:int, *u -> ?")
def scatter_add(index: Array, updates: Array, *, rows: int) -> Any:
    """``y[r, ...]`` = the sum of the updates whose index is r; the derivative of `take`.

    An update whose index is no row is left out; the derivative, a `take`, stops at such an index.
    """
    y = np.zeros((rows, *updates.shape[index.ndim :]), updates.dtype)
    inside = (index >= 0) & (index < rows)
    np.add.at(y, index[inside], updates[inside])
    return y


@scatter_add.shape_rule
def _(index: Spec, updates: Spec, *, rows: int) -> Spec:
    if updates.shape[: len(index.shape)] != index.shape:
        raise ShapeError(
            f"scatter_add: updates of shape {list(updates.shape)} do not begin with the axes "
            f"of the index, {list(index.shape)}"
        )
    return Spec((rows, *updates.shape[len(index.shape) :]), updates.dtype)


@scatter_add.tiling
def _(specs: Sequence[Spec], outputs: Sequence[Spec], *, rows: int) -> Any:
    return False, False


@scatter_add.vjp
def _(g: Value, y: Value, index: Value, updates: Value, *, rows: int) -> Any:
    return None, take(g, index)


@primitive("*i:int -> ?")
def one_hot(index: Array, *, depth: int, dtype: str = "float32") -> Any:
    """``y[..., k] = 1`` where the index is k, else 0; a row of zeros for an index outside."""
    return (np.asarray(index)[..., None] == np.arange(depth)).astype(dtype)


@one_hot.shape_rule
def _(index: Spec, *, depth: int, dtype: str) -> Spec:
    return Spec((*index.shape, depth), dtype)


@one_hot.tiling
def _(specs: Sequence[Spec], outputs: Sequence[Spec], *, depth: int, dtype: str) -> Any:
    return (bool(specs[0].shape),)


@one_hot.vjp
def _(g: Value, y: Value, index: Value, *, depth: int, dtype: str) -> Any:
    return (None,)
