"""Reading and moving the learning rate from callbacks."""

from __future__ import annotations

from chainrule.errors import ArgumentError, NotBuiltError
from chainrule.graph import Variable
from chainrule.models.model import Model
from chainrule.optimizers import Rprop


def rate_of(model: Model, caller: str) -> float:
    """Return the learning rate of the model's optimizer.

    Raises
    ------
    ArgumentError
        Where it follows a schedule, and so cannot be set, or where to set it would change nothing.
    """
    if model.optimizer is None:
        raise NotBuiltError("the model has no optimizer: call compile(optimizer=..., loss=...)")
    if getattr(type(model.optimizer), "rule", None) is Rprop.rule:
        raise ArgumentError(
            f"{caller} sets the learning rate, but that of Rprop is only the first size of the "
            "steps, which then find their own.\n"
            "  fix: leave the callback out, or take another optimizer"
        )
    rate = model.optimizer.learning_rate
    if not isinstance(rate, Variable):
        raise ArgumentError(
            f"{caller} sets the learning rate, but that of {type(model.optimizer).__name__} "
            f"follows a schedule ({type(rate).__name__}), step by step.\n"
            "  fix: give the optimizer a number as learning_rate, or leave the callback out"
        )
    return float(rate)
