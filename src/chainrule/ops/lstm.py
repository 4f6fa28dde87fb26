"""Long short-term memory over whole sequences (Hochreiter and Schmidhuber 1997, with the forget
gate of Gers et al. 2000); see `recurrent` for the arguments."""

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
    spread_back,
    stacked,
    steps_of,
    through,
    zeros_like,
)
from chainrule.ops.shape import concatenate, fill

Specs = Sequence[Spec]


@fused("n t g, m g, n m, n m, n p:bool, n q -> ?", flops=flops_of, unit=BLOCK)
def lstm(
    a: Any,
    u: Any,
    h: Any,
    c: Any,
    mask: Any,
    keep: Any,
    *,
    activation: str,
    recurrent_activation: str,
    reverse: bool = False,
) -> Any:
    """``z = a_t + h_{t-1} U``, in four parts; ``i, j, o = s(z_0), s(z_1), s(z_3)``,
    ``c_t = j c_{t-1} + i f(z_2)``, ``h_t = o f(c_t)``: the states [n, t + 1, m], the cells
    [n, t + 1, m], and the gates i, j, f(z_2), o [n, t, 4 m] for the derivative."""
    f, s = activation_of("lstm", activation), activation_of("lstm", recurrent_activation)
    states, cells, gates = [h], [c], {}
    for i, _, _ in steps_of(a.shape[1], reverse):
        parts = gates_of(e.add(at_step(a, i), matmul(kept(h, keep), u)), 4)
        add, stay, candidate, out = s(parts[0]), s(parts[1]), f(parts[2]), s(parts[3])
        whole = concatenate(add, stay, candidate, out, axis=1)
        gates[i] = carried(mask, i, whole, zeros_like(whole))
        new = e.add(e.multiply(stay, c), e.multiply(add, candidate))
        h = carried(mask, i, e.multiply(out, f(new)), h)
        c = carried(mask, i, new, c)
        states.append(h)
        cells.append(c)
    turn = -1 if reverse else 1
    return stacked(states[::turn]), stacked(cells[::turn]), all_steps(gates, a)


@lstm.shape_rule
def _(
    a: Spec,
    u: Spec,
    h: Spec,
    c: Spec,
    mask: Spec,
    keep: Spec,
    *,
    activation: str,
    recurrent_activation: str,
    **_: Any,
) -> Any:
    activation_of("lstm", activation)
    activation_of("lstm", recurrent_activation)
    m = checked("lstm", a, u, mask, keep, 4)
    states = Spec((a.shape[0], a.shape[1] + 1, m), a.dtype)
    return states, states, a


@lstm.tiling
def _(specs: Specs, outputs: Specs, **_: Any) -> Any:
    return True, False, True, True, True, True


@lstm.vjp
def _(
    g: Any,
    y: Any,
    a: Value,
    u: Value,
    h: Value,
    c: Value,
    mask: Value,
    keep: Value,
    **form: Any,
) -> Any:
    arguments = (a, u, h, c, mask, keep)
    if g[2] is not None:  # of the gates, which are there for this derivative alone
        found = decomposed(lstm, g, arguments, form)
        return tuple(found.get(x) for x in arguments)
    (states, cells, gates), reverse = y, form["reverse"]
    nothing = cut(states, 1, 0, 0)
    gh = fill(shape=states.shape, value=0.0, dtype=states.dtype) if g[0] is None else g[0]
    gc = nothing if g[1] is None else g[1]
    ga, dh, dc = lstm_gradient(gh, gc, cells, gates, u, mask, keep, **form)
    to_keep = keep_gradient(states, keep, spread_back(ga, u), reverse)
    return ga, kernel_gradient(states, keep, ga, reverse), dh, dc, None, to_keep


@fused("n s m, n r m, n s m, n t g, m g, n p:bool, n q -> ?", flops=flops_of, unit=BLOCK)
def lstm_gradient(
    gh: Any,
    gc: Any,
    cells: Any,
    gates: Any,
    u: Any,
    mask: Any,
    keep: Any,
    *,
    activation: str,
    recurrent_activation: str,
    reverse: bool = False,
) -> Any:
    """The cotangents of a, of the first state and of the first cell, from those of the states and
    of the cells; without steps in `gc` these are 0."""
    f, s = activation, recurrent_activation
    order = list(steps_of(gates.shape[1], reverse))
    last = order[-1][2] if order else 0
    dh = at_step(gh, last)
    dc = at_step(gc, last) if gc.shape[1] else e.scale(dh, factor=0.0)
    found = {}
    for i, old, new in reversed(order):
        add, stay, candidate, out = gates_of(at_step(gates, i), 4)
        y = activation_of("lstm_gradient", f)(at_step(cells, new))
        d = e.add(dc, through(f, e.multiply(dh, out), y))
        parts = (
            through(s, e.multiply(d, candidate), add),
            through(s, e.multiply(d, at_step(cells, old)), stay),
            through(f, e.multiply(d, add), candidate),
            through(s, e.multiply(dh, y), out),
        )
        whole = concatenate(*parts, axis=1)
        found[i] = carried(mask, i, whole, zeros_like(whole))
        back = kept(matmul(found[i], u, transpose_w=True), keep)
        dh = e.add(carried(mask, i, back, dh), at_step(gh, old))
        dc = carried(mask, i, e.multiply(d, stay), dc)
        if gc.shape[1]:
            dc = e.add(dc, at_step(gc, old))
    return all_steps(found, gates), dh, dc


@lstm_gradient.shape_rule
def _(
    gh: Spec, gc: Spec, cells: Spec, gates: Spec, u: Spec, mask: Spec, keep: Spec, **_: Any
) -> Any:
    n, steps, m = gh.shape
    checked("lstm_gradient", gates, u, mask, keep, 4)
    if gates.shape[1] != steps - 1 or gc.shape[1] not in (0, steps):
        raise ShapeError(
            f"lstm_gradient: {gates.shape[1]} steps have {gates.shape[1] + 1} states, not {steps} "
            f"and {gc.shape[1]}."
        )
    return gates, Spec((n, m), gh.dtype), Spec((n, m), gh.dtype)


@lstm_gradient.tiling
def _(specs: Specs, outputs: Specs, **_: Any) -> Any:
    return True, True, True, True, False, True, True
