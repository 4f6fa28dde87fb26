"""Steps of sequences that do not count, told by a value."""

from __future__ import annotations

from typing import Any

from chainrule import ops
from chainrule.errors import ArgumentError, ShapeError
from chainrule.graph import Value
from chainrule.layers.base import Layer


class Masking(Layer):
    """Leaves out the steps whose features all are `mask_value`: they become 0, and y has a mask.

    The mask travels on from layer to layer: recurrent layers keep their state at such a step, and
    the loss and the metrics do not count it.

    Shapes: x and y [n, t, ...]; the mask of y is x without its last axis.

    Parameters
    ----------
    mask_value : float, default 0
    **options
        See `Layer`.

    Raises
    ------
    ArgumentError
        For a value that is no number.
    ShapeError
        For inputs without steps.

    Examples
    --------
    >>> from chainrule.layers import Masking
    >>> y = Masking(-1.0)([[[3.0, -1.0], [-1.0, -1.0]]])
    >>> y.numpy().tolist()
    [[[3.0, -1.0], [0.0, 0.0]]]
    >>> y.mask.numpy().tolist()
    [[True, False]]
    """

    def __init__(self, mask_value: float = 0.0, **options: Any) -> None:
        super().__init__(**options)
        if isinstance(mask_value, bool) or not isinstance(mask_value, int | float):
            raise ArgumentError(f"mask_value is {mask_value!r}; expected a number")
        self.mask_value = mask_value

    def call(self, x: Value, training: bool = False) -> Value:
        """Return x, 0 at the steps that do not count."""
        if x.ndim < 2:
            raise ShapeError(f"x has shape {list(x.shape)}; expected [n, t, ...]")
        counts = ops.any(ops.not_equal(x, self.mask_value), axis=-1, keepdims=True)
        y = ops.where(counts, x, 0.0)
        y.mask = ops.squeeze(counts, -1)
        return y

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Value:
        """Return where a feature is not `mask_value`."""
        return ops.any(ops.not_equal(inputs, self.mask_value), axis=-1)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the input's shape."""
        return tuple(input_shape)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        return {**super().get_config(), "mask_value": self.mask_value}
