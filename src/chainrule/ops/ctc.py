"""Connectionist temporal classification: the probability of a string of labels, and its derivative.

A path names one class for each frame. It stands for the string of labels that is left when runs of
equal classes are made one and the blanks then taken out; the probability of a string is the sum
over all of its paths. With the states ``blank, label 1, blank, label 2, ..., blank`` it is a sum
over walks that stay, move on by one state, or pass over the blank between two labels that differ
(Graves, Fernandez, Gomez and Schmidhuber, "Connectionist Temporal Classification", ICML 2006).

Everything is computed in logarithms and in float64, so that neither long inputs nor certain ones
lose digits.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from chainrule.dtypes import Array
from chainrule.errors import ArgumentError
from chainrule.graph import Spec, Value, primitive

_CLASS = 60.0  # operations that the exponential of a logit counts for
_STATE = 200.0  # and the sum of three probabilities in logarithms


class _Lattice(NamedTuple):
    """The states of each sample: their log-probabilities y [t, n, s], the class that each names,
    whether one may come from two states before, and the last one; the frames that are used, and
    whether the string is one."""

    y: Array
    classes: Array
    passes: Array
    used: Array
    last: Array
    valid: Array


def _log_softmax(z: Array) -> Array:
    wide = z.astype(np.float64)
    shifted = wide - wide.max(axis=2, keepdims=True)
    log_p: Array = shifted - np.log(np.exp(shifted).sum(axis=2, keepdims=True))
    return log_p


def _lattice(log_p: Array, labels: Array, used: Array, lengths: Array, blank: int) -> _Lattice:
    n, _, m = log_p.shape
    size = labels.shape[1]
    wrong = (labels < 0) | (labels >= m) | (labels == blank)
    wrong &= np.arange(size) < lengths[:, None]
    valid = ~wrong.any(axis=1) & (lengths >= 0) & (lengths <= size)
    classes = np.full((n, 2 * size + 1), blank)
    classes[:, 1::2] = np.clip(labels, 0, m - 1)
    passes = np.zeros(classes.shape, bool)
    passes[:, 3::2] = labels[:, 1:] != labels[:, :-1]
    y = np.take_along_axis(log_p, classes[:, None], axis=2).transpose(1, 0, 2)
    last = 2 * np.clip(lengths, 0, size)
    return _Lattice(y, classes, passes, used.T[:, :, None], last, valid)


def _moved(a: Array, by: int) -> Array:
    """Return the states moved along; what comes in is impossible."""
    out = np.full_like(a, -np.inf)
    if by > 0:
        out[:, by:] = a[:, :-by]
    else:
        out[:, :by] = a[:, -by:]
    return out


def _forward(w: _Lattice) -> Array:
    """Return ``a[k, n, s]``, the log-probability to stand at state s after k frames (eqs. 5-8)."""
    a = np.full((len(w.y) + 1, *w.classes.shape), -np.inf)
    a[0, :, 0] = 0
    for k, y in enumerate(w.y):
        far = np.where(w.passes, _moved(a[k], 2), -np.inf)
        new = np.logaddexp(np.logaddexp(a[k], _moved(a[k], 1)), far) + y
        a[k + 1] = np.where(w.used[k], new, a[k])
    return a


def _backward(w: _Lattice) -> Array:
    """Return ``b[k, n, s]``, that of the frames from k on for who stands at s (eqs. 9-11)."""
    state = np.arange(w.classes.shape[1])
    ends = np.where((state == w.last[:, None]) | (state == w.last[:, None] - 1), 0.0, -np.inf)
    b = np.empty((len(w.y) + 1, *ends.shape))
    b[-1] = ends
    for k in range(len(w.y) - 1, -1, -1):
        next_ = b[k + 1] + w.y[k]
        far = _moved(np.where(w.passes, next_, -np.inf), -2)
        new = np.logaddexp(np.logaddexp(next_, _moved(next_, -1)), far)
        b[k] = np.where(w.used[k], new, b[k + 1])
    return b


def _log_total(w: _Lattice, a: Array) -> Array:
    """Return the log-probability of each string (eq. 8); NaN for one that is none."""
    rows = np.arange(len(a[-1]))
    before = np.where(w.last > 0, a[-1][rows, w.last - 1], -np.inf)
    total = np.logaddexp(a[-1][rows, w.last], before)
    return np.where(w.valid, total, np.nan)


def _check_blank(name: str, classes: int, blank: int) -> None:
    if not 0 <= blank < classes:
        raise ArgumentError(
            f"{name}: the blank is class {blank}, but there are {classes} classes, numbered from 0"
        )


def _work(specs: Sequence[Spec], outputs: Sequence[Spec], **_: Any) -> float:
    """Return the operations of one pass over classes and states."""
    n, t, m = next(s.shape for s in specs if len(s.shape) == 3)
    states = 2 * next(s.shape[1] for s in specs if len(s.shape) == 2) + 1
    return float(n * t * (_CLASS * m + _STATE * states))


def _work_twice(specs: Sequence[Spec], outputs: Sequence[Spec], **_: Any) -> float:
    return 2 * _work(specs, outputs)


@primitive("n t m, n l:int, n t:bool, n:int -> n", flops=_work)
def ctc_loss(z: Array, labels: Array, used: Array, lengths: Array, *, blank: int) -> Any:
    """``-ln sum of prod_k softmax(z)[n, k, path_k]`` over the frames k that are used and all paths
    that stand for the first `lengths[n]` labels, from logits; infinite where there is none, NaN for
    a label that is no class or is the blank and for a length outside of 0 to l."""
    w = _lattice(_log_softmax(z), labels, used, lengths, blank)
    return (0.0 - _log_total(w, _forward(w))).astype(z.dtype)


@ctc_loss.shape_rule
def _(z: Spec, labels: Spec, used: Spec, lengths: Spec, *, blank: int) -> Spec:
    _check_blank("ctc_loss", z.shape[2], blank)
    return Spec(z.shape[:1], z.dtype)


@ctc_loss.tiling
def _(specs: Sequence[Spec], outputs: Sequence[Spec], **_: Any) -> Any:
    return True, True, True, True


@ctc_loss.vjp
def _(
    g: Value, y: Value, z: Value, labels: Value, used: Value, lengths: Value, *, blank: int
) -> Any:
    return ctc_loss_gradient(g, z, labels, used, lengths, blank=blank), None, None, None


@primitive("n, n t m, n l:int, n t:bool, n:int -> n t m", flops=_work_twice)
def ctc_loss_gradient(
    g: Array, z: Array, labels: Array, used: Array, lengths: Array, *, blank: int
) -> Any:
    """``g[n] * (softmax(z)[n, t, m] - the share of the string's paths that are at m in frame t)``
    (eqs. 15, 16): the derivative of `ctc_loss`.

    0 in frames that are not used, and for a string without a path, whose loss is infinite whatever
    the logits are; NaN where the loss is. It has no derivative itself.
    """
    log_p = _log_softmax(z)
    w = _lattice(log_p, labels, used, lengths, blank)
    a = _forward(w)
    total = _log_total(w, a)
    shares = np.exp(a[1:] + _backward(w)[1:] - total[:, None])
    t, n = shares.shape[:2]
    slope = np.exp(log_p).transpose(1, 0, 2)
    np.subtract.at(slope, (np.arange(t)[:, None, None], np.arange(n)[:, None], w.classes), shares)
    kept = w.used & (total > -np.inf)[:, None]
    slope = np.where(kept, slope * g[:, None], 0)
    return np.where(np.isnan(total)[:, None], np.nan, slope).transpose(1, 0, 2).astype(z.dtype)


@ctc_loss_gradient.shape_rule
def _(g: Spec, z: Spec, labels: Spec, used: Spec, lengths: Spec, *, blank: int) -> Spec:
    _check_blank("ctc_loss_gradient", z.shape[2], blank)
    return z


@ctc_loss_gradient.tiling
def _(specs: Sequence[Spec], outputs: Sequence[Spec], **_: Any) -> Any:
    return True, True, True, True, True
