"""The language of training steps: values, primitives, the chain rule."""

from chainrule.graph import scope
from chainrule.graph.arithmetic import Arithmetic
from chainrule.graph.autodiff import gradient, ordered
from chainrule.graph.function import Function, expand, renewed
from chainrule.graph.identity import among, same
from chainrule.graph.primitive import Primitive, Rule, fused, primitive, registry
from chainrule.graph.printing import show
from chainrule.graph.signature import Spec
from chainrule.graph.value import Node, Value, Variable, constant, placeholder

__all__ = [
    "Arithmetic",
    "Function",
    "Node",
    "Primitive",
    "Rule",
    "Spec",
    "Value",
    "Variable",
    "among",
    "constant",
    "expand",
    "fused",
    "gradient",
    "ordered",
    "placeholder",
    "primitive",
    "registry",
    "renewed",
    "same",
    "scope",
    "show",
]
