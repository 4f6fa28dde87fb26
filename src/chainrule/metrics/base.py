"""What all metrics have in common, and means over samples."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from chainrule import initializers, ops
from chainrule.dtypes import Array
from chainrule.errors import MissingMethodError
from chainrule.graph import Value, Variable, scope
from chainrule.graph.function import expand
from chainrule.graph.pending import assign_all
from chainrule.graph.symbol import leaves
from chainrule.losses.base import snake_case
from chainrule.losses.shapes import over_losses, spread_weight


class Metric:
    """A number about predictions, gathered over batches in float64.

    A subclass gives either `update`, the new values of its state as values, or, as in Keras,
    `update_state`, which assigns to the variables; and `result`. Training puts the update into its
    step; by hand, `update_state` runs it at once.

    Parameters
    ----------
    name : str, optional
        By default that of the class; the key in the history.
    dtype : str, optional
        Accepted for Keras's sake: the state is float64 always.

    Attributes
    ----------
    direction : {"min", "max"} or None, default None
        Whether lower or higher is better, for callbacks that watch the number; a subclass, or its
        ``__init__``, may set it. Where it is ``None`` they go by the name.

    Examples
    --------
    >>> from chainrule.metrics import MeanSquaredError
    >>> metric = MeanSquaredError()
    >>> metric.update_state([0.0, 1.0], [0.0, 3.0])
    >>> metric.result()
    2.0

    One's own:

    >>> import numpy as np
    >>> from chainrule import metrics, ops
    >>> class Largest(metrics.Metric):
    ...     def __init__(self, name="largest", **options):
    ...         super().__init__(name=name, **options)
    ...         self.largest = self.add_variable((), name="largest")
    ...
    ...     def update_state(self, y_true, y_pred, sample_weight=None):
    ...         error = ops.max(ops.abs(y_true - y_pred))
    ...         self.largest.assign(ops.maximum(self.largest, error))
    ...
    ...     def result(self):
    ...         return self.largest
    >>> float(Largest()(np.array([0.0, 1.0]), np.array([0.5, 3.0])))
    2.0
    """

    direction: str | None = None

    def __init__(self, name: str | None = None, dtype: str | None = None) -> None:
        self.name = name or snake_case(type(self).__name__)
        self.dtype = dtype
        self._state: list[Variable] = []
        self._starts: list[Array] = []

    def add_variable(
        self,
        shape: Sequence[int],
        initializer: Any = "zeros",
        dtype: str | None = None,
        name: str = "variable",
    ) -> Variable:
        """Return a new part of the state, which `reset_state` sets to what it begins as.

        Parameters
        ----------
        shape : sequence of int
        initializer : str, Initializer or callable, default "zeros"
        dtype : str, default "float64"
        name : str
            Shown as ``metric/name``.
        """
        start = np.asarray(initializers.get(initializer)(tuple(shape), dtype or "float64"))
        variable = Variable(start, name=f"{self.name}/{name}", trainable=False)
        self._state.append(variable)
        self._starts.append(start)
        return variable

    add_weight = add_variable

    def state(self) -> list[Variable]:
        """Return the variables that `update` gives new values for, those of metrics in attributes
        last; complete after its first call."""
        return [*self._state, *(v for part in _within(self) for v in part.state())]

    @property
    def variables(self) -> list[Variable]:
        """The state."""
        return self.state()

    def update(self, *args: Any, **kwargs: Any) -> list[Value]:
        """Return the values of the state after ``(y_true, y_pred, sample_weight=None)``."""
        if type(self).update_state is Metric.update_state:
            raise MissingMethodError(f"{type(self).__name__} must define update or update_state")
        with scope.storing(self.name) as stored:
            self.update_state(*map(ops.as_value, args), **kwargs)
        return [stored.get(variable, variable.leaf) for variable in self.state()]

    def assigned(self, *args: Any, **kwargs: Any) -> list[tuple[Variable, Value]]:
        """Return what a step stores: by `update` or `update_state`, as the class wrote last."""
        names = {"update", "update_state"}
        last = next(kind for kind in type(self).__mro__ if names & vars(kind).keys())
        update = self.update if "update" in vars(last) else functools.partial(Metric.update, self)
        new = update(*args, **kwargs)
        return list(zip(self.state(), new, strict=True))

    def result(self) -> Any:
        """Return the metric over what was seen since `reset`; 0 before anything was."""
        raise MissingMethodError(f"{type(self).__name__} must define result")

    def logged(self, name: str) -> dict[str, float]:
        """Return the numbers for the history by their names.

        A number stands under the name given, the elements of an array with ``_0``, ``_1``, ...
        behind it, those of a dict under their keys.
        """
        found = self.result()
        if isinstance(found, Mapping):
            return {str(key): float(np.asarray(x)) for key, x in found.items()}
        result = np.asarray(found, np.float64)
        behind = ("".join(f"_{i}" for i in at) for at, _ in np.ndenumerate(result))
        return {name + part: float(x) for part, x in zip(behind, result.flat, strict=True)}

    def reset(self) -> None:
        """Forget what was seen."""
        self.reset_state()

    def reset_state(self) -> None:
        """Forget what was seen."""
        for variable, start in zip(self._state, self._starts, strict=True):
            variable.value[...] = start
        for part in _within(self):
            part.reset_state()

    def update_state(self, *args: Any, **kwargs: Any) -> None:
        """Take in a batch: ``(y_true, y_pred, sample_weight=None)``."""
        new = self.update(*args, **kwargs)
        if not scope.within():
            return assign_all(zip(self.state(), new, strict=True))
        now = {variable.leaf: scope.current(variable) for variable in self.state()}
        for variable, value in zip(self.state(), expand(new, now), strict=True):
            variable.assign(value)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Take in a batch and return the result so far."""
        self.update_state(*args, **kwargs)
        return self.result()

    def get_config(self) -> dict[str, Any]:
        """Return the arguments as plain data."""
        return {"name": self.name, "dtype": self.dtype}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Metric:
        """Return the metric that `get_config` described."""
        return cls(**config)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}>"


def _within(metric: Metric) -> list[Metric]:
    """Return the metrics in attributes of a metric, alone or in lists, tuples and dicts."""
    found = (part for held in vars(metric).values() for part in leaves(held))
    return list(dict.fromkeys(part for part in found if isinstance(part, Metric)))


class Mean(Metric):
    """``sum_n weight[n] * value[n] / sum_n weight[n]``; further axes are averaged before.

    Shapes
    ------
    values : [n, *s]; sample_weight : [n] or [n, *t], t the first axes of the values

    Parameters
    ----------
    name : str, default "mean"
        The key in the history.
    dtype : str, optional
        Accepted for Keras's sake.

    Raises
    ------
    ShapeError
        For weights that do not fit the values.

    Examples
    --------
    >>> from chainrule.metrics import Mean
    >>> mean = Mean()
    >>> mean.update_state([1.0, 3.0, 8.0], sample_weight=[1.0, 1.0, 0.0])
    >>> mean.result()
    2.0
    """

    def __init__(self, name: str | None = None, dtype: str | None = None) -> None:
        super().__init__(name, dtype)
        self.total = self.add_variable((), name="total")
        self.count = self.add_variable((), name="count")

    def update(self, values: Any, sample_weight: Any = None) -> list[Value]:
        """Return the new total and count."""
        total, count = weighted_sums(ops.cast(values, "float64"), sample_weight)
        return [ops.add(self.total.leaf, total), ops.add(self.count.leaf, count)]

    def result(self) -> float:
        """Return the mean; 0 where nothing was seen, or nothing with a weight."""
        count = float(self.count.value)
        return float(self.total.value) / count if count else 0.0


class Sum(Metric):
    """``sum_n weight[n] * value[n]`` over all elements.

    Shapes
    ------
    values : [n, *s]; sample_weight : [n] or [n, *t], t the first axes of the values

    Parameters
    ----------
    name : str, default "sum"
        The key in the history.
    dtype : str, optional
        Accepted for Keras's sake.

    Raises
    ------
    ShapeError
        For weights that do not fit the values.

    Examples
    --------
    >>> from chainrule.metrics import Sum
    >>> Sum()([1.0, 3.0, 8.0], sample_weight=[1.0, 1.0, 0.0])
    4.0
    """

    def __init__(self, name: str | None = "sum", dtype: str | None = None) -> None:
        super().__init__(name, dtype)
        self.total = self.add_variable((), name="total")

    def update(self, values: Any, sample_weight: Any = None) -> list[Value]:
        """Return the new total."""
        values = ops.cast(values, "float64")
        if sample_weight is not None:
            weight = ops.cast(sample_weight, "float64")
            weight = spread_weight(weight, values) if values.ndim else weight
            values = ops.multiply(values, weight)
        return [ops.add(self.total.leaf, ops.sum(values))]

    def result(self) -> float:
        """Return the sum."""
        return float(self.total.value)


class MeanOfValues(Mean):
    """``sum_n weight[n] * values(y_true, y_pred)[n] / sum_n weight[n]``; a subclass gives `values`.

    Steps that a mask of the predictions leaves out have the weight 0.

    Shapes
    ------
    y_true, y_pred : as `values` takes them; sample_weight : [n] or [n, *t]

    Parameters
    ----------
    name, dtype
        As in `Metric`.
    """

    def values(self, y_true: Value, y_pred: Value) -> Any:
        """Return one number a sample."""
        raise NotImplementedError(f"{type(self).__name__} must define values(y_true, y_pred)")

    def update(  # type: ignore[override]
        self, y_true: Any, y_pred: Any, sample_weight: Any = None
    ) -> list[Value]:
        """Return the new total and count."""
        y_pred = ops.as_value(y_pred)
        values = ops.as_value(self.values(ops.as_value(y_true), y_pred))
        return super().update(values, masked_weight(sample_weight, y_pred.mask, values))


class MeanMetric(MeanOfValues):
    """``sum_n weight[n] * fn(y_true, y_pred)[n] / sum_n weight[n]``: the mean of a function.

    Shapes
    ------
    y_true, y_pred : as the function takes them; sample_weight : [n] or [n, *t]

    Parameters
    ----------
    fn : callable
        Takes ``(y_true, y_pred)`` as values, and `arguments` by keyword; returns one number a
        sample.
    name : str, optional
        By default that of the function.
    dtype : str, optional
        Accepted for Keras's sake.
    **arguments
        Handed to the function.

    Raises
    ------
    ShapeError
        When updated, for weights that do not fit what the function returns.

    Examples
    --------
    >>> from chainrule import ops
    >>> from chainrule.metrics import MeanMetric
    >>> metric = MeanMetric(lambda y_true, y_pred: ops.max(ops.abs(y_pred - y_true), axis=-1))
    >>> metric.update_state([[0.0, 0.0]], [[3.0, -4.0]])
    >>> metric.result()
    4.0
    """

    def __init__(
        self,
        fn: Callable[..., Any],
        name: str | None = None,
        dtype: str | None = None,
        **arguments: Any,
    ) -> None:
        super().__init__(name or getattr(fn, "__name__", "metric"), dtype)
        self._fn = fn
        self._arguments = arguments

    def values(self, y_true: Value, y_pred: Value) -> Any:
        """Return what the function returns."""
        return self._fn(y_true, y_pred, **self._arguments)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments; the function itself is not plain data."""
        return {**super().get_config(), "fn": self._fn, **self._arguments}


def weighted_sums(values: Value, sample_weight: Any) -> tuple[Value, Value | float]:
    """Return ``sum_n weight[n] * value[n]`` and ``sum_n weight[n]``, after means over other axes.

    As in Keras, weights of rank r weigh the means of the values over the axes from r on. Samples
    without steps weigh nothing.
    """
    if 0 in values.shape[1:]:
        return ops.sum(values), 0.0
    if sample_weight is None:
        return ops.sum(_by_sample(values)), float(values.shape[0]) if values.ndim else 1.0
    weight = ops.cast(sample_weight, "float64")
    if values.ndim == 0:
        return ops.sum(ops.multiply(values, weight)), ops.sum(weight)
    if weight.ndim > 1 or values.ndim == 1:
        weight = spread_weight(weight, values)
    elif weight.ndim == 1:
        values = _by_sample(values)
        weight = spread_weight(weight, values)
    weight = ops.broadcast_to(weight, values.shape)
    return ops.sum(_by_sample(ops.multiply(values, weight))), ops.sum(_by_sample(weight))


def masked_weight(sample_weight: Any, mask: Value | None, values: Value) -> Any:
    """Return the weights, 0 where the mask of the predictions leaves a step out."""
    counted = over_losses(mask, values)
    if counted is None:
        return sample_weight
    counted = ops.cast(counted, "float64")
    if sample_weight is None:
        return counted
    return ops.multiply(counted, spread_weight(ops.cast(sample_weight, "float64"), counted))


def _by_sample(values: Value) -> Value:
    """Return the mean over all axes but the first."""
    return ops.mean(values, axis=range(1, values.ndim)) if values.ndim > 1 else values


MeanMetricWrapper = MeanMetric
