"""Steps of training on the side: what they change is put back."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np

from chainrule.data.batches import Batches, Order, permutation
from chainrule.errors import ArgumentError, NotBuiltError
from chainrule.executors import native
from chainrule.graph import Value, Variable
from chainrule.layers.recurrent import states_aside
from chainrule.optimizers import LBFGS
from chainrule.optimizers.base import Schedule
from chainrule.plan import make_plan
from chainrule.training.outputs import Losses
from chainrule.training.own_step import overridden
from chainrule.training.step import Layout, Step
from chainrule.training.trace import Traced, trace
from chainrule.training.trainer import Trainer


@contextmanager
def aside(trainer: Trainer, schedule: Schedule | None = None) -> Iterator[Trainer]:
    """Lend a trainer without metrics, at the rates of the schedule, if one is given.

    At the end of the block weights, slots, counters and random key are what they were before.
    """
    if trainer.optimizer is None:
        raise NotBuiltError("the model has no optimizer: call compile(optimizer=..., loss=...)")
    if overridden(trainer.model, "train"):
        raise ArgumentError(
            "the model has a train_step of its own, which may change what cannot be put back: "
            "search with a model that is trained by the loss given to compile"
        )
    if isinstance(trainer.optimizer, LBFGS):
        raise ArgumentError(
            "LBFGS works on all samples at once and finds the length of its steps itself: "
            "there is no rate and no batch size to choose"
        )
    held = [(v, v.numpy()) for v in [*trainer.model.variables, trainer.key]]
    with trainer.optimizer.lent(schedule), states_aside(trainer.model):
        try:
            yield without_metrics(trainer)
        finally:
            for variable, value in held:
                variable.assign(value)


def without_metrics(trainer: Trainer) -> Trainer:
    """Return a trainer of the same model with sums of its own and no metrics."""
    lent = copy.copy(trainer)
    lent._steps, lent._traced = {}, []
    lent.asked, lent.metrics, lent.weighted, lent.resolved = ([], []), [], [], False
    if isinstance(trainer.loss, Losses):
        bare: dict[str, Any] = {"asked": [], "asked_weighted": [], "metrics": [], "weighted": []}
        lent.outputs = [replace(output, **bare, measured=None) for output in trainer.outputs]
        lent.loss = copy.copy(trainer.loss)
        lent.loss.outputs = lent.outputs
    lent.loss_sum = Variable(np.zeros(()), name="loss_sum", trainable=False)
    lent.samples = Variable(np.zeros(()), name="samples", trainable=False)
    return lent


def load(layout: Layout, traced: Traced, outputs: Sequence[Value]) -> Step:
    """Return the loaded program of a traced step that writes these values at each step."""
    step = Step(layout, traced.feeds, native.load(make_plan(outputs, traced.assigns)))
    step.classes = traced.classes
    return step


def training_step(trainer: Trainer, layout: Layout) -> Step:
    """Return a step of training that writes its loss."""
    traced = trace(trainer, layout)
    return load(layout, traced, [loss_of(traced)])


def loss_of(traced: Traced) -> Value:
    """Return the loss of a step of training."""
    if traced.loss is None:
        raise NotBuiltError("the model has no loss: call compile(optimizer=..., loss=...) first")
    return traced.loss


def rounds(trainer: Trainer, batches: Batches, rows: int) -> Order:
    """Return numbers of samples in the order in which `fit` would visit them, over the epochs."""
    epochs = -(-rows // len(batches))
    orders = [permutation(trainer.seed, trainer.epoch + i, len(batches)) for i in range(epochs)]
    return np.concatenate(orders)[:rows]
