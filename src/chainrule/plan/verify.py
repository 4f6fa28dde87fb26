"""Checks between passes and after planning; what they raise is a mistake of chainrule's own."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Sequence

from chainrule.errors import GraphError
from chainrule.graph import Value, ordered
from chainrule.plan.plan import Call, Operand, Plan, PlannedLoop, aligned, nbytes


def verify_graph(outputs: Sequence[Value], after: str) -> None:
    """Raise unless every node has the types that its operation infers from its arguments."""
    for node in ordered(outputs):
        specs = node.op.infer([a.spec for a in node.arguments], dict(node.attributes))
        if specs != tuple(node.specs):
            raise GraphError(f"after {after}: {node.op.name} has types other than it infers")


def verify_plan(plan: Plan) -> None:
    """Raise where a call reads bytes that nothing wrote, or writes outside its buffers."""
    written: dict[tuple[str, int], int] = {}
    for phase in plan.phases:
        fresh: dict[tuple[str, int], int] = {}
        for loop in phase:
            mine: dict[tuple[str, int], int] = {}
            for call in loop.calls:
                _verify_call(plan, loop, call, ChainMap(mine, written))
            fresh.update({k: v for k, v in mine.items() if k[0] == "arena"})
        written.update(fresh)


def _verify_call(
    plan: Plan, loop: PlannedLoop, call: Call, written: ChainMap[tuple[str, int], int]
) -> None:
    for i, operand in enumerate(call.operands):
        place, size = operand.place, _bytes(loop, operand)
        if place.kind == "slot":
            continue
        limit = plan.arena_bytes if place.kind == "arena" else loop.local_bytes
        if place.at + size > limit:
            raise GraphError(f"{call.name}: operand {i} ends outside of the {place.kind}")
        key = (place.kind, place.at)
        if not size:
            continue
        if i >= call.arguments:
            written[key] = size
        elif written.get(key, -1) < size:
            raise GraphError(f"{call.name}: argument {i} is read before it is written")


def _bytes(loop: PlannedLoop, operand: Operand) -> int:
    size = nbytes(operand.spec)
    if operand.place.kind == "local" and operand.tiled and loop.rows:
        return min(size, aligned(size // loop.rows * min(loop.tile, loop.rows)))
    return size
