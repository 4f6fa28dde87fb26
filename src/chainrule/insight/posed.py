"""A step of training on some samples, traced aside: the model stays as it was."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from chainrule.data.batches import Batches, Order
from chainrule.dtypes import Array
from chainrule.errors import ArgumentError, ChainruleError, NotBuiltError
from chainrule.executors import Fault
from chainrule.graph import Value, Variable
from chainrule.graph.pending import settle
from chainrule.layers.recurrent import states_aside
from chainrule.models.model import Model
from chainrule.optimizers import Optimizer
from chainrule.training.aside import loss_of, without_metrics
from chainrule.training.checks import explain
from chainrule.training.initialization import Watcher, rows_of
from chainrule.training.own_step import overridden
from chainrule.training.step import layout_of
from chainrule.training.trace import Traced, trace
from chainrule.training.trainer import Trainer


@dataclass(frozen=True)
class Posed:
    """What a step is made of.

    `pairs` are the trainable weights with the gradients of the loss by them, as training takes
    them.
    """

    batches: Batches
    traced: Traced
    loss: Value
    pairs: list[tuple[Value, Variable]]

    @property
    def variables(self) -> list[Variable]:
        """The weights that training moves."""
        return [variable for _, variable in self.pairs]

    def feeds(self, batches: Batches | None = None) -> dict[Value, Array]:
        """Return the samples by the placeholders that they are fed to."""
        arrays = (batches or self.batches).arrays()
        return {value: arrays[name] for name, value in self.traced.feeds.items() if name in arrays}

    def mistake(self, fault: Fault, batches: Batches | None = None) -> ChainruleError:
        """Return the error for a sample that the step stopped at."""
        given = batches or self.batches
        return explain(fault, given, np.arange(len(given)), self.traced.classes)


def posed(trainer: Trainer, batches: Batches, training: bool = True) -> Posed:
    """Return the step over all of these samples at once; nothing is stored by tracing it.

    Without `training`, layers do what they do in evaluation: averages that were gathered instead
    of those of the batch, no dropout.
    """
    lent = without_metrics(trainer)
    watcher = lent.optimizer = Watcher()
    kind = "train" if training else "evaluate"
    with states_aside(trainer.model):
        traced = trace(lent, layout_of(kind, len(batches), batches))
    loss = loss_of(traced)
    pairs = watcher.seen if training else _differentiated(watcher, loss, trainer.model)
    return Posed(batches, traced, loss, pairs)


def _differentiated(watcher: Watcher, loss: Value, model: Model) -> list[tuple[Value, Variable]]:
    variables = model.trainable_variables
    if not variables:
        raise NotBuiltError("the model has no trainable weights")
    Optimizer.learned(watcher, loss, variables)
    return watcher.seen


def given(
    call: str,
    model: Model,
    x: Any,
    y: Any,
    sample_weight: Any = None,
    samples: int | None = None,
) -> tuple[Trainer, Batches]:
    """Return the trainer of a compiled model, and its samples, or `samples` of them from all over
    the data; weights are made where the model has none yet.

    Raises
    ------
    NotBuiltError
        Where `compile` was not called.
    ArgumentError
        For a model with a `train_step` of its own, or what is no model.
    """
    settle()  # what loops by hand have left to be stored
    trainer = trainer_of(call, model)
    if overridden(model, "train"):
        raise ArgumentError(
            f"{model.label} has a train_step of its own, and {call} cannot know what it makes "
            "small\n  fix: put the loss into compute_loss, or give it to compile"
        )
    batches = model._collect_targets(call, x, y, sample_weight)
    model._build_for(batches.x)
    if samples is not None and samples < len(batches):
        batches = chosen(batches, rows_of(len(batches), samples))
    return trainer, batches


def trainer_of(call: str, model: Any) -> Trainer:
    """Return the trainer of a compiled model.

    Raises
    ------
    NotBuiltError
        Where `compile` was not called.
    ArgumentError
        For what is no model.
    """
    if not isinstance(model, Model):
        raise ArgumentError(
            f"{call} was given a {type(model).__name__}; expected a compiled model first, then "
            "samples and targets"
        )
    return model._compiled_trainer(call)


def chosen(batches: Batches, rows: Order) -> Batches:
    """Return these rows; errors name them as they were."""
    more = {name: np.asarray(array[rows]) for name, array in batches.more.items()}
    return replace(
        batches,
        x=np.asarray(batches.x[rows]),
        y=None if batches.y is None else np.asarray(batches.y[rows]),
        weights=None if batches.weights is None else np.asarray(batches.weights[rows]),
        more=more,
        rows=batches.rows or len(batches),
        where=lambda row: batches.place(int(rows[row])),
    )
