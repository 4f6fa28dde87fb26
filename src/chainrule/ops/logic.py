"""Comparisons and what is made of them; none has a derivative."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.dtypes import Array
from chainrule.graph.primitive import primitive


@primitive("*s:float -> *s:bool", elementwise=True)
def is_finite(x: Array) -> Any:
    """Whether x is neither infinite nor NaN."""
    return np.isfinite(x)


@primitive("*s:bool -> *s:bool", elementwise=True)
def logical_not(x: Array) -> Any:
    """Whether x is false."""
    return np.logical_not(x)


@primitive("*s:bool, *s:bool -> *s:bool", elementwise=True)
def logical_and(x: Array, y: Array) -> Any:
    """Whether both are true."""
    return np.logical_and(x, y)


@primitive("*s:bool, *s:bool -> *s:bool", elementwise=True)
def logical_or(x: Array, y: Array) -> Any:
    """Whether either is true."""
    return np.logical_or(x, y)


@primitive("*s, *s -> *s:bool", elementwise=True)
def equal(x: Array, y: Array) -> Any:
    """Whether x equals y; NaN equals nothing."""
    return np.equal(x, y)


@primitive("*s, *s -> *s:bool", elementwise=True)
def less(x: Array, y: Array) -> Any:
    """Whether x is below y."""
    return np.less(x, y)


@primitive("*s, *s -> *s:bool", elementwise=True)
def less_equal(x: Array, y: Array) -> Any:
    """Whether x is not above y."""
    return np.less_equal(x, y)
