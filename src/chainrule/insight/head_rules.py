"""Losses that do not fit what the last layer puts out, and batches too small to normalize by."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from chainrule.dtypes import Array
from chainrule.insight.case import Case
from chainrule.insight.heads import Head, head_of
from chainrule.layers import BatchNormalization, Layer
from chainrule.losses import (
    BinaryCrossentropy,
    BinaryFocalCrossentropy,
    CategoricalCrossentropy,
    CategoricalFocalCrossentropy,
    Hinge,
    Huber,
    KLDivergence,
    LogCosh,
    MeanAbsoluteError,
    MeanSquaredError,
    Poisson,
    SparseCategoricalCrossentropy,
    SquaredHinge,
)
from chainrule.training.finding import Finding
from chainrule.training.said import Said, said

_CLASSES = (
    SparseCategoricalCrossentropy,
    CategoricalCrossentropy,
    CategoricalFocalCrossentropy,
)
_TRUTHS = (BinaryCrossentropy, BinaryFocalCrossentropy)
# Golik, Doetsch and Ney, "Cross-Entropy vs. Squared Error Training" (Interspeech 2013): from
# random weights the squared error of a softmax ends in poor local optima.
DISTANCES = (MeanSquaredError, MeanAbsoluteError, Huber, LogCosh)

# Below this many samples in a batch its mean and variance are too uncertain to normalize by: Wu
# and He, "Group Normalization" (arXiv 1803.08494), table 2, lose 1.2 points of accuracy with 8
# samples instead of 32, 3.7 with 4 and 11.1 with 2. Eight are let pass here.
FEWEST = 8


def softmax_rules(case: Case) -> list[Finding]:
    """Return where probabilities are made of what are probabilities already."""
    head = head_of(case)
    if head is None:
        return []
    if head.again is not None:
        return [_twice(case, head)]
    if getattr(case.trainer.loss, "from_logits", False) is not True:
        return []
    if head.activation == "softmax" or head.activation == "sigmoid":
        return [_with_logits(case, head)]
    return []


def _twice(case: Case, head: Head) -> Finding:
    outputs = _outputs(case)
    # Of numbers from 0 to 1 no share of a softmax is larger than that of a 1 among zeros.
    most = float(np.e / (np.e + head.units - 1))
    return Finding(
        "softmax_twice",
        head.again,
        said(
            "it takes the softmax of a softmax: no probability can be more than {most:.2f}, the "
            "largest is {largest:.2f}, and the loss cannot go below {least:.2f}",
            most=most,
            largest=outputs.max(),
            least=-np.log(most),
        ),
        said(
            "leave out one of the two: the layer before, or this one's activation, should be linear"
        ),
        cause=said("an activation was put both into the layer and behind it"),
        change={"layer": head.again, "activation": "linear"},
        numbers={"most": most, "largest": float(outputs.max())},
    )


def _with_logits(case: Case, head: Head) -> Finding:
    outputs = _outputs(case)
    return Finding(
        "softmax_with_logits",
        head.layer,
        said(
            "{loss} was made with from_logits=True and takes the {activation} itself, but the "
            "outputs are probabilities already, from {low:.2g} to {high:.2g}",
            loss=getattr(case.trainer.loss, "name", said("the loss")),
            activation=head.activation,
            low=outputs.min(),
            high=outputs.max(),
        ),
        said("say from_logits=False (the default), or leave out the layer's activation"),
        cause=said(
            "the {activation} is applied twice, so that gradients are small and no prediction can "
            "be sure",
            activation=head.activation,
        ),
        change={"loss.from_logits": False},
        numbers={"smallest": float(outputs.min()), "largest": float(outputs.max())},
    )


def loss_mismatch(case: Case) -> list[Finding]:
    """Return where the loss expects other numbers than the last layer puts out."""
    head = head_of(case)
    if head is None or head.again is not None:
        return []
    found = _single_softmax(head) or _wrong(case, head)
    if found is None:
        return []
    because, remedy, change = found
    outputs = _outputs(case)
    outside = float(((outputs < 0) | (outputs > 1)).mean())
    return [
        Finding(
            "loss_mismatch",
            head.layer,
            _gone(because, outputs, outside),
            remedy,
            cause=said("the last layer's activation and the loss were not chosen together"),
            change=change,
            numbers={
                "smallest": float(outputs.min()),
                "largest": float(outputs.max()),
                "outside": outside,
            },
        )
    ]


def _gone(because: Said, outputs: Array, outside: float) -> Said:
    """Return what does not fit, and where the outputs are."""
    found = {"because": because, "low": outputs.min(), "high": outputs.max()}
    if not outside:
        return said("{because}; its outputs go from {low:.3g} to {high:.3g}", **found)
    return said(
        "{because}; its outputs go from {low:.3g} to {high:.3g}, {outside:.0%} of them are outside "
        "of 0 to 1",
        outside=outside,
        **found,
    )


_Wrong = tuple[Said, Said, dict[str, Any]]


def _single_softmax(head: Head) -> _Wrong | None:
    if head.activation != "softmax" or head.units != 1:
        return None
    return (
        said("a softmax over one unit is 1 whatever its weights are"),
        said("use a sigmoid with binary_crossentropy, or one unit for each class"),
        {"layer": head.layer, "activation": "sigmoid"},
    )


def _wrong(case: Case, head: Head) -> _Wrong | None:
    """Return what does not fit, what to do, and the change; ``None`` where all is well."""
    loss, kind = case.trainer.loss, head.activation
    logits = getattr(loss, "from_logits", False) is True
    if isinstance(loss, _CLASSES):
        return _of_classes(loss.name, head, logits)
    if isinstance(loss, _TRUTHS):
        return _of_truths(loss.name, head, logits)
    if isinstance(loss, DISTANCES) and kind == "softmax" and _one_hot(case.y):
        return _flat_where_wrong(loss.name)
    if isinstance(loss, Hinge | SquaredHinge) and kind in ("softmax", "sigmoid", "relu"):
        return _no_margins(loss.name, head)
    if isinstance(loss, KLDivergence) and kind in ("linear", "tanh", "relu"):
        told = said(
            "{loss} compares probabilities, but the last layer is {activation}",
            loss=loss.name,
            activation=kind,
        )
        return told, said("use a softmax"), {"layer": head.layer, "activation": "softmax"}
    if isinstance(loss, Poisson) and kind in ("linear", "tanh"):
        return _no_logarithm(loss.name, head)
    return None


def _flat_where_wrong(name: str) -> _Wrong:
    told = said(
        "{loss} of a softmax hardly has a gradient where it is sure and wrong",
        loss=name,
    )
    remedy = said("use categorical_crossentropy, whose gradient stays where an output is wrong")
    return told, remedy, {"loss": "categorical_crossentropy"}


def _no_margins(name: str, head: Head) -> _Wrong:
    told = said(
        "{loss} wants numbers below -1 and above 1, and the {activation} gives none below 0",
        loss=name,
        activation=head.activation,
    )
    remedy = said("use a linear last layer or tanh; or binary_crossentropy with the sigmoid")
    return told, remedy, {"layer": head.layer, "activation": "linear"}


def _no_logarithm(name: str, head: Head) -> _Wrong:
    told = said(
        "{loss} takes the logarithm of the outputs, but the last layer is {activation}",
        loss=name,
        activation=head.activation,
    )
    remedy = said("use the activation exponential or softplus")
    return told, remedy, {"layer": head.layer, "activation": "exponential"}


def _no_logits(name: str, head: Head) -> _Wrong:
    told = said(
        "{loss} takes its inputs for logits, which a {activation} keeps from being any number",
        loss=name,
        activation=head.activation,
    )
    return told, said("leave out its activation"), {"layer": head.layer, "activation": "linear"}


def _no_probabilities(name: str, head: Head, remedy: Said, activation: str) -> _Wrong:
    told = said(
        "{loss} takes its inputs for probabilities, but the last layer is {activation}",
        loss=name,
        activation=head.activation,
    )
    return told, remedy, {"layer": head.layer, "activation": activation}


def _of_classes(name: str, head: Head, logits: bool) -> _Wrong | None:
    kind = head.activation
    if logits and kind in ("tanh", "relu", "softplus", "exp"):
        return _no_logits(name, head)
    if logits or kind in ("softmax", "exp", ""):
        return None
    if kind == "linear":
        remedy = said("give it the activation softmax, or the loss from_logits=True")
    else:
        remedy = said("give it the activation softmax")
    return _no_probabilities(name, head, remedy, "softmax")


def _of_truths(name: str, head: Head, logits: bool) -> _Wrong | None:
    kind = head.activation
    if logits and kind in ("tanh", "relu", "softplus", "exp"):
        return _no_logits(name, head)
    if logits or kind in ("sigmoid", ""):
        return None
    if kind == "softmax":
        told = said(
            "{loss} judges each output on its own, but a softmax makes {units} depend",
            loss=name,
            units=head.units,
        )
        remedy = said("use categorical_crossentropy, or sigmoids where several classes can be true")
        return told, remedy, {"loss": "categorical_crossentropy"}
    remedy = said("give it the activation sigmoid, or the loss from_logits=True")
    return _no_probabilities(name, head, remedy, "sigmoid")


def _one_hot(y: Array | None) -> bool:
    """Return whether each row of targets is a single 1 among zeros."""
    if y is None or y.ndim < 2 or y.shape[-1] < 2:
        return False
    return bool(((y == 0) | (y == 1)).all() and (y.sum(axis=-1) == 1).all())


def _outputs(case: Case) -> Array:
    """Return outputs of some samples as the weights are at the beginning."""
    if "head" not in case.memo:
        case.memo["head"] = case.predicted(case.few).astype(np.float64)
    outputs: Array = case.memo["head"]
    return outputs


def batch_too_small(case: Case) -> list[Finding]:
    """Return where batch normalization has too few samples to take mean and variance of."""
    if case.batch_size >= FEWEST:
        return []
    layers = [layer for layer in leaves(case.model) if isinstance(layer, BatchNormalization)]
    layers = [layer for layer in layers if layer.trainable and layer.built]
    if not layers:
        return []
    return [
        Finding(
            "batch_too_small",
            layers[0].name,
            _uncertain(case.batch_size, [layer.name for layer in layers]),
            said("use batches of at least 16, or LayerNormalization or GroupNormalization"),
            cause=said("batch normalization takes mean and variance of each batch"),
            change={"batch_size": 32},
            numbers={"batch_size": float(case.batch_size)},
        )
    ]


def _uncertain(size: int, names: list[str]) -> Said:
    whose = said("{layer!r}", layer=names[0])
    if len(names) > 1:
        more = len(names) - 1
        whose = said("{layer!r} and {more} more layers", layer=names[0], more=more)
    if size < 2:
        return said(
            "batches are of {size}, so the variance that {layers} divides by is uncertain by "
            "without limit",
            size=size,
            layers=whose,
        )
    return said(
        "batches are of {size}, so the variance that {layers} divides by is uncertain by "
        "{noise:.0%}",
        size=size,
        layers=whose,
        noise=np.sqrt(2 / (size - 1)),
    )


def leaves(layer: Layer) -> Iterator[Layer]:
    """Yield the layer and all within, in order."""
    yield layer
    for part in layer.sublayers():
        yield from leaves(part)
