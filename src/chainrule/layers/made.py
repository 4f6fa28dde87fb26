"""What a layer was made with, and what it was called with when graphs were made."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.errors import GraphError, MissingMethodError, unknown_name
from chainrule.graph.symbol import filled

if TYPE_CHECKING:
    from chainrule.layers.base import Layer


class Made:
    """The arguments that the class of a layer was called with; layers in them are not found as
    attributes of the layer."""

    __slots__ = ("args", "options")

    def __init__(self, args: Sequence[Any], options: Mapping[str, Any]) -> None:
        self.args = args
        self.options = options

    def config(self, layer: Layer, common: Mapping[str, Any]) -> dict[str, Any]:
        """Return the arguments by name, and those common to all layers as far as the class takes
        them.

        Raises
        ------
        MissingMethodError
            Where they are not plain data.
        """
        signature = inspect.signature(type(layer))
        given = dict(signature.bind(*self.args, **self.options).arguments)
        open_ = [p for p in signature.parameters.values() if p.kind == p.VAR_KEYWORD]
        for p in open_:
            given |= given.pop(p.name, {})
        if not all(is_plain(x) for x in given.values()):
            raise MissingMethodError(
                f"{layer.label} was made with arguments that are no plain data: write its "
                "get_config(self), which returns what from_config(config) makes it again of"
            )
        known = set(signature.parameters)
        return {**{k: v for k, v in common.items() if open_ or k in known}, **given}


def remembering(make: Callable[..., None]) -> Callable[..., None]:
    """Return an ``__init__`` of a class of the user's that notes down what it is given."""

    @functools.wraps(make)
    def init(self: Layer, *args: Any, **options: Any) -> None:
        outermost = "_made" not in self.__dict__
        self.__dict__.setdefault("_made", Made(args, options))
        make(self, *args, **options)
        if outermost and "_added" not in self.__dict__:
            raise GraphError(f"{type(self).__name__}.__init__ must call super().__init__()")

    return init


def checking(make: Callable[..., None]) -> Callable[..., None]:
    """Return an ``__init__`` of a layer of the package that takes numbers of NumPy for Python's,
    and says which arguments there are where one does not exist."""

    @functools.wraps(make)
    def init(self: Layer, *args: Any, **options: Any) -> None:
        try:
            make(self, *map(_of_python, args), **{n: _of_python(x) for n, x in options.items()})
        except TypeError as error:
            unknown = re.search(r"unexpected keyword argument '(\w+)'", str(error))
            name = "" if unknown is None else unknown[1]
            if name not in options:
                raise
            found = [vars(kind).get("__init__") for kind in type(self).__mro__[:-1]]
            known = {n for each in found if each for n in inspect.signature(each).parameters}
            known -= {"self", "args", "options"}
            kind = f"argument of {type(self).__name__}"
            raise unknown_name(kind, name, known) from None

    return init


def _of_python(x: Any) -> Any:
    if isinstance(x, np.generic):
        return x.item()
    if isinstance(x, list | tuple) and any(isinstance(part, np.generic) for part in x):
        return type(x)([_of_python(part) for part in x])
    return x


def marking(build: Callable[..., None]) -> Callable[..., None]:
    """Return a `build` after which the layer is built, whoever called it."""

    @functools.wraps(build)
    def built(self: Layer, *shapes: Any, **named: Any) -> None:
        build(self, *shapes, **named)
        self.built = True

    return built


def is_plain(x: Any) -> bool:
    """Return whether x is what JSON can hold."""
    if isinstance(x, list | tuple):
        return all(is_plain(part) for part in x)
    if isinstance(x, Mapping):
        return all(isinstance(k, str) and is_plain(part) for k, part in x.items())
    return x is None or isinstance(x, bool | int | float | str)


def put_out(layer: Layer, inputs: bool) -> Any:
    """Return the symbols that a layer was given, or put out, in its only call with symbols.

    Raises
    ------
    GraphError
        Where there was none, or more than one.
    """
    what = "input" if inputs else "output"
    home = layer.__dict__.get("_home")
    if not layer._symbolic and home is not None and (model := home()) is not None:
        model.graph()  # a Sequential, which makes symbols when they are asked for
    calls = [call for ref in layer._symbolic if (call := ref()) is not None]
    if len(calls) != 1:
        count = "never" if not calls else f"{len(calls)} times"
        raise GraphError(
            f"{layer.label} has no {what} of its own: it was called with symbols {count}"
        )
    call = calls[0]
    if inputs and call.given is not None:
        return call.given
    return filled(call.form, iter(call.outputs))
