"""What plans are made of, for several tests."""

from __future__ import annotations

from typing import Any

from chainrule.plan import Plan


def calls(plan: Plan) -> list[str]:
    """The operations of a plan, one after the other."""
    return [c.name for phase in plan.phases for loop in phase for c in loop.calls]


def plan_of(model: Any) -> Plan:
    """The plan of the step that `fit` has run, the first where there are several."""
    steps = model._trainer._steps.items()
    return next(step.program.plan for layout, step in steps if layout.kind == "train")
