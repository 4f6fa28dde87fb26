"""The optimizers' rules as operations; each runs over the weight while its gradient is in cache."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from chainrule.graph import Spec, fused
from chainrule.ops import elementwise as e
from chainrule.ops.shape import broadcast


def _like(rate: Any, w: Any) -> Any:
    return broadcast(rate, shape=tuple(w.shape), axes=())


def _all_but_rate(specs: Sequence[Spec], outputs: Sequence[Spec], **_: Any) -> Any:
    return (*(True for _ in specs[:-1]), False)


@fused("*s, *s, () -> *s", in_place=True, cost=2)
def sgd_update(w: Any, g: Any, rate: Any) -> Any:
    """``w - rate * g``."""
    return e.subtract(w, e.multiply(_like(rate, w), g))


sgd_update.tiling(_all_but_rate)


@fused("*s, *s, *s, () -> *s, *s", in_place=True, cost=4)
def momentum_update(
    w: Any, g: Any, velocity: Any, rate: Any, *, momentum: float, nesterov: bool
) -> Any:
    """``v' = momentum * v - rate * g``; ``w' = w + v'``, with Nesterov
    ``w' = w + momentum * v' - rate * g``."""
    step = e.multiply(_like(rate, w), g)
    moved = e.subtract(e.scale(velocity, factor=momentum), step)
    if nesterov:
        return e.add(w, e.subtract(e.scale(moved, factor=momentum), step)), moved
    return e.add(w, moved), moved


momentum_update.tiling(_all_but_rate)


@fused("*s, *s, *s, *s, () -> *s, *s, *s", in_place=True, cost=8)
def adam_update(
    w: Any,
    g: Any,
    m: Any,
    v: Any,
    rate: Any,
    *,
    beta_1: float,
    beta_2: float,
    epsilon: float,
) -> Any:
    """``m' = m + (g - m)(1 - b1)``; ``v' = v + (g^2 - v)(1 - b2)``;
    ``w' = w - rate * m' / (sqrt(v') + epsilon)``; `rate` holds the correction of the bias."""
    m = e.add(m, e.scale(e.subtract(g, m), factor=1.0 - beta_1))
    v = e.add(v, e.scale(e.subtract(e.square(g), v), factor=1.0 - beta_2))
    step = e.divide(e.multiply(_like(rate, w), m), e.offset(e.sqrt(v), amount=epsilon))
    return e.subtract(w, step), m, v


adam_update.tiling(_all_but_rate)
