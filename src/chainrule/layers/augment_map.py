"""Layers that mirror and cut images, and what all have in common that sample them by a map."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from chainrule import dtypes, ops
from chainrule.errors import ArgumentError, unknown_name
from chainrule.graph import Value, constant
from chainrule.layers.augment_base import _Augmentation, combined
from chainrule.ops.warp import FILL_MODES, INTERPOLATIONS, warp


class _Geometric(_Augmentation):
    """A layer that samples each image at the affine image of its pixels; `drawn` gives the maps.

    Masks in a dict under ``segmentation_masks`` are changed as their images are, each pixel that
    of the nearest place.
    """

    interpolation, fill_mode, fill_value = "bilinear", "reflect", 0.0

    def __init__(self, **options: Any) -> None:
        self.interpolation = options.pop("interpolation", self.interpolation)
        self.fill_mode = options.pop("fill_mode", self.fill_mode)
        self.fill_value = options.pop("fill_value", self.fill_value)
        super().__init__(**options)
        if self.interpolation not in INTERPOLATIONS:
            raise unknown_name("interpolation", self.interpolation, INTERPOLATIONS)
        if self.fill_mode not in FILL_MODES:
            raise unknown_name("fill_mode", self.fill_mode, FILL_MODES)
        if isinstance(self.fill_value, bool) or not isinstance(self.fill_value, int | float):
            raise ArgumentError(f"fill_value is {self.fill_value!r}; expected a number")

    def size(self, x: Value) -> tuple[int, int]:
        """Return the height and width of what comes out."""
        return x.shape[1], x.shape[2]

    def transformed(self, x: Value, drawn: Value) -> Value:
        """Return the images sampled at the places that the maps name."""
        return self._sampled(x, drawn, self.interpolation)

    def _sampled(self, x: Value, maps: Value, interpolation: str) -> Value:
        y: Value = warp(
            x,
            maps,
            size=self.size(x),
            interpolation=interpolation,
            fill_mode=self.fill_mode,
            fill_value=float(self.fill_value),
        )
        return y

    def transform(self, given: Mapping[str, Any], training: bool = True) -> dict[str, Any]:
        """Return images and masks changed alike, and labels as they are.

        Parameters
        ----------
        given : dict
            ``images``, and maybe ``labels`` and ``segmentation_masks``.
        training : bool, default True

        Raises
        ------
        ArgumentError
            For anything else in the dict.
        """
        if "segmentation_masks" not in given or not training:
            rest = {k: v for k, v in given.items() if k != "segmentation_masks"}
            return {**given, **super().transform(rest, training)}
        rest = {k: v for k, v in given.items() if k not in ("images", "segmentation_masks")}
        parts = [self._floats(given[k]) for k in ("images", "segmentation_masks")]
        image, mask = (self._channels_last(x) for x in parts)
        maps = self.drawn(image)
        found = (
            self._as_given(self.transformed(image, maps), parts[0]),
            self._as_given(self._sampled(mask, maps, "nearest"), parts[1]),
        )
        both = dict(zip(("images", "segmentation_masks"), found, strict=True))
        return {**super().transform({**rest, "images": both["images"]}, False), **both}

    def _floats(self, given: Any) -> Value:
        x = ops.as_value(given)
        return x if dtypes.is_float(x.dtype) else ops.cast(x, self.dtype)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        return {
            **super().get_config(),
            "interpolation": self.interpolation,
            "fill_mode": self.fill_mode,
            "fill_value": self.fill_value,
        }


class RandomFlip(_Geometric):
    """``y[n, i, j] = x[n, i, w - 1 - j]`` with probability 1/2; upside down likewise.

    As a layer of a model it acts in training only; called on arrays it acts unless told not to by
    ``training=False``.

    Shapes
    ------
    x : [n, h, w, c] or [h, w, c]; returned : the same

    Parameters
    ----------
    mode : {"horizontal_and_vertical", "horizontal", "vertical"}
        Left for right, top for bottom, or both (the default), each drawn on its own.
    seed : int, optional
        See `Dropout`.
    data_format : {"channels_last", "channels_first"}, default "channels_last"
    **options
        See `Layer`.

    Raises
    ------
    ArgumentError
        For another mode.
    ShapeError
        For what are no images.

    Examples
    --------
    >>> from chainrule.layers import RandomFlip
    >>> y = RandomFlip("horizontal")([[[1.0], [2.0]]]).numpy().ravel().tolist()
    >>> y in ([1.0, 2.0], [2.0, 1.0])
    True

    Notes
    -----
    Keras 3 draws one number for both ways; here half of the images that lie on their side also
    stand on their head.
    """

    _MODES = ("horizontal", "horizontal_and_vertical", "vertical")
    interpolation, fill_mode = "nearest", "nearest"

    def __init__(
        self,
        mode: str = "horizontal_and_vertical",
        seed: int | None = None,
        data_format: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__(seed=seed, data_format=data_format, **options)
        if mode not in self._MODES:
            raise unknown_name("mode", mode, self._MODES)
        self.mode = mode

    def detail(self) -> str:
        """Return the mode."""
        return self.mode

    def drawn(self, x: Value) -> Value:
        """Return the maps, by coefficients of 0 or 1."""
        drawn = self.draw(ops.random.uniform, x, (x.shape[0], 2))
        flipped = ops.cast(ops.less(drawn, 0.5), drawn.dtype)
        h, w = x.shape[1:3]
        down = [-2, 0, h - 1, 0, 0, 0] if "vertical" in self.mode else [0] * 6
        across = [0, 0, 0, 0, -2, w - 1] if "horizontal" in self.mode else [0] * 6
        return combined(flipped, [down, across, [1, 0, 0, 0, 1, 0]])

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        config = {**super().get_config(), "mode": self.mode}
        own = ("interpolation", "fill_mode", "fill_value")
        return {name: given for name, given in config.items() if name not in own}


class RandomCrop(_Geometric):
    """``y[n, i, j] = x[n, a + i, b + j]``, a and b drawn from all that fit, for each image.

    Outside of training, or where x is no larger, the largest part in the middle of x that has the
    proportions of y, brought to its size.

    Shapes
    ------
    x : [n, h, w, c] or [h, w, c]; returned : [n, height, width, c] or [height, width, c]

    Parameters
    ----------
    height, width : int >= 1
    seed : int, optional
        See `Dropout`.
    data_format : {"channels_last", "channels_first"}, default "channels_last"
    **options
        See `Layer`.

    Raises
    ------
    ArgumentError
        For sizes that are no positive whole numbers.
    ShapeError
        For what are no images.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.layers import RandomCrop
    >>> RandomCrop(2, 3)(np.ones((5, 8, 8, 1))).shape
    (5, 2, 3, 1)

    Notes
    -----
    Keras 3 draws one place for the whole batch, which makes the samples of a batch alike.
    """

    fill_mode = "nearest"

    def __init__(
        self,
        height: int,
        width: int,
        seed: int | None = None,
        data_format: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__(seed=seed, data_format=data_format, **options)
        for name, n in (("height", height), ("width", width)):
            if isinstance(n, bool) or not isinstance(n, int) or n < 1:
                raise ArgumentError(f"{name} is {n!r}; expected a whole number of at least 1")
        self.height, self.width = height, width

    def size(self, x: Value) -> tuple[int, int]:
        """Return the height and width of what comes out."""
        return self.height, self.width

    def drawn(self, x: Value) -> Value:
        """Return the maps; for images that are no larger, those of their middle."""
        h, w = (max(n, 0) for n in (x.shape[1] - self.height, x.shape[2] - self.width))
        places = ops.floor(self.uniform(x, (0.0, h + 1.0), (0.0, w + 1.0)))
        places = ops.minimum(places, np.array([h, w], places.dtype))
        return combined(places, [[0, 0, 1, 0, 0, 0], [0, 0, 0, 0, 0, 1], [1, 0, 0, 0, 1, 0]])

    def transformed(self, x: Value, drawn: Value) -> Value:
        """Return the part of each image that was drawn, or its middle where it is no larger."""
        if x.shape[1] < self.height or x.shape[2] < self.width:
            return self._middle(x)
        return super().transformed(x, drawn)

    def untouched(self, x: Value) -> Value:
        """Return the middle of each image."""
        return self._as_given(self._middle(self._channels_last(x)), x)

    def _middle(self, x: Value) -> Value:
        """Return the largest part in the middle of the right proportions, in the right size."""
        n, h, w = x.shape[:3]
        part_h = max(min(h, int(w * self.height / self.width)), 1)
        part_w = max(min(w, int(h * self.width / self.height)), 1)
        top, left = (h - part_h) // 2, (w - part_w) // 2
        part = x[:, top : top + part_h, left : left + part_w]
        if (part_h, part_w) == (self.height, self.width):
            return part
        # The borders of the outer pixels come to lie on each other.
        a, b = part_h / self.height, part_w / self.width
        m = np.array([[a, 0, a / 2 - 0.5], [0, b, b / 2 - 0.5]])
        return self._sampled(part, constant(np.tile(m, (n, 1, 1))), self.interpolation)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shape with height and width changed."""
        shape = list(input_shape)
        first = 1 if self.data_format == "channels_first" else 0
        at = len(shape) - 3 + first
        shape[at : at + 2] = self.height, self.width
        return tuple(shape)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        config = {**super().get_config(), "height": self.height, "width": self.width}
        own = ("interpolation", "fill_mode", "fill_value")
        return {name: given for name, given in config.items() if name not in own}
