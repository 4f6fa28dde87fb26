"""From a graph to a program: passes, loops, memory."""

from chainrule.plan.build import make_plan, optimized
from chainrule.plan.plan import Call, Operand, Place, Plan, PlannedLoop, Slot

__all__ = ["Call", "Operand", "Place", "Plan", "PlannedLoop", "Slot", "make_plan", "optimized"]
