"""Reductions that leave NaN out."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from chainrule.dtypes import is_float
from chainrule.graph import Value
from chainrule.ops import reductions
from chainrule.ops.compare import isnan, where
from chainrule.ops.convert import as_value, cast, floating
from chainrule.ops.functions import divide
from chainrule.ops.reductions import Axis
from chainrule.ops.truths import logical_not

Like = Any


def nansum(x: Like, axis: Axis = None, keepdims: bool = False) -> Value:
    """``y = sum of what is not NaN`` along `axis`; 0 of nothing.

    Parameters
    ----------
    x : array_like
        Of any shape; the derivative at a NaN is 0.
    axis : int or tuple of int, optional
        All axes by default.
    keepdims : bool, default False
        Whether the axes stay, with length 1.

    Examples
    --------
    >>> from chainrule import ops
    >>> ops.nansum([1.0, float("nan"), 2.0]).item()
    3.0
    """
    return reductions.sum(_filled(x, 0.0), axis, keepdims)


def nanmean(x: Like, axis: Axis = None, keepdims: bool = False) -> Value:
    """``y = mean of what is not NaN`` along `axis`; NaN of nothing.

    Parameters
    ----------
    x, axis, keepdims
        As in `nansum`.

    Examples
    --------
    >>> from chainrule import ops
    >>> ops.nanmean([1.0, float("nan"), 2.0]).item()
    1.5
    """
    x = floating(x)
    count = reductions.sum(cast(logical_not(isnan(x)), x.dtype), axis, keepdims)
    return divide(nansum(x, axis, keepdims), count)


def nanmax(x: Like, axis: Axis = None, keepdims: bool = False) -> Value:
    """``y = largest of what is not NaN`` along `axis`; NaN where there is nothing else.

    Parameters
    ----------
    x, axis, keepdims
        As in `nansum`.

    Examples
    --------
    >>> from chainrule import ops
    >>> ops.nanmax([1.0, float("nan"), 2.0]).item()
    2.0
    """
    return _extreme(reductions.max, -math.inf, x, axis, keepdims)


def nanmin(x: Like, axis: Axis = None, keepdims: bool = False) -> Value:
    """``y = smallest of what is not NaN`` along `axis`; NaN where there is nothing else.

    Parameters
    ----------
    x, axis, keepdims
        As in `nansum`.

    Examples
    --------
    >>> from chainrule import ops
    >>> ops.nanmin([1.0, float("nan"), 2.0]).item()
    1.0
    """
    return _extreme(reductions.min, math.inf, x, axis, keepdims)


def _extreme(
    reduce: Callable[..., Value], least: float, x: Like, axis: Axis, keepdims: bool
) -> Value:
    """Return what `reduce` makes of the elements, NaN taken as `least`; NaN of nothing else."""
    x = as_value(x)
    found = reduce(_filled(x, least), axis, keepdims)
    if not is_float(x.dtype):
        return found
    return where(reductions.all(isnan(x), axis, keepdims), math.nan, found)


def _filled(x: Like, value: float) -> Value:
    x = as_value(x)
    return where(isnan(x), value, x) if is_float(x.dtype) else x
