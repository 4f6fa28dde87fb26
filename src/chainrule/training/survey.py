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

import numpy as np

from chainrule.graph import Value, Variable, among
from chainrule.ops.survey import BINS, MEASURES
from chainrule.plan.rewriting import apply
from chainrule.plan.schedule import root
from chainrule.training.initialization import activation_of, exits_of, layer_name, users_of
from chainrule.training.trace import Traced
from chainrule.training.verdicts import ENDS

SAMPLE = 256  # elements of an array whose sizes are counted, about
PROBES = 64  # elements of a gradient that are followed from step to step, about
WIDTH = MEASURES + BINS
_GROUP, _NARROW = 8, 512  # rows that are measured together, where they have no more elements
# Of so many groups of a large weight one is measured: with all, a step of 784-128-10 took 40 %
# longer at batch 32.
_FEW = 8
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


Key = tuple[str, int]


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


@dataclass(eq=False)
class StepSurvey:
    """The survey of a step: which values, and where their measures are in the row of a step.

    `blocks` are the things measured, sorted (``("activation", 0)``, ``("activation", 1)``, ...),
    each `WIDTH` numbers of the row from its beginning on, and `sizes` of how many elements each is.
    `extras` says where other numbers begin and end. Cotangents are `scale` times those of the loss.
    """

    traced: Traced
    cotangents: Mapping[Value, Value]
    scale: float = 1.0
    layers: list[LayerInfo] = field(default_factory=list)
    weights: list[WeightInfo] = field(default_factory=list)
    blocks: list[Key] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    extras: dict[Key, slice] = field(default_factory=dict)

    def __post_init__(self) -> None:
        loss = self.traced.loss
        self._variables = [v for v, _ in self.traced.assigns if v.leaf in self.cotangents]
        self._exits = {} if loss is None else exits_of(loss, _rows(self.traced))
        self._users = {} if loss is None else users_of(loss)
        found = [*self._exits.values(), *(v.leaf for v in self._variables)]
        slopes = [self.cotangents[v] for v in found if v in self.cotangents]
        self.watched = [*self._exits.values(), *slopes, *([] if loss is None else [loss])]
        self._measured: list[tuple[Key, int, Value]] = []  # blocks with their sizes
        self._more: list[tuple[Key, Value]] = []

    def measures(
        self, now: Mapping[Value, Value], new: Mapping[Variable, Value]
    ) -> Sequence[Value]:
        """Return one row of numbers; what there is to read of a weight comes before it is moved."""
        for variable in self._variables:
            self._weight(variable, new[variable], now.get(self.cotangents[variable.leaf]))
        seen: set[Value] = set()
        for path, value in self._exits.items():
            self._layer(path, value, now, seen)
        loss = None if self.traced.loss is None else now.get(self.traced.loss)
        if loss is not None:
            self._more.append((("loss", 0), _flat(loss)))
        parts: list[Value] = []
        for key, size, row in sorted(self._measured, key=lambda one: one[0]):
            self.blocks.append(key)
            self.sizes.append(size)
            parts.append(row)
        end = WIDTH * len(parts)
        for key, value in self._more:
            self.extras[key] = slice(end, end + value.size)
            parts.append(value)
            end += value.size
        self._measured, self._more = [], []
        return [_joined(parts)] if parts else []

    def _measure(
        self,
        key: Key,
        *x: Value,
        every: int = 1,
        probes: bool = False,
        ends: tuple[float, float] = (-math.inf, math.inf),
    ) -> None:
        """Append the measures of an array, or of the change from one to another, and the elements
        that stand for all where that is asked."""
        xs = [_in_rows(one) for one in x]
        look = _look(xs[0], every, whole=key[0] in _OF_WEIGHTS)
        count = look.probes if probes else 0
        attributes: dict[str, Any] = {**look.where, "stride": look.stride, "probes": count}
        if len(x) == 1:
            attributes["low"], attributes["high"] = ends
        measures, counts = apply("survey" if len(x) == 1 else "survey_change", xs, attributes)
        size = math.prod(xs[0].shape[1:])
        total = _one("survey_total", measures, counts, size=size, **look.where)
        self._measured.append((key, x[0].size, total))
        if probes:
            self._more.append((("probes", key[1]), _flat(look.picked(xs[0], measures))))

    def _weight(self, variable: Variable, new: Value, g: Value | None) -> None:
        i = len(self.weights)
        users = (path for path, held in self._users.items() if among(variable, held))
        layer = layer_name(next(users, ()))
        self.weights.append(WeightInfo(variable.name or f"weight {i}", layer, variable.shape))
        every = _FEW if _is_large(variable.leaf) else 1
        # The old value is kept aside, and comes first, so that the new one may be written over.
        value = _in_rows(variable.leaf)
        old = _one("survey_keep", value, **_look(value, every, whole=True).where)
        self._measure(("update", i), old, new, every=every)
        if g is not None:
            self._measure(("gradient", i), g, every=every, probes=True)
        self._measure(("weight", i), new, every=every)

    def _layer(
        self,
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
        self._measure(("activation", i), here, ends=(low, high))
        if activation == "relu" and here.ndim > 1:
            most = _one("reduce_max", here, axes=tuple(range(here.ndim - 1)))
            self._more.append((("most", i), _flat(most)))
        slope = self.cotangents.get(exit_)
        if slope is not None and slope in now:
            self._measure(("error", i), now[slope])

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


def _in_rows(value: Value) -> Value:
    return value if value.shape else _flat(value)


def _flat(value: Value) -> Value:
    return _one("reshape", value, shape=(1, value.size))


@dataclass(frozen=True)
class _Look:
    """How an array is measured: every so many groups of so many rows, sizes of every `stride`-th
    element, and so many elements of each group that stand for all (0: some of the array do)."""

    group: int
    every: int
    stride: int
    probes: int

    @property
    def where(self) -> dict[str, int]:
        """Which rows are measured."""
        return {"group": self.group, "every": self.every}

    def picked(self, x: Value, measures: Value) -> Value:
        """Return elements that stand for all."""
        if not self.probes:
            step = max(x.size // PROBES, 1)
            while x.ndim > 1 and math.gcd(step, x.shape[-1]) > 1:  # not always the same columns
                step += 1
            return _one("slice", _flat(x), start=(0, 0), stop=(1, x.size), step=(1, step))
        rows = measures.shape[0]
        stop = rows, MEASURES + self.probes
        apart = self.group * self.every
        step = apart * max(-(-rows // apart) // PROBES, 1)
        return _one("slice", measures, start=(0, MEASURES), stop=stop, step=(step, 1))


def _look(x: Value, every: int, whole: bool) -> _Look:
    """Return how to measure an array; a small one that may be taken as a `whole` is one group."""
    rows = max(x.shape[0], 1)
    size = x.size // rows
    group = _GROUP if size <= _NARROW else 1
    if whole and x.size <= _SMALL:
        group = rows
    stride = max(-(-x.size // (SAMPLE * every)), -(-size * group // 255), 1) | 1
    groups = -(-rows // (group * every))
    probes = min(-(-PROBES // groups), max(size, 1)) if every > 1 else 0
    return _Look(group, every, stride, probes)


def _is_large(weight: Value) -> bool:
    """Return whether some rows stand for all of a weight."""
    return weight.ndim > 1 and weight.size > _SMALL and weight.shape[0] >= 64


def _joined(rows: list[Value]) -> Value:
    """Return rows one behind the other; an operation takes 15 at a time."""
    kind = max((row.dtype for row in rows), key=lambda name: np.dtype(name).itemsize)
    rows = [row if row.dtype == kind else _one("cast", row, dtype=kind) for row in rows]
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
