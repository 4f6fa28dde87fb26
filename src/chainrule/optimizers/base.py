"""What all optimizers have in common: the learning rate, the count of steps, the slots."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import numpy as np

from chainrule import ops
from chainrule.dtypes import Array
from chainrule.errors import ArgumentError, ChainruleWarning, GraphError
from chainrule.graph import Value, Variable, placeholder, scope
from chainrule.graph.autodiff import cotangents_of, zeros_like
from chainrule.optimizers import schedules
from chainrule.optimizers.by_hand import ByHand
from chainrule.optimizers.clipping import clipped
from chainrule.optimizers.options import accepted, without_defaults
from chainrule.optimizers.own_rule import OwnRule
from chainrule.optimizers.steps import Assigns, Steps, fitting, when

Schedule = Callable[[Value], Any]


class Optimizer(Steps, ByHand, OwnRule):
    """``w' = rule(w, g, rate)``: how weights move against their gradients.

    A subclass gives `slot_names` and `rule`; `corrected` where its rate depends on the step, and
    `new_slots` where its slots do not begin as zeros. Or, as in Keras, `build`, which makes slots
    by `add_variable_from_reference`, and `update_step`, which assigns.

    Parameters
    ----------
    learning_rate : float or callable, default 0.001
        At least 0; or one of `chainrule.optimizers.schedules`, or another function from the number
        of finished steps (a value) to the rate, written in `ops`: a step is built once, so that an
        ``if`` on the number is refused. The weights of a layer may have a share of it: see
        `learning_rate_multiplier` of `Layer`.
    name : str, optional
        By default that of the class.
    **options
        Weight decay, clipping, averages of weights, gradient accumulation, steps left out where a
        gradient is not finite: see `chainrule.optimizers.options.Options`.

    Attributes
    ----------
    iterations : Variable
        The number of finished steps, int64; with `gradient_accumulation_steps` a step takes
        several batches, and a schedule counts the batches, as in Keras.

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

    def __init__(
        self, learning_rate: float | Schedule = 0.001, name: str | None = None, **options: Any
    ) -> None:
        Steps.__init__(self, **options)
        ByHand.__init__(self)
        OwnRule.__init__(self)
        self.name = name or type(self).__name__.lower()
        self._schedule: Schedule | None = None
        self._rate: Variable | None = None
        if callable(learning_rate) and not isinstance(learning_rate, Variable):
            self._schedule = learning_rate
        else:
            rate = np.float64(checked_rate(learning_rate))
            self._rate = Variable(rate, name="learning_rate", trainable=False)

    @property
    def learning_rate(self) -> Any:
        """The rate as a variable, which may be assigned to between steps; or the schedule, of which
        `float` is the rate of the next step."""
        if isinstance(self._schedule, schedules.LearningRateSchedule):
            return self._schedule.at(self._rate_now)
        return self._schedule if self._rate is None else self._rate

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        # A loaded step reads the variable; whether there is one is part of its graph.
        schedule = callable(value) and not isinstance(value, Variable)
        if self.built if schedule else self._rate is None:
            raise ArgumentError(
                "a learning rate cannot be exchanged for a schedule once a step is built with it, "
                "nor a schedule for a rate\n"
                "  fix: make a new optimizer and compile the model with it"
            )
        if schedule:
            self._schedule, self._rate = value, None
        elif self._rate is not None:
            self._rate.assign(checked_rate(value))

    def reschedule(self, schedule: Schedule) -> None:
        """Let the rate follow another schedule than the one given; a loaded step keeps the old.

        Raises
        ------
        ArgumentError
            Where the rate is a number.
        """
        if self._schedule is None:
            raise ArgumentError("the learning rate is a number: assign to learning_rate")
        self._schedule = schedule
        self._steps.clear()

    @property
    def variables(self) -> list[Variable]:
        """All state: counts of steps, the rate, and for each weight its slots, accumulated gradient
        and average."""
        return self.state_of(self.built_variables())

    def state_of(self, weights: Sequence[Variable]) -> list[Variable]:
        """Return the state as far as it is of these weights, in their order."""
        held: list[Variable] = []
        for variable in weights:
            if id(variable) in self._slots:
                held += [*self._slots[id(variable)][1], *self._held(variable)]
        rate = [] if self._rate is None else [self._rate]
        return [*self.step_counts, *rate, *self._own.values(), *held]

    def built_places(self, weights: Sequence[Variable]) -> list[int]:
        """Return the places in `weights` of those that have slots: what files tell them by, since
        neither the order of training nor names need be the same in another process."""
        return [i for i, variable in enumerate(weights) if id(variable) in self._slots]

    def build(self, variables: Sequence[Variable]) -> None:
        """Make the slots of those variables that have none yet."""
        self.built = True
        self._asked.clear()
        for variable in variables:
            if id(variable) not in self._slots:
                slots = [
                    Variable(start, name=f"{variable.name}/{name}", trainable=False)
                    for name, start in self.new_slots(variable).items()
                ]
                self._slots[id(variable)] = (variable, slots)
            self._keep(variable)

    def prepare(self, variables: Sequence[Variable]) -> None:
        """Build for these weights too, where they have no slots yet."""
        built = self.built_variables()
        if new := [v for v in variables if id(v) not in self._slots]:
            self.build([*built, *new])

    def restart(self, known: Container[int]) -> None:
        """Let the slots whose ids are not known be as they were when they were made."""
        for variable, slots in self._slots.values():
            begun = [self._begun[id(slot)] for slot in slots if id(slot) in self._begun]
            starts = [*self.new_slots(variable).values(), *begun]
            for slot, start in zip(slots, starts, strict=True):
                if id(slot) not in known:
                    slot.assign(start)
            self._keep_again(variable, known)
        for own in self._own.values():
            if id(own) not in known:
                own.assign(self._begun[id(own)])

    @contextmanager
    def lent(self, schedule: Schedule | None = None) -> Iterator[None]:
        """Within the block the rate is this schedule, if one is given; slots made there are dropped
        at its end, and the state is what it was."""
        rate = self._schedule, self._rate
        slots, kept, own = dict(self._slots), dict(self._kept), dict(self._own)
        held = [(v, v.numpy()) for v in self.variables]
        if schedule is not None:
            self._schedule, self._rate = schedule, None
        try:
            yield
        finally:
            (self._schedule, self._rate), self._slots, self._kept = rate, slots, kept
            self._own, self.built = own, bool(slots)
            for variable, value in held:
                variable.assign(value)

    def new_slots(self, variable: Variable) -> dict[str, Array]:
        """Return what the slots of a weight begin as: by default zeros of its shape for each of
        `slot_names`. A rule whose slots begin otherwise, or have other shapes, overrides this."""
        return {name: np.zeros(variable.shape, variable.dtype) for name in self.slot_names}

    def built_variables(self) -> list[Variable]:
        """Return the weights that have slots, in the order of `build`."""
        return [variable for variable, _ in self._slots.values()]

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
            For another number of gradients than of variables, or a schedule that looks at the
            number of the step.
        """
        if len(gradients) != len(variables):
            raise GraphError(f"{len(gradients)} gradients for {len(variables)} variables")
        self.prepare(variables)
        used = [(g, v) for g, v in zip(gradients, variables, strict=True) if g is not None]
        found = [self._unscaled(fitting(g, v)) for g, v in used]
        weights = [v for _, v in used]
        found, due, assigns = self._gathered(found, weights)
        moves = self._averaged(self._all_moved(clipped(self, found, weights), weights), variables)
        moves = [(v, v.constraint(new) if v.constraint else new) for v, new in moves]
        moves.append((self.iterations, ops.add(self.iterations.leaf, 1)))
        return [*when(due, moves), *assigns]

    def learned(self, loss: Value, variables: Sequence[Variable]) -> Assigns:
        """Return what a batch of `fit` with this loss assigns: by default that of `updates`.

        Warns
        -----
        ChainruleWarning
            For a loss that depends on none of the weights.
        """
        leaves = [v.leaf for v in variables]
        found = cotangents_of(self.scale_loss(loss), leaves)
        if all(g is None for g in found):
            told = (
                "the loss depends on none of the trainable weights, so nothing is learnt\n"
                "  fix: compute it from y_pred, by operations that have a derivative"
            )
            warnings.warn(ChainruleWarning(told), stacklevel=2)
        whole = [zeros_like(w) if g is None else g for g, w in zip(found, leaves, strict=True)]
        return self.updates(whole, variables)

    def _all_moved(self, gradients: Sequence[Value], variables: Sequence[Variable]) -> Assigns:
        """Return the new weights and slots."""
        if self._schedule is not None:
            _check_followed(self._schedule)
        now = self._rate_now()
        rates: dict[tuple[float, str], tuple[Value, Value]] = {}
        assigns: Assigns = []
        own = type(self).update_step is not OwnRule.update_step
        keeping: AbstractContextManager[dict[Variable, Value]] = (
            scope.storing(self.name) if own else nullcontext({})
        )
        with keeping as stored:
            for g, variable in zip(gradients, variables, strict=True):
                key = (variable.rate_multiplier, variable.dtype)
                if key not in rates:
                    rates[key] = self._rates(now, *key)
                assigns += self._moved(g, variable, *rates[key])
        return [*assigns, *stored.items()]

    def _rates(self, rate: Value, multiplier: float, dtype: str) -> tuple[Value, Value]:
        """Return the rate of `step` and the learning rate, as weights of this dtype have it."""
        now = self.corrected(rate)
        if multiplier != 1.0:
            now, rate = ops.multiply(now, multiplier), ops.multiply(rate, multiplier)
        return ops.cast(now, dtype), rate

    def _rate_now(self) -> Value:
        """Return the learning rate of this step as a float64 scalar."""
        if self._schedule is not None:
            return ops.cast(self._schedule(self._batches()), "float64")
        if self._rate is None:
            raise GraphError("the optimizer has no learning rate")
        return self._rate.leaf

    def _moved(self, g: Value, variable: Variable, rate: Value, own: Value) -> Assigns:
        w = variable.leaf
        if self._decays(variable) and self.weight_decay:
            kept = ops.subtract(1.0, ops.multiply(own, self.weight_decay))
            w = ops.multiply(w, ops.cast(kept, w.dtype))
        slots = self._slots_of(variable)
        if type(self).update_step is not OwnRule.update_step:
            scope.record(variable, w)
            self.update_step(g, variable, rate)
            return []
        new = self.rule(w, g, rate, *(slot.leaf for slot in slots))
        return list(zip([variable, *slots], new, strict=True))

    def step_number(self) -> Value:
        """Return the number t of this step, from 1, as a float64 scalar."""
        # In float64: in float32, 1 - 0.999^t of the first steps has an error of 1e-4.
        return ops.cast(ops.add(self.iterations.leaf, 1), "float64")

    def corrected(self, rate: Value) -> Value:
        """Return the rate that `rule` is given, from the learning rate (float64 scalars)."""
        return rate

    def get_config(self) -> dict[str, Any]:
        """Return the arguments as plain data, a schedule of the package as its configuration."""
        rate: Any = self._schedule
        if self._rate is not None:
            rate = float(self._rate.value)
        elif type(rate).__module__.startswith("chainrule."):
            rate = schedules.serialize(rate)
        return {"name": self.name, "learning_rate": rate, **self.options_config()}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Optimizer:
        """Return the optimizer that `get_config` described, without its state."""
        config = accepted(cls, config)
        undecayed = config.pop("undecayed", None)
        if isinstance(config.get("learning_rate"), Mapping):
            config["learning_rate"] = schedules.deserialize(config["learning_rate"])
        optimizer = cls(**config)
        if undecayed:
            optimizer.exclude_from_weight_decay(var_names=undecayed)
        return optimizer

    def __repr__(self) -> str:
        given = without_defaults(self.get_config())
        arguments = ", ".join(f"{k}={v!r}" for k, v in given.items())
        return f"<{type(self).__name__} {arguments}>"


def _check_followed(schedule: Schedule) -> None:
    """Raise where a schedule needs the number itself: the step is built once, and would keep for
    good the rate of the batch that it was built for."""
    try:
        schedule(placeholder((), "int64", "step"))
    except GraphError as error:
        raise GraphError(
            "the learning-rate schedule looks at the number of the step while the program is "
            "built:\n`if`, `min`, `int` and `float` would give the same rate for ever.\n"
            "  fix: write it in ops, e.g. ops.where(step < 1000, 0.1, 0.01); or take "
            "schedules.PiecewiseConstantDecay; or give a number as the rate and set it each epoch "
            "with callbacks.LearningRateScheduler"
        ) from error


def at_places(weights: Sequence[Variable], places: Any) -> list[Variable]:
    """Return the weights at places as `Optimizer.built_places` gives them.

    Raises
    ------
    ArgumentError
        For what are no places, or not in their order.
    """
    whole = isinstance(places, list) and all(type(i) is int for i in places)
    if not whole or places != sorted({*places} & {*range(len(weights))}):
        raise ArgumentError(f"{places!r} are not places among {len(weights)} weights")
    return [weights[i] for i in places]


def checked_rate(value: Any) -> float:
    """Return the learning rate as a number."""
    try:
        rate = float(value)
    except (TypeError, ValueError):
        rate = math.nan
    if not 0.0 <= rate < math.inf:
        raise ArgumentError(f"learning_rate is {value!r}; expected a number of at least 0")
    return rate


def checked_number(name: str, value: Any, least: float = 0.0) -> float:
    """Return an argument that must be finite and at least `least`."""
    if not isinstance(value, int | float | np.number) or not least <= value < math.inf:
        raise ArgumentError(f"{name} is {value!r}; expected a number of at least {least:g}")
    return float(value)


def checked_share(name: str, value: Any) -> float:
    """Return an argument that must be from 0 to less than 1."""
    if not isinstance(value, int | float | np.number) or not 0.0 <= value < 1.0:
        raise ArgumentError(f"{name} is {value!r}; expected a number from 0 to less than 1")
    return float(value)
