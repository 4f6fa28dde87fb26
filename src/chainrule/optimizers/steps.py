"""When a batch makes a step: accumulated gradients, batches left out, averages of weights."""

from __future__ import annotations

import functools
from collections.abc import Container, Sequence
from typing import Any

import numpy as np

from chainrule import ops
from chainrule.dtypes import Array
from chainrule.errors import ShapeError
from chainrule.graph import Value, Variable, scope
from chainrule.ops import update
from chainrule.optimizers.options import Options

Assigns = list[tuple[Variable, Value]]
# The note in a step being traced that says whether its batch counts; `None` for always.
COUNTS = "whether the batch counts"


class Steps(Options):
    """The counts of steps and batches, and what is kept for each weight by the options.

    Parameters
    ----------
    **options
        Those of `Options`.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.iterations = _count("iterations")
        several = (self.gradient_accumulation_steps or 1) > 1
        self._accumulated = _count("accumulated_batches") if several else None
        self._skipped = _count("skipped") if self.skip_nonfinite else None
        self._kept: dict[int, tuple[Variable, dict[str, Variable]]] = {}

    @property
    def step_counts(self) -> list[Variable]:
        """What a step counts: finished steps, batches of the next one, batches left out."""
        counts = [self.iterations, self._accumulated, self._skipped]
        return [variable for variable in counts if variable is not None]

    @property
    def skipped(self) -> int:
        """The number of batches that `skip_nonfinite` has left out."""
        return 0 if self._skipped is None else int(self._skipped)

    def _batches(self) -> Value:
        """Return the number of batches that steps were made of, those of the next one too: what a
        schedule is a function of."""
        if self._accumulated is None:
            return self.iterations.leaf
        done = ops.multiply(self.iterations.leaf, self.gradient_accumulation_steps)
        return ops.add(done, self._accumulated.leaf)

    def _keep(self, variable: Variable) -> None:
        """Make what the options need for a weight, where there is none yet."""
        if id(variable) in self._kept:
            return
        made = {
            name: Variable(start, name=f"{variable.name}/{name}", trainable=False)
            for name, start in self._starts(variable).items()
        }
        self._kept[id(variable)] = (variable, made)

    def _keep_again(self, variable: Variable, known: Container[int]) -> None:
        """Let what is kept for a weight, where its id is not known, be as it was when made."""
        made = self._kept[id(variable)][1]
        for name, start in self._starts(variable).items():
            if id(made[name]) not in known:
                made[name].assign(start)

    def _starts(self, variable: Variable) -> dict[str, Array]:
        starts = {}
        if self._accumulated is not None:
            starts["accumulated_gradient"] = np.zeros(variable.shape, variable.dtype)
        if self.use_ema:
            starts["average"] = variable.value
        return starts

    def _held(self, variable: Variable) -> list[Variable]:
        """Return what the options keep for a weight."""
        return list(self._kept[id(variable)][1].values())

    def scale_loss(self, loss: Value) -> Value:
        """Return ``loss_scale_factor * loss``, of which the gradients are taken.

        Parameters
        ----------
        loss : Value
            What is minimized.

        Examples
        --------
        >>> from chainrule import ops
        >>> from chainrule.optimizers import SGD
        >>> float(SGD(loss_scale_factor=1024.0).scale_loss(ops.as_value(2.0)))
        2048.0
        """
        factor = self.loss_scale_factor
        return loss if factor is None else ops.multiply(loss, factor)

    def _unscaled(self, gradient: Value) -> Value:
        factor = self.loss_scale_factor
        return gradient if factor is None else ops.multiply(gradient, 1.0 / factor)

    def _gathered(
        self, gradients: Sequence[Value], variables: Sequence[Variable]
    ) -> tuple[list[Value], Value | None, Assigns]:
        """Return the gradients of a step, whether it is made now, and what is assigned in any case.

        ``None`` stands for a step at every batch.
        """
        finite = self._finite(gradients)
        scope.note(COUNTS, finite)
        assigns: Assigns = []
        if self._skipped is not None and finite is not None:
            missed = ops.cast(ops.logical_not(finite), "int64")
            assigns.append((self._skipped, ops.add(self._skipped.leaf, missed)))
            # Zeros in their place let the rule wait for the verdict, so that it runs in one pass
            # with the choice of what stays: without them it wrote three weights' worth of memory.
            gradients = [ops.where(finite, g, 0.0) for g in gradients]
        if self._accumulated is None or self.gradient_accumulation_steps is None:
            return list(gradients), finite, assigns
        count = ops.add(self._accumulated.leaf, 1)
        full = ops.equal(count, self.gradient_accumulation_steps)
        moves: Assigns = [(self._accumulated, ops.where(full, 0, count))]
        means = []
        for gradient, variable in zip(gradients, variables, strict=True):
            held = self._kept[id(variable)][1]["accumulated_gradient"]
            total = ops.add(held.leaf, gradient)
            means.append(ops.divide(total, self.gradient_accumulation_steps))
            moves.append((held, ops.where(full, ops.zeros_like(total), total)))
        due = full if finite is None else ops.logical_and(full, finite)
        return means, due, assigns + when(finite, moves)

    def _finite(self, gradients: Sequence[Value]) -> Value | None:
        """Return whether all elements are finite, where that is asked for."""
        if not self.skip_nonfinite or not gradients:
            return None
        return functools.reduce(ops.logical_and, [ops.all(ops.isfinite(g)) for g in gradients])

    def _averaged(self, moves: Assigns, variables: Sequence[Variable]) -> Assigns:
        """Return the moves and those of the averages; weights may become their averages."""
        if not self.use_ema:
            return moves
        new = {id(variable): value for variable, value in moves}
        begun = ops.not_equal(self.iterations.leaf, 0)
        momentum = ops.multiply(ops.cast(begun, "float64"), self.ema_momentum)
        for variable in variables:
            average, w = (
                self._kept[id(variable)][1]["average"],
                new.get(id(variable), variable.leaf),
            )
            share = ops.cast(momentum, w.dtype)
            rest = ops.cast(ops.subtract(1.0, momentum), w.dtype)
            mean = update.average_update(average.leaf, w, share, rest)
            moves = _put(moves, average, mean)
            if self.ema_overwrite_frequency is not None:
                moves = _put(moves, variable, ops.where(self._overwrites(), mean, w))
        return moves

    def _overwrites(self) -> Value:
        """Return whether the weights become their averages after this step."""
        t = ops.cast(ops.add(self.iterations.leaf, 1), "float64")
        every = ops.as_value(np.float64(self.ema_overwrite_frequency or 1))
        return ops.equal(ops.multiply(ops.floor(ops.divide(t, every)), every), t)

    def finalize_variable_values(self, var_list: Sequence[Variable]) -> None:
        """Set the weights to their averages, where `use_ema` keeps them; `fit` ends with it.

        Parameters
        ----------
        var_list : sequence of Variable
            The weights; those that have not been trained stay.

        Examples
        --------
        >>> from chainrule import Variable, ops
        >>> from chainrule.optimizers import SGD
        >>> w = Variable([0.0], dtype="float64")
        >>> optimizer = SGD(1.0, use_ema=True, ema_momentum=0.5)
        >>> for _ in range(3):
        ...     optimizer.apply_gradients([(ops.as_value([-1.0]), w)])
        >>> optimizer.finalize_variable_values([w])
        >>> w.numpy()
        array([2.25])
        """
        if not self.use_ema or int(self.iterations) == 0:
            return
        for variable in var_list:
            if id(variable) in self._kept:
                variable.assign(self._kept[id(variable)][1]["average"].value)


def _count(name: str) -> Variable:
    return Variable(np.zeros((), np.int64), name=name, trainable=False)


def _put(moves: Assigns, variable: Variable, value: Value) -> Assigns:
    """Return the moves in which `variable` takes `value`."""
    return [*(move for move in moves if move[0] is not variable), (variable, value)]


def when(due: Value | None, moves: Assigns) -> Assigns:
    """Return the moves that are made only where `due` holds; ``None`` stands for always."""
    if due is None:
        return moves
    return [(variable, ops.where(due, value, variable.leaf)) for variable, value in moves]


def fitting(gradient: Value, variable: Variable) -> Value:
    """Return the gradient in the variable's dtype.

    Raises
    ------
    ShapeError
        For a gradient of another shape.
    """
    if gradient.shape != variable.shape:
        raise ShapeError(
            f"the gradient of {variable.name!r} has another shape.\n"
            f"  gradient : {list(gradient.shape)}\n"
            f"  variable : {list(variable.shape)}"
        )
    return ops.cast(gradient, variable.dtype)
