"""Layers that bring images to one size."""

from __future__ import annotations

from typing import Any

from chainrule import ops
from chainrule.errors import ShapeError
from chainrule.graph import Value
from chainrule.layers.base import Layer
from chainrule.ops import space
from chainrule.ops.resizing import check_frame, checked_interpolation


class _ToSize(Layer):
    """A layer that puts out images of `height` and `width`; subclasses write `_sized`."""

    def __init__(
        self, height: int, width: int, data_format: str | None = None, **options: Any
    ) -> None:
        super().__init__(**options)
        (self.height,) = space.numbers(height, 1, "height")
        (self.width,) = space.numbers(width, 1, "width")
        self.data_format = space.checked_format(data_format)

    def detail(self) -> str:
        """Return the size."""
        return f"{self.height} x {self.width}"

    def _sized(self, x: Value) -> Value:
        """Return the images in the layer's size."""
        raise NotImplementedError

    def call(self, x: Value, training: bool = False) -> Value:
        """Return the images in the layer's size."""
        if x.ndim not in (3, 4):
            raise ShapeError(
                f"x has shape {list(x.shape)}; expected images [n, h, w, c], or one [h, w, c]"
            )
        return self._sized(ops.cast(x, self.dtype))

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        own = {"height": self.height, "width": self.width, "data_format": self.data_format}
        return {**super().get_config(), **own}


class Resizing(_ToSize):
    """Images in another size, by interpolation: see `chainrule.ops.image.resize`.

    Shapes: x [n, h, w, c], y [n, height, width, c]; or one image without n.

    Parameters
    ----------
    height, width : int
        At least 1.
    interpolation : {"bilinear", "nearest", "bicubic", "lanczos3", "lanczos5"}
        By default "bilinear".
    crop_to_aspect_ratio : bool, default False
        Whether to take the largest part in the middle that has the form asked for, so that nothing
        is stretched.
    pad_to_aspect_ratio : bool, default False
        Whether to put `fill_value` on both sides first instead.
    fill_mode : {"constant"}
    fill_value : float, default 0
    antialias : bool, default False
        Whether each pixel of a smaller image sees all of those that it stands for.
    data_format : {"channels_last", "channels_first"}, default "channels_last"
    **options
        See `Layer`.

    Raises
    ------
    ArgumentError
        For a size below 1, an unknown interpolation, fill mode or format, or where images are to
        be both cropped and padded.
    ShapeError
        For inputs that are no images, or have no pixels.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.layers import Resizing
    >>> Resizing(2, 4)(np.ones((1, 3, 3, 1))).shape
    (1, 2, 4, 1)
    """

    def __init__(
        self,
        height: int,
        width: int,
        interpolation: str = "bilinear",
        crop_to_aspect_ratio: bool = False,
        pad_to_aspect_ratio: bool = False,
        fill_mode: str = "constant",
        fill_value: float = 0.0,
        antialias: bool = False,
        data_format: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__(height, width, data_format, **options)
        self.interpolation = checked_interpolation(interpolation)
        check_frame(crop_to_aspect_ratio, pad_to_aspect_ratio, fill_mode)
        self.crop_to_aspect_ratio = bool(crop_to_aspect_ratio)
        self.pad_to_aspect_ratio = bool(pad_to_aspect_ratio)
        self.fill_mode, self.fill_value = fill_mode, float(fill_value)
        self.antialias = bool(antialias)

    def _how(self) -> dict[str, Any]:
        return {
            "interpolation": self.interpolation,
            "crop_to_aspect_ratio": self.crop_to_aspect_ratio,
            "pad_to_aspect_ratio": self.pad_to_aspect_ratio,
            "fill_mode": self.fill_mode,
            "fill_value": self.fill_value,
            "antialias": self.antialias,
            "data_format": self.data_format,
        }

    def _sized(self, x: Value) -> Value:
        y: Value = ops.image.resize(x, (self.height, self.width), **self._how())
        return y

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        return {**super().get_config(), **self._how()}


class CenterCrop(_ToSize):
    """The middle of images; of those that are smaller, the largest part of that form, resized.

    Shapes: x [n, h, w, c], y [n, height, width, c]; or one image without n.

    Parameters
    ----------
    height, width : int
        At least 1.
    data_format : {"channels_last", "channels_first"}, default "channels_last"
    **options
        See `Layer`.

    Raises
    ------
    ArgumentError
        For a size below 1, or an unknown format.
    ShapeError
        For inputs that are no images, or have no pixels.

    Examples
    --------
    >>> from chainrule.layers import CenterCrop
    >>> CenterCrop(1, 2)([[[1.0], [2.0], [3.0], [4.0]]]).numpy().ravel().tolist()
    [2.0, 3.0]
    """

    def _sized(self, x: Value) -> Value:
        first = x.ndim - (3 if self.data_format == space.LAST else 2)
        spare = [x.shape[first] - self.height, x.shape[first + 1] - self.width]
        if min(spare) < 0:
            size, form = (self.height, self.width), self.data_format
            y: Value = ops.image.resize(x, size, crop_to_aspect_ratio=True, data_format=form)
            return y
        starts = [n // 2 for n in spare]
        middle = [slice(a, a + n) for a, n in zip(starts, (self.height, self.width), strict=True)]
        part: Value = x[(*[slice(None)] * first, *middle)]
        return part
