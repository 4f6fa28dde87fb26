"""What L-BFGS does within a step: iterations over all weights as one vector."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule import ops
from chainrule.dtypes import Array
from chainrule.graph import Value, Variable, pending, placeholder
from chainrule.ops import update
from chainrule.optimizers.line_search import Point, Search
from chainrule.optimizers.steps import Assigns, fitting

# Of a step s and the change y of the gradient on it: they tell of curvature where y s is more.
_LEAST_CURVATURE = 1e-10
_WIDTH = 1024  # elements of a row
_SEARCH = 25  # points that a search looks at, at most


class State:
    """What LBFGS keeps of its iterations, and the graphs that work on it.

    All weights are one vector here, of their widest dtype, laid out in rows so that sums over it
    go along with what is computed there. `lasting` is what a step hands to the next; loss,
    gradient, start and facts hold what a graph leaves for the next one.
    """

    def __init__(self, weights: Sequence[Variable], history: int) -> None:
        self.weights = [*weights]
        self.size = sum(v.size for v in weights)
        n = (1, self.size) if self.size < _WIDTH else (-(-self.size // _WIDTH), _WIDTH)
        dtype = str(np.result_type(*(v.dtype for v in weights)))
        self.loss, self.facts = _zeros("loss", (), "float64"), _zeros("facts", (3,), "float64")
        self.gradient, self.start = (_zeros(k, n, dtype) for k in ("gradient", "start"))
        self.previous, self.direction = (_zeros(k, n, dtype) for k in ("previous", "direction"))
        self.length, self.turns = _zeros("length", (), "float64"), _count("turns")
        self.scale, self.pairs = _zeros("scale", (), dtype), _count("pairs")
        self.moves = [_zeros(f"move_{i}", n, dtype) for i in range(history)]
        self.changes = [_zeros(f"change_{i}", n, dtype) for i in range(history)]
        self.curvatures, self.newest = _zeros("curvatures", (history,), dtype), _count("newest")
        self.lasting = [self.turns, self.pairs, self.newest, self.length, self.scale]
        self.lasting += [self.previous, self.direction, self.curvatures, *self.moves, *self.changes]
        self.forget()
        self._graphs: dict[str, pending.Step] = {}
        self._turns: dict[int, pending.Step] = {}
        self._puts: dict[tuple[Any, ...], pending.Step] = {}

    def forget(self) -> None:
        """Begin again, with nothing known of the curvature."""
        taken = self._newest_first(int(self.pairs))
        counts = [self.turns, self.pairs, self.newest, self.length]
        for variable in (*counts, self.previous, self.direction, self.curvatures, *taken):
            variable.assign(np.zeros(variable.shape, variable.dtype))
        self.scale.assign(1.0)

    def put(self, loss: Value, gradients: Sequence[Value | None]) -> None:
        """Store loss and gradients of a loop by hand."""
        given = [loss, *(g for g in gradients if g is not None)]
        key = (*(g is None for g in gradients), *(x.spec for x in given))
        graph = self._puts.get(key)
        if graph is None:
            ends = [placeholder(x.shape, x.dtype, "given") for x in given]
            rest = iter(ends[1:])
            whole = [None if g is None else next(rest) for g in gradients]
            graph = self._puts[key] = pending.Step(ends, self.kept(ends[0], whole))
        pending.take_step(graph, given)

    def kept(self, loss: Value, gradients: Sequence[Value | None]) -> Assigns:
        """Return what stores loss and gradients of an evaluation."""
        pairs = zip(gradients, self.weights, strict=True)
        whole = self._flat([or_zeros(g, v) for g, v in pairs])
        return [(self.loss, ops.cast(loss, "float64")), (self.gradient, whole)]

    def _flat(self, values: Sequence[Value]) -> Value:
        """Return the elements of all values in rows, zeros behind them."""
        dtype = self.gradient.dtype
        parts = [ops.cast(ops.reshape(v, (-1,)), dtype) for v in values]
        if rest := self.gradient.size - self.size:
            parts.append(ops.zeros((rest,), dtype))
        return ops.reshape(ops.concatenate(parts), self.gradient.shape)

    def run(self, name: str) -> Array:
        """Run the graph of this name; return the facts as it left them."""
        graph = self._graphs.get(name)
        if graph is None:
            graph = self._graphs[name] = pending.Step((), getattr(self, f"_{name}")())
        pending.take_step(graph, ())
        return self.facts.value

    def _newest_first(self, count: int) -> list[Variable]:
        """Return the moves of so many iterations, then the changes on them."""
        order = [(int(self.newest) - i) % len(self.moves) for i in range(count)]
        return [held[i] for held in (self.moves, self.changes) for i in order]

    def _places(self, pairs: int) -> int:
        """Return how many places of the history a graph reads: the next power of 2."""
        return min(len(self.moves), 1 << (pairs - 1).bit_length()) if pairs else 0

    def move(self, length: float) -> None:
        """Put the weights so far from the start, along the direction."""
        self.length.assign(length)
        self.run("moved")

    def _looked(self) -> Assigns:
        """Facts of the gradient: its largest element, its slope along the direction, the loss."""
        g = self.gradient.leaf
        return [self._facts(ops.max(ops.abs(g)), dot(g, self.direction.leaf), self.loss.leaf)]

    def _compared(self) -> Assigns:
        """Facts of the last iteration: its move along the change on it, and the squares of both."""
        s, y = self._last()
        return [self._facts(dot(y, s), dot(y, y), dot(s, s))]

    def _last(self) -> tuple[Value, Value]:
        """Return the move of the last iteration, and what it changed the gradient by."""
        length = ops.cast(self.length.leaf, self.direction.dtype)
        s = ops.multiply(self.direction.leaf, length)
        return s, ops.subtract(self.gradient.leaf, self.previous.leaf)

    def remember(self, along: float, squared: float) -> None:
        """Put the last iteration in the place of the oldest; given are y s and y y of it."""
        most = len(self.moves)
        place = (int(self.newest) + 1) % most
        np.multiply(self.direction.value, self._factor(), out=self.moves[place].value)
        np.subtract(self.gradient.value, self.previous.value, out=self.changes[place].value)
        self.curvatures.value[1:] = self.curvatures.value[:-1].copy()
        self.curvatures.value[0] = 1.0 / along
        self.scale.assign(along / squared)
        self.newest.assign(place)
        self.pairs.assign(min(int(self.pairs) + 1, most))

    def _factor(self) -> Any:
        return self.direction.value.dtype.type(self.length.value)

    def turn(self) -> Array:
        """Choose the new direction; return its slope, its largest element and the sum of sizes of
        the gradient."""
        places = self._places(int(self.pairs))
        graph = self._turns.get(places)
        if graph is None:
            graph = self._turns[places] = self._turned(places)
        # As arrays, not as variables: whichever is the newest, the program is the same.
        held = self._newest_first(places)
        pending.take_step(graph, [Value(v.leaf.spec, constant=v.value) for v in held])
        return self.facts.value

    def _turned(self, places: int) -> pending.Step:
        """Return the graph of the new direction, by algorithm 7.4; the newest pair comes first.

        Places that no pair has taken yet hold zeros, and add nothing.
        """
        spec, g = self.gradient.leaf.spec, self.gradient.leaf
        ends = [placeholder(spec.shape, spec.dtype, "pair") for _ in range(2 * places)]
        rows = [(ends[i], ends[places + i], self.curvatures.leaf[i]) for i in range(places)]
        d, shares = ops.negative(g), []
        for s, y, curvature in rows:
            shares.append(ops.multiply(dot(s, d), curvature))
            d = _less(d, shares[-1], y)
        d = ops.multiply(d, self.scale.leaf)
        for (s, y, curvature), share in reversed([*zip(rows, shares, strict=True)]):
            d = _less(d, ops.subtract(ops.multiply(dot(y, d), curvature), share), s)
        weights = self._flat([v.leaf for v in self.weights])
        facts = self._facts(dot(g, d), ops.max(ops.abs(d)), ops.sum(ops.abs(g)))
        news = [(self.direction, d), (self.previous, g), (self.start, weights)]
        return pending.Step(ends, [facts, *news])

    def _moved(self) -> Assigns:
        """The weights so far from the start along the direction."""
        whole = ops.reshape(ops.add(self.start.leaf, self._last()[0]), (-1,))
        assigns: Assigns = []
        first = 0
        for v in self.weights:
            part = ops.reshape(whole[first : first + v.size], v.shape)
            assigns.append((v, ops.cast(part, v.dtype)))
            first += v.size
        return assigns

    def _facts(self, *facts: Value) -> tuple[Variable, Value]:
        return self.facts, ops.stack([ops.cast(fact, "float64") for fact in facts])


@dataclass(frozen=True)
class Limits:
    """When a step ends, and how it goes along a line."""

    iterations: int
    evaluations: int
    gradient: float
    change: float
    searches: bool


class Step:
    """One step under way: loss, largest element of the gradient, slope of the line, where it is."""

    def __init__(
        self, state: State, limits: Limits, rate: float, evaluate: Callable[[], None]
    ) -> None:
        self.state = state
        self.limits = limits
        self.rate = rate
        self._evaluate = evaluate
        self.evaluations = 0
        self.loss = self.largest = self.slope = math.nan

    def run(self) -> None:
        """Go through the iterations, until one of the conditions for the end holds."""
        self._look()
        if not math.isfinite(self.loss + self.largest) or self.largest <= self.limits.gradient:
            return
        for turn in range(1, self.limits.iterations + 1):
            before = self.loss
            length, longest = self._turn()
            self.state.length.assign(length)
            if self.slope > -self.limits.change:
                return
            length = self._walk(length, longest, turn == self.limits.iterations)
            self.state.length.assign(length)
            if self._ends(before, abs(length) * longest):
                return

    def _ends(self, before: float, moved: float) -> bool:
        limits = self.limits
        return (
            self.evaluations >= limits.evaluations
            or self.largest <= limits.gradient
            or moved <= limits.change
            or not abs(self.loss - before) >= limits.change
        )

    def _look(self) -> None:
        """Evaluate the loss where the weights are."""
        self._evaluate()
        self.evaluations += 1
        self.loss = float(self.state.loss.value)
        self.largest, self.slope, _ = map(float, self.state.run("looked"))

    def _turn(self) -> tuple[float, float]:
        """Choose the direction; return the length to try first, and its largest element."""
        state, first = self.state, int(self.state.turns) == 0
        if not first:
            along, squared, _ = map(float, state.run("compared"))
            if along > _LEAST_CURVATURE:
                state.remember(along, squared)
        self.slope, longest, total = map(float, state.turn())
        state.turns.assign(int(state.turns) + 1)
        return self.rate * (min(1.0, 1.0 / total) if first else 1.0), longest

    def _walk(self, length: float, longest: float, last: bool) -> float:
        """Move the weights along the direction; return how far."""
        if not self.limits.searches:
            self.state.move(length)
            if not last:
                self._look()
            return length
        start = Point(0.0, self.loss, self.slope, self.state.gradient.numpy())
        # The first search of a step is not cut short, else a step could end where it began, and all
        # after it.
        most = _SEARCH if self.evaluations == 1 else self.limits.evaluations - self.evaluations
        end = Search(self._point, start, most).run(length, self.limits.change / longest)
        self.state.move(end.at)
        self.state.gradient.assign(end.gradient)
        self.loss, self.largest = end.loss, float(np.abs(end.gradient).max())
        return end.at

    def _point(self, at: float) -> Point:
        self.state.move(at)
        self._look()
        return Point(at, self.loss, self.slope, self.state.gradient.numpy())


def dot(a: Value, b: Value) -> Value:
    """``sum_i a_i * b_i``."""
    return ops.sum(ops.multiply(a, b))


def _less(d: Value, share: Value, x: Value) -> Value:
    """``d - share * x``."""
    result: Value = update.sgd_update(d, x, share, *update.unscaled(d))
    return result


def or_zeros(gradient: Value | None, variable: Variable) -> Value:
    """Return the gradient in the variable's dtype, zeros where there is none."""
    if gradient is None:
        return ops.zeros(variable.shape, variable.dtype)
    return fitting(gradient, variable)


def _count(name: str) -> Variable:
    return _zeros(name, (), "int64")


def _zeros(name: str, shape: tuple[int, ...], dtype: str) -> Variable:
    return Variable(np.zeros(shape, dtype), name=name, trainable=False)
