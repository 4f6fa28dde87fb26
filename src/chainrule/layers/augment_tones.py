"""Layers that change the tones of images: inverted, cut to a few bits, stretched, blurred."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule import ops
from chainrule.errors import ArgumentError
from chainrule.graph import Value
from chainrule.layers.augment_base import Factor, limits, plain
from chainrule.layers.augment_color import _Colors, between


class AutoContrast(_Colors):
    """``y`` = each channel of each image stretched to the whole range of values, always.

    It acts outside of training too. A channel of one value stays as it is.

    Shapes
    ------
    x : [n, h, w, c] or [h, w, c]; returned : the same

    Parameters
    ----------
    value_range : two floats, default (0, 255)
    data_format : {"channels_last", "channels_first"}, default "channels_last"
    **options
        See `Layer`.

    Raises
    ------
    ArgumentError
        For what is no range.
    ShapeError
        For what are no images.

    Examples
    --------
    >>> from chainrule.layers import AutoContrast
    >>> AutoContrast((0, 1))([[[0.25], [0.5]]]).numpy().ravel().tolist()
    [0.0, 1.0]
    """

    def __init__(
        self,
        value_range: Sequence[float] = (0, 255),
        data_format: str | None = None,
        **options: Any,
    ) -> None:
        options.pop("seed", None)
        super().__init__(value_range=value_range, data_format=data_format, **options)

    def drawn(self, x: Value) -> None:
        """Return nothing: all follows from the image."""

    def transformed(self, x: Value, drawn: None) -> Value:
        """Return the images stretched."""
        low = ops.min(x, axis=(1, 2), keepdims=True)
        reach = ops.subtract(ops.max(x, axis=(1, 2), keepdims=True), low)
        flat = ops.equal(reach, 0.0)
        scale = ops.divide(self.span, ops.where(flat, 1.0, reach))
        stretched = ops.add(ops.multiply(ops.subtract(x, low), scale), self.value_range[0])
        return ops.where(flat, x, self.cut(stretched))

    def untouched(self, x: Value) -> Value:
        """Return the images stretched."""
        return self._as_given(self.transformed(self._channels_last(x), None), x)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        config = super().get_config()
        config.pop("seed")
        return config


class Solarization(_Colors):
    """``y = low + high - z`` where ``z = x + a`` is at least t, else z; a and t for each image.

    As a layer of a model it acts in training only; called on arrays it acts unless told not to by
    ``training=False``.

    Shapes
    ------
    x : [n, h, w, c] or [h, w, c]; returned : the same

    Parameters
    ----------
    addition_factor, threshold_factor : float, or two, in [0, 1], default 0
        The ranges of a and t as shares of the range of values; f stands for [0, f].
    value_range : two floats, default (0, 255)
    seed : int, optional
        See `Dropout`.
    data_format : {"channels_last", "channels_first"}, default "channels_last"
    **options
        See `Layer`.

    Raises
    ------
    ArgumentError
        For factors outside their range.
    ShapeError
        For what are no images.

    Examples
    --------
    >>> from chainrule.layers import Solarization
    >>> Solarization()([[[59.0, 62.0, 63.0]]]).numpy().ravel().tolist()
    [196.0, 193.0, 192.0]
    """

    def __init__(
        self,
        addition_factor: Factor = 0.0,
        threshold_factor: Factor = 0.0,
        value_range: Sequence[float] = (0, 255),
        seed: int | None = None,
        data_format: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__(value_range=value_range, seed=seed, data_format=data_format, **options)
        self.addition_range = limits("addition_factor", addition_factor, 0.0, 1.0)
        self.threshold_range = limits("threshold_factor", threshold_factor, 0.0, 1.0)
        self.addition_factor, self.threshold_factor = (
            plain(addition_factor),
            plain(threshold_factor),
        )

    def drawn(self, x: Value) -> Value:
        """Return a and t of each image, [n, 2], as shares."""
        return self.uniform(x, self.addition_range, self.threshold_range)

    def transformed(self, x: Value, drawn: Value) -> Value:
        """Return the images with what is bright inverted."""
        low, high = self.value_range
        amounts = ops.multiply(drawn, self.span)
        a, t = (ops.reshape(amounts[:, i], (-1, 1, 1, 1)) for i in range(2))
        z = self.cut(ops.add(x, a))
        return ops.where(ops.less(z, ops.add(t, low)), z, ops.subtract(low + high, z))

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        own = {"addition_factor": self.addition_factor, "threshold_factor": self.threshold_factor}
        return {**super().get_config(), **own}


class RandomInvert(_Colors):
    """``y = low + high - x`` with a probability drawn for each image, else x.

    As a layer of a model it acts in training only; called on arrays it acts unless told not to by
    ``training=False``.

    Shapes
    ------
    x : [n, h, w, c] or [h, w, c]; returned : the same

    Parameters
    ----------
    factor : float, or two, in [0, 1], default 1
        The range of the probability; f stands for [0, f].
    value_range, seed, data_format, **options
        See `Solarization`.

    Raises
    ------
    ArgumentError, ShapeError
        As `Solarization`.

    Examples
    --------
    >>> from chainrule.layers import RandomInvert
    >>> RandomInvert((1.0, 1.0))([[[55.0]]]).numpy().ravel().tolist()
    [200.0]
    """

    def __init__(
        self,
        factor: Factor = 1.0,
        value_range: Sequence[float] = (0, 255),
        seed: int | None = None,
        data_format: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__(value_range=value_range, seed=seed, data_format=data_format, **options)
        self.range = limits("factor", factor, 0.0, 1.0)
        self.factor = plain(factor)

    def drawn(self, x: Value) -> Value:
        """Return which images are inverted, [n, 1, 1, 1]."""
        u = self.uniform(x, self.range, (0.0, 1.0))
        return ops.reshape(ops.less(u[:, 1], u[:, 0]), (-1, 1, 1, 1))

    def transformed(self, x: Value, drawn: Value) -> Value:
        """Return the images, some inverted."""
        return ops.where(drawn, ops.subtract(sum(self.value_range), x), x)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        return {**super().get_config(), "factor": self.factor}


class RandomPosterization(_Colors):
    """``y`` = x with the first b of the 8 bits of each value, b drawn for each image.

    As a layer of a model it acts in training only; called on arrays it acts unless told not to by
    ``training=False``.

    Shapes
    ------
    x : [n, h, w, c] or [h, w, c]; returned : the same

    Parameters
    ----------
    factor : int, or two, from 1 to 8
        b, or the least and the greatest b.
    value_range, data_format, seed, **options
        See `Solarization`.

    Raises
    ------
    ArgumentError, ShapeError
        As `Solarization`.

    Examples
    --------
    >>> from chainrule.layers import RandomPosterization
    >>> RandomPosterization(1)([[[100.0, 200.0]]]).numpy().ravel().tolist()
    [0.0, 128.0]

    Notes
    -----
    Keras 3 takes a single number b for all from 1 to b - 1, though its words say as here.
    """

    def __init__(
        self,
        factor: int | Sequence[int],
        value_range: Sequence[float] = (0, 255),
        data_format: str | None = None,
        seed: int | None = None,
        **options: Any,
    ) -> None:
        super().__init__(value_range=value_range, seed=seed, data_format=data_format, **options)
        parts = list(factor) if isinstance(factor, Sequence | np.ndarray) else [factor, factor]
        if len(parts) != 2 or not all(isinstance(b, int | np.integer) for b in parts):
            raise ArgumentError(f"factor is {factor!r}; expected a number of bits, or two")
        if not 1 <= parts[0] <= parts[1] <= 8:
            raise ArgumentError(f"factor is {factor!r}; expected bits from 1 to 8, the least first")
        self.factor: Any = [int(b) for b in parts]

    def made(self, u: Value) -> Value:
        """Return the steps between values, as parts of 256."""
        low, high = self.factor
        bits = ops.minimum(ops.floor(between(u, low, high + 1.0)), float(high))
        return ops.power(2.0, ops.subtract(8.0, bits))

    def transformed(self, x: Value, drawn: Value) -> Value:
        """Return the images with fewer tones."""
        low, scale = self.value_range[0], 255.0 / self.span
        whole = ops.floor(ops.multiply(ops.subtract(self.cut(x), low), scale))
        kept = ops.multiply(ops.floor(ops.divide(whole, drawn)), drawn)
        return ops.add(ops.divide(kept, scale), low)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        return {**super().get_config(), "factor": self.factor}


class RandomGaussianBlur(_Colors):
    """``y`` = x smoothed by a Gaussian, with a probability drawn for each image, else x.

    As a layer of a model it acts in training only; called on arrays it acts unless told not to by
    ``training=False``. Beyond the edge stands 0.

    Shapes
    ------
    x : [n, h, w, c] or [h, w, c]; returned : the same

    Parameters
    ----------
    factor : float, or two, in [0, 1], default 1
        The range of the probability; f stands for [0, f].
    kernel_size : int, or two, odd, default 3
        Of the Gaussian, across and down.
    sigma : float, or two, in [0, 1], default 1
        The range of its standard deviations, in pixels, drawn for each image and both axes; f
        stands for [0, f].
    value_range, data_format, seed, **options
        See `Solarization`.

    Raises
    ------
    ArgumentError, ShapeError
        As `Solarization`.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.layers import RandomGaussianBlur
    >>> y = RandomGaussianBlur((1.0, 1.0), 5, (0.8, 0.8))(np.ones((9, 9, 1))).numpy()
    >>> bool(np.allclose(y[2:-2, 2:-2], 1))
    True
    """

    def __init__(
        self,
        factor: Factor = 1.0,
        kernel_size: int | Sequence[int] = 3,
        sigma: Factor = 1.0,
        value_range: Sequence[float] = (0, 255),
        data_format: str | None = None,
        seed: int | None = None,
        **options: Any,
    ) -> None:
        super().__init__(value_range=value_range, seed=seed, data_format=data_format, **options)
        self.range = limits("factor", factor, 0.0, 1.0)
        self.sigma_range = limits("sigma", sigma, 0.0, 1.0)
        self.factor, self.sigma = plain(factor), plain(sigma)
        sizes: list[Any] = [kernel_size] * 2
        if isinstance(kernel_size, Sequence | np.ndarray):
            sizes = list(kernel_size)
        if len(sizes) != 2 or not all(isinstance(k, int | np.integer) and k % 2 for k in sizes):
            raise ArgumentError(f"kernel_size is {kernel_size!r}; expected an odd number, or two")
        self.kernel_size: Any = [int(k) for k in sizes]

    def drawn(self, x: Value) -> tuple[Value, list[Value]]:
        """Return which images are blurred, and the weights of each, [n, k], across and down."""
        u = self.uniform(x, self.range, (0.0, 1.0), self.sigma_range, self.sigma_range)
        weights = []
        for axis, k in enumerate(self.kernel_size):
            places = np.square(np.arange(k, dtype=x.dtype) - (k - 1) / 2)
            sigma = ops.add(u[:, 2 + axis : 3 + axis], 1e-6)
            bell = ops.exp(ops.divide(-0.5 * places[None, :], ops.square(sigma)))
            weights.append(ops.divide(bell, ops.sum(bell, axis=1, keepdims=True)))
        return ops.reshape(ops.less(u[:, 1], u[:, 0]), (-1, 1, 1, 1)), weights

    def transformed(self, x: Value, drawn: tuple[Value, list[Value]]) -> Value:
        """Return the images, some of them blurred."""
        struck, (across, down) = drawn
        blurred = self.cut(_smoothed(_smoothed(x, across, 2), down, 1))
        return ops.where(struck, blurred, x)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        own = {"factor": self.factor, "kernel_size": self.kernel_size, "sigma": self.sigma}
        return {**super().get_config(), **own}


def _smoothed(x: Value, weights: Value, axis: int) -> Value:
    """Return ``y[i] = sum_j weights[j] x[i + j - k / 2]`` along an axis of each image."""
    k, n = weights.shape[1], x.shape[axis]
    wide = ops.pad(x, [[k // 2, k // 2] if a == axis else [0, 0] for a in range(4)])
    total = None
    for j in range(k):
        part = wide[:, :, j : j + n] if axis == 2 else wide[:, j : j + n]
        term = ops.multiply(part, ops.reshape(weights[:, j], (-1, 1, 1, 1)))
        total = term if total is None else ops.add(total, term)
    return x if total is None else total
