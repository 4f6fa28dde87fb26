"""Reading and moving the learning rate from callbacks."""

from __future__ import annotations

from chainrule.errors import ArgumentError, NotBuiltError
from chainrule.graph import Variable
from chainrule.models.model import Model


def rate_of(model: Model, caller: str) -> float:
    """Return the learning rate of the model's optimizer.

    Raises
    ------
    ArgumentError
        Where it follows a schedule, and so cannot be set.
    """
    if model.optimizer is None:
        raise NotBuiltError("the model has no optimizer: call compile(optimizer=..., loss=...)")
    rate = model.optimizer.learning_rate
    if not isinstance(rate, Variable):
        raise ArgumentError(
            f"{caller} sets the learning rate, but that of {type(model.optimizer).__name__} "
            f"follows a schedule ({type(rate).__name__}), step by step.\n"
            "  fix: give the optimizer a number as learning_rate, or leave the callback out"
        )
    return float(rate)
