"""What a network does with its first batch, layer by layer, before any weight has moved."""

from __future__ import annotations

import ast
import re
import sys
import warnings
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from chainrule.data.batches import Batches, Order
from chainrule.dtypes import Array, is_float
from chainrule.errors import ChainruleError, InitializationWarning
from chainrule.graph import Node, Value, Variable, gradient, ordered
from chainrule.layers.recurrent import states_aside
from chainrule.optimizers import Optimizer
from chainrule.training.aside import load, loss_of, without_metrics
from chainrule.training.finding import Finding
from chainrule.training.own_step import overridden
from chainrule.training.screening import is_plain
from chainrule.training.step import layout_of
from chainrule.training.trace import trace
from chainrule.training.trainer import Trainer
from chainrule.training.verdicts import Signal, Weight, judge

ROWS = 64  # samples that are looked at: enough for a spread, and cheap
_FEWEST = 8  # with fewer nothing can be said
_FORMS = ("reshape", "broadcast", "slice", "transpose")
_QUOTED = re.compile(r"'(?:[^'\\]|\\.)*'" r'|"(?:[^"\\]|\\.)*"')  # as repr writes it
_ROOM = 2**19  # bytes that outputs and their gradients may take, where nobody asked for the look


class Watcher(Optimizer):
    """An optimizer that keeps the gradients it is shown, and moves nothing."""

    def __init__(self) -> None:
        super().__init__(0.0)
        self.seen: list[tuple[Value, Variable]] = []

    def updates(
        self, gradients: Sequence[Value | None], variables: Sequence[Variable]
    ) -> list[tuple[Variable, Value]]:
        """Return nothing to be assigned."""
        pairs = zip(gradients, variables, strict=True)
        self.seen = [(g, v) for g, v in pairs if g is not None]
        return []


@dataclass(frozen=True)
class Row:
    """One layer before the first step.

    Attributes
    ----------
    layer : str
        Its name; within another, behind that one's and a slash.
    activation : float
        The standard deviation of its outputs over the samples, in the mean over its units.
    error : float
        The norm of the gradient of the loss by its outputs, as a share of the last layer's.
    ratio : float
        `activation` as a multiple of that of the layer before, for the first of the input's.
    verdict : str
        ``"healthy"``, or what is wrong.
    """

    layer: str
    activation: float
    error: float
    ratio: float
    verdict: str = "healthy"


@dataclass(frozen=True)
class Initialization:
    """What a network does before its first step; printing it shows a table and the findings.

    Attributes
    ----------
    rows : tuple of Row
        The layers, in the order of their outputs.
    findings : tuple of Finding
        What will keep the network from learning, each kind where it is met first; empty where all
        is well.
    """

    rows: tuple[Row, ...]
    findings: tuple[Finding, ...] = field(default=())

    @property
    def healthy(self) -> bool:
        """Whether nothing was found."""
        return not self.findings

    def __str__(self) -> str:
        heads = ("layer", "std of activations", "ratio", "error signal", "verdict")
        lines = [heads]
        for r in self.rows:
            numbers = (f"{r.activation:.3g}", f"{r.ratio:.3g}", f"{r.error:.3g}")
            lines.append((r.layer, *numbers, r.verdict))
        widths = [max(len(line[i]) for line in lines) for i in range(len(heads))]
        table = [
            "  ".join(
                cell.rjust(w) if 0 < i < 4 else cell.ljust(w)
                for i, (cell, w) in enumerate(zip(line, widths, strict=True))
            ).rstrip()
            for line in lines
        ]
        verdict = [str(found) for found in self.findings] or ["the network starts healthy"]
        return "\n".join([*table, *verdict])

    def __repr__(self) -> str:
        kinds = ", ".join(found.kind for found in self.findings) or "healthy"
        return f"<Initialization of {len(self.rows)} layers: {kinds}>"


def forewarn(trainer: Trainer, batches: Any) -> None:
    """Warn before the first step of a network that will hardly learn as it is.

    For all others this costs a look at the weights; see `is_plain`.
    """
    if not isinstance(batches, Batches) or len(batches) < _FEWEST or trainer.epoch:
        return
    if trainer.optimizer is None or int(trainer.optimizer.iterations):
        return
    if overridden(trainer.model, "train"):
        return  # nobody knows what its step makes of the weights
    rows = rows_of(len(batches))
    if is_plain(trainer.model, batches.x[rows]):
        return
    try:
        result = inspect(trainer, batches, rows, _ROOM)
    except ChainruleError:
        return  # what is wrong with data or shapes, the first step says
    if not result.healthy:
        told = "\n".join(str(found) for found in result.findings)
        warnings.warn(InitializationWarning(told), stacklevel=_outside())


def _outside() -> int:
    """Return how many calls back the user's own line is, for the caller's caller as 1."""
    frame, level = sys._getframe(1), 1
    while frame.f_back is not None and _is_ours(frame.f_globals):
        frame, level = frame.f_back, level + 1
    return level


def _is_ours(names: dict[str, Any]) -> bool:
    # What was run by `exec` may have no name.
    return str(names.get("__name__", "")).startswith("chainrule.")


def rows_of(n: int, most: int = ROWS) -> Order:
    """Return the numbers of some samples from all over the data."""
    return np.unique(np.linspace(0, n - 1, min(n, most)).astype(np.int64))


def inspect(
    trainer: Trainer, batches: Batches, rows: Order, room: int | None = None
) -> Initialization:
    """Return what the model does with these rows, or with some of them, where all would take more
    bytes than there is `room` for; nothing is changed."""
    signals, _ = look(trainer, batches, rows, room)
    x = batches.x[rows]
    scale = spread(x)
    given = scale if x.dtype.kind == "f" else 0.0  # whole numbers may be those of words
    findings = judge(signals, scale)
    wrong = {found.layer: found.kind.replace("_", " ") for found in reversed(findings)}
    kinds = {found.kind: found for found in reversed(findings)}
    first = [found for found in findings if kinds[found.kind] is found]
    last = signals[-1].error if signals else 1.0
    states, before = [], given
    for s in signals:
        ratio = s.spread / before if before else float("nan")
        share = s.error / last if last else 0.0
        states.append(Row(s.layer, s.spread, share, ratio, wrong.get(s.layer, "healthy")))
        before = s.spread
    return Initialization(tuple(states), tuple(first))


def look(
    trainer: Trainer, batches: Batches, rows: Order, room: int | None = None
) -> tuple[list[Signal], float]:
    """Return outputs, errors and weights of the layers, and the loss, for one step that stores
    nothing."""
    lent = without_metrics(trainer)
    watcher = lent.optimizer = Watcher()
    layout = layout_of("train", len(rows), batches, gathered=True)
    with states_aside(trainer.model):
        traced = trace(lent, layout)
    traced.assigns = []
    loss = loss_of(traced)
    exits = exits_of(loss, len(rows))
    outputs = list(exits.values())
    if room is not None and (fewer := _fitting(outputs, len(rows), room)) < len(rows):
        return look(trainer, batches, rows[rows_of(len(rows), fewer)])
    errors = gradient(loss, outputs)
    # A gated recurrent unit's bias has two axes.
    kernels = [(g, v) for g, v in watcher.seen if v.ndim > 1 and not v.name.endswith(".bias")]
    step = load(layout, traced, [*outputs, *errors, *(g for g, _ in kernels), loss])
    step.run(batches, 0, 1, rows)
    found = [step.program.output(i) for i in range(2 * len(outputs) + len(kernels) + 1)]
    gradients = {id(v): g for g, (_, v) in zip(found[2 * len(outputs) : -1], kernels, strict=True)}
    users = _held(loss, exits)
    signals = []
    for i, (path, value) in enumerate(exits.items()):
        held = [v for v in users.get(path, []) if id(v) in gradients]
        weights = [Weight(v.name, v.value, gradients[id(v)]) for v in held]
        error = found[len(outputs) + i].astype(np.float64)
        size = float(np.sqrt(np.square(error).sum()))
        name = layer_name(path)
        signals.append(
            Signal(name, activation_of(value), found[i], spread(found[i]), size, weights)
        )
    return signals, float(found[-1])


def _fitting(outputs: Sequence[Value], n: int, room: int) -> int:
    """Return for how many of n samples outputs and gradients fit the room, at least a few."""
    bytes_each = 2 * sum(y.size * np.dtype(y.dtype).itemsize for y in outputs) // n
    return min(n, max(_FEWEST, room // max(bytes_each, 1)))


def exits_of(loss: Value, n: int) -> dict[tuple[str, ...], Value]:
    """Return what each layer hands to others: the last of its values, n rows of floats, that is
    read outside of it; in the order in which they are made."""
    nodes = ordered([loss])
    found: dict[tuple[str, ...], Value] = {}
    for node in nodes:
        for value in node.arguments:
            path = () if value.node is None else value.node.path
            leaves = not _within(node.path, path)
            if len(path) > 1 and leaves and is_float(value.dtype) and value.shape[:1] == (n,):
                found[path] = value
    place = {node: i for i, node in enumerate(nodes)}
    return dict(sorted(found.items(), key=lambda item: _place(place, item[1])))


def _place(place: dict[Node, int], value: Value) -> int:
    return -1 if value.node is None else place[value.node]


def users_of(loss: Value) -> dict[tuple[str, ...], list[Variable]]:
    """Return the variables that the nodes of each layer read."""
    found: dict[tuple[str, ...], list[Variable]] = {}
    for node in ordered([loss]):
        for value in node.arguments:
            if value.variable is not None:
                found.setdefault(node.path, []).append(value.variable)
    return found


def _held(loss: Value, exits: Collection[tuple[str, ...]]) -> dict[tuple[str, ...], list[Variable]]:
    """Return the variables that each layer with an exit reads, itself or by layers in it that have
    none: of these a wrapper changes the form of what they hand out."""
    found: dict[tuple[str, ...], list[Variable]] = {}
    for path, variables in users_of(loss).items():
        while path and path not in exits:
            path = path[:-1]
        found.setdefault(path, []).extend(variables)
    return found


def layer_name(path: Sequence[str]) -> str:
    """Return the name of the layer at this path; within another, behind that one's and a slash."""
    return "/".join(name_in(label) for label in path[1:])


def name_in(label: str) -> str:
    """Return the name in ``layer 'hidden' (Dense, 8 units)``, or in ``layer "it's" (Dense)``."""
    quoted = _QUOTED.search(label)
    return str(ast.literal_eval(quoted[0])) if quoted else str(label)


def activation_of(value: Value) -> str:
    """Return the name of the operation that made a value, for a dense one that of its activation;
    changes of form within the same layer, or around one that it wraps, do not count."""
    first = value.node
    while (node := value.node) is not None and node.op.name in _FORMS:
        before = node.arguments[0]
        if before.node is None or first is None or not _within(before.node.path, first.path):
            break
        value = before
    if value.node is None:
        return ""
    return str(dict(value.node.attributes).get("activation") or value.node.op.name)


def _within(path: tuple[str, ...], outer: tuple[str, ...]) -> bool:
    return path[: len(outer)] == outer


def spread(values: Array) -> float:
    """Return the standard deviation over the rows, in the quadratic mean over all else."""
    with np.errstate(over="ignore", invalid="ignore"):
        return float(np.sqrt(values.astype(np.float64).var(axis=0).mean())) if values.size else 0.0
