"""Layers that make samples larger: places repeated, or interpolated."""

from __future__ import annotations

from typing import Any

from chainrule import ops
from chainrule.graph import Value
from chainrule.layers.spatial import Many, _Spatial
from chainrule.ops import space
from chainrule.ops.resizing import checked_interpolation, interpolated


class _UpSampling(_Spatial):
    """A layer that repeats places, or puts some between them."""

    def __init__(self, size: Many = 2, data_format: str | None = None, **options: Any) -> None:
        super().__init__(data_format, **options)
        self._times = space.numbers(size, self.rank, "size")
        self.interpolation = "nearest"

    def detail(self) -> str:
        """Return how many times as large the output is along each axis."""
        return f"times {space.times(self._times)}"

    def _moved(self, x: Value) -> Value:
        n, *size, c = x.shape
        pairs = list(zip(size, self._times, strict=True))
        larger = tuple(m * k for m, k in pairs)
        if self.interpolation != "nearest":
            return interpolated(x, larger, self.interpolation)
        apart = ops.reshape(x, (n, *(m for each in size for m in (each, 1)), c))
        wide = ops.broadcast_to(apart, (n, *(m for pair in pairs for m in pair), c))
        return ops.reshape(wide, (n, *larger, c))

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        return {**super().get_config(), "size": list(self._times)}


class UpSampling2D(_UpSampling):
    """Images `size` times as large: each pixel repeated, or interpolated.

    Shapes: x [n, h, w, c], y [n, h * size, w * size, c].

    Parameters
    ----------
    size : int or pair of int, default 2
        At least 1: for both axes, or for (height, width).
    data_format : {"channels_last", "channels_first"}, default "channels_last"
        Where the axis of channels is: [n, h, w, c] or [n, c, h, w].
    interpolation : {"nearest", "bilinear", "bicubic", "lanczos3", "lanczos5"}
        By default "nearest", which repeats.
    **options
        See `Layer`.

    Raises
    ------
    ArgumentError
        For numbers below 1 or of another count, an unknown interpolation or format.
    ShapeError
        For inputs of another number of axes.

    Examples
    --------
    >>> from chainrule.layers import UpSampling2D
    >>> UpSampling2D((1, 2))([[[[1.0], [2.0]]]]).numpy().ravel().tolist()
    [1.0, 1.0, 2.0, 2.0]
    """

    def __init__(
        self,
        size: Many = 2,
        data_format: str | None = None,
        interpolation: str = "nearest",
        **options: Any,
    ) -> None:
        super().__init__(size, data_format, **options)
        self.size = self._times
        self.interpolation = checked_interpolation(interpolation)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        return {**super().get_config(), "interpolation": self.interpolation}


class UpSampling1D(_UpSampling):
    """Sequences `size` times as long: each place repeated.

    Shapes: x [n, t, c], y [n, t * size, c].

    Parameters
    ----------
    size : int, default 2
        At least 1.
    **options
        See `Layer`.

    Raises
    ------
    ArgumentError
        For a number below 1.
    ShapeError
        For inputs of another number of axes.

    Examples
    --------
    >>> from chainrule.layers import UpSampling1D
    >>> UpSampling1D(2)([[[1.0], [2.0]]]).numpy().ravel().tolist()
    [1.0, 1.0, 2.0, 2.0]
    """

    rank = 1

    def __init__(self, size: int = 2, **options: Any) -> None:
        super().__init__(size, **options)
        self.size = self._times[0]

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        config = {**super().get_config(), "size": self.size}
        config.pop("data_format")
        return config


class UpSampling3D(_UpSampling):
    """Volumes x [n, z, h, w, c] `size` times as large: each place repeated.

    Parameters
    ----------
    size : int or three int, default 2
        At least 1: for all axes, or for each.
    data_format : {"channels_last", "channels_first"}, default "channels_last"
    **options
        See `Layer`.

    Raises
    ------
    ArgumentError, ShapeError
        As `UpSampling2D`.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.layers import UpSampling3D
    >>> UpSampling3D((1, 2, 3))(np.ones((1, 2, 2, 2, 4))).shape
    (1, 2, 4, 6, 4)
    """

    rank = 3

    def __init__(self, size: Many = 2, data_format: str | None = None, **options: Any) -> None:
        super().__init__(size, data_format, **options)
        self.size = self._times
