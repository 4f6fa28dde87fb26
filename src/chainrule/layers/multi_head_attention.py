"""Attention with several heads, each with keys and values of its own or shared with others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from chainrule import ops
from chainrule.errors import ArgumentError, ShapeError
from chainrule.graph import Value
from chainrule.layers.attention_heads import _Heads
from chainrule.layers.base import Shape
from chainrule.layers.conv_base import at_least_one


class MultiHeadAttention(_Heads):
    """``y = attention_output(heads)``, head n being
    ``sum_j w[b, n, i, j] value[b, j, n]`` with
    ``w = softmax_j(query[b, i, n] . key[b, j, n] / sqrt(key_dim))``, of projections of the inputs.

    It is called with ``(query, value)`` or ``(query, value, key)``, the key being the value by
    default; ``layer(x, x)`` is self-attention. Further arguments of a call:

    - `query_mask`, `value_mask`, `key_mask`: truths [b, t] and [b, s], which steps count; by
      default the masks that the inputs carry;
    - `attention_mask`: truths [b, t, s], or [b, n, t, s] for each head, each axis as long or 1:
      which place may look at which;
    - `use_causal_mask`: whether place i looks at places 0 to i only;
    - `return_attention_scores`: whether to return ``(y, w)``.

    Where a place may look at none, all its weights are 0.

    Shapes: query [b, t, d], value [b, s, e], key [b, s, f]; kernels [d, n, key_dim],
    [f, n, key_dim], [e, n, value_dim] and [n, value_dim, m]; y [b, t, m], w [b, n, t, s].

    Parameters
    ----------
    num_heads : int >= 1
        n.
    key_dim : int >= 1
        The width of query and key in each head.
    value_dim : int >= 1, optional
        The width of the value in each head; by default `key_dim`.
    dropout : float in [0, 1), default 0
        The share of the weights w that become 0 in training.
    use_bias : bool, default True
        Of all projections.
    output_shape : int or sequence of int, optional
        m; by default d, that of the query.
    attention_axes : int or sequence of int, optional
        The axes of the query attended over, where there are several between the batch's and the
        last; by default all of them.
    sliding_window : int >= 1, optional
        Places look at those fewer steps than this away.
    kernel_initializer : str, Initializer or callable, default "glorot_uniform"
    bias_initializer : str, Initializer or callable, default "zeros"
    kernel_regularizer, bias_regularizer, activity_regularizer : optional
        Of each projection: see `Dense`.
    kernel_constraint, bias_constraint : optional
        Of each projection: see `Dense`.
    use_gate : bool, default False
        Whether heads are multiplied by a sigmoid of another projection of the query.
    seed : int, optional
        Of the dropout: see `Dropout`.
    **options
        `name`, `trainable`, `dtype`: see `Layer`.

    Raises
    ------
    ArgumentError
        For numbers below 1, a rate outside of [0, 1), or axes that the inputs do not have.
    ShapeError
        For inputs or masks that do not fit together.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.layers import MultiHeadAttention
    >>> layer = MultiHeadAttention(num_heads=2, key_dim=3)
    >>> y, w = layer(np.ones((1, 4, 8)), np.ones((1, 6, 8)), return_attention_scores=True)
    >>> y.shape, w.shape
    ((1, 4, 8), (1, 2, 4, 6))

    Notes
    -----
    Source: Vaswani et al., "Attention is all you need", arXiv 1706.03762, section 3.2.2; the gate:
    Qiu et al., arXiv 2505.06708.
    """

    def __init__(
        self,
        num_heads: int,
        key_dim: int,
        value_dim: int | None = None,
        dropout: float = 0.0,
        use_bias: bool = True,
        output_shape: int | Sequence[int] | None = None,
        attention_axes: int | Sequence[int] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(dropout=dropout, use_bias=use_bias, **options)
        self.num_heads = at_least_one("num_heads", num_heads)
        self.key_dim = at_least_one("key_dim", key_dim)
        self.value_dim = at_least_one("value_dim", key_dim if value_dim is None else value_dim)
        self._output_shape = None if output_shape is None else _numbers(output_shape)
        self.attention_axes = None if attention_axes is None else _numbers(attention_axes)

    def detail(self) -> str:
        """Return the number of heads and their width."""
        return f"{self.num_heads} heads of {self.key_dim}"

    def build(  # type: ignore[override]
        self, query_shape: Shape, value_shape: Shape, key_shape: Shape | None = None
    ) -> None:
        """Make the projections."""
        key_shape = value_shape if key_shape is None else key_shape
        n, k, v = self.num_heads, self.key_dim, self.value_dim
        self._axes(query_shape)
        self.query_dense = self._dense("query", query_shape, 1, (n, k))
        self.key_dense = self._dense("key", key_shape, 1, (n, k))
        if self.use_gate:
            self._gate_dense = self._dense("gate", query_shape, 1, (n, v), "sigmoid")
        self.value_dense = self._dense("value", value_shape, 1, (n, v))
        outputs = (query_shape[-1] or 0,) if self._output_shape is None else self._output_shape
        found = (*query_shape[:-1], n, v)
        self.output_dense = self._dense("attention_output", found, 2, outputs)

    def _axes(self, query: Shape) -> tuple[int, ...]:
        last = len(query) - 1
        given = range(1, last) if self.attention_axes is None else self.attention_axes
        axes = tuple(a + len(query) if a < 0 else a for a in given)
        if len(set(axes)) < len(axes) or not axes or not all(0 < a < last for a in axes):
            raise ArgumentError(
                f"attention_axes is {self.attention_axes}; the query has shape {list(query)}, "
                f"whose axes 1 to {last - 1} can be attended over"
            )
        return axes

    def _projected(self, query: Value, value: Value, key: Value) -> tuple[Value, Value, Value]:
        return self.query_dense(query), self.key_dense(key), self.value_dense(value)

    def _joined(self, query: Value, y: Value) -> Value:
        found = ops.multiply(y, self._gate_dense(query)) if self.use_gate else y
        result: Value = self.output_dense(found)
        return result

    def compute_output_shape(
        self, query_shape: Any, value_shape: Any = None, key_shape: Any = None
    ) -> Any:
        """Return the shape of y."""
        query = tuple(query_shape)
        return query if self._output_shape is None else (*query[:-1], *self._output_shape)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        outputs, axes = self._output_shape, self.attention_axes
        return {
            **super().get_config(),
            "num_heads": self.num_heads,
            "key_dim": self.key_dim,
            "value_dim": self.value_dim,
            "output_shape": None if outputs is None else list(outputs),
            "attention_axes": None if axes is None else list(axes),
        }


class GroupQueryAttention(_Heads):
    """`MultiHeadAttention` in which ``num_query_heads / num_key_value_heads`` heads that are
    neighbours share one of key and value.

    It is called as `MultiHeadAttention` is.

    Shapes: query [b, t, d], value [b, s, d], key [b, s, d]; kernels [d, n, h] of the query,
    [d, g, h] of key and value, [n, h, d] of the output, h being `head_dim`, n and g the numbers of
    heads; y [b, t, d], w [b, n, t, s].

    Parameters
    ----------
    head_dim : int >= 1
        The width of each head.
    num_query_heads : int >= 1
    num_key_value_heads : int >= 1
        A divisor of `num_query_heads`; 1 is multi-query attention.
    dropout, use_bias, sliding_window, kernel_initializer, bias_initializer, kernel_regularizer, \
bias_regularizer, activity_regularizer, kernel_constraint, bias_constraint, use_gate, seed
        See `MultiHeadAttention`.
    **options
        `name`, `trainable`, `dtype`: see `Layer`.

    Raises
    ------
    ArgumentError
        For numbers below 1, or heads that cannot be shared evenly.
    ShapeError
        For inputs or masks that do not fit together.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.layers import GroupQueryAttention
    >>> GroupQueryAttention(3, 4, 2)(np.ones((1, 4, 8)), np.ones((1, 6, 8))).shape
    (1, 4, 8)

    Notes
    -----
    Source: Ainslie et al., arXiv 2305.13245, section 2.2.
    """

    def __init__(
        self,
        head_dim: int,
        num_query_heads: int,
        num_key_value_heads: int,
        dropout: float = 0.0,
        use_bias: bool = True,
        **options: Any,
    ) -> None:
        super().__init__(dropout=dropout, use_bias=use_bias, **options)
        self.head_dim = at_least_one("head_dim", head_dim)
        self.num_query_heads = at_least_one("num_query_heads", num_query_heads)
        self.num_key_value_heads = at_least_one("num_key_value_heads", num_key_value_heads)
        if num_query_heads % num_key_value_heads:
            raise ArgumentError(
                f"num_query_heads is {num_query_heads}, which is no multiple of the "
                f"{num_key_value_heads} heads of key and value"
            )

    def detail(self) -> str:
        """Return the numbers of heads and their width."""
        return f"{self.num_query_heads} heads of {self.head_dim}, {self.num_key_value_heads} shared"

    def build(  # type: ignore[override]
        self, query_shape: Shape, value_shape: Shape, key_shape: Shape | None = None
    ) -> None:
        """Make the projections."""
        key_shape = value_shape if key_shape is None else key_shape
        self._axes(query_shape)
        n, g, h = self.num_query_heads, self.num_key_value_heads, self.head_dim
        self._query_dense = self._dense("query", query_shape, 1, (n, h))
        self._key_dense = self._dense("key", key_shape, 1, (g, h))
        if self.use_gate:
            self._gate_dense = self._dense("gate", query_shape, 1, (n, h), "sigmoid")
        self._value_dense = self._dense("value", value_shape, 1, (g, h))
        found = (*query_shape[:-1], n, h)
        self._output_dense = self._dense("attention_output", found, 2, (query_shape[-1] or 0,))

    def _axes(self, query: Shape) -> tuple[int, ...]:
        if len(query) != 3:
            raise ShapeError(f"a sample of the query has shape {list(query[1:])}; expected [t, d]")
        return (1,)

    def _projected(self, query: Value, value: Value, key: Value) -> tuple[Value, Value, Value]:
        return self._query_dense(query), self._key_dense(key), self._value_dense(value)

    def _joined(self, query: Value, y: Value) -> Value:
        found = ops.multiply(y, self._gate_dense(query)) if self.use_gate else y
        result: Value = self._output_dense(found)
        return result

    def compute_output_shape(
        self, query_shape: Any, value_shape: Any = None, key_shape: Any = None
    ) -> Any:
        """Return the shape of y, which is that of the query."""
        return tuple(query_shape)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        return {
            **super().get_config(),
            "head_dim": self.head_dim,
            "num_query_heads": self.num_query_heads,
            "num_key_value_heads": self.num_key_value_heads,
        }


def _numbers(given: int | Sequence[int]) -> tuple[int, ...]:
    """Return whole numbers, one or several, in a tuple."""
    found = (given,) if isinstance(given, int) else tuple(given)
    if any(isinstance(n, bool) or not isinstance(n, int) for n in found):
        raise ArgumentError(f"expected a whole number or several, not {given!r}")
    return found
