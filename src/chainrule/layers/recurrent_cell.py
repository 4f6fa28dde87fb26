"""What the cells of recurrent layers share: weights, activations, and dropout that is drawn once
for all steps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

from chainrule import activations, constraints, initializers, ops, regularizers
from chainrule.errors import ArgumentError, ShapeError
from chainrule.graph import Value
from chainrule.graph.symbol import filled, leaves
from chainrule.layers.arguments import takes_training
from chainrule.layers.base import Layer, Shape
from chainrule.layers.regularization import _Random, checked_rate
from chainrule.ops.fused import ACTIVATIONS

RULES = (
    *(f"{what}_initializer" for what in ("kernel", "recurrent", "bias")),
    *(f"{what}_regularizer" for what in ("kernel", "recurrent", "bias")),
    *(f"{what}_constraint" for what in ("kernel", "recurrent", "bias")),
)
RATES = ("dropout", "recurrent_dropout", "seed")


class _Cell(_Random):
    """One step of a recurrent layer, of `units` units with several `gates`.

    A subclass says in `weigh` how large the bias is, and what `call` makes of a step.
    """

    gates: ClassVar[int] = 1

    def __init__(
        self,
        units: int,
        activation: str | Callable[[Any], Any] | None,
        use_bias: bool,
        *,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        **options: Any,
    ) -> None:
        super().__init__(seed=seed, **options)
        if isinstance(units, bool) or not isinstance(units, int) or units < 1:
            raise ArgumentError(f"units is {units!r}; expected an integer of at least 1")
        self.units = units
        self.activation = activations.get(activation)
        self.use_bias = bool(use_bias)
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.recurrent_initializer = initializers.get(recurrent_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.recurrent_regularizer = regularizers.get(recurrent_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        self.recurrent_constraint = constraints.get(recurrent_constraint)
        self.bias_constraint = constraints.get(bias_constraint)
        self.dropout = checked_rate(dropout)
        self.recurrent_dropout = checked_rate(recurrent_dropout)
        self.state_size: Any = units
        self.output_size = units

    def detail(self) -> str:
        """Return the number of units."""
        return f"{self.units} unit{'s' if self.units != 1 else ''}"

    @property
    def fusible(self) -> bool:
        """Whether the operations over whole sequences know the activations."""
        return known(self.activation)

    def bias_shape(self) -> tuple[int, ...]:
        """Return the shape of the bias."""
        return (self.gates * self.units,)

    def first_bias(self) -> Callable[..., Any]:
        """Return what the bias is made by."""
        made: Callable[..., Any] = self.bias_initializer
        return made

    def kernel_shapes(self, input_shape: Shape) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Return the shapes of the kernel of the inputs and of that of the state."""
        width = input_shape[-1] if len(input_shape) == 2 else None
        if width is None:
            raise ShapeError(f"a step must have the shape [n, k], not {list(input_shape)}")
        columns = self.gates * self.units
        return (width, columns), (self.units, columns)

    def build(self, input_shape: Shape) -> None:
        """Make the kernels of the inputs and of the state, and the bias."""
        of_inputs, of_state = self.kernel_shapes(input_shape)
        self.kernel = self.add_weight(
            of_inputs,
            self.kernel_initializer,
            name="kernel",
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )
        self.recurrent_kernel = self.add_weight(
            of_state,
            self.recurrent_initializer,
            name="recurrent_kernel",
            regularizer=self.recurrent_regularizer,
            constraint=self.recurrent_constraint,
        )
        if self.use_bias:
            self.bias = self.add_weight(
                self.bias_shape(),
                self.first_bias(),
                name="bias",
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )

    def get_initial_state(self, batch_size: int) -> list[Value]:
        """Return zeros [n, m] for each state."""
        sizes = self.state_size if isinstance(self.state_size, list) else [self.state_size]
        return [ops.zeros((batch_size, size), self.dtype) for size in sizes]

    # Dropout: what is drawn for the first step holds for those after it.

    @contextmanager
    def steps(self) -> Iterator[None]:
        """Let all calls inside be steps of the same sequences: what they drop is drawn once."""
        self.__dict__["_drawn"] = {}  # no change that traces of loops by hand end at
        try:
            yield
        finally:
            del self.__dict__["_drawn"]

    def factor(self, of: str, like: Value, training: bool) -> Value | None:
        """Return what the inputs or the state [n, k] are multiplied by; None for nothing."""
        rate = self.dropout if of == "inputs" else self.recurrent_dropout
        if not training or rate == 0:
            return None
        drawn: dict[str, Value] = self.__dict__.get("_drawn", {})
        if of not in drawn:
            number = 0 if of == "inputs" else 1
            uniform = self.draw(ops.random.uniform, like, number=number)
            stays = ops.greater_equal(uniform, rate)
            drawn[of] = ops.where(stays, ops.full(like.shape, 1.0 / (1.0 - rate), like.dtype), 0.0)
        return drawn[of]

    def dropped(self, x: Value, training: bool) -> Value:
        """Return inputs [n, k], or sequences [n, t, k], without what is dropped of them."""
        first = x if x.ndim == 2 else ops.zeros((x.shape[0], x.shape[2]), x.dtype)
        factor = self.factor("inputs", first, training)
        if factor is None:
            return x
        return ops.multiply(x, factor if x.ndim == 2 else ops.expand_dims(factor, 1))

    def of_inputs(self, x: Value, bias: Any = None) -> Value:
        """Return ``x W + b`` of inputs [n, k] or sequences [n, t, k]."""
        k, columns = self.kernel.shape
        if x.shape[-1] != k:
            raise ShapeError(
                f"axis `k` is {x.shape[-1]} in x but {k} in the kernel.\n"
                f"  x      : {list(x.shape)}\n"
                f"  kernel : [k={k}, {columns}]   {self.kernel.name!r}\n"
                f"  fix    : the layer was built for steps of {k} features; pass such"
            )
        given = self.bias if bias is None and self.use_bias else bias
        if given is None:
            given = ops.zeros((columns,), self.dtype)
        flat = x if x.ndim == 2 else ops.reshape(x, (x.shape[0] * x.shape[1], k))
        y = ops.dense(flat, self.kernel, given)
        return y if x.ndim == 2 else ops.reshape(y, (*x.shape[:2], columns))

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this cell again."""
        rules = {
            **{f"{n}_initializer": initializers.serialize for n in ("kernel", "recurrent", "bias")},
            **{f"{n}_regularizer": regularizers.serialize for n in ("kernel", "recurrent", "bias")},
            **{f"{n}_constraint": constraints.serialize for n in ("kernel", "recurrent", "bias")},
        }
        return {
            **super().get_config(),
            "units": self.units,
            "activation": activations.serialize(self.activation),
            "use_bias": self.use_bias,
            **{name: describe(getattr(self, name)) for name, describe in rules.items()},
            "dropout": self.dropout,
            "recurrent_dropout": self.recurrent_dropout,
        }


class _Gated(_Cell):
    """A cell with gates that have an activation of their own."""

    def __init__(
        self,
        units: int,
        activation: str | Callable[[Any], Any] | None,
        recurrent_activation: str | Callable[[Any], Any] | None,
        use_bias: bool,
        **options: Any,
    ) -> None:
        super().__init__(units, activation, use_bias, **options)
        self.recurrent_activation = activations.get(recurrent_activation)

    @property
    def fusible(self) -> bool:
        """Whether the operations over whole sequences know the activations."""
        return known(self.activation) and known(self.recurrent_activation)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this cell again."""
        gates = activations.serialize(self.recurrent_activation)
        return {**super().get_config(), "recurrent_activation": gates}


def known(activation: Any) -> bool:
    """Return whether an activation is one of those that the operations over sequences apply."""
    name = getattr(activation, "__name__", "")
    return name in ACTIVATIONS and activations.get(name) is activation


def one(states: Any) -> Value:
    """Return the first state, which may be given alone or in a list."""
    return ops.as_value(states[0] if isinstance(states, list | tuple) else states)


def checked_cell(cell: Any) -> Any:
    """Return a cell: what has ``call(x, states)`` and `state_size`.

    Raises
    ------
    ArgumentError
        For anything else.
    """
    if not hasattr(cell, "call") or not hasattr(cell, "state_size"):
        raise ArgumentError(
            f"a cell has call(x, states) and state_size, which {cell!r} has not: pass a layer of "
            "that kind, e.g. LSTMCell(64)"
        )
    return cell


def output_size_of(cell: Any) -> int:
    """Return the units of what a cell puts out."""
    size = getattr(cell, "output_size", None)
    return int(next(iter(leaves(cell.state_size))) if size is None else size)


def first_states(cell: Any, n: int, dtype: str) -> Any:
    """Return the states that n sequences begin with: what the cell gives, or zeros."""
    given = getattr(cell, "get_initial_state", None)
    if given is not None:
        return given(batch_size=n)
    zeros = (ops.zeros((n, size), dtype) for size in leaves(cell.state_size))
    return filled(cell.state_size, zeros)


def stepped(cell: Any, x: Value, states: list[Any], training: bool) -> tuple[Value, list[Any]]:
    """Return the output of a cell and its new states, in a list."""
    call: Callable[..., Any] = type(cell).call
    asks = isinstance(cell, Layer) and takes_training(call)
    run = cell if callable(cell) else cell.call
    y, new = run(x, states, **({"training": training} if asks else {}))
    return y, list(new) if isinstance(new, list | tuple) else [new]
