"""Normalizations without a mean taken off: by the root mean square, by the length."""

from __future__ import annotations

from typing import Any

from chainrule import ops
from chainrule.graph import Value
from chainrule.layers.base import Layer, Shape
from chainrule.layers.norm_base import (
    Axis,
    above_zero,
    as_rows,
    axes_of,
    check_sizes,
    checked_axis,
    from_rows,
    plain_axis,
)
from chainrule.ops.normalization import normalize_rows


class RMSNormalization(Layer):
    """``y = scale x / sqrt(mean(x^2) + epsilon)``, for each sample over `axis`.

    Shapes: x and y [n, ...]; scale has the sizes of `axis`.

    Parameters
    ----------
    axis : int or sequence of int, default -1
        The axes over which the mean is taken.
    epsilon : float > 0, default 1e-6
        Added to the mean square.
    **options
        See `Layer`.

    Raises
    ------
    ArgumentError
        For an epsilon that is not above 0.
    ShapeError
        Where an axis is the batch's, or there is none of that number.

    Examples
    --------
    >>> from chainrule.layers import RMSNormalization
    >>> print(RMSNormalization()([[1.0, -7.0]]).numpy().round(4))
    [[ 0.2 -1.4]]

    Notes
    -----
    Source: Zhang and Sennrich, arXiv 1910.07467, equation 4, with an epsilon.
    """

    supports_masking = True

    def __init__(self, axis: Axis = -1, epsilon: float = 1e-6, **options: Any) -> None:
        super().__init__(**options)
        self.axis, self.epsilon = checked_axis(axis), above_zero("epsilon", epsilon)

    def build(self, input_shape: Shape) -> None:
        """Make the scale."""
        sizes = tuple(input_shape[a] or 0 for a in axes_of(self.axis, input_shape))
        self.scale = self.add_weight(sizes, "ones", name="scale")

    def call(self, x: Value, training: bool = False) -> Value:
        """Return the normalized x."""
        x = ops.cast(x, self.dtype)
        axes = axes_of(self.axis, x.shape)
        check_sizes(x, axes, self.scale.shape)
        flat, order = as_rows(x, axes)
        width = flat.shape[1]
        scale, zero = ops.reshape(self.scale, (width,)), ops.zeros((width,), self.dtype)
        y = normalize_rows(flat, scale, zero, epsilon=self.epsilon, center=False)
        return from_rows(y, x, order)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        return {**super().get_config(), "axis": plain_axis(self.axis), "epsilon": self.epsilon}


class UnitNormalization(Layer):
    """``y = x / |x|``, the length taken for each sample over `axis`; 0 stays 0.

    Parameters
    ----------
    axis : int or sequence of int, default -1
        The axes over which the length is taken.
    **options
        See `Layer`.

    Raises
    ------
    ShapeError
        Where an axis is the batch's, or there is none of that number.

    Examples
    --------
    >>> from chainrule.layers import UnitNormalization
    >>> print(UnitNormalization()([[3.0, 4.0]]).numpy().round(4))
    [[0.6 0.8]]
    """

    supports_masking = True

    def __init__(self, axis: Axis = -1, **options: Any) -> None:
        super().__init__(**options)
        self.axis = checked_axis(axis)

    def call(self, x: Value, training: bool = False) -> Value:
        """Return x with length 1."""
        x = ops.cast(x, self.dtype)
        squares = ops.sum(ops.square(x), axis=axes_of(self.axis, x.shape), keepdims=True)
        return ops.multiply(x, ops.rsqrt(ops.maximum(squares, 1e-24)))

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        return {**super().get_config(), "axis": plain_axis(self.axis)}
