"""Recurrent layers over whole sequences: `rnn` here, `lstm` and `gru` beside it.

Each takes what the inputs add to every step, ``a[n, t, :] = x[n, t] W + b``, and gives the states
``h[n, 0..t]`` before the first step and after each; with `reverse` time runs backward, and the
state before step i stands at i + 1, the one after it at i. Two arguments may have no columns, which
says that there is none: `mask` [n, t] leaves the state of a sample as it is where it is False,
`keep` [n, m] is what the state is multiplied by on its way into each product (recurrent dropout).

The bodies are loops over time of primitives: meaning, and derivatives of the derivatives.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from chainrule.dtypes import is_float
from chainrule.errors import ArgumentError, DTypeError, ShapeError
from chainrule.graph import Spec, Value, fused
from chainrule.ops import elementwise as e
from chainrule.ops.contraction import BLOCK, matmul
from chainrule.ops.fused import _SLOPES, ACTIVATIONS
from chainrule.ops.reduce import reduce_sum
from chainrule.ops.shape import broadcast, concatenate, reshape, slice_

Shape = tuple[int, ...]
Specs = Sequence[Spec]


def cut(x: Any, axis: int, start: int, stop: int) -> Any:
    """Return ``x[..., start:stop, ...]`` along an axis."""
    low, high = [0] * x.ndim, list(x.shape)
    low[axis], high[axis] = start, stop
    return slice_(x, start=tuple(low), stop=tuple(high), step=(1,) * x.ndim)


def at_step(x: Any, i: int) -> Any:
    """Return ``x[:, i]``."""
    return reshape(cut(x, 1, i, i + 1), shape=(x.shape[0], *x.shape[2:]))


def stacked(steps: Sequence[Any]) -> Any:
    """Return arrays [n, m] as one [n, steps, m]."""
    return concatenate(*(reshape(s, shape=(s.shape[0], 1, *s.shape[1:])) for s in steps), axis=1)


def gates_of(x: Any, count: int) -> list[Any]:
    """Return the last axis in parts."""
    width = x.shape[-1] // count
    return [cut(x, x.ndim - 1, i * width, (i + 1) * width) for i in range(count)]


def steps_of(count: int, reverse: bool) -> Iterator[tuple[int, int, int]]:
    """Yield each step in its order with the places of the states before and after it."""
    for i in range(count):
        yield (count - 1 - i, count - i, count - 1 - i) if reverse else (i, i, i + 1)


def zeros_like(x: Any) -> Any:
    """Return zeros of the shape of x."""
    return np.zeros(tuple(x.shape), x.dtype)


def carried(mask: Any, i: int, new: Any, old: Any) -> Any:
    """Return the new state, or the old one where the step is masked."""
    if mask.shape[1] == 0:
        return new
    column = reshape(cut(mask, 1, i, i + 1), shape=(mask.shape[0],))
    return e.where(broadcast(column, shape=tuple(new.shape), axes=(0,)), new, old)


def kept(h: Any, keep: Any) -> Any:
    """Return what of the state goes into the products."""
    return e.multiply(h, keep) if keep.shape[1] else h


def before(states: Value, reverse: bool) -> Value:
    """Return the states before each step."""
    first = 1 if reverse else 0
    chosen: Value = cut(states, 1, first, first + states.shape[1] - 1)
    return chosen


def kernel_gradient(states: Value, keep: Value, g: Value, reverse: bool) -> Value:
    """Return ``sum h^T g`` over samples and steps, h being the states before each."""
    h: Any = before(states, reverse)
    if keep.shape[1]:
        h = e.multiply(h, broadcast(keep, shape=h.shape, axes=(0, 2)))
    return product_gradient(h, g)


def product_gradient(h: Value, g: Value) -> Value:
    """Return ``sum h^T g`` over samples and steps."""
    n, t, m = h.shape
    rows = reshape(h, shape=(n * t, m))
    gradient: Value = matmul(rows, reshape(g, shape=(n * t, g.shape[2])), transpose_x=True)
    return gradient


def activation_of(name: str, word: str) -> Any:
    """Return the function that a word names."""
    if word not in ACTIVATIONS:
        raise ArgumentError(f"{name} applies {', '.join(ACTIVATIONS)}, not {word!r}")
    return ACTIVATIONS[word]


def through(word: str, g: Any, y: Any) -> Any:
    """Return g times the slope of the activation, from its value y."""
    return _SLOPES[word](g, y) if word in _SLOPES else g


def spread_back(g: Value, u: Value) -> Value:
    """Return ``g[n, t] U^T``: the cotangents of the products' states."""
    n, t, width = g.shape
    rows = matmul(reshape(g, shape=(n * t, width)), u, transpose_w=True)
    back: Value = reshape(rows, shape=(n, t, u.shape[0]))
    return back


def keep_gradient(states: Value, keep: Value, back: Value, reverse: bool) -> Value | None:
    """Return the cotangent of `keep` from those of the products' states; computed only where it is
    asked for."""
    if not keep.shape[1]:
        return None
    gradient: Value = reduce_sum(e.multiply(before(states, reverse), back), axes=(1,))
    return gradient


def checked(name: str, a: Spec, u: Spec, mask: Spec, keep: Spec, gates: int) -> int:
    """Return the units; raise where the arrays do not fit one another."""
    t, width, m = *a.shape[1:], u.shape[0]
    if not is_float(a.dtype):
        raise DTypeError(f"{name}: the sequence must be float, but is {a.dtype}.")
    if m < 1 or u.shape[1] != gates * m or width != gates * m:
        raise ShapeError(
            f"{name}: {m} units need a kernel of {gates * m} columns and as many in the sequence; "
            f"they have {u.shape[1]} and {width}."
        )
    if mask.shape[1] not in (0, t) or keep.shape[1] not in (0, m):
        raise ShapeError(
            f"{name}: for {t} steps of {m} units the mask has {mask.shape[1]} columns "
            f"and keep {keep.shape[1]}."
        )
    return m


def flops_of(specs: Specs, outputs: Specs, **_: Any) -> float:
    """Return the operations of the products: those of every step with u, the first matrix."""
    u = next(s for s in specs if len(s.shape) == 2)
    return 2.0 * outputs[0].shape[0] * outputs[0].shape[1] * u.size


@fused("n t g, m g, n m, n p:bool, n q -> ?", flops=flops_of, unit=BLOCK)
def rnn(
    a: Any, u: Any, h: Any, mask: Any, keep: Any, *, activation: str, reverse: bool = False
) -> Any:
    """``h_t = f(a_t + h_{t-1} U)``: the states [n, t + 1, m]."""
    f = activation_of("rnn", activation)
    states = [h]
    for i, _, _ in steps_of(a.shape[1], reverse):
        h = carried(mask, i, f(e.add(at_step(a, i), matmul(kept(h, keep), u))), h)
        states.append(h)
    return stacked(states[::-1] if reverse else states)


@rnn.shape_rule
def _(a: Spec, u: Spec, h: Spec, mask: Spec, keep: Spec, *, activation: str, **_: Any) -> Any:
    activation_of("rnn", activation)
    m = checked("rnn", a, u, mask, keep, 1)
    return Spec((a.shape[0], a.shape[1] + 1, m), a.dtype)


@rnn.tiling
def _(specs: Specs, outputs: Specs, **_: Any) -> Any:
    return True, False, True, True, True


@rnn.vjp
def _(
    g: Value, y: Value, a: Value, u: Value, h: Value, mask: Value, keep: Value, **form: Any
) -> Any:
    ga, gh = rnn_gradient(g, y, u, mask, keep, **form)
    reverse = form["reverse"]
    to_keep = keep_gradient(y, keep, spread_back(ga, u), reverse)
    return ga, kernel_gradient(y, keep, ga, reverse), gh, None, to_keep


@fused("n s m, n s m, m g, n p:bool, n q -> ?", flops=flops_of, unit=BLOCK)
def rnn_gradient(
    g: Any, states: Any, u: Any, mask: Any, keep: Any, *, activation: str, reverse: bool = False
) -> Any:
    """The cotangents of a and of the first state, from those of the states."""
    order = list(steps_of(g.shape[1] - 1, reverse))
    last = order[-1][2] if order else 0
    dh, found = at_step(g, last), {}
    for i, old, new in reversed(order):
        da = carried(mask, i, through(activation, dh, at_step(states, new)), zeros_like(dh))
        found[i] = da
        back = kept(matmul(da, u, transpose_w=True), keep)
        dh = e.add(carried(mask, i, back, dh), at_step(g, old))
    return all_steps(found, cut(g, 1, 0, 0)), dh


def all_steps(found: dict[int, Any], none: Any) -> Any:
    """Return what was found for each step as one array, `none` where there are no steps."""
    return stacked([found[i] for i in sorted(found)]) if found else none


@rnn_gradient.shape_rule
def _(g: Spec, states: Spec, u: Spec, mask: Spec, keep: Spec, **_: Any) -> Any:
    n, steps, m = g.shape
    a = Spec((n, steps - 1, m), g.dtype)
    checked("rnn_gradient", a, u, mask, keep, 1)
    return a, Spec((n, m), g.dtype)


@rnn_gradient.tiling
def _(specs: Specs, outputs: Specs, **_: Any) -> Any:
    return True, True, False, True, True
