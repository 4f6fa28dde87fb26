"""Metrics: what is told about predictions beside the loss."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

from chainrule import losses
from chainrule.errors import ArgumentError, unknown_name
from chainrule.losses import (
    Loss,
    binary_crossentropy,
    binary_focal_crossentropy,
    categorical_crossentropy,
    categorical_focal_crossentropy,
    categorical_hinge,
    hinge,
    huber,
    kl_divergence,
    log_cosh,
    mean_absolute_error,
    mean_absolute_percentage_error,
    mean_squared_error,
    mean_squared_logarithmic_error,
    poisson,
    sparse_categorical_crossentropy,
    squared_hinge,
)
from chainrule.losses.base import snake_case
from chainrule.metrics.accuracy import (
    Accuracy,
    BinaryAccuracy,
    CategoricalAccuracy,
    SparseCategoricalAccuracy,
    accuracy,
    binary_accuracy,
    categorical_accuracy,
    sparse_categorical_accuracy,
)
from chainrule.metrics.base import Mean, MeanMetric, MeanMetricWrapper, MeanOfValues, Metric, Sum
from chainrule.metrics.calibration import CalibrationError
from chainrule.metrics.confusion import (
    FalseNegatives,
    FalsePositives,
    Precision,
    Recall,
    TrueNegatives,
    TruePositives,
)
from chainrule.metrics.correlation import (
    ConcordanceCorrelation,
    CosineSimilarity,
    MeanRelativeError,
    PearsonCorrelation,
    concordance_correlation,
    pearson_correlation,
)
from chainrule.metrics.crossentropy import (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    SparseCategoricalCrossentropy,
)
from chainrule.metrics.curves import AUC
from chainrule.metrics.error_rates import CharacterErrorRate, WordErrorRate, edit_distance
from chainrule.metrics.f_score import F1Score, FBetaScore
from chainrule.metrics.matrix import ConfusionMatrix
from chainrule.metrics.of_losses import (
    CategoricalHinge,
    Hinge,
    KLDivergence,
    LogCoshError,
    MeanAbsolutePercentageError,
    MeanSquaredLogarithmicError,
    Poisson,
    SquaredHinge,
)
from chainrule.metrics.overlap import (
    BinaryIoU,
    IoU,
    MeanIoU,
    OneHotIoU,
    OneHotMeanIoU,
)
from chainrule.metrics.ranking import (
    SparseTopKCategoricalAccuracy,
    TopKCategoricalAccuracy,
    sparse_top_k_categorical_accuracy,
    top_k_categorical_accuracy,
)
from chainrule.metrics.rates import (
    PrecisionAtRecall,
    RecallAtPrecision,
    SensitivityAtSpecificity,
    SpecificityAtSensitivity,
)
from chainrule.metrics.regression import (
    MeanAbsoluteError,
    MeanSquaredError,
    R2Score,
    RootMeanSquaredError,
)
from chainrule.named import Named, custom

__all__ = [
    "AUC",
    "Accuracy",
    "BinaryAccuracy",
    "BinaryCrossentropy",
    "BinaryIoU",
    "CalibrationError",
    "CategoricalAccuracy",
    "CategoricalCrossentropy",
    "CategoricalHinge",
    "CharacterErrorRate",
    "ConcordanceCorrelation",
    "ConfusionMatrix",
    "CosineSimilarity",
    "F1Score",
    "FBetaScore",
    "FalseNegatives",
    "FalsePositives",
    "Hinge",
    "IoU",
    "KLDivergence",
    "LogCoshError",
    "Mean",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanIoU",
    "MeanMetric",
    "MeanMetricWrapper",
    "MeanOfValues",
    "MeanRelativeError",
    "MeanSquaredError",
    "MeanSquaredLogarithmicError",
    "Metric",
    "OneHotIoU",
    "OneHotMeanIoU",
    "PearsonCorrelation",
    "Poisson",
    "Precision",
    "PrecisionAtRecall",
    "R2Score",
    "Recall",
    "RecallAtPrecision",
    "RootMeanSquaredError",
    "SensitivityAtSpecificity",
    "SparseCategoricalAccuracy",
    "SparseCategoricalCrossentropy",
    "SparseTopKCategoricalAccuracy",
    "SpecificityAtSensitivity",
    "SquaredHinge",
    "Sum",
    "TopKCategoricalAccuracy",
    "TrueNegatives",
    "TruePositives",
    "WordErrorRate",
    "accuracy",
    "binary_accuracy",
    "binary_crossentropy",
    "binary_focal_crossentropy",
    "categorical_accuracy",
    "categorical_crossentropy",
    "categorical_focal_crossentropy",
    "categorical_hinge",
    "concordance_correlation",
    "deserialize",
    "edit_distance",
    "get",
    "hinge",
    "huber",
    "kl_divergence",
    "log_cosh",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "mean_squared_error",
    "mean_squared_logarithmic_error",
    "pearson_correlation",
    "poisson",
    "serialize",
    "sparse_categorical_accuracy",
    "sparse_categorical_crossentropy",
    "sparse_top_k_categorical_accuracy",
    "squared_hinge",
    "top_k_categorical_accuracy",
]

_CLASSES: dict[str, type[Metric]] = {
    kind.__name__: kind
    for kind in (
        Accuracy,
        BinaryAccuracy,
        CategoricalAccuracy,
        Mean,
        MeanAbsoluteError,
        MeanSquaredError,
        R2Score,
        RootMeanSquaredError,
        SparseCategoricalAccuracy,
        Sum,
        CalibrationError,
        FalseNegatives,
        FalsePositives,
        Precision,
        Recall,
        TrueNegatives,
        TruePositives,
        ConcordanceCorrelation,
        CosineSimilarity,
        MeanRelativeError,
        PearsonCorrelation,
        BinaryCrossentropy,
        CategoricalCrossentropy,
        SparseCategoricalCrossentropy,
        AUC,
        F1Score,
        FBetaScore,
        CategoricalHinge,
        Hinge,
        KLDivergence,
        LogCoshError,
        MeanAbsolutePercentageError,
        MeanSquaredLogarithmicError,
        Poisson,
        SquaredHinge,
        BinaryIoU,
        ConfusionMatrix,
        IoU,
        MeanIoU,
        OneHotIoU,
        OneHotMeanIoU,
        SparseTopKCategoricalAccuracy,
        TopKCategoricalAccuracy,
        PrecisionAtRecall,
        RecallAtPrecision,
        SensitivityAtSpecificity,
        SpecificityAtSensitivity,
        CharacterErrorRate,
        WordErrorRate,
    )
}
NAMES: dict[str, type[Metric]] = {
    **_CLASSES,
    **{snake_case(name): kind for name, kind in _CLASSES.items()},
    "acc": Accuracy,
    "mse": MeanSquaredError,
    "MSE": MeanSquaredError,
    "mae": MeanAbsoluteError,
    "MAE": MeanAbsoluteError,
    "rmse": RootMeanSquaredError,
    "r2": R2Score,
    "auc": AUC,
    "fbeta_score": FBetaScore,
    "cer": CharacterErrorRate,
    "wer": WordErrorRate,
    "bce": BinaryCrossentropy,
    "BCE": BinaryCrossentropy,
    "kl_divergence": KLDivergence,
    "kld": KLDivergence,
    "KLD": KLDivergence,
    "logcosh": LogCoshError,
    "mape": MeanAbsolutePercentageError,
    "MAPE": MeanAbsolutePercentageError,
    "msle": MeanSquaredLogarithmicError,
    "MSLE": MeanSquaredLogarithmicError,
}


def get(
    identifier: Any, loss: Any = None, output_shape: Sequence[int | None] | None = None
) -> Metric:
    """Return a metric: one by name, as a configuration, of a function, or the metric given.

    Parameters
    ----------
    identifier : str, dict, type, callable, Loss or Metric
        ``"accuracy"``, ``"mse"``, ``"RootMeanSquaredError"``, the name of a loss, ...; what
        `serialize` returned; a subclass of `Metric`; a function of ``(y_true, y_pred)``; a loss,
        whose mean it becomes.
    loss : Loss, optional
        The loss that the model is trained with.
    output_shape : sequence of int or None, optional
        The shape of the model's output. With it ``"accuracy"`` becomes what fits, as in Keras:
        `BinaryAccuracy` for one output, `SparseCategoricalAccuracy` where the loss takes class
        numbers, else `CategoricalAccuracy`.

    Raises
    ------
    ArgumentError
        For a name that does not exist, naming the nearest.

    Examples
    --------
    >>> from chainrule import metrics
    >>> metrics.get("accuracy", loss="categorical_crossentropy", output_shape=(None, 10))
    <CategoricalAccuracy 'accuracy'>
    """
    if isinstance(identifier, str):
        return _named(identifier, loss, output_shape)
    found: Metric = _NAMED.get(identifier)
    return found


def _of_function(function: Any) -> Metric:
    if isinstance(function, Loss):
        return _of_loss(function, function.name)
    return MeanMetric(function)


def _of_loss(loss: Loss, name: str) -> MeanMetric:
    found = MeanMetric(loss.call, name)
    found.direction = "min"
    return found


def _named(name: str, loss: Any, output_shape: Sequence[int | None] | None) -> Metric:
    if name.lower() in ("accuracy", "acc") and output_shape:
        return _fitting_accuracy(loss, output_shape)(name=name)
    own = custom(name)
    if isinstance(own, type) and issubclass(own, Metric):
        return own()
    if name in NAMES:
        return _by_name(NAMES[name], name)
    if name in losses.NAMES:
        return _of_loss(losses.get(name), name)
    raise unknown_name("metric", name, {*NAMES, *losses.NAMES})


def _by_name(kind: type[Metric], name: str) -> Metric:
    """Return the metric with its defaults, if it has one for each argument."""
    parameters = inspect.signature(kind).parameters
    needed = [n for n, p in parameters.items() if p.default is p.empty]
    if needed:
        raise ArgumentError(
            f"the metric {name!r} needs {', '.join(needed)}: pass "
            f"metrics.{kind.__name__}({', '.join(f'{n}=...' for n in needed)}) in place of the name"
        )
    return kind(name=name)


def _fitting_accuracy(loss: Any, output_shape: Sequence[int | None]) -> type[Metric]:
    """Return the accuracy for the output's width and the targets that the loss takes."""
    if output_shape[-1] == 1:
        return BinaryAccuracy
    if loss is not None and isinstance(losses.get(loss), losses.SparseCategoricalCrossentropy):
        return SparseCategoricalAccuracy
    return CategoricalAccuracy


def serialize(metric: Metric) -> dict[str, Any]:
    """Return the class and arguments of a metric as plain data, without its state."""
    return _NAMED.serialize(metric) or {}


def deserialize(
    config: Mapping[str, Any], custom_objects: Mapping[str, type[Metric]] | None = None
) -> Metric:
    """Return the metric that `serialize` described; `custom_objects` are your own by class name.

    Raises
    ------
    ArgumentError
        For a class that is not known.
    """
    made: Metric = _NAMED.deserialize(config, custom_objects)
    return made


_NAMED = Named(
    "metric",
    Metric,
    "a metric is a name, a Metric or a function",
    _CLASSES,
    function=_of_function,
)
