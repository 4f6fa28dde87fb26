"""A step of training that also measures: the same operations, the same bits, and what they made.

What is measured is read where the plan leaves it, so nothing is computed otherwise for being
watched. A value that a fusion has swallowed (what a convolution hands to its pooling) is not there
to be measured; what the next layer that is there makes of it stands in its place.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from chainrule.graph import Value, Variable
from chainrule.ops.survey import BINS, MEASURES
from chainrule.plan.rewriting import apply
from chainrule.plan.schedule import root
from chainrule.training.initialization import activation_of, exits_of, layer_name, users_of
from chainrule.training.trace import Traced
from chainrule.training.verdicts import ENDS

SAMPLE = 512  # elements of an array whose sizes are counted, about
PROBES = 64  # elements of a gradient that are followed from step to step, about
WIDTH = MEASURES + BINS
_GROUP, _NARROW = 8, 512  # rows that are measured together, where they have no more elements
# Of large weights: every so many rows of them and of their updates are measured, and of groups of
# rows of their gradients. At batch 32 a step of 784-128-10 would take 41 % longer with all.
_ROWS, _GROUPS = 8, 4
_SMALL = 32768  # elements of a weight: rows of few of them cost more than the pass over it
_UNSEEN = (
    "Dropout",
    "SpatialDropout1D",
    "SpatialDropout2D",
    "SpatialDropout3D",
    "AlphaDropout",
    "GaussianDropout",
    "GaussianNoise",
    "Flatten",
    "Reshape",
    "Permute",
    "Identity",
    "Rescaling",
    "Normalization",
)
_ENDS = {**ENDS, "hard_sigmoid": ENDS["sigmoid"], "hard_tanh": ENDS["tanh"]}
_OF_WEIGHTS = ("weight", "gradient", "update")
_NAMED = (*_ENDS, "relu", "softmax", "elu", "selu", "gelu", "softplus")
_GATED = ("SimpleRNN", "LSTM", "GRU")


@dataclass(frozen=True)
class LayerInfo:
    """A layer that is measured.

    Attributes
    ----------
    name : str
        Its name; within another, behind that one's and a slash.
    kind : str
        Its class, e.g. ``"Dense"``.
    activation : str
        E.g. ``"relu"``; empty where the output is linear or made otherwise.
    units : int
        Features or channels: the last axis of its output.
    depth : int
        Its place among the layers measured, from 0.
    shape : tuple of int
        That of the output for one sample.
    """

    name: str
    kind: str
    activation: str
    units: int
    depth: int
    shape: tuple[int, ...]


@dataclass(frozen=True)
class WeightInfo:
    """A weight that is trained: its name, that of its layer, and its shape."""

    name: str
    layer: str
    shape: tuple[int, ...]


@dataclass
class StepSurvey:
    """The survey of a step: which values, and where their measures are in the row of a step.

    `columns` says for each thing measured (``("activation", 0)``, ``("gradient", 3)``, ...) where
    in the row it begins and ends, `sizes` of how many elements that is. Cotangents are
    `scale` times those of the loss.
    """

    traced: Traced
    cotangents: Mapping[Value, Value]
    scale: float = 1.0
    layers: list[LayerInfo] = field(default_factory=list)
    weights: list[WeightInfo] = field(default_factory=list)
    columns: dict[tuple[str, int], slice] = field(default_factory=dict)
    sizes: dict[tuple[str, int], int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        loss = self.traced.loss
        self._variables = [v for v, _ in self.traced.assigns if v.leaf in self.cotangents]
        self._exits = {} if loss is None else exits_of(loss, _rows(self.traced))
        self._users = {} if loss is None else users_of(loss)
        found = [*self._exits.values(), *(v.leaf for v in self._variables)]
        slopes = [self.cotangents[v] for v in found if v in self.cotangents]
        self.watched = [*self._exits.values(), *slopes, *([] if loss is None else [loss])]

    def measures(
        self, now: Mapping[Value, Value], new: Mapping[Variable, Value]
    ) -> Sequence[Value]:
        """Return one row of numbers; what there is to read of a weight comes before it is moved."""
        parts: list[Value] = []
        for variable in self._variables:
            self._weight(parts, variable, new[variable], now.get(self.cotangents[variable.leaf]))
        seen: set[Value] = set()
        for path, value in self._exits.items():
            self._layer(parts, path, value, now, seen)
        loss = None if self.traced.loss is None else now.get(self.traced.loss)
        if loss is not None:
            self._add(parts, ("loss", 0), _flat(loss))
        return [_joined(parts)] if parts else []

    def _add(self, parts: list[Value], key: tuple[str, int], row: Value) -> None:
        """Append a row [1, k] as float64."""
        first = max((s.stop for s in self.columns.values()), default=0)
        self.columns[key] = slice(first, first + row.shape[1])
        parts.append(row if row.dtype == "float64" else _one("cast", row, dtype="float64"))

    def _measure(self, parts: list[Value], key: tuple[str, int], *x: Value, **how: Any) -> None:
        """Append the measures of an array, or of the change from one to another, and the elements
        that stand for all where that is asked."""
        row, probes = _surveyed(x, whole=key[0] in _OF_WEIGHTS, **how)
        self.sizes[key] = x[0].size
        self._add(parts, key, row)
        if probes is not None:
            self._add(parts, ("probes", key[1]), probes)

    def _weight(self, parts: list[Value], variable: Variable, new: Value, g: Value | None) -> None:
        i = len(self.weights)
        layer = next((layer_name(p) for p, held in self._users.items() if variable in held), "")
        self.weights.append(WeightInfo(variable.name or f"weight {i}", layer, variable.shape))
        many = _is_large(variable.leaf)
        # The old value is kept aside, and comes first, so that the new one may be written over.
        old = _rows_of(variable.leaf) if many else _one("scale", variable.leaf, factor=1.0)
        now = _rows_of(new) if many else new
        self._measure(parts, ("update", i), old, now)
        if g is not None:
            self._measure(parts, ("gradient", i), g, probes=True, every=_GROUPS if many else 1)
        self._measure(parts, ("weight", i), now)
        self.sizes["update", i] = self.sizes["weight", i] = variable.leaf.size

    def _layer(
        self,
        parts: list[Value],
        path: tuple[str, ...],
        value: Value,
        now: Mapping[Value, Value],
        seen: set[Value],
    ) -> None:
        kind, exit_ = _kind(path[-1]), value
        if value not in now:
            exit_ = self._after(path, value)
        here = None if exit_ not in now else root(now[exit_])
        if here is None or here.node is None or here in seen or kind in _UNSEEN:
            return
        seen.add(here)
        i, activation = len(self.layers), _activation(value, kind) or _activation(here, "")
        units = here.shape[-1] if here.ndim > 1 else 1
        self.layers.append(LayerInfo(layer_name(path), kind, activation, units, i, exit_.shape[1:]))
        low, high = _ENDS.get(activation, (-math.inf, math.inf))
        self._measure(parts, ("activation", i), here, ends=(low, high))
        if activation == "relu" and here.ndim > 1:
            most = _one("reduce_max", here, axes=tuple(range(here.ndim - 1)))
            self._add(parts, ("most", i), _flat(most))
        slope = self.cotangents.get(exit_)
        if slope is not None and slope in now:
            self._measure(parts, ("error", i), now[slope])

    def _after(self, path: tuple[str, ...], value: Value) -> Value:
        """Return what the next layer puts out, where that is a pooling of the layer's output."""
        paths = list(self._exits)
        following = paths[paths.index(path) + 1 :][:1]
        pooled = following and "Pooling" in _kind(following[0][-1])
        return self._exits[following[0]] if pooled else value


def _rows(traced: Traced) -> int:
    batch = traced.feeds.get("index", traced.feeds["x"])
    return batch.shape[0]


def _one(name: str, *arguments: Value, **attributes: object) -> Value:
    return apply(name, arguments, attributes)[0]


def _flat(value: Value) -> Value:
    return _one("reshape", value, shape=(1, value.size))


def _surveyed(
    xs: Sequence[Value],
    ends: tuple[float, float] = (-math.inf, math.inf),
    probes: bool = False,
    whole: bool = False,
    every: int = 1,
) -> tuple[Value, Value | None]:
    """Return the measures of an array, or of a change, as a row, and elements that stand for all.

    A small one that may be looked at `whole` is taken as one row, which saves work for each row.
    """
    if not xs[0].shape or (whole and xs[0].size <= _SMALL):
        xs = [_flat(x) for x in xs]
    elements, rows = xs[0].size, max(xs[0].shape[0], 1)
    size = elements // rows
    group = _GROUP if size <= _NARROW else 1
    every = every if group > 1 else 1
    groups = -(-rows // (group * every))
    count = min(max(-(-PROBES // groups), 1), max(size, 1)) if probes else 0
    stride = max(-(-elements // (SAMPLE * every)), -(-size * group // 255), 1)
    attributes: dict[str, Any] = {"stride": stride | 1, "probes": count, "group": group}
    attributes["every"] = every
    if len(xs) == 1:
        attributes["low"], attributes["high"] = ends
    measures, counts = apply("survey" if len(xs) == 1 else "survey_change", xs, attributes)
    row = _one("survey_total", measures, counts)
    if not count:
        return row, None
    step = group * every * max(groups // PROBES, 1)
    picked = _one(
        "slice",
        measures,
        start=(0, MEASURES),
        stop=(rows, MEASURES + count),
        step=(step, 1),
    )
    return row, _flat(picked)


def _is_large(weight: Value) -> bool:
    """Return whether some rows stand for all of a weight."""
    return weight.ndim > 1 and weight.size > _SMALL and weight.shape[0] >= 64


def _rows_of(weight: Value) -> Value:
    return _one("sample_rows", weight, every=_ROWS)


def _joined(rows: list[Value]) -> Value:
    """Return rows one behind the other; an operation takes 15 at a time."""
    while len(rows) > 1:
        groups = [rows[i : i + 15] for i in range(0, len(rows), 15)]
        rows = [g[0] if len(g) == 1 else _one("concatenate", *g, axis=1) for g in groups]
    return rows[0]


def _kind(label: str) -> str:
    """Return the class in ``layer 'hidden' (Dense, 8 units)``."""
    return label.rpartition("(")[2].partition(",")[0].rstrip(")") if "(" in label else ""


def _activation(value: Value, kind: str) -> str:
    found = activation_of(value)
    known = (
        "relu",
        "tanh",
        "sigmoid",
        "hard_sigmoid",
        "softmax",
        "elu",
        "selu",
        "gelu",
        "softplus",
    )
    if found in known:
        return found
    return "tanh" if kind in _GATED else ""
