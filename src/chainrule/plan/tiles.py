"""How many rows a loop takes at a time: enough to pay for a call, few enough for the cache.

The choice depends on the work alone, never on the number of threads, so that sums are cut in the
same places on every machine.
"""

from __future__ import annotations

from collections.abc import Sequence

from chainrule.graph import Node

CALL = 12.0  # ns for a call without elements
ELEMENT = 0.035  # ns an element for one vectorised pass in cache
FLOP = 0.010  # ns a floating-point operation of a contraction
READ = 0.055  # ns an element that a contraction reads from the second-level cache or beyond

_TARGET = 6000.0  # ns: a tile worth handing to a thread
_LEAST = 1500.0  # ns: a tile of a short loop, which has four
_SMALL = 4000.0  # ns: a loop not worth cutting
_SCRATCH = 96 * 1024  # bytes of scratch: a part of the second-level cache


def cost(node: Node) -> float:
    """Return the estimated nanoseconds of the node on one core."""
    elements = node.outputs[0].size
    read = max((a.size for a in node.arguments), default=0)
    flops = node.op.flops
    if flops is not None:
        specs = [a.spec for a in node.arguments]
        work = flops(specs, [y.spec for y in node.outputs], **node.attributes)
        return CALL + max(FLOP * float(work), READ * read) + ELEMENT * elements
    whole = (
        elements if read > 64 * max(elements, 1) and not node.op.reduces else max(elements, read)
    )
    return CALL + ELEMENT * node.op.cost * whole


def tile(rows: int, costs: Sequence[float], row_bytes: int, unit: int = 1) -> int:
    """Return the rows of a tile for calls of these costs, whose scratch takes `row_bytes` a row and
    which like to be given `unit` rows together."""
    total = sum(costs)
    if rows <= 1 or (total <= _SMALL and rows * row_bytes <= _SCRATCH):
        return max(rows, 1)
    wanted = rows * min(max(total / 4, _LEAST), _TARGET) / total
    if row_bytes:
        wanted = min(wanted, _SCRATCH / row_bytes)
    unit = unit if rows < 4096 else 64
    return int(min(rows, max(unit, round(wanted / unit) * unit)))
