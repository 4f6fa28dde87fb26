"""Python's operators on values and variables."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from chainrule.errors import DTypeError
from chainrule.graph import Arithmetic, Value
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


def install() -> None:
    """Give `Value` and `Variable` the arithmetic and comparison operators and indexing."""
    methods: dict[str, Any] = {
        "neg": signs.negative,
        "abs": signs.abs,
        "getitem": indexing.getitem,
        "iter": _rows,
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
    return lambda self, *others: function(self, *others)


def _rows(x: Any) -> Iterator[Value]:
    x = as_value(x)
    return (indexing.getitem(x, i) for i in range(len(x)))
