"""From a graph to a program: passes, loops, memory."""

from chainrule.plan.build import Survey, make_plan, optimized
from chainrule.plan.limit import Limit
from chainrule.plan.plan import Call, Operand, Place, Plan, PlannedLoop, Slot

__all__ = [
    "Call",
    "Limit",
    "Operand",
    "Place",
    "Plan",
    "PlannedLoop",
    "Slot",
    "Survey",
    "make_plan",
    "optimized",
]
