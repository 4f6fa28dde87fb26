"""Gives every buffer its place: within a loop in a thread's scratch, across loops in the arena."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from chainrule.plan.plan import aligned


@dataclass(slots=True)
class Interval:
    """A buffer and the first and last moment (phase, or call of a loop) at which it is alive."""

    key: Hashable
    size: int
    first: int
    last: int


def pack(intervals: Sequence[Interval]) -> tuple[dict[Hashable, int], int]:
    """Return an offset for each buffer, and the bytes in all.

    Large buffers first, each into the smallest gap that is free during its whole life; buffers
    whose lives do not touch may share bytes.
    """
    placed: list[tuple[Interval, int]] = []
    offsets: dict[Hashable, int] = {}
    total = 0
    for one in sorted(intervals, key=lambda i: (-i.size, i.first)):
        offset = _gap(one, placed)
        offsets[one.key] = offset
        placed.append((one, offset))
        total = max(total, offset + aligned(one.size))
    return offsets, total


def _gap(one: Interval, placed: Sequence[tuple[Interval, int]]) -> int:
    taken = sorted(
        (offset, offset + aligned(other.size))
        for other, offset in placed
        if other.first <= one.last and one.first <= other.last
    )
    need = aligned(one.size)
    best: tuple[int, int] | None = None
    end = 0
    for start, stop in taken:
        if start - end >= need and (best is None or start - end < best[0]):
            best = (start - end, end)
        end = max(end, stop)
    return best[1] if best is not None else end
