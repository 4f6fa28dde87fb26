"""Python's operators on values and variables."""

from __future__ import annotations

from typing import Any

from chainrule.graph import Arithmetic, Value
from chainrule.ops import arrays
from chainrule.ops import functions as f
from chainrule.ops.convert import as_value


def _swapped(function: Any) -> Any:
    return lambda self, other: function(other, self)


_BINARY = {
    "add": f.add,
    "sub": f.subtract,
    "mul": f.multiply,
    "truediv": f.divide,
    "pow": f.power,
    "matmul": arrays.matmul,
}
_COMPARISONS = {
    "lt": f.less,
    "le": f.less_equal,
    "gt": f.greater,
    "ge": f.greater_equal,
}


def install() -> None:
    """Give `Value` and `Variable` the arithmetic and comparison operators and indexing."""
    methods: dict[str, Any] = {"neg": f.negative, "abs": f.abs, "getitem": _item}
    for name, function in _BINARY.items():
        methods[name] = function
        methods[f"r{name}"] = _swapped(function)
    methods.update(_COMPARISONS)
    for name, function in methods.items():
        setattr(Arithmetic, f"__{name}__", _method(function))


def _method(function: Any) -> Any:
    return lambda self, *others: function(self, *others)


def _item(x: Any, key: Any) -> Value:
    return arrays.getitem(as_value(x), key)
