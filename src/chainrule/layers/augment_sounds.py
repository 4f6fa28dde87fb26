"""Layers that vary when sounds are heard, how fast, and how clearly; all of it in training only."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule import ops
from chainrule.errors import ArgumentError, MissingMethodError
from chainrule.graph import Value
from chainrule.layers.augment_base import Factor, combined, limits, pair, plain
from chainrule.layers.augment_masks import _OfSequences
from chainrule.ops.warp import warp


class _Moved(_OfSequences):
    """A layer that takes each step at another time, along a line."""

    def places(self, x: Value) -> Value:
        """Return ``(scale, shift)`` [n, 2]: step i is taken at ``scale * i + shift``."""
        raise MissingMethodError(f"{type(self).__name__} has no places")

    def varied(self, x: Value, counts: Value | None) -> tuple[Value, Value | None]:
        """Return frames and mask at other times; what lies outside is 0, and does not count."""
        basis = [[1, 0, 0], [0, 0, 0]], [[0, 0, 1], [0, 0, 0]], [[0, 0, 0], [0, 1, 0]]
        flat = [[float(a) for row in matrix for a in row] for matrix in basis]
        maps = combined(self.places(x), flat)
        size = (x.shape[1], 1)
        y = ops.squeeze(warp(ops.expand_dims(x, 2), maps, size=size), 2)
        if counts is None:
            return y, None
        known = ops.reshape(ops.cast(counts, x.dtype), (*x.shape[:2], 1, 1))
        moved = warp(known, maps, size=size, interpolation="nearest")
        return y, ops.greater(ops.reshape(moved, x.shape[:2]), 0.5)


class RandomTimeShift(_Moved):
    """``y[n, t] = x[n, t - s]``, s drawn for each sound; what comes in from outside is 0.

    As a layer of a model it acts in training only; called on arrays it acts unless told not to by
    ``training=False``.

    Shapes
    ------
    x : [n, t] or [n, t, d]; returned : the same

    Parameters
    ----------
    factor : float, or two, in [-1, 1], default 0.1
        The range of s as a share of the length; f stands for [-f, f]. It is whole in steps.
    seed : int, optional
        See `Dropout`.
    **options
        See `Layer`.

    Raises
    ------
    ArgumentError
        For a factor outside its range.
    ShapeError
        For what are no batches of sounds.

    Examples
    --------
    >>> from chainrule.layers import RandomTimeShift
    >>> RandomTimeShift((0.5, 0.5))([[1.0, 2.0, 3.0, 4.0]]).numpy().tolist()
    [[0.0, 0.0, 1.0, 2.0]]
    """

    def __init__(self, factor: Factor = 0.1, seed: int | None = None, **options: Any) -> None:
        super().__init__(seed=seed, **options)
        self.range = limits("factor", factor, -1.0, 1.0)
        self.factor = plain(factor)

    def detail(self) -> str:
        """Return the range."""
        return f"by {self.range[0]:g} to {self.range[1]:g} of the length"

    def places(self, x: Value) -> Value:
        """Return where each step is taken."""
        share = self.uniform(x, self.range)
        shift = ops.negative(ops.floor(ops.add(ops.multiply(share, float(x.shape[1])), 0.5)))
        return ops.concatenate([ops.ones_like(shift), shift], axis=1)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        return {**super().get_config(), "factor": self.factor}


class RandomSpeed(_Moved):
    """``y[n, t] = x[n, (1 + f) t]``, f drawn for each sound: faster and higher, or slower.

    Values between steps are interpolated linearly, which takes a little of the highest
    frequencies; for the best quality see `chainrule.preprocessing.audio.change_speed`. The length
    stays: what a faster sound leaves at its end is 0, and the end of a slower one is lost. As a
    layer of a model it acts in training only; called on arrays it acts unless told not to by
    ``training=False``.

    Shapes
    ------
    x : [n, t] or [n, t, d]; returned : the same

    Parameters
    ----------
    factor : float, or two, in (-1, 1], default 0.1
        The range of f; a number stands for [-f, f].
    seed : int, optional
        See `Dropout`.
    **options
        See `Layer`.

    Raises
    ------
    ArgumentError
        For a factor outside its range.
    ShapeError
        For what are no batches of sounds.

    Examples
    --------
    >>> from chainrule.layers import RandomSpeed
    >>> RandomSpeed((1.0, 1.0))([[1.0, 2.0, 3.0, 4.0]]).numpy().tolist()
    [[1.0, 3.0, 0.0, 0.0]]

    Source
    ------
    T. Ko et al., "Audio augmentation for speech recognition", Interspeech 2015, section 2.3.
    """

    def __init__(self, factor: Factor = 0.1, seed: int | None = None, **options: Any) -> None:
        super().__init__(seed=seed, **options)
        self.range = limits("factor", factor, -1.0, 1.0, open_low=True)
        self.factor = plain(factor)

    def detail(self) -> str:
        """Return the range."""
        return f"{1 + self.range[0]:g} to {1 + self.range[1]:g} times"

    def places(self, x: Value) -> Value:
        """Return where each step is taken."""
        scale = ops.add(self.uniform(x, self.range), 1.0)
        return ops.concatenate([scale, ops.zeros_like(scale)], axis=1)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        return {**super().get_config(), "factor": self.factor}


class RandomNoise(_OfSequences):
    """``y = x + g z``, z normal and g such that x is some decibels louder, drawn for each sound.

    The loudness of x is that of the values that are not 0, so that padding does not change it;
    silence stays silence. As a layer of a model it acts in training only; called on arrays it acts
    unless told not to by ``training=False``.

    Shapes
    ------
    x : [n, t] or [n, t, d]; returned : the same

    Parameters
    ----------
    snr : two floats, or one, default (10, 40)
        The range in decibels: 40 is hardly heard, 0 is as loud as the sound.
    seed : int, optional
        See `Dropout`.
    **options
        See `Layer`.

    Raises
    ------
    ArgumentError
        For what are no decibels.
    ShapeError
        For what are no batches of sounds.

    Notes
    -----
    For recorded noise see `chainrule.preprocessing.audio.add_noise`.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.layers import RandomNoise
    >>> x = np.sin(np.arange(10000.0))[None]
    >>> noise = RandomNoise(20.0)(x).numpy() - x
    >>> bool(abs(10 * np.log10(np.mean(x**2) / np.mean(noise**2)) - 20) < 0.5)
    True
    """

    def __init__(self, snr: Any = (10.0, 40.0), seed: int | None = None, **options: Any) -> None:
        super().__init__(seed=seed, **options)
        single = isinstance(snr, int | float) and not isinstance(snr, bool)
        self.range = (float(snr), float(snr)) if single else pair("snr", snr)
        if not np.isfinite(self.range).all():
            raise ArgumentError(f"snr is {snr!r}; expected decibels")
        self.snr = plain(snr)

    def detail(self) -> str:
        """Return the range."""
        return f"{self.range[0]:g} to {self.range[1]:g} dB"

    def varied(self, x: Value, counts: Value | None) -> tuple[Value, Value | None]:
        """Return the sounds with noise."""
        heard = ops.cast(ops.not_equal(x, 0.0), x.dtype)
        number = ops.maximum(ops.sum(heard, axis=(1, 2)), 1.0)
        power = ops.divide(ops.sum(ops.square(x), axis=(1, 2)), number)
        decibels = self.uniform(x, self.range)[:, 0]
        gain = ops.sqrt(ops.multiply(power, ops.exp(ops.multiply(decibels, -np.log(10) / 10))))
        noise = self.draw(ops.random.normal, x, number=1)
        return ops.add(x, ops.multiply(ops.reshape(gain, (-1, 1, 1)), noise)), counts

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        return {**super().get_config(), "snr": self.snr}
