"""Losses: how far predictions are from targets, as one number to be made small."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from chainrule.errors import ArgumentError, unknown_name
from chainrule.losses.base import FunctionLoss, Loss, snake_case
from chainrule.losses.crossentropy import (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    SparseCategoricalCrossentropy,
)
from chainrule.losses.functions import (
    binary_crossentropy,
    categorical_crossentropy,
    huber,
    log_cosh,
    mean_absolute_error,
    mean_squared_error,
    sparse_categorical_crossentropy,
)
from chainrule.losses.regression import Huber, LogCosh, MeanAbsoluteError, MeanSquaredError

__all__ = [
    "BinaryCrossentropy",
    "CategoricalCrossentropy",
    "FunctionLoss",
    "Huber",
    "LogCosh",
    "Loss",
    "MeanAbsoluteError",
    "MeanSquaredError",
    "SparseCategoricalCrossentropy",
    "binary_crossentropy",
    "categorical_crossentropy",
    "deserialize",
    "get",
    "huber",
    "log_cosh",
    "mean_absolute_error",
    "mean_squared_error",
    "serialize",
    "sparse_categorical_crossentropy",
]

_FUNCTIONS: dict[Callable[..., Any], type[Loss]] = {
    mean_squared_error: MeanSquaredError,
    mean_absolute_error: MeanAbsoluteError,
    huber: Huber,
    log_cosh: LogCosh,
    binary_crossentropy: BinaryCrossentropy,
    categorical_crossentropy: CategoricalCrossentropy,
    sparse_categorical_crossentropy: SparseCategoricalCrossentropy,
}
_CLASSES = {kind.__name__: kind for kind in _FUNCTIONS.values()}
_ALIASES: dict[str, type[Loss]] = {
    "mse": MeanSquaredError,
    "MSE": MeanSquaredError,
    "mae": MeanAbsoluteError,
    "MAE": MeanAbsoluteError,
    "bce": BinaryCrossentropy,
    "BCE": BinaryCrossentropy,
    "logcosh": LogCosh,
}
NAMES: dict[str, type[Loss]] = {
    **_CLASSES,
    **{snake_case(name): kind for name, kind in _CLASSES.items()},
    **_ALIASES,
}


def get(identifier: Any) -> Loss:
    """Return a loss: one by name, as a configuration, of a function, or the loss given.

    Parameters
    ----------
    identifier : str, dict, type, callable or Loss
        ``"mse"``, ``"MeanSquaredError"``, ``"mean_squared_error"``, ...; what `serialize` returned;
        a subclass of `Loss`; a function of ``(y_true, y_pred)``.

    Raises
    ------
    ArgumentError
        For a name that does not exist, naming the nearest.

    Examples
    --------
    >>> from chainrule import losses
    >>> losses.get("mse").name
    'mean_squared_error'
    """
    if isinstance(identifier, Loss):
        return identifier
    if isinstance(identifier, str):
        if identifier not in NAMES:
            raise unknown_name("loss", identifier, NAMES)
        return NAMES[identifier]()
    if isinstance(identifier, Mapping):
        return deserialize(identifier)
    if isinstance(identifier, type) and issubclass(identifier, Loss):
        return identifier()
    if callable(identifier):
        known = _FUNCTIONS.get(identifier)
        return FunctionLoss(identifier) if known is None else known()
    raise ArgumentError(f"a loss is a name, a Loss or a function, not {identifier!r}")


def serialize(loss: Loss) -> dict[str, Any]:
    """Return the class and arguments of a loss as plain data."""
    return {"class_name": type(loss).__name__, "config": loss.get_config()}


def deserialize(config: Mapping[str, Any]) -> Loss:
    """Return the loss that `serialize` described.

    Raises
    ------
    ArgumentError
        For a class that is not known.
    """
    name = config.get("class_name")
    if name not in _CLASSES:
        raise unknown_name("loss", name, _CLASSES)
    return _CLASSES[name].from_config(dict(config.get("config", {})))
