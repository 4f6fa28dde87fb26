"""Losses: how far predictions are from targets, as one number to be made small."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from chainrule.losses.base import FunctionLoss, Loss
from chainrule.losses.circle import Circle, circle
from chainrule.losses.crossentropy import (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    SparseCategoricalCrossentropy,
)
from chainrule.losses.ctc import CTC, ctc
from chainrule.losses.focal import (
    BinaryFocalCrossentropy,
    CategoricalFocalCrossentropy,
    CategoricalGeneralizedCrossEntropy,
    binary_focal_crossentropy,
    categorical_focal_crossentropy,
    categorical_generalized_cross_entropy,
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
from chainrule.losses.hinge import (
    CategoricalHinge,
    Hinge,
    SquaredHinge,
    categorical_hinge,
    hinge,
    squared_hinge,
)
from chainrule.losses.overlap import Dice, Tversky, dice, tversky
from chainrule.losses.regression import Huber, LogCosh, MeanAbsoluteError, MeanSquaredError
from chainrule.losses.relations import (
    CosineSimilarity,
    KLDivergence,
    MeanAbsolutePercentageError,
    MeanSquaredLogarithmicError,
    Poisson,
    QuantileLoss,
)
from chainrule.losses.relative import (
    cosine_similarity,
    kl_divergence,
    mean_absolute_percentage_error,
    mean_squared_logarithmic_error,
    poisson,
    quantile,
)
from chainrule.named import Named

__all__ = [
    "CTC",
    "BinaryCrossentropy",
    "BinaryFocalCrossentropy",
    "CategoricalCrossentropy",
    "CategoricalFocalCrossentropy",
    "CategoricalGeneralizedCrossEntropy",
    "CategoricalHinge",
    "Circle",
    "CosineSimilarity",
    "Dice",
    "FunctionLoss",
    "Hinge",
    "Huber",
    "KLDivergence",
    "LogCosh",
    "Loss",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanSquaredError",
    "MeanSquaredLogarithmicError",
    "Poisson",
    "QuantileLoss",
    "SparseCategoricalCrossentropy",
    "SquaredHinge",
    "Tversky",
    "binary_crossentropy",
    "binary_focal_crossentropy",
    "categorical_crossentropy",
    "categorical_focal_crossentropy",
    "categorical_generalized_cross_entropy",
    "categorical_hinge",
    "circle",
    "cosine_similarity",
    "ctc",
    "deserialize",
    "dice",
    "get",
    "hinge",
    "huber",
    "kl_divergence",
    "log_cosh",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "mean_squared_error",
    "mean_squared_logarithmic_error",
    "poisson",
    "quantile",
    "serialize",
    "sparse_categorical_crossentropy",
    "squared_hinge",
    "tversky",
]

_FUNCTIONS: dict[Callable[..., Any], type[Loss]] = {
    mean_squared_error: MeanSquaredError,
    mean_absolute_error: MeanAbsoluteError,
    huber: Huber,
    log_cosh: LogCosh,
    binary_crossentropy: BinaryCrossentropy,
    categorical_crossentropy: CategoricalCrossentropy,
    sparse_categorical_crossentropy: SparseCategoricalCrossentropy,
    circle: Circle,
    ctc: CTC,
    binary_focal_crossentropy: BinaryFocalCrossentropy,
    categorical_focal_crossentropy: CategoricalFocalCrossentropy,
    categorical_generalized_cross_entropy: CategoricalGeneralizedCrossEntropy,
    categorical_hinge: CategoricalHinge,
    hinge: Hinge,
    squared_hinge: SquaredHinge,
    dice: Dice,
    tversky: Tversky,
    cosine_similarity: CosineSimilarity,
    kl_divergence: KLDivergence,
    mean_absolute_percentage_error: MeanAbsolutePercentageError,
    mean_squared_logarithmic_error: MeanSquaredLogarithmicError,
    poisson: Poisson,
    quantile: QuantileLoss,
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
    "mape": MeanAbsolutePercentageError,
    "MAPE": MeanAbsolutePercentageError,
    "msle": MeanSquaredLogarithmicError,
    "MSLE": MeanSquaredLogarithmicError,
    "kld": KLDivergence,
    "KLD": KLDivergence,
    "pinball": QuantileLoss,
}
NAMES: dict[str, type[Loss]] = {
    **_CLASSES,
    **{function.__name__: kind for function, kind in _FUNCTIONS.items()},
    **_ALIASES,
}


def _of_function(function: Callable[..., Any]) -> Loss:
    known = _FUNCTIONS.get(function)
    return FunctionLoss(function) if known is None else known()


_NAMED = Named(
    "loss",
    Loss,
    "a loss is a name, a Loss or a function",
    {**_CLASSES, "FunctionLoss": FunctionLoss},
    NAMES,
    function=_of_function,
)


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
    found: Loss = _NAMED.get(identifier)
    return found


def serialize(loss: Loss) -> dict[str, Any]:
    """Return the class and arguments of a loss as plain data."""
    return _NAMED.serialize(loss) or {}


def deserialize(
    config: Mapping[str, Any], custom_objects: Mapping[str, type[Loss]] | None = None
) -> Loss:
    """Return the loss that `serialize` described; `custom_objects` are your own by class name.

    Raises
    ------
    ArgumentError
        For a class that is not known.
    """
    made: Loss = _NAMED.deserialize(config, custom_objects)
    return made
