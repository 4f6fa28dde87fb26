"""A plain stack of layers."""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Mapping, Sequence
from itertools import takewhile
from typing import Any

import numpy as np

from chainrule.data.arrays import as_array
from chainrule.dtypes import Array
from chainrule.errors import ArgumentError
from chainrule.graph import Value, scope
from chainrule.graph.symbol import Symbol, is_symbolic
from chainrule.layers import InputLayer, Layer, deserialize, serialize, sharing
from chainrule.layers.masks import put_on
from chainrule.layers.symbolic import connect
from chainrule.models.model import Model, Shape


class Sequential(Model):
    """``y = layer_k(... layer_2(layer_1(x)))``: each layer takes what the one before put out.

    Parameters
    ----------
    layers : iterable of Layer, optional
        In order. With `Input` first (or ``input_shape`` given to the first layer) the weights are
        made at once, else when the first data come.
    name : str, optional
        Shown in the summary.
    recompute : bool, default False
        Whether training keeps only the input of this model, where it is a block of another, and
        computes what is inside again for the backward pass: less memory, the same bits.

    Raises
    ------
    ShapeError
        Where a layer does not fit what the one before puts out.
    ArgumentError
        For something that is not a layer, or two layers of one name.

    Examples
    --------
    >>> from chainrule.layers import Dense, Input
    >>> from chainrule.models import Sequential
    >>> model = Sequential([Input((4,)), Dense(8, activation="relu"), Dense(3)])
    >>> model.count_params(), model.output_shape
    (67, (None, 3))
    """

    takes_forms = False

    def __init__(
        self,
        layers: Iterable[Layer | Symbol] | None = None,
        name: str | None = None,
        recompute: bool = False,
    ) -> None:
        super().__init__(name=name, recompute=recompute)
        self._stack: list[Layer] = []
        self._given: Shape | None = None
        self._raw: Shape | None = None
        self._symbols: list[Symbol] = []
        for layer in layers or ():
            self.add(layer)

    @property
    def layers(self) -> list[Layer]:
        """The layers, in order."""
        return list(self._stack)

    def sublayers(self) -> list[Layer]:
        """The layers, in order."""
        return list(self._stack)

    def add(self, layer: Layer | Symbol) -> None:
        """Put a layer on top.

        Raises
        ------
        ShapeError
            Where it does not fit what the one before puts out; the stack stays as it was.
        ArgumentError
            For something that is not a layer, or a name that is taken.
        """
        if isinstance(layer, Symbol) and isinstance(layer.call.layer, InputLayer):
            layer = layer.call.layer  # what Input returns
        layer = self._checked(layer)
        if isinstance(layer, InputLayer):
            self._given = (None, *layer.shape)
            return
        given = getattr(layer, "input_shape_given", None)
        if not self._stack and given is not None and self._given is None:
            self._given = (None, *given)
        if self._given is not None:
            self._push(layer, self._output_shape or self._given)
        self._stack.append(layer)
        layer.__dict__["_home"] = weakref.ref(self)

    def _checked(self, layer: object) -> Layer:
        if not isinstance(layer, Layer):
            raise ArgumentError(f"a Sequential is made of layers, not of {layer!r}")
        if isinstance(layer, InputLayer) and (self._stack or self._given is not None):
            raise ArgumentError("Input must be the first layer of a Sequential")
        if any(layer.name == other.name for other in self._stack):
            raise ArgumentError(f"two layers are called {layer.name!r}; give them other names")
        return layer

    def pop(self) -> Layer:
        """Take the last layer off and return it.

        Raises
        ------
        ArgumentError
            Where there is none.
        """
        if not self._stack:
            raise ArgumentError("there is no layer to take off")
        layer = self._stack.pop()
        if len(self._symbols) > len(self._stack) + 1:
            self._symbols.pop()
            layer._symbolic.pop()
        self._shapes.pop(layer.name, None)
        last = self._shapes.get(self._stack[-1].name) if self._stack else None
        self._output_shape = last
        self.built = last is not None
        return layer

    def build(self, input_shape: Sequence[int | None]) -> None:
        """Make the weights of all layers for inputs of this shape; the first axis is the batch's.

        Raises
        ------
        ShapeError
            Where a layer does not fit what the one before puts out.
        """
        shape: Shape = (None, *input_shape[1:])
        self._given = shape
        self._shapes = {}
        for layer in self._stack:
            self._push(layer, shape)
            shape = self._shapes[layer.name]

    def _push(self, layer: Layer, shape: Shape) -> None:
        """Build one layer for inputs of this shape, and note what it puts out."""
        if not layer.built:
            layer.build_for(shape)
        out = tuple(layer.compute_output_shape(shape))
        if _unfinished(layer):  # a class of the user's that says its shape without a call
            out = tuple(Layer.compute_output_shape(layer, shape))
        self._shapes[layer.name] = out
        self._input_shape, self._output_shape, self.built = self._given, out, True

    def __call__(
        self, inputs: Any = None, *more: Any, training: bool | None = None, **named: Any
    ) -> Any:
        """Return what the last layer puts out for values, or for arrays as users have them."""
        if training is not False and self._augments() and not is_symbolic(inputs):
            for layer in self._stack:
                inputs = layer(inputs, training=True)
            return inputs
        known = None if more or named else self._calls.again(inputs, training)
        if known is not None:
            return known
        if is_symbolic(inputs) and self._host():
            return connect(self._host()[0], inputs)  # which says why it cannot
        if not isinstance(inputs, Value) and self._host():
            inputs = self._value(self._preprocessed(inputs))
        return super().__call__(inputs, *more, training=training, **named)

    def call(self, inputs: Any, training: bool = False, mask: Any = None) -> Any:
        """Return what the last layer puts out for the output of the layers on the host, which may
        have a mask."""
        put_on(inputs, mask)
        for layer in self._stack[len(self._host()) :]:
            inputs = layer(inputs, training=training)
        return inputs

    def _augments(self) -> bool:
        """Return whether it is called by itself, and is nothing but layers that change images."""
        if not any(getattr(layer, "augments", False) for layer in self._stack):
            return False
        return scope.idle() and not scope.path() and not self.variables

    def _host(self) -> list[Layer]:
        """Return the first layers that run on arrays before the step: look-ups of text."""
        return list(takewhile(lambda layer: getattr(layer, "on_host", False), self._stack))

    def _preprocessed(self, x: Any) -> Any:
        host = self._host()
        if host and hasattr(host[0], "raw"):
            x = host[0].raw(x)
        elif not (host and getattr(host[0], "takes_tables", False)):
            x = as_array(x, "x")
        if host:
            self._raw = (None, *np.shape(x)[1:])
            for layer in host:
                x = np.asarray(layer(x))
        return x

    def _build_for(self, x: Array) -> None:
        if not self.built:
            self.build(self._raw if self._host() and self._raw else (None, *x.shape[1:]))

    def graph(self) -> list[Symbol]:
        """Return the symbols of the input and of what each layer puts out.

        Raises
        ------
        NotBuiltError
            Where the shape of the input is not known yet.
        """
        if not self._symbols:
            shape, name = self.input_shape[1:], f"{self.name}_input"
            self._symbols = [InputLayer(shape, name, self.dtype).symbol()]
        for layer in self._stack[len(self._symbols) - 1 :]:
            self._symbols.append(layer(self._symbols[-1]))
        return self._symbols

    @property
    def inputs(self) -> list[Symbol]:
        """The symbol that stands for the data given to the model, in a list."""
        return self.graph()[:1]

    @property
    def outputs(self) -> list[Symbol]:
        """The symbol that the last layer puts out, in a list."""
        return self.graph()[-1:]

    @property
    def input(self) -> Symbol:
        """The symbol that stands for the data given to the model."""
        return self.graph()[0]

    @property
    def output(self) -> Symbol:
        """The symbol that the last layer puts out."""
        return self.graph()[-1]

    @property
    def input_dtype(self) -> str | None:  # type: ignore[override]
        """What the first layer of the step is given arrays in."""
        first = self._stack[len(self._host()) :][:1]
        return first[0].input_dtype or first[0].dtype if first else None

    def step_shape(self) -> Shape:
        """Return the shape of what the step takes: the output of the layers on the host."""
        host = self._host()
        return self._shapes[host[-1].name] if host else self.input_shape

    def get_config(self) -> dict[str, Any]:
        """Return what `from_config` makes the same stack of, without its weights."""
        given = None if self._given is None else list(self._given)
        with sharing():
            stack = [serialize(layer) for layer in self._stack]
        again = {"recompute": True} if self.recompute else {}
        return {"name": self.name, "input_shape": given, "layers": stack, **again}

    @classmethod
    def from_config(
        cls,
        config: Mapping[str, Any],
        custom_objects: Mapping[str, type[Layer]] | None = None,
    ) -> Sequential:
        """Return the stack that `get_config` described; `custom_objects` are your own layers."""
        with sharing():
            layers = [deserialize(c, custom_objects) for c in config["layers"]]
        model = cls(layers, name=config["name"])
        model.recompute = bool(config.get("recompute", False))
        if not model.built and config["input_shape"] is not None:
            model.build(config["input_shape"])
        return model


def _unfinished(layer: Layer) -> bool:
    """Return whether layers inside have still to be built, which calls do."""
    return any(not inner.built or _unfinished(inner) for inner in layer.sublayers())
