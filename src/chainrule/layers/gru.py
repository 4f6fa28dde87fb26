"""Gated recurrent units."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from chainrule import ops
from chainrule.graph import Value
from chainrule.layers.recurrent_cell import _Gated, one
from chainrule.layers.recurrent_fused import _Fused
from chainrule.ops.gru import gru

Activation = str | Callable[[Any], Any] | None


class GRUCell(_Gated):
    """``h' = z h + (1 - z) y``: one step of `GRU`.

    Shapes: x [n, k], h and h' [n, m]; weights as in `GRU`.

    Parameters
    ----------
    units, activation, recurrent_activation, use_bias, reset_after, **options
        As in `GRU`, but for what concerns whole sequences.

    Raises
    ------
    ArgumentError
        As `GRU`.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.layers import GRUCell
    >>> y, states = GRUCell(4)(np.ones((2, 3)), [np.zeros((2, 4))])
    >>> y.shape
    (2, 4)
    """

    gates = 3

    def __init__(
        self,
        units: int,
        activation: Activation = "tanh",
        recurrent_activation: Activation = "sigmoid",
        use_bias: bool = True,
        *,
        reset_after: bool = True,
        **options: Any,
    ) -> None:
        super().__init__(units, activation, recurrent_activation, use_bias, **options)
        self.reset_after = bool(reset_after)

    def bias_shape(self) -> tuple[int, ...]:
        """Return the shape of the bias: with `reset_after` one of the inputs, one of the state."""
        return (2, 3 * self.units) if self.reset_after else (3 * self.units,)

    def biases(self) -> tuple[Value, Value]:
        """Return the bias of the inputs and that of the state."""
        zeros = ops.zeros((3 * self.units,), self.dtype)
        if not self.use_bias:
            return zeros, zeros
        bias = ops.as_value(self.bias)
        return (bias[0], bias[1]) if self.reset_after else (bias, zeros)

    def call(  # type: ignore[override]
        self, x: Value, states: Any, training: bool = False
    ) -> tuple[Value, list[Value]]:
        """Return the new state, as output and in a list."""
        h, m = one(states), self.units
        given, inner = self.biases()
        a = self.of_inputs(self.dropped(x, training), given)
        factor = self.factor("state", h, training)
        used = h if factor is None else ops.multiply(h, factor)
        kernel = ops.as_value(self.recurrent_kernel)
        first = ops.add(ops.matmul(used, kernel[:, : 2 * m]), inner[: 2 * m])
        z = self.recurrent_activation(ops.add(a[:, :m], first[:, :m]))
        r = self.recurrent_activation(ops.add(a[:, m : 2 * m], first[:, m:]))
        last, bias = kernel[:, 2 * m :], inner[2 * m :]
        if self.reset_after:
            q = ops.multiply(r, ops.add(ops.matmul(used, last), bias))
        else:
            q = ops.matmul(ops.multiply(r, used), last)
        y = self.activation(ops.add(a[:, 2 * m :], q))
        h = ops.add(ops.multiply(z, h), ops.multiply(ops.subtract(1.0, z), y))
        return h, [h]

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this cell again."""
        return {**super().get_config(), "reset_after": self.reset_after}


class GRU(_Fused):
    """``z, r = s(x_t W + h_{t-1} U + b)``, ``y = f(x_t W + r (h_{t-1} U + b))``,
    ``h_t = z h_{t-1} + (1 - z) y``: gated recurrent units over whole sequences.

    The columns of W (kernel) and U (recurrent_kernel) are those of z, r and y, in this order; s is
    `recurrent_activation`, f is `activation`.

    Shapes: x [n, t, k], mask [n, t], state [n, m]; y [n, m], with `return_sequences` [n, t, m].
    Weights: kernel [k, 3 m], recurrent_kernel [m, 3 m], bias [2, 3 m] (that of the inputs, that of
    the state), or [3 m] without `reset_after`.

    Parameters
    ----------
    units : int >= 1
        m, the size of the state.
    activation : str or callable, default "tanh"
        With "linear", "relu", "sigmoid" or "tanh", also of the gates, all steps are one operation;
        with others the layer is unrolled over time.
    recurrent_activation : str or callable, default "sigmoid"
        That of the gates.
    use_bias : bool, default True
    reset_after : bool, default True
        Whether r is multiplied by what U makes of the state; else by the state before U, which is
        the form of the source.
    return_sequences, return_state, go_backwards, stateful, unroll : bool, default False
        See `RNN`.
    **options
        `kernel_initializer` ("glorot_uniform"), `recurrent_initializer` ("orthogonal"),
        `bias_initializer` ("zeros"), `kernel_regularizer`, `recurrent_regularizer`,
        `bias_regularizer`, `kernel_constraint`, `recurrent_constraint`, `bias_constraint`;
        `dropout` (0: the share of each sequence's features that are dropped, at all its steps),
        `recurrent_dropout` (0: the same of the state, on its way into the products; one draw for
        all gates, where Keras draws for each), `seed`; `zero_output_for_mask` (False), see `RNN`;
        and those of `Layer`. `use_cudnn` and `implementation` say nothing.

    Raises
    ------
    ArgumentError
        For units below 1, rates outside of [0, 1), or unknown names.
    ShapeError
        As `RNN`.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.layers import GRU
    >>> GRU(4, return_sequences=True)(np.ones((2, 5, 3))).shape
    (2, 5, 4)

    Notes
    -----
    Source: Cho et al., arXiv 1406.1078, equations 5 to 8, with z and 1 - z changed about as in
    Keras. Dropout: Gal and Ghahramani, arXiv 1512.05287, equation 7.
    """

    kind = GRUCell
    cell: GRUCell

    def __init__(
        self,
        units: int,
        activation: Activation = "tanh",
        recurrent_activation: Activation = "sigmoid",
        use_bias: bool = True,
        *,
        reset_after: bool = True,
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
            "units": units,
            "activation": activation,
            "recurrent_activation": recurrent_activation,
            "use_bias": use_bias,
            "reset_after": reset_after,
        }
        super().__init__(arguments, flags, options)

    def _through(self, x: Value, states: list[Value], mask: Value, keep: Value) -> list[Value]:
        """Return the states before the first step and after each."""
        given, inner = self.cell.biases()
        found, _ = gru(
            self.cell.of_inputs(x, given),
            ops.as_value(self.cell.recurrent_kernel),
            inner,
            states[0],
            mask,
            keep,
            activation=self.cell.activation.__name__,
            recurrent_activation=self.cell.recurrent_activation.__name__,
            reset_after=self.cell.reset_after,
            reverse=self.go_backwards,
        )
        return [found]
