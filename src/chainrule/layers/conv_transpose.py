"""Transposed convolution layers, which make images larger."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from chainrule import ops
from chainrule.graph import Value
from chainrule.layers.conv_base import Many, _Convolving, at_least_one, told
from chainrule.ops.convolutions import checked_output_padding, transposed_size


class _ConvTranspose(_Convolving):
    """A transposed convolution."""

    def __init__(
        self,
        filters: int,
        kernel_size: Many,
        strides: Many = 1,
        padding: str = "valid",
        output_padding: Many | None = None,
        data_format: str | None = None,
        dilation_rate: Many = 1,
        activation: str | Callable[[Any], Any] | None = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        **options: Any,
    ) -> None:
        form = (kernel_size, strides, padding, data_format, dilation_rate, activation, use_bias)
        super().__init__(*form, activity_regularizer=activity_regularizer, **options)
        self.filters = at_least_one("filters", filters)
        self.output_padding = output_padding
        self._more = checked_output_padding(output_padding, self.strides)
        self._rule("kernel", kernel_initializer, kernel_regularizer, kernel_constraint)
        self._rule("bias", bias_initializer, bias_regularizer, bias_constraint)

    def detail(self) -> str:
        """Return the number and size of the filters."""
        return told(self.filters, self.kernel_size)

    def _make(self, channels: int) -> int:
        self.kernel = self._weight("kernel", (*self.kernel_size, self.filters, channels))
        return self.filters

    def _convolved(self, x: Value) -> Value:
        return ops.conv_transpose(
            x,
            self.kernel,
            self.strides,
            self.padding,
            self.output_padding,
            dilation_rate=self.dilation_rate,
        )

    def _space(self, size: tuple[int, ...]) -> tuple[int, ...]:
        reach = [(k - 1) * d + 1 for k, d in zip(self.kernel_size, self.dilation_rate, strict=True)]
        axes = zip(size, reach, self.strides, self._more, strict=True)
        return tuple(transposed_size(n, r, s, self.padding, more) for n, r, s, more in axes)

    def _require_room(self, size: Any) -> None:
        """Return: any size is large enough."""

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        more = None if self.output_padding is None else list(self._more)
        return {**super().get_config(), "filters": self.filters, "output_padding": more}


class Conv1DTranspose(_ConvTranspose):
    """``y[n, i, m] = activation(sum x[n, o, c] * kernel[k, m, c] + bias[m])`` over c and all o and
    k with ``o * strides + k * dilation_rate - low = i``: a transposed convolution of sequences.

    Shapes: x [n, t, c], kernel [k, m, c], bias [m], y [n, out, m], out as for `Conv2DTranspose`.

    Parameters
    ----------
    filters : int >= 1
        m, the number of channels put out.
    kernel_size : int
        k.
    **options
        All others are those of `Conv2DTranspose`, with one number where it takes two.

    Raises
    ------
    ArgumentError, ShapeError
        As `Conv2DTranspose`.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.layers import Conv1DTranspose
    >>> Conv1DTranspose(8, 4, strides=2, padding="same")(np.zeros((2, 16, 4))).shape
    (2, 32, 8)

    Notes
    -----
    Source: as `Conv2DTranspose`.
    """

    rank = 1


class Conv2DTranspose(_ConvTranspose):
    """``y[n, i, m] = activation(sum x[n, o, c] * kernel[k, m, c] + bias[m])`` over c and all o and
    k with ``o * strides + k * dilation_rate - low = i``: a transposed convolution of images.

    What the derivative of a `Conv2D` by its inputs computes; with strides the image grows.

    Shapes: x [n, h, w, c], kernel [*k, m, c], bias [m], y [n, *out, m]. With r = ``(k - 1) *
    dilation_rate + 1`` and p the `output_padding`, out is ``(h - 1) * strides + max(r, strides)``
    for "valid" (with p: ``r + p`` for the maximum), and ``h * strides`` for "same" (with p:
    ``(h - 1) * strides + r % 2 + p``), and so for w. With "channels_first" x is [n, c, h, w] and y
    [n, m, *out].

    Parameters
    ----------
    filters : int >= 1
        m, the number of channels put out.
    kernel_size : int or pair of int
        k: height and width of the kernel, at least 1.
    strides : int or pair of int, default 1
        Places of y from one place of x to the next, at least 1. A `kernel_size` that they divide
        lets every place of y see as many of x, which avoids chequered images.
    padding : {"valid", "same"}, default "valid"
        See the shapes.
    output_padding : int or pair of int, optional
        From 0 to below the strides: see the shapes.
    data_format : {"channels_last", "channels_first"}, default "channels_last"
        Where c stands; first costs a copy of x and of y.
    dilation_rate : int or pair of int, default 1
        Places of y from one place of the kernel to the next, at least 1; above 1 for strides of 1
        alone.
    activation, use_bias, kernel_initializer, bias_initializer, kernel_regularizer, \
bias_regularizer, activity_regularizer, kernel_constraint, bias_constraint
        See `Conv2D`.
    **options
        `name`, `trainable`, `dtype`, `input_shape`: see `Layer`.

    Raises
    ------
    ArgumentError
        For numbers out of their range, strides and dilation both above 1, or an unknown name.
    ShapeError
        For inputs of another number of axes or channels.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.layers import Conv2DTranspose
    >>> layer = Conv2DTranspose(16, 4, strides=2, padding="same")
    >>> layer(np.zeros((2, 14, 14, 3))).shape
    (2, 28, 28, 16)
    >>> layer.kernel.shape
    (4, 4, 16, 3)

    Notes
    -----
    Source: Zeiler et al., "Deconvolutional networks", CVPR 2010; Dumoulin and Visin, arXiv
    1603.07285, chapter 4. Chequered images: Odena et al., Distill (2016), doi
    10.23915/distill.00003.
    """

    rank = 2


class Conv3DTranspose(_ConvTranspose):
    """``y[n, i, m] = activation(sum x[n, o, c] * kernel[k, m, c] + bias[m])`` over c and all o and
    k with ``o * strides + k * dilation_rate - low = i``: a transposed convolution of volumes.

    Shapes: x [n, z, h, w, c], kernel [*k, m, c], bias [m], y [n, *out, m], out as for
    `Conv2DTranspose`.

    Parameters
    ----------
    filters : int >= 1
        m, the number of channels put out.
    kernel_size : int or sequence of three int
        k.
    data_format, output_padding
        In this order, which is Keras's here alone.
    *rest, **options
        All others are those of `Conv2DTranspose`, with three numbers where it takes two.

    Raises
    ------
    ArgumentError, ShapeError
        As `Conv2DTranspose`.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.layers import Conv3DTranspose
    >>> Conv3DTranspose(2, 2, strides=2)(np.zeros((1, 3, 4, 4, 1))).shape
    (1, 6, 8, 8, 2)

    Notes
    -----
    Source: as `Conv2DTranspose`.
    """

    rank = 3

    def __init__(
        self,
        filters: int,
        kernel_size: Many,
        strides: Many = 1,
        padding: str = "valid",
        data_format: str | None = None,
        output_padding: Many | None = None,
        *rest: Any,
        **options: Any,
    ) -> None:
        form = (kernel_size, strides, padding, output_padding, data_format)
        super().__init__(filters, *form, *rest, **options)


Convolution1DTranspose, Convolution2DTranspose = Conv1DTranspose, Conv2DTranspose
Convolution3DTranspose = Conv3DTranspose
