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
        "it takes the softmax of a softmax: no probability can be more than "
        f"{most:.2f}, the largest is {outputs.max():.2f}, and the loss cannot go below "
        f"{-np.log(most):.2f}",
        "leave out one of the two: the layer before, or this one's activation, should be linear",
        cause="an activation was put both into the layer and behind it",
        change={"layer": head.again, "activation": "linear"},
        numbers={"most": most, "largest": float(outputs.max())},
    )


def _with_logits(case: Case, head: Head) -> Finding:
    outputs = _outputs(case)
    loss = case.trainer.loss
    name = getattr(loss, "name", "the loss")
    return Finding(
        "softmax_with_logits",
        head.layer,
        f"{name} was made with from_logits=True and takes the {head.activation} itself, but the "
        f"outputs are probabilities already, from {outputs.min():.2g} to {outputs.max():.2g}",
        "say from_logits=False (the default), or leave out the layer's activation",
        cause=f"the {head.activation} is applied twice, so that gradients are small and no "
        "prediction can be sure",
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
            f"{because}; its outputs go from {outputs.min():.3g} to {outputs.max():.3g}"
            + (f", {outside:.0%} of them are outside of 0 to 1" if outside else ""),
            remedy,
            cause="the last layer's activation and the loss were not chosen together",
            change=change,
            numbers={
                "smallest": float(outputs.min()),
                "largest": float(outputs.max()),
                "outside": outside,
            },
        )
    ]


_Wrong = tuple[str, str, dict[str, Any]]


def _single_softmax(head: Head) -> _Wrong | None:
    if head.activation != "softmax" or head.units != 1:
        return None
    return (
        "a softmax over one unit is 1 whatever its weights are",
        "use a sigmoid with binary_crossentropy, or one unit for each class",
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
        remedy = "use categorical_crossentropy, whose gradient stays where an output is wrong"
        told = f"{loss.name} of a softmax hardly has a gradient where it is sure and wrong"
        return told, remedy, {"loss": "categorical_crossentropy"}
    if isinstance(loss, Hinge | SquaredHinge) and kind in ("softmax", "sigmoid", "relu"):
        told = f"{loss.name} wants numbers below -1 and above 1, and the {kind} gives none below 0"
        remedy = "use a linear last layer or tanh; or binary_crossentropy with the sigmoid"
        return told, remedy, {"layer": head.layer, "activation": "linear"}
    if isinstance(loss, KLDivergence) and kind in ("linear", "tanh", "relu"):
        told = f"{loss.name} compares probabilities, but the last layer is {kind}"
        return told, "use a softmax", {"layer": head.layer, "activation": "softmax"}
    if isinstance(loss, Poisson) and kind in ("linear", "tanh"):
        told = f"{loss.name} takes the logarithm of the outputs, but the last layer is {kind}"
        remedy = "use the activation exponential or softplus"
        return told, remedy, {"layer": head.layer, "activation": "exponential"}
    return None


def _of_classes(name: str, head: Head, logits: bool) -> _Wrong | None:
    kind = head.activation
    if logits and kind in ("tanh", "relu", "softplus", "exp"):
        told = f"{name} takes its inputs for logits, which a {kind} keeps from being any number"
        return told, "leave out its activation", {"layer": head.layer, "activation": "linear"}
    if logits or kind in ("softmax", "exp", ""):
        return None
    told = f"{name} takes its inputs for probabilities, but the last layer is {kind}"
    if kind == "linear":
        remedy = "give it the activation softmax, or the loss from_logits=True"
    else:
        remedy = "give it the activation softmax"
    return told, remedy, {"layer": head.layer, "activation": "softmax"}


def _of_truths(name: str, head: Head, logits: bool) -> _Wrong | None:
    kind = head.activation
    if logits and kind in ("tanh", "relu", "softplus", "exp"):
        told = f"{name} takes its inputs for logits, which a {kind} keeps from being any number"
        return told, "leave out its activation", {"layer": head.layer, "activation": "linear"}
    if logits or kind in ("sigmoid", ""):
        return None
    if kind == "softmax":
        told = f"{name} judges each output on its own, but a softmax makes {head.units} depend"
        remedy = "use categorical_crossentropy, or sigmoids where several classes can be true"
        return told, remedy, {"loss": "categorical_crossentropy"}
    told = f"{name} takes its inputs for probabilities, but the last layer is {kind}"
    remedy = "give it the activation sigmoid, or the loss from_logits=True"
    return told, remedy, {"layer": head.layer, "activation": "sigmoid"}


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
    more = f" and {len(layers) - 1} more layers" if len(layers) > 1 else ""
    noise = f"{np.sqrt(2 / (case.batch_size - 1)):.0%}" if case.batch_size > 1 else "without limit"
    return [
        Finding(
            "batch_too_small",
            layers[0].name,
            f"batches are of {case.batch_size}, so the variance that {layers[0].name!r}{more} "
            f"divides by is uncertain by {noise}",
            "use batches of at least 16, or LayerNormalization or GroupNormalization",
            cause="batch normalization takes mean and variance of each batch",
            change={"batch_size": 32},
            numbers={"batch_size": float(case.batch_size)},
        )
    ]


def leaves(layer: Layer) -> Iterator[Layer]:
    """Yield the layer and all within, in order."""
    yield layer
    for part in layer.sublayers():
        yield from leaves(part)
