"""Depthwise convolution layers: each channel by itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from chainrule import ops
from chainrule.graph import Value
from chainrule.layers.conv_base import Many, _Convolving, at_least_one
from chainrule.ops import space


class _DepthwiseConv(_Convolving):
    """A convolution within each channel."""

    together = True

    def __init__(
        self,
        kernel_size: Many,
        strides: Many = 1,
        padding: str = "valid",
        depth_multiplier: int = 1,
        data_format: str | None = None,
        dilation_rate: Many = 1,
        activation: str | Callable[[Any], Any] | None = None,
        use_bias: bool = True,
        depthwise_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        depthwise_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        depthwise_constraint: Any = None,
        bias_constraint: Any = None,
        **options: Any,
    ) -> None:
        form = (kernel_size, strides, padding, data_format, dilation_rate, activation, use_bias)
        super().__init__(*form, activity_regularizer=activity_regularizer, **options)
        self.depth_multiplier = at_least_one("depth_multiplier", depth_multiplier)
        rules = (depthwise_initializer, depthwise_regularizer, depthwise_constraint)
        self._rule("depthwise", *rules)
        self._rule("bias", bias_initializer, bias_regularizer, bias_constraint)

    def detail(self) -> str:
        """Return the size of the kernel."""
        return f"kernel of {space.times(self.kernel_size)}"

    def _make(self, channels: int) -> int:
        shape = (*self.kernel_size, channels, self.depth_multiplier)
        self.kernel = self._weight("depthwise", shape, "kernel")
        return channels * self.depth_multiplier

    def _convolved(self, x: Value) -> Value:
        return ops.depthwise_conv(
            x, self.kernel, self.strides, self.padding, dilation_rate=self.dilation_rate
        )

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        return {**super().get_config(), "depth_multiplier": self.depth_multiplier}


class DepthwiseConv1D(_DepthwiseConv):
    """``y[n, o, c * q + i] = activation(sum_k x[n, o * strides + k * dilation_rate - low, c] *
    kernel[k, c, i] + bias[c * q + i])``: a convolution over sequences, each channel by itself.

    Shapes: x [n, t, c], kernel [k, c, q], bias [c * q], y [n, out, c * q], out as for `Conv1D`.

    Parameters
    ----------
    kernel_size : int
        k.
    **options
        All others are those of `DepthwiseConv2D`, with one number where it takes two.

    Raises
    ------
    ArgumentError, ShapeError
        As `DepthwiseConv2D`.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.layers import DepthwiseConv1D
    >>> DepthwiseConv1D(3, depth_multiplier=2)(np.zeros((2, 16, 4))).shape
    (2, 14, 8)

    Notes
    -----
    Source: as `DepthwiseConv2D`.
    """

    rank = 1


class DepthwiseConv2D(_DepthwiseConv):
    """``y[n, o, c * q + i] = activation(sum_k x[n, o * strides + k * dilation_rate - low, c] *
    kernel[k, c, i] + bias[c * q + i])``: a convolution over images, each channel by itself.

    Shapes: x [n, h, w, c], kernel [*k, c, q], bias [c * q], y [n, *out, c * q], out as for
    `Conv2D`.

    Parameters
    ----------
    kernel_size : int or pair of int
        k: height and width of the kernel, at least 1.
    strides : int or pair of int, default 1
        Steps from one place of y to the next, at least 1.
    padding : {"valid", "same"}, default "valid"
        See `Conv2D`.
    depth_multiplier : int >= 1, default 1
        q, the number of channels that each channel of x gives.
    data_format, activation, use_bias
        See `Conv2D`.
    dilation_rate : int or pair of int, default 1
        Steps from one place of the kernel to the next, at least 1.
    depthwise_initializer, depthwise_regularizer, depthwise_constraint
        Of the kernel; "glorot_uniform" by default, and none.
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
    >>> from chainrule.layers import DepthwiseConv2D
    >>> DepthwiseConv2D(3, padding="same", use_bias=False)(np.zeros((2, 8, 8, 5))).shape
    (2, 8, 8, 5)

    Notes
    -----
    Source: Sifre, "Rigid-motion scattering for image classification", 2014, chapter 6; Howard et
    al., arXiv 1704.04861, equation 3.
    """

    rank = 2
