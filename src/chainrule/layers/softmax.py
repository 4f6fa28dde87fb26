"""The softmax as a layer."""

from __future__ import annotations

from typing import Any

from chainrule import ops
from chainrule.errors import ShapeError
from chainrule.graph import Value
from chainrule.layers.base import Layer
from chainrule.layers.norm_base import Axis, as_rows, checked_axis, from_rows, plain_axis
from chainrule.ops.attention import check_mask, masked_softmax
from chainrule.ops.convert import all_axes


class Softmax(Layer):
    """``y[i] = e^x[i] / sum_j e^x[j]`` along one axis, or over several together.

    With a mask the sum is over the places where it is true; elsewhere y is 0, also where it is
    true nowhere along the axis.

    Shapes: x [n, ...], mask [n, ...] with each axis as long or 1, y [n, ...]. A mask of fewer axes
    is that of the last ones, as arrays broadcast, or else, that of steps [n, t], of the first.

    Parameters
    ----------
    axis : int or sequence of int, default -1
    **options
        See `Layer`.

    Raises
    ------
    ArgumentError
        For axes that are no whole numbers.
    ShapeError
        For axes that x does not have, or a mask that does not fit it.

    Examples
    --------
    >>> from chainrule.layers import Softmax
    >>> Softmax()([[1.0, 1.0, 9.0]], mask=[[True, True, False]]).numpy().tolist()
    [[0.5, 0.5, 0.0]]
    """

    def __init__(self, axis: Axis = -1, **options: Any) -> None:
        super().__init__(**options)
        self.axis = checked_axis(axis)

    supports_masking = True

    def call(  # type: ignore[override]
        self, x: Value, mask: Any = None, training: bool = False
    ) -> Value:
        """Return the softmax; numbers in a mask are true above 0.5."""
        if mask is not None:
            mask = self._fitting(x, ops.convert_to_tensor(mask))
        axes = all_axes(self.axis, x.ndim)
        if len(axes) == 1:
            return masked_softmax(x, mask, axes[0])
        rows, order = as_rows(x, axes)
        chosen = None if mask is None else as_rows(mask, axes)[0]
        return from_rows(masked_softmax(rows, chosen), x, order)

    def _fitting(self, x: Value, mask: Value) -> Value:
        """Return the mask as truths in the shape of x."""
        if mask.ndim > x.ndim:
            raise ShapeError(f"x has shape {list(x.shape)}, its mask {list(mask.shape)}")
        mask = mask if mask.dtype == "bool" else ops.greater(mask, 0.5)
        ones = [1] * (x.ndim - mask.ndim)
        last = zip(reversed(mask.shape), reversed(x.shape), strict=False)
        of_steps = mask.shape == x.shape[: mask.ndim] and any(n not in (1, m) for n, m in last)
        shape = (*mask.shape, *ones) if of_steps else (*ones, *mask.shape)
        mask = ops.reshape(mask, shape)
        check_mask(mask, x.shape)
        return ops.broadcast_to(mask, x.shape)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        return {**super().get_config(), "axis": plain_axis(self.axis)}
