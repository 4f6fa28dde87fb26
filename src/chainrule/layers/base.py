"""What every layer is: named weights and a function of values."""

from __future__ import annotations

import inspect
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache, partial
from typing import Any, Self

import numpy as np

from chainrule import constraints, dtypes, initializers, ops, regularizers
from chainrule.dtypes import Array
from chainrule.errors import ArgumentError, NotBuiltError, ShapeError
from chainrule.graph import Value, Variable, placeholder, scope
from chainrule.graph.calls import Calls, Watched, at_hand
from chainrule.graph.symbol import filled, is_symbolic, leaves
from chainrule.layers import budget
from chainrule.layers.symbolic import arranged, connect

Shape = tuple[int | None, ...]

registry: dict[str, type[Layer]] = {}
_taken: Counter[str] = Counter()


def _automatic(cls: type) -> str:
    """Return ``dense``, ``dense_1``, ... for the layers of a class in the order they are made."""
    base = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", cls.__name__).lower()
    return numbered(re.sub(r"(?<=[A-Z])(?=[A-Z][a-z])", "_", base))


def numbered(base: str) -> str:
    """Return a name that no other layer was given: `base`, ``base_1``, ..."""
    count = _taken[base]
    _taken[base] += 1
    return base if count == 0 else f"{base}_{count}"


class Layer(Watched):
    """A function of values with weights of its own; a subclass writes `build` and `call`.

    Parameters
    ----------
    name : str, optional
        By default the class's name in snake case, numbered.
    trainable : bool, default True
        Whether training moves the weights.
    dtype : {"float32", "float64"}, optional
        The dtype of weights and inputs; by default `floatx()` when the layer is made.
    input_shape : tuple of int, optional
        The shape of one sample, for the first layer of a `Sequential`.
    activity_regularizer : str, Regularizer or callable, optional
        Its penalty for the layer's output, divided by the batch size, is added to the loss.
    learning_rate_multiplier : float, default 1.0
        At least 0: the share of the learning rate that the weights have.

    Examples
    --------
    >>> from chainrule import layers
    >>> class Scale(layers.Layer):
    ...     def build(self, input_shape):
    ...         self.factor = self.add_weight((input_shape[-1],), "ones", name="factor")
    ...     def call(self, x, training=False):
    ...         return x * self.factor
    >>> Scale()([[1.0, 2.0]]).numpy().tolist()
    [[1.0, 2.0]]
    """

    on_host = False
    takes_many = False

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if not cls.__name__.startswith("_") and cls.__module__.startswith("chainrule."):
            registry[cls.__name__] = cls

    def __init__(
        self,
        name: str | None = None,
        trainable: bool = True,
        dtype: str | None = None,
        input_shape: Sequence[int] | None = None,
        activity_regularizer: Any = None,
        learning_rate_multiplier: float = 1.0,
    ) -> None:
        self.name = name or _automatic(type(self))
        self.trainable = trainable
        self.dtype = dtypes.name_of(dtype or dtypes.floatx())
        self.built = False
        self.input_shape_given = None if input_shape is None else tuple(input_shape)
        self._own: list[Variable] = []
        self._calls = Calls()
        self.activity_regularizer = regularizers.get(activity_regularizer)
        self._multiplier = _multiplier(learning_rate_multiplier)

    # What a subclass writes.

    def build(self, input_shape: Shape) -> None:
        """Make the weights for inputs of this shape, whose first axis is the batch's (None)."""

    def call(self, x: Any, training: bool = False) -> Any:
        """Return the layer's function of x."""
        raise NotImplementedError(f"{type(self).__name__} has no call")

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        config: dict[str, Any] = {"name": self.name, "dtype": self.dtype}
        if not self.trainable:
            config["trainable"] = False
        if self.input_shape_given is not None:
            config["input_shape"] = list(self.input_shape_given)
        if self.activity_regularizer is not None:
            config["activity_regularizer"] = regularizers.serialize(self.activity_regularizer)
        if self.learning_rate_multiplier != 1.0:
            config["learning_rate_multiplier"] = self.learning_rate_multiplier
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Return a layer with these arguments."""
        return cls(**config)

    # What it offers.

    @property
    def label(self) -> str:
        """The layer as errors name it, e.g. ``layer 'hidden' (Dense, 8 units)``."""
        detail = self.detail()
        return f"layer {self.name!r} ({type(self).__name__}{', ' + detail if detail else ''})"

    def detail(self) -> str:
        """Return what tells this layer from others of its class, e.g. ``8 units``."""
        return ""

    def __call__(self, inputs: Any, training: bool | None = None) -> Any:
        """Return the layer's output for values or arrays, building the layer the first time.

        Several inputs come in a list, tuple or dict; for symbols a symbol is returned.
        """
        if not isinstance(inputs, Value) and not self.on_host:
            if is_symbolic(inputs):
                return connect(self, inputs, training)
            inputs = arranged(inputs, self.takes_many, self._value)
        if not self.built:
            self.build_for(_shapes(inputs))
        chosen = scope.training() if training is None else training
        if isinstance(inputs, Value) and at_hand(inputs):
            return self._calls.run(partial(self._called, training=chosen), (inputs,), chosen)
        return self._called(inputs, chosen)

    def _value(self, inputs: Any) -> Value:
        return ops.as_value(_numbers(inputs), self.dtype)

    def _called(self, inputs: Any, training: bool) -> Any:
        with scope.enter(self.label), scope.blame(self.label):
            if not _takes_training(type(self).call):
                outputs = self.call(inputs)
            else:
                outputs = self.call(inputs, training=training)
            if self.activity_regularizer is not None:
                self._penalize(self.activity_regularizer, outputs)
            return outputs

    def _penalize(self, regularizer: Callable[[Value], Value], outputs: Any) -> None:
        """Add the penalty of each output, a sample's share of it, to the loss."""
        for y in _items(outputs):
            if isinstance(y, Value):
                rows = y.shape[0] if y.shape else 1
                self.add_loss(ops.divide(regularizer(y), float(max(rows, 1))))

    def add_loss(self, loss: Any) -> None:
        """Add a scalar, or the sum of an array, to the loss of the step: called within `call`.

        Examples
        --------
        >>> from chainrule import layers, ops
        >>> class Sparse(layers.Layer):
        ...     def call(self, x):
        ...         self.add_loss(0.01 * ops.mean(ops.abs(x)))
        ...         return x
        >>> Sparse()([[1.0]]).numpy().tolist()
        [[1.0]]
        """
        scope.penalize(ops.sum(loss))

    @property
    def losses(self) -> list[Value]:
        """What loops written by hand add to their loss: the penalties of the weights, and those of
        the outputs in the last call of this layer or model."""
        return [*self.regularization(), *self._calls.penalties]

    def regularization(self) -> list[Value]:
        """Return what the weights add to the loss: the penalty of each that training moves and
        that has a regularizer."""
        return [v.regularizer(v.leaf) for v in self.trainable_variables if v.regularizer]

    def build_for(self, input_shape: Shape) -> None:
        """Make the weights once, for inputs of this shape."""
        if not self.built:
            with scope.blame(self.label):
                self.build(input_shape)
            self.built = True

    def add_weight(
        self,
        shape: Sequence[int],
        initializer: Any = "glorot_uniform",
        name: str = "weight",
        trainable: bool = True,
        dtype: str | None = None,
        regularizer: Any = None,
        constraint: Any = None,
    ) -> Variable:
        """Return a new weight of this layer.

        Parameters
        ----------
        shape : sequence of int
        initializer : str, Initializer or callable, default "glorot_uniform"
        name : str
            Shown as ``layer.name``.
        trainable : bool, default True
        dtype : str, optional
            By default the layer's.
        regularizer : str, Regularizer or callable, optional
            Its penalty for the weight is added to the loss.
        constraint : str, Constraint or callable, optional
            Applied to the weight after each step of an optimizer.
        """
        kind = dtype or self.dtype
        budget.spend(tuple(shape), kind)
        first = initializers.get(initializer)(tuple(shape), kind)
        variable = Variable(first, name=f"{self.name}.{name}", trainable=trainable, dtype=kind)
        variable.regularizer = regularizers.get(regularizer)
        variable.constraint = constraints.get(constraint)
        variable.rate_multiplier = self.learning_rate_multiplier
        self._own.append(variable)
        return variable

    def sublayers(self) -> list[Layer]:
        """Return the layers held in attributes, also in lists and dicts, in the order assigned."""
        found: dict[int, Layer] = {}
        for value in vars(self).values():
            if not isinstance(value, Layer | list | tuple | dict):
                continue  # most attributes, and loops by hand come here in every step
            for item in _items(value):
                if isinstance(item, Layer) and item is not self:
                    found.setdefault(id(item), item)
        return list(found.values())

    @property
    def learning_rate_multiplier(self) -> float:
        """The share of the learning rate that the weights have; set it before `compile`."""
        return self._multiplier

    @learning_rate_multiplier.setter
    def learning_rate_multiplier(self, value: float) -> None:
        self._multiplier = _multiplier(value)
        for variable in self._own:
            variable.rate_multiplier = self._multiplier
        for layer in self.sublayers():
            layer.learning_rate_multiplier = value

    @property
    def variables(self) -> list[Variable]:
        """All variables of this layer and those inside it, each once."""
        found = {id(v): v for v in self._own}
        for layer in self.sublayers():
            found.update({id(v): v for v in layer.variables})
        return list(found.values())

    weights = variables

    @property
    def trainable_variables(self) -> list[Variable]:
        """The variables that training moves."""
        if not self.trainable:
            return []
        found = {id(v): v for v in self._own if v.trainable}
        for layer in self.sublayers():
            found.update({id(v): v for v in layer.trainable_variables})
        return list(found.values())

    trainable_weights = trainable_variables

    @property
    def non_trainable_variables(self) -> list[Variable]:
        """The variables that training leaves alone."""
        moved = {id(v) for v in self.trainable_variables}
        return [v for v in self.variables if id(v) not in moved]

    non_trainable_weights = non_trainable_variables

    def count_params(self) -> int:
        """Return the number of elements of all weights."""
        if not self.built:
            raise NotBuiltError(f"{self.label} has no weights yet: call it, or build(input_shape)")
        return sum(v.size for v in self.variables)

    def get_weights(self) -> list[Array]:
        """Return copies of the weights."""
        return [v.numpy() for v in self.variables]

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Set all weights, in the order of `get_weights`.

        Raises
        ------
        ShapeError
            For another number of arrays, or one of another shape; nothing is changed then.
        """
        variables = self.variables
        arrays = [np.asarray(w) for w in weights]
        if len(arrays) != len(variables):
            raise ShapeError(f"{self.label} has {len(variables)} weights, not {len(arrays)}")
        for v, a in zip(variables, arrays, strict=True):
            if v.shape != a.shape:
                raise ShapeError(
                    f"weight {v.name!r} has shape {list(v.shape)}, not {list(a.shape)}"
                )
        for v, a in zip(variables, arrays, strict=True):
            v.assign(a)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return the shape of the output for inputs of this shape; None stays None in front."""
        self.build_for(input_shape)
        x = placeholder([n or 1 for n in input_shape], self.dtype, "x")
        with scope.tracing(None, False):
            return _batchless(self(x).shape)

    def __repr__(self) -> str:
        return f"<{self.label}>"


@cache
def _takes_training(call: Callable[..., Any]) -> bool:
    """Return whether a layer's `call` asks whether it is training; a user's own need not."""
    parameters = inspect.signature(call).parameters
    return "training" in parameters or any(p.kind == p.VAR_KEYWORD for p in parameters.values())


def _shapes(inputs: Any) -> Any:
    """Return the shape of the inputs; of several, in their list, tuple or dict."""
    if isinstance(inputs, list | tuple | dict):
        return filled(inputs, (_batchless(x.shape) for x in leaves(inputs)))
    return _batchless(inputs.shape)


def _multiplier(value: Any) -> float:
    if not isinstance(value, int | float | np.number) or not 0.0 <= value < float("inf"):
        raise ArgumentError(f"a learning_rate_multiplier is at least 0, not {value!r}")
    return float(value)


def _batchless(shape: Sequence[int]) -> Shape:
    return (None, *shape[1:])


def _items(value: Any) -> Iterator[Any]:
    if isinstance(value, list | tuple):
        for item in value:
            yield from _items(item)
    elif isinstance(value, dict):
        yield from _items(list(value.values()))
    else:
        yield value


def _numbers(inputs: Any) -> Any:
    array = np.asarray(inputs) if not isinstance(inputs, Variable) else inputs
    if isinstance(array, np.ndarray) and array.dtype.kind not in "fiub":
        raise ArgumentError(f"a layer takes numbers, not an array of {array.dtype}")
    return array


@contextmanager
def fresh_names() -> Iterator[None]:
    """Number automatic names from the beginning inside, and go on as before afterwards."""
    kept = Counter(_taken)
    _taken.clear()
    try:
        yield
    finally:
        _taken.clear()
        _taken.update(kept)
