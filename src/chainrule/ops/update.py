"""The optimizers' rules as operations; each runs over the weight while its gradient is in cache.

Arguments are the weight, its gradient, the slots, then scalars of the same dtype that change from
step to step; outputs are the new weight and the new slots. The last two scalars are factors of the
weight and of the gradient, which decay and clipping become in a plan: see `plan.passes`.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from chainrule.dtypes import Array
from chainrule.graph import Primitive, Spec, fused
from chainrule.ops import elementwise as e
from chainrule.ops import logic
from chainrule.ops.contraction import BLOCK, matmul
from chainrule.ops.shape import broadcast

Decorator = Callable[[Callable[..., Any]], Primitive]


def _update(slots: int, scalars: int = 1, **facts: Any) -> Decorator:
    """Return the decorator of a rule with so many slots and scalars, to which it adds two."""
    arguments = ["*s"] * (2 + slots) + ["()"] * (scalars + 2)
    signature = f"{', '.join(arguments)} -> {', '.join(['*s'] * (1 + slots))}"
    register = _tiled(fused(signature, in_place=True, **facts), 2 + slots)
    return lambda body: register(_with_factors(body))


def _with_factors(rule: Callable[..., Any]) -> Callable[..., Any]:
    """Return the rule for the weight times `keep` and the gradient times `share`."""

    @functools.wraps(rule)
    def body(*arguments: Any, **attributes: Any) -> Any:
        w, g, *rest, keep, share = arguments
        w, g = e.multiply(w, _like(keep, w)), e.multiply(g, _like(share, g))
        return rule(w, g, *rest, **attributes)

    known = [*inspect.signature(rule).parameters.values()]
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    first = [p for p in known if p.kind == kind]
    added = [inspect.Parameter(name, kind) for name in ("keep", "share")]
    body.__signature__ = inspect.Signature([*first, *added, *known[len(first) :]])  # type: ignore[attr-defined]
    return body


def unscaled(w: Any) -> tuple[Array, Array]:
    """Return the factors of a step that scales neither weight nor gradient."""
    one = np.ones((), w.dtype)
    return one, one


def _tiled(register: Decorator, arrays: int) -> Decorator:
    """Return the decorator that also says that the first arguments advance with the rows."""

    def tiling(specs: Sequence[Spec], outputs: Sequence[Spec], **_: Any) -> Any:
        return tuple(i < arrays for i in range(len(specs)))

    def decorate(body: Callable[..., Any]) -> Primitive:
        op = register(body)
        op.tiling(tiling)
        return op

    return decorate


def _like(scalar: Any, w: Any) -> Any:
    return broadcast(scalar, shape=tuple(w.shape), axes=())


def _toward(mean: Any, x: Any, share: float) -> Any:
    """``mean + (x - mean) * share``: one step of a running mean."""
    return e.add(mean, e.scale(e.subtract(x, mean), factor=share))


def _moments(g: Any, m: Any, v: Any, beta_1: float, beta_2: float) -> tuple[Any, Any]:
    return _toward(m, g, 1.0 - beta_1), _toward(v, e.square(g), 1.0 - beta_2)


@_update(slots=0, cost=2)
def sgd_update(w: Any, g: Any, rate: Any) -> Any:
    """``w - rate * g``."""
    return e.subtract(w, e.multiply(_like(rate, w), g))


@_update(slots=1, cost=4)
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


@_update(slots=2, cost=8)
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
    m, v = _moments(g, m, v, beta_1, beta_2)
    step = e.divide(e.multiply(_like(rate, w), m), e.offset(e.sqrt(v), amount=epsilon))
    return e.subtract(w, step), m, v


def _product_flops(specs: Sequence[Spec], outputs: Sequence[Spec], **_: Any) -> float:
    return 2.0 * specs[1].shape[0] * outputs[0].size


@fused(
    "k m, n k, n m, k m, k m, (), (), () -> k m, k m, k m",
    in_place=True,
    flops=_product_flops,
    unit=BLOCK,
)
def product_adam_update(
    w: Any,
    x: Any,
    g: Any,
    m: Any,
    v: Any,
    rate: Any,
    keep: Any,
    share: Any,
    *,
    beta_1: float,
    beta_2: float,
    epsilon: float,
) -> Any:
    """`adam_update` where the gradient is ``x^T g``, that of a dense layer's kernel.

    The engine may take it for 0 in columns where g is, whatever x has: NaN and infinities too.
    """
    product = matmul(x, g, transpose_x=True, transpose_w=False)
    rule = {"beta_1": beta_1, "beta_2": beta_2, "epsilon": epsilon}
    return adam_update(w, product, m, v, rate, keep, share, **rule)


@product_adam_update.tiling
def _(specs: Sequence[Spec], outputs: Sequence[Spec], **_: Any) -> Any:
    return tuple(name in ("w", "m", "v") for name in product_adam_update.argument_names)


@_update(slots=3, cost=10)
def amsgrad_update(
    w: Any,
    g: Any,
    m: Any,
    v: Any,
    v_max: Any,
    rate: Any,
    *,
    beta_1: float,
    beta_2: float,
    epsilon: float,
) -> Any:
    """m' and v' as in `adam_update`; ``v_max' = max(v_max, v')``;
    ``w' = w - rate * m' / (sqrt(v_max') + epsilon)``."""
    m, v = _moments(g, m, v, beta_1, beta_2)
    v_max = e.maximum(v_max, v)
    step = e.divide(e.multiply(_like(rate, w), m), e.offset(e.sqrt(v_max), amount=epsilon))
    return e.subtract(w, step), m, v, v_max


@_update(slots=2, cost=8)
def adamax_update(
    w: Any,
    g: Any,
    m: Any,
    u: Any,
    rate: Any,
    *,
    beta_1: float,
    beta_2: float,
    epsilon: float,
) -> Any:
    """``m' = m + (g - m)(1 - b1)``; ``u' = max(b2 * u, |g|)``;
    ``w' = w - rate * m' / (u' + epsilon)``."""
    m = _toward(m, g, 1.0 - beta_1)
    u = e.maximum(e.scale(u, factor=beta_2), e.absolute(g))
    step = e.divide(e.multiply(_like(rate, w), m), e.offset(u, amount=epsilon))
    return e.subtract(w, step), m, u


@_update(slots=2, scalars=3, cost=10)
def nadam_update(
    w: Any,
    g: Any,
    m: Any,
    v: Any,
    rate: Any,
    rate_g: Any,
    epsilon: Any,
    *,
    beta_1: float,
    beta_2: float,
) -> Any:
    """m' and v' as in `adam_update`;
    ``w' = w - (rate * m' + rate_g * g) / (sqrt(v') + epsilon)``."""
    m, v = _moments(g, m, v, beta_1, beta_2)
    ahead = e.add(e.multiply(_like(rate, w), m), e.multiply(_like(rate_g, w), g))
    return e.subtract(w, e.divide(ahead, e.add(e.sqrt(v), _like(epsilon, w)))), m, v


@_update(slots=1, cost=5)
def lion_update(w: Any, g: Any, m: Any, rate: Any, *, beta_1: float, beta_2: float) -> Any:
    """``w' = w - rate * sign(b1 * m + (1 - b1) * g)``; ``m' = m + (g - m)(1 - b2)``."""
    way = e.sign(e.add(e.scale(m, factor=beta_1), e.scale(g, factor=1.0 - beta_1)))
    return e.subtract(w, e.multiply(_like(rate, w), way)), _toward(m, g, 1.0 - beta_2)


def _scaled(rate: Any, g: Any, spread: Any, epsilon: float) -> Any:
    """``rate * g / sqrt(spread + epsilon)``."""
    return e.divide(e.multiply(_like(rate, g), g), e.sqrt(e.offset(spread, amount=epsilon)))


@_update(slots=1, cost=7)
def rmsprop_update(w: Any, g: Any, v: Any, rate: Any, *, rho: float, epsilon: float) -> Any:
    """``v' = v + (g^2 - v)(1 - rho)``; ``w' = w - rate * g / sqrt(v' + epsilon)``."""
    v = _toward(v, e.square(g), 1.0 - rho)
    return e.subtract(w, _scaled(rate, g, v, epsilon)), v


@_update(slots=2, cost=8)
def rmsprop_momentum_update(
    w: Any, g: Any, v: Any, b: Any, rate: Any, *, rho: float, momentum: float, epsilon: float
) -> Any:
    """v' as in `rmsprop_update`; ``b' = momentum * b + rate * g / sqrt(v' + epsilon)``;
    ``w' = w - b'``."""
    v = _toward(v, e.square(g), 1.0 - rho)
    b = e.add(e.scale(b, factor=momentum), _scaled(rate, g, v, epsilon))
    return e.subtract(w, b), v, b


@_update(slots=2, cost=9)
def centered_rmsprop_update(
    w: Any, g: Any, v: Any, a: Any, rate: Any, *, rho: float, epsilon: float
) -> Any:
    """v' as in `rmsprop_update`; ``a' = a + (g - a)(1 - rho)``;
    ``w' = w - rate * g / sqrt(v' - a'^2 + epsilon)``."""
    v, a = _toward(v, e.square(g), 1.0 - rho), _toward(a, g, 1.0 - rho)
    return e.subtract(w, _scaled(rate, g, e.subtract(v, e.square(a)), epsilon)), v, a


@_update(slots=3, cost=10)
def centered_rmsprop_momentum_update(
    w: Any,
    g: Any,
    v: Any,
    b: Any,
    a: Any,
    rate: Any,
    *,
    rho: float,
    momentum: float,
    epsilon: float,
) -> Any:
    """v' and a' as in `centered_rmsprop_update`;
    ``b' = momentum * b + rate * g / sqrt(v' - a'^2 + epsilon)``; ``w' = w - b'``."""
    v, a = _toward(v, e.square(g), 1.0 - rho), _toward(a, g, 1.0 - rho)
    step = _scaled(rate, g, e.subtract(v, e.square(a)), epsilon)
    b = e.add(e.scale(b, factor=momentum), step)
    return e.subtract(w, b), v, b, a


@_update(slots=1, cost=6)
def adagrad_update(w: Any, g: Any, total: Any, rate: Any, *, epsilon: float) -> Any:
    """``a' = a + g^2``; ``w' = w - rate * g / sqrt(a' + epsilon)``."""
    total = e.add(total, e.square(g))
    return e.subtract(w, _scaled(rate, g, total, epsilon)), total


@_update(slots=2, cost=12)
def adadelta_update(
    w: Any, g: Any, v: Any, x: Any, rate: Any, *, rho: float, epsilon: float
) -> Any:
    """``v' = v + (g^2 - v)(1 - rho)``; ``d = g * sqrt(x + epsilon) / sqrt(v' + epsilon)``;
    ``x' = x + (d^2 - x)(1 - rho)``; ``w' = w - rate * d``."""
    v = _toward(v, e.square(g), 1.0 - rho)
    root = e.sqrt(e.offset(x, amount=epsilon))
    d = e.divide(e.multiply(root, g), e.sqrt(e.offset(v, amount=epsilon)))
    x = _toward(x, e.square(d), 1.0 - rho)
    return e.subtract(w, e.multiply(_like(rate, w), d)), v, x


@_update(slots=2, scalars=0, cost=8)
def rprop_update(
    w: Any,
    g: Any,
    previous: Any,
    size: Any,
    *,
    shrink: float,
    grow: float,
    least: float,
    most: float,
) -> Any:
    """``size' = size * (grow, 1 or shrink)`` as the gradient kept its sign, was 0 or changed it,
    from `least` to `most`; where it changed g counts as 0; ``w' = w - sign(g) * size'``."""
    kept_sign = e.sign(e.multiply(g, previous))
    zero = e.subtract(kept_sign, kept_sign)
    turned = logic.less(kept_sign, zero)
    same = e.where(
        logic.less(zero, kept_sign), e.offset(zero, amount=grow), e.offset(zero, amount=1.0)
    )
    size = e.multiply(size, e.where(turned, e.offset(zero, amount=shrink), same))
    size = e.minimum(e.maximum(size, e.offset(zero, amount=least)), e.offset(zero, amount=most))
    g = e.where(turned, zero, g)
    return e.subtract(w, e.multiply(e.sign(g), size)), g, size


@_tiled(fused("*s, *s, *s, (), () -> *s, *s, *s", in_place=True, cost=8), 3)
def adam_direction(
    g: Any,
    m: Any,
    v: Any,
    first: Any,
    second: Any,
    *,
    beta_1: float,
    beta_2: float,
    epsilon: float,
) -> Any:
    """m' and v' as in `adam_update`; ``d = first * m' / (sqrt(second * v') + epsilon)``.
    Outputs are d, m', v'."""
    m, v = _moments(g, m, v, beta_1, beta_2)
    root = e.sqrt(e.multiply(_like(second, v), v))
    return e.divide(e.multiply(_like(first, m), m), e.offset(root, amount=epsilon)), m, v


@_tiled(fused("*s, *s, (), () -> *s", in_place=True, cost=2), 2)
def average_update(a: Any, w: Any, momentum: Any, rest: Any) -> Any:
    """``momentum * a + rest * w``: one step of a running average of weights."""
    return e.add(e.multiply(_like(momentum, a), a), e.multiply(_like(rest, w), w))
