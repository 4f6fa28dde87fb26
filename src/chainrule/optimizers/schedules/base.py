"""What every schedule is: a function from the step to the learning rate."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any, Self

import numpy as np

from chainrule import ops
from chainrule.dtypes import Array
from chainrule.errors import ArgumentError
from chainrule.graph import Value, Variable


class LearningRateSchedule:
    """``rate(step)``: the learning rate as a function of the number of finished steps.

    A subclass writes `rate`, in `ops`; a class that has its own ``__call__(step)``, as in Keras,
    is a schedule too. It is computed in float64, inside the native loop.

    Called with a number or an array, a schedule returns numbers, e.g. to plot them. Of the
    `learning_rate` of an optimizer, ``float`` is the rate of its next step.

    Examples
    --------
    >>> from chainrule import ops
    >>> from chainrule.optimizers import SGD
    >>> from chainrule.optimizers.schedules import LearningRateSchedule
    >>> class InverseRoot(LearningRateSchedule):
    ...     def rate(self, step):
    ...         return 0.1 / ops.sqrt(step + 1.0)
    >>> InverseRoot()(3)
    0.05
    >>> optimizer = SGD(InverseRoot())
    """

    # The arguments of a subclass, kept in attributes of the same names.
    arguments: tuple[str, ...] = ()

    name: str | None = None

    _now: Callable[[], Value] | None = None

    def __call__(self, step: Any) -> Any:
        """Return the rate at a step: a value for a value, else a number or an array of them."""
        if isinstance(step, Value | Variable):
            return self.rate(ops.cast(step, "float64"))
        steps = np.asarray(step, np.float64)
        # As an array, so that one program serves for all numbers.
        rates = self.rate(ops.as_value(np.atleast_1d(steps))).numpy()
        return rates if steps.ndim else float(rates[0])

    def rate(self, step: Value) -> Value:
        """Return the rate for steps in float64, of any shape."""
        raise NotImplementedError(f"{type(self).__name__} must define rate(step)")

    def at(self, now: Callable[[], Value]) -> Self:
        """Return this schedule as that of an optimizer: `now` gives the rate of its next step."""
        schedule = copy.copy(self)
        schedule._now = now
        return schedule

    def numpy(self) -> Array:
        """Return the rate of the next step of the optimizer whose `learning_rate` this is.

        Raises
        ------
        ArgumentError
            For a schedule that no optimizer has returned.
        """
        if self._now is None:
            raise ArgumentError(
                "a schedule by itself has no rate: call it with the number of a step, or ask "
                "for float(optimizer.learning_rate)"
            )
        return self._now().numpy()

    def __float__(self) -> float:
        return float(self.numpy())

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return np.array(self.numpy(), dtype=dtype)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments as plain data."""
        config = {name: getattr(self, name) for name in self.arguments}
        return config if self.name is None else {**config, "name": self.name}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Return the schedule that `get_config` described."""
        return cls(**config)

    def __repr__(self) -> str:
        given = ", ".join(f"{k}={v!r}" for k, v in self.get_config().items())
        return f"{type(self).__name__}({given})"


class Constant(LearningRateSchedule):
    """``rate(t) = learning_rate``.

    Parameters
    ----------
    learning_rate : float
        At least 0.
    name : str, optional

    Raises
    ------
    ArgumentError
        For a negative rate.

    Examples
    --------
    >>> from chainrule.optimizers.schedules import Constant
    >>> Constant(0.1)(1000)
    0.1
    """

    arguments = ("learning_rate",)

    def __init__(self, learning_rate: float, name: str | None = None) -> None:
        self.learning_rate = number("learning_rate", learning_rate)
        self.name = name

    def rate(self, step: Value) -> Value:
        """Return the rate, of the step's shape."""
        return ops.full(step.shape, self.learning_rate, dtype="float64")


def number(name: str, value: Any, least: float = 0.0, open_below: bool = False) -> float:
    """Return an argument as a finite float of at least (or above) `least`."""
    if isinstance(value, int | float | np.number) and not isinstance(value, bool):
        below = value <= least if open_below else value < least
        if not below and math.isfinite(value):
            return float(value)
    bound = f"above {least:g}" if open_below else f"of at least {least:g}"
    raise ArgumentError(f"{name} is {value!r}; expected a number {bound}")


def share(name: str, value: Any) -> float:
    """Return an argument that must be from 0 to 1."""
    if number(name, value) > 1.0:
        raise ArgumentError(f"{name} is {value!r}; expected a number from 0 to 1")
    return float(value)


def count(name: str, value: Any, least: int = 1) -> int:
    """Return an argument that counts steps; a float counts where it is whole."""
    if number(name, value, least) != int(value):
        raise ArgumentError(f"{name} is {value!r}; expected a whole number of steps")
    return int(value)


def over(step: Value, steps: float) -> Value:
    """``step / steps``, rounded once, so that its floor is right."""
    return ops.divide(step, ops.as_value(np.float64(steps)))


def limited(step: Value, most: float) -> Value:
    """``min(step, most)``."""
    return ops.minimum(step, ops.as_value(np.float64(most)))
