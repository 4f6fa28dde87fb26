"""Pooling: the greatest or the mean of windows."""

from __future__ import annotations

from typing import Any

from chainrule import ops
from chainrule.graph import Value
from chainrule.layers.spatial import Many, _Spatial
from chainrule.ops import space


class _Pooling(_Spatial):
    """A layer that pools windows; subclasses say by which operation."""

    pooled: Any = staticmethod(ops.max_pool)

    def __init__(
        self,
        pool_size: Many = 2,
        strides: Many | None = None,
        padding: str = "valid",
        data_format: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__(data_format, **options)
        self.pool_size = space.numbers(pool_size, self.rank, "pool_size")
        given = self.pool_size if strides is None else strides
        self.strides = space.numbers(given, self.rank, "strides")
        self.padding = space.checked_padding(padding)

    def detail(self) -> str:
        """Return the size of the window."""
        return space.times(self.pool_size)

    def _moved(self, x: Value) -> Value:
        y: Value = self.pooled(x, self.pool_size, self.strides, self.padding)
        return y

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        return {
            **super().get_config(),
            "pool_size": list(self.pool_size),
            "strides": list(self.strides),
            "padding": self.padding,
        }


class MaxPooling2D(_Pooling):
    """``y[n, o, p, c] = max_i,j x[n, o * s + i, p * t + j, c]`` over windows of images.

    What `padding` adds is never chosen; NaN stays NaN. The gradient goes to the greatest element
    of each window, the first of several. Also called `MaxPool2D`.

    Shapes: x [n, h, w, c], y [n, (h - pool_size) // strides + 1, ..., c], or ceil(h / strides)
    for "same".

    Parameters
    ----------
    pool_size : int or sequence of int, default 2
        The size of the window along each axis, at least 1.
    strides : int or sequence of int, optional
        Steps from one window to the next, at least 1; by default `pool_size`.
    padding : {"valid", "same"}, default "valid"
        None; or as much on both sides as keeps the size for strides of 1, the odd one after.
    data_format : {"channels_last", "channels_first"}, default "channels_last"
        Where the axis of channels is: [n, h, w, c] or [n, c, h, w].
    **options
        See `Layer`.

    Raises
    ------
    ArgumentError
        For sizes below 1 or of another number, an unknown padding or format.
    ShapeError
        For inputs of another number of axes, or smaller than the window.

    Examples
    --------
    >>> from chainrule.layers import MaxPooling2D
    >>> MaxPooling2D()([[[[1.0], [2.0]], [[3.0], [0.0]]]]).numpy().tolist()
    [[[[3.0]]]]
    """


class MaxPooling1D(_Pooling):
    """``y[n, o, c] = max_i x[n, o * s + i, c]`` over windows of sequences x [n, t, c].

    Also called `MaxPool1D`.

    Parameters
    ----------
    pool_size, strides, padding, data_format, **options
        See `MaxPooling2D`.

    Raises
    ------
    ArgumentError, ShapeError
        As `MaxPooling2D`.

    Examples
    --------
    >>> from chainrule.layers import MaxPooling1D
    >>> MaxPooling1D()([[[1.0], [5.0], [3.0], [4.0]]]).numpy().tolist()
    [[[5.0], [4.0]]]
    """

    rank = 1


class MaxPooling3D(_Pooling):
    """The greatest of each window of volumes x [n, z, h, w, c].

    Also called `MaxPool3D`.

    Parameters
    ----------
    pool_size, strides, padding, data_format, **options
        See `MaxPooling2D`.

    Raises
    ------
    ArgumentError, ShapeError
        As `MaxPooling2D`.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.layers import MaxPooling3D
    >>> MaxPooling3D((1, 2, 2))(np.zeros((1, 4, 4, 4, 3))).shape
    (1, 4, 2, 2, 3)
    """

    rank = 3


class _Averaging(_Pooling):
    pooled = staticmethod(ops.average_pool)


class AveragePooling2D(_Averaging):
    """``y[n, o, p, c] = mean_i,j x[n, o * s + i, p * t + j, c]`` over windows of images.

    What `padding` adds is not counted. Also called `AvgPool2D`.

    Shapes: as for `MaxPooling2D`.

    Parameters
    ----------
    pool_size, strides, padding, data_format, **options
        See `MaxPooling2D`.

    Raises
    ------
    ArgumentError, ShapeError
        As `MaxPooling2D`.

    Examples
    --------
    >>> from chainrule.layers import AveragePooling2D
    >>> AveragePooling2D()([[[[1.0], [2.0]], [[3.0], [0.0]]]]).numpy().tolist()
    [[[[1.5]]]]
    """


class AveragePooling1D(_Averaging):
    """``y[n, o, c] = mean_i x[n, o * s + i, c]`` over windows of sequences x [n, t, c].

    Also called `AvgPool1D`.

    Parameters
    ----------
    pool_size, strides, padding, data_format, **options
        See `MaxPooling2D`.

    Raises
    ------
    ArgumentError, ShapeError
        As `MaxPooling2D`.

    Examples
    --------
    >>> from chainrule.layers import AveragePooling1D
    >>> AveragePooling1D(2, strides=1)([[[1.0], [5.0], [3.0]]]).numpy().tolist()
    [[[3.0], [4.0]]]
    """

    rank = 1


class AveragePooling3D(_Averaging):
    """The mean of each window of volumes x [n, z, h, w, c].

    Also called `AvgPool3D`.

    Parameters
    ----------
    pool_size, strides, padding, data_format, **options
        See `MaxPooling2D`.

    Raises
    ------
    ArgumentError, ShapeError
        As `MaxPooling2D`.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.layers import AveragePooling3D
    >>> AveragePooling3D()(np.zeros((1, 4, 4, 4, 3))).shape
    (1, 2, 2, 2, 3)
    """

    rank = 3


MaxPool1D, MaxPool2D, MaxPool3D = MaxPooling1D, MaxPooling2D, MaxPooling3D
AvgPool1D, AvgPool2D, AvgPool3D = AveragePooling1D, AveragePooling2D, AveragePooling3D
