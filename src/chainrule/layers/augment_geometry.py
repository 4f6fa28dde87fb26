"""Layers that turn, move, stretch and shear images, each by an affine map a sample."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule import ops
from chainrule.graph import Value
from chainrule.layers.augment_base import Factor, Range, combined, limits, plain
from chainrule.layers.augment_map import _Geometric


class RandomRotation(_Geometric):
    """``y = x turned about its middle by 2 pi r``, r uniform in a range, drawn for each image.

    As a layer of a model it acts in training only; called on arrays it acts unless told not to by
    ``training=False``.

    Shapes
    ------
    x : [n, h, w, c] or [h, w, c]; returned : the same

    Parameters
    ----------
    factor : float, or two, in [-1, 1]
        The range in turns; f stands for [-f, f]. A positive one turns against the clock.
    fill_mode : {"reflect", "constant", "nearest", "wrap"}
        What stands beyond the edge: ``reflect`` (the default) ``d c b a | a b c d | d c b a``,
        ``constant`` the `fill_value`, ``nearest`` the pixel at the edge, ``wrap`` the other side.
    interpolation : {"bilinear", "nearest"}, default "bilinear"
    seed : int, optional
        See `Dropout`.
    fill_value : float, default 0
    data_format : {"channels_last", "channels_first"}, default "channels_last"
    **options
        See `Layer`.

    Raises
    ------
    ArgumentError
        For a factor outside its range, or an unknown mode.
    ShapeError
        For what are no images.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.layers import RandomRotation
    >>> turned = RandomRotation((0.25, 0.25))(np.eye(3)[..., None]).numpy()
    >>> bool(np.allclose(turned[..., 0], np.eye(3)[::-1], atol=1e-6))
    True
    """

    def __init__(
        self,
        factor: Factor,
        fill_mode: str = "reflect",
        interpolation: str = "bilinear",
        seed: int | None = None,
        fill_value: float = 0.0,
        data_format: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__(
            fill_mode=fill_mode,
            interpolation=interpolation,
            seed=seed,
            fill_value=fill_value,
            data_format=data_format,
            **options,
        )
        self.range = limits("factor", factor, -1.0, 1.0)
        self.factor = plain(factor)

    def detail(self) -> str:
        """Return the range, in turns."""
        return f"{self.range[0]:g} to {self.range[1]:g} turns"

    def drawn(self, x: Value) -> Value:
        """Return the maps."""
        angle = ops.multiply(self.uniform(x, self.range), 2.0 * np.pi)
        turns = ops.concatenate([ops.cos(angle), ops.sin(angle)], axis=1)
        h, w = ((n - 1) / 2 for n in x.shape[1:3])
        return combined(turns, [[1, 0, -h, 0, 1, -w], [0, 1, -w, -1, 0, h], [0, 0, h, 0, 0, w]])

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        return {**super().get_config(), "factor": self.factor}


class RandomTranslation(_Geometric):
    """``y[n, i, j] = x[n, i - a h, j - b w]``, a and b uniform in their ranges for each image.

    As a layer of a model it acts in training only; called on arrays it acts unless told not to by
    ``training=False``.

    Shapes
    ------
    x : [n, h, w, c] or [h, w, c]; returned : the same

    Parameters
    ----------
    height_factor, width_factor : float, or two, in [-1, 1]
        The ranges, in heights and widths of the image; f stands for [-f, f]. Positive numbers move
        downwards and to the right.
    fill_mode, interpolation, seed, fill_value, data_format, **options
        See `RandomRotation`.

    Raises
    ------
    ArgumentError, ShapeError
        As `RandomRotation`.

    Examples
    --------
    >>> from chainrule.layers import RandomTranslation
    >>> moved = RandomTranslation(0, (0.5, 0.5), fill_mode="constant")([[[1.0], [2.0]]])
    >>> moved.numpy().ravel().tolist()
    [0.0, 1.0]
    """

    def __init__(
        self,
        height_factor: Factor,
        width_factor: Factor,
        fill_mode: str = "reflect",
        interpolation: str = "bilinear",
        seed: int | None = None,
        fill_value: float = 0.0,
        data_format: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__(
            fill_mode=fill_mode,
            interpolation=interpolation,
            seed=seed,
            fill_value=fill_value,
            data_format=data_format,
            **options,
        )
        self.height_range = limits("height_factor", height_factor, -1.0, 1.0)
        self.width_range = limits("width_factor", width_factor, -1.0, 1.0)
        self.height_factor, self.width_factor = plain(height_factor), plain(width_factor)

    def drawn(self, x: Value) -> Value:
        """Return the maps."""
        h, w = x.shape[1:3]
        moves = self.uniform(x, self.height_range, self.width_range)
        return combined(moves, [[0, 0, -h, 0, 0, 0], [0, 0, 0, 0, 0, -w], [1, 0, 0, 0, 1, 0]])

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        own = {"height_factor": self.height_factor, "width_factor": self.width_factor}
        return {**super().get_config(), **own}


class RandomZoom(_Geometric):
    """``y[n, i, j] = x[n, (1 + a) i, (1 + b) j]`` about the middle, a and b uniform for each image.

    As a layer of a model it acts in training only; called on arrays it acts unless told not to by
    ``training=False``.

    Shapes
    ------
    x : [n, h, w, c] or [h, w, c]; returned : the same

    Parameters
    ----------
    height_factor : float, or two, in (-1, 1]
        The range of a; f stands for [-f, f]. Positive numbers show more than the image, so that it
        becomes smaller; negative ones show a part of it.
    width_factor : float, or two, in (-1, 1], optional
        The range of b; by default b is a, and no image is stretched.
    fill_mode, interpolation, seed, fill_value, data_format, **options
        See `RandomRotation`.

    Raises
    ------
    ArgumentError, ShapeError
        As `RandomRotation`.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.layers import RandomZoom
    >>> layer = RandomZoom((1.0, 1.0), fill_mode="constant")
    >>> layer(np.ones((4, 4, 1))).numpy()[..., 0].tolist()[0]
    [0.0, 0.0, 0.0, 0.0]
    """

    def __init__(
        self,
        height_factor: Factor,
        width_factor: Factor | None = None,
        fill_mode: str = "reflect",
        interpolation: str = "bilinear",
        seed: int | None = None,
        fill_value: float = 0.0,
        data_format: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__(
            fill_mode=fill_mode,
            interpolation=interpolation,
            seed=seed,
            fill_value=fill_value,
            data_format=data_format,
            **options,
        )
        self.height_range = limits("height_factor", height_factor, -1.0, 1.0, open_low=True)
        self.width_range = None
        if width_factor is not None:
            self.width_range = limits("width_factor", width_factor, -1.0, 1.0, open_low=True)
        self.height_factor, self.width_factor = plain(height_factor), plain(width_factor)

    def drawn(self, x: Value) -> Value:
        """Return the maps."""
        h, w = ((n - 1) / 2 for n in x.shape[1:3])
        down, across, still = [1, 0, -h, 0, 0, 0], [0, 0, 0, 0, 1, -w], [1, 0, 0, 0, 1, 0]
        if self.width_range is None:
            both = np.add(down, across).tolist()
            return combined(self.uniform(x, self.height_range), [both, still])
        return combined(self.uniform(x, self.height_range, self.width_range), [down, across, still])

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        own = {"height_factor": self.height_factor, "width_factor": self.width_factor}
        return {**super().get_config(), **own}


class RandomShear(_Geometric):
    """``y[n, i, j] = x[n, i + b j, j + a i]``, a and b uniform for each image, or minus both.

    As a layer of a model it acts in training only; called on arrays it acts unless told not to by
    ``training=False``.

    Shapes
    ------
    x : [n, h, w, c] or [h, w, c]; returned : the same

    Parameters
    ----------
    x_factor, y_factor : float in [0, 1], or two in [-1, 1], default 0
        The ranges of a and b; f stands for [0, f]. Half of the images take both with the other
        sign.
    interpolation, fill_mode, fill_value, data_format, seed, **options
        See `RandomRotation`.

    Raises
    ------
    ArgumentError, ShapeError
        As `RandomRotation`.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.layers import RandomShear
    >>> RandomShear(0.2)(np.ones((2, 8, 8, 3))).shape
    (2, 8, 8, 3)
    """

    def __init__(
        self,
        x_factor: Factor = 0.0,
        y_factor: Factor = 0.0,
        interpolation: str = "bilinear",
        fill_mode: str = "reflect",
        fill_value: float = 0.0,
        data_format: str | None = None,
        seed: int | None = None,
        **options: Any,
    ) -> None:
        super().__init__(
            fill_mode=fill_mode,
            interpolation=interpolation,
            seed=seed,
            fill_value=fill_value,
            data_format=data_format,
            **options,
        )
        self.x_range = _shears("x_factor", x_factor)
        self.y_range = _shears("y_factor", y_factor)
        self.x_factor, self.y_factor = plain(x_factor), plain(y_factor)

    def drawn(self, x: Value) -> Value:
        """Return the maps."""
        numbers = self.uniform(x, self.x_range, self.y_range, (-1.0, 1.0))
        sign = ops.where(ops.less(numbers[:, 2:], 0.0), -1.0, 1.0)
        shears = ops.multiply(numbers[:, :2], sign)
        return combined(shears, [[0, 0, 0, 1, 0, 0], [0, 1, 0, 0, 0, 0], [1, 0, 0, 0, 1, 0]])

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        own = {"x_factor": self.x_factor, "y_factor": self.y_factor}
        return {**super().get_config(), **own}


def _shears(name: str, given: Factor) -> Range:
    one = isinstance(given, int | float | np.number)
    return limits(name, given, 0.0 if one else -1.0, 1.0)
