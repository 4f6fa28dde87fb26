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
    """`variables` found in a layer and the `layers` inside it, which hold as long as nothing is set
    in any layer and the lists and dicts that both are found in have what they had."""

    def __init__(self, layer: Weighted, variables: list[Variable]) -> None:
        self.variables = variables
        self.layers = [*_inside(layer)]
        self._changes = Changes.count
        containers = (c for one in (layer, *self.layers) for c in _containers(one))
        self._views = [c.values() if isinstance(c, dict) else c for c in containers]
        self._lengths = [*map(len, self._views)]
        self._held = [*chain.from_iterable(self._views)]

    def holds(self) -> bool:
        """Return whether nothing has to be looked for again."""
        if self._changes != Changes.count or [*map(len, self._views)] != self._lengths:
            return False
        return same([*chain.from_iterable(self._views)], self._held)


def _inside(layer: Weighted) -> Iterator[Weighted]:
    for inner in layer.sublayers():
        yield inner
        yield from _inside(inner)


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
