"""Layers that change hue and saturation of images of three channels, or take the colours away."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule import ops
from chainrule.errors import ArgumentError, ShapeError
from chainrule.graph import Value
from chainrule.layers.augment_base import Factor, _Augmentation, limits, plain
from chainrule.layers.augment_color import (
    RandomBrightness,
    RandomContrast,
    _Colors,
    between,
)


def _three(x: Value, label: str) -> Value:
    """Return x; raises unless it has red, green and blue."""
    if x.shape[-1] != 3:
        raise ShapeError(f"{label} takes images of 3 channels, not {x.shape[-1]}")
    return x


def _extremes(x: Value) -> tuple[Value, Value]:
    """Return the greatest channel of each pixel, and what it has more than the least."""
    top = ops.max(x, axis=-1, keepdims=True)
    return top, ops.subtract(top, ops.min(x, axis=-1, keepdims=True))


def saturated(x: Value, factor: Value, low: float) -> Value:
    """Return x with its saturation in HSV times the factor, at most 1; `low` is black."""
    top, span = _extremes(x)
    most = ops.divide(ops.subtract(top, low), ops.where(ops.greater(span, 0.0), span, 1.0))
    return ops.subtract(top, ops.multiply(ops.subtract(top, x), ops.minimum(factor, most)))


def turned(x: Value, turns: Value) -> Value:
    """Return x with its hue in HSV moved by so many turns."""
    top, span = _extremes(x)
    r, g, b = (x[..., i : i + 1] for i in range(3))
    safe = ops.where(ops.greater(span, 0.0), span, 1.0)
    of_red, of_green, of_blue = (
        ops.divide(ops.subtract(p, q), safe) for p, q in ((g, b), (b, r), (r, g))
    )
    hue = ops.where(ops.equal(top, g), ops.add(of_green, 2.0), ops.add(of_blue, 4.0))
    hue = ops.where(ops.equal(top, r), of_red, hue)
    # Of each channel: how far the hue is from where it is full, in sixths of a turn.
    k = ops.mod(ops.add(ops.add(hue, ops.multiply(turns, 6.0)), np.array([5, 3, 1], x.dtype)), 6.0)
    lack = ops.clip(ops.minimum(k, ops.subtract(4.0, k)), 0.0, 1.0)
    return ops.subtract(top, ops.multiply(span, lack))


class RandomSaturation(_Colors):
    """``s' = min(s * a / (1 - a), 1)`` for the saturation s in HSV, a uniform for each image.

    As a layer of a model it acts in training only; called on arrays it acts unless told not to by
    ``training=False``.

    Shapes
    ------
    x : [n, h, w, 3] or [h, w, 3]; returned : the same

    Parameters
    ----------
    factor : float, or two, in [0, 1]
        The range of a: 0 makes images gray, 1/2 leaves them, 1 takes all white from colours. f
        stands for [0, f].
    value_range : two floats, default (0, 255)
        Black and full light.
    data_format : {"channels_last", "channels_first"}, default "channels_last"
    seed : int, optional
        See `Dropout`.
    **options
        See `Layer`.

    Raises
    ------
    ArgumentError
        For a factor outside its range.
    ShapeError
        For what are no images of 3 channels.

    Examples
    --------
    >>> from chainrule.layers import RandomSaturation
    >>> RandomSaturation((0.0, 0.0))([[[10.0, 20.0, 30.0]]]).numpy().ravel().tolist()
    [30.0, 30.0, 30.0]
    """

    def __init__(
        self,
        factor: Factor,
        value_range: Sequence[float] = (0, 255),
        data_format: str | None = None,
        seed: int | None = None,
        **options: Any,
    ) -> None:
        super().__init__(value_range=value_range, seed=seed, data_format=data_format, **options)
        # Keras writes (-f, f) for f into its files.
        low, high = limits("factor", factor, -1.0 if isinstance(factor, Sequence) else 0.0, 1.0)
        self.range = max(low, 0.0), max(high, 0.0)
        self.factor = plain(factor)

    def made(self, u: Value) -> Value:
        """Return the factors of the saturation."""
        a = between(u, *self.range)
        return ops.divide(a, ops.add(ops.subtract(1.0, a), 1e-7))

    def transformed(self, x: Value, drawn: Value) -> Value:
        """Return the images with their saturation changed."""
        return saturated(_three(x, self.label), drawn, self.value_range[0])

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        return {**super().get_config(), "factor": self.factor}


class RandomHue(_Colors):
    """``h' = h + a / 2`` for the hue h in HSV, in turns, a uniform for each image, of either sign.

    As a layer of a model it acts in training only; called on arrays it acts unless told not to by
    ``training=False``.

    Shapes
    ------
    x : [n, h, w, 3] or [h, w, 3]; returned : the same

    Parameters
    ----------
    factor : float, or two, in [0, 1]
        The range of a without its sign; f stands for [0, f].
    value_range, data_format, seed, **options
        See `RandomSaturation`.

    Raises
    ------
    ArgumentError, ShapeError
        As `RandomSaturation`.

    Examples
    --------
    >>> from chainrule.layers import RandomHue
    >>> RandomHue((1.0, 1.0))([[[255.0, 0.0, 0.0]]]).numpy().ravel().tolist()
    [0.0, 255.0, 255.0]
    """

    def __init__(
        self,
        factor: Factor,
        value_range: Sequence[float] = (0, 255),
        data_format: str | None = None,
        seed: int | None = None,
        **options: Any,
    ) -> None:
        super().__init__(value_range=value_range, seed=seed, data_format=data_format, **options)
        self.range = limits("factor", factor, 0.0, 1.0)
        self.factor = plain(factor)

    def made(self, u: Value) -> Value:
        """Return the turns: the sign is that of ``2 u - 1``, whose size gives the rest."""
        signed = ops.subtract(ops.multiply(u, 2.0), 1.0)
        size = ops.multiply(between(ops.abs(signed), *self.range), 0.5)
        return ops.where(ops.less(signed, 0.0), ops.negative(size), size)

    def transformed(self, x: Value, drawn: Value) -> Value:
        """Return the images with their hue changed."""
        return self.cut(turned(_three(x, self.label), drawn))

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        return {**super().get_config(), "factor": self.factor}


class RandomColorJitter(_Colors):
    """`RandomBrightness`, `RandomContrast`, `RandomSaturation` and `RandomHue`, one after another.

    Shapes
    ------
    x : [n, h, w, 3] or [h, w, 3]; returned : the same

    Parameters
    ----------
    value_range : two floats, default (0, 255)
    brightness_factor, contrast_factor, saturation_factor, hue_factor : float or two, optional
        The factors of these layers; what is None is left out.
    seed : int, optional
        See `Dropout`.
    data_format : {"channels_last", "channels_first"}, default "channels_last"
    **options
        See `Layer`.

    Raises
    ------
    ArgumentError, ShapeError
        As those layers.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.layers import RandomColorJitter
    >>> RandomColorJitter((0, 1), 0.2, 0.2, (0.3, 0.7), 0.1)(np.ones((2, 4, 4, 3))).shape
    (2, 4, 4, 3)
    """

    _KINDS = (RandomBrightness, RandomContrast, RandomSaturation, RandomHue)

    def __init__(
        self,
        value_range: Sequence[float] = (0, 255),
        brightness_factor: Factor | None = None,
        contrast_factor: Factor | None = None,
        saturation_factor: Factor | None = None,
        hue_factor: Factor | None = None,
        seed: int | None = None,
        data_format: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__(value_range=value_range, seed=seed, data_format=data_format, **options)
        given = (brightness_factor, contrast_factor, saturation_factor, hue_factor)
        self.factors = [plain(f) for f in given]
        self._parts = tuple(
            kind(f, value_range, name=f"{self.name}_{kind.__name__}")
            for kind, f in zip(self._KINDS, given, strict=True)
            if f is not None
        )

    def drawn(self, x: Value) -> Any:
        """Return what each part is to do."""
        u = self.uniform(x, *[(0.0, 1.0)] * 4)
        columns = (ops.reshape(u[:, i], (-1, 1, 1, 1)) for i in range(len(self._parts)))
        return [part.made(column) for part, column in zip(self._parts, columns, strict=True)]

    def transformed(self, x: Value, drawn: Any) -> Value:
        """Return the images changed by each part in turn."""
        for part, what in zip(self._parts, drawn, strict=True):
            x = part.transformed(x, what)
        return x

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        names = ("brightness_factor", "contrast_factor", "saturation_factor", "hue_factor")
        return {**super().get_config(), **dict(zip(names, self.factors, strict=True))}


class RandomGrayscale(_Augmentation):
    """``y = 0.2989 r + 0.587 g + 0.114 b`` in all channels, with a probability; else x.

    As a layer of a model it acts in training only; called on arrays it acts unless told not to by
    ``training=False``.

    Shapes
    ------
    x : [n, h, w, 3] or [h, w, 3]; returned : the same

    Parameters
    ----------
    factor : float in [0, 1], default 0.5
        The probability, for each image.
    data_format, seed, **options
        See `RandomSaturation`.

    Raises
    ------
    ArgumentError, ShapeError
        As `RandomSaturation`.

    Examples
    --------
    >>> from chainrule.layers import RandomGrayscale
    >>> RandomGrayscale(1.0)([[[100.0, 0.0, 0.0]]]).numpy().ravel().round(2).tolist()
    [29.889999389648438, 29.889999389648438, 29.889999389648438]
    """

    def __init__(
        self,
        factor: float = 0.5,
        data_format: str | None = None,
        seed: int | None = None,
        **options: Any,
    ) -> None:
        super().__init__(seed=seed, data_format=data_format, **options)
        if isinstance(factor, bool) or not isinstance(factor, int | float) or not 0 <= factor <= 1:
            raise ArgumentError(f"factor is {factor!r}; expected a number in [0, 1]")
        self.factor = float(factor)

    def drawn(self, x: Value) -> Value:
        """Return which images become gray, [n, 1, 1, 1]."""
        u = ops.reshape(self.uniform(x, (0.0, 1.0)), (-1, 1, 1, 1))
        return ops.less(u, self.factor)

    def transformed(self, x: Value, drawn: Value) -> Value:
        """Return the images, some of them gray."""
        weights = np.array([0.2989, 0.587, 0.114], x.dtype)
        gray = ops.sum(ops.multiply(_three(x, self.label), weights), axis=-1, keepdims=True)
        return ops.where(drawn, gray, x)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        return {**super().get_config(), "factor": self.factor}
