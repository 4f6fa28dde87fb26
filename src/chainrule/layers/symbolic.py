"""Calls of layers and operations with symbols, of which a model's graph is made."""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.errors import ArgumentError, GraphError
from chainrule.graph import Value, Variable, placeholder, scope
from chainrule.graph.symbol import Shape, Symbol, filled, leaves
from chainrule.ops import symbolic

if TYPE_CHECKING:
    from chainrule.layers.base import Layer

_numbers = itertools.count()
_OPEN = 32  # the size of an open axis of a sample while shapes are found out


@dataclass(eq=False)
class Call:
    """One call of a layer: what it was given (lists, tuples, dicts of symbols), and what it gave.

    `more` and `named` are the arguments behind the first, in which symbols stand among other
    things; `form` is the list or dict that the outputs stand in. `number` orders calls by when
    they were made; an input's call was given nothing.
    """

    layer: Layer
    given: Any
    training: bool | None = None
    outputs: list[Symbol] = field(default_factory=list)
    number: int = field(default_factory=lambda: next(_numbers))
    more: tuple[Any, ...] = ()
    named: Mapping[str, Any] = field(default_factory=dict)
    form: Any = None

    def inputs(self) -> list[Symbol]:
        """Return the symbols that the layer was given, in order."""
        if self.given is None:
            return []
        further = (x for x in leaves((self.more, self.named)) if isinstance(x, Symbol))
        return [*leaves(self.given), *further]

    def again(self, parts: Iterator[Any], training: bool | None, layer: Layer | None = None) -> Any:
        """Return what the layer, or another, makes of other things in the places of the symbols."""
        given = filled(self.given, parts)
        further = leaves((self.more, self.named))
        found = (next(parts) if isinstance(x, Symbol) else x for x in further)
        more, named = filled((self.more, self.named), found)
        return (layer or self.layer)(given, *more, training=training, **named)


def entry(layer: Layer, shape: Shape) -> Symbol:
    """Return the symbol that stands for the data given to a model."""
    call = Call(layer, None)
    symbol = Symbol(shape, layer.dtype, layer.name, call)
    call.outputs.append(symbol)
    layer._symbolic.append(weakref.ref(call))
    return symbol


def connect(
    layer: Layer,
    given: Any,
    training: bool | None = None,
    more: tuple[Any, ...] = (),
    named: Mapping[str, Any] | None = None,
) -> Any:
    """Return the symbols that the layer puts out for those given, building it the first time.

    Raises
    ------
    ShapeError
        Where the layer does not fit its inputs.
    GraphError
        For a layer that runs on arrays before the step, or values that are no symbols.
    """
    if layer.on_host:
        raise GraphError(
            f"{layer.label} works on arrays before the step, so it cannot stand within a graph.\n"
            "  fix: put it first in a Sequential, or apply it to the data before fit"
        )
    for part in leaves(given):
        if not isinstance(part, Symbol):
            raise GraphError(
                f"{layer.label} is given symbols together with {type(part).__name__}; "
                "make an Input of what comes from outside"
            )
    call = Call(layer, given, training, more=more, named=named or {})
    call.form = form = _traced(call, 1)
    ones, twos = list(leaves(form)), list(leaves(_traced(call, 2)))
    for i, (one, two) in enumerate(zip(ones, twos, strict=True)):
        call.outputs.append(Symbol(open_shape(one, two), one.dtype, layer.name, call, i))
    layer._symbolic.append(weakref.ref(call))
    return filled(form, iter(call.outputs))


def _traced(call: Call, batch: int) -> Any:
    """Return the values that the layer puts out for a batch of this size."""
    probes = [placeholder(sized(s.shape, batch), s.dtype, _origin(s)) for s in call.inputs()]
    with scope.tracing(None, training=False, probe=True):
        return call.again(iter(probes), call.training)


def sized(shape: Shape, batch: int) -> list[int]:
    """Return a shape with sizes in the place of what is open: long enough to be pooled."""
    given = [_OPEN * batch if n is None else n for n in shape[1:]]
    return [batch if n is None else n for n in shape[:1]] + given


def open_shape(one: Value, two: Value) -> Shape:
    """Return the shape of what came of two batches: what grew with them is open."""
    return tuple(n if n == m else None for n, m in zip(one.shape, two.shape, strict=True))


def _origin(symbol: Symbol) -> str:
    kind = "the input" if symbol.call.given is None else "the output of"
    return f"{kind} {symbol.name!r}"


def arranged(inputs: Any, many: bool, value: Callable[[Any], Value]) -> Any:
    """Return values, made by `value` of arrays; several in their list, tuple or dict.

    With `many`, a list is one of several inputs, else only where a value stands in it.
    """
    if isinstance(inputs, Value):
        return inputs
    if not isinstance(inputs, list | tuple | dict):
        return value(inputs)
    if isinstance(inputs, dict):
        return {name: arranged(x, False, value) for name, x in inputs.items()}
    if not many and not any(isinstance(x, Value) for x in leaves(inputs)):
        return value(inputs)
    return type(inputs)([arranged(x, False, value) for x in inputs])


def encoded(x: Any, symbols: list[Any]) -> Any:
    """Return arguments as plain data; symbols, noted in `symbols`, become their number there."""
    if isinstance(x, Symbol):
        symbols.append(x)
        return {"symbol": len(symbols) - 1}
    if isinstance(x, tuple | list):
        parts = [encoded(part, symbols) for part in x]
        return parts if isinstance(x, list) else {"tuple": parts}
    if isinstance(x, Mapping):
        return {"dict": {key: encoded(part, symbols) for key, part in x.items()}}
    if isinstance(x, slice):
        return {"slice": [x.start, x.stop, x.step]}
    if isinstance(x, np.ndarray | np.generic):
        return {"array": np.asarray(x).tolist(), "dtype": np.asarray(x).dtype.name}
    return {"ellipsis": True} if x is Ellipsis else x


def decoded(x: Any, symbols: list[Any]) -> Any:
    """Return what `encoded` was given, with these in the place of the symbols."""
    if isinstance(x, list):
        return [decoded(part, symbols) for part in x]
    if not isinstance(x, Mapping):
        return x
    kind: str
    held: Any
    kind, held = next(iter(x.items()), ("nothing", None))
    if kind == "symbol":
        return symbols[held]
    if kind == "tuple":
        return tuple(decoded(part, symbols) for part in held)
    if kind == "dict":
        return {key: decoded(part, symbols) for key, part in held.items()}
    if kind == "slice":
        return slice(*held)
    if kind == "array":
        if np.dtype(x["dtype"]).kind not in "fiub":
            raise ArgumentError(f"a graph's arguments cannot hold an array of {x['dtype']!r}")
        return np.array(held, x["dtype"])
    if kind != "ellipsis":
        raise ArgumentError(f"a graph's arguments cannot hold {dict(x)!r}")
    return Ellipsis


def plain(x: Any) -> Iterator[Any]:
    """Yield what in encoded arguments is no plain data, and so cannot be written down."""
    if isinstance(x, list):
        for part in x:
            yield from plain(part)
    elif isinstance(x, Mapping):
        for part in x.values():
            yield from plain(part)
    elif isinstance(x, Value | Variable) or not isinstance(x, bool | int | float | str | None):
        yield x


def check_plain(x: Any, label: str) -> None:
    """Raise where encoded arguments hold what a file cannot."""
    for thing in plain(x):
        raise ArgumentError(f"{label} holds {thing!r}, which a configuration cannot hold")


def function_of(name: str) -> symbolic.Function:
    """Return the operation of this name."""
    if name not in symbolic.FUNCTIONS:
        raise ArgumentError(f"there is no operation {name!r}")
    return symbolic.FUNCTIONS[name]
