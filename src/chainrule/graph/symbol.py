"""Symbols: the values of a network that is still being put together, the batch's size open."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from chainrule.errors import GraphError
from chainrule.graph.arithmetic import Arithmetic

Shape = tuple[int | None, ...]

# Takes the name of an operation, its arguments and its keyword arguments; returns its symbols.
Record = Callable[[str, tuple[Any, ...], Mapping[str, Any]], Any]


class Symbol(Arithmetic):
    """A value that a model will compute, for a batch of any size.

    `Input` returns one; a layer called with symbols returns more, and so do operations. `call` is
    the call it came of, `index` its place among that call's outputs.
    """

    __slots__ = ("call", "dtype", "index", "name", "shape")
    __array_priority__ = 1000
    __array_ufunc__ = None

    # Set by the layers, which give operations a place in the graph.
    record: Record | None = None

    def __init__(self, shape: Shape, dtype: str, name: str, call: Any, index: int = 0) -> None:
        self.shape = shape
        self.dtype = dtype
        self.name = name
        self.call = call
        self.index = index

    @property
    def ndim(self) -> int:
        """The number of axes, that of the batch included."""
        return len(self.shape)

    def numpy(self) -> Any:
        """Raise: there are no elements yet."""
        raise GraphError(
            f"{self!r} has no elements: make a Model(inputs, outputs), and predict with it"
        )

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        return self.numpy()

    def __bool__(self) -> bool:
        return bool(self.numpy())

    def __repr__(self) -> str:
        return f"<Symbol {self.name!r} {list(self.shape)} {self.dtype}>"


def leaves(form: Any) -> Iterator[Any]:
    """Yield what stands in lists, tuples and dicts within each other, in order."""
    if isinstance(form, list | tuple):
        for part in form:
            yield from leaves(part)
    elif isinstance(form, Mapping):
        for part in form.values():
            yield from leaves(part)
    else:
        yield form


def filled(form: Any, parts: Iterator[Any]) -> Any:
    """Return the lists, tuples and dicts of `form` with other leaves in their places."""
    if isinstance(form, list):
        return [filled(part, parts) for part in form]
    if isinstance(form, tuple):
        return tuple(filled(part, parts) for part in form)
    if isinstance(form, Mapping):
        return {key: filled(part, parts) for key, part in form.items()}
    return next(parts)


def are_shapes(form: Any) -> bool:
    """Return whether this is a list or dict of shapes, and not one."""
    return isinstance(form, Mapping) or any(isinstance(part, Sequence) for part in form)


def shapes_in(form: Any) -> list[Shape]:
    """Return one shape, or those in lists, tuples and dicts, in a list."""
    if isinstance(form, tuple) and not any(isinstance(part, tuple | dict) for part in form):
        return [form]
    parts = form.values() if isinstance(form, Mapping) else form
    return [shape for part in parts for shape in shapes_in(part)]


def is_symbolic(form: Any) -> bool:
    """Return whether a symbol stands in these lists, tuples and dicts."""
    kind = type(form)
    if kind is Symbol:
        return True
    if kind is list or kind is tuple:
        return any(is_symbolic(part) for part in form)
    return kind is dict and any(is_symbolic(part) for part in form.values())
