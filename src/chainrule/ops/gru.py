"""Gated recurrent units over whole sequences (Cho et al. 2014, arXiv 1406.1078); see `recurrent`
for the arguments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from chainrule.errors import ShapeError
from chainrule.graph import Spec, Value, fused
from chainrule.graph.autodiff import decomposed
from chainrule.ops import elementwise as e
from chainrule.ops.contraction import BLOCK, matmul
from chainrule.ops.recurrent import (
    activation_of,
    all_steps,
    at_step,
    carried,
    checked,
    cut,
    flops_of,
    gates_of,
    keep_gradient,
    kept,
    kernel_gradient,
    product_gradient,
    spread_back,
    stacked,
    steps_of,
    through,
    zeros_like,
)
from chainrule.ops.reduce import reduce_sum
from chainrule.ops.shape import broadcast, concatenate

Specs = Sequence[Spec]


def _inner(h: Any, u: Any, b: Any) -> Any:
    """Return ``h u + b``."""
    product = matmul(h, u)
    return e.add(product, broadcast(b, shape=tuple(product.shape), axes=(1,)))


@fused("n t g, m g, g, n m, n p:bool, n q -> ?", flops=flops_of, unit=BLOCK)
def gru(
    a: Any,
    u: Any,
    b: Any,
    h: Any,
    mask: Any,
    keep: Any,
    *,
    activation: str,
    recurrent_activation: str,
    reset_after: bool = True,
    reverse: bool = False,
) -> Any:
    """``z, r = s(a_t + h_{t-1} U + b)`` of the first two parts, ``y = f(a_t + q)`` of the third,
    ``q = r (h_{t-1} U + b)``, or ``(r h_{t-1}) U + b`` without `reset_after`;
    ``h_t = z h_{t-1} + (1 - z) y``: the states [n, t + 1, m] and, for the derivative,
    [n, t, 4 m]: z, r, y, and the third part of ``h U + b``, or ``r h``."""
    f, s = activation_of("gru", activation), activation_of("gru", recurrent_activation)
    m = u.shape[0]
    states: list[Any] = [h]
    gates: dict[int, Any] = {}
    for i, _, _ in steps_of(a.shape[1], reverse):
        inputs = gates_of(at_step(a, i), 3)
        used = kept(h, keep)
        first = gates_of(_inner(used, cut(u, 1, 0, 2 * m), cut(b, 0, 0, 2 * m)), 2)
        z, r = (s(e.add(x, y)) for x, y in zip(inputs, first, strict=False))
        last = cut(u, 1, 2 * m, 3 * m), cut(b, 0, 2 * m, 3 * m)
        kept_back = _inner(used, *last) if reset_after else e.multiply(r, used)
        q = e.multiply(r, kept_back) if reset_after else _inner(kept_back, *last)
        y = f(e.add(inputs[2], q))
        whole = concatenate(z, r, y, kept_back, axis=1)
        gates[i] = carried(mask, i, whole, zeros_like(whole))
        mixed = e.add(e.multiply(z, h), e.multiply(e.offset(e.negative(z), amount=1.0), y))
        h = carried(mask, i, mixed, h)
        states.append(h)
    none = concatenate(a, cut(a, 2, 0, m), axis=2)
    return stacked(states[::-1] if reverse else states), all_steps(gates, none)


@gru.shape_rule
def _(
    a: Spec,
    u: Spec,
    b: Spec,
    h: Spec,
    mask: Spec,
    keep: Spec,
    *,
    activation: str,
    recurrent_activation: str,
    **_: Any,
) -> Any:
    activation_of("gru", activation)
    activation_of("gru", recurrent_activation)
    m = checked("gru", a, u, mask, keep, 3)
    states = (a.shape[0], a.shape[1] + 1, m)
    return Spec(states, a.dtype), Spec((*a.shape[:2], 4 * m), a.dtype)


@gru.tiling
def _(specs: Specs, outputs: Specs, **_: Any) -> Any:
    return True, False, False, True, True, True


@gru.vjp
def _(
    g: Any,
    y: Any,
    a: Value,
    u: Value,
    b: Value,
    h: Value,
    mask: Value,
    keep: Value,
    *,
    reset_after: bool,
    reverse: bool,
    **form: Any,
) -> Any:
    form |= {"reset_after": reset_after, "reverse": reverse}
    arguments = (a, u, b, h, mask, keep)
    if g[1] is not None:  # of the gates, which are there for this derivative alone
        found = decomposed(gru, g, arguments, form)
        return tuple(found.get(x) for x in arguments)
    states, gates = y
    ga, inner, dh = gru_gradient(g[0], states, gates, u, mask, keep, **form)
    if reset_after:
        gu, back = kernel_gradient(states, keep, inner, reverse), spread_back(inner, u)
    else:
        gu, back = _reset_before(states, gates, keep, u, ga, reverse)
    to_keep = keep_gradient(states, keep, back, reverse)
    return ga, gu, reduce_sum(inner, axes=(0, 1)), dh, None, to_keep


def _reset_before(
    states: Value, gates: Value, keep: Value, u: Value, ga: Value, reverse: bool
) -> tuple[Value, Value]:
    """Return the cotangents of the kernel and of the products' states, where the state is reset
    before its last product."""
    m = u.shape[0]
    first, last = cut(ga, 2, 0, 2 * m), cut(ga, 2, 2 * m, 3 * m)
    gu: Value = concatenate(
        kernel_gradient(states, keep, first, reverse),
        product_gradient(cut(gates, 2, 3 * m, 4 * m), last),
        axis=1,
    )
    reset = e.multiply(spread_back(last, cut(u, 1, 2 * m, 3 * m)), cut(gates, 2, m, 2 * m))
    back: Value = e.add(reset, spread_back(first, cut(u, 1, 0, 2 * m)))
    return gu, back


@fused("n s m, n s m, n t f, m g, n p:bool, n q -> ?", flops=flops_of, unit=BLOCK)
def gru_gradient(
    g: Any,
    states: Any,
    gates: Any,
    u: Any,
    mask: Any,
    keep: Any,
    *,
    activation: str,
    recurrent_activation: str,
    reset_after: bool = True,
    reverse: bool = False,
) -> Any:
    """The cotangents of a, of ``h U + b`` and of the first state, from those of the states."""
    f, s, m = activation, recurrent_activation, u.shape[0]
    order = list(steps_of(gates.shape[1], reverse))
    dh = at_step(g, order[-1][2] if order else 0)
    found: dict[int, Any] = {}
    inner: dict[int, Any] = {}
    for i, old, _ in reversed(order):
        z, r, y, kept_back = gates_of(at_step(gates, i), 4)
        h = at_step(states, old)
        dz = through(s, e.multiply(dh, e.subtract(h, y)), z)
        dy = through(f, e.multiply(dh, e.offset(e.negative(z), amount=1.0)), y)
        if reset_after:
            dr = through(s, e.multiply(dy, kept_back), r)
            last = e.multiply(dy, r)
            back = matmul(concatenate(dz, dr, last, axis=1), u, transpose_w=True)
        else:
            last = dy
            to_reset = matmul(dy, cut(u, 1, 2 * m, 3 * m), transpose_w=True)
            dr = through(s, e.multiply(to_reset, kept(h, keep)), r)
            first = concatenate(dz, dr, axis=1)
            back = matmul(first, cut(u, 1, 0, 2 * m), transpose_w=True)
            back = e.add(back, e.multiply(to_reset, r))
        for place, third in ((found, dy), (inner, last)):
            whole = concatenate(dz, dr, third, axis=1)
            place[i] = carried(mask, i, whole, zeros_like(whole))
        straight = e.add(e.multiply(dh, z), kept(back, keep))
        dh = e.add(carried(mask, i, straight, dh), at_step(g, old))
    none = cut(gates, 2, 0, 3 * m)
    return all_steps(found, none), all_steps(inner, none), dh


@gru_gradient.shape_rule
def _(g: Spec, states: Spec, gates: Spec, u: Spec, mask: Spec, keep: Spec, **_: Any) -> Any:
    n, steps, m = g.shape
    a = Spec((n, gates.shape[1], 3 * m), g.dtype)
    checked("gru_gradient", a, u, mask, keep, 3)
    if gates.shape != (n, steps - 1, 4 * m):
        raise ShapeError(
            f"gru_gradient: {steps} states of {m} units come from {steps - 1} steps and {4 * m} "
            f"columns, not {list(gates.shape[1:])}."
        )
    return a, a, Spec((n, m), g.dtype)


@gru_gradient.tiling
def _(specs: Specs, outputs: Specs, **_: Any) -> Any:
    return True, True, True, False, True, True
