"""Products of matrices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule.dtypes import Array
from chainrule.errors import ShapeError
from chainrule.graph import Spec, Value, primitive

Specs = Sequence[Spec]

BLOCK = 8  # rows of the micro-kernel


def _flops(specs: Specs, outputs: Specs, **_: Any) -> float:
    """Return the arithmetic operations: two for each output and contracted index."""
    rows = max(specs[0].shape[-2] * specs[0].shape[-1], 1)
    batch = outputs[0].size // max(outputs[0].shape[-2] * outputs[0].shape[-1], 1)
    contracted = rows // max(outputs[0].shape[-2], 1)
    return 2.0 * batch * contracted * outputs[0].shape[-2] * outputs[0].shape[-1]


def _sides(name: str, x: Spec, w: Spec, flip_x: bool, flip_w: bool) -> tuple[int, int]:
    """Return (n, m), or raise for contracted axes of different size."""
    n, k = x.shape[-2:][::-1] if flip_x else x.shape[-2:]
    inner, m = w.shape[-2:][::-1] if flip_w else w.shape[-2:]
    if k != inner:
        raise ShapeError(
            f"{name}: axis `k` is {k} in x but {inner} in w.\n"
            f"  x      : {list(x.shape)}{' transposed' if flip_x else ''}\n"
            f"  w      : {list(w.shape)}{' transposed' if flip_w else ''}"
        )
    return n, m


def _t(x: Array, flip: bool) -> Array:
    return np.swapaxes(x, -1, -2) if flip else x


@primitive("p q, r s -> ?", flops=_flops, unit=BLOCK)
def matmul(x: Array, w: Array, *, transpose_x: bool = False, transpose_w: bool = False) -> Any:
    """``y[n, m] = sum_k x[n, k] * w[k, m]``; either argument may be given transposed."""
    return np.matmul(_t(x, transpose_x), _t(w, transpose_w))


@matmul.shape_rule
def _(x: Spec, w: Spec, *, transpose_x: bool, transpose_w: bool) -> Spec:
    return Spec(_sides("matmul", x, w, transpose_x, transpose_w), x.dtype)


@matmul.tiling
def _(specs: Specs, outputs: Specs, *, transpose_x: bool, transpose_w: bool) -> Any:
    return not transpose_x, False


def _product_vjp(op: Any, g: Value, x: Value, w: Value, flip_x: bool, flip_w: bool) -> Any:
    if flip_x:
        dx = op(w, g, transpose_x=flip_w, transpose_w=True)
    else:
        dx = op(g, w, transpose_x=False, transpose_w=not flip_w)
    if flip_w:
        dw = op(g, x, transpose_x=True, transpose_w=flip_x)
    else:
        dw = op(x, g, transpose_x=not flip_x, transpose_w=False)
    return dx, dw


@matmul.vjp
def _(g: Value, y: Value, x: Value, w: Value, *, transpose_x: bool, transpose_w: bool) -> Any:
    return _product_vjp(matmul, g, x, w, transpose_x, transpose_w)


@primitive("b p q, b r s -> ?", flops=_flops)
def batch_matmul(
    x: Array, w: Array, *, transpose_x: bool = False, transpose_w: bool = False
) -> Any:
    """``y[b, n, m] = sum_k x[b, n, k] * w[b, k, m]``; either may be given transposed."""
    return np.matmul(_t(x, transpose_x), _t(w, transpose_w))


@batch_matmul.shape_rule
def _(x: Spec, w: Spec, *, transpose_x: bool, transpose_w: bool) -> Spec:
    return Spec((x.shape[0], *_sides("batch_matmul", x, w, transpose_x, transpose_w)), x.dtype)


@batch_matmul.tiling
def _(specs: Specs, outputs: Specs, *, transpose_x: bool, transpose_w: bool) -> Any:
    return True, True


@batch_matmul.vjp
def _(g: Value, y: Value, x: Value, w: Value, *, transpose_x: bool, transpose_w: bool) -> Any:
    return _product_vjp(batch_matmul, g, x, w, transpose_x, transpose_w)
