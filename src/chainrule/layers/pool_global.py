"""Pooling of all places: the greatest or the mean of each channel."""

from __future__ import annotations

from typing import Any

from chainrule import ops
from chainrule.errors import ShapeError
from chainrule.graph import Value
from chainrule.layers.masks import checked
from chainrule.layers.spatial import _Spatial
from chainrule.ops import space


class _Global(_Spatial):
    """A layer that pools all places of a channel; subclasses say by which operation."""

    pooled: Any = staticmethod(ops.max)

    def __init__(
        self, data_format: str | None = None, keepdims: bool = False, **options: Any
    ) -> None:
        super().__init__(data_format, **options)
        self.keepdims = bool(keepdims)

    def call(self, x: Value, training: bool = False) -> Value:
        """Return one number a sample and channel."""
        self._check(x)
        first = 1 if self.data_format == space.LAST else 2
        axes = tuple(range(first, first + self.rank))
        if 0 in (x.shape[a] for a in axes):
            raise ShapeError(f"x of shape {list(x.shape)} has no places to pool")
        y: Value = self.pooled(x, axis=axes, keepdims=self.keepdims)
        return y

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        return {**super().get_config(), "keepdims": self.keepdims}


class GlobalMaxPooling2D(_Global):
    """``y[n, c] = max_h,w x[n, h, w, c]``.

    Where several are the greatest, they share the gradient. Also called `GlobalMaxPool2D`.

    Parameters
    ----------
    data_format : {"channels_last", "channels_first"}, default "channels_last"
        Where the axis of channels is: [n, h, w, c] or [n, c, h, w].
    keepdims : bool, default False
        Whether the axes of space stay, with size 1.
    **options
        See `Layer`.

    Raises
    ------
    ArgumentError
        For an unknown format.
    ShapeError
        For inputs of another number of axes, or without a place.

    Examples
    --------
    >>> from chainrule.layers import GlobalMaxPooling2D
    >>> GlobalMaxPooling2D()([[[[1.0], [2.0]], [[3.0], [0.0]]]]).numpy().tolist()
    [[3.0]]
    """


class GlobalMaxPooling1D(_Global):
    """``y[n, c] = max_t x[n, t, c]``.

    Also called `GlobalMaxPool1D`.

    Parameters
    ----------
    data_format, keepdims, **options
        See `GlobalMaxPooling2D`.

    Raises
    ------
    ArgumentError, ShapeError
        As `GlobalMaxPooling2D`.

    Examples
    --------
    >>> from chainrule.layers import GlobalMaxPooling1D
    >>> GlobalMaxPooling1D()([[[1.0], [5.0]]]).numpy().tolist()
    [[5.0]]
    """

    rank = 1


class GlobalMaxPooling3D(_Global):
    """``y[n, c] = max_z,h,w x[n, z, h, w, c]``.

    Also called `GlobalMaxPool3D`.

    Parameters
    ----------
    data_format, keepdims, **options
        See `GlobalMaxPooling2D`.

    Raises
    ------
    ArgumentError, ShapeError
        As `GlobalMaxPooling2D`.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.layers import GlobalMaxPooling3D
    >>> GlobalMaxPooling3D(keepdims=True)(np.zeros((2, 4, 4, 4, 3))).shape
    (2, 1, 1, 1, 3)
    """

    rank = 3


class _GlobalMean(_Global):
    pooled = staticmethod(ops.mean)


class GlobalAveragePooling2D(_GlobalMean):
    """``y[n, c] = mean_h,w x[n, h, w, c]``.

    Also called `GlobalAvgPool2D`.

    Parameters
    ----------
    data_format, keepdims, **options
        See `GlobalMaxPooling2D`.

    Raises
    ------
    ArgumentError, ShapeError
        As `GlobalMaxPooling2D`.

    Examples
    --------
    >>> from chainrule.layers import GlobalAveragePooling2D
    >>> GlobalAveragePooling2D()([[[[1.0], [2.0]], [[3.0], [0.0]]]]).numpy().tolist()
    [[1.5]]

    Notes
    -----
    Source: Lin, Chen and Yan, "Network in network", arXiv 1312.4400, section 3.2.
    """


class GlobalAveragePooling1D(_GlobalMean):
    """``y[n, c] = mean_t x[n, t, c]``, over the steps that count where x has a mask.

    Of a sample without such a step the mean is 0. Also called `GlobalAvgPool1D`.

    Parameters
    ----------
    data_format, keepdims, **options
        See `GlobalMaxPooling2D`.

    Raises
    ------
    ArgumentError, ShapeError
        As `GlobalMaxPooling2D`.

    Examples
    --------
    >>> from chainrule.layers import GlobalAveragePooling1D
    >>> GlobalAveragePooling1D()([[[1.0], [5.0]]]).numpy().tolist()
    [[3.0]]
    """

    rank = 1

    def call(self, x: Value, training: bool = False, mask: Any = None) -> Value:
        """Return one number a sample and channel."""
        if mask is None:
            return super().call(x)
        self._check(x)
        axis = 1 if self.data_format == space.LAST else 2
        counts = checked(mask, (x.shape[0], x.shape[axis]))
        counts = ops.expand_dims(counts, axis=3 - axis)
        total = ops.sum(ops.where(counts, x, 0.0), axis=axis, keepdims=self.keepdims)
        steps = ops.sum(ops.cast(counts, x.dtype), axis=axis, keepdims=self.keepdims)
        return ops.divide(total, ops.maximum(steps, 1.0))

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> None:
        """Return None: there are no steps left."""


class GlobalAveragePooling3D(_GlobalMean):
    """``y[n, c] = mean_z,h,w x[n, z, h, w, c]``.

    Also called `GlobalAvgPool3D`.

    Parameters
    ----------
    data_format, keepdims, **options
        See `GlobalMaxPooling2D`.

    Raises
    ------
    ArgumentError, ShapeError
        As `GlobalMaxPooling2D`.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.layers import GlobalAveragePooling3D
    >>> GlobalAveragePooling3D()(np.zeros((2, 4, 4, 4, 3))).shape
    (2, 3)
    """

    rank = 3


GlobalMaxPool1D, GlobalMaxPool2D = GlobalMaxPooling1D, GlobalMaxPooling2D
GlobalMaxPool3D = GlobalMaxPooling3D
GlobalAvgPool1D, GlobalAvgPool2D = GlobalAveragePooling1D, GlobalAveragePooling2D
GlobalAvgPool3D = GlobalAveragePooling3D
