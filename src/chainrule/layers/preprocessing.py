"""Layers that bring raw numbers into the form a network learns from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule import ops
from chainrule.errors import ArgumentError, NotBuiltError, ShapeError
from chainrule.graph import Value
from chainrule.layers.base import Layer, Shape


class Rescaling(Layer):
    """``y = scale * x + offset``.

    Parameters
    ----------
    scale : float or sequence of float
        One for all, or one for each feature of the last axis.
    offset : float or sequence of float, default 0
    **options
        See `Layer`.

    Examples
    --------
    >>> from chainrule.layers import Rescaling
    >>> Rescaling(1 / 255, offset=-0.5)([[255.0]]).numpy().tolist()
    [[0.5]]
    """

    supports_masking = True

    def __init__(self, scale: Any, offset: Any = 0.0, **options: Any) -> None:
        super().__init__(**options)
        self.scale = np.asarray(scale, np.float64)
        self.offset = np.asarray(offset, np.float64)

    def call(self, x: Value, training: bool = False) -> Value:
        """Return ``scale * x + offset``."""
        if self.scale.ndim == 0 and self.offset.ndim == 0:
            return x * float(self.scale) + float(self.offset)
        return x * ops.as_value(self.scale, x.dtype) + ops.as_value(self.offset, x.dtype)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        own = {"scale": self.scale.tolist(), "offset": self.offset.tolist()}
        return {**super().get_config(), **own}


class Normalization(Layer):
    """``y = (x - mean) / sqrt(variance)`` for each feature, learnt by `adapt` or given.

    Parameters
    ----------
    axis : int, tuple of int or None, default -1
        The axes that have a mean of their own; None: one mean for everything.
    mean, variance : array_like, optional
        Both or neither; else call `adapt` with data first.
    **options
        See `Layer`.

    Raises
    ------
    ArgumentError
        Where only one of mean and variance is given.
    NotBuiltError
        When used before `adapt`.

    Examples
    --------
    >>> from chainrule.layers import Normalization
    >>> layer = Normalization()
    >>> layer.adapt([[1.0], [3.0]])
    >>> layer([[3.0]]).numpy().tolist()
    [[1.0]]
    """

    supports_masking = True

    def __init__(
        self,
        axis: int | Sequence[int] | None = -1,
        mean: Any = None,
        variance: Any = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        if (mean is None) != (variance is None):
            raise ArgumentError("give both mean and variance, or neither and call adapt")
        self.axis: tuple[int, ...] = (
            () if axis is None else (axis,) if isinstance(axis, int) else tuple(axis)
        )
        self.mean = None if mean is None else np.asarray(mean, np.float64)
        self.variance = None if variance is None else np.asarray(variance, np.float64)
        self.adapted = False  # whether they were learnt; Keras's files then hold them as weights

    def adapt(self, data: Any) -> None:
        """Take mean and variance from data whose first axis is the samples'.

        Raises
        ------
        ShapeError
            For no samples.
        """
        x = np.asarray(data, np.float64)
        x = x[:, None] if x.ndim == 1 else x
        if x.shape[0] == 0:
            raise ShapeError("adapt needs samples, but the data is empty")
        kept = {a % x.ndim for a in self.axis}
        others = tuple(i for i in range(x.ndim) if i not in kept)
        self.mean, self.variance = x.mean(axis=others), x.var(axis=others)
        self.adapted = True

    def call(self, x: Value, training: bool = False) -> Value:
        """Return the normalized x; a feature of variance 0 becomes 0."""
        if self.mean is None or self.variance is None:
            raise NotBuiltError(f"{self.label} does not know mean and variance: call adapt(data)")
        kept = {a % x.ndim for a in self.axis}
        form = [n if i in kept else 1 for i, n in enumerate(x.shape)]
        if kept and np.prod(form) != self.mean.size and self.mean.size != 1:
            raise ShapeError(
                f"x has shape {list(x.shape)}, but the layer knows {self.mean.size} means"
            )
        form = form if self.mean.size > 1 else [1] * x.ndim
        mean = self.mean.reshape(form)
        spread = np.maximum(np.sqrt(self.variance), 1e-7).reshape(form)
        return (x - ops.as_value(mean, x.dtype)) * ops.as_value(1.0 / spread, x.dtype)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return the input's shape."""
        return tuple(input_shape)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again, mean and variance included."""
        return {
            **super().get_config(),
            "axis": list(self.axis) or None,
            "mean": None if self.mean is None else self.mean.tolist(),
            "variance": None if self.variance is None else self.variance.tolist(),
        }


class CategoryEncoding(Layer):
    """Whole numbers in [0, num_tokens) as vectors.

    Parameters
    ----------
    num_tokens : int >= 1
    output_mode : {"multi_hot", "one_hot", "count"}, default "multi_hot"
        ``one_hot``: one vector a number; ``multi_hot``: one vector a sample, 1 where a number
        occurs; ``count``: how often it occurs.
    **options
        See `Layer`.

    Raises
    ------
    ArgumentError
        For an unknown mode or fewer than one token.

    Examples
    --------
    >>> from chainrule.layers import CategoryEncoding
    >>> CategoryEncoding(3, "count")([[0, 2, 2]]).numpy().tolist()
    [[1.0, 0.0, 2.0]]
    """

    def __init__(self, num_tokens: int, output_mode: str = "multi_hot", **options: Any) -> None:
        super().__init__(**options)
        if not isinstance(num_tokens, int) or num_tokens < 1:
            raise ArgumentError(f"num_tokens is {num_tokens!r}; expected an integer >= 1")
        if output_mode not in ("multi_hot", "one_hot", "count"):
            raise ArgumentError(f"output_mode is one_hot, multi_hot or count, not {output_mode!r}")
        self.num_tokens, self.output_mode = num_tokens, output_mode

    def call(self, x: Value, training: bool = False) -> Value:
        """Return the vectors."""
        if self.output_mode == "one_hot":
            x = ops.squeeze(x, -1) if x.ndim > 1 and x.shape[-1] == 1 else x
            return ops.one_hot(x, self.num_tokens, dtype=self.dtype)
        x = ops.expand_dims(x, -1) if x.ndim == 1 else x
        counts = ops.sum(ops.one_hot(x, self.num_tokens, dtype=self.dtype), axis=-2)
        return counts if self.output_mode == "count" else ops.minimum(counts, 1.0)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        own = {"num_tokens": self.num_tokens, "output_mode": self.output_mode}
        return {**super().get_config(), **own}
