"""Layers that mask times and features of sounds, and what all share that vary sounds."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule import dtypes, ops
from chainrule.errors import ArgumentError, MissingMethodError, ShapeError
from chainrule.graph import Value
from chainrule.layers.augment_base import _Augmentation
from chainrule.layers.masks import checked


class _OfSequences(_Augmentation):
    """A layer that makes other sounds of those given, in training; otherwise it lets them pass.

    It takes a batch of samples [n, t], or of frames [n, t, d]. A subclass writes `varied`.
    """

    supports_masking = True
    least_axes = 2

    def varied(self, x: Value, counts: Value | None) -> tuple[Value, Value | None]:
        """Return what becomes of frames x [n, t, d] and of the mask [n, t] of steps that count."""
        raise MissingMethodError(f"{type(self).__name__} has no varied")

    def call(self, x: Value, training: bool = False, mask: Any = None) -> Value:
        """Return the sounds changed, or as they are."""
        x = x if dtypes.is_float(x.dtype) else ops.cast(x, self.dtype)
        if x.ndim < self.least_axes or x.ndim > 4:
            known = "[n, t], or " if self.least_axes == 2 else ""
            raise ShapeError(
                f"x has shape {list(x.shape)}; expected {known}frames [n, t, d] or [n, t, d, c]"
            )
        if not training:
            return x
        counts = checked(mask, x.shape[:2])
        frames = ops.reshape(x, (*x.shape[:2], -1)) if x.ndim != 3 else x
        y, counts = self.varied(frames, counts)
        y = ops.reshape(y, x.shape) if x.ndim != 3 else y
        y.mask = counts
        return y

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        config = super().get_config()
        config.pop("data_format")
        return config


def spans(numbers: Value, limit: Value | float, size: Value | float) -> tuple[Value, Value]:
    """Return where spans begin and end, [n, 1] each, for `numbers` [n, 2] uniform in [0, 1).

    A span is 0 to `limit` long, each length as likely, and lies anywhere within `size`.
    """
    length = ops.floor(ops.multiply(numbers[:, :1], ops.add(limit, 1.0)))
    length = ops.minimum(length, limit)
    room = ops.subtract(size, length)
    begin = ops.minimum(ops.floor(ops.multiply(numbers[:, 1:], ops.add(room, 1.0))), room)
    return begin, ops.add(begin, length)


class TimeMasking(_OfSequences):
    """``y[n, t, d] = mask_value`` for some steps t in a row, drawn for each sample, else x.

    A mask is 0 to ``min(time_mask_param, p * t)`` steps long, each length as likely, and lies
    anywhere; t counts the steps that are not masked as padding. As a layer of a model it acts in
    training only; called on arrays it acts unless told not to by ``training=False``.

    Shapes
    ------
    x : [n, t, d] or [n, t, d, c]; returned : the same

    Parameters
    ----------
    time_mask_param : int >= 0
        The most steps that a mask takes.
    num_masks : int >= 0, default 1
        Masks of each sample; they may overlap.
    p : float in [0, 1], default 1.0
        The greatest share of the steps that one takes.
    mask_value : float, default 0
        That of a mean, for normalized features. Behind a `Masking` such steps still count.
    seed : int, optional
        See `Dropout`.
    **options
        See `Layer`.

    Raises
    ------
    ArgumentError
        For arguments out of range.
    ShapeError
        For what are no batches of frames.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.layers import TimeMasking
    >>> y = TimeMasking(5, seed=1)(np.ones((1, 20, 3))).numpy()
    >>> bool(0 <= np.sum(y == 0) <= 15)
    True

    Source
    ------
    D. Park et al., "SpecAugment", arXiv 1904.08779, section 2; p is section 2's upper bound.
    """

    least_axes = 3

    def __init__(
        self,
        time_mask_param: int,
        num_masks: int = 1,
        p: float = 1.0,
        mask_value: float = 0.0,
        seed: int | None = None,
        **options: Any,
    ) -> None:
        super().__init__(seed=seed, **options)
        self.time_mask_param = _count("time_mask_param", time_mask_param)
        self.num_masks, self.mask_value = _count("num_masks", num_masks), float(mask_value)
        if isinstance(p, bool) or not isinstance(p, int | float) or not 0 <= p <= 1:
            raise ArgumentError(f"p is {p!r}; expected a share in [0, 1]")
        self.p = float(p)

    def detail(self) -> str:
        """Return number and size of the masks."""
        return f"{self.num_masks} of at most {self.time_mask_param} steps"

    def varied(self, x: Value, counts: Value | None) -> tuple[Value, Value | None]:
        """Return the frames with some steps masked."""
        if not self.num_masks:
            return x, counts
        n, t, _ = x.shape
        drawn = self.uniform(x, *[(0.0, 1.0)] * (2 * self.num_masks))
        if counts is None:
            place: Any = np.arange(t, dtype=x.dtype)[None]
            steps: Any = ops.full((n, 1), float(t), x.dtype)
        else:
            known = ops.cast(counts, x.dtype)
            place = ops.subtract(ops.cumsum(known, axis=1), 1.0)
            steps = ops.sum(known, axis=1, keepdims=True)
        most = ops.minimum(ops.floor(ops.multiply(steps, self.p)), float(self.time_mask_param))
        inside = _inside(drawn, place, most, steps)
        inside = inside if counts is None else ops.logical_and(inside, counts)
        return ops.where(ops.expand_dims(inside, -1), self.mask_value, x), counts

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        names = ("time_mask_param", "num_masks", "p", "mask_value")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


class FrequencyMasking(_OfSequences):
    """``y[n, t, d] = mask_value`` for some features d in a row, drawn for each sample, else x.

    A mask is 0 to `freq_mask_param` features wide, each width as likely, and lies anywhere. As a
    layer of a model it acts in training only; called on arrays it acts unless told not to by
    ``training=False``.

    Shapes
    ------
    x : [n, t, d] or [n, t, d, c]; returned : the same

    Parameters
    ----------
    freq_mask_param : int >= 0
        The most features that a mask takes.
    num_masks : int >= 0, default 1
        Masks of each sample; they may overlap.
    mask_value : float, default 0
        That of a mean, for normalized features.
    seed : int, optional
        See `Dropout`.
    **options
        See `Layer`.

    Raises
    ------
    ArgumentError
        For arguments out of range.
    ShapeError
        For what are no batches of frames.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.layers import FrequencyMasking
    >>> y = FrequencyMasking(2, seed=1)(np.ones((1, 4, 10))).numpy()
    >>> bool(np.all(y == y[:, :1]) and np.sum(y[0, 0] == 0) <= 2)
    True

    Source
    ------
    D. Park et al., "SpecAugment", arXiv 1904.08779, section 2.
    """

    least_axes = 3

    def __init__(
        self,
        freq_mask_param: int,
        num_masks: int = 1,
        mask_value: float = 0.0,
        seed: int | None = None,
        **options: Any,
    ) -> None:
        super().__init__(seed=seed, **options)
        self.freq_mask_param = _count("freq_mask_param", freq_mask_param)
        self.num_masks, self.mask_value = _count("num_masks", num_masks), float(mask_value)

    def detail(self) -> str:
        """Return number and size of the masks."""
        return f"{self.num_masks} of at most {self.freq_mask_param} features"

    def call(self, x: Value, training: bool = False, mask: Any = None) -> Value:
        """Return the sounds changed, or as they are."""
        if x.ndim != 4 or not training:
            return super().call(x, training, mask)
        y = ops.transpose(x, (0, 1, 3, 2))  # features last
        n, t, c, d = y.shape
        found = super().call(ops.reshape(y, (n, t * c, d)), training)
        z = ops.transpose(ops.reshape(found, (n, t, c, d)), (0, 1, 3, 2))
        z.mask = checked(mask, x.shape[:2])
        return z

    def varied(self, x: Value, counts: Value | None) -> tuple[Value, Value | None]:
        """Return the frames with some features masked."""
        if not self.num_masks:
            return x, counts
        n, _, d = x.shape
        drawn = self.uniform(x, *[(0.0, 1.0)] * (2 * self.num_masks))
        size = ops.full((n, 1), float(d), x.dtype)
        most = ops.full((n, 1), float(min(self.freq_mask_param, d)), x.dtype)
        inside = _inside(drawn, np.arange(d, dtype=x.dtype)[None], most, size)
        return ops.where(ops.expand_dims(inside, 1), self.mask_value, x), counts

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        names = ("freq_mask_param", "num_masks", "mask_value")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


def _inside(drawn: Value, place: Any, most: Value, size: Value) -> Value:
    """Return which places [n, k] lie in one of the spans that the numbers [n, 2 m] draw."""
    found = None
    for i in range(0, drawn.shape[1], 2):
        begin, end = spans(drawn[:, i : i + 2], most, size)
        inside = ops.logical_and(ops.greater_equal(place, begin), ops.less(place, end))
        found = inside if found is None else ops.logical_or(found, inside)
    return found  # type: ignore[return-value]


def _count(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 0:
        raise ArgumentError(f"{name} is {value!r}; expected a whole number of at least 0")
    return int(value)
