"""Long short-term memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule import ops
from chainrule.errors import ArgumentError
from chainrule.graph import Value
from chainrule.layers.recurrent_cell import _Gated
from chainrule.layers.recurrent_fused import _Fused
from chainrule.ops.lstm import lstm

Activation = str | Callable[[Any], Any] | None


class LSTMCell(_Gated):
    """``c' = j c + i f(z)``, ``h' = o f(c')``: one step of `LSTM`.

    Shapes: x [n, k], h, c, h' and c' [n, m]; weights as in `LSTM`.

    Parameters
    ----------
    units, activation, recurrent_activation, use_bias, unit_forget_bias, **options
        As in `LSTM`, but for what concerns whole sequences.

    Raises
    ------
    ArgumentError
        As `LSTM`.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.layers import LSTMCell
    >>> y, (h, c) = LSTMCell(4)(np.ones((2, 3)), [np.zeros((2, 4)), np.zeros((2, 4))])
    >>> y.shape
    (2, 4)
    """

    gates = 4

    def __init__(
        self,
        units: int,
        activation: Activation = "tanh",
        recurrent_activation: Activation = "sigmoid",
        use_bias: bool = True,
        *,
        unit_forget_bias: bool = True,
        **options: Any,
    ) -> None:
        super().__init__(units, activation, recurrent_activation, use_bias, **options)
        self.unit_forget_bias = bool(unit_forget_bias)
        self.state_size = [self.units, self.units]

    def first_bias(self) -> Callable[..., Any]:
        """Return what the bias is made by: 1 for the forget gates with `unit_forget_bias`."""
        if not self.unit_forget_bias:
            return super().first_bias()
        m, rule = self.units, self.bias_initializer

        def bias(shape: Any, dtype: Any = None) -> Any:
            parts = [rule((m,), dtype), np.ones(m), rule((2 * m,), dtype)]
            return np.concatenate([np.asarray(part) for part in parts]).astype(dtype)

        return bias

    def call(  # type: ignore[override]
        self, x: Value, states: Any, training: bool = False
    ) -> tuple[Value, list[Value]]:
        """Return the new state as output, and state and cell in a list."""
        if not isinstance(states, list | tuple) or len(states) != 2:
            raise ArgumentError("an LSTM has two states, [h, c]")
        h, c = (ops.as_value(s) for s in states)
        factor = self.factor("state", h, training)
        used = h if factor is None else ops.multiply(h, factor)
        z = self.of_inputs(self.dropped(x, training))
        z = ops.add(z, ops.matmul(used, self.recurrent_kernel))
        m, f, s = self.units, self.activation, self.recurrent_activation
        add, stay, out = s(z[:, :m]), s(z[:, m : 2 * m]), s(z[:, 3 * m :])
        c = ops.add(ops.multiply(stay, c), ops.multiply(add, f(z[:, 2 * m : 3 * m])))
        h = ops.multiply(out, f(c))
        return h, [h, c]

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this cell again."""
        return {**super().get_config(), "unit_forget_bias": self.unit_forget_bias}


class LSTM(_Fused):
    """``z = x_t W + h_{t-1} U + b``, in four parts; ``i, j, o = s(z_0), s(z_1), s(z_3)``,
    ``c_t = j c_{t-1} + i f(z_2)``, ``h_t = o f(c_t)``: long short-term memory over whole sequences.

    s is `recurrent_activation`, f is `activation`; j is the forget gate.

    Shapes: x [n, t, k], mask [n, t], states h and c [n, m]; y [n, m], with `return_sequences`
    [n, t, m], with `return_state` a list of y, h and c. Weights: kernel (W) [k, 4 m],
    recurrent_kernel (U) [m, 4 m], bias [4 m].

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
    unit_forget_bias : bool, default True
        Whether the bias of the forget gates begins with 1.
    return_sequences, return_state, go_backwards, stateful, unroll : bool, default False
        See `RNN`.
    **options
        `kernel_initializer` ("glorot_uniform"), `recurrent_initializer` ("orthogonal"),
        `bias_initializer` ("zeros"), `kernel_regularizer`, `recurrent_regularizer`,
        `bias_regularizer`, `kernel_constraint`, `recurrent_constraint`, `bias_constraint`;
        `dropout` (0: the share of each sequence's features that are dropped, at all its steps),
        `recurrent_dropout` (0: the same of the state, on its way into the product; one draw for
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
    >>> from chainrule.layers import LSTM
    >>> y, h, c = LSTM(4, return_sequences=True, return_state=True)(np.ones((2, 5, 3)))
    >>> y.shape, c.shape
    ((2, 5, 4), (2, 4))

    Notes
    -----
    Source: Hochreiter and Schmidhuber, Neural Computation 9 (1997), with the forget gate of Gers,
    Schmidhuber and Cummins, Neural Computation 12 (2000). Dropout: Gal and Ghahramani,
    arXiv 1512.05287, equation 7.
    """

    kind = LSTMCell
    cell: LSTMCell

    def __init__(
        self,
        units: int,
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
            "units": units,
            "activation": activation,
            "recurrent_activation": recurrent_activation,
            "use_bias": use_bias,
            "unit_forget_bias": unit_forget_bias,
        }
        super().__init__(arguments, flags, options)

    def _through(self, x: Value, states: list[Value], mask: Value, keep: Value) -> list[Value]:
        """Return the states and the cells before the first step and after each."""
        found = lstm(
            self.cell.of_inputs(x),
            ops.as_value(self.cell.recurrent_kernel),
            *states,
            mask,
            keep,
            activation=self.cell.activation.__name__,
            recurrent_activation=self.cell.recurrent_activation.__name__,
            reverse=self.go_backwards,
        )
        return list(found[:2])
