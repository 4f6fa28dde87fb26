"""Learning-rate schedules: functions from the step to the rate."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chainrule.errors import ArgumentError
from chainrule.named import Named
from chainrule.optimizers.schedules.base import Constant, LearningRateSchedule
from chainrule.optimizers.schedules.cosine import CosineDecay, CosineDecayRestarts
from chainrule.optimizers.schedules.cycle import OneCycle
from chainrule.optimizers.schedules.decay import (
    ExponentialDecay,
    InverseTimeDecay,
    LinearDecay,
    PolynomialDecay,
    StepDecay,
)
from chainrule.optimizers.schedules.pieces import LinearWarmup, PiecewiseConstantDecay, Warmup
from chainrule.optimizers.schedules.scaled import Scaled

__all__ = [
    "Constant",
    "CosineDecay",
    "CosineDecayRestarts",
    "ExponentialDecay",
    "InverseTimeDecay",
    "LearningRateSchedule",
    "LinearDecay",
    "LinearWarmup",
    "OneCycle",
    "PiecewiseConstantDecay",
    "PolynomialDecay",
    "Scaled",
    "StepDecay",
    "Warmup",
    "deserialize",
    "serialize",
]

_CLASSES: tuple[type[LearningRateSchedule], ...] = (
    Constant,
    CosineDecay,
    CosineDecayRestarts,
    ExponentialDecay,
    InverseTimeDecay,
    LinearDecay,
    OneCycle,
    PiecewiseConstantDecay,
    PolynomialDecay,
    Scaled,
    StepDecay,
    Warmup,
)
NAMES: dict[str, type[LearningRateSchedule]] = {kind.__name__: kind for kind in _CLASSES}
_NAMED = Named(
    "schedule",
    LearningRateSchedule,
    "a schedule is a LearningRateSchedule",
    NAMES,
)


def serialize(schedule: Any) -> Any:
    """Return the class and arguments of a schedule as plain data; a function as it is.

    Examples
    --------
    >>> from chainrule.optimizers import schedules
    >>> schedules.serialize(schedules.Constant(0.1))
    {'class_name': 'Constant', 'config': {'learning_rate': 0.1}}
    """
    if not hasattr(schedule, "get_config"):
        return schedule
    return _NAMED.serialize(schedule)


def deserialize(
    config: Any, custom_objects: Mapping[str, type[LearningRateSchedule]] | None = None
) -> Any:
    """Return the schedule that `serialize` described; a schedule or function as it is.

    Parameters
    ----------
    config : dict
    custom_objects : mapping of str to class, optional
        Schedules of your own, by the name of their class.

    Raises
    ------
    ArgumentError
        For a class that is not known.

    Examples
    --------
    >>> from chainrule.optimizers import schedules
    >>> config = schedules.serialize(schedules.LinearDecay(0.5, decay_steps=10))
    >>> schedules.deserialize(config)(5)
    0.25
    """
    if callable(config):
        return config
    if not isinstance(config, Mapping):
        raise ArgumentError(f"a schedule is described by a dict, not {config!r}")
    return _NAMED.deserialize(config, custom_objects)
