"""Steps of an optimizer in loops written by hand."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from chainrule import ops
from chainrule.errors import GraphError, NotBuiltError
from chainrule.graph import Value, Variable, placeholder
from chainrule.graph.pending import Step, take_step

Assigns = list[tuple[Variable, Value]]
Pairs = Iterable[tuple[Value | None, Variable]]


class ByHand:
    """The half of `Optimizer` that does single steps; the other gives the rule."""

    def __init__(self) -> None:
        self._steps: dict[tuple[Any, ...], Step] = {}

    def updates(self, gradients: Sequence[Value | None], variables: Sequence[Variable]) -> Assigns:
        """Return what a step assigns."""
        raise NotImplementedError

    def built_variables(self) -> list[Variable]:
        """Return the weights that have slots, in the order of `build`."""
        raise NotImplementedError

    def apply_gradients(self, grads_and_vars: Pairs) -> None:
        """Do one step with gradients at hand: for loops written by hand.

        Parameters
        ----------
        grads_and_vars : iterable of (gradient, variable)
            As ``zip(gradients, variables)`` makes them; a variable whose gradient is ``None``
            stays.

        Raises
        ------
        ShapeError
            For a gradient of another shape than its variable.

        Examples
        --------
        >>> from chainrule import Variable, ops
        >>> from chainrule.optimizers import SGD
        >>> w = Variable([1.0, 2.0], dtype="float64")
        >>> SGD(0.5).apply_gradients([(ops.as_value([2.0, 0.0]), w)])
        >>> w.numpy()
        array([0., 2.])
        """
        gradients, variables = [], []
        for g, v in grads_and_vars:
            if g is not None:
                gradients.append(g if isinstance(g, Value) else ops.as_value(g))
                variables.append(v)
        take_step(self._step(variables, gradients), gradients)

    def apply(
        self,
        grads: Sequence[Value | None],
        trainable_variables: Sequence[Variable] | None = None,
    ) -> None:
        """Do one step with gradients at hand, of these weights or of those given to `build`.

        Raises
        ------
        GraphError
            For another number of gradients than of weights.
        NotBuiltError
            Without weights, before ``build(variables)``.

        Examples
        --------
        >>> from chainrule import Variable, ops
        >>> from chainrule.optimizers import SGD
        >>> w = Variable([1.0, 2.0], dtype="float64")
        >>> SGD(0.5).apply([ops.as_value([2.0, 0.0])], [w])
        >>> w.numpy()
        array([0., 2.])
        """
        variables = list(self._known() if trainable_variables is None else trainable_variables)
        gradients = list(grads)
        if len(gradients) != len(variables):
            raise GraphError(f"{len(gradients)} gradients for {len(variables)} variables")
        self.apply_gradients(zip(gradients, variables, strict=True))

    def _step(self, variables: Sequence[Variable], gradients: Sequence[Value]) -> Step:
        """Return a step as a function of the gradients."""
        node = gradients[0].node if gradients else None
        if node is not None and all(g.node is node for g in gradients):
            key: tuple[Any, ...] = (node.op, *map(id, variables), *[g.index for g in gradients])
        else:
            key = (*map(id, variables), *[g.spec for g in gradients])
        known = self._steps.get(key)
        if known is None:
            inputs = [placeholder(g.shape, g.dtype, "gradient") for g in gradients]
            known = self._steps[key] = Step(inputs, self.updates(inputs, variables))
        return known

    def step(self) -> None:
        """Move the weights given to `build` against their ``grad``, which ``backward()`` made.

        A weight without one stays.

        Raises
        ------
        NotBuiltError
            Before ``build(variables)``.

        Examples
        --------
        >>> from chainrule import Variable, ops
        >>> from chainrule.optimizers import SGD
        >>> w, optimizer = Variable([1.0, 2.0], dtype="float64"), SGD(0.25)
        >>> optimizer.build([w])
        >>> ops.sum(ops.square(w)).backward()
        >>> optimizer.step()
        >>> w.numpy()
        array([0.5, 1. ])
        """
        self.apply_gradients([(v.grad, v) for v in self._known()])

    def zero_grad(self) -> None:
        """Forget the ``grad`` of the weights given to `build`; else the next ``backward()`` adds.

        Raises
        ------
        NotBuiltError
            Before ``build(variables)``.

        Examples
        --------
        >>> from chainrule import Variable, ops
        >>> from chainrule.optimizers import SGD
        >>> w, optimizer = Variable([1.0, 2.0]), SGD(0.25)
        >>> optimizer.build([w])
        >>> ops.sum(w).backward()
        >>> optimizer.zero_grad()
        >>> w.grad is None
        True
        """
        for variable in self._known():
            variable.grad = None

    def _known(self) -> list[Variable]:
        variables = self.built_variables()
        if not variables:
            raise NotBuiltError(
                "the optimizer does not know its weights yet.\n"
                "  fix: call optimizer.build(model.trainable_variables) once, before the loop"
            )
        return variables
