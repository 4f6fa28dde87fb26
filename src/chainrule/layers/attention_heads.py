"""What layers of attention with several heads share: projections, masks over scores, the call."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from chainrule import constraints, initializers, ops, regularizers
from chainrule.errors import ArgumentError, ShapeError
from chainrule.graph import Value
from chainrule.layers.base import Layer, Shape
from chainrule.layers.conv_base import at_least_one
from chainrule.layers.dropout import Dropout
from chainrule.layers.einsum_dense import EinsumDense
from chainrule.ops.attention import check_mask, over_heads, reach

Sizes = tuple[int, ...]

_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_RULES = ("kernel", "bias")


class _Heads(Layer):
    """A layer that projects query, key and value to heads, attends and projects what they find."""

    supports_masking = True

    def __init__(
        self,
        dropout: float = 0.0,
        use_bias: bool = True,
        sliding_window: int | None = None,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        use_gate: bool = False,
        seed: int | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.use_bias, self.use_gate, self.seed = bool(use_bias), bool(use_gate), seed
        if sliding_window is not None:
            at_least_one("sliding_window", sliding_window)
        self.sliding_window = sliding_window
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self._activity = regularizers.get(activity_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        self.bias_constraint = constraints.get(bias_constraint)
        self._dropout_layer = Dropout(dropout, seed=seed, dtype=self.dtype)
        self.dropout = self._dropout_layer.rate

    # What a subclass writes.

    def _axes(self, query: Shape) -> tuple[int, ...]:
        """Return the axes of the query that are attended over, counted from the front."""
        raise NotImplementedError

    def _projected(self, query: Value, value: Value, key: Value) -> tuple[Value, Value, Value]:
        """Return the heads of query, key and value."""
        raise NotImplementedError

    def _joined(self, query: Value, y: Value) -> Value:
        """Return what the heads found, made one vector."""
        raise NotImplementedError

    # What they share.

    def _dense(
        self, name: str, given: Shape, over: int, new: Sequence[int], activation: str | None = None
    ) -> EinsumDense:
        """Return a projection, built, of the last `over` axes of an array onto new ones."""
        kept, last = _LETTERS[: len(given) - over], _LETTERS[len(given) - over : len(given)]
        letters = _LETTERS[len(given) : len(given) + len(new)]
        layer = EinsumDense(
            f"{kept}{last},{last}{letters}->{kept}{letters}",
            (*[None] * (len(kept) - 1), *new),
            activation=activation,
            bias_axes=letters if self.use_bias else None,
            kernel_initializer=self.kernel_initializer,
            bias_initializer=self.bias_initializer,
            kernel_regularizer=self.kernel_regularizer,
            bias_regularizer=self.bias_regularizer,
            activity_regularizer=self._activity,
            kernel_constraint=self.kernel_constraint,
            bias_constraint=self.bias_constraint,
            name=name,
            dtype=self.dtype,
            trainable=self.trainable,
            learning_rate_multiplier=self.learning_rate_multiplier,
        )
        layer.build_for(given)
        return layer

    def call(  # type: ignore[override]
        self,
        query: Value,
        value: Value,
        key: Value | None = None,
        query_mask: Any = None,
        value_mask: Any = None,
        key_mask: Any = None,
        attention_mask: Any = None,
        return_attention_scores: bool = False,
        training: bool = False,
        use_causal_mask: bool = False,
    ) -> Any:
        """Return what is found for each place of the query, and the weights where asked for."""
        key = value if key is None else key
        axes = self._axes(query.shape)
        self._check(query, value, key, axes)
        q, k, v = self._projected(query, value, key)
        masks = [
            _of_steps(query_mask, query, axes, "query"),
            _of_steps(value_mask, value, axes, "value"),
            _of_steps(key_mask, key, axes, "key"),
            self._places(query.shape, key.shape, axes, use_causal_mask),
            self._given(attention_mask, q, k, axes),
        ]
        y, weights = over_heads(
            q,
            k,
            v,
            axes,
            [m for m in masks if m is not None],
            1.0 / math.sqrt(q.shape[-1]),
            drop=self._dropout_layer if training and self.dropout else None,
        )
        y = self._joined(query, y)
        return (y, weights) if return_attention_scores else y

    def _places(self, query: Sizes, key: Sizes, axes: Sequence[int], causal: bool) -> Value | None:
        """Return which places a place may look at, by how far they are from it."""
        if not causal and self.sliding_window is None:
            return None
        if len(axes) != 1:
            raise ArgumentError(
                f"attention is over axes {list(axes)}; what is causal, or within a window, is over "
                "one"
            )
        t, s = query[axes[0]], key[axes[0]]
        found = reach(t, s, causal, self.sliding_window)
        return None if found is None else ops.reshape(found, (*[1] * (len(query) - 1), t, s))

    def _given(self, mask: Any, q: Value, k: Value, axes: Sequence[int]) -> Value | None:
        """Return the caller's mask with an axis for each of the scores."""
        if mask is None:
            return None
        found, places = ops.cast(mask, "bool"), 2 * len(axes)
        lead = [n for a, n in enumerate(q.shape[:-1]) if a not in axes]
        full = (*lead, *(q.shape[a] for a in axes), *(k.shape[a] for a in axes))
        first = max(found.ndim - places, 0)
        shape = (*found.shape[:first], *[1] * (len(full) - found.ndim), *found.shape[first:])
        found = ops.reshape(found, shape)
        check_mask(found, full)
        return found

    def _check(self, query: Value, value: Value, key: Value, axes: Sequence[int]) -> None:
        """Raise unless the inputs differ in the axes attended over, and the features, alone."""
        sizes = [
            [n for a, n in enumerate(x.shape[:-1]) if a not in axes] for x in (query, value, key)
        ]
        if value.shape[:-1] != key.shape[:-1] or any(x != sizes[0] for x in sizes):
            shapes = (f"{list(x.shape)}" for x in (query, value, key))
            raise ShapeError(
                "query {}, value {} and key {} do not fit together: all have one batch, key and "
                "value one length".format(*shapes)
            )

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        config = {
            **super().get_config(),
            "dropout": self.dropout,
            "use_bias": self.use_bias,
            "use_gate": self.use_gate,
            "sliding_window": self.sliding_window,
            "activity_regularizer": regularizers.serialize(self._activity),
            "seed": self.seed,
        }
        for weight in _RULES:
            for kind in (initializers, regularizers, constraints):
                word = f"{weight}_{kind.__name__.rpartition('.')[2].removesuffix('s')}"
                config[word] = kind.serialize(getattr(self, word))
        return config


def _of_steps(mask: Any, x: Value, axes: Sequence[int], name: str) -> Value | None:
    """Return the mask of the steps of query, value or key with an axis for each of the scores."""
    if mask is None:
        return None
    found = ops.cast(mask, "bool")
    if found.shape != x.shape[:-1]:
        raise ShapeError(
            f"the mask of the {name} has shape {list(found.shape)}; expected "
            f"{list(x.shape[:-1])}, one truth for each step"
        )
    lead = [a for a in range(found.ndim) if a not in axes]
    turned = ops.transpose(found, (*lead, *axes))
    sizes, ones = turned.shape[len(lead) :], [1] * len(axes)
    places = (*sizes, *ones) if name == "query" else (*ones, *sizes)
    return ops.reshape(turned, (*turned.shape[: len(lead)], 1, *places))
