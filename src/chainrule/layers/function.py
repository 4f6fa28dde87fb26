"""Functions as layers: the user's own, and operations applied to symbols."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from chainrule import activations
from chainrule.errors import ArgumentError, FileError
from chainrule.graph.symbol import Symbol
from chainrule.layers.base import Layer, numbered
from chainrule.layers.symbolic import check_plain, connect, decoded, encoded, function_of
from chainrule.ops import symbolic


class Lambda(Layer):
    """``y = function(x, **arguments)``, written in `chainrule.ops`.

    Parameters
    ----------
    function : callable
        Of one value, or of a list of values where the layer is called with several. It should
        hold no weights: those of a `Layer` of your own are trained and saved.
    arguments : mapping, optional
        Passed to it by name.
    mask : callable or array_like, optional
        The mask of the output, or a function ``mask(x, mask_of_x)`` that returns it. By default
        the output has none.
    **options
        See `Layer`.

    Raises
    ------
    FileError
        When a model is saved whose function is code of your own: a file holds none. Functions of
        `ops` and `activations` are saved by their names.

    Examples
    --------
    >>> from chainrule.layers import Lambda
    >>> Lambda(lambda x: 2 * x)([[1.0, 2.0]]).numpy().tolist()
    [[2.0, 4.0]]
    """

    def __init__(
        self,
        function: str | Callable[..., Any],
        arguments: Mapping[str, Any] | None = None,
        mask: Any = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.mask, self.supports_masking = mask, mask is not None
        self.function = _named(function) if isinstance(function, str) else function
        if not callable(self.function):
            raise ArgumentError(f"Lambda takes a function, not {function!r}")
        self.arguments = dict(arguments or {})

    def detail(self) -> str:
        """Return the function's name."""
        return getattr(self.function, "__name__", "")

    def call(self, x: Any, training: bool = False) -> Any:
        """Return ``function(x, **arguments)``."""
        return self.function(x, **self.arguments)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """Return the mask that was given, or what the function returns that was."""
        return self.mask(inputs, previous_mask) if callable(self.mask) else self.mask

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        if self.mask is not None:
            raise FileError(f"{self.label} has a mask of your own, which a file cannot hold")
        return {
            **super().get_config(),
            "function": self._name(),
            "arguments": self.arguments,
        }

    def _name(self) -> str:
        """Return the name of the function, which must be one of chainrule's."""
        name = self.detail()
        original = getattr(self.function, "__wrapped__", self.function)
        if symbolic.FUNCTIONS.get(name) is original:
            return name
        try:
            return activations.serialize(self.function)
        except ArgumentError:
            raise FileError(
                f"{self.label} holds code of your own, which a file cannot hold.\n"
                "  fix: make it a subclass of Layer and give its class to load_model as "
                "custom_objects, or use save_weights"
            ) from None


def _named(name: str) -> Callable[..., Any]:
    return symbolic.FUNCTIONS[name] if name in symbolic.FUNCTIONS else activations.get(name)


class Operation(Layer):
    """An operation of `chainrule.ops` in a model's graph; made where one is applied to symbols.

    Parameters
    ----------
    function : str
        The operation's name.
    args, kwargs : list and dict of plain data
        Its arguments, with ``{"symbol": i}`` in the place of input number i.
    **options
        See `Layer`.

    Examples
    --------
    >>> from chainrule import ops
    >>> from chainrule.layers import Input
    >>> ops.relu(Input((4,))).shape
    (None, 4)
    """

    takes_many = True
    supports_masking = True

    def __init__(
        self, function: str, args: list[Any], kwargs: dict[str, Any], **options: Any
    ) -> None:
        super().__init__(**options)
        self.function = function
        self.args = args
        self.kwargs = kwargs
        self._run = function_of(function)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> None:
        """Return None: what an operation makes of steps nobody knows."""

    def detail(self) -> str:
        """Return the operation's name."""
        return self.function

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Return what the operation makes of the inputs."""
        args = decoded(self.args, inputs)
        kwargs = {name: decoded(x, inputs) for name, x in self.kwargs.items()}
        return self._run(*args, **kwargs)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        check_plain([self.args, list(self.kwargs.values())], self.label)
        own = {"function": self.function, "args": self.args, "kwargs": self.kwargs}
        return {**super().get_config(), **own}


def record(name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """Return the symbols of an operation applied to symbols."""
    inputs: list[Any] = []
    held = [encoded(x, inputs) for x in args]
    named = {key: encoded(x, inputs) for key, x in kwargs.items()}
    return connect(Operation(name, held, named, name=numbered(name)), inputs)


Symbol.record = staticmethod(record)
