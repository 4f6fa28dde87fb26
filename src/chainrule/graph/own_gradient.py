"""Functions whose derivative is what their author says, and not what the chain rule finds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from chainrule.dtypes import is_float
from chainrule.graph.autodiff import ordered, zeros_like
from chainrule.graph.function import Function
from chainrule.graph.value import Node, Value

Found = Sequence[Value | None]


@dataclass(frozen=True)
class Ends:
    """What a function of its author's own is made of.

    `inputs` are placeholders, `outputs` computed from them and from `captured`: values and
    variables of the graph around. `cotangents` are placeholders for those of the outputs, and
    `found` what the author makes of them: a cotangent for each input, or ``None``.
    """

    inputs: Sequence[Value]
    outputs: Sequence[Value]
    cotangents: Sequence[Value]
    found: Found
    captured: Sequence[Value]


class OwnGradient(Function):
    """A function with a derivative of its author's, which may be differentiated in turn."""

    has_own_rule = True

    def __init__(self, name: str, ends: Ends) -> None:
        variables = [v for v in ends.captured if v.variable is not None]
        around = [v for v in ends.captured if v.variable is None]
        super().__init__(name, [*ends.inputs, *around], ends.outputs, variables)
        self.around = around
        present = [g for g in ends.found if g is not None]
        given = [*self.inputs, *ends.cotangents]
        self._found = [g is not None for g in ends.found]
        self._rule = Function(f"gradient of {name}", given, present)

    def cotangents(
        self, g: Value | tuple[Value | None, ...] | None, node: Node
    ) -> list[Value | None]:
        """Return what the author says of each input; nothing of what stands around."""
        gs = g if isinstance(g, tuple) else (g,)
        pairs = zip(gs, self.outputs, strict=True)
        starts = [zeros_like(y) if one is None else one for one, y in pairs if is_float(y.dtype)]
        made = iter(self._rule((*node.arguments, *starts), ()))
        found = [next(made) if known else None for known in self._found]
        return [*found, *[None] * (len(self.inputs) - len(found))]


def captured(values: Sequence[Value], ends: Sequence[Value]) -> list[Value]:
    """Return what the values are computed from beside the placeholders `ends`: the values nearest
    to them that do not depend on these; constants do not count."""
    inside: set[Value] = set(ends)
    found: dict[Value, None] = {}
    for node in ordered(values):
        if any(a in inside for a in node.arguments):
            inside.update(node.outputs)
    for node in ordered(values):
        if node.outputs and node.outputs[0] in inside:
            found.update((a, None) for a in node.arguments if a not in inside)
    found.update((y, None) for y in values if y not in inside)
    return [v for v in found if not _fixed(v)]


def _fixed(value: Value) -> bool:
    """Return whether nothing but constants lies behind the value."""
    if value.node is None:
        return value.constant is not None
    leaves = [a for node in ordered([value]) for a in node.arguments if a.node is None]
    return all(a.constant is not None for a in leaves)
