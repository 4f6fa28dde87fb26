"""What layers are called with: one value, several in a list or dict, or several arguments."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule import dtypes, ops
from chainrule.errors import ArgumentError
from chainrule.graph import Value, Variable, scope
from chainrule.graph.calls import Calls, at_hand
from chainrule.graph.symbol import Symbol, filled, leaves

if TYPE_CHECKING:
    from chainrule.layers.base import Layer

Shape = tuple[int | None, ...]
_MANY = 16  # forms of arguments that a layer remembers the traces of


@cache
def names_of(call: Callable[..., Any]) -> tuple[str, ...]:
    """Return the names of the arguments of a method, ``*`` and ``**`` among them as they are."""
    signs = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}
    parameters = list(inspect.signature(call).parameters.items())[1:]
    return tuple(next((s for k, s in signs.items() if k is p.kind), name) for name, p in parameters)


def takes_training(call: Callable[..., Any]) -> bool:
    """Return whether a layer's `call` asks whether it is training; a user's own need not."""
    names = names_of(call)
    return "training" in names or "**" in names


class Arguments:
    """The arguments of a call: the first, the others in order, and those by name.

    `training` is taken out, wherever it stood.
    """

    def __init__(
        self, layer: Layer, inputs: Any, more: Sequence[Any], named: Mapping[str, Any]
    ) -> None:
        names, self.named = names_of(type(layer).call), dict(named)
        args = list(more) if inputs is None and names[0] in named else [inputs, *more]
        if "training" in names[: len(args)] and "*" not in names:
            self.named |= zip(names, args, strict=False)
            args = [] if names[0] == "training" else args[: names.index("training")]
            self.named = {k: v for k, v in self.named.items() if k not in names[: len(args)]}
        self.training: bool | None = self.named.pop("training", None)
        if not args:
            args = [self.named.pop(names[0])] if names and names[0] in self.named else [inputs]
        self._check(layer, args)
        self.first, self.more = args[0], tuple(args[1:])

    def _check(self, layer: Layer, args: list[Any]) -> None:
        try:
            inspect.signature(type(layer).call).bind(layer, *args, **self.named)
        except TypeError as error:
            takes = ", ".join(names_of(type(layer).call))
            raise ArgumentError(f"{layer.label}: {error}; its call takes ({takes})") from None

    def by_name(self, layer: Layer) -> dict[str, Any]:
        """Return all arguments by their names."""
        given = zip(names_of(type(layer).call), (self.first, *self.more), strict=False)
        return {**dict(given), **self.named}

    @property
    def all(self) -> tuple[Any, tuple[Any, ...], dict[str, Any]]:
        """The three, which lists, tuples and dicts of values may stand in."""
        return self.first, self.more, self.named


def further(x: Any, dtype: str) -> Any:
    """Return arrays and variables among further arguments as values, all else as it is."""
    if isinstance(x, list | tuple):
        return type(x)([further(part, dtype) for part in x])
    if isinstance(x, dict):
        return {name: further(part, dtype) for name, part in x.items()}
    if isinstance(x, Variable) or (hasattr(x, "__array__") and not isinstance(x, Value | Symbol)):
        x = ops.as_value(x)
        return ops.cast(x, dtype) if dtypes.is_float(x.dtype) else x
    return x


def run(layer: Layer, arguments: tuple[Any, ...], training: bool) -> Any:
    """Return what the layer makes of these arguments.

    Loops written by hand trace a call once for each form of the arguments (their lists and dicts,
    and what in them is no value) as they do for one value.
    """
    values = [x for x in leaves(arguments) if isinstance(x, Value)]
    calls = _calls(layer, arguments) if values and at_hand(*values, made=True) else None
    if calls is None:
        first, more, named = arguments
        return layer._called(first, training, more, named)

    def call(*found: Value) -> Any:
        rest = iter(found)
        parts = (next(rest) if isinstance(x, Value) else x for x in leaves(arguments))
        first, more, named = filled(arguments, parts)
        return layer._called(first, training, more, named)

    result = calls.run(call, values, training)
    layer._calls.penalties = calls.penalties
    return result


def _calls(layer: Layer, arguments: Any) -> Calls | None:
    """Return the traces for arguments of this form; ``None`` for what cannot be told apart."""
    if isinstance(arguments[0], Value) and not (arguments[1] or arguments[2]):
        return layer._calls
    rest = tuple(None if isinstance(x, Value) else (type(x).__name__, x) for x in leaves(arguments))
    key = (repr(filled(arguments, itertools.repeat(None))), rest)
    known: dict[Any, Calls] = layer._forms
    try:
        found = known.get(key)
    except TypeError:  # something that has no hash
        return None
    if found is None:
        if len(known) >= _MANY:
            known.clear()
        found = known[key] = Calls()
    return found


def built(layer: Layer, arguments: Arguments) -> None:
    """Build the layer for the shapes of its arguments: all that its `build` asks for by name, as
    ``query_shape``, or that of the first."""
    if layer.built_by_call and (arguments.more or arguments.named):
        layer.built = True  # the layers inside build themselves in the call that follows
        return
    wanted = names_of(type(layer).build)
    shapes = {
        f"{name}_shape": shapes_of(x)
        for name, x in arguments.by_name(layer).items()
        if (parts := list(leaves(x))) and all(isinstance(p, Value | Symbol) for p in parts)
    }
    if len(wanted) > 1 or f"{next(iter(shapes), '')}" in wanted:
        layer.build_for(**{n: s for n, s in shapes.items() if n in wanted or "**" in wanted})
    else:
        layer.build_for(shapes_of(arguments.first))


def check_shapes(layer: Layer, given: Sequence[Any], named: Mapping[str, Any]) -> None:
    """Raise where a layer's `build` asks for the shapes of more arguments than were given."""
    try:
        inspect.signature(layer.build).bind(*given, **named)
    except TypeError:
        asked = [n for n in names_of(type(layer).build) if n not in ("*", "**")]
        inputs = [name.removesuffix("_shape") for name in asked]
        raise ArgumentError(
            f"{layer.label} is called with {len(given) + len(named)} input of these: "
            f"{', '.join(inputs)}.\n"
            f"  fix: call it with several, e.g. y = layer({', '.join(['x'] * 2)}) in a Model of "
            "Inputs and outputs; a Sequential hands each layer one"
        ) from None


def shapes_of(inputs: Any) -> Any:
    """Return the shape of the inputs, that of the batch ``None``; of several, in their form."""
    if isinstance(inputs, list | tuple | dict):
        return filled(inputs, (batchless(x.shape) for x in leaves(inputs)))
    return batchless(inputs.shape)


def batchless(shape: Sequence[int | None]) -> Shape:
    """Return a shape with ``None`` for the batch."""
    return (None, *shape[1:])


def returned(outputs: Any, label: str) -> Any:
    """Return what a `call` returned, settled; raise where that is nothing."""
    if outputs is None:
        raise ArgumentError(f"{label} returned nothing.\n  fix: end its call with 'return ...'")
    return settled(outputs)


def settled(outputs: Any) -> Any:
    """Return outputs, variables as their values at this place of the step."""
    if isinstance(outputs, Variable):
        return scope.current(outputs)
    if isinstance(outputs, list | tuple) and any(isinstance(y, Variable) for y in outputs):
        return type(outputs)([settled(y) for y in outputs])
    return outputs


def items(value: Any) -> Iterator[Any]:
    """Yield what stands in lists, tuples and dicts within each other."""
    if isinstance(value, list | tuple):
        for item in value:
            yield from items(item)
    elif isinstance(value, dict):
        yield from items(list(value.values()))
    else:
        yield value


def numbers(inputs: Any) -> Any:
    """Return inputs as an array of numbers; variables as they are."""
    try:
        array = np.asarray(inputs) if not isinstance(inputs, Variable) else inputs
    except ValueError:
        raise ArgumentError("a layer takes an array, not rows of several sizes") from None
    if isinstance(array, np.ndarray) and array.dtype.kind not in "fiub":
        raise ArgumentError(f"a layer takes numbers, not an array of {array.dtype}")
    return array
