"""Layers that make one value of several."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

from chainrule import ops
from chainrule.errors import ArgumentError, ShapeError
from chainrule.graph import Value
from chainrule.layers import masks
from chainrule.layers.base import Layer


class Merge(Layer):
    """The base of layers that work element by element on a list of inputs.

    Inputs with fewer axes than others get axes of size 1 behind that of the batch; then shapes
    broadcast by NumPy's rule. Where all inputs have a mask, a step counts that counts in any.

    Parameters
    ----------
    **options
        See `Layer`.

    Examples
    --------
    >>> from chainrule.layers import Multiply
    >>> Multiply()([[[1.0, 2.0]], [[3.0, 4.0]]]).numpy().tolist()
    [[3.0, 8.0]]
    """

    takes_many = True

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Return the inputs made one."""
        return self.merge(_level(_several(inputs)))

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Value | None:
        """Return where a step counts in any of the inputs; None where one has no mask."""
        return masks.either(previous_mask)

    def merge(self, inputs: list[Value]) -> Value:
        """Return one value of several with as many axes each."""
        raise NotImplementedError(f"{type(self).__name__} must define merge")


def _several(inputs: Any, least: int = 1) -> list[Value]:
    """Return the inputs in a list."""
    if not isinstance(inputs, list | tuple) or len(inputs) < least:
        raise ArgumentError(f"expected a list of at least {least} inputs, not {inputs!r}")
    return list(inputs)


def _level(inputs: list[Value]) -> list[Value]:
    """Return the inputs with as many axes each."""
    most = max(x.ndim for x in inputs)
    levelled = []
    for x in inputs:
        extra = most - x.ndim
        shape = (*x.shape[:1], *[1] * extra, *x.shape[1:])
        levelled.append(ops.reshape(x, shape) if extra else x)
    return levelled


class Add(Merge):
    """``y = x_1 + x_2 + ...``.

    Shapes: each input [n, ...], all broadcast to one.

    Parameters
    ----------
    **options
        See `Layer`.

    Raises
    ------
    ShapeError
        For shapes that do not broadcast.

    Examples
    --------
    >>> from chainrule.layers import Add
    >>> Add()([[[1.0, 2.0]], [[3.0, 4.0]]]).numpy().tolist()
    [[4.0, 6.0]]
    """

    def merge(self, inputs: list[Value]) -> Value:
        """Return the sum."""
        return functools.reduce(ops.add, inputs)


class Subtract(Merge):
    """``y = x_1 - x_2``, of exactly two inputs.

    Shapes: each input [n, ...], both broadcast to one.

    Parameters
    ----------
    **options
        See `Layer`.

    Raises
    ------
    ArgumentError
        For another number of inputs.

    Examples
    --------
    >>> from chainrule.layers import Subtract
    >>> Subtract()([[[1.0, 2.0]], [[3.0, 5.0]]]).numpy().tolist()
    [[-2.0, -3.0]]
    """

    def merge(self, inputs: list[Value]) -> Value:
        """Return the difference."""
        if len(inputs) != 2:
            raise ArgumentError(f"Subtract takes 2 inputs, not {len(inputs)}")
        return ops.subtract(*inputs)


class Multiply(Merge):
    """``y = x_1 * x_2 * ...``, element by element.

    Shapes: each input [n, ...], all broadcast to one.

    Parameters
    ----------
    **options
        See `Layer`.

    Examples
    --------
    >>> from chainrule.layers import Multiply
    >>> Multiply()([[[1.0, 2.0]], [[3.0, 4.0]]]).numpy().tolist()
    [[3.0, 8.0]]
    """

    def merge(self, inputs: list[Value]) -> Value:
        """Return the product."""
        return masks.product(inputs)


class Average(Merge):
    """``y = (x_1 + x_2 + ... + x_k) / k``.

    Shapes: each input [n, ...], all broadcast to one.

    Parameters
    ----------
    **options
        See `Layer`.

    Examples
    --------
    >>> from chainrule.layers import Average
    >>> Average()([[[1.0, 2.0]], [[3.0, 4.0]]]).numpy().tolist()
    [[2.0, 3.0]]
    """

    def merge(self, inputs: list[Value]) -> Value:
        """Return the mean."""
        return ops.divide(functools.reduce(ops.add, inputs), len(inputs))


class Maximum(Merge):
    """``y = max(x_1, x_2, ...)``, element by element.

    Shapes: each input [n, ...], all broadcast to one.

    Parameters
    ----------
    **options
        See `Layer`.

    Examples
    --------
    >>> from chainrule.layers import Maximum
    >>> Maximum()([[[1.0, 5.0]], [[3.0, 4.0]]]).numpy().tolist()
    [[3.0, 5.0]]
    """

    def merge(self, inputs: list[Value]) -> Value:
        """Return the largest."""
        return masks.competing(ops.maximum, inputs)


class Minimum(Merge):
    """``y = min(x_1, x_2, ...)``, element by element.

    Shapes: each input [n, ...], all broadcast to one.

    Parameters
    ----------
    **options
        See `Layer`.

    Examples
    --------
    >>> from chainrule.layers import Minimum
    >>> Minimum()([[[1.0, 5.0]], [[3.0, 4.0]]]).numpy().tolist()
    [[1.0, 4.0]]
    """

    def merge(self, inputs: list[Value]) -> Value:
        """Return the smallest."""
        return masks.competing(ops.minimum, inputs)


class Concatenate(Layer):
    """The inputs one after the other along an axis.

    Shapes: inputs [n, ..., d_i, ...], equal but for the axis; y [n, ..., sum d_i, ...].

    Parameters
    ----------
    axis : int, default -1
        Not that of the batch, 0.
    **options
        See `Layer`.

    Raises
    ------
    ShapeError
        For inputs that differ in another axis.

    Examples
    --------
    >>> from chainrule.layers import Concatenate
    >>> Concatenate()([[[1.0, 2.0]], [[3.0]]]).numpy().tolist()
    [[1.0, 2.0, 3.0]]
    """

    takes_many = True

    def __init__(self, axis: int = -1, **options: Any) -> None:
        super().__init__(**options)
        if isinstance(axis, bool) or not isinstance(axis, int) or axis == 0:
            raise ArgumentError(f"axis is {axis!r}; expected an integer other than 0, the batch's")
        self.axis = axis

    def call(self, inputs: Any, training: bool = False) -> Value:
        """Return the inputs one after the other."""
        values = _several(inputs)
        self._check([list(x.shape) for x in values])
        return ops.concatenate(values, axis=self.axis)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Value | None:
        """Return the masks one after the other, if time is the axis, else where any is true."""
        return masks.joined(inputs, previous_mask, self.axis)

    def _check(self, shapes: list[list[int]]) -> None:
        ndim = len(shapes[0])
        if not -ndim < self.axis < ndim:
            raise ShapeError(f"axis {self.axis} is not one of the {ndim - 1} after the batch's")
        others = {tuple(s[: self.axis] + s[self.axis :][1:]) for s in shapes}
        if len(others) > 1 or len({len(s) for s in shapes}) > 1:
            told = ", ".join(map(str, shapes))
            raise ShapeError(
                f"inputs that are joined along axis {self.axis} must agree in the others, "
                f"but they are {told}"
            )

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        return {**super().get_config(), "axis": self.axis}


class Dot(Layer):
    """The inner products of two inputs over one axis of each, for each sample.

    Shapes: x [n, a, k, b], y [n, c, k, d], z [n, a, b, c, d], where a to d are any axes; [n, 1]
    where none is left.

    Parameters
    ----------
    axes : int or pair of int
        The axis of each input that is summed over; not that of the batch, 0.
    normalize : bool, default False
        Whether the inputs are divided by their length along that axis first: then the result is
        the cosine of the angle between them.
    **options
        See `Layer`.

    Raises
    ------
    ShapeError
        Where the axes differ in size.

    Examples
    --------
    >>> from chainrule.layers import Dot
    >>> Dot(axes=1)([[[1.0, 2.0]], [[3.0, 4.0]]]).numpy().tolist()
    [[11.0]]
    """

    takes_many = True

    def __init__(self, axes: int | Sequence[int], normalize: bool = False, **options: Any) -> None:
        super().__init__(**options)
        pair = [axes, axes] if isinstance(axes, int) else list(axes)
        if len(pair) != 2 or any(not isinstance(a, int) or a == 0 for a in pair):
            raise ArgumentError(f"axes is {axes!r}; expected one or two integers other than 0")
        self.axes = axes if isinstance(axes, int) else pair
        self.normalize = bool(normalize)
        self._pair = pair

    def call(self, inputs: Any, training: bool = False) -> Value:
        """Return the inner products."""
        values = _several(inputs, 2)
        if len(values) != 2:
            raise ArgumentError(f"Dot takes 2 inputs, not {len(values)}")
        x, y = (_last(v, a) for v, a in zip(values, self._pair, strict=True))
        if x.shape[-1] != y.shape[-1]:
            raise ShapeError(
                f"axes {self._pair} of the inputs have {x.shape[-1]} and {y.shape[-1]} elements; "
                f"they must be equal\n"
                f"  x : {list(values[0].shape)}\n  y : {list(values[1].shape)}"
            )
        if self.normalize:
            x, y = _of_length_one(x), _of_length_one(y)
        return _products(x, y)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> None:
        """Return None: the products have no steps."""

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        return {**super().get_config(), "axes": self.axes, "normalize": self.normalize}


def _last(x: Value, axis: int) -> Value:
    """Return x with this axis last."""
    if not -x.ndim < axis < x.ndim:
        raise ShapeError(f"axis {axis} is not one of the axes after the batch's: {list(x.shape)}")
    axis %= x.ndim
    order = [*(a for a in range(x.ndim) if a != axis), axis]
    return x if axis == x.ndim - 1 else ops.transpose(x, order)


def _of_length_one(x: Value) -> Value:
    """Return x over its length along the last axis; a length below 1e-12 counts as 1e-12."""
    square = ops.sum(ops.square(x), axis=-1, keepdims=True)
    return ops.multiply(x, ops.rsqrt(ops.maximum(square, 1e-24)))


def _products(x: Value, y: Value) -> Value:
    """Return the inner products over the last axes of both."""
    n, k = x.shape[0], x.shape[-1]
    rest = (*x.shape[1:-1], *y.shape[1:-1])
    left = ops.reshape(x, (n, math.prod(x.shape[1:-1]), k))
    right = ops.reshape(y, (n, math.prod(y.shape[1:-1]), k))
    return ops.reshape(ops.matmul(left, ops.swapaxes(right, 1, 2)), (n, *(rest or (1,))))


def add(inputs: Sequence[Any], **options: Any) -> Any:
    """``x_1 + x_2 + ...``: what ``Add(**options)(inputs)`` returns."""
    return Add(**options)(list(inputs))


def subtract(inputs: Sequence[Any], **options: Any) -> Any:
    """``x_1 - x_2``: what ``Subtract(**options)(inputs)`` returns."""
    return Subtract(**options)(list(inputs))


def multiply(inputs: Sequence[Any], **options: Any) -> Any:
    """``x_1 * x_2 * ...``: what ``Multiply(**options)(inputs)`` returns."""
    return Multiply(**options)(list(inputs))


def average(inputs: Sequence[Any], **options: Any) -> Any:
    """``(x_1 + ... + x_k) / k``: what ``Average(**options)(inputs)`` returns."""
    return Average(**options)(list(inputs))


def maximum(inputs: Sequence[Any], **options: Any) -> Any:
    """The largest, element by element: what ``Maximum(**options)(inputs)`` returns."""
    return Maximum(**options)(list(inputs))


def minimum(inputs: Sequence[Any], **options: Any) -> Any:
    """The smallest, element by element: what ``Minimum(**options)(inputs)`` returns."""
    return Minimum(**options)(list(inputs))


def concatenate(inputs: Sequence[Any], axis: int = -1, **options: Any) -> Any:
    """The inputs along an axis: what ``Concatenate(axis, **options)(inputs)`` returns."""
    return Concatenate(axis, **options)(list(inputs))


def dot(inputs: Sequence[Any], axes: int | Sequence[int] = -1, **options: Any) -> Any:
    """The inner products over `axes`: what ``Dot(axes, **options)(inputs)`` returns."""
    return Dot(axes, **options)(list(inputs))
