"""Gradients against differences in float64, layer by layer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.dtypes import Array, is_float
from chainrule.errors import ArgumentError
from chainrule.executors import Fault
from chainrule.graph import Value
from chainrule.insight.posed import Posed, given, posed
from chainrule.insight.segments import Segment, depending, plain, pulled_back, segments
from chainrule.insight.slopes import Slope, compared
from chainrule.insight.wide import Wide
from chainrule.models.prepared import whole
from chainrule.training.initialization import layer_name
from chainrule.training.progress import Progress, mode_of

if TYPE_CHECKING:
    from chainrule.models.model import Model

LOSS = "loss"  # what stands in the place of a layer's name for the loss and the penalties


@dataclass(frozen=True)
class Check:
    """One derivative held against differences.

    Attributes
    ----------
    layer : str
        The layer's name, within another behind that one's and a slash; ``"loss"`` for the loss and
        the penalties of weights.
    label : str
        The same in words, e.g. ``"layer 'h1' (Dense, 8 units)"``.
    by : str
        What the layer's outputs, or the loss, are differentiated by.
    said : float
        The derivative in one direction as the gradient says it.
    measured : float
        The same as differences say it.
    off : float
        Their difference, as a share of the larger one; 0 where both are 0 but for rounding.
    verdict : str
        ``"right"``, ``"wrong"``, or ``"rough"`` where differences cannot tell: at a kink, or where
        rounding is as large as the derivative.
    """

    layer: str
    label: str
    by: str
    said: float
    measured: float
    off: float
    verdict: str

    @property
    def ratio(self) -> float:
        """What the gradient says, as a multiple of what differences say."""
        return self.said / self.measured if self.measured else float("inf")


@dataclass(frozen=True)
class GradientCheck:
    """What `check_gradients` found; printing it shows a table and what is wrong.

    Attributes
    ----------
    layers : tuple of Check
        The derivative of each layer by itself, by each of its inputs and weights; the loss last.
    weights : tuple of Check
        The gradient of the loss by each weight, with all layers together.
    tolerance : float
        The share that a derivative may be off.
    """

    layers: tuple[Check, ...]
    weights: tuple[Check, ...]
    tolerance: float

    @property
    def wrong(self) -> tuple[str, ...]:
        """The names of the layers whose derivative is wrong, ``"loss"`` for the loss. Where only
        weights have a wrong gradient, those of layers of which, by themselves, differences cannot
        tell; where each is right by itself, those that have the weights."""
        found = _layers_with("wrong", self.layers)
        if not found and (behind := _layers_with("wrong", self.weights)):
            found = _layers_with("rough", self.layers) or behind
        return tuple(found)

    @property
    def passed(self) -> bool:
        """Whether no derivative is wrong, and some are right: not where differences can tell of
        none."""
        return not self.wrong and self._told

    @property
    def _told(self) -> bool:
        """Whether differences can tell of any derivative."""
        return any(c.verdict != "rough" for c in (*self.layers, *self.weights))

    def __str__(self) -> str:
        alone = _table("each layer by itself", [(c.label, c) for c in self.layers])
        whole = _table("all layers together", [("the loss", c) for c in self.weights])
        return "\n".join([*alone, "", *whole, "", *self._verdict()])

    def _verdict(self) -> list[str]:
        if self.passed:
            rough = sum(c.verdict == "rough" for c in (*self.layers, *self.weights))
            told = f"; {rough} could not be told, at kinks or for rounding" if rough else ""
            return [f"the gradients are right to {self.tolerance:g}{told}"]
        if not self._told:
            return [
                "nothing could be told: there are only kinks and rounding, or numbers that are not "
                "finite"
            ]
        bad = [c for c in self.layers if c.verdict == "wrong"] or self.weights
        return [_told(c) for c in bad if c.verdict == "wrong"]

    def __repr__(self) -> str:
        found = f"wrong in {', '.join(self.wrong)}" if self.wrong else "nothing could be told"
        found = "right" if self.passed else found
        return f"<GradientCheck of {len(self.weights)} weights: {found}>"


def _layers_with(verdict: str, checks: Sequence[Check]) -> list[str]:
    return list(dict.fromkeys(c.layer for c in checks if c.verdict == verdict))


def _table(head: str, rows: Sequence[tuple[str, Check]]) -> list[str]:
    """Return the lines of a table; what stands in the first column stands there once."""
    lines = [(head, "by", "gradient says", "differences", "off by", "verdict")]
    before = None
    for label, c in rows:
        numbers = (f"{c.said:.6g}", f"{c.measured:.6g}", f"{c.off:.1e}", c.verdict)
        lines.append(("" if label == before else label, c.by, *numbers))
        before = label
    widths = [max(len(line[i]) for line in lines) for i in range(6)]
    return [
        "  ".join(
            cell.rjust(w) if 2 <= i <= 4 else cell.ljust(w)
            for i, (cell, w) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]


def _told(c: Check) -> str:
    """Return in words how a derivative is wrong."""
    what = f"{c.label}: its derivative by {c.by} is wrong"
    if c.said == 0:
        return f"{what}: no gradient is handed back, but it should be {c.measured:.6g}"
    return f"{what}: {c.said:.6g} in a direction in which differences give {c.measured:.6g}"


def check_gradients(
    model: Model,
    x: Any,
    y: Any = None,
    sample_weight: Any = None,
    *,
    samples: int = 16,
    elements: int = 4,
    tolerance: float = 1e-5,
    seed: int = 0,
    verbose: str | int = "auto",
) -> GradientCheck:
    """``(L(w + h d) - L(w - h d)) / 2h`` against ``d . dL/dw``, for each layer and each weight.

    One step of training is computed in float64, whatever the model's dtype, with dropout drawn
    once and batch normalization over the samples. Each layer is checked by itself, as a function
    of its inputs and weights, so that a wrong derivative is found where it is, and not in all the
    layers whose gradients come through it; then the gradient of the loss by each weight. What
    stands behind `stop_gradient` is held fixed. The model stays as it is.

    Shapes
    ------
    x : [n, *s], y : [n] or [n, *t]; sample_weight : [n]

    Parameters
    ----------
    model : Model
        Compiled; one that has no weights yet gets them.
    x, y, sample_weight
        As in `train_on_batch`.
    samples : int, default 16
        At least 1: how many samples are taken, from all over the data.
    elements : int, default 4
        How many single elements of each weight are checked, beside a direction of all of them.
    tolerance : float, default 1e-5
        Above 0: the share by which a derivative may differ.
    seed : int, default 0
        Of the directions.
    verbose : {"auto", 0, 1, 2}, default "auto"
        0 shows nothing while it works; else what takes a while is shown as `fit` shows it.

    Returns
    -------
    GradientCheck
        With `passed`, the names of what is `wrong`, and a row for each derivative. At a kink (a
        relu at 0, two equal numbers under a maximum) the place next to it is checked instead.

    Raises
    ------
    DataError, ShapeError, NotBuiltError
        As `fit`.
    ArgumentError
        For a model with a `train_step` of its own.

    Examples
    --------
    >>> import numpy as np
    >>> import chainrule as cr
    >>> from chainrule import layers, ops
    >>> @ops.custom_gradient
    ... def cube(x):
    ...     return x ** 3, lambda upstream: upstream * 2.0 * x ** 2  # it should be 3
    >>> model = cr.Sequential([cr.Input((4,)), layers.Dense(3), layers.Lambda(cube, name="cube")])
    >>> model.compile("sgd", "mse")
    >>> x = np.random.default_rng(0).normal(size=(8, 4))
    >>> cr.check_gradients(model, x, x[:, :3]).wrong
    ('cube',)

    Source
    ------
    Central differences along random directions, as in Dennis and Schnabel, "Numerical Methods for
    Unconstrained Optimization and Nonlinear Equations", 1983, section 5.4, with steps of 1e-6
    to 1e-2 of the size of what is moved: one that is clear of rounding has to agree.
    """
    count = whole("samples", samples)
    few = whole("elements", elements, 0)
    if not 0 < tolerance < 1:
        raise ArgumentError(f"tolerance is {tolerance!r}; expected a number between 0 and 1")
    trainer, batches = given("check_gradients", model, x, y, sample_weight, count)
    step = posed(trainer, batches)
    rng = np.random.default_rng(seed)
    parts = segments(step.loss)
    with Progress(mode_of(verbose), title="gradients", counted="parts") as progress:
        progress.begin(0, len(parts) + len(step.variables), 1)
        try:
            layers = tuple(_layers(step, parts, tolerance, rng, progress))
            weights = tuple(_weights(step, parts, (few, tolerance), rng, progress))
        except Fault as fault:
            raise step.mistake(fault) from None
    return GradientCheck(layers, weights, tolerance)


class _Line:
    """A function of several arrays along a direction in one of them."""

    def __init__(self, run: Wide, arrays: Sequence[Array], i: int, way: Array) -> None:
        self.run, self.arrays, self.i, self.way = run, list(arrays), i, way

    def at(self, t: float) -> list[Array]:
        """Return the outputs at t."""
        moved = list(self.arrays)
        moved[self.i] = moved[self.i] + t * self.way
        return self.run(moved)


def _layers(
    step: Posed, parts: Sequence[Segment], tolerance: float, rng: Any, progress: Progress
) -> Iterator[Check]:
    """Yield the derivatives of each layer by itself."""
    moved = depending(step.loss, [v.leaf for v in step.variables])
    entries = list(dict.fromkeys(e for part in parts for e in part.entries))
    inner = [e for e in entries if e.node is not None]
    feeds = step.feeds()
    found = dict(zip(inner, Wide(inner, [], feeds)([]), strict=True)) if inner else {}
    known = {**feeds, **found}
    for i, part in enumerate(parts):
        yield from _of_part(part, known, moved, tolerance, rng)
        progress.update(i + 1, {})


def _of_part(
    part: Segment, known: dict[Value, Array], moved: set[Value], tolerance: float, rng: Any
) -> Iterator[Check]:
    starts, targets, pulled = pulled_back(part)
    # By what was fed nobody asks for a derivative; where a layer has one, it should be right.
    asked = [v in moved or (part.path and pulled[i] is not None) for i, v in enumerate(targets)]
    chosen = [i for i, v in enumerate(targets) if asked[i] and not _held(v)]
    if not chosen or not part.exits:
        return
    present = [g for g in pulled if g is not None]
    free = [*targets, *starts]
    fixed = {e: known[e] for e in part.entries if not is_float(e.dtype)}
    run = Wide([*part.exits, *present], free, fixed)
    arrays = [_start(v, known) for v in targets]
    ways = [rng.standard_normal(y.shape) for y in part.exits]
    place = {i: n for n, i in enumerate(i for i, g in enumerate(pulled) if g is not None)}
    for i in chosen:
        line = _Line(run, [*arrays, *ways], i, _way(arrays[i], rng))
        number = place.get(i)
        slope = _along(line, ways, None if number is None else len(ways) + number, tolerance)
        name, label = layer_name(part.path) if part.path else LOSS, _label(part.path)
        by = _source(targets[i]) + ("" if part.path or targets[i].node else ", its penalty")
        yield Check(name, label, by, *_numbers(slope))


def _along(line: _Line, ways: Sequence[Array], place: int | None, tolerance: float) -> Slope:
    def value(t: float) -> float:
        outputs = line.at(t)[: len(ways)]
        return sum(float(np.vdot(u, y)) for u, y in zip(ways, outputs, strict=True))

    def slope(t: float) -> float:
        return 0.0 if place is None else float(np.vdot(line.at(t)[place], line.way))

    return compared(value, slope, tolerance)


def _held(value: Value) -> bool:
    """Return whether a value is held fixed: a number that no weight moves, or stopped."""
    if value.variable is not None:
        return not value.variable.trainable
    return value.node is not None and value.node.op.name == "stop_gradient"


def _start(value: Value, known: dict[Value, Array]) -> Array:
    array: Any = known[value] if value.variable is None else value.variable.value
    return np.array(array, "float64")


def _way(array: Array, rng: Any) -> Array:
    """Return a direction of the size of what is moved."""
    size = float(np.sqrt(np.square(array).mean())) if array.size else 1.0
    way: Array = rng.standard_normal(array.shape) * (size if 0 < size < np.inf else 1.0)
    return way


def _source(value: Value) -> str:
    """Return in words where an argument of a layer comes from."""
    if value.variable is not None:
        return f"the weight {value.variable.name!r}"
    path = () if value.node is None else plain(value.node.path)
    if not path:
        return (value.name if value.node is None else "") or "its input"
    # What a gradient that was taken on the way has made of the layer is not what it puts out.
    what = "output" if value.node is None or path == value.node.path else "gradient"
    return f"the {what} of {layer_name(path) or 'the model'}"


def _label(path: Sequence[str]) -> str:
    return path[-1] if path else LOSS


def _numbers(slope: Slope) -> tuple[float, float, float, str]:
    return slope.said, slope.measured, slope.off, slope.verdict


def _weights(
    step: Posed, parts: Sequence[Segment], how: tuple[int, float], rng: Any, progress: Progress
) -> Iterator[Check]:
    """Yield the gradients of the loss by each weight: of several directions, the worst."""
    fixed, (elements, tolerance) = dict(step.feeds()), how
    stopped = list({e for part in parts for e in part.entries if e.node and _held(e)})
    home = {w: layer_name(part.path) for part in parts if part.path for w in part.weights}
    if stopped:
        fixed |= dict(zip(stopped, [a.copy() for a in Wide(stopped, [], fixed)([])], strict=True))
    leaves = [v.leaf for v in step.variables]
    run = Wide([step.loss, *(g for g, _ in step.pairs)], leaves, fixed)
    arrays = [np.array(v.value, "float64") for v in step.variables]
    for i, variable in enumerate(step.variables):
        found = [
            _total(_Line(run, arrays, i, way), i + 1, tolerance)
            for way in _directions(arrays[i], elements, rng)
        ]
        worst = max(found, key=lambda s: (s.verdict == "wrong", s.verdict == "right", s.off))
        layer = home.get(variable.leaf, LOSS)
        yield Check(layer, LOSS, f"the weight {variable.name!r}", *_numbers(worst))
        progress.update(len(parts) + i + 1, {})


def _total(line: _Line, place: int, tolerance: float) -> Slope:
    return compared(
        lambda t: float(line.at(t)[0]),
        lambda t: float(np.vdot(line.at(t)[place], line.way)),
        tolerance,
    )


def _directions(array: Array, elements: int, rng: Any) -> Iterator[Array]:
    """Yield a direction of all elements, and those of some single ones."""
    whole_way = _way(array, rng)
    yield whole_way
    size = float(np.abs(whole_way).max(initial=1.0))
    for i in rng.choice(array.size, min(elements, array.size), replace=False):
        way = np.zeros(array.size)
        way[i] = size
        yield way.reshape(array.shape)
