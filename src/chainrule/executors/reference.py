"""The reference executor: every operation's body, in NumPy, one node after the other."""

from __future__ import annotations

import numpy as np

from chainrule.dtypes import SIZES, Array
from chainrule.errors import GraphError
from chainrule.executors.program import check_array, find_placeholder, output_slot
from chainrule.graph import Value
from chainrule.graph.primitive import run_body
from chainrule.plan import Plan


class ReferenceProgram:
    """Runs a plan's graph as its operations' bodies say; the specification of every executor."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._bound: dict[int, tuple[Array, int]] = {}
        self._outputs: dict[int, tuple[Array, int]] = {}

    def bind(self, name: str | Value, array: Array, stride: int = 0) -> None:
        """Feed a placeholder from `array`, advancing `stride` bytes a step."""
        slot = find_placeholder(self.plan, name)
        if slot is not None:
            check_array(self.plan.slots[slot], array, stride)
            self._bound[slot] = (array, stride)

    def bind_output(self, i: int, array: Array, stride: int = 0) -> None:
        """Write output `i` into `array`, advancing `stride` bytes a step."""
        slot = output_slot(self.plan, i)
        check_array(self.plan.slots[slot], array, stride)
        self._outputs[i] = (array, stride)

    def output(self, i: int) -> Array:
        """Return the array that output `i` was last written into."""
        if i not in self._outputs:
            raise GraphError("the program has not run")
        return self._outputs[i][0]

    def run(self, steps: int = 1) -> int:
        """Run `steps` steps; return how many were completed."""
        for step in range(steps):
            self._step(step)
        return steps

    def _step(self, step: int) -> None:
        known: dict[Value, Array] = {}
        for i, slot in enumerate(self.plan.slots):
            if slot.kind == "placeholder" and slot.value is not None:
                known[slot.value] = self._fed(i, step)
        for node in self.plan.nodes:
            arrays = [
                _leaf(a) if a.node is None and a not in known else known[a] for a in node.arguments
            ]
            results = run_body(node.op, arrays, dict(node.attributes))
            for y, result in zip(node.outputs, results, strict=True):
                known[y] = np.array(result, dtype=y.dtype).reshape(y.shape)
        for i, value in enumerate(self.plan.outputs):
            array, stride = self._outputs.setdefault(i, (np.empty(value.shape, value.dtype), 0))
            _at(array, stride, step, value)[...] = known[value]
        for variable, value in self.plan.assigns:
            variable.value[...] = known[value]

    def _fed(self, slot: int, step: int) -> Array:
        value = self.plan.slots[slot].value
        if slot not in self._bound or value is None:
            raise GraphError(f"placeholder {value.name if value else slot!r} is not bound")
        array, stride = self._bound[slot]
        return _at(array, stride, step, value)


def _at(array: Array, stride: int, step: int, value: Value) -> Array:
    if not stride:
        return array
    row = value.size // max(value.shape[0], 1) * SIZES[value.dtype]
    first = step * stride // max(row, 1)
    return array[first : first + value.shape[0]]


def _leaf(value: Value) -> Array:
    if value.variable is not None:
        return value.variable.value
    if value.constant is None:
        raise GraphError(f"placeholder {value.name!r} is not bound")
    return value.constant


def load(plan: Plan) -> ReferenceProgram:
    """Return a program that runs the plan in NumPy."""
    return ReferenceProgram(plan)
