"""Noise that keeps a network from learning its samples by heart; all of it only in training."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule import ops
from chainrule.errors import ArgumentError
from chainrule.graph import Value, constant, scope
from chainrule.layers.base import Layer


class _Random(Layer):
    """A layer that draws numbers: from the model's seed, or from one of its own."""

    def __init__(self, seed: int | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.seed = seed

    def draw(self, kind: Any, x: Value) -> Value:
        """Return random numbers of the shape of x."""
        if self.seed is None:
            drawn: Value = kind(x.shape, dtype=x.dtype)
            return drawn
        # The step counter still comes from the trace, so that each step draws others.
        key = scope.random_key()
        step = key[1:] if key.constant is None else constant(np.zeros(1, np.int64))
        own = ops.concatenate([constant(np.array([self.seed], np.int64)), step], axis=0)
        with scope.tracing(own, True):
            seeded: Value = kind(x.shape, dtype=x.dtype)
            return seeded

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        return {**super().get_config(), "seed": self.seed}


class Dropout(_Random):
    """``y = x / (1 - rate)`` with probability ``1 - rate``, else 0; outside of training x.

    Parameters
    ----------
    rate : float in [0, 1)
        The share of elements that become 0.
    seed : int, optional
        By default the model's, so that `set_random_seed` fixes it.
    **options
        See `Layer`.

    Raises
    ------
    ArgumentError
        For a rate outside of [0, 1).

    Examples
    --------
    >>> from chainrule.layers import Dropout
    >>> Dropout(0.5)([[1.0, 2.0]]).numpy().tolist()
    [[1.0, 2.0]]

    Notes
    -----
    Source: Srivastava et al., JMLR 15 (2014), section 4, scaled in training instead of afterwards.
    """

    def __init__(self, rate: float, seed: int | None = None, **options: Any) -> None:
        super().__init__(seed=seed, **options)
        if not (isinstance(rate, int | float) and 0 <= rate < 1):
            raise ArgumentError(f"rate is {rate!r}; expected a number in [0, 1)")
        self.rate = float(rate)

    def detail(self) -> str:
        """Return the rate."""
        return f"rate {self.rate:g}"

    def call(self, x: Value, training: bool = False) -> Value:
        """Return x with some elements dropped, or x itself."""
        if not training or self.rate == 0:
            return x
        kept = ops.greater_equal(self.draw(ops.random.uniform, x), self.rate)
        return ops.where(kept, ops.multiply(x, 1.0 / (1.0 - self.rate)), 0.0)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        return {**super().get_config(), "rate": self.rate}


class GaussianNoise(_Random):
    """``y = x + stddev * z`` for standard normal z; outside of training x.

    Parameters
    ----------
    stddev : float >= 0
    seed : int, optional
        See `Dropout`.
    **options
        See `Layer`.

    Raises
    ------
    ArgumentError
        For a negative deviation.

    Examples
    --------
    >>> from chainrule.layers import GaussianNoise
    >>> GaussianNoise(0.1)([[1.0]]).numpy().tolist()
    [[1.0]]
    """

    def __init__(self, stddev: float, seed: int | None = None, **options: Any) -> None:
        super().__init__(seed=seed, **options)
        if not (isinstance(stddev, int | float) and stddev >= 0):
            raise ArgumentError(f"stddev is {stddev!r}; expected a number >= 0")
        self.stddev = float(stddev)

    def detail(self) -> str:
        """Return the standard deviation."""
        return f"stddev {self.stddev:g}"

    def call(self, x: Value, training: bool = False) -> Value:
        """Return x with noise, or x itself."""
        if not training or self.stddev == 0:
            return x
        return x + self.stddev * self.draw(ops.random.normal, x)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        return {**super().get_config(), "stddev": self.stddev}
