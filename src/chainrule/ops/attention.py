"""Attention: values summed with weights that say how well their keys fit a query.

Heads lie beside the features in projections and before the times in products of matrices, so each
array is turned round once on the way there, and the sums once on the way back. Masks stay as small
as they are given until they are applied to the scores of one sample.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

from chainrule.errors import ShapeError
from chainrule.graph import Value
from chainrule.ops import contraction
from chainrule.ops.arrays import expand_dims, reshape, transpose
from chainrule.ops.compare import less, less_equal, where
from chainrule.ops.convert import broadcast_to, cast, common_dtype, floating
from chainrule.ops.creation import arange
from chainrule.ops.functions import add, multiply, subtract
from chainrule.ops.orders import softmax
from chainrule.ops.reductions import any as any_
from chainrule.ops.signs import abs as absolute
from chainrule.ops.truths import logical_and

Like = Any
Sizes = Sequence[int]

_EXCLUDED = -1e9  # a score whose power is 0 beside any other, and finite where there is no other


def masked_softmax(x: Value, mask: Value | None = None, axis: int = -1) -> Value:
    """``y[i] = e^x[i] / sum_j e^x[j]`` over the places where the mask is true, 0 elsewhere.

    Lines without a true place are 0, and so is what flows back through them.
    """
    if mask is None:
        return softmax(x, axis)
    return where(mask, softmax(where(mask, x, _EXCLUDED), axis), 0.0)


def reach(t: int, s: int, causal: bool = False, window: int | None = None) -> Value | None:
    """``y[i, j] = j <= i`` where causal, and ``|i - j| < window`` where there is one."""
    found: list[Value] = []
    if causal:
        found.append(less_equal(arange(s), expand_dims(arange(t), 1)))
    if window is not None:
        away = absolute(subtract(arange(s), expand_dims(arange(t), 1)))
        found.append(less(away, window))
    return functools.reduce(logical_and, found) if found else None


def attended(
    query: Value,
    key: Value,
    value: Value,
    masks: Sequence[Value] = (),
    scale: float = 1.0,
    bias: Value | None = None,
    drop: Callable[[Value], Value] | None = None,
) -> tuple[Value, Value]:
    """Return ``y[r, t] = sum_s w[r, t, s] value[r, s]`` and the weights
    ``w = softmax_s(scale query[r, t] . key[r, s] + bias)``.

    Shapes
    ------
    query : [r, t, d]; key : [r, s, d]; value : [r, s, m]; masks, bias : [r, t, s], each axis as
    long or 1
    """
    scores = contraction.batch_matmul(multiply(query, scale), key, transpose_w=True)
    return weighted(scores if bias is None else add(scores, bias), value, masks, drop)


def weighted(
    scores: Value,
    value: Value,
    masks: Sequence[Value] = (),
    drop: Callable[[Value], Value] | None = None,
) -> tuple[Value, Value]:
    """Return ``sum_s w[r, t, s] value[r, s]`` and ``w = softmax_s(scores[r, t, s])``, both 0 where
    a line of the mask is false throughout.

    For such lines the sums are masked, and not the weights, which so are kept once for the
    derivative and not twice, before the mask and behind it.
    """
    if not masks:
        weights = softmax(scores)
        return _summed(weights, value, drop), weights
    mask = functools.reduce(logical_and, masks)
    weights = softmax(where(mask, scores, _EXCLUDED))
    seen = any_(mask, axis=-1, keepdims=True)
    return where(seen, _summed(weights, value, drop), 0.0), where(seen, weights, 0.0)


def _summed(weights: Value, value: Value, drop: Callable[[Value], Value] | None) -> Value:
    y: Value = contraction.batch_matmul(weights if drop is None else drop(weights), value)
    return y


def over_heads(
    query: Value,
    key: Value,
    value: Value,
    axes: Sequence[int] = (1,),
    masks: Sequence[Value] = (),
    scale: float = 1.0,
    bias: Value | None = None,
    drop: Callable[[Value], Value] | None = None,
) -> tuple[Value, Value]:
    """Return `attended` for each head, and its weights. Heads of the query that are neighbours
    share one of key and value, where these have fewer.

    Shapes
    ------
    query : [*p, n, d]; key : [*q, g, d]; value : [*q, g, m]; p and q differ in `axes` alone;
    masks, bias : [*b, n, *t, *s], b being the sizes of the other axes of p, t and s those of `axes`
    in p and q; each axis as long or 1. Returned : [*p, n, m], [*b, n, *t, *s]
    """
    heads, groups = query.shape[-2], key.shape[-2]
    if heads % groups:
        raise ShapeError(f"{heads} heads of the query do not share {groups} of key and value")
    t, s = ([x.shape[a] for a in axes] for x in (query, key))
    lead = [n for a, n in enumerate(query.shape[:-2]) if a not in axes]
    each = heads // groups
    form = functools.partial(_rows, lead=(*lead, groups), t=(each, *t), s=s)
    y, weights = attended(
        _heads_first(query, axes, each),
        _heads_first(key, axes),
        _heads_first(value, axes),
        [form(_split(mask, len(lead), groups)) for mask in masks],
        scale,
        None if bias is None else form(_split(bias, len(lead), groups)),
        drop,
    )
    back = _heads_last(y, axes, (*query.shape[:-1], value.shape[-1]), each)
    return back, reshape(weights, (*lead, heads, *t, *s))


def _parted(sizes: Sizes, axes: Sequence[int]) -> tuple[list[int], list[int]]:
    """Return the sizes of the other axes, and those of `axes`."""
    return [n for a, n in enumerate(sizes) if a not in axes], [sizes[a] for a in axes]


def _order(ndim: int, axes: Sequence[int]) -> tuple[int, ...]:
    """Return which axes of [*p, g, each, d], p being `ndim` of them, make [*b, g, each, *t, d]."""
    lead = (a for a in range(ndim) if a not in axes)
    return (*lead, ndim, ndim + 1, *axes, ndim + 2)


def _heads_first(x: Value, axes: Sequence[int], each: int = 1) -> Value:
    """Return x [*p, n, d] as [b n / each, each t, d]."""
    *sizes, heads, d = x.shape
    lead, t = _parted(sizes, axes)
    cut = reshape(x, (*sizes, heads // each, each, d))
    turned = transpose(cut, _order(len(sizes), axes))
    return reshape(turned, (math.prod(lead) * heads // each, each * math.prod(t), d))


def _heads_last(y: Value, axes: Sequence[int], shape: Sizes, each: int) -> Value:
    """Return y [b n / each, each t, d] in the shape [*p, n, d]."""
    *sizes, heads, d = shape
    lead, t = _parted(sizes, axes)
    order = _order(len(sizes), axes)
    cut = reshape(y, (*lead, heads // each, each, *t, d))
    return reshape(transpose(cut, [order.index(i) for i in range(cut.ndim)]), shape)


def _split(x: Value, axis: int, groups: int) -> Value:
    """Return a mask with its axis of heads, all of them or 1, as two: groups, and heads of each."""
    heads = x.shape[axis]
    parts = (1, 1) if heads == 1 else (groups, heads // groups)
    return reshape(x, (*x.shape[:axis], *parts, *x.shape[axis + 1 :]))


def _rows(x: Value, lead: Sizes, t: Sizes, s: Sizes) -> Value:
    """Return a mask over [*lead, *t, *s] as one over [r, t, s], what is 1 throughout staying so."""
    shape, end = x.shape, 0
    flat: list[int] = []
    for sizes in (lead, t, s):
        given = shape[end : end + len(sizes)]
        end += len(sizes)
        whole = any(n != 1 for n in given)
        if whole and given != tuple(sizes):  # one group at a time, for the engine's eight axes
            before, after = math.prod(flat), math.prod(shape[end:])
            x = broadcast_to(reshape(x, (before, *given, after)), (before, *sizes, after))
        flat.append(math.prod(sizes) if whole else 1)
    return reshape(x, flat)


def dot_product_attention(
    query: Like,
    key: Like,
    value: Like,
    bias: Like = None,
    mask: Like = None,
    scale: float | None = None,
    is_causal: bool = False,
) -> Value:
    """``y[b, t, n] = sum_s w[b, n, t, s] value[b, s, n]`` for each head n, where
    ``w = softmax_s(scale query[b, t, n] . key[b, s, n] + bias)``.

    Where the mask excludes all keys of a query, its y is 0. With fewer heads in key and value than
    in the query, heads of the query that are neighbours share one.

    Shapes
    ------
    query : [b, t, n, d]; key : [b, s, g, d]; value : [b, s, g, m]; bias, mask : [b, n, t, s], each
    axis as long or 1; returned : [b, t, n, m]

    Parameters
    ----------
    query, key, value : array_like
        Brought to their common dtype; n is a multiple of g.
    bias : array_like, optional
        Added to the scores.
    mask : array_like, optional
        Truths: which keys a query may look at.
    scale : float, optional
        By default ``1 / sqrt(d)``.
    is_causal : bool, default False
        Whether query i looks at keys 0 to i only.

    Raises
    ------
    ShapeError
        For shapes that do not fit together.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import ops
    >>> x = np.ones((2, 5, 4, 3))
    >>> ops.dot_product_attention(x, x, x, is_causal=True).shape
    (2, 5, 4, 3)

    Source
    ------
    Vaswani et al., "Attention is all you need", arXiv 1706.03762, equation 1; shared heads: Ainslie
    et al., arXiv 2305.13245.
    """
    q, k, v = _floats(query, key, value)
    _check_heads(q, k, v)
    masks = [] if mask is None else [cast(mask, "bool")]
    if is_causal and (causal := reach(q.shape[1], k.shape[1], causal=True)) is not None:
        masks.append(reshape(causal, (1, 1, *causal.shape)))
    full = (q.shape[0], q.shape[2], q.shape[1], k.shape[1])
    added = None if bias is None else cast(bias, q.dtype)
    for x in (*masks, *([] if added is None else [added])):
        check_mask(x, full)
    factor = 1.0 / math.sqrt(max(q.shape[-1], 1)) if scale is None else float(scale)
    return over_heads(q, k, v, (1,), masks, factor, added)[0]


def check_mask(x: Value, full: Sizes) -> None:
    """Raise unless each axis of a mask over scores is as long as theirs, or 1."""
    if x.ndim != len(full) or any(n not in (1, m) for n, m in zip(x.shape, full, strict=True)):
        raise ShapeError(
            f"a mask of shape {list(x.shape)} does not fit scores of shape {list(full)}: "
            "each of its sizes must be theirs, or 1"
        )


def _floats(*given: Like) -> list[Value]:
    values = [floating(x) for x in given]
    dtype = functools.reduce(common_dtype, (x.dtype for x in values))
    return [cast(x, dtype) for x in values]


def _check_heads(q: Value, k: Value, v: Value) -> None:
    """Raise unless the three are arrays of heads that fit together."""
    shapes = ", ".join(f"{name} {list(x.shape)}" for name, x in zip("qkv", (q, k, v), strict=True))
    if any(x.ndim != 4 for x in (q, k, v)):
        raise ShapeError(f"attention takes arrays [b, t, n, d] of heads, not {shapes}")
    if k.shape[:3] != v.shape[:3] or (q.shape[0], q.shape[3]) != (k.shape[0], k.shape[3]):
        raise ShapeError(
            f"{shapes} do not fit together: all have one batch, key and value one length and "
            "number of heads, query and key one width"
        )
