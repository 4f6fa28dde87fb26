"""From a model to the graph of one step: data in, loss, gradients, updates out."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule import ops
from chainrule.data.batches import key
from chainrule.errors import DataError, GraphError, NotBuiltError, ShapeError
from chainrule.graph import Value, constant, ordered, scope
from chainrule.graph.symbol import filled, leaves
from chainrule.layers.augment import MIXES
from chainrule.losses import (
    CTC,
    CategoricalGeneralizedCrossEntropy,
    Circle,
    FunctionLoss,
    Loss,
    SparseCategoricalCrossentropy,
)
from chainrule.optimizers.steps import COUNTS, when
from chainrule.training import checks, mixing
from chainrule.training.outputs import Losses, Output
from chainrule.training.own_step import own_loss
from chainrule.training.step import Assigns, Layout, feeds_of

if TYPE_CHECKING:
    from chainrule.training.trainer import Trainer

_SOURCE = {"train": "fit", "evaluate": "evaluate", "predict": "predict"}


@dataclass
class Traced:
    """A step as values: what is fed, what comes out, what is stored.

    `prediction` is what the model puts out, which the loss need not go through: it may begin at
    the logits.
    """

    feeds: dict[str, Value]
    outputs: list[Value] = field(default_factory=list)
    assigns: Assigns = field(default_factory=list)
    classes: dict[int, int] = field(default_factory=dict)
    loss: Value | None = None
    prediction: list[Value] = field(default_factory=list)


def trace(trainer: Trainer, layout: Layout) -> Traced:
    """Return the step of this layout."""
    feeds, batch = feeds_of(layout)
    training = layout.kind == "train"
    with scope.tracing(trainer.key.leaf if training else None, training):
        scope.note(MIXES, training and not own_loss(trainer.model))
        inputs = _inputs(trainer, batch, layout)
        if layout.kind == "predict":
            prediction = trainer.model.predict_step(inputs)
            trainer.model._returned = filled(prediction, itertools.repeat(None))
            return Traced(feeds, _flat(prediction), scope.recorded())
        prediction = trainer.model(inputs, training=training)
        traced = Traced(feeds, prediction=[v for v in leaves(prediction) if isinstance(v, Value)])
        if own_loss(trainer.model):
            _learn_own(trainer, traced, batch, (inputs, prediction), training)
        elif isinstance(trainer.loss, Losses):
            _learn_many(trainer, traced, batch, _by_name(trainer.loss, prediction), training)
        else:
            _learn(trainer, traced, batch, _single(prediction), training)
    return traced


def _inputs(trainer: Trainer, batch: dict[str, Value], layout: Layout) -> Any:
    """Return the samples of one input, or of several in a list or by name."""
    kinds = [spec.dtype for spec in trainer.model.input_specs()]
    count = sum(name == "x" or name.startswith("x:") for name in batch)
    kinds = kinds or [trainer.model.input_dtype or trainer.model.dtype] * count
    found = [_input(batch[key("x", i)], kinds[i], layout, i) for i in range(count)]
    return trainer.model.formed(found)


def _input(x: Value, dtype: str, layout: Layout, number: int) -> Value:
    """Return the samples in `dtype`, named so that errors of layers say where they came from."""
    if layout.kind == "predict":
        # A NaN shows in the row it belongs to: nothing else is spoilt by it.
        x = ops.cast(x, dtype) if x.dtype != dtype else x
    else:
        x = checks.finite(x, dtype, checks.numbered(checks.X, number))
    x.name = f"the data given to {layout.source or _SOURCE[layout.kind]}"
    return x


def _flat(prediction: Any) -> list[Value]:
    return list(leaves(prediction))


def _single(prediction: Any) -> Value:
    outputs = _flat(prediction)
    if len(outputs) != 1:
        raise GraphError(
            f"the model has {len(outputs)} outputs, and compile was given one loss.\n"
            "  fix: compile with a loss for each, in a list or, where call returns a dict, by name"
        )
    return outputs[0]


def _by_name(losses: Losses, prediction: Any) -> list[Value]:
    """Return the outputs in the order of the losses."""
    names = [output.name for output in losses.outputs]
    if isinstance(prediction, Mapping) and set(prediction) == set(names):
        return [prediction[name] for name in names]
    outputs = _flat(prediction)
    if len(outputs) != len(names):
        raise GraphError(
            f"compile was given losses for {len(names)} outputs ({', '.join(names)}), "
            f"but the model has {len(outputs)}"
        )
    return outputs


def _learn(
    trainer: Trainer, traced: Traced, batch: dict[str, Value], output: Value, training: bool
) -> None:
    """Add the loss, the metrics and, in training, the updates of the weights."""
    if not isinstance(trainer.loss, Loss):
        raise NotBuiltError("the model has no loss: call compile(optimizer=..., loss=...) first")
    trainer.resolve([output])
    y, traced.classes[0] = _target(trainer.loss, batch["y"], output)
    weights = batch.get("weights")
    if weights is not None:
        weights = checks.finite(weights, output.dtype, checks.WEIGHT)
    loss, y, weights = _loss(trainer.loss, y, output, weights)
    if trainer.loss_weight != 1:
        loss = ops.multiply(loss, trainer.loss_weight)
    _improve(trainer, traced, loss, output.shape[0], training)
    traced.assigns += _counted(_measured(trainer, (y, output), weights))


def _learn_own(
    trainer: Trainer,
    traced: Traced,
    batch: dict[str, Value],
    passed: tuple[Any, Any],
    training: bool,
) -> None:
    """Add the loss of the user's own, and the rest as `_learn`."""
    inputs, prediction = passed
    outputs = _flat(prediction)
    ys = [y for name, y in batch.items() if name.split(":")[0] == "y"]
    weights = [w for name, w in batch.items() if name.split(":")[0] == "weights"]
    if isinstance(trainer.loss, Loss) and ys and len(outputs) == 1:
        ys[0], traced.classes[0] = _target(trainer.loss, ys[0], outputs[0])
    y, weight = (None if not v else v[0] if len(v) == 1 else v for v in (ys, weights))
    loss = ops.as_value(trainer.model.compute_loss(inputs, y, prediction, weight, training))
    trainer.resolve(outputs)
    loss = ops.mean(loss) if loss.shape else loss
    _improve(trainer, traced, loss, outputs[0].shape[0], training)
    if len(ys) == len(outputs) == 1:
        pair = (ys[0], outputs[0])
        traced.assigns += _counted(_measured(trainer, pair, weights[0] if weights else None))


def _loss(
    how: Loss, y: Value, output: Value, weights: Value | None
) -> tuple[Value, Value, Value | None]:
    """Return the loss as a scalar, and the targets and weights that metrics compare with."""
    # A loss of the user's own may take class numbers, of which there is no mixture.
    by_number = is_sparse(how) or _own(how)
    y, weights = mixing.targets(y, weights, by_number)
    loss = mixing.loss(how, y, output, weights, by_number)
    return ops.mean(loss) if loss.shape else loss, y, weights


def _improve(trainer: Trainer, traced: Traced, loss: Value, n: int, training: bool) -> None:
    """Add the penalties, the mean of the loss over n samples and, in training, the updates."""
    for penalty in [*trainer.model.regularization(), *scope.penalties()]:
        loss = ops.add(loss, penalty)
    traced.loss = loss
    if training:
        traced.assigns += _updates(trainer, loss)
    traced.assigns += _counted(scope.recorded())
    if training:
        traced.assigns += _next_key(trainer, traced.assigns)
    traced.assigns += _counted(_loss_mean(trainer, loss, n))


def _counted(assigns: Assigns) -> Assigns:
    """Return what is assigned where the optimizer does not leave the batch out."""
    return when(scope.noted(COUNTS), assigns)


def _measured(of: Trainer | Output, pair: tuple[Value, Value], weights: Value | None) -> Assigns:
    """Return the updates of the metrics for targets and outputs."""
    assigns: Assigns = []
    for metric in of.metrics:
        assigns += metric.assigned(*pair)
    for metric in of.weighted:
        assigns += metric.assigned(*pair, weights)
    return assigns


def _learn_many(
    trainer: Trainer, traced: Traced, batch: dict[str, Value], outputs: list[Value], training: bool
) -> None:
    """Add the sum of the weighted losses, their metrics and, in training, the updates."""
    trainer.resolve(outputs)
    parts: list[Value] = []
    assigns: Assigns = []
    for i, (how, output) in enumerate(zip(trainer.outputs, outputs, strict=True)):
        if how.loss is None:
            continue
        y, traced.classes[i] = _target(how.loss, _given(batch, i, how.name), output, i)
        weights = batch.get(key("weights", i))
        if weights is not None:
            code = checks.numbered(checks.WEIGHT, i)
            weights = checks.finite(weights, output.dtype, code)
        loss, y, weights = _loss(how.loss, y, output, weights)
        if how.measured is not None:
            assigns += how.measured.assigned(loss, output.shape[0])
        parts.append(loss if how.weight == 1 else ops.multiply(loss, how.weight))
        assigns += _measured(how, (y, output), weights)
    _improve(trainer, traced, functools.reduce(ops.add, parts), outputs[0].shape[0], training)
    traced.assigns += _counted(assigns)


def _given(batch: dict[str, Value], number: int, name: str) -> Value:
    if key("y", number) not in batch:
        raise DataError(f"the output {name!r} has a loss, but y has nothing for it")
    return batch[key("y", number)]


def _target(loss: Loss, y: Value, output: Value, number: int = 0) -> tuple[Value, int]:
    """Return the targets as the loss takes them, and the number of classes if they are labels."""
    if is_sparse(loss):
        classes = output.shape[-1]
        if y.ndim == output.ndim and y.shape[-1] == 1:
            y = ops.squeeze(y, axis=-1)
        if y.shape != output.shape[:-1] and not isinstance(loss, CTC):
            raise ShapeError(_misfit(loss, y, output))
        return _labels(loss, y, classes, checks.numbered(checks.LABEL, number)), classes
    if y.ndim == output.ndim - 1 and output.shape[-1] == 1:
        y = ops.expand_dims(y, axis=-1)
    elif y.ndim == output.ndim + 1 and y.shape[-1] == 1:
        y = ops.squeeze(y, axis=-1)
    if not _own(loss) and y.shape != output.shape:
        raise ShapeError(_misfit(loss, y, output))
    return checks.finite(y, output.dtype, checks.numbered(checks.Y, number)), 0


def _labels(loss: Loss, y: Value, classes: int, code: int) -> Value:
    """Return class numbers that the step checks, all but those that the loss ignores."""
    ignored = getattr(loss, "ignore_class", None)
    if ignored is None:
        return checks.labels(y, classes, code)
    kept = ops.not_equal(y, ignored)
    return ops.where(kept, checks.labels(ops.where(kept, y, 0), classes, code), ignored)


def _own(loss: Loss) -> bool:
    """Return whether the loss takes targets of any shape: the user's own, or class numbers."""
    if isinstance(loss, FunctionLoss | Circle):
        return True
    return not type(loss).__module__.startswith("chainrule.")


def is_sparse(loss: Loss | Losses | None) -> bool:
    """Return whether the loss takes class numbers."""
    kinds = SparseCategoricalCrossentropy | CategoricalGeneralizedCrossEntropy | CTC
    return isinstance(loss, kinds)


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
    optimizer.prepare(variables)
    return list(optimizer.learned(loss, variables))


def _next_key(trainer: Trainer, assigns: Assigns) -> Assigns:
    """Return the step counter's advance, if anything in the step draws random numbers."""
    key = trainer.key.leaf
    nodes = ordered([v for _, v in assigns])
    if key not in {value for node in nodes for value in node.arguments}:
        return []
    return [(trainer.key, ops.add(key, constant(np.array([0, 1], np.int64))))]


def _loss_mean(trainer: Trainer, loss: Value, n: int) -> Assigns:
    """Return the sums for the mean of the loss over the samples, in float64."""
    part = ops.multiply(ops.cast(loss, "float64"), float(n))
    return [
        (trainer.loss_sum, ops.add(trainer.loss_sum.leaf, part)),
        (trainer.samples, ops.add(trainer.samples.leaf, float(n))),
    ]
