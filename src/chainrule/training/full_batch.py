"""Steps of an optimizer that evaluates the loss of all samples several times a step."""

from __future__ import annotations

from chainrule.data.batches import Batches, Order
from chainrule.dtypes import Array
from chainrule.errors import ArgumentError
from chainrule.graph import Variable, among
from chainrule.optimizers import LBFGS
from chainrule.training.step import Step


class FullBatchStep(Step):
    """A step of L-BFGS; its program moves no weight, but leaves loss and gradient at them.

    `stored` is what the program stores beside those: the sums of loss and metrics, running means,
    the random key. Of these the first evaluation counts; the later ones begin as it did, so that
    they draw the same and the loss is one function of the weights throughout.
    """

    def __init__(self, step: Step, rule: LBFGS, stored: list[Variable]) -> None:
        super().__init__(step.layout, step.feeds, step.program)
        self.classes = step.classes
        self.rule = rule
        self.stored = [v for v in stored if not among(v, rule.evaluated)]

    def run(self, batches: Batches, first: int, steps: int, order: Order | None = None) -> None:
        """Do one step over all samples.

        Raises
        ------
        ArgumentError
            Where the batch is not all samples.
        """
        if self.layout.batch != len(batches):
            raise ArgumentError(
                f"L-BFGS needs the full batch: pass batch_size=len(x), here {len(batches)}, "
                f"not {self.layout.batch}"
            )
        before = [v.numpy() for v in self.stored]
        after: list[Array] = []

        def evaluate() -> None:
            if after:
                _put(self.stored, before)
            super(FullBatchStep, self).run(batches, first, 1, order)
            after[:] = after or [v.numpy() for v in self.stored]

        self.rule.advance(evaluate)
        _put(self.stored, after)


def _put(variables: list[Variable], values: list[Array]) -> None:
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
