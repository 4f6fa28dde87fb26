"""Conversion between dtypes, and operations that look at values and may stop a run."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.dtypes import Array
from chainrule.errors import DataError
from chainrule.graph import Spec, Value, primitive

_QUIET = {"all": "ignore"}


@primitive("*s:any -> ?", elementwise=True)
def cast(x: Array, *, dtype: str) -> Any:
    """x in another dtype; to bool: whether x is not 0."""
    with np.errstate(**_QUIET):  # type: ignore[arg-type]
        return x.astype(dtype)


@cast.shape_rule
def _(x: Spec, *, dtype: str) -> Spec:
    return Spec(x.shape, dtype)


@cast.vjp
def _(g: Value, y: Value, x: Value, *, dtype: str) -> Any:
    if not (dtype.startswith("float") and x.dtype.startswith("float")):
        return (None,)
    return (cast(g, dtype=x.dtype),)


@primitive("*s -> *s", elementwise=True, checks=True)
def require_finite(x: Array, *, code: int) -> Any:
    """x; a run stops at the first row that holds an infinite value or NaN."""
    if not np.isfinite(x).all():
        raise DataError("a value is not finite")
    return x


@require_finite.vjp
def _(g: Value, y: Value, x: Value, *, code: int) -> Any:
    return (g,)


@primitive("*s -> *s", elementwise=True, checks=True)
def require_range(x: Array, *, low: float, high: float, code: int) -> Any:
    """x; a run stops at the first row with a value outside [low, high) or not whole."""
    if not ((x >= low) & (x < high) & (x == np.floor(x))).all():
        raise DataError(f"a value is not a whole number in [{low}, {high})")
    return x


@require_range.vjp
def _(g: Value, y: Value, x: Value, *, low: float, high: float, code: int) -> Any:
    return (g,)
