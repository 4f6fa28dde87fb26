"""Several outputs: a loss, a weight and metrics for each, given in a list or by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from chainrule import losses, metrics, ops
from chainrule.errors import ArgumentError
from chainrule.graph import Value
from chainrule.losses import Loss
from chainrule.metrics import Metric


class OutputLoss(Metric):
    """The mean over samples of the loss of one output, before its weight is applied.

    Parameters
    ----------
    name : str
        That of the output, with ``_loss`` behind.

    Examples
    --------
    >>> from chainrule.training.outputs import OutputLoss
    >>> OutputLoss("price_loss").result()
    0.0
    """

    direction = "min"

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.total = self.add_variable((), name="total")
        self.count = self.add_variable((), name="count")

    def update(self, loss: Value, rows: int) -> list[Value]:
        """Return the new sums, after a batch of so many rows with this mean loss."""
        part = ops.multiply(ops.cast(loss, "float64"), float(rows))
        return [ops.add(self.total.leaf, part), ops.add(self.count.leaf, float(rows))]

    def result(self) -> float:
        """Return the mean, 0 before any sample."""
        return float(self.total.value) / max(float(self.count.value), 1.0)


@dataclass
class Output:
    """How one output is trained and measured."""

    name: str
    loss: Loss | None
    weight: float = 1.0
    asked: list[Any] = field(default_factory=list)
    asked_weighted: list[Any] = field(default_factory=list)
    metrics: list[Metric] = field(default_factory=list)
    weighted: list[Metric] = field(default_factory=list)
    measured: OutputLoss | None = None

    def resolve(self, shape: tuple[int | None, ...]) -> None:
        """Make metrics of what was asked for, for an output of this shape."""
        self.metrics = [self._metric(m, shape) for m in self.asked]
        self.weighted = [self._metric(m, shape) for m in self.asked_weighted]
        if self.loss is not None:
            self.measured = OutputLoss(f"{self.name}_loss")

    def _metric(self, asked: Any, shape: tuple[int | None, ...]) -> Metric:
        return metrics.get(asked, loss=self.loss, output_shape=shape)


class Losses:
    """What `compile` was given for a model with several outputs.

    Parameters
    ----------
    loss, loss_weights, metrics, weighted_metrics
        See `Model.compile`.
    names : sequence of str
        Of the outputs.

    Raises
    ------
    ArgumentError
        For names that are no outputs, or lists of another length.

    Examples
    --------
    >>> from chainrule.training.outputs import Losses
    >>> both = Losses({"a": "mse", "b": "mae"}, [1.0, 0.5], None, None, ["a", "b"])
    >>> [(o.name, o.weight) for o in both.outputs]
    [('a', 1.0), ('b', 0.5)]
    """

    def __init__(
        self,
        loss: Any,
        loss_weights: Any,
        metrics: Any,
        weighted_metrics: Any,
        names: Sequence[str],
    ) -> None:
        self.given = {
            "loss": loss,
            "loss_weights": loss_weights,
            "metrics": metrics,
            "weighted_metrics": weighted_metrics,
        }
        each = loss if is_many(loss) else [loss] * len(names)
        chosen = [None if x is None else losses.get(x) for x in spread("loss", each, names)]
        weights = spread("loss_weights", loss_weights, names)
        asked = spread("metrics", metrics, names)
        weighted = spread("weighted_metrics", weighted_metrics, names)
        self.outputs = [
            Output(name, chosen[i], weight(weights[i]), _listed(asked[i]), _listed(weighted[i]))
            for i, name in enumerate(names)
        ]
        if not any(chosen):
            raise ArgumentError("loss names no output to be trained")

    @property
    def reduction(self) -> str:
        """How the losses are reduced, if all are reduced alike."""
        found = {o.loss.reduction or "none" for o in self.outputs if o.loss is not None}
        return found.pop() if len(found) == 1 else "mixed"

    @property
    def name(self) -> str:
        """The names of the losses."""
        return ", ".join(o.loss.name for o in self.outputs if o.loss is not None)

    def measured(self) -> list[tuple[str, Metric]]:
        """Return what is reported beside the loss, by name."""
        means = [(m.name, m) for o in self.outputs if (m := o.measured) is not None]
        parts = [(f"{o.name}_", o.metrics, o.weighted) for o in self.outputs]
        return [*means, *names_of(parts)]


def names_of(
    outputs: Sequence[tuple[str, Sequence[Metric], Sequence[Metric]]],
) -> list[tuple[str, Metric]]:
    """Return the metrics of each output by name, those that heed sample weights last.

    Each name begins with that of the output. One of a name that is there says that it is weighted.
    """
    named = [(f"{output}{m.name}", m) for output, plain, _ in outputs for m in plain]
    for output, _, weighted in outputs:
        for metric in weighted:
            taken = any(name == f"{output}{metric.name}" for name, _ in named)
            named.append((f"{output}{'weighted_' * taken}{metric.name}", metric))
    return named


def is_many(loss: Any) -> bool:
    """Return whether these are losses in a list or by name, not one or its configuration."""
    return isinstance(loss, list | tuple) or (
        isinstance(loss, Mapping) and "class_name" not in loss
    )


def spread(what: str, given: Any, names: Sequence[str]) -> list[Any]:
    """Return what was given for each output, in order; ``None`` where nothing was.

    Raises
    ------
    ArgumentError
        For names that are no outputs, or a list of another length.
    """
    if given is None or (isinstance(given, list | tuple) and not given):
        return [None] * len(names)
    if isinstance(given, Mapping):
        if wrong := [key for key in given if key not in names]:
            raise ArgumentError(
                f"{what} names the output {wrong[0]!r}; the outputs are "
                f"{', '.join(map(repr, names))}"
            )
        return [given.get(name) for name in names]
    if not isinstance(given, list | tuple) or len(given) != len(names):
        raise ArgumentError(
            f"{what} is {given!r}; expected one for each output ({', '.join(map(repr, names))}), "
            "in a list or by name"
        )
    return list(given)


def _listed(asked: Any) -> list[Any]:
    """Return the metrics of one output, given alone or in a list."""
    if asked is None:
        return []
    found = list(asked) if isinstance(asked, list | tuple) else [asked]
    for one in found:
        metrics.get(one)  # a name that does not exist is told now; what it means, later
    return found


def weight(given: Any) -> float:
    """Return the factor of a loss; 1 where none is given."""
    if given is None:
        return 1.0
    try:
        return float(given)
    except (TypeError, ValueError):
        raise ArgumentError(f"a loss weight is a number, not {given!r}") from None
