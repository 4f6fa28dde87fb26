"""Plans that keep to a limit of memory, computing as little as possible again.

The layers are cut into segments of about equal bytes that the backward pass reads, for several
numbers of segments; of each cut the segments that are cheapest to compute for their bytes are
recomputed, as few as it takes. What a choice needs is not estimated: it is planned, and the plan
says. Chen et al. (arXiv 1604.06174, section 4.3) search over the size of segments likewise.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from chainrule.errors import MemoryLimitError
from chainrule.graph import Value, ordered
from chainrule.plan import tiles
from chainrule.plan.plan import Plan, nbytes
from chainrule.plan.recompute import (
    Key,
    Path,
    Segment,
    Staged,
    call_of,
    identity,
    marked,
    recomputed,
    segments_of,
)
from chainrule.plan.schedule import root

Planned = Callable[[Staged], Plan]

_COUNTS = (2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)  # segments


@dataclass(frozen=True, slots=True)
class Limit:
    """The most bytes that training may take; `beside` are those outside of the plan, and `scratch`
    says what the threads keep that run a plan."""

    nbytes: int
    beside: int = 0
    scratch: Callable[[Plan], int] = field(default=lambda plan: plan.local_bytes)

    def used(self, plan: Plan) -> int:
        """Return the bytes that training with this plan takes."""
        return self.beside + plan.arena_bytes + self.scratch(plan)

    def missed(self, least: int) -> MemoryLimitError:
        """Return the error for a limit that even the plan of the least bytes does not keep to."""
        return MemoryLimitError(
            f"training takes at least {least:,} bytes, {least - self.nbytes:,} more than the "
            f"memory_limit of {self.nbytes:,} bytes.\n"
            f"  of these : {self.beside:,} bytes are weights, the optimizer's state and the copy "
            "to undo a failed fit\n"
            "  fix      : a smaller batch_size, or a higher memory_limit"
        )


def fitting(values: list[Value], planned: Planned, most: Limit | None) -> Plan:
    """Return the plan that keeps to the limit and computes least again.

    Raises
    ------
    MemoryLimitError
        Where none was found.
    """
    plan = planned(recomputed(values))
    if most is None or most.used(plan) <= most.nbytes:
        return plan
    return _Search(values, planned, most, most.used(plan)).found()


class _Search:
    """Looks for a plan within a limit; `least` are the bytes of the smallest one so far."""

    def __init__(self, values: list[Value], planned: Planned, most: Limit, least: int) -> None:
        self.values, self.planned, self.most, self.least = values, planned, most, least
        self.best: tuple[float, Plan] | None = None
        nodes = ordered(values)
        found = segments_of(nodes, lambda path: None if marked(path) else identity(path))
        read = {root(a) for n in nodes if call_of(n.path)[0] for a in n.arguments}
        # Each call of a layer, the first ones first, with the bytes that are kept of it.
        self.calls = [
            (key, call, _bytes_read(call, read)) for key, call in reversed(list(found.items()))
        ]

    def found(self) -> Plan:
        """Return the best plan."""
        names = {key: key for key, _, _ in self.calls}
        if not self._try(names, set(names)):
            for count in (c for c in _COUNTS if c <= len(self.calls)):
                self._cut(count)
        if self.best is None:
            raise self.most.missed(self.least)
        return self.best[1]

    def _cut(self, count: int) -> None:
        """Try this number of segments, with as few of them recomputed as it takes."""
        part, order = self._segments(count)
        if not order or not self._try(part, set(part.values()) - set(order)):
            return
        few, many = 0, len(order)  # too few, and enough
        while many - few > 1:
            middle = (few + many) // 2
            if self._try(part, set(part.values()) - set(order[:middle])):
                many = middle
            else:
                few = middle

    def _segments(self, count: int) -> tuple[dict[Key, Key], list[Key]]:
        """Return the segment of each call, and the segments in the order in which to recompute
        them; the last one is not among them, since what it keeps is read at once."""
        total = sum(size for _, _, size in self.calls)
        part: dict[Key, Key] = {}
        cost: dict[Key, float] = {}
        size: dict[Key, int] = {}
        before = 0
        for key, call, kept in self.calls:
            segment = part[key] = min(before * count // max(total, 1), count - 1)
            cost[segment] = cost.get(segment, 0.0) + sum(tiles.cost(n) for n in call.forward)
            size[segment] = size.get(segment, 0) + kept
            before += kept
        useful = [s for s in cost if size[s] and s != max(size)]  # type: ignore[type-var]
        return part, sorted(useful, key=lambda s: cost[s] / size[s])

    def _try(self, part: dict[Key, Key], kept: set[Key]) -> bool:
        """Return whether the plan with these segments keeps to the limit, noting the best."""

        def segment_of(path: Path) -> Key | None:
            own = marked(path)
            return part.get(identity(path)) if own is None else (own,)

        staged = recomputed(self.values, segment_of, kept)
        if self.best is not None and staged.cost >= self.best[0]:
            return True  # no better, whatever it takes
        plan = self.planned(staged)
        used = self.most.used(plan)
        self.least = min(self.least, used)
        if used > self.most.nbytes:
            return False
        self.best = (staged.cost, plan)
        return True


def _bytes_read(call: Segment, read: set[Value]) -> int:
    """Return the bytes of what the backward pass reads of a call."""
    return sum(nbytes(y.spec) for n in call.forward for y in n.outputs if y in read)
