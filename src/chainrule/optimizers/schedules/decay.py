"""Schedules that fall by a formula of ``t / decay_steps``."""

from __future__ import annotations

from chainrule import ops
from chainrule.graph import Value
from chainrule.optimizers.schedules.base import LearningRateSchedule, count, limited, number, over


class ExponentialDecay(LearningRateSchedule):
    """``rate(t) = initial_learning_rate * decay_rate ** (t / decay_steps)``.

    Parameters
    ----------
    initial_learning_rate : float
        At least 0.
    decay_steps : int
        At least 1.
    decay_rate : float
        Above 0: the factor of so many steps.
    staircase : bool, default False
        Whether the exponent is rounded down.
    name : str, default "ExponentialDecay"

    Raises
    ------
    ArgumentError
        For an argument out of its range.

    Examples
    --------
    >>> from chainrule.optimizers.schedules import ExponentialDecay
    >>> schedule = ExponentialDecay(0.1, decay_steps=100, decay_rate=0.5, staircase=True)
    >>> schedule(199), schedule(200)
    (0.05, 0.025)
    """

    arguments: tuple[str, ...] = (
        "initial_learning_rate",
        "decay_steps",
        "decay_rate",
        "staircase",
    )

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        decay_rate: float,
        staircase: bool = False,
        name: str | None = "ExponentialDecay",
    ) -> None:
        self.initial_learning_rate = number("initial_learning_rate", initial_learning_rate)
        self.decay_steps = count("decay_steps", decay_steps)
        self.decay_rate = number("decay_rate", decay_rate, open_below=True)
        self.staircase = bool(staircase)
        self.name = name

    def rate(self, step: Value) -> Value:
        """Return the rate for steps in float64, of any shape."""
        passed = over(step, self.decay_steps)
        passed = ops.floor(passed) if self.staircase else passed
        return ops.multiply(ops.power(self.decay_rate, passed), self.initial_learning_rate)


class StepDecay(ExponentialDecay):
    """``rate(t) = initial_learning_rate * decay_rate ** floor(t / decay_steps)``.

    Parameters
    ----------
    initial_learning_rate : float
        At least 0.
    decay_steps : int
        At least 1: how long a rate is kept.
    decay_rate : float, default 0.1
        Above 0: the factor from one rate to the next.
    name : str, default "StepDecay"

    Raises
    ------
    ArgumentError
        For an argument out of its range.

    Examples
    --------
    >>> from chainrule.optimizers.schedules import StepDecay
    >>> schedule = StepDecay(0.5, decay_steps=30, decay_rate=0.5)
    >>> schedule(29), schedule(30)
    (0.5, 0.25)

    Source
    ------
    PyTorch's ``StepLR(step_size, gamma)``; the steps are those of the optimizer, not epochs.
    """

    arguments = ("initial_learning_rate", "decay_steps", "decay_rate")

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        decay_rate: float = 0.1,
        name: str | None = "StepDecay",
    ) -> None:
        super().__init__(initial_learning_rate, decay_steps, decay_rate, True, name)


class InverseTimeDecay(LearningRateSchedule):
    """``rate(t) = initial_learning_rate / (1 + decay_rate * t / decay_steps)``.

    Parameters
    ----------
    initial_learning_rate : float
        At least 0.
    decay_steps : int
        At least 1.
    decay_rate : float
        At least 0.
    staircase : bool, default False
        Whether ``t / decay_steps`` is rounded down.
    name : str, default "InverseTimeDecay"

    Raises
    ------
    ArgumentError
        For an argument out of its range.

    Examples
    --------
    >>> from chainrule.optimizers.schedules import InverseTimeDecay
    >>> InverseTimeDecay(0.1, decay_steps=10, decay_rate=1.0)(10)
    0.05
    """

    arguments = ("initial_learning_rate", "decay_steps", "decay_rate", "staircase")

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        decay_rate: float,
        staircase: bool = False,
        name: str | None = "InverseTimeDecay",
    ) -> None:
        self.initial_learning_rate = number("initial_learning_rate", initial_learning_rate)
        self.decay_steps = count("decay_steps", decay_steps)
        self.decay_rate = number("decay_rate", decay_rate)
        self.staircase = bool(staircase)
        self.name = name

    def rate(self, step: Value) -> Value:
        """Return the rate for steps in float64, of any shape."""
        passed = over(step, self.decay_steps)
        passed = ops.floor(passed) if self.staircase else passed
        divisor = ops.add(ops.multiply(passed, self.decay_rate), 1.0)
        return ops.divide(self.initial_learning_rate, divisor)


class PolynomialDecay(LearningRateSchedule):
    """``rate(t) = (initial - end) * (1 - t / decay_steps) ** power + end``, then `end`.

    Parameters
    ----------
    initial_learning_rate : float
        At least 0.
    decay_steps : int
        At least 1.
    end_learning_rate : float, default 0.0001
        At least 0.
    power : float, default 1.0
        Above 0.
    cycle : bool, default False
        Whether decay_steps becomes its next multiple when t has passed it.
    name : str, default "PolynomialDecay"

    Raises
    ------
    ArgumentError
        For an argument out of its range.

    Examples
    --------
    >>> from chainrule.optimizers.schedules import PolynomialDecay
    >>> PolynomialDecay(0.5, decay_steps=10, end_learning_rate=0.0, power=2.0)(5)
    0.125
    """

    arguments: tuple[str, ...] = (
        "initial_learning_rate",
        "decay_steps",
        "end_learning_rate",
        "power",
        "cycle",
    )

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        end_learning_rate: float = 0.0001,
        power: float = 1.0,
        cycle: bool = False,
        name: str | None = "PolynomialDecay",
    ) -> None:
        self.initial_learning_rate = number("initial_learning_rate", initial_learning_rate)
        self.decay_steps = count("decay_steps", decay_steps)
        self.end_learning_rate = number("end_learning_rate", end_learning_rate)
        self.power = number("power", power, open_below=True)
        self.cycle = bool(cycle)
        self.name = name

    def rate(self, step: Value) -> Value:
        """Return the rate for steps in float64, of any shape."""
        passed = over(step, self.decay_steps)
        if self.cycle:
            passed = ops.divide(passed, ops.maximum(ops.ceil(passed), 1.0))
        else:
            passed = limited(passed, 1.0)
        left = ops.power(ops.subtract(1.0, passed), self.power)
        span = self.initial_learning_rate - self.end_learning_rate
        return ops.add(ops.multiply(left, span), self.end_learning_rate)


class LinearDecay(PolynomialDecay):
    """``rate(t) = initial + (end - initial) * t / decay_steps``, then `end`.

    Parameters
    ----------
    initial_learning_rate : float
        At least 0.
    decay_steps : int
        At least 1.
    end_learning_rate : float, default 0.0
        At least 0.
    name : str, default "LinearDecay"

    Raises
    ------
    ArgumentError
        For an argument out of its range.

    Examples
    --------
    >>> from chainrule.optimizers.schedules import LinearDecay
    >>> LinearDecay(0.5, decay_steps=10)(5)
    0.25
    """

    arguments = ("initial_learning_rate", "decay_steps", "end_learning_rate")

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        end_learning_rate: float = 0.0,
        name: str | None = "LinearDecay",
    ) -> None:
        super().__init__(initial_learning_rate, decay_steps, end_learning_rate, name=name)
