"""The first number that is not finite: the step in which it arose is run again, node by node."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from chainrule.data.iterables import Iterated, Sequenced
from chainrule.data.source import Endless, First, Source, Window
from chainrule.dtypes import Array
from chainrule.errors import ChainruleError, GraphError
from chainrule.graph import Node, Value, Variable, ordered
from chainrule.graph.primitive import run_body
from chainrule.graph.scope import BACKWARD
from chainrule.insight.trials import going_back
from chainrule.training.aside import aside, training_step
from chainrule.training.finding import Finding
from chainrule.training.step import Step, layout_of
from chainrule.training.trace import Traced, trace
from chainrule.training.trainer import Snapshot, Trainer

if TYPE_CHECKING:
    from chainrule.training.loop import Run

_LARGE = 1e4  # weights beyond it have run off
_REMEDIES = {
    "log": "add a small number to what the logarithm is taken of, or keep it above one",
    "sqrt": "add a small number under the root: its slope at 0 is infinite",
    "divide": "add a small number to the divisor",
    "reciprocal": "add a small number to the divisor",
    "power": "keep the base above a small number",
    "exp": "keep the exponent below 88, or take the logarithm of the result into the formula",
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
    """Run until the loss is not finite, once more up to the step before, and look into that one
    and the next: the weights may have been spoilt by the former."""
    place.state.restore()
    size = run.schedule.batch_size
    windows = list(
        source.windows(lent.seed, place.state.epoch, size, place.batch, run.schedule.shuffle)
    )
    steps = list(_ones(windows))
    made: dict[tuple[int, bool], Step] = {}
    last = _until(lent, steps, made, len(steps))
    if last is None:
        return None
    place.state.restore()
    begin = max(last - 1, 0)
    _until(lent, steps, made, begin)
    for number in range(begin, last + 1):
        found = examined(lent, steps[number])
        if found is not None:
            return _told(run, lent, found, steps[number], place, number)
        _ran(lent, steps[number], made)
    return None


def _ones(windows: Sequence[Window]) -> Iterator[_One]:
    for window in windows:
        for first in range(0, len(window), window.size):
            yield _One(window, first, min(window.size, len(window) - first))


def _until(
    lent: Trainer, steps: Sequence[_One], made: dict[tuple[int, bool], Step], end: int
) -> int | None:
    """Run the steps before `end`; return the number of the first whose loss is not finite."""
    for number, one in enumerate(steps[:end]):
        if not math.isfinite(_ran(lent, one, made)):
            return number
    return None


def _ran(lent: Trainer, one: _One, made: dict[tuple[int, bool], Step]) -> float:
    """Run a step; return its loss."""
    gathered = one.window.order is not None
    key = (one.size, gathered)
    if key not in made:
        made[key] = training_step(lent, layout_of("train", one.size, one.window.batches, gathered))
    made[key].run(one.window.batches, one.first, 1, one.window.order)
    return float(made[key].program.output(0))


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
            return _arisen(node, known, one.size, traced)
    return None


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


def _arisen(node: Node, known: dict[Value, Array], rows: int, traced: Traced) -> Arisen:
    outputs = [known[value] for value in node.outputs]
    array = next(a for a in outputs if _bad(a))
    place = np.argwhere(~np.isfinite(array))[0]
    row = int(place[0]) if array.ndim and array.shape[0] == rows else None
    path = node.path
    backward = bool(path) and path[0] == BACKWARD
    labels = list(path[1 + backward :])
    given = [_array(a, known) for a in node.arguments]
    weight = next((v.name for v, new in traced.assigns if new.node is node), None)
    return Arisen(
        node.op.name,
        "/".join(map(_name, labels)) or None,
        backward,
        float(array[tuple(place)]),
        row,
        tuple((float(a.min()), float(a.max())) for a in given if a.size and a.dtype.kind == "f"),
        weight,
    )


def _name(label: str) -> str:
    return label.split("'")[1] if label.count("'") > 1 else label


def _told(run: Run, lent: Trainer, found: Arisen, one: _One, place: Place, number: int) -> Finding:
    per_epoch = run.training.steps(run.schedule.batch_size) or 0
    step = place.epoch * per_epoch + place.batch + number
    where = "the gradient of " if found.backward else ""
    whose = f"layer {found.layer!r}" if found.layer else "the loss"
    whose = f"the update of {found.weight!r}" if found.weight else where + whose
    ranges = " and ".join(f"{low:.3g} to {high:.3g}" for low, high in found.arguments[:2])
    sample = ""
    numbers: dict[str, float] = {"value": found.value}
    if found.row is not None:
        row = int(one.rows[found.row])
        sample = f", of the sample in {one.window.batches.place(row)}"
        numbers["row"] = float(row + one.window.batches.first)
    largest = max((float(np.abs(v.value).max()) for v in _floats(lent)), default=0.0)
    return Finding(
        "non_finite",
        found.layer or (found.weight.rsplit(".", 1)[0] if found.weight else None),
        f"in {whose}, the operation {found.operation!r} made {found.value:g} of finite numbers"
        f" from {ranges}{sample}",
        _remedy(found, largest),
        step,
        _cause(found, largest),
        None,
        numbers | {"largest_weight": largest},
    )


def _floats(lent: Trainer) -> Iterator[Variable]:
    return (v for v in lent.model.variables if v.value.size and v.value.dtype.kind == "f")


def _cause(found: Arisen, largest: float) -> str:
    if largest > _LARGE:
        return f"weights had grown to {largest:.3g}: the steps were too large"
    if found.operation in _REMEDIES:
        return f"{found.operation!r} has no finite result, or slope, for such numbers"
    return "numbers grew until they did not fit their dtype"


def _remedy(found: Arisen, largest: float) -> str:
    if largest <= _LARGE and found.operation in _REMEDIES:
        return _REMEDIES[found.operation]
    return "lower the learning rate, or clip gradients (the optimizer's clipnorm)"
