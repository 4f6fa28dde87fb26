"""The steps of training, evaluation and prediction as programs, each for one layout of data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from chainrule import ops
from chainrule.data.arrays import NAMES
from chainrule.data.batches import Batches, Order
from chainrule.dtypes import Array
from chainrule.executors import Fault, native
from chainrule.executors.program import Program
from chainrule.graph import Spec, Value, Variable, placeholder
from chainrule.graph.trail import keeping_cotangents
from chainrule.optimizers import LBFGS
from chainrule.plan import Limit, make_plan
from chainrule.training.checks import explain
from chainrule.training.own_step import OwnStep, overridden

if TYPE_CHECKING:
    from chainrule.training.survey import StepSurvey
    from chainrule.training.trainer import Trainer

Assigns = list[tuple[Variable, Value]]


@dataclass(frozen=True, slots=True)
class Layout:
    """What a program is built for: which step, the batch, one sample of each array.

    With `rows` the arrays are bound whole, of that many rows, and batches gathered through an
    index; without, each batch is read where it lies. A `watched` step of training also measures.
    """

    kind: str
    batch: int
    x: Spec
    y: Spec | None = None
    weights: Spec | None = None
    rows: int = 0
    more: tuple[tuple[str, Spec], ...] = ()
    watched: bool = False
    source: str = field(default="", compare=False)  # the call that was given the arrays

    def arrays(self) -> dict[str, Spec]:
        """Return the arrays by name."""
        named = {"x": self.x, "y": self.y, "weights": self.weights, **dict(self.more)}
        return {name: spec for name, spec in named.items() if spec is not None}


def layout_of(
    kind: str, batch: int, batches: Batches, gathered: bool = False, watched: bool = False
) -> Layout:
    """Return the layout of a step over these arrays."""
    y = None if batches.y is None else _sample(batches.y)
    weights = None if batches.weights is None else _sample(batches.weights)
    rows = len(batches) if gathered else 0
    more = tuple((name, _sample(array)) for name, array in batches.more.items())
    return Layout(kind, batch, _sample(batches.x), y, weights, rows, more, watched, batches.source)


def _sample(array: Array) -> Spec:
    return Spec(array.shape[1:], NAMES[array.dtype])


class Step:
    """A loaded program and what has to be bound for it to run over some batches."""

    def __init__(self, layout: Layout, feeds: dict[str, Value], program: Program) -> None:
        self.layout = layout
        self.feeds = feeds
        self.program = program
        self.classes: dict[int, int] = {}
        self._no_feeds = [(value, _nothing(value)) for value in feeds.values()]
        self._no_outputs = [_nothing(value) for value in program.plan.outputs]

    def run(self, batches: Batches, first: int, steps: int, order: Order | None = None) -> None:
        """Run `steps` batches, the first of which begins at sample `first` (of the order).

        Raises
        ------
        DataError
            For a sample that cannot be trained on, naming its row.
        """
        self._bind(batches, first, first + steps * self.layout.batch, order)
        try:
            self.program.run(steps)
        except Fault as fault:
            begin = first + fault.step * self.layout.batch
            rows = np.arange(begin, begin + self.layout.batch)
            rows = rows if order is None else order[rows]
            raise explain(fault, batches, rows, self.classes) from None

    def _bind(self, batches: Batches, begin: int, end: int, order: Order | None) -> None:
        for name, array in self._named(batches):
            if order is None:
                self._feed(name, array[begin:end])
            else:
                self.program.bind(self.feeds[name], array)
        if order is not None:
            self._feed("index", order[begin:end])

    def _feed(self, name: str, array: Array) -> None:
        """Bind an array of which each step takes the next batch."""
        stride = self.layout.batch * array.itemsize
        for n in array.shape[1:]:
            stride *= n
        # Rows without elements are the same for each step.
        array = array if stride else array[: self.layout.batch]
        self.program.bind(self.feeds[name], array, stride)

    def _named(self, batches: Batches) -> list[tuple[str, Array]]:
        named = [("x", batches.x), ("y", batches.y), ("weights", batches.weights)]
        named += batches.more.items()
        return [(name, a) for name, a in named if a is not None and name in self.feeds]

    def write(self, outputs: Sequence[Array], first: int, steps: int) -> None:
        """Let the next run write the outputs of its batches from row `first` on."""
        for i, array in enumerate(outputs):
            batch = array[first : first + self.layout.batch]
            part = array[first : first + steps * self.layout.batch] if batch.nbytes else batch
            self.program.bind_output(i, part, batch.nbytes)

    def release(self) -> None:
        """Let go of the arrays that were bound."""
        for value, array in self._no_feeds:
            self.program.bind(value, array, array.itemsize)
        for i, array in enumerate(self._no_outputs):
            self.program.bind_output(i, array, array.itemsize)


def _nothing(value: Value) -> Array:
    """Return no rows; bound with a stride, the check of their number waits for the run."""
    return np.empty((0, *value.shape[1:]), value.dtype)


def build(trainer: Trainer, layout: Layout) -> Step | OwnStep:
    """Return the loaded program of a step."""
    from chainrule.training.trace import trace

    if overridden(trainer.model, layout.kind):
        return OwnStep(trainer, layout.kind, layout.batch)
    if layout.watched:
        return _watched(trainer, layout)
    traced = trace(trainer, layout)
    plan = make_plan(traced.outputs, traced.assigns, limit_of(trainer, layout.kind))
    step = Step(layout, traced.feeds, native.load(plan))
    step.classes = traced.classes
    if layout.kind == "train" and isinstance(trainer.optimizer, LBFGS):
        from chainrule.training.full_batch import FullBatchStep

        return FullBatchStep(step, trainer.optimizer, [v for v, _ in traced.assigns])
    return step


class WatchedStep(Step):
    """A step of training that writes a row of measures; `survey` says what is in it."""

    def __init__(
        self, layout: Layout, feeds: dict[str, Value], program: Program, survey: StepSurvey
    ) -> None:
        super().__init__(layout, feeds, program)
        self.survey = survey

    def record(self, rows: Array) -> None:
        """Let the next run write the measures of its steps into these rows."""
        self.program.bind_output(0, rows, rows.itemsize * rows.shape[1])

    @property
    def row(self) -> Value | None:
        """What is measured of a step; ``None`` where there is nothing."""
        outputs = self.program.plan.outputs
        return outputs[0] if outputs else None


def _watched(trainer: Trainer, layout: Layout) -> WatchedStep:
    """Return the loaded program of a step of training that also measures."""
    from chainrule.training.survey import StepSurvey
    from chainrule.training.trace import trace

    with keeping_cotangents() as cotangents:
        traced = trace(trainer, layout)
    factor = None if trainer.optimizer is None else trainer.optimizer.loss_scale_factor
    survey = StepSurvey(traced, cotangents, 1.0 if factor is None else float(factor))
    limit = limit_of(trainer, layout.kind)
    plan = make_plan(traced.outputs, traced.assigns, limit, survey)
    step = WatchedStep(layout, traced.feeds, native.load(plan), survey)
    step.classes = traced.classes
    return step


def limit_of(trainer: Trainer, kind: str) -> Limit | None:
    """Return what the plan of a step of training may take, if there is a limit."""
    if trainer.memory_limit is None or trainer.optimizer is None or kind != "train":
        return None
    held = sum(v.value.nbytes for v in (*trainer.model.variables, *trainer.optimizer.variables))
    return Limit(trainer.memory_limit, 2 * held, native.scratch_bytes)  # and a copy of before `fit`


def feeds_of(layout: Layout) -> tuple[dict[str, Value], dict[str, Value]]:
    """Return the placeholders, and the values of one batch of each array."""
    feeds: dict[str, Value] = {}
    batch: dict[str, Value] = {}
    n = layout.rows or layout.batch
    if layout.rows:
        feeds["index"] = placeholder((layout.batch,), "int64", "index")
    for name, spec in layout.arrays().items():
        whole = placeholder((n, *spec.shape), spec.dtype, name)
        feeds[name] = whole
        batch[name] = ops.take(whole, feeds["index"], axis=0) if layout.rows else whole
    return feeds, batch
