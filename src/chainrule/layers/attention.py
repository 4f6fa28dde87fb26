"""Attention of a sequence to another: by products of their vectors, and by sums."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from chainrule import ops
from chainrule.errors import ArgumentError, ShapeError, unknown_name
from chainrule.graph import Value, Variable
from chainrule.layers.regularization import _Random, checked_rate
from chainrule.ops.attention import attended, reach, weighted

_MODES = ("dot", "concat")


class Attention(_Random):
    """``y[b, i] = sum_j w[b, i, j] value[b, j]`` with ``w = softmax_j(score(query_i, key_j))``.

    The score is ``scale * query_i . key_j``, or with "concat"
    ``concat_score_weight * sum_d tanh(scale * (query_i + key_j))[d]``.

    A mask of the value, and `use_causal_mask`, exclude places j; where nothing is left, y is 0. A
    mask of the query sets y to 0. It is called with ``[query, value]`` or ``[query, value, key]``,
    the key being the value by default, and with

    - `mask`: ``[query_mask, value_mask]`` of shapes [b, t] and [b, s], either may be None; by
      default the masks that the inputs carry;
    - `return_attention_scores`: whether to return ``(y, w)``;
    - `use_causal_mask`: whether place i looks at places 0 to i only.

    Shapes: query [b, t, d], value [b, s, m], key [b, s, d], y [b, t, m], w [b, t, s].

    Parameters
    ----------
    use_scale : bool, default False
        Whether `scale` is learnt, from 1 on; else it is 1.
    score_mode : {"dot", "concat"}, default "dot"
    dropout : float in [0, 1), default 0
        The share of the weights w that become 0 in training.
    seed : int, optional
        Of the dropout: see `Dropout`.
    **options
        See `Layer`.

    Raises
    ------
    ArgumentError
        For another mode or rate, or inputs that are no list of two or three.
    ShapeError
        For inputs or masks that do not fit together.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.layers import Attention
    >>> Attention()([np.zeros((2, 4, 8)), np.ones((2, 6, 8))]).shape
    (2, 4, 8)

    Notes
    -----
    Source: Luong, Pham and Manning, arXiv 1508.04025, section 3.1; "concat" there has matrices,
    which a `Dense` before it has here.
    """

    takes_many = True

    def __init__(
        self,
        use_scale: bool = False,
        score_mode: str = "dot",
        dropout: float = 0.0,
        seed: int | None = None,
        **options: Any,
    ) -> None:
        super().__init__(seed=seed, **options)
        if score_mode not in _MODES:
            raise unknown_name("score_mode", score_mode, _MODES)
        self.use_scale, self.score_mode = bool(use_scale), score_mode
        self.dropout = checked_rate(dropout)
        self.scale: Variable | None = None
        self.concat_score_weight: Variable | None = None

    def build(self, input_shape: Sequence[Any]) -> None:
        """Make the scale and the weight of the scores, where there are any."""
        _several(input_shape)
        if self.use_scale:
            self.scale = self.add_weight((), "ones", name="scale")
        if self.score_mode == "concat":
            self.concat_score_weight = self.add_weight((), "ones", name="concat_score_weight")

    def call(  # type: ignore[override]
        self,
        inputs: Sequence[Value],
        mask: Sequence[Any] | None = None,
        training: bool = False,
        return_attention_scores: bool = False,
        use_causal_mask: bool = False,
    ) -> Any:
        """Return the sums, and the weights where they are asked for."""
        query, value, *others = _several(inputs)
        key = others[0] if others else value
        self._check(query, value, key)
        q_mask, v_mask = (*(mask or ()), None, None)[:2]
        rows, t, s = math.prod(query.shape[:-2]), query.shape[-2], key.shape[-2]
        masks = self._masks(v_mask, key, use_causal_mask, (rows, t, s))
        q, k, v = (ops.reshape(x, (rows, *x.shape[-2:])) for x in (query, key, value))
        drop = self._dropped if training and self.dropout else None
        y, weights = self._attended(q, k, v, masks, drop)
        y = ops.reshape(y, (*query.shape[:-1], value.shape[-1]))
        if q_mask is not None:
            y = ops.where(self._truths(q_mask, query, "query"), y, 0.0)
        return (y, ops.reshape(weights, (*query.shape[:-1], s))) if return_attention_scores else y

    def _attended(
        self, query: Value, key: Value, value: Value, masks: Sequence[Value], drop: Any
    ) -> tuple[Value, Value]:
        """Return the sums of [r, t, d], [r, s, d] and [r, s, m], and their weights."""
        if self.score_mode == "dot":
            if self.scale is not None:
                query = ops.multiply(query, self.scale)
            return attended(query, key, value, masks, drop=drop)
        summed = _pairs(query, key)
        if self.scale is not None:
            summed = ops.multiply(summed, self.scale)
        scores = ops.multiply(ops.sum(ops.tanh(summed), axis=-1), self.concat_score_weight)
        return weighted(scores, value, masks, drop)

    def _masks(
        self, v_mask: Any, key: Value, causal: bool, full: tuple[int, int, int]
    ) -> list[Value]:
        """Return the masks over scores [r, t, s], each as small as it is given."""
        rows, t, s = full
        found = []
        if v_mask is not None:
            given = ops.cast(v_mask, "bool")
            if given.shape == (*key.shape[:-2], t, s):
                found.append(ops.reshape(given, full))
            else:
                found.append(ops.reshape(self._truths(given, key, "value"), (rows, 1, s)))
        if (reached := reach(t, s, causal)) is not None:
            found.append(ops.reshape(reached, (1, t, s)))
        return found

    def _truths(self, mask: Any, x: Value, name: str) -> Value:
        """Return the mask of the steps of x with an axis of features."""
        given = ops.cast(mask, "bool")
        if given.shape != x.shape[:-1]:
            raise ShapeError(
                f"the mask of the {name} has shape {list(given.shape)}; expected "
                f"{list(x.shape[:-1])}, one truth for each step"
            )
        return ops.expand_dims(given, -1)

    def _dropped(self, weights: Value) -> Value:
        kept = ops.greater_equal(self.draw(ops.random.uniform, weights), self.dropout)
        return ops.where(kept, ops.multiply(weights, 1.0 / (1.0 - self.dropout)), 0.0)

    def _check(self, query: Value, value: Value, key: Value) -> None:
        shapes = [list(x.shape) for x in (query, value, key)]
        short = min(x.ndim for x in (query, value, key)) < 3
        apart = short or value.shape[:-1] != key.shape[:-1] or query.shape[:-2] != key.shape[:-2]
        if apart or query.shape[-1] != key.shape[-1]:
            raise ShapeError(
                f"query {shapes[0]}, value {shapes[1]} and key {shapes[2]} do not fit together; "
                "expected [b, t, d], [b, s, m] and [b, s, d], the key being the value by default"
            )

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """Return the mask of the query."""
        return None if previous_mask is None else previous_mask[0]

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shape of y."""
        query, value, *_ = _several(input_shape)
        return (*query[:-1], value[-1])

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        own = {"use_scale": self.use_scale, "score_mode": self.score_mode, "dropout": self.dropout}
        return {**super().get_config(), **own}


class AdditiveAttention(Attention):
    """``y[b, i] = sum_j w[b, i, j] value[b, j]``,
    ``w = softmax_j(sum_d scale[d] * tanh(query_i + key_j)[d])``.

    It is called as `Attention` is.

    Shapes: query [b, t, d], value [b, s, m], key [b, s, d], scale [d], y [b, t, m], w [b, t, s].

    Parameters
    ----------
    use_scale : bool, default True
        Whether `scale` is learnt; else it is 1.
    dropout : float in [0, 1), default 0
        The share of the weights w that become 0 in training.
    **options
        `seed`: see `Attention`; `name`, `trainable`, `dtype`: see `Layer`.

    Raises
    ------
    ArgumentError, ShapeError
        As `Attention`.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.layers import AdditiveAttention
    >>> AdditiveAttention()([np.zeros((2, 4, 8)), np.ones((2, 6, 8))]).shape
    (2, 4, 8)

    Notes
    -----
    Source: Bahdanau, Cho and Bengio, arXiv 1409.0473, appendix A.1.2, whose matrices are those of a
    `Dense` before it.
    """

    def __init__(self, use_scale: bool = True, dropout: float = 0.0, **options: Any) -> None:
        super().__init__(use_scale=use_scale, dropout=dropout, **options)

    def build(self, input_shape: Sequence[Any]) -> None:
        """Make the scale, where there is one."""
        width = _several(input_shape)[0][-1]
        if self.use_scale:
            self.scale = self.add_weight((width,), "glorot_uniform", name="scale")

    def _attended(
        self, query: Value, key: Value, value: Value, masks: Sequence[Value], drop: Any
    ) -> tuple[Value, Value]:
        """Return the sums of [r, t, d], [r, s, d] and [r, s, m], and their weights."""
        bent = ops.tanh(_pairs(query, key))
        bent = bent if self.scale is None else ops.multiply(bent, self.scale)
        return weighted(ops.sum(bent, axis=-1), value, masks, drop)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        config = super().get_config()
        config.pop("score_mode")
        return config


def _several(inputs: Any) -> Sequence[Any]:
    """Return the inputs, or their shapes, in a list of two or three."""
    if not isinstance(inputs, list | tuple) or not 2 <= len(inputs) <= 3:
        raise ArgumentError(
            f"attention takes [query, value] or [query, value, key], not {type(inputs).__name__}"
            + (f" of {len(inputs)}" if isinstance(inputs, list | tuple) else "")
        )
    return inputs


def _pairs(query: Value, key: Value) -> Value:
    """Return ``query[r, i, d] + key[r, j, d]`` as [r, i, j, d]."""
    return ops.add(ops.expand_dims(query, 2), ops.expand_dims(key, 1))
