"""Anything array-like (lists, NumPy, pandas, Polars, Arrow, torch) as arrays the engine reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from chainrule import dtypes
from chainrule.dtypes import Array
from chainrule.errors import ChainruleError, DataError

_NUMBERS = "biuf"
_NUMBER = int | float | np.number | np.bool_

# The dtypes that are read where they lie, with the engine's names (`dtype.name` takes 3 us).
NAMES = {np.dtype(name): name for name in dtypes.ALL}


def as_array(data: Any, name: str = "x") -> Array:
    """Return `data` as a NumPy array, without a copy where its memory can be shared.

    Parameters
    ----------
    data : array_like
        A NumPy array, nested lists, a pandas or Polars table or column, an Arrow array or table,
        a torch tensor, or anything else with ``__array__`` or ``__dlpack__``.
    name : str, default "x"
        What errors call it.

    Raises
    ------
    DataError
        Where no array can be made of it, e.g. of lists of different lengths.

    Examples
    --------
    >>> from chainrule.data.arrays import as_array
    >>> as_array([[1, 2], [3, 4]]).shape
    (2, 2)
    """
    if type(data) is np.ndarray:
        return data
    try:
        array = _converted(data)
    except ChainruleError:
        raise
    except Exception as error:
        raise DataError(
            f"{name} is of type {type(data).__name__}, which could not be made an array: {error}"
        ) from error
    if isinstance(data, Mapping):
        names = ", ".join(repr(key) for key in data)
        raise DataError(
            f"{name} is a dict of {names}; expected one array.\n"
            "  fix: pass the array itself, or make a Model with an Input of each name"
        )
    return _unboxed(data, array) if array.dtype == object else array


def as_numbers(data: Any, name: str = "x") -> Array:
    """Return `data` as a C-contiguous array of a dtype the engine has.

    Arrays that are so already are returned as they are; integers and floats of other widths
    become the next wider dtype.

    Parameters
    ----------
    data : array_like
        See `as_array`.
    name : str, default "x"
        What errors call it.

    Raises
    ------
    DataError
        Where it holds something else than numbers, or is a single number.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.data.arrays import as_numbers
    >>> as_numbers(np.zeros((2, 3), "float16")).dtype
    dtype('float32')
    """
    array = as_array(data, name)
    if array.dtype in NAMES and array.ndim and array.flags.c_contiguous and array.flags.aligned:
        return array
    if array.dtype.kind not in _NUMBERS:
        raise DataError(_not_numbers(array, name))
    if array.ndim == 0:
        raise DataError(f"{name} is a single number; expected an array with a row for each sample.")
    kind = dtypes.name_of(array.dtype)
    if array.dtype == np.uint64 and array.size and array.max() > np.iinfo(np.int64).max:
        raise DataError(f"{name} has integers beyond 2**63 - 1, which do not fit int64.")
    # In the byte order and alignment of the machine: the engine reads the memory as it lies.
    return np.require(array, np.dtype(kind), ["C", "A"])


def _converted(data: Any) -> Array:
    """Return what NumPy makes of `data`; of a tensor that records gradients, its elements."""
    if hasattr(data, "detach"):
        data = data.detach().cpu()
    try:
        return np.asarray(data)
    except (TypeError, ValueError, RuntimeError):
        if not hasattr(data, "__dlpack__"):
            raise
        return np.from_dlpack(data)


def _unboxed(data: Any, array: Array) -> Array:
    """Return a table's numbers where NumPy got objects: mixed or nullable columns.

    What is missing becomes NaN, so that the check of the values names its row.
    """
    if not hasattr(data, "to_numpy") or any(isinstance(v, str | bytes) for v in array.flat):
        return array
    try:
        unboxed: Array = data.to_numpy(dtype=np.float64, na_value=np.nan)
    except (TypeError, ValueError):
        return array
    return unboxed


def _not_numbers(array: Array, name: str) -> str:
    lines = [f"{name} has dtype {array.dtype}; expected numbers."]
    if array.size:
        first = array.reshape(-1)[0]
        lines.append(f"  {name:<3}: {list(array.shape)}, its first element is {first!r}")
    if array.dtype.kind == "O" and all(isinstance(v, _NUMBER) or v is None for v in array.flat):
        lines.append(f"  fix: pass {name}.astype('float32'), with a number in place of each None")
    elif array.dtype.kind in "US" or any(isinstance(v, str | bytes) for v in array.flat):
        lines.append(
            "  fix: encode text first, e.g. with TextVectorization or StringLookup as first layer"
        )
    return "\n".join(lines)
