"""What all optimizers have in common: the learning rate, the count of steps, the slots."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from chainrule import ops
from chainrule.assigning import assign_all
from chainrule.errors import ArgumentError, GraphError, ShapeError
from chainrule.graph import Value, Variable

Schedule = Callable[[Value], Any]
Assigns = list[tuple[Variable, Value]]


class Optimizer:
    """``w' = w - step(g, rate)``: how weights move against their gradients.

    A subclass gives `slot_names` and `step`, and `corrected` where its rate depends on the step.

    Parameters
    ----------
    learning_rate : float or callable, default 0.001
        At least 0; or a function from the number of finished steps (a value) to the rate.
    name : str, optional
        By default that of the class.

    Attributes
    ----------
    iterations : Variable
        The number of finished steps, int64.

    Raises
    ------
    ArgumentError
        For a rate that is negative or no number.

    Examples
    --------
    >>> from chainrule.optimizers import SGD
    >>> optimizer = SGD(0.1)
    >>> optimizer.learning_rate = 0.05
    >>> float(optimizer.learning_rate)
    0.05
    """

    slot_names: tuple[str, ...] = ()

    def __init__(self, learning_rate: float | Schedule = 0.001, name: str | None = None) -> None:
        self.name = name or type(self).__name__.lower()
        self.iterations = Variable(np.zeros((), np.int64), name="iterations", trainable=False)
        self._slots: dict[int, tuple[Variable, list[Variable]]] = {}
        self._schedule: Schedule | None = None
        self._rate: Variable | None = None
        if callable(learning_rate) and not isinstance(learning_rate, Variable):
            self._schedule = learning_rate
        else:
            rate = np.float64(checked_rate(learning_rate))
            self._rate = Variable(rate, name="learning_rate", trainable=False)

    @property
    def learning_rate(self) -> Any:
        """The rate as a variable, which may be assigned to between steps; or the schedule."""
        return self._schedule if self._rate is None else self._rate

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        # A loaded step reads the variable; whether there is one is part of its graph.
        if self._rate is None or (callable(value) and not isinstance(value, Variable)):
            raise ArgumentError(
                "a learning rate cannot be exchanged for a schedule, nor a schedule for a rate: "
                "make a new optimizer and compile the model with it"
            )
        self._rate.assign(checked_rate(value))

    @property
    def variables(self) -> list[Variable]:
        """All state: the count of steps, the rate, the slots of each weight."""
        rate = [] if self._rate is None else [self._rate]
        slots = [slot for _, made in self._slots.values() for slot in made]
        return [self.iterations, *rate, *slots]

    def build(self, variables: Sequence[Variable]) -> None:
        """Make the slots, zeros, of those variables that have none yet."""
        for variable in variables:
            if id(variable) not in self._slots:
                slots = [self._slot(variable, name) for name in self.slot_names]
                self._slots[id(variable)] = (variable, slots)

    def _slot(self, variable: Variable, name: str) -> Variable:
        zeros = np.zeros(variable.shape, variable.dtype)
        return Variable(zeros, name=f"{variable.name}/{name}", trainable=False)

    def updates(self, gradients: Sequence[Value | None], variables: Sequence[Variable]) -> Assigns:
        """Return what a step assigns: weights, slots, and the count of steps.

        Parameters
        ----------
        gradients : sequence of Value or None
            One for each variable, of its shape; a variable with ``None`` stays.
        variables : sequence of Variable
            The weights.

        Raises
        ------
        ShapeError
            For a gradient of another shape than its variable.
        GraphError
            For another number of gradients than of variables.
        """
        if len(gradients) != len(variables):
            raise GraphError(f"{len(gradients)} gradients for {len(variables)} variables")
        self.build(variables)
        rate = self.corrected(self._rate_now())
        rates = {dtype: ops.cast(rate, dtype) for dtype in {v.dtype for v in variables}}
        assigns: Assigns = []
        for gradient, variable in zip(gradients, variables, strict=True):
            if gradient is not None:
                assigns += self._moved(gradient, variable, rates[variable.dtype])
        return [*assigns, (self.iterations, ops.add(self.iterations.leaf, 1))]

    def _rate_now(self) -> Value:
        """Return the learning rate of this step as a float64 scalar."""
        if self._schedule is not None:
            return ops.cast(self._schedule(self.iterations.leaf), "float64")
        if self._rate is None:
            raise GraphError("the optimizer has no learning rate")
        return self._rate.leaf

    def _moved(self, gradient: Value, variable: Variable, rate: Value) -> Assigns:
        if gradient.shape != variable.shape:
            raise ShapeError(
                f"the gradient of {variable.name!r} has another shape.\n"
                f"  gradient : {list(gradient.shape)}\n"
                f"  variable : {list(variable.shape)}"
            )
        slots = self._slots[id(variable)][1]
        g = ops.cast(gradient, variable.dtype)
        new = self.step(variable.leaf, g, rate, *(slot.leaf for slot in slots))
        return list(zip([variable, *slots], new, strict=True))

    def corrected(self, rate: Value) -> Value:
        """Return the rate that `step` is given, from the learning rate (float64 scalars)."""
        return rate

    def step(self, w: Value, g: Value, rate: Value, *slots: Value) -> Sequence[Value]:
        """Return the new weight and the new slots; gradients are not modified."""
        raise NotImplementedError(f"{type(self).__name__} must define step")

    def apply_gradients(self, grads_and_vars: Iterable[tuple[Value | None, Variable]]) -> None:
        """Do one step with gradients at hand: for loops written by hand.

        Parameters
        ----------
        grads_and_vars : iterable of (gradient, variable)
            As ``zip(gradients, variables)`` makes them.

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
        pairs = list(grads_and_vars)
        gradients = [None if g is None else ops.as_value(g) for g, _ in pairs]
        assign_all(self.updates(gradients, [variable for _, variable in pairs]))

    def get_config(self) -> dict[str, Any]:
        """Return the arguments as plain data; a schedule as its own configuration."""
        rate: Any = self._schedule
        if self._rate is not None:
            rate = float(self._rate.value)
        elif hasattr(rate, "get_config"):
            rate = {"class_name": type(rate).__name__, "config": rate.get_config()}
        return {"name": self.name, "learning_rate": rate}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Optimizer:
        """Return the optimizer that `get_config` described, without its state."""
        return cls(**config)

    def __repr__(self) -> str:
        arguments = ", ".join(f"{k}={v!r}" for k, v in self.get_config().items())
        return f"<{type(self).__name__} {arguments}>"


def checked_rate(value: Any) -> float:
    """Return the learning rate as a number."""
    try:
        rate = float(value)
    except (TypeError, ValueError):
        rate = math.nan
    if not 0.0 <= rate < math.inf:
        raise ArgumentError(f"learning_rate is {value!r}; expected a number of at least 0")
    return rate


def checked_share(name: str, value: Any) -> float:
    """Return an argument that must be from 0 to less than 1."""
    if not isinstance(value, int | float | np.number) or not 0.0 <= value < 1.0:
        raise ArgumentError(f"{name} is {value!r}; expected a number from 0 to less than 1")
    return float(value)
