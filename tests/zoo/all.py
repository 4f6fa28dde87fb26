"""All runs of the zoo."""

from __future__ import annotations

from collections.abc import Sequence

from .healthy import healthy
from .plan import Plan
from .planted_data import data_faults
from .planted_signals import signals
from .planted_steps import steps


def zoo(half: str | None = None, kind: str | None = None) -> Sequence[Plan]:
    """Return the runs of one half, or all; of one kind, ``"healthy"`` among them, or of all."""
    plans = [*signals(), *steps(), *data_faults(), *healthy()]
    if half is not None:
        plans = [p for p in plans if p.half == half]
    return [p for p in plans if kind in (None, p.fault or "healthy")]
