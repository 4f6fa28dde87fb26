"""The weights of a layer, looked for once: loops written by hand ask for them in every step."""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy
from typing import TYPE_CHECKING, Any

from chainrule.graph.calls import Watched
from chainrule.graph.identity import same
from chainrule.graph.value import Changes, Variable

if TYPE_CHECKING:
    from chainrule.layers.weights import Weighted


class Found:
    """The variables of a layer that training moves, as long as nothing is set in any layer and the
    lists and dicts that layers and variables are found in hold what they held."""

    def __init__(self, layer: Weighted, variables: list[Variable]) -> None:
        self._variables = variables
        self._changes = Changes.count
        self._containers = [c for one in _within(layer) for c in _containers(one)]
        self._held = [copy(c) for c in self._containers]

    def variables(self) -> list[Variable] | None:
        """Return the variables; ``None`` where they have to be looked for again."""
        if self._changes != Changes.count:
            return None
        if not all(map(_unchanged, self._containers, self._held)):
            return None
        return [*self._variables]


def _unchanged(container: Any, held: Any) -> bool:
    """Return whether the very same things are in a list or dict as in its copy."""
    if isinstance(container, dict):
        return same([*container], [*held]) and same([*container.values()], [*held.values()])
    return same(container, held)


def _within(layer: Weighted) -> Iterator[Weighted]:
    yield layer
    for inner in layer.sublayers():
        yield from _within(inner)


def _containers(layer: Weighted) -> Iterator[Any]:
    """Yield the lists and dicts in the attributes of a layer that may come to hold layers."""
    stack = [v for v in vars(layer).values() if isinstance(v, list | tuple | dict)]
    while stack:
        container = stack.pop()
        items = [*(container.values() if isinstance(container, dict) else container)]
        if all(isinstance(v, Watched | Variable | list | tuple | dict) for v in items):
            stack += [v for v in items if isinstance(v, list | tuple | dict)]
            if not isinstance(container, tuple):
                yield container
