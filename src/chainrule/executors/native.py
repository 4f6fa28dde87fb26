"""The native executor: hands plans to the C++ engine. The only module that imports it."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

import chainrule._native as _native
from chainrule.dtypes import Array
from chainrule.errors import GraphError
from chainrule.executors import threads
from chainrule.executors.program import Fault, check_array, find_placeholder, output_slot
from chainrule.graph import Value
from chainrule.graph.value import Clock, Writer, aligned_copy
from chainrule.plan import Call, Plan
from chainrule.plan.plan import nbytes


def give_back_freed() -> None:
    """Give memory that was freed, and is kept for more to come, back to the system."""
    _native.give_back_freed()


@cache
def core_count() -> int:
    """Return the processors this process may run on, as they were when first asked for."""
    return int(_native.core_count())


def instruction_set() -> str:
    """Return the instruction set of the kernels in use, e.g. ``"avx512"``."""
    return str(_native.instruction_set())


def instruction_sets() -> list[str]:
    """Return the instruction sets that this machine can run, the best last or first as compiled."""
    return list(_native.instruction_sets())


def operations() -> list[str]:
    """Return the names of the operations that have a kernel."""
    return list(_native.operations())


class NativeProgram:
    """A plan loaded into the engine; variables are read and written where they lie."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._outputs: dict[int, Array] = {}
        self._writer = Writer([variable for variable, _ in plan.assigns])
        self._slot_of = {s.value: i for i, s in enumerate(plan.slots) if s.kind == "placeholder"}
        self._program = _native.Program(specification(plan))
        for i, slot in enumerate(plan.slots):
            if slot.variable is not None:
                self._program.bind(i, slot.variable.value, 0)
            elif slot.value is not None and slot.value.constant is not None:
                self._program.bind(i, _stored(slot.value.constant), 0)
        for i, value in enumerate(plan.outputs):
            self.bind_output(i, np.empty(value.shape, value.dtype))

    def bind(self, name: str | Value, array: Array, stride: int = 0) -> None:
        """Feed a placeholder from `array`, advancing `stride` bytes a step."""
        if isinstance(name, Value):
            slot = self._slot_of.get(name)
        else:
            slot = find_placeholder(self.plan, name)
        if slot is not None:
            check_array(self.plan.slots[slot], array, stride)
            self._program.bind(slot, array, stride)

    def slot(self, value: Value) -> int | None:
        """Return where a placeholder is fed; ``None`` for one that the plan does not read."""
        return self._slot_of.get(value)

    def feed(self, slot: int, array: Array) -> None:
        """Feed the placeholder of this slot with an array of its type."""
        self._program.bind(slot, _stored(array), 0)

    def bind_output(self, i: int, array: Array, stride: int = 0) -> None:
        """Write output `i` into `array`, advancing `stride` bytes a step."""
        slot = output_slot(self.plan, i)
        check_array(self.plan.slots[slot], array, stride)
        self._outputs[i] = array
        self._program.bind(slot, array, stride)

    def output(self, i: int) -> Array:
        """Return the array that output `i` was last written into."""
        return self._outputs[i]

    def run(self, steps: int = 1) -> int:
        """Run `steps` steps; return how many were completed."""
        done, code, row = self._program.run(steps, threads.num_threads())
        Clock.changed(self._writer)
        if code >= 0:
            raise Fault(code, row, done)
        return int(done)


def _stored(array: Array) -> Array:
    """Return the array where the engine can read it: contiguous and aligned to its items."""
    if array.flags.c_contiguous and array.flags.aligned:
        return array
    return aligned_copy(array)


def load(plan: Plan) -> NativeProgram:
    """Return a program that runs the plan in the engine."""
    try:
        return NativeProgram(plan)
    except ValueError as error:
        raise GraphError(f"the engine refused the plan: {error}") from error


def scratch_bytes(plan: Plan) -> int:
    """Return what a run of the plan keeps beside the arena: the scratch of each thread."""
    return int(_native.scratch_bytes(specification(plan), threads.num_threads()))


def specification(plan: Plan) -> dict[str, Any]:
    """Return the plan in the plain types that the engine reads."""
    calls: list[dict[str, Any]] = []
    loops: list[dict[str, Any]] = []
    phases: list[tuple[int, int]] = []
    for phase in plan.phases:
        first_loop = len(loops)
        for loop in phase:
            first = len(calls)
            calls.extend(_call(c) for c in loop.calls)
            loops.append(
                {
                    "rows": loop.rows,
                    "tile": loop.tile,
                    "cost": loop.cost,
                    "first": first,
                    "last": len(calls),
                }
            )
        phases.append((first_loop, len(loops)))
    return {
        "calls": calls,
        "loops": loops,
        "phases": phases,
        "arena_bytes": plan.arena_bytes,
        "local_bytes": plan.local_bytes,
        "slots": [(nbytes(s.spec), s.writable) for s in plan.slots],
    }


def _call(call: Call) -> dict[str, Any]:
    return {
        "name": call.name,
        "arguments": call.arguments,
        "operands": [
            (o.spec.dtype, o.tiled + o.columns, o.spec.shape, o.place.kind, o.place.at)
            for o in call.operands
        ],
        "attributes": {k: v for k, v in call.attributes.items() if v is not None},
    }
