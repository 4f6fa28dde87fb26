"""A schedule at another height."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from chainrule import ops
from chainrule.graph import Value
from chainrule.optimizers.schedules.base import Constant, LearningRateSchedule, number


class Scaled(LearningRateSchedule):
    """``rate(t) = factor * schedule(t)``.

    Parameters
    ----------
    schedule : LearningRateSchedule, callable or float
        What is scaled.
    factor : float
        At least 0.
    name : str, optional

    Raises
    ------
    ArgumentError
        For a negative factor.

    Examples
    --------
    >>> from chainrule.optimizers.schedules import LinearDecay, Scaled
    >>> Scaled(LinearDecay(0.5, decay_steps=10), 0.5)(5)
    0.125
    """

    arguments = ("schedule", "factor")

    def __init__(
        self,
        schedule: Callable[[Value], Any] | float,
        factor: float,
        name: str | None = None,
    ) -> None:
        self.schedule = schedule if callable(schedule) else Constant(schedule)
        self.factor = number("factor", factor)
        self.name = name

    def rate(self, step: Value) -> Value:
        """Return the rate for steps in float64, of any shape."""
        return ops.multiply(ops.cast(self.schedule(step), "float64"), self.factor)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments as plain data, the schedule as its own configuration."""
        from chainrule.optimizers.schedules import serialize

        return {**super().get_config(), "schedule": serialize(self.schedule)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Scaled:
        """Return the schedule that `get_config` described."""
        from chainrule.optimizers.schedules import deserialize

        return cls(**{**config, "schedule": deserialize(config["schedule"])})
