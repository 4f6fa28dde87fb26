"""What every layer is: named weights and a function of values."""

from __future__ import annotations

import re
import weakref
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, Self

from chainrule import dtypes, ops, regularizers
from chainrule.errors import MissingMethodError
from chainrule.graph import Value, placeholder, scope, trail
from chainrule.graph.calls import Calls, at_hand
from chainrule.graph.symbol import filled, is_symbolic, leaves
from chainrule.layers import arguments, masks
from chainrule.layers.arguments import Arguments, batchless, items, takes_training
from chainrule.layers.made import Made, checking, marking, put_out, remembering
from chainrule.layers.symbolic import Call, arranged, connect, open_shape, sized
from chainrule.layers.weights import Weighted, multiplier

Shape = tuple[int | None, ...]

registry: dict[str, type[Layer]] = {}
_taken: Counter[str] = Counter()


def automatic(cls: type) -> str:
    """Return ``dense``, ``dense_1``, ... for the layers of a class in the order they are made: the
    names that Keras gives them."""
    base = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", cls.__name__)
    return numbered(re.sub(r"([a-z])([A-Z])", r"\1_\2", base).lower())


def numbered(base: str) -> str:
    """Return a name that no other layer was given: `base`, ``base_1``, ..."""
    count = _taken[base]
    _taken[base] += 1
    return base if count == 0 else f"{base}_{count}"


class Layer(Weighted):
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
    recompute : bool, default False
        Whether training computes what is inside again for the backward pass, instead of keeping
        it: less memory, the same bits. Useful for a block of layers (a model within a model), of
        which then only the input is kept. As attribute, set it before `compile`.

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

    _made: Made | None = None
    on_host = False
    # What arrays are given to it in; by default in the layer's own dtype.
    input_dtype: str | None = None
    takes_many = False
    # Whether `build` does nothing but try `call` with one input.
    built_by_call = False
    # Whether a list of arrays is one of several inputs: for a `call` of the user's.
    takes_arrays = False
    # Whether the mask of the inputs is known to be, or to give, that of the outputs.
    supports_masking = False

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "compute_mask" in vars(cls) and "supports_masking" not in vars(cls):
            cls.supports_masking = True
        own = not cls.__module__.startswith("chainrule.")
        if not own and not cls.__name__.startswith("_"):
            registry[cls.__name__] = cls
        if "__init__" in vars(cls):
            wrapped = (remembering if own else checking)(cls.__init__)
            cls.__init__ = wrapped  # type: ignore[method-assign]
        if "build" in vars(cls):
            cls.build = marking(cls.build)  # type: ignore[method-assign]
        if "call" in vars(cls):
            cls.takes_arrays = own

    def __init__(
        self,
        name: str | None = None,
        trainable: bool = True,
        dtype: str | None = None,
        input_shape: Sequence[int] | None = None,
        activity_regularizer: Any = None,
        learning_rate_multiplier: float = 1.0,
        recompute: bool = False,
    ) -> None:
        self.name = name or automatic(type(self))
        self._trainable = bool(trainable)
        self.dtype = dtypes.name_of(dtype or dtypes.floatx())
        self.built = False
        self.input_shape_given = None if input_shape is None else tuple(input_shape)
        self._added = []
        self._calls = Calls()
        self._forms: dict[Any, Calls] = {}
        self._symbolic: list[weakref.ref[Call]] = []
        self.activity_regularizer = regularizers.get(activity_regularizer)
        self._multiplier = multiplier(learning_rate_multiplier)
        self.recompute = bool(recompute)

    # What a subclass writes.

    def build(self, input_shape: Any) -> None:
        """Make the weights for inputs of this shape, whose first axis is the batch's (None).

        Where `call` takes several arguments, `build` may ask for the shape of each by name:
        ``build(self, query_shape, value_shape)`` for ``call(self, query, value)``.
        """

    def call(self, x: Any, training: bool = False) -> Any:
        """Return the layer's function of x."""
        raise MissingMethodError(f"{type(self).__name__} has no call: write call(self, x)")

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """Return the mask of the outputs (truths [n, t], for several outputs a list), or None.

        By default it is that of the inputs, `previous_mask`: asked for where the layer has set
        `supports_masking`, or has written this method. A `call` with an argument `mask` is given
        the mask of its inputs.
        """
        return previous_mask

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again.

        A class of your own whose arguments are plain data need not write it.

        Raises
        ------
        MissingMethodError
            Where its arguments are not plain data.
        """
        config = {"name": self.name, "trainable": self.trainable, "dtype": self.dtype}
        if self.input_shape_given is not None:
            config["input_shape"] = list(self.input_shape_given)
        if self.activity_regularizer is not None:
            config["activity_regularizer"] = regularizers.serialize(self.activity_regularizer)
        if self.learning_rate_multiplier != 1.0:
            config["learning_rate_multiplier"] = self.learning_rate_multiplier
        if self.recompute:
            config["recompute"] = True
        if type(self).get_config is not Layer.get_config:
            return config
        return config if self._made is None else self._made.config(self, config)

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Return a layer with these arguments."""
        return cls(**config)

    # What it offers.

    def __call__(
        self, inputs: Any = None, *more: Any, training: bool | None = None, **named: Any
    ) -> Any:
        """Return the layer's output for values or arrays, building the layer the first time.

        Several inputs come in a list, tuple or dict; a `call` that takes more than one argument is
        given them in order or by name. For symbols a symbol is returned.
        """
        if more or named:
            return self._with(Arguments(self, inputs, more, named), training)
        known = self._calls.again(inputs, training)
        if known is not None:
            return known
        given = inputs
        if not isinstance(inputs, Value) and not self.on_host:
            if is_symbolic(inputs):
                return connect(self, inputs, training)
            inputs = arranged(inputs, self._several(inputs), self._value)
        if not self.built:
            self.build_for(arguments.shapes_of(inputs))
        chosen = scope.training() if training is None else training
        if isinstance(inputs, Value) and at_hand(inputs, made=True):
            call = partial(self._called, training=chosen)
            return self._calls.run(call, (inputs,), chosen, (given, training))
        return arguments.run(self, (inputs, (), {}), chosen)

    def _several(self, inputs: Any) -> bool:
        """Return whether a list is one of several inputs, though no value stands in it."""
        return self.takes_many or (
            self.takes_arrays and all(getattr(x, "ndim", 0) for x in leaves(inputs))
        )

    def _value(self, inputs: Any) -> Value:
        return ops.as_value(arguments.numbers(inputs), self.input_dtype or self.dtype)

    def _with(self, given: Arguments, training: bool | None) -> Any:
        """Return the output for several arguments."""
        training = given.training if training is None else training
        if is_symbolic(list(given.all)):
            return connect(self, given.first, training, given.more, given.named)
        first, more, named = given.all
        if not isinstance(first, Value):
            given.first = first = arranged(first, self._several(first), self._value)
        given.more, given.named = arguments.further((more, named), self.dtype)
        if not self.built:
            arguments.built(self, given)
        chosen = scope.training() if training is None else training
        return arguments.run(self, given.all, chosen)

    def _called(
        self,
        inputs: Any,
        training: bool,
        more: Sequence[Any] = (),
        named: Mapping[str, Any] | None = None,
    ) -> Any:
        options, mask = masks.given(self, inputs, more, named or {})
        if takes_training(type(self).call):
            options["training"] = training
        again = self.recompute
        with scope.enter(self.label, again), scope.blame(self.label), scope.mode(training):
            outputs = arguments.returned(self.call(inputs, *more, **options), self.label)
            if self.activity_regularizer is not None:
                self._penalize(self.activity_regularizer, outputs)
            masks.pass_on(self, inputs, outputs, mask)
            trail.number_outputs(items(outputs))
            return outputs

    def _penalize(self, regularizer: Callable[[Value], Value], outputs: Any) -> None:
        """Add the penalty of each output, a sample's share of it, to the loss."""
        for y in items(outputs):
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

    def build_for(self, input_shape: Any = None, **shapes: Any) -> None:
        """Make the weights once, for inputs of this shape, or for arguments by the names that
        `build` calls them by."""
        if not self.built:
            given = () if shapes else (input_shape,)
            arguments.check_shapes(self, given, shapes)
            with scope.blame(self.label), scope.apart():
                self.build(*given, **shapes)
            self.built = True

    @property
    def input(self) -> Any:
        """The symbol, or list or dict of symbols, that the layer was called with.

        Raises
        ------
        GraphError
            Where it was called with symbols never, or more than once.
        """
        return put_out(self, inputs=True)

    @property
    def output(self) -> Any:
        """The symbol, or list of symbols, that the layer put out when called with symbols.

        Raises
        ------
        GraphError
            Where it was called with symbols never, or more than once.
        """
        return put_out(self, inputs=False)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shape of the output for inputs of this shape; None stays None in front.

        Shapes of several inputs or outputs stand in a list.
        """
        many = not all(n is None or isinstance(n, int) for n in input_shape)
        shapes = [tuple(s) for s in input_shape] if many else [tuple(input_shape)]
        self.build_for(shapes if many else shapes[0])
        found = []
        for batch in (1, 2) if any(None in s[1:] for s in shapes) else (1,):
            probes = [placeholder(sized(s, batch), self.dtype, "x") for s in shapes]
            with scope.tracing(None, False, probe=True):
                found.append(self(probes if many else probes[0]))
        pairs = zip(leaves(found[0]), leaves(found[-1]), strict=True)
        return filled(found[0], (batchless(open_shape(one, two)) for one, two in pairs))

    def __repr__(self) -> str:
        return f"<{self.label}>"


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
