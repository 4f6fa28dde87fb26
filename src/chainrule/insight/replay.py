"""The first number that is not finite: the step in which it arose is run again, node by node."""

from __future__ import annotations

import copy
import math
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from chainrule.data.iterables import Iterated, Sequenced
from chainrule.data.prefetch import drawn
from chainrule.data.source import Endless, First, Source, Window
from chainrule.dtypes import Array
from chainrule.errors import ChainruleError, GraphError
from chainrule.graph import Node, Value, Variable, ordered
from chainrule.graph.primitive import run_body
from chainrule.graph.scope import BACKWARD
from chainrule.insight.trials import going_back
from chainrule.training.aside import aside, training_step
from chainrule.training.finding import Finding
from chainrule.training.initialization import layer_name
from chainrule.training.said import Said, said
from chainrule.training.step import Layout, Step, layout_of
from chainrule.training.trace import Traced, trace
from chainrule.training.trainer import Snapshot, Trainer

if TYPE_CHECKING:
    from chainrule.training.loop import Run

_LARGE = 1e4  # weights beyond it have run off
_REMEDIES = {
    "log": said("add a small number to what the logarithm is taken of, or keep it above one"),
    "sqrt": said("add a small number under the root: its slope at 0 is infinite"),
    "divide": said("add a small number to the divisor"),
    "reciprocal": said("add a small number to the divisor"),
    "power": said("keep the base above a small number"),
    "exp": said("keep the exponent below 88, or take the logarithm of the result into the formula"),
}


@dataclass(frozen=True)
class Place:
    """Where a run stood when its state was copied: which batch of which epoch comes next."""

    state: Snapshot
    epoch: int
    batch: int
    passes: int


@dataclass(frozen=True)
class Arisen:
    """What an operation made of numbers that were all finite.

    Attributes
    ----------
    operation : str
        Its name.
    layer : str or None
        Of which layer it is; of none where the loss or the optimizer has it.
    backward : bool
        Whether it belongs to the gradient.
    value : float
        The first number that is not finite.
    row : int or None
        In which sample of the batch; ``None`` for what has no samples.
    arguments : tuple of (float, float)
        The least and the largest number of each array that it was given.
    weight : str or None
        The weight that it is the update of.
    """

    operation: str
    layer: str | None
    backward: bool
    value: float
    row: int | None
    arguments: tuple[tuple[float, float], ...]
    weight: str | None = None


def place_of(run: Run, epoch: int, batch: int) -> Place:
    """Return where a run stands, with a copy of its state."""
    return Place(Snapshot(run.trainer), epoch, batch, run.training.passes)


def non_finite(run: Run, place: Place) -> Finding | None:
    """Return what the steps from a place on, run again, first make that is not finite; ``None``
    where nothing is, or the data cannot be read again. The model stays as it is."""
    source = _again(run.training, place.passes)
    if source is None:
        return None
    try:
        with (
            going_back(run.trainer),
            aside(run.trainer) as lent,
            np.errstate(all="ignore"),
        ):
            return _replayed(run, lent, source, place)
    except ChainruleError:
        return None  # models with steps of their own cannot be put back


def _again(source: Source, passes: int) -> Source | None:
    """Return the source as it was, if reading it anew runs nothing of the user's."""
    if isinstance(source, Iterated | Sequenced):
        return None
    again = copy.copy(source)
    again.passes = passes
    if isinstance(again, Endless | First):
        inner = _again(again.source, again.source.passes)
        if inner is None:
            return None
        again.source = inner
    return again


@dataclass(frozen=True)
class _One:
    """A step: its window and the first of its samples."""

    window: Window
    first: int
    size: int

    @property
    def rows(self) -> Array:
        rows = np.arange(self.first, self.first + self.size)
        return rows if self.window.order is None else self.window.order[rows]


def _replayed(run: Run, lent: Trainer, source: Source, place: Place) -> Finding | None:
    """Run until the loss, or what a step stored, is not finite; once more up to that step, and look
    into it."""
    made: dict[Layout, Step] = {}
    with _steps(run, source, place) as steps:
        bad = (i for i, one in enumerate(steps) if not _ran_well(lent, one, made))
        last = next(bad, None)
    if last is None:
        return None
    with _steps(run, source, place) as steps:
        for number, one in enumerate(steps):
            if number == last:
                found = examined(lent, one)
                return None if found is None else _told(run, lent, found, one, place, number)
            _ran_well(lent, one, made)
    return None


@contextmanager
def _steps(run: Run, source: Source, place: Place) -> Generator[Iterator[_One], None, None]:
    """Put back the state of this place; yield the steps from there to the end of the epoch. Each is
    to be used before the next is asked for: sources write into the same arrays again."""
    place.state.restore()
    schedule, seed = run.schedule, run.trainer.seed
    size, shuffle = schedule.batch_size, schedule.shuffle
    windows = source.windows(seed, place.state.epoch, size, place.batch, shuffle)
    with drawn(windows, source.slots) as ahead:
        yield (
            _One(window, first, min(window.size, len(window) - first))
            for window in ahead
            for first in range(0, len(window), window.size)
        )


def _ran_well(lent: Trainer, one: _One, made: dict[Layout, Step]) -> bool:
    """Run a step; return whether its loss is finite, and what it learnt."""
    batches, order = one.window.batches, one.window.order
    layout = layout_of("train", one.size, batches, order is not None)
    if layout not in made:
        made[layout] = training_step(lent, layout)
    made[layout].run(batches, one.first, 1, order)
    return math.isfinite(float(made[layout].program.output(0))) and spoilt(lent) is None


def spoilt(trainer: Trainer) -> Variable | None:
    """Return the first trainable weight, or number of the optimizer by one, that is not finite."""
    slots = [] if trainer.optimizer is None else trainer.optimizer.variables
    learnt = (*trainer.model.trainable_variables, *slots)
    return next((variable for variable in learnt if _bad(variable.value)), None)


def examined(lent: Trainer, one: _One) -> Arisen | None:
    """Return the first operation of a step that makes a number that is not finite, and that the
    loss or a new weight is spoilt by; ``None`` where all stay finite. Nothing is stored."""
    traced = trace(lent, layout_of("train", one.size, one.window.batches))
    known = _fed(traced, one)
    results = [v for v in [traced.loss, *(v for _, v in traced.assigns)] if v is not None]
    nodes = ordered(results)
    for node in nodes:
        _run(node, known)
    guilty = _chain(results, known)
    for node in nodes:
        if node in guilty:
            return _arisen(node, known, traced, node in _of_samples(lent, one, nodes))
    return None


def _of_samples(lent: Trainer, one: _One, nodes: Sequence[Node]) -> set[Node]:
    """Return the nodes whose outputs have a row for each sample: with one sample more they have one
    row more. A kernel may have as many rows as a batch."""
    try:
        more = trace(lent, layout_of("train", one.size + 1, one.window.batches))
    except ChainruleError:
        return set()  # a model for batches of one size
    results = [v for v in [more.loss, *(v for _, v in more.assigns)] if v is not None]
    others = ordered(results)
    if [node.op for node in nodes] != [node.op for node in others]:
        return set()
    return {node for node, other in zip(nodes, others, strict=True) if _grown(node, other)}


def _grown(node: Node, other: Node) -> bool:
    pairs = zip(node.outputs, other.outputs, strict=True)
    return all(a.shape[:1] and b.shape[:1] == (a.shape[0] + 1,) for a, b in pairs)


def _fed(traced: Traced, one: _One) -> dict[Value, Array]:
    arrays = one.window.batches.arrays()
    return {
        value: np.asarray(arrays[name][one.rows]).astype(value.dtype)
        for name, value in traced.feeds.items()
    }


def _run(node: Node, known: dict[Value, Array]) -> None:
    arrays = [_array(a, known) for a in node.arguments]
    results = run_body(node.op, arrays, dict(node.attributes))
    for value, result in zip(node.outputs, results, strict=True):
        with np.errstate(all="ignore"):
            known[value] = np.array(result, dtype=value.dtype).reshape(value.shape)


def _array(value: Value, known: dict[Value, Array]) -> Array:
    if value in known:
        return known[value]
    found = value.constant if value.variable is None else value.variable.value
    if found is None:
        raise GraphError(f"placeholder {value.name!r} is not bound")
    return found


def _chain(results: Sequence[Value], known: dict[Value, Array]) -> set[Node]:
    """Return the nodes that made numbers that are not finite of finite ones, and from which these
    reach a result: an infinity that is masked later does no harm."""
    guilty: set[Node] = set()
    seen: set[Value] = set()
    todo = [value for value in results if _bad(_array(value, known))]
    while todo:
        value = todo.pop()
        if value in seen or value.node is None:
            continue
        seen.add(value)
        before = [a for a in value.node.arguments if _bad(_array(a, known))]
        if not before:
            guilty.add(value.node)
        todo += before
    return guilty


def _bad(array: Array) -> bool:
    return array.dtype.kind == "f" and not np.isfinite(array).all()


def _arisen(node: Node, known: dict[Value, Array], traced: Traced, of_samples: bool) -> Arisen:
    outputs = [known[value] for value in node.outputs]
    array = next(a for a in outputs if _bad(a))
    place = np.argwhere(~np.isfinite(array))[0]
    row = int(place[0]) if of_samples else None
    path = node.path
    backward = bool(path) and path[0] == BACKWARD
    given = [_array(a, known) for a in node.arguments]
    weight = next((v.name for v, new in traced.assigns if new.node is node), None)
    return Arisen(
        node.op.name,
        layer_name(path[backward:]) or None,
        backward,
        float(array[tuple(place)]),
        row,
        tuple((float(a.min()), float(a.max())) for a in given if a.size and a.dtype.kind == "f"),
        weight,
    )


def _told(run: Run, lent: Trainer, found: Arisen, one: _One, place: Place, number: int) -> Finding:
    per_epoch = run.training.steps(run.schedule.batch_size) or 0
    step = place.epoch * per_epoch + place.batch + number
    numbers: dict[str, float] = {"value": found.value}
    sample: str | None = None
    if found.row is not None:
        row = int(one.rows[found.row])
        sample = _placed(one.window.batches.place(row))
        numbers["row"] = float(row + one.window.batches.first)
    largest = max((float(np.abs(v.value).max()) for v in _floats(lent)), default=0.0)
    return Finding(
        "non_finite",
        found.layer or (found.weight.rsplit(".", 1)[0] if found.weight else None),
        _evidence(found, sample),
        _remedy(found, largest),
        step,
        _cause(found, largest),
        None,
        numbers | {"largest_weight": largest},
    )


def _evidence(found: Arisen, sample: str | None) -> Said:
    made = {
        "where": _where(found),
        "operation": found.operation,
        "value": found.value,
        "given": _given(found),
    }
    if sample is None:
        return said("in {where}, the operation {operation!r} made {value:g} of {given}", **made)
    return said(
        "in {where}, the operation {operation!r} made {value:g} of {given}, of the sample in "
        "{sample}",
        **made,
        sample=sample,
    )


def _where(found: Arisen) -> Said:
    """Return what was being worked out."""
    if found.weight:
        return said("the update of {weight!r}", weight=found.weight)
    if found.layer and found.backward:
        return said("the gradient of layer {layer!r}", layer=found.layer)
    if found.layer:
        return said("layer {layer!r}", layer=found.layer)
    return said("the gradient of the loss") if found.backward else said("the loss")


def _given(found: Arisen) -> Said:
    """Return what the operation was given."""
    if not found.arguments:
        return said("finite numbers")
    low, high = found.arguments[0]
    if len(found.arguments) == 1:
        return said("finite numbers from {low:.3g} to {high:.3g}", low=low, high=high)
    least, most = found.arguments[1]
    return said(
        "finite numbers from {low:.3g} to {high:.3g} and {least:.3g} to {most:.3g}",
        low=low,
        high=high,
        least=least,
        most=most,
    )


def _placed(place: str) -> str:
    """Return what the batches call a row, in words of known templates where it is such."""
    match place.split(" ", 3):
        case ["row", row]:
            return said("row {row}", row=row)
        case ["row", row, "of", whole] if whole.startswith("batch "):
            return said("row {row} of batch {batch}", row=row, batch=whole.removeprefix("batch "))
        case ["row", row, "of", whole]:
            return said("row {row} of {file}", row=row, file=whole)
        case ["sequence", number]:
            return said("sequence {number}", number=number)
    return place


def _floats(lent: Trainer) -> Iterator[Variable]:
    return (v for v in lent.model.variables if v.value.size and v.value.dtype.kind == "f")


def _cause(found: Arisen, largest: float) -> Said:
    if largest > _LARGE:
        return said("weights had grown to {largest:.3g}: the steps were too large", largest=largest)
    if found.operation in _REMEDIES:
        return said(
            "{operation!r} has no finite result, or slope, for such numbers",
            operation=found.operation,
        )
    return said("numbers grew until they did not fit their dtype")


def _remedy(found: Arisen, largest: float) -> Said:
    if largest <= _LARGE and found.operation in _REMEDIES:
        return _REMEDIES[found.operation]
    return said("lower the learning rate, or clip gradients (the optimizer's clipnorm)")
