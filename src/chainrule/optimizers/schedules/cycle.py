"""One cycle: a rate that rises once and falls once."""

from __future__ import annotations

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
from chainrule.optimizers.schedules.cosine import half_wave


class OneCycle(LearningRateSchedule):
    """From ``max / div_factor`` up to max in ``pct_start`` of the steps, then down to
    ``max / div_factor / final_div_factor``, where it stays.

    Parameters
    ----------
    max_learning_rate : float
        At least 0.
    total_steps : int
        At least 2.
    pct_start : float, default 0.3
        From 0 to 1: the share of the steps in which the rate rises.
    anneal_strategy : {"cos", "linear"}, default "cos"
        The form of the way up and down.
    div_factor : float, default 25.0
        Above 0.
    final_div_factor : float, default 10000.0
        Above 0.
    three_phase : bool, default False
        Whether the rate falls as it rose, and only then to its end; `pct_start` is at most 0.5.
    name : str, default "OneCycle"

    Raises
    ------
    ArgumentError
        For an argument out of its range.

    Examples
    --------
    >>> from chainrule.optimizers.schedules import OneCycle
    >>> schedule = OneCycle(0.5, total_steps=100, div_factor=4.0)
    >>> schedule(0), schedule(29), round(schedule(99), 8)
    (0.125, 0.5, 1.25e-05)

    Source
    ------
    Smith and Topin, "Super-Convergence: Very Fast Training of Neural Networks Using Large Learning
    Rates", arXiv 1708.07120; the numbers are those of PyTorch's ``OneCycleLR``.
    """

    arguments = (
        "max_learning_rate",
        "total_steps",
        "pct_start",
        "anneal_strategy",
        "div_factor",
        "final_div_factor",
        "three_phase",
    )

    def __init__(
        self,
        max_learning_rate: float,
        total_steps: int,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
        name: str | None = "OneCycle",
    ) -> None:
        self.max_learning_rate = number("max_learning_rate", max_learning_rate)
        self.total_steps = count("total_steps", total_steps, least=2)
        self.pct_start = share("pct_start", pct_start)
        self.anneal_strategy = anneal_strategy
        self.div_factor = number("div_factor", div_factor, open_below=True)
        self.final_div_factor = number("final_div_factor", final_div_factor, open_below=True)
        self.three_phase = bool(three_phase)
        self.name = name
        if anneal_strategy not in ("cos", "linear"):
            raise ArgumentError(f"anneal_strategy is 'cos' or 'linear', not {anneal_strategy!r}")
        if self.three_phase and self.pct_start > 0.5:
            raise ArgumentError(f"pct_start is {pct_start!r}; with three phases it is at most 0.5")

    def phases(self) -> list[tuple[float, float, float]]:
        """Return for each phase its last step, its first rate and its last."""
        top, last = self.max_learning_rate, float(self.total_steps - 1)
        first = top / self.div_factor
        end, rise = first / self.final_div_factor, self.pct_start * self.total_steps - 1.0
        if not self.three_phase:
            return [(rise, first, top), (last, top, end)]
        return [(rise, first, top), (2.0 * rise, top, first), (last, first, end)]

    def rate(self, step: Value) -> Value:
        """Return the rate for steps in float64, of any shape."""
        begin = 0.0
        found = _filled(step, self.max_learning_rate / self.div_factor)
        for until, first, last in self.phases():
            past = ops.less(ops.as_value(np.float64(begin)), step)
            found = ops.where(past, self._between(step, begin, until, first, last), found)
            begin = until
        return found

    def _between(self, step: Value, begin: float, until: float, first: float, last: float) -> Value:
        """Return the rate on the way from `first` at step `begin` to `last` at step `until`."""
        if until <= begin:
            return _filled(step, last)
        passed = limited(over(ops.subtract(step, begin), until - begin), 1.0)
        wave = half_wave(passed) if self.anneal_strategy == "cos" else ops.subtract(1.0, passed)
        return ops.add(ops.multiply(wave, first - last), last)


def _filled(step: Value, rate: float) -> Value:
    return ops.full(step.shape, rate, dtype="float64")
