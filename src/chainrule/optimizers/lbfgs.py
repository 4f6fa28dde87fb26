"""L-BFGS: curvature from the last steps, for the loss over all samples at once."""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from typing import Any

import numpy as np

from chainrule import ops
from chainrule.errors import ArgumentError, GraphError
from chainrule.graph import Value, Variable, gradient, same
from chainrule.optimizers.base import Optimizer, Schedule, checked_number
from chainrule.optimizers.options import without_defaults
from chainrule.optimizers.quasi_newton import Limits, State, Step
from chainrule.optimizers.steps import Assigns


class LBFGS(Optimizer):
    """``w' = w - t * H g``, H an inverse of the curvature as the last steps have shown it.

    For full batches: a step takes up to `max_iter` iterations, each with one loss and gradient over
    all samples or, in the search for t, a few. In `fit` an epoch is one step; dropout draws the
    same in all of its iterations, and what is reported is the loss that the step began with. In
    loops by hand it is ``optimizer.step(closure)``.

    Parameters
    ----------
    learning_rate : float or callable, default 1.0
        At least 0: the t that is tried first (of the very first iteration, at most the share of it
        that moves the weights by 1 in sum), or a function from the number of finished steps to it.
    max_iter : int, default 20
        At least 1: iterations a step.
    max_eval : int, optional
        At least 1: evaluations a step; by default ``max_iter * 5 // 4``. The first search along a
        line may take up to 25 in any case.
    tolerance_grad : float, default 1e-7
        At least 0: a step ends where no element of the gradient is larger.
    tolerance_change : float, default 1e-9
        At least 0: a step ends where neither loss nor any weight changes by more.
    history_size : int, default 10
        At least 1: how many of the last iterations H is made of. Each takes twice the memory of the
        weights; 3 to 20 are usual.
    line_search_fn : {"strong_wolfe", None}, default "strong_wolfe"
        How t is found: by a search along the line, or it is the learning rate itself.
    name : str, default "lbfgs"
        Shown in files.
    **options
        None but defaults: clipping, decay and averages of weights would make the loss another than
        the one that is searched. Decay the weights by a regularizer of the layers.

    Raises
    ------
    ArgumentError
        For an argument out of its range, or an option.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.layers import Dense, Input
    >>> from chainrule.models import Sequential
    >>> from chainrule.optimizers import LBFGS
    >>> x = np.linspace(-1, 1, 20).reshape(20, 1)
    >>> model = Sequential([Input((1,)), Dense(1)])
    >>> model.compile(LBFGS(), "mse")
    >>> history = model.fit(x, 3 * x - 1, batch_size=len(x), epochs=2, verbose=0)
    >>> model.evaluate(x, 3 * x - 1, verbose=0) < 1e-6
    True

    Source
    ------
    Nocedal and Wright, "Numerical Optimization", second edition, 2006, algorithms 7.4 and 7.5, with
    the conditions for beginning and ending of PyTorch's, whose numbers it follows. PyTorch has a
    history of 100 and no line search by default.
    """

    def __init__(
        self,
        learning_rate: float | Schedule = 1.0,
        max_iter: int = 20,
        max_eval: int | None = None,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        history_size: int = 10,
        line_search_fn: str | None = "strong_wolfe",
        name: str | None = "lbfgs",
        **options: Any,
    ) -> None:
        super().__init__(learning_rate, name, **options)
        if unfit := without_defaults(self.options_config()):
            raise ArgumentError(
                f"LBFGS follows the loss alone and takes no {', '.join(unfit)}.\n"
                "  fix: to decay weights give the layers kernel_regularizer='l2', or use Adam"
            )
        if line_search_fn not in ("strong_wolfe", None):
            raise ArgumentError(
                f"line_search_fn is {line_search_fn!r}; expected 'strong_wolfe' or None"
            )
        self.max_iter = _whole("max_iter", max_iter)
        self.max_eval = None if max_eval is None else _whole("max_eval", max_eval)
        self.tolerance_grad = checked_number("tolerance_grad", tolerance_grad)
        self.tolerance_change = checked_number("tolerance_change", tolerance_change)
        self.history_size = _whole("history_size", history_size)
        self.line_search_fn = line_search_fn
        self._state: State | None = None

    def state_of(self, weights: Sequence[Variable]) -> list[Variable]:
        """Return the count of steps, the rate, and what the last iterations over these weights have
        shown."""
        held: list[Variable] = []
        if self._state is not None and {*map(id, self._state.weights)} <= {*map(id, weights)}:
            held = self._state.lasting
        return [*super().state_of(weights), *held]

    def build(self, variables: Sequence[Variable]) -> None:
        """Make what is kept of iterations over these variables; over others it is made anew."""
        for v in variables:
            if v.constraint is not None or v.rate_multiplier != 1.0:
                what = "a constraint" if v.constraint is not None else "a rate of its own"
                raise ArgumentError(f"{v.name!r} has {what}, which LBFGS cannot heed")
        if self._state is None or not same(self._state.weights, variables):
            self._slots.clear()
            super().build(variables)
            self._state = State(variables, self.history_size)

    def restart(self, known: Container[int]) -> None:
        """Forget the iterations unless they are known."""
        if self._state is not None and any(id(v) not in known for v in self._state.lasting):
            self._state.forget()

    def updates(self, gradients: Sequence[Value | None], variables: Sequence[Variable]) -> Assigns:
        """Refuse: with gradients alone no step can be made."""
        raise GraphError(
            "a step of LBFGS evaluates the loss several times, gradients at hand are not enough.\n"
            "  fix: optimizer.step(closure), where closure() computes the loss, calls backward() "
            "on it and returns it"
        )

    def learned(self, loss: Value, variables: Sequence[Variable]) -> Assigns:
        """Return what keeps loss and gradient of an evaluation for `advance`; no weight moves."""
        self.build(variables)
        return self._built().kept(loss, gradient(loss, variables))

    @property
    def evaluated(self) -> list[Variable]:
        """Where an evaluation leaves its loss and gradient."""
        state = self._built()
        return [state.loss, state.gradient]

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Do one step; return the loss that it began with.

        Parameters
        ----------
        closure : callable
            Computes the loss over all samples with the weights as they are, calls ``backward()`` on
            it (after `zero_grad`) and returns it.

        Raises
        ------
        ArgumentError
            Without a closure.
        NotBuiltError
            Before ``build(variables)``.

        Examples
        --------
        >>> from chainrule import Variable, ops
        >>> from chainrule.optimizers import LBFGS
        >>> w, optimizer = Variable([5.0, -3.0], dtype="float64"), LBFGS()
        >>> optimizer.build([w])
        >>> def closure():
        ...     optimizer.zero_grad()
        ...     loss = ops.sum(ops.square(w - 1.0))
        ...     loss.backward()
        ...     return loss
        >>> float(optimizer.step(closure))
        32.0
        >>> w.numpy().round(6)
        array([1., 1.])
        """
        if closure is None:
            raise ArgumentError("LBFGS needs step(closure), which returns the loss anew each time")
        variables = self._known()
        self.build(variables)
        state, losses = self._built(), []

        def evaluate() -> None:
            losses.append(ops.as_value(closure()))
            state.put(losses[-1], [v.grad for v in variables])

        self.advance(evaluate)
        return losses[0]

    def advance(self, evaluate: Callable[[], None]) -> None:
        """Do one step, given what stores loss and gradient at the weights as they are.

        A step that fails on the way, or is interrupted, leaves the weights as they were.
        """
        state = self._built()
        held = [v.numpy() for v in state.weights]
        rate = float(self._rate_now().numpy())
        try:
            Step(state, self._limits(), rate, evaluate).run()
        except BaseException:
            state.forget()
            for variable, value in zip(state.weights, held, strict=True):
                variable.assign(value)
            raise
        self.iterations.assign(int(self.iterations) + 1)

    def _limits(self) -> Limits:
        evaluations = self.max_eval or self.max_iter * 5 // 4
        searches = self.line_search_fn is not None
        tolerances = (self.tolerance_grad, self.tolerance_change)
        return Limits(self.max_iter, evaluations, *tolerances, searches)

    def _built(self) -> State:
        if self._state is None:
            raise GraphError("LBFGS has not been built: call build(variables) first")
        return self._state

    def get_config(self) -> dict[str, Any]:
        """Return the arguments as plain data."""
        return {
            **super().get_config(),
            "max_iter": self.max_iter,
            "max_eval": self.max_eval,
            "tolerance_grad": self.tolerance_grad,
            "tolerance_change": self.tolerance_change,
            "history_size": self.history_size,
            "line_search_fn": self.line_search_fn,
        }


def _whole(name: str, value: Any) -> int:
    if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < 1:
        raise ArgumentError(f"{name} is {value!r}; expected a whole number of at least 1")
    return int(value)
