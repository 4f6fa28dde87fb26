"""Long short-term memory whose products are convolutions: sequences of images."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from chainrule import ops
from chainrule.errors import ArgumentError, ShapeError
from chainrule.graph import Value
from chainrule.layers.base import Shape
from chainrule.layers.conv_base import at_least_one, told
from chainrule.layers.lstm import LSTMCell
from chainrule.layers.recurrent import RNN
from chainrule.layers.recurrent_fused import _Fused
from chainrule.ops import space
from chainrule.ops.conv import out_space
from chainrule.ops.convolutions import Many, pads, require_room

Activation = str | Callable[[Any], Any] | None


class _ConvLSTMCell(LSTMCell):
    """One step of a `ConvLSTM2D`, or of another over as many axes of space."""

    rank: ClassVar[int] = 2
    _given: tuple[int, ...]  # the sizes of a step that the cell was built for, channels last

    def __init__(
        self,
        filters: int,
        kernel_size: Many,
        strides: Many,
        padding: str,
        data_format: str | None,
        dilation_rate: Many,
        activation: Activation,
        recurrent_activation: Activation,
        use_bias: bool,
        **options: Any,
    ) -> None:
        units = at_least_one("filters", filters)
        super().__init__(units, activation, recurrent_activation, use_bias, **options)
        self.kernel_size = space.numbers(kernel_size, self.rank, "kernel_size")
        self.strides = space.numbers(strides, self.rank, "strides")
        self.padding = space.checked_padding(padding)
        self.data_format = space.checked_format(data_format)
        self.dilation_rate = space.numbers(dilation_rate, self.rank, "dilation_rate")
        if max(self.strides) > 1 and max(self.dilation_rate) > 1:
            raise ArgumentError("only one of strides and dilation_rate may be above 1")
        self.filters, self._given = units, ()

    def detail(self) -> str:
        """Return the number and size of the filters."""
        return told(self.filters, self.kernel_size)

    def kernel_shapes(self, input_shape: Shape) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Return the shapes of the kernel of the inputs and of that of the state."""
        if len(input_shape) != self.rank + 2:
            raise ShapeError(
                f"a step has shape {list(input_shape[1:])}; expected {self.rank} axes of space, "
                "and channels"
            )
        _, *size, channels = space.shape_last(input_shape, self.data_format)
        if channels is None or None in size:
            raise ShapeError(f"all sizes of a step must be known, not {list(input_shape[1:])}")
        require_room(size, self.kernel_size, self.dilation_rate, self.padding)
        self._given = (*size, channels)
        columns = 4 * self.filters
        return (*self.kernel_size, channels, columns), (*self.kernel_size, self.filters, columns)

    def state_shape(self, n: int | None) -> tuple[int | None, ...]:
        """Return the shape of the output, which is that of both states."""
        form = (self._given[:-1], self.kernel_size, self.strides)
        out = out_space(*form, pads(self.padding, *form, self.dilation_rate), self.dilation_rate)
        return tuple(space.shape_back((n, *out, self.filters), self.data_format))

    def get_initial_state(self, batch_size: int) -> list[Value]:
        """Return zeros for both states."""
        shape = [n or 0 for n in self.state_shape(batch_size)]
        return [ops.zeros(shape, self.dtype) for _ in range(2)]

    def convolved(self, x: Value) -> Value:
        """Return the convolution of steps with the kernel, and the bias."""
        given = space.shape_last(x.shape, self.data_format)[1:]
        if given != self._given:
            raise ShapeError(
                f"a step has shape {list(x.shape[1:])}, but the layer was built for "
                f"{list(space.shape_back((0, *self._given), self.data_format)[1:])}"
            )
        form = self.strides, self.padding, self.data_format, self.dilation_rate
        y = ops.conv(x, self.kernel, *form)
        if not self.use_bias:
            return y
        last = self.data_format == space.LAST
        return ops.add(y, self.bias if last else ops.reshape(self.bias, (-1, *[1] * self.rank)))

    def advanced(self, a: Value, states: Any, training: bool) -> tuple[Value, list[Value]]:
        """Return output and states after a step whose inputs are convolved already."""
        h, c = (ops.as_value(s) for s in states)
        factor = self.factor("state", h, training)
        used = h if factor is None else ops.multiply(h, factor)
        more = ops.conv(used, self.recurrent_kernel, 1, "same", self.data_format)
        axis = -1 if self.data_format == space.LAST else 1
        p, q, v, o = ops.split(ops.add(a, more), 4, axis=axis)
        f, s = self.activation, self.recurrent_activation
        c = ops.add(ops.multiply(s(q), c), ops.multiply(s(p), f(v)))
        h = ops.multiply(s(o), f(c))
        return h, [h, c]

    def call(  # type: ignore[override]
        self, x: Value, states: Any, training: bool = False
    ) -> tuple[Value, list[Value]]:
        """Return the new state as output, and state and cell in a list."""
        factor = self.factor("inputs", x, training)
        x = x if factor is None else ops.multiply(x, factor)
        return self.advanced(self.convolved(x), states, training)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this cell again."""
        config = super().get_config()
        del config["units"]
        return {
            **config,
            "filters": self.filters,
            "kernel_size": list(self.kernel_size),
            "strides": list(self.strides),
            "padding": self.padding,
            "data_format": self.data_format,
            "dilation_rate": list(self.dilation_rate),
        }


class _ConvLSTM1DCell(_ConvLSTMCell):
    rank = 1


class _ConvLSTM3DCell(_ConvLSTMCell):
    rank = 3


class ConvLSTM2D(_Fused):
    """`LSTM` for sequences of images: ``z = x_t * W + h_{t-1} * U + b`` with convolutions.

    Gates, states and cells are images as well. The steps of the inputs are convolved together, the
    states step by step.

    Shapes: x [n, t, h, w, c], mask [n, t]; with k by l the kernel's size, kernel (W)
    [k, l, c, 4 f], recurrent_kernel (U) [k, l, f, 4 f], bias [4 f]; y and both states
    [n, *out, f], with `return_sequences` y [n, t, *out, f]. For ``"channels_first"`` the channels
    stand in front of the axes of space.

    Parameters
    ----------
    filters : int >= 1
        f, the channels of the state.
    kernel_size : int or sequence of int
        Of both kernels.
    strides, dilation_rate : int or sequence of int, default 1
        Of the convolution of the inputs; only one of them may be above 1. That of the state always
        keeps its size.
    padding : {"valid", "same"}, default "valid"
        Of the inputs.
    data_format : {"channels_last", "channels_first"}, default "channels_last"
    activation : str or callable, default "tanh"
    recurrent_activation : str or callable, default "sigmoid"
    use_bias : bool, default True
    unit_forget_bias : bool, default True
        Whether the bias of the forget gates begins with 1.
    return_sequences, return_state, go_backwards, stateful : bool, default False
        See `RNN`.
    **options
        The initializers, regularizers, constraints and rates of `LSTM`, `seed`, and those of
        `Layer`. As there, what is dropped is drawn once for all steps and gates.

    Raises
    ------
    ArgumentError
        For numbers below 1, strides and dilation together, or unknown names.
    ShapeError
        For inputs with other axes, or of open size.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.layers import ConvLSTM2D
    >>> ConvLSTM2D(4, 3, padding="same")(np.zeros((2, 5, 8, 8, 1))).shape
    (2, 8, 8, 4)

    Notes
    -----
    Source: Shi et al., arXiv 1506.04214, equation 3, without its peephole connections.
    """

    kind = _ConvLSTMCell
    cell: _ConvLSTMCell

    def __init__(
        self,
        filters: int,
        kernel_size: Many,
        strides: Many = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Many = 1,
        activation: Activation = "tanh",
        recurrent_activation: Activation = "sigmoid",
        use_bias: bool = True,
        *,
        unit_forget_bias: bool = True,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        **options: Any,
    ) -> None:
        flags = {
            "return_sequences": return_sequences,
            "return_state": return_state,
            "go_backwards": go_backwards,
            "stateful": stateful,
            "unroll": unroll,
        }
        arguments = {
            "filters": filters,
            "kernel_size": kernel_size,
            "strides": strides,
            "padding": padding,
            "data_format": data_format,
            "dilation_rate": dilation_rate,
            "activation": activation,
            "recurrent_activation": recurrent_activation,
            "use_bias": use_bias,
            "unit_forget_bias": unit_forget_bias,
        }
        super().__init__(arguments, flags, options)

    def _run(
        self, x: Value, states: list[Any], counts: Value | None, training: bool
    ) -> tuple[Value, list[Any]]:
        return RNN._run(self, x, states, counts, training)

    def _all_at_once(self, x: Value, training: bool) -> Value:
        n, t, *rest = x.shape
        factor = self.cell.factor("inputs", ops.zeros((n, *rest), x.dtype), training)
        x = x if factor is None else ops.multiply(x, ops.expand_dims(factor, 1))
        y = self.cell.convolved(ops.reshape(x, (n * t, *rest)))
        return ops.reshape(y, (n, t, *y.shape[1:]))

    def _advanced(self, x: Value, states: list[Any], training: bool) -> tuple[Value, list[Any]]:
        return self.cell.advanced(x, states, training)

    def _shapes(self, n: int | None) -> list[Any]:
        return [self.cell.state_shape(n)] * 3


class ConvLSTM1D(ConvLSTM2D):
    """`ConvLSTM2D` over one axis of space: x [n, t, s, c].

    Parameters
    ----------
    filters, kernel_size, strides, padding, **options
        See `ConvLSTM2D`.

    Raises
    ------
    ArgumentError, ShapeError
        As `ConvLSTM2D`.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.layers import ConvLSTM1D
    >>> ConvLSTM1D(4, 3, return_sequences=True)(np.zeros((2, 5, 8, 1))).shape
    (2, 5, 6, 4)
    """

    kind = _ConvLSTM1DCell


class ConvLSTM3D(ConvLSTM2D):
    """`ConvLSTM2D` over three axes of space: x [n, t, z, h, w, c].

    Parameters
    ----------
    filters, kernel_size, strides, padding, **options
        See `ConvLSTM2D`.

    Raises
    ------
    ArgumentError, ShapeError
        As `ConvLSTM2D`.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.layers import ConvLSTM3D
    >>> ConvLSTM3D(2, 3, padding="same")(np.zeros((1, 2, 4, 4, 4, 1))).shape
    (1, 4, 4, 4, 2)
    """

    kind = _ConvLSTM3DCell
