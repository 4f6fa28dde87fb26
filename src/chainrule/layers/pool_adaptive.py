"""Adaptive pooling: as many windows as are asked for, whatever the size of the inputs."""

from __future__ import annotations

from typing import Any

from chainrule import ops
from chainrule.graph import Value
from chainrule.layers.spatial import Many, _Spatial
from chainrule.ops import space


class _Adaptive(_Spatial):
    """A layer that pools to `output_size` places; subclasses say by which operation."""

    pooled: Any = staticmethod(ops.adaptive_max_pool)

    def __init__(self, output_size: Many, data_format: str | None = None, **options: Any) -> None:
        super().__init__(data_format, **options)
        self.output_size = space.numbers(output_size, self.rank, "output_size")

    def detail(self) -> str:
        """Return the size of the output."""
        return f"to {space.times(self.output_size)}"

    def _moved(self, x: Value) -> Value:
        y: Value = self.pooled(x, self.output_size)
        return y

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        return {**super().get_config(), "output_size": list(self.output_size)}


class AdaptiveMaxPooling2D(_Adaptive):
    """The greatest of each of `output_size` windows that cover images x [n, h, w, c].

    Window o of m along an axis of h cells goes from ``floor(o h / m)`` up to
    ``ceil((o + 1) h / m)``.

    Shapes: y [n, *output_size, c].

    Parameters
    ----------
    output_size : int or sequence of int
        At least 1.
    data_format : {"channels_last", "channels_first"}, default "channels_last"
        Where the axis of channels is: [n, h, w, c] or [n, c, h, w].
    **options
        See `Layer`.

    Raises
    ------
    ArgumentError
        For sizes below 1 or of another number, or an unknown format.
    ShapeError
        For inputs of another number of axes, or without a cell.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.layers import AdaptiveMaxPooling2D
    >>> AdaptiveMaxPooling2D((3, 2))(np.zeros((1, 7, 5, 4))).shape
    (1, 3, 2, 4)
    """


class AdaptiveMaxPooling1D(_Adaptive):
    """The greatest of each of `output_size` windows that cover sequences x [n, t, c].

    Parameters
    ----------
    output_size, data_format, **options
        See `AdaptiveMaxPooling2D`.

    Raises
    ------
    ArgumentError, ShapeError
        As `AdaptiveMaxPooling2D`.

    Examples
    --------
    >>> from chainrule.layers import AdaptiveMaxPooling1D
    >>> AdaptiveMaxPooling1D(2)([[[1.0], [2.0], [6.0]]]).numpy().tolist()
    [[[2.0], [6.0]]]
    """

    rank = 1


class AdaptiveMaxPooling3D(_Adaptive):
    """The greatest of each of `output_size` windows that cover volumes x [n, z, h, w, c].

    Parameters
    ----------
    output_size, data_format, **options
        See `AdaptiveMaxPooling2D`.

    Raises
    ------
    ArgumentError, ShapeError
        As `AdaptiveMaxPooling2D`.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.layers import AdaptiveMaxPooling3D
    >>> AdaptiveMaxPooling3D(2)(np.zeros((1, 4, 7, 5, 3))).shape
    (1, 2, 2, 2, 3)
    """

    rank = 3


class _AdaptiveMean(_Adaptive):
    pooled = staticmethod(ops.adaptive_average_pool)


class AdaptiveAveragePooling2D(_AdaptiveMean):
    """The mean of each of `output_size` windows that cover images x [n, h, w, c].

    Shapes: y [n, *output_size, c].

    Parameters
    ----------
    output_size, data_format, **options
        See `AdaptiveMaxPooling2D`.

    Raises
    ------
    ArgumentError, ShapeError
        As `AdaptiveMaxPooling2D`.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.layers import AdaptiveAveragePooling2D
    >>> AdaptiveAveragePooling2D((3, 2))(np.zeros((1, 7, 5, 4))).shape
    (1, 3, 2, 4)
    """


class AdaptiveAveragePooling1D(_AdaptiveMean):
    """The mean of each of `output_size` windows that cover sequences x [n, t, c].

    Parameters
    ----------
    output_size, data_format, **options
        See `AdaptiveMaxPooling2D`.

    Raises
    ------
    ArgumentError, ShapeError
        As `AdaptiveMaxPooling2D`.

    Examples
    --------
    >>> from chainrule.layers import AdaptiveAveragePooling1D
    >>> AdaptiveAveragePooling1D(2)([[[1.0], [2.0], [6.0]]]).numpy().tolist()
    [[[1.5], [4.0]]]
    """

    rank = 1


class AdaptiveAveragePooling3D(_AdaptiveMean):
    """The mean of each of `output_size` windows that cover volumes x [n, z, h, w, c].

    Parameters
    ----------
    output_size, data_format, **options
        See `AdaptiveMaxPooling2D`.

    Raises
    ------
    ArgumentError, ShapeError
        As `AdaptiveMaxPooling2D`.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.layers import AdaptiveAveragePooling3D
    >>> AdaptiveAveragePooling3D(2)(np.zeros((1, 4, 7, 5, 3))).shape
    (1, 2, 2, 2, 3)
    """

    rank = 3
