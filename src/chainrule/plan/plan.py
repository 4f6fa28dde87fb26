"""A plan: what an executor runs. Every buffer has its place, every loop its tile size."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from chainrule.dtypes import SIZES
from chainrule.graph import Node, Spec, Value, Variable

ALIGNMENT = 64


def nbytes(spec: Spec) -> int:
    """Return the bytes of an array of this type."""
    return spec.size * SIZES[spec.dtype]


def aligned(n: int) -> int:
    """Return `n` rounded up to the alignment of buffers."""
    return -(-n // ALIGNMENT) * ALIGNMENT


@dataclass(frozen=True, slots=True)
class Place:
    """Where a buffer lies: ``arena`` or ``local`` at a byte offset, or ``slot`` at an index."""

    kind: str
    at: int


@dataclass(frozen=True, slots=True)
class Operand:
    """One operand of a call: its type, whether it advances with the tile, and its place; `columns`
    where it advances along its last axis."""

    spec: Spec
    tiled: bool
    place: Place
    columns: bool = False


@dataclass(slots=True)
class Call:
    """One operation with its operands, the arguments first."""

    name: str
    arguments: int
    operands: list[Operand]
    attributes: Mapping[str, Any]
    path: tuple[str, ...] = ()


@dataclass(slots=True)
class PlannedLoop:
    """Calls that run tile by tile over `rows`; `cost` is an estimate in nanoseconds of one core."""

    rows: int
    tile: int
    cost: float
    calls: list[Call]
    local_bytes: int


@dataclass(slots=True)
class Slot:
    """An array that comes from outside: a placeholder, a constant, a variable or an output."""

    kind: str
    spec: Spec
    value: Value | None = None
    variable: Variable | None = None
    writable: bool = False


@dataclass(slots=True)
class Plan:
    """A program for a step, its memory decided.

    Attributes
    ----------
    arena_bytes : int
        What the values that live across loops need at once.
    local_bytes : int
        Scratch of each thread for the values that live within a tile.
    """

    phases: list[list[PlannedLoop]]
    slots: list[Slot]
    outputs: list[Value]
    assigns: list[tuple[Variable, Value]]
    nodes: list[Node] = field(default_factory=list)
    arena_bytes: int = 0
    local_bytes: int = 0

    @property
    def state_bytes(self) -> int:
        """Bytes of the variables that the plan reads or writes."""
        return sum(nbytes(s.spec) for s in self.slots if s.kind == "variable")

    def describe(self) -> str:
        """Return the plan as text: phases, loops, calls with types and places."""
        lines = [
            f"arena {self.arena_bytes:,} bytes, scratch {self.local_bytes:,} bytes a thread, "
            f"state {self.state_bytes:,} bytes"
        ]
        for i, phase in enumerate(self.phases):
            lines.append(f"phase {i}")
            for loop in phase:
                lines.append(f"  loop over {loop.rows} rows, {loop.tile} at a time")
                lines.extend(f"    {self._call(c)}" for c in loop.calls)
        return "\n".join(lines)

    def _call(self, call: Call) -> str:
        shown = [self._operand(o) for o in call.operands]
        attributes = "".join(f"; {k}={v}" for k, v in call.attributes.items())
        outs = ", ".join(shown[call.arguments :])
        return f"{outs} = {call.name}({', '.join(shown[: call.arguments])}{attributes})"

    def _operand(self, operand: Operand) -> str:
        place = operand.place
        name = f"{place.kind}+{place.at}"
        if place.kind == "slot":
            slot = self.slots[place.at]
            name = slot.value.name if slot.value is not None and slot.value.name else slot.kind
            name = slot.variable.name or "variable" if slot.variable is not None else name
        how = " by columns" if operand.columns else "" if operand.tiled else " whole"
        return f"{name}:{operand.spec}{how}"

    def __str__(self) -> str:
        return self.describe()
