"""The weights of a layer, looked for once: loops written by hand ask for them in every step, and
`fit` at each call."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import TYPE_CHECKING, Any

from chainrule.graph.calls import Watched
from chainrule.graph.identity import same
from chainrule.graph.value import Changes, Variable

if TYPE_CHECKING:
    from chainrule.layers.weights import Weighted


class Found:
    """Variables found in a layer, as long as nothing is set in any layer and the lists and dicts
    that layers and variables are found in hold what they held."""

    def __init__(self, layer: Weighted, variables: list[Variable]) -> None:
        self._variables = variables
        self._changes = Changes.count
        containers = (c for one in within(layer) for c in _containers(one))
        self._views = [c.values() if isinstance(c, dict) else c for c in containers]
        self._lengths = [*map(len, self._views)]
        self._held = [*chain.from_iterable(self._views)]

    def variables(self) -> list[Variable] | None:
        """Return the variables; ``None`` where they have to be looked for again."""
        if self._changes != Changes.count or [*map(len, self._views)] != self._lengths:
            return None
        held = [*chain.from_iterable(self._views)]
        return [*self._variables] if same(held, self._held) else None


def within(layer: Weighted) -> Iterator[Weighted]:
    """Yield the layer and all layers inside."""
    yield layer
    for inner in layer.sublayers():
        yield from within(inner)


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
