"""The simplest recurrent layer: what is put out is the state."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from chainrule import ops
from chainrule.graph import Value
from chainrule.layers.recurrent_cell import _Cell, one
from chainrule.layers.recurrent_fused import _Fused
from chainrule.ops import recurrent

Activation = str | Callable[[Any], Any] | None


class SimpleRNNCell(_Cell):
    """``h' = activation(x kernel + h recurrent_kernel + bias)``: one step of `SimpleRNN`.

    Shapes: x [n, k], h and h' [n, m]; weights as in `SimpleRNN`.

    Parameters
    ----------
    units, activation, use_bias, **options
        As in `SimpleRNN`, but for what concerns whole sequences.

    Raises
    ------
    ArgumentError
        As `SimpleRNN`.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.layers import SimpleRNNCell
    >>> y, states = SimpleRNNCell(4)(np.ones((2, 3)), [np.zeros((2, 4))])
    >>> y.shape
    (2, 4)
    """

    def __init__(
        self,
        units: int,
        activation: Activation = "tanh",
        use_bias: bool = True,
        **options: Any,
    ) -> None:
        super().__init__(units, activation, use_bias, **options)

    def call(  # type: ignore[override]
        self, x: Value, states: Any, training: bool = False
    ) -> tuple[Value, list[Value]]:
        """Return the new state, as output and in a list."""
        h = one(states)
        z = self.of_inputs(self.dropped(x, training))
        factor = self.factor("state", h, training)
        used = h if factor is None else ops.multiply(h, factor)
        h = self.activation(ops.add(z, ops.matmul(used, self.recurrent_kernel)))
        return h, [h]


class SimpleRNN(_Fused):
    """``h_t = activation(x_t kernel + h_{t-1} recurrent_kernel + bias)``, over whole sequences.

    Shapes: x [n, t, k], mask [n, t], state [n, m]; y [n, m], with `return_sequences` [n, t, m].
    Weights: kernel [k, m], recurrent_kernel [m, m], bias [m].

    Parameters
    ----------
    units : int >= 1
        m, the size of the state.
    activation : str or callable, default "tanh"
        With "linear", "relu", "sigmoid" or "tanh" all steps are one operation; with others the
        layer is unrolled over time.
    use_bias : bool, default True
    return_sequences, return_state, go_backwards, stateful, unroll : bool, default False
        See `RNN`.
    **options
        `kernel_initializer` ("glorot_uniform"), `recurrent_initializer` ("orthogonal"),
        `bias_initializer` ("zeros"), `kernel_regularizer`, `recurrent_regularizer`,
        `bias_regularizer`, `kernel_constraint`, `recurrent_constraint`, `bias_constraint`;
        `dropout` (0: the share of each sequence's features that are dropped, at all its steps),
        `recurrent_dropout` (0: the same of the state, on its way into the product), `seed`;
        `zero_output_for_mask` (False), see `RNN`; and those of `Layer`. `use_cudnn` says nothing.

    Raises
    ------
    ArgumentError
        For units below 1, rates outside of [0, 1), or unknown names.
    ShapeError
        As `RNN`.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.layers import SimpleRNN
    >>> SimpleRNN(4)(np.ones((2, 5, 3))).shape
    (2, 4)

    Notes
    -----
    Source: Elman, "Finding structure in time", Cognitive Science 14 (1990). Dropout: Gal and
    Ghahramani, arXiv 1512.05287, equation 7.
    """

    kind = SimpleRNNCell

    def __init__(
        self,
        units: int,
        activation: Activation = "tanh",
        use_bias: bool = True,
        *,
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
        arguments = {"units": units, "activation": activation, "use_bias": use_bias}
        super().__init__(arguments, flags, options)

    def _through(self, x: Value, states: list[Value], mask: Value, keep: Value) -> list[Value]:
        """Return the states before the first step and after each."""
        found = recurrent.rnn(
            self.cell.of_inputs(x),
            ops.as_value(self.cell.recurrent_kernel),
            states[0],
            mask,
            keep,
            activation=self.cell.activation.__name__,
            reverse=self.go_backwards,
        )
        return [found]
