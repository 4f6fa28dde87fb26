"""Layers that change the colours of images: contrast, brightness."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from chainrule import ops
from chainrule.errors import MissingMethodError
from chainrule.graph import Value
from chainrule.layers.augment_base import Factor, _Augmentation, limits, pair, plain


class _Colors(_Augmentation):
    """A layer whose images have values in a range that it must know."""

    def __init__(
        self,
        value_range: Sequence[float] = (0, 255),
        seed: int | None = None,
        data_format: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__(seed=seed, data_format=data_format, **options)
        self.value_range = pair("value_range", value_range)

    @property
    def span(self) -> float:
        """The distance between the ends of the range."""
        return self.value_range[1] - self.value_range[0]

    def cut(self, x: Value) -> Value:
        """Return x cut to the range."""
        return ops.clip(x, *self.value_range)

    def made(self, u: Value) -> Value:
        """Return what is to be done to each image, of numbers in [0, 1) of shape [n, 1, 1, 1]."""
        raise MissingMethodError(f"{type(self).__name__} has no made")

    def drawn(self, x: Value) -> Any:
        """Return what is to be done to each image, [n, 1, 1, 1]."""
        return self.made(ops.reshape(self.uniform(x, (0.0, 1.0)), (-1, 1, 1, 1)))

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        return {**super().get_config(), "value_range": list(self.value_range)}


def between(u: Value, low: float, high: float) -> Value:
    """Return ``low + (high - low) * u``."""
    return ops.add(ops.multiply(u, high - low), low)


def contrasted(x: Value, factor: Value) -> Value:
    """Return ``(x - mean) * factor + mean``, with the mean of each channel of each image."""
    mean = ops.mean(x, axis=(1, 2), keepdims=True)
    return ops.add(ops.multiply(ops.subtract(x, mean), factor), mean)


class RandomContrast(_Colors):
    """``y = (x - mean) * a + mean``, a uniform for each image, mean that of each channel.

    As a layer of a model it acts in training only; called on arrays it acts unless told not to by
    ``training=False``.

    Shapes
    ------
    x : [n, h, w, c] or [h, w, c]; returned : the same

    Parameters
    ----------
    factor : float, or two, in [0, 1]
        a is in [1 - lower, 1 + upper]; f stands for both.
    value_range : two floats, default (0, 255)
        What comes out is cut to it.
    seed : int, optional
        See `Dropout`.
    data_format : {"channels_last", "channels_first"}, default "channels_last"
    **options
        See `Layer`.

    Raises
    ------
    ArgumentError
        For a factor outside its range.
    ShapeError
        For what are no images.

    Notes
    -----
    Keras 3 takes a single factor f for [1, 1 + f], though its words say as here.

    Examples
    --------
    >>> from chainrule.layers import RandomContrast
    >>> y = RandomContrast(0.5)([[[100.0], [200.0]]]).numpy()
    >>> float(y.mean())
    150.0
    """

    def __init__(
        self,
        factor: Factor,
        value_range: Sequence[float] = (0, 255),
        seed: int | None = None,
        data_format: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__(value_range=value_range, seed=seed, data_format=data_format, **options)
        limits("factor", factor, 0.0, 1.0)
        self.factor = plain(factor)
        lower, upper = self.factor if isinstance(self.factor, list) else [self.factor] * 2
        self.range = 1.0 - lower, 1.0 + upper

    def made(self, u: Value) -> Value:
        """Return the factors."""
        return between(u, *self.range)

    def transformed(self, x: Value, drawn: Value) -> Value:
        """Return the images with their contrast changed."""
        return self.cut(contrasted(x, drawn))

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        return {**super().get_config(), "factor": self.factor}


class RandomBrightness(_Colors):
    """``y = x + a * (high - low)``, a uniform for each image; low and high of the value range.

    As a layer of a model it acts in training only; called on arrays it acts unless told not to by
    ``training=False``.

    Shapes
    ------
    x : [n, h, w, c] or [h, w, c]; returned : the same

    Parameters
    ----------
    factor : float, or two, in [-1, 1]
        The range of a; f stands for [-f, f].
    value_range : two floats, default (0, 255)
        What comes out is cut to it.
    seed, data_format, **options
        See `RandomContrast`.

    Raises
    ------
    ArgumentError, ShapeError
        As `RandomContrast`.

    Examples
    --------
    >>> from chainrule.layers import RandomBrightness
    >>> RandomBrightness((0.1, 0.1), (0, 1))([[[0.25], [1.0]]]).numpy().ravel().tolist()
    [0.3499999940395355, 1.0]
    """

    def __init__(
        self,
        factor: Factor,
        value_range: Sequence[float] = (0, 255),
        seed: int | None = None,
        data_format: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__(value_range=value_range, seed=seed, data_format=data_format, **options)
        self.range = limits("factor", factor, -1.0, 1.0)
        self.factor = plain(factor)

    def made(self, u: Value) -> Value:
        """Return what is added."""
        return between(u, *(f * self.span for f in self.range))

    def transformed(self, x: Value, drawn: Value) -> Value:
        """Return the images made brighter or darker."""
        return self.cut(ops.add(x, drawn))

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        return {**super().get_config(), "factor": self.factor}
