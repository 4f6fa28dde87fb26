"""The gradients of a run under way, for those who look at it; they move nothing."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import numpy as np

from chainrule import ops
from chainrule.dtypes import Array
from chainrule.graph import Value, Variable
from chainrule.optimizers import Optimizer
from chainrule.training.checkpoint import variables_of
from chainrule.training.loop import Run
from chainrule.training.step import build, layout_of


class Recorder(Optimizer):
    """An optimizer that keeps the gradients it is given and leaves the weights alone."""

    def __init__(self) -> None:
        super().__init__(0.0)
        self.found: dict[str, Variable] = {}

    def updates(
        self, gradients: Sequence[Value | None], variables: Sequence[Variable]
    ) -> list[tuple[Variable, Value]]:
        """Return what keeps each gradient under the name of its weight."""
        assigns = []
        for gradient, weight in zip(gradients, variables, strict=True):
            if gradient is not None:
                zeros = np.zeros(weight.shape, weight.dtype)
                held = Variable(zeros, name=weight.name, trainable=False)
                self.found[weight.name] = held
                assigns.append((held, ops.cast(gradient, weight.dtype)))
        return assigns


class Gradients:
    """The gradients of the loss over the first batch of a run's samples, by name of the weight."""

    def __init__(self, run: Run) -> None:
        self.run = run
        trainer = copy.copy(run.trainer)
        trainer.optimizer = self.recorder = Recorder()
        layout = layout_of("train", _batch(run), run.training.sample)
        self.step = build(trainer, layout)

    def now(self) -> dict[str, Array]:
        """Return them as they are with the weights of this moment."""
        # A step of training draws numbers, counts, and moves averages: all of it is put back.
        held = [(v, v.numpy()) for v in variables_of(self.run.trainer).values()]
        try:
            self.step.run(self.run.training.sample, 0, 1)
        finally:
            self.step.release()
            for variable, value in held:
                variable.value[...] = value
        return {name: variable.numpy() for name, variable in self.recorder.found.items()}


def _batch(run: Run) -> int:
    return min(run.schedule.batch_size, len(run.training.sample))
