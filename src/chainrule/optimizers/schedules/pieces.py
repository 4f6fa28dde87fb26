"""Schedules made of pieces: constants one after the other, a warm-up in front of another."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from chainrule import ops
from chainrule.errors import ArgumentError
from chainrule.graph import Value
from chainrule.optimizers.schedules.base import (
    Constant,
    LearningRateSchedule,
    count,
    number,
    over,
)


class PiecewiseConstantDecay(LearningRateSchedule):
    """``rate(t) = values[i]``, where i is the number of boundaries below t.

    Parameters
    ----------
    boundaries : sequence of numbers
        Rising; at a boundary itself the earlier value holds.
    values : sequence of float
        At least 0, one more than boundaries.
    name : str, default "PiecewiseConstant"

    Raises
    ------
    ArgumentError
        For boundaries that do not rise, or another number of values.

    Examples
    --------
    >>> from chainrule.optimizers.schedules import PiecewiseConstantDecay
    >>> schedule = PiecewiseConstantDecay([100, 200], [0.1, 0.01, 0.001])
    >>> schedule(100), schedule(101)
    (0.1, 0.01)
    """

    arguments = ("boundaries", "values")

    def __init__(
        self,
        boundaries: Sequence[float],
        values: Sequence[float],
        name: str | None = "PiecewiseConstant",
    ) -> None:
        self.boundaries = [number("a boundary", b) for b in boundaries]
        self.values = [number("a value", v) for v in values]
        self.name = name
        if len(self.values) != len(self.boundaries) + 1:
            raise ArgumentError(
                f"{len(self.boundaries)} boundaries need {len(self.boundaries) + 1} values, "
                f"not {len(self.values)}"
            )
        if any(b <= a for a, b in itertools.pairwise(self.boundaries)):
            raise ArgumentError(f"boundaries must rise, not {self.boundaries}")

    def rate(self, step: Value) -> Value:
        """Return the rate for steps in float64, of any shape."""
        found = ops.full(step.shape, self.values[0], dtype="float64")
        for boundary, value in zip(self.boundaries, self.values[1:], strict=True):
            past = ops.less(ops.as_value(np.float64(boundary)), step)
            found = ops.where(past, ops.as_value(np.float64(value)), found)
        return found


class Warmup(LearningRateSchedule):
    """``rate(t) = start + (schedule(0) - start) * t / steps``; from `steps` on
    ``schedule(t - steps)``.

    Parameters
    ----------
    schedule : LearningRateSchedule, callable or float
        What comes after the warm-up.
    steps : int
        At least 1: how long the rate rises.
    start : float, default 0.0
        At least 0: the rate of the first step.
    name : str, default "Warmup"

    Raises
    ------
    ArgumentError
        For an argument out of its range.

    Examples
    --------
    >>> from chainrule.optimizers.schedules import CosineDecay, Warmup
    >>> schedule = Warmup(CosineDecay(0.5, decay_steps=100), steps=10)
    >>> schedule(0), schedule(5), schedule(10), schedule(60)
    (0.0, 0.25, 0.5, 0.25)

    Source
    ------
    Goyal et al., "Accurate, Large Minibatch SGD: Training ImageNet in 1 Hour", arXiv 1706.02677,
    section 2.2, "gradual warmup".
    """

    arguments = ("schedule", "steps", "start")

    def __init__(
        self,
        schedule: Callable[[Value], Any] | float,
        steps: int,
        start: float = 0.0,
        name: str | None = "Warmup",
    ) -> None:
        self.schedule = schedule if callable(schedule) else Constant(schedule)
        self.steps = count("steps", steps)
        self.start = number("start", start)
        self.name = name

    def rate(self, step: Value) -> Value:
        """Return the rate for steps in float64, of any shape."""
        after = ops.maximum(ops.subtract(step, float(self.steps)), 0.0)
        goal = ops.cast(self.schedule(after), "float64")
        risen = ops.multiply(ops.subtract(goal, self.start), over(step, self.steps))
        warm = ops.less(step, ops.as_value(np.float64(self.steps)))
        return ops.where(warm, ops.add(risen, self.start), goal)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments as plain data, the schedule as its own configuration."""
        from chainrule.optimizers.schedules import serialize

        return {**super().get_config(), "schedule": serialize(self.schedule)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Warmup:
        """Return the schedule that `get_config` described."""
        from chainrule.optimizers.schedules import deserialize

        return cls(**{**config, "schedule": deserialize(config["schedule"])})


LinearWarmup = Warmup
