"""From a model to the graph of one step: data in, loss, gradients, updates out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule import ops
from chainrule.errors import GraphError, NotBuiltError, ShapeError
from chainrule.graph import Value, constant, gradient, ordered, scope
from chainrule.losses import FunctionLoss, Loss, SparseCategoricalCrossentropy
from chainrule.training import checks
from chainrule.training.step import Assigns, Layout, feeds_of

if TYPE_CHECKING:
    from chainrule.training.trainer import Trainer

_SOURCE = {"train": "fit", "evaluate": "evaluate", "predict": "predict"}


@dataclass
class Traced:
    """A step as values: what is fed, what comes out, what is stored."""

    feeds: dict[str, Value]
    outputs: list[Value] = field(default_factory=list)
    assigns: Assigns = field(default_factory=list)
    classes: int = 0


def trace(trainer: Trainer, layout: Layout) -> Traced:
    """Return the step of this layout."""
    feeds, batch = feeds_of(layout)
    training = layout.kind == "train"
    with scope.tracing(trainer.key.leaf if training else None, training):
        x = _input(trainer, batch["x"], layout.kind)
        prediction = trainer.model(x, training=training)
        if layout.kind == "predict":
            return Traced(feeds, _flat(prediction))
        traced = Traced(feeds)
        _learn(trainer, traced, batch, _single(prediction), training)
    return traced


def _input(trainer: Trainer, x: Value, kind: str) -> Value:
    """Return the samples as floats, named so that errors of layers say where they came from."""
    if kind == "predict":
        # A NaN shows in the row it belongs to: nothing else is spoilt by it.
        x = ops.cast(x, trainer.model.dtype) if x.dtype != trainer.model.dtype else x
    else:
        x = checks.finite(x, trainer.model.dtype, checks.X)
    x.name = f"the data given to {_SOURCE[kind]}"
    return x


def _flat(prediction: Any) -> list[Value]:
    return list(prediction) if isinstance(prediction, tuple | list) else [prediction]


def _single(prediction: Any) -> Value:
    outputs = _flat(prediction)
    if len(outputs) != 1:
        raise GraphError(f"a model that is trained has one output; this one has {len(outputs)}")
    return outputs[0]


def _learn(
    trainer: Trainer, traced: Traced, batch: dict[str, Value], output: Value, training: bool
) -> None:
    """Add the loss, the metrics and, in training, the updates of the weights."""
    if trainer.loss is None:
        raise NotBuiltError("the model has no loss: call compile(optimizer=..., loss=...) first")
    trainer.resolve(output)
    y, traced.classes = _target(trainer.loss, batch["y"], output)
    weights = batch.get("weights")
    if weights is not None:
        weights = checks.finite(weights, output.dtype, checks.WEIGHT)
    loss = trainer.loss(y, output, sample_weight=weights)
    loss = ops.mean(loss) if loss.shape else loss
    for penalty in trainer.model.regularization():
        loss = ops.add(loss, penalty)
    if training:
        traced.assigns += _updates(trainer, loss)
        traced.assigns += _next_key(trainer, traced.assigns)
    traced.assigns += _loss_mean(trainer, loss, output.shape[0])
    for metric in trainer.metrics:
        traced.assigns += zip(metric.state(), metric.update(y, output), strict=True)
    for metric in trainer.weighted:
        traced.assigns += zip(metric.state(), metric.update(y, output, weights), strict=True)


def _target(loss: Loss, y: Value, output: Value) -> tuple[Value, int]:
    """Return the targets as the loss takes them, and the number of classes if they are labels."""
    if is_sparse(loss):
        classes = output.shape[-1]
        if y.ndim == output.ndim and y.shape[-1] == 1:
            y = ops.squeeze(y, axis=-1)
        if y.shape != output.shape[:-1]:
            raise ShapeError(_misfit(loss, y, output))
        return checks.labels(y, classes), classes
    if y.ndim == output.ndim - 1 and output.shape[-1] == 1:
        y = ops.expand_dims(y, axis=-1)
    elif y.ndim == output.ndim + 1 and y.shape[-1] == 1:
        y = ops.squeeze(y, axis=-1)
    if not _own(loss) and y.shape != output.shape:
        raise ShapeError(_misfit(loss, y, output))
    return checks.finite(y, output.dtype, checks.Y), 0


def _own(loss: Loss) -> bool:
    """Return whether the loss is the user's own, which may take targets of any shape."""
    return isinstance(loss, FunctionLoss) or not type(loss).__module__.startswith("chainrule.")


def is_sparse(loss: Loss | None) -> bool:
    """Return whether the loss takes class numbers."""
    return isinstance(loss, SparseCategoricalCrossentropy)


def _misfit(loss: Loss, y: Value, output: Value) -> str:
    lines = [f"the targets do not fit what the model puts out, for the loss {loss.name!r}."]
    lines.append(f"  y      : {_rows(y)}")
    lines.append(f"  output : {_rows(output)}")
    if fix := _fix(is_sparse(loss), y, output):
        lines.append(f"  fix    : {fix}")
    return "\n".join(lines)


def _rows(value: Value) -> str:
    return "[" + ", ".join(["n", *map(str, value.shape[1:])]) + f"] {value.dtype}"


def _fix(sparse: bool, y: Value, output: Value) -> str:
    classes = output.shape[-1]
    if sparse and y.shape == output.shape:
        return "y is one-hot: use the loss 'categorical_crossentropy'"
    numbered = y.ndim == output.ndim - 1 or (y.ndim == output.ndim and y.shape[-1] == 1)
    if not sparse and numbered and classes > 1:
        return (
            "if y holds class numbers, use the loss 'sparse_categorical_crossentropy'; "
            f"else the last layer should have 1 unit, not {classes}"
        )
    if y.ndim == output.ndim and not sparse:
        return f"give the last layer {y.shape[-1]} units"
    return ""


def _updates(trainer: Trainer, loss: Value) -> Assigns:
    """Return the new weights and the optimizer's new state."""
    optimizer = trainer.optimizer
    if optimizer is None:
        raise NotBuiltError("the model has no optimizer: call compile(optimizer=..., loss=...)")
    variables = trainer.model.trainable_variables
    if not variables:
        raise GraphError("the model has no trainable weights, so there is nothing to fit")
    optimizer.build(variables)
    return list(optimizer.updates(gradient(loss, variables), variables))


def _next_key(trainer: Trainer, assigns: Assigns) -> Assigns:
    """Return the step counter's advance, if anything in the step draws random numbers."""
    key = trainer.key.leaf
    if not any(key in node.arguments for node in ordered([v for _, v in assigns])):
        return []
    return [(trainer.key, ops.add(key, constant(np.array([0, 1], np.int64))))]


def _loss_mean(trainer: Trainer, loss: Value, n: int) -> Assigns:
    """Return the sums for the mean of the loss over the samples, in float64."""
    part = ops.multiply(ops.cast(loss, "float64"), float(n))
    return [
        (trainer.loss_sum, ops.add(trainer.loss_sum.leaf, part)),
        (trainer.samples, ops.add(trainer.samples.leaf, float(n))),
    ]
