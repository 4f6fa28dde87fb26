"""What normalization layers share: axes, rows to be normalized, gamma and beta."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from chainrule import constraints, initializers, ops, regularizers
from chainrule.errors import ArgumentError, ShapeError
from chainrule.graph import Value, Variable
from chainrule.layers.base import Layer, Shape

Axis = int | Sequence[int]


def axes_of(axis: Axis, shape: Shape) -> tuple[int, ...]:
    """Return the axes counted from the front, in order; none of them the batch's."""
    given = (axis,) if isinstance(axis, int) else tuple(axis)
    ndim = len(shape)
    axes = sorted({a % ndim for a in given if -ndim <= a < ndim})
    if len(axes) != len(given) or not axes or 0 in axes:
        raise ShapeError(
            f"axis {axis!r} does not name axes of a sample of shape {list(shape[1:])}: "
            f"they are 1 to {ndim - 1}, or -1 to {1 - ndim}"
        )
    return tuple(axes)


def checked_axis(axis: Any) -> Axis:
    """Return the axis, or the axes as a tuple."""
    many = isinstance(axis, list | tuple)
    for a in axis if many else (axis,):
        if isinstance(a, bool) or not isinstance(a, int):
            raise ArgumentError(f"axis is {axis!r}; expected a whole number or several")
    return tuple(axis) if many else int(axis)


def plain_axis(axis: Axis) -> Any:
    """Return the axis, or the axes as a list, for a configuration."""
    return axis if isinstance(axis, int) else list(axis)


def with_last(x: Value, axis: int) -> tuple[Value, tuple[int, ...]]:
    """Return x with `axis` as its last, and the order in which its axes now stand."""
    order = (*(i for i in range(x.ndim) if i != axis), axis)
    return (x if axis == x.ndim - 1 else ops.transpose(x, order)), order


def as_rows(x: Value, axes: Sequence[int]) -> tuple[Value, tuple[int, ...]]:
    """Return x as rows of the elements along `axes`, and the order in which its axes now stand."""
    order = (*(i for i in range(x.ndim) if i not in axes), *axes)
    moved = x if order == tuple(range(x.ndim)) else ops.transpose(x, order)
    rows = math.prod(x.shape[i] for i in order[: x.ndim - len(axes)])
    return ops.reshape(moved, (rows, math.prod(x.shape[i] for i in axes))), order


def from_rows(y: Value, x: Value, order: tuple[int, ...]) -> Value:
    """Return the rows in the shape of x."""
    moved = ops.reshape(y, [x.shape[i] for i in order])
    if order == tuple(range(x.ndim)):
        return moved
    return ops.transpose(moved, [order.index(i) for i in range(x.ndim)])


class _Normalizing(Layer):
    """A normalization whose result is multiplied by `gamma` and moved by `beta`."""

    supports_masking = True

    def __init__(
        self,
        *,
        epsilon: float,
        center: bool,
        scale: bool,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.epsilon = above_zero("epsilon", epsilon)
        self.center, self.scale = bool(center), bool(scale)
        self.beta_initializer = initializers.get(beta_initializer)
        self.gamma_initializer = initializers.get(gamma_initializer)
        self.beta_regularizer = regularizers.get(beta_regularizer)
        self.gamma_regularizer = regularizers.get(gamma_regularizer)
        self.beta_constraint = constraints.get(beta_constraint)
        self.gamma_constraint = constraints.get(gamma_constraint)
        self.gamma: Variable | None = None
        self.beta: Variable | None = None

    def _make(self, shape: Sequence[int | None]) -> None:
        """Make gamma and beta, as far as they are wanted."""
        sizes = tuple(n or 0 for n in shape)
        if self.scale:
            self.gamma = self.add_weight(
                sizes,
                self.gamma_initializer,
                name="gamma",
                regularizer=self.gamma_regularizer,
                constraint=self.gamma_constraint,
            )
        if self.center:
            self.beta = self.add_weight(
                sizes,
                self.beta_initializer,
                name="beta",
                regularizer=self.beta_regularizer,
                constraint=self.beta_constraint,
            )

    def _affine(self, width: int) -> tuple[Value, Value]:
        """Return gamma and beta as vectors; 1 and 0 where there is none."""
        gamma = ops.ones((width,), self.dtype) if self.gamma is None else self.gamma
        beta = ops.zeros((width,), self.dtype) if self.beta is None else self.beta
        return ops.reshape(gamma, (width,)), ops.reshape(beta, (width,))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return the input's shape."""
        self.build_for(input_shape)
        return tuple(input_shape)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        return {
            **super().get_config(),
            "epsilon": self.epsilon,
            "center": self.center,
            "scale": self.scale,
            "beta_initializer": initializers.serialize(self.beta_initializer),
            "gamma_initializer": initializers.serialize(self.gamma_initializer),
            "beta_regularizer": regularizers.serialize(self.beta_regularizer),
            "gamma_regularizer": regularizers.serialize(self.gamma_regularizer),
            "beta_constraint": constraints.serialize(self.beta_constraint),
            "gamma_constraint": constraints.serialize(self.gamma_constraint),
        }


def above_zero(name: str, value: Any) -> float:
    """Return an argument that must be above 0."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        raise ArgumentError(f"{name} is {value!r}; expected a number above 0")
    return float(value)


def check_sizes(x: Value, axes: Sequence[int], built: Sequence[int]) -> None:
    """Raise where x has other sizes along the axes than the layer was built for."""
    sizes = tuple(x.shape[a] for a in axes)
    if sizes != tuple(built):
        raise ShapeError(
            f"x has shape {list(x.shape)}, but the layer was built for {list(built)} along "
            f"axis {axes[0] if len(axes) == 1 else list(axes)}"
        )


def counting(mask: Any, x: Value, axis: int) -> Value | None:
    """Return 1 for the elements of x that its mask lets count and 0 for others, with `axis` last.

    Raises
    ------
    ShapeError
        For a mask that is not of all axes of x but the last.
    """
    if mask is None:
        return None
    given = ops.as_value(mask)
    if given.shape != x.shape[:-1]:
        raise ShapeError(
            f"the mask has shape {list(given.shape)}; expected {list(x.shape[:-1])}, that of x "
            "without its last axis"
        )
    spread = ops.broadcast_to(ops.expand_dims(given, -1), x.shape)
    return with_last(ops.cast(spread, x.dtype), axis)[0]


def moments(x: Value, counts: Value) -> tuple[Value, Value]:
    """Return mean and variance over all axes but the last of the elements that count; 0 of none."""
    axes = range(x.ndim - 1)
    total = ops.maximum(ops.sum(counts, axis=axes), 1.0)
    mean = ops.divide(ops.sum(ops.multiply(counts, x), axis=axes), total)
    squares = ops.multiply(counts, ops.square(ops.subtract(x, mean)))
    return mean, ops.divide(ops.sum(squares, axis=axes), total)
