"""The language of training steps: values, primitives, the chain rule."""

from chainrule.graph import scope
from chainrule.graph.autodiff import gradient, ordered
from chainrule.graph.function import Function, expand, renewed
from chainrule.graph.primitive import Primitive, Rule, fused, primitive, registry
from chainrule.graph.printing import show
from chainrule.graph.signature import Spec
from chainrule.graph.value import Arithmetic, Node, Value, Variable, constant, placeholder

__all__ = [
    "Arithmetic",
    "Function",
    "Node",
    "Primitive",
    "Rule",
    "Spec",
    "Value",
    "Variable",
    "constant",
    "expand",
    "fused",
    "gradient",
    "ordered",
    "placeholder",
    "primitive",
    "registry",
    "renewed",
    "scope",
    "show",
]
