"""Operations on symbols: noted down, to be done when the model runs."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from types import FunctionType
from typing import Any

from chainrule.errors import GraphError
from chainrule.graph.symbol import Symbol, is_symbolic
from chainrule.ops import indexing

Function = Callable[..., Any]

# The operations that a model's graph, and so its file, can name.
FUNCTIONS: dict[str, Function] = {"getitem": indexing.getitem}

_OPERATORS = {
    "add": "add",
    "sub": "subtract",
    "mul": "multiply",
    "truediv": "divide",
    "floordiv": "floor_divide",
    "mod": "mod",
    "pow": "power",
    "matmul": "matmul",
    "lt": "less",
    "le": "less_equal",
    "gt": "greater",
    "ge": "greater_equal",
}
_KNOWN: dict[str, Function] = {"shape": lambda x: x.shape, "ndim": lambda x: x.ndim}


def install(room: dict[str, Any], names: Sequence[str]) -> None:
    """Let the functions of these names in `room` take symbols, and give symbols the operators."""
    for name in names:
        if isinstance(room[name], FunctionType):
            FUNCTIONS[name] = room[name]
            room[name] = _noting(name, room[name])
    for method, name in _OPERATORS.items():
        setattr(Symbol, f"__{method}__", _operator(name))
        setattr(Symbol, f"__r{method}__", _operator(name, swapped=True))
    for method, name in {"eq": "equal", "ne": "not_equal"}.items():
        setattr(Symbol, f"__{method}__", _comparison(name))
    for method, name in {"neg": "negative", "abs": "abs", "getitem": "getitem"}.items():
        setattr(Symbol, f"__{method}__", _operator(name))
    setattr(Symbol, "__iter__", _rows)  # noqa: B010 - else mypy takes it for a method of Symbol


def _noting(name: str, function: Function) -> Function:
    """Return the function for values, which notes itself down where it is given symbols."""

    @functools.wraps(function)
    def either(*args: Any, **kwargs: Any) -> Any:
        for x in args:
            if is_symbolic(x):
                return _record(name, args, kwargs)
        if kwargs and is_symbolic(kwargs):
            return _record(name, args, kwargs)
        return function(*args, **kwargs)

    return either


def _record(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if name in _KNOWN:
        return _KNOWN[name](*args, **kwargs)
    if Symbol.record is None:
        raise GraphError("no layers are loaded: import chainrule.layers")
    return Symbol.record(name, args, kwargs)


def _operator(name: str, swapped: bool = False) -> Function:
    if swapped:
        return lambda self, other: _record(name, (other, self), {})
    return lambda self, *others: _record(name, (self, *others), {})


def _comparison(name: str) -> Function:
    """Return the operator, which leaves to Python what is no number: None, text."""
    plain = _operator(name)
    return lambda self, x: NotImplemented if x is None or isinstance(x, str) else plain(self, x)


def _rows(x: Symbol) -> Any:
    raise GraphError(f"{x!r} cannot be taken apart: the size of the batch is not known yet")
