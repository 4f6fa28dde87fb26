"""Noise that keeps a network from learning its samples by heart; all of it only in training."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from chainrule import ops, regularizers
from chainrule.errors import ArgumentError
from chainrule.graph import Value, constant, scope
from chainrule.layers.base import Layer


class _Random(Layer):
    """A layer that draws numbers: from the model's seed, or from one of its own."""

    def __init__(self, seed: int | None = None, **options: Any) -> None:
        super().__init__(**options)
        if seed is not None and (isinstance(seed, bool) or not isinstance(seed, int | np.integer)):
            raise ArgumentError(f"seed is {seed!r}; expected a whole number or None")
        self.seed = seed
        self._alone = itertools.count()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Let what is drawn inside, for a call on arrays outside of any step, be the next of the
        layer's seed, if it has one: the same for every layer of this seed."""
        if self.seed is None or not scope.idle():
            yield
            return
        key = constant(np.array([self.seed, next(self._alone)], np.int64))
        with scope.tracing(key, True):
            yield

    def draw(
        self, kind: Any, x: Value, shape: Sequence[int] | None = None, number: int = 0
    ) -> Value:
        """Return random numbers of this shape, by default that of x.

        A layer that draws several times in a call numbers what it draws, from 0.
        """
        wanted = x.shape if shape is None else tuple(shape)
        if self.seed is None:
            drawn: Value = kind(wanted, dtype=x.dtype)
            return drawn
        # The step counter still comes from the trace, so that each step draws others.
        key = scope.random_key()
        step = key[1:] if key.constant is None else constant(key.constant[1:])
        own = ops.concatenate([constant(np.array([self.seed], np.int64)), step], axis=0)
        with scope.tracing(own, True):
            for _ in range(number):
                scope.next_stream()
            seeded: Value = kind(wanted, dtype=x.dtype)
            return seeded

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        return {**super().get_config(), "seed": self.seed}


def checked_rate(rate: Any) -> float:
    """Return the share of elements that a layer drops."""
    if isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 <= rate < 1:
        raise ArgumentError(f"rate is {rate!r}; expected a number in [0, 1)")
    return float(rate)


class GaussianDropout(_Random):
    """``y = x * z``, z normal of mean 1 and variance ``rate / (1 - rate)``; outside of training x.

    Parameters
    ----------
    rate : float in [0, 1)
        The rate of the `Dropout` of the same variance.
    seed : int, optional
        See `Dropout`.
    **options
        See `Layer`.

    Raises
    ------
    ArgumentError
        For a rate outside of [0, 1).

    Examples
    --------
    >>> from chainrule.layers import GaussianDropout
    >>> GaussianDropout(0.1)([[1.0]]).numpy().tolist()
    [[1.0]]

    Notes
    -----
    Source: Srivastava et al., JMLR 15 (2014), section 10.
    """

    supports_masking = True

    def __init__(self, rate: float, seed: int | None = None, **options: Any) -> None:
        super().__init__(seed=seed, **options)
        self.rate = checked_rate(rate)

    def detail(self) -> str:
        """Return the rate."""
        return f"rate {self.rate:g}"

    def call(self, x: Value, training: bool = False) -> Value:
        """Return x with noise, or x itself."""
        if not training or self.rate == 0:
            return x
        stddev = math.sqrt(self.rate / (1.0 - self.rate))
        return ops.multiply(x, ops.add(ops.multiply(self.draw(ops.random.normal, x), stddev), 1.0))

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

    supports_masking = True

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


class ActivityRegularization(Layer):
    """``y = x``, and ``(l1 * sum |x| + l2 * sum x^2) / n`` is added to the loss, n the batch size.

    Parameters
    ----------
    l1, l2 : float >= 0, default 0
        The weights of both sums.
    **options
        See `Layer`.

    Raises
    ------
    ArgumentError
        For a weight that is negative or no number.

    Examples
    --------
    >>> from chainrule.layers import ActivityRegularization
    >>> ActivityRegularization(l2=0.1)([[1.0]]).numpy().tolist()
    [[1.0]]
    """

    supports_masking = True

    def __init__(self, l1: float = 0.0, l2: float = 0.0, **options: Any) -> None:
        penalty = regularizers.L1L2(l1=l1, l2=l2)
        super().__init__(activity_regularizer=penalty, **options)
        self.l1, self.l2 = penalty.l1, penalty.l2

    def call(self, x: Value, training: bool = False) -> Value:
        """Return x."""
        return x

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        config = {**super().get_config(), "l1": self.l1, "l2": self.l2}
        config.pop("activity_regularizer")
        return config
