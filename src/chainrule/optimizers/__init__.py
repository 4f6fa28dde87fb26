"""Optimizers: how weights move against the gradient of the loss."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chainrule.errors import ArgumentError, unknown_name
from chainrule.optimizers import schedules
from chainrule.optimizers.adadelta import Adadelta
from chainrule.optimizers.adafactor import Adafactor
from chainrule.optimizers.adagrad import Adagrad
from chainrule.optimizers.adam import Adam
from chainrule.optimizers.adamax import Adamax
from chainrule.optimizers.adamw import AdamW
from chainrule.optimizers.base import Optimizer
from chainrule.optimizers.lamb import Lamb
from chainrule.optimizers.lion import Lion
from chainrule.optimizers.nadam import Nadam
from chainrule.optimizers.rmsprop import RMSprop
from chainrule.optimizers.rprop import Rprop
from chainrule.optimizers.sgd import SGD

__all__ = [
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
    *(Lamb, Lion, Nadam, RMSprop, Rprop),
)
NAMES: dict[str, type[Optimizer]] = {kind.__name__.lower(): kind for kind in _KINDS}


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
    if isinstance(identifier, Optimizer):
        return identifier
    if isinstance(identifier, str):
        return _named(identifier)()
    if isinstance(identifier, Mapping):
        return deserialize(identifier)
    if isinstance(identifier, type) and issubclass(identifier, Optimizer):
        return identifier()
    raise ArgumentError(f"an optimizer is a name or an Optimizer, not {identifier!r}")


def serialize(optimizer: Optimizer) -> dict[str, Any]:
    """Return the class and arguments of an optimizer as plain data, without its state."""
    return {"class_name": type(optimizer).__name__, "config": optimizer.get_config()}


def deserialize(config: Mapping[str, Any]) -> Optimizer:
    """Return the optimizer that `serialize` described.

    Raises
    ------
    ArgumentError
        For a class that is not known.
    """
    kind = _named(str(config.get("class_name")))
    return kind.from_config(dict(config.get("config", {})))


def _named(name: str) -> type[Optimizer]:
    if name.lower() not in NAMES:
        raise unknown_name("optimizer", name, NAMES)
    return NAMES[name.lower()]
