"""Python's operators on values and variables."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from chainrule.errors import DTypeError
from chainrule.graph import Arithmetic, Value, scope
from chainrule.ops import compare, indexing, products, rounding, signs
from chainrule.ops import functions as f
from chainrule.ops.convert import as_value, is_number


def _swapped(function: Any) -> Any:
    return lambda self, other: function(other, self)


_BINARY = {
    "add": f.add,
    "sub": f.subtract,
    "mul": f.multiply,
    "truediv": f.divide,
    "pow": f.power,
    "floordiv": rounding.floor_divide,
    "mod": rounding.mod,
    "matmul": products.matmul,
}
_COMPARISONS = {
    "lt": compare.less,
    "le": compare.less_equal,
    "gt": compare.greater,
    "ge": compare.greater_equal,
}
# What NumPy makes of an operator with an array on its left.
_OF_NUMPY: dict[np.ufunc, Any] = {
    np.add: f.add,
    np.subtract: f.subtract,
    np.multiply: f.multiply,
    np.divide: f.divide,
    np.power: f.power,
    np.floor_divide: rounding.floor_divide,
    np.remainder: rounding.mod,
    np.matmul: products.matmul,
    np.less: compare.less,
    np.less_equal: compare.less_equal,
    np.greater: compare.greater,
    np.greater_equal: compare.greater_equal,
    np.equal: compare.equal,
    np.not_equal: compare.not_equal,
}


def install() -> None:
    """Give `Value` and `Variable` the arithmetic and comparison operators and indexing."""
    methods: dict[str, Any] = {
        "neg": signs.negative,
        "abs": signs.abs,
        "getitem": indexing.getitem,
        "iter": _rows,
        "array_ufunc": _of_numpy,
    }
    for name, function in _BINARY.items():
        methods[name] = function
        methods[f"r{name}"] = _swapped(function)
    methods.update(_COMPARISONS)
    methods.update(eq=_unless_strange(compare.equal), ne=_unless_strange(compare.not_equal))
    for name, function in methods.items():
        setattr(Arithmetic, f"__{name}__", _method(function))


def _unless_strange(function: Any) -> Any:
    """Return the comparison, which leaves to Python what is no array of numbers: None, text."""

    def compared(self: Any, other: Any) -> Any:
        if not isinstance(other, Arithmetic) and not is_number(other):
            try:
                other = as_value(other)
            except DTypeError:
                return NotImplemented
        return function(self, other)

    return compared


def _method(function: Any) -> Any:
    return lambda self, *others, **options: function(self, *others, **options)


def _rows(x: Any) -> Iterator[Value]:
    x = as_value(x)
    return (indexing.getitem(x, i) for i in range(len(x)))


def _of_numpy(self: Any, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
    """Return the value of an operator; of NumPy's other functions, what they make of elements."""
    out = options.get("out", ())
    if any(isinstance(o, Arithmetic) for o in out):
        return NotImplemented
    in_place = len(options) == 1 and bool(out) and out[0] is inputs[0]  # array += value
    if method == "__call__" and ufunc in _OF_NUMPY and (not options or in_place):
        return _OF_NUMPY[ufunc](*inputs)
    if not scope.idle():
        name = f"{ufunc.__name__}{'' if method == '__call__' else f'.{method}'}"
        raise DTypeError(
            f"NumPy's {name} was given {self!r} while a step is traced: there are no elements, and "
            f"no gradient would come through it\n  fix: {_instead(ufunc, method)}"
        )
    arrays = [np.asarray(x) if isinstance(x, Arithmetic) else x for x in inputs]
    return getattr(ufunc, method)(*arrays, **options)


def _instead(ufunc: np.ufunc, method: str) -> str:
    from chainrule import ops

    name = ufunc.__name__
    if method == "__call__" and name in ops.__all__:
        return f"use ops.{name}, and likewise ops.mean, ops.sum, ... for np.mean, np.sum, ..."
    return "write it in ops, which has most of NumPy's functions under their names: ops.mean, ..."
