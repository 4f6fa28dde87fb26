"""How a plan runs: `reference` (NumPy, the specification) and `native` (the engine)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from chainrule.dtypes import Array
from chainrule.errors import unknown_name
from chainrule.executors import native, reference
from chainrule.executors.program import Fault, Program
from chainrule.executors.threads import num_threads, set_num_threads
from chainrule.graph import Value
from chainrule.plan import make_plan

__all__ = ["Fault", "Program", "native", "num_threads", "reference", "run", "set_num_threads"]

_EXECUTORS: dict[str, Any] = {"native": native, "reference": reference}


def run(outputs: Sequence[Value], executor: str = "native") -> list[Array]:
    """Return the elements of the values; variables are read, placeholders must not occur.

    Examples
    --------
    >>> from chainrule import executors, ops
    >>> from chainrule.graph import constant
    >>> executors.run([ops.add(constant([1.0, 2.0]), 3.0)])[0].tolist()
    [4.0, 5.0]
    """
    if executor not in _EXECUTORS:
        raise unknown_name("executor", executor, _EXECUTORS)
    program: Program = _EXECUTORS[executor].load(make_plan(outputs))
    program.run()
    return [program.output(i) for i in range(len(outputs))]
