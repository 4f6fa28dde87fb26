"""From values to a plan: passes, schedule, places."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from chainrule.errors import GraphError, ShapeError
from chainrule.graph import Node, Value, Variable, among
from chainrule.graph.autodiff import behind
from chainrule.graph.trail import following
from chainrule.plan import tiles
from chainrule.plan.kernel_passes import update_within_product
from chainrule.plan.limit import Limit, fitting
from chainrule.plan.memory import Interval, pack
from chainrule.plan.passes import PASSES
from chainrule.plan.plan import (
    Call,
    Operand,
    Place,
    Plan,
    PlannedLoop,
    Slot,
    nbytes,
)
from chainrule.plan.recompute import Staged, in_stages
from chainrule.plan.rewriting import apply
from chainrule.plan.schedule import (
    Loop,
    Schedule,
    root,
    same_rows,
    schedule,
    tiled_arguments,
)
from chainrule.plan.spread import spread
from chainrule.plan.verify import verify_graph, verify_plan

Assign = tuple[Variable, Value]


class Survey(Protocol):
    """What is measured of a step without a change of it: of the values that the passes leave."""

    watched: list[Value]

    def measures(
        self, now: Mapping[Value, Value], new: Mapping[Variable, Value]
    ) -> Sequence[Value]:
        """Return the outputs for what stands for the watched values, and for the new values of the
        variables."""


def make_plan(
    outputs: Sequence[Value],
    assigns: Sequence[Assign] = (),
    most: Limit | None = None,
    survey: Survey | None = None,
) -> Plan:
    """Return the plan that computes `outputs` and then stores each assigned value.

    Parameters
    ----------
    outputs : sequence of Value
        What the caller gets back.
    assigns : sequence of (Variable, Value)
        What the variables hold after the run; all values are those of before it.
    most : Limit, optional
        The bytes that the plan may take; layers are recomputed in the backward pass as far as it
        takes to keep to it.
    survey : Survey, optional
        What is measured of the values as they are in the plan. Its outputs come first.

    Raises
    ------
    ShapeError
        Where a value does not have the type of the variable it is assigned to.
    MemoryLimitError
        Where no plan keeps to the limit.
    """
    for variable, value in assigns:
        if variable.leaf.spec != value.spec:
            raise ShapeError(
                f"variable {variable.name!r} is {variable.leaf.spec}; "
                f"it cannot take a value of type {value.spec}"
            )
    variables = [variable for variable, _ in assigns]
    targets = [*outputs, *(v for _, v in assigns)]
    if survey is None:
        values = optimized(targets)
    else:
        with following(survey.watched) as now:
            values = optimized(targets)
        new = dict(zip(variables, values[len(outputs) :], strict=True))
        values = [*survey.measures(_alive(now, values), new), *values]
        verify_graph(values, "survey")
    values = update_within_product(values)  # where no survey reads the gradient
    verify_graph(values, "update_within_product")
    return fitting(values, lambda staged: _planned(staged, variables), most)


def _alive(now: Mapping[Value, Value], values: Sequence[Value]) -> dict[Value, Value]:
    """Return what stands for values in the graph of `values`, those that are not there left out."""
    there = behind(values)
    return {value: stands for value, stands in now.items() if stands in there}


def _planned(staged: Staged, variables: Sequence[Variable]) -> Plan:
    """Return the plan of a graph whose last values are what the variables are assigned."""
    staged = spread(staged)
    verify_graph(staged.values, "spread")
    targets, copies = _separate(staged.values)
    count = len(targets) - len(variables)
    assigns = list(zip(variables, targets[count:], strict=True))
    plan = Builder(targets[:count], assigns, copies, staged.stage).build()
    verify_plan(plan)
    return plan


def optimized(values: list[Value]) -> list[Value]:
    """Return the values after every pass, the graph verified after each."""
    for one in PASSES:
        values = one(values)
        verify_graph(values, one.__name__)
    return values


def _separate(values: list[Value]) -> tuple[list[Value], set[Node]]:
    """Give each target storage of its own: a leaf, a view or a value wanted twice is copied."""
    copies: set[Node] = set()
    targets: list[Value] = []
    for value in values:
        if value.node is None or value.node.op.alias or among(value, targets):
            value = apply("reshape", (value,), {"shape": value.shape})[0]
            if value.node is not None:
                copies.add(value.node)
        targets.append(value)
    return targets, copies


class Builder:
    """Holds what the steps of planning hand each other; used once."""

    def __init__(
        self,
        outputs: list[Value],
        assigns: list[Assign],
        copies: set[Node],
        stage: Mapping[Node, int],
    ) -> None:
        self.outputs = outputs
        self.assigns = assigns
        self.nodes = in_stages([*outputs, *(v for _, v in assigns)], stage)
        self.schedule: Schedule = schedule(self.nodes, copies, stage)
        self.position = {
            n: i for phase in self.schedule.phases for p in phase for i, n in enumerate(p.nodes)
        }
        self.slots: list[Slot] = []
        self.place: dict[Value, Place] = {}
        self.late: list[Assign] = []  # assigned by a copy, after everyone has read the old value
        self.readers = self._readers()

    def build(self) -> Plan:
        """Return the plan."""
        self._outside()
        self._targets()
        arena = self._arena()
        phases = [[self._loop(p) for p in phase] for phase in self.schedule.phases]
        for phase, copies in self._late_copies().items():
            while len(phases) <= phase:
                phases.append([])
            phases[phase].extend(copies)
        plan = Plan(phases, self.slots, self.outputs, self.assigns, self.nodes, arena)
        plan.local_bytes = max((p.local_bytes for ps in phases for p in ps), default=0)
        return plan

    # Who reads what.

    def _readers(self) -> dict[Value, list[tuple[Node, bool]]]:
        """Return for each storage the nodes that read it, and whether tile by tile."""
        readers: dict[Value, list[tuple[Node, bool]]] = {}
        for node in self.position:
            tiled = tiled_arguments(node)
            for argument, advances in zip(node.arguments, tiled, strict=True):
                base = root(argument, self.schedule.copies)
                readers.setdefault(base, []).append((node, advances and same_rows(argument, base)))
        return readers

    def _phase(self, node: Node) -> int:
        return self.schedule.loop_of[node].phase

    def _slot(self, slot: Slot) -> Place:
        self.slots.append(slot)
        return Place("slot", len(self.slots) - 1)

    # Places.

    def _outside(self) -> None:
        """Give leaves and assigned variables their slots."""
        for leaf in self.readers:
            if leaf.node is None:
                self._leaf(leaf)
        for variable, _ in self.assigns:
            self._leaf(variable.leaf)
            self.slots[self.place[variable.leaf].at].writable = True

    def _leaf(self, leaf: Value) -> None:
        if leaf in self.place:
            return
        kind = "placeholder"
        if leaf.variable is not None:
            kind = "variable"
        elif leaf.constant is not None:
            kind = "constant"
        self.place[leaf] = self._slot(Slot(kind, leaf.spec, leaf, leaf.variable))

    def _targets(self) -> None:
        """Let outputs be written where they are wanted, and updates over the old value if no one
        needs that any more."""
        for value in self.outputs:
            self.place[value] = self._slot(Slot("output", value.spec, value, writable=True))
        for variable, value in self.assigns:
            if self._may_overwrite(variable, value):
                self.place[value] = self.place[variable.leaf]
            else:
                self.late.append((variable, value))

    def _may_overwrite(self, variable: Variable, value: Value) -> bool:
        writer = value.node
        if writer is None:
            raise GraphError("an assigned value has no node")
        loop = self.schedule.loop_of[writer]
        for reader, tiled in self.readers.get(variable.leaf, []):
            before = self._phase(reader) < loop.phase
            same = self.schedule.loop_of[reader] is loop and tiled and not writer.op.columns
            earlier = same and self.position[reader] < self.position[writer]
            itself = same and reader is writer and writer.op.in_place
            if not (before or earlier or itself):
                return False
        return True

    def _late_phase(self, variable: Variable, value: Value) -> int:
        nodes = [n for n, _ in self.readers.get(variable.leaf, [])]
        nodes += [value.node] if value.node is not None else []
        return max(self._phase(n) for n in nodes) + 1

    def _arena(self) -> int:
        """Place what lives across loops; return the bytes of the arena."""
        late = {v: self._late_phase(a, v) for a, v in self.late}
        intervals = []
        for node in self.position:
            for y in node.outputs:
                if y in self.place or (y not in late and self._is_local(y)):
                    continue
                last = [self._phase(n) for n, _ in self.readers.get(y, [])]
                first = self._phase(node)
                last.append(late.get(y, first))
                intervals.append(Interval(y, nbytes(y.spec), first, max(last)))
        offsets, total = pack(intervals)
        for key, offset in offsets.items():
            if isinstance(key, Value):
                self.place[key] = Place("arena", offset)
        return total

    def _is_local(self, value: Value) -> bool:
        if value.node is None:
            return False
        loop = self.schedule.loop_of[value.node]
        return all(
            tiled and self.schedule.loop_of[n] is loop for n, tiled in self.readers.get(value, [])
        )

    # Loops.

    def _loop(self, loop: Loop) -> PlannedLoop:
        costs = [tiles.cost(n) for n in loop.nodes]
        flat = self._flat_size(loop)
        rows = loop.rows if flat is None else flat
        intervals = self._local_intervals(loop)
        per_row = [Interval(i.key, -(-i.size // max(rows, 1)), i.first, i.last) for i in intervals]
        unit = max(tiles.unit(n, tiled_arguments(n)) for n in loop.nodes)
        tile = tiles.tile(rows, costs, sum(i.size for i in per_row), unit)
        for interval in per_row:
            interval.size *= min(tile, max(rows, 1))
        offsets, local = pack(per_row)
        for key, offset in offsets.items():
            if isinstance(key, Value):
                self._place_chain(key, Place("local", offset))
        calls = [self._call(n, flat) for n in loop.nodes]
        return PlannedLoop(rows, tile, sum(costs), calls, local)

    def _flat_size(self, loop: Loop) -> int | None:
        """Return the elements of each operand where a loop is elementwise throughout."""
        sizes: set[int] = set()
        for node in loop.nodes:
            if not node.op.elementwise:
                return None
            sizes.update(v.size for v in (*node.arguments, *node.outputs))
        return sizes.pop() if len(sizes) == 1 else None

    def _local_intervals(self, loop: Loop) -> list[Interval]:
        """Return the lives of the loop's scratch buffers; where an operation may run in place, its
        output continues the life of an argument that ends there. If that output is in the arena, so
        is the argument: nothing else is there during the phase."""
        self._chain: dict[Value, Value] = {}
        lives: dict[Value, Interval] = {}
        for i, node in enumerate(loop.nodes):
            taken: set[Value] = set()  # an argument's place goes to one output, read or not
            for y in node.outputs:
                if y in self.place:
                    heir = self._dying_argument(node, y, i, lives, taken)
                    if self.place[y].kind == "arena" and heir is not None:
                        self._place_chain(heir, self.place[y])
                        del lives[heir]
                    continue
                last = max([i, *(self.position[n] for n, _ in self.readers.get(y, []))])
                heir = self._dying_argument(node, y, i, lives, taken)
                if heir is None:
                    lives[y] = Interval(y, nbytes(y.spec), i, last)
                else:
                    self._chain[y] = heir
                    lives[heir].last = last
                    taken.add(heir)
        return list(lives.values())

    def _dying_argument(
        self, node: Node, y: Value, i: int, lives: dict[Value, Interval], taken: set[Value]
    ) -> Value | None:
        if not node.op.in_place:
            return None
        for argument, tiled in zip(node.arguments, tiled_arguments(node), strict=True):
            base = root(argument, self.schedule.copies)
            head = self._chain.get(base, base)
            fits = argument.spec == y.spec and same_rows(argument, base) and tiled
            if fits and head in lives and lives[head].last == i and head not in taken:
                return head
        return None

    def _place_chain(self, head: Value, place: Place) -> None:
        self.place[head] = place
        for y, top in self._chain.items():
            if top is head:
                self.place[y] = place

    def _call(self, node: Node, flat: int | None) -> Call:
        tiled = (*tiled_arguments(node), *(True for _ in node.outputs))
        operands: list[Operand] = []
        for value, advances in zip((*node.arguments, *node.outputs), tiled, strict=True):
            place = self.place[root(value, self.schedule.copies)]
            spec = value.spec if flat is None else type(value.spec)((flat,), value.dtype)
            columns = node.op.columns and len(operands) >= len(node.arguments)
            operands.append(Operand(spec, advances, place, columns))
        return Call(node.op.name, len(node.arguments), operands, node.attributes, node.path)

    def _late_copies(self) -> dict[int, list[PlannedLoop]]:
        """Return the loops that store the values which could not be written in place."""
        result: dict[int, list[PlannedLoop]] = {}
        for variable, value in self.late:
            spec = type(value.spec)((value.size,), value.dtype)
            operands = [
                Operand(spec, True, self.place[value]),
                Operand(spec, True, self.place[variable.leaf]),
            ]
            call = Call("reshape", 1, operands, {"shape": spec.shape})
            cost = tiles.CALL + tiles.ELEMENT * value.size
            loop = PlannedLoop(value.size, tiles.tile(value.size, [cost], 0), cost, [call], 0)
            result.setdefault(self._late_phase(variable, value), []).append(loop)
        return result
