"""Layers that put something else into rectangles of images: noise, or part of another image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule import dtypes, ops
from chainrule.errors import ArgumentError, ShapeError
from chainrule.graph import Value
from chainrule.layers.augment import Mixing, _Mixer, symmetric_beta, wide
from chainrule.layers.augment_base import Factor, Range, _Augmentation, limits, pair, plain


def rectangles(numbers: Value, sides: Value, size: tuple[int, int]) -> tuple[Value, Value]:
    """Return where rectangles are, [n, h, w, 1], and the shares of the images that they take.

    `sides` [n, 2] are height and width as shares of the image's, which `numbers` [n, 2], uniform
    in [0, 1), place anywhere within.
    """
    whole = np.array(size, sides.dtype)
    lengths = ops.floor(ops.add(ops.multiply(sides, whole), 0.5))
    room = ops.add(ops.subtract(whole, lengths), 1.0)
    first = ops.minimum(ops.floor(ops.multiply(numbers, room)), ops.subtract(room, 1.0))
    last = ops.add(first, lengths)
    inside = []
    for axis, n in enumerate(size):
        places = np.arange(n, dtype=sides.dtype)[None, :]
        begin, end = first[:, axis : axis + 1], last[:, axis : axis + 1]
        inside.append(
            ops.logical_and(ops.greater_equal(places, begin), ops.less(places, end)),
        )
    rows = ops.reshape(inside[0], (-1, size[0], 1, 1))
    columns = ops.reshape(inside[1], (-1, 1, size[1], 1))
    area = ops.multiply(lengths[:, 0], lengths[:, 1])
    return ops.logical_and(rows, columns), ops.divide(area, float(size[0] * size[1]))


class RandomErasing(_Augmentation):
    """``y = fill`` in a rectangle drawn for each image, x elsewhere.

    As a layer of a model it acts in training only; called on arrays it acts unless told not to by
    ``training=False``.

    Shapes
    ------
    x : [n, h, w, c] or [h, w, c]; returned : the same

    Parameters
    ----------
    factor : float, or two, in [0, 1], default 1.0
        The range of the probability with which an image is changed, drawn for each; f stands for
        [0, f].
    scale : float, or two, in [0, 1], default (0.02, 0.33)
        The range of a and b: the rectangle is ``sqrt(a) h`` high and ``sqrt(b) w`` wide; f stands
        for [0, f].
    fill_value : float, or one for each channel, optional
        By default normal noise times the upper end of `value_range`, different at each pixel.
    value_range : two floats, default (0, 255)
        What is filled in is cut to it.
    seed : int, optional
        See `Dropout`.
    data_format : {"channels_last", "channels_first"}, default "channels_last"
    **options
        See `Layer`.

    Raises
    ------
    ArgumentError
        For arguments outside their ranges.
    ShapeError
        For what are no images, or of another number of channels than the fill.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.layers import RandomErasing
    >>> y = RandomErasing((1.0, 1.0), (0.25, 0.25), fill_value=0)(np.ones((4, 4, 1)))
    >>> float(y.numpy().sum())
    12.0

    Source
    ------
    Zhong et al., "Random Erasing Data Augmentation", arXiv 1708.04896, algorithm 1, with both
    sides drawn as in Keras 3.
    """

    def __init__(
        self,
        factor: Factor = 1.0,
        scale: Factor = (0.02, 0.33),
        fill_value: Factor | None = None,
        value_range: Sequence[float] = (0, 255),
        seed: int | None = None,
        data_format: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__(seed=seed, data_format=data_format, **options)
        self.range = limits("factor", factor, 0.0, 1.0)
        self.scale_range = limits("scale", scale, 0.0, 1.0)
        self.value_range = pair("value_range", value_range)
        self.factor, self.scale = plain(factor), plain(scale)
        self.fill_value = _fill(fill_value)

    def drawn(self, x: Value) -> tuple[Value, Value]:
        """Return where images are changed, [n, h, w, 1], and what stands there."""
        unit: Range = (0.0, 1.0)
        numbers = self.uniform(x, unit, unit, self.scale_range, self.scale_range, self.range, unit)
        sides = ops.sqrt(numbers[:, 2:4])
        where, _ = rectangles(numbers[:, :2], sides, (x.shape[1], x.shape[2]))
        struck = ops.reshape(ops.less(numbers[:, 5], numbers[:, 4]), (-1, 1, 1, 1))
        return ops.logical_and(where, struck), ops.clip(self._filled(x), *self.value_range)

    def _filled(self, x: Value) -> Value:
        if self.fill_value is None:
            return ops.multiply(self.draw(ops.random.normal, x, number=1), self.value_range[1])
        fill = np.array(self.fill_value, x.dtype)
        if fill.size not in (1, x.shape[-1]):
            raise ShapeError(
                f"{self.label} fills {fill.size} channels, but the images have {x.shape[-1]}"
            )
        return ops.as_value(fill)

    def transformed(self, x: Value, drawn: tuple[Value, Value]) -> Value:
        """Return the images with their rectangles filled."""
        return ops.where(drawn[0], drawn[1], x)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        return {
            **super().get_config(),
            "factor": self.factor,
            "scale": self.scale,
            "fill_value": self.fill_value,
            "value_range": list(self.value_range),
        }


def _fill(given: Any) -> Any:
    """Return what to fill with as plain data."""
    many = isinstance(given, Sequence | np.ndarray) and not isinstance(given, str)
    for f in list(given) if many else [] if given is None else [given]:
        if isinstance(f, bool) or not isinstance(f, int | float | np.number):
            raise ArgumentError(f"fill_value is {given!r}; expected a number, or one a channel")
    return plain(given)


class CutMix(_Mixer):
    """``x'[n] = x[p[n]]`` in a rectangle, x[n] elsewhere, and the targets mixed by its area.

    As a layer of a model it acts in training only. The step mixes what it compares the output with
    by the shares of the area: see `MixUp`, with which it has all of that in common. Called with
    ``{"images": x, "labels": y}`` it returns both, for pipelines and loops of one's own.

    Shapes
    ------
    x : [n, h, w, c]; labels : [n, *t], numbers or one-hot; returned : the same

    Parameters
    ----------
    factor : float, or two, in [0, 1], default 1.0
        The range of alpha, drawn for each batch: the share of the area that is kept is from
        Beta(alpha, alpha). f stands for [0, f].
    seed : int, optional
        See `Dropout`.
    data_format : {"channels_last", "channels_first"}, default "channels_last"
    **options
        See `Layer`.

    Raises
    ------
    ArgumentError, DTypeError, GraphError
        As `MixUp`.
    ShapeError
        For what are no images.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.layers import CutMix
    >>> x = np.arange(2.0).reshape(2, 1, 1, 1) * np.ones((2, 8, 8, 1))
    >>> mixed = CutMix(seed=1)({"images": x, "labels": np.eye(2)})
    >>> shares = mixed["images"].numpy().mean(axis=(1, 2, 3))
    >>> bool(np.allclose(shares, mixed["labels"].numpy()[:, 1]))
    True

    Source
    ------
    Yun et al., "CutMix: Regularization Strategy to Train Strong Classifiers with Localizable
    Features", arXiv 1905.04899, equations 1 and 2, with partners, shares and places drawn for each
    sample as in Keras 3, sides rounded to pixels and shares those of the pixels. Where less than
    half of a sample is left, it gets the rectangle and its partner the rest, so that each sample
    leads one mixture; partners are drawn alike, so the mixtures are the same.
    """

    def __init__(
        self,
        factor: Factor = 1.0,
        seed: int | None = None,
        data_format: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__(seed=seed, data_format=data_format, **options)
        self.range = limits("factor", factor, 0.0, 1.0)
        self.factor = plain(factor)

    def mixed(self, parts: list[Value]) -> tuple[list[Value], Mixing] | None:
        """Return the images, each with a rectangle of another, and how they are mixed."""
        if len(parts) != 1 or parts[0].ndim != 4:
            shapes = ", ".join(str(list(part.shape)) for part in parts)
            raise ShapeError(f"{self.label} takes one batch of images [n, h, w, c], not {shapes}")
        x = self.floats(parts[0])
        first = self.data_format == "channels_first"
        where, mixing = self._drawn(x, x.shape[2:] if first else x.shape[1:3])
        where = ops.transpose(where, (0, 3, 1, 2)) if first else where
        return [ops.where(where, ops.take(x, mixing.partner, axis=0), x)], mixing

    def _drawn(self, x: Value, size: Sequence[int]) -> tuple[Value, Mixing]:
        """Return where each image is its partner's, [n, h, w, 1], and how the batch is mixed."""
        n, (low, high) = x.shape[0], self.range
        alpha = ops.add(ops.multiply(self.draw(wide, x, (1,)), high - low), low + 1e-6)
        drawn = self.draw(wide, x, (5, n), number=1)
        kept = symmetric_beta(drawn[0], drawn[1], alpha)
        side = ops.reshape(ops.sqrt(ops.maximum(1.0 - kept, 0.0)), (n, 1))
        places = ops.transpose(drawn[3:5])
        where, area = rectangles(places, ops.concatenate([side, side], axis=1), (size[0], size[1]))
        swapped = ops.greater(area, 0.5)
        where = ops.logical_xor(where, ops.reshape(swapped, (n, 1, 1, 1)))
        share = ops.where(swapped, area, 1.0 - area)
        return where, Mixing(share, ops.argsort(drawn[2]))

    def floats(self, part: Value) -> Value:
        """Return the images as floats."""
        return part if dtypes.is_float(part.dtype) else ops.cast(part, self.dtype)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        return {**super().get_config(), "factor": self.factor}
