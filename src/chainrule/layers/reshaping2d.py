"""Layers that put zeros around samples, or cut their borders off."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from chainrule import ops
from chainrule.errors import ArgumentError, ShapeError
from chainrule.graph import Value
from chainrule.layers.spatial import _Spatial
from chainrule.ops import space

Pairs = tuple[tuple[int, ...], ...]


def _pairs(value: Any, rank: int, name: str) -> Pairs:
    """Return (before, behind) of each axis, from one number, one for each axis, or their pairs."""
    several = isinstance(value, Iterable) and rank > 1
    given = tuple(value) if several else (value,) * rank
    if len(given) != rank:
        raise ArgumentError(f"{name} is {value!r}; expected a number, or {rank} numbers or pairs")
    return tuple(space.numbers(each, 2, name, least=0) for each in given)


class _Bordered(_Spatial):
    """A layer with a number of places before and behind each axis."""

    word = "padding"

    def __init__(self, pairs: Any, data_format: str | None = None, **options: Any) -> None:
        super().__init__(data_format, **options)
        self._pairs = _pairs(pairs, self.rank, self.word)

    def detail(self) -> str:
        """Return the numbers, (before, behind) for each axis."""
        return " x ".join(str(pair) for pair in self._pairs)

    def _all(self) -> Pairs:
        """Return the pairs for all axes of the inputs."""
        last = self.data_format == space.LAST
        none = ((0, 0),)
        return (*none, *self._pairs, *none) if last else (*none, *none, *self._pairs)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        pairs = [list(pair) for pair in self._pairs]
        return {**super().get_config(), self.word: pairs[0] if self.rank == 1 else pairs}


class _Padding(_Bordered):
    def __init__(self, padding: Any = 1, data_format: str | None = None, **options: Any) -> None:
        super().__init__(padding, data_format, **options)
        self.padding = self._pairs[0] if self.rank == 1 else self._pairs

    def call(self, x: Value, training: bool = False) -> Value:
        """Return x with zeros around it."""
        self._check(x)
        y: Value = ops.pad(x, self._all())
        return y


class ZeroPadding2D(_Padding):
    """Images with zeros around them.

    Shapes: x [n, h, w, c], y [n, top + h + bottom, left + w + right, c].

    Parameters
    ----------
    padding : int, pair of int, or pair of pairs of int, default 1
        At least 0: for all sides; for (height, width); or ((top, bottom), (left, right)).
    data_format : {"channels_last", "channels_first"}, default "channels_last"
        Where the axis of channels is: [n, h, w, c] or [n, c, h, w].
    **options
        See `Layer`.

    Raises
    ------
    ArgumentError
        For numbers below 0 or of another count, or an unknown format.
    ShapeError
        For inputs of another number of axes.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.layers import ZeroPadding2D
    >>> ZeroPadding2D(((1, 0), (2, 2)))(np.ones((1, 3, 3, 2))).shape
    (1, 4, 7, 2)
    """


class ZeroPadding1D(_Padding):
    """Sequences with zeros before and behind.

    Shapes: x [n, t, c], y [n, before + t + behind, c].

    Parameters
    ----------
    padding : int or pair of int, default 1
        At least 0: for both ends, or (before, behind).
    data_format, **options
        See `ZeroPadding2D`.

    Raises
    ------
    ArgumentError, ShapeError
        As `ZeroPadding2D`.

    Examples
    --------
    >>> from chainrule.layers import ZeroPadding1D
    >>> ZeroPadding1D((2, 0))([[[1.0], [2.0]]]).numpy().ravel().tolist()
    [0.0, 0.0, 1.0, 2.0]
    """

    rank = 1


class ZeroPadding3D(_Padding):
    """Volumes x [n, z, h, w, c] with zeros around them.

    Parameters
    ----------
    padding : int, or three int or pairs of int, default 1
        At least 0: for all sides, or for each axis one for both, or (before, behind).
    data_format, **options
        See `ZeroPadding2D`.

    Raises
    ------
    ArgumentError, ShapeError
        As `ZeroPadding2D`.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.layers import ZeroPadding3D
    >>> ZeroPadding3D((0, 1, (2, 0)))(np.ones((1, 3, 3, 3, 2))).shape
    (1, 3, 5, 5, 2)
    """

    rank = 3


class _Cropping(_Bordered):
    word = "cropping"

    def __init__(
        self, cropping: Any = None, data_format: str | None = None, **options: Any
    ) -> None:
        # Keras's sequences lose one place at each end by default, its images nothing.
        by_default = 1 if self.rank != 2 else 0
        super().__init__(by_default if cropping is None else cropping, data_format, **options)
        self.cropping = self._pairs[0] if self.rank == 1 else self._pairs

    def call(self, x: Value, training: bool = False) -> Value:
        """Return x without its borders."""
        self._check(x)
        pairs = self._all()
        if any(a + b >= n for (a, b), n in zip(pairs, x.shape, strict=True) if a + b):
            raise ShapeError(
                f"cropping {space.times(self._pairs)} leaves nothing of x, "
                f"which has shape {list(x.shape)}"
            )
        y: Value = x[tuple(slice(a, n - b) for (a, b), n in zip(pairs, x.shape, strict=True))]
        return y


class Cropping2D(_Cropping):
    """Images without their borders.

    Shapes: x [n, h, w, c], y [n, h - top - bottom, w - left - right, c].

    Parameters
    ----------
    cropping : int, pair of int, or pair of pairs of int, default 0
        At least 0: for all sides; for (height, width); or ((top, bottom), (left, right)).
    data_format : {"channels_last", "channels_first"}, default "channels_last"
        Where the axis of channels is: [n, h, w, c] or [n, c, h, w].
    **options
        See `Layer`.

    Raises
    ------
    ArgumentError
        For numbers below 0 or of another count, or an unknown format.
    ShapeError
        For inputs of another number of axes, or of which nothing would be left.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.layers import Cropping2D
    >>> Cropping2D(((1, 0), (1, 2)))(np.ones((1, 5, 5, 2))).shape
    (1, 4, 2, 2)
    """


class Cropping1D(_Cropping):
    """Sequences without their ends.

    Shapes: x [n, t, c], y [n, t - before - behind, c].

    Parameters
    ----------
    cropping : int or pair of int, default 1
        At least 0: for both ends, or (before, behind).
    **options
        See `Layer`.

    Raises
    ------
    ArgumentError, ShapeError
        As `Cropping2D`.

    Examples
    --------
    >>> from chainrule.layers import Cropping1D
    >>> Cropping1D((1, 0))([[[1.0], [2.0], [3.0]]]).numpy().ravel().tolist()
    [2.0, 3.0]
    """

    rank = 1

    def __init__(self, cropping: Any = None, **options: Any) -> None:
        super().__init__(cropping, **options)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        config = super().get_config()
        config.pop("data_format")
        return config


class Cropping3D(_Cropping):
    """Volumes x [n, z, h, w, c] without their borders.

    Parameters
    ----------
    cropping : int, or three int or pairs of int, default 1
        At least 0: for all sides, or for each axis one for both, or (before, behind).
    data_format, **options
        See `Cropping2D`.

    Raises
    ------
    ArgumentError, ShapeError
        As `Cropping2D`.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.layers import Cropping3D
    >>> Cropping3D((0, 1, (2, 0)))(np.ones((1, 3, 4, 5, 2))).shape
    (1, 3, 2, 3, 2)
    """

    rank = 3
