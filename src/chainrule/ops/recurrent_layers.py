"""Recurrent layers with what the inputs add to every step computed on the way: ``a = x W + b`` is
never written where it is needed for one step only."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from chainrule.graph import Spec, fused
from chainrule.ops.contraction import BLOCK, matmul
from chainrule.ops.fused import dense
from chainrule.ops.gru import gru, gru_gradient
from chainrule.ops.lstm import lstm, lstm_gradient
from chainrule.ops.recurrent import flops_of, rnn, rnn_gradient
from chainrule.ops.shape import reshape

Specs = Sequence[Spec]


def _inputs(x: Any, w: Any, b: Any) -> Any:
    """Return ``x[n, t] W + b``."""
    n, t, k = x.shape
    return reshape(dense(reshape(x, shape=(n * t, k)), w, b), shape=(n, t, w.shape[1]))


def _flops(specs: Specs, outputs: Specs, **_: Any) -> float:
    x, w, u = specs[0], specs[1], specs[3]
    return 2.0 * math.prod(x.shape[:2]) * (w.size + u.size)


def _back_flops(specs: Specs, outputs: Specs, **_: Any) -> float:
    return flops_of(specs, outputs) + 2.0 * math.prod(outputs[0].shape[:2]) * specs[-1].size


def _a(x: Spec, w: Spec) -> Spec:
    return Spec((*x.shape[:2], w.shape[1]), x.dtype)


@fused("n t k, k g, g, m g, n m, n p:bool, n q -> ?", flops=_flops, unit=BLOCK)
def rnn_layer(x: Any, w: Any, b: Any, u: Any, h: Any, mask: Any, keep: Any, **form: Any) -> Any:
    """`rnn` of ``x W + b``."""
    return rnn(_inputs(x, w, b), u, h, mask, keep, **form)


@fused("n t k, k g, g, m g, n m, n m, n p:bool, n q -> ?", flops=_flops, unit=BLOCK)
def lstm_layer(
    x: Any, w: Any, b: Any, u: Any, h: Any, c: Any, mask: Any, keep: Any, **form: Any
) -> Any:
    """`lstm` of ``x W + b``."""
    return lstm(_inputs(x, w, b), u, h, c, mask, keep, **form)


@fused("n t k, k g, g, m g, g, n m, n p:bool, n q -> ?", flops=_flops, unit=BLOCK)
def gru_layer(
    x: Any, w: Any, b: Any, u: Any, inner: Any, h: Any, mask: Any, keep: Any, **form: Any
) -> Any:
    """`gru` of ``x W + b``; `inner` is the bias of ``h U``."""
    return gru(_inputs(x, w, b), u, inner, h, mask, keep, **form)


def _to_inputs(ga: Any, w: Any) -> Any:
    """Return the cotangent of x from that of ``x W + b``."""
    n, t, g = ga.shape
    rows = matmul(reshape(ga, shape=(n * t, g)), w, transpose_w=True)
    return reshape(rows, shape=(n, t, w.shape[0]))


@fused("n s m, n s m, m g, n p:bool, n q, k g -> ?", flops=_back_flops, unit=BLOCK)
def rnn_layer_gradient(
    g: Any, states: Any, u: Any, mask: Any, keep: Any, w: Any, **form: Any
) -> Any:
    """`rnn_gradient`, and the cotangent of the inputs whose kernel is w."""
    found = rnn_gradient(g, states, u, mask, keep, **form)
    return *found, _to_inputs(found[0], w)


@fused("n s m, n r m, n s m, n t g, m g, n p:bool, n q, k g -> ?", flops=_back_flops, unit=BLOCK)
def lstm_layer_gradient(
    gh: Any, gc: Any, cells: Any, gates: Any, u: Any, mask: Any, keep: Any, w: Any, **form: Any
) -> Any:
    """`lstm_gradient`, and the cotangent of the inputs whose kernel is w."""
    found = lstm_gradient(gh, gc, cells, gates, u, mask, keep, **form)
    return *found, _to_inputs(found[0], w)


@fused("n s m, n s m, n t f, m g, n p:bool, n q, k g -> ?", flops=_back_flops, unit=BLOCK)
def gru_layer_gradient(
    g: Any, states: Any, gates: Any, u: Any, mask: Any, keep: Any, w: Any, **form: Any
) -> Any:
    """`gru_gradient`, and the cotangent of the inputs whose kernel is w."""
    found = gru_gradient(g, states, gates, u, mask, keep, **form)
    return *found, _to_inputs(found[0], w)


for _layer, _whole in ((rnn_layer, rnn), (lstm_layer, lstm), (gru_layer, gru)):

    def _rule(
        x: Spec, w: Spec, b: Spec, *others: Spec, whole: Any = _whole, **form: Any
    ) -> tuple[Spec, ...]:
        found: tuple[Spec, ...] = whole.infer([_a(x, w), *others], {**whole.defaults, **form})
        return found

    def _tiling(specs: Specs, outputs: Specs, whole: Any = _whole, **form: Any) -> tuple[bool, ...]:
        x, w, _b, *others = specs
        return True, False, False, *whole.tiled([_a(x, w), *others], outputs, form)[1:]

    _layer.shape_rule(_rule)
    _layer.tiling(_tiling)
    _layer.defaults |= _whole.defaults


for _layer, _whole in (
    (rnn_layer_gradient, rnn_gradient),
    (lstm_layer_gradient, lstm_gradient),
    (gru_layer_gradient, gru_gradient),
):

    def _back_rule(*specs: Spec, whole: Any = _whole, **form: Any) -> tuple[Spec, ...]:
        *others, w = specs
        found = whole.infer(others, {**whole.defaults, **form})
        return *found, Spec((*found[0].shape[:2], w.shape[0]), w.dtype)

    def _back_tiling(
        specs: Specs, outputs: Specs, whole: Any = _whole, **form: Any
    ) -> tuple[bool, ...]:
        return *whole.tiled(specs[:-1], outputs, form), False

    _layer.shape_rule(_back_rule)
    _layer.tiling(_back_tiling)
    _layer.defaults |= _whole.defaults
