"""Schedules that fall along a cosine."""

from __future__ import annotations

import math

import numpy as np

from chainrule import ops
from chainrule.errors import ArgumentError
from chainrule.graph import Value
from chainrule.optimizers.schedules.base import (
    LearningRateSchedule,
    count,
    limited,
    number,
    over,
    share,
)


def half_wave(passed: Value) -> Value:
    """``(1 + cos(pi * passed)) / 2``, which falls from 1 to 0 as `passed` goes from 0 to 1."""
    return ops.multiply(ops.add(ops.cos(ops.multiply(passed, math.pi)), 1.0), 0.5)


class CosineDecay(LearningRateSchedule):
    """``rate(t) = initial * ((1 - alpha) * (1 + cos(pi * t / decay_steps)) / 2 + alpha)``.

    With `warmup_target` the rate first rises in a line from `initial_learning_rate` to it, over
    `warmup_steps`, and then falls from there in `decay_steps` more. At the end it stays.

    Parameters
    ----------
    initial_learning_rate : float
        At least 0.
    decay_steps : int
        At least 1.
    alpha : float, default 0.0
        From 0 to 1: the share of the rate that is left in the end.
    name : str, default "CosineDecay"
    warmup_target : float, optional
        At least 0.
    warmup_steps : int, default 0
        At least 0.

    Raises
    ------
    ArgumentError
        For an argument out of its range.

    Examples
    --------
    >>> from chainrule.optimizers.schedules import CosineDecay
    >>> schedule = CosineDecay(0.0, decay_steps=100, warmup_target=0.5, warmup_steps=10)
    >>> schedule(5), schedule(10), schedule(60)
    (0.25, 0.5, 0.25)

    Source
    ------
    Loshchilov and Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts",
    arXiv 1608.03983, equation 5, without restarts; arguments as in Keras.
    """

    arguments = ("initial_learning_rate", "decay_steps", "alpha", "warmup_target", "warmup_steps")

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        alpha: float = 0.0,
        name: str | None = "CosineDecay",
        warmup_target: float | None = None,
        warmup_steps: int = 0,
    ) -> None:
        self.initial_learning_rate = number("initial_learning_rate", initial_learning_rate)
        self.decay_steps = count("decay_steps", decay_steps)
        self.alpha = share("alpha", alpha)
        self.name = name
        self.warmup_target = None if warmup_target is None else number("a target", warmup_target)
        self.warmup_steps = count("warmup_steps", warmup_steps, least=0)

    def rate(self, step: Value) -> Value:
        """Return the rate for steps in float64, of any shape."""
        if self.warmup_target is None:
            return self._fallen(step, self.initial_learning_rate)
        fallen = self._fallen(ops.subtract(step, float(self.warmup_steps)), self.warmup_target)
        if self.warmup_steps == 0:
            return fallen
        rise = self.warmup_target - self.initial_learning_rate
        risen = ops.add(
            ops.multiply(over(step, self.warmup_steps), rise), self.initial_learning_rate
        )
        return ops.where(ops.less(step, ops.as_value(np.float64(self.warmup_steps))), risen, fallen)

    def _fallen(self, step: Value, top: float) -> Value:
        wave = half_wave(limited(over(step, self.decay_steps), 1.0))
        return ops.multiply(ops.add(ops.multiply(wave, 1.0 - self.alpha), self.alpha), top)


class CosineDecayRestarts(LearningRateSchedule):
    """``rate(t) = initial * ((1 - alpha) * m_mul^i * (1 + cos(pi * s)) / 2 + alpha)`` in period i,
    of which the share s has passed.

    Parameters
    ----------
    initial_learning_rate : float
        At least 0.
    first_decay_steps : int
        At least 1: the length of the first period.
    t_mul : float, default 2.0
        At least 1: how much longer each period is than the one before.
    m_mul : float, default 1.0
        Above 0: the factor from the top of one period to the next.
    alpha : float, default 0.0
        From 0 to 1: the share of the rate at the end of a period.
    name : str, default "SGDRDecay"

    Raises
    ------
    ArgumentError
        For an argument out of its range.

    Examples
    --------
    >>> from chainrule.optimizers.schedules import CosineDecayRestarts
    >>> schedule = CosineDecayRestarts(0.5, first_decay_steps=10)
    >>> schedule(0), schedule(5), schedule(10), schedule(20)
    (0.5, 0.25, 0.5, 0.25)

    Source
    ------
    Loshchilov and Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts",
    arXiv 1608.03983, equation 5; arguments as in Keras.
    """

    arguments = ("initial_learning_rate", "first_decay_steps", "t_mul", "m_mul", "alpha")

    def __init__(
        self,
        initial_learning_rate: float,
        first_decay_steps: int,
        t_mul: float = 2.0,
        m_mul: float = 1.0,
        alpha: float = 0.0,
        name: str | None = "SGDRDecay",
    ) -> None:
        self.initial_learning_rate = number("initial_learning_rate", initial_learning_rate)
        self.first_decay_steps = count("first_decay_steps", first_decay_steps)
        self.t_mul = number("t_mul", t_mul, least=1.0)
        self.m_mul = number("m_mul", m_mul, open_below=True)
        self.alpha = share("alpha", alpha)
        self.name = name
        if 0.0 < self.t_mul - 1.0 < 1e-6:
            raise ArgumentError(f"t_mul is {t_mul!r}; expected 1, or at least 1.000001")

    def rate(self, step: Value) -> Value:
        """Return the rate for steps in float64, of any shape."""
        period, passed = self._place(over(step, self.first_decay_steps))
        wave = ops.multiply(half_wave(passed), 1.0 - self.alpha)
        if self.m_mul != 1.0:
            wave = ops.multiply(wave, ops.power(self.m_mul, period))
        return ops.multiply(ops.add(wave, self.alpha), self.initial_learning_rate)

    def _place(self, passed: Value) -> tuple[Value, Value]:
        """Return the number of finished periods, and the share of the present one."""
        if self.t_mul == 1.0:
            period = ops.floor(passed)
            return period, ops.subtract(passed, period)
        longer = self.t_mul - 1.0
        exact = ops.divide(ops.log1p(ops.multiply(passed, longer)), math.log1p(longer))
        # A period begins where this is whole; rounding must not leave it a hair below.
        period = ops.floor(ops.add(exact, 1e-11))
        length = ops.power(self.t_mul, period)
        before = ops.multiply(ops.subtract(length, 1.0), 1.0 / longer)
        return period, ops.divide(ops.subtract(passed, before), length)
