"""Optimizers: how weights move against the gradient of the loss."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chainrule.named import Named
from chainrule.optimizers import schedules
from chainrule.optimizers.adadelta import Adadelta
from chainrule.optimizers.adafactor import Adafactor
from chainrule.optimizers.adagrad import Adagrad
from chainrule.optimizers.adam import Adam
from chainrule.optimizers.adamax import Adamax
from chainrule.optimizers.adamw import AdamW
from chainrule.optimizers.base import Optimizer
from chainrule.optimizers.lamb import Lamb
from chainrule.optimizers.lbfgs import LBFGS
from chainrule.optimizers.lion import Lion
from chainrule.optimizers.nadam import Nadam
from chainrule.optimizers.rmsprop import RMSprop
from chainrule.optimizers.rprop import Rprop
from chainrule.optimizers.sgd import SGD

__all__ = [
    "LBFGS",
    "SGD",
    "Adadelta",
    "Adafactor",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Lamb",
    "Lion",
    "Nadam",
    "Optimizer",
    "RMSprop",
    "Rprop",
    "deserialize",
    "get",
    "schedules",
    "serialize",
]

_KINDS: tuple[type[Optimizer], ...] = (
    *(SGD, Adadelta, Adafactor, Adagrad, Adam, AdamW, Adamax),
    *(Lamb, LBFGS, Lion, Nadam, RMSprop, Rprop),
)
NAMES: dict[str, type[Optimizer]] = {kind.__name__.lower(): kind for kind in _KINDS}
_NAMED = Named(
    "optimizer",
    Optimizer,
    "an optimizer is a name or an Optimizer",
    NAMES,
    fold=str.lower,
)


def get(identifier: Any) -> Optimizer:
    """Return an optimizer: one by name with its defaults, as a configuration, or the one given.

    Parameters
    ----------
    identifier : str, dict, type or Optimizer
        ``"adam"``, ``"SGD"``, ...; what `serialize` returned; a subclass of `Optimizer`.

    Raises
    ------
    ArgumentError
        For a name that does not exist, naming the nearest.

    Examples
    --------
    >>> from chainrule import optimizers
    >>> float(optimizers.get("adam").learning_rate)
    0.001
    """
    found: Optimizer = _NAMED.get(identifier)
    return found


def serialize(optimizer: Optimizer) -> dict[str, Any]:
    """Return the class and arguments of an optimizer as plain data, without its state."""
    return _NAMED.serialize(optimizer) or {}


def deserialize(
    config: Mapping[str, Any], custom_objects: Mapping[str, type[Optimizer]] | None = None
) -> Optimizer:
    """Return the optimizer that `serialize` described; `custom_objects` are your own by class name.

    Raises
    ------
    ArgumentError
        For a class that is not known.
    """
    made: Optimizer = _NAMED.deserialize(config, custom_objects)
    return made
