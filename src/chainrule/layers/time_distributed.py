"""One layer for every step of a sequence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chainrule import ops
from chainrule.errors import ArgumentError, ShapeError
from chainrule.graph import Value
from chainrule.graph.symbol import filled, leaves
from chainrule.layers.base import Layer


class TimeDistributed(Layer):
    """``y[:, t] = layer(x[:, t])`` for every step t, with the same weights.

    The layer is called once, with the steps of all samples as a batch. So in training what it
    takes from a batch (the mean of a `BatchNormalization`, say) is that of all steps together,
    where Keras goes step by step.

    A mask [n, t, s] of sequences of sequences goes to the layer, as [n * t, s]; y then has the
    steps that count in any place. A mask [n, t] is that of y.

    Shapes: x [n, t, ...], y [n, t, ...].

    Parameters
    ----------
    layer : Layer
        Or a model.
    **options
        See `Layer`.

    Raises
    ------
    ArgumentError
        For something that is no layer.
    ShapeError
        For inputs without steps, or a mask of another shape.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.layers import Dense, TimeDistributed
    >>> TimeDistributed(Dense(4))(np.ones((2, 5, 3))).shape
    (2, 5, 4)
    """

    supports_masking = True

    def __init__(self, layer: Layer, **options: Any) -> None:
        super().__init__(**options)
        if not isinstance(layer, Layer):
            raise ArgumentError(f"TimeDistributed takes a layer, not {layer!r}")
        self.layer = layer
        self.input_dtype = layer.input_dtype

    def detail(self) -> str:
        """Return what is at every step."""
        return f"{type(self.layer).__name__} {self.layer.detail()}".strip()

    def build(self, input_shape: Any) -> None:
        """Make the weights of the layer."""
        self.layer.build_for(_step(input_shape))

    def call(self, x: Value, training: bool = False, mask: Any = None) -> Any:
        """Return what the layer puts out for each step."""
        _step(x.shape)
        n, t, *rest = x.shape
        flat = ops.reshape(x, (n * t, *rest))
        if mask is not None:
            mask = ops.as_value(mask)
            if mask.ndim < 2 or mask.shape[:2] != (n, t):
                raise ShapeError(
                    f"the mask has shape {list(mask.shape)}; expected it to begin with {[n, t]}"
                )
            if mask.ndim > 2:
                flat.mask = ops.reshape(mask, (n * t, *mask.shape[2:]))
        y = self.layer(flat, training=training)
        found = filled(y, (self._unfolded(part, n, t) for part in leaves(y)))
        return found

    def _unfolded(self, y: Value, n: int, t: int) -> Value:
        found = ops.reshape(y, (n, t, *y.shape[1:]))
        if y.mask is not None:
            found.mask = ops.reshape(y.mask, (n, t, *y.mask.shape[1:]))
        return found

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Value | None:
        """Return the steps that count, in any place of a mask with more axes."""
        if previous_mask is None:
            return None
        mask = ops.as_value(previous_mask)
        return mask if mask.ndim == 2 else ops.any(mask, axis=range(2, mask.ndim))

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shape of what the layer puts out, with the axis of steps."""
        self.build_for(input_shape)
        inner = self.layer.compute_output_shape(_step(input_shape))
        if isinstance(inner, list):
            return [(input_shape[0], input_shape[1], *shape[1:]) for shape in inner]
        return (input_shape[0], input_shape[1], *inner[1:])

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        from chainrule.layers import serialize

        return {**super().get_config(), "layer": serialize(self.layer)}

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: Mapping[str, type[Layer]] | None = None
    ) -> Any:
        """Return the layer that `get_config` described; `custom_objects` are your own layers."""
        from chainrule.layers import deserialize

        return cls(**{**config, "layer": deserialize(config["layer"], custom_objects)})


def _step(shape: Any) -> Any:
    """Return the shape of the steps of sequences of this shape."""
    if len(shape) < 3:
        raise ShapeError(f"x has shape {list(shape)}; expected steps with features: [n, t, ...]")
    return (None, *shape[2:])
