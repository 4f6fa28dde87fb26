"""The dtypes of the engine, which primitives never mix."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from chainrule.errors import DTypeError

Array = npt.NDArray[Any]

FLOATS: Final = ("float32", "float64")
INTEGERS: Final = ("int32", "int64")
ALL: Final = (*FLOATS, *INTEGERS, "uint8", "bool")
SIZES: Final = {"float32": 4, "float64": 8, "int32": 4, "int64": 8, "uint8": 1, "bool": 1}

# What is read from the user in other dtypes, and what it becomes without losing a value.
_WIDENED: Final = {
    "float16": "float32",
    "int8": "int32",
    "int16": "int32",
    "uint16": "int32",
    "uint32": "int64",
    "uint64": "int64",
    "longdouble": "float64",
}

_NAMED = (str, np.dtype)
# NumPy takes 3 us to say the name of a dtype.
_NAMES: Final[dict[Any, str]] = {key: name for name in ALL for key in (name, np.dtype(name))}


def name_of(dtype: object) -> str:
    """Return the engine's name of a dtype, e.g. ``"float32"`` for ``np.float32``.

    Raises
    ------
    DTypeError
        For a dtype the engine does not have (object, complex, str, ...).
    """
    known = _NAMES.get(dtype) if isinstance(dtype, _NAMED) else None
    if known is not None:
        return known
    # Lists of types, which NumPy evaluates, are none: "2i", "f4,f4".
    listed = isinstance(dtype, str) and not dtype.lstrip("<>=|").isidentifier()
    try:
        name = str(dtype) if listed else np.dtype(dtype).name  # type: ignore[call-overload]
    except TypeError:
        name = str(dtype)
    name = _WIDENED.get(name, name)
    if name not in ALL:
        raise DTypeError(f"dtype {name} is not one of {', '.join(ALL)}")
    return str(name)


def is_float(dtype: str) -> bool:
    """Return whether values of this dtype have derivatives."""
    return dtype in FLOATS


_float = "float32"


def floatx() -> str:
    """Return the dtype that new weights and converted inputs get: ``"float32"`` unless set."""
    return _float


def set_floatx(dtype: object) -> None:
    """Set the dtype of weights made from now on: ``"float32"`` or ``"float64"``."""
    global _float
    name = name_of(dtype)
    if name not in FLOATS:
        raise DTypeError(f"weights are float32 or float64, not {name}")
    _float = name
