"""What training keeps beside the weights: optimizer, loss, metrics, random key, loaded steps."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule import losses, metrics, optimizers, seeding
from chainrule.dtypes import Array
from chainrule.executors import native
from chainrule.graph import Value, Variable
from chainrule.graph.symbol import shapes_in
from chainrule.layers.found import Found
from chainrule.losses import Loss
from chainrule.metrics import Mean, Metric
from chainrule.optimizers import Optimizer
from chainrule.optimizers.base import Schedule
from chainrule.training.hooks import Logs
from chainrule.training.outputs import Losses, Output, is_many, names_of, spread, weight
from chainrule.training.own_step import overridden

if TYPE_CHECKING:
    from chainrule.models.model import Model
    from chainrule.training.own_step import OwnStep
    from chainrule.training.step import Layout, Step

# Programs kept loaded at a time: a fit needs four (a full and a last batch, to train and to
# validate); beyond that the oldest goes, so that odd batch sizes do not pile up arenas.
_KEPT = 16


class Trainer:
    """The state of a compiled model; without an optimizer it can predict only."""

    def __init__(
        self,
        model: Model,
        optimizer: Any = None,
        loss: Any = None,
        metric_names: Sequence[Any] | Mapping[str, Any] = (),
        weighted_names: Sequence[Any] | Mapping[str, Any] = (),
        loss_weights: Any = None,
        memory_limit: int | None = None,
    ) -> None:
        self.model = model
        self.memory_limit = memory_limit
        self.optimizer: Optimizer | None = None if optimizer is None else optimizers.get(optimizer)
        names = _output_names(model, loss)
        self.loss: Loss | Losses | None = None
        self.loss_weight = 1.0  # of the only output
        self.asked: tuple[list[Any], list[Any]] = ([], [])
        self.outputs: list[Output] = []
        if len(names) > 1 and loss is not None:
            self.loss = Losses(loss, loss_weights, metric_names, weighted_names, names)
            self.outputs = self.loss.outputs
        else:
            self.loss_weight = _only_weight(loss_weights, names)
            self.loss = None if loss is None else losses.get(_only(loss, names))
            self.asked = (_asked(metric_names, names), _asked(weighted_names, names))
        self.metrics: list[Metric] = []
        self.weighted: list[Metric] = []
        self._mean_loss = Mean(name="loss")  # of steps of the user's own
        self.resolved = False
        self.shapes: list[list[int | None]] = []  # of the outputs that metrics were made for
        predicts = optimizer is None and not overridden(model, "train")
        self.seed = 0 if predicts else seeding.next_seed()
        self.epoch = 0
        self.key = Variable(np.array([self.seed, 0], np.int64), name="random_key", trainable=False)
        self.loss_sum = Variable(np.zeros(()), name="loss_sum", trainable=False)
        self.samples = Variable(np.zeros(()), name="samples", trainable=False)
        self.said: Logs | None = None  # what a step of the user's own returned last
        # The rates that a run which may go on began with, and those it left.
        self.left: tuple[list[float], list[float]] | None = None
        self._steps: dict[Layout, Step | OwnStep] = {}
        self._traced: list[Any] = []
        self._known: Found | None = None

    def resolve(self, outputs: Sequence[Value]) -> None:
        """Make metrics of the names given to `compile`, which may depend on the output's shape."""
        if not self.resolved:
            self.resolve_for([[None, *value.shape[1:]] for value in outputs])

    def resolve_for(self, shapes: Sequence[Sequence[int | None]]) -> None:
        """Make metrics of the names given to `compile`, for outputs of these shapes."""
        for how, shape in zip(self.outputs, shapes, strict=False):
            how.resolve(tuple(shape))
        self.metrics, self.weighted = (
            [metrics.get(m, loss=self.loss, output_shape=shapes[0]) for m in names]
            for names in self.asked
        )
        self.resolved, self.shapes = True, [list(shape) for shape in shapes]

    @property
    def all_optimizers(self) -> list[Optimizer]:
        """The optimizer given to `compile`, and those that a class of the user's with a step of its
        own keeps in attributes."""
        own = vars(self.model).values() if overridden(self.model, "train") else ()
        found = [o for o in (self.optimizer, *own) if isinstance(o, Optimizer)]
        return list({id(o): o for o in found}.values())

    @property
    def all_metrics(self) -> list[Metric]:
        """The metrics, those that heed sample weights last; of several outputs, with losses."""
        return [metric for _, metric in self._named()]

    def listed(self) -> list[Metric]:
        """Return what the model shows as its metrics. For steps of the user's own, which move them,
        a mean of the loss comes before them, and those in attributes of the model behind."""
        model = self.model
        if not (overridden(model, "train") or overridden(model, "evaluate")):
            return self.all_metrics
        if model._output_shape is not None and not self.resolved:
            self.resolve_for(shapes_in(model.output_shape))
        own = [m for m in vars(model).values() if isinstance(m, Metric)]
        return list(dict.fromkeys([self._mean_loss, *self.all_metrics, *own]))

    def _named(self) -> list[tuple[str, Metric]]:
        """Return the metrics with the names that they are reported by."""
        if isinstance(self.loss, Losses):
            return self.loss.measured()
        return names_of([("", self.metrics, self.weighted)])

    def reported(self, name: str) -> Metric | None:
        """Return the metric whose number the history has by this name, or by this one with ``_0``,
        ``_1``, ... behind."""
        named = [*self._named(), *((m.name, m) for m in self.measuring())]
        whole = re.sub(r"(_\d+)+$", "", name)
        found = [m for wanted in (name, whole) for given, m in named if given == wanted]
        return found[0] if found else None

    def step(self, layout: Layout) -> Step | OwnStep:
        """Return the loaded program for this layout, building it the first time."""
        step = self._steps.get(layout)
        if step is None:
            from chainrule.training.step import build

            while len(self._steps) >= _KEPT:
                del self._steps[next(iter(self._steps))]
            step = self._steps[layout] = build(self, layout)
            self._traced = self._signature()
            # What planning and looking ahead took, in pieces between those that stay.
            native.give_back_freed()
        return step

    def loaded(self, kind: str) -> list[Step]:
        """Return the loaded programs of this kind, e.g. ``"train"``."""
        from chainrule.training.step import Step

        steps = [step for layout, step in self._steps.items() if layout.kind == kind]
        return [step for step in steps if isinstance(step, Step)]

    def refresh(self) -> None:
        """Forget the loaded programs where layers were added, removed, frozen or thawed."""
        if self._steps and [*map(id, self._traced)] != [*map(id, self._signature())]:
            self._steps.clear()

    def follow(self, schedule: Schedule) -> None:
        """Let the learning rate follow another schedule, from the next window of batches on."""
        if self.optimizer is not None:
            self.optimizer.reschedule(schedule)
            self._steps.clear()

    def _signature(self) -> list[Any]:
        held = self._held()
        return [*held.variables, *self.model.trainable_variables, *held.layers]

    def _held(self) -> Found:
        """Return the model's layers and variables, with what is carried between batches."""
        if self._known is None or not self._known.holds():
            found = [*self.model.variables, *self.model.carried()]
            self._known = Found(self.model, found)
        return self._known

    def release(self) -> None:
        """Let go of the user's arrays, which loaded programs otherwise keep alive."""
        for step in self._steps.values():
            step.release()

    def state(self) -> list[Variable]:
        """Return everything that a run changes, the sums of the metrics excepted."""
        slots = [v for optimizer in self.all_optimizers for v in optimizer.variables]
        return [*self._held().variables, *slots, self.key]

    def counters(self) -> list[tuple[Variable, Array]]:
        """Return what counts steps, with its values now."""
        counting = [self.key] if self.optimizer is None else [self.key, *self.optimizer.step_counts]
        return [(v, v.numpy()) for v in counting]

    def reset_metrics(self) -> None:
        """Start the means over a run at zero."""
        self.loss_sum.value[...] = 0
        self.samples.value[...] = 0
        self.said = None
        for metric in self.measuring():
            metric.reset()

    def measuring(self) -> list[Metric]:
        """Return all metrics, those that a class of the user's has of its own among them."""
        return list(dict.fromkeys([*self.all_metrics, *self.model.metrics]))

    def logs(self, anew: bool = False) -> Logs:
        """Return the loss and metrics of the samples since `reset_metrics`, or what a step of the
        user's own has returned last, unless `anew`."""
        if self.said is not None and not anew:
            return dict(self.said)
        # The sum over no sample is 0, and so is what is reported.
        logs = {"loss": float(self.loss_sum.value) / max(float(self.samples.value), 1.0)}
        for given, metric in self._named():
            for whole, value in metric.logged(given).items():
                name = whole
                count = 1
                while name in logs:
                    name, count = f"{whole}_{count}", count + 1
                logs[name] = value
        if not self.samples.value and self.optimizer is not None and self.optimizer.skipped:
            return dict.fromkeys(logs, math.nan)  # every batch was left out
        return logs


def _output_names(model: Model, loss: Any) -> Sequence[str]:
    """Return the names of the outputs; of a class of the user's, as far as the losses tell."""
    if model.output_names or not is_many(loss):
        return model.output_names
    return (
        list(loss) if isinstance(loss, Mapping) else [f"output_{i + 1}" for i in range(len(loss))]
    )


def _only(loss: Any, names: Sequence[str]) -> Any:
    """Return the loss of the only output, which may be given by name or in a list."""
    return spread("loss", loss, names or ["output_1"])[0] if is_many(loss) else loss


def _only_weight(given: Any, names: Sequence[str]) -> float:
    """Return the factor of the only loss, given alone, in a list or by name."""
    if isinstance(given, Mapping | list | tuple):
        given = spread("loss_weights", given, names or [*given][:1])[0]
    return weight(given)


def _asked(given: Any, names: Sequence[str]) -> list[Any]:
    """Return the metrics of the only output, which may be given by name or in a list."""
    if isinstance(given, Mapping) or (given and isinstance(given[0], list | tuple)):
        given = spread("metrics", given, names or ["output_1"])[0]
    asked = list(given) if isinstance(given, list | tuple) else [given] if given else []
    for one in asked:
        metrics.get(one)  # a name that does not exist is told now; what it means, later
    return asked


class Snapshot:
    """A copy of what a run changes, taken before it, to go back to."""

    def __init__(self, trainer: Trainer) -> None:
        self.trainer = trainer
        self.epoch = trainer.epoch
        self.held = [(v, v.numpy()) for v in trainer.state()]

    def restore(self) -> None:
        """Put everything back as it was; slots made since then begin again."""
        if not self.held:
            return
        known = {id(v) for v, _ in self.held}
        for variable, value in self.held:
            variable.value[...] = value
        for optimizer in self.trainer.all_optimizers:
            optimizer.restart(known)
        self.trainer.epoch = self.epoch

    def drop(self) -> None:
        """Give the memory back: from here on there is no way back."""
        self.held = []
