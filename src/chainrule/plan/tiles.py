"""How many rows a loop takes at a time: enough to pay for a call, few enough for the cache.

The choice depends on the work alone, never on the number of threads, so that sums are cut in the
same places on every machine.
"""

from __future__ import annotations

from collections.abc import Sequence

from chainrule.graph import Node
from chainrule.plan.plan import nbytes

CALL = 12.0  # ns for a call without elements
ELEMENT = 0.035  # ns an element for one vectorised pass in cache
FLOP = 0.010  # ns a floating-point operation of a contraction
READ = 0.055  # ns an element that a contraction reads from the second-level cache or beyond

_TARGET = 6000.0  # ns: a tile worth handing to a thread
_LEAST = 1500.0  # ns: a tile of a short loop, which has four
_SMALL = 4000.0  # ns: a loop not worth cutting
CACHE = 1024 * 1024  # bytes of a second-level cache
_SCRATCH = 96 * 1024  # bytes of scratch: a part of the second-level cache


def cost(node: Node) -> float:
    """Return the estimated nanoseconds of the node on one core."""
    elements = node.specs[0].size
    read = max((a.size for a in node.arguments), default=0)
    flops = node.op.flops
    if flops is not None:
        specs = [a.spec for a in node.arguments]
        work = flops(specs, node.specs, **node.attributes)
        return CALL + max(FLOP * float(work), READ * read) + ELEMENT * elements
    whole = (
        elements if read > 64 * max(elements, 1) and not node.op.reduces else max(elements, read)
    )
    return CALL + ELEMENT * node.op.cost * whole


def unit(node: Node, tiled: Sequence[bool]) -> int:
    """Return how many rows the node likes to be given together.

    A kernel that the second-level cache does not hold is read anew for each tile. With twice the
    rows a step of 28 x 28 places, 32 filters and 128 units takes 3.8 ms instead of 4.3 at batch 128
    and 1.21 instead of 1.35 at 32; with four times 3.7 and 1.6, on a Zen 5 1.50 instead of 1.62 at
    128. So four times where there are still four tiles.
    """
    several = node.op.unit
    if node.op.flops is None or several == 1:
        return several
    whole = [nbytes(a.spec) for a, t in zip(node.arguments, tiled, strict=True) if not t]
    if max(whole, default=0) < CACHE:
        return several
    return (4 if node.specs[0].shape[0] >= 16 * several else 2) * several


def tile(rows: int, costs: Sequence[float], row_bytes: int, together: int = 1) -> int:
    """Return the rows of a tile for calls of these costs, whose scratch takes `row_bytes` a row and
    which like to be given so many rows `together`."""
    total = sum(costs)
    if rows <= 1 or (total <= _SMALL and rows * row_bytes <= _SCRATCH):
        return max(rows, 1)
    wanted = rows * min(max(total / 4, _LEAST), _TARGET) / total
    if row_bytes:
        wanted = min(wanted, _SCRATCH / row_bytes)
    together = together if rows < 4096 else 64
    return int(min(rows, max(together, round(wanted / together) * together)))
