"""Separable convolution layers: first over space within each channel, then over the channels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from chainrule import ops
from chainrule.graph import Value
from chainrule.layers.conv_base import Many, _Convolving, at_least_one, told


class _SeparableConv(_Convolving):
    """A depthwise convolution and one of 1 x 1."""

    together = True

    def __init__(
        self,
        filters: int,
        kernel_size: Many,
        strides: Many = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Many = 1,
        depth_multiplier: int = 1,
        activation: str | Callable[[Any], Any] | None = None,
        use_bias: bool = True,
        depthwise_initializer: Any = "glorot_uniform",
        pointwise_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        depthwise_regularizer: Any = None,
        pointwise_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        depthwise_constraint: Any = None,
        pointwise_constraint: Any = None,
        bias_constraint: Any = None,
        **options: Any,
    ) -> None:
        form = (kernel_size, strides, padding, data_format, dilation_rate, activation, use_bias)
        super().__init__(*form, activity_regularizer=activity_regularizer, **options)
        self.filters = at_least_one("filters", filters)
        self.depth_multiplier = at_least_one("depth_multiplier", depth_multiplier)
        depthwise = (depthwise_initializer, depthwise_regularizer, depthwise_constraint)
        pointwise = (pointwise_initializer, pointwise_regularizer, pointwise_constraint)
        self._rule("depthwise", *depthwise)
        self._rule("pointwise", *pointwise)
        self._rule("bias", bias_initializer, bias_regularizer, bias_constraint)

    def detail(self) -> str:
        """Return the number and size of the filters."""
        return told(self.filters, self.kernel_size)

    def _make(self, channels: int) -> int:
        q = self.depth_multiplier
        first, second = (*self.kernel_size, channels, q), (channels * q, self.filters)
        self.depthwise_kernel = self._weight("depthwise", first, "depthwise_kernel")
        self.pointwise_kernel = self._weight(
            "pointwise", (*[1] * self.rank, *second), "pointwise_kernel"
        )
        return self.filters

    def _convolved(self, x: Value) -> Value:
        kernels = (self.depthwise_kernel, self.pointwise_kernel)
        return ops.separable_conv(
            x, *kernels, self.strides, self.padding, dilation_rate=self.dilation_rate
        )

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        more = {"filters": self.filters, "depth_multiplier": self.depth_multiplier}
        return {**super().get_config(), **more}


class SeparableConv1D(_SeparableConv):
    """``y = activation(conv(depthwise_conv(x, depthwise_kernel), pointwise_kernel) + bias)``:
    over the times of sequences within each channel, then over the channels at each time.

    Shapes: x [n, t, c], depthwise_kernel [k, c, q], pointwise_kernel [1, c * q, m], bias [m],
    y [n, out, m], out as for `Conv1D`.

    Parameters
    ----------
    filters : int >= 1
        m, the number of channels put out.
    kernel_size : int
        k.
    **options
        All others are those of `SeparableConv2D`, with one number where it takes two.

    Raises
    ------
    ArgumentError, ShapeError
        As `SeparableConv2D`.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.layers import SeparableConv1D
    >>> SeparableConv1D(8, 3)(np.zeros((2, 16, 4))).shape
    (2, 14, 8)

    Notes
    -----
    Source: as `SeparableConv2D`.
    """

    rank = 1


class SeparableConv2D(_SeparableConv):
    """``y = activation(conv(depthwise_conv(x, depthwise_kernel), pointwise_kernel) + bias)``:
    over the places of images within each channel, then over the channels at each place.

    Shapes: x [n, h, w, c], depthwise_kernel [*k, c, q], pointwise_kernel [1, 1, c * q, m],
    bias [m], y [n, *out, m], out as for `Conv2D`.

    Parameters
    ----------
    filters : int >= 1
        m, the number of channels put out.
    kernel_size : int or pair of int
        k: height and width of the first kernel, at least 1.
    strides : int or pair of int, default 1
        Steps from one place of y to the next, at least 1.
    padding : {"valid", "same"}, default "valid"
        See `Conv2D`.
    data_format, activation, use_bias
        See `Conv2D`.
    dilation_rate : int or pair of int, default 1
        Steps from one place of the first kernel to the next, at least 1.
    depth_multiplier : int >= 1, default 1
        q, the number of channels that the first kernel makes of each.
    depthwise_initializer, depthwise_regularizer, depthwise_constraint
        Of the first kernel; "glorot_uniform" by default, and none.
    pointwise_initializer, pointwise_regularizer, pointwise_constraint
        Of the second kernel; "glorot_uniform" by default, and none.
    bias_initializer, bias_regularizer, activity_regularizer, bias_constraint
        See `Conv2D`.
    **options
        `name`, `trainable`, `dtype`, `input_shape`: see `Layer`.

    Raises
    ------
    ArgumentError
        For numbers below 1, or an unknown name.
    ShapeError
        For inputs of another number of axes or channels, or smaller than the kernel.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.layers import SeparableConv2D
    >>> layer = SeparableConv2D(16, 3, padding="same")
    >>> layer(np.zeros((2, 8, 8, 5))).shape
    (2, 8, 8, 16)
    >>> layer.count_params()
    141

    Notes
    -----
    Source: Chollet, "Xception", arXiv 1610.02357, section 1; there the order is the other, and an
    activation stands between.
    """

    rank = 2


SeparableConvolution1D, SeparableConvolution2D = SeparableConv1D, SeparableConv2D
