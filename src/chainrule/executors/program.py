"""What a loaded plan offers, whichever executor runs it."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from chainrule import dtypes
from chainrule.dtypes import Array
from chainrule.errors import ArgumentError, ChainruleError, ShapeError
from chainrule.graph import Value
from chainrule.plan import Plan, Slot

_DTYPES = {name: np.dtype(name) for name in dtypes.ALL}  # `dtype.name` takes 3 us


class Fault(ChainruleError):  # noqa: N818 - a signal between layers, not shown to users
    """A run stopped because an operation that looks at values found one it must not pass.

    Attributes
    ----------
    code : int
        The `code` attribute of the operation.
    row : int
        The first row at fault within its batch.
    step : int
        The steps completed before.
    """

    def __init__(self, code: int, row: int, step: int) -> None:
        super().__init__(f"check {code} failed at row {row} of step {step}")
        self.code, self.row, self.step = code, row, step


class Program(Protocol):
    """A plan ready to run."""

    plan: Plan

    def bind(self, name: str | Value, array: Array, stride: int = 0) -> None:
        """Feed a placeholder from `array`, advancing `stride` bytes a step."""

    def bind_output(self, i: int, array: Array, stride: int = 0) -> None:
        """Write output `i` into `array`, advancing `stride` bytes a step."""

    def output(self, i: int) -> Array:
        """Return the array that output `i` was last written into."""

    def run(self, steps: int = 1) -> int:
        """Run `steps` steps; return how many were completed."""


def find_placeholder(plan: Plan, name: str | Value) -> int | None:
    """Return the slot of a placeholder; ``None`` for one that the plan does not read.

    A name that no placeholder has is accepted: the step may not need what it names.
    """
    for i, slot in enumerate(plan.slots):
        if slot.kind == "placeholder" and (slot.value is name or slot.value.name == name):  # type: ignore[union-attr]
            return i
    return None


def output_slot(plan: Plan, i: int) -> int:
    """Return the slot of output `i`."""
    slots = [s for s, slot in enumerate(plan.slots) if slot.kind == "output"]
    if not 0 <= i < len(slots):
        raise ArgumentError(f"the plan has {len(slots)} outputs, not an output {i}")
    return slots[i]


def check_array(slot: Slot, array: Array, stride: int) -> None:
    """Raise unless the array can feed the slot step by step."""
    if array.dtype != _DTYPES[slot.spec.dtype] or not array.flags.c_contiguous:
        raise ShapeError(f"expected a contiguous {slot.spec}, not {array.dtype} {array.shape}")
    if stride == 0 and array.shape != slot.spec.shape:
        raise ShapeError(f"expected shape {list(slot.spec.shape)}, not {list(array.shape)}")
    if stride and array.shape[1:] != slot.spec.shape[1:]:
        raise ShapeError(f"expected rows of {list(slot.spec.shape[1:])}, not {array.shape[1:]}")
