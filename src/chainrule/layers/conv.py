"""Convolution layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from chainrule import ops
from chainrule.errors import ArgumentError, ShapeError
from chainrule.graph import Value
from chainrule.layers.conv_base import Many, _Convolving, at_least_one, told


class _Conv(_Convolving):
    """A convolution of all channels, or of groups of them."""

    def __init__(
        self,
        filters: int,
        kernel_size: Many,
        strides: Many = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Many = 1,
        groups: int = 1,
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
        self.groups = at_least_one("groups", groups)
        if filters % groups:
            raise ArgumentError(f"{filters} filters do not form {groups} groups")
        self._rule("kernel", kernel_initializer, kernel_regularizer, kernel_constraint)
        self._rule("bias", bias_initializer, bias_regularizer, bias_constraint)

    def detail(self) -> str:
        """Return the number and size of the filters."""
        return told(self.filters, self.kernel_size)

    def _make(self, channels: int) -> int:
        if channels % self.groups:
            raise ShapeError(
                f"{channels} channels do not form {self.groups} groups\n"
                f"  fix: groups must divide both {channels} and the {self.filters} filters"
            )
        shape = (*self.kernel_size, channels // self.groups, self.filters)
        self.kernel = self._weight("kernel", shape)
        return self.filters

    def _convolved(self, x: Value) -> Value:
        return ops.conv(
            x, self.kernel, self.strides, self.padding, dilation_rate=self.dilation_rate
        )

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        return {**super().get_config(), "filters": self.filters, "groups": self.groups}


class Conv1D(_Conv):
    """``y[n, o, m] = activation(sum_k,c x[n, o * strides + k * dilation_rate - low, c] * kernel[k,
    c, m] + bias[m])``: a convolution over sequences.

    Shapes: x [n, t, c], kernel [k, c / groups, m], bias [m], y [n, out, m]; out is
    ``(t - (k - 1) * dilation_rate - 1) // strides + 1`` for "valid", ``ceil(t / strides)`` for
    "same" and "causal". With "channels_first" x is [n, c, t] and y [n, m, out].

    Parameters
    ----------
    filters : int >= 1
        m, the number of channels put out.
    kernel_size : int
        k.
    strides : int, default 1
    padding : {"valid", "same", "causal"}, default "valid"
        Zeros around x: none; as many on both sides as keep t for strides of 1; all before, so
        that no y sees a later x.
    **options
        All others are those of `Conv2D`.

    Raises
    ------
    ArgumentError, ShapeError
        As `Conv2D`.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.layers import Conv1D
    >>> Conv1D(8, 3, padding="causal", dilation_rate=2)(np.zeros((2, 16, 4))).shape
    (2, 16, 8)

    Notes
    -----
    Source: as `Conv2D`; "causal" with dilation: van den Oord et al., arXiv 1609.03499, section 2.1.
    """

    rank = 1
    causal = True


class Conv2D(_Conv):
    """``y[n, o, m] = activation(sum_k,c x[n, o * strides + k * dilation_rate - low, c] * kernel[k,
    c, m] + bias[m])``, o and k being places in an image: a convolution over images.

    As everywhere in neural networks the kernel is not turned round: it is a correlation.

    Shapes: x [n, h, w, c], kernel [*k, c / groups, m], bias [m], y [n, *out, m]; out is
    ``(h - (k - 1) * dilation_rate - 1) // strides + 1`` for "valid", ``ceil(h / strides)`` for
    "same", and so for w. With "channels_first" x is [n, c, h, w] and y [n, m, *out].

    Parameters
    ----------
    filters : int >= 1
        m, the number of channels put out.
    kernel_size : int or pair of int
        k: height and width of the kernel, at least 1.
    strides : int or pair of int, default 1
        Steps from one place of y to the next, at least 1.
    padding : {"valid", "same"}, default "valid"
        Zeros around x: none; as many on both sides as keep the size for strides of 1 (where the
        number is odd, the last is behind).
    data_format : {"channels_last", "channels_first"}, default "channels_last"
        Where c stands; first costs a copy of x and of y.
    dilation_rate : int or pair of int, default 1
        Steps from one place of the kernel to the next, at least 1; above 1 for strides of 1 alone.
    groups : int >= 1, default 1
        Channels of x and of y form so many groups of neighbours, and each of y sees its group of
        x alone. It divides both numbers of channels.
    activation : str or callable, optional
        See `chainrule.activations`; none by default.
    use_bias : bool, default True
        Not needed in front of a `BatchNormalization`.
    kernel_initializer : str, Initializer or callable, default "glorot_uniform"
    bias_initializer : str, Initializer or callable, default "zeros"
    kernel_regularizer, bias_regularizer : str, Regularizer or callable, optional
        Their penalties are added to the loss: see `chainrule.regularizers`.
    activity_regularizer : str, Regularizer or callable, optional
        Its penalty for y, divided by the batch size, is added to the loss.
    kernel_constraint, bias_constraint : str, Constraint or callable, optional
        What the weights are held to after each step: see `chainrule.constraints`.
    **options
        `name`, `trainable`, `dtype`, `input_shape`: see `Layer`.

    Raises
    ------
    ArgumentError
        For numbers below 1, filters that groups do not divide, strides and dilation both above 1,
        or an unknown name.
    ShapeError
        For inputs of another number of axes or channels, or smaller than the kernel.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.layers import Conv2D
    >>> layer = Conv2D(16, 3, padding="same", activation="relu")
    >>> layer(np.zeros((2, 28, 28, 1))).shape
    (2, 28, 28, 16)
    >>> [v.shape for v in layer.variables]
    [(3, 3, 1, 16), (16,)]

    Notes
    -----
    Source: LeCun et al., "Gradient-based learning applied to document recognition", Proceedings of
    the IEEE 86 (1998), section II; groups: Krizhevsky et al., NIPS 2012, section 3.5; dilation: Yu
    and Koltun, arXiv 1511.07122, equation 2.
    """

    rank = 2


class Conv3D(_Conv):
    """``y[n, o, m] = activation(sum_k,c x[n, o * strides + k * dilation_rate - low, c] * kernel[k,
    c, m] + bias[m])``, o and k being places in a volume: a convolution over volumes or films.

    Shapes: x [n, z, h, w, c], kernel [*k, c / groups, m], bias [m], y [n, *out, m], out as for
    `Conv2D`. With "channels_first" x is [n, c, z, h, w] and y [n, m, *out].

    Parameters
    ----------
    filters : int >= 1
        m, the number of channels put out.
    kernel_size : int or sequence of three int
        k.
    **options
        All others are those of `Conv2D`, with three numbers where it takes two.

    Raises
    ------
    ArgumentError, ShapeError
        As `Conv2D`.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.layers import Conv3D
    >>> Conv3D(4, (1, 3, 3), strides=2)(np.zeros((1, 8, 9, 9, 1))).shape
    (1, 4, 4, 4, 4)

    Notes
    -----
    Source: as `Conv2D`; Ji et al., "3D convolutional neural networks for human action
    recognition", PAMI 35 (2013), equation 2.
    """

    rank = 3


Convolution1D, Convolution2D, Convolution3D = Conv1D, Conv2D, Conv3D
